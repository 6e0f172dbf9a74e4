/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiving half and the verdicts: STATE, ACK, CHANGES, PART. round_send.c is the other half.
 */
#include "sync/round.h"

#include "core/digest.h"
#include "core/mp_read.h"
#include "sync/copy.h"
#include "sync/round_int.h"

parley_err pl_round_init(struct pl_round *round, const struct parley_env *env, struct pl_peer *peer,
                         struct parley_incarnation incarnation, bool dialed, int64_t grace_us,
                         const struct pl_round_view *view, bool *peer_changed)
{
    *round = (struct pl_round){ .peer = peer,
                                .env = env,
                                .asks = dialed,
                                .peer_incarnation = incarnation,
                                .next_offer = 1,
                                .frame_bytes = PL_ROUND_FIRST_FRAME_BYTES,
                                .grace_us = grace_us };
    struct parley_incarnation held;
    parley_seq seq = 0;
    bool found = false;
    PL_TRY(parley_read_cursor(view->read, peer->number, &held, &seq, &found));
    if (found && memcmp(held.bytes, incarnation.bytes, sizeof held.bytes) == 0)
        round->applied = seq;
    round->persisted = round->applied;
    round->persist_at = PARLEY_TIME_NEVER;
    round->state_due = true;
    round->state_at = view->now.mono;
    *peer_changed = memcmp(peer->incarnation.bytes, incarnation.bytes, sizeof held.bytes) != 0;
    if (*peer_changed) {
        peer->incarnation = incarnation;
        peer->incarnation_seq = view->state->head;
        peer->acked = 0; /* it has forgotten, or is another */
        peer->acked_stored = 0;
    }
    pl_share_begin(peer);
    peer->sync = PL_SYNC_CATCHING_UP;
    peer->root_equal = false;
    if (peer->diff.state == PL_DIFF_RUNNING)
        peer->diff.state = PL_DIFF_NONE;
    peer->to_copy = 0;
    peer->since = view->now.wall;
    pl_peer_set_note(peer, "comparing");
    return pl_round_load_floors(round, view);
}

/* ---- STATE ---- */

/* What the roots of the namespaces that both sides share say: those we granted and the peer names.
 */
struct comparison {
    bool counts; /* all of them were said under the filters that we hold */
    bool agreed; /* and under the cut that we know; else they say nothing yet */
    bool equal;
    bool ours_empty, theirs_empty;
    bool filtered;       /* at least one is of a part of its namespace */
    const char *blocked; /* why something is not shared at all, or NULL */
};

static const struct pl_state_space *find_space(const struct pl_state *msg, struct parley_span name)
{
    for (size_t i = 0; i < msg->space_count; i++) {
        if (pl_span_equal(msg->spaces[i].name_space, name))
            return &msg->spaces[i];
    }
    return NULL;
}

/* Takes over the peer's filters. EAGAIN: a view is to be made first. */
static parley_err learn_filters(struct pl_round *round, const struct pl_state *msg,
                                const struct pl_round_view *view)
{
    struct pl_peer *peer = round->peer;
    bool all = true;
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct parley_span name = pl_span_text(peer->grants[i].name_space);
        const struct pl_state_space *said = find_space(msg, name);
        bool ready = true;
        if (said == NULL)
            continue;
        pl_share_learn(&peer->shares[i], pl_span_text(peer->grants[i].filter.prefix), said->since,
                       said->prefix);
        struct pl_scope scope = pl_share_scope(peer, i, view->now.wall);
        if (peer->shares[i].state == PL_SHARE_OPEN)
            PL_TRY(pl_share_is_ready(view->read, &scope, &ready));
        all = all && ready;
    }
    if (!all)
        pl_peer_set_note(peer, PL_ROUND_PREPARING);
    return all ? PARLEY_OK : PARLEY_EAGAIN;
}

