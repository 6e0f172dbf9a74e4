/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes as a program that embeds them has them: through parley/node.h alone, connected by a link.
 * What nodes do is tested elsewhere; this is about what stands between.
 */
#include "lib/db_util.h"
#include "lib/env_mem.h"
#include "lib/keys.h"

#include "node/identity_record.h"
#include "trust/seal.h"
#include <parley/node.h>
#include <parley/parley.h>

#include <stdio.h>
#include <stdlib.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define WALL   (INT64_C(1700000000) * PARLEY_US_PER_S)

struct world {
    struct env_mem env;
    struct parley_now now;
    struct parley_db *db[2];
    struct parley_link link;
};

static const char *const names[2] = { "a", "b" };

static parley_err open_with(struct world *w, int side, const struct parley_node_options *options,
                            struct parley_diag *diag)
{
    return parley_node_open(&w->env.t.env, options, w->db[side], w->now, &w->link.nodes[side],
                            diag);
}

static void open_side(struct world *w, int side)
{
    struct parley_node_options options = { .secret = parley_text(SECRET) };
    struct parley_diag diag = { "" };
    w->db[side] = db_util_open(&w->env.t.env, names[side]);
    parley_err err = open_with(w, side, &options, &diag);
    if (err != PARLEY_OK)
        fail_msg("%s", diag.text);
}

static void close_side(struct world *w, int side)
{
    parley_node_close(w->link.nodes[side]);
    w->link.nodes[side] = NULL;
    parley_db_close(w->db[side]);
}

/* An identity as parleyd leaves it in a store; making one would take longer than all the rest. */
static void put_identity(struct world *w, const char *name, const char *pem)
{
    const struct parley_env *env = &w->env.t.env;
    struct pl_seal_secret secret = { .kind = PL_SEAL_RAW, .bytes = parley_text(SECRET) };
    struct pl_identity_record record = { .info = { .created_at = WALL } };
    struct pl_identity *identity = NULL;
    struct parley_db *db = db_util_open(env, name);
    assert_ok(pl_identity_import(env, parley_text(pem), &identity, NULL));
    record.info.pubkey = *pl_identity_pubkey(identity);
    pl_key_chain_init(&record.chain, &record.info.pubkey);
    pl_backend_id_make(PL_BACKEND_LOCAL, &record.info.pubkey, record.info.backend_id);
    assert_ok(pl_identity_seal(identity, env, &secret, record.sealed, sizeof record.sealed,
                               &record.sealed_len));
    assert_ok(pl_identity_record_write(db, &record, WALL));
    pl_identity_destroy(identity);
    parley_db_close(db);
}

static int setup(void **state)
{
    static struct world w;
    w = (struct world){ .now = { .mono = 1, .wall = WALL } };
    env_mem_init(&w.env);
    put_identity(&w, names[0], TEST_KEY_A_PKCS8);
    put_identity(&w, names[1], TEST_KEY_B_PKCS1);
    open_side(&w, 0);
    open_side(&w, 1);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close_side(w, 0);
    close_side(w, 1);
    env_mem_deinit(&w->env);
    return 0;
}

/* ---- Helpers ---- */

static void settle(struct world *w)
{
    for (int i = 0; parley_link_turn(&w->link, w->now); i++)
        assert_true(i < 100000);
}

static void pass(struct world *w, parley_time ns)
{
    w->now.mono += ns;
    w->now.wall += (parley_wall)(ns / 1000);
    settle(w);
}

static struct parley_node_state state_of(struct world *w, int side)
{
    struct parley_node_state state;
    parley_node_state(w->link.nodes[side], &state);
    return state;
}

static void join(struct world *w)
{
    char url[PARLEY_INVITE_URL_BYTES];
    struct parley_diag diag = { "" };
    assert_ok(parley_node_invite(w->link.nodes[0], parley_text("main"), true,
                                 w->now.wall + 60 * PARLEY_US_PER_S, url, w->now));
    settle(w);
    assert_ok(parley_node_join(w->link.nodes[1], parley_text(url), w->now, &diag));
    settle(w);
}

static void sync(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        if (state_of(w, 0).in_sync == 1 && state_of(w, 1).in_sync == 1)
            return;
        pass(w, 5 * PARLEY_NS_PER_S);
    }
    fail_msg("the nodes do not come into sync");
}

static parley_err write_message(struct world *w, int side, const char *id,
                                struct parley_span content)
{
    struct parley_message_name name = { parley_text("main"), parley_text("talk"), parley_text(id) };
    struct parley_message message = { .role = parley_text("user"), .content = content };
    struct parley_version version;
    size_t cap = content.len + PARLEY_MESSAGE_OVERHEAD_BYTES + 4;
    uint8_t *body = malloc(cap);
    assert_ok(parley_message_version(&name, &message, body, cap, &version));
    parley_err err = parley_node_write(w->link.nodes[side], &version, w->now);
    free(body);
    return err;
}

