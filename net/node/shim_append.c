/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /conversations/{id}/messages/{mid}/append: a message that comes in pieces (growth.h).
 *
 *   NEW --piece is in memory--> answered, "durable": false
 *                  \--asked for--> TAKEN --in a batch--> WAITING --> answered, "durable": true
 *
 * `offset` makes a piece repeatable, and finds out about edits: it is appended at the length that
 * its writer believes in, or not at all.
 */
#include "core/message.h"
#include "core/mp_read.h"
#include "node/etag.h"
#include "node/growth.h"

enum phase { PHASE_NEW = 0, PHASE_TAKEN, PHASE_WAITING };
enum fit { FIT_APPENDS, FIT_REPEATS, FIT_NOT };

/* Kept in `scratch` from TAKEN on. */
struct taken {
    uint64_t growing; /* its name */
    size_t upto;      /* bytes that must be durable */
    bool created;
    bool done;
};

struct piece {
    struct parley_span text, role;
    bool has_offset;
    uint64_t offset;
    bool done;
    bool durable;
};

/* What the store has. */
struct current {
    bool live;
    struct parley_change change;
    struct pl_message message;
};

static struct taken *taken_of(const struct pl_request *request)
{
    return (struct taken *)(void *)request->scratch.ptr;
}

static struct pl_growth_key key_of(const struct pl_request *request)
{
    return (struct pl_growth_key){ .name_space = pl_shim_name_space(request),
                                   .conversation = pl_shim_param(request, 0),
                                   .id = pl_shim_param(request, 1) };
}

/* ---- What is asked ---- */

static bool take_offset(struct pl_request *request, struct parley_span value, struct piece *out)
{
    struct pl_reader r = pl_reader_over(value);
    out->has_offset = value.len != 0;
    if (!out->has_offset)
        return true;
    out->offset = pl_mp_read_uint(&r);
    if (pl_reader_end(&r) == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "wrong-type", "offset",
                          "must be a whole number from 0: the bytes of UTF-8 that are there");
    return false;
}

static bool take_done(struct pl_request *request, struct parley_span value, struct piece *out)
{
    struct pl_reader r = pl_reader_over(value);
    out->done = value.len != 0 && pl_mp_read_bool(&r);
    if (r.err == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "wrong-type", "done", "must be true or false");
    return false;
}

static bool check_id(struct pl_request *request)
{
    struct parley_version v = { .name_space = pl_shim_name_space(request),
                                .conversation = pl_shim_param(request, 0),
                                .id = pl_shim_param(request, 1),
                                .kind = PARLEY_KIND_MESSAGE,
                                .flags = PARLEY_FLAG_TOMBSTONE };
    struct parley_diag diag;
    if (parley_version_check(&v, &diag) == PARLEY_OK)
        return true;
    pl_shim_problem(request, 400, "bad-id", diag.text);
    return false;
}

static bool take_piece(struct pl_node *node, struct pl_request *request, struct piece *out)
{
    struct pl_shim_field fields[] = { { .name = "content", .max = PARLEY_CONTENT_BYTES_MAX },
                                      { .name = "role", .max = PARLEY_ROLE_BYTES_MAX },
                                      { .name = "offset", .any = true },
                                      { .name = "done", .any = true } };
    uint64_t durable = 0;
    *out = (struct piece){ 0 };
    if (!pl_shim_query_number(request, "durable", 1, &durable) || !check_id(request) ||
        !pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !take_offset(request, fields[2].value, out) || !take_done(request, fields[3].value, out))
        return false;
    out->text = fields[0].text;
    out->role = fields[1].text;
    out->durable = out->done || durable != 0;
    if (fields[0].value.len != 0 || out->done)
        return true;
    pl_shim_problem_field(request, 400, "missing-field", "content",
                          "is missing; only with done it may be");
    return false;
}

/* ---- What is there ---- */

static PL_MUST_USE parley_err look_up(struct pl_node *node, struct pl_request *request,
                                      struct current *out)
{
    struct parley_read *read;
    struct parley_conversation_info info;
    bool found = false;
    *out = (struct current){ 0 };
    PL_TRY(
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &read, &info, &found));
    if (found)
        PL_TRY(parley_read_register_change(read, info.number, PARLEY_KIND_MESSAGE,
                                           pl_shim_param(request, 1), &out->change, &found));
    out->live = found && (out->change.version.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    if (!out->live)
        return PARLEY_OK;
    return pl_message_decode(out->change.version.body, &out->message) == PARLEY_OK
               ? PARLEY_OK
               : PARLEY_ECORRUPT;
}