/* One namespace that both sides name. */
static parley_err compare_root(struct pl_round *round, size_t grant,
                               const struct pl_state_space *said, const struct pl_round_view *view,
                               struct comparison *out)
{
    struct pl_scope scope = pl_share_scope(round->peer, grant, view->now.wall);
    struct parley_root ours;
    if (said->since != scope.since || !pl_span_equal(said->prefix, scope.prefix)) {
        out->counts = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_range_root(view->read, &scope, &ours));
    bool agreed = said->cut == scope.cut;
    round->differs[grant] = !agreed || !pl_root_equal(&ours, &said->root);
    out->agreed = out->agreed && agreed;
    out->equal = out->equal && !round->differs[grant];
    out->ours_empty = out->ours_empty && ours.count == 0;
    out->theirs_empty = out->theirs_empty && said->root.count == 0;
    out->filtered = out->filtered || scope.since != 0 || scope.prefix.len != 0;
    pl_peer_note_root(round->peer, grant, &said->root, !round->differs[grant], view->now.wall);
    return PARLEY_OK;
}

static parley_err compare_roots(struct pl_round *round, const struct pl_state *msg,
                                const struct pl_round_view *view, struct comparison *out)
{
    struct pl_peer *peer = round->peer;
    *out = (struct comparison){
        .counts = true, .agreed = true, .equal = true, .ours_empty = true, .theirs_empty = true
    };
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct parley_span name = pl_span_text(peer->grants[i].name_space);
        const struct pl_state_space *said = find_space(msg, name);
        round->differs[i] = false;
        PL_TRY(pl_round_note_floor(round, i, said, view));
        if (said != NULL && peer->shares[i].state == PL_SHARE_OPEN) {
            PL_TRY(compare_root(round, i, said, view, out));
            /* It rebases on our floor: also what is equal, so that it knows. */
            if (msg->compare && said->floor < round->floors[i].ours)
                round->differs[i] = true;
            continue;
        }
        pl_peer_note_root(peer, i, NULL, true, view->now.wall);
        if (said != NULL)
            out->blocked = peer->shares[i].state == PL_SHARE_EXCLUDED
                               ? "filters exclude each other: the prefixes of both sides differ"
                               : "the peer's filter is refused here: set it with parley approve";
    }
    return PARLEY_OK;
}

static bool is_cursor_ours(const struct pl_state *msg, const struct pl_round_view *view)
{
    return msg->has_cursor && memcmp(msg->cursor_incarnation.bytes, view->state->incarnation.bytes,
                                     PARLEY_INCARNATION_BYTES) == 0;
}

/* The first STATE of a session decides where sending begins, and whether sets are compared. */
static parley_err choose_start(struct pl_round *round, const struct pl_state *msg,
                               const struct pl_round_view *view, const struct comparison *c)
{
    bool known = is_cursor_ours(msg, view) && msg->cursor <= view->state->head;
    /* The whole log is not read for a part of it. */
    bool differ = !c->equal && (c->filtered || (!c->ours_empty && !c->theirs_empty));
    round->started = true;
    /* A peer that lost its last sequences without a new incarnation. */
    if (round->applied > msg->head) {
        round->applied = 0;
        round->persisted = 0;
    }
    if (known) {
        round->sent = msg->cursor;
        round->acked = msg->cursor;
    } else if (c->equal || c->ours_empty) {
        round->sent = view->state->head;
        round->announce_due = view->state->head != 0;
    } else {
        round->sent = view->state->head;
        round->cursor_held = c->filtered || !c->theirs_empty;
        if (!round->cursor_held)
            PL_TRY(pl_copy_begin(round, view));
    }
    if (differ && (!known || (round->applied == 0 && msg->head != 0)))
        pl_round_want_compare(round, view);
    return PARLEY_OK;
}

/* G4: where a namespace is the same, and neither side holds anything back. What proves it is the
 * peer's state when it said so, by its clock, which its clean time is of too: since then it may
 * have put aside what both had. */
