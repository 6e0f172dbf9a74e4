/* SPDX-License-Identifier: Apache-2.0
 *
 * Two stores synced in this process: real sessions and rounds, a wire without bandwidth limit on
 * which everything takes half a round trip. What a whole node does around them (TLS, batches,
 * peers' records) is left out.
 */
#ifndef BENCH_ROUND_PAIR_H
#define BENCH_ROUND_PAIR_H

#include "bench.h"

struct round_pair_result {
    uint64_t find_bytes; /* of QUERY and ANSWER frames, both directions */
    unsigned find_depth; /* longest chain of questions that needed the answer before */
    double find_trips;   /* round trips from the first QUERY to the last answer, flow control too */
    double find_cpu;     /* seconds of both sides, merging and everything it needs left out */
    uint64_t versions;   /* that crossed, both directions */
    uint64_t state_bytes;
};

/* The stores in `dirs` are opened, synced until they claim to be in sync, and closed. */
void round_pair_sync(const char *const dirs[2], struct round_pair_result *out);
/* What a comparison holds in memory, besides the session. */
size_t round_pair_session_bytes(void);

#endif
