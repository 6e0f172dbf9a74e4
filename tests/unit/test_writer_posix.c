/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer of embedders over the memory store, whose commits can be held up and made to fail.
 * That store is for one thread: the tests look at it only while the writer has nothing to do, and
 * maintenance is off. Threads over LMDB: tests/contract/test_writer_threads.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "lib/db_util.h"
#include "lib/env_mem.h"
#include <parley/writer.h>

#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define JOBS     4
#define JOBS_MAX (PL_WRITER_GROUP_WRITES_MAX + 2)

/* Wraps the operations of the store; a store has room for no more than its operations. */
static struct {
    const struct pl_store_ops *real;
    bool shut;     /* the next commit says that it was reached, and waits */
    bool midway;   /* the next version that is put likewise */
    sem_t reached; /* by a commit, or a version */
    sem_t go;
    uint64_t held;      /* commits so far */
    int begins;         /* of write transactions */
    parley_err room;    /* what `room` answers */
    parley_err reopens; /* what `reopen` answers, unless it is OK */
} gate;

struct fixture {
    struct env_mem env;
    struct parley_db *db;
    struct parley_writer *writer;
};

/* A job with all that it points at. */
struct item {
    struct parley_job job;
    struct parley_write write;
    char id[16];
    uint8_t body[80];
    atomic_bool done;
};

static parley_err gated_commit(struct pl_txn *txn)
{
    if (gate.shut) {
        sem_post(&gate.reached);
        sem_wait(&gate.go);
    }
    return gate.real->commit(txn);
}

static parley_err gated_append(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                               struct parley_span value)
{
    if (gate.midway) {
        sem_post(&gate.reached);
        sem_wait(&gate.go);
    }
    return gate.real->append(txn, table, key, value);
}

static parley_err counted_begin(struct parley_store *s, struct pl_txn **out)
{
    gate.begins++;
    return gate.real->write_begin(s, out);
}

static parley_err set_room(struct parley_store *s, uint64_t reserve)
{
    (void)s;
    (void)reserve;
    return gate.room;
}

static parley_err set_reopen(struct parley_store *s)
{
    return gate.reopens != PARLEY_OK ? gate.reopens : gate.real->reopen(s);
}

static int setup(void **state)
{
    static struct fixture f;
    struct parley_db_options options = { .name = "a" }; /* no origin: a local write is ESTATE */
    memset(&f, 0, sizeof f);
    memset(&gate, 0, sizeof gate);
    env_mem_init(&f.env);
    assert_ok(parley_db_open(&f.env.t.env, &options, &f.db, NULL, NULL));
    struct env_mem_slot *slot = &f.env.slots[0];
    gate.real = slot->ops;
    slot->kept.commit = gated_commit;
    slot->kept.append = gated_append;
    slot->kept.write_begin = counted_begin;
    slot->kept.room = set_room;
    slot->kept.reopen = set_reopen;
    assert_int_equal(0, sem_init(&gate.reached, 0, 0));
    assert_int_equal(0, sem_init(&gate.go, 0, 0));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sem_post(&gate.go); /* when the test has failed before it let a commit go */
    parley_writer_close(f->writer);
    db_util_check(f->db);
    parley_db_close(f->db);
    env_mem_deinit(&f->env);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.go);
    return 0;
}

static void open_writer(struct fixture *f, struct parley_writer_options options)
{
    options.maintain_ms = PARLEY_WRITER_NEVER;
    assert_ok(parley_writer_open(&f->env.t.env, f->db, &options, &f->writer));
}

static struct parley_writer_state look(struct fixture *f)
{
    struct parley_writer_state state;
    parley_writer_state(f->writer, &state);
    return state;
}

static void mark_done(struct parley_job *job)
{
    struct item *item = job->ud;
    atomic_store(&item->done, true);
}

static struct item *make_item(struct item *item, int number, uint64_t time)
{
    memset(item, 0, sizeof *item);
    snprintf(item->id, sizeof item->id, "m%d", number);
    item->write = (struct parley_write){ .kind = PARLEY_WRITE_VERSION };
    item->write.u.version = db_util_message("c", item->id, time, "ann", "hello", item->body);
    item->job =
        (struct parley_job){ .writes = &item->write, .count = 1, .done = mark_done, .ud = item };
    return item;
}

