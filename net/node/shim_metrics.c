/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: the state of the node in the text format of Prometheus, version 0.0.4. Names are
 * parley_<what>_<unit>; totals count since the start, all else is as of now. docs/HTTP.md has the
 * rule of access, docs/OPERATIONS.md says which of them to watch.
 */
#include "node/report.h"
#include "node/shim.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* ---- The format ---- */

static void write_head(const char *name, const char *type, const char *help, struct pl_out *out)
{
    const char *const parts[] = { "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n" };
    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++)
        pl_out_text(out, parts[i]);
}

/* Begins or goes on with the labels of a sample. */
static void write_label(const char *label, struct parley_span value, bool first, struct pl_out *out)
{
    pl_out_text(out, first ? "{" : ",");
    pl_out_text(out, label);
    pl_out_text(out, "=\"");
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c == '\n')
            pl_out_text(out, "\\n");
        else if (c == '"' || c == '\\')
            pl_out_text(out, c == '"' ? "\\\"" : "\\\\");
        else
            pl_out_bytes(out, pl_span_of(&c, 1));
    }
    pl_out_text(out, "\"");
}

static void write_u64(uint64_t value, struct pl_out *out)
{
    char digits[20];
    pl_out_text(out, " ");
    pl_out_bytes(out, pl_out_digits(value, digits));
    pl_out_text(out, "\n");
}

/* Microseconds as seconds. */
static void write_seconds(int64_t us, struct pl_out *out)
{
    char digits[20];
    uint64_t size = us < 0 ? (uint64_t)0 - (uint64_t)us : (uint64_t)us;
    pl_out_text(out, us < 0 ? " -" : " ");
    pl_out_bytes(out, pl_out_digits(size / 1000000, digits));
    pl_out_text(out, ".");
    /* With a one before them the six digits keep their zeros. */
    pl_out_bytes(out, pl_span_after(pl_out_digits(1000000 + size % 1000000, digits), 1));
    pl_out_text(out, "\n");
}

/* ---- The node ---- */

static void write_plain(const char *name, const char *type, const char *help, uint64_t value,
                        struct pl_out *out)
{
    write_head(name, type, help, out);
    pl_out_text(out, name);
    write_u64(value, out);
}

static void write_plain_seconds(const char *name, const char *help, int64_t us, struct pl_out *out)
{
    write_head(name, "gauge", help, out);
    pl_out_text(out, name);
    write_seconds(us, out);
}

static uint64_t count_connections(struct pl_node *node)
{
    uint64_t count = 0;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        count++;
    return count;
}

static void write_build(const struct pl_node *node, struct pl_out *out)
{
    const char *version = node->options.version != NULL ? node->options.version : "";
    write_head("parley_build_info", "gauge", "Version and identity of this node, always 1.", out);
    pl_out_text(out, "parley_build_info");
    write_label("version", pl_span_text(version), true, out);
    write_label("backend_id", pl_span_text(node->backend_id), false, out);
    pl_out_text(out, "}");
    write_u64(1, out);
}

static PL_MUST_USE parley_err write_node(struct pl_node *node, struct parley_read *read,
                                         struct pl_out *out)
{
    struct parley_db_state state;
    uint64_t trash = 0;
    PL_TRY(parley_read_state(read, &state));
    PL_TRY(parley_read_trash_count(read, &trash));
    int64_t ahead = (int64_t)pl_min_u64(state.clock, INT64_MAX) - node->now.wall;
    write_build(node, out);
    write_plain_seconds("parley_uptime_seconds", "Time since the node was opened.",
                        node->now.wall - node->started_wall, out);
    write_plain("parley_store_writable", "gauge", "1 while the store takes writes.",
                node->store_health == PARLEY_OK ? 1 : 0, out);
    write_plain("parley_store_file_bytes", "gauge", "Size of the store.", state.file_bytes, out);
    write_plain("parley_store_limit_bytes", "gauge", "Size up to which the store can grow.",
                state.limit_bytes, out);
    write_plain("parley_store_readers", "gauge", "Open reads of the store, this one among them.",
                state.readers, out);
    write_plain("parley_store_reader_slots", "gauge",
                "Places of readers that are taken or were: the most that were open at once.",
                state.reader_slots, out);
    write_plain("parley_scrub_rows_total", "counter", "Rows of the store proved since the start.",
                node->scrub.rows, out);
    write_plain("parley_scrub_passes_total", "counter",
                "Times the whole store was proved since the start.", node->scrub.passes, out);
    write_plain("parley_scrub_problems_total", "counter", "Damaged rows that the scrub has met.",
                node->scrub.problems, out);
    write_plain("parley_commits_total", "counter", "Commits that wrote something.", node->commits,
                out);
    write_plain("parley_log_sequence", "gauge", "Last sequence of the change log.", state.head,
                out);
    write_plain("parley_held_versions", "gauge",
                "Versions from the future that wait for their time.", state.held, out);
    write_plain_seconds("parley_clock_ahead_seconds",
                        "How far the greatest stamp is before the wall clock, 0 if it is not.",
                        ahead > 0 ? ahead : 0, out);
    write_plain("parley_trash_versions", "gauge", "Versions in the trash.", trash, out);
    write_plain("parley_collected_tombstones_total", "counter",
                "Tombstones removed for good since the start.", node->collected, out);
    write_plain("parley_rebases_total", "counter",
                "Times this node came back after too long, since the start.", node->rebases, out);
    write_plain("parley_connections", "gauge", "Open connections, native and HTTP.",
                count_connections(node), out);
    write_plain("parley_buffered_bytes", "gauge", "Bytes of buffered bodies and answers.",
                node->buffered_bytes, out);
    return PARLEY_OK;
}

