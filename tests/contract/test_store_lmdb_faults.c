/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB store over a system and an LMDB that fail: every call of each step fails in turn, by a
 * function that the linker puts in front of it (--wrap). Whatever fails, what was acknowledged is
 * there after the next open, what was refused is there whole or not at all, and nothing leaks.
 */
#define _GNU_SOURCE 1
#include "lib/rows.h"
#include "lib/testlib.h"
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CALLS_MAX 2000

/* ---- Calls that fail ---- */

static struct {
    int64_t after;  /* so many calls go well before one fails; -1: none fails */
    int error;      /* of the system or of LMDB */
    bool done;      /* a commit that fails was carried out all the same */
    bool only_slow; /* only those that may be interrupted count */
    const char *name;
} fault = { .after = -1 };

static bool hits(const char *name, bool is_slow)
{
    if (fault.after < 0 || (fault.only_slow && !is_slow) || fault.after-- > 0)
        return false;
    fault.name = name;
    errno = fault.error;
    return true;
}

#define WRAP(name, parameters, arguments, bad, is_slow)                                            \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return hits(#name, is_slow) ? (bad) : __real_##name arguments;                             \
    }
#define WRAP_SYSTEM(name, parameters, values) WRAP(name, parameters, values, -1, false)
#define WRAP_CODE(name, parameters, values)   WRAP(name, parameters, values, fault.error, false)

WRAP_SYSTEM(mkdir, (const char *path, mode_t mode), (path, mode))
WRAP_SYSTEM(rename, (const char *from, const char *to), (from, to))
WRAP_SYSTEM(fsync, (int fd), (fd))
WRAP_SYSTEM(fdatasync, (int fd), (fd))
WRAP_SYSTEM(ftruncate, (int fd, off_t len), (fd, len))
WRAP_SYSTEM(truncate, (const char *path, off_t len), (path, len))
WRAP_SYSTEM(stat, (const char *path, struct stat *out), (path, out))
WRAP_SYSTEM(fstat, (int fd, struct stat *out), (fd, out))
WRAP_SYSTEM(statvfs, (const char *path, struct statvfs *out), (path, out))
WRAP_SYSTEM(unlink, (const char *path), (path))
WRAP_SYSTEM(rmdir, (const char *path), (path))
WRAP_SYSTEM(chmod, (const char *path, mode_t mode), (path, mode))
WRAP_SYSTEM(flock, (int fd, int how), (fd, how))
WRAP_CODE(pthread_mutex_init, (pthread_mutex_t * mutex, const pthread_mutexattr_t *attr),
          (mutex, attr))
WRAP_CODE(pthread_cond_init, (pthread_cond_t * cond, const pthread_condattr_t *attr), (cond, attr))
WRAP_CODE(pthread_condattr_init, (pthread_condattr_t * attr), (attr))
WRAP_CODE(pthread_condattr_setclock, (pthread_condattr_t * attr, clockid_t clock), (attr, clock))
WRAP(posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len), fault.error, true)
WRAP_CODE(mdb_env_create, (MDB_env * *out), (out))
WRAP_CODE(mdb_env_set_maxdbs, (MDB_env * mdb, MDB_dbi count), (mdb, count))
WRAP_CODE(mdb_env_set_maxreaders, (MDB_env * mdb, unsigned count), (mdb, count))
WRAP_CODE(mdb_env_set_mapsize, (MDB_env * mdb, size_t size), (mdb, size))
WRAP_CODE(mdb_env_open, (MDB_env * mdb, const char *path, unsigned flags, mdb_mode_t mode),
          (mdb, path, flags, mode))
WRAP_CODE(mdb_env_copy2, (MDB_env * mdb, const char *path, unsigned flags), (mdb, path, flags))
WRAP_CODE(mdb_env_get_fd, (MDB_env * mdb, mdb_filehandle_t *out), (mdb, out))
WRAP_CODE(mdb_env_info, (MDB_env * mdb, MDB_envinfo *out), (mdb, out))
WRAP_CODE(mdb_env_stat, (MDB_env * mdb, MDB_stat *out), (mdb, out))
WRAP_CODE(mdb_reader_check, (MDB_env * mdb, int *dead), (mdb, dead))
WRAP_CODE(mdb_txn_begin, (MDB_env * mdb, MDB_txn *parent, unsigned flags, MDB_txn **out),
          (mdb, parent, flags, out))
WRAP_CODE(mdb_txn_renew, (MDB_txn * txn), (txn))
WRAP_CODE(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *out),
          (txn, name, flags, out))
WRAP_CODE(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v), (txn, dbi, k, v))
WRAP_CODE(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v, unsigned flags),
          (txn, dbi, k, v, flags))
