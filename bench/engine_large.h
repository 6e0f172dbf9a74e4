/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine on stores of a million messages and more; part of the suite `engine`.
 */
#ifndef BENCH_ENGINE_LARGE_H
#define BENCH_ENGINE_LARGE_H

#include "bench.h"

void engine_large_measure(struct bench *b);

#endif
