/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what over HTTP: registration, approval, tokens good and bad, the old clients' mode.
 */
#include "lib/auth_fixture.h"
#include "lib/keys.h"
#include "lib/node_client.h"

#include "core/base64.h"
#include "core/hash.h"
#include "node/node_int.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>

static const char *sync_body(struct fixture *f, const char *source, const char *target)
{
    snprintf(f->body, sizeof f->body,
             "{\"sync_id\":\"s1\",\"source_backend_id\":\"%s\",\"target_backend_id\":\"%s\","
             "\"timestamp\":\"2024-01-01T00:00:00\",\"conversations\":[{\"conversation_id\":\"c\","
             "\"title\":\"T\",\"created_at\":\"2023-01-01T00:00:00\",\"updated_at\":\"2023-01-"
             "01T00:00:09\","
             "\"messages\":[{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"hi\","
             "\"timestamp\":\"2023-01-01T00:00:01\"}]}]}",
             source, target);
    return f->body;
}

static struct node_reply sync_as(struct fixture *f, const char *token, const char *source)
{
    return node_client_ask(&f->c, "POST", "/sync", token, sync_body(f, source, us(f)));
}

/* ---- Registration ---- */

static void auth_registers_a_peer_as_pending_until_approved(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "pending");
    approve(f, "{}");
    struct node_reply r = send_registration(f, f->peer_id, f->pem, peer_token(f));
    node_client_expect(r, 200, "\"status\":\"registered\"");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 200, "\"conversations_merged\":1");
}

static void auth_remembers_registrations_over_a_restart(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    struct env_mem *env = f->c.env;
    node_client_close(&f->c);
    node_client_open(&f->c, env, "a", TEST_KEY_A_PKCS8, false);
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 200, "synced");
}

static void auth_lists_peers_without_the_signature(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    struct node_reply r = node_client_admin(&f->c, "GET", "/peers", NULL);
    node_client_expect(r, 200, "\"sbt\":{\"sbt_id\":\"sbt-1\",\"user_id\":\"u\"");
    node_client_expect(r, 200, "\"capabilities\":[\"sync\"]");
    node_client_expect(r, 200, "\"state\":\"pending\"");
    assert_null(strstr(r.body, "signature"));
    assert_null(strstr(r.body, f->token));
}

static void auth_refuses_a_registration_for_another_node(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->peer, f->peer_id, f->other_id, 0);
    node_client_expect(send_registration(f, f->peer_id, f->pem, token), 400,
                       "does not name this node");
}

static void auth_refuses_a_registration_signed_with_another_key(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->other, f->peer_id, us(f), 0);
    node_client_expect(send_registration(f, f->peer_id, f->pem, token), 401, "token-signature");
}

static void auth_refuses_a_registration_issued_by_somebody_else(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->peer, f->other_id, us(f), 0);
    node_client_expect(send_registration(f, f->peer_id, f->pem, token), 400, "must be issued by");
}

static void auth_refuses_an_expired_registration(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->peer, f->peer_id, us(f), 9 * 3600);
    node_client_expect(send_registration(f, f->peer_id, f->pem, token), 401, "token-expired");
}

static void auth_refuses_an_id_that_is_not_the_keys(void **state)
{
    struct fixture *f = *state;
    const char *id = "local_sha256_00000000000000000000000000000000";
    const char *token = make_token(f, f->peer, id, us(f), 0);
    node_client_expect(send_registration(f, id, f->pem, token), 400, "fingerprint");
    node_client_expect(send_registration(f, us(f), f->pem, token), 400, "own id");
    node_client_expect(send_registration(f, "", f->pem, token), 400, "must not be empty");
}

