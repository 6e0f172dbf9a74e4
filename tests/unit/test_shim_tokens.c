/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of session binding tokens over HTTP: issued, listed, revoked, and what a revocation
 * does to the token when it comes again.
 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_NS (24 * 3600 * PARLEY_NS_PER_S)

struct fixture {
    struct env_mem env;
    struct node_client c;
    struct pl_identity *peer; /* another node, registered and active */
    char peer_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char token[PARLEY_TOKEN_BYTES_MAX + 1]; /* the last one issued or made */
    char sbt_id[PL_TOKEN_FIELD_BYTES_MAX + 1];
};

static void add_peer(struct fixture *f, enum pl_peer_state state)
{
    struct pl_peer *peer = NULL;
    struct pl_node *node = f->c.node;
    assert_ok(pl_peers_add(&node->peers, &f->env.t.env, pl_span_text(f->peer_id), &peer));
    peer->key = *pl_identity_pubkey(f->peer);
    peer->state = state;
    peer->http = true;
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), true));
    pl_node_store_peer(node, peer);
    node_client_settle(&f->c);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    assert_ok(pl_identity_import(&f->env.t.env, pl_span_text(TEST_KEY_B_PKCS1), &f->peer, NULL));
    pl_backend_id_make(PL_BACKEND_HOSTED, pl_identity_pubkey(f->peer), f->peer_id);
    add_peer(f, PL_PEER_ACTIVE);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pl_identity_destroy(f->peer);
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static const char *us(struct fixture *f)
{
    return pl_node_backend_id(f->c.node);
}

static void restart(struct fixture *f)
{
    node_client_restart(&f->c, "a", TEST_KEY_A_PKCS8);
}

