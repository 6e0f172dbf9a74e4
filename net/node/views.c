/* SPDX-License-Identifier: Apache-2.0
 *
 * The views that filters need: those of the prefixes of grants, which the operator has set, and of
 * longer ones that peers have asked for in their STATE. Each is made in steps, one write a batch,
 * and dropped in steps once no grant needs it.
 *
 * A view costs each write of its versions, so peers are bounded: one prefix for each namespace they
 * are granted, PL_VIEWS_ASKED_MAX of all peers, and another one only after PL_VIEWS_ASK_US. What a
 * peer has asked for stays in its record: its view is there when it comes back.
 */
#include "node/node_int.h"

#include "node/legacy.h"

#define WRITE_BYTES (PARLEY_NAMESPACE_BYTES_MAX + PARLEY_ID_BYTES_MAX)

/* ---- Which are wanted ---- */

/* The prefixes that one grant needs views of: its own, and the one that was asked for. */
static struct parley_span prefix_of(const struct pl_grant *grant, unsigned which)
{
    return pl_span_text(which == 0 ? grant->filter.prefix : grant->asked);
}

static bool needs(const struct pl_peer *peer, size_t grant, struct parley_span name_space,
                  struct parley_span prefix)
{
    const struct pl_grant *g = &peer->grants[grant];
    return pl_span_is(name_space, g->name_space) &&
           (pl_span_is(prefix, g->filter.prefix) || pl_span_is(prefix, g->asked));
}

static bool is_wanted(const struct pl_node *node, struct parley_span name_space,
                      struct parley_span prefix)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        for (size_t g = 0; peer->state != PL_PEER_REVOKED && g < peer->grant_count; g++)
            if (needs(peer, g, name_space, prefix))
                return true;
    }
    return false;
}

/* ---- Steps ---- */

static void put_step(struct pl_node *node, enum parley_write_kind kind,
                     struct parley_span name_space, struct parley_span prefix)
{
    struct parley_write *write = pl_batch_add(node, kind, 0);
    write->u.view.name_space = pl_batch_copy(node, name_space);
    write->u.view.prefix = pl_batch_copy(node, prefix);
    node->view_serial = pl_batch_serial(node);
    pl_batch_commit_soon(node);
}

/* Drops what is not wanted; first, since it makes room. */
static parley_err drop_one(struct pl_node *node, struct parley_read *read, bool *put)
{
    uint64_t position = 0;
    for (bool found = true; found && !*put;) {
        struct parley_view_info info;
        PL_TRY(parley_read_views(read, &position, &info, &found));
        *put = found && !is_wanted(node, info.name_space, info.prefix);
        if (*put)
            put_step(node, PARLEY_WRITE_VIEW_DROP, info.name_space, info.prefix);
    }
    return PARLEY_OK;
}

static parley_err count_views(struct parley_read *read, struct parley_span name_space,
                              size_t *count)
{
    uint64_t position = 0;
    *count = 0;
    for (bool found = true; found;) {
        struct parley_view_info info;
        PL_TRY(parley_read_views(read, &position, &info, &found));
        *count += found && pl_span_equal(info.name_space, name_space) ? 1 : 0;
    }
    return PARLEY_OK;
}

static parley_err make_for(struct pl_node *node, struct parley_read *read,
                           const struct pl_grant *grant, bool *put)
{
    struct parley_span name_space = pl_span_text(grant->name_space);
    for (unsigned which = 0; which < 2 && !*put; which++) {
        struct parley_span prefix = prefix_of(grant, which);
        enum parley_view_state state;
        size_t count = 0;
        if (prefix.len == 0)
            continue;
        PL_TRY(parley_read_view(read, name_space, prefix, &state));
        if (state == PARLEY_VIEW_NONE)
            PL_TRY(count_views(read, name_space, &count));
        *put = state != PARLEY_VIEW_READY && count < PARLEY_VIEWS_MAX;
        if (*put)
            put_step(node, PARLEY_WRITE_VIEW, name_space, prefix);
    }
    return PARLEY_OK;
}

static parley_err make_one(struct pl_node *node, struct parley_read *read, bool *put)
{
    for (size_t i = 0; i < node->peers.count && !*put; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        for (size_t g = 0; peer->state != PL_PEER_REVOKED && g < peer->grant_count && !*put; g++)
            PL_TRY(make_for(node, read, &peer->grants[g], put));
    }
    return PARLEY_OK;
}

void pl_views_step(struct pl_node *node)
{
    parley_err err = PARLEY_OK;
    bool put = false;
    if (node->view_serial != 0 || node->stopping || !pl_batch_has_room(node, 1, WRITE_BYTES))
        return;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return;
    err = drop_one(node, read, &put);
    if (err == PARLEY_OK && !put)
        err = make_one(node, read, &put);
    pl_ignore(err, "the read is over, and the next tick tries again");
}

