/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that grow: what an answer promises is so, versions are few, and neither an edit nor a
 * crash nor a full disk makes a text that nobody wrote.
 */
#include "lib/resource_fixture.h"

#include "node/growth.h"

#define TALK    "/conversations/c"
#define MESSAGE "/conversations/c/messages/m"
#define APPEND  MESSAGE "/append"
#define MS      PARLEY_NS_PER_MS

static struct node_reply append(struct node_client *c, const char *body)
{
    return admin(c, "POST", APPEND, body);
}

static void expect_content(struct node_client *c, const char *want)
{
    char field[4096];
    snprintf(field, sizeof field, "\"content\":\"%s\",", want);
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 200, field);
}

/* Versions that the message ever had. */
static unsigned version_count(struct node_client *c)
{
    unsigned count = 0;
    struct node_reply r = admin(c, "GET", TALK "/history?message=m", NULL);
    node_client_expect(r, 200, NULL);
    for (const char *at = r.body; (at = strstr(at, "\"version\":")) != NULL; at++)
        count++;
    return count;
}

static void append_answers_before_and_writes_soon(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(append(c, "{\"role\":\"assistant\",\"content\":\"he\",\"offset\":0}"), 201,
                       "{\"message_id\":\"m\",\"conversation_id\":\"c\",\"offset\":2,"
                       "\"durable\":false}");
    node_client_expect(append(c, "{\"content\":\"l\",\"offset\":2}"), 200,
                       "\"offset\":3,\"durable\":false");
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 404, NULL);
    node_client_wait(c, 200 * MS);
    expect_content(c, "hel");
    node_client_expect(append(c, "{\"content\":\"lo\",\"offset\":3,\"done\":true}"), 200,
                       "\"offset\":5,\"durable\":true");
    expect_content(c, "hello");
    assert_int_equal(2, version_count(c));
    struct node_reply r = admin(c, "GET", MESSAGE, NULL);
    node_client_expect(r, 200, "\"role\":\"assistant\"");
    node_client_expect(r, 200, "\"timestamp\":\"2023-11-14T22:13:20.20000");
    node_client_expect(r, 200, "\"created_at\":\"2023-11-14T22:13:20.200000Z\"}");
}

static void append_is_durable_when_asked_for(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "POST", APPEND "?durable=1", "{\"role\":\"r\",\"content\":\"a\"}"),
                       201, "\"durable\":true");
    expect_content(c, "a");
    /* What came before it is durable with it, and the answer waits for the commit. */
    node_client_expect(append(c, "{\"content\":\"b\"}"), 200, "\"durable\":false");
    c->hold_commits = true;
    send_with(c, "POST", APPEND "?durable=1", "", "{\"content\":\"c\"}");
    assert_true(c->has_held && c->got_len == 0);
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 200, "\"offset\":3,\"durable\":true");
    expect_content(c, "abc");
    node_client_expect(append(c, "{\"done\":true}"), 200, "\"offset\":3,\"durable\":true");
    assert_int_equal(2, version_count(c));
    /* An empty text is something too. */
    const char *empty = TALK "/messages/empty/append";
    node_client_expect(admin(c, "POST", empty, "{\"role\":\"r\",\"content\":\"\"}"), 201,
                       "\"durable\":false");
    node_client_expect(admin(c, "POST", empty, "{\"offset\":0,\"done\":true}"), 200,
                       "\"durable\":true");
    node_client_expect(admin(c, "GET", TALK "/messages/empty", NULL), 200, "\"content\":\"\"");
}

/* A piece that comes while a version is on its way waits for the next one. */
static void append_goes_on_while_a_version_is_on_its_way(void **state)
{
    struct node_client *c = client(state);
    append(c, "{\"role\":\"r\",\"content\":\"a\",\"done\":true}");
    append(c, "{\"content\":\"b\"}");
    c->hold_commits = true;
    node_client_wait(c, 200 * MS);
    assert_true(c->has_held);
    node_client_expect(append(c, "{\"content\":\"c\",\"offset\":2}"), 200,
                       "\"offset\":3,\"durable\":false");
    send_with(c, "POST", APPEND, "", "{\"content\":\"d\",\"done\":true}");
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_wait(c, 100 * MS);
    node_client_expect(node_client_take(c, false), 200, "\"offset\":4,\"durable\":true");
    expect_content(c, "abcd");
    assert_int_equal(3, version_count(c));
}

