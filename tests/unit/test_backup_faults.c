/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups and restores of which one read of the store, or one allocation, fails: a backup goes on
 * where it was and is the same byte for byte; a restore says why it ends, and another one works.
 */
#include "lib/full_db.h"
#include "lib/read_fault.h"

#include "core/digest.h"
#include <parley/backup.h>

#include <stdlib.h>

#define BYTES_MAX 65536u

static uint8_t whole[BYTES_MAX];
static size_t whole_len;

/* So many reads or allocations go well; after that one fails. */
static int64_t *after_of(struct env_mem *env, bool memory)
{
    read_fault_once = true;
    env->t.fail_once = true;
    return memory ? &env->t.fail_after : &read_fault_after;
}

/* Takes a backup in blocks; a step that fails is tried again. False: none failed. */
static bool take_backup(struct parley_db *db, int64_t *after, int64_t at, uint8_t *out, size_t *len)
{
    static const struct parley_backup_options options = { .now = DB_UTIL_NOW };
    struct parley_backup_place place = { .len = 0 };
    bool done = false, failed = false;
    *len = 0;
    *after = at;
    while (!done) {
        struct parley_read *read;
        size_t more = 0;
        parley_err err = parley_read_begin(db, &read);
        if (err == PARLEY_OK) {
            err = parley_backup_next(read, &options, &place, out + *len, BYTES_MAX - *len, &more,
                                     &done);
            parley_read_end(read);
        }
        assert_true(err == PARLEY_OK || (!failed && (err == PARLEY_EIO || err == PARLEY_ENOMEM)));
        failed = failed || err != PARLEY_OK;
        *len += err == PARLEY_OK ? more : 0;
    }
    bool reached = *after < 0;
    *after = -1;
    assert_int_equal(reached, failed);
    return reached;
}

static void a_backup_goes_on_after_a_failure(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    struct env_mem env;
    size_t len = 0;
    struct parley_db *db = make_full(&env);
    read_fault_plant(&env, "a");
    assert_false(take_backup(db, after_of(&env, false), 1000000, whole, &whole_len));
    for (int memory = 0; memory < 2; memory++) {
        int64_t at = 0;
        while (take_backup(db, after_of(&env, memory != 0), at, bytes, &len)) {
            assert_int_equal(whole_len, len);
            assert_memory_equal(whole, bytes, len);
            at++;
        }
        assert_true(at > (memory != 0 ? 0 : 30));
    }
    parley_db_close(db);
    env_mem_deinit(&env);
}

static parley_err restore_whole(struct env_mem *env, struct parley_db *db, size_t step)
{
    struct parley_restore *r;
    struct parley_diag diag = { "" };
    PL_TRY(parley_restore_open(&env->t.env, db, PARLEY_RESTORE_STORE, &r));
    parley_err err = PARLEY_OK;
    for (size_t at = 0; at < whole_len && err == PARLEY_OK; at += step)
        err = parley_restore_push(r, whole + at, pl_min_size(step, whole_len - at), &diag);
    if (err == PARLEY_OK)
        err = parley_restore_finish(r, &diag);
    assert_int_equal(err != PARLEY_OK, diag.text[0] != '\0');
    parley_restore_close(r);
    return err;
}

/* Into a new store. False: nothing failed. */
static bool restore_once(bool memory, int64_t at)
{
    struct env_mem env;
    env_mem_init(&env);
    struct parley_db *db = db_util_open(&env.t.env, "a");
    int64_t *after = after_of(&env, memory);
    read_fault_plant(&env, "a");
    *after = at;
    parley_err err = restore_whole(&env, db, 700);
    bool reached = *after < 0;
    *after = -1;
    assert_true(err == PARLEY_OK || (reached && (err == PARLEY_EIO || err == PARLEY_ENOMEM)));
    parley_db_close(db);
    db = db_util_open(&env.t.env, "b");
    assert_ok(restore_whole(&env, db, 4096));
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
    return reached;
}

static void a_restore_says_why_it_ends_and_another_one_works(void **state)
{
    (void)state;
    for (int memory = 0; memory < 2; memory++) {
        int64_t at = 0;
        while (restore_once(memory != 0, at))
            at++;
        assert_true(at > (memory != 0 ? 3 : 30));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_goes_on_after_a_failure),
        cmocka_unit_test(a_restore_says_why_it_ends_and_another_one_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
