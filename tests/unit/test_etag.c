/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags: equal on equal nodes, what If-None-Match and If-Match make of them, and that no
 * write of this node is lost between a look and the write that rests on it.
 */
#include "lib/resource_fixture.h"

#define TALK    "/conversations/c"
#define MESSAGE "/conversations/c/messages/m"

static const char *tag_of(struct node_client *c, const char *target, char out[256])
{
    struct node_reply r = admin(c, "GET", target, NULL);
    node_client_expect(r, 200, NULL);
    return header_of(r, "ETag", out);
}

static struct node_reply ask_if(struct node_client *c, const char *method, const char *target,
                                const char *field, const char *value, const char *body)
{
    char line[2048];
    snprintf(line, sizeof line, "%s: %s\r\n", field, value);
    return with(c, method, target, line, body);
}

static void etag_changes_with_what_is_shown(void **state)
{
    static const char *const targets[] = { TALK, TALK "/messages", MESSAGE };
    struct node_client *c = client(state);
    char before[3][256];
    char after[256];
    say(c, "c", "m", "hi");
    for (size_t i = 0; i < PL_ARRAY_LEN(targets); i++) {
        tag_of(c, targets[i], before[i]);
        assert_int_equal(34, strlen(before[i]));
        assert_string_equal(before[i], tag_of(c, targets[i], after));
    }
    assert_string_not_equal(before[0], before[1]);
    node_client_expect(admin(c, "PATCH", MESSAGE, "{\"content\":\"ho\"}"), 200, NULL);
    for (size_t i = 0; i < PL_ARRAY_LEN(targets); i++)
        assert_string_not_equal(before[i], tag_of(c, targets[i], after));
    say(c, "c", "n", "x");
    tag_of(c, targets[1], before[1]);
    assert_string_not_equal(before[1], tag_of(c, TALK "/messages?limit=1", after));
}

static void etag_is_equal_on_equal_nodes(void **state)
{
    struct fixture *f = *state;
    struct node_client other;
    char line[4096];
    char mine[256], theirs[256];
    say(&f->c, "c", "m", "hi");
    say(&f->c, "c", "k", "ho");
    node_client_expect(admin(&f->c, "DELETE", TALK "/messages/k", NULL), 200, NULL);
    snprintf(line, sizeof line, "%s", admin(&f->c, "GET", "/export", NULL).body);
    node_client_open(&other, &f->env, "b", TEST_KEY_B_PKCS1, false);
    node_client_expect(admin(&other, "POST", "/import", line), 200, "\"created\":1");
    assert_string_equal(tag_of(&f->c, TALK, mine), tag_of(&other, TALK, theirs));
    assert_string_equal(tag_of(&f->c, MESSAGE, mine), tag_of(&other, MESSAGE, theirs));
    node_client_close(&other);
}

static void etag_saves_an_answer(void **state)
{
    static const char *const targets[] = { TALK, TALK "/messages", MESSAGE };
    struct node_client *c = client(state);
    say(c, "c", "m", "hi");
    for (size_t i = 0; i < PL_ARRAY_LEN(targets); i++) {
        char tag[256], value[1024], same[256];
        tag_of(c, targets[i], tag);
        struct node_reply r = ask_if(c, "GET", targets[i], "If-None-Match", tag, "");
        node_client_expect(r, 304, NULL);
        assert_int_equal(0, r.body_len);
        assert_null(strstr(r.head, "\r\nContent-Type"));
        assert_non_null(strstr(r.head, "\r\nCache-Control: private, no-cache\r\n"));
        assert_string_equal(tag, header_of(r, "ETag", same));
        node_client_expect(ask_if(c, "GET", targets[i], "If-None-Match", "*", ""), 304, NULL);
        snprintf(value, sizeof value, "\"a\", W/%s,\"b\"", tag);
        node_client_expect(ask_if(c, "GET", targets[i], "If-None-Match", value, ""), 304, NULL);
        node_client_expect(ask_if(c, "GET", targets[i], "If-None-Match", "\"a\", W/\"b\"", ""), 200,
                           "hi");
        /* What cannot be read names nothing. */
        static const char *const odd[] = { "a", "\"", "W/", ",", "\"a\" b", "*, \"a\"" };
        for (size_t k = 0; k < PL_ARRAY_LEN(odd); k++)
            node_client_expect(ask_if(c, "GET", targets[i], "If-None-Match", odd[k], ""), 200,
                               "hi");
    }
}

