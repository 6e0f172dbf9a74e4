/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of one run: everything that the seed decides beforehand. A swarm: each seed switches on
 * a subset of the faults, because a world with all faults at once rarely gets anywhere.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "base/rng.h"
#include <parley/env.h>

#define SIM_NODES_MAX   9
#define SIM_NODES_DRAWN 5 /* at most, in a world that is neither a scenario nor large */
#define SIM_EDGES_MAX   40
#define SIM_COLD_NODE   1u /* who joins with nothing in a world that is cold */
#define SIM_ACTS_MAX    12
#define SIM_EPOCH_US    INT64_C(1700000000000000) /* the wall clock at virtual time 0 */

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
    SIM_FAULT_CLOG,       /* some nodes are cut off one by one, and come back in another order */
    SIM_FAULT_COUNT
};

/* What a scenario does at a moment of its own choice (act.c). */
enum sim_act_kind {
    SIM_ACT_CLOCK = 0, /* the node's wall clock is set to the right time plus `us` */
    SIM_ACT_RESTART,   /* a crash, such a clock, a start */
    SIM_ACT_SLEEP, /* all machines are suspended: wall clocks go on by `us`, nothing else does */
    SIM_ACT_LOOK_HELD, /* operators look at what their nodes hold back of this node's */
    SIM_ACT_BACK_UP,   /* a backup is made */
    SIM_ACT_RESTORE,   /* a crash, and the node comes back with its backup */
    SIM_ACT_WIPE,      /* a crash, and the node comes back with its identity key and nothing else */
    SIM_ACT_CLONE,     /* the twin starts on a copy of its store; `us` 1: the node restarts too */
    SIM_ACT_REVOKE     /* the node revokes the outcast */
};

struct sim_act {
    parley_time at; /* since the world began */
    enum sim_act_kind kind;
    unsigned node;
    int64_t us;
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
    SIM_PLANT_DISORDER,     /* a node that joins with nothing misses the first version it gets */
    SIM_PLANT_UNFILTERED,   /* the hub forgets the filters of devices: what leaves */
    SIM_PLANT_UNFILTERING,  /* a device forgets its own: what it asks for, and its roots */
    SIM_PLANT_RISEN,        /* one node puts nothing into its trash, and goes on */
    SIM_PLANT_EMPTIED,      /* the trash of one node is emptied by nobody */
    SIM_PLANT_DICE,         /* entropy that differs from run to run */
    SIM_PLANT_EAGER,        /* the store takes what is stamped ahead at once */
    SIM_PLANT_DROPPED_HELD, /* what is held is dropped at a restart */
    SIM_PLANT_ECHO,         /* one node forgets from whom it has what it relays */
    SIM_PLANT_CUT_SHORT,    /* the session that makes stores equal again is reset */
    SIM_PLANT_LOST_CLOCK,   /* a restart forgets the greatest stamp */
    SIM_PLANT_FORGIVEN,     /* a restart forgets whom the node has revoked */
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
    bool rsa;                 /* identities sign and verify for real: keys.c */
    bool zstd[SIM_NODES_MAX]; /* by node: two pack when both do */
    /* From SIM_ACT_CLONE on the last node is a second machine on a copy of this one's store. */
    bool has_twin;
    unsigned twin_of;
    bool filtered; /* filter.c */
    bool on_lmdb;  /* stores are LMDB's, not in memory: disk_lmdb.c */
    /* One node, at the end of a chain or of an arm of a star, is revoked by its only neighbour. */
    bool revokes;
    unsigned host, outcast;
    bool mutual; /* each pair joins both ways, so that both dial */
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
    int64_t jump_us;  /* at most, either way */
    int64_t epoch_us; /* the wall clock at virtual time 0 */
    bool clocks_stay; /* wrong, when the faults end */
    /* Load. */
    unsigned writes;
    unsigned burst;         /* writes at one moment */
    unsigned conversations; /* they are spread over */
    unsigned edit_percent;  /* of writes that hit a register other nodes also write */
    unsigned delete_percent;
    unsigned large_percent;
    unsigned header_percent;
    size_t content_bytes; /* of every message; 0: drawn */
    /* Scenarios only: bytes on all wires at most, in percent of each body once to each node. */
    unsigned economy_percent;
    bool counts_texts; /* scenarios only: none may go back to where it came from */
    bool each_once;    /* scenarios only: a tree, in which each body crosses each link just once */
    unsigned connections_max; /* scenarios only: at most so many in the whole run; 0: any */
    /* Scenarios only: after a restore, wipe or clone in an idle world all nodes become equal with
     * one session of each pair and four round trips of comparison. */
    bool in_one_session;
    /* Scenarios and plants only. */
    int64_t grace_us;        /* of tombstones; 0: the product's, and nobody gets so old */
    unsigned import_percent; /* of writes that carry an old time */
    struct sim_away away[SIM_AWAY_MAX];
    unsigned away_count;
    bool talks_early; /* writes before the joins */
    bool cold;        /* two nodes; the first has written everything before the other joins it */
    uint64_t lot;     /* a draw for scenarios */
    struct sim_act acts[SIM_ACTS_MAX];
    unsigned act_count;
    /* All machines are suspended for so long whenever they were awake for day_ns, and a part of
     * them starts anew in the morning; 0: never. */
    int64_t night_us;
    parley_time day_ns;
    unsigned restart_percent;
    parley_time load_ns; /* in which the writes are made; 0: all of safety_ns */
    parley_time safety_ns;
    parley_time calm_ns; /* the time in which the healed world must converge */
    enum sim_plant plant;
};

void sim_plan_make(struct sim_plan *plan, uint64_t seed, enum sim_plant plant);
/* What worlds have that are neither scenarios nor have a planted bug: clogs, more nodes, outcasts.
 * Its draws are its own. */
void sim_plan_more(struct sim_plan *plan, uint64_t seed);
/* Makes it a star with filters, see filter.c. */
void sim_plan_filter(struct sim_plan *plan);
/* Makes it a chain or a star whose last node is revoked, see revoke.c. */
void sim_plan_revoke(struct sim_plan *plan);
/* Tombstones go after a short time, and one node is away for longer. */
void sim_plan_collect(struct sim_plan *plan);
void sim_plan_print(const struct sim_plan *plan);
void sim_plan_add_act(struct sim_plan *plan, parley_time at, enum sim_act_kind kind, unsigned node,
                      int64_t us);
const char *sim_fault_name(enum sim_fault fault);
/* A draw from 1 to max, small values likelier. */
uint64_t sim_draw(struct pl_rng *rng, uint64_t max);

#endif
