/* SPDX-License-Identifier: Apache-2.0
 *
 * POST, GET and DELETE /tokens: session binding tokens of this node, and revocations of any.
 *
 * A token leaves this node once, in the answer that made it, after its record is stored. A
 * revocation holds from its answer on. Neither is in force before: what was answered with an error
 * did not happen, except that the ledger may know of a revocation whose record could not be stored;
 * then it is in force from the next start on.
 */
#include "core/hash.h"
#include "core/mp_read.h"
#include "core/utf8.h"
#include "node/shim.h"

#define TTL_SECONDS_MAX (30 * 24 * 3600)
#define RANDOM_BYTES    16
#define LIST_DEFAULT    100
#define LIST_MAX        1000

_Static_assert((int64_t)TTL_SECONDS_MAX *PARLEY_US_PER_S <= PL_TOKEN_LIFETIME_US_MAX,
               "what is issued here must be accepted here");

static bool refuse(struct pl_request *request, unsigned status, const char *code, const char *field,
                   const char *detail)
{
    pl_shim_problem_field(request, status, code, field, detail);
    return false;
}

/* ---- POST /tokens ---- */

static bool take_ttl(struct pl_request *request, struct parley_span value, int64_t *us)
{
    *us = PL_TOKEN_TTL_US_DEFAULT;
    if (value.len == 0)
        return true;
    struct pl_reader r = pl_reader_over(value);
    uint64_t seconds = pl_mp_read_uint(&r);
    if (r.err != PARLEY_OK || seconds < 1 || seconds > TTL_SECONDS_MAX)
        return refuse(request, 400, "bad-ttl", "ttl_seconds",
                      "must be a whole number from 1 to 2592000 (30 days)");
    *us = (int64_t)seconds * PARLEY_US_PER_S;
    return true;
}

/* A name that is shown to people and becomes a C string. */
static bool take_name(struct pl_request *request, const struct pl_shim_field *field,
                      char out[PL_TOKEN_FIELD_BYTES_MAX + 1])
{
    struct parley_span text = field->text;
    if (text.len == 0)
        return refuse(request, 400, "bad-id", field->name, "must not be empty");
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return refuse(request, 400, "bad-id", field->name, "has a control character");
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static void make_id(const struct pl_node *node, char out[PL_TOKEN_FIELD_BYTES_MAX + 1])
{
    uint8_t bytes[RANDOM_BYTES];
    node->env->entropy(node->env->ud, bytes, sizeof bytes);
    pl_hex_encode(bytes, sizeof bytes, out);
    out[2 * sizeof bytes] = '\0';
}

/* The two backends it binds: this node, and the peer or again this node. */
static bool bind(struct pl_node *node, struct pl_request *request,
                 const struct pl_shim_field *field, struct pl_token *token)
{
    const char *other = node->backend_id;
    if (field->value.len != 0) {
        const struct pl_peer *peer = pl_peers_find(&node->peers, field->text);
        if (peer == NULL)
            return refuse(request, 404, "no-such-peer", "peer",
                          "no peer with this backend id is known here");
        if (peer->state != PL_PEER_ACTIVE)
            return refuse(request, 409, "peer-not-active", "peer",
                          "is pending or revoked; approve it, or invite it again");
        other = peer->backend_id;
    }
    bool hosted = node->options.type == PL_BACKEND_HOSTED;
    pl_text_copy(token->local_backend_id, sizeof token->local_backend_id,
                 hosted ? other : node->backend_id);
    pl_text_copy(token->hosted_backend_id, sizeof token->hosted_backend_id,
                 hosted ? node->backend_id : other);
    pl_text_copy(token->issuer, sizeof token->issuer, node->backend_id);
    return true;
}

static bool parse_token(struct pl_node *node, struct pl_request *request, struct pl_token *token)
{
    struct pl_shim_field fields[] = {
        { .name = "user_id", .required = true, .max = PL_TOKEN_FIELD_BYTES_MAX },
        { .name = "session_id", .max = PL_TOKEN_FIELD_BYTES_MAX },
        { .name = "peer", .max = PARLEY_BACKEND_ID_BYTES_MAX },
        { .name = "ttl_seconds", .any = true },
    };
    int64_t ttl = 0;
    *token = (struct pl_token){ .created_at = node->now.wall };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !take_name(request, &fields[0], token->user_id))
        return false;
    if (fields[1].value.len == 0)
        make_id(node, token->session_id);
    else if (!take_name(request, &fields[1], token->session_id))
        return false;
    if (!bind(node, request, &fields[2], token) || !take_ttl(request, fields[3].value, &ttl))
        return false;
    token->expires_at = token->created_at + ttl;
    make_id(node, token->sbt_id);
    return true;
}

