/* SPDX-License-Identifier: Apache-2.0
 *
 * What a legacy peer last sent: remembered by peer and conversation, bounded, durable; and what
 * follows for what it sends again. The whole with a real backend is in tests/cli/test_legacy.py.
 */
#include "lib/client_fixture.h"

#include "node/heard.h"
#include "node/out.h"

#include <stdio.h>

#define SPAN(text) pl_span_text(text)

static struct pl_heard read_heard(struct node_client *c, uint32_t peer, const char *space,
                                  const char *talk)
{
    struct parley_read *read = NULL;
    struct pl_heard heard;
    assert_ok(parley_read_begin(c->db, &read));
    assert_ok(pl_heard_read(read, peer, SPAN(space), SPAN(talk), &heard));
    parley_read_end(read);
    return heard;
}

static bool is_same(const struct pl_heard *heard, const char *id, const char *body)
{
    bool same = false;
    bool found = pl_heard_find(heard, SPAN(id), SPAN(body), &same);
    assert_true(found || !same);
    return same;
}

static void heard_knows_the_last_value_of_each_field(void **state)
{
    struct pl_heard heard = { .count = 0 };
    bool same = true;
    (void)state;
    assert_false(pl_heard_find(&heard, SPAN("title"), SPAN("a"), &same));
    assert_false(same);
    pl_heard_note(&heard, SPAN("title"), SPAN("a"));
    pl_heard_note(&heard, SPAN("surface"), SPAN("b"));
    assert_true(heard.changed && heard.count == 2);
    assert_true(is_same(&heard, "title", "a"));
    assert_false(is_same(&heard, "title", "b"));
    heard.changed = false;
    pl_heard_note(&heard, SPAN("title"), SPAN("a"));
    assert_false(heard.changed);
    pl_heard_note(&heard, SPAN("title"), SPAN("c"));
    assert_true(heard.changed && heard.count == 2);
    assert_false(is_same(&heard, "title", "a"));
    assert_true(is_same(&heard, "title", "c"));
}

static void heard_lets_the_oldest_field_give_way(void **state)
{
    struct pl_heard heard = { .count = 0 };
    char id[16];
    (void)state;
    for (int i = 0; i < PL_HEARD_FIELDS_MAX + 2; i++) {
        snprintf(id, sizeof id, "f%d", i);
        pl_heard_note(&heard, SPAN(id), SPAN("v"));
    }
    assert_int_equal(PL_HEARD_FIELDS_MAX, heard.count);
    assert_false(is_same(&heard, "f0", "v"));
    assert_false(is_same(&heard, "f1", "v"));
    for (int i = 2; i < PL_HEARD_FIELDS_MAX + 2; i++) {
        snprintf(id, sizeof id, "f%d", i);
        assert_true(is_same(&heard, id, "v"));
    }
}

static void heard_is_stored_by_peer_namespace_and_conversation(void **state)
{
    struct node_client *c = client(state);
    struct pl_heard heard = { .count = 0 };
    pl_heard_note(&heard, SPAN("title"), SPAN("a"));
    assert_true(pl_heard_store(c->node, 7, SPAN("main"), SPAN("talk"), &heard));
    assert_false(heard.changed);
    pl_batch_commit_soon(c->node);
    node_client_settle(c);
    struct pl_heard back = read_heard(c, 7, "main", "talk");
    assert_int_equal(1, back.count);
    assert_true(is_same(&back, "title", "a"));
    assert_int_equal(0, read_heard(c, 8, "main", "talk").count);
    assert_int_equal(0, read_heard(c, 7, "mai", "talk").count);
    assert_int_equal(0, read_heard(c, 7, "main", "tal").count);
}

/* ---- What follows ---- */

