#!/bin/sh
# Builds the source twice, in two places, and compares what users get byte by byte.
set -eu
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0
for place in one two/deeper; do
	mkdir -p "$root/$place"
	tar --exclude='./build*' --exclude=./.git -cf - . | tar -xf - -C "$root/$place"
done
for place in one two/deeper; do
	meson setup "$root/$place/build" "$root/$place" >/dev/null
	library=$(ninja -C "$root/$place/build" -t targets all | sed -n 's|^\(src/speech/libsonant\.so\.[0-9.]*\): c_LINKER.*|\1|p')
	files="sonant $library helpers/sonant-decode helpers/sonant-phonemize helpers/sonant-pull"
	ninja -C "$root/$place/build" --quiet $files >/dev/null
done
for file in $files; do
	if cmp "$root/one/build/$file" "$root/two/deeper/build/$file"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "check-reproducible: $passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -eq 5 ]
