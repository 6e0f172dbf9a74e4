/* SPDX-License-Identifier: Apache-2.0
 *
 * Stamps of a db whose clock goes back, is restarted, or passes 2038 and 2106.
 */
#include "lib/db_fixture.h"

/* A local write at this time of the wall clock; returns its stamp. */
static uint64_t write_at(struct fixture *f, const char *id, parley_wall now)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION,
                              .u.version = db_util_message("c", id, 0, "", "x", f->other) };
    bool changed;
    assert_ok(parley_db_apply(f->db, &w, 1, now, &changed));
    return w.stamped_time;
}

static void db_clock_never_stamps_back_when_the_clock_goes_back(void **state)
{
    struct fixture *f = *state;
    const parley_wall year = INT64_C(31556952) * 1000000;
    uint64_t first = write_at(f, "m", DB_UTIL_NOW);
    assert_int_equal(DB_UTIL_NOW, first);
    assert_int_equal(first + 1, write_at(f, "m", DB_UTIL_NOW - year));
    /* The bound is stored: a start that finds an earlier time goes on from it. */
    restart(f);
    assert_int_equal(first + 1, db_util_state(f->db).clock);
    assert_int_equal(first + 2, write_at(f, "m", DB_UTIL_NOW - year));
    restart(f);
    assert_int_equal(first + 3, write_at(f, "n", 1));
    assert_int_equal(first + 4, write_at(f, "n", -1));
    assert_int_equal(DB_UTIL_NOW + year, write_at(f, "n", DB_UTIL_NOW + year));
}

/* What was merged, and not written here, is a bound too, also after a restart. */
static void db_clock_remembers_merged_stamps_across_a_restart(void **state)
{
    struct fixture *f = *state;
    uint64_t ahead = (uint64_t)DB_UTIL_NOW + (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX;
    db_util_apply(f->db, db_util_message("c", "m", ahead, "zed", "x", f->body));
    restart(f);
    assert_int_equal(ahead + 1, write_at(f, "m", DB_UTIL_NOW - 5));
}

static void db_clock_merges_in_order_where_32_bits_of_seconds_end(void **state)
{
    struct fixture *f = *state;
    static const uint64_t seconds[] = { INT32_MAX, UINT32_MAX };
    for (size_t i = 0; i < PL_ARRAY_LEN(seconds); i++) {
        uint64_t last = seconds[i] * 1000000 + 999999;
        struct parley_write ws[2] = {
            { .kind = PARLEY_WRITE_VERSION,
              .u.version = db_util_message("c", "m", last + 1, "ann", "after", f->body) },
            { .kind = PARLEY_WRITE_VERSION,
              .u.version = db_util_message("c", "m", last, "zed", "before", f->other) },
        };
        bool changed;
        assert_ok(parley_db_apply(f->db, ws, 2, (parley_wall)last, &changed));
        assert_int_equal(i == 0 ? PARLEY_VERDICT_NEW : PARLEY_VERDICT_UPDATED, ws[0].verdict);
        assert_int_equal(PARLEY_VERDICT_LOST, ws[1].verdict);
        restart(f);
        assert_int_equal(last + 2, write_at(f, "n", (parley_wall)last));
    }
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(db_clock_never_stamps_back_when_the_clock_goes_back),
        DB_TEST(db_clock_remembers_merged_stamps_across_a_restart),
        DB_TEST(db_clock_merges_in_order_where_32_bits_of_seconds_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
