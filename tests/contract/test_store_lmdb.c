/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the LMDB store can show: files, locks, a full map, a full disk.
 */
#define _DEFAULT_SOURCE 1 /* mount flags, truncate */
#include "lib/rows.h"
#include "lib/testlib.h"
#include "store/store_lmdb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

struct fixture {
    struct test_env t;
    char root[64];
    char dir[96]; /* does not exist yet, nor does its parent */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_env_init(&f->t);
    test_tmpdir(f->root);
    snprintf(f->dir, sizeof f->dir, "%s/a/node", f->root);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(0, f->t.allocs);
    test_rmtree(f->root);
    free(f);
    return 0;
}

static struct parley_store *open_it(struct fixture *f)
{
    struct parley_store *s = NULL;
    assert_ok(pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    return s;
}

static void in_dir(const struct fixture *f, const char *name, char path[160])
{
    snprintf(path, 160, "%s/%s", f->dir, name);
}

static parley_err put_bytes(struct parley_store *s, uint32_t number, size_t len)
{
    static const uint8_t bytes[200000] = { 1 };
    uint8_t key[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                       (uint8_t)number };
    struct pl_txn *txn;
    assert_true(len <= sizeof bytes);
    PL_TRY(pl_store_write_begin(s, &txn));
    pl_ignore(pl_txn_put(txn, PL_TABLE_LOG, pl_span_of(key, 4), pl_span_of(bytes, len)), "sticks");
    return pl_txn_commit(txn);
}

static parley_err del_number(struct parley_store *s, uint32_t number)
{
    uint8_t key[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                       (uint8_t)number };
    struct pl_txn *txn;
    PL_TRY(pl_store_write_begin(s, &txn));
    pl_ignore(pl_txn_del(txn, PL_TABLE_LOG, pl_span_of(key, 4)), "sticks");
    return pl_txn_commit(txn);
}

static void open_makes_private_directories_and_keeps_data(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[160];
    struct parley_store *s = open_it(f);
    assert_int_equal(0, stat(f->dir, &st));
    assert_int_equal(0700, st.st_mode & 07777);
    in_dir(f, "store/data.mdb", path);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    for (uint32_t i = 0; i < 50; i++)
        assert_ok(put_bytes(s, i, 3000));
    s->ops->close(s);
    s = open_it(f);
    assert_int_equal(50, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
}

static void a_second_open_is_locked_here_and_in_another_process(void **state)
{
    struct fixture *f = *state;
    struct parley_diag diag;
    struct parley_store *second;
    char pid[32];
    struct parley_store *s = open_it(f);
    assert_err(PARLEY_ELOCKED, pl_store_lmdb_open(&f->t.env, f->dir, &second, &diag));
    snprintf(pid, sizeof pid, "process %ld;", (long)getpid());
    assert_non_null(strstr(diag.text, "/a/node/lock"));
    assert_non_null(strstr(diag.text, pid));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(pl_store_lmdb_open(&f->t.env, f->dir, &second, NULL) == PARLEY_ELOCKED ? 0 : 1);
    int status = 1;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    assert_ok(put_bytes(s, 1, 10));
    s->ops->close(s);
    s = open_it(f);
    s->ops->close(s);
}

static void the_lock_of_a_killed_process_is_free(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct parley_store *s;
        if (pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL) != PARLEY_OK)
            _exit(1);
        _exit(put_bytes(s, 1, 10) == PARLEY_OK ? 0 : 1); /* without closing */
    }
    int status = 1;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    struct parley_store *s = open_it(f);
    assert_int_equal(1, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
}

static void a_truncated_file_is_refused_at_every_length(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[160];
    struct parley_store *s = open_it(f);
    for (uint32_t i = 0; i < 10; i++)
        assert_ok(put_bytes(s, i, 3000));
    s->ops->close(s);
    in_dir(f, "store/data.mdb", path);
    assert_int_equal(0, stat(path, &st));
    for (off_t len = st.st_size - 1; len >= 0; len -= len > PAGE ? PAGE / 2 : 1024) {
        struct parley_diag diag;
        struct stat after;
        assert_int_equal(0, truncate(path, len));
        assert_err(PARLEY_EFORMAT, pl_store_lmdb_open(&f->t.env, f->dir, &s, &diag));
        assert_non_null(strstr(diag.text, "store/data.mdb"));
        assert_int_equal(0, stat(path, &after));
        assert_int_equal(len, after.st_size);
    }
}

static void a_short_file_whose_missing_pages_are_free_is_whole(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[100000] = { 1 };
    struct pl_txn *txn;
    struct stat st;
    char path[160];
    struct parley_store *s = open_it(f);
    for (uint32_t i = 0; i < 5; i++)
        assert_ok(put_bytes(s, i, 3000));
    /* LMDB takes the pages of the large value and never writes them. */
    assert_ok(pl_store_write_begin(s, &txn));
    assert_ok(pl_txn_put(txn, PL_TABLE_LOG, pl_span_text("z"), pl_span_of(bytes, 100000)));
    assert_ok(pl_txn_del(txn, PL_TABLE_LOG, pl_span_text("z")));
    assert_ok(pl_txn_commit(txn));
    s->ops->close(s);
    in_dir(f, "store/data.mdb", path);
    assert_int_equal(0, stat(path, &st));
    assert_true(st.st_size < 100000);
    s = open_it(f);
    assert_int_equal(5, count_rows(s, PL_TABLE_LOG));
    for (uint32_t i = 5; i < 30; i++)
        assert_ok(put_bytes(s, i, 9000));
    assert_int_equal(30, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
}

static void write_file(const char *path, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        assert_int_equal('x', fputc('x', file));
    assert_int_equal(0, fclose(file));
}

static void a_file_of_another_kind_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[160];
    struct parley_store *s = open_it(f);
    s->ops->close(s);
    in_dir(f, "store/data.mdb", path);
    write_file(path, (size_t)PAGE * 4);
    assert_err(PARLEY_EFORMAT, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
}

static void a_store_without_its_data_file_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    struct parley_diag diag;
    char path[160];
    struct parley_store *s = open_it(f);
    s->ops->close(s);
    in_dir(f, "store/data.mdb", path);
    assert_int_equal(0, unlink(path));
    assert_err(PARLEY_EFORMAT, pl_store_lmdb_open(&f->t.env, f->dir, &s, &diag));
    assert_non_null(strstr(diag.text, "holds no data.mdb"));
}

static void a_leftover_temporary_directory_is_removed(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[160];
    struct parley_store *s = open_it(f);
    assert_ok(put_bytes(s, 1, 10));
    s->ops->close(s);
    in_dir(f, "store.tmp", path);
    assert_int_equal(0, mkdir(path, 0700));
    in_dir(f, "store.tmp/data.mdb", path);
    write_file(path, 100);
    s = open_it(f);
    assert_int_equal(1, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
    in_dir(f, "store.tmp", path);
    assert_int_not_equal(0, stat(path, &st));
}

static void a_full_map_recovers_by_deleting_or_growing(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    struct pl_store_stats stats;
    struct pl_txn *reader;
    parley_err err = PARLEY_OK;
    uint32_t n = 0;
    assert_ok(pl_store_lmdb_open_sized(&f->t.env, f->dir, 1u << 20, &s, NULL));
    for (; err == PARLEY_OK && n < 1000; n++)
        err = put_bytes(s, n, 20000);
    assert_int_equal(PARLEY_EMAPFULL, err);
    assert_int_equal(n - 1, count_rows(s, PL_TABLE_LOG));
    for (uint32_t i = 0; i < 8; i++)
        assert_ok(del_number(s, i));
    assert_ok(put_bytes(s, n, 20000));
    assert_ok(pl_store_read_begin(s, &reader));
    assert_err(PARLEY_EBUSY, s->ops->maintain(s));
    pl_store_read_end(reader);
    assert_ok(s->ops->maintain(s));
    assert_ok(s->ops->stats(s, &stats));
    assert_int_equal(2u << 20, stats.limit_bytes);
    for (uint32_t i = 0; i < 30; i++)
        assert_ok(put_bytes(s, 5000 + i, 20000));
    s->ops->close(s);
    s = open_it(f);
    assert_int_equal(n - 1 - 8 + 1 + 30, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
}

static void a_limit_that_was_set_stays_and_a_larger_store_still_opens(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    struct pl_store_stats stats;
    const uint64_t limit = 2u << 20;
    uint32_t n = 0;
    assert_ok(pl_store_lmdb_open_limited(&f->t.env, f->dir, limit, &s, NULL));
    for (; s->ops->room(s, 64u << 10) == PARLEY_OK && n < 1000; n++)
        assert_ok(put_bytes(s, n, 20000));
    assert_in_range(n, 50, 110);
    assert_ok(s->ops->maintain(s));
    assert_ok(s->ops->stats(s, &stats));
    assert_int_equal(limit, stats.limit_bytes);
    assert_err(PARLEY_EMAPFULL, s->ops->room(s, 64u << 10));
    s->ops->close(s);
    /* Under half of the limit: it is read, and nothing is added. */
    assert_ok(pl_store_lmdb_open_limited(&f->t.env, f->dir, limit / 2, &s, NULL));
    assert_int_equal(n, count_rows(s, PL_TABLE_LOG));
    assert_err(PARLEY_EMAPFULL, s->ops->room(s, 64u << 10));
    s->ops->close(s);
}

/* Room is what is left up to the limit, and what has become free below it. */
static void the_reserve_of_the_map_is_asked_for_before_it_is_used(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    const uint64_t reserve = 512u << 10;
    uint32_t n = 0;
    assert_ok(pl_store_lmdb_open_sized(&f->t.env, f->dir, 16u << 20, &s, NULL));
    for (; s->ops->room(s, reserve) == PARLEY_OK && n < 10000; n++)
        assert_ok(put_bytes(s, n, 20000));
    assert_err(PARLEY_EMAPFULL, s->ops->room(s, reserve));
    assert_ok(s->ops->room(s, 0));
    for (uint32_t i = 0; i < 20; i++)
        assert_ok(put_bytes(s, n + i, 20000)); /* it is there to be used */
    for (uint32_t i = 0; i < 100; i++)
        assert_ok(del_number(s, i));
    assert_ok(s->ops->room(s, reserve));
    assert_ok(put_bytes(s, 0, 20000));
    s->ops->close(s);
}

static void the_reserve_of_the_map_is_at_most_a_sixteenth(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    assert_ok(pl_store_lmdb_open_sized(&f->t.env, f->dir, 1u << 20, &s, NULL));
    assert_ok(s->ops->room(s, 1u << 20));
    assert_err(PARLEY_ENOSPC, s->ops->room(s, UINT64_C(1) << 60)); /* more than any disk has */
    s->ops->close(s);
}

static void a_full_disk_is_enospc_and_keeps_what_was_committed(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    parley_err err = PARLEY_OK;
    uint32_t n = 0;
    if (mount("tmpfs", f->root, "tmpfs", MS_NOSUID | MS_NODEV, "size=6m") != 0) {
        print_message("SKIPPED: cannot mount a small tmpfs (%d): the full disk is untested\n",
                      errno);
        skip();
    }
    s = open_it(f);
    for (; s->ops->room(s, 1u << 20) == PARLEY_OK && n < 1000; n++)
        assert_ok(put_bytes(s, n, 150000));
    assert_err(PARLEY_ENOSPC, s->ops->room(s, 1u << 20));
    for (; err == PARLEY_OK && n < 1000; n++)
        err = put_bytes(s, n, 150000);
    assert_int_equal(PARLEY_ENOSPC, err);
    assert_true(n > 20);
    assert_int_equal(n - 1, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
    s = open_it(f);
    assert_int_equal(n - 1, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
    assert_int_equal(0, umount(f->root));
}

/* A file size limit makes LMDB's write fail with an error that says nothing about the outcome. */
static void after_a_commit_of_unknown_outcome_only_reopen_lets_write(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    struct pl_txn *txn;
    struct parley_store *s = open_it(f);
    assert_ok(put_bytes(s, 1, 10));
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
    struct rlimit low = { .rlim_cur = (rlim_t)PAGE * 16, .rlim_max = before.rlim_max };
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &low));
    parley_err err = put_bytes(s, 2, 200000);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
    assert_int_equal(PARLEY_EIO, err);
    assert_err(PARLEY_EIO, pl_store_write_begin(s, &txn));
    assert_int_equal(1, count_rows(s, PL_TABLE_LOG));
    assert_ok(s->ops->reopen(s));
    assert_int_equal(1, count_rows(s, PL_TABLE_LOG));
    assert_ok(put_bytes(s, 2, 200000));
    s->ops->close(s);
}

/* The sanitizers reserve far more address space than any limit that would make sense here, so the
 * limit is set in a child that first measures what it has. */
static void open_takes_a_smaller_map_where_address_space_is_limited(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsigned long pages = 0;
        FILE *statm = fopen("/proc/self/statm", "r");
        if (statm == NULL || fscanf(statm, "%lu", &pages) != 1)
            _exit(1);
        fclose(statm);
        rlim_t limit = (rlim_t)pages * PAGE + ((rlim_t)10 << 30);
        struct rlimit low = { .rlim_cur = limit, .rlim_max = limit };
        struct parley_store *s = NULL;
        struct pl_store_stats stats;
        struct rlimit got = { 0 };
        if (setrlimit(RLIMIT_AS, &low) != 0 || getrlimit(RLIMIT_AS, &got) != 0)
            _exit(2);
        if (got.rlim_cur != limit || SIZE_MAX == UINT32_MAX)
            _exit(77);
        if (pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL) != PARLEY_OK ||
            s->ops->stats(s, &stats) != PARLEY_OK)
            _exit(2);
        s->ops->close(s);
        _exit(stats.limit_bytes == (UINT64_C(8) << 30) ? 0 : 3);
    }
    int status = 1;
    assert_int_equal(child, waitpid(child, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("SKIPPED: address space cannot be limited here (32 bits, or qemu-user)\n");
        skip();
    }
    assert_int_equal(0, status);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (int c = fgetc(in); c != EOF; c = fgetc(in))
        assert_int_equal(c, fputc(c, out));
    assert_int_equal(0, fclose(in));
    assert_int_equal(0, fclose(out));
}

static void a_copied_directory_has_another_place(void **state)
{
    struct fixture *f = *state;
    uint8_t place[PL_STORE_PLACE_BYTES];
    uint8_t again[PL_STORE_PLACE_BYTES];
    char from[160];
    char to[160];
    struct parley_store *s = open_it(f);
    assert_ok(put_bytes(s, 1, 10));
    s->ops->place(s, place);
    s->ops->close(s);
    s = open_it(f);
    s->ops->place(s, again);
    s->ops->close(s);
    assert_memory_equal(place, again, sizeof place);
    in_dir(f, "store/data.mdb", from);
    snprintf(f->dir, sizeof f->dir, "%s/copy", f->root);
    assert_int_equal(0, mkdir(f->dir, 0700));
    in_dir(f, "store", to);
    assert_int_equal(0, mkdir(to, 0700));
    in_dir(f, "store/data.mdb", to);
    copy_file(from, to);
    s = open_it(f);
    s->ops->place(s, again);
    assert_int_equal(1, count_rows(s, PL_TABLE_LOG));
    s->ops->close(s);
    assert_memory_not_equal(place, again, sizeof place);
}

static void open_and_read_without_memory_leak_nothing(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s;
    struct pl_txn *txn;
    f->t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_store_lmdb_open(&f->t.env, f->dir, &s, NULL));
    assert_int_equal(0, f->t.allocs);
    f->t.fail_after = -1;
    s = open_it(f);
    f->t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_store_read_begin(s, &txn));
    f->t.fail_after = -1;
    s->ops->close(s);
}

