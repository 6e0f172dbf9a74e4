/* SPDX-License-Identifier: Apache-2.0
 *
 * What a small machine has to give: the sizes of the static programs that tools/build-static.sh has
 * left beside the build, and the private memory of a daemon under --profile small on a store of
 * 100,000 messages, after it was read over TLS, exported, and imported once more.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include "memory.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What this machine runs; without it the daemon of this build is measured. */
#define STATIC_PROGRAM "../static-amd64/bin/parleyd"

/* build/static-TARGET/bin/parleyd, seen from build/release. 0: it was not built. */
static void report_size(const struct bench *b, const char *target)
{
    char path[BENCH_PATH_BYTES];
    char name[64];
    struct stat st;
    snprintf(path, sizeof path, "%s/../static-%s/bin/parleyd", b->bin_dir, target);
    snprintf(name, sizeof name, "static_parleyd_bytes_%s", target);
    if (stat(path, &st) != 0) {
        fprintf(stderr, "parley-bench: %s is not there: sh tools/build-static.sh %s\n", path,
                target);
        return;
    }
    bench_report(b,
                 &(struct bench_metric){
                     .name = name, .value = (double)st.st_size, .unit = "B", .note = "stripped" });
}

void bench_footprint(struct bench *b)
{
    static const char *const targets[] = { "amd64", "arm64", "armhf" };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        report_size(b, targets[i]);
    char path[BENCH_PATH_BYTES];
    snprintf(path, sizeof path, "%s/" STATIC_PROGRAM, b->bin_dir);
    memory_measure_small(b, access(path, X_OK) == 0 ? STATIC_PROGRAM : NULL);
}
