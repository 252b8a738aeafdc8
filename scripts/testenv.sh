#!/bin/sh
# The Python packages of the server's and the SDK's tests that Debian lacks, in build/testenv. Costs nothing when everything is there.
set -eu
cd "$(dirname "$0")/.."
packages="openai==3.54.0 numpy>=2.2,<3 cffi>=1.17,<3 httpx>=0.28,<1 websockets>=15,<18 tqdm>=4.66,<5 mypy==2.4.1 ruff==0.17.6 typing_extensions>=4.12 onnxruntime>=1.17 onnx>=1.16"
mark=build/testenv/installed
[ -f "$mark" ] && [ "$(cat "$mark")" = "$packages" ] && exit 0
# Debian's own Python sees Debian's packages (pytest, selenium, jsonschema); another one need not
python=/usr/bin/python3
[ -x "$python" ] || python=python3
rm -rf build/testenv
"$python" -m venv --system-site-packages build/testenv
build/testenv/bin/pip install --quiet --disable-pip-version-check $packages
printf '%s\n' "$packages" >"$mark"