/* ---- Namespaces ---- */

static uint64_t space_versions(const struct parley_namespace_info *info)
{
    return info->root.count;
}
static uint64_t space_conversations(const struct parley_namespace_info *info)
{
    return info->conversations;
}
static uint64_t space_messages(const struct parley_namespace_info *info)
{
    return info->messages;
}

static uint64_t space_floor(const struct parley_namespace_info *info)
{
    return info->floor / PARLEY_US_PER_S;
}

static const struct space_metric {
    const char *name, *help;
    uint64_t (*get)(const struct parley_namespace_info *info);
} space_metrics[] = {
    { "parley_namespace_versions", "Current versions, deletions among them.", space_versions },
    { "parley_namespace_conversations", "Conversations that are not deleted.",
      space_conversations },
    { "parley_namespace_messages", "Messages that are not deleted.", space_messages },
    { "parley_namespace_floor_timestamp_seconds", "Tombstones up to then are removed, 0 if none.",
      space_floor },
};

static PL_MUST_USE parley_err write_space_metric(const struct space_metric *metric,
                                                 struct parley_read *read, struct pl_out *out)
{
    uint32_t position = 0;
    write_head(metric->name, "gauge", metric->help, out);
    for (;;) {
        struct parley_namespace_info info;
        bool found = false;
        PL_TRY(parley_read_namespace(read, &position, &info, &found));
        if (!found)
            return PARLEY_OK;
        pl_out_text(out, metric->name);
        write_label("namespace", info.name, true, out);
        pl_out_text(out, "}");
        write_u64(metric->get(&info), out);
    }
}

/* ---- Peers ---- */

enum unit { COUNT, SECONDS };

#define PEER_VALUE(name, expression)                                                               \
    static int64_t peer_##name(const struct pl_peer *peer)                                         \
    {                                                                                              \
        return (int64_t)(expression);                                                              \
    }
PEER_VALUE(in_sync, pl_report_state(peer) == PL_REPORT_IN_SYNC)
PEER_VALUE(last_sync, peer->last_sync_at)
PEER_VALUE(since, peer->since)
PEER_VALUE(to_send, peer->behind_ours)
PEER_VALUE(to_receive, peer->behind_theirs)
PEER_VALUE(skew, peer->skew_us)
PEER_VALUE(held, peer->held)
PEER_VALUE(bytes_in, peer->bytes_in)
PEER_VALUE(bytes_out, peer->bytes_out)
PEER_VALUE(versions_in, peer->versions_in)
PEER_VALUE(versions_out, peer->versions_out)
PEER_VALUE(versions_lost, peer->versions_lost)
PEER_VALUE(repairs, peer->repairs)
PEER_VALUE(writes_refused, peer->writes_refused)
PEER_VALUE(failures, peer->dial_failures)

