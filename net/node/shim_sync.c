/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /sync and POST /import: many conversations in one request, across as many commits as needed.
 *
 * One conversation after the other is checked whole, then merged version by version. What the store
 * has already is found here, in the snapshot, and never becomes a write: the old clients send
 * everything they have every five seconds, and that must cost no commit.
 *
 * When the batch is full the request waits for its commit, takes the verdicts of its writes, and
 * goes on; so the answer counts only what is durable. A conversation may span commits: its verdicts
 * are summed until the next one begins.
 */
#include "core/digest.h"
#include "core/json.h"
#include "core/mp_read.h"
#include "node/payload.h"
#include "node/shim.h"

/* Bytes of payload in one turn; then others have theirs. About 10 ms. */
#define TURN_BYTES (4u << 20)
/* Listed errors; more are only counted, so that a bad file cannot make a huge answer. */
#define ERRORS_LISTED_MAX 1000u

enum phase { PHASE_NEW = 0, PHASE_RUNNING, PHASE_COMMITTING };
enum advance { ADVANCE_OPEN, ADVANCE_BAD, ADVANCE_END };

struct pl_shim_import {
    bool lines;  /* /import; else the array of /sync */
    bool strict; /* stop at the first bad line */
    bool stopped;
    uint32_t source;
    char origin[PARLEY_ORIGIN_BYTES_MAX];
    size_t origin_len;
    struct pl_span sync_id; /* in request->mp */

    /* What is still to come. */
    size_t at;       /* in the body: the next line */
    uint64_t number; /* of the current line, from 1; of the current element, from 0 */
    struct pl_reader list;
    uint32_t left;

    /* The current conversation. */
    bool active;
    bool has_item; /* taken, but not yet in a batch */
    bool written;  /* at least one of its versions became a write */
    bool exists;   /* in the snapshot */
    struct parley_conversation_info info;
    struct pl_payload payload;
    struct pl_payload_item item;
    size_t turn; /* bytes looked at in this turn */

    /* Verdicts of the conversation whose writes were last in a batch. */
    bool open, open_created, open_changed;
    uint64_t received, created, updated, skipped, versions_new;
    struct pl_out errors;
    uint32_t error_count;
    struct parley_diag last_error;
    uint8_t starts[PL_BATCH_WRITES_MAX]; /* write i of ours is the first of a conversation */
};

void pl_shim_import_free(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    if (work == NULL)
        return;
    pl_out_free(&work->errors);
    node->env->release(node->env->ud, work, sizeof *work);
    request->work = NULL;
}

static struct pl_shim_import *begin_work(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = node->env->alloc(node->env->ud, sizeof *work);
    if (work == NULL) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return NULL;
    }
    memset(work, 0, sizeof *work);
    pl_out_init(&work->errors, node->env, &node->buffered_bytes);
    request->work = work;
    return work;
}

/* ---- Errors of single conversations ---- */

static void note_error(struct pl_shim_import *work, struct pl_span id, const char *detail)
{
    struct pl_out *out = &work->errors;
    pl_text_copy(work->last_error.text, sizeof work->last_error.text, detail);
    work->skipped++;
    work->stopped = work->strict;
    if (work->error_count++ >= ERRORS_LISTED_MAX)
        return;
    pl_out_text(out, work->error_count == 1 ? "{" : ",{");
    pl_out_field_u64(out, work->lines ? "line" : "index", work->number);
    if (id.len != 0)
        pl_out_field(out, "conversation_id", id);
    pl_out_field_text(out, "detail", detail);
    pl_out_text(out, "}");
}

/* ---- The next conversation ---- */

static PL_MUST_USE parley_err open_object(struct pl_node *node, struct pl_request *request,
                                          struct pl_span object, enum advance *out)
{
    struct pl_shim_import *work = request->work;
    struct parley_diag diag = { { 0 } };
    *out = ADVANCE_BAD;
    work->received++;
    work->turn += object.len;
    parley_err err = pl_payload_open(&work->payload, object, pl_shim_name_space(request),
                                     pl_span_of(work->origin, work->origin_len), &diag);
    if (err != PARLEY_OK) {
        note_error(work, work->payload.id, diag.text[0] != '\0' ? diag.text : parley_err_text(err));
        return PARLEY_OK;
    }
    (void)node;
    work->active = true;
    work->written = false;
    *out = ADVANCE_OPEN;
    return PARLEY_OK;
}

static bool is_blank(struct pl_span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
            return false;
    return true;
}

static struct pl_span next_line(struct pl_shim_import *work, struct pl_span body)
{
    struct pl_span rest = pl_span_after(body, work->at);
    const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
    size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
    work->at += len + (end == NULL ? 0 : 1);
    work->number++;
    return pl_span_of(rest.ptr, len);
}

