/* SPDX-License-Identifier: Apache-2.0
 *
 * /peers/{id}/diff: what a sync would move. POST has the sets of both sides compared, and nothing
 * moved; GET tells what came of that, and what can be told without the peer.
 *
 * The latter goes by what both sides have said: our change log behind what the peer has
 * acknowledged, and how far its log is ahead of what is applied here. That bounds what moves
 * from above: a version that the peer has from somebody else is offered and not sent, and of
 * several sequences of one register the last is sent. Where ranges must be compared it says so,
 * and no more.
 *
 * The walk over the log pauses; its state is in `scratch`, with one bit a conversation behind
 * it.
 */
#include "node/report.h"
#include "node/shim.h"

/* Log entries looked at before others have their turn. */
#define WALK_STEP PL_LIMIT(5000u, 3u)

enum phase { PHASE_NEW = 0, PHASE_WALKING };

enum basis {
    BASIS_EQUAL,   /* proved equal: nothing moves */
    BASIS_LOGS,    /* the change logs say at most what */
    BASIS_COMPARE, /* the logs are through and the roots differ: ranges decide */
    BASIS_UNKNOWN  /* the peer has not shown its state since the start */
};

struct walk {
    parley_seq at;
    uint64_t versions;
    uint64_t bytes;
    uint64_t conversations;
};

static struct walk *walk_of(const struct pl_request *request)
{
    return (struct walk *)(void *)request->scratch.ptr;
}

/* Whether this conversation was not counted before. Errors: ENOMEM, EFULL. */
static PL_MUST_USE parley_err count_once(struct pl_request *request, uint64_t number)
{
    struct pl_out *scratch = &request->scratch;
    size_t at = sizeof(struct walk) + (size_t)(number / 8);
    uint8_t bit = (uint8_t)(1u << (number % 8));
    if (at >= scratch->len) {
        size_t more = at + 1 - scratch->len;
        PL_TRY(pl_out_room(scratch, more));
        memset(scratch->ptr + scratch->len, 0, more);
        scratch->len += more;
    }
    if ((scratch->ptr[at] & bit) == 0)
        walk_of(request)->conversations++;
    scratch->ptr[at] |= bit;
    return PARLEY_OK;
}

/* Whether it is the peer's to have, and not from it. */
static bool would_go(const struct pl_node *node, const struct pl_peer *peer,
                     const struct parley_change *change)
{
    if (change->source == peer->number || !pl_share_has(peer, &change->version, node->now.wall))
        return false;
    for (size_t i = 0; i < peer->grant_count; i++)
        if (pl_span_is(change->version.name_space, peer->grants[i].name_space))
            return peer->roots[i].named;
    return false;
}

static PL_MUST_USE parley_err count_change(struct pl_request *request, struct parley_read *read,
                                           const struct parley_version *v)
{
    struct parley_conversation_info info;
    bool found = false;
    walk_of(request)->versions++;
    walk_of(request)->bytes += v->id.len + v->body.len;
    PL_TRY(parley_read_conversation(read, v->name_space, v->conversation, &info, &found));
    return found ? count_once(request, info.number) : PARLEY_ECORRUPT;
}

/* *more: it was cut, go on later. */
static PL_MUST_USE parley_err walk_on(const struct pl_node *node, struct pl_request *request,
                                      struct parley_read *read, const struct pl_peer *peer,
                                      bool *more)
{
    struct parley_feed feed;
    *more = true;
    PL_TRY(parley_feed_begin(read, walk_of(request)->at, &feed));
    for (unsigned i = 0; i < WALK_STEP; i++) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found) {
            *more = false;
            return PARLEY_OK;
        }
        if (would_go(node, peer, &change))
            PL_TRY(count_change(request, read, &change.version));
        walk_of(request)->at = change.seq;
    }
    return PARLEY_OK;
}

/* ---- The answer ---- */

static bool is_comparing(struct pl_node *node, const struct pl_peer *peer)
{
    const struct pl_connection *conn = pl_node_conn_find(node, peer->conn);
    return conn != NULL && conn->round != NULL && pl_round_is_comparing(conn->round);
}

static enum basis basis_of(struct pl_node *node, const struct pl_peer *peer, bool equal)
{
    enum pl_report_state state = pl_report_state(peer);
    bool through = peer->behind_ours == 0 && peer->behind_theirs == 0;
    if (!peer->stated)
        return BASIS_UNKNOWN;
    if (equal && state == PL_REPORT_IN_SYNC)
        return BASIS_EQUAL;
    if (is_comparing(node, peer) || (through && !equal && state == PL_REPORT_CATCHING_UP))
        return BASIS_COMPARE;
    return BASIS_LOGS;
}

