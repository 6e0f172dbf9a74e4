/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plan.h"

#include <inttypes.h>
#include <stdio.h>

#define MS PARLEY_NS_PER_MS
#define S  PARLEY_NS_PER_S

uint64_t sim_draw(struct pl_rng *rng, uint64_t max)
{
    uint64_t limit = max >> pl_rng_below(rng, 8);
    return 1 + pl_rng_below(rng, limit == 0 ? 1 : limit);
}

static bool chance(struct pl_rng *rng, unsigned percent)
{
    return pl_rng_below(rng, 100) < percent;
}

/* How often each fault strikes when it is switched on, and how likely that is. */
static const struct {
    unsigned percent;
    parley_time every_ns;
    const char *name;
} habits[SIM_FAULT_COUNT] = {
    [SIM_FAULT_RESET] = { 45, 6 * S, "reset" },
    [SIM_FAULT_HALF_CLOSE] = { 25, 8 * S, "half-close" },
    [SIM_FAULT_STALL] = { 40, 4 * S, "stall" },
    [SIM_FAULT_CUT] = { 30, 10 * S, "cut" },
    [SIM_FAULT_PARTITION] = { 35, 12 * S, "partition" },
    [SIM_FAULT_SLOW] = { 30, 8 * S, "slow reader" },
    [SIM_FAULT_CRASH] = { 45, 8 * S, "crash" },
    [SIM_FAULT_STOP] = { 25, 15 * S, "stop" },
    [SIM_FAULT_JUMP] = { 25, 10 * S, "clock jump" },
    [SIM_FAULT_EIO] = { 30, 6 * S, "commit error" },
    [SIM_FAULT_FULL] = { 25, 10 * S, "full store" },
    [SIM_FAULT_RESTORE] = { 20, 10 * S, "restore" },
    [SIM_FAULT_ROTATE] = { 35, 12 * S, "rotation" },
    [SIM_FAULT_MEMORY] = { 20, 10 * S, "no memory" },
    [SIM_FAULT_CLOG] = { 25, 12 * S, "clog" },
};

void sim_plan_add_act(struct sim_plan *plan, parley_time at, enum sim_act_kind kind, unsigned node,
                      int64_t us)
{
    PL_ASSERT(plan->act_count < SIM_ACTS_MAX);
    plan->acts[plan->act_count++] = (struct sim_act){ at, kind, node, us };
}

const char *sim_fault_name(enum sim_fault fault)
{
    return habits[fault].name;
}

static void plan_faults(struct sim_plan *plan, struct pl_rng *rng)
{
    if (chance(rng, 6))
        return; /* a quiet world has bugs of its own */
    for (unsigned i = 0; i < SIM_FAULT_CLOG; i++) {
        parley_time every = habits[i].every_ns / 2 + pl_rng_below(rng, habits[i].every_ns * 2);
        plan->every_ns[i] = chance(rng, habits[i].percent) ? every : 0;
    }
    plan->dial_fails_percent = chance(rng, 40) ? (unsigned)pl_rng_below(rng, 60) : 0;
    plan->outage_ns = 100 * MS + pl_rng_below(rng, chance(rng, 20) ? 60 * S : 8 * S);
}

static void plan_network(struct sim_plan *plan, struct pl_rng *rng)
{
    static const size_t splits[] = { 1, 7, 100, 1500, 16384, 1 << 20 };
    static const size_t pipes[] = { 600, 4096, 32768, 262144 };
    plan->latency_ns = sim_draw(rng, 200 * MS);
    plan->jitter_ns = sim_draw(rng, 100 * MS);
    plan->split_max = splits[pl_rng_below(rng, PL_ARRAY_LEN(splits))];
    plan->pipe_bytes = pipes[pl_rng_below(rng, PL_ARRAY_LEN(pipes))];
    if (plan->split_max < 100 && !chance(rng, 25))
        plan->split_max = 400; /* single bytes are slow to simulate; some seeds suffice */
    /* SIM_PIECES_MAX of them are on the way: else a handshake would not be over in its 10 s. */
    if (plan->split_max < 100) {
        plan->latency_ns = pl_min_u64(plan->latency_ns, 30 * MS);
        plan->jitter_ns = pl_min_u64(plan->jitter_ns, 10 * MS);
    }
}

static void plan_load(struct sim_plan *plan, struct pl_rng *rng)
{
    plan->writes = 10 + (unsigned)sim_draw(rng, 300);
    plan->header_percent = 20;
    plan->burst = chance(rng, 30) ? 1 + (unsigned)pl_rng_below(rng, 40) : 1;
    plan->conversations = 1 + (unsigned)pl_rng_below(rng, 6);
    plan->edit_percent = (unsigned)pl_rng_below(rng, 80);
    plan->delete_percent = chance(rng, 60) ? (unsigned)pl_rng_below(rng, 25) : 0;
    /* A megabyte in small pieces over a slow line takes minutes and millions of events. */
    bool wide = plan->split_max >= 1500 && plan->pipe_bytes >= 32768;
    plan->large_percent = wide && chance(rng, 60) ? 1 + (unsigned)pl_rng_below(rng, 8) : 0;
    if (plan->large_percent != 0)
        plan->latency_ns = pl_min_u64(plan->latency_ns, 40 * MS);
    plan->talks_early = chance(rng, 50);
    plan->safety_ns = 5 * S + pl_rng_below(rng, 55 * S);
}