static bool has_message(struct world *w, int side, const char *id, struct parley_span content)
{
    struct parley_message_name name = { parley_text("main"), parley_text("talk"), parley_text(id) };
    struct parley_message message;
    struct parley_read *read = NULL;
    bool found = false;
    assert_ok(parley_read_begin(w->db[side], &read));
    assert_ok(parley_read_message(read, &name, &message, &found));
    bool same = found && pl_span_equal(content, message.content);
    parley_read_end(read);
    return same;
}

/* ---- Identity ---- */

static void embed_makes_the_identity_of_a_new_store_once(void **state)
{
    struct world *w = *state;
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct parley_node_options options = { .secret = parley_text(SECRET),
                                           .type = PARLEY_NODE_EDGE };
    close_side(w, 0);
    w->db[0] = db_util_open(&w->env.t.env, "new");
    assert_ok(open_with(w, 0, &options, NULL));
    snprintf(name, sizeof name, "%s", state_of(w, 0).name);
    assert_memory_equal("edge_sha256_", name, 12);
    parley_node_close(w->link.nodes[0]);
    options.type = PARLEY_NODE_LOCAL;
    assert_ok(open_with(w, 0, &options, NULL));
    assert_string_equal(name, state_of(w, 0).name);
}

static void embed_refuses_another_secret(void **state)
{
    struct world *w = *state;
    struct parley_node_options options = { .secret = parley_text("x" SECRET) };
    struct parley_diag diag = { "" };
    struct parley_node *node = w->link.nodes[0];
    parley_node_close(node);
    w->link.nodes[0] = NULL;
    assert_err(PARLEY_ESEALED, open_with(w, 0, &options, &diag));
    assert_string_equal("secret: the key of this store was sealed with another one", diag.text);
    options.secret = parley_text("short");
    assert_err(PARLEY_EINVAL, open_with(w, 0, &options, &diag));
    assert_string_equal("secret: must have 32 to 1024 bytes", diag.text);
    assert_null(w->link.nodes[0]);
}

static void embed_opens_whole_or_not_at_all(void **state)
{
    struct world *w = *state;
    struct parley_node_options options = { .secret = parley_text(SECRET) };
    parley_err err = PARLEY_ENOMEM;
    int64_t nth = 0;
    parley_node_close(w->link.nodes[0]);
    for (; err != PARLEY_OK; nth++) {
        w->link.nodes[0] = NULL;
        int64_t before = w->env.t.allocs;
        w->env.t.fail_after = nth;
        err = open_with(w, 0, &options, NULL);
        w->env.t.fail_after = -1;
        if (err == PARLEY_OK)
            break;
        assert_err(PARLEY_ENOMEM, err);
        assert_int_equal(before, w->env.t.allocs);
        assert_true(nth < 1000);
    }
    assert_true(nth > 5);
}

/* ---- Sync ---- */

static void embed_syncs_two_stores_of_one_process(void **state)
{
    struct world *w = *state;
    assert_ok(write_message(w, 0, "1", parley_text("from a")));
    assert_int_equal(0, state_of(w, 1).peers);
    assert_int_equal(PARLEY_JOIN_NONE, state_of(w, 1).join);
    join(w);
    assert_int_equal(PARLEY_JOIN_DONE, state_of(w, 1).join);
    assert_int_equal(6, strlen(state_of(w, 1).check));
    sync(w);
    assert_true(has_message(w, 1, "1", parley_text("from a")));
    assert_ok(write_message(w, 1, "2", parley_text("from b")));
    settle(w);
    assert_true(has_message(w, 0, "2", parley_text("from b")));
}

static void embed_lists_peers(void **state)
{
    struct world *w = *state;
    struct parley_peer peer;
    size_t position = 0;
    assert_false(parley_node_peer(w->link.nodes[1], &position, &peer));
    join(w);
    sync(w);
    assert_true(parley_node_peer(w->link.nodes[1], &position, &peer));
    assert_string_equal(state_of(w, 0).name, peer.name);
    assert_string_equal("127.0.0.1:8825", peer.address);
    assert_int_equal(PARLEY_PEER_IN_SYNC, peer.state);
    assert_true(peer.synced_at >= WALL);
    assert_false(parley_node_peer(w->link.nodes[1], &position, &peer));
    close_side(w, 0);
    open_side(w, 0);
    parley_node_recv_end(w->link.nodes[1], w->link.conns[1], w->now);
    w->link.conns[0] = 0;
    settle(w);
    position = 0;
    assert_true(parley_node_peer(w->link.nodes[1], &position, &peer));
    assert_int_equal(PARLEY_PEER_OFFLINE, peer.state);
    sync(w);
}

