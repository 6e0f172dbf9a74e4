/* SPDX-License-Identifier: Apache-2.0
 *
 * Dry comparisons within a round; see diff.h. They wait for one that moves something.
 */
#include "core/mp_write.h"
#include "sync/descent.h"
#include "sync/diff.h"
#include "sync/round_int.h"
#include "sync/share.h"

void pl_round_want_diff(struct pl_round *round)
{
    round->peer->diff.state = PL_DIFF_RUNNING;
    if (round->asks)
        round->diff_wanted = true;
    else
        round->diff_ask_due = true;
}

parley_err pl_round_on_diff(struct pl_round *round, struct parley_span body,
                            const struct pl_round_view *view)
{
    struct pl_diff_result result;
    bool asks = false;
    PL_TRY(pl_diff_read(body, &asks, &result));
    if (asks != round->asks)
        return PARLEY_EPROTO;
    if (asks) {
        round->diff_wanted = true;
        round->diff_tells = true;
        return PARLEY_OK;
    }
    result.at = view->now.wall;
    round->peer->diff = result;
    return PARLEY_OK;
}

parley_err pl_round_on_tally(struct pl_round *round, struct parley_span body)
{
    return round->diff == NULL ? PARLEY_EPROTO : pl_tally_read(body, &round->diff->in);
}

parley_err pl_round_begin_diff(struct pl_round *round, const struct pl_round_view *view)
{
    round->diff_wanted = false;
    round->diff = round->env->alloc(round->env->ud, sizeof *round->diff);
    if (round->diff == NULL)
        return PARLEY_ENOMEM;
    pl_diff_init(round->diff);
    PL_TRY(pl_round_begin_descent(round, view));
    round->descent->dry = true;
    for (size_t i = 0; i < round->peer->grant_count; i++) {
        struct pl_scope scope = pl_share_scope(round->peer, i, view->now.wall);
        if (round->peer->roots[i].named)
            pl_descent_add_space(round->descent, &scope, round->peer->grants[i].may_write);
    }
    return PARLEY_OK;
}

void pl_round_end_diff(struct pl_round *round, parley_wall now)
{
    pl_diff_end(round->diff, now, &round->peer->diff);
    round->diff_tell_due = round->diff_tells;
    round->diff_tells = false;
    pl_round_drop_diff(round);
}

void pl_round_drop_diff(struct pl_round *round)
{
    if (round->diff != NULL)
        round->env->release(round->env->ud, round->diff, sizeof *round->diff);
    round->diff = NULL;
}

bool pl_round_send_diff(struct pl_round *round, struct pl_session *session, bool *sent)
{
    struct pl_writer w;
    *sent = false;
    if (!round->diff_ask_due && !round->diff_tell_due)
        return true;
    if (!pl_session_send_begin(session, PL_MSG_DIFF, PL_DIFF_BYTES_MAX, &w))
        return false;
    if (round->diff_tell_due)
        pl_diff_write(&w, &round->peer->diff);
    else
        pl_mp_write_array(&w, 0);
    pl_session_send_end(session, &w);
    round->diff_ask_due = false;
    round->diff_tell_due = false;
    *sent = true;
    return true;
}