/* Gives one job, and waits until it is being committed and held there. */
static void hold_a_commit(struct fixture *f, struct item *item)
{
    gate.shut = true;
    assert_ok(parley_writer_submit(f->writer, &make_item(item, 1000000, ++gate.held)->job));
    sem_wait(&gate.reached);
    gate.shut = false;
}

/* The same, while it is being applied: the commit is still to come. */
static void hold_midway(struct fixture *f, struct item *item)
{
    gate.midway = true;
    assert_ok(parley_writer_submit(f->writer, &make_item(item, 1000000, ++gate.held)->job));
    sem_wait(&gate.reached);
    gate.midway = false;
}

static void let_go(void)
{
    sem_post(&gate.go);
}

static void wait_until_done(struct item *item)
{
    while (!atomic_load(&item->done))
        sched_yield();
}

/* Everything that was given has ended, and the store is this thread's to look at. */
static void finish(struct fixture *f)
{
    parley_writer_close(f->writer);
    f->writer = NULL;
}

static bool has_message(struct parley_db *db, const char *id)
{
    struct parley_read *read;
    struct parley_conversation_info info;
    struct parley_version version;
    bool found = false;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &info, &found));
    if (found)
        assert_ok(parley_read_register(read, info.number, PARLEY_KIND_MESSAGE, pl_span_text(id),
                                       &version, &found));
    parley_read_end(read);
    return found;
}

static parley_err write_one(struct fixture *f, int number)
{
    struct item item;
    make_item(&item, number, 1);
    return parley_writer_write(f->writer, &item.write, 1);
}

static void set_faults(struct fixture *f, struct pl_store_mem_faults faults)
{
    struct parley_store *store = env_mem_store(&f->env, "a");
    pl_store_mem_set_faults(store, &faults);
}

/* ---- Groups ---- */

static void a_lone_write_is_durable_when_the_call_returns(void **state)
{
    struct fixture *f = *state;
    struct item item;
    open_writer(f, (struct parley_writer_options){ 0 });
    make_item(&item, 1, 5);
    assert_ok(parley_writer_write(f->writer, &item.write, 1));
    assert_int_equal(PARLEY_VERDICT_NEW, item.write.verdict);
    assert_int_equal(5, item.write.stamped_time);
    struct parley_writer_state now = look(f);
    assert_int_equal(1, now.commits);
    assert_int_equal(1, now.jobs_ok);
    assert_int_equal(PARLEY_WRITER_OK, now.health);
    finish(f);
    assert_true(has_message(f->db, "m1"));
}

static void what_comes_during_a_commit_shares_the_next(void **state)
{
    struct fixture *f = *state;
    struct item first;
    struct item items[JOBS];
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_a_commit(f, &first);
    for (int i = 0; i < JOBS; i++)
        assert_ok(parley_writer_try_submit(f->writer, &make_item(&items[i], i, 1)->job));
    assert_int_equal(JOBS, look(f).queued_jobs);
    assert_false(first.done);
    let_go();
    finish(f);
    assert_true(first.done);
    for (int i = 0; i < JOBS; i++) {
        assert_true(items[i].done);
        assert_ok(items[i].job.err);
        assert_int_equal(PARLEY_VERDICT_NEW, items[i].write.verdict);
    }
    assert_int_equal(2, gate.begins);
}

static void what_comes_before_a_commit_goes_along(void **state)
{
    struct fixture *f = *state;
    struct item first;
    struct item items[JOBS];
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_midway(f, &first);
    for (int i = 0; i < JOBS; i++)
        assert_ok(parley_writer_try_submit(f->writer, &make_item(&items[i], i, 1)->job));
    let_go();
    finish(f);
    assert_ok(first.job.err);
    for (int i = 0; i < JOBS; i++) {
        assert_ok(items[i].job.err);
        assert_int_equal(PARLEY_VERDICT_NEW, items[i].write.verdict);
    }
    assert_int_equal(1, gate.begins);
}

