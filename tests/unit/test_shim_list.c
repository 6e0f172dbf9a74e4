/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /conversations: the newest first, each once, whatever the pages, equal times, lagging sets.
 */
#include "lib/resource_fixture.h"

static const char *list(struct node_client *c, const char *target, unsigned *pages)
{
    static char out[1u << 16];
    return follow(c, target, "conversation_id", out, sizeof out, pages);
}

static void expect_list(struct node_client *c, const char *target, const char *want)
{
    unsigned pages;
    assert_string_equal(want, list(c, target, &pages));
}

/* `count` conversations "p<nnnn>" of some registers each, all of one time: sets lag behind them. */
static void import(struct node_client *c, const char *prefix, int count, const char *time)
{
    struct pl_writer body = text_of((size_t)count * 512 + 1);
    for (int i = 0; i < count; i++)
        put(&body,
            "{\"conversation_id\":\"%s%04d\",\"title\":\"T\",\"surface\":\"S\",\"updated_at\":"
            "\"%s\",\"messages\":[{\"message_id\":\"m\",\"role\":\"u\",\"content\":\"x\","
            "\"timestamp\":\"%s\"},{\"message_id\":\"n\",\"role\":\"u\",\"content\":\"x\","
            "\"timestamp\":\"2020-01-01T00:00:00Z\"}]}\n",
            prefix, i, time, time);
    struct node_reply r = admin(c, "POST", "/import", text(&body));
    node_client_expect(r, 200, NULL);
    assert_null(strstr(r.body, "errors"));
    free(body.ptr);
}

static bool sets_lag(struct node_client *c)
{
    struct parley_read *read;
    struct parley_db_state state;
    assert_ok(parley_read_begin(c->db, &read));
    assert_ok(parley_read_state(read, &state));
    parley_read_end(read);
    return state.indexed != state.head;
}

/* Each of `count` ids with the prefix, once. */
static void expect_each_once(const char *ids, const char *prefix, int count)
{
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s%04d ", prefix, i);
        const char *at = strstr(ids, id);
        if (at == NULL || strstr(at + 1, id) != NULL)
            fail_msg("%s is listed %s", id, at == NULL ? "never" : "twice");
    }
}

static void list_has_the_newest_first(void **state)
{
    struct node_client *c = client(state);
    say(c, "a", "m", "1");
    say(c, "b", "m", "2");
    say(c, "c", "m", "3");
    expect_list(c, "/conversations?order=time", "c b a ");
    say(c, "a", "m2", "4");
    expect_list(c, "/conversations?limit=100", "a c b ");
    node_client_expect(admin(c, "PATCH", "/conversations/b/messages/m", "{\"content\":\"5\"}"), 200,
                       NULL);
    struct node_reply r = admin(c, "GET", "/conversations", NULL);
    node_client_expect(r, 200,
                       "{\"conversations\":[{\"conversation_id\":\"b\",\"title\":\"\","
                       "\"updated_at\":\"2023-11-14T22:13:20.00000");
    node_client_expect(r, 200, "\"messages\":1},{\"conversation_id\":\"a\"");
    assert_null(strstr(r.body, "next"));
}

static void list_goes_page_by_page(void **state)
{
    struct node_client *c = client(state);
    unsigned pages = 0;
    say(c, "a", "m", "1");
    say(c, "b", "m", "2");
    say(c, "a", "n", "3");
    say(c, "c", "m", "4");
    assert_string_equal("c a b ", list(c, "/conversations?limit=1", &pages));
    assert_in_range(pages, 3, 4);
    assert_string_equal("c a b ", list(c, "/conversations?limit=2", &pages));
}

/* Registers of one time are in the order of digests: none may show its conversation again. */
static void list_shows_conversations_of_one_time_once(void **state)
{
    struct node_client *c = client(state);
    unsigned pages;
    import(c, "p", 30, "2023-01-01T00:00:00Z");
    expect_each_once(list(c, "/conversations?limit=1", &pages), "p", 30);
    expect_each_once(list(c, "/conversations?limit=7", &pages), "p", 30);
    expect_each_once(list(c, "/conversations?limit=1000", &pages), "p", 30);
    assert_int_equal(30 * 6, strlen(list(c, "/conversations?limit=1000", &pages)));
}

