/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /conversations/{id}/messages and one of them.
 *
 * The messages of a conversation are stored by id, so a page by time is made by a walk over all of
 * them that keeps the first that are asked for, in a heap with the last of them on top. The walk
 * pauses after some registers; its state is in `scratch`. What is shown is read anew at the end,
 * from one snapshot, and the entity tag is of just that.
 */
#include "core/hash.h"
#include "core/message.h"
#include "node/etag.h"
#include "node/render.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX     1000
/* Messages looked at before others have their turn: some milliseconds. */
#define WALK_STEP PL_LIMIT(2000u, 3u)
/* An answer ends behind the message that reaches this; one message may have 16 MiB. */
#define PAGE_BYTES_MAX   PL_LIMIT(8u << 20, 3000u)
#define CURSOR_BYTES_MAX (8 + PARLEY_ID_BYTES_MAX)

enum phase { PHASE_NEW = 0, PHASE_WALKING };

/* A place in the conversation. */
struct item {
    uint64_t created;
    size_t id_len;
    uint8_t id[PARLEY_ID_BYTES_MAX];
};

struct walk {
    struct parley_register_name at;
    uint64_t since, until; /* since <= created < until */
    bool newest_first;
    bool has_after;
    struct item after; /* items behind it */
    size_t cap;        /* of items: one more than the page */
    size_t count;
    struct item items[];
};

static struct walk *walk_of(const struct pl_request *request)
{
    return (struct walk *)(void *)request->scratch.ptr;
}

/* ---- Order ---- */

static bool comes_before(const struct walk *walk, const struct item *a, const struct item *b)
{
    int order = a->created != b->created
                    ? (a->created < b->created ? -1 : 1)
                    : pl_span_compare(pl_span_of(a->id, a->id_len), pl_span_of(b->id, b->id_len));
    return walk->newest_first ? order > 0 : order < 0;
}

/* The last of items[0 .. count) goes to the top, given that all below `at` are heaps. */
static void sift_down(struct walk *walk, size_t at, size_t count)
{
    struct item *items = walk->items;
    struct item moving = items[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && comes_before(walk, &items[child], &items[child + 1]))
            child++;
        if (!comes_before(walk, &moving, &items[child]))
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = moving;
}

static void keep(struct walk *walk, const struct item *item)
{
    if (item->created < walk->since || item->created >= walk->until ||
        (walk->has_after && !comes_before(walk, &walk->after, item)))
        return;
    if (walk->count < walk->cap) {
        walk->items[walk->count++] = *item;
        if (walk->count == walk->cap)
            for (size_t i = walk->cap; i-- > 0;)
                sift_down(walk, i, walk->cap);
    } else if (comes_before(walk, item, &walk->items[0])) {
        walk->items[0] = *item;
        sift_down(walk, 0, walk->cap);
    }
}

static void sort(struct walk *walk)
{
    for (size_t i = walk->count; i-- > 0;)
        sift_down(walk, i, walk->count);
    for (size_t left = walk->count; left-- > 1;) {
        struct item last = walk->items[0];
        walk->items[0] = walk->items[left];
        walk->items[left] = last;
        sift_down(walk, 0, left);
    }
}

/* ---- The cursor: an item as hex ---- */

static void write_cursor(const struct item *item, struct pl_out *out)
{
    uint8_t bytes[CURSOR_BYTES_MAX];
    char hex[CURSOR_BYTES_MAX * 2];
    size_t len = 8 + item->id_len;
    pl_put_be(bytes, item->created, 8);
    memcpy(bytes + 8, item->id, item->id_len);
    pl_hex_encode(bytes, len, hex);
    pl_out_field(out, "next", pl_span_of(hex, len * 2));
}

static bool take_after(struct pl_request *request, struct walk *walk)
{
    char hex[CURSOR_BYTES_MAX * 2];
    uint8_t bytes[CURSOR_BYTES_MAX];
    size_t len = 0;
    if (!pl_shim_query(request, "after", hex, sizeof hex, &len, &walk->has_after))
        return false;
    if (!walk->has_after)
        return true;
    if (len % 2 == 0 && len / 2 > 8 &&
        pl_hex_decode(pl_span_of(hex, len), bytes, len / 2) == PARLEY_OK) {
        walk->after.created = pl_get_be(bytes, 8);
        walk->after.id_len = len / 2 - 8;
        memcpy(walk->after.id, bytes + 8, walk->after.id_len);
        return true;
    }
    pl_shim_problem_field(request, 400, "bad-cursor", "after",
                          "must be `next` of an earlier answer");
    return false;
}

/* ---- What is asked ---- */

static bool take_order(struct pl_request *request, struct walk *walk)
{
    char order[8];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "order", order, sizeof order, &len, &found))
        return false;
    walk->newest_first = found && pl_span_is(pl_span_of(order, len), "desc");
    if (!found || walk->newest_first || pl_span_is(pl_span_of(order, len), "asc"))
        return true;
    pl_shim_problem_field(request, 400, "bad-query", "order", "must be \"asc\" or \"desc\"");
    return false;
}

/* Whether there is a conversation, and which. False: the response is set. */
static bool find(struct pl_node *node, struct pl_request *request, struct parley_read **read,
                 struct parley_conversation_info *info)
{
    bool found = false;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), read, info, &found);
    if (err != PARLEY_OK)
        pl_shim_store_problem(node, request, err);
    else if (!found || (info->messages == 0 && info->headers == 0))
        pl_shim_no_conversation(request);
    else
        return true;
    return false;
}

