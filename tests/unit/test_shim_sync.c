/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /import and POST /sync: what is merged, what is counted, what goes wrong.
 */
#include "lib/db_util.h"
#include "lib/client_fixture.h"

#include "node/out.h"

#include <stdio.h>
#include <stdlib.h>

static struct node_reply import(struct node_client *c, const char *lines)
{
    return node_client_admin(c, "POST", "/import", lines);
}

static struct pl_store_mem_faults no_faults(void)
{
    return (struct pl_store_mem_faults){ .fail_put_after = -1, .fail_commit_after = -1 };
}

#define MSG(id, second, text)                                                                      \
    "{\"message_id\":\"" id "\",\"role\":\"user\",\"content\":\"" text                             \
    "\",\"timestamp\":\"2023-01-01T00:00:" second "\"}"
#define CONV(id, second, messages)                                                                 \
    "{\"conversation_id\":\"" id "\",\"title\":\"T\",\"created_at\":\"2023-01-01T00:00:00\","      \
    "\"updated_at\":\"2023-01-01T00:00:" second "\",\"messages\":[" messages "]}"

/* `count` conversations of `messages` messages, one a line. */
static char *many(int count, int messages)
{
    size_t cap = (size_t)count * ((size_t)messages * 200 + 300) + 1;
    char *text = malloc(cap);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, cap - at,
                               "{\"conversation_id\":\"c%03d\",\"title\":\"T%d\","
                               "\"updated_at\":\"2023-01-02T00:00:00Z\",\"metadata\":{\"n\":%d},"
                               "\"pinned\":true,\"messages\":[",
                               i, i, i);
        for (int m = 0; m < messages; m++)
            at += (size_t)snprintf(
                text + at, cap - at,
                "%s{\"message_id\":\"m%d\",\"role\":\"user\",\"content\":\"hello %d\","
                "\"timestamp\":\"2023-01-01T00:%02d:%02d\",\"source_backend\":\"n%d\","
                "\"tokens\":%d.5}",
                m == 0 ? "" : ",", m, m, m / 60, m % 60, m % 3, m);
        at += (size_t)snprintf(text + at, cap - at, "]}\n");
    }
    return text;
}

static void import_takes_lines_and_counts(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(
        import(c, "\n" CONV("a", "09", MSG("m", "01", "x")) "\r\n  \n" CONV(
                      "b", "09", MSG("m", "01", "y") "," MSG("n", "02", "z"))),
        200, "{\"received\":2,\"created\":2,\"updated\":0,\"skipped\":0,\"versions_new\":7}");
    node_client_expect(node_client_admin(c, "GET", "/conversations/b", NULL), 200,
                       "\"content\":\"y\",\"timestamp\":\"2023-01-01T00:00:01.000000Z\","
                       "\"source_backend\":\"import\"");
}

static void import_again_changes_nothing_and_commits_nothing(void **state)
{
    struct node_client *c = client(state);
    char *lines = many(5, 30);
    node_client_expect(import(c, lines), 200, "\"created\":5,\"updated\":0,\"skipped\":0");
    uint64_t commits = c->commits;
    struct parley_root before = db_util_root(c->db);
    node_client_expect(import(c, lines), 200,
                       "\"created\":0,\"updated\":0,\"skipped\":5,\"versions_new\":0}");
    struct parley_root after = db_util_root(c->db);
    assert_int_equal(commits, c->commits);
    assert_memory_equal(&before, &after, sizeof before);
    free(lines);
}

static void import_counts_once_a_conversation_that_spans_commits(void **state)
{
    struct node_client *c = client(state);
    char *lines = many(3, 9000 / 3);
    node_client_expect(import(c, lines), 200,
                       "\"received\":3,\"created\":3,\"updated\":0,\"skipped\":0");
    assert_true(c->commits >= 2);
    node_client_expect(node_client_admin(c, "GET", "/check", NULL), 200, "\"ok\":true");
    free(lines);
}

