/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the two halves of the round only.
 */
#ifndef PL_ROUND_INT_H
#define PL_ROUND_INT_H

#include "sync/round.h"

void pl_round_note_behind(struct pl_round *round, parley_seq head);
bool pl_round_is_large(const struct parley_version *version);
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