static void auth_refuses_malformed_registrations_by_field(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    const char *path = "/register-peer";
    node_client_expect(node_client_ask(c, "POST", path, NULL, "{}"), 400, "sbt: is missing");
    node_client_expect(node_client_ask(c, "POST", path, NULL, "[]"), 400,
                       "body: must be an object");
    node_client_expect(node_client_ask(c, "POST", path, NULL, "{\"sbt\":"), 400, "bad-json");
    node_client_expect(node_client_ask(c, "POST", path, NULL, "{\"sbt\":\"\xff\"}"), 400,
                       "bad-json");
    node_client_expect(node_client_ask(c, "POST", path, NULL,
                                       registration(f, f->peer_id, "nonsense", "\"a.b.c\"")),
                       400, "peer_public_key");
    node_client_expect(
        node_client_ask(c, "POST", path, NULL, registration(f, f->peer_id, f->pem, "7")), 400,
        "sbt: must be a string");
    node_client_expect(node_client_ask(c, "POST", path, NULL, "{\"sbt\":1,\"sbt\":2}"), 400,
                       "sbt: is given twice");
    node_client_expect(
        node_client_ask(c, "POST", path, NULL, registration(f, f->peer_id, f->pem, "\"a\"")), 400,
        "sbt: is not a session binding token");
    node_client_expect(
        node_client_ask(c, "POST", path, NULL, registration(f, f->peer_id, f->pem, "{}")), 400,
        "--compat-legacy");
}

static void auth_answers_507_when_a_registration_cannot_be_stored(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = { .fail_put_after = 0,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 507, "store-full");
    faults.fail_put_after = -1;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    /* What was not stored did not happen: the peer is a new one again. */
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 202, "pending");
}

static void set_full(struct fixture *f, bool full)
{
    struct pl_store_mem_faults faults = { .fail_put_after = full ? 0 : -1,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
}

static void auth_does_not_approve_what_cannot_be_stored(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "/peers/%s/approve", f->peer_id);
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 202, "pending");
    set_full(f, true);
    node_client_expect(node_client_admin(&f->c, "POST", path, "{}"), 507, "store-full");
    set_full(f, false);
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "pending");
    node_client_expect(node_client_admin(&f->c, "GET", "/peers", NULL), 200, "\"grants\":[]");
    node_client_expect(node_client_admin(&f->c, "POST", path, "{}"), 200, "approved");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 200, "synced");
}

static void auth_keeps_a_revocation_that_cannot_be_stored_until_it_is(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    register_peer(f);
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    set_full(f, true);
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 507, "store-full");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "revoked");
    set_full(f, false);
    node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    node_client_settle(&f->c);
    node_client_close(&f->c);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&f->c);
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "revoked");
}

static size_t begin_slow_message(struct fixture *f)
{
    static const char body[] = "{\"message_id\":\"m1\",\"role\":\"user\",\"content\":\"x\"}";
    char head[5000];
    int len = snprintf(head, sizeof head,
                       "POST /conversations/c/messages HTTP/1.1\r\nHost: localhost\r\n"
                       "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       peer_token(f), sizeof body - 1);
    node_client_connect(&f->c);
    assert_int_equal(len, node_client_send(&f->c, head, (size_t)len));
    node_client_settle(&f->c);
    return sizeof body - 1;
}

static void auth_cuts_a_request_of_a_peer_that_is_revoked_meanwhile(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    begin_slow_message(f);
    struct pl_peer *peer = pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id));
    assert_ok(pl_peering_revoke(f->c.node, peer));
    node_client_settle(&f->c);
    assert_int_equal(0, node_client_send(&f->c, "{", 1));
}

static void auth_looks_at_rights_again_when_the_body_is_there(void **state)
{
    struct fixture *f = *state;
    static const char body[] = "{\"message_id\":\"m1\",\"role\":\"user\",\"content\":\"x\"}";
    register_peer(f);
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    size_t len = begin_slow_message(f);
    struct pl_peer *peer = pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id));
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), false));
    assert_int_equal(len, node_client_send(&f->c, body, len));
    node_client_settle(&f->c);
    node_client_expect(node_client_take(&f->c, false), 403, "not-granted");
}

/* ---- Tokens ---- */

