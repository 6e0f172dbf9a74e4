/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of a round. Order of what is sent when there is room: ACK, WANT, STATE, the rest
 * of a large version, what an offer's answer wants, new offers, the change log, a copy, a
 * comparison. Each step either sends something, or finds that nothing is left, or that there is no
 * room.
 */
#include "core/mp_write.h"
#include "sync/copy.h"
#include "sync/round_int.h"

#define STATE_BYTES_MAX (PL_STATE_HEAD_BYTES_MAX + PL_PEER_GRANTS_MAX * PL_STATE_SPACE_BYTES_MAX)
_Static_assert(PL_PEER_GRANTS_MAX <= PARLEY_SHARED_NAMESPACES_MAX, "a STATE names each grant");

/* In the place of the head in a STATE that is to be said again; no log is that long. */
#define NOT_STATED UINT64_MAX

enum step { STEP_SENT, STEP_NOTHING, STEP_NO_ROOM, STEP_CUT };

static bool has_pending(const struct pl_round *round)
{
    return round->pending[0].serial != 0 || round->pending[1].serial != 0;
}

static enum step send_ack(struct pl_round *round, struct pl_session *session)
{
    struct pl_writer w;
    if (!round->ack_due)
        return STEP_NOTHING;
    if (!pl_session_send_begin(session, PL_MSG_ACK, 16, &w))
        return STEP_NO_ROOM;
    pl_mp_write_array(&w, 1);
    pl_mp_write_uint(&w, round->applied);
    pl_session_send_end(session, &w);
    round->ack_due = false;
    return STEP_SENT;
}

static enum step send_want(struct pl_round *round, struct pl_session *session)
{
    struct pl_writer w;
    struct pl_want *want = &round->wants[0];
    if (round->want_count == 0)
        return STEP_NOTHING;
    if (!pl_session_send_begin(session, PL_MSG_WANT, sizeof want->bits + 32, &w))
        return STEP_NO_ROOM;
    pl_mp_write_array(&w, 2);
    pl_mp_write_uint(&w, want->number);
    pl_mp_write_bin(&w, pl_span_of(want->bits, (want->count + 7) / 8));
    pl_session_send_end(session, &w);
    round->want_count--;
    memmove(&round->wants[0], &round->wants[1], round->want_count * sizeof round->wants[0]);
    return STEP_SENT;
}

/* A STATE is due at the start, now and then, and when both directions have come to rest, so that
 * the peer can compare roots. */
static bool is_state_due(const struct pl_round *round, const struct pl_round_view *view)
{
    if (round->state_due || view->now.mono >= round->state_at)
        return true;
    for (size_t i = 0; i < round->peer->grant_count; i++)
        if (pl_share_has_moved(round->peer, i, view->now.wall))
            return true;
    parley_seq head = view->state->head;
    bool rests = round->started && !pl_round_is_comparing(round) && round->acked == head &&
                 !has_pending(round);
    return rests && (round->stated_head != head || round->stated_applied != round->applied);
}

/* What is shared of the namespace of a grant, *named false: nothing of it. *ready false: a view is
 * being made. */
static parley_err describe_space(struct pl_round *round, size_t grant,
                                 const struct pl_round_view *view, struct pl_state_space *out,
                                 bool *named, bool *ready)
{
    struct pl_peer *peer = round->peer;
    struct pl_share *share = &peer->shares[grant];
    struct parley_namespace_info info;
    bool found = false;
    bool open = share->state == PL_SHARE_OPEN;
    parley_wall synced = peer->synced_at[grant];
    /* The other side of filters that exclude each other must learn that too. */
    struct pl_scope scope = open ? pl_share_scope(peer, grant, view->now.wall)
                                 : pl_share_own_scope(peer, grant, view->now.wall);
    *named = share->state != PL_SHARE_REFUSED;
    if (!*named)
        return PARLEY_OK;
    PL_TRY(pl_share_is_ready(view->read, &scope, ready));
    if (!*ready)
        return PARLEY_OK;
    PL_TRY(parley_read_namespace_named(view->read, scope.name_space, &info, &found));
    *out = (struct pl_state_space){ .name_space = scope.name_space,
                                    .floor = found ? info.floor : 0,
                                    .clean = found ? info.clean : 0,
                                    .counted = synced > 0 ? (uint64_t)synced : 0,
                                    .cut = scope.cut,
                                    .since = scope.since,
                                    .prefix = scope.prefix };
    round->floors[grant].stated_cut = scope.cut;
    share->stated_since = scope.since;
    share->stated_prefix_len = (uint8_t)scope.prefix.len;
    return pl_range_root(view->read, &scope, &out->root);
}

