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
    plan->filtered = false;
    plan->epoch_us = SIM_EPOCH_US;
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
    /* A PROOF with all rotations has 20 kB, and ten seconds to pass. */
    plan->pipe_bytes = pl_max_size(plan->pipe_bytes, 4096);
    plan->split_max = pl_max_size(plan->split_max, 64);
}

/* A node comes back from a backup of before its rotation: for a while its old key still counts. */
static void restore_after_rotation(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->every_ns[SIM_FAULT_ROTATE] = 3 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESTORE] = 4 * PARLEY_NS_PER_S;
}

/* Everybody relays what it gets; a body should cross once to each node. */
static void be_eight(struct sim_plan *plan, enum sim_topology topology, unsigned economy_percent)
{
    be_quiet(plan);
    plan->nodes = 8;
    plan->topology = topology;
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
    plan->economy_percent = economy_percent;
    plan->counts_texts = true;
    memset(plan->zstd, 0, sizeof plan->zstd);
    memset(plan->skew_us, 0, sizeof plan->skew_us);
}

static void mesh_of_eight(struct sim_plan *plan)
{
    be_eight(plan, SIM_MESH, 125);
    plan->header_percent = 0; /* too small for an offer, it may cross both ways at once */
}

/* Trees: there is one way to each node. Among the writes are headers, which are too small for an
 * offer: what is offered to its source does no more harm than that. */
static void chain_of_eight(struct sim_plan *plan)
{
    be_eight(plan, SIM_CHAIN, 110);
    plan->each_once = true;
}

static void star_of_eight(struct sim_plan *plan)
{
    be_eight(plan, SIM_STAR, 110);
    plan->each_once = true;
}

/* Two ways to each node, and at the far end of the ring they meet. */
static void ring_of_eight(struct sim_plan *plan)
{
    be_eight(plan, SIM_RING, 125);
    plan->header_percent = 0; /* too small for an offer, it may cross both ways at once */
}

/* A few nodes, a good network, and time for everything to settle before the faults end. */
static void be_calm(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = plan->nodes < 3 ? 3 : plan->nodes;
    plan->mutual = false;
    plan->talks_early = false;
    plan->latency_ns = pl_min_u64(plan->latency_ns, 40 * PARLEY_NS_PER_MS);
    plan->jitter_ns = pl_min_u64(plan->jitter_ns, 10 * PARLEY_NS_PER_MS);
    plan->split_max = 16384;
    plan->pipe_bytes = 262144;
    plan->disk_ns = pl_min_u64(plan->disk_ns, 20 * PARLEY_NS_PER_MS);
    plan->large_percent = 0;
    plan->load_ns = 20 * PARLEY_NS_PER_S;
    plan->safety_ns = 60 * PARLEY_NS_PER_S;
    memset(plan->skew_us, 0, sizeof plan->skew_us);
}

#define HOUR_US  (3600 * PARLEY_US_PER_S)
#define DAY_US   (24 * HOUR_US)
#define DRIFT_US PARLEY_CLOCK_DRIFT_US_MAX

/* From 20 minutes to 10 days, short ones as likely as long ones. */
static int64_t draw_far(const struct sim_plan *plan)
{
    static const int64_t most[] = { HOUR_US, 6 * HOUR_US, DAY_US, 10 * DAY_US };
    int64_t widest = most[plan->lot % PL_ARRAY_LEN(most)];
    int64_t least = 4 * DRIFT_US;
    return least + (int64_t)(plan->lot / 16 % (uint64_t)(widest - least));
}

/* One node's clock is hours or days ahead while everybody writes, also to the same registers. The
 * others hold what it stamped, through a restart, and show it; the clock is corrected, time goes by
 * in a suspension, and all of it counts when it is due, by its stamp. */
static void fast_clock(struct sim_plan *plan)
{
    be_calm(plan);
    unsigned fast = (unsigned)(plan->lot >> 32) % plan->nodes;
    int64_t far = draw_far(plan);
    plan->writes = 60;
    plan->burst = 1;
    plan->edit_percent = 60;
    plan->skew_us[fast] = far;
    sim_plan_add_act(plan, 50 * PARLEY_NS_PER_S, SIM_ACT_LOOK_HELD, fast, 0);
    for (unsigned i = 0; i < plan->nodes; i++)
        if (i != fast)
            sim_plan_add_act(plan, 52 * PARLEY_NS_PER_S, SIM_ACT_RESTART, i, 0);
    sim_plan_add_act(plan, 90 * PARLEY_NS_PER_S, SIM_ACT_SLEEP, 0, far - 3 * DRIFT_US);
    plan->calm_ns = 1000 * (parley_time)(3 * DRIFT_US) + 300 * PARLEY_NS_PER_S;
}

