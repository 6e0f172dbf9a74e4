/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the LMDB store can show of compact: the size of the file, crashes and a full disk.
 */
#define _DEFAULT_SOURCE 1
#include "lib/testlib.h"
#include "store/store_lmdb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 200u

struct fixture {
    struct test_env t;
    char dir[64];
    struct parley_store *s;
};

static void open_it(struct fixture *f)
{
    assert_ok(pl_store_lmdb_open(&f->t.env, f->dir, &f->s, NULL));
}

static void put_row(struct parley_store *s, enum pl_table table, const char *name,
                    struct parley_span value)
{
    struct pl_txn *txn;
    assert_ok(pl_store_write_begin(s, &txn));
    pl_ignore(pl_txn_put(txn, table, pl_span_text(name), value), "commit tells");
    assert_ok(pl_txn_commit(txn));
}

static void put_place(struct parley_store *s)
{
    uint8_t place[PL_STORE_PLACE_BYTES];
    s->ops->place(s, place);
    put_row(s, PL_TABLE_META, "place", pl_span_of(place, sizeof place));
}

/* Rows that stay, and twice as much that goes. */
static void fill(struct parley_store *s)
{
    static uint8_t bytes[6000];
    char name[16];
    put_place(s);
    for (unsigned i = 0; i < 3 * ROWS; i++) {
        snprintf(name, sizeof name, "%04u", i);
        put_row(s, PL_TABLE_LOG, name, pl_span_of(bytes, sizeof bytes));
    }
    for (unsigned i = ROWS; i < 3 * ROWS; i++) {
        struct pl_txn *txn;
        snprintf(name, sizeof name, "%04u", i);
        assert_ok(pl_store_write_begin(s, &txn));
        assert_ok(pl_txn_del(txn, PL_TABLE_LOG, pl_span_text(name)));
        assert_ok(pl_txn_commit(txn));
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_env_init(&f->t);
    test_tmpdir(f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(0, f->t.allocs);
    test_rmtree(f->dir);
    free(f);
    return 0;
}

/* All rows, and the place that is written is the true one. */
static void assert_whole(struct parley_store *s)
{
    uint8_t place[PL_STORE_PLACE_BYTES];
    struct pl_txn *txn;
    struct parley_span value;
    bool found;
    char name[16];
    s->ops->place(s, place);
    assert_ok(pl_store_read_begin(s, &txn));
    assert_ok(pl_txn_get(txn, PL_TABLE_META, pl_span_text("place"), &value, &found));
    assert_true(found && pl_span_equal(value, pl_span_of(place, sizeof place)));
    for (unsigned i = 0; i < ROWS + 1; i++) {
        snprintf(name, sizeof name, "%04u", i);
        assert_ok(pl_txn_get(txn, PL_TABLE_LOG, pl_span_text(name), &value, &found));
        assert_int_equal(i < ROWS, found);
    }
    pl_store_read_end(txn);
}

static uint64_t file_bytes(const struct fixture *f)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/store/data.mdb", f->dir);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    return (uint64_t)st.st_size;
}

static bool is_left_over(const struct fixture *f)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/compact.tmp", f->dir);
    return stat(path, &st) == 0;
}

static void compact_gives_back_what_is_free(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    fill(f->s);
    uint64_t before = file_bytes(f);
    assert_ok(f->s->ops->compact(f->s, pl_span_text("place")));
    assert_true(file_bytes(f) < before / 2);
    assert_whole(f->s);
    assert_false(is_left_over(f));
    put_row(f->s, PL_TABLE_SYS, "later", pl_span_text("goes on"));
    f->s->ops->close(f->s);
    open_it(f);
    assert_whole(f->s);
    f->s->ops->close(f->s);
}

static void compact_without_a_row_of_the_place_changes_nothing(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    fill(f->s);
    uint64_t before = file_bytes(f);
    assert_true(f->s->ops->compact(f->s, pl_span_text("elsewhere")) != PARLEY_OK);
    assert_int_equal(before, file_bytes(f));
    assert_whole(f->s);
    assert_false(is_left_over(f));
    f->s->ops->close(f->s);
}

static void compact_on_a_full_disk_changes_nothing(void **state)
{
    struct fixture *f = *state;
    if (mount("tmpfs", f->dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=6m") != 0) {
        print_message("SKIPPED: cannot mount a small tmpfs (%d): the full disk is untested\n",
                      errno);
        skip();
    }
    open_it(f);
    fill(f->s);
    assert_err(PARLEY_ENOSPC, f->s->ops->compact(f->s, pl_span_text("place")));
    assert_whole(f->s);
    assert_false(is_left_over(f));
    put_row(f->s, PL_TABLE_SYS, "later", pl_span_text("goes on"));
    f->s->ops->close(f->s);
    assert_int_equal(0, umount(f->dir));
}

/* Compacts over and over until it is killed. */
static void run_victim(struct fixture *f)
{
    pl_ignore(pl_store_lmdb_open(&f->t.env, f->dir, &f->s, NULL), "then there is nothing to kill");
    for (;;)
        if (f->s->ops->compact(f->s, pl_span_text("place")) != PARLEY_OK)
            _exit(1);
}

static void compact_killed_at_any_moment_leaves_the_old_or_the_new(void **state)
{
    struct fixture *f = *state;
    unsigned left_over = 0;
    open_it(f);
    fill(f->s);
    f->s->ops->close(f->s);
    for (unsigned i = 0; i < 40; i++) {
        int status = 0;
        pid_t victim = fork();
        assert_true(victim >= 0);
        if (victim == 0)
            run_victim(f);
        usleep(2000 + 700 * i);
        assert_int_equal(0, kill(victim, SIGKILL));
        assert_int_equal(victim, waitpid(victim, &status, 0));
        assert_true(WIFSIGNALED(status));
        left_over += is_left_over(f) ? 1 : 0;
        open_it(f);
        assert_whole(f->s);
        assert_false(is_left_over(f));
        f->s->ops->close(f->s);
    }
    assert_true(left_over > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(compact_gives_back_what_is_free),
        CASE(compact_without_a_row_of_the_place_changes_nothing),
        CASE(compact_on_a_full_disk_changes_nothing),
        CASE(compact_killed_at_any_moment_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