static void one_that_is_refused_takes_nobody_along_whom_it_has_joined(void **state)
{
    struct fixture *f = *state;
    struct item first, bad, good;
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_midway(f, &first);
    assert_ok(parley_writer_try_submit(f->writer, &make_item(&bad, 1, 0)->job));
    assert_ok(parley_writer_try_submit(f->writer, &make_item(&good, 2, 1)->job));
    let_go();
    finish(f);
    assert_ok(first.job.err);
    assert_err(PARLEY_ESTATE, bad.job.err);
    assert_ok(good.job.err);
    assert_true(has_message(f->db, "m2"));
}

/* Gives more jobs than a group has room for while the first is held by `hold`; how many commits
 * they take. */
static uint64_t commits_of_a_crowd(struct fixture *f,
                                   void (*hold)(struct fixture *f, struct item *item))
{
    struct item first;
    static struct item items[JOBS_MAX];
    open_writer(f, (struct parley_writer_options){ .jobs_max = JOBS_MAX });
    hold(f, &first);
    for (unsigned i = 0; i < JOBS_MAX; i++)
        assert_ok(parley_writer_try_submit(f->writer, &make_item(&items[i], (int)i, 1)->job));
    let_go();
    while (look(f).jobs_ok < JOBS_MAX + 1)
        sched_yield();
    assert_int_equal(PL_WRITER_GROUP_WRITES_MAX, look(f).group_jobs_largest);
    uint64_t commits = look(f).commits;
    finish(f);
    return commits;
}

static void a_commit_waits_for_no_more_than_a_group_has_room_for(void **state)
{
    assert_int_equal(2, commits_of_a_crowd(*state, hold_midway));
}

static void a_group_has_no_more_writes_than_its_limit(void **state)
{
    assert_int_equal(3, commits_of_a_crowd(*state, hold_a_commit));
}

static void jobs_of_a_group_are_applied_in_order_and_get_their_own_results(void **state)
{
    struct fixture *f = *state;
    struct item first, old, other, new;
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_a_commit(f, &first);
    assert_ok(parley_writer_submit(f->writer, &make_item(&old, 1, 5)->job));
    assert_ok(parley_writer_submit(f->writer, &make_item(&other, 2, 6)->job));
    assert_ok(parley_writer_submit(f->writer, &make_item(&new, 1, 7)->job));
    let_go();
    finish(f);
    assert_int_equal(PARLEY_VERDICT_NEW, old.write.verdict);
    assert_int_equal(PARLEY_VERDICT_NEW, other.write.verdict);
    assert_int_equal(PARLEY_VERDICT_UPDATED, new.write.verdict);
    assert_int_equal(7, new.write.stamped_time);
    assert_int_equal(2, gate.begins);
}

/* What is tried again must not write a line twice, so nobody shares a fate with it. */
static void a_line_of_the_ledger_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct item first, before, line, behind;
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_midway(f, &first);
    make_item(&line, 1, 1)->write.kind = PARLEY_WRITE_LEDGER;
    line.write.u.line = pl_span_text("revoked them 1\n");
    assert_ok(parley_writer_submit(f->writer, &make_item(&before, 2, 1)->job));
    assert_ok(parley_writer_submit(f->writer, &line.job));
    assert_ok(parley_writer_submit(f->writer, &make_item(&behind, 3, 1)->job));
    let_go();
    wait_until_done(&behind);
    assert_int_equal(3, look(f).commits); /* of the two first, of the line, of the last */
    assert_int_equal(2, gate.begins);     /* a line is in no transaction */
    assert_int_equal(2, look(f).group_jobs_largest);
    finish(f);
    assert_true(has_message(f->db, "m2") && has_message(f->db, "m3"));
}

/* ---- Bad jobs ---- */

