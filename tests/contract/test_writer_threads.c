/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer of embedders over the LMDB store, with many threads that write and read. Meant to run
 * under ThreadSanitizer too.
 */
#define _POSIX_C_SOURCE 200809L
#include "lib/db_util.h"
#include "store/store_lmdb.h"
#include <parley/writer.h>

#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WRITERS 8
#define WRITES  40
#define READERS 2

/* Operations of the store with a commit that can be made to end as it does when the disk fails. */
static struct {
    const struct pl_store_ops *real;
    struct pl_store_ops ops;
    atomic_int fail_after; /* commits; below 0: never */
} faulty;

struct fixture {
    char dir[64];
    struct parley_env env;
    struct parley_db *db;
    struct parley_writer *writer;
    atomic_bool stop;
};

static parley_err failing_commit(struct pl_txn *txn)
{
    if (atomic_fetch_sub(&faulty.fail_after, 1) != 0)
        return faulty.real->commit(txn);
    faulty.real->abort(txn);
    return PARLEY_EIO;
}

static parley_err open_faulty(void *ud, const char *name, struct parley_store **out,
                              struct parley_diag *diag)
{
    struct parley_env posix;
    parley_env_posix(&posix);
    PL_TRY(posix.store_open(ud, name, out, diag));
    faulty.real = (*out)->ops;
    faulty.ops = *faulty.real;
    faulty.ops.commit = failing_commit;
    (*out)->ops = &faulty.ops;
    return PARLEY_OK;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    atomic_store(&faulty.fail_after, -1);
    test_tmpdir(f.dir);
    parley_env_posix(&f.env);
    f.env.store_open = open_faulty;
    f.db = db_util_open(&f.env, f.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    parley_writer_close(f->writer);
    db_util_check(f->db);
    parley_db_close(f->db);
    test_rmtree(f->dir);
    return 0;
}

static void open_writer(struct fixture *f, struct parley_writer_options options)
{
    parley_err err = parley_writer_open(&f->env, f->db, &options, &f->writer);
    assert_ok(err);
}

static enum parley_writer_health health(struct fixture *f)
{
    struct parley_writer_state state;
    parley_writer_state(f->writer, &state);
    return state.health;
}

/* One thread that writes; what became of each write. */
struct author {
    struct fixture *f;
    pthread_t thread;
    int number;
    parley_err ends[WRITES];
};

static void make_id(char id[32], int author, int number)
{
    snprintf(id, 32, "a%d-%d", author, number);
}

static parley_err write_one(struct fixture *f, const char *id)
{
    uint8_t body[80];
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = db_util_message("c", id, 1000, "ann", "hello", body);
    return parley_writer_write(f->writer, &write, 1);
}

/* Says whether a message is there, in a read of its own. Asserts belong to the main thread. */
static bool has_message(struct parley_db *db, const char *id)
{
    struct parley_read *read;
    struct parley_conversation_info info;
    struct parley_version version;
    bool found = false;
    if (parley_read_begin(db, &read) != PARLEY_OK)
        return false;
    parley_err err =
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &info, &found);
    if (err == PARLEY_OK && found)
        err = parley_read_register(read, info.number, PARLEY_KIND_MESSAGE, pl_span_text(id),
                                   &version, &found);
    parley_read_end(read);
    return err == PARLEY_OK && found;
}

/* Writes, and finds each acknowledged write at once. */
static void *write_all(void *arg)
{
    struct author *a = arg;
    char id[32];
    for (int i = 0; i < WRITES; i++) {
        make_id(id, a->number, i);
        a->ends[i] = write_one(a->f, id);
        PL_ASSERT(a->ends[i] != PARLEY_OK || has_message(a->f->db, id));
    }
    return NULL;
}

static void *read_always(void *arg)
{
    struct fixture *f = arg;
    while (!atomic_load(&f->stop))
        PL_ASSERT(!has_message(f->db, "nobody's"));
    return NULL;
}

static void start_all(struct fixture *f, struct author authors[WRITERS])
{
    for (int i = 0; i < WRITERS; i++) {
        authors[i] = (struct author){ .f = f, .number = i };
        assert_int_equal(0, pthread_create(&authors[i].thread, NULL, write_all, &authors[i]));
    }
}

static void join_all(struct author authors[WRITERS])
{
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(0, pthread_join(authors[i].thread, NULL));
}

