/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

/* One node with a client that waits and one that writes. */
struct fixture {
    struct env_mem env;
    struct node_client waiter, writer;
    char cursor[64];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->waiter, &f->env, "a", TEST_KEY_A_PKCS8, false);
    f->writer = f->waiter;
    f->writer.conn = 0;
    f->writer.got = calloc(1, 1);
    f->writer.got_len = 0;
    f->writer.body = NULL;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->writer.conn != 0)
        pl_node_closed(f->writer.node, f->writer.conn, f->writer.now);
    free(f->writer.got);
    free(f->writer.body);
    node_client_close(&f->waiter);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static void say(struct fixture *f, const char *target, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " NODE_CLIENT_ADMIN
             "\r\n%s\r\n",
             target, more);
    if (f->waiter.conn == 0)
        node_client_connect(&f->waiter);
    node_client_send(&f->waiter, text, strlen(text));
}

static void post(struct fixture *f, const char *talk, const char *id, const char *content)
{
    char path[128];
    char body[256];
    snprintf(path, sizeof path, "/conversations/%s", talk);
    snprintf(body, sizeof body, "{\"message_id\":\"%s\",\"role\":\"user\",\"content\":\"%s\"}", id,
             content);
    f->writer.now = f->waiter.now;
    node_client_expect(node_client_admin(&f->writer, "POST", path, body), 201, NULL);
    node_client_settle(&f->waiter);
}

static struct node_reply ask(struct fixture *f, const char *target)
{
    say(f, target, "");
    return node_client_take(&f->waiter, false);
}