static void copy_field(const char *body, const char *name, char *out, size_t cap)
{
    char mark[64];
    snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *at = strstr(body, mark);
    assert_non_null(at);
    at += strlen(mark);
    size_t len = strcspn(at, "\"");
    assert_true(len < cap);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* Issues one; it is then f->token with f->sbt_id. */
static struct node_reply issue(struct fixture *f, const char *body)
{
    struct node_reply r = node_client_admin(&f->c, "POST", "/tokens", body);
    node_client_expect(r, 201, "\"token\":\"");
    copy_field(r.body, "token", f->token, sizeof f->token);
    copy_field(r.body, "sbt_id", f->sbt_id, sizeof f->sbt_id);
    return r;
}

/* A token that the peer signs itself. */
static void make_foreign(struct fixture *f, const char *sbt_id, int64_t life_s)
{
    struct pl_token token = { .user_id = "u", .session_id = "s" };
    size_t len = 0;
    snprintf(token.sbt_id, sizeof token.sbt_id, "%s", sbt_id);
    snprintf(token.issuer, sizeof token.issuer, "%s", f->peer_id);
    snprintf(token.hosted_backend_id, sizeof token.hosted_backend_id, "%s", f->peer_id);
    snprintf(token.local_backend_id, sizeof token.local_backend_id, "%s", us(f));
    token.created_at = f->c.now.wall;
    token.expires_at = token.created_at + life_s * PARLEY_US_PER_S;
    assert_ok(pl_token_issue(f->peer, &token, f->token, &len));
    f->token[len] = '\0';
}

static struct node_reply use(struct fixture *f)
{
    return node_client_ask(&f->c, "GET", "/conversations", f->token, NULL);
}

static struct node_reply revoke(struct fixture *f, const char *sbt_id, const char *issuer)
{
    char path[512];
    snprintf(path, sizeof path, "/tokens/%s%s%s", sbt_id, issuer != NULL ? "?issuer=" : "",
             issuer != NULL ? issuer : "");
    return node_client_admin(&f->c, "DELETE", path, NULL);
}

static void set_full(struct fixture *f, bool full)
{
    struct pl_store_mem_faults faults = { .fail_put_after = full ? 0 : -1,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
}

/* ---- Issuing ---- */

static void tokens_are_issued_for_a_user_of_this_node(void **state)
{
    struct fixture *f = *state;
    char want[256];
    struct node_reply r = issue(f, "{\"user_id\":\"ann\"}");
    snprintf(want, sizeof want, "\"local_backend_id\":\"%s\",\"hosted_backend_id\":\"%s\"", us(f),
             us(f));
    node_client_expect(r, 201, want);
    node_client_expect(r, 201, "\"user_id\":\"ann\"");
    node_client_expect(r, 201, "\"created_at\":\"2023-11-14T22:13:20.000000Z\"");
    node_client_expect(r, 201, "\"expires_at\":\"2023-11-15T06:13:20.000000Z\"");
    assert_int_equal(32, strlen(f->sbt_id));
    node_client_expect(use(f), 200, "[]");
}

static void tokens_have_ids_and_sessions_of_their_own(void **state)
{
    struct fixture *f = *state;
    char first[PL_TOKEN_FIELD_BYTES_MAX + 1];
    char session[PL_TOKEN_FIELD_BYTES_MAX + 1];
    struct node_reply r = issue(f, "{\"user_id\":\"ann\"}");
    memcpy(first, f->sbt_id, sizeof first);
    copy_field(r.body, "session_id", session, sizeof session);
    assert_int_equal(32, strlen(session));
    r = issue(f, "{\"user_id\":\"ann\",\"session_id\":\"desk\",\"ttl_seconds\":60}");
    node_client_expect(r, 201, "\"session_id\":\"desk\"");
    node_client_expect(r, 201, "\"expires_at\":\"2023-11-14T22:14:20.000000Z\"");
    assert_string_not_equal(first, f->sbt_id);
}

static void tokens_can_bind_a_peer_and_then_act_as_it(void **state)
{
    struct fixture *f = *state;
    char body[256];
    char want[256];
    snprintf(body, sizeof body, "{\"user_id\":\"ann\",\"peer\":\"%s\"}", f->peer_id);
    snprintf(want, sizeof want, "\"local_backend_id\":\"%s\",\"hosted_backend_id\":\"%s\"", us(f),
             f->peer_id);
    node_client_expect(issue(f, body), 201, want);
    node_client_expect(use(f), 200, "[]");
    f->c.node->options.type = PL_BACKEND_HOSTED;
    snprintf(want, sizeof want, "\"local_backend_id\":\"%s\",\"hosted_backend_id\":\"%s\"",
             f->peer_id, us(f));
    node_client_expect(issue(f, body), 201, want);
}

static void tokens_are_for_active_peers_only(void **state)
{
    struct fixture *f = *state;
    char body[256];
    node_client_expect(
        node_client_admin(&f->c, "POST", "/tokens", "{\"user_id\":\"u\",\"peer\":\"nobody\"}"), 404,
        "no-such-peer");
    pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id))->state = PL_PEER_PENDING;
    snprintf(body, sizeof body, "{\"user_id\":\"ann\",\"peer\":\"%s\"}", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "POST", "/tokens", body), 409, "peer-not-active");
}

