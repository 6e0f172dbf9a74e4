/* SPDX-License-Identifier: Apache-2.0
 *
 * Named worlds. Each shapes the plan of a seed so that one situation is certain to come up; a bug
 * that the simulator found has its cause in the comment.
 */
#include "sim/world.h"

static void be_quiet(struct sim_plan *plan)
{
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        plan->every_ns[i] = 0;
    plan->dial_fails_percent = 0;
    plan->tls = false;
    plan->safety_ns = 20 * PARLEY_NS_PER_S;
}

/* Found by seeds 26 and 86: a second join between two peers, in the other direction, was refused
 * as "no room for another session" for as long as the first session was open, because the rule for
 * two sessions of one pair was applied to the join as well. It could never succeed. */
static void join_both_ways(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = 2;
    plan->mutual = true;
}

/* Both ends dial at the same moment, again and again: one session must remain. */
static void dial_both_ways(struct sim_plan *plan)
{
    join_both_ways(plan);
    plan->every_ns[SIM_FAULT_RESET] = 2 * PARLEY_NS_PER_S;
}

/* A server that comes back from a backup has forgotten peers, versions and its incarnation. */
static void restore_often(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->every_ns[SIM_FAULT_RESTORE] = 4 * PARLEY_NS_PER_S;
}

/* Each commit may fail, and some of those that failed were applied. */
static void commit_errors(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->every_ns[SIM_FAULT_EIO] = PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_CRASH] = 5 * PARLEY_NS_PER_S;
}

/* Found by seed 807 (tiny limits, TLS): while a commit that was going to fail was under way, a
 * message waited for room in the batch. The failure closed the session, but the message was taken
 * all the same: an assertion failed, or its cursor passed over the versions that were lost. */
static void full_in_mid_message(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = 3;
    plan->writes = 200;
    plan->burst = 40;
    plan->disk_ns = PARLEY_NS_PER_S;
    plan->outage_ns = 2 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_FULL] = 2 * PARLEY_NS_PER_S;
}

/* Keys are rotated while commits fail and nodes crash. Found here: the sealed key and the chain
 * went into two batches, and a crash between them left a store that no key belonged to; and a key
 * that was learned in a batch which failed was forgotten while its session went on. */
static void rotate_often(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->every_ns[SIM_FAULT_ROTATE] = 2 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_EIO] = 3 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_CRASH] = 5 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_PARTITION] = 5 * PARLEY_NS_PER_S;
}

/* A node comes back from a backup of before its rotation: for a while its old key still counts. */
static void restore_after_rotation(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->every_ns[SIM_FAULT_ROTATE] = 3 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESTORE] = 4 * PARLEY_NS_PER_S;
}

/* Everybody relays what it gets to everybody; a body should cross once to each node. */
static void mesh_of_eight(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = 8;
    plan->topology = SIM_MESH;
    plan->mutual = false;
    plan->talks_early = false;
    plan->latency_ns = 20 * PARLEY_NS_PER_MS;
    plan->jitter_ns = 20 * PARLEY_NS_PER_MS;
    plan->split_max = 16384;
    plan->pipe_bytes = 262144;
    plan->disk_ns = 5 * PARLEY_NS_PER_MS;
    plan->writes = 150;
    plan->burst = 1;
    plan->edit_percent = 0;
    plan->delete_percent = 0;
    plan->large_percent = 0;
    plan->content_bytes = 4096;
    plan->economy_percent = 130;
    memset(plan->skew_us, 0, sizeof plan->skew_us);
}

/* A node is away for longer than tombstones are kept, with what was deleted meanwhile and with old
 * imports of its own; people go on writing everywhere. */
static void away_too_long(struct sim_plan *plan)
{
    sim_plan_collect(plan);
}

/* Only its neighbour hears of the node that was away, and passes on what it takes. */
static void away_in_a_chain(struct sim_plan *plan)
{
    sim_plan_collect(plan);
    plan->topology = SIM_CHAIN;
}

/* Two that were away together have each other's word that they are in sync. */
static void away_as_an_island(struct sim_plan *plan)
{
    sim_plan_collect(plan);
    plan->nodes = 5;
    plan->away[0].nodes = 1u << 3 | 1u << 4;
}

/* It returns while nodes crash, commits fail and connections break: it begins anew. */
static void away_and_crashing(struct sim_plan *plan)
{
    sim_plan_collect(plan);
    plan->every_ns[SIM_FAULT_CRASH] = 3 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESET] = 2 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_EIO] = 4 * PARLEY_NS_PER_S;
}

/* Floors rise in a mesh where nobody is away: imports with old times arrive, deletions go. */
static void collect_in_a_mesh(struct sim_plan *plan)
{
    sim_plan_collect(plan);
    plan->nodes = 4;
    plan->away_count = 0;
    plan->import_percent = 40;
    plan->every_ns[SIM_FAULT_RESET] = 5 * PARLEY_NS_PER_S;
}

static const struct sim_scenario scenarios[] = {
    { "a second join in the other direction succeeds", join_both_ways },
    { "of two sessions dialed at once one remains", dial_both_ways },
    { "restored nodes find each other again", restore_often },
    { "a message in hand dies with its session", full_in_mid_message },
    { "peers follow the rotations of a key through crashes", rotate_often },
    { "a node restored from before its rotation is still known", restore_after_rotation },
    { "a node that was away for too long brings nothing back", away_too_long },
    { "nor does it through a neighbour", away_in_a_chain },
    { "nor do two that were away together", away_as_an_island },
    { "nor does it while everything breaks", away_and_crashing },
    { "floors rise in a mesh, and old imports arrive", collect_in_a_mesh },
    { "commit errors of unknown outcome lose nothing", commit_errors },
    { "a body crosses a mesh of eight once to each node", mesh_of_eight },
};

const struct sim_scenario *sim_scenario_at(size_t index)
{
    return index < PL_ARRAY_LEN(scenarios) ? &scenarios[index] : NULL;
}
