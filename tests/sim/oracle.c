/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

void oracle_at_start(struct sim_node *n)
{
    n->world->looking = true;
    oracle_check_look(n);
    oracle_acked_look(n, false);
    oracle_keys_look(n, false);
    oracle_confine_look(n);
    oracle_future_at_start(n);
    oracle_filter_look(n);
    oracle_outcast_look(n);
    n->world->looking = false;
}

void oracle_at_end(struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.nodes && !w->failed; i++) {
        struct sim_node *n = &w->nodes[i];
        oracle_check_look(n);
        oracle_acked_look(n, true);
        oracle_keys_look(n, true);
        oracle_confine_look(n);
        oracle_outcast_look(n);
    }
    if (!w->failed && w->plan.filtered)
        oracle_filter_at_end(w);
    else if (!w->failed)
        oracle_converge_at_end(w);
    if (!w->failed)
        oracle_deleted_at_end(w);
    if (!w->failed)
        oracle_merge_at_end(w);
    if (!w->failed)
        oracle_repair_at_end(w);
    if (!w->failed)
        oracle_economy_at_end(w);
}
