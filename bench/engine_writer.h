/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ENGINE_WRITER_H
#define BENCH_ENGINE_WRITER_H

#include "bench.h"

/* Reports what parley_writer makes of many threads that write, and of one; part of the suite
 * `engine`. */
void engine_writer_measure(struct bench *b);

/* The threads alone, for other suites to compare with: each writes durable single messages through
 * one parley_writer, all to random conversations of one store. */
#define ENGINE_CROWD_THREADS 64u

struct engine_crowd;

/* How many messages the store has at first, FILLER_TALK_LEN a conversation. */
uint64_t engine_crowd_messages(const struct bench *b);
struct engine_crowd *engine_crowd_open(const struct bench *b);
/* Writes a second, in one more round. */
double engine_crowd_rate(struct engine_crowd *crowd);
void engine_crowd_close(struct engine_crowd *crowd);

#endif
