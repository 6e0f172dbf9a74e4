/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/copy.h"

#include "sync/round_int.h"
#include "sync/sender.h"
#include "sync/share.h"

parley_err pl_copy_begin(struct pl_round *round, const struct pl_round_view *view)
{
    uint64_t total = 0;
    PL_ASSERT(round->copy == NULL);
    for (size_t i = 0; i < round->peer->grant_count; i++) {
        struct pl_scope scope = pl_share_scope(round->peer, i, view->now.wall);
        struct parley_root root;
        PL_TRY(pl_range_root(view->read, &scope, &root));
        total += root.count;
    }
    struct pl_copy *copy = round->env->alloc(round->env->ud, sizeof *copy);
    if (copy == NULL)
        return PARLEY_ENOMEM;
    *copy = (struct pl_copy){ .head = view->state->head, .total = total };
    round->copy = copy;
    pl_peer_set_note(round->peer, "copying");
    return PARLEY_OK;
}

void pl_copy_drop(struct pl_round *round)
{
    if (round->copy != NULL)
        round->env->release(round->env->ud, round->copy, sizeof *round->copy);
    round->copy = NULL;
}

/* ---- One call ---- */

/* Where the walk is in one namespace. */
struct head {
    struct parley_elements elements;
    struct parley_element top; /* the greatest that is left */
    bool found;
};

struct walk {
    struct pl_copy *copy;
    struct pl_sender *sender;
    uint32_t looked; /* at entries, in this call */
    bool stopped;    /* no room */
    struct head heads[PL_PEER_GRANTS_MAX];
    size_t head_count;
};

static bool may_go_on(const struct walk *w)
{
    return !w->stopped && w->looked < PL_ROUND_SCAN_MAX;
}

/* False: there was no room. */
static bool send_change(struct walk *w, const struct parley_change *change)
{
    if (change->seq > w->copy->head)
        return true;
    if (pl_round_is_for_peer(w->sender->round, change, w->sender->view->now.wall) &&
        !pl_sender_add_change(w->sender, change)) {
        w->stopped = true;
        return false;
    }
    w->copy->passed++;
    return true;
}

/* ---- TALK ---- */

static void take_name(struct parley_register_name *name, const struct parley_version *version)
{
    name->kind = version->kind;
    name->id_len = version->id.len;
    if (version->id.len != 0)
        memcpy(name->id, version->id.ptr, version->id.len);
}

static PL_MUST_USE parley_err send_talk(struct walk *w)
{
    struct parley_register_name *at = &w->copy->talk;
    struct parley_register_cursor registers;
    PL_TRY(parley_registers_begin_after(w->sender->view->read, at, &registers));
    for (; may_go_on(w); w->looked++) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_registers_next_change(&registers, &change, &found));
        if (!found) {
            at->conversation = 0;
            return PARLEY_OK;
        }
        if (send_change(w, &change))
            take_name(at, &change.version);
    }
    return PARLEY_OK;
}

/* ---- NEXT ---- */

static PL_MUST_USE parley_err begin_heads(struct walk *w)
{
    const struct pl_peer *peer = w->sender->round->peer;
    w->head_count = peer->grant_count;
    for (size_t i = 0; i < w->head_count; i++) {
        const struct pl_copy_space *space = &w->copy->spaces[i];
        struct parley_set set = { .name_space = pl_span_text(peer->grants[i].name_space) };
        struct head *head = &w->heads[i];
        PL_TRY(parley_elements_begin_below(w->sender->view->read, &set,
                                           space->begun ? &space->at : NULL, &head->elements));
        PL_TRY(parley_elements_prev(&head->elements, &head->top, &head->found));
    }
    return PARLEY_OK;
}

/* The namespace whose turn it is; head_count: nothing is left. */
static size_t newest_head(const struct walk *w)
{
    size_t newest = w->head_count;
    for (size_t i = 0; i < w->head_count; i++) {
        const struct head *head = &w->heads[i];
        if (head->found && (newest == w->head_count ||
                            memcmp(head->top.point.bytes, w->heads[newest].top.point.bytes,
                                   PARLEY_POINT_BYTES) > 0))
            newest = i;
    }
    return newest;
}

static PL_MUST_USE parley_err pass(struct walk *w, size_t i)
{
    struct head *head = &w->heads[i];
    w->copy->spaces[i] = (struct pl_copy_space){ .begun = true, .at = head->top.point };
    return parley_elements_prev(&head->elements, &head->top, &head->found);
}

static PL_MUST_USE parley_err send_alone(struct walk *w, parley_seq seq)
{
    struct parley_change change;
    bool found = false;
    PL_TRY(parley_read_change(w->sender->view->read, seq, &change, &found));
    if (found)
        send_change(w, &change);
    return PARLEY_OK;
}

/* Deals with the conversation of an element, unless that was sent. */
static PL_MUST_USE parley_err take_element(struct walk *w, parley_seq seq)
{
    uint64_t talk = 0;
    bool found = false;
    PL_TRY(parley_read_change_conversation(w->sender->view->read, seq, &talk, &found));
    if (!found)
        return PARLEY_OK;
    if (talk >= PL_COPY_TALKS_MAX)
        return send_alone(w, seq);
    uint8_t *marks = &w->copy->marked[talk / 8];
    uint8_t mark = (uint8_t)(1u << (talk % 8));
    if ((*marks & mark) != 0)
        return PARLEY_OK;
    *marks |= mark;
    w->copy->talk = (struct parley_register_name){ .conversation = talk };
    return PARLEY_OK;
}

/* *end: all namespaces are walked to their beginning. */
static PL_MUST_USE parley_err walk_on(struct walk *w, bool *end)
{
    *end = false;
    if (w->copy->talk.conversation != 0)
        PL_TRY(send_talk(w));
    if (may_go_on(w))
        PL_TRY(begin_heads(w));
    for (; may_go_on(w); w->looked++) {
        size_t i = newest_head(w);
        if (i == w->head_count) {
            *end = true;
            return PARLEY_OK;
        }
        PL_TRY(take_element(w, w->heads[i].top.seq));
        if (w->stopped)
            return PARLEY_OK;
        PL_TRY(pass(w, i));
        if (w->copy->talk.conversation != 0)
            PL_TRY(send_talk(w));
    }
    return PARLEY_OK;
}

parley_err pl_copy_step(struct pl_round *round, struct pl_session *session,
                        const struct pl_round_view *view, bool *sent, bool *cut)
{
    struct pl_sender sender = { .round = round, .session = session, .view = view };
    struct walk w = { .copy = round->copy, .sender = &sender };
    bool end = false;
    uint64_t before = round->copy->passed;
    *sent = *cut = false;
    if (!round->copy->begun && !pl_round_is_indexed(round, view))
        return PARLEY_OK;
    round->copy->begun = true;
    if (!pl_sender_has_room(&sender))
        return PARLEY_OK;
    parley_err err = walk_on(&w, &end);
    pl_sender_end(&sender);
    if (err != PARLEY_OK)
        return err;
    *sent = end || round->copy->passed != before;
    *cut = !end && !w.stopped;
    if (!end)
        return PARLEY_OK;
    pl_copy_drop(round);
    round->announce_due = true;
    return PARLEY_OK;
}