static void auth_refuses_requests_without_a_token(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = { "/peers",         "/status",
                                         "/conversations", "/conversations/c",
                                         "/export",        "/joins",
                                         "/check",         "/conversations/c/history" };
    for (size_t i = 0; i < PL_ARRAY_LEN(paths); i++) {
        struct node_reply r = node_client_ask(&f->c, "GET", paths[i], NULL, NULL);
        node_client_expect(r, 401, "token-missing");
        assert_non_null(strstr(r.head, "WWW-Authenticate: Bearer"));
    }
    node_client_expect(node_client_ask(&f->c, "POST", "/import", NULL, "{}"), 401, NULL);
    node_client_expect(sync_as(f, NULL, f->peer_id), 401, "token-missing");
}

static void auth_refuses_a_wrong_admin_token(void **state)
{
    struct fixture *f = *state;
    char token[65] = NODE_CLIENT_ADMIN;
    token[63] = '2';
    node_client_expect(node_client_ask(&f->c, "GET", "/status", token, NULL), 401, "token-admin");
    node_client_expect(node_client_ask(&f->c, "GET", "/status", "short", NULL), 401,
                       "token-malformed");
}

static void auth_refuses_tokens_that_do_not_verify(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    node_client_expect(sync_as(f, make_token(f, f->other, f->peer_id, us(f), 0), f->peer_id), 401,
                       "token-signature");
    node_client_expect(sync_as(f, make_token(f, f->peer, f->peer_id, us(f), 9 * 3600), f->peer_id),
                       401, "token-expired");
    node_client_expect(sync_as(f, make_token(f, f->peer, f->peer_id, us(f), -3600), f->peer_id),
                       401, "token-not-yet-valid");
    node_client_expect(sync_as(f, make_token(f, f->peer, f->peer_id, f->other_id, 0), f->peer_id),
                       401, "token-audience");
    node_client_expect(sync_as(f, "a.b.c", f->peer_id), 401, "token-malformed");
}

/* A token with this header and these claims, properly signed by the peer. */
static const char *sign_token(struct fixture *f, const char *header, const char *claims)
{
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    struct pl_writer w = pl_writer_over(f->token, sizeof f->token - 1);
    pl_base64url_write(&w, pl_span_text(header));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_text(claims));
    pl_sha256_of(pl_writer_span(&w), hash);
    assert_ok(pl_identity_sign(f->peer, hash, signature, &len));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_of(signature, len));
    assert_ok(w.err);
    f->token[w.len] = '\0';
    return f->token;
}

/* NODE_CLIENT_WALL is 2023-11-14T22:13:20Z. In the texts P is the peer's id and N this node's. */
#define SBT   "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"P\"}"
#define NAMES "\"sbt_id\":\"t\",\"user_id\":\"u\",\"session_id\":\"s\","
#define BOUND "\"local_backend_id\":\"P\",\"hosted_backend_id\":\"N\","
#define SHORT "\"iss\":\"P\",\"sub\":\"u\",\"jti\":\"t\","
#define FROM  "\"created_at\":\"2023-11-14T22:13:20Z\",\"iat\":1700000000,"
#define TO    "\"expires_at\":\"2023-11-15T06:13:20Z\",\"exp\":1700028800"

static const char *fill_in(struct fixture *f, const char *text, char *out, size_t cap)
{
    struct pl_writer w = pl_writer_over(out, cap - 1);
    for (const char *p = text; *p != '\0'; p++) {
        bool alone = p != text && p[-1] == '"' && p[1] == '"';
        if (alone && *p == 'P')
            pl_write_text(&w, f->peer_id);
        else if (alone && *p == 'N')
            pl_write_text(&w, us(f));
        else
            pl_write_u8(&w, (uint8_t)*p);
    }
    assert_ok(w.err);
    out[w.len] = '\0';
    return out;
}