/* Twenty bytes, in one piece or two. */
static void point_at_twenty_bytes(struct parley_write *w)
{
    struct parley_span ten = pl_span_text("ten bytes!");
    struct parley_span twenty = pl_span_text("twenty bytes are here");
    twenty.len = 20;
    switch (w->kind) {
    case PARLEY_WRITE_SYS_PUT:
        w->u.sys.key = w->u.sys.value = ten;
        return;
    case PARLEY_WRITE_SYS_DEL:
        w->u.sys.key = twenty;
        return;
    case PARLEY_WRITE_LEDGER:
        w->u.line = pl_span_text("a line of 20 bytes.\n");
        return;
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_VIEW_DROP:
        w->u.view.name_space = w->u.view.prefix = ten;
        return;
    case PARLEY_WRITE_COLLECT:
        w->u.collect.name_space = twenty;
        return;
    case PARLEY_WRITE_UNTRASH:
        w->u.untrash = twenty;
        return;
    case PARLEY_WRITE_RETENTION:
        w->u.retention.name_space = twenty;
        return;
    case PARLEY_WRITE_TRASH:
        w->u.trash = 1;
        return;
    case PARLEY_WRITE_VERSION:
    case PARLEY_WRITE_CURSOR:
    case PARLEY_WRITE_INDEX:
        return;
    }
}

static void a_job_is_as_large_as_all_that_it_points_at(void **state)
{
    struct fixture *f = *state;
    static const enum parley_write_kind large[] = {
        PARLEY_WRITE_SYS_PUT,   PARLEY_WRITE_SYS_DEL, PARLEY_WRITE_LEDGER,  PARLEY_WRITE_VIEW,
        PARLEY_WRITE_VIEW_DROP, PARLEY_WRITE_COLLECT, PARLEY_WRITE_UNTRASH, PARLEY_WRITE_RETENTION
    };
    static const enum parley_write_kind small[] = { PARLEY_WRITE_CURSOR, PARLEY_WRITE_INDEX,
                                                    PARLEY_WRITE_TRASH };
    struct parley_write w;
    open_writer(f, (struct parley_writer_options){ .bytes_max = sizeof w + 19 });
    for (size_t i = 0; i < PL_ARRAY_LEN(large); i++) {
        w = (struct parley_write){ .kind = large[i] };
        point_at_twenty_bytes(&w);
        assert_ok(parley_writes_check(&w, 1, NULL));
        assert_err(PARLEY_ETOOBIG, parley_writer_write(f->writer, &w, 1));
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(small); i++) {
        w = (struct parley_write){ .kind = small[i] };
        point_at_twenty_bytes(&w);
        assert_ok(parley_writer_write(f->writer, &w, 1));
    }
}

static void a_job_of_bad_shape_or_size_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct item item;
    struct item large;
    static struct parley_write many[PARLEY_WRITER_JOB_WRITES_MAX + 1];
    make_item(&item, 1, 1);
    open_writer(f, (struct parley_writer_options){ .bytes_max = sizeof item.write + 50 });
    item.job.count = 0;
    assert_err(PARLEY_EINVAL, parley_writer_try_submit(f->writer, &item.job));
    make_item(&item, 1, 1)->write.u.version.name_space.len = PARLEY_NAMESPACE_BYTES_MAX + 1;
    assert_err(PARLEY_EINVAL, parley_writer_write(f->writer, &item.write, 1));
    assert_err(PARLEY_ETOOBIG, parley_writer_write(f->writer, many, PL_ARRAY_LEN(many)));
    make_item(&large, 1, 1)->write.u.version = db_util_message(
        "c", "m1", 1, "ann", "a longer text than the queue has bytes for", large.body);
    assert_err(PARLEY_ETOOBIG, parley_writer_write(f->writer, &large.write, 1));
    assert_ok(parley_writer_write(f->writer, &make_item(&item, 1, 1)->write, 1));
    assert_int_equal(1, gate.begins);
}

/* A local write is refused by the db, which knows no origin for it; its shape is good. */
static void a_refused_job_fails_alone_wherever_it_stands_in_its_group(void **state)
{
    struct fixture *f = *state;
    open_writer(f, (struct parley_writer_options){ 0 });
    for (int bad = 0; bad < JOBS; bad++) {
        struct item first;
        struct item items[JOBS];
        hold_a_commit(f, &first);
        gate.begins = 0;
        for (int i = 0; i < JOBS; i++) {
            make_item(&items[i], bad * JOBS + i, i == bad ? 0 : 1);
            assert_ok(parley_writer_submit(f->writer, &items[i].job));
        }
        let_go();
        wait_until_done(&first);
        for (int i = 0; i < JOBS; i++)
            wait_until_done(&items[i]);
        assert_true(gate.begins <= 2 * JOBS);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(i == bad ? PARLEY_ESTATE : PARLEY_OK, items[i].job.err);
    }
    assert_int_equal(JOBS, look(f).jobs_refused);
    finish(f);
    assert_true(has_message(f->db, "m1"));
    assert_false(has_message(f->db, "m0"));
}