static void plan_clocks(struct sim_plan *plan, struct pl_rng *rng)
{
    int64_t widest = 0;
    if (chance(rng, 50))
        widest = (chance(rng, 20) ? 600 : 30) * PARLEY_US_PER_S;
    for (unsigned i = 0; i < SIM_NODES_DRAWN; i++)
        plan->skew_us[i] =
            widest == 0 ? 0 : (int64_t)pl_rng_below(rng, 2 * (uint64_t)widest) - widest;
    plan->jump_us = (chance(rng, 15) ? 400 : 20) * PARLEY_US_PER_S;
    bool jumps = plan->every_ns[SIM_FAULT_JUMP] != 0;
    /* What a fast clock has stamped is held back until its time has come; jumps add up. */
    int64_t ahead = 2 * widest + (jumps ? 8 * plan->jump_us : 0);
    plan->calm_ns = 300 * S + (parley_time)ahead * 1000;
}

/* From the seed without a draw: in half of the worlds all nodes pack, in a quarter every other one,
 * so that sessions between those that do and those that do not are there too. */
static void plan_zstd(struct sim_plan *plan, uint64_t seed)
{
    uint64_t mode = seed / 3 % 4;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++)
        plan->zstd[i] = mode < 2 || (mode == 2 && i % 2 == 0);
}

void sim_plan_filter(struct sim_plan *plan)
{
    plan->filtered = true;
    plan->topology = SIM_STAR;
    plan->mutual = false;
    plan->nodes = plan->nodes < 3 ? 3 : plan->nodes;
    plan->conversations = 6;
    /* Midnight, UTC, comes while people write: SIM_EPOCH_US is 22:13:20. */
    plan->epoch_us = SIM_EPOCH_US + (INT64_C(6400) - 20) * PARLEY_US_PER_S;
}

void sim_plan_revoke(struct sim_plan *plan)
{
    plan->revokes = true;
    plan->filtered = false;
    plan->epoch_us = SIM_EPOCH_US;
    plan->nodes = plan->nodes < 3 ? 3 : plan->nodes;
    plan->topology = plan->lot % 2 == 0 ? SIM_STAR : SIM_CHAIN;
    plan->outcast = plan->nodes - 1;
    plan->host = plan->topology == SIM_STAR ? 0 : plan->nodes - 2;
    parley_time at = plan->safety_ns / 4 + plan->lot / 2 % (plan->safety_ns / 2);
    sim_plan_add_act(plan, at, SIM_ACT_REVOKE, plan->host, 0);
}

void sim_plan_more(struct sim_plan *plan, uint64_t seed)
{
    struct pl_rng rng;
    pl_rng_init(&rng, seed ^ UINT64_C(0x6d6f7265));
    bool quiet = true;
    for (unsigned i = 0; i < SIM_FAULT_CLOG; i++)
        quiet = quiet && plan->every_ns[i] == 0;
    if (!quiet && chance(&rng, habits[SIM_FAULT_CLOG].percent))
        plan->every_ns[SIM_FAULT_CLOG] = habits[SIM_FAULT_CLOG].every_ns / 2 +
                                         pl_rng_below(&rng, habits[SIM_FAULT_CLOG].every_ns * 2);
    if (seed % 32 == 21) {
        plan->nodes =
            SIM_NODES_DRAWN + 1 + (unsigned)pl_rng_below(&rng, SIM_NODES_MAX - SIM_NODES_DRAWN);
        plan->mutual = false;
        plan->large_percent = 0;
        plan->writes = plan->writes < 90 ? plan->writes : 90;
    }
    if (seed % 16 == 3)
        sim_plan_revoke(plan);
}

/* A planted bug needs the conditions in which it shows, and nothing that would hide it. */
static void plan_plant(struct sim_plan *plan)
{
    plan->tls = false;
    plan->mutual = false;
    plan->writes = 60;
    plan->safety_ns = 20 * S;
    plan->latency_ns = 2 * MS;
    plan->jitter_ns = MS;
    plan->split_max = 1500;
    plan->pipe_bytes = 32768;
    plan->calm_ns = 300 * S;
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        plan->every_ns[i] = 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++)
        plan->skew_us[i] = 0;
    plan->cold = plan->plant == SIM_PLANT_DISORDER;
    if (plan->cold)
        plan->nodes = 2;
    if (plan->plant == SIM_PLANT_UNFILTERED || plan->plant == SIM_PLANT_UNFILTERING)
        sim_plan_filter(plan);
    if (plan->plant == SIM_PLANT_LOST_COMMIT || plan->plant == SIM_PLANT_FLIPPED_BIT ||
        plan->plant == SIM_PLANT_LEAK || plan->plant == SIM_PLANT_FORGIVEN)
        plan->every_ns[SIM_FAULT_CRASH] = 5 * S;
    if (plan->plant == SIM_PLANT_FORGIVEN)
        sim_plan_revoke(plan);
    if (plan->plant == SIM_PLANT_RISEN || plan->plant == SIM_PLANT_EMPTIED)
        sim_plan_collect(plan);
}

