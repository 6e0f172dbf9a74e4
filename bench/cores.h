/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers and what loads them, each on a core of its own. What is started inherits the core.
 */
#ifndef BENCH_CORES_H
#define BENCH_CORES_H

#include "bench.h"

#include <sched.h>

struct cores {
    cpu_set_t all;    /* what this process was allowed */
    cpu_set_t server; /* its first core */
    cpu_set_t client; /* its second; the first again where there is only one */
};

/* Fills it; the caller's source has _GNU_SOURCE. */
void cores_find(struct cores *cores);
/* From here on this thread and what it starts run there. */
void cores_use(const cpu_set_t *set);

#endif
