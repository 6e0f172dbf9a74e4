/* SPDX-License-Identifier: Apache-2.0
 *
 * The log brings everything: where no store went back and no clock is far off, both sides are equal
 * as soon as each has the other's log. A comparison that was needed all the same has hidden a bug.
 * Where floors rise there is a reason: what was sent by one who had not heard of it is passed over.
 */
#include "sim/oracle.h"

/* In the end the clocks are right: what was stamped far ahead before that is held back then. */
static bool clocks_agree(const struct sim_plan *plan)
{
    for (unsigned i = 0; i < plan->nodes; i++) {
        int64_t skew = plan->skew_us[i] < 0 ? -plan->skew_us[i] : plan->skew_us[i];
        if (skew > PARLEY_CLOCK_DRIFT_US_MAX / 3)
            return false;
    }
    for (unsigned i = 0; i < plan->act_count; i++)
        if (plan->acts[i].us != 0)
            return false;
    return plan->every_ns[SIM_FAULT_JUMP] == 0;
}

void oracle_repair_at_end(struct sim_world *w)
{
    /* What a twin sent just before the other took its turn counts as known to that, too. */
    if (w->plan.has_twin || w->plan.grace_us != 0 || w->plan.every_ns[SIM_FAULT_RESTORE] != 0 ||
        !clocks_agree(&w->plan))
        return;
    /* A filter that was lifted leaves behind what cursors have passed over. */
    for (unsigned i = w->widened ? 2 : 0; i < w->plan.nodes && !w->failed; i++) {
        const struct pl_peers *peers = &w->nodes[i].node->peers;
        for (size_t k = 0; k < peers->count && !w->failed; k++)
            if (peers->table[k]->repairs != 0)
                sim_fail(w, "repair", "n%u had to repair %llu times with %s", i,
                         (unsigned long long)peers->table[k]->repairs, peers->table[k]->backend_id);
    }
}
