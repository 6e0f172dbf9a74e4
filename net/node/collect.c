/* SPDX-License-Identifier: Apache-2.0
 *
 * Collecting tombstones: when a floor may rise, by age or after a peer's (net/sync/floor.h, G3 and
 * G4), and what must be remembered of peers for that. One write at a time, of a bounded number of
 * tombstones; a pass over all namespaces now and then.
 *
 * What a peer has acknowledged and when it was in sync is stored now and then, at the end of a
 * session, and at once where a peer is in sync again after long: it may be stored too old, but by
 * less than what a peer is waited for longer, and never too new.
 */
#include "node/node_int.h"

/* A pass at least so often, more often when the grace is short. */
#define PASS_NS_MAX (3600 * PARLEY_NS_PER_S)
/* The first one soon after the start: a machine may never be up for an hour. */
#define FIRST_PASS_NS (60 * PARLEY_NS_PER_S)
/* At the end of a session what is stored is at most this old: peers that come and go cost no write
 * each time. */
#define CLOSE_NS_MAX (60 * PARLEY_NS_PER_S)

int64_t pl_collect_grace(const struct pl_node *node)
{
    int64_t grace = node->options.tombstone_grace_us;
    return grace > 0 ? grace : PL_FLOOR_GRACE_US;
}

static parley_time pass_ns(const struct pl_node *node)
{
    return pl_min_u64(PASS_NS_MAX,
                      (parley_time)pl_collect_grace(node) * 1000 / PL_FLOOR_STORE_PART);
}

/* Tombstones up to this time are old enough to go; 0: none is. */
static uint64_t oldest_kept(const struct pl_node *node)
{
    parley_wall at = node->now.wall - pl_collect_grace(node);
    return at > 0 ? (uint64_t)at : 0;
}

/* ---- Who is waited for ---- */

/* The peer that counts for a namespace and has acknowledged least; *acked UINT64_MAX: none does. */
static const struct pl_peer *find_holder(const struct pl_node *node, struct parley_span name_space,
                                         parley_seq *acked)
{
    const struct pl_peer *holder = NULL;
    *acked = UINT64_MAX;
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        const struct pl_grant *grant = pl_peer_granted(peer, name_space);
        bool counts = grant != NULL && pl_floor_counts(peer, (size_t)(grant - peer->grants),
                                                       node->now.wall, pl_collect_grace(node));
        if (!counts || pl_floor_acked(peer) >= *acked)
            continue;
        *acked = pl_floor_acked(peer);
        holder = peer;
    }
    return holder;
}

/* Tombstones up to this time go by age (G3). What was deleted before has reached every peer that
 * counts within the grace, or is void, and us when we were last the same as that peer. Beyond that
 * there may be one that others have collected and we lack: a floor above it would say that we had
 * it. `*holder`: the peer that limits; else left alone. */
static uint64_t age_limit(const struct pl_node *node, struct parley_span name_space,
                          const struct pl_peer **holder)
{
    int64_t grace = pl_collect_grace(node);
    parley_wall limit = node->now.wall;
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        const struct pl_grant *grant = pl_peer_granted(peer, name_space);
        size_t index = grant == NULL ? 0 : (size_t)(grant - peer->grants);
        bool counts = grant != NULL && pl_floor_counts(peer, index, node->now.wall, grace);
        if (!counts || peer->synced_at[index] >= limit)
            continue;
        limit = peer->synced_at[index];
        *holder = peer;
    }
    return limit > grace ? (uint64_t)(limit - grace) : 0;
}

parley_err pl_collect_find(const struct pl_node *node, struct parley_read *read,
                           struct parley_span name_space, uint64_t limit,
                           struct pl_collectable *out)
{
    static const struct parley_point lowest;
    struct parley_set set = { .name_space = name_space, .tombstones = true };
    struct parley_elements elements;
    parley_seq acked = 0;
    const struct pl_peer *holder = find_holder(node, name_space, &acked);
    *out = (struct pl_collectable){ .upto = limit };
    PL_TRY(parley_elements_begin(read, &set, &lowest, &elements));
    for (uint32_t i = 0;; i++) {
        struct parley_element e;
        bool found = false;
        PL_TRY(parley_elements_next(&elements, &e, &found));
        uint64_t time = found ? pl_point_time(&e.point) : 0;
        if (!found || time > limit)
            return PARLEY_OK;
        /* Others of the same time may be missing as well. */
        if (e.seq > acked || i == PL_COLLECT_SCAN_MAX) {
            out->upto = time - 1;
            out->holder = e.seq > acked ? holder : NULL;
            return PARLEY_OK;
        }
        out->last = time;
    }
}