/* Other bytes have another strong tag; whichever a client has, it stands for the same versions. */
static void etag_tells_the_forms_of_an_answer_apart(void **state)
{
    struct node_client *c = client(state);
    char plain[256], shown[256], line[600];
    struct pl_writer text_body = text_of(8192);
    put(&text_body, "{\"message_id\":\"m\",\"role\":\"u\",\"content\":\"");
    put_many(&text_body, 'x', 4000);
    put(&text_body, "\"}");
    node_client_expect(admin(c, "POST", TALK "/messages", text(&text_body)), 201, NULL);
    free(text_body.ptr);
    tag_of(c, MESSAGE, plain);
    plain[33] = '\0';
    static const struct {
        const char *field, *value, *mark;
    } forms[] = { { "Accept", "application/msgpack", "-msgpack\"" },
                  { "Accept-Encoding", "gzip", "-gzip\"" },
                  { "Accept-Encoding", "zstd", "-zstd\"" },
                  { "Accept", "application/msgpack\r\nAccept-Encoding: gzip", "-msgpack-gzip\"" } };
    for (size_t i = 0; i < PL_ARRAY_LEN(forms); i++) {
        struct node_reply r = ask_if(c, "GET", MESSAGE, forms[i].field, forms[i].value, "");
        assert_int_equal(200, r.status);
        header_of(r, "ETag", shown);
        snprintf(line, sizeof line, "%s%s", plain, forms[i].mark);
        assert_string_equal(line, shown);
        node_client_expect(ask_if(c, "GET", MESSAGE, "If-None-Match", shown, ""), 304, NULL);
    }
    node_client_expect(ask_if(c, "PATCH", MESSAGE, "If-Match", shown, "{\"content\":\"y\"}"), 200,
                       NULL);
    node_client_expect(ask_if(c, "PATCH", MESSAGE, "If-Match", shown, "{\"content\":\"z\"}"), 412,
                       NULL);
}

static void etag_guards_writes(void **state)
{
    static const struct {
        const char *method, *target, *tag_of, *body;
        unsigned status;
    } cases[] = {
        { "PATCH", MESSAGE, MESSAGE, "{\"content\":\"ho\"}", 200 },
        { "POST", MESSAGE "/append", MESSAGE, "{\"content\":\"ho\",\"done\":true}", 200 },
        { "POST", TALK "/messages", TALK, "{\"role\":\"u\",\"content\":\"x\"}", 201 },
        { "PATCH", TALK, TALK, "{\"title\":\"T\"}", 200 },
        { "DELETE", MESSAGE, MESSAGE, "", 200 },
        { "DELETE", TALK, TALK, "", 200 },
    };
    struct node_client *c = client(state);
    say(c, "c", "m", "hi");
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char tag[256], weak[300];
        const char *method = cases[i].method;
        const char *target = cases[i].target;
        const char *body = cases[i].body;
        tag_of(c, cases[i].tag_of, tag);
        snprintf(weak, sizeof weak, "W/%s", tag);
        struct node_reply r = ask_if(c, method, target, "If-Match", "\"0123\", \"4\"", body);
        node_client_expect(r, 412, "\"code\":\"precondition-failed\"");
        char shown[256];
        assert_string_equal(tag, header_of(r, "ETag", shown));
        node_client_expect(ask_if(c, method, target, "If-Match", weak, body), 412, NULL);
        node_client_expect(ask_if(c, method, target, "If-Match", "x", body), 400,
                           "\"code\":\"bad-etag\"");
        assert_string_equal(tag, tag_of(c, cases[i].tag_of, shown));
        snprintf(weak, sizeof weak, "\"a\", %s", tag);
        node_client_expect(ask_if(c, method, target, "If-Match", weak, body), cases[i].status,
                           NULL);
    }
}

static void etag_of_nothing_matches_nothing(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(
        ask_if(c, "POST", TALK "/messages", "If-Match", "*", "{\"role\":\"u\",\"content\":\"x\"}"),
        412, "there is nothing");
    node_client_expect(
        ask_if(c, "POST", MESSAGE "/append", "If-Match", "*", "{\"role\":\"u\",\"content\":\"x\"}"),
        412, "there is nothing");
    node_client_expect(ask_if(c, "PATCH", MESSAGE, "If-Match", "*", "{\"content\":\"x\"}"), 404,
                       NULL);
    say(c, "c", "m", "hi");
    node_client_expect(ask_if(c, "PATCH", MESSAGE, "If-Match", "*", "{\"content\":\"x\"}"), 200,
                       NULL);
}