static PL_MUST_USE parley_err open_line(struct pl_node *node, struct pl_request *request,
                                        enum advance *out)
{
    struct pl_shim_import *work = request->work;
    struct pl_span line = { 0 };
    *out = ADVANCE_END;
    while (work->at < request->body.len && is_blank(line))
        line = next_line(work, request->body);
    if (is_blank(line))
        return PARLEY_OK;
    struct pl_json_error where = { 0 };
    pl_out_reset(&request->mp);
    parley_err err = pl_shim_to_mp(line, &request->mp, &where);
    if (err == PARLEY_ENOMEM || err == PARLEY_EFULL)
        return PARLEY_ENOMEM;
    if (err == PARLEY_OK)
        return open_object(node, request, pl_out_span(&request->mp), out);
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    char digits[20];
    pl_write_text(&w, "at byte ");
    pl_write_span(&w, pl_out_digits(where.offset, digits));
    pl_write_text(&w, " of the line: ");
    pl_write_text(&w, where.what != NULL ? where.what : parley_err_text(err));
    diag.text[w.len] = '\0';
    work->received++;
    work->turn += line.len;
    note_error(work, pl_span_of(NULL, 0), diag.text);
    *out = ADVANCE_BAD;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err open_element(struct pl_node *node, struct pl_request *request,
                                           enum advance *out)
{
    struct pl_shim_import *work = request->work;
    *out = ADVANCE_END;
    if (work->left == 0)
        return PARLEY_OK;
    work->left--;
    work->number = work->received;
    struct pl_span object = pl_mp_read_any(&work->list);
    return open_object(node, request, object, out);
}

/* What the snapshot of this turn holds of the conversation. */
static PL_MUST_USE parley_err look_up(struct pl_node *node, struct pl_shim_import *work)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    return parley_read_conversation(read, work->payload.name_space, work->payload.id, &work->info,
                                    &work->exists);
}

/* ---- One version ---- */

