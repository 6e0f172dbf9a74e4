/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct node_client c;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&f->c);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static struct node_client *client(void **state)
{
    return &((struct fixture *)*state)->c;
}

static void say(struct node_client *c, const char *text)
{
    node_client_send(c, text, strlen(text));
}

static struct node_reply take(struct node_client *c)
{
    return node_client_take(c, false);
}

#define HOST       "Host: localhost\r\n"
#define AUTH       "Authorization: Bearer " NODE_CLIENT_ADMIN "\r\n"
#define GET_HEALTH "GET /health HTTP/1.1\r\n" HOST "\r\n"
#define POST(path, length, body)                                                                   \
    "POST " path " HTTP/1.1\r\n" HOST AUTH "Content-Length: " length "\r\n\r\n" body

static void http_conn_answers_and_stays_open(void **state)
{
    struct node_client *c = client(state);
    for (int i = 0; i < 3; i++) {
        say(c, GET_HEALTH);
        struct node_reply r = take(c);
        node_client_expect(r, 200, "\"status\":\"ok\"");
        assert_non_null(strstr(r.head, "Connection: keep-alive"));
    }
    assert_int_not_equal(0, c->conn);
}

static void http_conn_takes_a_request_byte_by_byte(void **state)
{
    struct node_client *c = client(state);
    c->piece_max = 1;
    say(c, POST("/invites", "16", "{\"right\":\"read\"}"));
    node_client_expect(take(c), 201, "&r=r&");
}

static void http_conn_answers_pipelined_requests_in_order(void **state)
{
    struct node_client *c = client(state);
    say(c,
        GET_HEALTH POST("/conversations/c/messages", "29", "{\"role\":\"user\",\"content\":\"1\"}")
            GET_HEALTH "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    node_client_expect(take(c), 200, "\"status\":\"ok\"");
    node_client_expect(take(c), 201, "message_id");
    node_client_expect(take(c), 200, "\"status\":\"ok\"");
    node_client_expect(take(c), 404, "no-such-route");
}

static void http_conn_reads_nothing_while_a_request_waits_for_its_commit(void **state)
{
    struct node_client *c = client(state);
    size_t len = 0;
    c->hold_commits = true;
    say(c, POST("/conversations/c/messages", "29", "{\"role\":\"user\",\"content\":\"1\"}"));
    assert_null(pl_node_recv_buf(c->node, c->conn, &len));
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_expect(take(c), 201, "message_id");
    assert_non_null(pl_node_recv_buf(c->node, c->conn, &len));
}

static void http_conn_survives_the_client_leaving_before_its_commit(void **state)
{
    struct node_client *c = client(state);
    c->hold_commits = true;
    say(c, POST("/conversations/c/messages", "29", "{\"role\":\"user\",\"content\":\"1\"}"));
    pl_node_closed(c->node, c->conn, c->now);
    c->conn = 0;
    node_client_commit(c);
    node_client_expect(node_client_admin(c, "GET", "/conversations/c", NULL), 200,
                       "\"content\":\"1\"");
}