/* The same clock is never corrected: whatever the node writes is due hours later, and then equal
 * everywhere. */
static void fast_clock_for_ever(struct sim_plan *plan)
{
    fast_clock(plan);
    plan->act_count--;
    unsigned fast = (unsigned)(plan->lot >> 32) % plan->nodes;
    plan->skew_us[fast] = HOUR_US / 2 + (int64_t)(plan->lot / 16 % (uint64_t)HOUR_US);
    plan->clocks_stay = true;
    plan->calm_ns = 8 * 3600 * PARLEY_NS_PER_S; /* a quarter of it for the last words */
}

/* Between its writes a node is restarted with a clock that is days behind: it goes on behind the
 * greatest stamp it has stored. It takes the others' writes for far ahead until its clock is
 * right. */
static void clock_set_back(struct sim_plan *plan)
{
    be_calm(plan);
    unsigned slow = (unsigned)(plan->lot >> 32) % plan->nodes;
    plan->writes = 60 + plan->writes % 60;
    plan->burst = 1;
    plan->edit_percent = 60;
    for (unsigned i = 0; i < 3; i++)
        sim_plan_add_act(plan, (10 + 5 * (parley_time)i) * PARLEY_NS_PER_S, SIM_ACT_RESTART, slow,
                         -(int64_t)(i + 1) * draw_far(plan));
    /* The product stops rather than let a local write lose; the oracle sees the stamp before. */
    if (plan->plant == SIM_PLANT_LOST_CLOCK) {
        plan->edit_percent = 0;
        plan->delete_percent = 0;
        plan->header_percent = 0;
    }
    /* Once more, right again and back: what was merged in between stays. */
    sim_plan_add_act(plan, 40 * PARLEY_NS_PER_S, SIM_ACT_CLOCK, slow, 0);
    sim_plan_add_act(plan, 50 * PARLEY_NS_PER_S, SIM_ACT_RESTART, slow, -draw_far(plan));
}

/* All faults of the seed while a count of seconds since 1970 outgrows its type. */
static void cross(struct sim_plan *plan, int64_t seconds)
{
    plan->epoch_us = seconds * PARLEY_US_PER_S - 15 * PARLEY_US_PER_S;
}

static void cross_2038(struct sim_plan *plan)
{
    cross(plan, INT64_C(1) << 31);
}

static void cross_2106(struct sim_plan *plan)
{
    cross(plan, INT64_C(1) << 32);
}

/* Everything is equal and idle when a store goes back or is copied, and what happens then can be
 * counted in round trips. */
static void be_counted(struct sim_plan *plan, enum sim_act_kind kind, unsigned node)
{
    be_calm(plan);
    plan->latency_ns = 20 * PARLEY_NS_PER_MS;
    plan->jitter_ns = 0;
    plan->disk_ns = PARLEY_NS_PER_MS;
    plan->split_max = 65536;
    plan->in_one_session = true;
    sim_plan_add_act(plan, 8 * PARLEY_NS_PER_S + plan->lot % (15 * PARLEY_NS_PER_S),
                     SIM_ACT_BACK_UP, node, 0);
    sim_plan_add_act(plan, 45 * PARLEY_NS_PER_S, kind, node, (int64_t)(plan->lot >> 40) % 2);
}

static void one_restore(struct sim_plan *plan)
{
    be_counted(plan, SIM_ACT_RESTORE, (unsigned)(plan->lot >> 32) % 3);
}

static void one_wipe(struct sim_plan *plan)
{
    be_counted(plan, SIM_ACT_WIPE, (unsigned)(plan->lot >> 32) % 3);
}

static void give_twin(struct sim_plan *plan, unsigned nodes, unsigned twin_of)
{
    plan->nodes = nodes + 1;
    plan->has_twin = true;
    plan->twin_of = twin_of;
}

