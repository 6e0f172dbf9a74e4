/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /conversations: the most recently updated first, or by id.
 *
 * By time: a walk over the elements of the namespace from the newest down. A conversation is shown
 * where its newest register is, which may be a deletion; of several with that time, where the first
 * of them in the order (kind, id) is. So each is met once, whatever the order of digests, and
 * nothing is sorted or remembered: the cursor is a point.
 *
 * Invariants
 *   L1  What is shown has no newer element: `updated` of its row is the time of the element.
 *   L2  The sets of elements have all that was committed when the walk began: if they lag, they are
 *       brought on first. So the newest are never missing.
 *   L3  A turn looks at LIST_STEP rows, a request at LIST_SCAN_MAX; then the page is short, and
 *       `next` goes on behind what was looked at. Titles that do not match are looked at too.
 */
#include "core/hash.h"
#include "core/mp_read.h"
#include "node/render.h"
#include "node/shim.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000
/* Rows looked at before others have their turn, some milliseconds, and for one answer: one busy
 * conversation may have that many elements above the next one. */
#define LIST_STEP     PL_LIMIT(2000u, 3u)
#define LIST_SCAN_MAX PL_LIMIT(200000u, 40u)
/* Times that the sets are brought on for one request, by up to 32768 versions each. */
#define LIST_INDEX_MAX 64u
/* Of `title`. */
#define LIST_TITLE_BYTES_MAX 255u
/* "t" and a point in hex. */
#define CURSOR_CHARS (1 + 2 * PARLEY_POINT_BYTES)

enum phase { PHASE_NEW = 0, PHASE_INDEXING, PHASE_WALKING };

struct list {
    bool by_id;
    bool more;   /* what is behind was not looked at */
    bool paused; /* by time: it is not known yet whether the next element shows something */
    uint64_t limit;
    uint64_t since;
    size_t prefix_len;
    uint8_t prefix[PARLEY_ID_BYTES_MAX];
    size_t title_len; /* what titles must contain; 0: anything */
    uint8_t title[LIST_TITLE_BYTES_MAX];
    uint64_t shown;
    uint64_t looked;
    uint64_t looked_before; /* in earlier turns */
    unsigned indexings;

    bool begun;
    struct parley_point at;            /* by time: from here up all is dealt with */
    parley_seq probed;                 /* the element whose conversation is being looked into, */
    struct parley_register_name probe; /* so far */
    size_t id_len;                     /* by id: up to here */
    uint8_t id[PARLEY_ID_BYTES_MAX];
};

static struct list *list_of(const struct pl_request *request)
{
    return (struct list *)(void *)request->scratch.ptr;
}

static struct parley_span prefix_of(const struct list *list)
{
    return pl_span_of(list->prefix, list->prefix_len);
}

static uint64_t time_of(const struct parley_point *point)
{
    return pl_get_be(point->bytes, 8);
}

/* ---- What is asked ---- */

static bool refuse_cursor(struct pl_request *request)
{
    pl_shim_problem_field(request, 400, "bad-cursor", "after",
                          "must be `next` of an earlier answer to the same `order`");
    return false;
}

static bool take_order(struct pl_request *request, struct list *list)
{
    char order[8];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "order", order, sizeof order, &len, &found))
        return false;
    list->by_id = found && pl_span_is(pl_span_of(order, len), "id");
    if (!found || list->by_id || pl_span_is(pl_span_of(order, len), "time"))
        return true;
    pl_shim_problem_field(request, 400, "bad-query", "order", "must be \"time\" or \"id\"");
    return false;
}

static bool take_after(struct pl_request *request, struct list *list)
{
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "after", (char *)list->id, sizeof list->id, &len, &found))
        return false;
    list->begun = found;
    list->id_len = len;
    if (!found || list->by_id)
        return true;
    if (len != CURSOR_CHARS || list->id[0] != 't' ||
        pl_hex_decode(pl_span_of(list->id + 1, len - 1), list->at.bytes, PARLEY_POINT_BYTES) !=
            PARLEY_OK)
        return refuse_cursor(request);
    return true;
}

