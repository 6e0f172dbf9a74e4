/* SPDX-License-Identifier: Apache-2.0
 *
 * The faults of the plan, one function each way something can go wrong.
 */
#include "sim/world.h"

static struct sim_link *pick_link(struct sim_world *w)
{
    uint64_t first = sim_within(w, SIM_LINKS_MAX);
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        struct sim_link *link = &w->links[(first + i) % SIM_LINKS_MAX];
        if (link->state == SIM_LINK_OPEN)
            return link;
    }
    return NULL;
}

static struct sim_node *pick_node(struct sim_world *w)
{
    return &w->nodes[sim_within(w, w->plan.nodes)];
}

static parley_time outage(struct sim_world *w)
{
    return w->now + 1 + sim_within(w, w->plan.outage_ns);
}

static void cut(struct sim_world *w, unsigned from, unsigned to, parley_time until)
{
    w->cut_until[from][to] = pl_max_u64(until, w->cut_until[from][to]);
    sim_note(w, from, to, "n%u can not reach n%u", from, to);
}

static void isolate(struct sim_world *w, unsigned node, parley_time until)
{
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        if (i == node)
            continue;
        cut(w, i, node, until);
        cut(w, node, i, until);
    }
}

/* Swizzled: nodes go one by one, and come back in an order that has nothing to do with it. */
static void clog_some(struct sim_world *w)
{
    parley_time step = 1 + sim_within(w, w->plan.outage_ns / w->plan.nodes + 1);
    parley_time all_gone = w->now + step * w->plan.nodes;
    unsigned first = pick_node(w)->index;
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        unsigned node = (first + i) % w->plan.nodes;
        if (sim_chance(w, 40))
            continue;
        w->clog_until[node] = all_gone + 1 + sim_within(w, w->plan.outage_ns);
        sim_push(w, w->now + i * step, SIM_CLOGGED, node, 0);
    }
}

void sim_fault_clog(struct sim_world *w, unsigned node)
{
    isolate(w, node, w->clog_until[node]);
}

static void jump_clock(struct sim_world *w, struct sim_node *n)
{
    int64_t jump = (int64_t)sim_within(w, 2 * (uint64_t)w->plan.jump_us) - w->plan.jump_us;
    n->skew_us += jump;
    sim_note(w, n->index, (uint64_t)jump, "n%u: the clock jumps by %.3f s", n->index,
             (double)jump / 1e6);
}

static void crash(struct sim_world *w, struct sim_node *n, bool restore)
{
    if (n->state == SIM_DOWN)
        return;
    if (restore && !n->disk.has_backup) {
        sim_disk_back_up(n); /* the next time it will be used */
        sim_note(w, n->index, 8, "n%u: a backup is made", n->index);
        return;
    }
    sim_node_crash(n, sim_chance(w, 40));
    if (restore)
        sim_disk_restore(n, true);
    else if (w->plan.plant == SIM_PLANT_LOST_COMMIT && n->disk.has_backup)
        sim_disk_restore(n, false);
    parley_time down = sim_chance(w, 30) ? w->plan.outage_ns : PARLEY_NS_PER_S;
    sim_push(w, w->now + 1 + sim_within(w, down), SIM_START, n->index, n->epoch);
}

static void strike_link(struct sim_world *w, enum sim_fault fault)
{
    struct sim_link *link = pick_link(w);
    if (link == NULL)
        return;
    unsigned dir = sim_chance(w, 50) ? 1 : 0;
    if (fault == SIM_FAULT_RESET) {
        sim_wire_reset(link);
    } else if (fault == SIM_FAULT_HALF_CLOSE) {
        sim_note(w, link->index, dir, "n%u - n%u half-closed", link->node[0], link->node[1]);
        sim_wire_half_close(link, dir);
    } else {
        link->pipe[dir].stalled_until = outage(w);
        sim_note(w, link->index, dir, "n%u - n%u stalls", link->node[0], link->node[1]);
    }
}

