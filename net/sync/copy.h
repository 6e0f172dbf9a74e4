/* SPDX-License-Identifier: Apache-2.0
 *
 * The cold copy: what a side sends to a peer whose shared namespaces are all empty. Conversations
 * leave whole, the most recently updated first, so that a fresh device shows what is current after
 * the first frames. It takes the place of the log up to S, our head when it began; what is written
 * later goes by the log as ever, and before what is left of the copy. It waits until the store's
 * sets have come to S.
 *
 *   begin -> NEXT --a version of a conversation not sent yet--> TALK --all its registers--> NEXT
 *            NEXT --no version is left--> the copy is freed, the peer gets its cursor
 *
 * NEXT walks the elements of all shared namespaces together from the newest point down. Numbers of
 * conversations are dense, so a bitmap says which were sent; what is in one whose number does not
 * fit goes version by version, in the order of the walk.
 *
 * Invariants
 *   C1  Memory is this struct, whatever the store holds. No snapshot is held between calls: the
 *       position is a point in each namespace and a register in the conversation.
 *   C2  When it ends, each version with a sequence up to S that is still current and is the peer's
 *       to have (pl_round_is_for_peer) was sent. Proof: a version keeps its sequence and never
 *       comes back once overwritten, so this one was current throughout. Its point is an element
 *       throughout, and the walk, which only descends, comes to it once. Then it was sent itself,
 *       or its conversation is marked; a marked one is walked to its end before anything else, its
 *       registers in their order, and this register was among them throughout.
 *   C3  What was overwritten meanwhile has a sequence above S, hence is in the log.
 *   C4  The peer gets no cursor while it runs (R5), so a copy that is cut leaves none: the next
 *       session compares the sets, newest first too, and sends only what is missing.
 *
 * Threads: the node's. Ownership: the round's, allocated for one copy.
 */
#ifndef PL_COPY_H
#define PL_COPY_H

#include "sync/round.h"

/* Conversations that leave whole. With the rest at most 64 KiB a session. */
#define PL_COPY_TALKS_MAX PL_LIMIT(507904u, 16u)

struct pl_copy_space {
    bool begun;
    struct parley_point at; /* all elements from here up are dealt with */
};

struct pl_copy {
    parley_seq head;                  /* S */
    bool begun;                       /* the store's sets have come to S */
    uint64_t total;                   /* versions there were to send at the start */
    uint64_t passed;                  /* of them, sent or not the peer's to have */
    struct parley_register_name talk; /* TALK: the register that left last; number 0: NEXT */
    struct pl_copy_space spaces[PL_PEER_GRANTS_MAX]; /* by grant */
    uint8_t marked[PL_COPY_TALKS_MAX / 8];           /* by number of conversation */
};
_Static_assert(sizeof(struct pl_copy) <= 64u << 10, "the memory of a session is counted on");

/* Begins one, for a round that sends nothing before its head. Errors: ENOMEM, store errors. */
PL_MUST_USE parley_err pl_copy_begin(struct pl_round *round, const struct pl_round_view *view);
/* Sends versions while there is room. *sent: something was, or the copy has ended; *cut: call
 * again soon, enough was looked at. */
PL_MUST_USE parley_err pl_copy_step(struct pl_round *round, struct pl_session *session,
                                    const struct pl_round_view *view, bool *sent, bool *cut);
/* Frees it, if there is one. */
void pl_copy_drop(struct pl_round *round);

#endif