void sim_plan_collect(struct sim_plan *plan)
{
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        plan->every_ns[i] = 0;
    plan->dial_fails_percent = 0;
    plan->filtered = false;
    plan->epoch_us = SIM_EPOCH_US;
    plan->tls = false;
    plan->nodes = 3;
    plan->topology = SIM_MESH;
    plan->talks_early = false;
    plan->grace_us = 60 * PARLEY_US_PER_S;
    plan->writes = 240;
    plan->burst = 1;
    plan->conversations = 15; /* few writes a register, so that what is deleted stays so */
    plan->edit_percent = 85;
    plan->delete_percent = 30;
    plan->large_percent = 0;
    plan->import_percent = 15;
    plan->content_bytes = 0;
    plan->safety_ns = 320 * S;
    plan->calm_ns = 300 * S;
    plan->latency_ns = pl_min_u64(plan->latency_ns, 40 * MS);
    plan->disk_ns = pl_min_u64(plan->disk_ns, 20 * MS);
    plan->split_max = pl_max_size(plan->split_max, 1500);
    plan->pipe_bytes = pl_max_size(plan->pipe_bytes, 4096);
    memset(plan->skew_us, 0, sizeof plan->skew_us);
    plan->away[0] = (struct sim_away){ .nodes = 1u << 2, .from = 60 * S, .to = 220 * S };
    plan->away_count = 1;
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed, enum sim_plant plant)
{
    struct pl_rng rng;
    pl_rng_init(&rng, seed ^ UINT64_C(0x706c616e));
    *plan = (struct sim_plan){ .plant = plant, .epoch_us = SIM_EPOCH_US };
    plan->nodes = 2 + (unsigned)sim_draw(&rng, SIM_NODES_DRAWN - 2) - (chance(&rng, 40) ? 1 : 0);
    plan->topology = (enum sim_topology)pl_rng_below(&rng, SIM_TOPOLOGY_COUNT);
    plan->tls = seed % 8 == 7;
    plan->rsa = seed % 64 == 7;
    plan_zstd(plan, seed);
    plan->mutual = chance(&rng, 30);
    plan->disk_ns = sim_draw(&rng, chance(&rng, 20) ? 2 * S : 20 * MS);
    plan_faults(plan, &rng);
    plan_network(plan, &rng);
    plan_load(plan, &rng);
    plan_clocks(plan, &rng);
    plan->lot = pl_rng_u64(&rng);
    if (seed % 16 == 9)
        sim_plan_filter(plan);
    if (plant != SIM_PLANT_NONE)
        plan_plant(plan);
    else
        plan->on_lmdb = seed % 16 == 5;
}

void sim_plan_print(const struct sim_plan *plan)
{
    static const char *topologies[] = { "chain", "star", "ring", "mesh" };
    printf("plan: %u nodes, %s%s%s%s%s%s%s%s%s, latency %.1f ms + %.1f ms, "
           "pieces of %zu B, pipes of %zu B\n",
           plan->nodes, topologies[plan->topology], plan->mutual ? " both ways" : "",
           plan->tls ? ", TLS" : "", plan->rsa ? ", RSA" : "", plan->zstd[0] ? ", zstd" : "",
           plan->zstd[0] && !plan->zstd[1] ? " on some" : "", plan->filtered ? ", filtered" : "",
           plan->revokes ? ", one revoked" : "", plan->on_lmdb ? ", on LMDB" : "",
           (double)plan->latency_ns / 1e6, (double)plan->jitter_ns / 1e6, plan->split_max,
           plan->pipe_bytes);
    printf("      %u writes in bursts of %u to %u conversations, %u %% edits, %u %% deletes, "
           "%u %% large, %s joins, %.0f s\n",
           plan->writes, plan->burst, plan->conversations, plan->edit_percent, plan->delete_percent,
           plan->large_percent, plan->talks_early ? "before and after" : "after",
           (double)plan->safety_ns / 1e9);
    printf("      disk up to %.1f ms, outages up to %.1f s, %u %% of dials fail, then calm for at "
           "most %.0f s\n      skews in s:",
           (double)plan->disk_ns / 1e6, (double)plan->outage_ns / 1e9, plan->dial_fails_percent,
           (double)plan->calm_ns / 1e9);
    for (unsigned i = 0; i < plan->nodes; i++)
        printf(" %.1f", (double)plan->skew_us[i] / 1e6);
    printf("\n");
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        if (plan->every_ns[i] != 0)
            printf("      %s every %.1f s\n", habits[i].name, (double)plan->every_ns[i] / 1e9);
}
