/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /changes: what was written, in the order of this node's change log. At once as JSON, waited
 * for (long poll), or as server-sent events for as long as the client stays.
 *
 *   BEGIN --(events)--> EVENTS: SEND what there is, SLEEP, SEND ...
 *     |
 *     +--(JSON)--> JSON: DONE with what there is; with `wait` and nothing there, SLEEP before
 *
 * A cursor is the incarnation of the store and a sequence: a store that was restored or copied
 * counts anew, and a client that goes on there would miss changes without noticing.
 */
#include "core/hash.h"
#include "node/render.h"
#include "node/shim.h"

#define CHANGES_DEFAULT 100u
#define CHANGES_MAX     1000u
/* Bytes at which a part of the answer ends, and entries of the log that are looked at for it: those
 * of other namespaces show nothing. */
#define PART_BYTES   (256u << 10)
#define PART_ENTRIES 20000u
#define WAIT_S_MAX   60u
/* A client that is gone shows when it is written to. */
#define HEARTBEAT_NS (15 * PARLEY_NS_PER_S)
/* What a client is told to wait before it comes again. */
#define RETRY_TEXT "retry: 2000\n"

#define CURSOR_CHARS (2 * PARLEY_INCARNATION_BYTES + 1 + 20)

enum phase { PHASE_BEGIN = 0, PHASE_JSON, PHASE_EVENTS };

/* ---- Cursors ---- */

static struct parley_span write_cursor(struct pl_node *node, uint64_t seq, char out[CURSOR_CHARS])
{
    struct pl_writer w = pl_writer_over(out, CURSOR_CHARS);
    char digits[20];
    pl_hex_encode(node->state.incarnation.bytes, PARLEY_INCARNATION_BYTES, out);
    w.len = 2 * PARLEY_INCARNATION_BYTES;
    pl_write_text(&w, "-");
    pl_write_span(&w, pl_out_digits(seq, digits));
    return pl_writer_span(&w);
}

static bool refuse_cursor(struct pl_request *request)
{
    pl_shim_problem_field(
        request, 400, "bad-cursor", "since",
        "is neither 0 nor \"now\" nor the `next` or event id of an earlier answer");
    return false;
}

static bool read_cursor(struct pl_node *node, struct pl_request *request, struct parley_span text)
{
    uint8_t incarnation[PARLEY_INCARNATION_BYTES];
    const size_t hex = 2 * sizeof incarnation;
    uint64_t seq = 0;
    if (text.len < hex + 2 || text.len > CURSOR_CHARS || text.ptr[hex] != '-' ||
        pl_hex_decode(pl_span_of(text.ptr, hex), incarnation, sizeof incarnation) != PARLEY_OK)
        return refuse_cursor(request);
    for (size_t i = hex + 1; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c < '0' || c > '9' || seq > (UINT64_MAX - 9) / 10)
            return refuse_cursor(request);
        seq = seq * 10 + (uint64_t)(c - '0');
    }
    request->feed.after = seq;
    if (memcmp(incarnation, node->state.incarnation.bytes, sizeof incarnation) == 0 &&
        seq <= node->state.head)
        return true;
    pl_shim_problem_field(request, 410, "cursor-gone", "since",
                          "is of a store that was restored, copied or replaced since; read the "
                          "conversations anew, then go on from `since=now`");
    return false;
}

static bool take_since(struct pl_node *node, struct pl_request *request)
{
    char text[CURSOR_CHARS + 1];
    size_t len = 0;
    bool found = false;
    struct parley_span last = request->head.last_event_id;
    if (!pl_shim_query(request, "since", text, sizeof text, &len, &found))
        return false;
    struct parley_span since = pl_span_of(text, len);
    if (last.len != 0) /* a browser that comes again asks the same, and says how far it was */
        since = last;
    if (since.len == 0 || pl_span_is(since, "0"))
        return true;
    if (!pl_span_is(since, "now"))
        return read_cursor(node, request, since);
    request->feed.after = node->state.head;
    return true;
}

/* ---- One change ---- */

static PL_MUST_USE parley_err write_change(const struct parley_change *change, struct pl_out *out)
{
    const struct parley_version *v = &change->version;
    pl_out_text(out, "{");
    pl_out_field(out, "conversation_id", v->conversation);
    PL_TRY(pl_render_version_fields(v, out));
    pl_out_text(out, "}");
    return out->err;
}

static PL_MUST_USE parley_err write_event(struct pl_node *node, const struct parley_change *change,
                                          struct pl_out *out)
{
    char cursor[CURSOR_CHARS];
    pl_out_text(out, "id: ");
    pl_out_bytes(out, write_cursor(node, change->seq, cursor));
    pl_out_text(out, "\nevent: change\ndata: ");
    PL_TRY(write_change(change, out)); /* no line end can be in it: JSON escapes them */
    pl_out_text(out, "\n\n");
    return out->err;
}

