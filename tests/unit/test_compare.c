/* SPDX-License-Identifier: Apache-2.0
 *
 * Two stores that know nothing of each other's log: one comparison makes them equal, whatever they
 * have in common, and whatever is written meanwhile.
 */
#include "lib/db_util.h"
#include "lib/node_pair.h"

#include "base/rng.h"
#include "core/digest.h"
#include "core/message.h"
#include "sync/descent.h"
#include "sync/range.h"

#include <stdio.h>
#include <stdlib.h>

#define WRITES_MAX 1500
#define TALKS      7

struct maker {
    struct pl_rng rng;
    struct world w;
    unsigned next;
};

static struct parley_version make_version(struct maker *m, unsigned id, uint64_t time,
                                          const char *origin, char names[2][16], uint8_t body[64])
{
    char text[16];
    struct pl_writer w = pl_writer_over(body, 64);
    snprintf(text, sizeof text, "%u", (unsigned)pl_rng_below(&m->rng, 1000000));
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text(text) };
    pl_message_encode(&w, &message);
    snprintf(names[0], 16, "talk-%u", id % TALKS);
    snprintf(names[1], 16, "m%u", id);
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text(names[0]),
                                    .id = pl_span_text(names[1]),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = time,
                                    .origin = pl_span_text(origin),
                                    .body = pl_writer_span(&w) };
}

static void put(struct side *s, const struct parley_version *version, parley_wall now)
{
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .u.version = *version };
    bool changed = false;
    assert_ok(parley_db_apply(s->db, &write, 1, now, &changed));
    s->node->state_fresh = false;
}

/* Times of the past, many of them the same. */
static uint64_t pick_time(struct maker *m)
{
    return (uint64_t)m->w.now.wall - UINT64_C(1000000000) + pl_rng_below(&m->rng, 5000) / 3 * 1000;
}

/* One difference, or a version that both have. Where both get one, their counts are the same. */
static void make_difference(struct maker *m, bool common)
{
    char names[2][16];
    uint8_t body[64];
    unsigned id = m->next++;
    uint64_t time = pick_time(m);
    struct side *sides[2] = { &m->w.a, &m->w.b };
    unsigned kind = (unsigned)pl_rng_below(&m->rng, 4);
    struct parley_version v = make_version(m, id, time, "base", names, body);
    for (int i = 0; i < 2; i++) {
        if (common || kind >= 2 || (int)kind == i)
            put(sides[i], &v, m->w.now.wall);
    }
    if (common || kind < 2)
        return;
    /* Both had it; one has edited it, or both have, each in his way. */
    for (int i = 0; i < 2; i++) {
        v = make_version(m, id, kind == 2 ? time + 1 + (uint64_t)i : pick_time(m) + 2000000,
                         i == 0 ? "ann" : "bob", names, body);
        if (i == 0 || pl_rng_below(&m->rng, 2) == 0)
            put(sides[i], &v, m->w.now.wall);
    }
}

/* A local write: something new, or an edit of what is being compared. */
static void write_meanwhile(struct maker *m)
{
    char names[2][16];
    uint8_t body[64];
    struct side *s = pl_rng_below(&m->rng, 2) == 0 ? &m->w.a : &m->w.b;
    bool edit = pl_rng_below(&m->rng, 4) != 0 && m->next != 0;
    unsigned id = edit ? (unsigned)pl_rng_below(&m->rng, m->next) : m->next++;
    struct parley_version v = make_version(m, id, 0, "", names, body);
    v.origin = pl_span_of(NULL, 0);
    if (pl_rng_below(&m->rng, 8) == 0) {
        v.flags = PARLEY_FLAG_TOMBSTONE;
        v.body = pl_span_of(NULL, 0);
    }
    put(s, &v, m->w.now.wall);
}