static void the_127th_reader_is_refused_and_the_rest_go_on(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *readers[126];
    struct pl_txn *extra;
    struct parley_store *s = open_it(f);
    for (size_t i = 0; i < PL_ARRAY_LEN(readers); i++)
        assert_ok(pl_store_read_begin(s, &readers[i]));
    assert_err(PARLEY_EFULL, pl_store_read_begin(s, &extra));
    pl_store_read_end(readers[0]);
    assert_ok(pl_store_read_begin(s, &readers[0]));
    for (size_t i = 0; i < PL_ARRAY_LEN(readers); i++)
        pl_store_read_end(readers[i]);
    s->ops->close(s);
}

static void a_torn_line_at_the_end_of_the_ledger_is_cut_off(void **state)
{
    struct fixture *f = *state;
    struct parley_store *s = open_it(f);
    char path[160];
    uint8_t held[64];
    size_t len = 0;
    assert_ok(s->ops->ledger_append(s, pl_span_text("whole\n")));
    in_dir(f, "ledger", path);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    assert_true(fputs("to", file) >= 0);
    assert_int_equal(0, fclose(file));
    assert_ok(s->ops->ledger_read(s, held, sizeof held, &len));
    assert_int_equal(6, len);
    assert_ok(s->ops->ledger_append(s, pl_span_text("next\n")));
    assert_ok(s->ops->ledger_read(s, held, sizeof held, &len));
    assert_int_equal(11, len);
    assert_memory_equal("whole\nnext\n", held, 11);
    s->ops->close(s);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(open_makes_private_directories_and_keeps_data),
        CASE(a_second_open_is_locked_here_and_in_another_process),
        CASE(the_lock_of_a_killed_process_is_free),
        CASE(a_truncated_file_is_refused_at_every_length),
        CASE(a_short_file_whose_missing_pages_are_free_is_whole),
        CASE(a_file_of_another_kind_is_refused),
        CASE(a_store_without_its_data_file_is_not_replaced),
        CASE(a_leftover_temporary_directory_is_removed),
        CASE(a_full_map_recovers_by_deleting_or_growing),
        CASE(a_limit_that_was_set_stays_and_a_larger_store_still_opens),
        CASE(the_reserve_of_the_map_is_asked_for_before_it_is_used),
        CASE(the_reserve_of_the_map_is_at_most_a_sixteenth),
        CASE(a_full_disk_is_enospc_and_keeps_what_was_committed),
        CASE(after_a_commit_of_unknown_outcome_only_reopen_lets_write),
        CASE(open_takes_a_smaller_map_where_address_space_is_limited),
        CASE(a_copied_directory_has_another_place),
        CASE(open_and_read_without_memory_leak_nothing),
        CASE(a_torn_line_at_the_end_of_the_ledger_is_cut_off),
        CASE(the_127th_reader_is_refused_and_the_rest_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