WRAP_CODE(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v), (txn, dbi, k, v))
WRAP_CODE(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **out), (txn, dbi, out))
WRAP_CODE(mdb_cursor_get, (MDB_cursor * c, MDB_val *k, MDB_val *v, MDB_cursor_op op), (c, k, v, op))
WRAP_CODE(mdb_cursor_put, (MDB_cursor * c, MDB_val *k, MDB_val *v, unsigned flags),
          (c, k, v, flags))

/* A commit that fails ends its transaction, with its changes or without. */
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!hits("mdb_txn_commit", false))
        return __real_mdb_txn_commit(txn);
    if (fault.done)
        assert_int_equal(0, __real_mdb_txn_commit(txn));
    else
        mdb_txn_abort(txn);
    return fault.error;
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
    return hits("open", false) ? -1 : __real_open(path, flags, mode);
}

ssize_t __real_pread(int fd, void *out, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at)
{
    return hits("pread", true) ? -1 : __real_pread(fd, out, len, at);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return hits("pwrite", true) ? -1 : __real_pwrite(fd, bytes, len, at);
}

/* ---- A store ---- */

#define ROWS       20u
#define VALUE      3000u
#define LEDGER_CAP 4096u

struct fixture {
    struct test_env t;
    char root[64];
    char dir[96];
    struct parley_store *s;
};

static void put_number(uint8_t key[4], uint32_t number)
{
    for (int i = 0; i < 4; i++)
        key[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void put_values(struct pl_txn *txn, uint32_t number)
{
    static const uint8_t bytes[VALUE] = { 1 };
    uint8_t key[4];
    put_number(key, number);
    struct parley_span at = pl_span_of(key, sizeof key);
    pl_ignore(pl_txn_put(txn, PL_TABLE_LOG, at, pl_span_of(bytes, VALUE)), "sticks");
    pl_ignore(pl_txn_append(txn, PL_TABLE_TRASH, at, pl_span_text("x")), "sticks");
}

static parley_err commit_one(struct parley_store *s, uint32_t number)
{
    struct pl_txn *txn;
    PL_TRY(pl_store_write_begin(s, &txn));
    put_values(txn, number);
    return pl_txn_commit(txn);
}

static size_t count_lines(struct parley_store *s)
{
    uint8_t text[LEDGER_CAP];
    size_t len = 0;
    size_t lines = 0;
    assert_ok(s->ops->ledger_read(s, text, sizeof text, &len));
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

static void open_it(struct fixture *f)
{
    assert_ok(pl_store_lmdb_open(&f->t.env, f->dir, &f->s, NULL));
}

static void close_it(struct fixture *f)
{
    f->s->ops->close(f->s);
    f->s = NULL;
}

static void begin(struct fixture *f, bool filled)
{
    *f = (struct fixture){ 0 };
    test_env_init(&f->t);
    test_tmpdir(f->root);
    snprintf(f->dir, sizeof f->dir, "%s/a/node", f->root);
    if (!filled)
        return;
    open_it(f);
    struct pl_txn *txn;
    assert_ok(pl_store_write_begin(f->s, &txn));
    for (uint32_t i = 0; i < ROWS; i++)
        put_values(txn, i);
    assert_ok(pl_txn_put(txn, PL_TABLE_META, pl_span_text("place"), pl_span_text("nowhere")));
    assert_ok(pl_txn_commit(txn));
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("one\n")));
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("two\n")));
}

static void end(struct fixture *f)
{
    if (f->s != NULL)
        close_it(f);
    assert_int_equal(0, f->t.allocs);
    test_rmtree(f->root);
}

/* ---- Steps ---- */

static parley_err step_put(struct fixture *f)
{
    return commit_one(f->s, ROWS);
}

static parley_err step_del(struct fixture *f)
{
    uint8_t key[4];
    struct pl_txn *txn;
    put_number(key, ROWS - 1);
    PL_TRY(pl_store_write_begin(f->s, &txn));
    pl_ignore(pl_txn_del(txn, PL_TABLE_LOG, pl_span_of(key, 4)), "sticks");
    pl_ignore(pl_txn_del(txn, PL_TABLE_TRASH, pl_span_of(key, 4)), "sticks");
    return pl_txn_commit(txn);
}

/* What a write transaction reads, and a cursor that it changes under. */
static parley_err step_read_and_write(struct fixture *f)
{
    uint8_t key[4];
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span at, value;
    bool found = false;
    put_number(key, 3);
    PL_TRY(pl_store_write_begin(f->s, &txn));
    parley_err err = pl_txn_get(txn, PL_TABLE_LOG, pl_span_of(key, 4), &value, &found);
    if (err == PARLEY_OK)
        err = pl_txn_cursor(txn, PL_TABLE_LOG, &c);
    if (err == PARLEY_OK)
        err = pl_cursor_seek(&c, pl_span_of(key, 4), &at, &value, &found);
    if (err == PARLEY_OK)
        err = pl_cursor_next(&c, &at, &value, &found);
    if (err == PARLEY_OK)
        err = pl_txn_del(txn, PL_TABLE_LOG, pl_span_text("nothing"));
    parley_err last = pl_txn_commit(txn);
    return err != PARLEY_OK ? err : last;
}