static void tokens_name_the_field_that_is_bad(void **state)
{
    struct fixture *f = *state;
    char longest[512];
    static const struct {
        const char *body;
        const char *part;
    } cases[] = {
        { "{}", "user_id: is missing" },
        { "{\"user_id\":\"\"}", "user_id: must not be empty" },
        { "{\"user_id\":7}", "user_id: must be a string" },
        { "{\"user_id\":\"a\\nb\"}", "user_id: has a control character" },
        { "{\"user_id\":\"a\\u0000b\"}", "user_id: has a control character" },
        { "{\"user_id\":\"a\",\"session_id\":\"\"}", "session_id: must not be empty" },
        { "{\"user_id\":\"a\",\"ttl_seconds\":0}", "ttl_seconds: must be" },
        { "{\"user_id\":\"a\",\"ttl_seconds\":2592001}", "ttl_seconds: must be" },
        { "{\"user_id\":\"a\",\"ttl_seconds\":\"8h\"}", "ttl_seconds: must be" },
        { "{\"user_id\":\"a\",\"peer\":[]}", "peer: must be a string" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        node_client_expect(node_client_admin(&f->c, "POST", "/tokens", cases[i].body), 400,
                           cases[i].part);
    snprintf(longest, sizeof longest, "{\"user_id\":\"%0256d\"}", 0);
    node_client_expect(node_client_admin(&f->c, "POST", "/tokens", longest), 400,
                       "user_id: is longer than 255 bytes");
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 200, "{\"tokens\":[]}");
}

static void tokens_fit_with_the_longest_names_that_need_escapes(void **state)
{
    struct fixture *f = *state;
    char name[2 * 255 + 1] = "";
    char body[1200];
    for (size_t i = 0; i < 255; i++)
        memcpy(name + 2 * i, "\\\"", 2);
    snprintf(body, sizeof body, "{\"user_id\":\"%s\",\"session_id\":\"%s\"}", name, name);
    issue(f, body);
    node_client_expect(use(f), 200, "[]");
}

static void tokens_are_the_operators_business(void **state)
{
    struct fixture *f = *state;
    static const char *const methods[] = { "POST", "GET", "DELETE" };
    static const char *const paths[] = { "/tokens", "/tokens", "/tokens/x" };
    issue(f, "{\"user_id\":\"ann\"}");
    for (size_t i = 0; i < PL_ARRAY_LEN(methods); i++) {
        const char *body = i == 0 ? "{\"user_id\":\"u\"}" : NULL;
        node_client_expect(node_client_ask(&f->c, methods[i], paths[i], f->token, body), 403,
                           "operator-only");
        node_client_expect(node_client_ask(&f->c, methods[i], paths[i], NULL, body), 401,
                           "token-missing");
        node_client_connect(&f->c);
    }
}

static void tokens_are_not_issued_when_they_cannot_be_stored(void **state)
{
    struct fixture *f = *state;
    set_full(f, true);
    node_client_expect(node_client_admin(&f->c, "POST", "/tokens", "{\"user_id\":\"u\"}"), 507,
                       "store-full");
    set_full(f, false);
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 200, "{\"tokens\":[]}");
    assert_int_equal(0, f->c.node->tokens.count);
    assert_false(pl_tokens_is_busy(f->c.node));
    issue(f, "{\"user_id\":\"u\"}");
    assert_int_equal(1, f->c.node->tokens.count);
}

