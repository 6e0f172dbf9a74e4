/* SPDX-License-Identifier: Apache-2.0
 *
 * Tombstones that go for good, floors, and the trash (engine/db/collect.c, G1 to G5).
 */
#include "lib/db_fixture.h"

#include "base/rng.h"
#include "core/digest.h"
#include "db/db_int.h"

#include <stdio.h>

static struct parley_write apply(struct fixture *f, struct parley_write w)
{
    bool changed;
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    return w;
}

static struct parley_write collect_step(struct fixture *f, uint64_t upto, bool raise)
{
    struct parley_write w = { .kind = PARLEY_WRITE_COLLECT };
    w.u.collect.name_space = pl_span_text("main");
    w.u.collect.upto = upto;
    w.u.collect.raise = raise;
    w.u.collect.clean = upto / 2;
    return apply(f, w);
}

static uint64_t collect(struct fixture *f, uint64_t upto, bool raise)
{
    uint64_t moved = 0;
    for (bool more = true; more;) {
        struct parley_write w = collect_step(f, upto, raise);
        moved += w.moved;
        more = w.more;
        db_util_check(f->db);
    }
    return moved;
}

static struct parley_conversation_info talk_of(struct fixture *f, const char *id)
{
    struct parley_read *read;
    struct parley_conversation_info info = { 0 };
    bool found;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text(id), &info, &found));
    parley_read_end(read);
    assert_true(found);
    return info;
}

static uint64_t count_set(struct fixture *f, bool tombstones)
{
    struct parley_read *read;
    struct parley_elements e;
    struct parley_point from = { { 0 } };
    struct parley_set set = { .name_space = pl_span_text("main"), .tombstones = tombstones };
    uint64_t count = 0;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_elements_begin(read, &set, &from, &e));
    for (bool found = true; found; count += found ? 1 : 0) {
        struct parley_element element;
        assert_ok(parley_elements_next(&e, &element, &found));
    }
    parley_read_end(read);
    return count;
}

static void collecting_removes_tombstones_up_to_a_time_and_takes_none_below(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    struct parley_root before = db_util_root(f->db);
    db_util_apply(f->db, db_util_message("c", "m2", 11, "ann", "two", f->body));
    db_util_apply(f->db, db_util_tombstone("c", "m2", 20, "ann"));
    db_util_apply(f->db, db_util_tombstone("c", "m3", 30, "ann"));
    assert_int_equal(2, count_set(f, true));
    assert_int_equal(1, collect(f, 20, true));
    assert_int_equal(20, db_util_namespace(f->db).floor);
    assert_int_equal(10, db_util_namespace(f->db).clean);
    assert_int_equal(1, count_set(f, true));
    assert_int_equal(2, count_set(f, false));
    assert_int_equal(PARLEY_VERDICT_LOST,
                     db_util_apply(f->db, db_util_tombstone("c", "m1", 20, "bob")).verdict);
    assert_int_equal(1, talk_of(f, "c").messages);
    assert_int_equal(1, collect(f, 30, true));
    struct parley_root after = db_util_root(f->db);
    assert_true(pl_root_equal(&before, &after));
    assert_int_equal(10, talk_of(f, "c").updated);
    restart(f);
    assert_int_equal(30, db_util_namespace(f->db).floor);
    bool changed = true;
    struct parley_write w = { .kind = PARLEY_WRITE_COLLECT };
    w.u.collect.name_space = pl_span_text("main");
    w.u.collect.upto = 25;
    w.u.collect.raise = true;
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    assert_false(changed);
    assert_int_equal(30, db_util_namespace(f->db).floor);
}