static bool begin(struct pl_node *node, struct pl_request *request)
{
    struct parley_conversation_info info;
    struct parley_read *read;
    uint64_t limit = PAGE_DEFAULT;
    if (!pl_shim_query_number(request, "limit", PAGE_MAX, &limit) ||
        !find(node, request, &read, &info))
        return false;
    size_t cap = (size_t)limit + 1;
    size_t bytes = sizeof(struct walk) + cap * sizeof(struct item);
    if (pl_out_room(&request->scratch, bytes) != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    struct walk *walk = walk_of(request);
    *walk = (struct walk){ .cap = cap, .until = UINT64_MAX };
    walk->at =
        (struct parley_register_name){ .conversation = info.number, .kind = PARLEY_KIND_MESSAGE };
    request->scratch.len = bytes;
    request->phase = PHASE_WALKING;
    return take_after(request, walk) && take_order(request, walk) &&
           pl_shim_query_time(request, "since", &walk->since) &&
           pl_shim_query_time(request, "until", &walk->until);
}

/* ---- The walk ---- */

static PL_MUST_USE parley_err look_at(struct walk *walk, const struct parley_version *v)
{
    struct pl_message message;
    struct item item = { .id_len = v->id.len };
    walk->at.id_len = v->id.len;
    memcpy(walk->at.id, v->id.ptr, v->id.len);
    if ((v->flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return PARLEY_OK;
    if (pl_message_decode(v->body, &message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    item.created = message.created != 0 ? message.created : v->time;
    memcpy(item.id, v->id.ptr, v->id.len);
    keep(walk, &item);
    return PARLEY_OK;
}

/* *more: it was cut, go on later. */
static PL_MUST_USE parley_err walk_on(struct walk *walk, struct parley_read *read, bool *more)
{
    struct parley_register_cursor cursor;
    *more = true;
    PL_TRY(parley_registers_begin_after(read, &walk->at, &cursor));
    for (unsigned i = 0; i < WALK_STEP; i++) {
        struct parley_version v;
        bool found = false;
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (!found || v.kind != PARLEY_KIND_MESSAGE) {
            *more = false;
            return PARLEY_OK;
        }
        PL_TRY(look_at(walk, &v));
    }
    return PARLEY_OK;
}

/* ---- The answer ---- */

static PL_MUST_USE parley_err read_item(const struct walk *walk, struct parley_read *read,
                                        size_t index, struct parley_change *out, bool *live)
{
    const struct item *item = &walk->items[index];
    PL_TRY(parley_read_register_change(read, walk->at.conversation, PARLEY_KIND_MESSAGE,
                                       pl_span_of(item->id, item->id_len), out, live));
    *live = *live && (out->version.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err tag_page(const struct walk *walk, struct parley_read *read,
                                       size_t page, struct pl_etag *out)
{
    struct pl_etag_sum sum;
    pl_etag_begin(&sum, "messages 1");
    for (size_t i = 0; i < page; i++) {
        struct parley_change change;
        bool live = false;
        PL_TRY(read_item(walk, read, i, &change, &live));
        if (live)
            pl_etag_add(&sum, change.digest);
    }
    pl_etag_end(&sum, walk->count > page, out);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_page(const struct walk *walk, struct parley_read *read,
                                         size_t page, struct pl_out *out)
{
    size_t written = 0;
    pl_out_text(out, "{\"messages\":[");
    for (; written < page && out->len < PAGE_BYTES_MAX; written++) {
        struct parley_change change;
        bool live = false;
        PL_TRY(read_item(walk, read, written, &change, &live));
        if (live)
            PL_TRY(pl_render_message(&change.version, out));
    }
    pl_out_text(out, "]");
    if (walk->count > written)
        write_cursor(&walk->items[written - 1], out);
    pl_out_text(out, "}");
    return out->err;
}

static enum pl_shim_step answer(struct pl_node *node, struct pl_request *request,
                                struct parley_read *read)
{
    struct walk *walk = walk_of(request);
    size_t page = pl_min_size(walk->count, walk->cap - 1);
    struct pl_etag tag;
    sort(walk);
    parley_err err = tag_page(walk, read, page, &tag);
    if (err == PARLEY_OK && pl_etag_is_known(request, &tag))
        return PL_SHIM_DONE;
    pl_shim_reply(request, 200);
    pl_etag_write(request, &tag);
    if (err == PARLEY_OK)
        err = write_page(walk, read, page, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_read_problem(node, request, err);
}

enum pl_shim_step pl_shim_get_messages(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    bool more = false;
    if (request->phase == PHASE_NEW && !begin(node, request))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = walk_on(walk_of(request), read, &more);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return more ? PL_SHIM_YIELD : answer(node, request, read);
}

/* ---- GET /conversations/{id}/messages/{mid} ---- */

enum pl_shim_step pl_shim_get_message(struct pl_node *node, struct pl_request *request)
{
    struct parley_conversation_info info;
    struct parley_read *read;
    struct parley_change change;
    struct pl_etag tag;
    bool found = false;
    if (!find(node, request, &read, &info))
        return PL_SHIM_DONE;
    parley_err err = parley_read_register_change(read, info.number, PARLEY_KIND_MESSAGE,
                                                 pl_shim_param(request, 1), &change, &found);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!found || (change.version.flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return pl_shim_no_message(request);
    pl_etag_of_version(change.digest, &tag);
    if (pl_etag_is_known(request, &tag))
        return PL_SHIM_DONE;
    pl_shim_reply(request, 200);
    pl_etag_write(request, &tag);
    err = pl_render_message(&change.version, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_read_problem(node, request, err);
}