static void import_round_trip_is_byte_equal_and_gives_equal_roots(void **state)
{
    struct fixture *f = *state;
    struct node_client b;
    char *lines = many(7, 40);
    node_client_expect(import(&f->c, lines), 200, NULL);
    struct node_reply r = node_client_admin(&f->c, "GET", "/export", NULL);
    node_client_expect(r, 200, "conversation_id");
    assert_non_null(strstr(r.head, "Content-Type: application/x-ndjson"));
    char *first = malloc(r.body_len + 1);
    memcpy(first, r.body, r.body_len + 1);
    node_client_open(&b, &f->env, "b", TEST_KEY_B_PKCS1, false);
    node_client_expect(import(&b, first), 200, "\"created\":7");
    r = node_client_admin(&b, "GET", "/export", NULL);
    assert_string_equal(first, r.body);
    struct parley_root ra = db_util_root(f->c.db);
    struct parley_root rb = db_util_root(b.db);
    assert_memory_equal(&ra, &rb, sizeof ra);
    node_client_close(&b);
    free(first);
    free(lines);
}

static void import_reports_bad_lines_and_takes_the_others(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = import(
        c, CONV("a", "09", MSG("m", "01", "x")) "\n{\"conversation_id\":\n" CONV(
               "b", "09",
               "{\"message_id\":\"m\",\"role\":\"user\",\"content\":[],"
               "\"timestamp\":\"2023-01-01T00:00\"}") "\n"
                                                      "{\"conversation_id\":\"\xc3\x28\"}\n" CONV(
                                                          "d", "09", ""));
    node_client_expect(r, 200, "\"received\":5,\"created\":2,\"updated\":0,\"skipped\":3");
    node_client_expect(r, 200, "{\"line\":2,\"detail\":\"at byte ");
    node_client_expect(r, 200,
                       "{\"line\":3,\"conversation_id\":\"b\",\"detail\":"
                       "\"messages[0].content: must be a string\"}");
    node_client_expect(r, 200, "{\"line\":4,\"detail\":");
    node_client_expect(node_client_admin(c, "GET", "/conversations/b", NULL), 404, NULL);
}

static void import_strict_stops_at_the_first_bad_line(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = node_client_admin(c, "POST", "/import?strict=1",
                                            CONV("a", "09", "") "\n[]\n" CONV("b", "09", ""));
    node_client_expect(r, 400, "line 2: conversation: must be an object");
    node_client_expect(node_client_admin(c, "GET", "/conversations/a", NULL), 200, NULL);
    node_client_expect(node_client_admin(c, "GET", "/conversations/b", NULL), 404, NULL);
}

static void import_lists_at_most_a_thousand_errors(void **state)
{
    struct node_client *c = client(state);
    char *lines = malloc(3 * 1200 + 1);
    for (int i = 0; i < 1200; i++)
        memcpy(lines + 3 * i, "[]\n", 4);
    node_client_expect(import(c, lines), 200, "\"errors_omitted\":200}");
    free(lines);
}

static void import_takes_an_empty_body(void **state)
{
    node_client_expect(import(client(state), ""), 200, "\"received\":0");
}

static void import_keeps_unknown_fields(void **state)
{
    struct node_client *c = client(state);
    import(
        c,
        "{\"conversation_id\":\"a\",\"updated_at\":\"2023-01-01T00:00:09\",\"zeta\":{\"b\":1,\"a\":"
        "[]},"
        "\"alpha\":null,\"metadata\":{\"z\":1,\"k\":\"v\"},\"messages\":[{\"message_id\":\"m\","
        "\"role\":\"user\",\"content\":\"x\",\"timestamp\":\"2023-01-01T00:00:01\",\"model\":\"q\","
        "\"cost\":0.25}]}");
    struct node_reply r = node_client_admin(c, "GET", "/conversations/a", NULL);
    node_client_expect(r, 200,
                       "\"metadata\":{\"k\":\"v\",\"z\":1},\"alpha\":null,"
                       "\"zeta\":{\"b\":1,\"a\":[]},\"messages\":");
    node_client_expect(r, 200, "\"source_backend\":\"import\",\"model\":\"q\",\"cost\":0.25}");
}