/* ---- Backpressure ---- */

static void *write_in_a_thread(void *arg)
{
    struct item *item = arg;
    struct parley_writer *writer = item->job.ud;
    item->job.err = parley_writer_write(writer, &item->write, 1);
    return NULL;
}

static pthread_t start_write(struct fixture *f, struct item *item, int number)
{
    pthread_t thread;
    make_item(item, number, 1)->job.ud = f->writer;
    assert_int_equal(0, pthread_create(&thread, NULL, write_in_a_thread, item));
    return thread;
}

static void a_full_queue_holds_callers_back(void **state)
{
    struct fixture *f = *state;
    struct item first, queued[2], waits, more;
    open_writer(f, (struct parley_writer_options){ .jobs_max = 2 });
    hold_a_commit(f, &first);
    for (int i = 0; i < 2; i++)
        assert_ok(parley_writer_try_submit(f->writer, &make_item(&queued[i], i, 1)->job));
    assert_err(PARLEY_EAGAIN, parley_writer_try_submit(f->writer, &make_item(&more, 7, 1)->job));
    assert_err(PARLEY_EAGAIN, parley_writer_try_write(f->writer, &more.write, 1));
    pthread_t thread = start_write(f, &waits, 8);
    let_go();
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_ok(waits.job.err);
    assert_int_equal(4, look(f).jobs_ok);
    finish(f);
    assert_true(has_message(f->db, "m8"));
    assert_false(has_message(f->db, "m7"));
}

static void a_queue_is_full_by_bytes_too(void **state)
{
    struct fixture *f = *state;
    struct item first, one, two;
    size_t bytes = sizeof first.write + 60; /* one job, but not two */
    open_writer(f, (struct parley_writer_options){ .bytes_max = bytes });
    hold_a_commit(f, &first);
    assert_ok(parley_writer_try_submit(f->writer, &make_item(&one, 1, 1)->job));
    assert_in_range(look(f).queued_bytes, bytes / 2 + 1, bytes);
    assert_err(PARLEY_EAGAIN, parley_writer_try_submit(f->writer, &make_item(&two, 2, 1)->job));
    let_go();
    finish(f);
}

/* ---- Unknown outcomes ---- */

static void an_unknown_outcome_is_told_and_the_writer_goes_on(void **state)
{
    struct fixture *f = *state;
    for (int applied = 0; applied < 2; applied++) {
        struct item item;
        set_faults(f, (struct pl_store_mem_faults){ .fail_put_after = -1,
                                                    .commit_eio_applied = applied == 1 });
        open_writer(f, (struct parley_writer_options){ 0 });
        assert_err(PARLEY_EIO, write_one(f, applied));
        assert_int_equal(PARLEY_WRITER_OK, look(f).health);
        assert_int_equal(1, look(f).jobs_unknown);
        /* Sending it again is harmless, and says what had become of it. */
        make_item(&item, applied, 1);
        assert_ok(parley_writer_write(f->writer, &item.write, 1));
        assert_int_equal(applied == 1 ? PARLEY_VERDICT_SAME : PARLEY_VERDICT_NEW,
                         item.write.verdict);
        finish(f);
    }
}

static void a_store_that_does_not_come_back_leaves_the_writer_read_only(void **state)
{
    struct fixture *f = *state;
    struct item first, behind;
    open_writer(f, (struct parley_writer_options){ .recover_ms = 1 });
    hold_a_commit(f, &first);
    assert_ok(parley_writer_submit(f->writer, &make_item(&behind, 1, 1)->job));
    set_faults(f, (struct pl_store_mem_faults){ .fail_put_after = -1 });
    gate.reopens = PARLEY_ECORRUPT;
    let_go();
    while (look(f).jobs_refused == 0)
        sched_yield();
    assert_int_equal(PARLEY_WRITER_READ_ONLY, look(f).health);
    assert_int_equal(PARLEY_ECORRUPT, look(f).err);
    assert_err(PARLEY_EREADONLY, write_one(f, 2));
    gate.reopens = PARLEY_OK;
    finish(f);
    assert_int_equal(PARLEY_EIO, first.job.err);
    assert_int_equal(PARLEY_EREADONLY, behind.job.err);
    assert_ok(parley_db_recover(f->db));
    assert_false(has_message(f->db, "m1"));
}

