/* SPDX-License-Identifier: Apache-2.0
 *
 * Every route while the store cannot be read, or there is no memory: each read and each allocation
 * is cut off; the next one is the ordinary one again.
 */
#include "lib/auth_fixture.h"
#include "lib/db_util.h"
#include "lib/read_fault.h"

#include "core/digest.h"
#include "core/hash.h"

/* No request reads or allocates more often; then something would be wrong with it. */
#define TRIES_MAX 3000

static const struct request {
    const char *method, *target, *body;
} requests[] = {
    { "GET", "/identity", NULL },
    { "GET", "/health", NULL },
    { "GET", "/status", NULL },
    { "GET", "/metrics", NULL },
    { "GET", "/check", NULL },
    { "GET", "/audit", NULL },
    { "GET", "/audit?limit=1", NULL },
    { "GET", "/key", NULL },
    { "GET", "/peers", NULL },
    { "GET", "/tokens", NULL },
    { "GET", "/retention", NULL },
    { "GET", "/trash", NULL },
    { "GET", "/conflicts", NULL },
    { "GET", "/conflicts?all=1", NULL },
    { "GET", "/conflicts?conversation=c1", NULL },
    { "GET", "/changes", NULL },
    { "GET", "/export", NULL },
    { "GET", "/backup", NULL },
    { "GET", "/conversations", NULL },
    { "GET", "/conversations?limit=1", NULL },
    { "GET", "/conversations?order=id", NULL },
    { "GET", "/conversations?order=id&limit=1&after=c1", NULL },
    { "GET", "/conversations?order=id&prefix=c&updated_since=1", NULL },
    { "GET", "/conversations?prefix=c", NULL },
    { "GET", "/conversations?prefix=c1", NULL },
    { "GET", "/conversations/c1", NULL },
    { "GET", "/conversations/nothing", NULL },
    { "GET", "/conversations/c1/history", NULL },
    { "GET", "/conversations/c1/messages", NULL },
    { "GET", "/conversations/c1/messages?limit=1", NULL },
    { "GET", "/conversations/c1/messages?order=desc&limit=2", NULL },
    { "GET", "/conversations/c1/messages/m1", NULL },
    { "GET", "/conversations/c1/messages/m2", NULL },
    { "GET", "/sync/somebody", NULL },
    { "GET", "/bundle", NULL },
    { "PATCH", "/conversations/c1", "{\"title\":\"another\"}" },
    { "PATCH", "/conversations/c1/messages/m1", "{\"content\":\"edited\"}" },
    { "POST", "/conversations", "{\"conversation_id\":\"c7\",\"title\":\"T\"}" },
    { "POST", "/conversations/c1/messages",
      "{\"message_id\":\"m5\",\"role\":\"user\",\"content\":\"x\"}" },
    { "POST", "/conversations/c1/messages/m6/append?durable=1",
      "{\"role\":\"user\",\"content\":\"x\",\"offset\":0}" },
    { "POST", "/import",
      "{\"conversation_id\":\"c8\",\"title\":\"T\",\"messages\":[{\"message_id\":\"m\",\"role\":"
      "\"user\",\"content\":\"hi\",\"timestamp\":\"2023-01-01T00:00:01\"}]}" },
    { "POST", "/retention", "{\"namespace\":\"main\",\"versions\":5}" },
    { "POST", "/invites", "{\"namespace\":\"main\"}" },
    { "POST", "/tokens", "{\"user_id\":\"u\",\"session_id\":\"s\"}" },
    { "DELETE", "/conversations/c1/messages/m4", NULL },
    { "DELETE", "/conversations/c7", NULL },
    { "POST", "/conversations/c8/purge", "{\"reason\":\"why\"}" },
    { "DELETE", "/tokens/nothing", NULL },
    { "POST", "/trash/restore", "{}" },
    { "DELETE", "/trash", NULL },
};

static void apply(struct fixture *f, struct parley_version v)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = 1, .u.version = v };
    assert_ok(parley_db_apply(f->c.db, &w, 1, f->c.now.wall, NULL));
}

/* Conversations with history, conflicts, deletions and trash. */
static void fill(struct fixture *f)
{
    uint8_t body[80];
    register_peer(f);
    approve(f, "{}");
    apply(f, db_util_message("c1", "m1", 100, "ann", "one", body));
    apply(f, db_util_message("c1", "m1", 200, "bob", "two", body));
    apply(f, db_util_message("c1", "m1", 150, "cy", "lost", body));
    apply(f, db_util_message("c1", "m2", 100, "ann", "gone", body));
    apply(f, db_util_tombstone("c1", "m2", 300, "bob"));
    apply(f, db_util_message("c1", "m3", 110, "ann", "three", body));
    apply(f, db_util_message("c1", "m4", 120, "ann", "four", body));
    apply(f, db_util_message("c2", "m1", 100, "ann", "deleted", body));
    apply(f, db_util_delete("c2", 400, "bob"));
    apply(f, db_util_message("c3", "m1", 50, "ann", "trash", body));
    struct parley_write trash = { .kind = PARLEY_WRITE_TRASH };
    trash.u.trash = db_util_state(f->c.db).head;
    assert_ok(parley_db_apply(f->c.db, &trash, 1, f->c.now.wall, NULL));
    apply(f, db_util_message("c4", "m1", 500, "ann", "four", body));
    f->c.node->state_fresh = false;
}

