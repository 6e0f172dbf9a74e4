/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync of one open session, both directions at once. Sending: after the peer's STATE the round
 * streams the change log behind the peer's cursor. Where that cursor is void, or where both sides
 * have each other's log and still differ, the ranges of their sets are compared (descent.h on the
 * side that dialed, reply.h on the other), and the log goes on from where it was when that began.
 * A peer that has nothing gets conversations, the newest first, in the place of the log (copy.h).
 * Receiving: versions go into the owner's write batch, and only when that batch is durable does the
 * ACK leave.
 *
 * Invariants
 *   R1  acked <= sent <= head of our log; nothing is sent twice in a session unless a comparison
 *       finds it missing.
 *   R2  `applied` moves only to a sequence whose versions are all durable here.
 *   R3  A change is not sent to the peer it came from, unless that peer has changed its incarnation
 *       since, it was held until its time, or a comparison finds it missing.
 *   R4  In sync is claimed only when each side has acknowledged the other's head and the roots of
 *       all shared namespaces are equal.
 *   R5  While a comparison or a copy takes the place of the log before `sent`, the peer gets no
 *       cursor.
 *
 *   R6  Nothing is sent before the peer's filters are known; a root counts only if it was said
 *       under the filters that we hold, and that we have said it under too.
 *
 * Where this node was away for so long that the peer may have collected what it still has, it sends
 * nothing that old, and a comparison finds what goes to the trash (floor.h, round_floor.c).
 *
 * A version that came from another peer, and is not small, is offered by a short key first: in a
 * mesh most peers have it already (round_offer.c).
 *
 * The round borrows session, snapshot and peer for each call; it owns its descent and its copy.
 */
#ifndef PL_ROUND_H
#define PL_ROUND_H

#include "proto/session.h"
#include "sync/change.h"
#include "sync/floor.h"
#include "sync/peer.h"
#include "sync/range.h"
#include "sync/reply.h"
#include "sync/share.h"

#define PL_ROUND_OFFERS_MAX  2
#define PL_OFFER_ENTRIES_MAX PL_LIMIT(512u, 8u)
/* Log entries looked at in one call: bounds the time of a turn of the event loop. */
#define PL_ROUND_SCAN_MAX PL_LIMIT(20000u, 32u)
#define PL_ROUND_STATE_NS (10 * PARLEY_NS_PER_S) /* a STATE at least this often */
/* Repairs at most this often at first, and at last: what a repair cannot mend (a grant that only
 * reads) must not cost a full comparison twice a minute for ever. */
#define PL_ROUND_REPAIR_NS     (30 * PARLEY_NS_PER_S)
#define PL_ROUND_REPAIR_NS_MAX (3600 * PARLEY_NS_PER_S)
#define PL_ROUND_PERSIST_NS    (5 * PARLEY_NS_PER_S) /* an advanced cursor is stored within this */
/* A relayed body above this is offered first: below, the offer costs as much as the version. */
#define PL_ROUND_OFFER_BYTES_MIN PL_LIMIT(256u, 24u)
/* How long what is relayed gathers: in a mesh it meanwhile comes from where it was written. */
#define PL_ROUND_RELAY_NS (100 * PARLEY_NS_PER_MS)
/* A frame of versions is begun only with room for this much: a stream is of large frames. */
#define PL_ROUND_FRAME_BYTES (PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES)
/* The first frame of versions in a session ends soon after this much, each later one after twice as
 * much. The receiver keeps whole frames: a session that is cut loses about half of what it has
 * sent, and one that never lives long enough for a large frame gets on all the same. */
#define PL_ROUND_FIRST_FRAME_BYTES 4096u

#define PL_ROUND_PREPARING "preparing the filter"

struct pl_offer {
    uint32_t number;     /* 0: it still gathers */
    parley_time send_at; /* 0: now, when there is room */
    parley_seq seq_from; /* everything up to it was sent before */
    uint32_t count;
    parley_seq seqs[PL_OFFER_ENTRIES_MAX];
    uint8_t wanted[(PL_OFFER_ENTRIES_MAX + 7) / 8];
    bool answered;
    uint32_t next; /* first entry not yet dealt with */
};

struct pl_want {
    uint64_t number;
    uint32_t count; /* versions of the offer: bits */
    uint8_t bits[(PL_OFFER_ENTRIES_MAX + 7) / 8];
};

struct pl_descent;
struct pl_copy;

/* The floors of the namespace of a grant. */
struct pl_round_floor {
    uint64_t ours;
    uint64_t guard;         /* G5: ours, or what it is to be */
    uint64_t theirs, clean; /* as the peer says, */
    parley_wall counted;    /* and when it had us in sync */
    uint64_t their_cut;     /* as it knows both */
    uint64_t stated_cut;    /* as our last STATE had it */
    enum pl_floor_relation relation;
    bool recorded; /* by the owner: that it was once the same on both sides */
};

