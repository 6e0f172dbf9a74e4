#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that building or testing parley needs, if any is missing.
# Usage: sh tools/lib/deps.sh build|test
set -eu

build="gcc libc6-dev cmake ninja-build liblmdb-dev libuv1-dev libbearssl-dev nettle-dev
libmsgpack-dev libargon2-dev libxxhash-dev libzstd-dev libjansson-dev libqrencode-dev zlib1g-dev
libzip-dev libinih-dev"
test="g++ pkgconf libcmocka-dev clang libclang-rt-14-dev clang-format-14 python3 python3-jwt
python3-cryptography python3-cryptography-vectors python3-requests python3-httpx openssl curl
nodejs chromium spin"

case "${1:-build}" in
build) wanted=$build ;;
test) wanted="$build $test" ;;
*) echo "usage: sh tools/lib/deps.sh build|test" >&2; exit 2 ;;
esac

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "Missing packages; as root, run: apt-get install$missing" >&2
        exit 1
    }
    sudo=sudo
fi
echo "   installing with apt-get:$missing"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null