static parley_err walk(struct pl_txn *txn)
{
    struct pl_cursor c;
    struct parley_span key, value;
    uint8_t wanted[4];
    bool found = true;
    put_number(wanted, 5);
    PL_TRY(pl_txn_get(txn, PL_TABLE_LOG, pl_span_of(wanted, 4), &value, &found));
    assert_true(found && value.len == VALUE);
    PL_TRY(pl_txn_get(txn, PL_TABLE_LOG, pl_span_text("none"), &value, &found));
    assert_false(found);
    PL_TRY(pl_txn_cursor(txn, PL_TABLE_LOG, &c));
    PL_TRY(pl_cursor_seek(&c, pl_span_of(wanted, 4), &key, &value, &found));
    assert_true(found && memcmp(key.ptr, wanted, 4) == 0);
    PL_TRY(pl_cursor_prev(&c, &key, &value, &found));
    assert_true(found && key.ptr[3] == 4);
    PL_TRY(pl_cursor_seek_last(&c, &key, &value, &found));
    assert_true(found && key.ptr[3] == ROWS - 1);
    PL_TRY(pl_cursor_next(&c, &key, &value, &found));
    assert_false(found);
    return PARLEY_OK;
}

static parley_err step_walk(struct fixture *f)
{
    struct pl_txn *txn;
    PL_TRY(pl_store_read_begin(f->s, &txn));
    parley_err err = walk(txn);
    pl_store_read_end(txn);
    return err;
}

static parley_err step_facts(struct fixture *f)
{
    struct pl_store_stats stats;
    PL_TRY(f->s->ops->stats(f->s, &stats));
    assert_true(stats.file_bytes >= (uint64_t)ROWS * VALUE);
    PL_TRY(f->s->ops->room(f->s, 0));
    return f->s->ops->room(f->s, 1u << 20);
}

static parley_err step_maintain(struct fixture *f)
{
    return f->s->ops->maintain(f->s);
}

static parley_err step_reopen(struct fixture *f)
{
    return f->s->ops->reopen(f->s);
}

static parley_err step_compact(struct fixture *f)
{
    return f->s->ops->compact(f->s, pl_span_text("place"));
}

static parley_err step_ledger(struct fixture *f)
{
    return f->s->ops->ledger_append(f->s, pl_span_text("three\n"));
}

static parley_err step_replace(struct fixture *f)
{
    return f->s->ops->ledger_replace(f->s, pl_span_text("1\n2\n3\n"));
}

static parley_err step_ledger_read(struct fixture *f)
{
    uint8_t text[LEDGER_CAP];
    size_t len = 0;
    PL_TRY(f->s->ops->ledger_read(f->s, text, sizeof text, &len));
    assert_int_equal(8, len);
    return PARLEY_OK;
}

static parley_err step_witness(struct fixture *f)
{
    static const uint8_t bytes[PL_STORE_WITNESS_BYTES] = { 7 };
    uint8_t got[PL_STORE_WITNESS_BYTES];
    bool found = false;
    PL_TRY(f->s->ops->witness_write(f->s, bytes));
    PL_TRY(f->s->ops->witness_read(f->s, got, &found));
    assert_true(found);
    assert_memory_equal(bytes, got, sizeof got);
    return PARLEY_OK;
}

static const struct step {
    const char *name;
    parley_err (*run)(struct fixture *f);
    int rows; /* more of them after it */
    size_t lines;
} steps[] = {
    { "put", step_put, 1, 0 },
    { "del", step_del, -1, 0 },
    { "read and write", step_read_and_write, 0, 0 },
    { "walk", step_walk, 0, 0 },
    { "facts", step_facts, 0, 0 },
    { "maintain", step_maintain, 0, 0 },
    { "reopen", step_reopen, 0, 0 },
    { "compact", step_compact, 0, 0 },
    { "ledger", step_ledger, 0, 1 },
    { "ledger read", step_ledger_read, 0, 0 },
    { "replace", step_replace, 0, 1 },
    { "witness", step_witness, 0, 0 },
};

/* What is there: of a step that was refused, all or nothing; of one that was not, all. */
static void assert_holds(struct fixture *f, const struct step *step, bool refused)
{
    uint32_t rows = count_rows(f->s, PL_TABLE_LOG);
    size_t lines = count_lines(f->s);
    bool all = rows == (uint32_t)((int)ROWS + step->rows) && lines == 2 + step->lines;
    bool nothing = rows == ROWS && lines == 2;
    if (!all && !(refused && nothing))
        fail_msg("%s, %s: %u rows, %zu lines", step->name, fault.name, rows, lines);
    assert_int_equal(rows, count_rows(f->s, PL_TABLE_TRASH));
}