/* The status; 0: the connection was closed without one. */
static unsigned ask(struct fixture *f, const struct request *r)
{
    char text[2048];
    struct node_client *c = &f->c;
    const char *body = r->body == NULL ? "" : r->body;
    int len = snprintf(text, sizeof text,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       r->method, r->target, NODE_CLIENT_ADMIN, strlen(body), body);
    node_client_connect(c);
    node_client_send(c, text, (size_t)len);
    node_client_settle(c);
    if (c->got_len < 12) {
        if (c->conn != 0)
            fail_msg("%s %s is not answered", r->method, r->target);
        return 0;
    }
    assert_memory_equal("HTTP/1.1 ", c->got, 9);
    return (unsigned)strtoul((const char *)c->got + 9, NULL, 10);
}

static unsigned ask_without_fault(struct fixture *f, const struct request *r)
{
    read_fault_after = -1;
    f->env.t.fail_after = -1;
    return ask(f, r);
}

/* Whether what was asked for a second time may be answered in another way. */
static bool is_write(const struct request *r)
{
    return strcmp(r->method, "GET") != 0;
}

static void sweep(struct fixture *f, const struct request *r, int64_t *after)
{
    unsigned usual = is_write(r) ? 0 : ask_without_fault(f, r);
    int64_t at = 0;
    for (bool reached = true; reached; at++) {
        assert_true(at < TRIES_MAX);
        *after = at;
        unsigned status = ask(f, r);
        reached = *after < 0;
        if (status >= 200 && status < 500 && usual != 0 && status != usual)
            fail_msg("%s %s: %u where it was %u, at %d", r->method, r->target, status, usual,
                     (int)at);
        status = ask_without_fault(f, r);
        if (usual != 0 ? status != usual : status < 200 || status >= 500)
            fail_msg("%s %s: %u afterwards, at %d", r->method, r->target, status, (int)at);
    }
    db_util_check(f->c.db);
}

/* Those whose bodies are known here alone: a version by its digest, a payload of the peer. */
static void sweep_others(struct fixture *f, int64_t *after)
{
    uint8_t body[80];
    uint8_t digest[PARLEY_DIGEST_BYTES];
    char text[1024];
    struct request r = { "POST", "/conversations/c1/promote", text };
    struct parley_version v = db_util_message("c1", "m1", 100, "ann", "one", body);
    pl_digest_of(&v, digest);
    snprintf(text, sizeof text, "{\"message_id\":\"m1\",\"version\":\"");
    size_t at = strlen(text);
    pl_hex_encode(digest, 6, text + at);
    memcpy(text + at + 12, "\"}", 3);
    sweep(f, &r, after);
    r.target = "/sync";
    snprintf(text, sizeof text,
             "{\"sync_id\":\"s1\",\"source_backend_id\":\"%s\",\"target_backend_id\":\"%s\","
             "\"timestamp\":\"2024-01-01T00:00:00\",\"conversations\":[{\"conversation_id\":\"c\","
             "\"title\":\"T\",\"created_at\":\"2023-01-01T00:00:00\",\"updated_at\":"
             "\"2023-01-01T00:00:09\",\"messages\":[{\"message_id\":\"m\",\"role\":\"user\","
             "\"content\":\"hi\",\"timestamp\":\"2023-01-01T00:00:01\"}]}]}",
             f->peer_id, us(f));
    sweep(f, &r, after);
}

static void each_route_survives_a_read_that_fails(void **state)
{
    struct fixture *f = *state;
    fill(f);
    read_fault_plant(&f->env, "a");
    read_fault_once = true;
    for (size_t i = 0; i < PL_ARRAY_LEN(requests); i++)
        sweep(f, &requests[i], &read_fault_after);
    sweep_others(f, &read_fault_after);
}

static void each_route_survives_an_allocation_that_fails(void **state)
{
    struct fixture *f = *state;
    fill(f);
    f->env.t.fail_once = true;
    for (size_t i = 0; i < PL_ARRAY_LEN(requests); i++)
        sweep(f, &requests[i], &f->env.t.fail_after);
    sweep_others(f, &f->env.t.fail_after);
    f->env.t.fail_after = -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_route_survives_a_read_that_fails),
        TEST(each_route_survives_an_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