static parley_err describe(struct pl_round *round, const struct pl_round_view *view,
                           struct pl_state *out, bool *ready)
{
    out->head = view->state->head;
    out->has_cursor = round->applied > 0;
    out->cursor_incarnation = round->peer_incarnation;
    out->cursor = round->applied;
    out->wall = view->now.wall;
    out->space_count = 0;
    *ready = true;
    for (size_t i = 0; i < round->peer->grant_count && *ready; i++) {
        bool named = false;
        PL_TRY(describe_space(round, i, view, &out->spaces[out->space_count], &named, ready));
        out->space_count += named ? 1 : 0;
    }
    bool runs = round->reply.running && round->reply.dry == NULL;
    out->compare =
        !round->asks && !runs && (round->cursor_held || round->rebase.phase == PL_REBASE_WANTED);
    return PARLEY_OK;
}

static parley_err send_state(struct pl_round *round, struct pl_session *session,
                             const struct pl_round_view *view, enum step *step)
{
    struct pl_state state;
    struct pl_writer w;
    *step = STEP_NOTHING;
    if (!is_state_due(round, view))
        return PARLEY_OK;
    /* Due from now on, whenever there is room; the clock need not wake us for it again. */
    round->state_due = true;
    round->state_at = view->now.mono + PL_ROUND_STATE_NS;
    bool ready = false;
    PL_TRY(describe(round, view, &state, &ready));
    if (!ready) {
        pl_peer_set_note(round->peer, PL_ROUND_PREPARING);
        return PARLEY_OK;
    }
    *step = STEP_NO_ROOM;
    if (!pl_session_send_begin(session, PL_MSG_STATE, STATE_BYTES_MAX, &w))
        return PARLEY_OK;
    pl_state_write(&w, &state);
    pl_session_send_end(session, &w);
    round->state_due = false;
    /* What the peer has not acknowledged yet makes it no proof: said again when that has come. */
    bool whole = !round->started || round->acked == view->state->head;
    round->stated_head = whole ? view->state->head : NOT_STATED;
    round->stated_applied = round->applied;
    *step = STEP_SENT;
    return PARLEY_OK;
}

/* Sends a CHANGES without versions: the cursor moves. */
static enum step send_cursor(struct pl_session *session, parley_seq seq)
{
    struct pl_writer w;
    if (!pl_session_send_begin(session, PL_MSG_CHANGES, PL_CHANGE_SEQ_BYTES, &w))
        return STEP_NO_ROOM;
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), seq);
    pl_session_send_end(session, &w);
    return STEP_SENT;
}

/* ---- A version too large for a frame, in pieces; re-read for each, so nothing is held ---- */

bool pl_round_is_large(const struct parley_version *version)
{
    return version->body.len > PL_CHANGE_BODY_BYTES_MAX;
}

void pl_round_begin_part(struct pl_round *round, parley_seq seq, bool in_log)
{
    PL_ASSERT(round->part_seq == 0);
    round->part_seq = seq;
    round->part_offset = 0;
    round->part_in_log = in_log;
}