/* A rebase on the floor of the peer; one grant at a time. The owner moves it:
 *   NONE -> WANTED when it begins -> RUNNING with a comparison that begins after that
 *   -> COMPARED at its end -> NONE when `trash` is taken and the floor is raised. */
enum pl_rebase_phase {
    PL_REBASE_NONE = 0,
    PL_REBASE_WANTED,
    PL_REBASE_RUNNING,
    PL_REBASE_COMPARED
};
/* Versions that wait for the batch in one turn. */
#define PL_REBASE_TRASH_MAX PL_LIMIT(256u, 3u)
struct pl_round_rebase {
    enum pl_rebase_phase phase;
    size_t grant;
    uint64_t floor;  /* of the peer when it began */
    parley_seq head; /* ours then: what is newer stays */
    bool compared;   /* the comparison under way is about this namespace too */
    parley_seq trash[PL_REBASE_TRASH_MAX];
    uint32_t trash_count;
};

struct pl_round {
    struct pl_peer *peer;
    const struct parley_env *env;
    bool asks; /* we dialed: comparisons are ours to begin */
    /* Sending. */
    bool started;         /* the peer's first STATE was seen */
    bool cursor_held;     /* R5: a comparison is due, or runs */
    struct pl_copy *copy; /* R5; NULL: none */
    parley_seq sent;
    parley_seq acked;
    size_t frame_bytes;                          /* at which the next frame of versions ends */
    struct pl_offer offers[PL_ROUND_OFFERS_MAX]; /* in order; the first is the oldest */
    size_t offer_count;
    uint32_t next_offer;
    struct pl_salt offer_salt; /* of our OFFERs */
    bool salt_sent;
    parley_seq part_seq; /* a large version is being sent; 0: none */
    size_t part_offset;
    bool part_in_log;        /* it is part of the log, not of an answer */
    bool announce_due;       /* the peer is owed a cursor, and no version comes with it */
    parley_time announce_at; /* not before; 0: now, when there is room */
    /* Comparing. */
    bool compare_due; /* begin when the logs have come so far: */
    parley_seq compare_ours, compare_theirs;
    parley_seq index_target;    /* what is compared must be in the sets up to here; 0: no wait */
    bool asked;                 /* we, who did not dial, have said that we need one */
    struct pl_descent *descent; /* NULL: none */
    struct pl_reply reply;
    bool differs[PL_PEER_GRANTS_MAX]; /* by grant: the peer's last STATE had another root, or wants
                                         this one compared */
    /* Floors. */
    int64_t grace_us;
    struct pl_round_floor floors[PL_PEER_GRANTS_MAX]; /* by grant */
    struct pl_round_rebase rebase;
    parley_time repair_at;   /* not before */
    parley_time repair_wait; /* doubles with each repair that did not help */
    /* Dry comparisons. */
    struct pl_diff *diff; /* what is counted; NULL: none runs */
    bool diff_wanted;     /* begin one */
    bool diff_tells;      /* the peer has asked for it, */
    bool diff_tell_due;   /* and is owed the result */
    bool diff_ask_due;    /* we ask the peer for one */
    bool compare_cut;     /* a dry one has more to count in the next turn */
    /* Receiving. */
    struct parley_incarnation peer_incarnation;
    parley_seq peer_head;
    parley_seq applied;   /* R2 */
    parley_seq persisted; /* as the stored cursor has it */
    parley_time persist_at;
    struct {
        uint64_t serial;   /* 0: free */
        parley_seq seq;    /* `applied` once it is durable; 0: does not move */
        parley_seq stored; /* the cursor that is in this batch; 0: none */
    } pending[2];          /* the batch in flight and the filling one */
    bool ack_due;
    /* A CHANGES frame that is being taken, across full batches. */
    bool taking;
    struct pl_reader reader;
    struct pl_change_state change;
    struct parley_version next; /* read, not yet popped */
    bool has_next;
    parley_seq taking_seq;
    bool took; /* versions of this frame are in a batch */
    /* Answers to offers, not yet sent. The sender has at most PL_ROUND_OFFERS_MAX open, so that an
     * offer can always be taken: a node that stopped to read until it can send might wait for a
     * peer that does the same. */
    struct pl_want wants[PL_ROUND_OFFERS_MAX];
    struct pl_salt their_salt; /* of the peer's OFFERs */
    bool has_their_salt;
    size_t want_count;
    /* STATE. */
    bool state_due;
    parley_time state_at;
    parley_seq stated_head;
    parley_seq stated_applied;
};

/* A snapshot of the store and what goes with it, for one call. */
struct pl_round_view {
    struct parley_read *read;
    const struct parley_db_state *state;
    struct parley_now now;
};