/* Makes the body; it stays in the request's scratch, or where it came from, until the next one. */
static PL_MUST_USE parley_err make_body(struct pl_request *request, struct pl_payload_item *item)
{
    if (item->version.kind == PARLEY_KIND_HEADER) {
        item->version.body = item->value;
        return PARLEY_OK;
    }
    struct pl_out *scratch = &request->scratch;
    pl_out_reset(scratch);
    if (pl_out_room(scratch, pl_payload_body_bytes_max(item)) != PARLEY_OK)
        return PARLEY_ENOMEM;
    struct pl_writer w = pl_writer_over(scratch->ptr, scratch->cap);
    pl_payload_body(item, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    item->version.body = pl_writer_span(&w);
    return PARLEY_OK;
}

/* Whether merging this version would change nothing. */
static PL_MUST_USE parley_err is_known(struct pl_node *node, const struct pl_shim_import *work,
                                       bool *known)
{
    const struct parley_version *v = &work->item.version;
    struct parley_version have;
    bool found = false;
    bool wanted = true;
    parley_err err = PARLEY_OK;
    *known = false;
    if (!work->exists)
        return PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    PL_TRY(parley_read_register(read, work->info.number, v->kind, v->id, &have, &found));
    bool live = found && (have.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    bool same_body = live && pl_span_equal(have.body, v->body);
    /* A header carries no time of its own, only its conversation's: an equal value is no news. */
    *known = same_body && (v->kind == PARLEY_KIND_HEADER ||
                           (have.time == v->time && pl_span_equal(have.origin, v->origin)));
    if (*known || (!found && work->info.deleted == 0))
        return PARLEY_OK;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    pl_digest_of(v, digest);
    PL_TRY(parley_read_wants(read, v, digest, &wanted));
    *known = !wanted;
    return PARLEY_OK;
}

/* Merges what is left of the current conversation. *full: the batch has no room. */
static PL_MUST_USE parley_err merge_conversation(struct pl_node *node, struct pl_request *request,
                                                 bool *full)
{
    struct pl_shim_import *work = request->work;
    *full = false;
    while (work->has_item || pl_payload_next(&work->payload, &work->item)) {
        bool known = false;
        work->has_item = true;
        PL_TRY(make_body(request, &work->item));
        PL_TRY(is_known(node, work, &known));
        if (!known) {
            size_t index = request->count;
            *full = index == PL_BATCH_WRITES_MAX ||
                    !pl_shim_add_version(node, request, &work->item.version, work->source);
            if (*full)
                return PARLEY_OK;
            work->starts[index] = !work->written;
            work->written = true;
        }
        work->has_item = false;
    }
    work->active = false;
    work->skipped += !work->written;
    return PARLEY_OK;
}

/* ---- Verdicts ---- */

static void close_conversation(struct pl_shim_import *work)
{
    if (!work->open)
        return;
    work->created += work->open_created;
    work->updated += !work->open_created && work->open_changed;
    work->skipped += !work->open_created && !work->open_changed;
    work->open = false;
}

static void take_verdicts(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    const struct parley_write *results = pl_batch_results(node) + request->first;
    for (size_t i = 0; i < request->count; i++) {
        if (work->starts[i] != 0) {
            close_conversation(work);
            work->open = true;
            work->open_created = false;
            work->open_changed = false;
        }
        bool changed = results[i].verdict == PARLEY_VERDICT_NEW ||
                       results[i].verdict == PARLEY_VERDICT_UPDATED;
        work->open_created = work->open_created || results[i].conversation_created;
        work->open_changed = work->open_changed || changed;
        work->versions_new += changed;
    }
}

/* ---- The loop of both routes ---- */

static enum pl_shim_step pause_work(struct pl_node *node, struct pl_request *request, bool full)
{
    if (request->count != 0) {
        request->phase = PHASE_COMMITTING;
        return pl_shim_wait(node, request);
    }
    return full ? pl_shim_again(node) : PL_SHIM_YIELD;
}

static PL_MUST_USE parley_err open_next(struct pl_node *node, struct pl_request *request,
                                        enum advance *out)
{
    struct pl_shim_import *work = request->work;
    *out = ADVANCE_END;
    if (work->stopped)
        return PARLEY_OK;
    PL_TRY(work->lines ? open_line(node, request, out) : open_element(node, request, out));
    return *out == ADVANCE_OPEN ? look_up(node, work) : PARLEY_OK;
}

/* Runs until all is merged and durable. *step DONE: the caller answers. */
static PL_MUST_USE parley_err run(struct pl_node *node, struct pl_request *request,
                                  enum pl_shim_step *step)
{
    struct pl_shim_import *work = request->work;
    if (request->phase == PHASE_COMMITTING) {
        request->phase = PHASE_RUNNING;
        PL_TRY(request->commit_err);
        take_verdicts(node, request);
    }
    pl_shim_mark(node, request);
    work->turn = 0;
    if (work->active)
        PL_TRY(look_up(node, work));
    for (;;) {
        enum advance advance = ADVANCE_OPEN;
        bool full = false;
        if (!work->active)
            PL_TRY(open_next(node, request, &advance));
        if (advance == ADVANCE_END)
            break;
        if (advance == ADVANCE_OPEN)
            PL_TRY(merge_conversation(node, request, &full));
        if (full || work->turn > TURN_BYTES) {
            *step = pause_work(node, request, full);
            return PARLEY_OK;
        }
    }
    *step = PL_SHIM_DONE;
    if (request->count != 0)
        *step = pause_work(node, request, false);
    else
        close_conversation(work);
    return PARLEY_OK;
}

static void write_errors(struct pl_shim_import *work, struct pl_out *out)
{
    if (work->error_count == 0)
        return;
    pl_out_name(out, "errors");
    pl_out_text(out, "[");
    pl_out_bytes(out, pl_out_span(&work->errors));
    pl_out_text(out, "]");
    if (work->error_count > ERRORS_LISTED_MAX)
        pl_out_field_u64(out, "errors_omitted", work->error_count - ERRORS_LISTED_MAX);
}

/* ---- POST /import ---- */

static bool begin_import(struct pl_node *node, struct pl_request *request)
{
    uint64_t strict = 0;
    if (!pl_shim_query_number(request, "strict", 1, &strict))
        return false;
    struct pl_shim_import *work = begin_work(node, request);
    if (work == NULL)
        return false;
    work->lines = true;
    work->strict = strict != 0;
    memcpy(work->origin, "import", 6);
    work->origin_len = 6;
    request->phase = PHASE_RUNNING;
    return true;
}

static enum pl_shim_step answer_import(struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    struct pl_out *out = &request->out;
    if (work->stopped) {
        struct parley_diag diag;
        struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
        char digits[20];
        struct pl_span why = pl_span_text(work->last_error.text);
        pl_write_text(&w, "line ");
        pl_write_span(&w, pl_out_digits(work->number, digits));
        pl_write_text(&w, ": ");
        pl_write_bytes(&w, why.ptr, pl_min_size(why.len, w.cap - w.len));
        diag.text[w.len] = '\0';
        pl_shim_problem(request, 400, "bad-line", diag.text);
        return PL_SHIM_DONE;
    }
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "received", work->received);
    pl_out_field_u64(out, "created", work->created);
    pl_out_field_u64(out, "updated", work->updated);
    pl_out_field_u64(out, "skipped", work->skipped);
    pl_out_field_u64(out, "versions_new", work->versions_new);
    write_errors(work, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_import(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_step step = PL_SHIM_DONE;
    if (request->phase == PHASE_NEW && !begin_import(node, request))
        return PL_SHIM_DONE;
    parley_err err = run(node, request, &step);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return step == PL_SHIM_DONE ? answer_import(request) : step;
}

/* ---- POST /sync ---- */

static bool refuse_source(struct pl_request *request, const char *code, struct pl_span id,
                          const char *why)
{
    struct parley_diag diag;
    pl_ignore(pl_payload_refuse(&diag, PARLEY_EDENIED, id, why), "the response says it");
    pl_shim_problem(request, 403, code, diag.text);
    return false;
}

/* Whether the asker may push what comes from this source. */
static bool check_source(struct pl_node *node, struct pl_request *request, struct pl_span id,
                         uint32_t *number)
{
    const struct pl_peer *peer = pl_peers_find(&node->peers, id);
    if (request->role == PL_SHIM_SESSION)
        return refuse_source(request, "not-granted", id, "a user's token cannot push for a node");
    if (peer == NULL)
        return refuse_source(request, "not-registered", id,
                             "source_backend_id is not registered here; send POST /register-peer");
    if (request->role == PL_SHIM_PEER && peer->number != request->peer_number)
        return refuse_source(request, "other-peer", id,
                             "source_backend_id is not the peer this token belongs to");
    /* Without a token only those may come who registered without proof: a peer that has a key must
     * use it, whatever the mode. */
    if (request->role == PL_SHIM_NOBODY && !peer->legacy)
        return refuse_source(request, "token-missing", id,
                             "this peer is registered with its key and must send a token");
    if (request->role == PL_SHIM_NOBODY && !pl_span_is(pl_shim_name_space(request), "main"))
        return refuse_source(request, "not-granted", id,
                             "without a token only the namespace \"main\" may be used");
    if (peer->state == PL_PEER_REVOKED)
        return refuse_source(request, "revoked", id, "this peer was revoked here");
    if (peer->state != PL_PEER_ACTIVE)
        return refuse_source(request, "pending", id, "this peer waits for the operator's approval");
    const struct pl_grant *grant = pl_peer_granted(peer, pl_shim_name_space(request));
    if (request->role != PL_SHIM_ADMIN && (grant == NULL || !grant->may_write))
        return refuse_source(request, "not-granted", id, "was not granted write on this namespace");
    if (request->role != PL_SHIM_ADMIN && grant->filter.prefix[0] != '\0')
        return refuse_source(request, "not-granted", id,
                             "was granted only conversations that begin with a prefix");
    *number = peer->number;
    return true;
}

static bool begin_sync(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = {
        { .name = "sync_id", .max = PARLEY_ID_BYTES_MAX },
        { .name = "source_backend_id", .required = true, .max = PARLEY_BACKEND_ID_BYTES_MAX },
        { .name = "target_backend_id", .max = PARLEY_ID_BYTES_MAX },
        { .name = "conversations", .required = true, .any = true },
    };
    uint32_t source = 0;
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return false;
    if (fields[2].value.len != 0 && !pl_span_is(fields[2].text, node->backend_id)) {
        pl_shim_problem_field(request, 400, "other-target", "target_backend_id",
                              "does not name this node");
        return false;
    }
    struct pl_reader r = pl_reader_over(fields[3].value);
    if (pl_mp_peek(&r) != PL_MP_ARRAY) {
        pl_shim_problem_field(request, 400, "wrong-type", "conversations", "must be an array");
        return false;
    }
    if (!check_source(node, request, fields[1].text, &source))
        return false;
    struct pl_shim_import *work = begin_work(node, request);
    if (work == NULL)
        return false;
    work->left = pl_mp_read_array(&r, UINT32_MAX);
    work->list = r;
    work->source = source;
    work->sync_id = fields[0].text;
    memcpy(work->origin, fields[1].text.ptr, fields[1].text.len);
    work->origin_len = fields[1].text.len;
    request->phase = PHASE_RUNNING;
    return true;
}

static enum pl_shim_step answer_sync(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    struct pl_out *out = &request->out;
    struct pl_peer *peer = pl_peers_find_number(&node->peers, work->source);
    if (peer != NULL) {
        peer->last_sync_at = node->now.wall;
        peer->bytes_in += request->body.len;
        peer->versions_in += work->versions_new;
    }
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "status", "synced");
    pl_out_field(out, "sync_id", work->sync_id);
    pl_out_field_u64(out, "conversations_received", work->received);
    pl_out_field_u64(out, "conversations_merged", work->created);
    pl_out_field_u64(out, "conversations_updated", work->updated);
    pl_out_field_u64(out, "conversations_skipped", work->skipped);
    write_errors(work, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_sync(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_step step = PL_SHIM_DONE;
    if (request->phase == PHASE_NEW && !begin_sync(node, request))
        return PL_SHIM_DONE;
    parley_err err = run(node, request, &step);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return step == PL_SHIM_DONE ? answer_sync(node, request) : step;
}