static void tokens_are_not_answered_before_they_are_stored(void **state)
{
    struct fixture *f = *state;
    static const char body[] = "{\"user_id\":\"u\"}";
    char head[512];
    int len = snprintf(head, sizeof head,
                       "POST /tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       NODE_CLIENT_ADMIN, sizeof body - 1, body);
    node_client_connect(&f->c);
    f->c.hold_commits = true;
    node_client_send(&f->c, head, (size_t)len);
    assert_true(f->c.has_held);
    assert_int_equal(0, f->c.got_len);
    assert_true(pl_tokens_is_busy(f->c.node));
    node_client_commit(&f->c);
    node_client_expect(node_client_take(&f->c, false), 201, "\"token\":\"");
    assert_false(pl_tokens_is_busy(f->c.node));
}

static void tokens_are_bounded_and_leave_room_for_revocations(void **state)
{
    struct fixture *f = *state;
    f->c.node->tokens.count = PL_TOKENS_MAX - PL_TOKENS_SPARE;
    node_client_expect(node_client_admin(&f->c, "POST", "/tokens", "{\"user_id\":\"u\"}"), 507,
                       "too-many-tokens");
    node_client_expect(revoke(f, "other", NULL), 200, "revoked");
    f->c.node->tokens.count = PL_TOKENS_MAX;
    node_client_expect(revoke(f, "third", NULL), 507, "too-many-tokens");
    node_client_expect(revoke(f, "other", NULL), 200, "revoked");
    restart(f);
    assert_int_equal(1, f->c.node->tokens.count);
    issue(f, "{\"user_id\":\"u\"}");
}

/* ---- Listing ---- */

static void tokens_are_listed_without_the_token(void **state)
{
    struct fixture *f = *state;
    char want[512];
    issue(f, "{\"user_id\":\"ann\",\"session_id\":\"desk\"}");
    struct node_reply r = node_client_admin(&f->c, "GET", "/tokens", NULL);
    snprintf(want, sizeof want, "{\"tokens\":[{\"issuer\":\"%s\",\"sbt_id\":\"%s\"", us(f),
             f->sbt_id);
    node_client_expect(r, 200, want);
    node_client_expect(r, 200, "\"session_id\":\"desk\"");
    node_client_expect(r, 200, "\"revoked_at\":null,\"state\":\"active\"");
    assert_null(strstr(r.body, f->token));
    assert_null(strstr(r.body, strrchr(f->token, '.') + 1));
}

static void tokens_are_listed_in_pages(void **state)
{
    struct fixture *f = *state;
    char path[600] = "/tokens?limit=2";
    char next[512];
    size_t total = 0;
    for (int i = 0; i < 5; i++)
        issue(f, "{\"user_id\":\"ann\"}");
    for (int page = 0; page < 3; page++) {
        struct node_reply r = node_client_admin(&f->c, "GET", path, NULL);
        node_client_expect(r, 200, "\"state\":\"active\"");
        for (const char *at = r.body; (at = strstr(at, "\"issuer\"")) != NULL; at++)
            total++;
        assert_int_equal(page < 2, strstr(r.body, "\"next\":\"") != NULL);
        if (page == 2)
            break;
        copy_field(r.body, "next", next, sizeof next);
        snprintf(path, sizeof path, "/tokens?limit=2&after=%s", next);
    }
    assert_int_equal(5, total);
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens?limit=0", NULL), 400, "limit");
}

static void tokens_show_that_they_have_expired(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\",\"ttl_seconds\":60}");
    /* Past the leeway, before the next turn of pruning. */
    f->c.now.wall += 121 * PARLEY_US_PER_S;
    node_client_expect(use(f), 401, "token-expired");
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 200,
                       "\"state\":\"expired\"");
}

/* ---- Revoking ---- */

static void tokens_that_were_revoked_are_refused_when_they_come_again(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\"}");
    node_client_expect(use(f), 200, "[]");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, "\"status\":\"revoked\"");
    struct node_reply r = use(f);
    node_client_expect(r, 401, "token-revoked");
    assert_non_null(strstr(r.head, "WWW-Authenticate: Bearer"));
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 200,
                       "\"state\":\"revoked\"");
}

static void tokens_are_revoked_once_and_it_may_be_said_again(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\"}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, "\"revoked_at\":\"2023-11-14T22:13:20");
    f->c.now.wall += 5 * PARLEY_US_PER_S;
    node_client_expect(revoke(f, f->sbt_id, us(f)), 200, "\"revoked_at\":\"2023-11-14T22:13:20");
    assert_int_equal(1, f->c.node->tokens.count);
}

static void tokens_and_revocations_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    char revoked[PARLEY_TOKEN_BYTES_MAX + 1];
    issue(f, "{\"user_id\":\"ann\"}");
    memcpy(revoked, f->token, sizeof revoked);
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    issue(f, "{\"user_id\":\"bob\"}");
    restart(f);
    node_client_expect(use(f), 200, "[]");
    memcpy(f->token, revoked, sizeof revoked);
    node_client_expect(use(f), 401, "token-revoked");
    assert_int_equal(2, f->c.node->tokens.count);
}

