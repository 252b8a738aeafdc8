#!/bin/sh
# ONNX Runtime for the second backend, where the distribution has no libonnxruntime-dev (Debian 13: apt-get install libonnxruntime-dev).
#   scripts/onnxruntime.sh [library [DIR]]
# Fetches the C header into build/onnxruntime/include, from Debian's package of it, and with "library" libonnxruntime.so into DIR
# ($SONANT_HOME/onnxruntime, by default ~/.cache/sonant/onnxruntime, where the program looks), from the package "onnxruntime" of the
# Python registry.
# Costs nothing when everything is there.
set -eu
cd "$(dirname "$0")/.."
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
release=trixie
include=$PWD/build/onnxruntime/include
library=${2:-${SONANT_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/sonant}/onnxruntime}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch_header() {
	python3 - "$mirror" "$release" "$include" <<-'PYTHON'
		import hashlib, io, lzma, os, sys, tarfile, urllib.request
		mirror, release, target = sys.argv[1:]

		def get(path):
		    with urllib.request.urlopen(f"{mirror}/{path}", timeout=600) as reply:
		        return reply.read()

		def members(archive):
		    """Of a .deb, which is an ar archive: names and bytes."""
		    at = 8
		    while at + 60 <= len(archive):
		        name, size = archive[at:at + 16].decode().rstrip(" /"), int(archive[at + 48:at + 58])
		        yield name, archive[at + 60:at + 60 + size]
		        at += 60 + size + size % 2

		packages = lzma.decompress(get(f"dists/{release}/main/binary-amd64/Packages.xz")).decode()
		entry = next((e for e in packages.split("\n\n") if e.startswith("Package: libonnxruntime-dev\n")), None)
		if not entry:
		    sys.exit(f"onnxruntime: {mirror} lists no libonnxruntime-dev in {release}")
		facts = dict(line.split(": ", 1) for line in entry.split("\n") if ": " in line)
		package = get(facts["Filename"])
		if hashlib.sha256(package).hexdigest() != facts["SHA256"]:
		    sys.exit(f"onnxruntime: {facts['Filename']} is not what {mirror} lists")
		data = next(content for name, content in members(package) if name.startswith("data.tar"))
		with tarfile.open(fileobj=io.BytesIO(data)) as files:
		    for member in files:
		        name = os.path.basename(member.name)
		        # the C header may name the other, which lies beside it
		        if name in ("onnxruntime_c_api.h", "onnxruntime_ep_c_api.h"):
		            os.makedirs(target, exist_ok=True)
		            with open(os.path.join(target, name), "wb") as out:
		                out.write(files.extractfile(member).read())
	PYTHON
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
