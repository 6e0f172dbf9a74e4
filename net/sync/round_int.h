/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the two halves of the round only.
 */
#ifndef PL_ROUND_INT_H
#define PL_ROUND_INT_H

#include "sync/round.h"
#include "sync/state.h"

void pl_round_note_behind(struct pl_round *round, parley_seq head);
bool pl_round_is_large(const struct parley_version *version);
/* One more version of a CHANGES frame; false: the frame is to end before it. */
bool pl_round_write_change(const struct pl_round *round, struct pl_writer *w,
                           struct pl_change_state *state, const struct parley_version *version);
/* Sends a CHANGES frame, and lets the next be larger; NULL: there is nothing in it. */
void pl_round_end_changes(struct pl_round *round, struct pl_session *session, struct pl_writer *w);
/* The version with this sequence leaves in pieces; nothing else of ours may be in pieces then. */
void pl_round_begin_part(struct pl_round *round, parley_seq seq, bool in_log);

/* ---- round_offer.c: what is relayed ---- */

/* Puts a version of the log into the offer that gathers. False: there is no room, go on later. */
bool pl_offer_gather(struct pl_round *round, parley_seq seq, parley_time now);
/* Sends what is due, or serves what was answered; *sent: something was. */
PL_MUST_USE parley_err pl_offer_step(struct pl_round *round, struct pl_session *session,
                                     const struct pl_round_view *view, bool *sent);
/* When the offer that gathers, or a cursor that is owed, is due. */
parley_time pl_offer_deadline(const struct pl_round *round);
/* R3, the peer's grants, and the filters of both. */
bool pl_round_is_for_peer(const struct pl_round *round, const struct parley_change *change,
                          parley_wall now);

/* ---- round_floor.c: what is too old to be sent ---- */

parley_err pl_round_load_floors(struct pl_round *round, const struct pl_round_view *view);
/* Takes over what a STATE says, and judges. */
parley_err pl_round_note_floor(struct pl_round *round, size_t grant,
                               const struct pl_state_space *said, const struct pl_round_view *view);
uint64_t pl_round_cut(const struct pl_round *round, size_t grant);
/* G4: the peer gets nothing of this time. */
bool pl_round_withholds(const struct pl_round *round, const struct parley_version *version);
bool pl_round_is_stale(const struct pl_round *round);

enum pl_round_fate {
    PL_FATE_SEND,
    PL_FATE_SKIP, /* it stays here */
    PL_FATE_TRASH,
    PL_FATE_WAIT /* for room in the trash of the rebase */
};
/* Of a version that the peer lacks; `compared`: as a comparison has found. */
enum pl_round_fate pl_round_fate_of(struct pl_round *round, const struct parley_change *change,
                                    bool compared);
/* A comparison begins, is about a namespace, or has ended. */
void pl_round_rebase_begins(struct pl_round *round);
void pl_round_rebase_compares(struct pl_round *round, struct parley_span name_space);
void pl_round_rebase_ends(struct pl_round *round);

/* ---- round_compare.c: when ranges are compared, and what ends that ---- */

/* One is to begin when both logs, as far as they have a cursor, have come to where they are now. */
void pl_round_want_compare(struct pl_round *round, const struct pl_round_view *view);
/* After a STATE: `settled`: both sides have each other's log. */
void pl_round_plan_compare(struct pl_round *round, bool settled, bool peer_asks,
                           const struct pl_round_view *view);
/* Begins what is due and goes on with what has begun; *sent: something was. */
PL_MUST_USE parley_err pl_round_compare_step(struct pl_round *round, struct pl_session *session,
                                             const struct pl_round_view *view, bool *sent);

/* Allocates the descent; the caller names its spaces. */
PL_MUST_USE parley_err pl_round_begin_descent(struct pl_round *round,
                                              const struct pl_round_view *view);

/* Whether the store's sets have all that the log had when this was asked first; the node brings
 * them on until then. */
bool pl_round_is_indexed(struct pl_round *round, const struct pl_round_view *view);

/* ---- round_diff.c: dry comparisons ---- */

PL_MUST_USE parley_err pl_round_begin_diff(struct pl_round *round,
                                           const struct pl_round_view *view);
void pl_round_end_diff(struct pl_round *round, parley_wall now);
void pl_round_drop_diff(struct pl_round *round);
/* Sends a DIFF that is due. False: there is no room. */
bool pl_round_send_diff(struct pl_round *round, struct pl_session *session, bool *sent);

#endif
