/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing one message at a time: append, edit, delete. These are local writes: the store stamps
 * them, and the answer carries the stamp, after the commit.
 *
 * What is decided by what is stored is decided when nothing on its way into the store touches it
 * (pl_shim_is_settled), and written in the same turn: no other write of this node comes between.
 */
#include "core/hash.h"
#include "core/message.h"
#include "node/etag.h"
#include "node/payload.h"
#include "node/shim.h"

/* What is stored under the id, if anything. */
struct current {
    struct parley_read *read;
    bool conversation_found;
    bool found; /* a version, also a deletion */
    bool live;
    struct parley_conversation_info info;
    struct parley_change change;
    struct pl_message message;
};

static PL_MUST_USE parley_err look_up(struct pl_node *node, struct pl_request *request,
                                      struct parley_span id, struct current *out)
{
    *out = (struct current){ 0 };
    PL_TRY(pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &out->read,
                                     &out->info, &out->conversation_found));
    if (!out->conversation_found || id.len == 0)
        return PARLEY_OK;
    PL_TRY(parley_read_register_change(out->read, out->info.number, PARLEY_KIND_MESSAGE, id,
                                       &out->change, &out->found));
    out->live = out->found && (out->change.version.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    if (!out->live)
        return PARLEY_OK;
    return pl_message_decode(out->change.version.body, &out->message) == PARLEY_OK
               ? PARLEY_OK
               : PARLEY_ECORRUPT;
}

/* If-Match, of a message that is there. */
static bool may_change(struct pl_request *request, const struct current *now)
{
    struct pl_etag tag;
    pl_etag_of_version(now->change.digest, &tag);
    return pl_etag_may_write(request, &tag);
}

bool pl_shim_check_id(struct pl_request *request, size_t index)
{
    struct parley_version v = { .name_space = pl_shim_name_space(request),
                                .conversation = pl_shim_param(request, index),
                                .kind = PARLEY_KIND_CONVERSATION,
                                .flags = PARLEY_FLAG_TOMBSTONE };
    struct parley_diag diag;
    if (parley_version_check(&v, &diag) == PARLEY_OK)
        return true;
    pl_shim_problem(request, 400, "bad-id", diag.text);
    return false;
}