static void auth_tells_every_refusal_of_a_token_apart(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *code;
        const char *header;
        const char *claims;
    } rows[] = {
        { "token-no-kid", "{\"typ\":\"SBT\",\"alg\":\"RS256\"}", "{}" },
        { "token-type", "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"P\"}", "{}" },
        { "token-alg-none", "{\"typ\":\"SBT\",\"alg\":\"none\",\"kid\":\"P\"}", "{}" },
        { "token-alg-hmac", "{\"typ\":\"SBT\",\"alg\":\"HS256\",\"kid\":\"P\"}", "{}" },
        { "token-algorithm", "{\"typ\":\"SBT\",\"alg\":\"PS256\",\"kid\":\"P\"}", "{}" },
        { "token-alg-key", "{\"typ\":\"SBT\",\"alg\":\"ES256\",\"kid\":\"P\"}", "{}" },
        { "token-crit", "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"P\",\"crit\":[]}", "{}" },
        { "token-malformed", "[]", "{}" },
        { "token-malformed", SBT, "[" },
        { "token-claims", SBT, "{}" },
        { "token-kid-mismatch", SBT,
          "{" NAMES BOUND "\"iss\":\"N\",\"sub\":\"u\",\"jti\":\"t\"," FROM TO "}" },
        { "token-id-mismatch", SBT,
          "{" NAMES BOUND "\"iss\":\"P\",\"sub\":\"u\",\"jti\":\"t2\"," FROM TO "}" },
        { "token-user-mismatch", SBT,
          "{" NAMES BOUND "\"iss\":\"P\",\"sub\":\"u2\",\"jti\":\"t\"," FROM TO "}" },
        { "token-times", SBT,
          "{" NAMES BOUND SHORT FROM
          "\"expires_at\":\"2023-11-15T06:13:20Z\",\"exp\":1800000000}" },
        { "token-expired", SBT,
          "{" NAMES BOUND SHORT "\"created_at\":\"2023-11-14T00:00:00Z\",\"iat\":1699920000,"
          "\"expires_at\":\"2023-11-14T22:12:19Z\",\"exp\":1699999939}" },
        { "token-not-yet-valid", SBT,
          "{" NAMES BOUND SHORT "\"created_at\":\"2023-11-14T22:14:21Z\",\"iat\":1700000061," TO
          "}" },
        { "token-audience", SBT,
          "{" NAMES "\"local_backend_id\":\"P\",\"hosted_backend_id\":\"x\"," SHORT FROM TO "}" },
        { "token-issuer-not-bound", SBT,
          "{" NAMES "\"local_backend_id\":\"x\",\"hosted_backend_id\":\"N\"," SHORT FROM TO "}" },
    };
    char header[512];
    char claims[1024];
    register_peer(f);
    approve(f, "{}");
    sign_token(f, fill_in(f, SBT, header, sizeof header),
               fill_in(f, "{" NAMES BOUND SHORT FROM TO "}", claims, sizeof claims));
    node_client_expect(sync_as(f, f->token, f->peer_id), 200, "synced");
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        char code[64];
        snprintf(code, sizeof code, "\"code\":\"%s\"", rows[i].code);
        sign_token(f, fill_in(f, rows[i].header, header, sizeof header),
                   fill_in(f, rows[i].claims, claims, sizeof claims));
        struct node_reply r = sync_as(f, f->token, f->peer_id);
        node_client_expect(r, 401, code);
        assert_non_null(strstr(r.head, "WWW-Authenticate: Bearer"));
    }
}

static void auth_refuses_a_token_above_its_limit(void **state)
{
    struct fixture *f = *state;
    char token[PARLEY_TOKEN_BYTES_MAX + 2];
    memset(token, 'A', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    /* With the tiny limits the head is too large before the token is. */
    bool tiny = PL_HTTP_HEAD_BYTES_MAX <= PARLEY_TOKEN_BYTES_MAX;
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", token, NULL),
                       tiny ? 431 : 401, tiny ? NULL : "token-too-big");
}

/* ---- Programs with a key of P-256 ---- */

struct program {
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    const char *pem; /* escaped for JSON */
};

static const char *program_token(struct fixture *f, const struct program *program,
                                 const char *scalar)
{
    struct pl_token token = { .sbt_id = "sbt-1", .user_id = "u", .session_id = "s" };
    size_t len = 0;
    copy_id(token.issuer, program->id);
    copy_id(token.local_backend_id, program->id);
    copy_id(token.hosted_backend_id, us(f));
    token.created_at = f->c.now.wall;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    assert_ok(pl_token_issue_es256((const uint8_t *)scalar, &token, f->token, &len));
    f->token[len] = '\0';
    return f->token;
}