/* A text that grows is judged by what is stored of it, once all of it is. */
static void etag_guards_a_text_that_grows(void **state)
{
    static const char body[] = "{\"content\":\"x\"}";
    struct node_client *c = client(state);
    char tag[256], old[256];
    say(c, "c", "m", "hi");
    tag_of(c, MESSAGE, old);
    node_client_expect(admin(c, "POST", MESSAGE "/append?durable=1", body), 200, NULL);
    tag_of(c, MESSAGE, tag);
    node_client_expect(ask_if(c, "POST", MESSAGE "/append", "If-Match", old, body), 412, NULL);
    node_client_expect(ask_if(c, "POST", MESSAGE "/append", "If-Match", tag, body), 200,
                       "\"durable\":false");
    node_client_expect(ask_if(c, "POST", MESSAGE "/append", "If-Match", tag, body), 412, NULL);
    node_client_expect(ask_if(c, "POST", MESSAGE "/append", "If-Match", "*", body), 200, NULL);
}

/* Two writers that have seen the same: the second is told, although nothing of the first one's is
 * in any snapshot when it asks. */
static void second_writer_is_told(struct node_client *c, const char *method, const char *target,
                                  const char *tag_target, const char *first, const char *second)
{
    char tag[256], line[512];
    snprintf(line, sizeof line, "If-Match: %s\r\n", tag_of(c, tag_target, tag));
    c->hold_commits = true;
    send_with(c, method, target, line, first);
    assert_true(c->has_held);
    pl_conn aside = put_aside(c);
    send_with(c, method, target, line, second);
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 412, "precondition-failed");
    take_up(c, aside);
    struct node_reply r = node_client_take(c, false);
    if (r.status != 200 && r.status != 201)
        fail_msg("the first writer got %u %s", r.status, r.body);
}

static void etag_lets_no_write_of_this_node_be_lost(void **state)
{
    struct node_client *c = client(state);
    say(c, "c", "m", "hi");
    second_writer_is_told(c, "PATCH", MESSAGE, MESSAGE, "{\"content\":\"a\"}",
                          "{\"content\":\"b\"}");
    second_writer_is_told(c, "PATCH", TALK, TALK, "{\"title\":\"a\"}", "{\"title\":\"b\"}");
    second_writer_is_told(c, "POST", TALK "/messages", TALK, "{\"role\":\"u\",\"content\":\"a\"}",
                          "{\"role\":\"u\",\"content\":\"b\"}");
    second_writer_is_told(c, "POST", MESSAGE "/append", MESSAGE,
                          "{\"content\":\"a\",\"done\":true}", "{\"content\":\"b\",\"done\":true}");
}

/* The first write waits in the batch that fills while another one is committed. */
static void etag_counts_what_waits_for_the_next_commit(void **state)
{
    struct node_client *c = client(state);
    char tag[256], line[512];
    say(c, "c", "m", "hi");
    snprintf(line, sizeof line, "If-Match: %s\r\n", tag_of(c, MESSAGE, tag));
    c->hold_commits = true;
    send_with(c, "POST", "/conversations/x/messages", "", "{\"role\":\"u\",\"content\":\"\"}");
    pl_conn first = put_aside(c);
    send_with(c, "PATCH", MESSAGE, line, "{\"content\":\"a\"}");
    pl_conn second = put_aside(c);
    send_with(c, "PATCH", MESSAGE, line, "{\"content\":\"b\"}");
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 412, NULL);
    take_up(c, second);
    node_client_expect(node_client_take(c, false), 200, NULL);
    take_up(c, first);
    node_client_expect(node_client_take(c, false), 201, NULL);
    node_client_expect(admin(c, "GET", MESSAGE, NULL), 200, "\"content\":\"a\"");
}

/* A message of one id is made once, also when both ask before anything is stored. */
static void a_message_id_is_taken_once(void **state)
{
    struct node_client *c = client(state);
    say(c, "c", "k", "x");
    c->hold_commits = true;
    send_with(c, "POST", TALK "/messages", "",
              "{\"message_id\":\"m\",\"role\":\"u\",\"content\":\"a\"}");
    pl_conn first = put_aside(c);
    send_with(c, "POST", TALK "/messages", "",
              "{\"message_id\":\"m\",\"role\":\"u\",\"content\":\"b\"}");
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 409, "message-exists");
    take_up(c, first);
    node_client_expect(node_client_take(c, false), 201, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(etag_changes_with_what_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_is_equal_on_equal_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_saves_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_tells_the_forms_of_an_answer_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_guards_writes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_guards_a_text_that_grows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_of_nothing_matches_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_lets_no_write_of_this_node_be_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(etag_counts_what_waits_for_the_next_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_message_id_is_taken_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
