/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /identity, /identity/ca.pem and /health, and POST /register-peer: what a stranger may ask.
 *
 * Registration. The token in it must be signed with the key in it, name this node and be issued by
 * the registering id, which must be one that the key gives (pl_backend_id_names), as in a join: so
 * only the holder of a key can register its id, and no second one. The peer then waits for the
 * operator. In compat-legacy mode the old token object is accepted as it is, with any printable id,
 * and the peer is active at once with write on "main".
 */
#include "core/hash.h"
#include "core/iso8601.h"
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "node/report.h"
#include "node/shim.h"
#include "trust/token.h"

#define SBT_OBJECT_BYTES_MAX 2600u

enum pl_shim_step pl_shim_get_identity(struct pl_node *node, struct pl_request *request)
{
    struct pl_out *out = &request->out;
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    if (pl_pubkey_to_pem(pl_identity_pubkey(node->identity), pem) != PARLEY_OK) {
        pl_shim_problem(request, 500, "internal", "the public key cannot be written");
        return PL_SHIM_DONE;
    }
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", node->backend_id);
    pl_out_field_text(out, "backend_type", pl_backend_type_name(node->options.type));
    pl_out_field_text(out, "public_key", pem);
    pl_out_name(out, "capabilities");
    pl_out_text(out, "[\"sync\",\"conversations\",\"sbt-rs256\",\"sbt-es256\",\"parley-1\"]");
    pl_out_field_text(out, "version", "1.0");
    pl_out_field_time(out, "created_at", node->created_at);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_ca(struct pl_node *node, struct pl_request *request)
{
    const char *pem = pl_credential_ca_pem(node);
    if (pem == NULL) {
        pl_shim_problem(request, 500, "internal", "the certificate cannot be made");
        return PL_SHIM_DONE;
    }
    pl_shim_reply(request, 200);
    request->content_type = "application/x-pem-file";
    pl_out_text(&request->out, pem);
    return PL_SHIM_DONE;
}

static bool is_store_sound(const struct pl_node *node, parley_err err)
{
    return node->store_health == PARLEY_OK && node->scrub.problems == 0 && err == PARLEY_OK;
}

static void write_store(struct pl_node *node, const struct parley_db_state *state, parley_err err,
                        struct pl_out *out)
{
    bool ok = is_store_sound(node, err);
    pl_out_name(out, "store");
    pl_out_text(out, "{");
    pl_out_field_bool(out, "ok", ok);
    if (node->store_health != PARLEY_OK)
        pl_out_field_text(out, "note",
                          node->store_note[0] != '\0' ? node->store_note
                                                      : parley_err_text(node->store_health));
    else if (err != PARLEY_OK)
        pl_out_field_text(out, "note", parley_err_text(err));
    else if (node->scrub.problems != 0)
        pl_out_field_text(out, "note", PL_NODE_DAMAGED_NOTE);
    pl_out_field_u64(out, "file_bytes", state->file_bytes);
    pl_out_field_u64(out, "limit_bytes", state->limit_bytes);
    pl_out_text(out, "}");
}

/* How many peers are in which state: nobody's name, and no namespace. */
static void write_sync(const struct pl_node *node, struct pl_out *out)
{
    uint64_t counts[PL_REPORT_STATES] = { 0 };
    for (size_t i = 0; i < node->peers.count; i++)
        counts[pl_report_state(node->peers.table[i])]++;
    pl_out_name(out, "sync");
    pl_out_text(out, "{");
    pl_out_field_u64(out, "in_sync", counts[PL_REPORT_IN_SYNC]);
    pl_out_field_u64(out, "catching_up", counts[PL_REPORT_CATCHING_UP]);
    pl_out_field_u64(out, "offline", counts[PL_REPORT_OFFLINE]);
    pl_out_field_u64(out, "refused", counts[PL_REPORT_REFUSED]);
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_get_health(struct pl_node *node, struct pl_request *request)
{
    struct pl_out *out = &request->out;
    struct parley_db_state state = { 0 };
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = parley_read_state(read, &state);
    int64_t up = node->now.wall - node->started_wall;
    bool ok = is_store_sound(node, err);
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "status", ok ? "ok" : "degraded");
    pl_out_field_text(out, "backend_id", node->backend_id);
    pl_out_field_text(out, "version", node->options.version != NULL ? node->options.version : "");
    pl_out_field_u64(out, "uptime_seconds", up > 0 ? (uint64_t)(up / PARLEY_US_PER_S) : 0);
    write_store(node, &state, err, out);
    pl_out_field_u64(out, "peers", node->peers.count);
    write_sync(node, out);
    pl_out_field_bool(out, "compat_legacy", node->options.compat_legacy);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* ---- POST /register-peer ---- */

struct registration {
    struct parley_span id;
    struct parley_span capabilities; /* msgpack array, or empty */
    struct pl_pubkey key;
    bool legacy;                       /* the old token object */
    uint8_t sbt[SBT_OBJECT_BYTES_MAX]; /* msgpack map without the signature */
    size_t sbt_len;
    char sbt_id[PL_TOKEN_FIELD_BYTES_MAX + 1];
    size_t sbt_id_len;
};

static bool keys_equal(const struct pl_pubkey *a, const struct pl_pubkey *b)
{
    return memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

static bool refuse(struct pl_request *request, unsigned status, const char *code, const char *field,
                   const char *detail)
{
    pl_shim_problem_field(request, status, code, field, detail);
    return false;
}

static void write_sbt_time(struct pl_writer *w, const char *name, parley_wall at)
{
    char text[PL_ISO8601_BYTES];
    pl_mp_write_text(w, name);
    pl_iso8601_format(at > 0 && (uint64_t)at <= PL_ISO8601_US_MAX ? (uint64_t)at : 0, text);
    pl_mp_write_str(w, pl_span_of(text, sizeof text));
}

static void describe_token(struct registration *reg, const struct pl_token *token)
{
    struct pl_writer w = pl_writer_over(reg->sbt, sizeof reg->sbt);
    const char *const pairs[][2] = { { "sbt_id", token->sbt_id },
                                     { "user_id", token->user_id },
                                     { "session_id", token->session_id },
                                     { "local_backend_id", token->local_backend_id },
                                     { "hosted_backend_id", token->hosted_backend_id } };
    pl_mp_write_map(&w, 7);
    for (size_t i = 0; i < PL_ARRAY_LEN(pairs); i++) {
        pl_mp_write_text(&w, pairs[i][0]);
        pl_mp_write_text(&w, pairs[i][1]);
    }
    write_sbt_time(&w, "created_at", token->created_at);
    write_sbt_time(&w, "expires_at", token->expires_at);
    PL_ASSERT(w.err == PARLEY_OK);
    reg->sbt_len = w.len;
    reg->sbt_id_len = strlen(token->sbt_id);
    memcpy(reg->sbt_id, token->sbt_id, reg->sbt_id_len);
}

/* A signed token: proof that the sender holds the key. */
static bool take_jwt(struct pl_node *node, struct pl_request *request, struct registration *reg,
                     struct parley_span jwt)
{
    struct pl_token token;
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    if (pl_token_peek_issuer(jwt, issuer, NULL) != PARLEY_OK)
        return refuse(request, 400, "bad-sbt", "sbt", "is not a session binding token");
    if (!pl_span_is(reg->id, issuer))
        return refuse(request, 400, "bad-sbt", "sbt", "must be issued by peer_backend_id");
    parley_err err = pl_token_verify(jwt, &reg->key, pl_span_text(node->backend_id), node->now.wall,
                                     &token, &why);
    if (why == PL_TOKEN_AUDIENCE)
        return refuse(request, 400, "bad-sbt", "sbt", "does not name this node");
    if (err != PARLEY_OK) {
        pl_shim_token_problem(request, why);
        return false;
    }
    if (!pl_shim_check_token(node, request, &token))
        return false;
    describe_token(reg, &token);
    return true;
}

/* The old object: nothing in it proves anything; kept, without its signature, to be shown. */
static bool take_object(struct pl_node *node, struct pl_request *request, struct registration *reg,
                        struct parley_span object)
{
    static const char *const names[] = { "sbt_id",           "user_id",           "session_id",
                                         "local_backend_id", "hosted_backend_id", "created_at",
                                         "expires_at" };
    struct pl_writer w = pl_writer_over(reg->sbt, sizeof reg->sbt);
    bool names_us = false;
    pl_mp_write_map(&w, PL_ARRAY_LEN(names));
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        struct parley_span text = { 0 };
        struct pl_reader r = pl_reader_over(object);
        uint32_t count = pl_mp_read_map(&r, UINT32_MAX);
        for (uint32_t k = 0; k < count && r.err == PARLEY_OK; k++) {
            struct parley_span name = pl_mp_read_str(&r, object.len);
            struct parley_span value = pl_mp_read_any(&r);
            struct pl_reader v = pl_reader_over(value);
            if (pl_span_is(name, names[i]) && pl_mp_peek(&v) == PL_MP_STR)
                text = pl_mp_read_str(&v, value.len);
        }
        if (text.len > PL_TOKEN_FIELD_BYTES_MAX)
            return refuse(request, 400, "too-long", "sbt", "has a field longer than 255 bytes");
        if (i == 0 && text.len != 0) {
            memcpy(reg->sbt_id, text.ptr, text.len);
            reg->sbt_id_len = text.len;
        }
        names_us = names_us || ((i == 3 || i == 4) && pl_span_is(text, node->backend_id));
        pl_mp_write_text(&w, names[i]);
        pl_mp_write_str(&w, text);
    }
    if (w.err != PARLEY_OK)
        return refuse(request, 400, "too-long", "sbt", "is too long");
    reg->sbt_len = w.len;
    reg->legacy = true;
    return names_us || refuse(request, 400, "bad-sbt", "sbt", "does not name this node");
}

static bool take_sbt(struct pl_node *node, struct pl_request *request, struct registration *reg,
                     struct parley_span value)
{
    struct pl_reader r = pl_reader_over(value);
    if (pl_mp_peek(&r) == PL_MP_STR)
        return take_jwt(node, request, reg, pl_mp_read_str(&r, value.len));
    if (pl_mp_peek(&r) == PL_MP_MAP && node->options.compat_legacy)
        return take_object(node, request, reg, value);
    if (pl_mp_peek(&r) == PL_MP_MAP)
        return refuse(request, 400, "bad-sbt", "sbt",
                      "must be a token signed with peer_public_key; the old object is accepted "
                      "only by a node that runs with --compat-legacy");
    return refuse(request, 400, "wrong-type", "sbt", "must be a string");
}

/* One key, one id. A key that was revoked does not come back under another name. */
static bool check_key(struct pl_node *node, struct pl_request *request,
                      const struct registration *reg)
{
    const struct pl_peer *other = pl_peers_find_key(&node->peers, &reg->key, reg->id);
    if (other == NULL)
        return true;
    if (other->state == PL_PEER_REVOKED)
        return refuse(request, 403, "revoked", "peer_public_key", "was revoked here");
    return refuse(request, 409, "key-conflict", "peer_public_key",
                  "is registered with another id; a key has one");
}

static bool is_printable(struct parley_span id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= 0x20 || id.ptr[i] >= 0x7f)
            return false;
    return true;
}

/* The old object may come with any printable id. */
static bool check_id(struct pl_node *node, struct pl_request *request,
                     const struct registration *reg, bool old_object)
{
    const struct pl_peer *known = pl_peers_find(&node->peers, reg->id);
    if (!is_printable(reg->id))
        return refuse(request, 400, "bad-backend-id", "peer_backend_id",
                      "must be printable ASCII without spaces");
    if (reg->id.len == 0)
        return refuse(request, 400, "bad-backend-id", "peer_backend_id", "must not be empty");
    if (pl_span_is(reg->id, node->backend_id))
        return refuse(request, 400, "bad-backend-id", "peer_backend_id", "is this node's own id");
    if (old_object && node->options.compat_legacy)
        return true;
    /* One whose rotations were shown to us has another key than its id names. */
    bool rotated = known != NULL && keys_equal(&known->key, &reg->key);
    if (!rotated && !pl_backend_id_names(reg->id, &reg->key))
        return refuse(request, 400, "bad-backend-id", "peer_backend_id",
                      "must be TYPE_sha256_ and the fingerprint of peer_public_key, TYPE one of "
                      "local, hosted and edge");
    return check_key(node, request, reg);
}

static bool parse_registration(struct pl_node *node, struct pl_request *request,
                               struct registration *reg)
{
    struct pl_shim_field fields[] = {
        { .name = "sbt", .required = true, .any = true },
        { .name = "peer_backend_id", .required = true, .max = PARLEY_BACKEND_ID_BYTES_MAX },
        { .name = "peer_public_key", .required = true, .max = PARLEY_PUBLIC_KEY_PEM_BYTES_MAX },
        { .name = "peer_capabilities", .any = true },
    };
    *reg = (struct registration){ 0 };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return false;
    reg->id = fields[1].text;
    if (pl_pubkey_from_pem(fields[2].text, &reg->key) != PARLEY_OK)
        return refuse(request, 400, "bad-key", "peer_public_key",
                      "must be a PEM public key: RSA of 2048 to 3072 bits, or EC P-256");
    struct pl_reader r = pl_reader_over(fields[3].value);
    if (fields[3].value.len != 0 && pl_mp_peek(&r) != PL_MP_ARRAY)
        return refuse(request, 400, "wrong-type", "peer_capabilities", "must be an array");
    if (fields[3].value.len > 1024)
        return refuse(request, 400, "too-long", "peer_capabilities", "is longer than 1024 bytes");
    reg->capabilities = fields[3].value;
    r = pl_reader_over(fields[0].value);
    bool old_object = pl_mp_peek(&r) == PL_MP_MAP;
    return check_id(node, request, reg, old_object) &&
           take_sbt(node, request, reg, fields[0].value);
}

static void fill_extra(struct pl_peer *peer, const struct registration *reg)
{
    struct pl_writer w = pl_writer_over(peer->extra, sizeof peer->extra);
    pl_mp_write_map(&w, 2);
    pl_mp_write_text(&w, "capabilities");
    if (reg->capabilities.len != 0)
        pl_write_span(&w, reg->capabilities);
    else
        pl_mp_write_array(&w, 0);
    pl_mp_write_text(&w, "sbt");
    pl_write_bytes(&w, reg->sbt, reg->sbt_len);
    PL_ASSERT(w.err == PARLEY_OK);
    peer->extra_len = w.len;
}

static size_t count_pending(const struct pl_node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->peers.count; i++)
        count += node->peers.table[i]->state == PL_PEER_PENDING;
    return count;
}