/* The floor comes no further than the removal, also among tombstones of one time. */
static void collecting_goes_in_steps_and_the_floor_with_it(void **state)
{
    struct fixture *f = *state;
    const unsigned count = 3 * PL_DB_COLLECT_MAX + 1;
    for (unsigned i = 0; i < count; i++) {
        char id[12];
        snprintf(id, sizeof id, "m%u", i);
        db_util_apply(f->db, db_util_tombstone("c", id, 100 + i / (PL_DB_COLLECT_MAX * 2), "ann"));
    }
    struct parley_write w = collect_step(f, 500, true);
    assert_int_equal(PL_DB_COLLECT_MAX, w.moved);
    assert_true(w.more);
    assert_int_equal(99, db_util_namespace(f->db).floor);
    db_util_check(f->db);
    assert_int_equal(count - PL_DB_COLLECT_MAX, collect(f, 500, true));
    assert_int_equal(500, db_util_namespace(f->db).floor);
    assert_int_equal(0, db_util_namespace(f->db).root.count);
}

static void a_collected_conversation_is_gone_and_may_be_imported_again(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    db_util_apply(f->db, db_util_delete("c", 20, "ann"));
    uint64_t number = talk_of(f, "c").number;
    assert_int_equal(1, collect(f, 25, true));
    assert_int_equal(0, talk_of(f, "c").deleted);
    assert_int_equal(0, talk_of(f, "c").updated);
    assert_int_equal(0, db_util_namespace(f->db).conversations);
    assert_int_equal(PARLEY_VERDICT_LOST,
                     db_util_apply(f->db, db_util_delete("c", 22, "bob")).verdict);
    assert_int_equal(
        PARLEY_VERDICT_NEW,
        db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body)).verdict);
    assert_int_equal(
        PARLEY_VERDICT_NEW,
        db_util_apply(f->db, db_util_message("c", "m2", 5, "ann", "old", f->body)).verdict);
    assert_int_equal(number, talk_of(f, "c").number);
    assert_int_equal(2, talk_of(f, "c").messages);
    db_util_check(f->db);
    /* And deleted again. */
    assert_int_equal(PARLEY_VERDICT_UPDATED,
                     db_util_apply(f->db, db_util_tombstone("c", "m1", 40, "ann")).verdict);
}

static void dropping_tombstones_leaves_the_floor(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    db_util_apply(f->db, db_util_tombstone("c", "m1", 20, "ann"));
    assert_int_equal(1, collect(f, 30, false));
    assert_int_equal(0, db_util_namespace(f->db).floor);
    assert_int_equal(PARLEY_VERDICT_NEW,
                     db_util_apply(f->db, db_util_tombstone("c", "m1", 20, "ann")).verdict);
}

/* G2. A floor that was taken over may be above everything merged here. */
static void a_local_deletion_is_above_the_floor(void **state)
{
    struct fixture *f = *state;
    uint64_t floor = (uint64_t)DB_UTIL_NOW + 1000;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    collect(f, floor, true);
    struct parley_write w = db_util_apply(f->db, db_util_tombstone("c", "m1", 0, ""));
    assert_int_equal(PARLEY_VERDICT_UPDATED, w.verdict);
    assert_true(w.stamped_time > floor);
}

static void a_namespace_without_versions_can_have_a_floor(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(0, collect(f, 40, false));
    assert_int_equal(0, collect(f, 50, true));
    assert_int_equal(50, db_util_namespace(f->db).floor);
}

/* ---- Trash ---- */

static uint64_t count_trash(struct fixture *f)
{
    struct parley_read *read;
    uint64_t count = 0, listed = 0;
    struct parley_trash_key key = { 0 };
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_trash_count(read, &count));
    for (bool found = true; found; listed += found ? 1 : 0) {
        struct parley_version version;
        assert_ok(parley_read_trash_after(read, &key, &version, &found));
    }
    parley_read_end(read);
    assert_int_equal(count, listed);
    return count;
}

static struct parley_write trash(struct fixture *f, parley_seq seq)
{
    struct parley_write w = { .kind = PARLEY_WRITE_TRASH, .u.trash = seq };
    return apply(f, w);
}

