/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /conversations and PATCH /conversations/{id}.
 */
#include "lib/resource_fixture.h"

#define WHOLE                                                                                      \
    "{\"conversation_id\":\"c\",\"title\":\"T\",\"surface\":\"web\",\"metadata\":{\"k\":[1]},"     \
    "\"mood\":\"good\",\"created_at\":\"2023-01-01T00:00:00Z\",\"messages\":[{\"message_id\":"     \
    "\"m\","                                                                                       \
    "\"role\":\"user\",\"content\":\"hi\",\"x\":1},{\"role\":\"assistant\",\"content\":\"ho\"}]}"

/* Commits of what was asked for: the node has written what it is before. */
static uint64_t changes(const struct node_client *c)
{
    return c->changes - 1;
}

static struct node_reply create(struct node_client *c, const char *body)
{
    return admin(c, "POST", "/conversations", body);
}

static void create_makes_a_whole_conversation_in_one_commit(void **state)
{
    struct node_client *c = client(state);
    char shown[4096];
    char tag[256], same[256];
    struct node_reply r = create(c, WHOLE);
    node_client_expect(r, 201,
                       "{\"conversation_id\":\"c\",\"title\":\"T\",\"surface\":\"web\","
                       "\"created_at\":\"2023-01-01T00:00:00.000000Z\",\"updated_at\":\"2023-11-14T"
                       "22:13:20.00000");
    node_client_expect(r, 201, "\"metadata\":{\"k\":[1]},\"mood\":\"good\",\"messages\":[");
    node_client_expect(r, 201, "{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"hi\",");
    node_client_expect(r, 201, "\"role\":\"assistant\",\"content\":\"ho\"");
    snprintf(shown, sizeof shown, "%s", r.body);
    header_of(r, "ETag", tag);
    assert_int_equal(1, changes(c));
    r = admin(c, "GET", "/conversations/c", NULL);
    assert_string_equal(shown, r.body);
    assert_string_equal(tag, header_of(r, "ETag", same));
}

static void create_may_be_repeated(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(create(c, WHOLE), 201, NULL);
    node_client_expect(create(c, WHOLE), 200, "\"title\":\"T\"");
    /* What came to it since is no contradiction. */
    say(c, "c", "later", "x");
    node_client_expect(create(c, WHOLE), 200, "later");
    assert_int_equal(2, changes(c));
    static const char *const others[] = {
        "{\"conversation_id\":\"c\",\"title\":\"U\"}",
        "{\"conversation_id\":\"c\",\"metadata\":{\"k\":[2]}}",
        "{\"conversation_id\":\"c\",\"mood\":\"bad\"}",
        "{\"conversation_id\":\"c\",\"created_at\":\"2024-01-01T00:00:00Z\"}",
        "{\"conversation_id\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":\"other\"}]}",
        ("{\"conversation_id\":\"c\",\"messages\":[{\"message_id\":\"m\",\"role\":\"user\","
         "\"content\":\"no\"}]}"),
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(others); i++)
        node_client_expect(create(c, others[i]), 409, "\"code\":\"conversation-exists\"");
    assert_int_equal(2, changes(c));
}

static void create_makes_an_id_and_a_time(void **state)
{
    struct node_client *c = client(state);
    char first[1024], second[1024];
    struct node_reply r = create(c, "{}");
    node_client_expect(r, 201, "\"created_at\":\"2023-11-14T22:13:20.000000Z\"");
    assert_int_equal(32, strlen(field_of(r.body, "conversation_id", first)));
    r = create(c, "{\"title\":null,\"other\":null}");
    node_client_expect(r, 201, "\"title\":\"\"");
    assert_null(strstr(r.body, "other"));
    assert_string_not_equal(first, field_of(r.body, "conversation_id", second));
}

static void create_takes_an_idempotency_key(void **state)
{
    struct node_client *c = client(state);
    char first[1024], second[1024], path[1100];
    const char *key = "Idempotency-Key: k\r\n";
    field_of(with(c, "POST", "/conversations", key, "{\"title\":\"T\"}").body, "conversation_id",
             first);
    struct node_reply r = with(c, "POST", "/conversations", key, "{\"title\":\"T\"}");
    node_client_expect(r, 200, NULL);
    assert_string_equal(first, field_of(r.body, "conversation_id", second));
    node_client_expect(with(c, "POST", "/conversations", key, "{\"title\":\"U\"}"), 409, NULL);
    snprintf(path, sizeof path, "/conversations/%s", first);
    node_client_expect(admin(c, "DELETE", path, NULL), 200, NULL);
    node_client_expect(with(c, "POST", "/conversations", key, "{\"title\":\"T\"}"), 410, NULL);
}

static void create_refuses_what_is_wrong_and_stores_nothing(void **state)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        { "7", "conversation: must be an object" },
        { "{\"title\":1}", "title: must be a string" },
        { "{\"conversation_id\":\"\"}", "conversation_id: must not be empty" },
        { "{\"created_at\":\"x\"}", "created_at: is not an ISO 8601 time" },
        { "{\"metadata\":1}", "metadata: must be an object" },
        { "{\"messages\":{}}", "messages: must be an array" },
        { "{\"messages\":[{\"role\":\"u\",\"content\":\"x\"},{\"role\":\"u\"}]}",
          "messages[1].content: is missing" },
        { "{\"updated_at\":\"2023-01-01T00:00:00Z\"}", "updated_at: is decided by the node" },
    };
    struct node_client *c = client(state);
    node_client_settle(c);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        node_client_expect(create(c, cases[i].body), 400, cases[i].why);
    assert_int_equal(0, changes(c));
}

