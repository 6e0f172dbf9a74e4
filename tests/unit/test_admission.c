/* SPDX-License-Identifier: Apache-2.0
 *
 * Who keeps his connection when strangers come in crowds.
 */
#include "lib/keys.h"
#include "lib/node_client.h"
#include "lib/node_pair.h"

#include "node/http_conn_int.h"

#define CROWD (PL_CONNS_MAX * 2)

/* The host with this number, not this machine. */
static struct pl_remote host(unsigned number)
{
    return (struct pl_remote){ .net = { 0, 0, 0xff, 0xff, 10, 0, (uint8_t)(number >> 8),
                                        (uint8_t)number } };
}

static void close_as_asked(struct pl_node *node, struct parley_now now)
{
    struct pl_effect effect;
    while (pl_node_take_effect(node, &effect))
        if (effect.kind == PL_EFFECT_CLOSE)
            pl_node_closed(node, effect.conn, now);
}

/* One more from there; a little later than the one before. */
static pl_conn accept_one(struct node_client *c, struct pl_remote from)
{
    c->now.mono++;
    pl_conn conn = pl_node_accepted(c->node, &from, c->now);
    close_as_asked(c->node, c->now);
    assert_int_not_equal(0, conn);
    return conn;
}

static bool is_there(const struct node_client *c, pl_conn conn)
{
    return pl_node_conn_find(c->node, conn) != NULL;
}

static size_t count_conns(const struct pl_node *node)
{
    size_t count = 0;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        count++;
    return count;
}

static void say(struct node_client *c, pl_conn conn, const char *text, size_t len)
{
    size_t room = 0;
    uint8_t *to = pl_node_recv_buf(c->node, conn, &room);
    assert_non_null(to);
    assert_in_range(len, 1, room);
    memcpy(to, text, len);
    pl_node_recv_ack(c->node, conn, len, c->now);
}

static int set_up(void **state)
{
    static struct env_mem env;
    static struct node_client c;
    env_mem_init(&env);
    node_client_open(&c, &env, "a", TEST_KEY_A_PKCS8, false);
    c.node->options.plain_peers = true;
    *state = &c;
    return 0;
}

static int tear_down(void **state)
{
    struct node_client *c = *state;
    for (pl_handle h = pl_slab_next(&c->node->conns, 0); h != 0;
         h = pl_slab_next(&c->node->conns, h))
        pl_node_closed(c->node, h, c->now);
    struct env_mem *env = c->env;
    node_client_close(c);
    env_mem_deinit(env);
    return 0;
}

static void admission_bounds_what_one_address_has_open_unproved(void **state)
{
    struct node_client *c = *state;
    pl_conn other = accept_one(c, host(2));
    pl_conn conns[PL_UNPROVED_ADDRESS_MAX + 2];
    for (size_t i = 0; i < PL_ARRAY_LEN(conns); i++)
        conns[i] = accept_one(c, host(1));
    for (size_t i = 0; i < PL_ARRAY_LEN(conns); i++)
        assert_int_equal(i >= 2, is_there(c, conns[i]));
    assert_true(is_there(c, other));
}

static void admission_bounds_what_all_addresses_have_open_unproved(void **state)
{
    struct node_client *c = *state;
    pl_conn conns[PL_UNPROVED_MAX + 2];
    for (unsigned i = 0; i < PL_ARRAY_LEN(conns); i++)
        conns[i] = accept_one(c, host(i));
    for (size_t i = 0; i < PL_ARRAY_LEN(conns); i++)
        assert_int_equal(i >= 2, is_there(c, conns[i]));
}

static void admission_takes_this_machine_for_more_than_one_address(void **state)
{
    struct node_client *c = *state;
    for (size_t i = 0; i < PL_UNPROVED_ADDRESS_MAX + 2; i++)
        accept_one(c, (struct pl_remote){ .local = true });
    assert_int_equal(PL_UNPROVED_ADDRESS_MAX + 2, count_conns(c->node));
}