static void register_old(struct node_client *c)
{
    char body[2048];
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    struct pl_out out;
    size_t budget = 0;
    pl_out_init(&out, &c->env->t.env, &budget);
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(c->node->identity), pem));
    pl_out_string(&out, SPAN(pem));
    snprintf(body, sizeof body,
             "{\"sbt\":{\"sbt_id\":\"s\",\"user_id\":\"u\",\"session_id\":\"x\","
             "\"local_backend_id\":\"old\",\"hosted_backend_id\":\"%s\",\"created_at\":\"\","
             "\"expires_at\":\"\",\"signature\":\"\"},\"peer_backend_id\":\"old\","
             "\"peer_public_key\":%.*s}",
             c->node->backend_id, (int)out.len, (const char *)out.ptr);
    pl_out_free(&out);
    node_client_expect(node_client_ask(c, "POST", "/register-peer", NULL, body), 200, "registered");
}

/* One conversation of the old backend, stamped with this second. */
static struct node_reply echo(struct node_client *c, const char *fields, int second)
{
    char body[1024];
    snprintf(body, sizeof body,
             "{\"sync_id\":\"1\",\"source_backend_id\":\"old\",\"conversations\":[{"
             "\"conversation_id\":\"talk\",\"updated_at\":\"2023-01-01T00:00:%02d\",%s}]}",
             second, fields);
    struct node_reply r = node_client_ask(c, "POST", "/sync", NULL, body);
    node_client_expect(r, 200, "synced");
    return r;
}

static void rename_here(struct node_client *c, const char *title, int second)
{
    char line[256];
    snprintf(line, sizeof line,
             "{\"conversation_id\":\"talk\",\"title\":\"%s\",\"updated_at\":"
             "\"2023-01-01T00:00:%02d\",\"messages\":[]}",
             title, second);
    node_client_expect(node_client_admin(c, "POST", "/import", line), 200, NULL);
}

static void expect_title(struct node_client *c, const char *title)
{
    char part[64];
    snprintf(part, sizeof part, "\"title\":\"%s\"", title);
    node_client_expect(node_client_admin(c, "GET", "/conversations/talk", NULL), 200, part);
}

#define TITLED(title) "\"title\":\"" title "\",\"messages\":[]"

static void heard_titles_come_in_once(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    echo(c, TITLED("one"), 1);
    expect_title(c, "one");
    rename_here(c, "two", 2);
    echo(c, TITLED("one"), 3);
    expect_title(c, "two");
    node_client_expect(echo(c, TITLED("three"), 4), 200, "\"conversations_updated\":1");
    expect_title(c, "three");
    rename_here(c, "four", 5);
    echo(c, TITLED("three"), 6);
    expect_title(c, "four");
}

/* It never sent the title before, but it can only have it from here. */
static void heard_first_titles_that_stood_here_before_do_not_come_back(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    rename_here(c, "one", 1);
    rename_here(c, "two", 2);
    echo(c, TITLED("one"), 3);
    expect_title(c, "two");
    echo(c, TITLED("other"), 4);
    expect_title(c, "other");
}

static void heard_what_was_made_up_for_a_push_is_no_news(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    node_client_expect(node_client_admin(c, "POST", "/conversations/talk/messages",
                                         "{\"role\":\"u\",\"content\":\"x\"}"),
                       201, NULL);
    echo(c, "\"title\":\"\",\"created_at\":\"2023-01-01T00:00:00\",\"messages\":[]", 3);
    struct node_reply r = node_client_admin(c, "GET", "/export", NULL);
    node_client_expect(r, 200, "\"content\":\"x\"");
    assert_null(strstr(r.body, "created_at"));
    assert_null(strstr(r.body, "title"));
}

static void heard_echoes_cost_a_commit_at_most_once(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    echo(c, TITLED("one"), 1);
    uint64_t commits = c->commits;
    node_client_expect(echo(c, TITLED("one"), 2), 200, "\"conversations_skipped\":1");
    assert_int_equal(commits, c->commits);
    rename_here(c, "two", 3);
    commits = c->commits;
    /* What stands here already: remembered, and nothing else. */
    node_client_expect(echo(c, TITLED("two"), 4), 200, "\"conversations_skipped\":1");
    assert_int_equal(commits + 1, c->commits);
    node_client_expect(echo(c, TITLED("two"), 5), 200, "\"conversations_skipped\":1");
    assert_int_equal(commits + 1, c->commits);
}

