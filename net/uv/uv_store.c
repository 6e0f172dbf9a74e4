/* SPDX-License-Identifier: Apache-2.0
 *
 * Rule 1: a commit goes before a maintenance that waits, since somebody waits for the commit.
 * Rule 2: results are copied out under the mutex; the thread touches `writes` only between taking
 *         the job and posting the result, the node only outside that span.
 */
#define _GNU_SOURCE 1
#include "uv/uv_store.h"

#include "uv/uv_time.h"

/* A reopen needs every read snapshot closed, and waits PL_STORE_GATE_MS_MAX for that; those of the
 * loop last microseconds, so a second of patience is far more than enough and still bounded. */
#define RECOVER_TRIES_MAX 20
#define RECOVER_PAUSE_MS  5u
/* Rows that are proved with each maintenance, every few seconds: a store of a million messages is
 * read in about nine hours, and no commit waits for longer than a millisecond or two. */
#define SCRUB_ROWS 500u

/* What the thread takes from the loop in one go. */
struct job {
    struct parley_write *writes;
    size_t count;
    bool commit;
    bool maintain;
    bool quit;
};

static parley_err recover_store(struct parley_db *db)
{
    parley_err err = parley_db_recover(db);
    for (int i = 0; i < RECOVER_TRIES_MAX && err == PARLEY_EBUSY; i++) {
        uv_sleep(RECOVER_PAUSE_MS);
        err = parley_db_recover(db);
    }
    return err;
}

static struct job take_job(struct pl_uv_store *store)
{
    uv_mutex_lock(&store->mutex);
    while (!store->has_commit && !store->has_maintain && !store->quit)
        uv_cond_wait(&store->wake, &store->mutex);
    struct job job = { .quit = store->quit };
    if (store->has_commit) {
        job.writes = store->writes;
        job.count = store->count;
        job.commit = true;
        store->has_commit = false;
    } else if (store->has_maintain) {
        job.maintain = true;
        store->has_maintain = false;
    }
    uv_mutex_unlock(&store->mutex);
    return job;
}

static void run_commit(struct pl_uv_store *store, const struct job *job)
{
    bool changed = false;
    parley_err recover_err = PARLEY_OK;
    parley_err err =
        parley_db_apply(store->db, job->writes, job->count, pl_uv_wall_now(), &changed);
    if (err == PARLEY_EIO)
        recover_err = recover_store(store->db);
    uv_mutex_lock(&store->mutex);
    store->result.committed = true;
    store->result.err = err;
    store->result.recovered = err == PARLEY_EIO && recover_err == PARLEY_OK;
    store->result.recover_err = recover_err;
    store->result.changed = changed;
    uv_mutex_unlock(&store->mutex);
}

static void run_maintain(struct pl_uv_store *store)
{
    size_t count = 0;
    parley_err err = parley_db_maintain(store->db, pl_uv_wall_now(), &count);
    if (err == PARLEY_EIO)
        err = recover_store(store->db);
    if (err == PARLEY_OK)
        err = parley_db_scrub(store->db, &store->scrub, SCRUB_ROWS);
    uv_mutex_lock(&store->mutex);
    store->result.maintained = true;
    store->result.maintain_err = err;
    store->result.scrub = store->scrub;
    uv_mutex_unlock(&store->mutex);
}

static void run_thread(void *arg)
{
    struct pl_uv_store *store = arg;
    for (;;) {
        struct job job = take_job(store);
        if (job.commit)
            run_commit(store, &job);
        else if (job.maintain && !job.quit)
            run_maintain(store);
        else if (job.quit)
            return;
        if (uv_async_send(&store->async) != 0)
            parley_panic(__FILE__, __LINE__, "the loop cannot be woken");
    }
}

static void on_async(uv_async_t *async)
{
    struct pl_uv_store *store = async->data;
    uv_mutex_lock(&store->mutex);
    struct pl_uv_store_result result = store->result;
    store->result = (struct pl_uv_store_result){ 0 };
    uv_mutex_unlock(&store->mutex);
    if (result.committed)
        store->in_flight = false;
    if (result.committed || result.maintained)
        store->done(store->ud, &result);
}

parley_err pl_uv_store_open(struct pl_uv_store *store, uv_loop_t *loop, struct parley_db *db,
                            void *ud, void (*done)(void *ud, const struct pl_uv_store_result *))
{
    *store = (struct pl_uv_store){ .db = db, .ud = ud, .done = done };
    if (uv_mutex_init(&store->mutex) != 0)
        return PARLEY_ENOMEM;
    if (uv_cond_init(&store->wake) != 0)
        goto out_mutex;
    if (uv_async_init(loop, &store->async, on_async) != 0)
        goto out_cond;
    store->async.data = store;
    if (uv_thread_create(&store->thread, run_thread, store) == 0)
        return PARLEY_OK;
    uv_close((uv_handle_t *)&store->async, NULL);
out_cond:
    uv_cond_destroy(&store->wake);
out_mutex:
    uv_mutex_destroy(&store->mutex);
    return PARLEY_ENOMEM;
}

void pl_uv_store_commit(struct pl_uv_store *store, struct parley_write *writes, size_t count)
{
    PL_ASSERT(!store->in_flight);
    store->in_flight = true;
    uv_mutex_lock(&store->mutex);
    store->writes = writes;
    store->count = count;
    store->has_commit = true;
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->mutex);
}

void pl_uv_store_maintain(struct pl_uv_store *store)
{
    uv_mutex_lock(&store->mutex);
    store->has_maintain = true;
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->mutex);
}

bool pl_uv_store_is_idle(const struct pl_uv_store *store)
{
    return !store->in_flight;
}

void pl_uv_store_close(struct pl_uv_store *store)
{
    PL_ASSERT(!store->in_flight);
    uv_mutex_lock(&store->mutex);
    store->quit = true;
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->mutex);
    if (uv_thread_join(&store->thread) != 0)
        parley_panic(__FILE__, __LINE__, "the writer thread cannot be joined");
    uv_cond_destroy(&store->wake);
    uv_mutex_destroy(&store->mutex);
    uv_close((uv_handle_t *)&store->async, NULL);
}
