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
 *   D3  A level may only take entries that leave some for the levels below it: the deepest can
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
    struct pl_bound from, to;
    uint64_t bits;  /* what the answer said: two a part, or one a key */
    uint32_t check; /* of the parts or keys as they were asked for */
    uint16_t next;  /* in its list; 0: none */
    uint8_t space;
    uint8_t count; /* parts or keys; PL_RANGE_ALL: every element is to be sent */
};
#define PL_RANGE_ALL 255u

/* Together with the rest at most 64 KiB a session. */
#define PL_DESCENT_ENTRIES PL_LIMIT(1280u, 128u)
#define PL_DESCENT_SPACES  PL_PEER_GRANTS_MAX
/* QUERY frames without an answer. */
#define PL_DESCENT_FRAMES 32u

struct pl_range_list {
    uint16_t first, last; /* 0: empty */
};

struct pl_descent_space {
    uint8_t len;
    uint8_t name[PARLEY_NAMESPACE_BYTES_MAX];
    bool takes;     /* we take versions of it from the peer */
    uint64_t total; /* elements when its top was made */
};

struct pl_descent {
    struct pl_salt salt;
    bool begun; /* BEGIN was sent */
    bool ended; /* END was sent */
    bool done;  /* and answered */
    uint64_t next_number;
    struct pl_descent_space spaces[PL_DESCENT_SPACES];
    uint32_t space_count, next_space;
    struct pl_range_entry pool[PL_DESCENT_ENTRIES]; /* [0] is never used */
    uint16_t free;
    uint32_t free_count;
    struct pl_range_list queued[PL_LEVELS], waiting[PL_LEVELS], answered[PL_LEVELS];
    struct {
        uint64_t number;
        enum pl_descent_level level;
        uint32_t ranges;         /* 0: END */
    } frames[PL_DESCENT_FRAMES]; /* in order; the first is the oldest */
    uint32_t frame_count;
};

void pl_descent_init(struct pl_descent *d, const struct pl_salt *salt);
/* Before the first step. At most PL_DESCENT_SPACES. */
void pl_descent_add_space(struct pl_descent *d, struct pl_span name, bool takes);
/* Sends queries and versions while there is room. *sent: something was. */
PL_MUST_USE parley_err pl_descent_step(struct pl_descent *d, struct pl_sender *sender, bool *sent);
/* Takes an ANSWER. Errors: EPROTO. */
PL_MUST_USE parley_err pl_descent_answer(struct pl_descent *d, struct pl_span body);

#endif