/* Writes what there is behind the cursor, which moves, and counts it; *more: there may be more. */
static PL_MUST_USE parley_err write_part(struct pl_node *node, struct pl_request *request,
                                         uint64_t *count, bool *more)
{
    struct parley_feed feed;
    struct parley_change change;
    struct pl_out *out = &request->out;
    bool found = false;
    parley_err err = PARLEY_OK;
    bool events = request->phase == PHASE_EVENTS;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    *count = 0;
    *more = true;
    PL_TRY(parley_feed_begin(read, request->feed.after, &feed));
    for (size_t i = 0; i < PART_ENTRIES; i++) {
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found) {
            *more = false;
            request->feed.after = node->state.head;
            return PARLEY_OK;
        }
        if (pl_span_equal(change.version.name_space, pl_shim_name_space(request))) {
            if (*count == request->feed.limit || out->len > PART_BYTES)
                return PARLEY_OK;
            if (!events)
                pl_out_separate(out);
            PL_TRY(events ? write_event(node, &change, out) : write_change(&change, out));
            ++*count;
        }
        request->feed.after = change.seq;
    }
    return PARLEY_OK;
}

/* ---- JSON ---- */

static enum pl_shim_step sleep_until(struct pl_request *request, parley_time at)
{
    request->wake_at = at;
    return PL_SHIM_SLEEP;
}

static PL_MUST_USE parley_err answer_json(struct pl_node *node, struct pl_request *request,
                                          enum pl_shim_step *step)
{
    char cursor[CURSOR_CHARS];
    uint64_t count = 0;
    bool more = false;
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{\"changes\":[");
    PL_TRY(write_part(node, request, &count, &more));
    if (count == 0 && node->now.mono < request->feed.until && !node->stopping) {
        *step = more ? PL_SHIM_YIELD : sleep_until(request, request->feed.until);
        return PARLEY_OK;
    }
    pl_out_text(out, "]");
    pl_out_field(out, "next", write_cursor(node, request->feed.after, cursor));
    pl_out_field_bool(out, "more", more);
    pl_out_text(out, "}");
    *step = PL_SHIM_DONE;
    return out->err;
}

/* ---- Server-sent events ---- */

static void write_heartbeat(struct pl_node *node, struct pl_request *request)
{
    char cursor[CURSOR_CHARS];
    pl_out_text(&request->out, "id: ");
    pl_out_bytes(&request->out, write_cursor(node, request->feed.after, cursor));
    pl_out_text(&request->out, "\n\n");
    request->feed.until = node->now.mono + HEARTBEAT_NS;
}

static PL_MUST_USE parley_err send_events(struct pl_node *node, struct pl_request *request,
                                          enum pl_shim_step *step)
{
    uint64_t count = 0;
    bool more = false;
    bool first = request->status == 0;
    if (first) {
        pl_shim_reply(request, 200);
        request->content_type = "text/event-stream";
        pl_out_text(&request->out, RETRY_TEXT);
        request->feed.until = node->now.mono;
    }
    PL_TRY(write_part(node, request, &count, &more));
    *step = more ? PL_SHIM_YIELD : sleep_until(request, request->feed.until);
    if (count != 0)
        request->feed.until = node->now.mono + HEARTBEAT_NS;
    else if (node->now.mono >= request->feed.until)
        write_heartbeat(node, request);
    if (request->out.len != 0)
        *step = PL_SHIM_SEND;
    return request->out.err;
}

/* ---- The route ---- */

static bool begin(struct pl_node *node, struct pl_request *request)
{
    uint64_t wait = 0;
    parley_err err = PARLEY_OK;
    bool events = pl_span_has_prefix(request->head.accept, pl_span_text("text/event-stream"));
    request->feed.limit = CHANGES_DEFAULT;
    if (!pl_shim_query_number(request, "wait", WAIT_S_MAX, &wait) ||
        !pl_shim_query_number(request, "limit", CHANGES_MAX, &request->feed.limit))
        return false;
    if (pl_node_read(node, &err) == NULL) {
        pl_shim_store_problem(node, request, err);
        return false;
    }
    if (!take_since(node, request))
        return false;
    if ((events || wait != 0) && !request->feed.counted) {
        if (node->streams == PL_STREAMS_MAX) {
            pl_shim_problem(request, 503, "too-many-streams",
                            "as many clients as the node serves wait for changes already; ask "
                            "without `wait`, or later");
            pl_shim_header(request, "Retry-After", pl_span_text("5"));
            return false;
        }
        node->streams++;
        request->feed.counted = true;
    }
    request->feed.until = node->now.mono + wait * PARLEY_NS_PER_S;
    request->phase = events ? PHASE_EVENTS : PHASE_JSON;
    return true;
}

enum pl_shim_step pl_shim_get_changes(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_step step = PL_SHIM_DONE;
    parley_err err;
    if (request->phase == PHASE_BEGIN) {
        if (!begin(node, request))
            return PL_SHIM_DONE;
    } else if (!pl_shim_still_may(node, request)) {
        return PL_SHIM_DONE;
    }
    err = request->phase == PHASE_EVENTS ? send_events(node, request, &step)
                                         : answer_json(node, request, &step);
    return err == PARLEY_OK ? step : pl_shim_read_problem(node, request, err);
}

void pl_shim_changes_end(struct pl_node *node, struct pl_request *request)
{
    node->streams -= request->feed.counted ? 1 : 0;
    request->feed.counted = false;
}
