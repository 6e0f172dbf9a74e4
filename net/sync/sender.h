/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions that leave out of the log's order, in CHANGES frames that move no cursor. A sender lives
 * within one call: init, add any number, end.
 */
#ifndef PL_SENDER_H
#define PL_SENDER_H

#include "sync/round.h"

struct pl_sender {
    struct pl_round *round;
    struct pl_session *session;
    const struct pl_round_view *view;
    bool compared; /* a comparison has found that the peer lacks what is added */
    bool open;     /* a frame is begun */
    struct pl_writer w;
    struct pl_change_state change;
};

/* Adds the version with this sequence; one that was overwritten since is passed over, and what is
 * too old for the peer, which may go to the trash instead. *taken false: there is no room now, or a
 * large version is on its way; add it again later. */
PL_MUST_USE parley_err pl_sender_add(struct pl_sender *sender, parley_seq seq, bool *taken);
/* Sends the frame that is begun, or drops it when nothing is in it. */
void pl_sender_end(struct pl_sender *sender);

#endif
