/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /conflicts and POST /conversations/{id}/promote: what was lost, and how to get it back.
 *
 * History has no index by time, so a page is made by a walk over all of it that keeps the newest
 * registers seen, in a heap with the oldest of them on top. The walk pauses after some registers;
 * its state is in `scratch`. What is shown is read and judged anew at the end.
 */
#include "core/hash.h"
#include "core/message.h"
#include "node/conflict.h"
#include "node/render.h"
#include "node/shim.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX     500
/* Registers looked at before others have their turn: some milliseconds. */
#define WALK_STEP        PL_LIMIT(1000u, 3u)
#define CONTENT_SHOWN    200
#define NAME_CHARS_MIN   4
#define CURSOR_BYTES_MAX (8 + 4 + 1 + PARLEY_ID_BYTES_MAX)

enum phase { PHASE_NEW = 0, PHASE_WRITTEN, PHASE_WALKING };

/* A register in the order of the answer: by the time of its newest version. */
struct item {
    uint64_t time;
    struct parley_register_name name;
};

struct walk {
    struct parley_register_name at;
    uint64_t only; /* conversation; 0: all */
    bool all;
    bool has_after;
    struct item after; /* items below it */
    size_t cap;        /* of items: one more than the page */
    size_t count;
    struct item items[];
};

/* ---- Order ---- */

static int compare(const struct item *a, const struct item *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->name.conversation != b->name.conversation)
        return a->name.conversation < b->name.conversation ? -1 : 1;
    if (a->name.kind != b->name.kind)
        return a->name.kind < b->name.kind ? -1 : 1;
    return pl_span_compare(pl_span_of(a->name.id, a->name.id_len),
                           pl_span_of(b->name.id, b->name.id_len));
}

/* The least of items[0 .. count) goes to the top, given that all below `at` are heaps. */
static void sift_down(struct item *items, size_t at, size_t count)
{
    struct item moving = items[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && compare(&items[child + 1], &items[child]) < 0)
            child++;
        if (compare(&items[child], &moving) >= 0)
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = moving;
}

static void keep(struct walk *walk, const struct item *item)
{
    if (walk->has_after && compare(item, &walk->after) >= 0)
        return;
    if (walk->count < walk->cap) {
        walk->items[walk->count++] = *item;
        if (walk->count == walk->cap)
            for (size_t i = walk->cap; i-- > 0;)
                sift_down(walk->items, i, walk->cap);
        return;
    }
    if (compare(item, &walk->items[0]) <= 0)
        return;
    walk->items[0] = *item;
    sift_down(walk->items, 0, walk->cap);
}

/* Newest first. */
static void sort(struct walk *walk)
{
    for (size_t i = walk->count; i-- > 0;)
        sift_down(walk->items, i, walk->count);
    for (size_t left = walk->count; left-- > 1;) {
        struct item least = walk->items[0];
        walk->items[0] = walk->items[left];
        walk->items[left] = least;
        sift_down(walk->items, 0, left);
    }
}

/* ---- The cursor: an item as hex ---- */

static void write_cursor(const struct item *item, struct pl_out *out)
{
    uint8_t bytes[CURSOR_BYTES_MAX];
    char hex[CURSOR_BYTES_MAX * 2];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_write_u64(&w, item->time);
    pl_write_u32(&w, (uint32_t)item->name.conversation);
    pl_write_u8(&w, (uint8_t)item->name.kind);
    pl_write_span(&w, pl_span_of(item->name.id, item->name.id_len));
    PL_ASSERT(w.err == PARLEY_OK);
    pl_hex_encode(bytes, w.len, hex);
    pl_out_field(out, "next", pl_span_of(hex, w.len * 2));
}