static void create_refuses_what_does_not_fit_a_commit(void **state)
{
    struct node_client *c = client(state);
    size_t count = PL_LIMIT(PL_BATCH_WRITES_MAX / 2, 10) + 1;
    node_client_settle(c);
    struct pl_writer many = text_of(count * 40 + 100);
    put(&many, "{\"messages\":[");
    for (size_t i = 0; i < count; i++)
        put(&many, "%s{\"role\":\"u\",\"content\":\"\"}", i == 0 ? "" : ",");
    put(&many, "]}");
    node_client_expect(create(c, text(&many)), 413, "\"code\":\"body-too-large\"");
    free(many.ptr);
    struct pl_writer large = text_of(PL_BATCH_BYTES_MAX);
    put(&large, "{\"messages\":[{\"role\":\"u\",\"content\":\"");
    put_many(&large, 'x', PL_BATCH_BYTES_MAX / 2);
    put(&large, "\"}]}");
    node_client_expect(create(c, text(&large)), 413, "\"code\":\"body-too-large\"");
    free(large.ptr);
    assert_int_equal(0, changes(c));
}

static void create_waits_for_another_one(void **state)
{
    struct node_client *c = client(state);
    c->hold_commits = true;
    send_with(c, "POST", "/conversations", "", "{\"conversation_id\":\"c\",\"title\":\"a\"}");
    pl_conn first = put_aside(c);
    send_with(c, "POST", "/conversations", "", "{\"conversation_id\":\"c\",\"title\":\"b\"}");
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 409, "conversation-exists");
    take_up(c, first);
    node_client_expect(node_client_take(c, false), 201, "\"title\":\"a\"");
}

static void create_says_when_it_was_not_stored(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults none = { .fail_put_after = -1, .fail_commit_after = -1 };
    struct pl_store_mem_faults faults = { .fail_put_after = 6,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    node_client_settle(&f->c);
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(create(&f->c, WHOLE), 507, "store-full");
    node_client_expect(admin(&f->c, "GET", "/conversations/c", NULL), 404, NULL);
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &none);
    node_client_expect(create(&f->c, WHOLE), 201, NULL);
}

static void patch_sets_and_deletes_fields(void **state)
{
    struct node_client *c = client(state);
    char tag[256], same[256];
    node_client_expect(create(c, WHOLE), 201, NULL);
    struct node_reply r = admin(c, "PATCH", "/conversations/c",
                                "{\"title\":\"U\",\"surface\":null,\"metadata\":{\"k\":null,"
                                "\"l\":2},\"mood\":null,\"new\":{\"a\":1}}");
    node_client_expect(r, 200, "{\"conversation_id\":\"c\",\"updated_at\":\"2023-11-14T22:13:20.0");
    header_of(r, "ETag", tag);
    r = admin(c, "GET", "/conversations/c", NULL);
    assert_string_equal(tag, header_of(r, "ETag", same));
    node_client_expect(r, 200, "\"title\":\"U\",\"created_at\":");
    node_client_expect(r, 200, "\"metadata\":{\"l\":2},\"new\":{\"a\":1},\"messages\":[");
    assert_int_equal(2, changes(c));
}

static void patch_writes_only_what_differs(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(create(c, WHOLE), 201, NULL);
    uint64_t commits = c->commits;
    node_client_expect(admin(c, "PATCH", "/conversations/c",
                             "{\"title\":\"T\",\"metadata\":{\"k\":[1],\"none\":null}}"),
                       200, NULL);
    assert_int_equal(commits, c->commits);
    node_client_expect(
        admin(c, "PATCH", "/conversations/c", "{\"title\":\"V\",\"surface\":\"web\"}"), 200, NULL);
    struct node_reply r = admin(c, "GET", "/conversations/c/history", NULL);
    const char *surface = strstr(r.body, "\"field\":\"surface\"");
    assert_non_null(surface);
    assert_null(strstr(surface + 1, "\"field\":\"surface\""));
}

static void patch_refuses_what_is_no_header(void **state)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        { "{\"messages\":[{\"role\":\"u\",\"content\":\"x\"}]}", "messages: are changed by" },
        { "{\"conversation_id\":\"d\"}", "conversation_id: is another one" },
        { "{\"metadata\":null}", "metadata: must be an object; give null for each key" },
        { "{\"updated_at\":\"2023-01-01T00:00:00Z\"}", "updated_at: is decided by the node" },
        { "{\"title\":[]}", "title: must be a string" },
    };
    struct node_client *c = client(state);
    node_client_expect(admin(c, "PATCH", "/conversations/c", "{\"title\":\"x\"}"), 404,
                       "no-such-conversation");
    node_client_expect(create(c, WHOLE), 201, NULL);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        node_client_expect(admin(c, "PATCH", "/conversations/c", cases[i].body), 400, cases[i].why);
    assert_int_equal(1, changes(c));
}

/* What is on its way counts: else this one would see its own value and write nothing. */
static void patch_sees_the_write_before_it(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(create(c, WHOLE), 201, NULL);
    c->hold_commits = true;
    send_with(c, "PATCH", "/conversations/c", "", "{\"title\":\"U\"}");
    pl_conn first = put_aside(c);
    send_with(c, "PATCH", "/conversations/c", "", "{\"title\":\"T\"}");
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 200, NULL);
    take_up(c, first);
    node_client_expect(node_client_take(c, false), 200, NULL);
    node_client_expect(admin(c, "GET", "/conversations/c", NULL), 200, "\"title\":\"T\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_makes_a_whole_conversation_in_one_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(create_may_be_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(create_makes_an_id_and_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(create_takes_an_idempotency_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(create_refuses_what_is_wrong_and_stores_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(create_refuses_what_does_not_fit_a_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(create_waits_for_another_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(create_says_when_it_was_not_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patch_sets_and_deletes_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patch_writes_only_what_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patch_refuses_what_is_no_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patch_sees_the_write_before_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
