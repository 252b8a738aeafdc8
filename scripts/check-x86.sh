#!/bin/sh
# The x86-64 build on processors that have less than this one, by qemu: whoever reaches an instruction that they lack is stopped. Kernels,
# the golden tests of small checkpoints, what is chosen, a transcript. Ends with a line "N passed, N failed, N skipped".
set -eu
cd "$(dirname "$0")/.."
build=build logs=build/check-x86

# One check, as a line "ok NAME", "not ok NAME" or "skip NAME": check-x86.sh one CPU PROGRAM [ARGUMENT...]
one() {
	cpu=$1
	shift
	name="$cpu $(basename "$1") $(basename "${2:-}")"
	log=$logs/$(echo "$name" | tr ' /' '--').log
	code=0
	timeout 1800 qemu-x86_64 -cpu "$cpu" "$@" >"$log" 2>&1 || code=$?
	case $code in
	0) echo "ok $name" ;;
	77) echo "skip $name" ;;
	*) echo "not ok $name: ended with $code, $log says: $(tail -n 1 "$log")" ;;
	esac
}

# `sonant info` names the instructions that are used: check-x86.sh chosen CPU WANTED
chosen() {
	got=$(qemu-x86_64 -cpu "$1" "$build/sonant" info 2>/dev/null | sed -n 's/^cpu *//p')
	[ "$got" = "$2" ] && echo "ok $1 has $2" || echo "not ok $1 has $2: sonant info says $got"
}

# A clip's words by Whisper: check-x86.sh transcript CPU
transcript() {
	text=$(timeout 1800 qemu-x86_64 -cpu "$1" "$build/sonant" transcribe --model whisper-tiny.en tests/audio/jfk.wav 2>&1) || true
	case $text in
	*"what your country can do for you"*) echo "ok $1 transcript" ;;
	*"not installed"*) echo "skip $1 transcript: whisper-tiny.en is not installed" ;;
	*) echo "not ok $1 transcript: $text" | tr '\n' ' ' && echo ;;
	esac
}

case ${1:-} in
one | chosen | transcript) "$@" && exit ;;
esac

if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-x86_64 >/dev/null; then
	echo "check-x86: 0 passed, 0 failed, 1 skipped: this wants an x86-64 machine and qemu-user"
	exit 0
fi
mkdir -p "$logs"

list_checks() {
	for test in gemm elements math rows; do
		echo "one Haswell $build/tests/kernels/test_$test"
	done
	for expected in tests/fixtures/tiny/*/expected.safetensors; do
		echo "one Haswell $build/tests/golden ${expected%/*}"
	done
	echo "one Nehalem $build/tests/kernels/test_gemm"
	echo "one Nehalem $build/tests/golden tests/fixtures/tiny/whisper"
	echo "chosen Haswell avx2"
	echo "chosen Nehalem scalar"
	echo "transcript Haswell"
}

unset SONANT_CPU
list_checks | xargs -P "$(nproc)" -L 1 "$0" | tee "$logs/results" | grep -v '^ok' || true
count() { grep -c "^$1 " "$logs/results" || true; }
passed=$(count ok) failed=$(count "not ok") skipped=$(count skip)
missing=$(($(list_checks | wc -l) - passed - failed - skipped))
[ "$missing" -eq 0 ] || echo "check-x86: $missing checks did not come to their end"
failed=$((failed + missing))
echo "check-x86: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
