#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Proves the contracts of this folder about the sources that they include, with Frama-C WP and Z3:
# all goals, or exit 1. Without Frama-C it says SKIPPED and proves nothing.
#
# Debian 12: apt-get install --no-install-recommends frama-c-base why3 z3
# (209 MB to fetch, 934 MB on disk, which is why no CI run does this).
# Usage: sh tests/proofs/run.sh [NAME...]     (default: clock stamp frame)
set -eu

cd "$(dirname "$0")"
for program in frama-c why3 z3; do
    command -v $program >/dev/null || {
        echo "SKIPPED: $program is not installed; see tests/proofs/run.sh"
        exit 0
    }
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ -e "${WHY3CONFIG:-$HOME/.why3.conf}" ] || why3 config detect >/dev/null 2>&1
failed=0

# prove NAME FUNCTIONS INLINED: prints one line.
prove() {
    began=$(date +%s)
    frama-c -verbose 0 -wp-verbose 1 -machdep gcc_x86_64 -c11 \
        -cpp-extra-args="-I../../engine -I../../net -I../../engine/include -std=c11" \
        -inline-calls "$3" -wp -wp-rte -wp-model typed+cast -wp-split -wp-prop=-number \
        -wp-fct "$2" -wp-prover z3 -wp-timeout 60 -wp-par "$(nproc)" "$1.c" >"$log" 2>&1 || true
    goals=$(sed -n 's/.*Proved goals: *\([0-9]*\) \/ \([0-9]*\).*/\1 \2/p' "$log")
    proved=${goals% *}
    all=${goals#* }
    echo "$1: ${proved:-0} of ${all:-?} goals, $(($(date +%s) - began)) s"
    if [ -z "$goals" ] || [ "$proved" != "$all" ] || [ "$all" -lt "$4" ]; then
        grep -v ': Valid' "$log" | tail -n 60
        failed=1
    fi
}

# The last number: fewer goals would mean that something is not looked at any more.
for name in ${*:-clock stamp frame}; do
    case $name in
    clock) prove clock pl_clock_next,pl_clock_is_ahead,merge,write_twice pl_max_u64 30 ;;
    stamp) prove stamp pl_stamp_compare,order,keep,merge pl_max_u64 40 ;;
    frame)
        prove frame "pl_get_be,pl_put_be,pl_frame_body_max,pl_frame_is_known,check_length,\
pl_frame_split,pl_frame_put_header" pl_span_of 250
        ;;
    *) echo "unknown: $name" >&2; exit 2 ;;
    esac
done
exit $failed