static void import_takes_naive_times_as_utc(void **state)
{
    struct node_client *c = client(state);
    import(c, CONV("a", "09", MSG("m", "01", "x")));
    struct parley_root before = db_util_root(c->db);
    node_client_expect(
        import(
            c,
            "{\"conversation_id\":\"a\",\"title\":\"T\",\"created_at\":\"2023-01-01T02:00:00+02:"
            "00\","
            "\"updated_at\":\"2023-01-01T00:00:09Z\",\"messages\":[{\"message_id\":\"m\","
            "\"role\":\"user\",\"content\":\"x\",\"timestamp\":\"2023-01-01T00:00:01.000000Z\"}]}"),
        200, "\"skipped\":1");
    struct parley_root after = db_util_root(c->db);
    assert_memory_equal(&before, &after, sizeof before);
}

static void import_makes_no_version_of_a_header_that_is_equal(void **state)
{
    struct node_client *c = client(state);
    import(c, CONV("a", "09", ""));
    node_client_expect(import(c, CONV("a", "19", "")), 200, "\"skipped\":1,\"versions_new\":0");
    node_client_expect(import(c, CONV("a", "19", MSG("m", "01", "x"))), 200,
                       "\"updated\":1,\"skipped\":0,\"versions_new\":1");
}

static void import_keeps_the_newer_of_two_versions(void **state)
{
    struct node_client *c = client(state);
    import(c, CONV("a", "09", MSG("m", "05", "new")));
    node_client_expect(import(c, CONV("a", "09", MSG("m", "04", "old"))), 200,
                       "\"updated\":0,\"skipped\":1,\"versions_new\":0");
    uint64_t commits = c->commits;
    node_client_expect(import(c, CONV("a", "09", MSG("m", "04", "old"))), 200, "\"skipped\":1");
    assert_int_equal(commits, c->commits);
    node_client_expect(node_client_admin(c, "GET", "/conversations/a", NULL), 200,
                       "\"content\":\"new\"");
    node_client_expect(node_client_admin(c, "GET", "/conversations/a/history?message=m", NULL), 200,
                       "\"content\":\"old\",\"deleted\":false,\"current\":false");
    node_client_expect(
        import(c, CONV("a", "09", MSG("m", "06", "newest") "," MSG("m", "07", "last"))), 200,
        "\"updated\":1");
    node_client_expect(node_client_admin(c, "GET", "/conversations/a", NULL), 200,
                       "\"content\":\"last\"");
}

static void import_does_not_bring_back_what_was_deleted(void **state)
{
    struct node_client *c = client(state);
    import(c, CONV("a", "09", MSG("m", "05", "x")));
    node_client_expect(node_client_admin(c, "DELETE", "/conversations/a", NULL), 200, "deleted");
    node_client_expect(import(c, CONV("a", "09", MSG("m", "05", "x"))), 200, "\"created\":0");
    node_client_expect(node_client_admin(c, "GET", "/conversations/a", NULL), 404, NULL);
    uint64_t changes = c->changes;
    node_client_expect(import(c, CONV("a", "09", MSG("m", "05", "x"))), 200, "\"skipped\":1");
    assert_int_equal(changes, c->changes);
}

