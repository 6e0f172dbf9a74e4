/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation is erased (engine/db/purge.c, P1 to P3). That merging purges with everything else
 * depends on no order is shown in test_db_merge.c.
 */
#include "lib/db_fixture.h"

#include "core/digest.h"
#include "db/db_int.h"

static struct parley_version version_of(const char *id, uint64_t time, struct fixture *f)
{
    return db_util_message("c", id, time, "ann", "secret", f->body);
}

/* Rows of a table in which these bytes occur, as LMDB would write them. */
static size_t rows_with(struct fixture *f, enum pl_table table, const char *text)
{
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key, value;
    size_t count = 0, len = strlen(text);
    bool found;
    assert_ok(pl_store_read_begin(f->db->store, &txn));
    assert_ok(pl_txn_cursor(txn, table, &c));
    assert_ok(pl_cursor_seek(&c, pl_span_of("", 1), &key, &value, &found));
    while (found) {
        bool has = false;
        for (size_t i = 0; i + len <= value.len && !has; i++)
            has = memcmp(value.ptr + i, text, len) == 0;
        count += has ? 1 : 0;
        assert_ok(pl_cursor_next(&c, &key, &value, &found));
    }
    pl_store_read_end(txn);
    return count;
}

static size_t rows_anywhere(struct fixture *f, const char *text)
{
    size_t count = 0;
    for (int t = 0; t < PL_TABLE_COUNT; t++)
        count += rows_with(f, (enum pl_table)t, text);
    return count;
}

static struct parley_write trash(struct fixture *f, parley_seq seq)
{
    struct parley_write w = { .kind = PARLEY_WRITE_TRASH, .u.trash = seq };
    bool changed;
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    return w;
}

/* One live, one overwritten, one in the trash, one deleted. */
static void fill(struct fixture *f)
{
    db_util_apply(f->db, version_of("m1", 10, f));
    db_util_apply(f->db, version_of("m1", 12, f));
    db_util_apply(f->db, version_of("m2", 13, f));
    assert_int_equal(1, trash(f, db_util_state(f->db).head).moved);
    db_util_apply(f->db, version_of("m3", 14, f));
    db_util_apply(f->db, db_util_tombstone("c", "m3", 15, "ann"));
    db_util_apply(f->db, db_util_message("d", "m1", 10, "ann", "other", f->body));
}

static void a_purge_leaves_nothing_of_its_conversation(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_int_equal(4, rows_anywhere(f, "secret"));
    struct parley_write w = db_util_apply(f->db, db_util_purge("c", 20, "ann"));
    assert_int_equal(PARLEY_VERDICT_NEW, w.verdict);
    assert_int_equal(5, w.moved);
    db_util_check(f->db);
    assert_int_equal(0, rows_anywhere(f, "secret"));
    assert_int_equal(1, rows_anywhere(f, "other"));
    assert_int_equal(0, db_util_apply(f->db, db_util_purge("c", 20, "ann")).moved);
    restart(f);
    assert_int_equal(0, rows_anywhere(f, "secret"));
}

static void what_is_older_than_a_purge_is_nothing_and_what_is_newer_lives(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_purge("c", 20, "ann"));
    struct parley_root before = db_util_root(f->db);
    assert_int_equal(PARLEY_VERDICT_LOST, db_util_apply(f->db, version_of("m1", 20, f)).verdict);
    assert_int_equal(PARLEY_VERDICT_LOST,
                     db_util_apply(f->db, db_util_delete("c", 19, "ann")).verdict);
    assert_int_equal(PARLEY_VERDICT_LOST,
                     db_util_apply(f->db, db_util_purge("c", 19, "bob")).verdict);
    struct parley_root after = db_util_root(f->db);
    assert_true(pl_root_equal(&before, &after));
    assert_int_equal(0, rows_anywhere(f, "secret"));
    assert_int_equal(PARLEY_VERDICT_NEW, db_util_apply(f->db, version_of("m1", 21, f)).verdict);
    assert_int_equal(1, rows_anywhere(f, "secret"));
    /* A later deletion does not make room for the past. */
    db_util_apply(f->db, db_util_delete("c", 30, "ann"));
    assert_int_equal(PARLEY_VERDICT_LOST, db_util_apply(f->db, version_of("m4", 18, f)).verdict);
    assert_int_equal(1, rows_with(f, PL_TABLE_HISTORY, "secret"));
    assert_int_equal(1, rows_anywhere(f, "secret"));
}

/* The future of a fast clock is no refuge: what is held is erased as far as the purge is newer. */
static void a_purge_erases_what_is_held(void **state)
{
    struct fixture *f = *state;
    uint64_t soon = (uint64_t)DB_UTIL_NOW + PARLEY_CLOCK_DRIFT_US_MAX;
    assert_int_equal(PARLEY_VERDICT_HELD,
                     db_util_apply(f->db, version_of("m1", soon + 1000, f)).verdict);
    assert_int_equal(PARLEY_VERDICT_HELD,
                     db_util_apply(f->db, version_of("m1", soon + 5000, f)).verdict);
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION,
                              .u.version = db_util_purge("c", soon + 3000, "ann") };
    bool changed;
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW + 3600 * PARLEY_US_PER_S, &changed));
    assert_int_equal(1, w.moved);
    assert_int_equal(1, db_util_state(f->db).held);
    assert_int_equal(1, rows_with(f, PL_TABLE_HOLD, "secret"));
}

