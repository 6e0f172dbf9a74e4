/* SPDX-License-Identifier: Apache-2.0
 *
 * When the sets of both sides are compared. The side that dialed asks, so that there is one
 * comparison at a time; the other says in its STATE that it needs one.
 *
 *   the logs are at rest, or void --compare_due--> descent --END answered--> cursors are given
 *
 * A comparison waits for the streams that have a valid cursor: what they bring need not be found.
 * It is repeated while roots differ, at first after 30 seconds, then each time after twice as long.
 */
#include "sync/descent.h"
#include "sync/round_int.h"

bool pl_round_is_comparing(const struct pl_round *round)
{
    bool rebases =
        round->rebase.phase == PL_REBASE_WANTED || round->rebase.phase == PL_REBASE_RUNNING;
    return round->compare_due || round->cursor_held || round->descent != NULL ||
           round->reply.running || rebases;
}

void pl_round_want_compare(struct pl_round *round, const struct pl_round_view *view)
{
    if (!round->asks || round->compare_due || round->descent != NULL)
        return;
    round->compare_due = true;
    round->compare_ours = view->state->head;
    round->compare_theirs = round->peer_head;
}

void pl_round_plan_compare(struct pl_round *round, bool settled, bool peer_asks,
                           const struct pl_round_view *view)
{
    if (!round->asks && round->cursor_held && !round->asked) {
        round->asked = true;
        round->state_due = true;
    }
    if (peer_asks)
        pl_round_want_compare(round, view);
    if (!settled || view->now.mono < round->repair_at)
        return;
    pl_round_want_compare(round, view);
    round->peer->repairs++;
    round->repair_wait =
        pl_min_u64(pl_max_u64(2 * round->repair_wait, PL_ROUND_REPAIR_NS), PL_ROUND_REPAIR_NS_MAX);
    round->repair_at = view->now.mono + round->repair_wait;
}

static bool is_at_rest(const struct pl_round *round)
{
    bool ours = round->cursor_held || round->acked >= round->compare_ours;
    bool theirs = round->applied == 0 || round->applied >= round->compare_theirs;
    return ours && theirs && round->part_seq == 0;
}

static parley_err begin(struct pl_round *round, const struct pl_round_view *view)
{
    struct pl_salt salt;
    struct pl_span rebased = pl_span_of(NULL, 0);
    round->compare_due = false;
    struct pl_descent *d = round->env->alloc(round->env->ud, sizeof *d);
    if (d == NULL)
        return PARLEY_ENOMEM;
    round->env->entropy(round->env->ud, salt.bytes, sizeof salt.bytes);
    pl_descent_init(d, &salt, view->state->head);
    for (size_t i = 0; i < round->peer->grant_count; i++) {
        const struct pl_grant *grant = &round->peer->grants[i];
        struct pl_scope scope = pl_round_scope(round, i);
        bool rebases = round->rebase.phase == PL_REBASE_WANTED && round->rebase.grant == i;
        if (rebases)
            rebased = scope.name_space;
        if (round->differs[i] || rebases)
            pl_descent_add_space(d, &scope, grant->may_write);
    }
    round->descent = d;
    pl_round_rebase_begins(round);
    pl_round_rebase_compares(round, rebased);
    pl_peer_set_note(round->peer, "comparing");
    return PARLEY_OK;
}

/* R5: from here on the cursor stands for everything before it. */
static void release_cursor(struct pl_round *round)
{
    if (!round->cursor_held)
        return;
    round->cursor_held = false;
    round->announce_due = true;
}

static void drop_descent(struct pl_round *round)
{
    if (round->descent != NULL)
        round->env->release(round->env->ud, round->descent, sizeof *round->descent);
    round->descent = NULL;
}

void pl_round_deinit(struct pl_round *round)
{
    drop_descent(round);
}

parley_err pl_round_compare_step(struct pl_round *round, struct pl_session *session,
                                 const struct pl_round_view *view, bool *sent)
{
    struct pl_sender sender = {
        .round = round, .session = session, .view = view, .compared = true
    };
    *sent = false;
    if (round->rebase.phase == PL_REBASE_WANTED)
        pl_round_want_compare(round, view);
    if (round->descent == NULL && round->compare_due && is_at_rest(round))
        PL_TRY(begin(round, view));
    if (round->descent == NULL)
        return PARLEY_OK;
    return pl_descent_step(round->descent, &sender, sent);
}

parley_err pl_round_on_answer(struct pl_round *round, struct pl_span body)
{
    if (round->descent == NULL)
        return PARLEY_EPROTO;
    PL_TRY(pl_descent_answer(round->descent, body));
    if (!round->descent->done)
        return PARLEY_OK;
    drop_descent(round);
    release_cursor(round);
    pl_round_rebase_ends(round);
    round->state_due = true;
    return PARLEY_OK;
}

parley_err pl_round_on_query(struct pl_round *round, struct pl_session *session,
                             struct pl_span body, const struct pl_round_view *view)
{
    struct pl_sender sender = {
        .round = round, .session = session, .view = view, .compared = true
    };
    if (round->asks)
        return PARLEY_EPROTO;
    PL_TRY(pl_reply_serve(&round->reply, &sender, body));
    if (!round->reply.ended)
        return PARLEY_OK;
    round->reply.ended = false;
    release_cursor(round);
    pl_round_rebase_ends(round);
    round->state_due = true;
    return PARLEY_OK;
}