static void patience_for_readers_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    open_writer(f, (struct parley_writer_options){ .recover_ms = 20 });
    assert_ok(parley_read_begin(f->db, &read));
    set_faults(f, (struct pl_store_mem_faults){ .fail_put_after = -1 });
    assert_err(PARLEY_EIO, write_one(f, 1));
    assert_int_equal(PARLEY_WRITER_READ_ONLY, look(f).health);
    assert_int_equal(PARLEY_EBUSY, look(f).err);
    assert_err(PARLEY_EREADONLY, write_one(f, 1));
    finish(f);
    parley_read_end(read);
    assert_ok(parley_db_recover(f->db));
}

/* ---- No room ---- */

static void a_full_store_is_named_and_writes_work_again_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    open_writer(f, (struct parley_writer_options){ 0 });
    assert_ok(write_one(f, 1));
    set_faults(f, (struct pl_store_mem_faults){ .fail_commit_after = -1, .repeat = true });
    assert_err(PARLEY_EMAPFULL, write_one(f, 2));
    assert_int_equal(PARLEY_WRITER_FULL, look(f).health);
    assert_int_equal(PARLEY_EMAPFULL, look(f).err);
    set_faults(f, (struct pl_store_mem_faults){ .fail_put_after = -1, .fail_commit_after = -1 });
    assert_ok(write_one(f, 3));
    assert_int_equal(PARLEY_WRITER_OK, look(f).health);
}

static void a_deletion_goes_through_beside_writes_that_have_no_room(void **state)
{
    struct fixture *f = *state;
    struct item first, write, deletion;
    open_writer(f, (struct parley_writer_options){ 0 });
    hold_a_commit(f, &first);
    gate.room = PARLEY_ENOSPC;
    make_item(&deletion, 1000000, 2)->write.u.version =
        db_util_tombstone("c", deletion.id, 2, "ann");
    assert_ok(parley_writer_submit(f->writer, &make_item(&write, 1, 1)->job));
    assert_ok(parley_writer_submit(f->writer, &deletion.job));
    let_go();
    finish(f);
    assert_ok(first.job.err);
    assert_int_equal(PARLEY_ENOSPC, write.job.err);
    assert_ok(deletion.job.err);
    assert_int_equal(PARLEY_VERDICT_UPDATED, deletion.write.verdict);
}

/* ---- Calls from `done` ---- */

static struct {
    struct parley_writer *writer;
    struct item next;
    parley_err write, submit, try_submit;
} from_done;

static void call_back(struct parley_job *job)
{
    struct item item;
    (void)job;
    make_item(&item, 50, 1);
    from_done.write = parley_writer_write(from_done.writer, &item.write, 1);
    from_done.submit = parley_writer_submit(from_done.writer, &item.job);
    from_done.try_submit =
        parley_writer_try_submit(from_done.writer, &make_item(&from_done.next, 51, 1)->job);
}

static void from_done_only_calls_that_do_not_wait_work(void **state)
{
    struct fixture *f = *state;
    struct item item;
    open_writer(f, (struct parley_writer_options){ 0 });
    from_done.writer = f->writer;
    make_item(&item, 1, 1)->job.done = call_back;
    assert_ok(parley_writer_submit(f->writer, &item.job));
    while (look(f).jobs_ok < 2)
        sched_yield();
    assert_int_equal(PARLEY_ESTATE, from_done.write);
    assert_int_equal(PARLEY_ESTATE, from_done.submit);
    assert_ok(from_done.try_submit);
    finish(f);
    assert_true(has_message(f->db, "m51"));
    assert_false(has_message(f->db, "m50"));
}