static bool read_cursor(struct parley_span hex, struct item *out)
{
    uint8_t bytes[CURSOR_BYTES_MAX];
    if (hex.len % 2 != 0 || hex.len / 2 > sizeof bytes || hex.len / 2 < 13 ||
        pl_hex_decode(hex, bytes, hex.len / 2) != PARLEY_OK)
        return false;
    struct pl_reader r = pl_reader_over(pl_span_of(bytes, hex.len / 2));
    out->time = pl_read_u64(&r);
    out->name.conversation = pl_read_u32(&r);
    out->name.kind = (enum parley_kind)pl_read_u8(&r);
    out->name.id_len = hex.len / 2 - 13;
    memcpy(out->name.id, bytes + 13, out->name.id_len);
    return true;
}

/* ---- The walk ---- */

static bool take_after(struct pl_request *request, struct walk *walk)
{
    char hex[CURSOR_BYTES_MAX * 2];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "after", hex, sizeof hex, &len, &found))
        return false;
    walk->has_after = found;
    if (!found || read_cursor(pl_span_of(hex, len), &walk->after))
        return true;
    pl_shim_problem_field(request, 400, "bad-query", "after",
                          "must be `next` of an earlier answer of this node");
    return false;
}

/* `conversation=ID`. False: the response is set. */
static bool take_only(struct pl_node *node, struct pl_request *request, struct walk *walk)
{
    char id[PARLEY_ID_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    struct parley_conversation_info info = { 0 };
    if (!pl_shim_query(request, "conversation", id, sizeof id, &len, &found))
        return false;
    if (!found)
        return true;
    struct parley_read *read;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_span_of(id, len), &read, &info, &found);
    if (err != PARLEY_OK)
        pl_shim_store_problem(node, request, err);
    else if (!found)
        pl_shim_problem(request, 404, "no-such-conversation",
                        "there is no such conversation in this namespace");
    walk->only = info.number;
    walk->at.conversation = info.number;
    return err == PARLEY_OK && found;
}

static struct walk *walk_of(const struct pl_request *request)
{
    return (struct walk *)(void *)request->scratch.ptr;
}

static bool begin_walk(struct pl_node *node, struct pl_request *request)
{
    uint64_t limit = PAGE_DEFAULT;
    uint64_t all = 0;
    if (!pl_shim_query_number(request, "limit", PAGE_MAX, &limit) ||
        !pl_shim_query_number(request, "all", 1, &all))
        return false;
    size_t cap = (size_t)limit + 1;
    size_t bytes = sizeof(struct walk) + cap * sizeof(struct item);
    parley_err err = pl_out_room(&request->scratch, bytes);
    if (err != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    struct walk *walk = walk_of(request);
    *walk = (struct walk){ .cap = cap, .all = all != 0 };
    request->scratch.len = bytes;
    request->phase = PHASE_WALKING;
    return take_after(request, walk) && take_only(node, request, walk);
}

static bool is_shown(const struct walk *walk, const struct pl_conflict *c)
{
    return c->lost_count != 0 || (walk->all && c->count != 0);
}

static PL_MUST_USE parley_err look_at(struct pl_request *request, struct parley_read *read,
                                      struct walk *walk)
{
    struct pl_conflict c;
    struct item item = { .name = walk->at };
    PL_TRY(pl_conflict_read(read, &walk->at, &c));
    if (!is_shown(walk, &c) || !pl_span_equal(c.losers[0].name_space, pl_shim_name_space(request)))
        return PARLEY_OK;
    item.time = c.has_current ? c.current.time : c.losers[0].time;
    keep(walk, &item);
    return PARLEY_OK;
}

/* *more: it was cut, go on later. */
static PL_MUST_USE parley_err walk_on(struct pl_request *request, struct parley_read *read,
                                      bool *more)
{
    struct walk *walk = walk_of(request);
    *more = true;
    for (unsigned i = 0; i < WALK_STEP; i++) {
        bool found = false;
        PL_TRY(parley_read_lost_after(read, &walk->at, &found));
        if (!found || (walk->only != 0 && walk->at.conversation != walk->only)) {
            *more = false;
            return PARLEY_OK;
        }
        PL_TRY(look_at(request, read, walk));
    }
    return PARLEY_OK;
}

/* ---- The answer ---- */

static PL_MUST_USE parley_err write_register(const struct walk *walk, const struct pl_conflict *c,
                                             struct pl_out *out)
{
    const struct parley_version *any = &c->losers[0];
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "namespace", any->name_space);
    pl_out_field(out, "conversation_id", any->conversation);
    if (any->kind != PARLEY_KIND_CONVERSATION)
        pl_out_field(out, any->kind == PARLEY_KIND_MESSAGE ? "message_id" : "field", any->id);
    pl_out_name(out, "winner");
    pl_out_text(out, c->has_current ? "{" : "null");
    if (c->has_current)
        PL_TRY(pl_render_brief(&c->current, CONTENT_SHOWN, out));
    pl_out_text(out, c->has_current ? "}" : "");
    pl_out_name(out, "losers");
    pl_out_text(out, "[");
    for (size_t i = 0; i < c->count; i++) {
        if (!walk->all && !c->lost[i])
            continue;
        pl_out_separate(out);
        pl_out_text(out, "{");
        PL_TRY(pl_render_brief(&c->losers[i], CONTENT_SHOWN, out));
        pl_out_field_bool(out, "conflict", c->lost[i]);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]}");
    return out->err;
}