static void write_binding(const struct pl_token *token, struct pl_out *out)
{
    pl_out_field_text(out, "sbt_id", token->sbt_id);
    pl_out_field_text(out, "user_id", token->user_id);
    pl_out_field_text(out, "session_id", token->session_id);
    pl_out_field_text(out, "local_backend_id", token->local_backend_id);
    pl_out_field_text(out, "hosted_backend_id", token->hosted_backend_id);
    pl_out_field_time(out, "created_at", token->created_at);
    pl_out_field_time(out, "expires_at", token->expires_at);
}

/* Signs, and keeps the answer until the record is stored. */
static bool prepare_answer(struct pl_node *node, struct pl_request *request,
                           const struct pl_token *token)
{
    char jwt[PARLEY_TOKEN_BYTES_MAX];
    size_t len = 0;
    struct pl_out *answer = &request->scratch;
    parley_err err = pl_token_issue(node->identity, token, jwt, &len);
    if (err != PARLEY_OK) {
        pl_shim_problem(request, 500, "internal",
                        "the token cannot be signed; is the clock of this node right?");
        return false;
    }
    pl_out_reset(answer);
    pl_out_text(answer, "{");
    pl_out_field(answer, "token", pl_span_of(jwt, len));
    write_binding(token, answer);
    pl_out_text(answer, "}");
    pl_wipe(jwt, sizeof jwt);
    if (answer->err == PARLEY_OK)
        return true;
    pl_shim_problem(request, 503, "busy", "no memory for the answer now; try again shortly");
    pl_shim_header(request, "Retry-After", pl_span_text("1"));
    return false;
}

static enum pl_shim_step answer_token(struct pl_request *request)
{
    pl_shim_reply(request, 201);
    pl_out_bytes(&request->out, pl_out_span(&request->scratch));
    return PL_SHIM_DONE;
}

static enum pl_shim_step refuse_full(struct pl_request *request)
{
    pl_shim_problem(request, 507, "too-many-tokens",
                    "as many tokens as this node keeps are recorded; wait until some expire, and "
                    "issue them for a shorter time");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_token(struct pl_node *node, struct pl_request *request)
{
    struct pl_token_record record = { .revoked_at = 0 };
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_token(request);
    if (!parse_token(node, request, &record.token))
        return PL_SHIM_DONE;
    if (!pl_tokens_has_place(node, false))
        return refuse_full(request);
    if (!pl_tokens_has_room(node))
        return pl_shim_again(node);
    if (!prepare_answer(node, request, &record.token))
        return PL_SHIM_DONE;
    pl_shim_mark(node, request);
    pl_audit_event(node, PL_AUDIT_token_issued, "operator", record.token.user_id,
                   record.token.sbt_id);
    pl_tokens_put(node, &record, true);
    request->phase = 1;
    return pl_shim_wait(node, request);
}

/* ---- GET /tokens ---- */

static void write_record(const struct pl_node *node, const struct pl_token_record *record,
                         struct pl_out *out)
{
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field_text(out, "issuer", record->token.issuer);
    write_binding(&record->token, out);
    pl_out_field_time(out, "revoked_at", record->revoked_at);
    pl_out_field_text(out, "state", pl_tokens_state(record, node->now.wall));
    pl_out_text(out, "}");
}

/* `after` is a key without its prefix, and so is `next`. */
static PL_MUST_USE parley_err list(struct pl_node *node, struct parley_read *read,
                                   struct parley_span after, uint64_t limit, struct pl_out *out)
{
    struct parley_span prefix = pl_span_text(PL_TOKENS_PREFIX);
    char from[PL_TOKENS_KEY_BYTES_MAX];
    struct pl_writer w = pl_writer_over(from, sizeof from);
    struct parley_span value;
    bool found = true;
    pl_write_span(&w, prefix);
    pl_write_span(&w, after);
    PL_TRY(w.err);
    struct parley_span key = pl_writer_span(&w);
    pl_out_text(out, "{\"tokens\":[");
    for (uint64_t i = 0; i < limit; i++) {
        struct pl_token_record record;
        PL_TRY(parley_read_sys_after(read, prefix, key, &key, &value, &found));
        if (!found)
            break;
        PL_TRY(pl_tokens_decode(value, &record));
        write_record(node, &record, out);
    }
    pl_out_text(out, "]");
    struct parley_span last = key;
    if (found)
        PL_TRY(parley_read_sys_after(read, prefix, last, &key, &value, &found));
    if (found)
        pl_out_field(out, "next", pl_span_after(last, prefix.len));
    pl_out_text(out, "}");
    return out->err;
}

enum pl_shim_step pl_shim_get_tokens(struct pl_node *node, struct pl_request *request)
{
    char after[PL_TOKENS_KEY_BYTES_MAX - PL_TOKENS_PREFIX_BYTES];
    size_t after_len = 0;
    bool found = false;
    uint64_t limit = LIST_DEFAULT;
    parley_err err = PARLEY_OK;
    if (!pl_shim_query(request, "after", after, sizeof after, &after_len, &found) ||
        !pl_shim_query_number(request, "limit", LIST_MAX, &limit))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    pl_shim_reply(request, 200);
    if (read != NULL)
        err = list(node, read, pl_span_of(after, after_len), limit, &request->out);
    if (err == PARLEY_OK)
        return PL_SHIM_DONE;
    return pl_shim_store_problem(node, request, err == PARLEY_EFULL ? PARLEY_ENOMEM : err);
}

/* ---- DELETE /tokens/{sbt_id} ---- */

/* The issuer that the request means: a peer, in whatever state, or this node. */
static bool take_issuer(struct pl_node *node, struct pl_request *request, struct pl_token *token)
{
    char text[PARLEY_BACKEND_ID_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "issuer", text, sizeof text, &len, &found))
        return false;
    struct parley_span issuer = found ? pl_span_of(text, len) : pl_span_text(node->backend_id);
    bool known = pl_span_is(issuer, node->backend_id) || pl_peers_find(&node->peers, issuer);
    if (!known)
        return refuse(request, 404, "no-such-issuer", "issuer",
                      "is neither this node nor a peer that is known here");
    memcpy(token->issuer, issuer.ptr, issuer.len);
    token->issuer[issuer.len] = '\0';
    return true;
}

