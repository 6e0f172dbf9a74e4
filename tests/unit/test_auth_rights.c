/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what over HTTP: what tokens look like, whom they stand for, and what is left of a
 * right when the body is there.
 */
#include "lib/auth_fixture.h"

#include "node/shim.h"

/* ---- What is shown ---- */

static unsigned ask_with(struct fixture *f, const char *lines, const char *code)
{
    char text[512];
    node_client_connect(&f->c);
    int len = snprintf(text, sizeof text, "GET /status HTTP/1.1\r\n%s\r\n", lines);
    node_client_send(&f->c, text, (size_t)len);
    struct node_reply r = node_client_take(&f->c, false);
    if (code != NULL && strstr(r.body, code) == NULL)
        fail_msg("%s: %s is not in %s", lines, code, r.body);
    return r.status;
}

static void auth_takes_a_bearer_token_and_nothing_like_it(void **state)
{
    struct fixture *f = *state;
    static const char host[] = "Host: localhost\r\nAuthorization: ";
    static const char *const malformed[] = { "Bearer",
                                             "Basic YTpiOmNkZWY=", ("Bearer_" NODE_CLIENT_ADMIN),
                                             "bearer", NODE_CLIENT_ADMIN };
    char lines[256];
    for (size_t i = 0; i < PL_ARRAY_LEN(malformed); i++) {
        snprintf(lines, sizeof lines, "%s%s\r\n", host, malformed[i]);
        assert_int_equal(401, ask_with(f, lines, "token-malformed"));
    }
    snprintf(lines, sizeof lines, "%sbEaReR %s\r\n", host, NODE_CLIENT_ADMIN);
    assert_int_equal(200, ask_with(f, lines, NULL));
}

/* The operator's token is 64 hex digits; what is not is no wrong one of his. */
static void auth_tells_the_operators_token_by_its_form(void **state)
{
    struct fixture *f = *state;
    static const char others[] = "/:@G`g%";
    for (const char *c = others; *c != '\0'; c++) {
        char token[65];
        memset(token, 'a', 64);
        token[64] = '\0';
        token[31] = *c;
        node_client_expect(node_client_ask(&f->c, "GET", "/status", token, NULL), 401,
                           "token-malformed");
    }
    char token[65];
    memset(token, 'A', 64);
    token[64] = '\0';
    node_client_expect(node_client_ask(&f->c, "GET", "/status", token, NULL), 401, "token-admin");
    token[63] = '\0';
    node_client_expect(node_client_ask(&f->c, "GET", "/status", token, NULL), 401,
                       "token-malformed");
}

static void auth_takes_hosts_that_are_addresses_of_any_form(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *host;
        unsigned status;
    } rows[] = { { "2130706433", 401 },        { "[::ffff:10.1.2.3]", 401 },
                 { "[fe80::ABCD]:8825", 401 }, { "10.1.2.3", 401 },
                 { "10-1-2-3", 403 },          { "localhost:", 400 },
                 { "localhost1", 403 },        { "a:1", 403 } };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        char lines[128];
        snprintf(lines, sizeof lines, "Host: %s\r\n", rows[i].host);
        if (ask_with(f, lines, NULL) != rows[i].status)
            fail_msg("%s", rows[i].host);
    }
    assert_int_equal(403, ask_with(f, "Host: localhost\r\nOrigin: http://\r\n", "foreign-origin"));
    assert_int_equal(
        403, ask_with(f, "Host: localhost\r\nOrigin: ftp://localhost\r\n", "foreign-origin"));
    assert_int_equal(
        401, ask_with(f, "Host: localhost\r\nOrigin: https://127.0.0.1\r\n", "token-missing"));
}

static void auth_takes_a_token_in_the_query_where_events_are_read(void **state)
{
    struct fixture *f = *state;
    char target[PARLEY_TOKEN_BYTES_MAX + 64];
    node_client_expect(node_client_ask(&f->c, "GET", "/changes?access_token=%zz", NULL, NULL), 400,
                       NULL);
    node_client_expect(node_client_ask(&f->c, "GET", "/changes?access_token=a.b.c", NULL, NULL),
                       401, "token-malformed");
    snprintf(target, sizeof target, "/status?access_token=%s", NODE_CLIENT_ADMIN);
    node_client_expect(node_client_ask(&f->c, "GET", target, NULL, NULL), 401, "token-missing");
}

