#!/bin/sh
# The AArch64 build, made and run on another machine: cross compiler, that architecture's libraries in build-arm/sysroot, qemu. Kernels, the
# golden tests of every small checkpoint on every level of instructions, what is chosen on processors that have less, a transcript.
# On Debian 12 and 13. Ends with a line "N passed, N failed, N skipped".
set -eu
cd "$(dirname "$0")/.."
dir=$PWD/build-arm sysroot=$PWD/build-arm/sysroot build=build-arm/build

fail() {
	echo "check-arm: $*" >&2
	exit 1
}

# One check, as a line "ok NAME", "not ok NAME" or "skip NAME": check-arm.sh one CPU LEVEL PROGRAM [ARGUMENT...]. Level "-": what the processor has.
one() {
	cpu=$1 level=$2
	shift 2
	name="$cpu $level $(basename "$1") $(basename "${2:-}")"
	log=$dir/logs/$(echo "$name" | tr ' /' '--').log
	[ "$level" = - ] || export SONANT_CPU="$level"
	code=0
	timeout 1800 qemu-aarch64 -cpu "$cpu" -L "$sysroot" "$@" >"$log" 2>&1 || code=$?
	case $code in
	0) echo "ok $name" ;;
	77) echo "skip $name" ;;
	*) echo "not ok $name: ended with $code, $log says: $(tail -n 1 "$log")" ;;
	esac
}

# `sonant info` names the instructions that are used: check-arm.sh chosen CPU LEVEL WANTED
chosen() {
	[ "$2" = - ] || export SONANT_CPU="$2"
	got=$(qemu-aarch64 -cpu "$1" -L "$sysroot" "$build/sonant" info 2>&1 | sed -n 's/^cpu *//p' | tr -d ' ')
	[ "$got" = "$3" ] && echo "ok $1 $2 has $3" || echo "not ok $1 $2 has $3: sonant info says $got"
}

# A clip's words by Whisper: check-arm.sh transcript CPU LEVEL
transcript() {
	[ "$2" = - ] || export SONANT_CPU="$2"
	text=$(timeout 1800 qemu-aarch64 -cpu "$1" -L "$sysroot" "$build/sonant" transcribe --model whisper-tiny.en tests/audio/jfk.wav 2>&1) || true
	case $text in
	*"what your country can do for you"*) echo "ok $1 $2 transcript" ;;
	*"not installed"*) echo "skip $1 $2 transcript: whisper-tiny.en is not installed" ;;
	*) echo "not ok $1 $2 transcript: $text" | tr '\n' ' ' && echo ;;
	esac
}

case ${1:-} in
one | chosen | transcript)
	"$@"
	exit
	;;
esac

[ "$(uname -m)" != aarch64 ] || fail "this machine is AArch64 itself, so that 'make check' is the check"
command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null || fail "libraries of another architecture are taken from Debian's archive, and this is no Debian"
scripts/setup.sh arm

# The packages that setup.sh names for building, and what they need, unpacked into a folder: apt with a state of its own changes nothing here.
make_sysroot() {
	apt=$dir/apt
	rm -rf "$sysroot" "$apt"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/none" "$sysroot/usr/lib"
	ln -s usr/lib "$sysroot/lib"
	: >"$apt/status"
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | head -n 1)
	for keys in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
		[ ! -f "$keys" ] || signed="[signed-by=$keys] "
	done
	echo "deb ${signed:-}${mirror:-http://deb.debian.org/debian} $codename main" >"$apt/sources.list"
	set -- -qq -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Dir::Etc::sourcelist="$apt/sources.list" \
		-o Dir::Etc::sourceparts="$apt/none" -o Dir::Etc::preferencesparts="$apt/none" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
		-o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)"
	echo "check-arm: fetching libraries for AArch64"
	apt-get "$@" update >"$dir/apt.log" 2>&1 &&
		apt-get "$@" install -y --no-install-recommends --download-only $libraries >>"$dir/apt.log" 2>&1 || {
		tail -n 5 "$dir/apt.log" >&2
		fail "the AArch64 libraries could not be fetched; $dir/apt.log has the whole story"
	}
	for package in "$apt"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot"
	done
	find "$sysroot" -type l -lname '/*' -printf '%p %l\n' | while read -r link to; do
		ln -sfn "$sysroot$to" "$link"
	done
	rm -rf "$apt"
	echo "$codename $libraries" >"$sysroot/made-of"
}

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
libraries=$(sed -n '/^packages="/,/^"/p' scripts/setup.sh | tr ' ' '\n' | grep -E -e '-dev$|^espeak-ng-data$' | tr '\n' ' ')
mkdir -p "$dir/logs"
[ "$(cat "$sysroot/made-of" 2>/dev/null)" = "$codename $libraries" ] || make_sysroot

printf "[constants]\nsysroot = '%s'\n" "$sysroot" >"$dir/sysroot.ini"
if [ ! -f "$build/build.ninja" ]; then
	rm -rf "$build"
	meson setup "$build" --cross-file "$dir/sysroot.ini" --cross-file scripts/cross/aarch64.ini >"$dir/setup.log" 2>&1 || {
		tail -n 5 "$dir/setup.log" >&2
		fail "Meson could not set up the cross build; $dir/setup.log has the whole story"
	}
fi
tests=$(ninja -C "$build" -t targets all | sed -n 's|^\(tests/kernels/test_[a-z0-9]*\):.*|\1|p')
echo "check-arm: building"
ninja -C "$build" --quiet sonant tests/golden $tests || fail "the cross build failed"

# Kernel tests go through all levels that the processor has.
list_checks() {
	for test in $tests; do
		echo "one max - $build/$test"
	done
	for cpu in cortex-a53 cortex-a76; do
		echo "one $cpu - $build/tests/kernels/test_gemm"
	done
	echo "chosen cortex-a53 - neon"
	echo "chosen cortex-a53 neon_i8mm neon"
	echo "chosen cortex-a72 - neon"
	echo "chosen cortex-a76 - neon,dotprod"
	echo "chosen neoverse-n1 - neon,dotprod"
	echo "chosen max - neon,dotprod,i8mm"
	echo "chosen max neon_dotprod neon,dotprod"
	echo "chosen max neon neon"
	echo "chosen max scalar scalar"
	for level in neon_i8mm neon_dotprod neon scalar; do
		for expected in tests/fixtures/tiny/*/expected.safetensors; do
			echo "one max $level $build/tests/golden ${expected%/*}"
		done
	done
	echo "one cortex-a53 - $build/tests/golden tests/fixtures/tiny/whisper"
	echo "transcript max -"
}

list_checks | xargs -P "$(nproc)" -L 1 "$0" | tee "$dir/results" | grep -v '^ok' || true
count() { grep -c "^$1 " "$dir/results" || true; }
passed=$(count ok) failed=$(count "not ok") skipped=$(count skip)
missing=$(($(list_checks | wc -l) - passed - failed - skipped))
[ "$missing" -eq 0 ] || echo "check-arm: $missing checks did not come to their end"
failed=$((failed + missing))
echo "check-arm: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