static void tokens_of_a_peer_can_be_revoked_before_they_were_seen(void **state)
{
    struct fixture *f = *state;
    char want[128];
    make_foreign(f, "f-1", 3600);
    node_client_expect(use(f), 200, "[]");
    snprintf(want, sizeof want, "\"sbt_id\":\"f-1\",\"issuer\":\"%s\"", f->peer_id);
    node_client_expect(revoke(f, "f-1", f->peer_id), 200, want);
    node_client_expect(use(f), 401, "token-revoked");
    make_foreign(f, "f-2", 3600);
    node_client_expect(use(f), 200, "[]");
    node_client_expect(revoke(f, "f-2", NULL), 200, us(f));
    node_client_expect(use(f), 200, "[]");
    node_client_expect(revoke(f, "f-2", "nobody"), 404, "no-such-issuer");
    node_client_expect(revoke(f, "a%00b", NULL), 400, "sbt_id");
    node_client_expect(revoke(f, "%ff", NULL), 400, "sbt_id");
}

static void tokens_that_were_revoked_do_not_register_a_peer(void **state)
{
    struct fixture *f = *state;
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    char body[PARLEY_TOKEN_BYTES_MAX + 2 * sizeof pem + 256];
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(f->peer), pem));
    make_foreign(f, "f-1", 3600);
    int len = snprintf(body, sizeof body,
                       "{\"sbt\":\"%s\",\"peer_backend_id\":\"%s\",\"peer_public_key\":\"",
                       f->token, f->peer_id);
    for (const char *p = pem; *p != '\0'; p++)
        len += snprintf(body + len, sizeof body - (size_t)len, "%s%c", *p == '\n' ? "\\" : "",
                        *p == '\n' ? 'n' : *p);
    snprintf(body + len, sizeof body - (size_t)len, "\"}");
    node_client_expect(node_client_ask(&f->c, "POST", "/register-peer", NULL, body), 200,
                       "registered");
    node_client_expect(revoke(f, "f-1", f->peer_id), 200, NULL);
    node_client_expect(node_client_ask(&f->c, "POST", "/register-peer", NULL, body), 401,
                       "token-revoked");
}

static void tokens_are_looked_up_again_when_the_body_is_there(void **state)
{
    struct fixture *f = *state;
    static const char body[] = "{\"message_id\":\"m1\",\"role\":\"user\",\"content\":\"x\"}";
    char head[5000];
    issue(f, "{\"user_id\":\"ann\"}");
    int len = snprintf(head, sizeof head,
                       "POST /conversations/c/messages HTTP/1.1\r\nHost: localhost\r\n"
                       "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n",
                       f->token, sizeof body - 1);
    node_client_connect(&f->c);
    assert_int_equal(len, node_client_send(&f->c, head, (size_t)len));
    pl_conn slow = f->c.conn;
    f->c.conn = 0;
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    pl_conn other = f->c.conn;
    f->c.conn = slow;
    assert_int_equal(sizeof body - 1, node_client_send(&f->c, body, sizeof body - 1));
    node_client_expect(node_client_take(&f->c, false), 401, "token-revoked");
    pl_node_closed(f->c.node, other, f->c.now);
}

static void tokens_are_not_revoked_when_that_cannot_be_stored(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\"}");
    set_full(f, true);
    node_client_expect(revoke(f, f->sbt_id, NULL), 507, "store-full");
    set_full(f, false);
    node_client_expect(use(f), 200, "[]");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    node_client_expect(use(f), 401, "token-revoked");
}

static void tokens_that_live_too_long_are_refused(void **state)
{
    struct fixture *f = *state;
    make_foreign(f, "f-1", 31 * 24 * 3600);
    node_client_expect(use(f), 200, "[]");
    make_foreign(f, "f-1", 31 * 24 * 3600 + 1);
    node_client_expect(use(f), 401, "token-too-long-lived");
}

