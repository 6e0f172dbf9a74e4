#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs fuzz targets of the preset `fuzz`, which must be built, as many at once as there are
# processors: on their kept inputs first, then on new ones.
#
# Usage: sh tools/dev/fuzz.sh SECONDS [TARGET...]      (default: all; frame, mp and http1, which
#                                                      strangers reach, get half as much more)
#
# Exit 1 when one has found something: the input is in build/fuzz/found/TARGET, and
# build/fuzz/tests/fuzz/fuzz_TARGET FILE runs it again.
set -u

cd "$(dirname "$0")/../.." || exit 1

# one SECONDS TARGET
one() {
    seconds=$1
    case $2 in
    frame | mp | http1) seconds=$((seconds * 3 / 2)) ;;
    esac
    found=build/fuzz/found/$2
    seeds=build/fuzz/tests/badinput/corpus/seeds/$2
    [ -d "$seeds" ] || seeds=
    mkdir -p "$found"
    build/fuzz/tests/fuzz/fuzz_"$2" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$2" ${seeds:+"$seeds"} \
        >"$found.log" 2>&1 || {
        tail -n 60 "$found.log"
        echo "FAILED fuzz_$2: $found"
        return 1
    }
    sed -n "s/^Done \([0-9]*\) runs in \([0-9]*\) .*/fuzz_$2: \1 inputs, \2 s/p" "$found.log"
    rm -rf "$found" "$found.log"
}

case ${1:-} in
--one)
    one "$2" "$3"
    exit
    ;;
"" | *[!0-9]*)
    echo "usage: sh tools/dev/fuzz.sh SECONDS [TARGET...]" >&2
    exit 64
    ;;
esac
seconds=$1
shift
[ $# -gt 0 ] || set -- $(find tests/fuzz -name 'fuzz_*.c' | sed 's|.*/fuzz_\(.*\)\.c|\1|' | sort)
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh tools/dev/fuzz.sh --one "$seconds"