static void append_of_a_thousand_pieces_makes_tens_of_versions(void **state)
{
    struct node_client *c = client(state);
    char body[256];
    uint64_t before = c->changes;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(body, sizeof body, "{\"role\":\"r\",\"content\":\"0123456789\",\"offset\":%u}",
                 i * 10);
        struct node_reply r = append(c, body);
        assert_in_range(r.status, 200, 201);
        node_client_wait(c, 30 * MS);
    }
    node_client_expect(append(c, "{\"offset\":10000,\"done\":true}"), 200, "\"durable\":true");
    uint64_t versions = c->changes - before;
    assert_in_range(versions, 8, 64);
    struct node_reply r = admin(c, "GET", MESSAGE, NULL);
    assert_true(r.body_len > 10000);
    /* The history of a message is bounded, whatever it grew by. */
    assert_in_range(version_count(c), 8, PARLEY_HISTORY_VERSIONS + 1);
}

static void append_of_many_bytes_does_not_wait(void **state)
{
    struct node_client *c = client(state);
    struct pl_writer body = text_of(PL_GROWTH_STEP_BYTES + 100);
    put(&body, "{\"role\":\"r\",\"content\":\"");
    put_many(&body, 'x', PL_GROWTH_STEP_BYTES);
    put(&body, "\"}");
    node_client_expect(append(c, text(&body)), 201, "\"durable\":false");
    node_client_settle(c);
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 200, NULL);
    free(body.ptr);
}

static void append_may_be_repeated(void **state)
{
    struct node_client *c = client(state);
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"offset\":0}");
    node_client_expect(append(c, "{\"role\":\"r\",\"content\":\"one\",\"offset\":0}"), 200,
                       "\"offset\":3,\"durable\":false");
    append(c, "{\"content\":\"two\",\"offset\":3}");
    /* Asked for, a repeated piece becomes durable. */
    node_client_expect(admin(c, "POST", APPEND "?durable=1", "{\"content\":\"one\",\"offset\":0}"),
                       200, "\"offset\":6,\"durable\":true");
    expect_content(c, "onetwo");
    uint64_t commits = c->commits;
    node_client_expect(append(c, "{\"content\":\"two\",\"offset\":3}"), 200,
                       "\"offset\":6,\"durable\":true");
    node_client_expect(append(c, "{\"content\":\"two\",\"offset\":3,\"done\":true}"), 200, NULL);
    node_client_restart(c, "a", TEST_KEY_A_PKCS8);
    node_client_settle(c);
    commits = c->commits;
    node_client_expect(append(c, "{\"content\":\"two\",\"offset\":3,\"done\":true}"), 200,
                       "\"durable\":true");
    assert_int_equal(commits, c->commits);
    expect_content(c, "onetwo");
}

static void append_says_what_is_there(void **state)
{
    static const char *const bodies[] = {
        "{\"content\":\"x\",\"offset\":2}",   "{\"content\":\"x\",\"offset\":4}",
        "{\"content\":\"eXX\",\"offset\":2}", "{\"offset\":1,\"content\":\"\"}",
        "{\"offset\":2,\"done\":true}",       "{\"content\":\"x\",\"offset\":18446744073709551615}",
        "{\"content\":\"on\",\"offset\":1}",
    };
    struct node_client *c = client(state);
    node_client_expect(append(c, "{\"role\":\"r\",\"content\":\"x\",\"offset\":1}"), 409,
                       "\"code\":\"offset-mismatch\"");
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"done\":true}");
    for (size_t i = 0; i < PL_ARRAY_LEN(bodies); i++) {
        struct node_reply r = append(c, bodies[i]);
        node_client_expect(r, 409, "\"code\":\"offset-mismatch\"");
        node_client_expect(r, 409, ",\"offset\":3}");
    }
    append(c, "{\"content\":\"\\u00e4\"}");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":4}"), 409, ",\"offset\":5}");
    node_client_expect(append(c, "{\"content\":\"!\",\"offset\":5,\"done\":true}"), 200, NULL);
    expect_content(c, "one\xc3\xa4!");
}