static parley_err send_part(struct pl_round *round, struct pl_session *session,
                            const struct pl_round_view *view, enum step *step)
{
    struct parley_change change;
    struct pl_writer w;
    bool found = false;
    *step = STEP_NO_ROOM;
    if (!pl_session_send_begin(session, PL_MSG_PART, PL_ROUND_FRAME_BYTES, &w))
        return PARLEY_OK;
    /* Only now: the read checks the whole body's checksum. */
    parley_err err = parley_read_change(view->read, round->part_seq, &change, &found);
    if (err != PARLEY_OK) {
        pl_session_send_end(session, NULL);
        return err;
    }
    /* The floor of the peer may have risen since it began. */
    found = found && pl_round_fate_of(round, &change, false) == PL_FATE_SEND;
    size_t total = found ? change.version.body.len : 0;
    PL_ASSERT(round->part_offset <= total || !found);
    pl_mp_write_uint(&w, total);
    pl_mp_write_uint(&w, found ? round->part_offset : 0);
    if (found && round->part_offset == 0) {
        pl_mp_write_str(&w, change.version.name_space);
        pl_mp_write_str(&w, change.version.conversation);
        pl_mp_write_str(&w, change.version.origin);
        pl_mp_write_uint(&w, (uint64_t)change.version.kind);
        pl_mp_write_str(&w, change.version.id);
        pl_mp_write_uint(&w, change.version.time);
    }
    size_t room = w.cap - w.len - 8; /* the longest bin header is 5 bytes */
    size_t len = found ? pl_min_size(room, total - round->part_offset) : 0;
    const uint8_t *from = found ? change.version.body.ptr + round->part_offset : NULL;
    pl_mp_write_bin(&w, pl_span_of(from, len));
    PL_ASSERT(w.err == PARLEY_OK);
    pl_session_send_end(session, &w);
    round->part_offset += len;
    if (!found || round->part_offset == total) {
        round->part_seq = 0;
        round->peer->versions_out++;
        round->announce_due = round->announce_due || round->part_in_log;
    }
    *step = STEP_SENT;
    return PARLEY_OK;
}

/* ---- The change log ---- */

/* The cursor that the peer may have: everything up to it has been sent, or it has it. R5. */
static parley_seq cursor_for_peer(const struct pl_round *round)
{
    if (round->cursor_held || round->copy != NULL)
        return 0;
    return round->offer_count > 0 ? round->offers[0].seq_from : round->sent;
}

bool pl_round_is_for_peer(const struct pl_round *round, const struct parley_change *change,
                          parley_wall now)
{
    bool echo = change->source == round->peer->number && change->seq > round->peer->incarnation_seq;
    return !echo && pl_share_has(round->peer, &change->version, now) &&
           !pl_round_withholds(round, &change->version);
}

static bool is_offered_first(const struct parley_change *change)
{
    return change->source != 0 && change->version.body.len >= PL_ROUND_OFFER_BYTES_MIN;
}

bool pl_round_write_change(const struct pl_round *round, struct pl_writer *w,
                           struct pl_change_state *state, const struct parley_version *version)
{
    return w->len < round->frame_bytes && pl_change_write(w, state, version);
}

void pl_round_end_changes(struct pl_round *round, struct pl_session *session, struct pl_writer *w)
{
    pl_session_send_end(session, w);
    if (w != NULL)
        round->frame_bytes = pl_min_size(2 * round->frame_bytes, PL_ROUND_FRAME_BYTES);
}

/* Fills one CHANGES frame from the log, up to what must leave in another way. */
static parley_err write_log(struct pl_round *round, const struct pl_round_view *view,
                            struct pl_writer *w, enum step *step, bool *send)
{
    struct pl_change_state change_state = { 0 };
    struct parley_feed feed;
    PL_TRY(parley_feed_begin(view->read, round->sent, &feed));
    uint8_t *seq_at = pl_writer_reserve(w, PL_CHANGE_SEQ_BYTES);
    parley_seq covered = view->state->head;
    for (uint32_t scanned = 1;; scanned++) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found)
            break;
        bool wanted = pl_round_is_for_peer(round, &change, view->now.wall);
        if (wanted && is_offered_first(&change)) {
            wanted = !pl_offer_gather(round, change.seq, view->now.mono);
            if (wanted) {
                covered = change.seq - 1;
                break;
            }
        }
        if (wanted && pl_round_is_large(&change.version)) {
            bool alone = w->len == PL_CHANGE_SEQ_BYTES;
            covered = alone ? change.seq : change.seq - 1;
            if (alone)
                pl_round_begin_part(round, change.seq, true);
            break;
        }
        if (wanted && !pl_round_write_change(round, w, &change_state, &change.version)) {
            covered = change.seq - 1;
            break;
        }
        round->peer->versions_out += wanted ? 1 : 0;
        if (scanned == PL_ROUND_SCAN_MAX) {
            covered = change.seq;
            *step = STEP_CUT;
            break;
        }
    }
    *send = w->len > PL_CHANGE_SEQ_BYTES;
    round->sent = pl_max_u64(covered, round->sent);
    pl_change_put_seq(seq_at, cursor_for_peer(round));
    return PARLEY_OK;
}