/* Two machines with one identity, each of which dials the same peer. */
static void one_clone(struct sim_plan *plan)
{
    be_counted(plan, SIM_ACT_CLONE, 1);
    give_twin(plan, 3, 1);
    plan->topology = SIM_STAR;
}

static void add_clone(struct sim_plan *plan, parley_time at)
{
    int64_t restarts = (int64_t)(plan->lot >> 40) % 2;
    sim_plan_add_act(plan, at, SIM_ACT_CLONE, plan->twin_of, restarts);
}

/* Twins of which one is dialed by their peer, too. The rule for two sessions of a pair that were
 * dialed from both ends kept the one with the machine that was dialed first, for ever, when the
 * peer had the smaller id, as here (n1 has); the other was refused as a duplicate whenever it
 * came. */
static void clone_both_ways(struct sim_plan *plan)
{
    be_calm(plan);
    plan->mutual = true;
    give_twin(plan, 2, 0);
    add_clone(plan, 45 * PARLEY_NS_PER_S);
}

/* An hour in which nothing happens: a copied machine is a mistake that somebody notices some day,
 * and until then its turns must be cheap. Each costs two signatures and a commit; they came every
 * second, because each turn ended in sync and so began the waits anew. */
static void clone_for_an_hour(struct sim_plan *plan)
{
    clone_both_ways(plan);
    sim_plan_add_act(plan, 3600 * PARLEY_NS_PER_S, SIM_ACT_CLOCK, 0, 0);
    plan->connections_max = 180;
}

/* Twins from early on, both writing, while sessions break and machines crash. */
static void clone_in_trouble(struct sim_plan *plan)
{
    be_calm(plan);
    plan->mutual = plan->lot % 2 == 0;
    give_twin(plan, 3, plan->mutual ? (unsigned)(plan->lot >> 32) % 3 : 1);
    plan->topology = plan->mutual ? plan->topology : SIM_STAR;
    add_clone(plan, 12 * PARLEY_NS_PER_S);
    plan->load_ns = 50 * PARLEY_NS_PER_S;
    plan->writes = 150;
    plan->every_ns[SIM_FAULT_RESET] = 4 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_CRASH] = 8 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_PARTITION] = 10 * PARLEY_NS_PER_S;
}

/* A new node gets 600 kB from one that has them, and no connection lasts. To begin anew each time
 * would cost several times as much. */
static void cold_and_cut(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = 2;
    plan->topology = SIM_STAR;
    plan->mutual = false;
    plan->cold = true;
    plan->latency_ns = 10 * PARLEY_NS_PER_MS;
    plan->jitter_ns = 10 * PARLEY_NS_PER_MS;
    plan->split_max = 16384;
    plan->pipe_bytes = 4096;
    plan->disk_ns = 5 * PARLEY_NS_PER_MS;
    plan->writes = 300;
    plan->burst = 10;
    plan->conversations = 7;
    plan->edit_percent = 0;
    plan->delete_percent = 0;
    plan->large_percent = 0;
    plan->content_bytes = 2000;
    plan->economy_percent = 220;
    plan->safety_ns = 80 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESET] = 500 * PARLEY_NS_PER_MS;
    memset(plan->skew_us, 0, sizeof plan->skew_us);
    memset(plan->zstd, 0, sizeof plan->zstd);
}

/* Small devices that hold a part each; one of them is given more in the end. */
static void devices(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->nodes = 5;
    plan->latency_ns = 20 * PARLEY_NS_PER_MS;
    plan->writes = 150;
    sim_plan_filter(plan);
}

/* The same while nodes crash, come back from backups and lose their connections. */
static void devices_in_trouble(struct sim_plan *plan)
{
    devices(plan);
    plan->every_ns[SIM_FAULT_CRASH] = 5 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESTORE] = 8 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESET] = 4 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_EIO] = 4 * PARLEY_NS_PER_S;
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

/* Machines that are awake for a few seconds a day, for one to four years, with the product's own
 * grace: tombstones of all years go, certificates are renewed, keys rotated, and a node or two are
 * away for one to nine months. Outages are of days. */