static void append_refuses_what_is_wrong(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(append(c, "{\"content\":\"x\"}"), 400, "role: is missing");
    node_client_expect(append(c, "{}"), 400, "content: is missing");
    node_client_expect(append(c, "{\"content\":1}"), 400, "content: must be a string");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":-1}"), 400, "offset: must be");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":\"0\"}"), 400, "offset: must be");
    node_client_expect(append(c, "{\"content\":\"x\",\"done\":1}"), 400, "done: must be");
    node_client_expect(
        admin(c, "POST", TALK "/messages/a%00b/append", "{\"role\":\"r\",\"content\":\"x\"}"), 400,
        "control character");
    append(c, "{\"role\":\"r\",\"content\":\"x\"}");
    node_client_expect(append(c, "{\"role\":\"other\",\"content\":\"x\"}"), 409, "message-exists");
}

static void append_keeps_the_other_fields(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "POST", TALK "/messages",
                             "{\"message_id\":\"m\",\"role\":\"r\",\"content\":\"a\",\"k\":[1]}"),
                       201, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    node_client_expect(append(c, "{\"content\":\"b\",\"offset\":1,\"done\":true}"), 200, NULL);
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 200,
                       "\"created_at\":\"2023-11-14T22:13:20.000000Z\",\"k\":[1]}");
    expect_content(c, "ab");
}

/* A newer version wins, and what was not stored is not written over it. */
static void append_yields_to_an_edit(void **state)
{
    struct node_client *c = client(state);
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"done\":true}");
    append(c, "{\"content\":\"two\",\"offset\":3}");
    node_client_expect(admin(c, "PATCH", MESSAGE, "{\"content\":\"edited\"}"), 200, NULL);
    node_client_expect(append(c, "{\"content\":\"three\",\"offset\":6,\"done\":true}"), 200, NULL);
    expect_content(c, "editedthree");
    append(c, "{\"content\":\"more\"}");
    node_client_expect(admin(c, "PATCH", MESSAGE, "{\"content\":\"again\"}"), 200, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    expect_content(c, "again");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":15}"), 409, ",\"offset\":5}");
    /* Also to one that is as long. */
    append(c, "{\"content\":\"more\"}");
    node_client_expect(admin(c, "PATCH", MESSAGE, "{\"content\":\"other\"}"), 200, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    expect_content(c, "other");
    append(c, "{\"content\":\"more\"}");
    node_client_expect(admin(c, "DELETE", TALK, NULL), 200, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 404, NULL);
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":9}"), 409, ",\"offset\":0}");
}

/* The edit is on its way when the text is to be written, and when somebody waits for that. */
static void append_yields_to_an_edit_on_its_way(void **state)
{
    struct node_client *c = client(state);
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"done\":true}");
    append(c, "{\"content\":\"two\",\"offset\":3}");
    c->hold_commits = true;
    send_with(c, "PATCH", MESSAGE, "", "{\"content\":\"edited\"}");
    pl_conn first = put_aside(c);
    send_with(c, "POST", APPEND, "", "{\"content\":\"x\",\"offset\":6,\"done\":true}");
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_wait(c, PARLEY_NS_PER_S);
    node_client_expect(node_client_take(c, false), 409, ",\"offset\":6}");
    take_up(c, first);
    node_client_expect(node_client_take(c, false), 200, NULL);
    expect_content(c, "edited");
}

static void append_says_where_to_go_on_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"done\":true}");
    append(c, "{\"content\":\"two\",\"offset\":3}");
    node_client_restart(c, "a", TEST_KEY_A_PKCS8);
    expect_content(c, "one");
    node_client_expect(append(c, "{\"content\":\"three\",\"offset\":6}"), 409, ",\"offset\":3}");
}

