#!/bin/sh
# ONNX Runtime for the second backend, where the distribution has no libonnxruntime-dev (Debian 13: apt-get install libonnxruntime-dev).
#   scripts/onnxruntime.sh [library]
# Fetches the C header into build/onnxruntime/include, from Debian's package of it, and with "library" libonnxruntime.so into
# $SONANT_HOME/onnxruntime (build/onnxruntime/lib where that is not set), from the package "onnxruntime" of the Python registry.
# Costs nothing when everything is there.
set -eu
cd "$(dirname "$0")/.."
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
release=trixie
include=$PWD/build/onnxruntime/include
library=${SONANT_HOME:+$SONANT_HOME/onnxruntime}
library=${library:-$PWD/build/onnxruntime/lib}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch_header() {
	curl -fsS -m 600 "$mirror/dists/$release/main/binary-amd64/Packages.xz" | xz -dc >"$work/Packages"
	entry=$(awk -v RS= '/^Package: libonnxruntime-dev\n/ { print; exit }' "$work/Packages")
	path=$(printf '%s\n' "$entry" | sed -n 's/^Filename: //p')
	sum=$(printf '%s\n' "$entry" | sed -n 's/^SHA256: //p')
	[ -n "$path" ] && [ -n "$sum" ] || {
		echo "onnxruntime: $mirror lists no libonnxruntime-dev in $release" >&2
		exit 1
	}
	curl -fsS -m 600 -o "$work/dev.deb" "$mirror/$path"
	printf '%s  %s\n' "$sum" "$work/dev.deb" | sha256sum --quiet -c
	(cd "$work" && ar x dev.deb && tar -xf data.tar.*)
	mkdir -p "$include"
	cp "$(find "$work" -name onnxruntime_c_api.h | head -n 1)" "$include/"
	# The C header may name others that lie beside it.
	find "$work" -name 'onnxruntime_ep_c_api.h' -exec cp {} "$include/" \;
}

fetch_library() {
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$work" onnxruntime
	python3 - "$work" "$library" <<-'PYTHON'
		import glob, os, sys, zipfile
		work, target = sys.argv[1:]
		os.makedirs(target, exist_ok=True)
		with zipfile.ZipFile(glob.glob(work + "/onnxruntime-*.whl")[0]) as wheel:
		    for name in wheel.namelist():
		        base = os.path.basename(name)
		        if base.startswith("libonnxruntime") and ".so" in base:
		            base = "libonnxruntime.so" if base.startswith("libonnxruntime.so") else base
		            path = os.path.join(target, base)
		            with wheel.open(name) as source, open(path + ".part", "wb") as out:
		                while block := source.read(1 << 20):
		                    out.write(block)
		            os.replace(path + ".part", path)
		            print("onnxruntime: " + path)
	PYTHON
}

[ -f "$include/onnxruntime_c_api.h" ] || fetch_header
[ "${1:-}" != library ] || [ -f "$library/libonnxruntime.so" ] || fetch_library