static bool begin(struct pl_node *node, struct pl_request *request)
{
    struct list *list;
    bool found;
    if (pl_out_room(&request->scratch, sizeof *list) != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    request->scratch.len = sizeof *list;
    list = list_of(request);
    *list = (struct list){ .limit = LIST_DEFAULT };
    return take_order(request, list) && take_after(request, list) &&
           pl_shim_query_number(request, "limit", LIST_MAX, &list->limit) &&
           pl_shim_query_time(request, "updated_since", &list->since) &&
           pl_shim_query(request, "prefix", (char *)list->prefix, sizeof list->prefix,
                         &list->prefix_len, &found) &&
           pl_shim_query(request, "title", (char *)list->title, sizeof list->title,
                         &list->title_len, &found);
}

/* ---- The answer ---- */

static bool is_meant(const struct list *list, const struct parley_conversation_info *info)
{
    return (info->messages != 0 || info->headers != 0) && info->updated >= list->since &&
           pl_span_has_prefix(info->id, prefix_of(list));
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Whether the part is in the text; a letter of ASCII counts as the other case of it too. */
static bool contains(struct parley_span text, struct parley_span part)
{
    for (size_t from = 0; from + part.len <= text.len; from++) {
        size_t same = 0;
        while (same < part.len && lower(text.ptr[from + same]) == lower(part.ptr[same]))
            same++;
        if (same == part.len)
            return true;
    }
    return false;
}

static PL_MUST_USE parley_err has_title(const struct list *list, struct parley_read *read,
                                        uint64_t conversation, bool *has)
{
    struct parley_version v;
    bool found = false;
    *has = list->title_len == 0;
    if (*has)
        return PARLEY_OK;
    PL_TRY(parley_read_register(read, conversation, PARLEY_KIND_HEADER, pl_span_text("title"), &v,
                                &found));
    if (!found || (v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return PARLEY_OK;
    struct pl_reader body = pl_reader_over(v.body);
    struct parley_span title = pl_mp_read_str(&body, v.body.len);
    *has = body.err == PARLEY_OK && contains(title, pl_span_of(list->title, list->title_len));
    return PARLEY_OK;
}

static PL_MUST_USE parley_err show(struct list *list, struct parley_read *read,
                                   const struct parley_conversation_info *info, struct pl_out *out)
{
    bool has;
    PL_TRY(has_title(list, read, info->number, &has));
    if (!has)
        return PARLEY_OK;
    list->shown++;
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "conversation_id", info->id);
    pl_out_name(out, "title");
    PL_TRY(pl_render_title(read, info->number, out));
    pl_out_field_time(out, "updated_at", (int64_t)info->updated);
    pl_out_field_u64(out, "messages", info->messages);
    pl_out_text(out, "}");
    return out->err;
}

static void write_end(const struct list *list, struct pl_out *out)
{
    char cursor[CURSOR_CHARS];
    pl_out_text(out, "]");
    if (list->more && list->by_id) {
        pl_out_field(out, "next", pl_span_of(list->id, list->id_len));
    } else if (list->more) {
        cursor[0] = 't';
        pl_hex_encode(list->at.bytes, PARLEY_POINT_BYTES, cursor + 1);
        pl_out_field(out, "next", pl_span_of(cursor, sizeof cursor));
    }
    pl_out_text(out, "}");
}

static bool turn_is_over(const struct list *list)
{
    return list->looked - list->looked_before >= LIST_STEP;
}

/* Enough was looked at for this request, and no look into a conversation has to be finished. */
static bool is_spent(const struct list *list)
{
    return list->looked >= LIST_SCAN_MAX && !list->paused;
}

/* ---- By time ---- */

/* Looks into the conversation for the first register of its newest time: *is_it says whether that
 * is the one of `version`. It pauses at the end of a turn, but is finished in the same
 * request, which else might not get beyond it; a conversation is bounded. */
static PL_MUST_USE parley_err probe(struct list *list, struct parley_read *read,
                                    const struct parley_version *version, bool *is_it)
{
    struct parley_register_cursor cursor;
    PL_TRY(parley_registers_begin_after(read, &list->probe, &cursor));
    for (; !turn_is_over(list); list->looked++) {
        struct parley_version v;
        bool found = false;
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (!found)
            return PARLEY_ECORRUPT; /* `version` itself is one of them */
        if (v.time == version->time) {
            *is_it = v.kind == version->kind && pl_span_equal(v.id, version->id);
            return PARLEY_OK;
        }
        list->probe.kind = v.kind;
        list->probe.id_len = v.id.len;
        if (v.id.len != 0)
            memcpy(list->probe.id, v.id.ptr, v.id.len);
    }
    list->paused = true;
    return PARLEY_OK;
}

/* Whether the conversation of an element is to be shown there. `twin`: its time is not its own. */
static PL_MUST_USE parley_err judge(struct list *list, struct parley_read *read,
                                    const struct parley_element *e, bool twin,
                                    struct parley_conversation_info *info, bool *shows)
{
    uint64_t number = 0;
    bool found = false;
    struct parley_change change;
    *shows = list->paused = false;
    PL_TRY(parley_read_change_conversation(read, e->seq, &number, &found));
    if (found)
        PL_TRY(parley_read_conversation_numbered(read, number, info, &found));
    if (!found || info->updated != time_of(&e->point) || !is_meant(list, info))
        return PARLEY_OK;
    *shows = !twin;
    if (!twin)
        return PARLEY_OK;
    PL_TRY(parley_read_change(read, e->seq, &change, &found));
    if (!found)
        return PARLEY_ECORRUPT; /* it was there just now */
    if (list->probed != e->seq)
        list->probe = (struct parley_register_name){ .conversation = number };
    list->probed = e->seq;
    return probe(list, read, &change.version, shows);
}

/* A view of the prefix, if there is one, has its conversations alone. */
static PL_MUST_USE parley_err find_set(const struct list *list, struct parley_read *read,
                                       struct parley_span name_space, struct parley_set *out)
{
    enum parley_view_state state = PARLEY_VIEW_NONE;
    *out = (struct parley_set){ .name_space = name_space };
    if (list->prefix_len != 0)
        PL_TRY(parley_read_view(read, name_space, prefix_of(list), &state));
    if (state == PARLEY_VIEW_READY)
        out->prefix = prefix_of(list);
    return PARLEY_OK;
}

/* *more: the turn is over, and the walk is not. */
static PL_MUST_USE parley_err walk_by_time(struct list *list, struct parley_read *read,
                                           struct parley_span name_space, struct pl_out *out,
                                           bool *more)
{
    struct parley_set set;
    struct parley_elements elements;
    struct parley_element e, below;
    bool found = false;
    *more = list->more = false;
    PL_TRY(find_set(list, read, name_space, &set));
    PL_TRY(parley_elements_begin_below(read, &set, list->begun ? &list->at : NULL, &elements));
    PL_TRY(parley_elements_prev(&elements, &e, &found));
    for (; found && time_of(&e.point) >= list->since; e = below) {
        struct parley_conversation_info info;
        bool next = false;
        bool shows;
        *more = turn_is_over(list) || is_spent(list);
        list->more = *more || list->shown == list->limit;
        if (list->more)
            return PARLEY_OK;
        PL_TRY(parley_elements_prev(&elements, &below, &next));
        bool twin = (list->begun && time_of(&list->at) == time_of(&e.point)) ||
                    (next && time_of(&below.point) == time_of(&e.point));
        PL_TRY(judge(list, read, &e, twin, &info, &shows));
        list->more = *more = list->paused;
        if (list->paused)
            return PARLEY_OK;
        if (shows)
            PL_TRY(show(list, read, &info, out));
        list->begun = true;
        list->at = e.point;
        list->looked++;
        found = next;
    }
    return PARLEY_OK;
}

/* ---- By id ---- */

static void take_id(struct list *list, struct parley_span id)
{
    memcpy(list->id, id.ptr, id.len);
    list->id_len = id.len;
}

/* The first of all with the prefix may be the prefix itself, which none is behind. */
static PL_MUST_USE parley_err begin_prefix(struct list *list, struct parley_read *read,
                                           struct parley_span name_space, struct pl_out *out)
{
    struct parley_conversation_info info;
    bool found = false;
    if (pl_span_compare(pl_span_of(list->id, list->id_len), prefix_of(list)) >= 0)
        return PARLEY_OK;
    PL_TRY(parley_read_conversation(read, name_space, prefix_of(list), &info, &found));
    take_id(list, prefix_of(list));
    return found && is_meant(list, &info) ? show(list, read, &info, out) : PARLEY_OK;
}

static PL_MUST_USE parley_err walk_by_id(struct list *list, struct parley_read *read,
                                         struct parley_span name_space, struct pl_out *out,
                                         bool *more)
{
    *more = list->more = false;
    if (list->prefix_len != 0)
        PL_TRY(begin_prefix(list, read, name_space, out));
    for (;; list->looked++) {
        struct parley_conversation_info info;
        bool found = false;
        PL_TRY(parley_read_conversation_after(read, name_space, pl_span_of(list->id, list->id_len),
                                              &info, &found));
        if (!found || !pl_span_has_prefix(info.id, prefix_of(list)))
            return PARLEY_OK;
        *more = turn_is_over(list) || is_spent(list);
        list->more = *more || list->shown == list->limit;
        if (list->more)
            return PARLEY_OK;
        if (is_meant(list, &info))
            PL_TRY(show(list, read, &info, out));
        take_id(list, info.id);
    }
}

/* ---- The request ---- */

static enum pl_shim_step walk(struct pl_node *node, struct pl_request *request,
                              struct parley_read *read)
{
    struct list *list = list_of(request);
    struct parley_span name_space = pl_shim_name_space(request);
    bool more = false;
    list->looked_before = list->looked;
    parley_err err = list->by_id ? walk_by_id(list, read, name_space, &request->out, &more)
                                 : walk_by_time(list, read, name_space, &request->out, &more);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(node, request, err);
    if (more && !is_spent(list))
        return PL_SHIM_YIELD;
    write_end(list, &request->out);
    return request->out.err == PARLEY_OK ? PL_SHIM_DONE
                                         : pl_shim_read_problem(node, request, request->out.err);
}

/* Brings the sets on in a batch, which has all that is in the store before it too. */
static enum pl_shim_step index_first(struct pl_node *node, struct pl_request *request)
{
    struct list *list = list_of(request);
    if (list->indexings == LIST_INDEX_MAX ||
        (request->phase == PHASE_INDEXING && request->commit_err != PARLEY_OK)) {
        pl_shim_problem(request, 503, "busy",
                        "the order by time has not come to the newest writes yet; try again "
                        "shortly, or ask with order=id");
        pl_shim_header(request, "Retry-After", pl_span_text("1"));
        return PL_SHIM_DONE;
    }
    if (!pl_batch_has_room(node, 1, 0))
        return pl_shim_again(node);
    list->indexings++;
    request->phase = PHASE_INDEXING;
    pl_shim_mark(node, request);
    pl_batch_add(node, PARLEY_WRITE_INDEX, 0);
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_get_conversations(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    if (request->phase == PHASE_NEW && request->scratch.len == 0 && !begin(node, request))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return pl_shim_store_problem(node, request, err);
    if (request->phase != PHASE_WALKING) {
        if (!list_of(request)->by_id && node->state.indexed != node->state.head)
            return index_first(node, request);
        request->phase = PHASE_WALKING;
        pl_shim_reply(request, 200);
        pl_out_text(&request->out, "{\"conversations\":[");
    }
    return walk(node, request, read);
}