static void append_says_when_it_was_not_stored(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    struct pl_store_mem_faults none = { .fail_put_after = -1, .fail_commit_after = -1 };
    struct pl_store_mem_faults faults = { .fail_put_after = 0,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    append(c, "{\"role\":\"r\",\"content\":\"one\",\"done\":true}");
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(append(c, "{\"content\":\"two\",\"offset\":3}"), 200, "\"durable\":false");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":6,\"done\":true}"), 507, NULL);
    node_client_expect(append(c, "{\"content\":\"y\",\"offset\":7}"), 409, ",\"offset\":3}");
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &none);
    node_client_expect(append(c, "{\"content\":\"two\",\"offset\":3,\"done\":true}"), 200, NULL);
    expect_content(c, "onetwo");
}

static void append_writes_what_it_has_when_the_node_stops(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    append(c, "{\"role\":\"r\",\"content\":\"a\",\"done\":true}");
    append(c, "{\"content\":\"b\",\"offset\":1}");
    pl_node_stop(c->node, c->now);
    node_client_settle(c);
    assert_true(pl_node_is_stopped(c->node));
    node_client_restart(c, "a", TEST_KEY_A_PKCS8);
    expect_content(c, "ab");
}

/* Texts that rest give way; those that have something to write do not. */
static void append_bounds_how_many_grow(void **state)
{
    struct node_client *c = client(state);
    char path[128];
    for (unsigned i = 0; i <= PL_GROWING_MAX; i++) {
        snprintf(path, sizeof path, "/conversations/c/messages/m%u/append", i);
        struct node_reply r = admin(c, "POST", path, "{\"role\":\"r\",\"content\":\"x\"}");
        node_client_expect(r, i < PL_GROWING_MAX ? 201 : 503, NULL);
    }
    node_client_wait(c, 200 * MS);
    node_client_expect(admin(c, "POST", path, "{\"role\":\"r\",\"content\":\"x\"}"), 201, NULL);
    node_client_wait(c, 200 * MS);
    node_client_wait(c, PL_GROWTH_IDLE_NS);
    for (unsigned i = 0; i < PL_GROWING_MAX; i++)
        assert_null(c->node->growing[i]);
}

/* What rests gives way to what grows. */
static void append_bounds_the_bytes_of_all(void **state)
{
    struct node_client *c = client(state);
    struct pl_writer body = text_of(PARLEY_CONTENT_BYTES_MAX);
    char path[128];
    put(&body, "{\"role\":\"r\",\"content\":\"");
    put_many(&body, 'x', PL_GROWTH_BYTES_MAX / 4 + 1);
    put(&body, "\"}");
    c->hold_commits = true;
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "/conversations/c%u/messages/m/append", i);
        node_client_expect(admin(c, "POST", path, text(&body)), i < 3 ? 201 : 503, NULL);
    }
    node_client_commit(c);
    for (unsigned i = 0; i < 3; i++)
        node_client_wait(c, PARLEY_NS_PER_S);
    /* What was refused has made nothing. */
    node_client_expect(admin(c, "GET", "/conversations/c3", NULL), 404, NULL);
    node_client_expect(admin(c, "POST", path, text(&body)), 201, NULL);
    free(body.ptr);
}

static void append_bounds_the_length(void **state)
{
    struct node_client *c = client(state);
    struct pl_writer body = text_of(PARLEY_CONTENT_BYTES_MAX + 100);
    put(&body, "{\"role\":\"r\",\"done\":true,\"content\":\"");
    put_many(&body, 'x', PARLEY_CONTENT_BYTES_MAX);
    put(&body, "\"}");
    node_client_expect(append(c, text(&body)), 201, "\"durable\":true");
    free(body.ptr);
    node_client_expect(append(c, "{\"content\":\"x\"}"), 400, "would be longer than 16 MiB");
    node_client_expect(append(c, "{\"content\":\"x\",\"offset\":0,\"done\":true}"), 200, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(append_answers_before_and_writes_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_is_durable_when_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_goes_on_while_a_version_is_on_its_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(append_of_a_thousand_pieces_makes_tens_of_versions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(append_of_many_bytes_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_may_be_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_says_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_refuses_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_keeps_the_other_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_yields_to_an_edit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_yields_to_an_edit_on_its_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_says_where_to_go_on_after_a_crash, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(append_says_when_it_was_not_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_writes_what_it_has_when_the_node_stops, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(append_bounds_how_many_grow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_bounds_the_bytes_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append_bounds_the_length, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
