/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /conversations and PATCH /conversations/{id}: a conversation is made whole, and its header
 * changed, in one batch each, so that nobody sees a part and a failure leaves nothing.
 *
 * Two passes over the body. The first checks everything and counts what it may write; then the
 * batch is asked for room for that; the second adds what differs from what is stored. Both look at
 * the same snapshot, when nothing on its way into the store touches the conversation.
 */
#include "core/hash.h"
#include "core/message.h"
#include "core/mp_write.h"
#include "node/etag.h"
#include "node/payload.h"
#include "node/render.h"

/* Header fields and messages of one request, and their bytes: about half of a batch, which others
 * share, and which an empty one therefore always takes. */
#define CHANGE_WRITES_MAX PL_LIMIT(PL_BATCH_WRITES_MAX / 2, 10u)
#define CHANGE_BYTES_MAX  (PL_BATCH_BYTES_MAX / 2)
/* Names the derivation of message ids, so that no other hash of the same parts is one. */
#define ID_LABEL "parley message of a conversation 1"

enum phase { PHASE_NEW = 0, PHASE_WRITTEN };

struct change {
    struct pl_node *node;
    struct pl_request *request;
    struct pl_payload payload;
    struct parley_read *read;
    struct parley_conversation_info info;
    bool exists; /* in the snapshot, and something of it is live */
    bool found;  /* there is or was one */
    size_t count;
    size_t bytes;
};

static bool is_nil(struct parley_span value)
{
    return value.len == 1 && value.ptr[0] == 0xc0;
}

/* ---- Messages of the body ---- */

/* The same request makes the same ids, so that it may be repeated, here or on another node. */
static void derive_id(struct parley_span conversation, uint32_t index,
                      char out[PL_SHIM_MADE_ID_CHARS])
{
    uint8_t digest[PL_SHA256_BYTES];
    uint8_t number[4];
    struct pl_sha256 hash;
    pl_put_be(number, index, sizeof number);
    pl_sha256_init(&hash);
    pl_sha256_update(&hash, ID_LABEL, sizeof ID_LABEL);
    pl_sha256_update(&hash, number, sizeof number);
    pl_sha256_update(&hash, conversation.ptr, conversation.len);
    pl_sha256_final(&hash, digest);
    pl_hex_encode(digest, PL_SHIM_MADE_ID_CHARS / 2, out);
}

struct message_walk {
    struct pl_reader rest;
    uint32_t index;
    char made[PL_SHIM_MADE_ID_CHARS];
    struct pl_payload_item item;
};

static struct message_walk begin_messages(const struct change *change)
{
    return (struct message_walk){ .rest = change->payload.messages };
}

/* False at the end, or with an `err` that `diag` explains. */
static bool next_message(const struct change *change, struct message_walk *walk, parley_err *err,
                         struct parley_diag *diag)
{
    *err = PARLEY_OK;
    if (walk->index == change->payload.message_count)
        return false;
    *err = pl_payload_message(pl_mp_read_any(&walk->rest), &walk->item, diag);
    if (*err != PARLEY_OK)
        return false;
    if (walk->item.version.id.len == 0) {
        derive_id(pl_shim_param(change->request, 0), walk->index, walk->made);
        walk->item.version.id = pl_span_of(walk->made, sizeof walk->made);
    }
    walk->index++;
    return true;
}

static void refuse_message(struct pl_request *request, uint32_t index,
                           const struct parley_diag *diag)
{
    struct parley_diag whole;
    char digits[20];
    struct pl_writer w = pl_writer_over(whole.text, sizeof whole.text - 1);
    struct parley_span why = pl_span_text(diag->text);
    pl_write_text(&w, "messages[");
    pl_write_span(&w, pl_out_digits(index, digits));
    pl_write_text(&w, "].");
    pl_write_span(&w, pl_span_of(why.ptr, pl_min_size(why.len, 200)));
    whole.text[w.len] = '\0';
    pl_shim_problem(request, 400, "bad-message", whole.text);
}

/* ---- First pass ---- */

static bool count_one(struct change *change, size_t bytes)
{
    change->count++;
    change->bytes += bytes;
    if (change->count <= CHANGE_WRITES_MAX && change->bytes <= CHANGE_BYTES_MAX)
        return true;
    pl_shim_problem_limit(
        change->request, 413, "body-too-large", NULL, CHANGE_BYTES_MAX,
        "one request writes at most 4096 fields and messages of 2 MiB together; send "
        "more messages with POST /conversations/{id}/messages");
    return false;
}