static void embed_says_why_a_join_failed(void **state)
{
    struct world *w = *state;
    char url[PARLEY_INVITE_URL_BYTES];
    struct parley_diag diag = { "" };
    assert_err(PARLEY_EMALFORMED,
               parley_node_join(w->link.nodes[1], parley_text("parley://x"), w->now, &diag));
    assert_true(diag.text[0] != '\0');
    assert_ok(parley_node_invite(w->link.nodes[0], parley_text("main"), true,
                                 w->now.wall + PARLEY_US_PER_S, url, w->now));
    settle(w);
    w->now.wall += 2 * PARLEY_US_PER_S;
    assert_ok(parley_node_join(w->link.nodes[1], parley_text(url), w->now, NULL));
    assert_int_equal(PARLEY_JOIN_RUNNING, state_of(w, 1).join);
    settle(w);
    assert_int_equal(PARLEY_JOIN_FAILED, state_of(w, 1).join);
    assert_true(state_of(w, 1).join_error[0] != '\0');
}

static void embed_puts_a_peer_out(void **state)
{
    struct world *w = *state;
    struct parley_peer peer;
    size_t position = 0;
    join(w);
    sync(w);
    assert_err(PARLEY_EUNKNOWN,
               parley_node_revoke(w->link.nodes[0], parley_text("nobody"), w->now));
    assert_ok(parley_node_revoke(w->link.nodes[0], parley_text(state_of(w, 1).name), w->now));
    assert_ok(write_message(w, 0, "1", parley_text("not for b")));
    pass(w, 10 * PARLEY_NS_PER_S);
    assert_int_equal(0, state_of(w, 0).peers);
    assert_int_equal(0, state_of(w, 1).in_sync);
    assert_false(has_message(w, 1, "1", parley_text("not for b")));
    close_side(w, 0);
    open_side(w, 0);
    assert_true(parley_node_peer(w->link.nodes[0], &position, &peer));
    assert_int_equal(PARLEY_PEER_REVOKED, peer.state);
}

/* A batch has room for 4 MiB; a body may have 16. */
static void embed_takes_the_largest_message(void **state)
{
    struct world *w = *state;
    size_t len = PARLEY_CONTENT_BYTES_MAX;
    uint8_t *content = malloc(len);
    memset(content, 'x', len);
    struct parley_span span = pl_span_of(content, len);
    assert_ok(write_message(w, 0, "1", span));
    settle(w);
    join(w);
    sync(w);
    assert_true(has_message(w, 1, "1", span));
    free(content);
}

static void embed_says_again_when_there_is_no_room(void **state)
{
    struct world *w = *state;
    char id[16];
    parley_err err = PARLEY_OK;
    int count = 0;
    for (; err == PARLEY_OK && count < 100000; count++) {
        snprintf(id, sizeof id, "%d", count);
        err = write_message(w, 0, id, parley_text("hello"));
    }
    assert_err(PARLEY_EAGAIN, err);
    settle(w);
    assert_ok(write_message(w, 0, id, parley_text("hello")));
    settle(w);
    assert_true(has_message(w, 0, "0", parley_text("hello")));
    assert_true(has_message(w, 0, id, parley_text("hello")));
}

static void embed_refuses_what_has_no_shape(void **state)
{
    struct world *w = *state;
    struct parley_version version = { .name_space = parley_text("main"),
                                      .kind = PARLEY_KIND_MESSAGE };
    assert_err(PARLEY_EMISSING, parley_node_write(w->link.nodes[0], &version, w->now));
}

/* ---- Keys, stops, strangers ---- */

static void embed_rotates_its_key(void **state)
{
    struct world *w = *state;
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%s", state_of(w, 0).name);
    join(w);
    sync(w);
    assert_err(PARLEY_EINVAL, parley_node_rotate(w->link.nodes[0], 1024, w->now));
    assert_ok(parley_node_rotate(w->link.nodes[0], 0, w->now));
    assert_err(PARLEY_EBUSY, parley_node_rotate(w->link.nodes[0], 0, w->now));
    settle(w);
    assert_ok(write_message(w, 0, "1", parley_text("with the new key")));
    pass(w, 5 * PARLEY_NS_PER_S);
    sync(w);
    assert_true(has_message(w, 1, "1", parley_text("with the new key")));
    close_side(w, 0);
    open_side(w, 0);
    assert_string_equal(name, state_of(w, 0).name);
}