static void note_synced(struct pl_round *round, const struct pl_state *msg,
                        const struct pl_round_view *view)
{
    struct pl_peer *peer = round->peer;
    if (memcmp(&peer->synced_life, &view->state->incarnation, sizeof peer->synced_life) != 0)
        memset(peer->synced_at, 0, sizeof peer->synced_at);
    peer->synced_life = view->state->incarnation;
    for (size_t i = 0; i < peer->grant_count; i++) {
        enum pl_floor_relation relation = round->floors[i].relation;
        bool even = relation == PL_FLOOR_EVEN || relation == PL_FLOOR_FOLLOW;
        if (!peer->roots[i].named || round->differs[i] || !even)
            continue;
        parley_wall at = msg->wall < view->now.wall ? msg->wall : view->now.wall;
        /* The peer will judge by it: a crash must not make it one that is away (G3). */
        if (at - peer->synced_at[i] > round->grace_us / PL_FLOOR_STORE_PART)
            peer->synced_anew = true;
        peer->synced_at[i] = at;
    }
}

static void set_verdict(struct pl_round *round, enum pl_sync_state sync, const char *note,
                        parley_wall now)
{
    struct pl_peer *peer = round->peer;
    if (peer->sync != sync)
        peer->since = now;
    peer->sync = sync;
    peer->root_equal = sync == PL_SYNC_IN_SYNC;
    if (sync == PL_SYNC_IN_SYNC)
        peer->last_sync_at = now;
    pl_peer_set_note(peer, note);
}

#define STALE_NOTE "away for longer than deletions are kept: comparing before what is old is sent"
#define SKEW_NOTE  "the clocks differ by over 5 minutes: what is stamped ahead waits for its time"

static bool is_skewed(const struct pl_peer *peer)
{
    return peer->skew_us > PARLEY_CLOCK_DRIFT_US_MAX || peer->skew_us < -PARLEY_CLOCK_DRIFT_US_MAX;
}

parley_err pl_round_on_state(struct pl_round *round, struct parley_span body,
                             const struct pl_round_view *view)
{
    struct pl_state msg;
    struct comparison c;
    PL_TRY(pl_state_read(body, &msg));
    PL_TRY(learn_filters(round, &msg, view));
    PL_TRY(compare_roots(round, &msg, view, &c));
    round->peer_head = pl_max_u64(msg.head, round->peer_head);
    round->peer->skew_us = msg.wall - view->now.wall;
    if (!round->started && c.counts)
        PL_TRY(choose_start(round, &msg, view, &c));
    parley_seq head = view->state->head;
    bool settled = c.counts && (is_cursor_ours(&msg, view) || head == 0) && msg.cursor == head &&
                   round->applied == msg.head && !pl_round_is_comparing(round) &&
                   round->pending[0].serial == 0 && round->pending[1].serial == 0 && c.agreed;
    if (settled)
        note_synced(round, &msg, view);
    if (!c.counts) {
        /* What was equal stays so when less of it is shared. */
        if (!round->started)
            pl_peer_set_note(round->peer, "waiting for the peer to take over our filter");
    } else if (c.blocked != NULL) {
        set_verdict(round, PL_SYNC_CATCHING_UP, c.blocked, view->now.wall);
    } else if (settled && pl_round_is_stale(round)) {
        set_verdict(round, PL_SYNC_CATCHING_UP, STALE_NOTE, view->now.wall);
        settled = false; /* its comparison is the rebase */
    } else if (settled && c.equal) {
        round->repair_wait = 0;
        set_verdict(round, PL_SYNC_IN_SYNC, "", view->now.wall);
    } else if (settled) {
        /* What is held back by a clock comes with time. */
        bool waits = view->state->held > 0 || is_skewed(round->peer);
        set_verdict(round, PL_SYNC_CATCHING_UP, waits ? SKEW_NOTE : "roots differ, comparing",
                    view->now.wall);
    }
    pl_round_plan_compare(round, settled && !c.equal, msg.compare, view);
    pl_round_note_behind(round, head);
    return PARLEY_OK;
}

