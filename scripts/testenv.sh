#!/bin/sh
# The Python packages of the server's tests that Debian lacks, in build/testenv. Costs nothing when everything is there.
set -eu
cd "$(dirname "$0")/.."
packages="openai==3.54.0"
mark=build/testenv/installed
[ -f "$mark" ] && [ "$(cat "$mark")" = "$packages" ] && exit 0
# Debian's own Python sees Debian's packages (pytest, selenium, websockets, jsonschema); another one need not
python=/usr/bin/python3
[ -x "$python" ] || python=python3
rm -rf build/testenv
"$python" -m venv --system-site-packages build/testenv
build/testenv/bin/pip install --quiet --disable-pip-version-check $packages
printf '%s\n' "$packages" >"$mark"