/* ---- Stopping ---- */

struct stopping {
    struct parley_writer *writer;
    enum parley_stop how;
};

static void *stop_in_a_thread(void *arg)
{
    const struct stopping *stopping = arg;
    parley_writer_stop(stopping->writer, stopping->how);
    return NULL;
}

/* Stops with a commit held up, a full queue behind it, and a caller that waits for room. */
static void stop_while_full(struct fixture *f, enum parley_stop how, parley_err expected)
{
    struct item first, queued[2], waits, more;
    pthread_t stopper;
    open_writer(f, (struct parley_writer_options){ .jobs_max = 2 });
    hold_a_commit(f, &first);
    for (int i = 0; i < 2; i++)
        assert_ok(parley_writer_submit(f->writer, &make_item(&queued[i], i, 1)->job));
    pthread_t thread = start_write(f, &waits, 8);
    struct stopping stopping = { .writer = f->writer, .how = how };
    assert_int_equal(0, pthread_create(&stopper, NULL, stop_in_a_thread, &stopping));
    parley_err err = PARLEY_EAGAIN;
    for (make_item(&more, 9, 1); err == PARLEY_EAGAIN; sched_yield())
        err = parley_writer_try_submit(f->writer, &more.job);
    assert_int_equal(PARLEY_ECLOSING, err);
    let_go();
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_int_equal(0, pthread_join(stopper, NULL));
    finish(f);
    assert_ok(first.job.err);
    assert_int_equal(PARLEY_ECLOSING, waits.job.err);
    for (int i = 0; i < 2; i++) {
        assert_true(queued[i].done);
        assert_int_equal(expected, queued[i].job.err);
    }
    assert_int_equal(expected == PARLEY_OK, has_message(f->db, "m0"));
    assert_false(has_message(f->db, "m8"));
}

static void stopping_drains_what_was_taken(void **state)
{
    stop_while_full(*state, PARLEY_STOP_DRAIN, PARLEY_OK);
}

static void stopping_cancels_what_is_not_being_committed(void **state)
{
    stop_while_full(*state, PARLEY_STOP_CANCEL, PARLEY_ECLOSING);
}

static void opening_without_memory_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    parley_err err = PARLEY_ENOMEM;
    int64_t before = f->env.t.allocs;
    for (int64_t n = 0; err != PARLEY_OK; n++) {
        f->env.t.fail_after = n;
        err = parley_writer_open(&f->env.t.env, f->db, NULL, &f->writer);
        f->env.t.fail_after = -1;
        if (err != PARLEY_OK) {
            assert_int_equal(PARLEY_ENOMEM, err);
            assert_int_equal(before, f->env.t.allocs);
        }
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_lone_write_is_durable_when_the_call_returns),
        CASE(what_comes_during_a_commit_shares_the_next),
        CASE(what_comes_before_a_commit_goes_along),
        CASE(one_that_is_refused_takes_nobody_along_whom_it_has_joined),
        CASE(a_commit_waits_for_no_more_than_a_group_has_room_for),
        CASE(a_group_has_no_more_writes_than_its_limit),
        CASE(jobs_of_a_group_are_applied_in_order_and_get_their_own_results),
        CASE(a_line_of_the_ledger_goes_alone),
        CASE(a_job_is_as_large_as_all_that_it_points_at),
        CASE(a_job_of_bad_shape_or_size_is_not_taken),
        CASE(a_refused_job_fails_alone_wherever_it_stands_in_its_group),
        CASE(a_full_queue_holds_callers_back),
        CASE(a_queue_is_full_by_bytes_too),
        CASE(an_unknown_outcome_is_told_and_the_writer_goes_on),
        CASE(a_store_that_does_not_come_back_leaves_the_writer_read_only),
        CASE(patience_for_readers_is_bounded),
        CASE(a_full_store_is_named_and_writes_work_again_when_there_is_room),
        CASE(a_deletion_goes_through_beside_writes_that_have_no_room),
        CASE(from_done_only_calls_that_do_not_wait_work),
        CASE(stopping_drains_what_was_taken),
        CASE(stopping_cancels_what_is_not_being_committed),
        CASE(opening_without_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
