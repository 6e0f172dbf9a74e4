/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ENGINE_WRITER_H
#define BENCH_ENGINE_WRITER_H

#include "bench.h"

/* Reports what parley_writer makes of many threads that write, and of one; part of the suite
 * `engine`. */
void engine_writer_measure(struct bench *b);

#endif