static bool take_sbt_id(struct pl_request *request, struct pl_token *token)
{
    struct parley_span id = pl_shim_param(request, 0);
    if (!pl_utf8_is_valid(id) || memchr(id.ptr, 0, id.len) != NULL)
        return refuse(request, 400, "bad-id", "sbt_id", "must be valid UTF-8 without NUL");
    memcpy(token->sbt_id, id.ptr, id.len);
    token->sbt_id[id.len] = '\0';
    return true;
}

static enum pl_shim_step answer_revocation(struct pl_request *request)
{
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "status", "revoked");
    pl_out_field(&request->out, "sbt_id", pl_shim_param(request, 0));
    pl_out_field(&request->out, "issuer", pl_span_of(request->word, request->word_len));
    pl_out_field_time(&request->out, "revoked_at", (int64_t)request->remembered);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

/* `record` names the token. Of one that was not issued here every copy has expired when the longest
 * permitted life, begun just now, is over. */
static enum pl_shim_step revoke(struct pl_node *node, struct pl_request *request,
                                struct pl_token_record *record)
{
    char space[PL_TOKENS_KEY_BYTES_MAX];
    struct parley_span key = pl_tokens_key(pl_span_text(record->token.issuer),
                                           pl_span_text(record->token.sbt_id), space);
    struct pl_token_record stored = { .revoked_at = 0 };
    bool found = false;
    if (pl_tokens_is_busy(node) || !pl_tokens_has_room(node))
        return pl_shim_again(node);
    parley_err err = pl_tokens_find(node, key, &stored, &found);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (!found && !pl_tokens_has_place(node, true))
        return refuse_full(request);
    if (found)
        *record = stored;
    bool is_new = record->revoked_at == 0;
    if (is_new)
        record->revoked_at = node->now.wall;
    if (record->token.created_at == 0)
        record->token.expires_at = node->now.wall + PL_TOKEN_LIFETIME_US_MAX;
    request->remembered = (uint64_t)record->revoked_at;
    pl_shim_mark(node, request);
    pl_audit_event(node, PL_AUDIT_token_revoked, "operator", record->token.issuer,
                   record->token.sbt_id);
    if (is_new)
        pl_ledger_add_token(node, record);
    pl_tokens_put(node, record, !found);
    request->phase = 1;
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_delete_token(struct pl_node *node, struct pl_request *request)
{
    struct pl_token_record record = { .revoked_at = 0 };
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_revocation(request);
    if (!take_issuer(node, request, &record.token) || !take_sbt_id(request, &record.token))
        return PL_SHIM_DONE;
    request->word_len = strlen(record.token.issuer);
    memcpy(request->word, record.token.issuer, request->word_len);
    return revoke(node, request, &record);
}
