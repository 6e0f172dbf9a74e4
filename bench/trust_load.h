/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether handshakes stall a node: round trips on an open TLS connection of a real daemon, while
 * another process makes 50 full native handshakes a second with it.
 */
#ifndef BENCH_TRUST_LOAD_H
#define BENCH_TRUST_LOAD_H

#include "bench.h"

/* Reports session_p99_ms. */
void trust_load_measure(struct bench *b);

#endif
