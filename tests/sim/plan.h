/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of one run: everything that the seed decides beforehand. A swarm: each seed switches on
 * a subset of the faults, because a world with all faults at once rarely gets anywhere.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "base/rng.h"
#include <parley/env.h>

#define SIM_NODES_MAX   8
#define SIM_NODES_DRAWN 5 /* at most, in a world that is not a scenario */
#define SIM_EDGES_MAX   32

enum sim_topology { SIM_CHAIN = 0, SIM_STAR, SIM_RING, SIM_MESH, SIM_TOPOLOGY_COUNT };

/* Faults that strike now and then; the plan holds the mean time between two of each kind. */
enum sim_fault {
    SIM_FAULT_RESET = 0,  /* one connection is reset: bytes under way are lost */
    SIM_FAULT_HALF_CLOSE, /* one side sees the end of the stream, the other notices nothing */
    SIM_FAULT_STALL,      /* one direction of one connection stands still for a while */
    SIM_FAULT_CUT,        /* everything from one node to another stands still for a while */
    SIM_FAULT_PARTITION,  /* the same in both directions, for one node and all others */
    SIM_FAULT_SLOW,       /* one node reads a few bytes at a time for a while */
    SIM_FAULT_CRASH,      /* power loss or kill; what was not committed is gone */
    SIM_FAULT_STOP,       /* an orderly stop and start */
    SIM_FAULT_JUMP,       /* a wall clock jumps */
    SIM_FAULT_EIO,        /* the next commit fails, applied or not */
    SIM_FAULT_FULL,       /* the store is full for a while */
    SIM_FAULT_RESTORE,    /* a crash, and the node comes back from an older backup */
    SIM_FAULT_ROTATE,     /* an operator rotates a key: no fault, but it strikes like one */
    SIM_FAULT_MEMORY,     /* some allocations fail for a while */
    SIM_FAULT_COUNT
};

/* A bug that the simulator commits itself, to see that an oracle catches it. */
enum sim_plant {
    SIM_PLANT_NONE = 0,
    SIM_PLANT_LOST_COMMIT,  /* the disk forgets committed batches at a crash */
    SIM_PLANT_ALTERED_BODY, /* one node stores another body than it was sent */
    SIM_PLANT_SKIPPED,      /* one node never stores what others write to one conversation */
    SIM_PLANT_MISSED,       /* one node misses one version of a frame that it takes */
    SIM_PLANT_FLIPPED_BIT,  /* a bit of a stored row flips */
    SIM_PLANT_FALSE_CLAIM,  /* a store changes behind its node's back */
    SIM_PLANT_BROKEN_FRAME, /* a byte of a frame's head changes on the way */
    SIM_PLANT_LEAK,         /* memory is taken and never given back */
    SIM_PLANT_SPLIT,        /* a partition does not heal */
    SIM_PLANT_STRAY,        /* a private version appears on another node */
    SIM_PLANT_FALSE_KEY,    /* one node holds a stranger's key for a peer */
    SIM_PLANT_RISEN,        /* one node puts nothing into its trash, and goes on */
    SIM_PLANT_EMPTIED,      /* the trash of one node is emptied by nobody */
    SIM_PLANT_DICE,         /* entropy that differs from run to run */
    SIM_PLANT_COUNT
};

/* Nodes (bits) that nobody else reaches for a while, but each other. */
struct sim_away {
    uint32_t nodes;
    parley_time from, to;
};
#define SIM_AWAY_MAX 3

struct sim_plan {
    unsigned nodes;
    enum sim_topology topology;
    bool tls;
    bool zstd[SIM_NODES_MAX]; /* by node: two pack when both do */
    bool mutual;              /* each pair joins both ways, so that both dial */
    /* Network. */
    parley_time latency_ns;
    parley_time jitter_ns;
    size_t split_max; /* bytes of one piece */
    size_t pipe_bytes;
    unsigned dial_fails_percent;
    parley_time every_ns[SIM_FAULT_COUNT]; /* mean time between; 0: never */
    parley_time outage_ns;                 /* how long a fault that ends by itself lasts at most */
    /* Disk. */
    parley_time disk_ns;
    /* Clocks. */
    int64_t skew_us[SIM_NODES_MAX];
    int64_t jump_us; /* at most, either way */
    /* Load. */
    unsigned writes;
    unsigned burst;         /* writes at one moment */
    unsigned conversations; /* they are spread over */
    unsigned edit_percent;  /* of writes that hit a register other nodes also write */
    unsigned delete_percent;
    unsigned large_percent;
    size_t content_bytes; /* of every message; 0: drawn */
    /* Scenarios only: bytes on all wires at most, in percent of each body once to each node. */
    unsigned economy_percent;
    /* Scenarios and plants only. */
    int64_t grace_us;        /* of tombstones; 0: the product's, which no run reaches */
    unsigned import_percent; /* of writes that carry an old time */
    struct sim_away away[SIM_AWAY_MAX];
    unsigned away_count;
    bool talks_early; /* writes before the joins */
    parley_time safety_ns;
    parley_time calm_ns; /* the time in which the healed world must converge */
    enum sim_plant plant;
};

void sim_plan_make(struct sim_plan *plan, uint64_t seed, enum sim_plant plant);
/* Tombstones go after a short time, and one node is away for longer. */
void sim_plan_collect(struct sim_plan *plan);
void sim_plan_print(const struct sim_plan *plan);
const char *sim_fault_name(enum sim_fault fault);
/* A draw from 1 to max, small values likelier. */
uint64_t sim_draw(struct pl_rng *rng, uint64_t max);

#endif