static void http_conn_sends_100_continue_only_when_asked(void **state)
{
    struct node_client *c = client(state);
    say(c,
        "POST /invites HTTP/1.1\r\n" HOST AUTH "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_string_equal("HTTP/1.1 100 Continue\r\n\r\n", (char *)c->got);
    c->got_len = 0;
    say(c, "{}");
    node_client_expect(take(c), 201, "parley://");
}

static void http_conn_refuses_instead_of_100_continue(void **state)
{
    struct node_client *c = client(state);
    say(c,
        "POST /sync HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 60000000\r\n\r\n");
    node_client_expect(take(c), 401, "token-missing");
}

static void http_conn_takes_chunked_bodies(void **state)
{
    struct node_client *c = client(state);
    c->piece_max = 7;
    say(c,
        "POST /conversations/c/messages HTTP/1.1\r\n" HOST AUTH "Transfer-Encoding: chunked\r\n\r\n"
        "5\r\n{\"rol\r\n18\r\ne\":\"user\",\"content\":\"1\"}\r\n0\r\n\r\n" GET_HEALTH);
    node_client_expect(take(c), 201, "message_id");
    node_client_expect(take(c), 200, "ok");
}

static void http_conn_bounds_the_sum_of_chunks(void **state)
{
    struct node_client *c = client(state);
    char chunk[4096 + 8];
    int head = snprintf(chunk, sizeof chunk, "1000\r\n");
    memset(chunk + head, 'x', 4096);
    memcpy(chunk + head + 4096, "\r\n", 2);
    say(c, "POST /invites HTTP/1.1\r\n" HOST AUTH "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++)
        node_client_send(c, chunk, (size_t)head + 4096 + 2);
    node_client_expect(take(c), 413, "body-too-large");
}

static void http_conn_answers_head_without_a_body(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = node_client_ask(c, "HEAD", "/health", NULL, NULL);
    node_client_expect(r, 200, NULL);
    assert_null(strstr(r.head, "Content-Length: 0\r\n"));
    assert_int_equal(0, c->got_len);
}

static void http_conn_closes_after_what_two_parsers_could_read_differently(void **state)
{
    struct node_client *c = client(state);
    say(c, "POST /sync HTTP/1.1\r\n" HOST
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
           "GET /identity HTTP/1.1\r\n" HOST "\r\n");
    struct node_reply r = take(c);
    node_client_expect(r, 400, "malformed");
    assert_non_null(strstr(r.head, "Connection: close"));
    assert_int_equal(0, c->got_len);
    node_client_wait(c, 3 * PARLEY_NS_PER_S);
    assert_int_equal(0, c->conn);
    assert_int_equal(0, c->got_len);
}

static void http_conn_refuses_too_long_a_body_by_its_length_alone(void **state)
{
    struct node_client *c = client(state);
    say(c, "POST /sync HTTP/1.1\r\n" HOST AUTH "Content-Length: 1073741825\r\n\r\n");
    node_client_expect(take(c), 413, "body-too-large");
    node_client_connect(c);
    say(c,
        "POST /conversations/c/messages HTTP/1.1\r\n" HOST AUTH "Content-Length: 67108865\r\n\r\n");
    node_client_expect(take(c), 413, "64 MiB\",\"limit\":67108864}");
}

static void http_conn_refuses_a_body_the_route_does_not_take(void **state)
{
    struct node_client *c = client(state);
    say(c, "POST /invites HTTP/1.1\r\n" HOST AUTH "Content-Length: 70000\r\n\r\n");
    node_client_expect(take(c), 413, "64 KiB");
    node_client_connect(c);
    say(c, "GET /status HTTP/1.1\r\n" HOST AUTH "Content-Length: 2\r\n\r\n{}");
    node_client_expect(take(c), 413, "no body");
}

static void http_conn_skips_a_small_body_of_a_refused_request(void **state)
{
    struct node_client *c = client(state);
    say(c, POST("/nothing", "5", "12345") GET_HEALTH);
    node_client_expect(take(c), 404, "no-such-route");
    node_client_expect(take(c), 200, "ok");
}

static void http_conn_drains_so_that_the_answer_is_not_lost(void **state)
{
    struct node_client *c = client(state);
    char junk[65536];
    memset(junk, 'x', sizeof junk);
    say(c, "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 60000000\r\n\r\n");
    assert_int_equal(sizeof junk, node_client_send(c, junk, sizeof junk));
    assert_int_not_equal(0, c->conn);
    node_client_expect(take(c), 404, NULL);
    for (int i = 0; i < 100 && c->conn != 0; i++)
        node_client_send(c, junk, sizeof junk);
    assert_int_equal(0, c->conn);
}

static void http_conn_refuses_a_head_above_its_limit(void **state)
{
    struct node_client *c = client(state);
    char field[256];
    memset(field, 'a', sizeof field);
    memcpy(field, "X-A: ", 5);
    memcpy(field + sizeof field - 2, "\r\n", 2);
    say(c, "GET /health HTTP/1.1\r\n" HOST);
    for (size_t sent = 0; sent <= PL_HTTP_HEAD_BYTES_MAX && c->got_len == 0; sent += sizeof field)
        node_client_send(c, field, sizeof field);
    node_client_expect(take(c), 431, "head-too-large");
}

static void http_conn_refuses_a_long_target(void **state)
{
    struct node_client *c = client(state);
    char target[PL_HTTP_TARGET_BYTES_MAX + 64];
    memset(target, 'a', sizeof target);
    memcpy(target, "GET /", 5);
    node_client_send(c, target, sizeof target);
    say(c, " HTTP/1.1\r\n" HOST "\r\n");
    struct node_reply r = take(c);
    /* With tiny limits the head is full before the target is. */
    assert_true(r.status == 414 || (PL_HTTP_HEAD_BYTES_MAX < sizeof target && r.status == 431));
}

static void http_conn_speaks_http_1_0(void **state)
{
    struct node_client *c = client(state);
    say(c, "GET /health HTTP/1.0\r\n\r\n");
    node_client_expect(take(c), 200, "ok");
    assert_int_equal(0, c->conn);
}

static void http_conn_closes_when_the_client_says_so(void **state)
{
    struct node_client *c = client(state);
    say(c, "GET /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    struct node_reply r = take(c);
    assert_non_null(strstr(r.head, "Connection: close"));
    assert_int_equal(0, c->conn);
}

static void http_conn_answers_a_slow_head_with_408(void **state)
{
    struct node_client *c = client(state);
    say(c, "GET /hea");
    node_client_wait(c, 9 * PARLEY_NS_PER_S);
    say(c, "l");
    assert_int_equal(0, c->got_len);
    node_client_wait(c, 1 * PARLEY_NS_PER_S);
    node_client_expect(take(c), 408, "10 seconds");
    node_client_wait(c, 2 * PARLEY_NS_PER_S);
    assert_int_equal(0, c->conn);
}

static void http_conn_answers_a_stalled_body_with_408(void **state)
{
    struct node_client *c = client(state);
    say(c, POST("/invites", "10", "{"));
    node_client_wait(c, 29 * PARLEY_NS_PER_S);
    say(c, " ");
    node_client_wait(c, 29 * PARLEY_NS_PER_S);
    assert_int_equal(0, c->got_len);
    node_client_wait(c, 1 * PARLEY_NS_PER_S);
    node_client_expect(take(c), 408, "body");
}

static void http_conn_closes_an_idle_connection_silently(void **state)
{
    struct node_client *c = client(state);
    say(c, GET_HEALTH);
    node_client_expect(take(c), 200, NULL);
    node_client_wait(c, 59 * PARLEY_NS_PER_S);
    assert_int_not_equal(0, c->conn);
    node_client_wait(c, 1 * PARLEY_NS_PER_S);
    assert_int_equal(0, c->conn);
    assert_int_equal(0, c->got_len);
}

static void http_conn_keeps_no_memory_between_requests(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = client(state);
    size_t room = 0;
    say(c, GET_HEALTH);
    node_client_expect(take(c), 200, NULL);
    int64_t idle = f->env.t.allocs;
    say(c, "G");
    assert_true(f->env.t.allocs > idle);
    say(c, &GET_HEALTH[1]);
    node_client_expect(take(c), 200, NULL);
    assert_int_equal(idle, f->env.t.allocs);
    /* Without memory it rests on; nothing is read. */
    f->env.t.fail_after = 0;
    assert_null(pl_node_recv_buf(c->node, c->conn, &room));
    f->env.t.fail_after = -1;
    say(c, GET_HEALTH);
    node_client_expect(take(c), 200, NULL);
    node_client_wait(c, 59 * PARLEY_NS_PER_S);
    f->env.t.fail_after = 0;
    assert_null(pl_node_recv_buf(c->node, c->conn, &room));
    f->env.t.fail_after = -1;
    node_client_wait(c, 1 * PARLEY_NS_PER_S);
    assert_int_equal(0, c->conn);
}

static void http_conn_closes_on_a_client_that_does_not_read(void **state)
{
    struct node_client *c = client(state);
    c->piece_max = 1u << 20;
    size_t room = 0;
    uint8_t *to = pl_node_recv_buf(c->node, c->conn, &room);
    memcpy(to, GET_HEALTH, strlen(GET_HEALTH));
    pl_node_recv_ack(c->node, c->conn, strlen(GET_HEALTH), c->now);
    c->now.mono += 30 * PARLEY_NS_PER_S;
    pl_node_tick(c->node, c->now);
    struct pl_effect effect;
    bool closed = false;
    while (pl_node_take_effect(c->node, &effect))
        closed = closed || effect.kind == PL_EFFECT_CLOSE;
    /* What was not taken is given up. */
    assert_true(closed);
}

static void http_conn_serves_a_client_that_half_closes(void **state)
{
    struct node_client *c = client(state);
    size_t room = 0;
    uint8_t *to = pl_node_recv_buf(c->node, c->conn, &room);
    memcpy(to, GET_HEALTH, strlen(GET_HEALTH));
    pl_node_recv_ack(c->node, c->conn, strlen(GET_HEALTH), c->now);
    pl_node_recv_end(c->node, c->conn, c->now);
    node_client_settle(c);
    node_client_expect(take(c), 200, "ok");
    assert_int_equal(0, c->conn);
}

static void http_conn_answers_a_truncated_body_with_400(void **state)
{
    struct node_client *c = client(state);
    say(c, POST("/invites", "10", "{"));
    pl_node_recv_end(c->node, c->conn, c->now);
    node_client_settle(c);
    node_client_expect(take(c), 400, "truncated");
    assert_int_equal(0, c->conn);
}

static void http_conn_accounts_every_byte_it_holds(void **state)
{
    struct node_client *c = client(state);
    char junk[65536];
    memset(junk, ' ', sizeof junk);
    say(c, "POST /import HTTP/1.1\r\n" HOST AUTH "Content-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 10; i++)
        node_client_send(c, junk, sizeof junk);
    assert_true(c->node->buffered_bytes >= 10 * sizeof junk);
    assert_true(c->node->buffered_bytes <= 1000000 + 65536);
    node_client_connect(c);
    assert_int_equal(0, c->node->buffered_bytes);
}

static void http_conn_answers_503_when_the_node_has_no_room(void **state)
{
    struct node_client *c = client(state);
    c->node->buffered_bytes += PL_NODE_BUFFER_BYTES_MAX - 100000;
    say(c,
        "POST /conversations/c/messages HTTP/1.1\r\n" HOST AUTH "Content-Length: 1000000\r\n\r\n");
    struct node_reply r = take(c);
    node_client_expect(r, 503, "busy");
    assert_non_null(strstr(r.head, "Retry-After: 1"));
    node_client_wait(c, 3 * PARLEY_NS_PER_S);
    c->node->buffered_bytes -= PL_NODE_BUFFER_BYTES_MAX - 100000;
}

static void http_conn_answers_without_memory(void **state)
{
    struct node_client *c = client(state);
    c->node->buffered_bytes += PL_NODE_BUFFER_BYTES_MAX;
    say(c, GET_HEALTH);
    struct node_reply r = take(c);
    c->node->buffered_bytes -= PL_NODE_BUFFER_BYTES_MAX;
    node_client_expect(r, 503, NULL);
    assert_non_null(strstr(r.head, "Retry-After: 1"));
    say(c, GET_HEALTH);
    node_client_expect(take(c), 200, "ok");
}

static void http_conn_stops_with_its_node(void **state)
{
    struct node_client *c = client(state);
    say(c, GET_HEALTH);
    node_client_expect(take(c), 200, NULL);
    pl_node_stop(c->node, c->now);
    node_client_settle(c);
    assert_int_equal(0, c->conn);
    assert_true(pl_node_is_stopped(c->node));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The "100 Continue" is still being written by the host when a client that did not wait for it
 * sends the body: the write ends after the body has come, and must not eat into the answer. */
static void a_body_that_overtakes_the_interim_answer_is_answered_whole(void **state)
{
    (void)state;
    struct env_mem env;
    struct node_client c;
    char head[512];
    const char *body = "{\"namespace\":\"main\",\"right\":\"write\"}";
    env_mem_init(&env);
    node_client_open(&c, &env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&c);
    int len = snprintf(head, sizeof head,
                       "POST /invites HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                       NODE_CLIENT_ADMIN, strlen(body));
    size_t room = 0;
    uint8_t *to = pl_node_recv_buf(c.node, c.conn, &room);
    assert_true(room >= (size_t)len);
    memcpy(to, head, (size_t)len);
    pl_node_recv_ack(c.node, c.conn, (size_t)len, c.now);
    size_t interim = 0;
    assert_non_null(pl_node_send_buf(c.node, c.conn, &interim));
    to = pl_node_recv_buf(c.node, c.conn, &room);
    assert_true(room >= strlen(body));
    memcpy(to, body, strlen(body));
    pl_node_recv_ack(c.node, c.conn, strlen(body), c.now);
    pl_node_send_ack(c.node, c.conn, interim, c.now);
    node_client_settle(&c);
    assert_int_equal(201, node_client_take(&c, false).status);
    node_client_close(&c);
    env_mem_deinit(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(http_conn_answers_and_stays_open),
        TEST(http_conn_takes_a_request_byte_by_byte),
        TEST(http_conn_answers_pipelined_requests_in_order),
        TEST(http_conn_reads_nothing_while_a_request_waits_for_its_commit),
        TEST(http_conn_survives_the_client_leaving_before_its_commit),
        TEST(http_conn_sends_100_continue_only_when_asked),
        TEST(http_conn_refuses_instead_of_100_continue),
        TEST(http_conn_takes_chunked_bodies),
        TEST(http_conn_bounds_the_sum_of_chunks),
        TEST(http_conn_answers_head_without_a_body),
        TEST(http_conn_closes_after_what_two_parsers_could_read_differently),
        TEST(http_conn_refuses_too_long_a_body_by_its_length_alone),
        TEST(http_conn_refuses_a_body_the_route_does_not_take),
        TEST(http_conn_skips_a_small_body_of_a_refused_request),
        TEST(http_conn_drains_so_that_the_answer_is_not_lost),
        TEST(http_conn_refuses_a_head_above_its_limit),
        TEST(http_conn_refuses_a_long_target),
        TEST(http_conn_speaks_http_1_0),
        TEST(http_conn_closes_when_the_client_says_so),
        TEST(http_conn_answers_a_slow_head_with_408),
        TEST(http_conn_answers_a_stalled_body_with_408),
        TEST(http_conn_closes_an_idle_connection_silently),
        TEST(http_conn_keeps_no_memory_between_requests),
        TEST(http_conn_closes_on_a_client_that_does_not_read),
        TEST(http_conn_serves_a_client_that_half_closes),
        TEST(http_conn_answers_a_truncated_body_with_400),
        TEST(http_conn_accounts_every_byte_it_holds),
        TEST(http_conn_answers_503_when_the_node_has_no_room),
        TEST(http_conn_answers_without_memory),
        TEST(http_conn_stops_with_its_node),
        cmocka_unit_test(a_body_that_overtakes_the_interim_answer_is_answered_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
