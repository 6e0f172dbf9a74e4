/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of sync by peer and namespace, of two nodes that really sync.
 */
#include "lib/node_pair.h"

#include "core/message.h"
#include "node/report.h"

#include <stdio.h>

static struct pl_peer *peer_of(const struct side *s)
{
    assert_int_equal(1, s->node->peers.count);
    return s->node->peers.table[0];
}

static void write_to(struct world *w, struct side *s, const char *name_space, const char *id,
                     uint64_t time)
{
    uint8_t body[64];
    struct pl_writer out = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text("hello") };
    pl_message_encode(&out, &message);
    struct parley_version v = { .name_space = pl_span_text(name_space),
                                .conversation = pl_span_text("c"),
                                .id = pl_span_text(id),
                                .kind = PARLEY_KIND_MESSAGE,
                                .time = time,
                                .origin = pl_span_text(pl_node_backend_id(s->node)),
                                .body = pl_writer_span(&out) };
    assert_ok(pl_node_write(s->node, &v, w->now));
}

static struct pl_report_space space_of(const struct side *s, size_t grant)
{
    struct pl_report_space space;
    struct parley_read *read = NULL;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(pl_report_space(peer_of(s), grant, read, s->node->now.wall, &space));
    parley_read_end(read);
    return space;
}

static void report_counts_what_went_each_way(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, SIZE_MAX);
    world_join(&w);
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        write_to(&w, &w.a, "main", id, 0);
        world_step(&w);
    }
    world_settle(&w);
    const struct pl_peer *b = peer_of(&w.a);
    const struct pl_peer *a = peer_of(&w.b);
    assert_int_equal(8, b->versions_out);
    assert_int_equal(8, a->versions_in);
    assert_int_equal(0, b->versions_in);
    /* What one sends the other receives; the first bytes come before the peer is known. */
    assert_in_range(b->bytes_out, 8 * 20, w.wire_bytes);
    assert_in_range(a->bytes_in + 4096, b->bytes_out, b->bytes_out + 8192);
    assert_in_range(b->bytes_in + 4096, a->bytes_out, a->bytes_out + 8192);
    assert_true(b->stated);
    assert_int_equal(b->acked, w.a.node->state.head);
    assert_int_equal(a->applied, a->head);
    world_close(&w);
}

static void report_says_of_each_namespace_whether_it_is_equal(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, SIZE_MAX);
    world_join(&w);
    write_to(&w, &w.a, "main", "m", 0);
    world_step(&w);
    world_pass(&w, PARLEY_NS_PER_S); /* the cursor comes a moment later */
    world_settle(&w);
    struct pl_report_space space = space_of(&w.a, 0);
    assert_string_equal("main", space.grant->name_space);
    assert_int_equal(PL_REPORT_IN_SYNC, space.state);
    assert_true(space.equal);
    assert_int_equal(1, space.ours.count);
    assert_int_equal(1, space.theirs->count);
    assert_in_range(space.since, 1, w.now.wall);
    /* Granted here, and not there. */
    assert_ok(pl_peer_grant(peer_of(&w.a), pl_span_text("team"), true));
    assert_int_equal(PL_REPORT_NOT_SHARED, space_of(&w.a, 1).state);
    /* A write that the other has not heard of yet. */
    w.apart = true;
    w.a.hold_commits = false;
    write_to(&w, &w.a, "main", "n", 0);
    world_effects(&w, &w.a, &w.b);
    space = space_of(&w.a, 0);
    assert_int_equal(PL_REPORT_CATCHING_UP, space.state);
    assert_int_equal(2, space.ours.count);
    world_part(&w);
    assert_int_equal(PL_REPORT_OFFLINE, space_of(&w.a, 0).state);
    assert_false(space_of(&w.a, 0).equal);
    world_close(&w);
}

static void report_says_when_an_offline_peer_is_dialed_again(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, SIZE_MAX);
    world_join(&w);
    world_settle(&w);
    assert_int_equal(0, pl_report_next_dial(w.b.node, peer_of(&w.b)));
    world_part(&w);
    world_pass(&w, PARLEY_NS_PER_S);
    assert_int_equal(PL_REPORT_OFFLINE, pl_report_state(peer_of(&w.b)));
    assert_in_range(pl_report_next_dial(w.b.node, peer_of(&w.b)), w.now.wall,
                    w.now.wall + 600 * PARLEY_US_PER_S);
    /* The one that was joined knows no address. */
    assert_int_equal(0, pl_report_next_dial(w.a.node, peer_of(&w.a)));
    world_close(&w);
}

static void report_counts_what_lost_on_arrival_and_what_is_held(void **state)
{
    struct world w;
    struct parley_read *read = NULL;
    (void)state;
    world_open(&w, false, SIZE_MAX);
    world_join(&w);
    world_settle(&w);
    world_part(&w);
    uint64_t wall = (uint64_t)w.now.wall;
    write_to(&w, &w.b, "main", "m", wall - 20);
    write_to(&w, &w.a, "main", "m", wall - 10);
    world_step(&w);
    w.apart = false;
    world_settle(&w);
    assert_int_equal(1, peer_of(&w.a)->versions_lost);
    /* The clock of b is an hour ahead. */
    w.now.wall += 3600 * PARLEY_US_PER_S;
    write_to(&w, &w.b, "main", "ahead", 0);
    world_effects(&w, &w.b, &w.a);
    w.now.wall -= 3600 * PARLEY_US_PER_S;
    world_step(&w);
    assert_ok(parley_read_begin(w.a.db, &read));
    assert_ok(pl_report_held(w.a.node, read));
    parley_read_end(read);
    assert_int_equal(1, peer_of(&w.a)->held);
    assert_in_range(peer_of(&w.a)->held_until, w.now.wall, w.now.wall + 3600 * PARLEY_US_PER_S);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_counts_what_went_each_way),
        cmocka_unit_test(report_says_of_each_namespace_whether_it_is_equal),
        cmocka_unit_test(report_says_when_an_offline_peer_is_dialed_again),
        cmocka_unit_test(report_counts_what_lost_on_arrival_and_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