static const struct peer_metric {
    const char *name, *type, *help;
    enum unit unit;
    int64_t (*get)(const struct pl_peer *peer);
} peer_metrics[] = {
    { "parley_peer_in_sync", "gauge", "1 while both are proved equal.", COUNT, peer_in_sync },
    { "parley_peer_last_sync_timestamp_seconds", "gauge", "When both were last equal, 0 if never.",
      SECONDS, peer_last_sync },
    { "parley_peer_state_since_timestamp_seconds", "gauge", "When its state last changed.", SECONDS,
      peer_since },
    { "parley_peer_unsent_changes", "gauge", "Changes here that it has not acknowledged.", COUNT,
      peer_to_send },
    { "parley_peer_unreceived_changes", "gauge", "Changes there that are not applied here.", COUNT,
      peer_to_receive },
    { "parley_peer_clock_skew_seconds", "gauge", "Its wall clock minus ours, when it last said.",
      SECONDS, peer_skew },
    { "parley_peer_held_versions", "gauge", "Versions of its that wait for their time.", COUNT,
      peer_held },
    { "parley_peer_dial_failures", "gauge", "Dials that failed since one worked.", COUNT,
      peer_failures },
    { "parley_peer_received_bytes_total", "counter", "Bytes it sent, inside TLS.", COUNT,
      peer_bytes_in },
    { "parley_peer_sent_bytes_total", "counter", "Bytes sent to it, inside TLS.", COUNT,
      peer_bytes_out },
    { "parley_peer_received_versions_total", "counter", "Versions it sent.", COUNT,
      peer_versions_in },
    { "parley_peer_sent_versions_total", "counter", "Versions sent to it.", COUNT,
      peer_versions_out },
    { "parley_peer_lost_versions_total", "counter",
      "Versions it sent that were older than what was here.", COUNT, peer_versions_lost },
    { "parley_peer_repairs_total", "counter",
      "Comparisons because roots differed though both had the other's log.", COUNT, peer_repairs },
    { "parley_peer_refused_writes_total", "counter",
      "Versions it sent or offered and may not write.", COUNT, peer_writes_refused },
};

static void write_peer_metric(const struct pl_node *node, const struct peer_metric *metric,
                              struct pl_out *out)
{
    write_head(metric->name, metric->type, metric->help, out);
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        pl_out_text(out, metric->name);
        write_label("peer", pl_span_text(peer->backend_id), true, out);
        pl_out_text(out, "}");
        if (metric->unit == SECONDS)
            write_seconds(metric->get(peer), out);
        else
            write_u64((uint64_t)metric->get(peer), out);
    }
}

static void write_states(const struct pl_node *node, struct pl_out *out)
{
    write_head("parley_peer_state", "gauge", "1 for the state that the peer is in.", out);
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        for (int state = 0; state < PL_REPORT_NOT_SHARED; state++) {
            const char *name = pl_report_state_name((enum pl_report_state)state);
            pl_out_text(out, "parley_peer_state");
            write_label("peer", pl_span_text(peer->backend_id), true, out);
            write_label("state", pl_span_text(name), false, out);
            pl_out_text(out, "}");
            write_u64(pl_report_state(peer) == (enum pl_report_state)state ? 1 : 0, out);
        }
    }
}

/* ---- Peers and namespaces ---- */

static PL_MUST_USE parley_err write_shared(const struct pl_node *node, struct parley_read *read,
                                           bool versions, struct pl_out *out)
{
    const char *name =
        versions ? "parley_peer_namespace_versions" : "parley_peer_namespace_in_sync";
    write_head(name, "gauge",
               versions ? "Current versions there, as it last said."
                        : "1 while the namespace is equal on both sides.",
               out);
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        for (size_t g = 0; g < peer->grant_count; g++) {
            struct pl_report_space space;
            PL_TRY(pl_report_space(peer, g, read, node->now.wall, &space));
            if (versions && space.theirs == NULL)
                continue;
            pl_out_text(out, name);
            write_label("peer", pl_span_text(peer->backend_id), true, out);
            write_label("namespace", pl_span_text(space.grant->name_space), false, out);
            pl_out_text(out, "}");
            write_u64(versions ? space.theirs->count : (space.equal ? 1 : 0), out);
        }
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_metrics(struct pl_node *node, struct parley_read *read,
                                            struct pl_out *out)
{
    PL_TRY(pl_report_held(node, read));
    PL_TRY(write_node(node, read, out));
    for (size_t i = 0; i < PL_ARRAY_LEN(space_metrics); i++)
        PL_TRY(write_space_metric(&space_metrics[i], read, out));
    write_states(node, out);
    for (size_t i = 0; i < PL_ARRAY_LEN(peer_metrics); i++)
        write_peer_metric(node, &peer_metrics[i], out);
    PL_TRY(write_shared(node, read, false, out));
    PL_TRY(write_shared(node, read, true, out));
    return out->err;
}

enum pl_shim_step pl_shim_get_metrics(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    pl_shim_reply(request, 200);
    request->content_type = CONTENT_TYPE;
    pl_report_waiting(node);
    if (read != NULL)
        err = write_metrics(node, read, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}
