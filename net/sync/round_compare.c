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
#include "sync/copy.h"
#include "sync/descent.h"
#include "sync/round_int.h"

bool pl_round_is_comparing(const struct pl_round *round)
{
    bool rebases =
        round->rebase.phase == PL_REBASE_WANTED || round->rebase.phase == PL_REBASE_RUNNING;
    return round->compare_due || round->cursor_held || rebases ||
           (round->descent != NULL && !round->descent->dry) ||
           (round->reply.running && round->reply.dry == NULL);
}

void pl_round_want_compare(struct pl_round *round, const struct pl_round_view *view)
{
    bool runs = round->descent != NULL && !round->descent->dry;
    if (!round->asks || round->compare_due || runs)
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

bool pl_round_is_indexed(struct pl_round *round, const struct pl_round_view *view)
{
    if (round->index_target == 0)
        round->index_target = view->state->head;
    if (view->state->indexed < round->index_target)
        return false;
    round->index_target = 0;
    return true;
}

bool pl_round_waits_for_index(const struct pl_round *round)
{
    return round->index_target != 0;
}

static bool is_at_rest(const struct pl_round *round)
{
    bool ours = round->cursor_held || round->acked >= round->compare_ours;
    bool theirs = round->applied == 0 || round->applied >= round->compare_theirs;
    return ours && theirs && round->part_seq == 0;
}

parley_err pl_round_begin_descent(struct pl_round *round, const struct pl_round_view *view)
{
    struct pl_salt salt;
    round->descent = round->env->alloc(round->env->ud, sizeof *round->descent);
    if (round->descent == NULL)
        return PARLEY_ENOMEM;
    round->env->entropy(round->env->ud, salt.bytes, sizeof salt.bytes);
    pl_descent_init(round->descent, &salt, view->state->head);
    return PARLEY_OK;
}

static parley_err begin(struct pl_round *round, const struct pl_round_view *view)
{
    struct parley_span rebased = pl_span_of(NULL, 0);
    round->compare_due = false;
    PL_TRY(pl_round_begin_descent(round, view));
    for (size_t i = 0; i < round->peer->grant_count; i++) {
        const struct pl_grant *grant = &round->peer->grants[i];
        struct pl_scope scope = pl_share_scope(round->peer, i, view->now.wall);
        bool rebases = round->rebase.phase == PL_REBASE_WANTED && round->rebase.grant == i;
        if (rebases)
            rebased = scope.name_space;
        if (round->differs[i] || rebases)
            pl_descent_add_space(round->descent, &scope, grant->may_write);
    }
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
    pl_round_drop_diff(round);
    pl_reply_deinit(&round->reply, round->env);
    pl_copy_drop(round);
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
    if (round->descent == NULL && round->compare_due && is_at_rest(round) &&
        pl_round_is_indexed(round, view))
        PL_TRY(begin(round, view));
    if (round->descent == NULL && round->diff_wanted && !round->compare_due &&
        pl_round_is_indexed(round, view))
        PL_TRY(pl_round_begin_diff(round, view));
    if (round->descent == NULL)
        return PARLEY_OK;
    sender.tally = round->descent->dry ? &round->diff->out : NULL;
    sender.salt = &round->descent->salt;
    PL_TRY(pl_descent_step(round->descent, &sender, sent));
    round->compare_cut = sender.cut;
    return PARLEY_OK;
}

parley_err pl_round_on_answer(struct pl_round *round, struct parley_span body,
                              const struct pl_round_view *view)
{
    if (round->descent == NULL)
        return PARLEY_EPROTO;
    PL_TRY(pl_descent_answer(round->descent, body));
    if (!round->descent->done)
        return PARLEY_OK;
    bool dry = round->descent->dry;
    drop_descent(round);
    if (dry) {
        pl_round_end_diff(round, view->now.wall);
        return PARLEY_OK;
    }
    release_cursor(round);
    pl_round_rebase_ends(round);
    round->state_due = true;
    return PARLEY_OK;
}

parley_err pl_round_on_query(struct pl_round *round, struct pl_session *session,
                             struct parley_span body, const struct pl_round_view *view)
{
    struct pl_sender sender = {
        .round = round, .session = session, .view = view, .compared = true
    };
    if (round->asks)
        return PARLEY_EPROTO;
    if (!round->reply.running && !round->reply.answered && !pl_round_is_indexed(round, view))
        return PARLEY_EAGAIN;
    PL_TRY(pl_reply_serve(&round->reply, &sender, body));
    if (!round->reply.ended)
        return PARLEY_OK;
    round->reply.ended = false;
    release_cursor(round);
    pl_round_rebase_ends(round);
    round->state_due = true;
    return PARLEY_OK;
}