static void strike_node(struct sim_world *w, enum sim_fault fault)
{
    struct sim_node *n = pick_node(w);
    switch (fault) {
    case SIM_FAULT_PARTITION:
        isolate(w, n->index, outage(w));
        break;
    case SIM_FAULT_SLOW:
        n->slow_until = outage(w);
        break;
    case SIM_FAULT_MEMORY:
        n->memory_short_until = outage(w);
        break;
    case SIM_FAULT_CRASH:
        crash(w, n, false);
        break;
    case SIM_FAULT_RESTORE:
        crash(w, n, true);
        break;
    case SIM_FAULT_STOP:
        if (n->state == SIM_UP)
            sim_node_stop(n);
        break;
    case SIM_FAULT_JUMP:
        jump_clock(w, n);
        break;
    case SIM_FAULT_EIO:
        n->disk.fail_next = true;
        n->disk.fail_applied = sim_chance(w, 50);
        n->disk.fail_recover = sim_chance(w, 20);
        break;
    case SIM_FAULT_FULL:
        n->disk.full_until = outage(w);
        sim_push(w, n->disk.full_until, SIM_HEAL, n->index, 0);
        break;
    case SIM_FAULT_ROTATE:
        sim_key_rotate(n);
        break;
    case SIM_FAULT_CLOG:
    case SIM_FAULT_CUT:
    case SIM_FAULT_RESET:
    case SIM_FAULT_HALF_CLOSE:
    case SIM_FAULT_STALL:
    case SIM_FAULT_COUNT:
        break;
    }
}

void sim_fault_next(struct sim_world *w, enum sim_fault fault)
{
    parley_time every = w->plan.every_ns[fault];
    if (every != 0)
        sim_push(w, w->now + 1 + sim_within(w, 2 * every), SIM_STRIKE, fault, 0);
}

void sim_fault_strike(struct sim_world *w, enum sim_fault fault)
{
    w->stats.faults++;
    sim_note(w, fault, 9, "fault: %s", sim_fault_name(fault));
    switch (fault) {
    case SIM_FAULT_RESET:
    case SIM_FAULT_HALF_CLOSE:
    case SIM_FAULT_STALL:
        strike_link(w, fault);
        break;
    case SIM_FAULT_CUT: {
        unsigned from = pick_node(w)->index;
        unsigned to = pick_node(w)->index;
        if (from != to)
            cut(w, from, to, outage(w));
        break;
    }
    case SIM_FAULT_CLOG:
        clog_some(w);
        break;
    case SIM_FAULT_PARTITION:
    case SIM_FAULT_SLOW:
    case SIM_FAULT_CRASH:
    case SIM_FAULT_STOP:
    case SIM_FAULT_JUMP:
    case SIM_FAULT_EIO:
    case SIM_FAULT_FULL:
    case SIM_FAULT_RESTORE:
    case SIM_FAULT_MEMORY:
    case SIM_FAULT_ROTATE:
    case SIM_FAULT_COUNT:
        strike_node(w, fault);
        break;
    }
    sim_fault_next(w, fault);
}

void sim_fault_away(struct sim_world *w, unsigned index)
{
    const struct sim_away *away = &w->plan.away[index];
    parley_time nights = w->plan.night_us == 0 ? 0 : (away->to - away->from) / w->plan.day_ns + 1;
    w->away_from[index] = sim_wall(w);
    w->away_to[index] = sim_wall(w) + (int64_t)((away->to - away->from) / 1000) +
                        (int64_t)nights * w->plan.night_us;
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        for (unsigned j = 0; j < w->plan.nodes; j++) {
            if ((away->nodes >> i & 1) != (away->nodes >> j & 1))
                cut(w, i, j, away->to);
        }
    }
}

void sim_fault_calm(struct sim_world *w)
{
    if (w->plan.plant != SIM_PLANT_SPLIT)
        memset(w->cut_until, 0, sizeof w->cut_until);
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        n->skew_us = w->plan.clocks_stay ? n->skew_us : 0;
        n->slow_until = 0;
        n->memory_short_until = 0;
        n->disk.full_until = 0;
        n->disk.fail_next = false;
        n->disk.fail_recover = false;
        sim_disk_full_ends(n);
        if (n->state == SIM_DOWN && !sim_is_unborn(n))
            sim_push(w, w->now, SIM_START, n->index, n->epoch);
    }
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        w->links[i].pipe[0].stalled_until = 0;
        w->links[i].pipe[1].stalled_until = 0;
    }
}