/* Whether more of the peers for a namespace have been away for the grace than were here: it may be
 * this node that is away. */
static bool is_outnumbered(const struct pl_node *node, struct parley_span name_space)
{
    size_t here = 0;
    size_t away = 0;
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        const struct pl_grant *grant = pl_peer_granted(peer, name_space);
        if (grant == NULL || peer->state != PL_PEER_ACTIVE)
            continue;
        bool counts = pl_floor_counts(peer, (size_t)(grant - peer->grants), node->now.wall,
                                      pl_collect_grace(node));
        here += counts ? 1 : 0;
        away += counts ? 0 : 1;
    }
    return away > here;
}

static PL_MUST_USE parley_err count_tombstones(struct parley_read *read,
                                               struct parley_span name_space, uint64_t *count)
{
    static const struct parley_point lowest;
    struct parley_set set = { .name_space = name_space, .tombstones = true };
    struct parley_runs runs;
    *count = 0;
    PL_TRY(parley_runs_begin(read, &set, &lowest, &runs));
    for (bool found = true; found;) {
        struct parley_run run;
        PL_TRY(parley_runs_next(&runs, NULL, &run, &found));
        *count += found ? run.root.count : 0;
    }
    return PARLEY_OK;
}

parley_err pl_collect_describe(const struct pl_node *node, struct parley_read *read,
                               struct parley_span name_space, struct pl_waiting *out)
{
    static const struct parley_point lowest;
    struct parley_set set = { .name_space = name_space, .tombstones = true };
    struct pl_collectable able;
    struct parley_elements elements;
    const struct pl_peer *holder = NULL;
    bool found = true;
    *out = (struct pl_waiting){ .outnumbered = is_outnumbered(node, name_space) };
    PL_TRY(count_tombstones(read, name_space, &out->tombstones));
    uint64_t limit = age_limit(node, name_space, &holder);
    PL_TRY(pl_collect_find(node, read, name_space, limit, &able));
    PL_TRY(parley_elements_begin(read, &set, &lowest, &elements));
    while (found && out->due < PL_COLLECT_SCAN_MAX) {
        struct parley_element e;
        PL_TRY(parley_elements_next(&elements, &e, &found));
        found = found && pl_point_time(&e.point) <= oldest_kept(node);
        out->due += found ? 1 : 0;
    }
    if (out->due != 0)
        out->holder = able.holder != NULL ? able.holder : holder;
    return PARLEY_OK;
}

/* ---- The write under way ---- */

static void put(struct pl_node *node)
{
    struct pl_collect *c = &node->collect;
    struct parley_span name = pl_span_text(c->name_space);
    if (!pl_batch_has_room(node, 1, name.len)) {
        pl_batch_commit_soon(node);
        return;
    }
    c->index = pl_batch_count(node);
    c->serial = pl_batch_serial(node);
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_COLLECT, 0);
    write->u.collect.name_space = pl_batch_copy(node, name);
    write->u.collect.upto = c->upto;
    write->u.collect.raise = true;
    write->u.collect.clean = c->clean;
    pl_batch_commit_soon(node);
}

/* What the floor of a namespace is to be when the write under way is durable; 0: none is. */
static uint64_t rising_floor(const struct pl_node *node, struct parley_span name_space)
{
    const struct pl_collect *c = &node->collect;
    return c->job != PL_COLLECT_IDLE && pl_span_is(name_space, c->name_space) ? c->upto : 0;
}

