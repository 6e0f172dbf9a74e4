/* SPDX-License-Identifier: Apache-2.0
 *
 * Registrations over HTTP: which id a key may have, and how many wait for how long.
 */
#include "lib/auth_fixture.h"

static struct node_reply revoke(struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    return node_client_admin(&f->c, "DELETE", path, NULL);
}

static void restart(struct fixture *f)
{
    struct parley_now now = f->c.now;
    node_client_close(&f->c);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    f->c.now = now;
    node_client_connect(&f->c);
}

/* The ending alone once counted, so that one key could fill the table with ids of its own. */
static void registration_gives_a_key_one_id(void **state)
{
    struct fixture *f = *state;
    const char *digits = f->peer_id + strlen("local_sha256_");
    static const char *const prefixes[] = { "other_sha256_", "xlocal_sha256_", "_sha256_",
                                            "local_sha256_local_sha256_" };
    char id[128];
    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes); i++) {
        snprintf(id, sizeof id, "%s%s", prefixes[i], digits);
        node_client_expect(
            send_registration(f, id, f->pem, make_token(f, f->peer, id, us(f), 0)), 400,
            strlen(id) > PARLEY_BACKEND_ID_BYTES_MAX ? "too-long" : "bad-backend-id");
    }
    register_peer(f);
    snprintf(id, sizeof id, "hosted_sha256_%s", digits);
    node_client_expect(send_registration(f, id, f->pem, make_token(f, f->peer, id, us(f), 0)), 409,
                       "registered with another id");
    approve(f, "{}");
    node_client_expect(revoke(f), 200, "revoked");
    node_client_expect(send_registration(f, id, f->pem, make_token(f, f->peer, id, us(f), 0)), 403,
                       "was revoked here");
    assert_int_equal(1, f->c.node->peers.count);
}

/* An id names the first key of an identity; what it was rotated to is registered under it. */
static void registration_knows_a_peer_by_its_rotated_key(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    struct pl_peer *peer = f->c.node->peers.table[0];
    peer->previous = peer->key;
    peer->has_previous = true;
    peer->key = *pl_identity_pubkey(f->other);
    const char *token = make_token(f, f->other, f->peer_id, us(f), 0);
    node_client_expect(send_registration(f, f->peer_id, f->other_pem, token), 200, "pending");
    /* The key before is not another peer's. */
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(f->peer), id);
    token = make_token(f, f->peer, id, us(f), 0);
    node_client_expect(send_registration(f, id, f->pem, token), 409, "another id");
}

static void registration_bounds_pending_registrations(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < PL_PENDING_MAX; i++) {
        char id[64];
        struct pl_peer *peer = NULL;
        snprintf(id, sizeof id, "peer-%d", i);
        assert_ok(pl_peers_add(&f->c.node->peers, &f->env.t.env, pl_span_text(id), &peer));
        peer->state = PL_PEER_PENDING;
        peer->registered_at = f->c.now.wall;
    }
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 429,
                       "too-many-pending");
}

static void registration_forgets_what_waited_for_a_week(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    f->c.now.wall += PL_PENDING_US_MAX - PARLEY_US_PER_S;
    node_client_wait(&f->c, 0);
    assert_int_equal(1, f->c.node->peers.count);
    f->c.now.wall += PARLEY_US_PER_S;
    f->c.hold_commits = true;
    node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    assert_int_equal(1, f->c.node->peers.count); /* until that is durable */
    node_client_commit(&f->c);
    assert_int_equal(0, f->c.node->peers.count);
    restart(f);
    assert_int_equal(0, f->c.node->peers.count);
    register_peer(f);
    approve(f, "{}");
    f->c.now.wall += PL_PENDING_US_MAX;
    node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    assert_int_equal(1, f->c.node->peers.count);
}

static void registration_forgets_a_pending_peer_that_is_revoked(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    node_client_expect(revoke(f), 200, "\"status\":\"forgotten\"");
    node_client_expect(revoke(f), 404, "no-such-peer");
    restart(f);
    assert_int_equal(0, f->c.node->peers.count);
    register_peer(f);
}

static void registration_keeps_a_pending_peer_that_cannot_be_forgotten(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = { .fail_put_after = -1, .fail_commit_after = 0 };
    register_peer(f);
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    assert_true(revoke(f).status >= 500);
    node_client_expect(revoke(f), 200, "forgotten");
}

/* Both in one commit: the last word counts. */
static void registration_keeps_a_pending_peer_that_registers_while_it_is_forgotten(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    f->c.hold_commits = true;
    f->c.now.wall += PL_PENDING_US_MAX;
    node_client_wait(&f->c, 6 * PARLEY_NS_PER_S);
    char sbt[PARLEY_TOKEN_BYTES_MAX + 3];
    snprintf(sbt, sizeof sbt, "\"%s\"", peer_token(f));
    const char *body = registration(f, f->peer_id, f->pem, sbt);
    char head[256];
    int len = snprintf(head, sizeof head,
                       "POST /register-peer HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       strlen(body));
    node_client_connect(&f->c);
    node_client_send(&f->c, head, (size_t)len);
    node_client_send(&f->c, body, strlen(body));
    node_client_settle(&f->c);
    node_client_commit(&f->c);
    node_client_expect(node_client_take(&f->c, false), 200, "pending");
    assert_int_equal(1, f->c.node->peers.count);
    restart(f);
    assert_int_equal(1, f->c.node->peers.count);
}

static struct node_reply register_object(struct fixture *f, const char *id)
{
    char sbt[512];
    snprintf(sbt, sizeof sbt,
             "{\"sbt_id\":\"old-1\",\"local_backend_id\":\"%s\",\"signature\":\"x\"}", us(f));
    return node_client_ask(&f->c, "POST", "/register-peer", NULL, registration(f, id, f->pem, sbt));
}

/* The mode is for the old object; who can sign is held to the rule. */
static void registration_in_legacy_mode_is_free_for_the_old_object_alone(void **state)
{
    struct fixture *f = *state;
    const char *token = make_token(f, f->peer, "old-client", us(f), 0);
    node_client_expect(send_registration(f, "old-client", f->pem, token), 400, "bad-backend-id");
    node_client_expect(register_object(f, "old client"), 400, "bad-backend-id");
    node_client_expect(register_object(f, "old-client"), 200, "\"status\":\"registered\"");
    register_peer(f); /* what proves nothing keeps nobody's key */
}

static void registration_by_the_old_object_changes_nothing_of_a_proven_peer(void **state)
{
    struct fixture *f = *state;
    register_peer(f);
    node_client_expect(register_object(f, f->peer_id), 200, "\"status\":\"pending\"");
    struct node_reply r = node_client_admin(&f->c, "GET", "/peers", NULL);
    node_client_expect(r, 200, "\"sbt_id\":\"sbt-1\"");
    assert_false(f->c.node->peers.table[0]->legacy);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define LEGACY(name) cmocka_unit_test_setup_teardown(name, set_up_legacy, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registration_bounds_pending_registrations),
        TEST(registration_gives_a_key_one_id),
        TEST(registration_knows_a_peer_by_its_rotated_key),
        TEST(registration_forgets_what_waited_for_a_week),
        TEST(registration_forgets_a_pending_peer_that_is_revoked),
        TEST(registration_keeps_a_pending_peer_that_cannot_be_forgotten),
        TEST(registration_keeps_a_pending_peer_that_registers_while_it_is_forgotten),
        LEGACY(registration_in_legacy_mode_is_free_for_the_old_object_alone),
        LEGACY(registration_by_the_old_object_changes_nothing_of_a_proven_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