static void import_takes_a_message_larger_than_a_batch(void **state)
{
    struct node_client *c = client(state);
    size_t len = 6u << 20;
    char *line = malloc(len + 400);
    size_t at = (size_t)snprintf(
        line, 400, "%s",
        "{\"conversation_id\":\"a\",\"messages\":[{\"message_id\":\"m\",\"role\":\"user\","
        "\"timestamp\":\"2023-01-01T00:00:01\",\"content\":\"");
    memset(line + at, 'x', len);
    memcpy(line + at + len, "\"}]}", 5);
    node_client_expect(import(c, line), 200, "\"created\":1");
    node_client_expect(import(c, line), 200, "\"skipped\":1");
    struct node_reply r = node_client_admin(c, "GET", "/conversations/a", NULL);
    assert_true(r.status == 200 && r.body_len > len);
    node_client_connect(c);
    assert_int_equal(0, c->node->buffered_bytes);
    free(line);
}

static void import_waits_for_durability_before_it_answers(void **state)
{
    struct node_client *c = client(state);
    static const char body[] = CONV("a", "09", "");
    char head[256];
    int len = snprintf(head, sizeof head,
                       "POST /import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       NODE_CLIENT_ADMIN, strlen(body), "");
    node_client_connect(c);
    c->hold_commits = true;
    node_client_send(c, head, (size_t)len);
    node_client_send(c, body, strlen(body));
    assert_int_equal(0, c->got_len);
    node_client_commit(c);
    node_client_expect(node_client_take(c, false), 200, "\"created\":1");
}

static void import_says_507_when_the_store_is_full_and_goes_on_after(void **state)
{
    struct fixture *f = *state;
    import(&f->c, CONV("a", "09", ""));
    struct pl_store_mem_faults faults = no_faults();
    faults.fail_put_after = 0;
    faults.repeat = true;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(import(&f->c, CONV("b", "09", "")), 507, "store-full");
    node_client_expect(node_client_ask(&f->c, "GET", "/health", NULL, NULL), 200,
                       "\"status\":\"degraded\"");
    node_client_expect(node_client_admin(&f->c, "GET", "/conversations/a", NULL), 200, NULL);
    faults = no_faults();
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(import(&f->c, CONV("b", "09", "")), 200, "\"created\":1");
    node_client_expect(node_client_ask(&f->c, "GET", "/health", NULL, NULL), 200,
                       "\"status\":\"ok\"");
}

static void import_says_503_when_a_commit_fails(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = no_faults();
    node_client_wait(&f->c, 0); /* the start has its own entry in the audit log */
    faults.fail_commit_after = 0;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(import(&f->c, CONV("b", "09", "")), 503, "store-error");
    faults = no_faults();
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(import(&f->c, CONV("b", "09", "")), 200, "\"received\":1");
}

static void import_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    struct node_client *c = &f->c;
    char *lines = many(3, 20);
    for (int64_t n = 0; n < 120; n++) {
        char head[256];
        int len =
            snprintf(head, sizeof head,
                     "POST /import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     NODE_CLIENT_ADMIN, strlen(lines));
        node_client_connect(c);
        f->env.t.fail_once = n % 2 != 0;
        f->env.t.fail_after = n / 2;
        node_client_send(c, head, (size_t)len);
        node_client_send(c, lines, strlen(lines));
        f->env.t.fail_after = -1;
        node_client_settle(c);
    }
    node_client_connect(c);
    assert_int_equal(0, c->node->buffered_bytes);
    node_client_expect(import(c, lines), 200, "\"received\":3");
    node_client_expect(node_client_admin(c, "GET", "/check", NULL), 200, "\"ok\":true");
    free(lines);
}

static void import_two_clients_share_commits(void **state)
{
    struct node_client *c = client(state);
    char *lines = many(4, 3); /* within the smallest window */
    struct node_client second = *c;
    second.conn = 0;
    second.got = calloc(1, 1);
    second.got_len = 0;
    second.body = NULL;
    node_client_connect(c);
    node_client_connect(&second);
    c->hold_commits = true;
    second.hold_commits = true;
    char head[256];
    int len = snprintf(head, sizeof head,
                       "POST /import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       NODE_CLIENT_ADMIN, strlen(lines));
    node_client_send(c, head, (size_t)len);
    node_client_send(c, lines, strlen(lines));
    node_client_send(&second, head, (size_t)len);
    node_client_send(&second, lines, strlen(lines));
    assert_true(c->has_held && !second.has_held);
    node_client_commit(c);
    second.hold_commits = false;
    node_client_settle(&second);
    node_client_settle(c);
    node_client_settle(&second);
    node_client_expect(node_client_take(c, false), 200, "\"created\":4");
    node_client_expect(node_client_take(&second, false), 200, "\"received\":4,\"created\":0");
    pl_node_closed(c->node, second.conn, c->now);
    free(second.got);
    free(second.body);
    free(lines);
}

/* ---- POST /sync, as the old clients send it ---- */

static void register_old(struct node_client *c)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    struct pl_out text;
    size_t account = 0;
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(c->node->identity), pem));
    pl_out_init(&text, &c->env->t.env, &account);
    pl_out_text(&text, "{\"sbt\":{\"sbt_id\":\"s\",\"hosted_backend_id\":");
    pl_out_string(&text, pl_span_text(pl_node_backend_id(c->node)));
    pl_out_text(&text, "},\"peer_backend_id\":\"old\",\"peer_public_key\":");
    pl_out_string(&text, pl_span_text(pem));
    pl_out_bytes(&text, pl_span_of("}", 2));
    node_client_expect(node_client_ask(c, "POST", "/register-peer", NULL, (char *)text.ptr), 200,
                       "registered");
    pl_out_free(&text);
}

