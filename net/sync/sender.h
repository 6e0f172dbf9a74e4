/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions that leave out of the log's order, in CHANGES frames that move no cursor. A sender lives
 * within one call: init, add any number, end.
 */
#ifndef PL_SENDER_H
#define PL_SENDER_H

#include "sync/round.h"
#include "sync/tally.h"

struct pl_sender {
    struct pl_round *round;
    struct pl_session *session;
    const struct pl_round_view *view;
    bool compared; /* a comparison has found that the peer lacks what is added */
    bool open;     /* a frame is begun */
    struct pl_writer w;
    struct pl_change_state change;
    /* A dry comparison: versions are counted here and stay. `cut`: enough for this turn. */
    struct pl_tally *tally;
    const struct pl_salt *salt;
    uint32_t counted;
    bool cut;
};

/* Adds the version with this sequence; one that was overwritten since is passed over, and what is
 * too old for the peer, which may go to the trash instead. *taken false: there is no room now, or a
 * large version is on its way; add it again later. */
PL_MUST_USE parley_err pl_sender_add(struct pl_sender *sender, parley_seq seq, bool *taken);
/* The same of a change that was just read in the sender's view. False: not taken. */
bool pl_sender_add_change(struct pl_sender *sender, const struct parley_change *change);
/* Whether a version can be added now. */
bool pl_sender_has_room(struct pl_sender *sender);
/* Sends the frame that is begun, or drops it when nothing is in it. */
void pl_sender_end(struct pl_sender *sender);

#endif