/* The cursor of an answer, into f->cursor. */
static void take_cursor(struct fixture *f, struct node_reply r)
{
    const char *at = strstr(r.body, "\"next\":\"");
    assert_non_null(at);
    snprintf(f->cursor, sizeof f->cursor, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
}

static const char *since(struct fixture *f, char out[128])
{
    snprintf(out, 128, "/changes?since=%s", f->cursor);
    return out;
}

static void changes_come_in_order_and_in_parts(void **state)
{
    struct fixture *f = *state;
    char target[128];
    post(f, "a/messages", "m1", "one");
    post(f, "b/messages", "m2", "two");
    post(f, "x/messages?namespace=other", "m3", "three");
    post(f, "a/messages", "m4", "four");
    struct node_reply r = ask(f, "/changes?limit=2");
    node_client_expect(r, 200, "\"more\":true");
    assert_non_null(strstr(r.body, "{\"conversation_id\":\"a\",\"message_id\":\"m1\","));
    assert_non_null(strstr(r.body, "\"role\":\"user\",\"content\":\"two\",\"deleted\":false}]"));
    take_cursor(f, r);
    r = ask(f, since(f, target));
    node_client_expect(r, 200, "\"content\":\"four\"");
    assert_null(strstr(r.body, "three"));
    assert_non_null(strstr(r.body, "\"more\":false"));
    take_cursor(f, r);
    node_client_expect(ask(f, since(f, target)), 200, "{\"changes\":[],");
    node_client_expect(ask(f, "/changes?since=now"), 200, "{\"changes\":[],");
    node_client_expect(ask(f, "/changes?namespace=other"), 200, "three");
}

static void changes_say_what_was_deleted(void **state)
{
    struct fixture *f = *state;
    post(f, "a/messages", "m1", "one");
    node_client_expect(
        node_client_admin(&f->writer, "DELETE", "/conversations/a/messages/m1", NULL), 200, NULL);
    node_client_expect(ask(f, "/changes"), 200, "\"deleted\":true");
    post(f, "a/messages", "m2", "two");
    node_client_expect(node_client_admin(&f->writer, "DELETE", "/conversations/a", NULL), 200,
                       NULL);
    node_client_expect(ask(f, "/changes"), 200, "{\"conversation_id\":\"a\",\"version\":");
}

static void changes_are_waited_for(void **state)
{
    struct fixture *f = *state;
    post(f, "a/messages", "m1", "one");
    say(f, "/changes?since=now&wait=30", "");
    assert_int_equal(0, f->waiter.got_len);
    post(f, "x/messages?namespace=other", "m", "elsewhere");
    assert_int_equal(0, f->waiter.got_len);
    post(f, "a/messages", "m2", "two");
    node_client_expect(node_client_take(&f->waiter, false), 200, "two");
    assert_int_equal(0, f->waiter.node->streams);
}

static void changes_that_do_not_come_are_said_after_the_wait(void **state)
{
    struct fixture *f = *state;
    say(f, "/changes?since=now&wait=30", "");
    node_client_wait(&f->waiter, 29 * PARLEY_NS_PER_S);
    assert_int_equal(0, f->waiter.got_len);
    node_client_wait(&f->waiter, 2 * PARLEY_NS_PER_S);
    node_client_expect(node_client_take(&f->waiter, false), 200, "{\"changes\":[],");
    assert_int_equal(0, f->waiter.node->streams);
}

/* What has come of the stream since the last call; checks that the chunks are whole. */
static const char *stream(struct fixture *f, char *out, size_t cap)
{
    struct node_client *c = &f->waiter;
    const char *at = (const char *)c->got;
    const char *end = at + c->got_len;
    size_t len = 0;
    while (at < end) {
        char *data;
        size_t size = strtoul(at, &data, 16);
        assert_memory_equal("\r\n", data, 2);
        assert_true(size + 4 <= (size_t)(end - data) && len + size < cap);
        memcpy(out + len, data + 2, size);
        assert_memory_equal("\r\n", data + 2 + size, 2);
        len += size;
        at = data + 4 + size;
    }
    out[len] = '\0';
    c->got_len = 0;
    return out;
}

static void begin_stream(struct fixture *f, const char *target, const char *more)
{
    char fields[256];
    snprintf(fields, sizeof fields, "Accept: text/event-stream\r\n%s", more);
    say(f, target, fields);
    struct node_reply r = node_client_take(&f->waiter, true);
    node_client_expect(r, 200, NULL);
    assert_non_null(strstr(r.head, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(r.head, "Transfer-Encoding: chunked\r\n"));
}

static void changes_stream_as_events(void **state)
{
    struct fixture *f = *state;
    char text[4096];
    post(f, "a/messages", "m1", "one");
    begin_stream(f, "/changes", "");
    stream(f, text, sizeof text);
    assert_non_null(strstr(text, "retry: 2000\n"));
    const char *event = strstr(text, "event: change\ndata: {\"conversation_id\":\"a\",");
    assert_non_null(event);
    assert_non_null(strstr(event, "\"content\":\"one\",\"deleted\":false}\n\n"));
    post(f, "a/messages", "m2", "two\\nlines");
    stream(f, text, sizeof text);
    assert_non_null(strstr(text, "\"content\":\"two\\nlines\""));
    assert_string_equal("", stream(f, text, sizeof text));
    /* Each has its cursor: whoever comes again with it misses nothing and sees nothing twice. */
    post(f, "a/messages", "m3", "three");
    stream(f, text, sizeof text);
    assert_memory_equal("id: ", text, 4);
    char last[128];
    snprintf(last, sizeof last, "Last-Event-ID: %.*s\r\n", (int)strcspn(text + 4, "\n"), text + 4);
    post(f, "a/messages", "m4", "four");
    node_client_connect(&f->waiter);
    begin_stream(f, "/changes", last);
    stream(f, text, sizeof text);
    assert_null(strstr(text, "three"));
    assert_non_null(strstr(text, "four"));
}

static void changes_that_stream_have_a_heartbeat(void **state)
{
    struct fixture *f = *state;
    char text[4096];
    begin_stream(f, "/changes?since=now", "");
    stream(f, text, sizeof text);
    for (int i = 0; i < 3; i++) {
        node_client_wait(&f->waiter, 14 * PARLEY_NS_PER_S);
        assert_string_equal("", stream(f, text, sizeof text));
        node_client_wait(&f->waiter, 1 * PARLEY_NS_PER_S);
        assert_memory_equal("id: ", stream(f, text, sizeof text), 4);
    }
}

static void changes_stream_to_http_1_0_until_the_end(void **state)
{
    struct fixture *f = *state;
    post(f, "a/messages", "m1", "one");
    const char *text = "GET /changes HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                       "Authorization: Bearer " NODE_CLIENT_ADMIN "\r\n\r\n";
    node_client_connect(&f->waiter);
    node_client_send(&f->waiter, text, strlen(text));
    struct node_reply r = node_client_take(&f->waiter, true);
    assert_null(strstr(r.head, "Transfer-Encoding"));
    assert_null(strstr(r.head, "Content-Length"));
    assert_non_null(strstr((char *)f->waiter.got, "\n\n"));
    assert_memory_equal("retry: ", f->waiter.got, 7);
}

static void changes_refuse_cursors_of_another_store(void **state)
{
    struct fixture *f = *state;
    char target[128];
    post(f, "a/messages", "m1", "one");
    take_cursor(f, ask(f, "/changes"));
    node_client_expect(ask(f, "/changes?since=7"), 400, "bad-cursor");
    node_client_expect(ask(f, "/changes?since=00-1"), 400, "bad-cursor");
    f->cursor[0] = f->cursor[0] == '0' ? '1' : '0';
    node_client_expect(ask(f, since(f, target)), 410, "cursor-gone");
    f->cursor[0] = f->cursor[0] == '0' ? '1' : '0';
    take_cursor(f, ask(f, "/changes"));
    snprintf(target, sizeof target, "/changes?since=%s0", f->cursor); /* beyond the head */
    node_client_expect(ask(f, target), 410, "cursor-gone");
}

static void changes_are_waited_for_by_a_bounded_crowd(void **state)
{
    struct fixture *f = *state;
    f->waiter.node->streams = PL_STREAMS_MAX;
    node_client_expect(ask(f, "/changes?since=now&wait=1"), 503, "too-many-streams");
    node_client_expect(ask(f, "/changes?since=now"), 200, NULL);
    f->waiter.node->streams = 0;
}

/* EventSource of browsers cannot send a header. */
static void changes_take_their_token_from_the_query(void **state)
{
    struct fixture *f = *state;
    node_client_expect(
        node_client_ask(&f->waiter, "GET", "/changes?access_token=" NODE_CLIENT_ADMIN, NULL, NULL),
        200, "changes");
    node_client_expect(
        node_client_ask(&f->waiter, "GET", "/changes?access_token=nonsense", NULL, NULL), 401,
        "token-malformed");
    node_client_expect(node_client_ask(&f->waiter, "GET",
                                       "/conversations?access_token=" NODE_CLIENT_ADMIN, NULL,
                                       NULL),
                       401, "token-missing");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_come_in_order_and_in_parts),
        TEST(changes_say_what_was_deleted),
        TEST(changes_are_waited_for),
        TEST(changes_that_do_not_come_are_said_after_the_wait),
        TEST(changes_stream_as_events),
        TEST(changes_that_stream_have_a_heartbeat),
        TEST(changes_stream_to_http_1_0_until_the_end),
        TEST(changes_refuse_cursors_of_another_store),
        TEST(changes_are_waited_for_by_a_bounded_crowd),
        TEST(changes_take_their_token_from_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
