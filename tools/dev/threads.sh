#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds what has threads with ThreadSanitizer (preset `tsan`) and runs it: the writer of embedders,
# readers beside a writer in LMDB, and parleyd, whose loop, writer, key maker and name look-ups are
# threads, as tests of the command line drive it. The libraries under it are Debian's: what happens
# inside them is not seen.
#
# Usage: sh tools/dev/threads.sh [TEST...]     (tests/cli/test_TEST.py; default: daemon kill key)
#
# Exit 1 when a test fails or a race is reported; the reports are build/tsan/race.*. First a program
# that has a race must be found out.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=build/tsan
race=$PWD/$build/race
tests=${*:-daemon kill key}
units="test_writer_posix test_writer_threads test_store_threads"

# Random addresses do not suit it on new kernels; some containers do not let go of them.
fixed="setarch -R"
$fixed true 2>/dev/null || fixed=""

# 0: races are found here. 1: they are not. 2: it does not start at all.
probe() {
    cat >$build/probe.c <<'EOF'
#include <pthread.h>
static int shared;
static void *add(void *arg)
{
    shared++;
    return arg;
}
int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, add, NULL) != 0)
        return 2;
    shared++;
    return pthread_join(thread, NULL);
}
EOF
    cc -O1 -g -fsanitize=thread $build/probe.c -o $build/probe -pthread || return 1
    $fixed $build/probe >$build/probe.log 2>&1
    grep -q 'WARNING: ThreadSanitizer: data race' $build/probe.log && return 0
    cat $build/probe.log
    grep -q 'FATAL: ThreadSanitizer' $build/probe.log && return 2
    return 1
}

cmake --preset tsan -DPARLEY_BENCH=OFF >/dev/null || exit 1
probe
case $? in
1) echo "ThreadSanitizer does not see a race that is there" && exit 1 ;;
2) echo "SKIPPED: ThreadSanitizer does not start here: races were NOT looked for" && exit 0 ;;
esac
# shellcheck disable=SC2086 # a list
cmake --build --preset tsan --target $units parleyd parley || exit 1

export TSAN_OPTIONS="log_path=$race"
export PARLEYD="$PWD/$build/tools/parleyd" PARLEY="$PWD/$build/tools/parley/parley"
rm -f "$race".*
failed=0
for unit in $units; do
    $fixed timeout 300 $build/tests/"$unit" || failed=1
done
for test in $tests; do
    (cd tests/cli && $fixed timeout 600 python3 -B "test_$test.py") || failed=1
done
for report in "$race".*; do
    [ -e "$report" ] || continue
    failed=1
    cat "$report"
done
exit $failed