void pl_round_note_behind(struct pl_round *round, parley_seq head)
{
    struct pl_peer *peer = round->peer;
    peer->behind_ours = head > round->acked ? head - round->acked : 0;
    peer->behind_theirs = round->peer_head > round->applied ? round->peer_head - round->applied : 0;
    /* Until the peer has acknowledged the copy it counts as what is being sent. */
    if (round->copy != NULL) {
        peer->copied = pl_min_u64(round->copy->passed, round->copy->total);
        peer->to_copy = round->copy->total;
    } else if (round->acked != 0) {
        peer->to_copy = 0;
    }
    if (!round->started)
        return;
    peer->stated = true;
    peer->acked = round->acked;
    peer->applied = round->applied;
    peer->head = round->peer_head;
}

parley_err pl_round_on_ack(struct pl_round *round, struct parley_span body,
                           const struct pl_round_view *view)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t fields = pl_mp_read_array(&r, 1);
    parley_seq seq = pl_mp_read_uint(&r);
    if (pl_reader_end(&r) != PARLEY_OK || fields != 1)
        return PARLEY_EPROTO;
    /* An acknowledgement of what an earlier session sent says nothing now. */
    if (seq > view->state->head)
        return PARLEY_EPROTO;
    if (seq > round->acked && seq <= round->sent)
        round->acked = seq;
    pl_round_note_behind(round, view->state->head);
    return PARLEY_OK;
}

/* ---- CHANGES ---- */

parley_err pl_round_changes_begin(struct pl_round *round, struct parley_span body)
{
    PL_ASSERT(!round->taking);
    struct pl_reader r = pl_reader_over(body);
    parley_seq seq = pl_mp_read_uint(&r);
    struct pl_reader walk = r;
    struct pl_change_state state = { 0 };
    for (bool found = true; found;) {
        struct parley_version version;
        PL_TRY(pl_change_read(&walk, &state, &version, &found));
        if (found && parley_version_check(&version, NULL) != PARLEY_OK)
            return PARLEY_EPROTO;
    }
    round->taking = true;
    round->taking_seq = seq;
    round->took = false;
    round->reader = r;
    round->change = (struct pl_change_state){ 0 };
    return PARLEY_OK;
}

parley_err pl_round_changes_peek(struct pl_round *round, const struct parley_version **out)
{
    PL_ASSERT(round->taking);
    bool found = round->has_next;
    if (!found)
        PL_TRY(pl_change_read(&round->reader, &round->change, &round->next, &found));
    round->has_next = found;
    *out = found ? &round->next : NULL;
    return PARLEY_OK;
}

void pl_round_changes_pop(struct pl_round *round)
{
    PL_ASSERT(round->has_next);
    round->has_next = false;
}

static void note_pending(struct pl_round *round, uint64_t serial, parley_seq seq, parley_seq stored)
{
    size_t at = PL_ARRAY_LEN(round->pending);
    for (size_t i = PL_ARRAY_LEN(round->pending); i-- > 0;) {
        if (round->pending[i].serial == 0)
            at = i;
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(round->pending); i++) {
        if (round->pending[i].serial == serial)
            at = i;
    }
    PL_ASSERT(at < PL_ARRAY_LEN(round->pending)); /* one in flight, one filling */
    round->pending[at].serial = serial;
    round->pending[at].seq = pl_max_u64(seq, round->pending[at].seq);
    round->pending[at].stored = pl_max_u64(stored, round->pending[at].stored);
}

static void plan_persist(struct pl_round *round, parley_time now)
{
    if (round->applied > round->persisted && round->persist_at == PARLEY_TIME_NEVER)
        round->persist_at = now + PL_ROUND_PERSIST_NS;
}

void pl_round_took(struct pl_round *round, uint64_t serial)
{
    round->took = true;
    note_pending(round, serial, 0, 0);
}