/* Half a handshake once kept its place for ten seconds. */
static void admission_counts_sessions_and_requests_without_proof(void **state)
{
    struct node_client *c = *state;
    static const char request[] = "POST /register-peer HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    pl_conn native = accept_one(c, host(1));
    say(c, native, PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
    pl_conn http = accept_one(c, host(2));
    say(c, http, request, sizeof request - 1);
    for (unsigned i = 0; i < PL_UNPROVED_MAX; i++)
        accept_one(c, host(3 + i));
    assert_false(is_there(c, native));
    assert_false(is_there(c, http));
}

static void admission_keeps_a_request_that_waits_for_its_commit(void **state)
{
    struct node_client *c = *state;
    pl_conn http = accept_one(c, host(1));
    struct pl_connection *conn = pl_node_conn_find(c->node, http);
    conn->waits_for = UINT64_MAX;
    for (unsigned i = 0; i < CROWD; i++)
        accept_one(c, host(2 + i));
    assert_true(is_there(c, http));
    conn->waits_for = 0;
}

static void admission_keeps_who_has_shown_a_token(void **state)
{
    struct node_client *c = *state;
    node_client_connect(c);
    node_client_expect(node_client_admin(c, "GET", "/status", NULL), 200, NULL);
    pl_conn proved = c->conn;
    for (unsigned i = 0; i < CROWD; i++)
        accept_one(c, host(i));
    assert_true(is_there(c, proved));
    node_client_expect(node_client_admin(c, "GET", "/status", NULL), 200, NULL);
    /* A token that is refused proves nothing. */
    node_client_connect(c);
    node_client_expect(node_client_ask(c, "GET", "/status", "a.b.c", NULL), 401, NULL);
    assert_false(pl_node_conn_find(c->node, c->conn)->proved);
}

/* Half a request with a token: of the operator, or as if it were a user's. */
static pl_conn slow_body(struct node_client *c, bool is_operator)
{
    static const char request[] =
        "POST /conversations/c/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
        "Bearer " NODE_CLIENT_ADMIN "\r\nContent-Length: 9\r\n\r\n{";
    pl_conn conn = accept_one(c, host(1));
    say(c, conn, request, sizeof request - 1);
    pl_node_conn_find(c->node, conn)->is_operator = is_operator;
    return conn;
}

/* Users who sent their bodies slowly once took all places, and the operator had none. */
static void admission_cuts_who_is_slow_when_all_places_are_taken(void **state)
{
    struct node_client *c = *state;
    pl_conn operators = slow_body(c, true);
    pl_conn first = slow_body(c, false);
    pl_conn second = slow_body(c, false);
    while (is_there(c, first)) {
        assert_in_range(count_conns(c->node), 3, PL_CONNS_MAX - 1);
        slow_body(c, false);
    }
    assert_true(is_there(c, second));
    /* It sends something: now the one behind it has been silent for longest. */
    c->now.mono++;
    say(c, second, "\"", 1);
    for (size_t i = 0; i < 3; i++)
        slow_body(c, false);
    assert_true(is_there(c, second));
    for (size_t i = 0; i < CROWD; i++)
        slow_body(c, false);
    assert_false(is_there(c, second));
    assert_true(is_there(c, operators));
    assert_in_range(count_conns(c->node), 3, PL_CONNS_MAX - 1);
}

static void admission_cuts_who_is_idle_before_who_is_slow_and_the_operator_last(void **state)
{
    struct node_client *c = *state;
    pl_conn slow = slow_body(c, false);
    pl_conn operators = slow_body(c, true);
    say(c, operators, "\"content", 8); /* its body is whole, and refused: it rests */
    node_client_connect(c);
    pl_conn users = c->conn;
    node_client_expect(node_client_admin(c, "GET", "/status", NULL), 200, NULL);
    pl_node_conn_find(c->node, users)->is_operator = false;
    while (count_conns(c->node) + 4 < PL_CONNS_MAX)
        slow_body(c, false);
    assert_true(is_there(c, users));
    slow_body(c, false);
    assert_false(is_there(c, users));
    assert_true(is_there(c, slow));
    for (size_t i = 0; i < CROWD; i++)
        slow_body(c, false);
    assert_false(is_there(c, slow));
    assert_true(is_there(c, operators));
}

/* By hand, so that each place is of one kind: that what was asked for is on its way changes nothing
 * of who leaves first. */
static pl_conn make(struct node_client *c, enum pl_conn_kind kind, bool proved, bool is_operator)
{
    pl_conn handle = accept_one(c, host(1));
    if (kind == PL_CONN_HTTP)
        say(c, handle, "G", 1);
    else
        say(c, handle, PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
    struct pl_connection *conn = pl_node_conn_find(c->node, handle);
    assert_int_equal(kind, conn->kind);
    conn->proved = proved;
    conn->is_operator = is_operator;
    return handle;
}

static void admission_cuts_strangers_then_who_is_slow_and_no_session(void **state)
{
    struct node_client *c = *state;
    pl_conn session = make(c, PL_CONN_NATIVE, true, false);
    pl_conn operators = slow_body(c, true);
    pl_conn stranger = make(c, PL_CONN_NATIVE, false, false);
    pl_conn slow = slow_body(c, false);
    while (is_there(c, stranger))
        slow_body(c, false);
    assert_in_range(count_conns(c->node), PL_CONNS_MAX - 5, PL_CONNS_MAX);
    assert_true(is_there(c, slow));
    for (size_t i = 0; i < CROWD; i++)
        slow_body(c, false);
    assert_false(is_there(c, slow));
    assert_true(is_there(c, session));
    assert_true(is_there(c, operators));
}

/* The operator's idle connection goes when nobody else's can, and nobody is cut who is at work. */
static void admission_cuts_the_operators_idle_connection_before_a_newcomer_is_refused(void **state)
{
    struct node_client *c = *state;
    node_client_connect(c);
    pl_conn idle = c->conn;
    node_client_expect(node_client_admin(c, "GET", "/status", NULL), 200, NULL);
    while (count_conns(c->node) + 4 < PL_CONNS_MAX)
        make(c, PL_CONN_NATIVE, true, false);
    size_t full = count_conns(c->node);
    assert_true(is_there(c, idle));
    pl_conn last = make(c, PL_CONN_NATIVE, true, false);
    assert_false(is_there(c, idle));
    assert_int_equal(full, count_conns(c->node));
    make(c, PL_CONN_NATIVE, true, false);
    assert_true(is_there(c, last));
    assert_int_equal(full + 1, count_conns(c->node));
}

/* One that is being closed has as good as left: no second one goes for the same newcomer. */
static void admission_does_not_count_who_is_leaving(void **state)
{
    struct node_client *c = *state;
    struct pl_remote from = host(9);
    pl_conn slow[2] = { slow_body(c, false), slow_body(c, false) };
    while (count_conns(c->node) + 4 < PL_CONNS_MAX)
        make(c, PL_CONN_NATIVE, true, false);
    pl_admission_make_room(c->node, &from);
    assert_true(pl_node_conn_find(c->node, slow[0])->closing);
    pl_admission_make_room(c->node, &from);
    assert_false(pl_node_conn_find(c->node, slow[1])->closing);
    /* The newcomer is there before the first has gone: the next takes the second's place. */
    pl_conn newcomer = pl_node_accepted(c->node, &from, c->now);
    pl_node_conn_find(c->node, newcomer)->proved = true;
    pl_admission_make_room(c->node, &from);
    assert_true(pl_node_conn_find(c->node, slow[1])->closing);
    assert_false(pl_node_conn_find(c->node, newcomer)->closing);
    close_as_asked(c->node, c->now);
    assert_false(is_there(c, slow[0]) || is_there(c, slow[1]));
}

/* Whom this node has dialed it wants, proof or not. */
static void admission_keeps_what_this_node_has_dialed(void **state)
{
    struct node_client *c = *state;
    pl_conn dialed = accept_one(c, host(1));
    pl_node_conn_find(c->node, dialed)->dialed = true;
    for (unsigned i = 0; i < CROWD; i++)
        accept_one(c, host(2 + i));
    assert_true(is_there(c, dialed));
}

/* What we are at work on is our slowness, not the client's. */
static void admission_keeps_a_request_that_is_worked_on(void **state)
{
    struct node_client *c = *state;
    pl_conn worked_on = slow_body(c, false);
    pl_node_conn_find(c->node, worked_on)->http->state = HTTP_RUN;
    for (size_t i = 0; i < CROWD; i++)
        slow_body(c, false);
    assert_true(is_there(c, worked_on));
    pl_node_conn_find(c->node, worked_on)->http->state = HTTP_BODY;
}

static void admission_does_not_count_this_machine_for_an_address(void **state)
{
    struct node_client *c = *state;
    struct pl_remote local = host(1); /* with that address, and from here all the same */
    local.local = true;
    pl_conn first = accept_one(c, local);
    for (size_t i = 0; i < PL_UNPROVED_ADDRESS_MAX; i++)
        accept_one(c, host(1));
    assert_true(is_there(c, first));
    assert_int_equal(PL_UNPROVED_ADDRESS_MAX + 1, count_conns(c->node));
}

static void crowd(struct world *w)
{
    for (unsigned i = 0; i < CROWD; i++) {
        struct pl_remote from = host(i);
        w->now.mono++;
        pl_conn conn = pl_node_accepted(w->a.node, &from, w->now);
        size_t room = 0;
        uint8_t *to = pl_node_recv_buf(w->a.node, conn, &room);
        assert_non_null(to);
        memcpy(to, PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
        pl_node_recv_ack(w->a.node, conn, PL_WIRE_PREFACE_BYTES, w->now);
        world_effects(w, &w->a, &w->b);
    }
}

static void admission_lets_peers_stay_and_come_back_in_a_crowd(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    w.a.node->options.plain_peers = true;
    world_join(&w);
    world_settle(&w);
    pl_conn session = w.a.conn;
    crowd(&w);
    assert_int_equal(session, w.a.conn);
    assert_true(pl_session_is_open(pl_node_conn_find(w.a.node, session)->session));
    world_part(&w);
    w.apart = false;
    crowd(&w);
    assert_int_equal(PL_UNPROVED_MAX, count_conns(w.a.node));
    world_settle(&w);
    assert_int_not_equal(0, w.a.conn);
    world_close(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(admission_bounds_what_one_address_has_open_unproved),
        TEST(admission_bounds_what_all_addresses_have_open_unproved),
        TEST(admission_takes_this_machine_for_more_than_one_address),
        TEST(admission_counts_sessions_and_requests_without_proof),
        TEST(admission_keeps_a_request_that_waits_for_its_commit),
        TEST(admission_keeps_who_has_shown_a_token),
        TEST(admission_cuts_who_is_slow_when_all_places_are_taken),
        TEST(admission_cuts_who_is_idle_before_who_is_slow_and_the_operator_last),
        TEST(admission_cuts_strangers_then_who_is_slow_and_no_session),
        TEST(admission_cuts_the_operators_idle_connection_before_a_newcomer_is_refused),
        TEST(admission_does_not_count_who_is_leaving),
        TEST(admission_keeps_a_request_that_is_worked_on),
        TEST(admission_keeps_what_this_node_has_dialed),
        TEST(admission_does_not_count_this_machine_for_an_address),
        cmocka_unit_test(admission_lets_peers_stay_and_come_back_in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