static void auth_registers_a_program_with_a_p256_key_and_takes_its_es256_tokens(void **state)
{
    struct fixture *f = *state;
    struct program program = { .pem = "-----BEGIN PUBLIC KEY-----\\n"
                                      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh+KoNXG6kkDbhaCd+kFa"
                                      "aLfFWsMeyP8/hPi0qyuXC0SghxCraP+lHVtFG/1nfXanjbaYamB2zI2Y"
                                      "H+LDcdd/bw==\\n-----END PUBLIC KEY-----\\n" };
    snprintf(program.id, sizeof program.id, "local_sha256_%.32s", TEST_KEY_EC_FINGERPRINT);
    static const char other_scalar[PL_EC_PRIVATE_BYTES + 1] = "another key, 32 bytes of scalar.";
    node_client_expect(
        send_registration(f, program.id, program.pem, program_token(f, &program, other_scalar)),
        401, "token-signature");
    node_client_expect(
        send_registration(f, program.id, program.pem, make_token(f, f->peer, program.id, us(f), 0)),
        401, "token-alg-key");
    node_client_expect(send_registration(f, program.id, program.pem,
                                         program_token(f, &program, TEST_KEY_EC_SCALAR)),
                       202, "pending");
    copy_id(f->peer_id, program.id);
    approve(f, "{}");
    /* The key is found again after a restart. */
    struct env_mem *env = f->c.env;
    node_client_close(&f->c);
    node_client_open(&f->c, env, "a", TEST_KEY_A_PKCS8, false);
    node_client_expect(sync_as(f, program_token(f, &program, TEST_KEY_EC_SCALAR), program.id), 200,
                       "synced");
    node_client_expect(sync_as(f, program_token(f, &program, other_scalar), program.id), 401,
                       "token-signature");
    node_client_expect(sync_as(f, make_token(f, f->peer, program.id, us(f), 0), program.id), 401,
                       "token-alg-key");
    node_client_expect(node_client_admin(&f->c, "GET", "/peers", NULL), 200,
                       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh+KoNXG6kkDb");
}

static void auth_refuses_a_token_that_was_changed(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    peer_token(f);
    char *dot = strrchr(f->token, '.');
    dot[10] = dot[10] == 'A' ? 'B' : 'A';
    node_client_expect(sync_as(f, f->token, f->peer_id), 401, "token-signature");
}

static void auth_refuses_unknown_peers_and_names_them(void **state)
{
    struct fixture *f = *state;
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, f->peer_id);
    node_client_expect(sync_as(f, NODE_CLIENT_ADMIN, f->other_id), 403, f->other_id);
}

static void auth_refuses_a_token_of_another_peer(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    node_client_expect(send_registration(f, f->other_id, f->other_pem,
                                         make_token(f, f->other, f->other_id, us(f), 0)),
                       202, NULL);
    node_client_expect(sync_as(f, peer_token(f), f->other_id), 403, "other-peer");
}

static void auth_refuses_a_payload_for_another_target(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    node_client_expect(node_client_ask(&f->c, "POST", "/sync", peer_token(f),
                                       sync_body(f, f->peer_id, f->other_id)),
                       400, "target_backend_id: does not name this node");
}

static void auth_keeps_peers_to_what_they_were_granted(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    register_peer(f);
    approve(f, "{\"namespace\":\"team\",\"right\":\"read\"}");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "not-granted");
    node_client_expect(node_client_ask(c, "POST", "/sync?namespace=team", peer_token(f),
                                       sync_body(f, f->peer_id, us(f))),
                       403, "write");
    node_client_expect(node_client_ask(c, "GET", "/conversations", peer_token(f), NULL), 403,
                       "read");
    node_client_expect(
        node_client_ask(c, "GET", "/conversations?namespace=team", peer_token(f), NULL), 200,
        "\"conversations\":[]");
    node_client_expect(node_client_ask(c, "POST", "/conversations/c/messages?namespace=team",
                                       peer_token(f), "{\"role\":\"user\",\"content\":\"x\"}"),
                       403, "write");
    node_client_expect(node_client_ask(c, "GET", "/status", peer_token(f), NULL), 403,
                       "operator-only");
}