/* Everything that was acknowledged is there; returns how many writes ended with `err`. */
static int count_ends(struct fixture *f, const struct author authors[WRITERS], parley_err err)
{
    int count = 0;
    for (int i = 0; i < WRITERS; i++) {
        for (int k = 0; k < WRITES; k++) {
            char id[32];
            make_id(id, i, k);
            count += authors[i].ends[k] == err;
            if (authors[i].ends[k] == PARLEY_OK)
                assert_true(has_message(f->db, id));
        }
    }
    return count;
}

/* Opens the store again, as after a crash: what a commit did not store is not there. */
static void reopen(struct fixture *f)
{
    parley_writer_close(f->writer);
    f->writer = NULL;
    parley_db_close(f->db);
    f->db = db_util_open(&f->env, f->dir);
}

static void threads_that_write_at_once_share_commits(void **state)
{
    struct fixture *f = *state;
    struct author authors[WRITERS];
    struct parley_writer_state report;
    open_writer(f, (struct parley_writer_options){ .maintain_ms = 5 });
    start_all(f, authors);
    join_all(authors);
    parley_writer_state(f->writer, &report);
    assert_int_equal(WRITERS * WRITES, report.jobs_ok);
    assert_true(report.commits < WRITERS * WRITES);
    assert_true(report.group_jobs_largest > 1);
    assert_int_equal(0, report.queued_jobs);
    assert_int_equal(0, report.queued_bytes);
    reopen(f);
    assert_int_equal(WRITERS * WRITES, count_ends(f, authors, PARLEY_OK));
}

/* Readers come and go all the time; the store is opened again all the same. */
static void a_failed_commit_among_readers_and_writers_is_got_over(void **state)
{
    struct fixture *f = *state;
    struct author authors[WRITERS];
    pthread_t readers[READERS];
    /* No maintenance, whose commit could be the one that fails. */
    open_writer(f, (struct parley_writer_options){ .maintain_ms = PARLEY_WRITER_NEVER });
    for (int i = 0; i < READERS; i++)
        assert_int_equal(0, pthread_create(&readers[i], NULL, read_always, f));
    atomic_store(&faulty.fail_after, 3);
    start_all(f, authors);
    join_all(authors);
    atomic_store(&f->stop, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(0, pthread_join(readers[i], NULL));
    assert_int_equal(PARLEY_WRITER_OK, health(f));
    reopen(f);
    int unknown = count_ends(f, authors, PARLEY_EIO);
    assert_in_range(unknown, 1, WRITERS);
    assert_int_equal(WRITERS * WRITES, unknown + count_ends(f, authors, PARLEY_OK));
}

static void a_read_only_writer_heals_when_the_reader_leaves(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    open_writer(f, (struct parley_writer_options){ .maintain_ms = 5, .recover_ms = 1 });
    assert_ok(write_one(f, "before"));
    assert_ok(parley_read_begin(f->db, &read));
    atomic_store(&faulty.fail_after, 0);
    assert_err(PARLEY_EIO, write_one(f, "lost"));
    assert_true(health(f) != PARLEY_WRITER_OK);
    parley_read_end(read);
    while (health(f) != PARLEY_WRITER_OK)
        sched_yield();
    assert_true(has_message(f->db, "before"));
    assert_false(has_message(f->db, "lost"));
    assert_ok(write_one(f, "after"));
}

static void stopping_while_the_queue_is_full_ends_every_call(void **state)
{
    struct fixture *f = *state;
    for (int how = PARLEY_STOP_DRAIN; how <= PARLEY_STOP_CANCEL; how++) {
        struct author authors[WRITERS];
        struct parley_writer_state report = { 0 };
        open_writer(f, (struct parley_writer_options){ .jobs_max = 2 });
        start_all(f, authors);
        while (report.jobs_ok < WRITERS) {
            parley_writer_state(f->writer, &report);
            sched_yield();
        }
        parley_writer_stop(f->writer, (enum parley_stop)how);
        join_all(authors);
        parley_writer_close(f->writer);
        f->writer = NULL;
        assert_int_equal(WRITERS * WRITES, count_ends(f, authors, PARLEY_OK) +
                                               count_ends(f, authors, PARLEY_ECLOSING));
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(threads_that_write_at_once_share_commits),
        CASE(a_failed_commit_among_readers_and_writers_is_got_over),
        CASE(a_read_only_writer_heals_when_the_reader_leaves),
        CASE(stopping_while_the_queue_is_full_ends_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