static enum pl_shim_step answer_message(struct pl_request *request, unsigned status, uint64_t time)
{
    pl_shim_reply(request, status);
    pl_out_text(&request->out, "{");
    pl_out_field(&request->out, "message_id", pl_span_of(request->word, request->word_len));
    pl_out_field_time(&request->out, "timestamp", (int64_t)time);
    pl_out_field(&request->out, "conversation_id", pl_shim_param(request, 0));
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

static enum pl_shim_step answer_deleted(struct pl_request *request)
{
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{\"status\":\"deleted\"}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_no_message(struct pl_request *request)
{
    pl_shim_problem(request, 404, "no-such-message", "there is no such message here");
    return PL_SHIM_DONE;
}

static void remember_id(struct pl_request *request, struct parley_span id)
{
    memcpy(request->word, id.ptr, id.len);
    request->word_len = id.len;
}

enum pl_shim_step pl_shim_write_local(struct pl_node *node, struct pl_request *request,
                                      enum parley_kind kind, struct parley_span id, uint32_t flags)
{
    struct parley_version v = { .name_space = pl_shim_name_space(request),
                                .conversation = pl_shim_param(request, 0),
                                .id = id,
                                .kind = kind,
                                .flags = flags,
                                .body = pl_out_span(&request->scratch) };
    pl_shim_mark(node, request);
    if (!pl_shim_add_version(node, request, &v, 0))
        return pl_shim_again(node);
    request->phase = 1;
    return pl_shim_wait(node, request);
}

static uint64_t stamped(struct pl_node *node, const struct pl_request *request)
{
    return pl_batch_results(node)[request->first].stamped_time;
}

/* ---- POST /conversations/{id}/messages ---- */

static void make_id(struct pl_node *node, struct pl_request *request)
{
    uint8_t random[PL_SHIM_MADE_ID_CHARS / 2];
    node->env->entropy(node->env->ud, random, sizeof random);
    pl_hex_encode(random, sizeof random, request->word);
    request->word_len = PL_SHIM_MADE_ID_CHARS;
}

static bool room_for(struct pl_node *node, struct pl_request *request, size_t len,
                     struct pl_writer *w)
{
    pl_out_reset(&request->scratch);
    parley_err err = pl_out_room(&request->scratch, len);
    if (err != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    *w = pl_writer_over(request->scratch.ptr, request->scratch.cap);
    return true;
}

/* Decides the id, into request->word: by the key, given, or made. False: the response is set. */
static bool decide_id(struct pl_node *node, struct pl_request *request, struct parley_span given)
{
    if (request->head.idempotency_key.ptr != NULL)
        return pl_shim_key_id(node, request, given);
    if (given.len != 0)
        remember_id(request, given);
    else if (request->word_len == 0)
        make_id(node, request);
    return true;
}

static bool has_body(struct pl_node *node, struct pl_request *request,
                     const struct pl_payload_item *item)
{
    struct pl_writer w;
    if (!room_for(node, request, pl_payload_body_bytes_max(item), &w))
        return false;
    pl_payload_body(item, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    request->scratch.len = w.len;
    return true;
}

/* A message of this id is there and says something else. */
static enum pl_shim_step refuse_other(struct pl_request *request, bool keyed)
{
    if (keyed)
        pl_shim_problem_field(request, 422, "idempotency-mismatch", "Idempotency-Key",
                              "was used for another message in this conversation; make a new key");
    else
        pl_shim_problem_field(request, 409, "message-exists", "message_id",
                              "exists with other content; PATCH it to change it");
    return PL_SHIM_DONE;
}

/* A request whose message is not what it says, or not there: whether it was carried out all the
 * same, by the history. *goes_on: it was not. */
static enum pl_shim_step judge_key(struct pl_node *node, struct pl_request *request,
                                   const struct current *now, const struct pl_payload_item *item,
                                   bool *goes_on)
{
    struct pl_message said = { .role = item->role, .content = item->content };
    enum pl_shim_past past = PL_SHIM_PAST_NONE;
    parley_err err = PARLEY_OK;
    *goes_on = false;
    if (now->conversation_found)
        err = pl_shim_key_history(now->read, now->info.number,
                                  pl_span_of(request->word, request->word_len), &said, &past);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (now->live && past == PL_SHIM_PAST_SAME)
        return answer_message(request, 200, now->change.version.time);
    if (now->live)
        return refuse_other(request, true);
    *goes_on = !now->found && past == PL_SHIM_PAST_NONE;
    if (!*goes_on)
        pl_shim_problem_field(request, 410, "message-deleted", "Idempotency-Key",
                              "the message of this key was deleted since; make a new key to say it "
                              "again");
    return PL_SHIM_DONE;
}

/* What the id of this request can meet; generated ones meet nothing. */
static bool append_is_settled(const struct pl_node *node, const struct pl_request *request,
                              struct parley_span given)
{
    if (pl_etag_is_asked(request))
        return pl_shim_is_settled(node, request, (enum parley_kind)0, pl_span_of(NULL, 0));
    if (given.len == 0 && request->head.idempotency_key.ptr == NULL)
        return true;
    return pl_shim_is_settled(node, request, PARLEY_KIND_MESSAGE,
                              pl_span_of(request->word, request->word_len));
}

/* If-Match, of the conversation that the message comes to. */
static bool may_add(struct pl_node *node, struct pl_request *request, const struct current *now)
{
    if (!pl_etag_is_asked(request))
        return true;
    if (now->conversation_found && (now->info.messages != 0 || now->info.headers != 0))
        return pl_etag_may_write_in(node, request, now->read, now->info.number);
    return pl_etag_may_write(request, NULL);
}

static enum pl_shim_step append(struct pl_node *node, struct pl_request *request)
{
    struct pl_payload_item item;
    struct parley_diag diag;
    struct current now;
    bool keyed = request->head.idempotency_key.ptr != NULL;
    bool goes_on = true;
    if (!pl_shim_body(node, request))
        return PL_SHIM_DONE;
    if (pl_payload_message(pl_out_span(&request->mp), &item, &diag) != PARLEY_OK) {
        pl_shim_problem(request, 400, "bad-message", diag.text);
        return PL_SHIM_DONE;
    }
    if (!decide_id(node, request, item.version.id))
        return PL_SHIM_DONE;
    if (!append_is_settled(node, request, item.version.id))
        return pl_shim_again(node);
    struct parley_span id = pl_span_of(request->word, request->word_len);
    parley_err err = look_up(node, request, id, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    bool same = now.live && pl_span_equal(now.message.content, item.content) &&
                pl_span_equal(now.message.role, item.role);
    if (same)
        return answer_message(request, 200, now.change.version.time);
    if (now.live && !keyed)
        return refuse_other(request, false);
    enum pl_shim_step step = PL_SHIM_DONE;
    if (keyed)
        step = judge_key(node, request, &now, &item, &goes_on);
    if (!goes_on)
        return step;
    if (!may_add(node, request, &now) || !has_body(node, request, &item))
        return PL_SHIM_DONE;
    return pl_shim_write_local(node, request, PARLEY_KIND_MESSAGE, id, 0);
}

enum pl_shim_step pl_shim_post_message(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_message(request, 201, stamped(node, request));
    return pl_shim_check_id(request, 0) ? append(node, request) : PL_SHIM_DONE;
}

/* ---- PATCH /conversations/{id}/messages/{mid} ---- */

static enum pl_shim_step edit(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field field = { .name = "content",
                                   .required = true,
                                   .max = PARLEY_CONTENT_BYTES_MAX };
    struct current now;
    struct pl_writer w;
    struct parley_span id = pl_shim_param(request, 1);
    if (!pl_shim_body_fields(node, request, &field, 1))
        return PL_SHIM_DONE;
    if (!pl_shim_is_settled(node, request, PARLEY_KIND_MESSAGE, id))
        return pl_shim_again(node);
    parley_err err = look_up(node, request, id, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!now.live)
        return pl_shim_no_message(request);
    if (!may_change(request, &now))
        return PL_SHIM_DONE;
    remember_id(request, id);
    if (pl_span_equal(now.message.content, field.text))
        return answer_message(request, 200, now.change.version.time);
    /* An edit keeps its place in the conversation: when it was first said. */
    struct pl_message message = now.message;
    message.content = field.text;
    if (message.created == 0)
        message.created = now.change.version.time;
    if (!room_for(node, request, field.text.len + message.role.len + message.extra.len + 32, &w))
        return PL_SHIM_DONE;
    pl_message_encode(&w, &message);
    PL_ASSERT(w.err == PARLEY_OK);
    request->scratch.len = w.len;
    return pl_shim_write_local(node, request, PARLEY_KIND_MESSAGE, id, 0);
}

enum pl_shim_step pl_shim_patch_message(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_message(request, 200, stamped(node, request));
    return edit(node, request);
}

/* ---- DELETE ---- */

enum pl_shim_step pl_shim_delete_message(struct pl_node *node, struct pl_request *request)
{
    struct current now;
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_deleted(request);
    struct parley_span id = pl_shim_param(request, 1);
    if (!pl_shim_is_settled(node, request, PARLEY_KIND_MESSAGE, id))
        return pl_shim_again(node);
    parley_err err = look_up(node, request, id, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!now.live)
        return pl_shim_no_message(request);
    if (!may_change(request, &now))
        return PL_SHIM_DONE;
    return pl_shim_write_local(node, request, PARLEY_KIND_MESSAGE, id, PARLEY_FLAG_TOMBSTONE);
}

enum pl_shim_step pl_shim_delete_conversation(struct pl_node *node, struct pl_request *request)
{
    struct current now;
    struct parley_span none = pl_span_of(NULL, 0);
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_deleted(request);
    if (!pl_shim_is_settled(node, request, (enum parley_kind)0, none))
        return pl_shim_again(node);
    parley_err err = look_up(node, request, none, &now);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!now.conversation_found || (now.info.messages == 0 && now.info.headers == 0))
        return pl_shim_no_conversation(request);
    if (!pl_etag_may_write_in(node, request, now.read, now.info.number))
        return PL_SHIM_DONE;
    return pl_shim_write_local(node, request, PARLEY_KIND_CONVERSATION, none,
                               PARLEY_FLAG_TOMBSTONE);
}