void pl_round_changes_end(struct pl_round *round, uint64_t serial, parley_time now)
{
    PL_ASSERT(round->taking);
    round->taking = false;
    parley_seq seq = round->taking_seq;
    round->peer_head = pl_max_u64(seq, round->peer_head);
    if (serial != 0) {
        note_pending(round, serial, seq, seq);
        return;
    }
    if (seq == 0)
        return;
    /* Nothing to store. The cursor may move now, or with the newest batch that is still on its
     * way (R2). */
    size_t newest = round->pending[0].serial > round->pending[1].serial ? 0 : 1;
    if (round->pending[newest].serial != 0) {
        note_pending(round, round->pending[newest].serial, seq, 0);
        return;
    }
    round->applied = pl_max_u64(seq, round->applied);
    round->ack_due = true;
    plan_persist(round, now);
}

bool pl_round_waits_for(const struct pl_round *round, uint64_t serial)
{
    return round->pending[0].serial == serial || round->pending[1].serial == serial;
}

void pl_round_committed(struct pl_round *round, uint64_t serial, parley_time now)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(round->pending); i++) {
        if (round->pending[i].serial != serial)
            continue;
        parley_seq seq = round->pending[i].seq;
        parley_seq stored = round->pending[i].stored;
        round->pending[i].serial = 0;
        round->pending[i].seq = 0;
        round->pending[i].stored = 0;
        if (seq == 0)
            continue;
        round->applied = pl_max_u64(seq, round->applied);
        round->ack_due = true;
        if (stored != 0)
            round->persisted = stored;
        if (round->persisted >= round->applied)
            round->persist_at = PARLEY_TIME_NEVER;
        plan_persist(round, now);
    }
}

bool pl_round_wants_persist(const struct pl_round *round, parley_time now)
{
    return round->applied > round->persisted && round->persist_at <= now &&
           round->pending[0].serial == 0 && round->pending[1].serial == 0;
}

parley_time pl_round_deadline(const struct pl_round *round)
{
    /* While a batch is on its way it will store the cursor, or the wait begins anew after it. */
    bool waits = round->pending[0].serial != 0 || round->pending[1].serial != 0;
    parley_time at = pl_min_u64(round->state_at, pl_offer_deadline(round));
    return waits ? at : pl_min_u64(at, round->persist_at);
}

/* ---- PART ---- */

parley_err pl_round_part_decode(struct parley_span body, struct pl_part *out)
{
    struct pl_reader r = pl_reader_over(body);
    *out = (struct pl_part){ 0 };
    uint64_t total = pl_mp_read_uint(&r);
    uint64_t offset = pl_mp_read_uint(&r);
    if (r.err != PARLEY_OK || total > PARLEY_BODY_BYTES_MAX || offset > total)
        return PARLEY_EPROTO;
    if (offset == 0 && total != 0) {
        struct parley_version *v = &out->version;
        v->name_space = pl_mp_read_str(&r, PARLEY_NAMESPACE_BYTES_MAX);
        v->conversation = pl_mp_read_str(&r, PARLEY_ID_BYTES_MAX);
        v->origin = pl_mp_read_str(&r, PARLEY_ORIGIN_BYTES_MAX);
        uint64_t kind = pl_mp_read_uint(&r);
        v->id = pl_mp_read_str(&r, PARLEY_ID_BYTES_MAX);
        v->time = pl_mp_read_uint(&r);
        if (kind != PARLEY_KIND_HEADER && kind != PARLEY_KIND_MESSAGE)
            return PARLEY_EPROTO;
        v->kind = (enum parley_kind)kind;
    }
    out->bytes = pl_mp_read_bin(&r, PL_FRAME_BYTES_MAX);
    if (pl_reader_end(&r) != PARLEY_OK || out->bytes.len > total - offset)
        return PARLEY_EPROTO;
    out->total = (size_t)total;
    out->offset = (size_t)offset;
    return PARLEY_OK;
}
