/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /status and GET /metrics of one node with a peer as the test makes it.
 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

#define PEER_ID "edge_sha256_00000000000000000000000000000001"

struct fixture {
    struct env_mem env;
    struct node_client c;
    struct pl_peer *peer;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    assert_ok(pl_peers_add(&f->c.node->peers, &f->env.t.env, pl_span_text(PEER_ID), &f->peer));
    f->peer->state = PL_PEER_ACTIVE;
    assert_ok(pl_peer_grant(f->peer, pl_span_text("main"), true));
    node_client_expect(node_client_admin(&f->c, "POST", "/conversations/c/messages",
                                         "{\"role\":\"user\",\"content\":\"hi\"}"),
                       201, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static struct node_reply get(struct fixture *f, const char *target)
{
    return node_client_admin(&f->c, "GET", target, NULL);
}

static void status_tells_why_a_peer_is_offline_and_when_it_is_tried_again(void **state)
{
    struct fixture *f = *state;
    snprintf(f->peer->address, sizeof f->peer->address, "127.0.0.1:1");
    pl_peer_set_note(f->peer, "connection refused");
    f->peer->dial_at = f->c.now.mono + 7 * PARLEY_NS_PER_S;
    struct node_reply r = get(f, "/status");
    node_client_expect(r, 200, "\"state\":\"offline\",\"in_sync\":false,\"root_equal\":false");
    node_client_expect(r, 200,
                       "\"note\":\"connection refused\",\"address\":\"127.0.0.1:1\","
                       "\"next_dial_at\":\"2023-11-14T22:13:27.000000Z\"");
    node_client_expect(r, 200,
                       "\"namespaces\":[{\"name\":\"main\",\"right\":\"write\","
                       "\"state\":\"offline\",\"root_equal\":false");
    assert_null(strstr(r.body, "skew_us"));
}

static void status_tells_how_far_both_logs_are(void **state)
{
    struct fixture *f = *state;
    struct parley_root theirs = { .count = 9 };
    f->peer->sync = PL_SYNC_CATCHING_UP;
    f->peer->stated = true;
    f->peer->acked = 3;
    f->peer->behind_ours = 4;
    f->peer->applied = 5;
    f->peer->head = 15;
    f->peer->skew_us = -2500000;
    pl_peer_note_root(f->peer, 0, &theirs, false, f->c.now.wall);
    struct node_reply r = get(f, "/status");
    node_client_expect(r, 200,
                       "\"sending\":{\"done\":3,\"of\":7},\"receiving\":{\"done\":5,\"of\":15},"
                       "\"skew_us\":-2500000");
    node_client_expect(r, 200,
                       "\"state\":\"catching up\",\"root_equal\":false,"
                       "\"since\":\"2023-11-14T22:13:20.000000Z\",\"stale\":true,"
                       "\"versions\":1,\"versions_there\":9}]");
    f->peer->synced_at[0] = f->c.now.wall;
    node_client_expect(get(f, "/status"), 200, "\"stale\":false");
}

/* Without a cursor sequences say nothing. */
static void status_tells_how_far_a_copy_is(void **state)
{
    struct fixture *f = *state;
    struct parley_root theirs = { .count = 9 };
    f->peer->sync = PL_SYNC_CATCHING_UP;
    f->peer->stated = true;
    f->peer->behind_ours = 40;
    f->peer->copied = 7;
    f->peer->to_copy = 30;
    f->peer->head = 15;
    node_client_expect(get(f, "/status"), 200,
                       "\"sending\":{\"done\":7,\"of\":30},\"receiving\":{\"done\":0,\"of\":0}");
    pl_peer_note_root(f->peer, 0, &theirs, false, f->c.now.wall);
    node_client_expect(get(f, "/status"), 200, "\"receiving\":{\"done\":1,\"of\":9}");
    f->peer->applied = 3;
    f->peer->to_copy = 0;
    node_client_expect(get(f, "/status"), 200,
                       "\"sending\":{\"done\":0,\"of\":40},\"receiving\":{\"done\":3,\"of\":15}");
}

/* ---- GET /peers/{id}/diff ---- */

static void write_some(struct fixture *f, const char *name_space, int conversations)
{
    char path[128];
    for (int i = 0; i < conversations * 2; i++) {
        snprintf(path, sizeof path, "/conversations/d%d/messages?namespace=%s", i / 2, name_space);
        node_client_expect(
            node_client_admin(&f->c, "POST", path, "{\"role\":\"user\",\"content\":\"hi\"}"), 201,
            NULL);
    }
}

static void diff_counts_what_the_peer_has_not_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct parley_root theirs = { .count = 9 };
    write_some(f, "main", 3);
    write_some(f, "private", 1);
    f->peer->stated = true;
    f->peer->acked = 1;
    f->peer->behind_ours = 8;
    f->peer->behind_theirs = 5;
    pl_peer_note_root(f->peer, 0, &theirs, false, f->c.now.wall);
    struct node_reply r = get(f, "/peers/" PEER_ID "/diff");
    node_client_expect(r, 200,
                       "\"basis\":\"logs\",\"exact\":false,"
                       "\"outgoing\":{\"versions\":6,\"bytes\":");
    node_client_expect(r, 200, "\"conversations\":3},\"incoming\":{\"versions\":5}}");
    node_client_expect(r, 200, "\"versions\":7,\"versions_there\":9}]");
}

static void diff_says_when_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    struct node_reply r = get(f, "/peers/" PEER_ID "/diff");
    node_client_expect(r, 200, "\"basis\":\"unknown\",\"exact\":false}");
    /* Both logs are through, and still the roots differ. */
    f->peer->stated = true;
    f->peer->acked = 1;
    f->peer->sync = PL_SYNC_CATCHING_UP;
    node_client_expect(get(f, "/peers/" PEER_ID "/diff"), 200, "\"basis\":\"logs\"");
    pl_peer_note_root(f->peer, 0, &(struct parley_root){ .count = 4 }, false, f->c.now.wall);
    node_client_expect(get(f, "/peers/" PEER_ID "/diff"), 200, "\"basis\":\"compare\"");
    node_client_expect(get(f, "/peers/nobody/diff"), 404, "no-such-peer");
}

