/* SPDX-License-Identifier: Apache-2.0
 *
 * All bytes on all wires, joins and pings included, against the least there can be: each body once
 * to each other node.
 */
#include "sim/oracle.h"

void oracle_economy_at_end(struct sim_world *w)
{
    uint64_t least = 0;
    uint64_t made = w->stats.connections;
    if (w->plan.connections_max != 0 && made > w->plan.connections_max)
        sim_fail(w, "economy", "%llu connections, at most %u are needed", (unsigned long long)made,
                 w->plan.connections_max);
    if (w->plan.economy_percent == 0)
        return;
    for (size_t i = 0; i < w->load.count; i++) {
        const struct parley_version *version = &w->load.entries[i].version;
        if (pl_span_is(version->name_space, SIM_NAMESPACE))
            least += (w->plan.nodes - 1) * version->body.len;
    }
    if (w->stats.bytes * 100 > least * w->plan.economy_percent)
        sim_fail(w, "economy", "%llu bytes crossed where %llu would do: %llu %%",
                 (unsigned long long)w->stats.bytes, (unsigned long long)least,
                 (unsigned long long)(w->stats.bytes * 100 / least));
}
