/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "bench.h"

/* Reports what a daemon needs of memory; part of the suite `engine`. */
void memory_measure(struct bench *b);
/* Reports what one needs under --profile small; part of the suite `footprint`. `program` as in
 * struct daemon. */
void memory_measure_small(struct bench *b, const char *program);

#endif
