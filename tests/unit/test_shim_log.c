/* SPDX-License-Identifier: Apache-2.0
 *
 * The level of the host's log over HTTP, and what else a host may change while the node runs.
 */
#include "lib/client_fixture.h"

#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

static void expect(struct fixture *f, const char *method, const char *body, unsigned status,
                   const char *text)
{
    node_client_expect(node_client_admin(&f->c, method, "/log-level", body), status, text);
}

static void log_level_is_not_there_without_a_log(void **state)
{
    struct fixture *f = *state;
    expect(f, "GET", NULL, 404, "\"code\":\"no-log\"");
    expect(f, "POST", "{\"level\":\"info\"}", 404, "\"code\":\"no-log\"");
    assert_int_equal(PL_LOG_NONE, pl_node_log_level(f->c.node));
}

static void log_level_is_shown_and_changed(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "error", "warn", "info", "debug" };
    char text[64];
    pl_node_set_log_level(f->c.node, PL_LOG_WARN);
    expect(f, "GET", NULL, 200, "{\"level\":\"warn\"}");
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "{\"level\":\"%s\"}", names[i]);
        expect(f, "POST", text, 200, text);
        assert_int_equal(PL_LOG_ERROR + i, pl_node_log_level(f->c.node));
        expect(f, "GET", NULL, 200, text);
    }
}

static void log_level_refuses_what_is_none(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = { "{\"level\":\"loud\"}", "{\"level\":\"INFO\"}",
                                          "{\"level\":\"none\"}", "{\"level\":\"\"}" };
    pl_node_set_log_level(f->c.node, PL_LOG_WARN);
    for (size_t i = 0; i < PL_ARRAY_LEN(bodies); i++)
        expect(f, "POST", bodies[i], 400, "error, warn, info or debug");
    expect(f, "POST", "{}", 400, "\"level\"");
    expect(f, "POST", "{\"level\":3}", 400, "\"level\"");
    assert_int_equal(PL_LOG_WARN, pl_node_log_level(f->c.node));
}

static void node_takes_another_grace_and_plans_by_it(void **state)
{
    struct fixture *f = *state;
    f->c.node->collect.due = 77;
    pl_node_set_tombstone_grace(f->c.node, f->c.node->options.tombstone_grace_us);
    assert_int_equal(77, f->c.node->collect.due); /* nothing has changed */
    pl_node_set_tombstone_grace(f->c.node, 5 * PARLEY_US_PER_S);
    assert_int_equal(5 * PARLEY_US_PER_S, pl_collect_grace(f->c.node));
    assert_int_equal(0, f->c.node->collect.due);
}

static void node_says_whether_a_certificate_is_in_use(void **state)
{
    struct fixture *f = *state;
    /* Compared, and never followed. */
    const struct pl_https_cert *one = (const void *)&f->env;
    const struct pl_https_cert *two = (const void *)&f->c;
    pl_node_set_https(f->c.node, one);
    assert_true(pl_node_uses_https(f->c.node, one));
    assert_false(pl_node_uses_https(f->c.node, two));
    pl_node_set_https(f->c.node, two);
    assert_false(pl_node_uses_https(f->c.node, one));
    pl_node_set_https(f->c.node, NULL);
    assert_false(pl_node_uses_https(f->c.node, two));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(log_level_is_not_there_without_a_log),
        TEST(log_level_is_shown_and_changed),
        TEST(log_level_refuses_what_is_none),
        TEST(node_takes_another_grace_and_plans_by_it),
        TEST(node_says_whether_a_certificate_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