static void tokens_do_not_pass_by_a_record_that_is_damaged(void **state)
{
    struct fixture *f = *state;
    char key[PL_TOKENS_KEY_BYTES_MAX];
    issue(f, "{\"user_id\":\"ann\"}");
    pl_batch_add_sys(f->c.node, pl_tokens_key(pl_span_text(us(f)), pl_span_text(f->sbt_id), key),
                     pl_span_text("?"));
    node_client_settle(&f->c);
    node_client_expect(use(f), 500, "corrupt");
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 500, "corrupt");
}

static void tokens_records_are_read_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    char key[PL_TOKENS_KEY_BYTES_MAX];
    uint8_t copy[PL_TOKENS_RECORD_BYTES_MAX + 1];
    struct pl_token_record record;
    struct parley_span value;
    bool found = false;
    parley_err err = PARLEY_OK;
    issue(f, "{\"user_id\":\"ann\"}");
    struct parley_read *read = pl_node_read(f->c.node, &err);
    assert_non_null(read);
    assert_ok(parley_read_sys(
        read, pl_tokens_key(pl_span_text(us(f)), pl_span_text(f->sbt_id), key), &value, &found));
    assert_true(found);
    size_t len = value.len;
    memcpy(copy, value.ptr, len);
    pl_node_read_done(f->c.node);
    assert_ok(pl_tokens_decode(pl_span_of(copy, len), &record));
    assert_string_equal("ann", record.token.user_id);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(PARLEY_ECORRUPT, pl_tokens_decode(pl_span_of(copy, cut), &record));
    copy[len] = 0;
    assert_int_equal(PARLEY_ECORRUPT, pl_tokens_decode(pl_span_of(copy, len + 1), &record));
    copy[1] = 2; /* a version of the future */
    assert_int_equal(PARLEY_ECORRUPT, pl_tokens_decode(pl_span_of(copy, len), &record));
}

static void tokens_revoked_twice_at_once_make_one_record(void **state)
{
    struct fixture *f = *state;
    char head[512];
    pl_conn conns[2];
    int len = snprintf(head, sizeof head,
                       "DELETE /tokens/x HTTP/1.1\r\nHost: localhost\r\n"
                       "Authorization: Bearer %s\r\n\r\n",
                       NODE_CLIENT_ADMIN);
    f->c.hold_commits = true;
    for (size_t i = 0; i < 2; i++) {
        f->c.conn = 0;
        node_client_connect(&f->c);
        conns[i] = f->c.conn;
        node_client_send(&f->c, head, (size_t)len);
    }
    node_client_commit(&f->c);
    node_client_expect(node_client_take(&f->c, false), 200, "revoked");
    f->c.conn = conns[0];
    node_client_settle(&f->c);
    node_client_expect(node_client_take(&f->c, false), 200, "revoked");
    assert_int_equal(1, f->c.node->tokens.count);
    pl_node_closed(f->c.node, conns[1], f->c.now);
}

/* ---- Pruning ---- */

static void tokens_are_forgotten_when_nobody_would_accept_them(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\",\"ttl_seconds\":60}");
    issue(f, "{\"user_id\":\"bob\",\"ttl_seconds\":60}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    issue(f, "{\"user_id\":\"eve\",\"ttl_seconds\":3600}");
    node_client_wait(&f->c, 110 * PARLEY_NS_PER_S);
    assert_int_equal(3, f->c.node->tokens.count);
    node_client_wait(&f->c, 15 * PARLEY_NS_PER_S);
    struct node_reply r = node_client_admin(&f->c, "GET", "/tokens", NULL);
    node_client_expect(r, 200, "eve");
    assert_null(strstr(r.body, "ann"));
    assert_null(strstr(r.body, "bob"));
    assert_int_equal(1, f->c.node->tokens.count);
    restart(f);
    assert_int_equal(1, f->c.node->tokens.count);
}