void pl_collect_start(struct pl_node *node, enum pl_collect_job job, struct parley_span name_space,
                      uint64_t upto, uint64_t clean)
{
    struct pl_collect *c = &node->collect;
    PL_ASSERT(c->job == PL_COLLECT_IDLE && name_space.len < sizeof c->name_space);
    c->job = job;
    memcpy(c->name_space, name_space.ptr, name_space.len);
    c->name_space[name_space.len] = '\0';
    c->upto = upto;
    c->clean = clean;
    c->moved = 0;
    c->serial = 0;
    put(node);
    pl_collect_spread(node, name_space);
}

void pl_collect_greet(struct pl_node *node)
{
    if (node->collect.job != PL_COLLECT_IDLE)
        pl_collect_spread(node, pl_span_text(node->collect.name_space));
}

void pl_collect_spread(struct pl_node *node, struct parley_span name_space)
{
    parley_err err = PARLEY_OK;
    struct parley_namespace_info info = { .floor = 0 };
    bool found = false;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL || parley_read_namespace_named(read, name_space, &info, &found) != PARLEY_OK)
        return; /* each session reads them again with the next STATE */
    uint64_t floor = found ? info.floor : 0;
    uint64_t guard = pl_max_u64(floor, pl_rebase_floor(node, name_space));
    guard = pl_max_u64(guard, rising_floor(node, name_space));
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        const struct pl_grant *grant = conn->round == NULL || conn->peer == NULL
                                           ? NULL
                                           : pl_peer_granted(conn->peer, name_space);
        if (grant != NULL)
            pl_round_set_floor(conn->round, (size_t)(grant - conn->peer->grants), floor, guard);
    }
}

static void finish(struct pl_node *node)
{
    struct pl_collect *c = &node->collect;
    enum pl_collect_job job = c->job;
    c->job = PL_COLLECT_IDLE;
    pl_collect_spread(node, pl_span_text(c->name_space));
    node->collected += c->moved;
    if (c->moved != 0)
        pl_node_trace(node, PARLEY_TRACE_COLLECTED_EVENT, "", c->name_space, c->moved);
    if (job == PL_COLLECT_RAISE)
        pl_rebase_collected(node);
}

void pl_collect_committed(struct pl_node *node, parley_err err)
{
    struct pl_collect *c = &node->collect;
    if (c->job == PL_COLLECT_IDLE || c->serial != node->batches[1 - node->filling].serial)
        return;
    c->serial = 0;
    if (err != PARLEY_OK)
        return; /* again with the next tick */
    const struct parley_write *write = &pl_batch_results(node)[c->index];
    c->moved += write->moved;
    if (write->more)
        put(node);
    else
        finish(node);
}

/* ---- Passes ---- */

/* The next namespace of the pass that has something to collect. */
static parley_err pass(struct pl_node *node, struct parley_read *read)
{
    struct pl_collect *c = &node->collect;
    uint64_t oldest = oldest_kept(node);
    struct parley_namespace_info info;
    bool found = false;
    for (uint32_t i = 0; i < PARLEY_NAMESPACES_MAX && c->job == PL_COLLECT_IDLE; i++) {
        struct pl_collectable able;
        const struct pl_peer *holder = NULL;
        PL_TRY(parley_read_namespace(read, &c->position, &info, &found));
        if (!found || oldest == 0) {
            c->position = 0;
            c->due = node->now.mono + pass_ns(node);
            return PARLEY_OK;
        }
        if (pl_rebase_floor(node, info.name) != 0 || is_outnumbered(node, info.name))
            continue;
        uint64_t limit = age_limit(node, info.name, &holder);
        PL_TRY(pl_collect_find(node, read, info.name, limit, &able));
        /* No higher than what goes: a floor that is lower makes fewer nodes stale. */
        uint64_t upto = pl_min_u64(able.last, able.upto);
        if (upto > info.floor)
            pl_collect_start(node, PL_COLLECT_AGE, info.name, upto, oldest);
    }
    return PARLEY_OK;
}

