/* SPDX-License-Identifier: Apache-2.0
 *
 * Scopes of a session; see share.h.
 */
#include "sync/share.h"

void pl_share_begin(struct pl_peer *peer)
{
    for (size_t i = 0; i < PL_PEER_GRANTS_MAX; i++)
        peer->shares[i] = (struct pl_share){ .state = PL_SHARE_OPEN };
}

struct pl_scope pl_share_own_scope(const struct pl_peer *peer, size_t grant, parley_wall now)
{
    PL_ASSERT(grant < peer->grant_count);
    const struct pl_grant *ours = &peer->grants[grant];
    return (struct pl_scope){ .name_space = pl_span_text(ours->name_space),
                              .since = pl_filter_since(&ours->filter, now),
                              .prefix = pl_span_text(ours->filter.prefix) };
}

struct pl_scope pl_share_scope(const struct pl_peer *peer, size_t grant, parley_wall now)
{
    struct pl_scope scope = pl_share_own_scope(peer, grant, now);
    const struct pl_share *share = &peer->shares[grant];
    scope.cut = share->cut;
    scope.since = pl_max_u64(scope.since, share->since);
    if (share->prefix_len > scope.prefix.len)
        scope.prefix = pl_span_of(share->prefix, share->prefix_len);
    return scope;
}

bool pl_share_has_moved(const struct pl_peer *peer, size_t grant, parley_wall now)
{
    const struct pl_share *share = &peer->shares[grant];
    struct pl_scope scope = pl_share_scope(peer, grant, now);
    return share->state == PL_SHARE_OPEN &&
           (scope.since != share->stated_since || scope.prefix.len != share->stated_prefix_len);
}

parley_err pl_share_is_ready(struct parley_read *read, const struct pl_scope *scope, bool *ready)
{
    enum parley_view_state state = PARLEY_VIEW_READY;
    if (scope->prefix.len != 0)
        PL_TRY(parley_read_view(read, scope->name_space, scope->prefix, &state));
    *ready = state == PARLEY_VIEW_READY;
    return PARLEY_OK;
}

bool pl_share_has(const struct pl_peer *peer, const struct parley_version *version, parley_wall now)
{
    for (size_t i = 0; i < peer->grant_count; i++) {
        if (!pl_span_is(version->name_space, peer->grants[i].name_space))
            continue;
        struct pl_scope scope = pl_share_scope(peer, i, now);
        return peer->shares[i].state == PL_SHARE_OPEN && version->time >= scope.since &&
               pl_span_has_prefix(version->conversation, scope.prefix);
    }
    return false;
}
