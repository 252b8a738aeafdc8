#!/bin/sh
# Installs what building needs, and with the argument "test" what testing needs besides, with "arm" what building for AArch64 and running that
# needs, with "fuzz" a compiler that fuzzes, on Debian 12 and 13. Costs nothing when everything is there.
set -eu

packages="
gcc g++ libc6-dev meson ninja-build pkg-config
python3 python3-dev python3-cffi python3-venv python3-pip ca-certificates
libjansson-dev libminizip-dev zlib1g-dev libicu-dev libexpat1-dev
libsndfile1-dev libsoxr-dev libkissfft-dev libebur128-dev libpng-dev
libavformat-dev libavcodec-dev libavutil-dev libswresample-dev
libespeak-ng-dev espeak-ng-data portaudio19-dev libseccomp-dev
libmicrohttpd-dev libwslay-dev libsqlite3-dev libgnutls28-dev libcurl4-gnutls-dev libarchive-dev
libcmocka-dev
"
[ "${1:-}" != test ] || packages="$packages
python3-pytest python3-websockets python3-jsonschema python3-yaml openssl chromium chromium-driver python3-selenium
zsh fish mandoc libmecab2 mecab-ipadic-utf8"
[ "${1:-}" != arm ] || packages="$packages
gcc-aarch64-linux-gnu qemu-user"
[ "${1:-}" != fuzz ] || packages="$packages
clang libclang-rt-dev"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	for name in jansson minizip zlib icu-uc icu-i18n sndfile soxr kissfft-float libebur128 libpng expat portaudio-2.0 libavformat libavcodec libavutil libswresample espeak-ng libseccomp libmicrohttpd sqlite3 gnutls libcurl libarchive cmocka; do
		pkg-config --exists "$name" || missing="${missing:-} $name"
	done
	[ -z "${missing:-}" ] || {
		echo "setup: this is no Debian, so install these yourself (pkg-config names):$missing" >&2
		exit 1
	}
	exit 0
fi

list_missing() {
	# shellcheck disable=SC2086
	installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null | sed -n 's/ installed$//p')
	for name in $packages; do
		# any of its flavours will do; they exclude each other
		[ "$name" != libcurl4-gnutls-dev ] || ! pkg-config --exists libcurl 2>/dev/null || continue
		printf '%s\n' "$installed" | grep -qx -- "$name" || printf ' %s' "$name"
	done
}

missing=$(list_missing)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	sudo=
elif command -v sudo >/dev/null; then
	sudo=sudo
else
	echo "setup: these packages are missing and there is no sudo; as root, run: apt-get install$missing" >&2
	exit 1
fi

echo "setup: installing$missing"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 $missing |
	awk '/^Setting up / && ++n % 25 == 0 { print "setup: " n " packages are in"; fflush() }'
missing=$(list_missing) # the pipe hides apt's own status
[ -z "$missing" ] || {
	echo "setup: apt could not install$missing" >&2
	exit 1
}
echo "setup: done"
