/* SPDX-License-Identifier: Apache-2.0
 *
 * The routes while one allocation after the other fails, that one only or all from there on: every
 * request is answered as if nothing had failed, or refused for lack of memory, or its connection
 * ends. What was said to be stored is, and nothing leaks.
 */
#include "lib/resource_fixture.h"

#define MSGPACK "Content-Type: application/msgpack\r\n"

static const struct {
    const char *method, *target, *headers, *body;
    unsigned other; /* a status besides 200 and 201 that is no lie, as when it is done already */
} requests[] = {
    { "POST", "/conversations", "",
      "{\"conversation_id\":\"c\",\"title\":\"T\",\"messages\":[{\"role\":\"u\",\"content\":\"x\"}]"
      "}",
      409 },
    { "POST", "/conversations/c/messages", "Idempotency-Key: k\r\n",
      "{\"role\":\"u\",\"content\":\"hi\"}", 409 },
    { "POST", "/conversations/c/messages", MSGPACK,
      "\x82\xa4role\xa1u\xa7"
      "content\xa2hi",
      0 },
    { "POST", "/conversations/c/messages/m/append", "",
      "{\"role\":\"u\",\"content\":\"one\",\"offset\":0}", 409 },
    { "POST", "/conversations/c/messages/m/append", "",
      "{\"role\":\"u\",\"content\":\"two\",\"offset\":3,\"done\":true}", 409 },
    { "PATCH", "/conversations/c/messages/m", "", "{\"content\":\"three\"}", 0 },
    { "PATCH", "/conversations/c", "If-Match: *\r\n", "{\"title\":\"U\",\"metadata\":{\"k\":1}}",
      0 },
    { "GET", "/conversations?prefix=c", "", "", 0 },
    { "GET", "/conversations?order=id", "", "", 0 },
    { "GET", "/conversations/c", "Accept-Encoding: gzip\r\n", "", 0 },
    { "GET", "/conversations/c/messages?order=desc", "Accept: application/msgpack\r\n", "", 0 },
    { "GET", "/conversations/c/messages/m", "If-None-Match: \"x\"\r\n", "", 0 },
    { "GET", "/conversations/c/history", "", "", 0 },
    { "GET", "/changes", "", "", 0 },
    { "GET", "/export", "", "", 0 },
    { "GET", "/conflicts", "", "", 0 },
    { "POST", "/import", "", "[{\"id\":\"i\",\"title\":\"I\",\"messages\":[]}]", 0 },
    { "POST", "/tokens", "", "{\"user_id\":\"u\",\"ttl_seconds\":60}", 0 },
    { "GET", "/tokens", "", "", 0 },
    { "POST", "/invites", "", "{\"right\":\"read\"}", 0 },
    { "POST", "/retention", "", "{\"versions\":7}", 0 },
    { "GET", "/retention", "", "", 0 },
    { "GET", "/status", "", "", 0 },
    { "GET", "/metrics", "", "", 0 },
    { "GET", "/audit", "", "", 0 },
    { "GET", "/trash", "", "", 0 },
    { "DELETE", "/conversations/c/messages/m", "", "", 404 },
    { "POST", "/conversations/i/purge", "", "{\"reason\":\"asked\"}", 404 },
};

struct verdict {
    unsigned status; /* 0: the connection came to nothing */
    bool failed;     /* an allocation did */
    char body[512];
};

static struct verdict ask(struct fixture *f, size_t i, int64_t fail_after)
{
    struct node_client *c = &f->c;
    struct verdict v = { 0 };
    node_client_connect(c);
    f->env.t.fail_after = fail_after;
    send_with(c, requests[i].method, requests[i].target, requests[i].headers, requests[i].body);
    node_client_wait(c, PARLEY_NS_PER_S);
    v.failed = f->env.t.fail_after <= 0;
    f->env.t.fail_after = -1;
    node_client_wait(c, PARLEY_NS_PER_S);
    if (c->got_len == 0)
        return v;
    struct node_reply r = node_client_take(c, false);
    v.status = r.status;
    snprintf(v.body, sizeof v.body, "%s", r.body);
    return v;
}

static bool is_true(size_t i, unsigned status)
{
    return status == 200 || status == 201 ||
           (requests[i].other != 0 && status == requests[i].other);
}

static void try_each_allocation(struct fixture *f, size_t i, bool once)
{
    struct verdict v = { .failed = true };
    f->env.t.fail_once = once;
    for (int64_t n = 0; v.failed; n++) {
        assert_in_range(n, 0, 5000);
        v = ask(f, i, n);
        bool refused = v.failed && (v.status == 0 || v.status == 503);
        if (!refused && !is_true(i, v.status))
            fail_msg("%s %s, allocation %lld fails%s: %u %s", requests[i].method,
                     requests[i].target, (long long)n, once ? " once" : "", v.status, v.body);
    }
}

static void routes_stand_any_allocation_that_fails(void **state)
{
    struct fixture *f = *state;
    node_client_settle(&f->c);
    for (size_t i = 0; i < PL_ARRAY_LEN(requests); i++) {
        try_each_allocation(f, i, false);
        try_each_allocation(f, i, true);
    }
    node_client_expect(admin(&f->c, "GET", "/check", NULL), 200, "{\"ok\":true");
    struct node_reply r = admin(&f->c, "GET", "/conversations/c", NULL);
    node_client_expect(r, 200, "\"title\":\"U\"");
    node_client_expect(r, 200, "\"content\":\"hi\"");
    node_client_expect(admin(&f->c, "GET", "/retention", NULL), 200, "\"versions\":7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routes_stand_any_allocation_that_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