static bool count_all(struct change *change)
{
    struct pl_payload payload = change->payload;
    struct pl_payload_item item;
    struct parley_diag diag = { { 0 } };
    struct message_walk walk = begin_messages(change);
    parley_err err;
    if (change->payload.message_count > CHANGE_WRITES_MAX)
        return count_one(change, CHANGE_BYTES_MAX + 1);
    while (pl_payload_next(&payload, &item))
        if (!count_one(change, item.version.id.len + item.value.len))
            return false;
    while (next_message(change, &walk, &err, &diag))
        if (!count_one(change, walk.item.version.id.len + pl_payload_body_bytes_max(&walk.item)))
            return false;
    if (err == PARLEY_OK)
        return true;
    refuse_message(change->request, walk.index, &diag);
    return false;
}

static bool take_body(struct change *change)
{
    struct pl_request *request = change->request;
    struct parley_diag diag;
    if (!pl_shim_body(change->node, request))
        return false;
    if (pl_payload_open_header(&change->payload, pl_out_span(&request->mp),
                               pl_shim_name_space(request), &diag) == PARLEY_OK)
        return true;
    pl_shim_problem(request, 400, "bad-conversation", diag.text);
    return false;
}

/* False: the response is set. */
static bool look_up(struct change *change)
{
    struct pl_request *request = change->request;
    parley_err err = pl_shim_find_conversation(change->node, request, pl_shim_param(request, 0),
                                               &change->read, &change->info, &change->found);
    if (err != PARLEY_OK) {
        pl_shim_store_problem(change->node, request, err);
        return false;
    }
    change->exists = change->found && (change->info.messages != 0 || change->info.headers != 0);
    return true;
}

/* ---- What is stored ---- */