static void embed_survives_a_key_that_was_not_made(void **state)
{
    struct world *w = *state;
    struct parley_effect effect;
    assert_ok(parley_node_rotate(w->link.nodes[0], 0, w->now));
    while (parley_node_take_effect(w->link.nodes[0], &effect)) {
        if (effect.kind == PARLEY_EFFECT_NEW_KEY)
            parley_node_key_made(w->link.nodes[0], NULL, PARLEY_ENOMEM, w->now);
        else
            parley_node_run_effect(w->link.nodes[0], &effect, w->now);
    }
    assert_ok(parley_node_rotate(w->link.nodes[0], 0, w->now));
    settle(w);
}

static void embed_stops_in_order(void **state)
{
    struct world *w = *state;
    join(w);
    sync(w);
    parley_node_stop(w->link.nodes[0], w->now);
    settle(w);
    pass(w, PARLEY_NS_PER_S);
    assert_true(parley_node_is_stopped(w->link.nodes[0]));
    assert_false(parley_node_is_stopped(w->link.nodes[1]));
    assert_int_equal(0, w->link.conns[0]);
    assert_int_equal(0, w->link.conns[1]);
}

/* Asks for /peers over HTTP from this address; the status that comes back, 0 for none. */
static unsigned ask(struct world *w, const uint8_t *address, size_t bytes, const char *token)
{
    char request[256];
    size_t len = 0;
    struct parley_node *node = w->link.nodes[0];
    struct parley_effect effect;
    snprintf(request, sizeof request,
             "GET /peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token);
    parley_conn conn = parley_node_accepted(node, address, bytes, w->now);
    assert_int_not_equal(0, conn);
    uint8_t *buf = parley_node_recv_buf(node, conn, &len);
    assert_true(buf != NULL && len >= strlen(request));
    memcpy(buf, request, strlen(request));
    parley_node_recv_ack(node, conn, strlen(request), w->now);
    while (parley_node_take_effect(node, &effect))
        parley_node_run_effect(node, &effect, w->now);
    unsigned status = 0;
    const uint8_t *reply = parley_node_send_buf(node, conn, &len);
    if (reply != NULL && len > 12)
        status = (unsigned)strtoul((const char *)reply + 9, NULL, 10);
    parley_node_closed(node, conn, w->now);
    return status;
}

#define TOKEN_HEX "4141414141414141414141414141414141414141414141414141414141414141"

static void embed_has_no_admin_unless_told(void **state)
{
    struct world *w = *state;
    uint8_t token[PARLEY_ADMIN_TOKEN_BYTES];
    struct parley_node_options options = { .secret = parley_text(SECRET), .admin_token = token };
    memset(token, 'A', sizeof token);
    assert_int_equal(401, ask(w, NULL, 0, TOKEN_HEX));
    assert_int_equal(
        401, ask(w, NULL, 0, "0000000000000000000000000000000000000000000000000000000000000000"));
    parley_node_close(w->link.nodes[0]);
    assert_ok(open_with(w, 0, &options, NULL));
    assert_int_equal(200, ask(w, NULL, 0, TOKEN_HEX));
}

static void embed_knows_what_is_this_machine(void **state)
{
    static const uint8_t loopback[4] = { 127, 0, 0, 1 };
    static const uint8_t other[4] = { 192, 0, 2, 1 };
    static const uint8_t loopback6[16] = { [15] = 1 };
    static const uint8_t other6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
    static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };
    static const uint8_t mapped_other[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };
    struct world *w = *state;
    assert_int_equal(401, ask(w, loopback, sizeof loopback, "x"));
    assert_int_equal(401, ask(w, loopback6, sizeof loopback6, "x"));
    assert_int_equal(401, ask(w, mapped, sizeof mapped, "x"));
    assert_int_equal(403, ask(w, other, sizeof other, "x"));
    assert_int_equal(403, ask(w, other6, sizeof other6, "x"));
    assert_int_equal(403, ask(w, mapped_other, sizeof mapped_other, "x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(embed_makes_the_identity_of_a_new_store_once),
        TEST(embed_refuses_another_secret),
        TEST(embed_opens_whole_or_not_at_all),
        TEST(embed_syncs_two_stores_of_one_process),
        TEST(embed_lists_peers),
        TEST(embed_says_why_a_join_failed),
        TEST(embed_puts_a_peer_out),
        TEST(embed_takes_the_largest_message),
        TEST(embed_says_again_when_there_is_no_room),
        TEST(embed_refuses_what_has_no_shape),
        TEST(embed_rotates_its_key),
        TEST(embed_survives_a_key_that_was_not_made),
        TEST(embed_stops_in_order),
        TEST(embed_has_no_admin_unless_told),
        TEST(embed_knows_what_is_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
