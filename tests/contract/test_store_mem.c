/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the memory store can show: planted faults, failing memory, its limit, its clones.
 */
#include "lib/testlib.h"
#include "store/store_mem.h"

#include <stdio.h>

static parley_err put(struct pl_txn *txn, const char *key, const char *value)
{
    return pl_txn_put(txn, PL_TABLE_SYS, pl_span_text(key), pl_span_text(value));
}

static parley_err put_now(struct parley_store *s, const char *key, const char *value)
{
    struct pl_txn *txn;
    PL_TRY(pl_store_write_begin(s, &txn));
    pl_ignore(put(txn, key, value), "sticks to the transaction");
    return pl_txn_commit(txn);
}

static bool stored(struct parley_store *s, const char *key)
{
    struct pl_txn *txn;
    struct parley_span value;
    bool found = false;
    assert_ok(pl_store_read_begin(s, &txn));
    assert_ok(pl_txn_get(txn, PL_TABLE_SYS, pl_span_text(key), &value, &found));
    pl_store_read_end(txn);
    return found;
}

/* A batch that inserts, replaces, deletes inner nodes and walks, over shared nodes. */
static parley_err busy_batch(struct parley_store *s)
{
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key;
    struct parley_span value;
    bool found;
    char name[16];
    PL_TRY(pl_store_write_begin(s, &txn));
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%02d", i * 7 % 40);
        if (i % 3 == 0)
            pl_ignore(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text(name)), "sticks");
        else
            pl_ignore(put(txn, name, "new"), "sticks");
    }
    pl_ignore(put(txn, "99", "last"), "sticks");
    parley_err err = pl_txn_cursor(txn, PL_TABLE_SYS, &c);
    if (err == PARLEY_OK)
        pl_ignore(pl_cursor_seek(&c, pl_span_text(""), &key, &value, &found), "sticks");
    return pl_txn_commit(txn);
}

static void a_batch_without_memory_changes_and_leaks_nothing(void **state)
{
    struct test_env t;
    struct parley_store *s;
    char name[16];
    (void)state;
    test_env_init(&t);
    assert_ok(pl_store_mem_open(&t.env, 1, 0, &s));
    for (int i = 0; i < 40; i += 2) {
        snprintf(name, sizeof name, "%02d", i);
        assert_ok(put_now(s, name, "old"));
    }
    int64_t before = t.allocs;
    parley_err err = PARLEY_ENOMEM;
    int64_t n = 0;
    for (; err != PARLEY_OK && n < 1000; n++) {
        t.fail_after = n;
        err = busy_batch(s);
        t.fail_after = -1;
        if (err != PARLEY_OK) {
            assert_int_equal(PARLEY_ENOMEM, err);
            assert_int_equal(before, t.allocs);
            assert_true(stored(s, "00"));
            assert_false(stored(s, "99"));
        }
    }
    assert_true(n > 30);
    assert_ok(err);
    assert_true(stored(s, "99"));
    s->ops->close(s);
    assert_int_equal(0, t.allocs);
}

static void open_and_read_without_memory_leak_nothing(void **state)
{
    struct test_env t;
    struct parley_store *s;
    struct pl_txn *txn;
    (void)state;
    test_env_init(&t);
    for (int64_t n = 0; n < 2; n++) {
        t.fail_after = n;
        assert_err(PARLEY_ENOMEM, pl_store_mem_open(&t.env, 1, 0, &s));
        assert_int_equal(0, t.allocs);
    }
    t.fail_after = -1;
    assert_ok(pl_store_mem_open(&t.env, 1, 0, &s));
    t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_store_read_begin(s, &txn));
    t.fail_after = -1;
    s->ops->close(s);
    assert_int_equal(0, t.allocs);
}