static void years_pass(struct sim_plan *plan)
{
    const parley_time day = 15 * PARLEY_NS_PER_S;
    unsigned years = 1 + (unsigned)(plan->lot % 4);
    sim_plan_collect(plan);
    plan->tls = plan->lot / 4 % 8 == 0;
    plan->grace_us = PL_FLOOR_GRACE_US;
    plan->day_ns = day;
    plan->night_us = DAY_US - (int64_t)(day / 1000);
    plan->restart_percent = 5;
    plan->writes = 120 * years;
    plan->safety_ns = 365 * years * day;
    plan->outage_ns = 10 * day;
    plan->every_ns[SIM_FAULT_RESET] = 5 * day;
    plan->every_ns[SIM_FAULT_CRASH] = 20 * day;
    plan->every_ns[SIM_FAULT_EIO] = 30 * day;
    plan->every_ns[SIM_FAULT_FULL] = 60 * day;
    plan->every_ns[SIM_FAULT_PARTITION] = 40 * day;
    plan->every_ns[SIM_FAULT_ROTATE] = 200 * day;
    parley_time months = 30 * day * (1 + plan->lot / 32 % 9);
    plan->away[0].from = 60 * day;
    plan->away[0].to = 60 * day + months;
    if (years > 2)
        plan->away[plan->away_count++] = (struct sim_away){ .nodes = 1u << (plan->lot / 512 % 3),
                                                            .from = 600 * day,
                                                            .to = 600 * day + months };
}

/* The host may come back from a backup of before the revocation, even of before the join: what it
 * knows then is in the ledger beside its store. */
static void cast_out(struct sim_plan *plan)
{
    be_quiet(plan);
    plan->safety_ns = 40 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESET] = 4 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_CRASH] = 6 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_RESTORE] = 8 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_EIO] = 8 * PARLEY_NS_PER_S;
    plan->every_ns[SIM_FAULT_ROTATE] = 12 * PARLEY_NS_PER_S;
    sim_plan_revoke(plan);
}

static const struct sim_scenario scenarios[] = {
    { "a second join in the other direction succeeds", join_both_ways },
    { "of two sessions dialed at once one remains", dial_both_ways },
    { "restored nodes find each other again", restore_often },
    { "a message in hand dies with its session", full_in_mid_message },
    { "peers follow the rotations of a key through crashes", rotate_often },
    { "a node restored from before its rotation is still known", restore_after_rotation },
    { "a node that was away for too long brings nothing back", away_too_long },
    { "a node that was away brings nothing back through a neighbour", away_in_a_chain },
    { "two nodes that were away together bring nothing back", away_as_an_island },
    { "a node that was away brings nothing back while everything breaks", away_and_crashing },
    { "floors rise in a mesh, and old imports arrive", collect_in_a_mesh },
    { "commit errors of unknown outcome lose nothing", commit_errors },
    { "devices with filters have their part and nothing else", devices },
    { "devices with filters get over crashes and restores", devices_in_trouble },
    { "a body crosses a mesh of eight once to each node", mesh_of_eight },
    { "in a chain of eight a body crosses each link just once", chain_of_eight },
    { "in a star of eight a body crosses each link just once", star_of_eight },
    { "in a ring of eight nothing goes back to where it came from", ring_of_eight },
    { "what a fast clock stamped waits for its time", fast_clock },
    { "a clock that stays fast delays its node's writes alone", fast_clock_for_ever },
    { "a node whose clock is set back goes on after its last stamp", clock_set_back },
    { "nothing ends with 31 bits of seconds, in January 2038", cross_2038 },
    { "nothing ends with 32 bits of seconds, in February 2106", cross_2106 },
    { "a restored node is equal again in one session", one_restore },
    { "a wiped node that joins again is equal in one session", one_wipe },
    { "two machines on copies of one store are equal after two turns each", one_clone },
    { "of two machines with one identity neither starves", clone_both_ways },
    { "two machines with one identity take turns by the minute", clone_for_an_hour },
    { "two machines with one identity lose nothing", clone_in_trouble },
    { "a copy that is cut again and again ends, the newest first", cold_and_cut },
    { "who was revoked stays out, whatever is restarted, restored or rotated", cast_out },
    { "years pass, and nothing that was deleted comes back", years_pass },
};

const struct sim_scenario *sim_scenario_named(const char *name)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(scenarios); i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    return NULL;
}

const struct sim_scenario *sim_scenario_at(size_t index)
{
    return index < PL_ARRAY_LEN(scenarios) ? &scenarios[index] : NULL;
}