/* Whether a header field is what is stored, a null one: not there. */
static PL_MUST_USE parley_err header_is_same(const struct change *change,
                                             const struct pl_payload_item *item, bool *same)
{
    struct parley_version v;
    bool found = false;
    if (change->exists)
        PL_TRY(parley_read_register(change->read, change->info.number, PARLEY_KIND_HEADER,
                                    item->version.id, &v, &found));
    bool live = found && (v.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    *same = is_nil(item->value) ? !live : live && pl_span_equal(v.body, item->value);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err message_is_same(const struct change *change,
                                              const struct pl_payload_item *item, bool *same)
{
    struct parley_version v;
    struct pl_message message;
    bool found = false;
    *same = false;
    PL_TRY(parley_read_register(change->read, change->info.number, PARLEY_KIND_MESSAGE,
                                item->version.id, &v, &found));
    if (!found || (v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return PARLEY_OK;
    if (pl_message_decode(v.body, &message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    *same =
        pl_span_equal(message.role, item->role) && pl_span_equal(message.content, item->content);
    return PARLEY_OK;
}

/* Whether all that the body says is so. */
static PL_MUST_USE parley_err is_same(const struct change *change, bool *same)
{
    struct pl_payload payload = change->payload;
    struct pl_payload_item item;
    struct message_walk walk = begin_messages(change);
    parley_err err;
    *same = true;
    /* All of them, also behind one that differs: the second pass then reads nothing new. */
    while (pl_payload_next(&payload, &item)) {
        bool one = false;
        PL_TRY(header_is_same(change, &item, &one));
        *same = *same && one;
    }
    while (*same && next_message(change, &walk, &err, NULL))
        PL_TRY(message_is_same(change, &walk.item, same));
    return PARLEY_OK;
}

/* ---- Second pass ---- */

static bool has_room(const struct change *change)
{
    const struct pl_request *request = change->request;
    size_t names = pl_shim_name_space(request).len + pl_shim_param(request, 0).len;
    return pl_batch_has_room(change->node, change->count + 1,
                             change->bytes + names * (change->count + 1) + PL_ISO8601_BYTES + 32);
}

static void add(struct change *change, enum parley_kind kind, struct parley_span id,
                struct parley_span body, uint32_t flags)
{
    struct pl_request *request = change->request;
    struct parley_version v = { .name_space = pl_shim_name_space(request),
                                .conversation = pl_shim_param(request, 0),
                                .id = id,
                                .kind = kind,
                                .flags = flags,
                                .body = body };
    PL_ASSERT_SLOW(parley_version_check(&v, NULL) == PARLEY_OK);
    pl_batch_add_version(change->node, &v, 0);
    request->count++;
}

static PL_MUST_USE parley_err add_headers(struct change *change)
{
    struct pl_payload payload = change->payload;
    struct pl_payload_item item;
    while (pl_payload_next(&payload, &item)) {
        bool same = false;
        bool nil = is_nil(item.value);
        PL_TRY(header_is_same(change, &item, &same));
        if (!same)
            add(change, PARLEY_KIND_HEADER, item.version.id, nil ? pl_span_of(NULL, 0) : item.value,
                nil ? PARLEY_FLAG_TOMBSTONE : 0);
    }
    return PARLEY_OK;
}

/* `scratch` has room for the largest body, as all of them together are bounded. */
static void add_messages(struct change *change)
{
    struct message_walk walk = begin_messages(change);
    struct pl_out *scratch = &change->request->scratch;
    parley_err err;
    while (next_message(change, &walk, &err, NULL)) {
        struct pl_writer w = pl_writer_over(scratch->ptr, scratch->cap);
        pl_payload_body(&walk.item, &w);
        PL_ASSERT(w.err == PARLEY_OK);
        add(change, PARLEY_KIND_MESSAGE, walk.item.version.id, pl_writer_span(&w), 0);
    }
}

/* A conversation is what its registers are: one that is made empty has its time of birth. */
static void add_birth(struct change *change)
{
    char text[PL_ISO8601_BYTES];
    uint8_t value[PL_ISO8601_BYTES + 2];
    struct pl_writer w = pl_writer_over(value, sizeof value);
    if (change->payload.created_at.len != 0)
        return;
    pl_iso8601_format(
        pl_min_u64((uint64_t)pl_max_u64((uint64_t)change->node->now.wall, 1), PL_ISO8601_US_MAX),
        text);
    pl_mp_write_str(&w, pl_span_of(text, sizeof text));
    PL_ASSERT(w.err == PARLEY_OK);
    add(change, PARLEY_KIND_HEADER, pl_span_text("created_at"), pl_writer_span(&w), 0);
}

/* ---- Answers ---- */

static enum pl_shim_step answer_whole(struct change *change, unsigned status)
{
    struct pl_request *request = change->request;
    struct pl_etag tag;
    if (!look_up(change))
        return PL_SHIM_DONE;
    parley_err err = pl_etag_of_conversation(change->read, change->info.number, &tag);
    pl_shim_reply(request, status);
    if (err == PARLEY_OK)
        err =
            pl_render_conversation(change->read, &change->info, PL_RENDER_DEFAULTS, &request->out);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(change->node, request, err);
    pl_etag_write(request, &tag);
    return PL_SHIM_DONE;
}

static enum pl_shim_step answer_brief(struct change *change)
{
    struct pl_request *request = change->request;
    struct pl_etag tag;
    if (!look_up(change))
        return PL_SHIM_DONE;
    parley_err err = pl_etag_of_conversation(change->read, change->info.number, &tag);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(change->node, request, err);
    pl_shim_reply(request, 200);
    pl_etag_write(request, &tag);
    pl_out_text(&request->out, "{");
    pl_out_field(&request->out, "conversation_id", pl_shim_param(request, 0));
    pl_out_field_time(&request->out, "updated_at", (int64_t)change->info.updated);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

/* ---- POST /conversations ---- */

static void take_id(struct pl_request *request, struct parley_span id)
{
    memcpy(request->param[0], id.ptr, id.len);
    request->param_len[0] = id.len;
}

/* The id goes where those of other routes are, in the first parameter of the path; it stays the
 * same when the handler is called again. False: the response is set. */
static bool decide_id(struct change *change)
{
    struct pl_request *request = change->request;
    uint8_t random[PL_SHIM_MADE_ID_CHARS / 2];
    if (change->payload.id.len != 0) {
        take_id(request, change->payload.id);
        return true;
    }
    if (request->word_len == 0 && request->head.idempotency_key.ptr != NULL) {
        if (!pl_shim_key_id(change->node, request, pl_span_of(NULL, 0)))
            return false;
    } else if (request->word_len == 0) {
        change->node->env->entropy(change->node->env->ud, random, sizeof random);
        pl_hex_encode(random, sizeof random, request->word);
        request->word_len = PL_SHIM_MADE_ID_CHARS;
    }
    take_id(request, pl_span_of(request->word, request->word_len));
    return true;
}

static enum pl_shim_step answer_existing(struct change *change)
{
    bool same = false;
    parley_err err = is_same(change, &same);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(change->node, change->request, err);
    if (same)
        return answer_whole(change, 200);
    pl_shim_problem_field(change->request, 409, "conversation-exists", "conversation_id",
                          "exists with other contents; PATCH it, or POST messages to it");
    return PL_SHIM_DONE;
}

static enum pl_shim_step create(struct change *change)
{
    struct pl_node *node = change->node;
    struct pl_request *request = change->request;
    if (!take_body(change) || !decide_id(change) || !count_all(change))
        return PL_SHIM_DONE;
    if (!pl_shim_is_settled(node, request, (enum parley_kind)0, pl_span_of(NULL, 0)))
        return pl_shim_again(node);
    if (!look_up(change))
        return PL_SHIM_DONE;
    if (change->exists)
        return answer_existing(change);
    bool keyed = request->head.idempotency_key.ptr != NULL && change->payload.id.len == 0;
    if (keyed && change->found) {
        pl_shim_problem_field(request, 410, "conversation-deleted", "Idempotency-Key",
                              "the conversation of this key was deleted since; make a new key");
        return PL_SHIM_DONE;
    }
    pl_out_reset(&request->scratch);
    if (pl_out_room(&request->scratch, change->bytes + 1) != PARLEY_OK)
        return pl_shim_store_problem(node, request, PARLEY_ENOMEM);
    if (!has_room(change))
        return pl_shim_again(node);
    pl_shim_mark(node, request);
    parley_err err = add_headers(change);
    PL_ASSERT(err == PARLEY_OK); /* nothing is there: nothing was read */
    add_birth(change);
    add_messages(change);
    request->phase = PHASE_WRITTEN;
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_post_conversation(struct pl_node *node, struct pl_request *request)
{
    struct change change = { .node = node, .request = request };
    if (request->phase == PHASE_WRITTEN && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == PHASE_WRITTEN)
        return answer_whole(&change, 201);
    return create(&change);
}

/* ---- PATCH /conversations/{id} ---- */

/* What a header cannot be changed by. False: the response is set. */
static bool check_patch(struct change *change)
{
    struct pl_request *request = change->request;
    const struct pl_payload *payload = &change->payload;
    const char *field = NULL;
    const char *why = NULL;
    if (payload->id.len != 0 && !pl_span_equal(payload->id, pl_shim_param(request, 0))) {
        field = "conversation_id";
        why = "is another one than in the path; leave it out";
    } else if (payload->message_count != 0) {
        field = "messages";
        why = "are changed by the routes of messages; leave them out";
    } else if (payload->metadata_is_null) {
        field = "metadata";
        why = "must be an object; give null for each key that is to be deleted";
    }
    if (field != NULL)
        pl_shim_problem_field(request, 400, "bad-field", field, why);
    return field == NULL;
}

static enum pl_shim_step patch(struct change *change)
{
    struct pl_node *node = change->node;
    struct pl_request *request = change->request;
    if (!take_body(change) || !check_patch(change) || !count_all(change))
        return PL_SHIM_DONE;
    if (!pl_shim_is_settled(node, request, (enum parley_kind)0, pl_span_of(NULL, 0)))
        return pl_shim_again(node);
    if (!look_up(change))
        return PL_SHIM_DONE;
    if (!change->exists)
        return pl_shim_no_conversation(request);
    if (!pl_etag_may_write_in(node, request, change->read, change->info.number))
        return PL_SHIM_DONE;
    bool same = false;
    parley_err err = is_same(change, &same);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (same)
        return answer_brief(change);
    if (!has_room(change))
        return pl_shim_again(node);
    pl_shim_mark(node, request);
    err = add_headers(change);
    PL_ASSERT(err == PARLEY_OK); /* the same rows were read just now, in the same snapshot */
    request->phase = PHASE_WRITTEN;
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_patch_conversation(struct pl_node *node, struct pl_request *request)
{
    struct change change = { .node = node, .request = request };
    if (request->phase == PHASE_WRITTEN && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == PHASE_WRITTEN)
        return answer_brief(&change);
    return pl_shim_check_id(request, 0) ? patch(&change) : PL_SHIM_DONE;
}