/* Fields beyond those of the old models are lost there, the stamp is not. */
static void heard_messages_of_the_same_time_are_the_same(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    rename_here(c, "t", 1);
    node_client_expect(
        node_client_admin(c, "POST", "/import",
                          "{\"conversation_id\":\"talk\",\"updated_at\":\"2023-01-01T00:00:01\","
                          "\"messages\":[{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"x\","
                          "\"timestamp\":\"2023-01-01T00:00:01\",\"source_backend\":\"a\","
                          "\"model\":\"q\"}]}"),
        200, NULL);
    uint64_t changes = c->changes;
    echo(c,
         "\"messages\":[{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"x\",\"timestamp\":"
         "\"2023-01-01T00:00:01\"}]",
         2);
    assert_int_equal(changes, c->changes);
    node_client_expect(node_client_admin(c, "GET", "/conversations/talk", NULL), 200,
                       "\"source_backend\":\"a\",\"model\":\"q\"");
    echo(c,
         "\"messages\":[{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"newer\","
         "\"timestamp\":\"2023-01-01T00:00:03\"}]",
         3);
    node_client_expect(node_client_admin(c, "GET", "/conversations/talk", NULL), 200, "newer");
}

static void heard_does_not_bring_back_a_deleted_conversation(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    echo(c, TITLED("one"), 1);
    node_client_expect(node_client_admin(c, "DELETE", "/conversations/talk", NULL), 200, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    struct node_reply r =
        node_client_ask(c, "POST", "/sync", NULL,
                        "{\"source_backend_id\":\"old\",\"conversations\":[{\"conversation_id\":"
                        "\"talk\",\"updated_at\":\"2023-11-14T22:13:21\",\"title\":\"one\","
                        "\"messages\":[]}]}");
    node_client_expect(r, 200, "\"conversations_skipped\":1");
    node_client_expect(node_client_admin(c, "GET", "/conversations/talk", NULL), 404, NULL);
}

/* A new message brings the conversation back, and then it has its title again. */
static void heard_a_conversation_that_lives_again_gets_its_title(void **state)
{
    static const char payload[] =
        "{\"source_backend_id\":\"old\",\"conversations\":[{\"conversation_id\":\"talk\","
        "\"updated_at\":\"2023-11-14T22:13:22\",\"title\":\"one\",\"messages\":[{"
        "\"message_id\":\"m\",\"role\":\"user\",\"content\":\"new\",\"timestamp\":"
        "\"2023-11-14T22:13:22\"}]}]}";
    struct node_client *c = client(state);
    register_old(c);
    echo(c, TITLED("one"), 1);
    node_client_expect(node_client_admin(c, "DELETE", "/conversations/talk", NULL), 200, NULL);
    node_client_wait(c, 5 * PARLEY_NS_PER_S);
    for (int i = 0; i < 2; i++)
        node_client_expect(node_client_ask(c, "POST", "/sync", NULL, payload), 200, "synced");
    expect_title(c, "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_legacy, tear_down)
        TEST(heard_knows_the_last_value_of_each_field),
        TEST(heard_lets_the_oldest_field_give_way),
        TEST(heard_is_stored_by_peer_namespace_and_conversation),
        TEST(heard_titles_come_in_once),
        TEST(heard_first_titles_that_stood_here_before_do_not_come_back),
        TEST(heard_what_was_made_up_for_a_push_is_no_news),
        TEST(heard_echoes_cost_a_commit_at_most_once),
        TEST(heard_messages_of_the_same_time_are_the_same),
        TEST(heard_does_not_bring_back_a_deleted_conversation),
        TEST(heard_a_conversation_that_lives_again_gets_its_title),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
