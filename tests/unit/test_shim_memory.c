/* SPDX-License-Identifier: Apache-2.0
 *
 * Parley's own resources while one allocation after the other fails: every request is answered or
 * its connection ends, what was said to be stored is, and nothing leaks.
 */
#include "lib/resource_fixture.h"

static const struct {
    const char *method, *target, *headers, *body;
} requests[] = {
    { "POST", "/conversations", "",
      "{\"conversation_id\":\"c\",\"title\":\"T\",\"messages\":[{\"role\":\"u\",\"content\":\"x\"}]"
      "}" },
    { "POST", "/conversations/c/messages", "Idempotency-Key: k\r\n",
      "{\"role\":\"u\",\"content\":\"hi\"}" },
    { "POST", "/conversations/c/messages/m/append", "",
      "{\"role\":\"u\",\"content\":\"one\",\"offset\":0}" },
    { "POST", "/conversations/c/messages/m/append", "",
      "{\"role\":\"u\",\"content\":\"two\",\"offset\":3,\"done\":true}" },
    { "PATCH", "/conversations/c", "If-Match: *\r\n", "{\"title\":\"U\",\"metadata\":{\"k\":1}}" },
    { "GET", "/conversations?prefix=c", "", "" },
    { "GET", "/conversations?order=id", "", "" },
    { "GET", "/conversations/c/messages?order=desc", "", "" },
    { "GET", "/conversations/c/messages/m", "If-None-Match: \"x\"\r\n", "" },
};

/* The status, 0 when the connection came to nothing. */
static unsigned ask(struct fixture *f, size_t i, int64_t fail_after, bool *failed)
{
    struct node_client *c = &f->c;
    unsigned status = 0;
    node_client_connect(c);
    f->env.t.fail_after = fail_after;
    send_with(c, requests[i].method, requests[i].target, requests[i].headers, requests[i].body);
    node_client_wait(c, PARLEY_NS_PER_S);
    *failed = f->env.t.fail_after == 0;
    f->env.t.fail_after = -1;
    node_client_wait(c, PARLEY_NS_PER_S);
    if (c->got_len != 0)
        status = node_client_take(c, false).status;
    return status;
}

static void resources_stand_any_allocation_that_fails(void **state)
{
    struct fixture *f = *state;
    node_client_settle(&f->c);
    for (size_t i = 0; i < PL_ARRAY_LEN(requests); i++) {
        bool failed = true;
        unsigned status = 0;
        for (int64_t n = 0; failed; n++) {
            assert_in_range(n, 0, 5000);
            status = ask(f, i, n, &failed);
            if (status != 0 && status != 503 && (status < 200 || status > 201) && status != 409)
                fail_msg("%s %s: %u", requests[i].method, requests[i].target, status);
        }
        if (status != 200 && status != 201 && status != 409)
            fail_msg("%s %s: %u", requests[i].method, requests[i].target, status);
    }
    node_client_expect(admin(&f->c, "GET", "/check", NULL), 200, "{\"ok\":true");
    struct node_reply r = admin(&f->c, "GET", "/conversations/c", NULL);
    node_client_expect(r, 200, "\"title\":\"U\"");
    node_client_expect(r, 200, "\"content\":\"hi\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resources_stand_any_allocation_that_fails, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