static PL_MUST_USE parley_err write_spaces(const struct pl_node *node, const struct pl_peer *peer,
                                           struct parley_read *read, struct pl_out *out,
                                           bool *equal)
{
    *equal = true;
    pl_out_name(out, "namespaces");
    pl_out_text(out, "[");
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct pl_report_space space;
        PL_TRY(pl_report_space(peer, i, read, node->now.wall, &space));
        *equal = *equal && (space.equal || space.state == PL_REPORT_NOT_SHARED);
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field_text(out, "name", space.grant->name_space);
        pl_out_field_text(out, "right", space.grant->may_write ? "write" : "read");
        pl_out_field_bool(out, "root_equal", space.equal);
        pl_out_field_u64(out, "versions", space.ours.count);
        if (space.theirs != NULL)
            pl_out_field_u64(out, "versions_there", space.theirs->count);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
    return PARLEY_OK;
}

static void write_moves(struct pl_out *out, const char *name, uint64_t versions, uint64_t bytes)
{
    pl_out_name(out, name);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "versions", versions);
    pl_out_field_u64(out, "bytes", bytes);
    pl_out_text(out, "}");
}

/* The last dry comparison. */
static void write_compared(const struct pl_peer *peer, struct pl_out *out)
{
    const struct pl_diff_result *diff = &peer->diff;
    if (diff->state != PL_DIFF_DONE)
        return;
    pl_out_name(out, "compared");
    pl_out_text(out, "{");
    pl_out_field_time(out, "at", diff->at);
    write_moves(out, "outgoing", diff->versions_out, diff->bytes_out);
    write_moves(out, "incoming", diff->versions_in, diff->bytes_in);
    pl_out_field_u64(out, "conflicts", diff->conflicts);
    pl_out_field_bool(out, "conflicts_all", diff->conflicts_all);
    pl_out_text(out, "}");
}

static PL_MUST_USE parley_err write_diff(struct pl_node *node, const struct pl_peer *peer,
                                         struct parley_read *read, const struct walk *walk,
                                         struct pl_out *out)
{
    static const char *const names[] = { "equal", "logs", "compare", "unknown" };
    bool equal = false;
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", peer->backend_id);
    pl_out_field_text(out, "state", pl_report_state_name(pl_report_state(peer)));
    pl_out_field_bool(out, "connected", peer->conn != 0);
    pl_out_field_bool(out, "comparing", peer->diff.state == PL_DIFF_RUNNING && peer->conn != 0);
    PL_TRY(write_spaces(node, peer, read, out, &equal));
    enum basis basis = basis_of(node, peer, equal);
    pl_out_field_text(out, "basis", names[basis]);
    pl_out_field_bool(out, "exact", basis == BASIS_EQUAL);
    if (basis == BASIS_EQUAL || basis == BASIS_LOGS) {
        bool none = basis == BASIS_EQUAL;
        pl_out_name(out, "outgoing");
        pl_out_text(out, "{");
        pl_out_field_u64(out, "versions", none ? 0 : walk->versions);
        pl_out_field_u64(out, "bytes", none ? 0 : walk->bytes);
        pl_out_field_u64(out, "conversations", none ? 0 : walk->conversations);
        pl_out_text(out, "},\"incoming\":{");
        pl_out_field_u64(out, "versions", none ? 0 : peer->behind_theirs);
        pl_out_text(out, "}");
    }
    write_compared(peer, out);
    pl_out_text(out, "}");
    return out->err;
}

static bool begin(struct pl_node *node, struct pl_request *request, const struct pl_peer *peer)
{
    if (pl_out_room(&request->scratch, sizeof(struct walk)) != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    request->scratch.len = sizeof(struct walk);
    *walk_of(request) = (struct walk){ .at = peer->stated ? peer->acked : UINT64_MAX };
    request->phase = PHASE_WALKING;
    return true;
}

enum pl_shim_step pl_shim_post_diff(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = pl_shim_named_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    struct pl_connection *conn = pl_node_conn_find(node, peer->conn);
    if (conn == NULL || conn->round == NULL) {
        pl_shim_problem(request, 409, "not-connected",
                        "the peer is not connected: what it has cannot be compared now");
        return PL_SHIM_DONE;
    }
    pl_round_want_diff(conn->round);
    conn->wants_pump = true;
    pl_shim_reply(request, 202);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "backend_id", peer->backend_id);
    pl_out_field_text(&request->out, "status", "comparing");
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_diff(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    bool more = false;
    const struct pl_peer *peer = pl_shim_named_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    if (request->phase == PHASE_NEW && !begin(node, request, peer))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    pl_report_waiting(node);
    if (read != NULL)
        err = walk_on(node, request, read, peer, &more);
    if (err == PARLEY_OK && more)
        return PL_SHIM_YIELD;
    pl_shim_reply(request, 200);
    if (err == PARLEY_OK)
        err = write_diff(node, peer, read, walk_of(request), &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}
