/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that grow: texts that come in pieces, as an assistant says them. A piece is appended in
 * memory; now and then what has come becomes a version of the message.
 *
 *          open                  flush                  committed
 *   (none) ----> CLEAN  --add--> DIRTY  -------> FLYING ---------> CLEAN or DIRTY
 *                  |                |               |
 *                  +-- idle, room --+-- overtaken --+-- not stored --> (none)
 *
 * Invariants
 *   W1  What a version has of a growing message is a prefix of `content`, `stored` bytes long.
 *   W2  At most one version of it is on its way, and none is written while another write of this
 *       node to the register or its conversation is: so what is written was appended to what the
 *       store has, and to nothing else.
 *   W3  The version that it goes on from is the one of base_time and base_bytes. When the store has
 *       another one, the text was overtaken: it is dropped, and what was not stored of it is lost,
 *       as it is by a crash or a commit that fails. Who appends next learns the length that is
 *       there.
 *   W4  Versions of a text of n bytes have some 9 n bytes together, and of one that lasts for
 *       t seconds there are some 8 log t: the waits grow with what is there, up to a bound.
 *
 * Threads: the node's. Memory: the node's buffer budget, PL_GROWTH_BYTES_MAX of it.
 */
#ifndef PL_GROWTH_H
#define PL_GROWTH_H

#include "node/node_int.h"
#include "node/out.h"

/* Bytes of all messages that grow together: two of the largest messages. */
#define PL_GROWTH_BYTES_MAX (2u * PARLEY_CONTENT_BYTES_MAX)
/* What is not stored yet is written after so many bytes, or an eighth of the text if that is more;
 * and after so long, or an eighth of the time since the text was opened, up to the last. */
#define PL_GROWTH_STEP_BYTES  PL_LIMIT(16384u, 64u)
#define PL_GROWTH_WAIT_NS_MIN (200 * PARLEY_NS_PER_MS)
#define PL_GROWTH_WAIT_NS_MAX (10 * PARLEY_NS_PER_S)
/* One that nothing came to for so long is closed; the next piece opens it again. */
#define PL_GROWTH_IDLE_NS (30 * PARLEY_NS_PER_S)

struct pl_growing {
    uint64_t name; /* of this life of it; never 0 */
    size_t name_space_len, conversation_len, id_len, role_len;
    uint8_t name_space[PARLEY_NAMESPACE_BYTES_MAX];
    uint8_t conversation[PARLEY_ID_BYTES_MAX];
    uint8_t id[PARLEY_ID_BYTES_MAX];
    uint8_t role[PARLEY_ROLE_BYTES_MAX];
    struct pl_out content;
    struct pl_out extra;
    uint64_t created;    /* 0: with its first version */
    uint64_t base_time;  /* of the version in the store; 0: none, or a deletion */
    size_t base_bytes;   /* of its body */
    size_t stored;       /* bytes of content in it */
    size_t flying;       /* and in the one on its way, */
    size_t flying_bytes; /* of whose body */
    uint64_t serial;     /* the batch with that; 0: none is */
    size_t index;        /* in it */
    bool dirty;          /* there is something to write */
    parley_time opened_at, touched_at;
    parley_time flush_at; /* when dirty */
};

/* Which message. */
struct pl_growth_key {
    struct parley_span name_space, conversation, id;
};

struct pl_growing *pl_growth_find(struct pl_node *node, const struct pl_growth_key *key);
/* By the name of its life; NULL when that is over. */
struct pl_growing *pl_growth_named(struct pl_node *node, uint64_t name);
/* Opens one over what is stored; `stored` NULL: nothing is, and it begins with this role. The
 * version's register must be settled. Errors: EAGAIN (PL_GROWING_MAX of them have something to
 * write), EFULL (bytes), ENOMEM, ECORRUPT. */
PL_MUST_USE parley_err pl_growth_open(struct pl_node *node, const struct pl_growth_key *key,
                                      const struct parley_version *stored, struct parley_span role,
                                      struct pl_growing **out);
/* Whether the store still has what it goes on from. False: it was dropped. */
PL_MUST_USE parley_err pl_growth_check(struct pl_node *node, struct pl_growing *growing,
                                       bool *good);
/* Appends. Errors: ETOOBIG (PARLEY_CONTENT_BYTES_MAX), EFULL, ENOMEM; nothing was appended then. */
PL_MUST_USE parley_err pl_growth_add(struct pl_node *node, struct pl_growing *growing,
                                     struct parley_span text);
/* Writes what is not stored into the batch, and asks for its commit. Errors: EAGAIN (the batch has
 * no room, or W2), ESTATE (it was overtaken, and is dropped), ENOMEM, store errors. */
PL_MUST_USE parley_err pl_growth_flush(struct pl_node *node, struct pl_growing *growing);
void pl_growth_close(struct pl_node *node, struct pl_growing *growing);

/* ---- The node's turns ---- */

parley_time pl_growth_deadline(const struct pl_node *node);
void pl_growth_tick(struct pl_node *node);
/* A batch is done; before those who wait for it are called. */
void pl_growth_committed(struct pl_node *node, parley_err err);
/* The node stops: what can still be written is. */
void pl_growth_stop(struct pl_node *node);
void pl_growth_free(struct pl_node *node);

#endif
