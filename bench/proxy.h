/* SPDX-License-Identifier: Apache-2.0
 *
 * A counting TCP relay between two nodes, in a process of its own: every payload byte that either
 * sends to the other passes it, so what it counts includes TLS. Two doors: one to each node.
 */
#ifndef BENCH_PROXY_H
#define BENCH_PROXY_H

#include "bench.h"

#include <stdatomic.h>
#include <sys/types.h>

#define PROXY_DOORS 2

/* In memory that both processes share. */
struct proxy_counts {
    _Atomic uint64_t bytes[2]; /* from who dialed, and to who dialed */
    _Atomic uint64_t accepted; /* connections since the last cut */
    _Atomic uint64_t cut;      /* asked for */
    _Atomic uint64_t cut_done;
};

struct proxy {
    pid_t pid;
    int doors[PROXY_DOORS];
    uint16_t ports[PROXY_DOORS]; /* where to dial */
    struct proxy_counts *counts;
};

/* Opens the doors; connections wait until proxy_run. */
void proxy_open(struct proxy *proxy);
/* Starts to relay: what comes through door i goes to 127.0.0.1:targets[i]. */
void proxy_run(struct proxy *proxy, const uint16_t targets[PROXY_DOORS]);
/* Closes all connections and sets the counts to zero. */
void proxy_cut(struct proxy *proxy);
uint64_t proxy_bytes(const struct proxy *proxy);
void proxy_close(struct proxy *proxy);

#endif
