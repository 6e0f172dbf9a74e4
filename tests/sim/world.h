/* SPDX-License-Identifier: Apache-2.0
 *
 * A world of whole nodes in virtual time. One seed decides everything that happens in it: the plan,
 * the moments, the splits of streams, the keys' nonces. The same seed gives the same world.
 *
 * Lifetime: sim_world_init -> sim_world_run -> sim_world_deinit. One thread.
 * Failure:  sim_fail records the first broken promise; the run then ends at once.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "node/node_int.h"
#include "node/report.h"
#include "sim/disk.h"
#include "sim/load.h"
#include "sim/plan.h"
#include "sim/wire.h"

#define SIM_TRACE_LINES 200
#define SIM_TRACE_BYTES 120
/* A run that needs more has a node that spins. */
#define SIM_EVENTS_MAX 3000000u
#define SIM_NAMESPACE  "main"

enum sim_event_kind {
    SIM_WAKE = 0,  /* who: node; its deadline */
    SIM_ARRIVE,    /* who: link and direction; the oldest piece is there */
    SIM_READ,      /* who: link and direction; the reader takes some bytes */
    SIM_SENT,      /* who: link and direction; the write call returns */
    SIM_DIALED,    /* who: link */
    SIM_RESET,     /* who: link */
    SIM_APPLY,     /* who: node; the disk commits */
    SIM_COMMITTED, /* who: node; the node hears of it */
    SIM_START,     /* who: node */
    SIM_KEY,       /* who: node; the key it wanted is made */
    SIM_HALT,      /* who: node; an orderly stop has had its time */
    SIM_STRIKE,    /* who: kind of fault */
    SIM_HEAL,      /* who: node; an outage ends */
    SIM_CLOGGED,   /* who: node; its turn in a clog */
    SIM_WRITE,     /* local writes */
    SIM_AWAY,      /* who: entry of the plan; these nodes go away */
    SIM_JOIN,      /* joins that are still to be done */
    SIM_CALM,      /* the safety phase is over */
    SIM_ACT,       /* who: number of the act */
    SIM_NIGHT,     /* all machines are suspended */
    SIM_LOOK       /* liveness phase: converged? */
};

struct sim_event {
    parley_time at;
    uint64_t seq;
    enum sim_event_kind kind;
    uint32_t who;
    uint32_t epoch; /* of node or link when it was made; a later one makes it void */
};

struct sim_heap {
    struct sim_event *events;
    size_t count, cap;
    uint64_t seq;
};

struct sim_memory {
    int64_t blocks;
    int64_t bytes;
    int64_t peak; /* since the last look */
    int64_t seen;
};

enum sim_state { SIM_DOWN = 0, SIM_UP, SIM_STOPPING };

/* What a node says about a peer, as oracle_claim.c remembers it. */
struct sim_claim {
    bool held;
    parley_wall at;
    uint64_t changes; /* of the claiming node's store when it claimed */
};

struct sim_node {
    struct sim_world *world;
    unsigned index;
    unsigned self; /* the index of the node whose identity it has: its own, or for a twin another */
    unsigned words; /* to write as soon as it is up */
    enum sim_state state;
    uint32_t epoch; /* counts its lives */
    struct parley_env env;
    struct sim_memory memory;
    struct pl_rng entropy;
    struct parley_db *db;
    struct pl_node *node;
    char address[16];
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    int64_t skew_us;
    parley_wall wall_max; /* the latest its clock has shown; oracle_future.c */
    uint64_t stamp_max;   /* of what it wrote and still has; oracle_clock.c */
    bool held_known;      /* oracle_future.c */
    uint64_t held;        /* when it went down: versions that wait for their time */
    uint64_t overdue_time;
    parley_time overdue_since;
    unsigned rotations;  /* that were begun */
    uint32_t keys_given; /* bits: which keys it has had, or was to have */
    parley_time wake_at;
    parley_time slow_until;
    parley_time memory_short_until;
    int64_t base_bytes; /* right after it was opened */
    struct sim_disk disk;
    uint64_t changes; /* commits that changed something */
    struct sim_claim claims[SIM_NODES_MAX];
    bool moved; /* since oracle_claim.c looked */
};

struct sim_edge {
    unsigned client, server;
    char url[512];
    unsigned tries;        /* with this invite */
    uint64_t checked_mark; /* oracle_claim.c */
};

/* What it takes to become equal again: oracle_rounds.c. */
struct sim_rounds {
    bool watching;
    parley_time began_at;
    const char *after;
    unsigned sessions[SIM_NODES_MAX][SIM_NODES_MAX];
    unsigned trips;
    parley_time stated_at; /* the last session was opened */
    uint32_t link;         /* of it */
};

#define SIM_COUNTED_MAX 512

struct sim_stats {
    uint64_t events, bytes, connections, commits, crashes, faults;
    parley_time ns;  /* of virtual time */
    int64_t wall_us; /* the same with the nights */
};

