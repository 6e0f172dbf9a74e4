/* SPDX-License-Identifier: Apache-2.0
 *
 * The trash: what this node took out of its set because it had been away. It is listed, written
 * again, or dropped, in pages: an answer that has `next` is followed by another request.
 */
#include "core/hash.h"
#include "node/render.h"
#include "node/shim.h"

#define PAGE_DEFAULT  100
#define PAGE_MAX      500
#define SCAN_MAX      PL_LIMIT(5000u, 8u) /* versions looked at for one answer */
#define CONTENT_SHOWN 500
#define HEX_BYTES_MAX (2 * sizeof(((struct parley_trash_key *)0)->bytes))

enum { PHASE_NEW = 0, PHASE_WRITTEN };

/* What is meant, and how far one request has come. */
struct walk {
    struct parley_span name_space;
    struct parley_span conversation; /* empty: all */
    struct parley_span id;           /* empty: all of it */
    struct parley_trash_key at;      /* of the last version that was dealt with */
    uint32_t scanned;
    bool more; /* there is something behind it */
};

static bool is_meant(const struct walk *walk, const struct parley_version *v)
{
    return pl_span_equal(v->name_space, walk->name_space) &&
           (walk->conversation.len == 0 || pl_span_equal(v->conversation, walk->conversation)) &&
           (walk->id.len == 0 || pl_span_equal(v->id, walk->id));
}

/* The next version that is meant; *key is its place. *found false: none, or enough was looked at;
 * walk->at is behind what was not meant. */
static PL_MUST_USE parley_err next_meant(struct parley_read *read, struct walk *walk,
                                         struct parley_trash_key *key,
                                         struct parley_version *version, bool *found)
{
    *key = walk->at;
    for (;;) {
        PL_TRY(parley_read_trash_after(read, key, version, found));
        walk->more = *found;
        if (!*found || is_meant(walk, version))
            return PARLEY_OK;
        walk->at = *key;
        if (++walk->scanned == SCAN_MAX) {
            *found = false;
            return PARLEY_OK;
        }
    }
}

static bool take_after(struct pl_request *request, struct parley_span hex, struct walk *walk)
{
    if (hex.len == 0)
        return true;
    walk->at.len = hex.len / 2;
    if (hex.len % 2 == 0 && hex.len <= HEX_BYTES_MAX - 2 &&
        pl_hex_decode(hex, walk->at.bytes, walk->at.len) == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "bad-query", "after",
                          "must be `next` of an earlier answer of this node");
    return false;
}

static void write_next(const struct walk *walk, struct pl_out *out)
{
    char hex[HEX_BYTES_MAX];
    if (!walk->more)
        return;
    pl_hex_encode(walk->at.bytes, walk->at.len, hex);
    pl_out_field(out, "next", pl_span_of(hex, 2 * walk->at.len));
}

/* ---- GET /trash ---- */

static PL_MUST_USE parley_err write_version(const struct parley_version *v, struct pl_out *out)
{
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "conversation_id", v->conversation);
    pl_out_field(out, v->kind == PARLEY_KIND_MESSAGE ? "message_id" : "field", v->id);
    PL_TRY(pl_render_brief(v, CONTENT_SHOWN, out));
    pl_out_text(out, "}");
    return out->err;
}

static PL_MUST_USE parley_err write_page(struct parley_read *read, struct walk *walk,
                                         uint64_t limit, struct pl_out *out)
{
    uint64_t count = 0;
    PL_TRY(parley_read_trash_count(read, &count));
    pl_out_text(out, "{");
    pl_out_field_u64(out, "count", count);
    pl_out_name(out, "trash");
    pl_out_text(out, "[");
    for (uint64_t i = 0; i <= limit; i++) {
        struct parley_trash_key key;
        struct parley_version version;
        bool found = false;
        PL_TRY(next_meant(read, walk, &key, &version, &found));
        if (!found || i == limit)
            break;
        PL_TRY(write_version(&version, out));
        walk->at = key;
    }
    pl_out_text(out, "]");
    write_next(walk, out);
    pl_out_text(out, "}");
    return out->err;
}

/* `conversation` and `after` of the query; the text lives in the request. */
static bool take_query(struct pl_request *request, struct walk *walk)
{
    char hex[HEX_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    walk->name_space = pl_shim_name_space(request);
    if (!pl_shim_query(request, "conversation", request->word, PARLEY_ID_BYTES_MAX,
                       &request->word_len, &found))
        return false;
    if (found)
        walk->conversation = pl_span_of(request->word, request->word_len);
    return pl_shim_query(request, "after", hex, sizeof hex, &len, &found) &&
           take_after(request, pl_span_of(hex, found ? len : 0), walk);
}

enum pl_shim_step pl_shim_get_trash(struct pl_node *node, struct pl_request *request)
{
    struct walk walk = { .more = false };
    uint64_t limit = PAGE_DEFAULT;
    parley_err err = PARLEY_OK;
    if (!take_query(request, &walk) || !pl_shim_query_number(request, "limit", PAGE_MAX, &limit))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return pl_shim_store_problem(node, request, err);
    pl_shim_reply(request, 200);
    err = write_page(read, &walk, limit, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}

/* ---- Both ways out ---- */

/* The answer is written before the batch is durable, and sent when it is. */
static enum pl_shim_step wait(struct pl_node *node, struct pl_request *request, const char *what,
                              uint64_t count, const struct walk *walk)
{
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_u64(out, what, count);
    write_next(walk, out);
    pl_out_text(out, "}");
    request->phase = PHASE_WRITTEN;
    return count == 0 ? PL_SHIM_DONE : pl_shim_wait(node, request);
}

static void add_untrash(struct pl_node *node, const struct parley_trash_key *key)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_UNTRASH, 0);
    write->u.untrash = pl_batch_copy(node, pl_span_of(key->bytes, key->len));
}