#define SYNC(conversations)                                                                        \
    "{\"sync_id\":\"s-7\",\"source_backend_id\":\"old\",\"timestamp\":\"2024-01-01T00:00:00\","    \
    "\"conversations\":" conversations "}"

static struct node_reply sync_old(struct node_client *c, const char *body)
{
    return node_client_ask(c, "POST", "/sync", NULL, body);
}

static void sync_answers_in_the_old_shape(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    node_client_expect(
        sync_old(c, SYNC("[" CONV("a", "09", MSG("m", "01", "x")) "," CONV("b", "09", "") "]")),
        200,
        "{\"status\":\"synced\",\"sync_id\":\"s-7\",\"conversations_received\":2,"
        "\"conversations_merged\":2,\"conversations_updated\":0,\"conversations_skipped\":0}");
    uint64_t commits = c->commits;
    node_client_expect(
        sync_old(c, SYNC("[" CONV("a", "09", MSG("m", "01", "x")) "," CONV("b", "09", "") "]")),
        200, "\"conversations_merged\":0,\"conversations_updated\":0,\"conversations_skipped\":2");
    assert_int_equal(commits, c->commits);
    node_client_expect(
        sync_old(c, SYNC("[" CONV("a", "09", MSG("m", "01", "x") "," MSG("n", "02", "y")) "]")),
        200, "\"conversations_merged\":0,\"conversations_updated\":1,\"conversations_skipped\":0");
    node_client_expect(node_client_admin(c, "GET", "/conversations/a", NULL), 200,
                       "\"source_backend\":\"old\"");
}

static void sync_skips_one_bad_conversation_and_says_so(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    struct node_reply r =
        sync_old(c, SYNC("[7," CONV("a", "09", "{\"message_id\":3}") "," CONV("b", "09", "") "]"));
    node_client_expect(r, 200, "\"conversations_received\":3,\"conversations_merged\":1");
    node_client_expect(r, 200,
                       "\"errors\":[{\"index\":0,\"detail\":\"conversation: must be an object\"},"
                       "{\"index\":1,\"conversation_id\":\"a\",\"detail\":"
                       "\"messages[0].message_id: must be a string\"}]");
}