static void list_misses_nothing_that_the_sets_lag_behind(void **state)
{
    struct node_client *c = client(state);
    unsigned pages;
    say(c, "old", "m", "1");
    import(c, "p", 120, "2023-11-14T22:14:00Z");
    assert_true(sets_lag(c));
    const char *ids = list(c, "/conversations?limit=200", &pages);
    expect_each_once(ids, "p", 120);
    assert_string_equal("old ", ids + 120 * 6);
    assert_false(sets_lag(c));
}

static void name(struct node_client *c, const char *id, const char *title)
{
    char target[96];
    char body[128];
    snprintf(target, sizeof target, "/conversations/%s", id);
    snprintf(body, sizeof body, "{\"title\":%s}", title);
    say(c, id, "m", "x");
    node_client_expect(admin(c, "PATCH", target, body), 200, NULL);
}

static void list_finds_titles_that_contain_a_text(void **state)
{
    struct node_client *c = client(state);
    unsigned pages;
    name(c, "a", "\"Sourdough bread\"");
    name(c, "b", "\"Gr\\u00fc\\u00dfe\"");
    name(c, "c", "\"BREAD, again\"");
    name(c, "d", "\"Bread\"");
    node_client_expect(admin(c, "PATCH", "/conversations/d", "{\"title\":null}"), 200, NULL);
    say(c, "e", "m", "bread");
    expect_list(c, "/conversations?title=bread", "c a ");
    expect_list(c, "/conversations?title=dough+B", "a ");
    expect_list(c, "/conversations?title=doughb", "");
    expect_list(c, "/conversations?title=H%20b", "a ");
    expect_list(c, "/conversations?title=Gr%C3%BC%C3%9Fe", "b ");
    expect_list(c, "/conversations?title=Sourdough%20bread!", "");
    expect_list(c, "/conversations?title=", "e d c b a ");
    expect_list(c, "/conversations?title=bread&order=id&prefix=c", "c ");
    assert_string_equal("c a ", list(c, "/conversations?title=bread&limit=1", &pages));
    assert_string_equal("a c ", list(c, "/conversations?title=bread&limit=1&order=id", &pages));
    node_client_expect(admin(c, "GET", "/conversations?title=%zz", NULL), 400, "title");
}

/* Without room the sets stay behind: that is said, and the other order needs none of them. */
static void list_says_that_it_cannot_bring_the_sets_on(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = { .fail_put_after = 0,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    struct pl_store_mem_faults none = { .fail_put_after = -1, .fail_commit_after = -1 };
    unsigned pages;
    import(&f->c, "p", 120, "2023-01-01T00:00:00Z");
    assert_true(sets_lag(&f->c));
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    struct node_reply r = admin(&f->c, "GET", "/conversations", NULL);
    node_client_expect(r, 503, "order=id");
    assert_non_null(strstr(r.head, "Retry-After: 1\r\n"));
    expect_each_once(list(&f->c, "/conversations?order=id&limit=50", &pages), "p", 120);
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &none);
    expect_each_once(list(&f->c, "/conversations?limit=50", &pages), "p", 120);
}

static void list_filters_by_prefix_and_time(void **state)
{
    struct node_client *c = client(state);
    say(c, "a", "m", "1");
    say(c, "team", "m", "2");
    say(c, "team-1", "m", "3");
    node_client_wait(c, 10 * PARLEY_NS_PER_S);
    say(c, "team-2", "m", "4");
    say(c, "tea", "m", "5");
    expect_list(c, "/conversations?prefix=team", "team-2 team-1 team ");
    expect_list(c, "/conversations?prefix=team&order=id", "team team-1 team-2 ");
    expect_list(c, "/conversations?prefix=team&order=id&limit=1", "team team-1 team-2 ");
    expect_list(c, "/conversations?prefix=no", "");
    expect_list(c, "/conversations?updated_since=2023-11-14T22:13:25Z", "tea team-2 ");
    expect_list(c, "/conversations?updated_since=1700000005000000&prefix=team", "team-2 ");
    expect_list(c, "/conversations?updated_since=1700000005000000&order=id", "tea team-2 ");
    node_client_expect(admin(c, "GET", "/conversations?updated_since=yesterday", NULL), 400,
                       "updated_since: must be an ISO 8601 time");
}

