/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /conflicts and POST /conversations/{id}/promote.
 */
#include "lib/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static struct node_reply get(struct node_client *c, const char *target)
{
    return node_client_admin(c, "GET", target, NULL);
}

/* A version as another node would have written it, at this minute of an hour. */
static void write_as(struct node_client *c, const char *conversation, const char *id, int minute,
                     const char *origin, const char *text)
{
    char line[1024];
    snprintf(line, sizeof line,
             "{\"conversation_id\":\"%s\",\"updated_at\":\"2023-01-01T10:00:00\",\"messages\":["
             "{\"message_id\":\"%s\",\"role\":\"user\",\"content\":\"%s\","
             "\"timestamp\":\"2023-01-01T10:%02d:00\",\"source_backend\":\"%s\"}]}",
             conversation, id, text, minute, origin);
    node_client_expect(node_client_admin(c, "POST", "/import", line), 200, "\"received\":1");
}

static void conflict(struct node_client *c, const char *conversation, const char *id, int minute)
{
    write_as(c, conversation, id, minute, "ann", "of ann");
    write_as(c, conversation, id, minute + 1, "bob", "of bob");
}

/* The version name that stands before this text in a body. */
static void name_of(struct node_reply r, const char *text, char out[17])
{
    const char *found = NULL;
    const char *end = strstr(r.body, text);
    assert_non_null(end);
    for (const char *at = r.body; (at = strstr(at, "\"version\":\"")) != NULL && at < end; at++)
        found = at;
    assert_non_null(found);
    memcpy(out, found + 11, 16);
    out[16] = '\0';
}

static struct node_reply promote(struct node_client *c, const char *conversation, const char *name)
{
    char path[128];
    char body[128];
    snprintf(path, sizeof path, "/conversations/%s/promote", conversation);
    snprintf(body, sizeof body, "{\"message_id\":\"m\",\"version\":\"%s\"}", name);
    return node_client_admin(c, "POST", path, body);
}

/* ---- Listing ---- */

static void conflicts_show_winner_and_losers(void **state)
{
    struct node_client *c = client(state);
    conflict(c, "c", "m", 1);
    struct node_reply r = get(c, "/conflicts");
    node_client_expect(r, 200,
                       "{\"conflicts\":[{\"namespace\":\"main\",\"conversation_id\":\"c\","
                       "\"message_id\":\"m\",\"winner\":{\"version\":\"");
    node_client_expect(r, 200,
                       "\"source_backend\":\"bob\",\"role\":\"user\",\"content\":\"of bob\"");
    node_client_expect(r, 200, "\"content\":\"of ann\",\"deleted\":false,\"conflict\":true}]}]}");
}

static void conflicts_leave_out_ordinary_edits_unless_asked(void **state)
{
    struct node_client *c = client(state);
    write_as(c, "c", "m", 1, "ann", "one");
    write_as(c, "c", "m", 2, "ann", "two");
    node_client_expect(get(c, "/conflicts"), 200, "{\"conflicts\":[]}");
    node_client_expect(get(c, "/conflicts?all=1"), 200, "\"conflict\":false");
}

static void conflicts_come_newest_first_page_by_page(void **state)
{
    struct node_client *c = client(state);
    char path[700] = "/conflicts?limit=2";
    static const char *const order[] = { "t-3", "t-1", "t-4", "t-2", "t-0" };
    for (int i = 0; i < 5; i++)
        conflict(c, order[4 - i], "m", 10 + 2 * i);
    for (size_t i = 0; i < PL_ARRAY_LEN(order); i += 2) {
        struct node_reply r = get(c, path);
        char want[64];
        snprintf(want, sizeof want,
                 "{\"conflicts\":[{\"namespace\":\"main\",\"conversation_id\":\"%s\"", order[i]);
        node_client_expect(r, 200, want);
        const char *next = strstr(r.body, "\"next\":\"");
        assert_int_equal(i + 2 < PL_ARRAY_LEN(order), next != NULL);
        if (next == NULL)
            break;
        assert_non_null(strstr(r.body, order[i + 1]));
        assert_null(strstr(r.body, order[i + 2]));
        snprintf(path, sizeof path, "/conflicts?limit=2&after=%.*s", (int)strcspn(next + 8, "\""),
                 next + 8);
    }
}

static void conflicts_go_on_after_the_longest_id(void **state)
{
    struct node_client *c = client(state);
    char path[700];
    char id[PARLEY_ID_BYTES_MAX + 1];
    memset(id, 'i', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    conflict(c, "c", id, 3);
    conflict(c, "c", "m", 1);
    struct node_reply r = get(c, "/conflicts?limit=1");
    node_client_expect(r, 200, id);
    const char *next = strstr(r.body, "\"next\":\"");
    assert_non_null(next);
    snprintf(path, sizeof path, "/conflicts?after=%.*s", (int)strcspn(next + 8, "\""), next + 8);
    r = get(c, path);
    node_client_expect(r, 200, "\"message_id\":\"m\"");
    assert_null(strstr(r.body, id));
}

static void conflicts_are_of_one_namespace_or_one_conversation(void **state)
{
    struct node_client *c = client(state);
    conflict(c, "a", "m", 1);
    conflict(c, "b", "m", 1);
    struct node_reply r = get(c, "/conflicts?conversation=b");
    node_client_expect(r, 200, "\"conversation_id\":\"b\"");
    assert_null(strstr(r.body, "\"conversation_id\":\"a\""));
    node_client_expect(get(c, "/conflicts?namespace=other"), 200, "{\"conflicts\":[]}");
    node_client_expect(get(c, "/conflicts?conversation=none"), 404, "no-such-conversation");
}

static void conflicts_refuse_a_cursor_that_is_none(void **state)
{
    static const char *const bad[] = { "x", "00", "0102030405060708090a0b0c0", "zz" };
    char path[128];
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        snprintf(path, sizeof path, "/conflicts?after=%s", bad[i]);
        node_client_expect(get(client(state), path), 400, "bad-query");
    }
}

