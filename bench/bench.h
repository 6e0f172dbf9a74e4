/* SPDX-License-Identifier: Apache-2.0
 *
 * The harness of parley-bench: one file a suite, one line a metric.
 *
 * main.c forks: the parent owns the scratch directory and the time limit, the child runs suites and
 * may end itself anywhere with bench_die. Processes that a suite starts die with it (proc.h).
 *
 * Absolute numbers depend on the machine; suites therefore measure a baseline in the same run and
 * report ratios. Bytes written are `wchar` of /proc/self/io: LMDB writes with pwrite.
 */
#ifndef BENCH_H
#define BENCH_H

#include "base/rng.h"
#include <parley/db.h>

#define BENCH_PATH_BYTES      1024
#define BENCH_WRITTEN_UNKNOWN UINT64_MAX

struct bench_data;

struct bench {
    bool json;
    bool quick;
    const char *suite;
    const char *bin_dir; /* where parleyd and parley are, below the build directory */
    char scratch[BENCH_PATH_BYTES / 2];
    char data_path[BENCH_PATH_BYTES]; /* conversations, one a line, maybe gzipped */
    struct bench_data *data;          /* loaded when first asked for */
};

/* One result. `baseline` is what `value` was compared with, in its own unit; NULL: none. */
struct bench_metric {
    const char *name;
    double value;
    const char *unit;
    const double *baseline;
    const char *note;
};

void bench_report(const struct bench *b, const struct bench_metric *metric);

/* Prints a sentence on stderr and ends the process that runs the suites. */
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Dies unless the condition holds or the call succeeded; `what` says of what. */
void bench_check(bool ok, const char *what);
void bench_ok(parley_err err, const char *what);

void *bench_alloc(size_t size);

/* Seconds of a clock that never goes backwards. */
double bench_now(void);
/* CPU seconds of this process so far, of kernel and program. */
double bench_cpu(void);
/* Bytes this process has handed to write calls so far. */
uint64_t bench_written(void);
uint64_t bench_file_bytes(const char *path);
/* Both sort. */
double bench_median(double *values, size_t count);
double bench_percentile(double *values, size_t count, double share);

/* A fresh directory in the scratch directory; `out` has BENCH_PATH_BYTES. */
void bench_make_dir(const struct bench *b, char *out);
void bench_remove_tree(const char *path);
void bench_join(char *out, const char *dir, const char *name);

/* ---- data.c ---- */

/* A run of versions of one conversation, as the importer makes them. */
struct bench_talk {
    size_t first;
    size_t count;
};

struct bench_data {
    struct parley_version *versions;
    size_t count;
    struct bench_talk *talks;
    size_t talk_count;
    size_t message_count;
    uint64_t text_bytes; /* UTF-8 bytes of all contents, message ids and conversation ids */
};

/* Prepares b->data_path: the first lines only with --quick, made-up ones without a file. */
void bench_data_prepare(struct bench *b);
const struct bench_data *bench_data_get(struct bench *b);
/* The order in which to take conversations: as in the file, or shuffled (always the same way).
 * Ownership: the caller's to free. */
size_t *bench_data_order(const struct bench_data *data, bool shuffled);

/* ---- Suites ---- */

void bench_layout(struct bench *b);
void bench_engine(struct bench *b);
void bench_sync(struct bench *b);
void bench_live(struct bench *b);
void bench_reconcile(struct bench *b);
void bench_trust(struct bench *b);
void bench_footprint(struct bench *b);
void bench_http(struct bench *b);

#endif
