/* SPDX-License-Identifier: Apache-2.0
 *
 * nginx as the thing to compare with: one process that serves a directory over plain HTTP on
 * loopback, with a configuration of its own. It needs no root and touches nothing of the system's.
 */
#ifndef BENCH_NGINX_H
#define BENCH_NGINX_H

#include "bench.h"

#include <sys/types.h>

struct nginx {
    char dir[BENCH_PATH_BYTES];
    pid_t pid;
    uint16_t port;
};

/* Starts it with one file, at /FOLDER/NAME, and waits until it listens. False: not installed. */
bool nginx_start(const struct bench *b, struct nginx *nginx, const char *folder, const char *name,
                 struct parley_span bytes);
void nginx_stop(struct nginx *nginx);

#endif