/* ---- Whom it stands for ---- */

static void auth_refuses_an_own_token_for_a_peer_that_is_not_registered(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->c.node->identity, us(f), f->peer_id, 0);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", token, NULL), 403,
                       "not-registered");
}

/* It stands for the other one of the two, on whichever side that is. */
static void auth_takes_an_own_token_for_the_other_side_of_it(void **state)
{
    struct fixture *f = *state;
    size_t len = 0;
    struct pl_token token = { .sbt_id = "sbt-1", .user_id = "u", .session_id = "s" };
    register_peer(f);
    approve(f, "{\"namespace\":\"team\",\"right\":\"read\"}");
    copy_id(token.issuer, us(f));
    copy_id(token.local_backend_id, f->peer_id);
    copy_id(token.hosted_backend_id, us(f));
    token.created_at = f->c.now.wall;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    assert_ok(pl_token_issue(f->c.node->identity, &token, f->token, &len));
    f->token[len] = '\0';
    node_client_expect(
        node_client_ask(&f->c, "GET", "/conversations?namespace=team", f->token, NULL), 200, NULL);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", f->token, NULL), 403,
                       "not-granted");
}

/* With --compat-legacy a peer that registered without proof may bring a token all the same. */
static void auth_legacy_takes_a_signed_token_of_an_old_client(void **state)
{
    struct fixture *f = *state;
    char sbt[1024];
    snprintf(sbt, sizeof sbt,
             "{\"sbt_id\":\"old-1\",\"user_id\":\"u\",\"session_id\":\"s\",\"local_backend_id\":"
             "\"old-client\",\"hosted_backend_id\":\"%s\",\"created_at\":\"2024-01-01T00:00:00\","
             "\"expires_at\":\"2024-01-01T08:00:00\",\"signature\":\"c2VjcmV0\"}",
             us(f));
    node_client_expect(node_client_ask(&f->c, "POST", "/register-peer", NULL,
                                       registration(f, "old-client", f->pem, sbt)),
                       200, "registered");
    const char *token = make_token(f, f->peer, "old-client", us(f), 0);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/none", token, NULL), 404,
                       NULL);
    token = make_token(f, f->other, "old-client", us(f), 0);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations/none", token, NULL), 401,
                       "token-signature");
}

/* ---- What is left of it ---- */

static struct pl_peer *peer_of(struct fixture *f)
{
    return pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id));
}

/* As a request that has shown its token, and whose body came meanwhile. */
static bool may_write(struct fixture *f, enum pl_shim_role role, uint32_t peer, parley_wall expires)
{
    static const struct pl_route route = { .pattern = "/conversations/*/messages",
                                           .access = PL_SHIM_WRITE };
    struct pl_request request;
    pl_shim_init(f->c.node, &request);
    request.route = &route;
    memcpy(request.name_space, "main", 4);
    request.name_space_len = 4;
    request.role = role;
    request.peer_number = peer;
    request.token_expires = expires;
    request.token_key_len =
        pl_tokens_key(pl_span_text(f->peer_id), pl_span_text("sbt-1"), request.token_key).len;
    bool may = pl_shim_still_may(f->c.node, &request);
    pl_node_read_done(f->c.node);
    pl_shim_end(f->c.node, &request);
    return may;
}