static void diff_shows_the_last_comparison(void **state)
{
    struct fixture *f = *state;
    struct node_reply r = node_client_admin(&f->c, "POST", "/peers/" PEER_ID "/diff", NULL);
    node_client_expect(r, 409, "not-connected");
    f->peer->diff.state = PL_DIFF_RUNNING; /* of a session that has ended */
    node_client_expect(get(f, "/peers/" PEER_ID "/diff"), 200, "\"comparing\":false");
    f->peer->diff = (struct pl_diff_result){ .state = PL_DIFF_DONE,
                                             .at = f->c.now.wall,
                                             .versions_out = 3,
                                             .bytes_out = 40,
                                             .versions_in = 5,
                                             .bytes_in = 60,
                                             .conflicts = 2 };
    node_client_expect(get(f, "/peers/" PEER_ID "/diff"), 200,
                       "\"outgoing\":{\"versions\":3,\"bytes\":40},"
                       "\"incoming\":{\"versions\":5,\"bytes\":60},"
                       "\"conflicts\":2,\"conflicts_all\":false}}");
}

/* ---- GET /metrics ---- */

static void metrics_are_text_that_prometheus_reads(void **state)
{
    struct fixture *f = *state;
    struct node_reply r = get(f, "/metrics");
    node_client_expect(r, 200, "# HELP parley_build_info ");
    assert_non_null(strstr(r.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    node_client_expect(r, 200,
                       "# TYPE parley_namespace_versions gauge\n"
                       "parley_namespace_versions{namespace=\"main\"} 1\n");
    node_client_expect(r, 200,
                       "# TYPE parley_peer_received_bytes_total counter\n"
                       "parley_peer_received_bytes_total{peer=\"" PEER_ID "\"} 0\n");
    node_client_expect(r, 200, "\nparley_store_readers 1\n");
    node_client_expect(r, 200, "\nparley_store_reader_slots 1\n");
    node_client_expect(r, 200, "parley_peer_state{peer=\"" PEER_ID "\",state=\"offline\"} 1\n");
    node_client_expect(r, 200, "parley_peer_state{peer=\"" PEER_ID "\",state=\"in sync\"} 0\n");
    node_client_expect(
        r, 200, "parley_peer_namespace_in_sync{peer=\"" PEER_ID "\",namespace=\"main\"} 0\n");
    assert_int_equal('\n', r.body[r.body_len - 1]);
}

/* Each family has its head once, before all of its samples, and no other line is there. */
static void metrics_have_one_head_a_family(void **state)
{
    struct fixture *f = *state;
    struct node_reply r = get(f, "/metrics");
    char family[128] = "";
    size_t lines = 0;
    for (const char *line = r.body; line[0] != '\0'; line = strchr(line, '\n') + 1) {
        size_t len = strlen(family);
        lines++;
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            continue;
        }
        const char *name = strncmp(line, "# TYPE ", 7) == 0 ? line + 7 : line;
        assert_true(len != 0 && strncmp(name, family, len) == 0);
        assert_non_null(strchr(" {", name[len]));
    }
    assert_in_range(lines, 60, 200);
}

static void metrics_give_times_in_seconds(void **state)
{
    struct fixture *f = *state;
    f->peer->skew_us = -2500000;
    f->peer->last_sync_at = 1700000000000042;
    struct node_reply r = get(f, "/metrics");
    node_client_expect(r, 200, "parley_peer_clock_skew_seconds{peer=\"" PEER_ID "\"} -2.500000\n");
    node_client_expect(r, 200,
                       "parley_peer_last_sync_timestamp_seconds{peer=\"" PEER_ID
                       "\"} 1700000000.000042\n");
}

static void metrics_escape_labels(void **state)
{
    struct fixture *f = *state;
    node_client_expect(node_client_admin(&f->c, "POST",
                                         "/conversations/c/messages?namespace=a%22b%5Cc",
                                         "{\"role\":\"user\",\"content\":\"hi\"}"),
                       201, NULL);
    node_client_expect(get(f, "/metrics"), 200, "{namespace=\"a\\\"b\\\\c\"} 1\n");
}

/* Anybody may ask for it: it tells numbers, and no name. */
static void health_names_no_peer_and_no_namespace(void **state)
{
    struct fixture *f = *state;
    struct node_reply r = node_client_ask(&f->c, "GET", "/health", NULL, NULL);
    node_client_expect(r, 200, "\"sync\":{\"in_sync\":0,\"catching_up\":0,\"offline\":1,");
    assert_null(strstr(r.body, PEER_ID));
    assert_null(strstr(r.body, "main"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(status_tells_why_a_peer_is_offline_and_when_it_is_tried_again),
        TEST(status_tells_how_far_both_logs_are),
        TEST(status_tells_how_far_a_copy_is),
        TEST(diff_counts_what_the_peer_has_not_acknowledged),
        TEST(diff_says_when_it_does_not_know),
        TEST(diff_shows_the_last_comparison),
        TEST(metrics_are_text_that_prometheus_reads),
        TEST(metrics_have_one_head_a_family),
        TEST(metrics_give_times_in_seconds),
        TEST(metrics_escape_labels),
        TEST(health_names_no_peer_and_no_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
