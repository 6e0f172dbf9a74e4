/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotency-Key: one message a key, after a restart, an edit and a deletion too.
 */
#include "lib/auth_fixture.h"

#define MESSAGES "/conversations/c/messages"
#define HI       "{\"role\":\"user\",\"content\":\"hi\"}"
#define HO       "{\"role\":\"user\",\"content\":\"ho\"}"

static struct node_reply post(struct node_client *c, const char *target, const char *token,
                              const char *key, const char *body)
{
    char text[16384];
    int len = snprintf(text, sizeof text,
                       "POST %s HTTP/1.1\r\nHost: localhost:8825\r\nAuthorization: Bearer "
                       "%s\r\nIdempotency-Key:%s\r\nContent-Length: %zu\r\n\r\n%s",
                       target, token, key, strlen(body), body);
    assert_in_range(len, 1, (int)sizeof text - 1);
    if (c->conn == 0)
        node_client_connect(c);
    node_client_send(c, text, (size_t)len);
    return node_client_take(c, false);
}

static struct node_reply say(struct node_client *c, const char *key, const char *body)
{
    return post(c, MESSAGES, NODE_CLIENT_ADMIN, key, body);
}

/* The id of a message that was made. */
static const char *id_of(struct node_reply r, char out[33])
{
    if (r.status != 201 && r.status != 200)
        fail_msg("no message: %u %s", r.status, r.body);
    memcpy(out, r.body + strlen("{\"message_id\":\""), 32);
    out[32] = '\0';
    return out;
}

static void key_makes_one_message(void **state)
{
    struct fixture *f = *state;
    char first[33], again[33], other[33];
    node_client_expect(say(&f->c, "k1", HI), 201, NULL);
    id_of(say(&f->c, "k1", HI), first);
    assert_string_not_equal(first, id_of(say(&f->c, "k2", HI), other));
    node_client_restart(&f->c, "a", TEST_KEY_A_PKCS8);
    struct node_reply r = say(&f->c, "k1", HI);
    node_client_expect(r, 200, NULL);
    assert_string_equal(first, id_of(r, again));
}

static void key_makes_the_same_id_on_every_node(void **state)
{
    struct fixture *f = *state;
    struct node_client other;
    char here[33], there[33];
    node_client_open(&other, &f->env, "b", TEST_KEY_B_PKCS1, false);
    assert_string_equal(id_of(say(&f->c, "k", HI), here), id_of(say(&other, "k", HI), there));
    node_client_close(&other);
}

static void key_belongs_to_who_asks_and_to_the_conversation(void **state)
{
    struct fixture *f = *state;
    char operators[33], peers[33], next[33], elsewhere[33];
    register_peer(f);
    approve(f, "{}");
    id_of(say(&f->c, "k", HI), operators);
    id_of(post(&f->c, MESSAGES, peer_token(f), "k", HI), peers);
    assert_string_not_equal(operators, peers);
    /* Another token of the same peer. */
    char token[PARLEY_TOKEN_BYTES_MAX];
    snprintf(token, sizeof token, "%s", peer_token(f));
    node_client_wait(&f->c, 3600 * PARLEY_NS_PER_S);
    const char *later = make_token(f, f->peer, f->peer_id, us(f), 0);
    assert_string_not_equal(token, later);
    assert_string_equal(peers, id_of(post(&f->c, MESSAGES, later, "k", HI), next));
    id_of(post(&f->c, "/conversations/d/messages", NODE_CLIENT_ADMIN, "k", HI), elsewhere);
    assert_string_not_equal(operators, elsewhere);
    id_of(post(&f->c, MESSAGES "?namespace=n", NODE_CLIENT_ADMIN, "k", HI), elsewhere);
    assert_string_not_equal(operators, elsewhere);
}

static void key_with_another_content_is_refused(void **state)
{
    struct fixture *f = *state;
    node_client_expect(say(&f->c, "k", HI), 201, NULL);
    node_client_expect(say(&f->c, "k", HO), 422, "\"code\":\"idempotency-mismatch\"");
    node_client_expect(say(&f->c, "k", "{\"role\":\"x\",\"content\":\"hi\"}"), 422, NULL);
    node_client_expect(node_client_admin(&f->c, "GET", MESSAGES, NULL), 200, "\"hi\"");
}

/* The second request comes before the first one is stored. */
static void key_counts_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    node_client_settle(c);
    uint64_t changes = c->changes;
    c->hold_commits = true;
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "POST " MESSAGES " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                       "%s\r\nIdempotency-Key: k\r\nContent-Length: %zu\r\n\r\n%s",
                       NODE_CLIENT_ADMIN, strlen(HI), HI);
    node_client_connect(c);
    node_client_send(c, text, (size_t)len);
    pl_conn first = c->conn;
    c->conn = 0;
    node_client_connect(c);
    node_client_send(c, text, (size_t)len);
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 200, NULL);
    pl_node_closed(c->node, first, c->now);
    assert_int_equal(changes + 1, c->changes);
}

static void key_stands_for_what_was_edited_or_deleted(void **state)
{
    struct fixture *f = *state;
    char path[128];
    char id[33];
    snprintf(path, sizeof path, MESSAGES "/%s", id_of(say(&f->c, "k", HI), id));
    node_client_expect(node_client_admin(&f->c, "PATCH", path, "{\"content\":\"edited\"}"), 200,
                       NULL);
    node_client_expect(say(&f->c, "k", HI), 200, id);
    node_client_expect(say(&f->c, "k", HO), 422, NULL);
    node_client_expect(node_client_admin(&f->c, "GET", path, NULL), 200, "edited");
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 200, NULL);
    node_client_expect(say(&f->c, "k", HI), 410, "\"code\":\"message-deleted\"");
    node_client_expect(node_client_admin(&f->c, "GET", path, NULL), 404, NULL);
    node_client_expect(say(&f->c, "other", HI), 201, NULL);
    node_client_expect(node_client_admin(&f->c, "DELETE", "/conversations/c", NULL), 200, NULL);
    node_client_expect(say(&f->c, "other", HI), 410, NULL);
}

static void key_agrees_with_the_message_id_or_is_refused(void **state)
{
    struct fixture *f = *state;
    char id[33], body[256];
    id_of(say(&f->c, "k", HI), id);
    snprintf(body, sizeof body, "{\"role\":\"user\",\"content\":\"hi\",\"message_id\":\"%s\"}", id);
    node_client_expect(say(&f->c, "k", body), 200, id);
    node_client_expect(
        say(&f->c, "k", "{\"role\":\"user\",\"content\":\"hi\",\"message_id\":\"m\"}"), 400,
        "\"code\":\"bad-idempotency-key\"");
}

static void key_has_1_to_255_bytes(void **state)
{
    struct fixture *f = *state;
    char key[300];
    memset(key, 'k', sizeof key);
    key[256] = '\0';
    node_client_expect(say(&f->c, key, HI), 400, "1 to 255 bytes");
    key[255] = '\0';
    node_client_expect(say(&f->c, key, HI), 201, NULL);
    node_client_expect(say(&f->c, "", HI), 400, "1 to 255 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_makes_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_makes_the_same_id_on_every_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_belongs_to_who_asks_and_to_the_conversation, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(key_with_another_content_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_counts_what_is_on_its_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_stands_for_what_was_edited_or_deleted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(key_agrees_with_the_message_id_or_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(key_has_1_to_255_bytes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
