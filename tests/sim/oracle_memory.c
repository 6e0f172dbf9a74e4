/* SPDX-License-Identifier: Apache-2.0
 *
 * The bound is made from the limits that the product documents, not from what was measured.
 */
#include "sim/oracle.h"

/* Session, round, TLS and peer record of one connection, with their small parts. */
#define CONN_BYTES (int64_t)(3 * (PL_FRAME_BYTES_MAX + 8192u) + sizeof(struct pl_round) + 65536u)
/* The largest body of the load is 1 MiB; buffers of the db grow by doubling. */
#define BODY_BYTES (2u << 20)
#define DB_BYTES   (2 * 2 * BODY_BYTES + (64u << 10))
/* Peers, transactions and cursors. */
#define OTHER_BYTES (SIM_NODES_MAX * sizeof(struct pl_peer) + (64u << 10))

void oracle_memory_watch(struct sim_node *n)
{
    size_t bound = PL_CONNS_MAX * (size_t)CONN_BYTES;
    size_t live = 0;
    const struct sim_world *w = n->world;
    if (n->memory.peak == n->memory.seen)
        return;
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        const struct sim_link *link = &w->links[i];
        for (unsigned side = 0; side < 2 && link->state != SIM_LINK_FREE; side++)
            live += link->open[side] && link->node[side] == n->index ? 1 : 0;
    }
    /* A connection that has just closed may still count in the peak of this step. */
    bound = pl_min_size(bound, (live + 2) * (size_t)CONN_BYTES);
    bound += PL_LARGE_MAX * (size_t)BODY_BYTES + DB_BYTES + OTHER_BYTES;
    if (n->memory.peak > n->base_bytes + (int64_t)bound)
        sim_fail(n->world, "memory", "n%u took %lld bytes above %lld with %zu connections",
                 n->index, (long long)(n->memory.peak - n->base_bytes), (long long)n->base_bytes,
                 live);
    n->memory.peak = n->memory.bytes;
    n->memory.seen = n->memory.bytes;
}

void oracle_memory_at_death(struct sim_node *n)
{
    if (n->memory.blocks != 0 || n->memory.bytes != 0)
        sim_fail(n->world, "memory", "n%u leaks %lld blocks, %lld bytes", n->index,
                 (long long)n->memory.blocks, (long long)n->memory.bytes);
    n->memory = (struct sim_memory){ 0 };
}
