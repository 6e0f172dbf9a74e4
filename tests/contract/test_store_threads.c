/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB store under threads: one writer that also grows the map, readers that check each
 * snapshot, so many that there is hardly a moment without one. Meant to run under ThreadSanitizer
 * too.
 */
#define _POSIX_C_SOURCE 200809L
#include "lib/testlib.h"
#include "store/store_lmdb.h"

#include <pthread.h>

#define COMMITS 150
#define ROWS    20
#define READERS 6
/* Calls of maintain until the map has grown: one, unless the machine is so busy that a reader does
 * not get to its end within PL_STORE_GATE_MS_MAX. */
#define TRIES_MAX 40

static uint32_t be32(struct parley_span value)
{
    return (uint32_t)value.ptr[0] << 8 | value.ptr[1];
}

/* Every commit gives all rows the same number, so a snapshot with two numbers is torn. */
static uint32_t check_snapshot(struct parley_store *s)
{
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key;
    struct parley_span value;
    bool found = true;
    uint32_t number = 0;
    uint32_t rows = 0;
    bool whole = pl_store_read_begin(s, &txn) == PARLEY_OK;
    PL_ASSERT(whole);
    whole = pl_txn_cursor(txn, PL_TABLE_SYS, &c) == PARLEY_OK;
    while (whole && found) {
        whole = pl_cursor_next(&c, &key, &value, &found) == PARLEY_OK;
        if (!whole || !found)
            break;
        whole = value.len == 3000 && (rows == 0 || be32(value) == number);
        number = be32(value);
        rows++;
    }
    pl_store_read_end(txn);
    PL_ASSERT(whole);
    PL_ASSERT(rows == 0 || rows == ROWS);
    return number;
}

static void *read_until_last(void *arg)
{
    struct parley_store *s = arg;
    uint32_t seen = 0;
    while (seen < COMMITS) {
        uint32_t number = check_snapshot(s);
        PL_ASSERT(number >= seen);
        seen = number;
    }
    return NULL;
}

static void write_number(struct parley_store *s, uint32_t number)
{
    struct pl_txn *txn;
    uint8_t value[3000] = { (uint8_t)(number >> 8), (uint8_t)number };
    assert_ok(pl_store_write_begin(s, &txn));
    for (uint8_t row = 0; row < ROWS; row++)
        assert_ok(pl_txn_put(txn, PL_TABLE_SYS, pl_span_of(&row, 1), pl_span_of(value, 3000)));
    /* Something that grows, so that the map has to. */
    uint8_t key[2] = { (uint8_t)(number >> 8), (uint8_t)number };
    assert_ok(pl_txn_append(txn, PL_TABLE_LOG, pl_span_of(key, 2), pl_span_of(value, 3000)));
    assert_ok(pl_txn_commit(txn));
}

static void *begin_a_read(void *arg)
{
    PL_ASSERT(check_snapshot(arg) == 0);
    return NULL;
}

/* A reader that stays: growing gives up in time, and those that waited go on. */
static void a_reader_that_stays_holds_up_growth_and_nothing_else(void **state)
{
    char dir[64];
    struct parley_store *s;
    struct pl_txn *reader;
    pthread_t other;
    struct parley_env env;
    uint8_t value[3000] = { 0 };
    (void)state;
    parley_env_posix(&env);
    test_tmpdir(dir);
    assert_ok(pl_store_lmdb_open_sized(&env, dir, 1u << 20, &s, NULL));
    for (uint8_t n = 0; n < 240; n++) {
        struct pl_txn *txn;
        assert_ok(pl_store_write_begin(s, &txn));
        assert_ok(pl_txn_append(txn, PL_TABLE_LOG, pl_span_of(&n, 1), pl_span_of(value, 3000)));
        assert_ok(pl_txn_commit(txn));
    }
    assert_ok(pl_store_read_begin(s, &reader));
    assert_int_equal(0, pthread_create(&other, NULL, begin_a_read, s));
    assert_err(PARLEY_EBUSY, s->ops->maintain(s));
    assert_int_equal(0, pthread_join(other, NULL));
    pl_store_read_end(reader);
    assert_ok(s->ops->maintain(s));
    s->ops->close(s);
    test_rmtree(dir);
}

static void readers_see_whole_commits_while_one_writes_and_grows(void **state)
{
    char dir[64];
    struct parley_store *s;
    struct pl_store_stats stats;
    pthread_t readers[READERS];
    /* Not the counting environment of testlib: that one is for a single thread. */
    struct parley_env env;
    (void)state;
    parley_env_posix(&env);
    test_tmpdir(dir);
    assert_ok(pl_store_lmdb_open_sized(&env, dir, 1u << 20, &s, NULL));
    for (size_t i = 0; i < PL_ARRAY_LEN(readers); i++)
        assert_int_equal(0, pthread_create(&readers[i], NULL, read_until_last, s));
    for (uint32_t n = 1; n <= COMMITS; n++) {
        parley_err err = PARLEY_EBUSY;
        for (int tries = 0; err == PARLEY_EBUSY && tries < TRIES_MAX; tries++)
            err = s->ops->maintain(s);
        assert_ok(err);
        write_number(s, n);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(readers); i++)
        assert_int_equal(0, pthread_join(readers[i], NULL));
    assert_ok(s->ops->stats(s, &stats));
    assert_int_equal(COMMITS, stats.commits);
    assert_true(stats.limit_bytes > 1u << 20);
    s->ops->close(s);
    test_rmtree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_commits_while_one_writes_and_grows),
        cmocka_unit_test(a_reader_that_stays_holds_up_growth_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