/* G4: after the floor of a peer towards which we are fresh. */
static parley_err follow(struct pl_node *node, struct parley_read *read,
                         const struct pl_connection *conn)
{
    const struct pl_round *round = conn->round;
    for (size_t i = 0; i < conn->peer->grant_count && node->collect.job == PL_COLLECT_IDLE; i++) {
        const struct pl_round_floor *floor = &round->floors[i];
        struct parley_span name = pl_span_text(conn->peer->grants[i].name_space);
        struct pl_collectable able;
        if (floor->relation != PL_FLOOR_FOLLOW || pl_rebase_floor(node, name) != 0)
            continue;
        PL_TRY(pl_collect_find(node, read, name, floor->theirs, &able));
        if (able.upto <= floor->ours)
            continue;
        pl_collect_start(node, PL_COLLECT_FOLLOW, name, able.upto,
                         pl_max_u64(floor->clean, oldest_kept(node)));
    }
    return PARLEY_OK;
}

static bool is_session(const struct pl_connection *conn)
{
    return !conn->closing && conn->round != NULL && conn->peer != NULL &&
           pl_session_is_open(conn->session);
}

static parley_err follow_any(struct pl_node *node, struct parley_read *read)
{
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        const struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (is_session(conn))
            PL_TRY(follow(node, read, conn));
    }
    return PARLEY_OK;
}

/* ---- What is remembered of peers ---- */

static void store_synced(struct pl_node *node, struct pl_peer *peer, parley_time after)
{
    bool waits = peer->stored_at != 0 && node->now.mono < peer->stored_at + after;
    if (!peer->stated || peer->state != PL_PEER_ACTIVE || waits || !pl_peering_has_room(node))
        return;
    peer->acked_stored = peer->acked;
    peer->synced_anew = false;
    peer->stored_at = node->now.mono;
    pl_node_store_peer(node, peer);
}

void pl_collect_session_ends(struct pl_node *node, struct pl_peer *peer)
{
    store_synced(node, peer, pl_min_u64(CLOSE_NS_MAX, pass_ns(node)));
}

static void store_all_synced(struct pl_node *node)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        struct pl_peer *peer = node->peers.table[i];
        if (peer->synced_anew)
            store_synced(node, peer, 0);
        else if (peer->stored_at == 0)
            peer->stored_at = node->now.mono;
        else if (peer->conn != 0)
            store_synced(node, peer, pass_ns(node));
    }
}

void pl_collect_note_synced(struct pl_node *node, struct pl_connection *conn,
                            struct parley_read *read)
{
    uint8_t key[PL_SYNCED_KEY_BYTES_MAX];
    if (conn->peer->synced_anew)
        store_synced(node, conn->peer, 0);
    for (size_t i = 0; i < conn->peer->grant_count; i++) {
        struct pl_round_floor *floor = &conn->round->floors[i];
        struct parley_span name = pl_span_text(conn->peer->grants[i].name_space);
        struct parley_span value;
        bool found = false;
        if (floor->recorded || conn->peer->synced_at[i] == 0)
            continue;
        if (parley_read_sys(read, pl_synced_key(name, key), &value, &found) != PARLEY_OK)
            return;
        floor->recorded = found;
        if (found || !pl_batch_has_room(node, 1, PL_SYNCED_KEY_BYTES_MAX + 1))
            continue;
        pl_batch_add_sys(node, pl_synced_key(name, key), pl_span_text("1"));
        /* From now on a peer without a time counts against us. */
        store_synced(node, conn->peer, 0);
    }
}

/* ---- The whole ---- */

void pl_collect_tick(struct pl_node *node)
{
    struct pl_collect *c = &node->collect;
    parley_err err = PARLEY_OK;
    if (node->stopping || node->store_health != PARLEY_OK)
        return;
    store_all_synced(node);
    if (c->job != PL_COLLECT_IDLE && c->serial == 0)
        put(node);
    struct parley_read *read = c->job == PL_COLLECT_IDLE ? pl_node_read(node, &err) : NULL;
    if (read == NULL)
        return;
    if (c->due == 0)
        c->due = node->now.mono + pl_min_u64(FIRST_PASS_NS, pass_ns(node));
    err = follow_any(node, read);
    bool due = node->options.tombstone_grace_us >= 0 && node->now.mono >= c->due;
    if (err == PARLEY_OK && due && c->job == PL_COLLECT_IDLE)
        err = pass(node, read);
    pl_ignore(err, "a read that fails shows wherever it matters; the next tick tries again");
}