static bool has_room(const struct pl_node *node, const struct parley_trash_key *key,
                     const struct parley_version *v)
{
    size_t body = v->body.len >= PL_LARGE_BYTES_MIN ? 0 : v->body.len + 32;
    size_t names = v->name_space.len + v->conversation.len + v->id.len;
    return pl_batch_has_room(node, 2, names + body + key->len);
}

/* ---- POST /trash/restore ---- */

/* Writes one version again, and takes it out of the trash, in one batch. False: no room. */
static PL_MUST_USE parley_err restore(struct pl_node *node, struct pl_request *request,
                                      const struct parley_trash_key *key,
                                      const struct parley_version *v, bool *added)
{
    *added = false;
    if (!has_room(node, key, v))
        return PARLEY_OK;
    PL_TRY(pl_shim_copy_body(request, v));
    struct parley_version again = { .name_space = v->name_space,
                                    .conversation = v->conversation,
                                    .id = v->id,
                                    .kind = v->kind,
                                    .body = pl_out_span(&request->scratch) };
    *added = pl_shim_add_version(node, request, &again, 0);
    if (*added)
        add_untrash(node, key);
    return PARLEY_OK;
}

static bool take_body(struct pl_node *node, struct pl_request *request, struct walk *walk)
{
    struct pl_shim_field fields[] = { { .name = "conversation_id", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "message_id", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "after", .max = HEX_BYTES_MAX } };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return false;
    walk->name_space = pl_shim_name_space(request);
    walk->conversation = fields[0].text;
    walk->id = fields[1].text;
    if (walk->id.len != 0 && walk->conversation.len == 0) {
        pl_shim_problem_field(request, 400, "missing-field", "conversation_id",
                              "a message is named together with its conversation");
        return false;
    }
    return take_after(request, fields[2].text, walk);
}

static enum pl_shim_step restore_page(struct pl_node *node, struct pl_request *request)
{
    struct walk walk = { .more = false };
    parley_err err = PARLEY_OK;
    uint64_t count = 0;
    if (!take_body(node, request, &walk))
        return PL_SHIM_DONE;
    pl_shim_mark(node, request);
    struct parley_read *read = pl_node_read(node, &err);
    for (bool added = read != NULL; added && count < PAGE_MAX && err == PARLEY_OK;) {
        struct parley_trash_key key;
        struct parley_version version;
        bool found = false;
        err = next_meant(read, &walk, &key, &version, &found);
        added = false;
        if (err == PARLEY_OK && found)
            err = restore(node, request, &key, &version, &added);
        if (err == PARLEY_OK && found && !added && count == 0)
            return pl_shim_again(node);
        if (added) {
            walk.at = key;
            count++;
        }
    }
    /* What went into the batch so far is whole: each version with its way out of the trash. */
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return wait(node, request, "restored", count, &walk);
}

enum pl_shim_step pl_shim_restore_trash(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == PHASE_WRITTEN && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    return request->phase == PHASE_WRITTEN ? PL_SHIM_DONE : restore_page(node, request);
}

/* ---- DELETE /trash ---- */

static enum pl_shim_step drop_page(struct pl_node *node, struct pl_request *request)
{
    struct walk walk = { .more = false };
    parley_err err = PARLEY_OK;
    uint64_t count = 0;
    if (!take_query(request, &walk))
        return PL_SHIM_DONE;
    pl_shim_mark(node, request);
    struct parley_read *read = pl_node_read(node, &err);
    for (bool found = read != NULL; found && count < PAGE_MAX && err == PARLEY_OK;) {
        struct parley_trash_key key;
        struct parley_version version;
        err = next_meant(read, &walk, &key, &version, &found);
        if (err != PARLEY_OK || !found)
            break;
        if (!pl_batch_has_room(node, 1, key.len)) {
            if (count == 0)
                return pl_shim_again(node);
            break;
        }
        add_untrash(node, &key);
        walk.at = key;
        count++;
    }
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return wait(node, request, "dropped", count, &walk);
}

enum pl_shim_step pl_shim_empty_trash(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == PHASE_WRITTEN && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    return request->phase == PHASE_WRITTEN ? PL_SHIM_DONE : drop_page(node, request);
}
