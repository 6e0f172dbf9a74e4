/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /trash, POST /trash/restore and DELETE /trash.
 */
#include "lib/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Writes messages m0 to m<count-1> of a conversation, and puts them into the trash. */
static void fill(struct node_client *c, const char *conversation, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[128];
        char body[128];
        struct parley_read *read = NULL;
        struct parley_db_state state;
        bool changed = false;
        snprintf(path, sizeof path, "/conversations/%s/messages", conversation);
        snprintf(body, sizeof body,
                 "{\"message_id\":\"m%u\",\"role\":\"user\",\"content\":\"text %u\"}", i, i);
        node_client_expect(node_client_admin(c, "POST", path, body), 201, NULL);
        assert_ok(parley_read_begin(c->db, &read));
        assert_ok(parley_read_state(read, &state));
        parley_read_end(read);
        struct parley_write write = { .kind = PARLEY_WRITE_TRASH, .u.trash = state.head };
        assert_ok(parley_db_apply(c->db, &write, 1, c->now.wall, &changed));
        assert_int_equal(1, write.moved);
    }
}

static uint64_t count(struct node_client *c)
{
    struct parley_read *read = NULL;
    uint64_t number = 0;
    assert_ok(parley_read_begin(c->db, &read));
    assert_ok(parley_read_trash_count(read, &number));
    parley_read_end(read);
    return number;
}

/* `next` of an answer; false: it has none. */
static bool take_next(struct node_reply r, char out[640])
{
    const char *at = strstr(r.body, "\"next\":\"");
    if (at == NULL)
        return false;
    size_t len = strcspn(at + 8, "\"");
    assert_true(len < 640);
    memcpy(out, at + 8, len);
    out[len] = '\0';
    return true;
}

static void trash_is_listed_and_counted(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(node_client_admin(c, "GET", "/trash", NULL), 200,
                       "{\"count\":0,\"trash\":[]}");
    fill(c, "c", 1);
    fill(c, "d", 1);
    node_client_expect(node_client_admin(c, "GET", "/trash", NULL), 200,
                       "{\"count\":2,\"trash\":[");
    struct node_reply r = node_client_admin(c, "GET", "/trash?conversation=d", NULL);
    node_client_expect(r, 200, "{\"conversation_id\":\"d\",\"message_id\":\"m0\",\"version\":\"");
    node_client_expect(r, 200, "\"content\":\"text 0\"");
    assert_null(strstr(r.body, "\"conversation_id\":\"c\""));
    node_client_expect(node_client_admin(c, "GET", "/status", NULL), 200, "\"trash\":2");
    node_client_expect(node_client_admin(c, "GET", "/metrics", NULL), 200,
                       "parley_trash_versions 2\n");
    node_client_expect(node_client_admin(c, "GET", "/check", NULL), 200, "\"trash\":2");
    node_client_expect(node_client_admin(c, "GET", "/trash?namespace=other", NULL), 200,
                       "\"trash\":[]}");
}

static void trash_comes_page_by_page(void **state)
{
    struct node_client *c = client(state);
    char next[640] = "";
    unsigned seen = 0;
    fill(c, "c", 20);
    for (bool more = true; more;) {
        char path[700];
        snprintf(path, sizeof path, "/trash?limit=3%s%s", next[0] != '\0' ? "&after=" : "", next);
        struct node_reply r = node_client_admin(c, "GET", path, NULL);
        node_client_expect(r, 200, NULL);
        for (const char *at = r.body; (at = strstr(at, "\"content\"")) != NULL; at++)
            seen++;
        more = take_next(r, next);
    }
    assert_int_equal(20, seen);
    node_client_expect(node_client_admin(c, "GET", "/trash?after=zz", NULL), 400, "bad-query");
}

static void what_is_restored_is_current_again_and_out_of_the_trash(void **state)
{
    struct node_client *c = client(state);
    fill(c, "c", 2);
    fill(c, "d", 1);
    node_client_expect(node_client_admin(c, "GET", "/conversations/c", NULL), 404, NULL);
    node_client_expect(node_client_admin(c, "POST", "/trash/restore", "{\"message_id\":\"m1\"}"),
                       400, "missing-field");
    node_client_expect(node_client_admin(c, "POST", "/trash/restore",
                                         "{\"conversation_id\":\"c\",\"message_id\":\"m1\"}"),
                       200, "{\"restored\":1");
    assert_int_equal(2, count(c));
    struct node_reply r = node_client_admin(c, "GET", "/conversations/c", NULL);
    node_client_expect(r, 200, "text 1");
    assert_null(strstr(r.body, "text 0"));
    node_client_expect(node_client_admin(c, "POST", "/trash/restore", "{}"), 200,
                       "{\"restored\":2}");
    assert_int_equal(0, count(c));
    node_client_expect(node_client_admin(c, "GET", "/conversations/d", NULL), 200, "text 0");
    struct parley_check_report report;
    assert_ok(parley_db_check(c->db, &report));
    assert_int_equal(0, report.problems);
}

/* More than a batch or a look holds. */
static void all_of_a_large_trash_is_restored_or_dropped_in_parts(void **state)
{
    struct node_client *c = client(state);
    for (int drops = 0; drops < 2; drops++) {
        char next[640] = "";
        unsigned rounds = 0;
        fill(c, drops == 0 ? "c" : "d", 40);
        for (bool more = true; more; rounds++) {
            char text[800];
            snprintf(text, sizeof text, drops == 0 ? "{\"after\":\"%s\"}" : "/trash?after=%s",
                     next);
            struct node_reply r =
                drops == 0 ? node_client_admin(c, "POST", "/trash/restore", text)
                           : node_client_admin(c, "DELETE", rounds == 0 ? "/trash" : text, NULL);
            node_client_expect(r, 200, NULL);
            more = take_next(r, next);
            assert_true(rounds < 100);
        }
        assert_int_equal(0, count(c));
    }
    node_client_expect(node_client_admin(c, "GET", "/conversations/c", NULL), 200, "text 39");
    node_client_expect(node_client_admin(c, "GET", "/conversations/d", NULL), 404, NULL);
}

/* A restored version and its way out of the trash are one transaction. */
static void nothing_is_said_to_be_restored_before_it_is_durable(void **state)
{
    struct node_client *c = client(state);
    fill(c, "c", 1);
    c->hold_commits = true;
    char request[512];
    snprintf(request, sizeof request,
             "POST /trash/restore HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
             "Content-Length: 2\r\n\r\n{}",
             NODE_CLIENT_ADMIN);
    node_client_connect(c);
    assert_int_equal(strlen(request), node_client_send(c, request, strlen(request)));
    node_client_settle(c);
    assert_true(c->has_held);
    assert_int_equal(0, c->got_len);
    c->hold_commits = false;
    node_client_commit(c);
    node_client_settle(c);
    node_client_expect(node_client_take(c, false), 200, "{\"restored\":1}");
}

#define TRASH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRASH_TEST(trash_is_listed_and_counted),
        TRASH_TEST(trash_comes_page_by_page),
        TRASH_TEST(what_is_restored_is_current_again_and_out_of_the_trash),
        TRASH_TEST(all_of_a_large_trash_is_restored_or_dropped_in_parts),
        TRASH_TEST(nothing_is_said_to_be_restored_before_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