static void conflicts_cut_long_content_between_characters(void **state)
{
    struct node_client *c = client(state);
    char text[301];
    for (size_t i = 0; i < 300; i += 2)
        memcpy(text + i, "\xc3\xbc", 2);
    text[0] = 'x';
    text[1] = 'x';
    text[300] = '\0';
    write_as(c, "c", "m", 1, "ann", text);
    write_as(c, "c", "m", 2, "bob", text + 2);
    struct node_reply r = get(c, "/conflicts");
    node_client_expect(r, 200, "\"cut\":true");
    assert_null(strstr(r.body, text));
}

/* ---- Promoting ---- */

static void promote_makes_a_loser_current_again(void **state)
{
    struct node_client *c = client(state);
    char name[17];
    conflict(c, "c", "m", 1);
    name_of(get(c, "/conflicts"), "of ann", name);
    node_client_expect(promote(c, "c", name), 200, "{\"message_id\":\"m\",\"timestamp\":\"");
    struct node_reply r = get(c, "/conversations/c");
    node_client_expect(r, 200, "\"content\":\"of ann\"");
    /* It keeps its place: when it was first said. */
    node_client_expect(r, 200, "\"created_at\":\"2023-01-01T10:01:00.000000Z\"");
    node_client_expect(get(c, "/conflicts"), 200, "{\"conflicts\":[]}");
    /* Again changes nothing. */
    uint64_t changes = c->changes;
    node_client_expect(promote(c, "c", name), 200, NULL);
    assert_int_equal(changes, c->changes);
}

static void promote_undoes_a_deletion(void **state)
{
    struct node_client *c = client(state);
    char name[17];
    write_as(c, "c", "m", 1, "ann", "hello");
    name_of(get(c, "/conversations/c/history"), "hello", name);
    node_client_expect(node_client_admin(c, "DELETE", "/conversations/c/messages/m", NULL), 200,
                       NULL);
    node_client_expect(promote(c, "c", name), 200, NULL);
    node_client_expect(get(c, "/conversations/c"), 200, "hello");
    node_client_expect(node_client_admin(c, "DELETE", "/conversations/c", NULL), 200, NULL);
    node_client_expect(promote(c, "c", name), 200, NULL);
    node_client_expect(get(c, "/conversations/c"), 200, "hello");
}

static void promote_takes_header_fields(void **state)
{
    struct node_client *c = client(state);
    char name[17];
    char body[128];
    node_client_admin(
        c, "POST", "/import",
        "{\"conversation_id\":\"c\",\"title\":\"Old\",\"updated_at\":\"2023-01-01T00:00\"}");
    node_client_admin(
        c, "POST", "/import",
        "{\"conversation_id\":\"c\",\"title\":\"New\",\"updated_at\":\"2023-01-02T00:00\"}");
    name_of(get(c, "/conversations/c/history"), "\"Old\"", name);
    snprintf(body, sizeof body, "{\"field\":\"title\",\"version\":\"%.6s\"}", name);
    node_client_expect(node_client_admin(c, "POST", "/conversations/c/promote", body), 200,
                       "{\"field\":\"title\"");
    node_client_expect(get(c, "/conversations/c"), 200, "\"title\":\"Old\"");
}

static void promote_refuses_what_it_cannot_find(void **state)
{
    struct node_client *c = client(state);
    static const struct {
        const char *path, *body;
        unsigned status;
        const char *code;
    } cases[] = {
        { "/conversations/c/promote", "{\"message_id\":\"m\"}", 400, "missing-field" },
        { "/conversations/c/promote", "{\"version\":\"abcd\"}", 400, "missing-field" },
        { "/conversations/c/promote", "{\"message_id\":\"m\",\"field\":\"t\",\"version\":\"abcd\"}",
          400, "missing-field" },
        { "/conversations/c/promote", "{\"message_id\":\"m\",\"version\":\"abc\"}", 400,
          "bad-version" },
        { "/conversations/c/promote", "{\"message_id\":\"m\",\"version\":\"ABCD\"}", 400,
          "bad-version" },
        { "/conversations/c/promote", "{\"message_id\":\"m\",\"version\":\"00000000\"}", 404,
          "no-such-version" },
        { "/conversations/c/promote", "{\"message_id\":\"x\",\"version\":\"00000000\"}", 404,
          "no-such-version" },
        { "/conversations/x/promote", "{\"message_id\":\"m\",\"version\":\"00000000\"}", 404,
          "no-such-conversation" },
    };
    conflict(c, "c", "m", 1);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        node_client_expect(node_client_admin(c, "POST", cases[i].path, cases[i].body),
                           cases[i].status, cases[i].code);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(conflicts_show_winner_and_losers),
        TEST(conflicts_leave_out_ordinary_edits_unless_asked),
        TEST(conflicts_come_newest_first_page_by_page),
        TEST(conflicts_go_on_after_the_longest_id),
        TEST(conflicts_are_of_one_namespace_or_one_conversation),
        TEST(conflicts_refuse_a_cursor_that_is_none),
        TEST(conflicts_cut_long_content_between_characters),
        TEST(promote_makes_a_loser_current_again),
        TEST(promote_undoes_a_deletion),
        TEST(promote_takes_header_fields),
        TEST(promote_refuses_what_it_cannot_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