static void tokens_are_forgotten_a_few_at_a_time(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++)
        issue(f, "{\"user_id\":\"ann\",\"ttl_seconds\":60}");
    node_client_wait(&f->c, 125 * PARLEY_NS_PER_S);
    for (int i = 0; i < 30 && f->c.node->tokens.count != 0; i++)
        node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    assert_int_equal(0, f->c.node->tokens.count);
    node_client_expect(node_client_admin(&f->c, "GET", "/tokens", NULL), 200, "{\"tokens\":[]}");
}

static void tokens_revoked_unseen_are_remembered_as_long_as_they_can_live(void **state)
{
    struct fixture *f = *state;
    make_foreign(f, "f-1", 31 * 24 * 3600);
    node_client_expect(revoke(f, "f-1", f->peer_id), 200, NULL);
    for (int day = 0; day < 31; day++)
        node_client_wait(&f->c, DAY_NS);
    node_client_expect(use(f), 401, "token-revoked");
    node_client_wait(&f->c, 70 * PARLEY_NS_PER_S);
    node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    assert_int_equal(0, f->c.node->tokens.count);
    node_client_expect(use(f), 401, "token-expired");
}

/* ---- An older store ---- */

static void tokens_stay_revoked_when_an_older_store_is_put_back(void **state)
{
    struct fixture *f = *state;
    char known[PARLEY_TOKEN_BYTES_MAX + 1];
    char known_id[PL_TOKEN_FIELD_BYTES_MAX + 1];
    char later[PARLEY_TOKEN_BYTES_MAX + 1];
    issue(f, "{\"user_id\":\"ann\"}");
    memcpy(known, f->token, sizeof known);
    memcpy(known_id, f->sbt_id, sizeof known_id);
    env_mem_copy(&f->env, "a", "older");
    node_client_expect(revoke(f, known_id, NULL), 200, NULL);
    issue(f, "{\"user_id\":\"bob\"}"); /* the older store has not heard of this one */
    memcpy(later, f->token, sizeof later);
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    make_foreign(f, "of a peer, \n with a newline", 3600);
    node_client_expect(revoke(f, "of%20a%20peer,%20%0A%20with%20a%20newline", f->peer_id), 200,
                       NULL);
    node_client_restart(&f->c, "older", TEST_KEY_A_PKCS8);
    node_client_expect(use(f), 401, "token-revoked");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", known, NULL), 401,
                       "token-revoked");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", later, NULL), 401,
                       "token-revoked");
    assert_int_equal(3, f->c.node->tokens.count);
    struct node_reply r = node_client_admin(&f->c, "GET", "/tokens", NULL);
    node_client_expect(r, 200, "\"user_id\":\"ann\""); /* its record is as it was, but revoked */
    assert_null(strstr(r.body, "active"));
}

static void tokens_that_were_not_revoked_stay_good_in_an_older_store(void **state)
{
    struct fixture *f = *state;
    issue(f, "{\"user_id\":\"ann\"}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    env_mem_copy(&f->env, "a", "older");
    issue(f, "{\"user_id\":\"bob\"}");
    node_client_restart(&f->c, "older", TEST_KEY_A_PKCS8);
    node_client_expect(use(f), 200, NULL);
}

static size_t ledger_bytes(struct fixture *f)
{
    static uint8_t bytes[PARLEY_LEDGER_BYTES_MAX];
    size_t len = 0;
    assert_ok(parley_db_ledger(f->c.db, bytes, sizeof bytes, &len));
    return len;
}

static void tokens_leave_the_ledger_when_they_have_expired(void **state)
{
    struct fixture *f = *state;
    char path[128];
    issue(f, "{\"user_id\":\"ann\",\"ttl_seconds\":60}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 200, "revoked");
    issue(f, "{\"user_id\":\"eve\",\"ttl_seconds\":3600}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    size_t before = ledger_bytes(f);
    restart(f);
    assert_int_equal(before, ledger_bytes(f));
    node_client_wait(&f->c, 200 * PARLEY_NS_PER_S);
    restart(f);
    size_t after = ledger_bytes(f);
    assert_in_range(after, before / 2, before - 1);
    assert_int_equal(after, f->c.node->ledger_bytes);
    node_client_expect(use(f), 401, "token-revoked");
    const struct pl_peer *peer = pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id));
    assert_int_equal(PL_PEER_REVOKED, peer->state);
}

static void tokens_leave_room_in_the_ledger_for_peers(void **state)
{
    struct fixture *f = *state;
    char path[128];
    f->c.node->ledger_bytes = PARLEY_LEDGER_BYTES_MAX / 4 * 3 + 1;
    issue(f, "{\"user_id\":\"ann\"}");
    node_client_expect(revoke(f, f->sbt_id, NULL), 200, NULL);
    assert_int_equal(0, ledger_bytes(f));
    node_client_expect(use(f), 401, "token-revoked");
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 200, "revoked");
    assert_int_not_equal(0, ledger_bytes(f));
}