/* How the piece stands to the text that is there. */
static enum fit fit(const struct piece *piece, struct parley_span content)
{
    if (!piece->has_offset || piece->offset == content.len)
        return FIT_APPENDS;
    if (piece->text.len == 0 || piece->offset > content.len ||
        piece->text.len > content.len - piece->offset)
        return FIT_NOT;
    struct parley_span there = pl_span_of(content.ptr + piece->offset, piece->text.len);
    return pl_span_equal(there, piece->text) ? FIT_REPEATS : FIT_NOT;
}

/* ---- Answers ---- */

static enum pl_shim_step refuse_offset(struct pl_request *request, size_t there)
{
    struct pl_out *out = &request->out;
    pl_shim_problem_field(request, 409, "offset-mismatch", "offset",
                          "the message has another length, or other bytes there; go on from the "
                          "`offset` of this answer");
    if (out->err != PARLEY_OK)
        return PL_SHIM_DONE;
    out->len--; /* the closing brace */
    pl_out_field_u64(out, "offset", there);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* The text was dropped before it was durable: what is there now. */
static enum pl_shim_step refuse_lost(struct pl_node *node, struct pl_request *request)
{
    struct current now;
    parley_err err = look_up(node, request, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return refuse_offset(request, now.message.content.len);
}

static enum pl_shim_step answer(struct pl_request *request, unsigned status, size_t offset,
                                bool durable)
{
    struct pl_out *out = &request->out;
    pl_shim_reply(request, status);
    pl_out_text(out, "{");
    pl_out_field(out, "message_id", pl_shim_param(request, 1));
    pl_out_field(out, "conversation_id", pl_shim_param(request, 0));
    pl_out_field_u64(out, "offset", offset);
    pl_out_field_bool(out, "durable", durable);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

static enum pl_shim_step refuse_growth(struct pl_node *node, struct pl_request *request,
                                       parley_err err)
{
    if (err == PARLEY_ETOOBIG) {
        pl_shim_problem_limit(request, 400, "too-long", "content", PARLEY_CONTENT_BYTES_MAX,
                              "the message would be longer than 16 MiB");
        return PL_SHIM_DONE;
    }
    if (err != PARLEY_EAGAIN && err != PARLEY_EFULL)
        return pl_shim_store_problem(node, request, err);
    pl_shim_problem(request, 503, "busy",
                    "64 messages, or 32 MiB of them, grow here already; try again shortly");
    pl_shim_header(request, "Retry-After", pl_span_text("1"));
    return PL_SHIM_DONE;
}

/* ---- Durability ---- */

/* Something of it is not stored. */
static bool is_busy(const struct pl_growing *g)
{
    return g->dirty || g->serial != 0;
}

static bool is_stored(const struct pl_growing *g, size_t upto)
{
    return g->base_time != 0 && g->stored >= upto;
}

static enum pl_shim_step finish(struct pl_node *node, struct pl_request *request)
{
    struct taken taken = *taken_of(request);
    struct pl_growing *g = pl_growth_named(node, taken.growing);
    size_t offset = g == NULL ? taken.upto : g->content.len;
    if (taken.done && g != NULL && !is_busy(g))
        pl_growth_close(node, g);
    return answer(request, taken.created ? 201 : 200, offset, true);
}

/* The piece is in memory, and is to be durable. */
static enum pl_shim_step settle(struct pl_node *node, struct pl_request *request)
{
    const struct taken *taken = taken_of(request);
    struct pl_growing *g = pl_growth_named(node, taken->growing);
    if (g == NULL)
        return refuse_lost(node, request);
    if (is_stored(g, taken->upto))
        return finish(node, request);
    if (g->serial == 0 || g->flying < taken->upto) {
        parley_err err = pl_growth_flush(node, g);
        if (err == PARLEY_EAGAIN)
            return PL_SHIM_AGAIN;
        if (err == PARLEY_ESTATE)
            return refuse_lost(node, request);
        if (err != PARLEY_OK)
            return pl_shim_store_problem(node, request, err);
    }
    request->serial = g->serial;
    request->phase = PHASE_WAITING;
    return pl_shim_wait(node, request);
}

/* ---- One piece ---- */

/* Remembers what has to be durable. Without memory for it the piece is in, and not waited for. */
static enum pl_shim_step wait_for(struct pl_node *node, struct pl_request *request,
                                  const struct taken *taken)
{
    pl_out_reset(&request->scratch);
    pl_out_bytes(&request->scratch, pl_span_of(taken, sizeof *taken));
    if (request->scratch.err != PARLEY_OK)
        return answer(request, taken->created ? 201 : 200, taken->upto, false);
    request->phase = PHASE_TAKEN;
    return settle(node, request);
}

static enum pl_shim_step append(struct pl_node *node, struct pl_request *request,
                                const struct piece *piece, struct pl_growing *g, bool created)
{
    struct taken taken = { .growing = g->name, .created = created, .done = piece->done };
    enum fit how = fit(piece, pl_out_span(&g->content));
    if (piece->role.len != 0 && !pl_span_equal(piece->role, pl_span_of(g->role, g->role_len))) {
        pl_shim_problem_field(request, 409, "message-exists", "role", "is another one there");
        return PL_SHIM_DONE;
    }
    if (how == FIT_NOT)
        return refuse_offset(request, g->content.len);
    parley_err err = how == FIT_APPENDS ? pl_growth_add(node, g, piece->text) : PARLEY_OK;
    if (err != PARLEY_OK && created)
        pl_growth_close(node, g); /* else it would be made without its first piece */
    if (err != PARLEY_OK)
        return refuse_growth(node, request, err);
    taken.upto = how == FIT_APPENDS ? g->content.len : (size_t)piece->offset + piece->text.len;
    if (piece->durable)
        return wait_for(node, request, &taken);
    return answer(request, created ? 201 : 200, g->content.len, is_stored(g, taken.upto));
}

/* It does not grow yet: nothing has been decided in memory. */
static enum pl_shim_step begin(struct pl_node *node, struct pl_request *request,
                               const struct piece *piece, const struct current *now)
{
    struct pl_growth_key key = key_of(request);
    struct pl_growing *g = NULL;
    enum fit how = fit(piece, now->message.content);
    bool same_role = piece->role.len == 0 || pl_span_equal(piece->role, now->message.role);
    if (how == FIT_NOT)
        return refuse_offset(request, now->message.content.len);
    if (!now->live && piece->role.len == 0) {
        pl_shim_problem_field(request, 400, "missing-field", "role",
                              "is missing, and there is no such message yet");
        return PL_SHIM_DONE;
    }
    if (now->live && same_role && (how == FIT_REPEATS || piece->text.len == 0))
        return answer(request, 200, now->message.content.len, true);
    parley_err err =
        pl_growth_open(node, &key, now->live ? &now->change.version : NULL, piece->role, &g);
    if (err != PARLEY_OK)
        return refuse_growth(node, request, err);
    return append(node, request, piece, g, !now->live);
}

/* If-Match is about what is stored: what is not yet, is first. False: `*step` is what to return. */
static bool may_append(struct pl_node *node, struct pl_request *request, struct pl_growing *g,
                       const struct current *now, enum pl_shim_step *step)
{
    struct pl_etag tag;
    *step = PL_SHIM_DONE;
    if (!pl_etag_is_asked(request))
        return true;
    if (g != NULL && is_busy(g)) {
        parley_err err = pl_growth_flush(node, g);
        *step = PL_SHIM_AGAIN;
        if (err != PARLEY_OK && err != PARLEY_EAGAIN && err != PARLEY_ESTATE)
            *step = pl_shim_store_problem(node, request, err);
        return false;
    }
    if (!now->live)
        return pl_etag_may_write(request, NULL);
    pl_etag_of_version(now->change.digest, &tag);
    return pl_etag_may_write(request, &tag);
}

static enum pl_shim_step take(struct pl_node *node, struct pl_request *request)
{
    struct pl_growth_key key = key_of(request);
    struct piece piece;
    struct current now = { 0 };
    enum pl_shim_step step;
    bool good = true;
    if (!take_piece(node, request, &piece))
        return PL_SHIM_DONE;
    struct pl_growing *g = pl_growth_find(node, &key);
    parley_err err = g == NULL ? PARLEY_OK : pl_growth_check(node, g, &good);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!good)
        g = NULL;
    bool looks = g == NULL || (pl_etag_is_asked(request) && !is_busy(g));
    if (looks && !pl_shim_is_settled(node, request, PARLEY_KIND_MESSAGE, key.id))
        return pl_shim_again(node);
    if (looks)
        err = look_up(node, request, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!may_append(node, request, g, &now, &step))
        return step;
    return g == NULL ? begin(node, request, &piece, &now) : append(node, request, &piece, g, false);
}

enum pl_shim_step pl_shim_append_message(struct pl_node *node, struct pl_request *request)
{
    switch ((enum phase)request->phase) {
    case PHASE_NEW:
        return take(node, request);
    case PHASE_TAKEN:
        return settle(node, request);
    case PHASE_WAITING:
        break;
    }
    if (request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    return finish(node, request);
}