/* Owes the peer a cursor, soon: what comes meanwhile brings it along. */
static void owe_cursor(struct pl_round *round, parley_time now)
{
    if (round->announce_due)
        return;
    round->announce_due = true;
    round->announce_at = now + PL_ROUND_RELAY_NS;
}

static parley_err send_log(struct pl_round *round, struct pl_session *session,
                           const struct pl_round_view *view, enum step *step)
{
    struct pl_writer w;
    *step = STEP_NOTHING;
    if (round->sent >= view->state->head)
        return PARLEY_OK;
    *step = STEP_NO_ROOM;
    if (!pl_session_send_begin(session, PL_MSG_CHANGES, PL_ROUND_FRAME_BYTES, &w))
        return PARLEY_OK;
    *step = STEP_SENT;
    bool send = true;
    parley_seq before = round->sent;
    parley_seq cursor = cursor_for_peer(round);
    parley_err err = write_log(round, view, &w, step, &send);
    send = send && err == PARLEY_OK;
    pl_round_end_changes(round, session, send ? &w : NULL);
    if (send)
        round->announce_due = false;
    else if (cursor_for_peer(round) > cursor && round->part_seq == 0)
        owe_cursor(round, view->now.mono);
    if (!send && round->sent == before)
        *step = STEP_NOTHING; /* what comes next waits for an offer to be served */
    return err;
}

/* ---- The whole ---- */

static parley_err send_next(struct pl_round *round, struct pl_session *session,
                            const struct pl_round_view *view, enum step *step)
{
    *step = send_ack(round, session);
    if (*step == STEP_NOTHING)
        *step = send_want(round, session);
    if (*step != STEP_NOTHING)
        return PARLEY_OK;
    PL_TRY(send_state(round, session, view, step));
    if (*step != STEP_NOTHING || !round->started)
        return PARLEY_OK;
    bool sent = false;
    if (!pl_round_send_diff(round, session, &sent))
        *step = STEP_NO_ROOM;
    else if (sent)
        *step = STEP_SENT;
    if (*step != STEP_NOTHING)
        return PARLEY_OK;
    if (round->part_seq != 0)
        return send_part(round, session, view, step);
    /* A cursor may pass over a version in pieces only when the last of them has left. */
    if (round->announce_due && view->now.mono >= round->announce_at)
        round->announce_at = 0;
    bool withheld = round->cursor_held || round->copy != NULL;
    if (round->announce_due && !withheld && round->announce_at == 0) {
        *step = send_cursor(session, cursor_for_peer(round));
        round->announce_due = *step != STEP_SENT;
        return PARLEY_OK;
    }
    PL_TRY(pl_offer_step(round, session, view, &sent));
    if (!sent)
        PL_TRY(send_log(round, session, view, step));
    if (sent || *step != STEP_NOTHING) {
        *step = sent ? STEP_SENT : *step;
        return PARLEY_OK;
    }
    bool cut = false;
    if (round->copy != NULL)
        PL_TRY(pl_copy_step(round, session, view, &sent, &cut));
    else
        PL_TRY(pl_round_compare_step(round, session, view, &sent));
    *step = sent ? STEP_SENT : STEP_NOTHING;
    *step = cut ? STEP_CUT : *step;
    return PARLEY_OK;
}

parley_err pl_round_fill(struct pl_round *round, struct pl_session *session,
                         const struct pl_round_view *view, bool *more)
{
    *more = false;
    round->compare_cut = false;
    for (;;) {
        enum step step = STEP_NOTHING;
        PL_TRY(send_next(round, session, view, &step));
        if (step == STEP_CUT)
            *more = true;
        if (step != STEP_SENT)
            break;
    }
    *more = *more || round->compare_cut || round->reply.cut;
    pl_round_note_behind(round, view->state->head);
    return PARLEY_OK;
}