static void compare_once(uint64_t seed, bool writes)
{
    static const unsigned commons[] = { 0, 3, 40, 400, 1000 };
    static const unsigned differs[] = { 1, 4, 30, 200 };
    struct maker *m = calloc(1, sizeof *m);
    pl_rng_init(&m->rng, seed);
    world_open(&m->w, false, 1 + (size_t)pl_rng_below(&m->rng, 3000));
    unsigned common = commons[pl_rng_below(&m->rng, PL_ARRAY_LEN(commons))];
    unsigned differ = differs[pl_rng_below(&m->rng, PL_ARRAY_LEN(differs))];
    for (unsigned i = 0; i < common + differ; i++)
        make_difference(m, i < common);
    world_join(&m->w);
    for (int i = 0; i < (writes ? 40 : 0); i++) {
        m->w.wire_max = m->w.wire_bytes + 1 + pl_rng_below(&m->rng, 4000);
        world_step(&m->w);
        write_meanwhile(m);
    }
    m->w.wire_max = 0;
    for (int i = 0; i < 3; i++) /* nobody told the nodes of the last writes */
        world_pass(&m->w, 11 * PARLEY_NS_PER_S);
    world_settle(&m->w);
    struct parley_root a = db_util_root(m->w.a.db);
    struct parley_root b = db_util_root(m->w.b.db);
    if (!pl_root_equal(&a, &b))
        fail_msg("seed %u: %u and %u versions", (unsigned)seed, (unsigned)a.count,
                 (unsigned)b.count);
    uint64_t repairs = m->w.a.node->peers.table[0]->repairs + m->w.b.node->peers.table[0]->repairs;
    if (repairs != 0)
        fail_msg("seed %u: one comparison was not enough", (unsigned)seed);
    world_close(&m->w);
    free(m);
}

static void one_comparison_makes_stores_equal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        compare_once(seed, false);
}

static void one_comparison_is_enough_while_both_sides_write(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 160; seed++)
        compare_once(seed, true);
}

static struct parley_root root_under(struct side *s, uint64_t cut)
{
    struct pl_scope scope = { .name_space = pl_span_text("main"), .cut = cut };
    struct parley_read *read = NULL;
    struct parley_root root = { 0 };
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(pl_range_root(read, &scope, &root));
    parley_read_end(read);
    return root;
}

static void collect(struct maker *m, struct side *s, uint64_t upto)
{
    for (bool more = true; more;) {
        struct parley_write w = { .kind = PARLEY_WRITE_COLLECT };
        w.u.collect.name_space = pl_span_text("main");
        w.u.collect.upto = upto;
        w.u.collect.raise = true;
        assert_ok(parley_db_apply(s->db, &w, 1, m->w.now.wall, NULL));
        more = w.more;
    }
    s->node->state_fresh = false;
}

/* One side has collected the tombstones of the past, the other still has them, and others. */
static void delete_and_collect(struct maker *m, struct side *collector)
{
    char names[2][16];
    uint8_t body[64];
    struct side *sides[2] = { &m->w.a, &m->w.b };
    for (unsigned i = 0; i < 200; i++) {
        struct parley_version v = make_version(m, (unsigned)pl_rng_below(&m->rng, m->next + 40),
                                               pick_time(m), "dan", names, body);
        v.flags = PARLEY_FLAG_TOMBSTONE;
        v.body = pl_span_of(NULL, 0);
        /* A tombstone that one side has not heard of is newer than what the other has collected. */
        bool both = pl_rng_below(&m->rng, 2) == 0;
        v.time += both ? 0 : 10000000;
        for (int k = 0; k < 2; k++) {
            if (both || k == (int)(i % 2))
                put(sides[k], &v, m->w.now.wall);
        }
    }
    collect(m, collector, pick_time(m));
}

