/* SPDX-License-Identifier: Apache-2.0
 *
 * The asking side of a reconciliation. From the whole of each namespace it descends, newest first,
 * into the ranges that differ, until leaves tell single versions apart; both sides then send what
 * the other lacks. Each level is one round trip, four for a million versions whatever differs.
 *
 *   ranges:  QUEUED --query--> WAITING --answer--> ANSWERED --expand--> ranges of the next level,
 *                                                            or versions that are sent; then free
 *   levels:  TOP -> MIDDLE -> LOW -> LEAF; a range that is small enough skips to LEAF
 *
 * Invariants
 *   D1  Memory is this struct, whatever differs. No snapshot is held between calls: bounds are read
 *       again from the store when an answer is used, and a range that changed meanwhile is asked
 *       for once more.
 *   D2  An answer can always be taken, so a node that descends never stops to read (no deadlock
 *       with a peer that waits for room).
 *   D3  A level may only take entries that leave many for the levels below it: the deepest can
 *       always go on, and what it finishes makes room for those above.
 *   D4  Every version that both logs held when the descent began, and that is still current when
 *       its range is compared, is on both sides when it ends; newer ones come by the log.
 *
 * Threads: the node's. Ownership: the round's, allocated for one reconciliation.
 */
#ifndef PL_DESCENT_H
#define PL_DESCENT_H

#include "sync/range.h"
#include "sync/sender.h"

enum pl_descent_level { PL_LEVEL_TOP = 0, PL_LEVEL_MIDDLE, PL_LEVEL_LOW, PL_LEVEL_LEAF, PL_LEVELS };

/* One range. 48 bytes. */
struct pl_range_entry {
    uint64_t from_time, to_time;
    uint32_t from_prefix, to_prefix;
    uint64_t bits;  /* what the answer said: two a part, or one a key */
    uint32_t check; /* of the parts or keys as they were asked for */
    uint32_t head;  /* ours then, from where it was at the start */
    uint16_t next;  /* in its list; 0: none */
    uint8_t space;
    uint8_t count; /* parts or keys, or one of: */
    uint8_t depth; /* questions up to the one about it, each of which needed the answer before */
};
#define PL_RANGE_WIDE 254u /* a leaf with more keys than fit here: see struct pl_wide_bits */
#define PL_RANGE_ALL  255u /* every element is to be sent */

/* A leaf of up to PL_QUERY_KEYS_MAX keys takes a second entry of the pool for its bits; `bits` of
 * the first is then where that is, and the number of keys shifted by 16. */
struct pl_wide_bits {
    uint64_t words[PL_QUERY_KEYS_MAX / 64];
};

/* Elements of an ordinary leaf, and of one made of neighbours that differ. */
#define PL_LEAF_KEYS_MAX PL_LIMIT(40u, 4u)
#define PL_LEAF_WIDE_MAX PL_LIMIT(384u, 70u)
_Static_assert(PL_LEAF_WIDE_MAX <= PL_QUERY_KEYS_MAX, "a leaf must fit an item");

/* Together with the rest at most 64 KiB a session. */
#define PL_DESCENT_ENTRIES PL_LIMIT(1280u, 160u)
#define PL_DESCENT_SPACES  PL_PEER_GRANTS_MAX
/* QUERY frames without an answer. */
#define PL_DESCENT_FRAMES 32u

struct pl_range_list {
    uint16_t first, last; /* 0: empty */
};

struct pl_descent_space {
    struct pl_scope scope; /* its prefix is the caller's, its name points to: */
    uint8_t name[PARLEY_NAMESPACE_BYTES_MAX];
    bool takes; /* we take versions of it from the peer */
    /* Elements of a part at each level that is cut, from how many there were at the top. */
    uint64_t limits[PL_LEVEL_LEAF];
};

struct pl_descent {
    struct pl_salt salt;
    parley_seq head; /* ours at the start */
    bool begun;      /* BEGIN was sent */
    bool ended;      /* END was sent */
    bool done;       /* and answered */
    bool dry;        /* nothing moves: the sender counts */
    uint64_t next_number;
    struct pl_descent_space spaces[PL_DESCENT_SPACES];
    uint32_t space_count, next_space;
    union {
        struct pl_range_entry range;
        struct pl_wide_bits wide;
    } pool[PL_DESCENT_ENTRIES]; /* [0] is never used */
    uint16_t free;
    uint32_t free_count;
    struct pl_range_list queued[PL_LEVELS], waiting[PL_LEVELS], answered[PL_LEVELS];
    struct {
        uint64_t number;
        enum pl_descent_level level;
        uint32_t ranges;         /* 0: END */
    } frames[PL_DESCENT_FRAMES]; /* in order; the first is the oldest */
    uint32_t frame_count;
    uint32_t depth; /* the greatest of all ranges so far: round trips */
};

void pl_descent_init(struct pl_descent *d, const struct pl_salt *salt, parley_seq head);
/* Before the first step. At most PL_DESCENT_SPACES. Borrows the prefix of the scope until the end.
 */
void pl_descent_add_space(struct pl_descent *d, const struct pl_scope *scope, bool takes);
/* Sends queries and versions while there is room. *sent: something was. */
PL_MUST_USE parley_err pl_descent_step(struct pl_descent *d, struct pl_sender *sender, bool *sent);
/* Takes an ANSWER. Errors: EPROTO. */
PL_MUST_USE parley_err pl_descent_answer(struct pl_descent *d, struct parley_span body);

#endif
