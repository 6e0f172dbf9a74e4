/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that a suite starts. They die with the process that started them.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include "bench.h"

#include <sys/types.h>

/* Starts a program; `*out` is the reading end of its standard output, or -1 when `out` is NULL.
 * Its standard error goes to the file `log`. `argv` ends in NULL. */
pid_t proc_start(const char *const *argv, const char *log, int *out);
/* Reads one line within `seconds`; dies when none comes. */
void proc_read_line(int fd, double seconds, char *line, size_t cap);
/* Runs a program to its end and gives its standard output; dies unless it exits with 0 within
 * `seconds`. */
void proc_run(const char *const *argv, const char *log, double seconds, char *out, size_t cap);
/* SIGTERM, and SIGKILL when that takes too long. */
void proc_stop(pid_t pid);

struct proc_usage {
    double cpu_seconds;
    uint64_t written;
};
struct proc_usage proc_usage_of(pid_t pid);

#endif