static void auth_looks_at_everything_again_when_the_body_is_there(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    parley_wall now = f->c.node->now.wall;
    uint32_t number = peer_of(f)->number;
    assert_true(may_write(f, PL_SHIM_PEER, number, now));
    assert_true(may_write(f, PL_SHIM_PEER, number, now - PL_TOKEN_LEEWAY_US));
    assert_false(may_write(f, PL_SHIM_PEER, number, now - PL_TOKEN_LEEWAY_US - 1));
    assert_true(may_write(f, PL_SHIM_SESSION, 0, now));
    assert_false(may_write(f, PL_SHIM_SESSION, 0, now - PL_TOKEN_LEEWAY_US - 1));
    assert_true(may_write(f, PL_SHIM_ADMIN, 0, 0));
    assert_false(may_write(f, PL_SHIM_NOBODY, 0, now));
    assert_false(may_write(f, PL_SHIM_PEER, number + 1, now)); /* forgotten meanwhile */
    peer_of(f)->state = PL_PEER_REVOKED;
    assert_false(may_write(f, PL_SHIM_PEER, number, now));
    peer_of(f)->state = PL_PEER_ACTIVE;
}

static void auth_gives_nobody_and_inactive_peers_no_right(void **state)
{
    struct fixture *f = *state;
    struct pl_request request;
    struct parley_span name = pl_span_text("main");
    register_peer(f);
    approve(f, "{\"namespace\":\"main\",\"right\":\"write\"}");
    pl_shim_init(f->c.node, &request);
    assert_false(pl_shim_may(f->c.node, &request, name, false));
    request.role = PL_SHIM_PEER;
    request.peer_number = peer_of(f)->number;
    assert_true(pl_shim_may(f->c.node, &request, name, true));
    assert_false(pl_shim_may(f->c.node, &request, pl_span_text("other"), false));
    peer_of(f)->state = PL_PEER_PENDING;
    assert_false(pl_shim_may(f->c.node, &request, name, false));
    request.peer_number = 4711;
    assert_false(pl_shim_may(f->c.node, &request, name, false));
    request.role = PL_SHIM_SESSION;
    assert_true(pl_shim_may(f->c.node, &request, name, true));
    assert_false(pl_shim_may(f->c.node, &request, pl_span_text("other"), false));
    pl_shim_end(f->c.node, &request);
}

/* ---- Commits ---- */

#define MESSAGE "{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"x\"}"

static void post(struct fixture *f, const char *conversation)
{
    char text[512];
    int len = snprintf(text, sizeof text,
                       "POST /conversations/%s/messages HTTP/1.1\r\nHost: localhost\r\n"
                       "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       conversation, NODE_CLIENT_ADMIN, sizeof MESSAGE - 1, MESSAGE);
    assert_int_equal(len, node_client_send(&f->c, text, (size_t)len));
    node_client_settle(&f->c);
}

/* One request is in the batch that is being committed, the other in the one behind it. */
static void auth_answers_a_request_with_the_outcome_of_its_own_batch(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    node_client_connect(c);
    c->hold_commits = true;
    post(f, "one");
    assert_true(c->has_held);
    pl_conn first = c->conn;
    c->conn = 0;
    struct pl_remote from = { .local = true };
    c->conn = pl_node_accepted(c->node, &from, c->now);
    post(f, "two");
    assert_int_equal(0, c->got_len);
    /* The first batch fails: that says nothing of the second one. */
    c->has_held = false;
    pl_node_committed(c->node, PARLEY_ENOSPC, false, false, c->now);
    node_client_settle(c);
    assert_int_equal(0, c->got_len);
    assert_true(c->has_held);
    c->hold_commits = false;
    node_client_commit(c);
    node_client_settle(c);
    node_client_expect(node_client_take(c, false), 201, NULL);
    pl_node_closed(c->node, first, c->now);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define LEGACY(name) cmocka_unit_test_setup_teardown(name, set_up_legacy, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(auth_takes_a_bearer_token_and_nothing_like_it),
        TEST(auth_tells_the_operators_token_by_its_form),
        TEST(auth_takes_hosts_that_are_addresses_of_any_form),
        TEST(auth_takes_a_token_in_the_query_where_events_are_read),
        TEST(auth_refuses_an_own_token_for_a_peer_that_is_not_registered),
        TEST(auth_takes_an_own_token_for_the_other_side_of_it),
        LEGACY(auth_legacy_takes_a_signed_token_of_an_old_client),
        TEST(auth_looks_at_everything_again_when_the_body_is_there),
        TEST(auth_gives_nobody_and_inactive_peers_no_right),
        TEST(auth_answers_a_request_with_the_outcome_of_its_own_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