void pl_views_committed(struct pl_node *node, uint64_t serial, parley_err err)
{
    if (node->view_serial == 0 || node->view_serial != serial)
        return;
    node->view_serial = 0;
    /* What failed waits for the next tick. */
    if (err == PARLEY_OK)
        pl_views_step(node);
}

/* ---- What a peer asks for ---- */

static size_t count_asked(const struct pl_node *node, const struct pl_grant *but)
{
    size_t count = 0;
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        for (size_t g = 0; g < peer->grant_count; g++)
            count += &peer->grants[g] != but && peer->grants[g].asked[0] != '\0' ? 1 : 0;
    }
    return count;
}

static bool may_ask(const struct pl_node *node, const struct pl_grant *grant,
                    struct parley_span prefix)
{
    struct pl_filter filter;
    bool again = grant->asked_at != 0 && node->now.wall < grant->asked_at + PL_VIEWS_ASK_US;
    return pl_filter_set(&filter, prefix, 0) == PARLEY_OK && !again &&
           count_asked(node, grant) < PL_VIEWS_ASKED_MAX;
}

/* Notes the prefix that the peer asks for, or refuses it. EAGAIN: no room for its record. */
static parley_err ask(struct pl_node *node, struct parley_read *read, struct pl_peer *peer,
                      size_t at, struct parley_span prefix, bool ready)
{
    struct pl_grant *grant = &peer->grants[at];
    size_t count = 0;
    if (pl_span_is(prefix, grant->filter.prefix) || pl_span_is(prefix, grant->asked))
        return PARLEY_OK;
    PL_TRY(count_views(read, pl_span_text(grant->name_space), &count));
    bool room = ready || count < PARLEY_VIEWS_MAX || grant->asked[0] != '\0';
    if (!room || !may_ask(node, grant, prefix)) {
        peer->shares[at].state = PL_SHARE_REFUSED;
        pl_audit_refusal(node, "filter-refused", peer->backend_id, grant->name_space);
        return PARLEY_OK;
    }
    if (!pl_peering_has_room(node))
        return PARLEY_EAGAIN;
    memcpy(grant->asked, prefix.ptr, prefix.len);
    grant->asked[prefix.len] = '\0';
    grant->asked_at = node->now.wall;
    pl_node_store_peer(node, peer);
    return PARLEY_OK;
}

parley_err pl_views_prepare(struct pl_node *node, struct pl_peer *peer)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    bool waits = false;
    if (read == NULL)
        return err;
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct pl_scope scope = pl_share_scope(peer, i, node->now.wall);
        bool ready = false;
        PL_TRY(pl_share_is_ready(read, &scope, &ready));
        if (peer->shares[i].state == PL_SHARE_OPEN)
            PL_TRY(ask(node, read, peer, i, scope.prefix, ready));
        waits = waits || (!ready && peer->shares[i].state == PL_SHARE_OPEN);
    }
    if (waits)
        pl_views_step(node);
    return waits ? PARLEY_EAGAIN : PARLEY_OK;
}

parley_err pl_views_check(struct pl_node *node, struct parley_span name_space,
                          const struct pl_filter *filter)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    enum parley_view_state state;
    size_t count = 0;
    if (filter->prefix[0] == '\0')
        return PARLEY_OK;
    if (read == NULL)
        return err;
    PL_TRY(parley_read_view(read, name_space, pl_span_text(filter->prefix), &state));
    if (state != PARLEY_VIEW_NONE)
        return PARLEY_OK;
    PL_TRY(count_views(read, name_space, &count));
    return count < PARLEY_VIEWS_MAX ? PARLEY_OK : PARLEY_EFULL;
}

/* ---- What the operator sets ---- */

void pl_views_regrant(struct pl_node *node, struct pl_peer *peer, struct parley_span name_space,
                      const struct pl_filter *filter)
{
    if (!pl_peer_set_filter(peer, name_space, filter))
        return;
    for (size_t g = 0; g < peer->grant_count; g++)
        if (pl_span_is(name_space, peer->grants[g].name_space))
            peer->grants[g].asked[0] = '\0';
    pl_legacy_regranted(node, peer);
    /* In a session filters only become narrower. */
    struct pl_connection *conn = pl_node_conn_find(node, peer->conn);
    if (conn != NULL && conn->kind == PL_CONN_NATIVE && conn->round != NULL)
        pl_session_close(conn->session, PL_BYE_REGRANTED);
}