static void what_goes_to_the_trash_is_neither_current_nor_history(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m1", 9, "ann", "first", f->body));
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    parley_seq seq = db_util_state(f->db).head;
    db_util_apply(f->db, db_util_message("c", "m2", 12, "ann", "two", f->other));
    assert_int_equal(1, trash(f, seq).moved);
    assert_int_equal(0, trash(f, seq).moved);
    db_util_check(f->db);
    assert_int_equal(1, talk_of(f, "c").messages);
    assert_int_equal(1, db_util_namespace(f->db).root.count);
    restart(f);
    assert_int_equal(1, count_trash(f));
    struct parley_read *read;
    struct parley_trash_key key = { 0 };
    struct parley_version version;
    bool found;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_trash_after(read, &key, &version, &found));
    assert_true(found);
    assert_int_equal(10, version.time);
    assert_span_text(version.id, "m1");
    assert_true(pl_span_equal(version.body, pl_span_of(f->body, version.body.len)));
    parley_read_end(read);
    /* Restored as a new version, in one batch. */
    struct parley_write ws[2] = { { .kind = PARLEY_WRITE_VERSION },
                                  { .kind = PARLEY_WRITE_UNTRASH } };
    ws[0].u.version = db_util_message("c", "m1", 0, "", "one", f->body);
    ws[1].u.untrash = pl_span_of(key.bytes, key.len);
    bool changed;
    assert_ok(parley_db_apply(f->db, ws, 2, DB_UTIL_NOW, &changed));
    assert_int_equal(1, ws[1].moved);
    assert_int_equal(0, count_trash(f));
    assert_int_equal(2, talk_of(f, "c").messages);
}

static void a_version_that_comes_back_can_go_to_the_trash_again(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        struct parley_write w =
            db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
        assert_int_equal(PARLEY_VERDICT_NEW, w.verdict);
        assert_int_equal(1, trash(f, db_util_state(f->db).head).moved);
        db_util_check(f->db);
        assert_int_equal(1, count_trash(f));
    }
}

static void a_tombstone_does_not_go_to_the_trash(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_tombstone("c", "m1", 10, "ann"));
    assert_int_equal(0, trash(f, db_util_state(f->db).head).moved);
    assert_int_equal(1, db_util_namespace(f->db).root.count);
}

/* ---- Anything in any order ---- */

static parley_seq pick_seq(struct fixture *f, struct pl_rng *rng)
{
    return 1 + pl_rng_below(rng, db_util_state(f->db).head + 1);
}

static uint64_t count_tombstones_of_the_log(struct fixture *f)
{
    struct parley_read *read;
    struct parley_feed feed;
    uint64_t count = 0;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_feed_begin(read, 0, &feed));
    for (bool found = true; found;) {
        struct parley_change change;
        assert_ok(parley_feed_next(&feed, &change, &found));
        count += found && (change.version.flags & PARLEY_FLAG_TOMBSTONE) != 0 ? 1 : 0;
    }
    parley_read_end(read);
    return count;
}

static void step_at_random(struct fixture *f, struct pl_rng *rng)
{
    char talk[8], id[8];
    uint64_t time = 1 + pl_rng_below(rng, 400);
    snprintf(talk, sizeof talk, "c%u", (unsigned)pl_rng_below(rng, 5));
    snprintf(id, sizeof id, "m%u", (unsigned)pl_rng_below(rng, 20));
    switch (pl_rng_below(rng, 12)) {
    case 0:
        db_util_apply(f->db, db_util_delete(talk, time, "ann"));
        break;
    case 1:
        collect_step(f, db_util_namespace(f->db).floor + pl_rng_below(rng, 10),
                     pl_rng_below(rng, 2) == 0);
        break;
    case 2:
        trash(f, pick_seq(f, rng));
        break;
    case 3:
    case 4:
    case 5:
        db_util_apply(f->db, db_util_tombstone(talk, id, time, "bob"));
        break;
    default:
        db_util_apply(f->db, db_util_message(talk, id, time, "ann", "text", f->body));
    }
}