static PL_MUST_USE parley_err write_page(struct parley_read *read, struct walk *walk,
                                         struct pl_out *out)
{
    size_t page = pl_min_size(walk->count, walk->cap - 1);
    sort(walk);
    pl_out_text(out, "{\"conflicts\":[");
    for (size_t i = 0; i < page; i++) {
        struct pl_conflict c;
        PL_TRY(pl_conflict_read(read, &walk->items[i].name, &c));
        if (is_shown(walk, &c))
            PL_TRY(write_register(walk, &c, out));
    }
    pl_out_text(out, "]");
    if (walk->count > page)
        write_cursor(&walk->items[page - 1], out);
    pl_out_text(out, "}");
    return out->err;
}

enum pl_shim_step pl_shim_get_conflicts(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    bool more = false;
    if (request->phase == PHASE_NEW && !begin_walk(node, request))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = walk_on(request, read, &more);
    if (err == PARLEY_OK && more)
        return PL_SHIM_YIELD;
    pl_shim_reply(request, 200);
    if (err == PARLEY_OK)
        err = write_page(read, walk_of(request), &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}

/* ---- POST /conversations/{id}/promote ---- */

/* message_id or field. False: the response is set. */
static bool take_name(struct pl_request *request, const struct pl_shim_field *message,
                      const struct pl_shim_field *field, struct parley_register_name *name)
{
    const struct pl_shim_field *given = message->value.len != 0 ? message : field;
    if ((message->value.len != 0) == (field->value.len != 0) || given->text.len == 0) {
        pl_shim_problem_field(request, 400, "missing-field", "message_id",
                              "give the message_id, or the name of a header in `field`");
        return false;
    }
    name->kind = given == message ? PARLEY_KIND_MESSAGE : PARLEY_KIND_HEADER;
    name->id_len = given->text.len;
    memcpy(name->id, given->text.ptr, given->text.len);
    return true;
}

static bool check_version(struct pl_request *request, struct parley_span version)
{
    bool good = version.len >= NAME_CHARS_MIN && version.len <= PL_VERSION_NAME_CHARS;
    for (size_t i = 0; i < version.len; i++)
        good = good && memchr("0123456789abcdef", version.ptr[i], 16) != NULL;
    if (!good)
        pl_shim_problem_field(request, 400, "bad-version", "version",
                              "must be 4 to 16 hex digits of `version` in history or conflicts");
    return good;
}

static bool is_named(const struct parley_version *v, struct parley_span version)
{
    char name[PL_VERSION_NAME_CHARS + 1];
    pl_render_version_name(v, name);
    return pl_span_has_prefix(pl_span_text(name), version);
}

/* The one version that is meant; NULL: the response is set. */
static const struct parley_version *pick(struct pl_request *request, const struct pl_conflict *c,
                                         struct parley_span version)
{
    const struct parley_version *picked = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_named(&c->losers[i], version)) {
            picked = &c->losers[i];
            count++;
        }
    }
    if (c->has_current && is_named(&c->current, version)) {
        picked = &c->current;
        count++;
    }
    if (count == 1)
        return picked;
    pl_shim_problem(request, count == 0 ? 404 : 409,
                    count == 0 ? "no-such-version" : "ambiguous-version",
                    count == 0 ? "this register has no such version; see its history"
                               : "more than one version begins so; give more digits");
    return NULL;
}