static void a_planted_put_fault_fails_one_put(void **state)
{
    struct test_env t;
    struct parley_store *s;
    (void)state;
    test_env_init(&t);
    assert_ok(pl_store_mem_open(&t.env, 1, 0, &s));
    pl_store_mem_set_faults(
        s, &(struct pl_store_mem_faults){ .fail_put_after = 1, .fail_commit_after = -1 });
    assert_ok(put_now(s, "a", "1"));
    assert_err(PARLEY_EMAPFULL, put_now(s, "b", "1"));
    assert_ok(put_now(s, "c", "1"));
    assert_false(stored(s, "b"));
    s->ops->close(s);
}

static void a_failed_commit_shows_its_outcome_after_reopen(void **state)
{
    struct test_env t;
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct parley_store *s;
        struct pl_txn *txn;
        test_env_init(&t);
        assert_ok(pl_store_mem_open(&t.env, 1, 0, &s));
        assert_ok(put_now(s, "a", "1"));
        pl_store_mem_set_faults(s, &(struct pl_store_mem_faults){ .fail_put_after = -1,
                                                                  .fail_commit_after = 0,
                                                                  .commit_eio_applied = applied });
        assert_err(PARLEY_EIO, put_now(s, "b", "1"));
        assert_err(PARLEY_EIO, pl_store_write_begin(s, &txn));
        assert_true(stored(s, "a"));
        assert_false(stored(s, "b"));
        assert_ok(s->ops->reopen(s));
        assert_int_equal(applied, stored(s, "b"));
        assert_ok(put_now(s, "c", "1"));
        s->ops->close(s);
        assert_int_equal(0, t.allocs);
    }
}

static void the_limit_is_full_until_something_is_deleted(void **state)
{
    struct test_env t;
    struct parley_store *s;
    struct pl_txn *txn;
    (void)state;
    test_env_init(&t);
    assert_ok(pl_store_mem_open(&t.env, 1, 1000, &s));
    parley_err err = PARLEY_OK;
    char name[16];
    for (int i = 0; err == PARLEY_OK && i < 100; i++) {
        snprintf(name, sizeof name, "%d", i);
        err = put_now(s, name, "1");
    }
    assert_int_equal(PARLEY_EMAPFULL, err);
    assert_false(stored(s, name));
    assert_err(PARLEY_EMAPFULL, s->ops->room(s, 1000));
    assert_ok(s->ops->room(s, 0));
    assert_ok(pl_store_write_begin(s, &txn));
    assert_ok(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("0")));
    assert_ok(pl_txn_commit(txn));
    assert_ok(put_now(s, name, "1"));
    s->ops->close(s);
}

static void a_clone_is_independent_and_elsewhere(void **state)
{
    struct test_env t;
    struct parley_store *s;
    struct parley_store *copy;
    uint8_t a[PL_STORE_PLACE_BYTES];
    uint8_t b[PL_STORE_PLACE_BYTES];
    (void)state;
    test_env_init(&t);
    assert_ok(pl_store_mem_open(&t.env, 1, 0, &s));
    assert_ok(put_now(s, "a", "1"));
    assert_ok(pl_store_mem_clone(s, 2, &copy));
    assert_ok(put_now(s, "b", "1"));
    assert_ok(put_now(copy, "c", "1"));
    assert_true(stored(copy, "a"));
    assert_false(stored(copy, "b"));
    assert_false(stored(s, "c"));
    s->ops->place(s, a);
    copy->ops->place(copy, b);
    assert_memory_not_equal(a, b, sizeof a);
    s->ops->close(s);
    assert_true(stored(copy, "a"));
    copy->ops->close(copy);
    assert_int_equal(0, t.allocs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_without_memory_changes_and_leaks_nothing),
        cmocka_unit_test(open_and_read_without_memory_leak_nothing),
        cmocka_unit_test(a_planted_put_fault_fails_one_put),
        cmocka_unit_test(a_failed_commit_shows_its_outcome_after_reopen),
        cmocka_unit_test(the_limit_is_full_until_something_is_deleted),
        cmocka_unit_test(a_clone_is_independent_and_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
