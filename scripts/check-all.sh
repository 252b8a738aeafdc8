#!/bin/sh
# What `make check` leaves out: the long tests, the suite under every instruction set of this machine, threads under ThreadSanitizer,
# two builds compared, fuzzing (FUZZ_SECONDS=60 for each target), AArch64 and x86-64 without AVX-512 under emulation. Hours on two cores.
#   scripts/check-all.sh [PART...]      parts: long, scalar, avx2, avx512, avx512_vnni, threads, reproducible, fuzz, aarch64, haswell
set -eu
cd "$(dirname "$0")/.."
logs=build/check-all
mkdir -p "$logs"
rm -f "$logs"/*.failed
passed=0 failed=0 skipped=0
wanted=$*

# part NAME COMMAND...: its last line of counts is added; one that prints none counts as one check.
part() {
	name=$1
	shift
	case " ${wanted:-$name} " in *" $name "*) ;; *) return 0 ;; esac
	echo "check-all: $name"
	good=0
	"$@" >"$logs/$name.log" 2>&1 || good=1
	counts=$(grep -oE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$logs/$name.log" | tail -n 1 | tr -cd '0-9 ' || true)
	[ -n "$counts" ] || counts="$((1 - good)) $good 0"
	set -- $counts
	[ "$good" -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
	echo "check-all: $name: $1 passed, $2 failed, $3 skipped"
	[ "$2" -eq 0 ] || tail -n 40 "$logs/$name.log"
}

# suite LOGBASE OPTION...: a run of Meson's tests in ./build, counted case by case.
suite() {
	base=$1
	shift
	meson test --no-rebuild --print-errorlogs --quiet -C build --logbase "$base" "$@" || true
	scripts/count.py "build/meson-logs/$base.json"
}

threads() {
	[ -d build-tsan ] || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false >/dev/null
	ninja -C build-tsan --quiet tests/hard/test_threads tests/units/test_api tests/units/test_ready tests/units/test_stt_live tests/units/test_nn || return 1
	meson test --no-rebuild --print-errorlogs -C build-tsan --timeout-multiplier 20 'hard threads' 'units api' 'units ready' 'units stt live' 'units nn' || true
	scripts/count.py build-tsan
}

# Portable C is ten times slower than the rest: models of real size meet it where tensors are compared, all else with the small ones.
scalar() {
	suite scalar --no-suite long --suite golden --suite kernels --suite units --timeout-multiplier 10
	small=$(mktemp -d)
	others=$(meson test -C build --list 2>/dev/null | sed -n 's|^sonant:\([a-z]*\) / .*|\1|p' | sort -u | grep -vxE 'long|golden|kernels|units' | sed 's/^/--suite /')
	mkdir "$small/models"
	for model in silero-vad dnsmos deepfilternet3 whisper-tiny.en; do
		at=${SONANT_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/sonant}/models/$model
		[ ! -d "$at" ] || ln -s "$at" "$small/models/$model"
	done
	SONANT_HOME=$small suite scalar-small $others --timeout-multiplier 10
	rm -rf "$small"
	scripts/count.py build/meson-logs/scalar.json build/meson-logs/scalar-small.json
}

fuzz() {
	targets=$(ninja -C build-fuzz -t targets all | sed -n 's|^tests/fuzz/fuzz_\([a-z0-9]*\):.*|\1|p')
	ninja -C build-fuzz --quiet $(printf 'tests/fuzz/fuzz_%s ' $targets) || return 1
	findings=0 clean=0
	for target in $targets; do
		mkdir -p "build-fuzz/corpus-$target"
		echo "$target"
	done | xargs -P "$(nproc)" -I{} sh -c 'build-fuzz/tests/fuzz/fuzz_{} -max_total_time="${FUZZ_SECONDS:-60}" -verbosity=0 -artifact_prefix=build-fuzz/{}- \
		build-fuzz/corpus-{} tests/fuzz/corpus/{} >"$0/fuzz-{}.log" 2>&1 || { echo "fuzz {}: see $0/fuzz-{}.log"; touch "$0/fuzz-{}.failed"; }' "$logs"
	for target in $targets; do
		if [ -e "$logs/fuzz-$target.failed" ]; then findings=$((findings + 1)); else clean=$((clean + 1)); fi
	done
	echo "$clean passed, $findings failed, 0 skipped"
}

part long suite long --suite long
SONANT_CPU=scalar part scalar scalar
for set in avx2 avx512 avx512_vnni; do
	SONANT_CPU=$set part "$set" suite "$set" --no-suite long --timeout-multiplier 10
done
part threads threads
part reproducible scripts/check-reproducible.sh
if scripts/setup.sh fuzz && command -v clang >/dev/null; then
	[ -d build-fuzz ] || CC=clang CFLAGS=-fsanitize=fuzzer-no-link meson setup build-fuzz -Dfuzz=true -Dwerror=false -Db_lundef=false -Db_sanitize=address,undefined >/dev/null
	part fuzz fuzz
else
	echo "check-all: no clang, so no fuzzing"
	skipped=$((skipped + 1))
fi
part aarch64 scripts/check-arm.sh
part haswell scripts/check-x86.sh

echo "check-all: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
