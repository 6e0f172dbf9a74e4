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

/* In every second world somebody else writes at that moment. */
static void meanwhile(struct sim_world *w, const struct sim_node *n)
{
    if (w->plan.lot % 2 == 0)
        sim_load_write(&w->nodes[n->index == 0 ? 1 : 0]);
}

static void go_back(struct sim_node *n, bool wipe)
{
    struct sim_world *w = n->world;
    oracle_rounds_begin(w, wipe ? "a wipe" : "a restore");
    if (n->state != SIM_DOWN)
        sim_node_crash(n, sim_chance(w, 40));
    if (wipe)
        sim_disk_wipe(n);
    else
        sim_disk_restore(n, true);
    n->words = 3;
    meanwhile(w, n);
    sim_push(w, w->now + sim_within(w, PARLEY_NS_PER_S), SIM_START, n->index, n->epoch);
}

/* A copy of a store that knows nobody yet would stay alone: nobody joins the twin. */
static bool is_too_early(const struct sim_node *n)
{
    return n->state == SIM_DOWN || n->disk.busy || !sim_load_joined(n->world);
}

static void clone(struct sim_node *n, bool restarts)
{
    struct sim_world *w = n->world;
    struct sim_node *twin = &w->nodes[w->plan.nodes - 1];
    PL_ASSERT(w->plan.has_twin && w->plan.twin_of == n->index && twin != n);
    oracle_rounds_begin(w, "a clone");
    sim_disk_copy(n, twin);
    twin->self = n->index;
    twin->keys_given = n->keys_given;
    twin->wall_max = n->wall_max;
    twin->words = 3;
    meanwhile(w, n);
    sim_push(w, w->now + sim_within(w, PARLEY_NS_PER_S), SIM_START, twin->index, twin->epoch);
    n->words = restarts ? 2 : 0;
    if (restarts)
        restart(n, n->skew_us);
}

void sim_night(struct sim_world *w)
{
    w->slept_us += w->plan.night_us;
    sim_note(w, 0, (uint64_t)w->plan.night_us, "a night");
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n->state == SIM_UP && sim_chance(w, w->plan.restart_percent))
            sim_node_stop(n);
    }
    sim_push(w, w->now + w->plan.day_ns, SIM_NIGHT, 0, 0);
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
    case SIM_ACT_BACK_UP:
        sim_disk_back_up(n);
        break;
    case SIM_ACT_RESTORE:
    case SIM_ACT_WIPE:
        go_back(n, act->kind == SIM_ACT_WIPE);
        break;
    case SIM_ACT_REVOKE:
        sim_revoke(w, (uint32_t)(act - w->plan.acts));
        break;
    case SIM_ACT_CLONE:
        if (is_too_early(n)) {
            w->acts_left++;
            sim_push(w, w->now + PARLEY_NS_PER_S, SIM_ACT, (uint32_t)(act - w->plan.acts), 0);
        } else {
            clone(n, act->us != 0);
        }
        break;
    }
}
