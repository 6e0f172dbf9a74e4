#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs every check there is, on a Debian 12 that need not have anything installed. Prints the time
# of each stage, and last one line: "N passed, M failed", the sum of all tests under ctest plus one
# for each other stage. Exit 1 when anything failed.
#
# Usage: sh tools/test.sh [STAGE...]     (default: all; see the list at the end)
set -u

cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0
broken=""
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP
unset BACKEND_PRIVATE_KEY PARLEY_PASSPHRASE PARLEY_DATA NOTIFY_SOCKET CREDENTIALS_DIRECTORY

# Adds what ctest has counted in $log: "98% tests passed, 1 tests failed out of 50".
count_tests() {
    sed -n 's/.* tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log" \
        >"$log.counts"
    found=1
    while read -r bad all; do
        failed=$((failed + bad))
        passed=$((passed + all - bad))
        found=0
    done <"$log.counts"
    rm -f "$log.counts"
    return $found
}

# stage NAME COMMAND...: runs it, shows its output when it fails, counts it.
stage() {
    name=$1
    shift
    if [ -n "$wanted" ] && ! printf '%s\n' $wanted | grep -qx "$name"; then
        return
    fi
    printf '== %s\n' "$name"
    began=$(date +%s)
    failed_before=$failed
    "$@" >"$log" 2>&1
    code=$?
    if ! count_tests; then
        if [ $code -eq 0 ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    elif [ $code -ne 0 ] && [ $failed -eq $failed_before ]; then
        failed=$((failed + 1))
    fi
    if [ $code -ne 0 ]; then
        tail -n 150 "$log"
        broken="$broken $name"
    fi
    # A skipped test is no passed one: say so, whatever the outcome. ctest shows nothing of tests
    # that did not fail, but keeps it.
    grep -hs 'SKIPPED' "$log" "build/$name/Testing/Temporary/LastTest.log"
    result=ok
    [ $code -eq 0 ] || result=FAILED
    printf '   %s: %s, %s s\n' "$name" "$result" "$(($(date +%s) - began))"
}

# ---- Stages ----

run_deps() {
    sh tools/lib/deps.sh test
}

run_lint() {
    python3 -B tools/dev/lint.py --self-test && python3 -B tools/dev/lint.py .
}

run_format() {
    find engine net tools tests bench -name '*.[ch]' -print |
        xargs clang-format-14 --dry-run -Werror
}

run_check() {
    cmake --workflow --preset check
}

run_release() {
    cmake --preset "$1" -DPARLEY_TESTS=ON -DPARLEY_BENCH=ON && cmake --build --preset "$1" &&
        ctest --preset "$1"
}

# Bugs planted one at a time, another eight each day; docs/RELIABILITY.md has the run of all.
run_mutants() {
    python3 -B tools/dev/mutants.py --smoke "${MUTANTS:-8}"
}

run_symbols() {
    sh tools/dev/symbols.sh build/release && sh tools/dev/symbols.sh build/release-clang
}

run_threads() {
    sh tools/dev/threads.sh
}

run_fuzz() {
    cmake --preset fuzz -DPARLEY_BENCH=OFF || return 1
    cmake --build --preset fuzz --target fuzz_targets && sh tools/dev/fuzz.sh "${FUZZ_SECONDS:-4}"
}

wanted=$*
stage deps run_deps
stage lint run_lint
stage format run_format
stage check run_check
stage release run_release release
stage mutants run_mutants
stage release-clang run_release release-clang
stage symbols run_symbols
stage threads run_threads
stage fuzz run_fuzz

[ -z "$broken" ] || printf 'failed stages:%s\n' "$broken"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
