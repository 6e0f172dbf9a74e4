/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of sync by peer and by namespace.
 */
#include "node/report.h"

#include "core/digest.h"
#include "node/legacy.h"

const char *pl_report_state_name(enum pl_report_state state)
{
    static const char *const names[PL_REPORT_STATES] = {
        [PL_REPORT_IN_SYNC] = "in sync",       [PL_REPORT_CATCHING_UP] = "catching up",
        [PL_REPORT_OFFLINE] = "offline",       [PL_REPORT_REFUSED] = "refused",
        [PL_REPORT_PENDING] = "pending",       [PL_REPORT_REVOKED] = "revoked",
        [PL_REPORT_NOT_SHARED] = "not shared",
    };
    return names[state];
}

static enum pl_report_state sync_state(const struct pl_peer *peer)
{
    switch (peer->sync) {
    case PL_SYNC_OFFLINE:
        return PL_REPORT_OFFLINE;
    case PL_SYNC_CATCHING_UP:
        return PL_REPORT_CATCHING_UP;
    case PL_SYNC_IN_SYNC:
        return PL_REPORT_IN_SYNC;
    case PL_SYNC_REFUSED:
        return PL_REPORT_REFUSED;
    }
    return PL_REPORT_OFFLINE;
}

enum pl_report_state pl_report_state(const struct pl_peer *peer)
{
    switch (peer->state) {
    case PL_PEER_PENDING:
    case PL_PEER_JOINING:
        return PL_REPORT_PENDING;
    case PL_PEER_REVOKED:
        return PL_REPORT_REVOKED;
    case PL_PEER_ACTIVE:
        break;
    }
    return sync_state(peer);
}

PL_MUST_USE parley_err pl_report_space(const struct pl_peer *peer, size_t grant,
                                       struct parley_read *read, parley_wall now,
                                       struct pl_report_space *out)
{
    const struct pl_peer_root *noted = &peer->roots[grant];
    struct pl_scope scope = pl_share_scope(peer, grant, now);
    bool ready = false;
    *out = (struct pl_report_space){ .grant = &peer->grants[grant],
                                     .state = pl_report_state(peer),
                                     .since = peer->since };
    PL_TRY(pl_share_is_ready(read, &scope, &ready));
    if (ready)
        PL_TRY(pl_range_root(read, &scope, &out->ours));
    out->scope = scope;
    out->theirs = noted->named ? &noted->root : NULL;
    if (out->state != PL_REPORT_IN_SYNC && out->state != PL_REPORT_CATCHING_UP)
        return PARLEY_OK;
    out->equal = noted->named && ready && pl_root_equal(&out->ours, &noted->root);
    out->since = out->equal == noted->equal ? noted->since : 0;
    out->state = out->equal ? PL_REPORT_IN_SYNC : PL_REPORT_CATCHING_UP;
    if (!noted->named && peer->stated)
        out->state = PL_REPORT_NOT_SHARED;
    return PARLEY_OK;
}

struct pl_report_progress pl_report_sending(const struct pl_peer *peer)
{
    if (peer->to_copy != 0)
        return (struct pl_report_progress){ peer->copied, peer->to_copy };
    return (struct pl_report_progress){ peer->acked, peer->acked + peer->behind_ours };
}

PL_MUST_USE parley_err pl_report_receiving(const struct pl_peer *peer, struct parley_read *read,
                                           parley_wall now, struct pl_report_progress *out)
{
    *out = (struct pl_report_progress){ peer->applied, peer->head };
    if (peer->applied != 0 || peer->head == 0)
        return PARLEY_OK;
    out->of = 0;
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct pl_report_space space;
        PL_TRY(pl_report_space(peer, i, read, now, &space));
        if (space.theirs == NULL)
            continue;
        out->done += pl_min_u64(space.ours.count, space.theirs->count);
        out->of += space.theirs->count;
    }
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_report_held(struct pl_node *node, struct parley_read *read)
{
    struct parley_held_position position = { 0 };
    for (size_t i = 0; i < node->peers.count; i++) {
        node->peers.table[i]->held = 0;
        node->peers.table[i]->held_until = 0;
    }
    for (unsigned i = 0; i < PL_REPORT_HELD_MAX; i++) {
        struct parley_held held;
        bool found = false;
        PL_TRY(parley_read_held(read, &position, &held, &found));
        if (!found)
            break;
        struct pl_peer *peer = pl_peers_find_number(&node->peers, held.source);
        if (peer == NULL) /* written here, or by a peer that is gone */
            continue;
        peer->held++;
        peer->held_until =
            (parley_wall)pl_min_u64(held.version.time, INT64_MAX) - PARLEY_CLOCK_DRIFT_US_MAX;
    }
    return PARLEY_OK;
}

void pl_report_waiting(struct pl_node *node)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        struct pl_peer *peer = node->peers.table[i];
        bool met = peer->sync == PL_SYNC_CATCHING_UP || peer->sync == PL_SYNC_IN_SYNC;
        if (peer->state != PL_PEER_ACTIVE || met || !peer->stated || peer->to_copy != 0)
            continue;
        parley_seq head = node->state.head;
        peer->behind_ours = head > peer->acked ? head - peer->acked : 0;
    }
}

parley_wall pl_report_next_dial(const struct pl_node *node, const struct pl_peer *peer)
{
    const struct pl_legacy *legacy = pl_legacy_of(node, peer);
    if (legacy != NULL && peer->state == PL_PEER_ACTIVE)
        return pl_legacy_next_try(node, legacy);
    bool dials = peer->state == PL_PEER_ACTIVE && peer->address[0] != '\0' && peer->conn == 0;
    if (!dials || peer->http || peer->dial_at == PARLEY_TIME_NEVER)
        return 0;
    parley_time wait = peer->dial_at > node->now.mono ? peer->dial_at - node->now.mono : 0;
    return node->now.wall + (parley_wall)(wait / 1000);
}