/* What neither side counts is not exchanged, and does not keep them from being the same. */
static void sides_with_different_floors_become_the_same_but_for_tombstones(void **state)
{
    (void)state;
    for (uint64_t seed = 201; seed <= 230; seed++) {
        struct maker *m = calloc(1, sizeof *m);
        pl_rng_init(&m->rng, seed);
        world_open(&m->w, false, 1 + (size_t)pl_rng_below(&m->rng, 3000));
        for (unsigned i = 0; i < 150; i++)
            make_difference(m, i < 120);
        struct side *collector = seed % 2 == 0 ? &m->w.a : &m->w.b;
        delete_and_collect(m, collector);
        uint64_t floor = db_util_namespace(collector->db).floor;
        world_join(&m->w);
        for (int i = 0; i < 2; i++)
            world_pass(&m->w, 11 * PARLEY_NS_PER_S);
        world_settle(&m->w);
        struct parley_root a = root_under(&m->w.a, floor);
        struct parley_root b = root_under(&m->w.b, floor);
        if (floor == 0 || !pl_root_equal(&a, &b))
            fail_msg("seed %u: %u and %u versions", (unsigned)seed, (unsigned)a.count,
                     (unsigned)b.count);
        for (int i = 0; i < 2; i++) {
            struct pl_peer *peer = (i == 0 ? &m->w.a : &m->w.b)->node->peers.table[0];
            assert_int_equal(PL_SYNC_IN_SYNC, peer->sync);
            assert_int_equal(0, peer->repairs);
        }
        world_close(&m->w);
        free(m);
    }
}

/* Both know 300 deletions, of which one side has collected all: one message differs. */
static void a_comparison_does_not_send_what_the_other_side_has_collected(void **state)
{
    (void)state;
    for (int collects = 0; collects < 2; collects++) {
        struct maker *m = calloc(1, sizeof *m);
        char names[2][16];
        uint8_t body[64];
        pl_rng_init(&m->rng, 9);
        world_open(&m->w, false, 3000);
        for (unsigned i = 0; i < 400; i++) {
            struct parley_version v = make_version(m, i, pick_time(m), "ann", names, body);
            v.flags = i < 300 ? PARLEY_FLAG_TOMBSTONE : 0;
            v.body = i < 300 ? pl_span_of(NULL, 0) : v.body;
            if (i != 399)
                put(&m->w.a, &v, m->w.now.wall);
            put(&m->w.b, &v, m->w.now.wall);
        }
        collect(m, collects == 0 ? &m->w.a : &m->w.b, (uint64_t)m->w.now.wall);
        world_join(&m->w);
        world_settle(&m->w);
        assert_int_equal(1, m->w.a.node->peers.table[0]->versions_in);
        assert_int_equal(0, m->w.b.node->peers.table[0]->versions_in);
        world_close(&m->w);
        free(m);
    }
}

/* A comparison of large equal parts costs what differs, not what is there. */
static void a_comparison_costs_what_differs(void **state)
{
    (void)state;
    struct maker *m = calloc(1, sizeof *m);
    pl_rng_init(&m->rng, 7);
    world_open(&m->w, false, 100000);
    for (unsigned i = 0; i < WRITES_MAX; i++)
        make_difference(m, true);
    char names[2][16];
    uint8_t body[64];
    struct parley_version v = make_version(m, m->next, pick_time(m), "ann", names, body);
    put(&m->w.a, &v, m->w.now.wall);
    world_join(&m->w);
    world_settle(&m->w);
    struct parley_root a = db_util_root(m->w.a.db);
    struct parley_root b = db_util_root(m->w.b.db);
    assert_true(pl_root_equal(&a, &b));
    assert_int_equal(1, m->w.b.node->peers.table[0]->versions_in);
    assert_int_equal(0, m->w.a.node->peers.table[0]->versions_in);
    /* The join takes 5 KB; all versions would take 45 KB, and their digests more. */
    assert_true(m->w.wire_bytes < 15000);
    world_close(&m->w);
    free(m);
}

/* ---- Dry comparisons ---- */

/* A version that a side has from the other, as it believes: so it is not sent there. */
static void put_silently(struct side *s, const struct parley_version *version, parley_wall now)
{
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION,
                                  .source = s->node->peers.table[0]->number,
                                  .u.version = *version };
    bool changed = false;
    assert_ok(parley_db_apply(s->db, &write, 1, now, &changed));
    s->node->state_fresh = false;
}

