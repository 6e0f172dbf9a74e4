/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions out of the log's order; see sender.h.
 */
#include "sync/round_int.h"
#include "sync/sender.h"

static bool open_frame(struct pl_sender *s)
{
    if (s->open)
        return true;
    if (!pl_session_send_begin(s->session, PL_MSG_CHANGES, PL_ROUND_FRAME_BYTES, &s->w))
        return false;
    s->open = true;
    s->change = (struct pl_change_state){ 0 };
    pl_change_put_seq(pl_writer_reserve(&s->w, PL_CHANGE_SEQ_BYTES), 0);
    return true;
}

void pl_sender_end(struct pl_sender *s)
{
    if (!s->open)
        return;
    s->open = false;
    pl_round_end_changes(s->round, s->session, s->w.len > PL_CHANGE_SEQ_BYTES ? &s->w : NULL);
}

static parley_err count(struct pl_sender *s, parley_seq seq, bool *taken)
{
    struct parley_change change;
    bool found = false;
    s->cut = s->counted == PL_ROUND_SCAN_MAX;
    *taken = !s->cut;
    if (s->cut)
        return PARLEY_OK;
    s->counted++;
    PL_TRY(parley_read_change(s->view->read, seq, &change, &found));
    if (found && pl_round_fate_of(s->round, &change, false) == PL_FATE_SEND)
        pl_tally_add(s->tally, s->salt, &change.version);
    return PARLEY_OK;
}

bool pl_sender_has_room(struct pl_sender *s)
{
    return s->round->part_seq == 0 && open_frame(s);
}

bool pl_sender_add_change(struct pl_sender *s, const struct parley_change *change)
{
    if (!pl_sender_has_room(s))
        return false;
    if (pl_round_is_large(&change->version)) {
        pl_sender_end(s);
        pl_round_begin_part(s->round, change->seq, false);
        return true;
    }
    if (!pl_round_write_change(s->round, &s->w, &s->change, &change->version)) {
        pl_sender_end(s);
        if (!open_frame(s))
            return false;
        bool fits = pl_round_write_change(s->round, &s->w, &s->change, &change->version);
        PL_ASSERT(fits); /* an empty frame holds whatever is not large */
    }
    s->round->peer->versions_out++;
    return true;
}

parley_err pl_sender_add(struct pl_sender *s, parley_seq seq, bool *taken)
{
    if (s->tally != NULL)
        return count(s, seq, taken);
    struct parley_change change;
    bool found = false;
    *taken = false;
    if (!pl_sender_has_room(s))
        return PARLEY_OK;
    PL_TRY(parley_read_change(s->view->read, seq, &change, &found));
    enum pl_round_fate fate =
        found ? pl_round_fate_of(s->round, &change, s->compared) : PL_FATE_SKIP;
    *taken = fate != PL_FATE_WAIT;
    if (fate == PL_FATE_SEND)
        *taken = pl_sender_add_change(s, &change);
    return PARLEY_OK;
}