static void tokens_lines_of_the_ledger_that_say_nothing_are_passed_over(void **state)
{
    struct fixture *f = *state;
    static const char lines[] = "token\ntoken \ntoken ??? 1 99999999999999999\n"
                                "token YS9i 1\ntoken YS9i 0 9999999999999999\n"
                                "token YWI 1 9999999999999999\ntoken YS9i 1 2 3\n"
                                "token YS9i 99999999999999999999999 9999999999999999\n"
                                "revoked \nrevoked x\nrevoked x y\n\nfrom a later version\n";
    assert_ok(parley_db_ledger_replace(f->c.db, (const uint8_t *)lines, sizeof lines - 1));
    restart(f);
    assert_int_equal(0, f->c.node->tokens.count);
    assert_int_equal(sizeof lines - 1, ledger_bytes(f)); /* a later version may know them */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_issued_for_a_user_of_this_node),
        TEST(tokens_have_ids_and_sessions_of_their_own),
        TEST(tokens_can_bind_a_peer_and_then_act_as_it),
        TEST(tokens_are_for_active_peers_only),
        TEST(tokens_name_the_field_that_is_bad),
        TEST(tokens_fit_with_the_longest_names_that_need_escapes),
        TEST(tokens_are_the_operators_business),
        TEST(tokens_are_not_issued_when_they_cannot_be_stored),
        TEST(tokens_are_not_answered_before_they_are_stored),
        TEST(tokens_are_bounded_and_leave_room_for_revocations),
        TEST(tokens_are_listed_without_the_token),
        TEST(tokens_are_listed_in_pages),
        TEST(tokens_show_that_they_have_expired),
        TEST(tokens_that_were_revoked_are_refused_when_they_come_again),
        TEST(tokens_are_revoked_once_and_it_may_be_said_again),
        TEST(tokens_and_revocations_survive_a_restart),
        TEST(tokens_of_a_peer_can_be_revoked_before_they_were_seen),
        TEST(tokens_that_were_revoked_do_not_register_a_peer),
        TEST(tokens_are_looked_up_again_when_the_body_is_there),
        TEST(tokens_are_not_revoked_when_that_cannot_be_stored),
        TEST(tokens_that_live_too_long_are_refused),
        TEST(tokens_do_not_pass_by_a_record_that_is_damaged),
        TEST(tokens_records_are_read_whole_or_not_at_all),
        TEST(tokens_revoked_twice_at_once_make_one_record),
        TEST(tokens_are_forgotten_when_nobody_would_accept_them),
        TEST(tokens_are_forgotten_a_few_at_a_time),
        TEST(tokens_revoked_unseen_are_remembered_as_long_as_they_can_live),
        TEST(tokens_stay_revoked_when_an_older_store_is_put_back),
        TEST(tokens_that_were_not_revoked_stay_good_in_an_older_store),
        TEST(tokens_leave_the_ledger_when_they_have_expired),
        TEST(tokens_leave_room_in_the_ledger_for_peers),
        TEST(tokens_lines_of_the_ledger_that_say_nothing_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