static struct pl_round *round_of(struct side *s)
{
    struct pl_connection *conn = pl_node_conn_find(s->node, s->node->peers.table[0]->conn);
    assert_non_null(conn);
    assert_non_null(conn->round);
    conn->wants_pump = true;
    return conn->round;
}

/* What one side lacks of the other, by register: the model of a dry comparison. */
struct moves {
    uint64_t versions[2], bytes[2], conflicts;
};

static struct moves make_moves(struct maker *m, unsigned count)
{
    struct moves moves = { 0 };
    for (unsigned i = 0; i < count; i++) {
        char names[2][16];
        uint8_t body[64];
        unsigned id = m->next++;
        unsigned kind = (unsigned)pl_rng_below(&m->rng, 3);
        struct side *sides[2] = { &m->w.a, &m->w.b };
        for (unsigned side = 0; side < 2; side++) {
            if (kind != 2 && kind != side)
                continue;
            struct parley_version v = make_version(m, id, pick_time(m) + side * 7,
                                                   side == 0 ? "ann" : "bob", names, body);
            put_silently(sides[side], &v, m->w.now.wall);
            moves.versions[side]++;
            moves.bytes[side] += v.id.len + v.body.len;
        }
        moves.conflicts += kind == 2 ? 1 : 0;
    }
    return moves;
}

static void a_dry_comparison_counts_what_would_move_and_moves_nothing(void **state)
{
    static const unsigned counts[] = { 0, 1, 9, 120, 600 };
    (void)state;
    for (unsigned i = 0; i < 2 * PL_ARRAY_LEN(counts); i++) {
        struct maker *m = calloc(1, sizeof *m);
        pl_rng_init(&m->rng, i);
        world_open(&m->w, false, 1 + (size_t)pl_rng_below(&m->rng, 3000));
        for (unsigned k = 0; k < 300; k++)
            make_difference(m, true);
        world_join(&m->w);
        world_settle(&m->w);
        round_of(&m->w.a)->repair_at = PARLEY_TIME_NEVER;
        round_of(&m->w.b)->repair_at = PARLEY_TIME_NEVER;
        struct moves moves = make_moves(m, counts[i / 2]);
        struct parley_root before[2] = { db_util_root(m->w.a.db), db_util_root(m->w.b.db) };
        struct side *asker = i % 2 == 0 ? &m->w.a : &m->w.b;
        unsigned out = i % 2;
        pl_round_want_diff(round_of(asker));
        struct pl_diff_result *diff = &asker->node->peers.table[0]->diff;
        for (int k = 0; k < 2000 && diff->state != PL_DIFF_DONE; k++)
            world_pass(&m->w, PARLEY_NS_PER_MS);
        assert_int_equal(PL_DIFF_DONE, diff->state);
        assert_int_equal(moves.versions[out], diff->versions_out);
        assert_int_equal(moves.versions[1 - out], diff->versions_in);
        assert_int_equal(moves.bytes[out], diff->bytes_out);
        assert_int_equal(moves.bytes[1 - out], diff->bytes_in);
        if (diff->conflicts_all)
            assert_int_equal(moves.conflicts, diff->conflicts);
        assert_true(diff->conflicts <= moves.conflicts);
        assert_true(diff->conflicts_all || counts[i / 2] > 9);
        struct parley_root after[2] = { db_util_root(m->w.a.db), db_util_root(m->w.b.db) };
        assert_true(pl_root_equal(&before[0], &after[0]) && pl_root_equal(&before[1], &after[1]));
        world_close(&m->w);
        free(m);
    }
}

/* As if `s` had synced with another store of its peer. */
static void void_cursor(struct side *s, parley_wall now)
{
    struct parley_write write = { .kind = PARLEY_WRITE_CURSOR };
    bool changed = false;
    write.u.cursor.peer = s->node->peers.table[0]->number;
    assert_ok(parley_db_apply(s->db, &write, 1, now, &changed));
    s->node->state_fresh = false;
}

