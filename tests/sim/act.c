/* SPDX-License-Identifier: Apache-2.0
 *
 * What scenarios do at moments of their own choice, where faults strike by chance.
 */
#include "sim/world.h"

#include "sim/oracle.h"

static void set_clock(struct sim_node *n, int64_t us)
{
    n->skew_us = us;
    sim_note(n->world, n->index, (uint64_t)us, "n%u: the clock is set to %.0f s off", n->index,
             (double)us / 1e6);
}

static void restart(struct sim_node *n, int64_t us)
{
    struct sim_world *w = n->world;
    if (n->state != SIM_DOWN)
        sim_node_crash(n, sim_chance(w, 40));
    set_clock(n, us);
    sim_push(w, w->now + sim_within(w, PARLEY_NS_PER_S), SIM_START, n->index, n->epoch);
}

void sim_act(struct sim_world *w, const struct sim_act *act)
{
    struct sim_node *n = &w->nodes[act->node];
    switch (act->kind) {
    case SIM_ACT_CLOCK:
        set_clock(n, act->us);
        break;
    case SIM_ACT_RESTART:
        restart(n, act->us);
        break;
    case SIM_ACT_SLEEP:
        w->slept_us += act->us;
        sim_note(w, 0, (uint64_t)act->us, "all machines sleep for %.0f s", (double)act->us / 1e6);
        break;
    case SIM_ACT_LOOK_HELD:
        oracle_future_shown(n);
        break;
    }
}