static void every_invariant_holds_whatever_is_collected_when(void **state)
{
    struct fixture *f = *state;
    struct pl_rng rng;
    pl_rng_init(&rng, 11);
    for (int i = 0; i < 1500; i++) {
        step_at_random(f, &rng);
        if (i % 10 != 0)
            continue;
        db_util_check(f->db);
        assert_int_equal(count_tombstones_of_the_log(f), count_set(f, true));
    }
    assert_true(db_util_namespace(f->db).floor > 20);
    assert_true(count_trash(f) > 10);
}

static void fail_put(struct fixture *f, int64_t after)
{
    struct pl_store_mem_faults faults = { .fail_put_after = after, .fail_commit_after = -1 };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
}

/* Each put of a batch fails in turn: nothing of it is there, and the next try succeeds. */
static void collecting_survives_every_failing_put(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "one", f->body));
    parley_seq seq = db_util_state(f->db).head;
    db_util_apply(f->db, db_util_tombstone("c", "m2", 20, "ann"));
    db_util_apply(f->db, db_util_delete("d", 21, "ann"));
    struct parley_root before = db_util_root(f->db);
    parley_err err = PARLEY_ENOSPC;
    for (int64_t i = 0; err != PARLEY_OK; i++) {
        struct parley_write ws[2] = { { .kind = PARLEY_WRITE_COLLECT },
                                      { .kind = PARLEY_WRITE_TRASH, .u.trash = seq } };
        ws[0].u.collect.name_space = pl_span_text("main");
        ws[0].u.collect.upto = 30;
        ws[0].u.collect.raise = true;
        bool changed;
        fail_put(f, i);
        err = parley_db_apply(f->db, ws, 2, DB_UTIL_NOW, &changed);
        fail_put(f, -1);
        struct parley_root after = db_util_root(f->db);
        assert_true(err == PARLEY_OK || pl_root_equal(&before, &after));
        db_util_check(f->db);
        assert_true(i < 100);
    }
    assert_int_equal(0, db_util_namespace(f->db).root.count);
}

#define COLLECT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A collection that finds nothing may have brought the sets on: that is a change. */
static void collect_of_nothing_keeps_what_it_brought_on(void **state)
{
    struct fixture *f = *state;
    static struct parley_write writes[100];
    static uint8_t bodies[100][80];
    static char ids[100][8];
    bool changed;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(ids[i], sizeof ids[i], "m%u", i);
        writes[i] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION };
        writes[i].u.version = db_util_message("c", ids[i], 10 + i, "ann", "x", bodies[i]);
    }
    assert_ok(parley_db_apply(f->db, writes, 100, DB_UTIL_NOW, &changed));
    assert_int_equal(0, collect(f, 5, false));
    db_util_apply(f->db, db_util_message("c", "m1", 500, "ann", "y", f->body));
    db_util_check(f->db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COLLECT_TEST(collecting_removes_tombstones_up_to_a_time_and_takes_none_below),
        COLLECT_TEST(collecting_goes_in_steps_and_the_floor_with_it),
        COLLECT_TEST(a_collected_conversation_is_gone_and_may_be_imported_again),
        COLLECT_TEST(dropping_tombstones_leaves_the_floor),
        COLLECT_TEST(a_local_deletion_is_above_the_floor),
        COLLECT_TEST(a_namespace_without_versions_can_have_a_floor),
        COLLECT_TEST(what_goes_to_the_trash_is_neither_current_nor_history),
        COLLECT_TEST(a_version_that_comes_back_can_go_to_the_trash_again),
        COLLECT_TEST(a_tombstone_does_not_go_to_the_trash),
        COLLECT_TEST(every_invariant_holds_whatever_is_collected_when),
        COLLECT_TEST(collecting_survives_every_failing_put),
        COLLECT_TEST(collect_of_nothing_keeps_what_it_brought_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