static void lack_newest(unsigned common)
{
    struct maker *m = calloc(1, sizeof *m);
    char names[2][16];
    uint8_t body[64];
    pl_rng_init(&m->rng, 11);
    world_open(&m->w, false, 100000);
    for (unsigned i = 0; i < common; i++)
        make_difference(m, true);
    world_join(&m->w);
    world_settle(&m->w);
    world_part(&m->w);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t time = (uint64_t)m->w.now.wall - 1000 + i;
        struct parley_version v = make_version(m, m->next++, time, "bob", names, body);
        put(&m->w.b, &v, m->w.now.wall);
    }
    void_cursor(&m->w.a, m->w.now.wall);
    m->w.apart = false;
    world_pass(&m->w, 5 * PARLEY_NS_PER_S); /* b dials, and no time passes any more */
    struct parley_root a = db_util_root(m->w.a.db);
    struct parley_root b = db_util_root(m->w.b.db);
    if (!pl_root_equal(&a, &b))
        fail_msg("what is newer than %u versions waits for a tick", common);
    world_close(&m->w);
    free(m);
}

/* The side that asks has what is newest. When it makes up a part of its own there is nothing more
 * to ask, and no other message follows the answer: sending must not wait for one, or for a tick. */
static void what_the_other_lacks_altogether_is_sent_at_once(void **state)
{
    (void)state;
    for (unsigned common = 2 * PL_LEAF_KEYS_MAX - 3; common <= 2 * PL_LEAF_KEYS_MAX + 12; common++)
        lack_newest(common);
}

/* What only a comparison finds, on both sides or on one. */
static void hide_differences(struct maker *m, unsigned on_a, unsigned on_b)
{
    char names[2][16];
    uint8_t body[64];
    for (unsigned i = 0; i < on_a + on_b; i++) {
        struct parley_version v = make_version(m, m->next++, pick_time(m), "bob", names, body);
        put_silently(i < on_a ? &m->w.a : &m->w.b, &v, m->w.now.wall);
    }
}

/* A state that was sent before the peer had acknowledged all proves nothing; when that has come, it
 * is said again, or who waits for the end waits for the next tick of ten seconds. */
static void both_sides_know_at_once_that_a_comparison_made_them_equal(void **state)
{
    static const unsigned counts[][2] = { { 0, 1 }, { 1, 0 }, { 1, 1 }, { 26, 18 }, { 90, 0 } };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(counts); i++) {
        struct maker *m = calloc(1, sizeof *m);
        pl_rng_init(&m->rng, 12);
        world_open(&m->w, false, 100000);
        for (unsigned k = 0; k < 100; k++)
            make_difference(m, true);
        world_join(&m->w);
        world_settle(&m->w);
        world_part(&m->w);
        hide_differences(m, counts[i][0], counts[i][1]);
        m->w.apart = false;
        world_pass(&m->w, 5 * PARLEY_NS_PER_S); /* b dials */
        for (int k = 0; k < 10; k++)
            world_pass(&m->w, 100 * PARLEY_NS_PER_MS);
        assert_int_equal(1, m->w.b.node->peers.table[0]->repairs);
        if (!pl_node_in_sync(m->w.a.node) || !pl_node_in_sync(m->w.b.node))
            fail_msg("%u and %u versions: a says \"%s\", b says \"%s\"", counts[i][0], counts[i][1],
                     m->w.a.node->peers.table[0]->note, m->w.b.node->peers.table[0]->note);
        world_close(&m->w);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_comparison_makes_stores_equal),
        cmocka_unit_test(one_comparison_is_enough_while_both_sides_write),
        cmocka_unit_test(sides_with_different_floors_become_the_same_but_for_tombstones),
        cmocka_unit_test(a_comparison_does_not_send_what_the_other_side_has_collected),
        cmocka_unit_test(a_comparison_costs_what_differs),
        cmocka_unit_test(a_dry_comparison_counts_what_would_move_and_moves_nothing),
        cmocka_unit_test(what_the_other_lacks_altogether_is_sent_at_once),
        cmocka_unit_test(both_sides_know_at_once_that_a_comparison_made_them_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