/* False: no call has failed. */
static bool fail_once(const struct step *step, int64_t at)
{
    struct fixture f;
    begin(&f, true);
    fault.after = at;
    parley_err err = step->run(&f);
    bool reached = fault.after < 0;
    fault.after = -1;
    bool refused = err != PARLEY_OK;
    if (refused && !reached)
        fail_msg("%s: error %d without a fault", step->name, (int)err);
    if (refused && fault.error == EINTR && fault.only_slow)
        fail_msg("%s: %s is not done again", step->name, fault.name);
    /* In this process, after what the host does when a store fails. */
    if (refused) {
        assert_ok(f.s->ops->reopen(f.s));
        assert_holds(&f, step, true);
    }
    close_it(&f);
    open_it(&f);
    assert_holds(&f, step, refused);
    assert_ok(commit_one(f.s, ROWS + 1));
    end(&f);
    return reached;
}

static void sweep(int error, bool done)
{
    fault.error = error;
    fault.done = done;
    for (size_t i = 0; i < PL_ARRAY_LEN(steps); i++) {
        int64_t at = 0;
        if (done && steps[i].rows == 0)
            continue; /* it commits nothing */
        while (fail_once(&steps[i], at))
            assert_true(++at < CALLS_MAX);
        assert_true(at != 0 || fault.only_slow);
    }
}

static void each_call_that_fails_leaves_what_was_acknowledged(void **state)
{
    (void)state;
    sweep(EIO, false);
}

static void a_commit_that_was_carried_out_and_failed_is_there_whole(void **state)
{
    (void)state;
    sweep(EIO, true);
}

static void each_call_without_memory_leaves_what_was_acknowledged(void **state)
{
    (void)state;
    sweep(ENOMEM, false);
}

static void a_call_that_is_interrupted_is_made_again(void **state)
{
    (void)state;
    fault.only_slow = true;
    sweep(EINTR, false);
    fault.only_slow = false;
}

/* ---- Opening ---- */

/* Of a new store, or of one with rows. */
static bool fail_to_open(bool filled, int64_t at)
{
    struct fixture f;
    struct parley_diag diag = { "" };
    begin(&f, filled);
    if (filled)
        close_it(&f);
    fault.after = at;
    parley_err err = pl_store_lmdb_open(&f.t.env, f.dir, &f.s, &diag);
    bool reached = fault.after < 0;
    fault.after = -1;
    if (err != PARLEY_OK) {
        assert_true(reached);
        if (diag.text[0] == '\0')
            fail_msg("%s fails and nothing says so", fault.name);
        assert_int_equal(0, f.t.allocs);
        open_it(&f); /* the lock is free, nothing half-made is in the way */
    }
    assert_int_equal(filled ? ROWS : 0, count_rows(f.s, PL_TABLE_LOG));
    assert_int_equal(filled ? 2 : 0, count_lines(f.s));
    assert_ok(commit_one(f.s, ROWS + 1));
    end(&f);
    return reached;
}

static void an_open_that_fails_says_why_and_the_next_one_does_not(void **state)
{
    (void)state;
    static const int errors[] = { EIO, ENOMEM, EACCES };
    for (size_t i = 0; i < PL_ARRAY_LEN(errors); i++) {
        fault.error = errors[i];
        for (int filled = errors[i] == EACCES; filled < 2; filled++) {
            int64_t at = 0;
            while (fail_to_open(filled == 1, at))
                assert_true(++at < CALLS_MAX);
            assert_true(at > 20);
        }
    }
}

/* Without a diag there is nobody to tell, which is no reason to fail in another way. */
static void an_open_that_fails_needs_no_diag(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    fault.error = EIO;
    fault.after = 0;
    assert_err(PARLEY_ENOMEM, pl_store_lmdb_open(&f.t.env, f.dir, &f.s, NULL));
    assert_true(fault.after < 0);
    assert_err(PARLEY_EINVAL, pl_store_lmdb_open(&f.t.env, "", &f.s, NULL));
    f.s = NULL;
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_that_fails_leaves_what_was_acknowledged),
        cmocka_unit_test(a_commit_that_was_carried_out_and_failed_is_there_whole),
        cmocka_unit_test(each_call_without_memory_leaves_what_was_acknowledged),
        cmocka_unit_test(a_call_that_is_interrupted_is_made_again),
        cmocka_unit_test(an_open_that_fails_says_why_and_the_next_one_does_not),
        cmocka_unit_test(an_open_that_fails_needs_no_diag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