static enum pl_shim_step answer_promoted(struct pl_request *request, uint64_t time)
{
    struct pl_out *out = &request->out;
    bool message = request->remembered == PARLEY_KIND_MESSAGE;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field(out, message ? "message_id" : "field",
                 pl_span_of(request->word, request->word_len));
    pl_out_field_time(out, "timestamp", (int64_t)time);
    pl_out_field(out, "conversation_id", pl_shim_param(request, 0));
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

PL_MUST_USE parley_err pl_shim_copy_body(struct pl_request *request, const struct parley_version *v)
{
    struct pl_message message;
    pl_out_reset(&request->scratch);
    PL_TRY(pl_out_room(&request->scratch, v->body.len + 32));
    struct pl_writer w = pl_writer_over(request->scratch.ptr, request->scratch.cap);
    if (v->kind != PARLEY_KIND_MESSAGE || v->body.len == 0) {
        pl_write_span(&w, v->body);
    } else {
        if (pl_message_decode(v->body, &message) != PARLEY_OK)
            return PARLEY_ECORRUPT;
        if (message.created == 0)
            message.created = v->time;
        pl_message_encode(&w, &message);
    }
    request->scratch.len = w.len;
    return w.err;
}

static enum pl_shim_step write_again(struct pl_node *node, struct pl_request *request,
                                     const struct pl_conflict *c, const struct parley_version *v)
{
    memcpy(request->word, v->id.ptr, v->id.len);
    request->word_len = v->id.len;
    request->remembered = (uint64_t)v->kind;
    if (c->has_current && pl_conflict_is_same(v, &c->current))
        return answer_promoted(request, c->current.time);
    parley_err err = pl_shim_copy_body(request, v);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return pl_shim_write_local(node, request, v->kind, pl_span_of(request->word, request->word_len),
                               v->flags);
}

static enum pl_shim_step promote(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "message_id", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "field", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "version", .required = true, .max = 64 } };
    struct parley_register_name name = { 0 };
    struct parley_conversation_info info = { 0 };
    struct pl_conflict c;
    bool found = false;
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !take_name(request, &fields[0], &fields[1], &name) ||
        !check_version(request, fields[2].text))
        return PL_SHIM_DONE;
    struct parley_read *read;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &read, &info, &found);
    if (err == PARLEY_OK && !found) {
        pl_shim_problem(request, 404, "no-such-conversation",
                        "there is no such conversation in this namespace");
        return PL_SHIM_DONE;
    }
    name.conversation = info.number;
    if (err == PARLEY_OK)
        err = pl_conflict_read(read, &name, &c);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    const struct parley_version *version = pick(request, &c, fields[2].text);
    return version == NULL ? PL_SHIM_DONE : write_again(node, request, &c, version);
}

enum pl_shim_step pl_shim_promote(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == PHASE_WRITTEN && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == PHASE_WRITTEN)
        return answer_promoted(request, pl_batch_results(node)[request->first].stamped_time);
    return promote(node, request);
}
