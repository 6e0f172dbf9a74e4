/* SPDX-License-Identifier: Apache-2.0
 *
 * The one writer thread of a node. It takes one commit at a time, applies it, and wakes the loop;
 * maintenance runs between commits. The loop never waits for the disk.
 *
 * Threads: calls come from the loop; `done` runs on the loop.
 */
#ifndef PL_UV_STORE_H
#define PL_UV_STORE_H

#include <parley/db.h>

#include "base/base.h"

#include <uv.h>

/* What became of the last commit and of the last maintenance. */
struct pl_uv_store_result {
    bool committed; /* a commit has ended: the next three say how */
    parley_err err;
    bool recovered; /* after EIO: the store is open again */
    bool changed;
    parley_err recover_err;
    bool maintained; /* a maintenance has ended */
    parley_err maintain_err;
    struct parley_scrub scrub; /* how far, when a maintenance has ended */
};

struct pl_uv_store {
    struct parley_db *db;
    void *ud;
    void (*done)(void *ud, const struct pl_uv_store_result *result);
    uv_thread_t thread;
    uv_async_t async;
    uv_mutex_t mutex; /* guards all below */
    uv_cond_t wake;
    struct parley_write *writes; /* the commit to run; NULL when there is none */
    size_t count;
    bool has_commit;
    bool has_maintain;
    bool quit;
    struct pl_uv_store_result result; /* not yet taken by the loop */
    struct parley_scrub scrub;        /* the thread's */
    /* Of the loop alone. */
    bool in_flight;
};

/* Starts the thread. Errors: ENOMEM. */
PL_MUST_USE parley_err pl_uv_store_open(struct pl_uv_store *store, uv_loop_t *loop,
                                        struct parley_db *db, void *ud,
                                        void (*done)(void *ud,
                                                     const struct pl_uv_store_result *result));
/* Runs parley_db_apply on the thread; `writes` is borrowed until `done`. One at a time. */
void pl_uv_store_commit(struct pl_uv_store *store, struct parley_write *writes, size_t count);
void pl_uv_store_maintain(struct pl_uv_store *store);
bool pl_uv_store_is_idle(const struct pl_uv_store *store);
/* Ends the thread, after what it is doing, and closes the watcher. No commit may be in flight. */
void pl_uv_store_close(struct pl_uv_store *store);

#endif