struct sim_world {
    uint64_t seed;
    struct sim_plan plan;
    struct pl_rng rng;
    parley_time now;
    parley_time ends_at; /* of the liveness phase */
    int64_t slept_us;    /* wall clocks went on by this while all machines were suspended */
    /* By the right time, when those of the plan were away. */
    parley_wall away_from[SIM_AWAY_MAX], away_to[SIM_AWAY_MAX];
    unsigned acts_left;
    int64_t disk_blocks; /* memory of all stores */
    struct sim_rounds rounds;
    /* [i][j][k]: how often text number i went from j to k, where that is counted. */
    uint8_t crossed[SIM_COUNTED_MAX][SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_heap heap;
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_edge edges[SIM_EDGES_MAX];
    unsigned edge_count;
    struct sim_link links[SIM_LINKS_MAX];
    /* Nothing passes from [i] to [j] before this moment. */
    parley_time cut_until[SIM_NODES_MAX][SIM_NODES_MAX];
    parley_time clog_until[SIM_NODES_MAX]; /* fault.c: from its turn on */
    bool casting_out;                      /* revoke.c: somebody has decided to revoke a node */
    parley_time cast_out_at;               /* its revocation was durable; 0: it is not yet */
    struct sim_load load;
    bool calm; /* the second phase: no new faults */
    struct {
        bool over;        /* the first session is */
        uint32_t conn;    /* of it */
        uint64_t changes; /* of the node, at the last look */
    } cold;               /* oracle_newest.c */
    bool widened;         /* filter.c */
    bool last_words;      /* the writes after convergence were made */
    bool done;
    bool planted;
    bool looking; /* an oracle is at work: its allocations do not fail */
    void *leaked; /* by a planted bug */
    struct sim_stats stats;
    unsigned keys_used; /* of sim_key_pem */
    uint64_t hash;      /* of everything that happened */
    bool tracing;
    char (*trace)[SIM_TRACE_BYTES];
    uint64_t trace_count;
    bool failed;
    const char *oracle;
    char why[256];
};

struct sim_scenario {
    const char *name;
    void (*shape)(struct sim_plan *plan);
};
/* NULL behind the last. */
const struct sim_scenario *sim_scenario_at(size_t index);
const struct sim_scenario *sim_scenario_named(const char *name);

/* `scenario` may be NULL: the plan is the seed's. */
void sim_world_init(struct sim_world *w, uint64_t seed, enum sim_plant plant,
                    const struct sim_scenario *scenario, bool tracing);
void sim_world_run(struct sim_world *w);
void sim_world_deinit(struct sim_world *w);
void sim_world_print_trace(const struct sim_world *w);

/* The first failure counts. `oracle` is static text. */
void sim_fail(struct sim_world *w, const char *oracle, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Mixes into the hash, and with tracing keeps a line. */
void sim_note(struct sim_world *w, uint64_t a, uint64_t b, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void sim_push(struct sim_world *w, parley_time at, enum sim_event_kind kind, uint32_t who,
              uint32_t epoch);
/* A twin before the store of the other node is copied. */
bool sim_is_unborn(const struct sim_node *n);
/* Whether two nodes have its identity. */
bool sim_has_twin(const struct sim_node *n);
bool sim_chance(struct sim_world *w, unsigned percent);
parley_time sim_within(struct sim_world *w, parley_time max);
/* The right time. */
parley_wall sim_wall(const struct sim_world *w);
struct parley_now sim_now(const struct sim_node *n);
/* After every call into a node: carries out what it asks for. */
void sim_drain(struct sim_node *n);

/* life.c */
void sim_node_start(struct sim_node *n);
void sim_node_crash(struct sim_node *n, bool silent);
void sim_node_stop(struct sim_node *n);
void sim_node_try_halt(struct sim_node *n, bool at_once);

/* fault.c */
void sim_fault_strike(struct sim_world *w, enum sim_fault fault);
void sim_fault_next(struct sim_world *w, enum sim_fault fault);
void sim_fault_calm(struct sim_world *w);
void sim_fault_away(struct sim_world *w, unsigned index);
/* A node is cut off by a clog. */
void sim_fault_clog(struct sim_world *w, unsigned node);

/* revoke.c */
/* The host revokes the outcast, now or as soon as they are joined. */
void sim_revoke(struct sim_world *w, uint32_t act);
/* A commit of this node was reported. */
void sim_revoke_committed(struct sim_node *n);
/* Whether one of them is the outcast, after it was revoked: they have no more to do with each
 * other than what they had before. */
bool sim_are_apart(const struct sim_world *w, unsigned a, unsigned b);
/* The same from the decision on: nobody lets it join again. */
bool sim_is_parting(const struct sim_world *w, unsigned a, unsigned b);

/* act.c */
void sim_act(struct sim_world *w, const struct sim_act *act);
void sim_night(struct sim_world *w);

/* rotate.c: keys of nodes are numbered; the record of an identity in a store is that number. */
#define SIM_KEYS_MAX 11
const char *sim_key_pem(unsigned number);
/* The number in the store, else the node's first. */
unsigned sim_key_stored(struct sim_node *n);
void sim_key_rotate(struct sim_node *n);
void sim_key_wanted(struct sim_node *n);
void sim_key_made(struct sim_node *n);

/* filter.c: what devices have and share with the hub; all of it in a world without filters. */
struct pl_filter sim_filter_of(const struct sim_world *w, unsigned device);
bool sim_filter_has(const struct sim_world *w, unsigned node, struct parley_span conversation);
/* As the grant of `node`, the hub or the device, has it. */
struct pl_filter sim_filter_at(const struct sim_world *w, unsigned node, unsigned device);
/* Lifts that of device 1 if it can; call it again. */
void sim_filter_widen(struct sim_world *w);

/* keys.c: whether RSA is computed or played. */
void sim_keys_real(bool real);

/* plant.c: bugs of our own */
void sim_plant_tick(struct sim_world *w);
/* Its store is open, and was found good. */
void sim_plant_start(struct sim_node *n);
void sim_plant_writes(struct sim_node *n, struct parley_write *writes, size_t *count);
void sim_plant_bytes(struct sim_link *link, unsigned dir, uint8_t *bytes, size_t len);

#endif
