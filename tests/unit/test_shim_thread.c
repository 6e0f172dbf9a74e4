/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of a conversation: pages by time in both orders, and one of them.
 */
#include "lib/resource_fixture.h"

#define MESSAGES "/conversations/c/messages"

static void expect_ids(struct node_client *c, const char *target, const char *want)
{
    static char out[1u << 16];
    unsigned pages;
    assert_string_equal(want, follow(c, target, "message_id", out, sizeof out, &pages));
}

/* Ids are not in the order of time: d, c, b, a, a second apart from 22:13:20 on. */
static void talk(struct node_client *c)
{
    static const char *const ids[] = { "d", "c", "b", "a" };
    for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++) {
        say(c, "c", ids[i], ids[i]);
        node_client_wait(c, PARLEY_NS_PER_S);
    }
}

static void thread_is_in_the_order_of_time(void **state)
{
    struct node_client *c = client(state);
    talk(c);
    expect_ids(c, MESSAGES "?order=asc", "d c b a ");
    expect_ids(c, MESSAGES "?order=desc", "a b c d ");
    expect_ids(c, MESSAGES "?limit=1", "d c b a ");
    expect_ids(c, MESSAGES "?limit=3&order=desc", "a b c d ");
    struct node_reply r = admin(c, "GET", MESSAGES "?limit=4", NULL);
    node_client_expect(r, 200,
                       "{\"messages\":[{\"message_id\":\"d\",\"role\":\"user\",\"content\":\"d\","
                       "\"timestamp\":\"2023-11-14T22:13:20.000000Z\",\"source_backend\":\"local_");
    assert_null(strstr(r.body, "next"));
}

static void thread_takes_a_range_of_time(void **state)
{
    struct node_client *c = client(state);
    talk(c);
    expect_ids(c, MESSAGES "?since=2023-11-14T22:13:21Z", "c b a ");
    expect_ids(c, MESSAGES "?until=2023-11-14T22:13:22Z", "d c ");
    expect_ids(c, MESSAGES "?since=1700000001000000&until=1700000003000000&limit=1", "c b ");
    expect_ids(c, MESSAGES "?since=1700000001000000&until=1700000003000000&order=desc", "b c ");
    expect_ids(c, MESSAGES "?since=2030-01-01T00:00", "");
}

/* An edit keeps the place; a deletion leaves none. */
static void thread_shows_what_is_live_in_its_place(void **state)
{
    struct node_client *c = client(state);
    talk(c);
    node_client_expect(admin(c, "PATCH", MESSAGES "/d", "{\"content\":\"new\"}"), 200, NULL);
    node_client_expect(admin(c, "DELETE", MESSAGES "/b", NULL), 200, NULL);
    expect_ids(c, MESSAGES "?limit=2", "d c a ");
    node_client_expect(admin(c, "GET", MESSAGES "?limit=1", NULL), 200, "\"content\":\"new\"");
    node_client_expect(admin(c, "GET", MESSAGES "/b", NULL), 404, "no-such-message");
}

static void thread_ends_a_page_that_is_large(void **state)
{
    struct node_client *c = client(state);
    for (int i = 0; i < 3; i++) {
        struct pl_writer body = text_of(5000200);
        put(&body, "{\"message_id\":\"m%d\",\"role\":\"u\",\"content\":\"", i);
        put_many(&body, 'x', 5000000);
        put(&body, "\"}");
        node_client_expect(admin(c, "POST", MESSAGES, text(&body)), 201, NULL);
        free(body.ptr);
    }
    struct node_reply r = admin(c, "GET", MESSAGES, NULL);
    assert_true(r.body_len < 11000000);
    expect_ids(c, MESSAGES "?order=asc", "m0 m1 m2 ");
}

static void thread_of_many_pauses_and_goes_on(void **state)
{
    struct node_client *c = client(state);
    struct pl_writer want = text_of(4096);
    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%02d", (i * 7) % 40);
        say(c, "c", id, "x");
        put(&want, "%s ", id);
    }
    expect_ids(c, MESSAGES "?limit=3", text(&want));
    expect_ids(c, MESSAGES "?limit=100", text(&want));
    free(want.ptr);
}

static void thread_shows_one_message(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "POST", MESSAGES,
                             "{\"message_id\":\"a/b\",\"role\":\"u\",\"content\":\"x\",\"k\":[1]}"),
                       201, NULL);
    struct node_reply r = admin(c, "GET", MESSAGES "/a%2Fb", NULL);
    node_client_expect(r, 200, "{\"message_id\":\"a/b\",\"role\":\"u\",\"content\":\"x\",");
    node_client_expect(r, 200, ",\"k\":[1]}");
    node_client_expect(admin(c, "GET", MESSAGES "/none", NULL), 404, "no-such-message");
    node_client_expect(admin(c, "GET", "/conversations/no/messages/m", NULL), 404,
                       "no-such-conversation");
    node_client_expect(admin(c, "GET", "/conversations/no/messages", NULL), 404,
                       "no-such-conversation");
}

static void thread_refuses_what_it_cannot_read(void **state)
{
    struct node_client *c = client(state);
    talk(c);
    static const char *const cursors[] = { "", "0", "zz", "0005000000000000",
                                           "00050000000000zz61" };
    for (size_t i = 0; i < PL_ARRAY_LEN(cursors); i++) {
        char path[256];
        snprintf(path, sizeof path, MESSAGES "?after=%s", cursors[i]);
        node_client_expect(admin(c, "GET", path, NULL), 400, "\"code\":\"bad-cursor\"");
    }
    node_client_expect(admin(c, "GET", MESSAGES "?order=up", NULL), 400, "order: must be");
    node_client_expect(admin(c, "GET", MESSAGES "?since=x", NULL), 400, "since: must be");
    node_client_expect(admin(c, "GET", MESSAGES "?limit=0", NULL), 400, "limit: must be");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thread_is_in_the_order_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_takes_a_range_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_shows_what_is_live_in_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_ends_a_page_that_is_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_of_many_pauses_and_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_shows_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_refuses_what_it_cannot_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
