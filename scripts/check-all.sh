#!/bin/sh
# What `make check` leaves out: the long tests, the instruction sets below this machine's best, fuzzing (FUZZ_SECONDS=60 for each
# target), and AArch64.
set -eu
cd "$(dirname "$0")/.."
status=0

meson test --no-rebuild --print-errorlogs --quiet -C build --suite long || status=1
for set in scalar avx2 avx512 avx512_vnni; do
	echo "check-all: SONANT_CPU=$set"
	SONANT_CPU=$set meson test --no-rebuild --print-errorlogs --quiet -C build --no-suite long --timeout-multiplier 10 || status=1
done

if command -v clang >/dev/null; then
	[ -d build-fuzz ] || CC=clang CFLAGS=-fsanitize=fuzzer-no-link meson setup build-fuzz -Dfuzz=true -Dwerror=false -Db_lundef=false -Db_sanitize=address,undefined >/dev/null
	for target in $(ninja -C build-fuzz -t targets all | sed -n 's|^\(tests/fuzz/fuzz_[a-z0-9]*\):.*|\1|p'); do
		name=${target##*fuzz_}
		echo "check-all: fuzzing $name for ${FUZZ_SECONDS:-60} s"
		ninja -C build-fuzz --quiet "$target"
		mkdir -p "build-fuzz/corpus-$name"
		"build-fuzz/$target" -max_total_time="${FUZZ_SECONDS:-60}" -verbosity=0 "build-fuzz/corpus-$name" "tests/fuzz/corpus/$name" || status=1
	done
else
	echo "check-all: no clang, so no fuzzing"
fi
echo "check-all: AArch64 under emulation"
scripts/check-arm.sh || status=1
echo "check-all: x86-64 without AVX-512, under emulation"
scripts/check-x86.sh || status=1

[ "$status" -eq 0 ] && echo "check-all: good" || echo "check-all: something failed"
exit "$status"
