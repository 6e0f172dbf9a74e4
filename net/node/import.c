/* SPDX-License-Identifier: Apache-2.0
 *
 * See import.h.
 */
#include "node/import.h"

#include "core/digest.h"
#include "core/json.h"

/* Bytes of payload in one turn; then others have theirs. About 10 ms. */
#define TURN_BYTES (4u << 20)
/* Listed errors; more are only counted, so that a bad file cannot make a huge answer. */
#define ERRORS_LISTED_MAX 1000u

void pl_shim_import_free(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    if (work == NULL)
        return;
    pl_out_free(&work->errors);
    node->env->release(node->env->ud, work, sizeof *work);
    request->work = NULL;
}

struct pl_shim_import *pl_import_begin(struct pl_node *node, struct pl_request *request)
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

static void note_error(struct pl_shim_import *work, struct parley_span id, const char *detail)
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

PL_MUST_USE parley_err pl_import_object(struct pl_node *node, struct pl_request *request,
                                        struct parley_span object, enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    struct parley_diag diag = { { 0 } };
    *out = PL_IMPORT_BAD;
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
    *out = PL_IMPORT_OPEN;
    return PARLEY_OK;
}

/* One conversation as JSON. */
PL_MUST_USE parley_err pl_import_json(struct pl_node *node, struct pl_request *request,
                                      struct parley_span json, enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    struct pl_json_error where = { 0 };
    pl_out_reset(&request->mp);
    parley_err err = pl_shim_to_mp(json, &request->mp, &where);
    if (err == PARLEY_ENOMEM || err == PARLEY_EFULL)
        return PARLEY_ENOMEM;
    if (err == PARLEY_OK)
        return pl_import_object(node, request, pl_out_span(&request->mp), out);
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    char digits[20];
    pl_write_text(&w, "at byte ");
    pl_write_span(&w, pl_out_digits(where.offset, digits));
    pl_write_text(&w, work->lines ? " of the line: " : " of the conversation: ");
    pl_write_text(&w, where.what != NULL ? where.what : parley_err_text(err));
    diag.text[w.len] = '\0';
    work->received++;
    work->turn += json.len;
    note_error(work, pl_span_of(NULL, 0), diag.text);
    *out = PL_IMPORT_BAD;
    return PARLEY_OK;
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

/* ---- What a legacy peer repeats (heard.h) ---- */

static PL_MUST_USE parley_err read_heard(struct pl_node *node, struct pl_shim_import *work)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    return pl_heard_read(read, work->source, work->payload.name_space, work->payload.id,
                         &work->heard);
}

/* Whether the field stood here with this value before. */
static PL_MUST_USE parley_err was_here(struct parley_read *read, const struct pl_shim_import *work,
                                       bool *found)
{
    const struct parley_version *v = &work->item.version;
    uint32_t position = 0;
    *found = false;
    for (bool more = work->exists; more && !*found;) {
        struct parley_version old;
        PL_TRY(
            parley_read_history(read, work->info.number, v->kind, v->id, &position, &old, &more));
        *found = more && pl_span_equal(old.body, v->body);
    }
    return PARLEY_OK;
}

/* Old backends want a title and a date of creation, so both are made up for what has none when it
 * is pushed to them: what comes back of that is nothing that anybody wrote. */
static bool was_made_up(const struct pl_shim_import *work, const struct parley_version *have)
{
    static const uint8_t no_text = 0xa0;
    const struct parley_version *v = &work->item.version;
    bool no_title = pl_span_is(v->id, "title") && pl_span_equal(v->body, pl_span_of(&no_text, 1));
    return work->exists && have == NULL && (no_title || pl_span_is(v->id, "created_at"));
}

/* A header field that the peer has sent before, or has from us; or a message of the time that the
 * one here has: for the old system, in which what is newer wins, that is the same one, and it may
 * have lost fields there. */
static PL_MUST_USE parley_err is_echo(struct parley_read *read, const struct pl_shim_import *work,
                                      const struct parley_version *have, bool *echo)
{
    const struct parley_version *v = &work->item.version;
    *echo = false;
    if (!work->legacy)
        return PARLEY_OK;
    if (v->kind != PARLEY_KIND_HEADER) {
        *echo = have != NULL && have->time == v->time;
        return PARLEY_OK;
    }
    *echo = was_made_up(work, have);
    /* A conversation that lives without the field has lost it with a deletion, and lives again. */
    bool lost = have == NULL && work->exists && work->info.messages != 0;
    if (*echo || lost || pl_heard_find(&work->heard, v->id, v->body, echo))
        return PARLEY_OK;
    return was_here(read, work, echo);
}

/* False: no room for the record. */
static bool remember_heard(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    if (!work->legacy || !work->heard.changed)
        return true;
    if (request->count == PL_BATCH_WRITES_MAX ||
        !pl_heard_store(node, work->source, work->payload.name_space, work->payload.id,
                        &work->heard))
        return false;
    work->starts[request->count++] = 0;
    return true;
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
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    if (work->exists)
        PL_TRY(parley_read_register(read, work->info.number, v->kind, v->id, &have, &found));
    bool live = found && (have.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    PL_TRY(is_echo(read, work, live ? &have : NULL, known));
    if (*known || !work->exists)
        return PARLEY_OK;
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
        if (work->legacy && work->item.version.kind == PARLEY_KIND_HEADER)
            pl_heard_note(&work->heard, work->item.version.id, work->item.version.body);
        work->has_item = false;
    }
    *full = !remember_heard(node, request);
    if (*full)
        return PARLEY_OK;
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
        request->phase = PL_IMPORT_COMMITTING;
        return pl_shim_wait(node, request);
    }
    return full ? pl_shim_again(node) : PL_SHIM_YIELD;
}

static PL_MUST_USE parley_err open_next(struct pl_node *node, struct pl_request *request,
                                        enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    *out = PL_IMPORT_END;
    if (work->stopped)
        return PARLEY_OK;
    PL_TRY(work->next(node, request, out));
    if (*out != PL_IMPORT_OPEN)
        return PARLEY_OK;
    if (work->legacy)
        PL_TRY(read_heard(node, work));
    return look_up(node, work);
}

/* What is in the batch is committed first; then the source is asked again. */
static enum pl_shim_step read_on(struct pl_node *node, struct pl_request *request)
{
    if (request->count != 0)
        return pause_work(node, request, false);
    request->body_taken = request->work->at;
    request->work->at = 0;
    return PL_SHIM_MORE;
}

/* Runs until all is merged and durable. *step DONE: the caller answers. */
PL_MUST_USE parley_err pl_import_run(struct pl_node *node, struct pl_request *request,
                                     enum pl_shim_step *step)
{
    struct pl_shim_import *work = request->work;
    if (request->phase == PL_IMPORT_COMMITTING) {
        request->phase = PL_IMPORT_RUNNING;
        PL_TRY(request->commit_err);
        take_verdicts(node, request);
    }
    pl_shim_mark(node, request);
    work->turn = 0;
    if (work->active)
        PL_TRY(look_up(node, work));
    for (;;) {
        enum pl_import_next advance = PL_IMPORT_OPEN;
        bool full = false;
        if (!work->active)
            PL_TRY(open_next(node, request, &advance));
        if (advance == PL_IMPORT_END || advance == PL_IMPORT_REFUSED)
            break;
        if (advance == PL_IMPORT_READ) {
            *step = read_on(node, request);
            return PARLEY_OK;
        }
        if (advance == PL_IMPORT_OPEN)
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

void pl_import_write_errors(struct pl_shim_import *work, struct pl_out *out)
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
