/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole nodes whose clocks are wrong, jump, or show a year that 32 bits of seconds cannot hold.
 */
#include "lib/node_pair.h"

#include "core/message.h"

#include <stdio.h>

#define YEAR_US (INT64_C(31556952) * PARLEY_US_PER_S)

/* Seconds since 1970 at which 31 and 32 bits end, and the last one of UTCTime. */
static const int64_t edges[] = { INT64_C(2147483647), INT64_C(4294967295), INT64_C(2524607999) };

/* Both nodes start anew at this time. */
static void start_at(struct world *w, parley_wall wall)
{
    w->now.wall = wall;
    side_kill(w, &w->a, &w->b);
    side_kill(w, &w->b, &w->a);
}

/* Writes; no byte moves yet. */
static void write_text(struct world *w, struct side *s, const char *text)
{
    uint8_t body[64];
    struct pl_writer out = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text(text) };
    pl_message_encode(&out, &message);
    struct parley_version v = { .name_space = pl_span_text("main"),
                                .conversation = pl_span_text("c"),
                                .id = pl_span_text("m"),
                                .kind = PARLEY_KIND_MESSAGE,
                                .origin = pl_span_text(pl_node_backend_id(s->node)),
                                .body = pl_writer_span(&out) };
    assert_ok(pl_node_write(s->node, &v, w->now));
    world_effects(w, s, s == &w->a ? &w->b : &w->a);
}

static void say(struct world *w, struct side *s, const char *text)
{
    write_text(w, s, text);
    world_step(w);
}

/* What the message says on this side, and its time. */
static uint64_t expect(struct side *s, const char *text)
{
    struct parley_read *read = NULL;
    struct parley_version v;
    struct pl_message message;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_register(read, 1, PARLEY_KIND_MESSAGE, pl_span_text("m"), &v, &found));
    assert_true(found);
    assert_ok(pl_message_decode(v.body, &message));
    assert_true(pl_span_is(message.content, text));
    uint64_t time = v.time;
    parley_read_end(read);
    return time;
}

static void nodes_join_and_sync_over_tls_across_the_end_of_32_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(edges); i++) {
        struct world w;
        world_open(&w, true, SIZE_MAX);
        start_at(&w, edges[i] * PARLEY_US_PER_S);
        world_join(&w);
        say(&w, &w.a, "before");
        world_settle(&w);
        uint64_t before = expect(&w.b, "before");
        assert_true(before < (uint64_t)(edges[i] + 1) * PARLEY_US_PER_S);
        world_pass(&w, 2 * PARLEY_NS_PER_S);
        say(&w, &w.b, "after");
        world_settle(&w);
        assert_true(expect(&w.a, "after") > (uint64_t)(edges[i] + 1) * PARLEY_US_PER_S);
        /* And from the disk, with a new session. */
        start_at(&w, w.now.wall);
        say(&w, &w.a, "again");
        world_settle(&w);
        expect(&w.b, "again");
        world_close(&w);
    }
}

/* The clock of one node is set back by a year while it is off: its next write still wins. */
static void stamps_go_on_when_a_restart_finds_the_clock_set_back(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, SIZE_MAX);
    world_join(&w);
    say(&w, &w.b, "first");
    world_settle(&w);
    uint64_t first = expect(&w.a, "first");
    parley_wall right = w.now.wall;
    w.now.wall -= YEAR_US;
    side_kill(&w, &w.a, &w.b);
    say(&w, &w.a, "second");
    assert_int_equal(first + 1, expect(&w.a, "second"));
    w.now.wall = right;
    world_settle(&w);
    expect(&w.b, "second");
    world_close(&w);
}

/* What a clock that is ahead has stamped waits on the other node, and no write of it is lost. */
static void a_clock_ahead_holds_its_writes_back_until_their_time(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, SIZE_MAX);
    world_join(&w);
    say(&w, &w.b, "first");
    world_settle(&w);
    w.now.wall += 3600 * PARLEY_US_PER_S;
    write_text(&w, &w.b, "of a clock an hour ahead");
    w.now.wall -= 3600 * PARLEY_US_PER_S;
    world_step(&w);
    expect(&w.a, "first");
    assert_int_equal(1, w.a.node->state.held);
    say(&w, &w.a, "meanwhile");
    for (int i = 0; i < 90; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    world_settle(&w);
    expect(&w.a, "of a clock an hour ahead");
    expect(&w.b, "of a clock an hour ahead");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_join_and_sync_over_tls_across_the_end_of_32_bits),
        cmocka_unit_test(stamps_go_on_when_a_restart_finds_the_clock_set_back),
        cmocka_unit_test(a_clock_ahead_holds_its_writes_back_until_their_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
