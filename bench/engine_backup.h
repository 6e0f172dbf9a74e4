/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backup costs those who write meanwhile; part of the suite `engine`.
 */
#ifndef BENCH_ENGINE_BACKUP_H
#define BENCH_ENGINE_BACKUP_H

#include "bench.h"

/* On a copy of the store in `base`, which has `talks` conversations "c<number>". */
void engine_backup_measure(struct bench *b, const char *base, uint64_t talks);

#endif