/* Begins: reads the cursor held for the peer and notes a new incarnation in `peer` (*peer_changed:
 * its record must be stored). `dialed`: by us. `env` gives memory and entropy to comparisons. */
PL_MUST_USE parley_err pl_round_init(struct pl_round *round, const struct parley_env *env,
                                     struct pl_peer *peer, struct parley_incarnation incarnation,
                                     bool dialed, int64_t grace_us,
                                     const struct pl_round_view *view, bool *peer_changed);
void pl_round_deinit(struct pl_round *round);
/* Whether ranges are being compared, or are about to be, so that something may move. */
bool pl_round_is_comparing(const struct pl_round *round);

/* Whether the store's sets of elements lag behind what a comparison needs. */
bool pl_round_waits_for_index(const struct pl_round *round);

/* Sends what there is to send and room for. *more: call again soon (the scan was cut). */
PL_MUST_USE parley_err pl_round_fill(struct pl_round *round, struct pl_session *session,
                                     const struct pl_round_view *view, bool *more);

/* Messages. EPROTO: close the session. EAGAIN: under the filters of both sides a view is needed
 * that is not there yet; make it, or refuse the share, and call again with the same body. */
PL_MUST_USE parley_err pl_round_on_state(struct pl_round *round, struct parley_span body,
                                         const struct pl_round_view *view);
PL_MUST_USE parley_err pl_round_on_ack(struct pl_round *round, struct parley_span body,
                                       const struct pl_round_view *view);
PL_MUST_USE parley_err pl_round_on_want(struct pl_round *round, struct parley_span body);
/* EAGAIN: no room to answer, call again with the same body. */
PL_MUST_USE parley_err pl_round_on_query(struct pl_round *round, struct pl_session *session,
                                         struct parley_span body, const struct pl_round_view *view);
PL_MUST_USE parley_err pl_round_on_answer(struct pl_round *round, struct parley_span body,
                                          const struct pl_round_view *view);
/* Begins a dry comparison, or has the peer begin it; peer->diff has the result. */
void pl_round_want_diff(struct pl_round *round);
PL_MUST_USE parley_err pl_round_on_tally(struct pl_round *round, struct parley_span body);
PL_MUST_USE parley_err pl_round_on_diff(struct pl_round *round, struct parley_span body,
                                        const struct pl_round_view *view);
/* Leaves a WANT to be sent by pl_round_fill. What is not here and may not be written by the peer is
 * not wanted, and counted in its `writes_refused`. */
PL_MUST_USE parley_err pl_round_on_offer(struct pl_round *round, struct parley_span body,
                                         const struct pl_round_view *view);

/* CHANGES: begin checks the whole frame; peek and pop give its versions one by one (NULL at
 * the end; lent until pop and the frame's end); took is called for each batch that a version of the
 * peer went into, also one that came in parts, and end when all are in batches: `serial` is the one
 * with the cursor write, 0 when there is none. */
PL_MUST_USE parley_err pl_round_changes_begin(struct pl_round *round, struct parley_span body);
PL_MUST_USE parley_err pl_round_changes_peek(struct pl_round *round,
                                             const struct parley_version **out);
void pl_round_changes_pop(struct pl_round *round);
void pl_round_took(struct pl_round *round, uint64_t serial);
void pl_round_changes_end(struct pl_round *round, uint64_t serial, parley_time now);
bool pl_round_waits_for(const struct pl_round *round, uint64_t serial);
/* The batch `serial` is durable. */
void pl_round_committed(struct pl_round *round, uint64_t serial, parley_time now);
/* Whether the cursor moved without being stored, for longer than PL_ROUND_PERSIST_NS or, with
 * `now` NEVER, at all. */
bool pl_round_wants_persist(const struct pl_round *round, parley_time now);
parley_time pl_round_deadline(const struct pl_round *round);

/* One piece of a large version. */
struct pl_part {
    size_t total; /* 0: the sender gave it up */
    size_t offset;
    struct parley_version version; /* offset 0: all but the body */
    struct parley_span bytes;
};
PL_MUST_USE parley_err pl_round_part_decode(struct parley_span body, struct pl_part *out);

/* ---- Floors, round_floor.c ---- */

/* The floor of a namespace is now `ours`, or a rebase will bring it to `guard`. */
void pl_round_set_floor(struct pl_round *round, size_t grant, uint64_t ours, uint64_t guard);
/* G5: a version of the peer is passed over; a live one of which only the time is known. */
bool pl_round_passes_over(const struct pl_round *round, const struct parley_version *version);
bool pl_round_passes_over_time(const struct pl_round *round, struct parley_span name_space,
                               uint64_t time);
/* Our own tombstones up to `floor` are dropped: what the peer lacks there goes to `rebase.trash`,
 * for the owner to take. It ends with phase COMPARED. */
void pl_round_rebase(struct pl_round *round, size_t grant, uint64_t floor, parley_seq head);

#endif
