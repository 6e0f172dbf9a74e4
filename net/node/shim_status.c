/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /status: is it equal, with whom, and if not, why.
 */
#include "node/report.h"
#include "node/shim.h"

/* Tombstones that wait to be collected, and for whom. */
static PL_MUST_USE parley_err write_deletions(const struct pl_node *node, struct parley_read *read,
                                              const struct parley_namespace_info *info,
                                              struct pl_out *out)
{
    struct pl_waiting waiting;
    PL_TRY(pl_collect_describe(node, read, info->name, &waiting));
    pl_out_field_u64(out, "deletions", waiting.tombstones);
    pl_out_field_u64(out, "deletions_waiting", waiting.due);
    if (waiting.holder != NULL)
        pl_out_field_text(out, "held_back_by", waiting.holder->backend_id);
    if (waiting.outnumbered && waiting.due != 0)
        pl_out_field_bool(out, "more_peers_away_than_here", true);
    if (info->floor != 0)
        pl_out_field_time(out, "floor", (int64_t)pl_min_u64(info->floor, INT64_MAX));
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_name_spaces(const struct pl_node *node,
                                                struct parley_read *read, struct pl_out *out)
{
    uint32_t position = 0;
    pl_out_name(out, "namespaces");
    pl_out_text(out, "[");
    for (;;) {
        struct parley_namespace_info info;
        bool found = false;
        PL_TRY(parley_read_namespace(read, &position, &info, &found));
        if (!found)
            break;
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field(out, "name", info.name);
        pl_out_name(out, "root");
        pl_out_hex(out, info.root.sum, sizeof info.root.sum);
        pl_out_field_u64(out, "versions", info.root.count);
        pl_out_field_u64(out, "conversations", info.conversations);
        pl_out_field_u64(out, "messages", info.messages);
        PL_TRY(write_deletions(node, read, &info, out));
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
    return PARLEY_OK;
}

static void write_progress(const char *name, struct pl_report_progress progress, struct pl_out *out)
{
    pl_out_name(out, name);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "done", progress.done);
    pl_out_field_u64(out, "of", progress.of);
    pl_out_text(out, "}");
}

static PL_MUST_USE parley_err write_grants(const struct pl_node *node, const struct pl_peer *peer,
                                           struct parley_read *read, struct pl_out *out)
{
    parley_wall now = node->now.wall;
    pl_out_name(out, "namespaces");
    pl_out_text(out, "[");
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct pl_report_space space;
        PL_TRY(pl_report_space(peer, i, read, node->now.wall, &space));
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field_text(out, "name", space.grant->name_space);
        pl_out_field_text(out, "right", space.grant->may_write ? "write" : "read");
        if (space.scope.prefix.len != 0)
            pl_out_field(out, "prefix", space.scope.prefix);
        if (space.scope.since != 0)
            pl_out_field_time(out, "versions_since", (parley_wall)space.scope.since);
        pl_out_field_text(out, "state", pl_report_state_name(space.state));
        pl_out_field_bool(out, "root_equal", space.equal);
        pl_out_field_time(out, "since", space.since);
        pl_out_field_bool(out, "stale", !pl_floor_counts(peer, i, now, pl_collect_grace(node)));
        pl_out_field_u64(out, "versions", space.ours.count);
        if (space.theirs != NULL)
            pl_out_field_u64(out, "versions_there", space.theirs->count);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_traffic(const struct pl_peer *peer, struct parley_read *read,
                                            parley_wall now, struct pl_out *out)
{
    if (peer->stated) {
        struct pl_report_progress receiving;
        PL_TRY(pl_report_receiving(peer, read, now, &receiving));
        write_progress("sending", pl_report_sending(peer), out);
        write_progress("receiving", receiving, out);
        pl_out_name(out, "skew_us");
        pl_out_i64(out, peer->skew_us);
    }
    pl_out_field_u64(out, "bytes_in", peer->bytes_in);
    pl_out_field_u64(out, "bytes_out", peer->bytes_out);
    pl_out_field_u64(out, "versions_in", peer->versions_in);
    pl_out_field_u64(out, "versions_out", peer->versions_out);
    pl_out_field_u64(out, "versions_lost", peer->versions_lost);
    pl_out_field_u64(out, "repairs", peer->repairs);
    pl_out_field_u64(out, "held", peer->held);
    if (peer->held != 0)
        pl_out_field_time(out, "held_until", peer->held_until);
    pl_out_field_u64(out, "writes_refused", peer->writes_refused);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_peer(const struct pl_node *node, const struct pl_peer *peer,
                                         struct parley_read *read, struct pl_out *out)
{
    enum pl_report_state state = pl_report_state(peer);
    parley_wall next = pl_report_next_dial(node, peer);
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", peer->backend_id);
    pl_out_field_text(out, "state", pl_report_state_name(state));
    pl_out_field_bool(out, "in_sync", state == PL_REPORT_IN_SYNC);
    pl_out_field_bool(out, "root_equal", peer->root_equal);
    pl_out_field_time(out, "last_sync_at", peer->last_sync_at);
    pl_out_field_u64(out, "behind", peer->behind_ours + peer->behind_theirs);
    pl_out_field_time(out, "since", peer->since);
    pl_out_field_text(out, "note", peer->note);
    pl_out_field_text(out, "address", peer->address);
    if (next != 0)
        pl_out_field_time(out, "next_dial_at", next);
    pl_shim_write_kind(node, peer, out);
    PL_TRY(write_traffic(peer, read, node->now.wall, out));
    PL_TRY(write_grants(node, peer, read, out));
    pl_out_text(out, "}");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_peers(struct pl_node *node, struct parley_read *read,
                                          struct pl_out *out)
{
    PL_TRY(pl_report_held(node, read));
    pl_out_name(out, "peers");
    pl_out_text(out, "[");
    for (size_t i = 0; i < node->peers.count; i++)
        PL_TRY(write_peer(node, node->peers.table[i], read, out));
    pl_shim_write_unknown_legacy(node, out);
    pl_out_text(out, "]");
    return PARLEY_OK;
}

/* How far the clock of stamps is before the wall clock; 0 if it is not. */
static int64_t clock_ahead(const struct pl_node *node, const struct parley_db_state *state)
{
    int64_t clock = (int64_t)pl_min_u64(state->clock, INT64_MAX);
    return clock > node->now.wall ? clock - node->now.wall : 0;
}

static void write_store(const struct pl_node *node, const struct parley_db_state *state,
                        struct pl_out *out)
{
    const struct parley_scrub *scrub = &node->scrub;
    pl_out_field_bool(out, "ok", node->store_health == PARLEY_OK && scrub->problems == 0);
    if (node->store_health != PARLEY_OK)
        pl_out_field_text(out, "note", node->store_note);
    else if (scrub->problems != 0)
        pl_out_field_text(out, "note", PL_NODE_DAMAGED_NOTE);
    pl_out_field_u64(out, "file_bytes", state->file_bytes);
    pl_out_field_u64(out, "limit_bytes", state->limit_bytes);
    pl_out_name(out, "scrub");
    pl_out_text(out, "{");
    pl_out_field_u64(out, "rows", scrub->rows);
    pl_out_field_u64(out, "passes", scrub->passes);
    pl_out_field_u64(out, "problems", scrub->problems);
    if (scrub->problems != 0)
        pl_out_field_text(out, "first", scrub->first.text);
    pl_out_text(out, "}");
}

static PL_MUST_USE parley_err write_status(struct pl_node *node, struct parley_read *read,
                                           struct pl_out *out)
{
    struct parley_db_state state;
    uint64_t trash = 0;
    PL_TRY(parley_read_state(read, &state));
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", node->backend_id);
    pl_out_name(out, "incarnation");
    pl_out_hex(out, state.incarnation.bytes, sizeof state.incarnation.bytes);
    PL_TRY(write_name_spaces(node, read, out));
    PL_TRY(write_peers(node, read, out));
    pl_out_field_u64(out, "head", state.head);
    pl_out_field_u64(out, "held", state.held);
    PL_TRY(parley_read_trash_count(read, &trash));
    pl_out_field_u64(out, "trash", trash);
    pl_out_name(out, "clock_ahead_us");
    pl_out_i64(out, clock_ahead(node, &state));
    pl_out_name(out, "store");
    pl_out_text(out, "{");
    write_store(node, &state, out);
    pl_out_text(out, "}");
    pl_out_field_text(out, "version", node->options.version != NULL ? node->options.version : "");
    pl_out_text(out, "}");
    return PARLEY_OK;
}

enum pl_shim_step pl_shim_get_status(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    pl_shim_reply(request, 200);
    pl_report_waiting(node);
    if (read != NULL)
        err = write_status(node, read, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}