static struct pl_peer *add_peer(struct pl_node *node, struct pl_request *request,
                                const struct registration *reg)
{
    struct pl_peer *peer = NULL;
    if (!reg->legacy && count_pending(node) >= PL_PENDING_MAX) {
        pl_shim_problem(request, 429, "too-many-pending",
                        "64 registrations wait for approval already; ask the operator");
        return NULL;
    }
    if (pl_peers_add(&node->peers, node->env, reg->id, &peer) != PARLEY_OK) {
        pl_shim_problem(request, 503, "too-many-peers", "no room for another peer here");
        return NULL;
    }
    peer->key = reg->key;
    peer->http = true;
    peer->legacy = reg->legacy;
    peer->registered_at = node->now.wall;
    peer->admitted_at = reg->legacy ? pl_peering_stamp(node) : 0;
    peer->state = reg->legacy ? PL_PEER_ACTIVE : PL_PEER_PENDING;
    if (reg->legacy)
        pl_ignore(pl_peer_grant(peer, pl_span_text("main"), true), "a new peer has no grants yet");
    pl_peer_set_note(peer, reg->legacy ? "registered over HTTP, unverified (compat-legacy)"
                                       : "registered over HTTP, waits for approval");
    pl_node_trace(node,
                  reg->legacy ? PARLEY_TRACE_LEGACY_PEER_EVENT : PARLEY_TRACE_PEER_REGISTERED_EVENT,
                  peer->backend_id, peer->note, 0);
    return peer;
}