static void sync_refuses_payloads_of_the_wrong_shape(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    node_client_expect(sync_old(c, "{\"source_backend_id\":\"old\"}"), 400,
                       "conversations: is missing");
    node_client_expect(sync_old(c, SYNC("{}")), 400, "conversations: must be an array");
    node_client_expect(sync_old(c, "{\"conversations\":[]}"), 400, "source_backend_id: is missing");
    node_client_expect(sync_old(c, SYNC("[")), 400, "body: at byte ");
    node_client_expect(sync_old(c, SYNC("[\"\xff\"]")), 400, "bad-json");
    node_client_expect(sync_old(c, "[]"), 400, "body: must be an object");
    node_client_expect(sync_old(c, SYNC("[]")), 200, "\"conversations_received\":0");
}

static void sync_is_shown_with_its_peer(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    sync_old(c, SYNC("[" CONV("a", "09", MSG("m", "01", "x")) "]"));
    node_client_expect(node_client_admin(c, "GET", "/peers", NULL), 200, "\"versions_in\":3");
}

static void sync_takes_msgpack(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    static const char body[] = "\x82\xb1source_backend_id\xa3old\xad"
                               "conversations\x90";
    char head[256];
    int len =
        snprintf(head, sizeof head,
                 "POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/msgpack\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 sizeof body - 1);
    node_client_send(c, head, (size_t)len);
    node_client_send(c, body, sizeof body - 1);
    node_client_expect(node_client_take(c, false), 200, "synced");
}

/* ---- POST /sync that is longer than the window ---- */

/* A payload of so many conversations, `bytes` of content in each; `tail` is what ends it. */
static char *long_payload(int count, int bytes, const char *head, const char *tail)
{
    size_t cap = strlen(head) + strlen(tail) + (size_t)count * ((size_t)bytes + 300) + 1;
    char *text = malloc(cap);
    size_t at = (size_t)snprintf(text, cap, "%s", head);
    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(
            text + at, cap - at,
            "%s{\"conversation_id\":\"p%d\",\"title\":\"T\","
            "\"updated_at\":\"2023-01-02T00:00:00Z\",\"messages\":[{\"message_id\":"
            "\"m\",\"role\":\"user\",\"content\":\"%0*d\","
            "\"timestamp\":\"2023-01-01T00:00:00Z\"}]}",
            i == 0 ? "" : ",", i, bytes, i);
    snprintf(text + at, cap - at, "%s", tail);
    return text;
}

#define LONG_HEAD  "{\"sync_id\":\"s-8\",\"source_backend_id\":\"old\",\"conversations\":["
#define LONG_TALKS 50
#define LONG_BYTES ((int)PL_HTTP_WINDOW_BYTES / 2)

/* Sends it, and returns the most that the node held meanwhile. */
static size_t send_long(struct node_client *c, const char *text, bool chunked)
{
    char head[256];
    size_t len = strlen(text);
    size_t most = 0;
    int n = snprintf(head, sizeof head, "POST /sync HTTP/1.1\r\nHost: localhost\r\n%s: %zu\r\n\r\n",
                     chunked ? "Transfer-Encoding: chunked\r\nX-Length" : "Content-Length", len);
    node_client_connect(c);
    node_client_send(c, head, (size_t)n);
    for (size_t at = 0; at < len;) {
        size_t part = pl_min_size(10000, len - at);
        n = snprintf(head, sizeof head, "%zx\r\n", part);
        if (chunked)
            node_client_send(c, head, (size_t)n);
        if (node_client_send(c, text + at, part) != part)
            return most;
        if (chunked)
            node_client_send(c, "\r\n", 2);
        at += part;
        most = c->node->buffered_bytes > most ? c->node->buffered_bytes : most;
    }
    if (chunked)
        node_client_send(c, "0\r\n\r\n", 5);
    node_client_settle(c);
    return most;
}

static void sync_takes_a_long_payload_in_the_memory_of_a_part(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    char *text = long_payload(LONG_TALKS, LONG_BYTES, LONG_HEAD, "],\"more\":{\"x\":[1,2]}}");
    for (int chunked = 0; chunked < 2; chunked++) {
        size_t most = send_long(c, text, chunked != 0);
        node_client_expect(node_client_take(c, false), 200,
                           chunked == 0 ? "\"sync_id\":\"s-8\",\"conversations_received\":50,"
                                          "\"conversations_merged\":50"
                                        : "\"conversations_skipped\":50");
        assert_true(most < strlen(text) / 2);
    }
    assert_int_equal(0, c->node->buffered_bytes);
    node_client_expect(node_client_admin(c, "GET", "/check", NULL), 200, "\"ok\":true");
    free(text);
}

static void sync_says_what_it_has_stored_of_a_long_payload_that_breaks(void **state)
{
    struct node_client *c = client(state);
    register_old(c);
    static const struct {
        const char *head, *tail;
        unsigned status;
        const char *part;
    } cases[] = {
        { LONG_HEAD, "]", 400, "the text ends too soon; the conversations before it are stored" },
        { LONG_HEAD, "7]}", 400, "expected ',' or ']'" },
        { LONG_HEAD, ",{\"conversation_id\":}]}", 200, "of the conversation: " },
        { LONG_HEAD, "],\"conversations\":[]}", 400, "is given twice" },
        { LONG_HEAD, "],\"source_backend_id\":\"old\"}", 400, "duplicate-field" },
        { LONG_HEAD, "],\"target_backend_id\":\"other\"}", 400, "other-target" },
        { "{\"conversations\":[", "],\"source_backend_id\":\"old\"}", 400, "bad-order" },
        { "{\"source_backend_id\":\"new\",\"conversations\":[", "]}", 403, "not-registered" },
        { "{\"source_backend_id\":\"old\",\"other\":[", "]}", 400, "missing-field" },
        { "{\"source_backend_id\":7,\"conversations\":[", "]}", 400, "wrong-type" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char *text = long_payload(LONG_TALKS, LONG_BYTES, cases[i].head, cases[i].tail);
        send_long(c, text, false);
        node_client_expect(node_client_take(c, false), cases[i].status, cases[i].part);
        free(text);
    }
    node_client_connect(c);
    assert_int_equal(0, c->node->buffered_bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_legacy, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(import_takes_lines_and_counts),
        TEST(import_again_changes_nothing_and_commits_nothing),
        TEST(import_counts_once_a_conversation_that_spans_commits),
        TEST(import_round_trip_is_byte_equal_and_gives_equal_roots),
        TEST(import_reports_bad_lines_and_takes_the_others),
        TEST(import_strict_stops_at_the_first_bad_line),
        TEST(import_lists_at_most_a_thousand_errors),
        TEST(import_takes_an_empty_body),
        TEST(import_keeps_unknown_fields),
        TEST(import_takes_naive_times_as_utc),
        TEST(import_makes_no_version_of_a_header_that_is_equal),
        TEST(import_keeps_the_newer_of_two_versions),
        TEST(import_does_not_bring_back_what_was_deleted),
        TEST(import_takes_a_message_larger_than_a_batch),
        TEST(import_waits_for_durability_before_it_answers),
        TEST(import_says_507_when_the_store_is_full_and_goes_on_after),
        TEST(import_says_503_when_a_commit_fails),
        TEST(import_survives_every_failing_allocation),
        TEST(import_two_clients_share_commits),
        TEST(sync_answers_in_the_old_shape),
        TEST(sync_takes_a_long_payload_in_the_memory_of_a_part),
        TEST(sync_says_what_it_has_stored_of_a_long_payload_that_breaks),
        TEST(sync_skips_one_bad_conversation_and_says_so),
        TEST(sync_refuses_payloads_of_the_wrong_shape),
        TEST(sync_is_shown_with_its_peer),
        TEST(sync_takes_msgpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