static void auth_lets_granted_peers_read_and_write(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    node_client_expect(
        node_client_ask(&f->c, "POST", "/conversations/c/messages", peer_token(f),
                        "{\"role\":\"user\",\"content\":\"x\",\"message_id\":\"m\"}"),
        201, "\"message_id\":\"m\"");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/c", peer_token(f), NULL), 200,
                       "\"content\":\"x\"");
}

/* A prefix of a grant is a limit over HTTP too: only routes of one conversation within it. */
static void auth_keeps_a_peer_to_the_prefix_of_its_grant(void **state)
{
    static const char *const beyond[] = { "/conversations",     "/conversations/home",
                                          "/conversations/wor", "/conversations/home/history",
                                          "/conflicts",         "/export" };
    static const char message[] = "{\"role\":\"user\",\"content\":\"x\",\"message_id\":\"m\"}";
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{\"prefix\":\"work/\"}");
    const char *token = peer_token(f);
    node_client_expect(
        node_client_ask(&f->c, "POST", "/conversations/work%2F1/messages", token, message), 201,
        "\"message_id\":\"m\"");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/work%2F1", token, NULL), 200,
                       "\"content\":\"x\"");
    node_client_expect(
        node_client_ask(&f->c, "POST", "/conversations/home/messages", token, message), 403,
        "not-granted");
    for (size_t i = 0; i < PL_ARRAY_LEN(beyond); i++)
        node_client_expect(node_client_ask(&f->c, "GET", beyond[i], token, NULL), 403,
                           "not-granted");
    node_client_expect(sync_as(f, token, f->peer_id), 403, "not-granted");
    approve(f, "{\"max_age_days\":3}");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", token, NULL), 200, "work/1");
    node_client_expect(node_client_admin(&f->c, "GET", "/peers", NULL), 200, "\"max_age_days\":3");
}

static void auth_honours_tokens_it_issued_itself(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->c.node->identity, us(f), us(f), 0);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", token, NULL), 200, "[]");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations?namespace=x", token, NULL),
                       403, "not-granted");
    node_client_expect(sync_as(f, token, f->peer_id), 403, "not-granted");
    register_peer(f);
    approve(f, "{}");
    token = make_token(f, f->c.node->identity, us(f), f->peer_id, 0);
    node_client_expect(sync_as(f, token, f->peer_id), 200, "synced");
}

static void auth_stops_a_revoked_peer_at_once(void **state)
{
    struct fixture *f = *state;
    char path[128];
    register_peer(f);
    approve(f, "{}");
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 200,
                       "\"status\":\"revoked\"");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 403, "revoked");
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 403, "revoked");
    snprintf(path, sizeof path, "/peers/%s/approve", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "POST", path, "{}"), 409, "revoked");
    node_client_expect(node_client_admin(&f->c, "DELETE", "/peers/nobody", NULL), 404,
                       "no-such-peer");
}

/* ---- Browsers ---- */

static void auth_refuses_foreign_hosts_and_origins_on_loopback(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *lines;
        unsigned status;
    } cases[] = {
        { "Host: evil.example\r\n", 403 },
        { "Host: localhost.evil.example\r\n", 403 },
        { "Host: 127.0.0.1:8825\r\n", 200 },
        { "Host: LOCALHOST\r\n", 200 },
        { "Host: [::1]:1\r\n", 200 },
        { "Host: 10.1.2.3:8825\r\n", 200 },
        { "Host: [fd00::1]:8825\r\n", 200 },
        { "Host: 10.1.2.3.evil.example\r\n", 403 },
        { "Host: localhost\r\nOrigin: http://evil.example\r\n", 403 },
        { "Host: localhost\r\nOrigin: null\r\n", 403 },
        { "Host: localhost\r\nOrigin: http://localhost:3000\r\n", 200 },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char text[256];
        node_client_connect(&f->c);
        int len = snprintf(text, sizeof text, "GET /health HTTP/1.1\r\n%s\r\n", cases[i].lines);
        node_client_send(&f->c, text, (size_t)len);
        node_client_expect(node_client_take(&f->c, false), cases[i].status, NULL);
    }
}