static enum pl_shim_step answer_registration(struct pl_request *request)
{
    static const char *const states[] = { "pending", "registered" };
    pl_shim_reply(request, (unsigned)request->remembered);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "status", states[request->first != 0]);
    pl_out_field(&request->out, "sbt_id", pl_span_of(request->long_text, request->count));
    pl_out_field(&request->out, "peer_backend_id", pl_span_of(request->word, request->word_len));
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

/* Remembers the answer, because the body may be looked at no more after the wait. */
static void remember_answer(struct pl_request *request, const struct registration *reg,
                            const struct pl_peer *peer, bool known)
{
    bool active = peer->state == PL_PEER_ACTIVE;
    request->remembered = known || active ? 200 : 202;
    request->first = active;
    memcpy(request->word, reg->id.ptr, reg->id.len);
    request->word_len = reg->id.len;
    memcpy(request->long_text, reg->sbt_id, reg->sbt_id_len);
    request->count = reg->sbt_id_len;
}

enum pl_shim_step pl_shim_register_peer(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_registration(request);
    struct registration reg;
    if (!parse_registration(node, request, &reg))
        return PL_SHIM_DONE;
    if (!pl_peering_has_room(node))
        return pl_shim_again(node);
    struct pl_peer *peer = pl_peers_find(&node->peers, reg.id);
    bool known = peer != NULL;
    if (known && !keys_equal(&peer->key, &reg.key)) {
        pl_peer_set_note(peer, "a registration with another key was refused");
        pl_node_trace(node, PARLEY_TRACE_CONNECTION_REFUSED_EVENT, peer->backend_id, peer->note, 0);
        pl_shim_problem_field(request, 409, "key-conflict", "peer_public_key",
                              "this id is registered with another key; if the key changed, the "
                              "operator must revoke the old registration");
        return PL_SHIM_DONE;
    }
    if (known && peer->state == PL_PEER_REVOKED) {
        pl_shim_problem(request, 403, "revoked", "this peer was revoked here");
        return PL_SHIM_DONE;
    }
    if (!known)
        peer = add_peer(node, request, &reg);
    if (peer == NULL)
        return PL_SHIM_DONE;
    /* What proves nothing changes nothing of a peer that has proved itself. */
    if (!reg.legacy || peer->legacy)
        fill_extra(peer, &reg);
    pl_shim_mark(node, request);
    if (!known)
        pl_audit_event(node, reg.legacy ? PL_AUDIT_peer_legacy : PL_AUDIT_peer_pending,
                       peer->backend_id, "", "");
    pl_node_store_peer(node, peer);
    remember_answer(request, &reg, peer, known);
    request->phase = 1;
    return pl_shim_wait(node, request);
}
