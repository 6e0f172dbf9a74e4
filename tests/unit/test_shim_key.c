/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /key, POST /key/rotate, and tokens across a rotation of ours or of a peer's key.
 */
#include "lib/keys.h"
#include "lib/more_keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"
#include "trust/token.h"

#define DAY_NS (24 * 3600 * PARLEY_NS_PER_S)

struct fixture {
    struct env_mem env;
    struct node_client c;
    struct pl_identity *peer;
    struct pl_identity *peer_next;
    char peer_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char token[PARLEY_TOKEN_BYTES_MAX + 1];
};

static void set_up(struct fixture *f)
{
    struct pl_peer *peer = NULL;
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS1, false);
    struct parley_env *env = &f->env.t.env;
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_B_PKCS1), &f->peer, NULL));
    assert_ok(pl_identity_import(env, pl_span_text(TEST_NEXT_KEY_6), &f->peer_next, NULL));
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(f->peer), f->peer_id);
    assert_ok(pl_peers_add(&f->c.node->peers, env, pl_span_text(f->peer_id), &peer));
    peer->key = *pl_identity_pubkey(f->peer);
    peer->state = PL_PEER_ACTIVE;
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), true));
}

static void tear_down(struct fixture *f)
{
    node_client_close(&f->c);
    pl_identity_destroy(f->peer);
    pl_identity_destroy(f->peer_next);
    env_mem_deinit(&f->env);
}

/* By `signer` in the name of `issuer`, for this node, good for a year. */
static const char *make_token(struct fixture *f, const struct pl_identity *signer,
                              const char *issuer)
{
    struct pl_token token = { .sbt_id = "sbt-1", .user_id = "u", .session_id = "s" };
    size_t len = 0;
    pl_text_copy(token.issuer, sizeof token.issuer, issuer);
    pl_text_copy(token.local_backend_id, sizeof token.local_backend_id, issuer);
    pl_text_copy(token.hosted_backend_id, sizeof token.hosted_backend_id,
                 pl_node_backend_id(f->c.node));
    token.created_at = f->c.now.wall;
    token.expires_at = token.created_at + 30 * 24 * 3600 * PARLEY_US_PER_S;
    assert_ok(pl_token_issue(signer, &token, f->token, &len));
    f->token[len] = '\0';
    return f->token;
}

static void expect_conversations(struct fixture *f, unsigned status, const char *part)
{
    node_client_connect(&f->c);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", f->token, NULL), status,
                       part);
}

static void rotate(struct fixture *f, const char *key)
{
    node_client_connect(&f->c);
    node_client_expect(node_client_admin(&f->c, "POST", "/key/rotate", "{\"bits\":2048}"), 202,
                       "\"status\":\"rotating\"");
    assert_int_equal(2048, f->c.new_key_bits);
    node_client_key(&f->c, key);
    node_client_expect(node_client_admin(&f->c, "GET", "/key", NULL), 200, "\"phase\":\"done\"");
}

static void the_key_is_shown_with_its_rotations(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    node_client_expect(node_client_admin(&f.c, "GET", "/key", NULL), 200,
                       "\"fingerprint\":\"" TEST_KEY_A_FINGERPRINT "\",\"bits\":2048");
    node_client_expect(node_client_admin(&f.c, "GET", "/key", NULL), 200,
                       "\"rotations\":[],\"rotations_left\":16,\"phase\":\"none\"");
    rotate(&f, TEST_NEXT_KEY_1);
    node_client_expect(node_client_admin(&f.c, "GET", "/key", NULL), 200,
                       "\"from\":\"" TEST_KEY_A_FINGERPRINT "\"");
    node_client_expect(node_client_admin(&f.c, "GET", "/key", NULL), 200, "\"rotations_left\":15");
    tear_down(&f);
}

static void only_the_operator_sees_and_rotates_the_key(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    make_token(&f, f.peer, f.peer_id);
    node_client_expect(node_client_ask(&f.c, "GET", "/key", NULL, NULL), 401, "token-missing");
    node_client_expect(node_client_ask(&f.c, "GET", "/key", f.token, NULL), 403, "operator-only");
    node_client_expect(node_client_ask(&f.c, "POST", "/key/rotate", f.token, "{}"), 403,
                       "operator-only");
    assert_int_equal(0, f.c.new_key_bits);
    tear_down(&f);
}

static void a_rotation_is_refused_with_its_reason(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    node_client_expect(node_client_admin(&f.c, "POST", "/key/rotate", "{\"bits\":1024}"), 400,
                       "bad-bits");
    node_client_expect(node_client_admin(&f.c, "POST", "/key/rotate", "{\"bits\":\"x\"}"), 400,
                       "bad-bits");
    node_client_expect(node_client_admin(&f.c, "POST", "/key/rotate", NULL), 202, "rotating");
    node_client_expect(node_client_admin(&f.c, "POST", "/key/rotate", NULL), 409,
                       "rotation-under-way");
    pl_node_key_made(f.c.node, NULL, pl_span_of(NULL, 0), PARLEY_ESEALED, f.c.now);
    node_client_expect(node_client_admin(&f.c, "GET", "/key", NULL), 200,
                       "\"phase\":\"failed\",\"error\":\"this node does not know the secret");
    f.c.node->chain.count = PL_ROTATIONS_MAX;
    node_client_expect(node_client_admin(&f.c, "POST", "/key/rotate", NULL), 409,
                       "too-many-rotations");
    f.c.node->chain.count = 0;
    tear_down(&f);
}

static void own_tokens_outlive_a_rotation_by_seven_days(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    make_token(&f, f.c.node->identity, pl_node_backend_id(f.c.node));
    expect_conversations(&f, 200, NULL);
    rotate(&f, TEST_NEXT_KEY_1);
    expect_conversations(&f, 200, NULL);
    node_client_wait(&f.c, 3 * DAY_NS);
    rotate(&f, TEST_NEXT_KEY_2); /* both old keys count now */
    expect_conversations(&f, 200, NULL);
    node_client_wait(&f.c, 5 * DAY_NS);
    expect_conversations(&f, 401, "token-signature");
    make_token(&f, f.c.node->identity, pl_node_backend_id(f.c.node));
    rotate(&f, TEST_NEXT_KEY_3);
    node_client_wait(&f.c, 8 * DAY_NS);
    expect_conversations(&f, 401, "token-rotated");
    make_token(&f, f.c.node->identity, pl_node_backend_id(f.c.node));
    expect_conversations(&f, 200, NULL);
    tear_down(&f);
}

static void tokens_of_a_peer_outlive_its_rotation_by_seven_days(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    struct pl_peer *peer = f.c.node->peers.table[0];
    peer->previous = peer->key;
    peer->has_previous = true;
    peer->rotated_at = f.c.now.wall;
    peer->key = *pl_identity_pubkey(f.peer_next);
    make_token(&f, f.peer_next, f.peer_id);
    expect_conversations(&f, 200, NULL);
    make_token(&f, f.c.node->identity, f.peer_id); /* neither of its keys */
    expect_conversations(&f, 401, "token-signature");
    make_token(&f, f.peer, f.peer_id);
    expect_conversations(&f, 200, NULL);
    node_client_wait(&f.c, 8 * DAY_NS);
    expect_conversations(&f, 401, "token-rotated");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_shown_with_its_rotations),
        cmocka_unit_test(only_the_operator_sees_and_rotates_the_key),
        cmocka_unit_test(a_rotation_is_refused_with_its_reason),
        cmocka_unit_test(own_tokens_outlive_a_rotation_by_seven_days),
        cmocka_unit_test(tokens_of_a_peer_outlive_its_rotation_by_seven_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