/* ---- The old clients ---- */

#define OLD_SBT                                                                                    \
    "{\"sbt_id\":\"old-1\",\"user_id\":\"u\",\"session_id\":\"s\",\"local_backend_id\":\"old-"     \
    "client\","                                                                                    \
    "\"hosted_backend_id\":\"%s\",\"created_at\":\"2024-01-01T00:00:00\","                         \
    "\"expires_at\":\"2024-01-01T08:00:00\",\"signature\":\"c2VjcmV0\"}"

static struct node_reply register_old(struct fixture *f, const char *names, const char *pem)
{
    char sbt[1024];
    snprintf(sbt, sizeof sbt, OLD_SBT, names);
    return node_client_ask(&f->c, "POST", "/register-peer", NULL,
                           registration(f, "old-client", pem, sbt));
}

static void auth_legacy_serves_an_old_client_without_tokens(void **state)
{
    struct fixture *f = *state;
    node_client_expect(
        register_old(f, us(f), f->pem), 200,
        "{\"status\":\"registered\",\"sbt_id\":\"old-1\",\"peer_backend_id\":\"old-client\"}");
    node_client_expect(sync_as(f, NULL, "old-client"), 200, "\"conversations_merged\":1");
    node_client_expect(sync_as(f, "not.a.token", "old-client"), 200, "\"conversations_skipped\":1");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/c", NULL, NULL), 200, "hi");
    struct node_reply r = node_client_ask(&f->c, "GET", "/peers", NULL, NULL);
    node_client_expect(r, 200, "old-1");
    assert_null(strstr(r.body, "c2VjcmV0"));
    node_client_expect(node_client_ask(&f->c, "GET", "/health", NULL, NULL), 200,
                       "\"compat_legacy\":true");
}

static void auth_legacy_still_asks_that_the_token_names_us(void **state)
{
    struct fixture *f = *state;
    node_client_expect(register_old(f, "somebody", f->pem), 400, "does not name this node");
}

static void auth_legacy_refuses_unregistered_sources_and_the_operators_routes(void **state)
{
    struct fixture *f = *state;
    node_client_expect(sync_as(f, NULL, "nobody"), 403, "nobody");
    node_client_expect(node_client_ask(&f->c, "GET", "/status", NULL, NULL), 401, NULL);
    node_client_expect(node_client_ask(&f->c, "DELETE", "/peers/x", NULL, NULL), 401, NULL);
    node_client_expect(node_client_ask(&f->c, "GET", "/export", NULL, NULL), 401, NULL);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/c?namespace=x", NULL, NULL),
                       401, NULL);
}

static void auth_legacy_still_refuses_forged_tokens(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{}");
    node_client_expect(sync_as(f, make_token(f, f->other, f->peer_id, us(f), 0), f->peer_id), 401,
                       "token-signature");
}

static void auth_refuses_to_take_over_an_id(void **state)
{
    struct fixture *f = *state;
    node_client_expect(register_old(f, us(f), f->pem), 200, NULL);
    node_client_expect(register_old(f, us(f), f->other_pem), 409, "key-conflict");
    node_client_expect(register_old(f, us(f), f->pem), 200, "registered");
    node_client_expect(node_client_admin(&f->c, "GET", "/peers", NULL), 200,
                       "a registration with another key was refused");
}

/* The mode once let anybody name any registered peer and any namespace. */
static void auth_legacy_asks_peers_with_keys_for_their_tokens(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{\"namespace\":\"private\",\"right\":\"write\"}");
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    node_client_expect(sync_as(f, NULL, f->peer_id), 403, "token-missing");
    node_client_expect(sync_as(f, peer_token(f), f->peer_id), 200, "synced");
    struct node_reply r = node_client_ask(&f->c, "GET", "/peers", NULL, NULL);
    node_client_expect(r, 200, f->peer_id);
    assert_null(strstr(r.body, "private"));
}

