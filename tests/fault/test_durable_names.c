/* SPDX-License-Identifier: Apache-2.0
 *
 * Names outlive a power loss only when their directory was synced. Where that fails, the call fails
 * too; these tests show that the one that comes after it does not take it for done.
 */
#include "fault/fault.h"
#include "lib/testlib.h"
#include "store/store_lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct test_env t;
    struct fault fault;
    char root[64];
    char dir[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_env_init(&f->t);
    test_tmpdir(f->root);
    snprintf(f->dir, sizeof f->dir, "%s/node", f->root);
    fault_attach(&f->fault);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fault_attach(NULL);
    assert_int_equal(0, f->t.allocs);
    test_rmtree(f->root);
    free(f);
    return 0;
}

/* The number-th sync from now on fails; 0: none, they are only counted. */
static void fail_sync(struct fixture *f, uint64_t number)
{
    f->fault.class = number == 0 ? FAULT_NONE : FAULT_SYNC;
    f->fault.error = EIO;
    f->fault.at = number;
    f->fault.count[FAULT_SYNC] = 0;
    f->fault.count[FAULT_NAME] = 0;
    f->fault.armed = 1;
}

static uint64_t syncs(const struct fixture *f)
{
    return f->fault.count[FAULT_SYNC];
}

static struct parley_store *open_it(struct fixture *f)
{
    struct parley_store *s = NULL;
    assert_ok(pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    return s;
}

/* Syncs that the creation of a store does, in a directory that is not there yet. */
static uint64_t creation_syncs(struct fixture *f)
{
    char dir[sizeof f->dir];
    memcpy(dir, f->dir, sizeof dir);
    snprintf(f->dir, sizeof f->dir, "%s/other", f->root);
    fail_sync(f, 0);
    struct parley_store *s = open_it(f);
    uint64_t count = syncs(f);
    s->ops->close(s);
    memcpy(f->dir, dir, sizeof dir);
    return count;
}

static void a_new_ledger_syncs_its_directory_until_that_has_worked(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s = open_it(f);
    fail_sync(f, 2); /* behind that of the file */
    assert_err(PARLEY_EIO, s->ops->ledger_append(s, pl_span_text("one\n")));
    fail_sync(f, 0);
    assert_ok(s->ops->ledger_append(s, pl_span_text("one\n")));
    assert_int_equal(2, syncs(f));
    s->ops->close(s);
}

static void a_store_whose_name_was_not_synced_is_opened_with_a_sync(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s = NULL;
    char path[160];
    fail_sync(f, creation_syncs(f)); /* that of the directory, behind the rename */
    assert_err(PARLEY_EIO, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    snprintf(path, sizeof path, "%s/store/data.mdb", f->dir);
    assert_int_equal(0, access(path, F_OK));
    fail_sync(f, 2); /* the first is that of the parent */
    assert_err(PARLEY_EIO, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    fail_sync(f, 0);
    s = open_it(f);
    assert_int_equal(2, syncs(f));
    s->ops->close(s);
}

static void a_directory_whose_name_was_not_synced_is_synced_again(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s = NULL;
    fail_sync(f, 1);
    assert_err(PARLEY_EIO, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    assert_int_equal(0, access(f->dir, F_OK));
    fail_sync(f, 1);
    assert_err(PARLEY_EIO, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    s = open_it(f);
    s->ops->close(s);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_ledger_syncs_its_directory_until_that_has_worked),
        CASE(a_store_whose_name_was_not_synced_is_opened_with_a_sync),
        CASE(a_directory_whose_name_was_not_synced_is_synced_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