/* Found by the simulator: a purge that became due took its own row with the rest, and the count of
 * what is held was wrong from then on. */
static void a_purge_that_was_held_erases_what_was_held_with_it(void **state)
{
    struct fixture *f = *state;
    uint64_t soon = (uint64_t)DB_UTIL_NOW + PARLEY_CLOCK_DRIFT_US_MAX;
    size_t count = 0;
    db_util_apply(f->db, version_of("m1", 10, f));
    db_util_apply(f->db, version_of("m2", soon + 1000, f));
    db_util_apply(f->db, db_util_purge("c", soon + 2000, "ann"));
    db_util_apply(f->db, version_of("m3", soon + 3000, f));
    assert_int_equal(3, db_util_state(f->db).held);
    assert_ok(parley_db_maintain(f->db, DB_UTIL_NOW + 3600 * PARLEY_US_PER_S, &count));
    assert_int_equal(3, count);
    assert_int_equal(0, db_util_state(f->db).held);
    assert_int_equal(1, rows_anywhere(f, "secret"));
    db_util_check(f->db);
}

static void a_purge_is_never_collected_nor_put_into_the_trash(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, version_of("m1", 10, f));
    db_util_apply(f->db, db_util_purge("c", 20, "ann"));
    assert_int_equal(0, trash(f, db_util_state(f->db).head).moved);
    db_util_apply(f->db, db_util_delete("c", 30, "ann"));
    struct parley_write w = { .kind = PARLEY_WRITE_COLLECT };
    w.u.collect.name_space = pl_span_text("main");
    w.u.collect.upto = 100;
    w.u.collect.raise = true;
    bool changed;
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    assert_int_equal(1, w.moved);
    assert_int_equal(1, db_util_root(f->db).count);
    assert_int_equal(PARLEY_VERDICT_LOST, db_util_apply(f->db, version_of("m1", 10, f)).verdict);
    assert_int_equal(PARLEY_VERDICT_NEW, db_util_apply(f->db, version_of("m1", 25, f)).verdict);
}

static void the_shape_of_a_purge_is_checked(void **state)
{
    struct parley_diag diag;
    static const uint8_t number[] = { 7 };
    (void)state;
    struct parley_version v = db_util_purge("c", 20, "ann");
    assert_ok(parley_version_check(&v, &diag));
    v.body = pl_span_of(number, sizeof number);
    assert_int_equal(PARLEY_EMALFORMED, parley_version_check(&v, &diag));
    assert_non_null(strstr(diag.text, "reason"));
    v.body = pl_span_of(NULL, 0);
    assert_int_equal(PARLEY_EMALFORMED, parley_version_check(&v, &diag));
    v.flags = PARLEY_FLAG_TOMBSTONE;
    assert_int_equal(PARLEY_EMALFORMED, parley_version_check(&v, &diag));
    v = db_util_purge("c", 20, "ann");
    v.id = pl_span_text("x");
    assert_int_equal(PARLEY_EMALFORMED, parley_version_check(&v, &diag));
    assert_non_null(strstr(diag.text, "id"));
}

/* Each put of the batch fails in turn: nothing of it is there, and the next try succeeds. */
static void a_purge_survives_every_failing_put(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct parley_root before = db_util_root(f->db);
    parley_err err = PARLEY_ENOSPC;
    for (int64_t i = 0; err != PARLEY_OK; i++) {
        struct pl_store_mem_faults faults = { .fail_put_after = i, .fail_commit_after = -1 };
        struct parley_write w = { .kind = PARLEY_WRITE_VERSION,
                                  .u.version = db_util_purge("c", 20, "ann") };
        bool changed;
        pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
        err = parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed);
        faults.fail_put_after = -1;
        pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
        struct parley_root after = db_util_root(f->db);
        assert_true(err == PARLEY_OK || pl_root_equal(&before, &after));
        assert_int_equal(err == PARLEY_OK ? 0 : 4, rows_anywhere(f, "secret"));
        db_util_check(f->db);
        assert_true(i < 100);
    }
}

#define PURGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PURGE_TEST(a_purge_leaves_nothing_of_its_conversation),
        PURGE_TEST(what_is_older_than_a_purge_is_nothing_and_what_is_newer_lives),
        PURGE_TEST(a_purge_erases_what_is_held),
        PURGE_TEST(a_purge_that_was_held_erases_what_was_held_with_it),
        PURGE_TEST(a_purge_is_never_collected_nor_put_into_the_trash),
        PURGE_TEST(the_shape_of_a_purge_is_checked),
        PURGE_TEST(a_purge_survives_every_failing_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
