/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node writes is newer than everything it wrote before and still has, whatever its wall
 * clock does, across restarts: else its own edits would lose to what they edit. What a restored
 * backup has undone counts no more until it has come back.
 */
#include "sim/oracle.h"

void oracle_clock_see(struct sim_node *n, const struct sim_entry *e)
{
    /* Imports bring the times of their writers. */
    if (e->version.time <= n->stamp_max && n->world->plan.import_percent == 0)
        sim_fail(n->world, "clock", "n%u stamps %llu after %llu", n->index,
                 (unsigned long long)e->version.time, (unsigned long long)n->stamp_max);
    n->stamp_max = pl_max_u64(n->stamp_max, e->version.time);
}

void oracle_clock_restored(struct sim_node *n)
{
    const struct sim_load *load = &n->world->load;
    n->stamp_max = 0;
    for (size_t i = 0; i < load->count; i++) {
        const struct sim_entry *e = &load->entries[i];
        if (e->node == n->index && e->fate != SIM_MAYBE && e->fate != SIM_ELSEWHERE)
            n->stamp_max = pl_max_u64(n->stamp_max, e->version.time);
    }
}
