/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole nodes in one process, joined by byte queues: b dials a. Effects are carried out at
 * once, time passes only when told. A side whose key was rotated comes back with the new one, as a
 * host would find it in the store: the record of its identity is the PEM text.
 */
#ifndef NODE_PAIR_H
#define NODE_PAIR_H

#include "lib/env_mem.h"

#include "node/node_int.h"

struct queue {
    uint8_t *bytes; /* QUEUE_BYTES */
    size_t len;
};

struct side {
    const char *store;
    const char *key;
    struct parley_db *db;
    struct pl_node *node;
    pl_conn conn;
    struct queue in; /* bytes that the other side sent */
    uint64_t commits;
    /* Sees each batch before it is applied; may be NULL. */
    void (*on_commit)(const struct side *s, const struct pl_effect *effect);
    bool wants_key;    /* a NEW_KEY effect waits for side_key_made */
    bool hold_commits; /* leave a COMMIT effect waiting */
    bool has_held;
    struct pl_effect held;
};

struct world {
    struct env_mem env;
    struct side a, b; /* b dials a */
    struct parley_now now;
    size_t piece_max; /* bytes moved at once */
    bool tls;
    bool apart;       /* nobody reaches anybody */
    int64_t grace_us; /* of tombstones; of nodes that are opened from now on */
    uint64_t wire_bytes;
    uint64_t wire_max; /* no byte moves once so many have; 0: no limit */
};

/* Opens the node of a side, with the key of its store, else `key`. */
void side_open(struct world *w, struct side *s);
void world_open(struct world *w, bool tls, size_t piece_max);
/* Both nodes collect tombstones after so long. */
void world_set_grace(struct world *w, int64_t grace_us);
/* Carries out what one side asks for; no bytes move. */
void world_effects(struct world *w, struct side *s, struct side *other);
/* Until nothing moves any more. */
void world_step(struct world *w);
void world_pass(struct world *w, parley_time ns);
/* Cuts the connection; dials fail until `apart` is false again. */
void world_part(struct world *w);
/* Until both say that they are in sync. */
void world_settle(struct world *w);
/* b joins a by invite. */
void world_join(struct world *w);
void side_stop(struct world *w, struct side *s);
/* Carries out the commit that was held back; later ones are not. */
void side_commit(struct world *w, struct side *s);
/* The power goes, nothing is said to anybody, and comes back. */
void side_kill(struct world *w, struct side *s, struct side *other);
void world_close(struct world *w);
/* Answers the NEW_KEY effect. */
void side_key_made(struct world *w, struct side *s, const char *pem);
/* A whole rotation of one side. */
void side_rotate(struct world *w, struct side *s, const char *pem);

#endif