static void list_uses_the_view_of_a_prefix(void **state)
{
    struct node_client *c = client(state);
    enum parley_view_state view = PARLEY_VIEW_NONE;
    say(c, "a", "m", "1");
    say(c, "team-1", "m", "2");
    say(c, "team-2", "m", "3");
    for (int i = 0; i < 50 && view != PARLEY_VIEW_READY; i++) {
        struct parley_write write = { .kind = PARLEY_WRITE_VIEW,
                                      .u.view = { .name_space = pl_span_text("main"),
                                                  .prefix = pl_span_text("team") } };
        struct parley_read *read;
        assert_ok(parley_db_apply(c->db, &write, 1, c->now.wall, NULL));
        assert_ok(parley_read_begin(c->db, &read));
        assert_ok(parley_read_view(read, pl_span_text("main"), pl_span_text("team"), &view));
        parley_read_end(read);
    }
    assert_int_equal(PARLEY_VIEW_READY, view);
    say(c, "team-1", "n", "4");
    expect_list(c, "/conversations?prefix=team&limit=1", "team-1 team-2 ");
    /* It does not come by what others have said since. */
    unsigned pages = 0;
    import(c, "p", 60, "2023-11-14T22:14:00Z");
    assert_string_equal("team-1 team-2 ", list(c, "/conversations?prefix=team", &pages));
    assert_int_equal(1, pages);
}

static void list_leaves_out_what_is_deleted(void **state)
{
    struct node_client *c = client(state);
    say(c, "a", "m", "1");
    say(c, "b", "m", "2");
    say(c, "c", "m", "3");
    say(c, "a", "n", "4");
    node_client_expect(admin(c, "DELETE", "/conversations/b", NULL), 200, NULL);
    /* A deletion is the newest that happened there. */
    node_client_expect(admin(c, "DELETE", "/conversations/a/messages/n", NULL), 200, NULL);
    expect_list(c, "/conversations?limit=10", "a c ");
    expect_list(c, "/conversations?limit=1", "a c ");
}

/* Many elements above the next conversation: the page comes short, and goes on. */
static void list_comes_to_what_lies_under_a_busy_conversation(void **state)
{
    struct node_client *c = client(state);
    say(c, "quiet", "m", "1");
    for (int i = 0; i < 120; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        say(c, "busy", id, "x");
    }
    unsigned pages = 0;
    assert_string_equal("busy quiet ", list(c, "/conversations?limit=10", &pages));
    assert_in_range(pages, PL_LIMIT(1, 3), 5);
}

/* Its newest time belongs to two messages, which are not the first of its registers. */
static void list_looks_into_long_conversations(void **state)
{
    struct node_client *c = client(state);
    struct pl_writer body = text_of(16384);
    put(&body, "{\"conversation_id\":\"long\",\"messages\":[");
    for (int i = 0; i < 60; i++)
        put(&body,
            "%s{\"message_id\":\"m%02d\",\"role\":\"u\",\"content\":\"x\","
            "\"timestamp\":\"2023-01-01T00:00:%02dZ\"}",
            i == 0 ? "" : ",", i, i > 57 ? 58 : i);
    put(&body, "],\"updated_at\":\"2023-01-01T00:00:01Z\"}");
    node_client_expect(admin(c, "POST", "/import", text(&body)), 200, "\"created\":1");
    free(body.ptr);
    say(c, "new", "m", "x");
    expect_list(c, "/conversations?limit=1", "new long ");
}

static void list_refuses_what_it_cannot_read(void **state)
{
    static const char *const cursors[] = { "x",
                                           "",
                                           "t00",
                                           "a",
                                           "t0000000000000000000000000000000000000000000000zz",
                                           "u000000000000000000000000000000000000000000000000" };
    struct node_client *c = client(state);
    say(c, "a", "m", "1");
    for (size_t i = 0; i < PL_ARRAY_LEN(cursors); i++) {
        char path[256];
        snprintf(path, sizeof path, "/conversations?after=%s", cursors[i]);
        node_client_expect(admin(c, "GET", path, NULL), 400, "\"code\":\"bad-cursor\"");
    }
    node_client_expect(admin(c, "GET", "/conversations?order=size", NULL), 400,
                       "order: must be \\\"time\\\" or \\\"id\\\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(list_has_the_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_goes_page_by_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_shows_conversations_of_one_time_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(list_misses_nothing_that_the_sets_lag_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(list_finds_titles_that_contain_a_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_says_that_it_cannot_bring_the_sets_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(list_filters_by_prefix_and_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_uses_the_view_of_a_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_leaves_out_what_is_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_comes_to_what_lies_under_a_busy_conversation, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(list_looks_into_long_conversations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_refuses_what_it_cannot_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