static void auth_legacy_registrations_are_worth_nothing_when_the_mode_is_off(void **state)
{
    struct fixture *f = *state;
    node_client_expect(register_old(f, us(f), f->pem), 200, "registered");
    node_client_close(&f->c);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&f->c);
    node_client_expect(sync_as(f, NULL, "old-client"), 401, "token-missing");
    const struct pl_peer *peer = pl_peers_find(&f->c.node->peers, pl_span_text("old-client"));
    assert_true(peer->legacy);
    struct pl_token token = { .sbt_id = "t", .user_id = "u", .session_id = "s" };
    snprintf(token.local_backend_id, sizeof token.local_backend_id, "old-client");
    snprintf(token.issuer, sizeof token.issuer, "old-client");
    snprintf(token.hosted_backend_id, sizeof token.hosted_backend_id, "%s", us(f));
    token.created_at = NODE_CLIENT_WALL;
    token.expires_at = NODE_CLIENT_WALL + PARLEY_US_PER_S * 60;
    char jwt[PARLEY_TOKEN_BYTES_MAX + 1];
    size_t len = 0;
    assert_ok(pl_token_issue(f->peer, &token, jwt, &len));
    jwt[len] = '\0';
    node_client_expect(sync_as(f, jwt, "old-client"), 403, "legacy-registration");
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define LEGACY(name) cmocka_unit_test_setup_teardown(name, set_up_legacy, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(auth_registers_a_peer_as_pending_until_approved),
        TEST(auth_remembers_registrations_over_a_restart),
        TEST(auth_lists_peers_without_the_signature),
        TEST(auth_refuses_a_registration_for_another_node),
        TEST(auth_refuses_a_registration_signed_with_another_key),
        TEST(auth_refuses_a_registration_issued_by_somebody_else),
        TEST(auth_refuses_an_expired_registration),
        TEST(auth_refuses_an_id_that_is_not_the_keys),
        TEST(auth_refuses_malformed_registrations_by_field),
        TEST(auth_answers_507_when_a_registration_cannot_be_stored),
        TEST(auth_does_not_approve_what_cannot_be_stored),
        TEST(auth_keeps_a_revocation_that_cannot_be_stored_until_it_is),
        TEST(auth_cuts_a_request_of_a_peer_that_is_revoked_meanwhile),
        TEST(auth_looks_at_rights_again_when_the_body_is_there),
        TEST(auth_refuses_requests_without_a_token),
        TEST(auth_refuses_a_wrong_admin_token),
        TEST(auth_refuses_tokens_that_do_not_verify),
        TEST(auth_tells_every_refusal_of_a_token_apart),
        TEST(auth_refuses_a_token_above_its_limit),
        TEST(auth_registers_a_program_with_a_p256_key_and_takes_its_es256_tokens),
        TEST(auth_refuses_a_token_that_was_changed),
        TEST(auth_refuses_unknown_peers_and_names_them),
        TEST(auth_refuses_a_token_of_another_peer),
        TEST(auth_refuses_a_payload_for_another_target),
        TEST(auth_keeps_peers_to_what_they_were_granted),
        TEST(auth_lets_granted_peers_read_and_write),
        TEST(auth_keeps_a_peer_to_the_prefix_of_its_grant),
        TEST(auth_honours_tokens_it_issued_itself),
        TEST(auth_stops_a_revoked_peer_at_once),
        TEST(auth_refuses_foreign_hosts_and_origins_on_loopback),
        LEGACY(auth_legacy_serves_an_old_client_without_tokens),
        LEGACY(auth_legacy_still_asks_that_the_token_names_us),
        LEGACY(auth_legacy_refuses_unregistered_sources_and_the_operators_routes),
        LEGACY(auth_legacy_still_refuses_forged_tokens),
        LEGACY(auth_refuses_to_take_over_an_id),
        LEGACY(auth_legacy_asks_peers_with_keys_for_their_tokens),
        LEGACY(auth_legacy_registrations_are_worth_nothing_when_the_mode_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
