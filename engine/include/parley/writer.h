/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer for programs with many threads over one struct parley_db: one thread of its own applies
 * what all others give it. parleyd does not use it: its node makes batches by itself.
 *
 * A job is one or several writes of one caller: all of them are applied in one transaction, or none
 * of them is. Jobs are applied in the order in which they were taken. When nothing is being
 * committed, a job is committed at once; what arrives while jobs are being applied goes along, what
 * arrives during the flush shares the next commit, up to 1,024 writes and 4 MiB, so that a burst
 * pays for a few commits instead of one each. There is no timer: nobody waits for company.
 *
 * Lifetime: parley_db_open -> parley_writer_open -> jobs, and reads as ever ->
 *           parley_writer_stop -> parley_writer_close -> parley_db_close. While the writer is
 *           open, everything that db.h calls the writer's (apply, maintain, recover, ledger) is
 *           for its thread alone.
 *
 * Promises
 *   W1  A job that ended with PARLEY_OK is durable; none is acknowledged sooner.
 *   W2  A job that is refused fails alone. Its shape is checked before it is taken. A group whose
 *       transaction is refused is split in halves, and these again, until those that are refused
 *       stand alone: at most two transactions for each job of the group.
 *   W3  The queue is bounded, by jobs and by bytes. Whoever would exceed it waits, in the order of
 *       arrival, or is told PARLEY_EAGAIN.
 *   W4  After PARLEY_EIO from a commit nothing is acknowledged until parley_db_recover has opened
 *       the store again and has found in it what was acknowledged. It needs a moment without a
 *       read, and is tried for `recover_ms`. The jobs of that commit end with PARLEY_EIO.
 *
 * How a job ends
 *   PARLEY_OK        durable
 *   PARLEY_EIO       unknown: it was written as a whole or not at all. Versions that carry a time,
 *                    cursors and rows may simply be sent again: merging what is there changes
 *                    nothing. Of a local write (time 0) look first whether it is there.
 *   PARLEY_ENOSPC, PARLEY_EMAPFULL
 *                    nothing was written, there is no room (see parley_db_set_reserve). Later jobs
 *                    are tried as ever, so writes work again by themselves when there is room.
 *   PARLEY_EREADONLY nothing was written: the writer is read-only
 *   PARLEY_ECLOSING  nothing was written: the writer was stopped
 *   others           nothing was written; as of parley_db_apply
 */
#ifndef PARLEY_WRITER_H
#define PARLEY_WRITER_H

#include <parley/db.h>

#ifdef __cplusplus
extern "C" {
#endif

struct parley_writer;

struct parley_writer_options {
    size_t jobs_max;      /* that wait; 0: PARLEY_WRITER_JOBS_MAX */
    size_t bytes_max;     /* of those that wait; 0: PARLEY_WRITER_BYTES_MAX */
    uint32_t maintain_ms; /* parley_db_maintain runs when nothing came for so long, and also under
                             load when it is due twice; 0: PARLEY_WRITER_MAINTAIN_MS */
    uint32_t recover_ms;  /* 0: PARLEY_WRITER_RECOVER_MS */
};
/* As maintain_ms: never. The host then gives up held versions and growth, and a read-only writer
 * stays so. */
#define PARLEY_WRITER_NEVER UINT32_MAX

/* Starts the thread. `options` may be NULL: all defaults.
 * Ownership: `env` and `db` are borrowed until the close.
 * Errors:    ENOMEM (memory, or no thread). */
PARLEY_API PARLEY_MUST_USE parley_err
parley_writer_open(const struct parley_env *env, struct parley_db *db,
                   const struct parley_writer_options *options, struct parley_writer **out);

enum parley_stop {
    PARLEY_STOP_DRAIN, /* what was taken is committed first */
    PARLEY_STOP_CANCEL /* what is not being committed ends with ECLOSING */
};

/* Ends the thread, after the commit that it is in. Calls that wait for room, and all that come
 * later, return ECLOSING; those that wait for their job return how it ended. When this returns all
 * `done` have run. A second call does nothing.
 * Threads: one, not the writer's own (not from `done`). */
PARLEY_API void parley_writer_stop(struct parley_writer *writer, enum parley_stop how);

/* Frees the writer; drains it first, if it was not stopped. No other call may be under way or come
 * later: join the threads that write between stop and close. NULL is allowed.
 * Threads: as stop. */
PARLEY_API void parley_writer_close(struct parley_writer *writer);

/* ---- Waiting for the outcome ---- */

/* Waits for room in the queue, then until the writes are durable or refused.
 *
 * Ownership: writes and everything they point at are borrowed for the call; results are filled as
 *            by parley_db_apply, and mean nothing when the call failed.
 * Errors:    see above; EINVAL (no writes, or one of bad shape, see parley_writes_check); ETOOBIG
 *            (above PARLEY_WRITER_JOB_WRITES_MAX writes, or more bytes than the queue may hold);
 *            ESTATE (called from `done`, which would wait for itself).
 * Threads:   any but the writer's own. */
PARLEY_API PARLEY_MUST_USE parley_err parley_writer_write(struct parley_writer *writer,
                                                          struct parley_write *writes,
                                                          size_t count);
/* The same, but EAGAIN at once when there is no room, or somebody waits for it: nothing was
 * written. */
PARLEY_API PARLEY_MUST_USE parley_err parley_writer_try_write(struct parley_writer *writer,
                                                              struct parley_write *writes,
                                                              size_t count);

/* ---- Being told of the outcome ---- */

/* The caller's memory; zeroed, with the first four set. */
struct parley_job {
    struct parley_write *writes;
    size_t count;
    /* Runs on the writer's thread, which does nothing else meanwhile: be short. The job is the
     * caller's again when it begins, so it may free it, or give it anew with try_submit. */
    void (*done)(struct parley_job *job);
    void *ud;
    parley_err err; /* how it ended */
    /* The writer's. */
    size_t bytes;
    struct parley_job *next;
};

/* Waits for room in the queue and takes the job.
 *
 * Ownership: on PARLEY_OK job, writes and everything they point at are lent to the writer until
 *            `done` begins, which it does exactly once. After an error `done` is not called.
 * Errors:    EINVAL, ETOOBIG, ESTATE as above; EREADONLY, ECLOSING.
 * Threads:   any but the writer's own. */
PARLEY_API PARLEY_MUST_USE parley_err parley_writer_submit(struct parley_writer *writer,
                                                           struct parley_job *job);
/* The same without waiting: EAGAIN. Threads: any. */
PARLEY_API PARLEY_MUST_USE parley_err parley_writer_try_submit(struct parley_writer *writer,
                                                               struct parley_job *job);

/* ---- Health ---- */

enum parley_writer_health {
    PARLEY_WRITER_OK,
    PARLEY_WRITER_FULL,       /* the last commit was refused for want of room */
    PARLEY_WRITER_RECOVERING, /* a commit ended with EIO; jobs wait */
    PARLEY_WRITER_READ_ONLY   /* recovery has failed. ECORRUPT: an acknowledged commit is gone, and
                                 it stays so; else recovery is tried again every second */
};

struct parley_writer_state {
    enum parley_writer_health health;
    parley_err err;            /* why it is not OK */
    parley_err maintain_err;   /* of the last maintenance */
    uint64_t commits;          /* that ended well, maintenance not counted */
    uint64_t jobs_ok;          /* ended with PARLEY_OK */
    uint64_t jobs_refused;     /* nothing of them was written */
    uint64_t jobs_unknown;     /* ended with PARLEY_EIO */
    size_t queued_jobs;        /* wait now, without those that are being committed */
    size_t queued_bytes;       /* of their writes and of all that these point at */
    size_t group_jobs_largest; /* most jobs that one commit had */
};
/* Threads: any, also from `done`. */
PARLEY_API void parley_writer_state(struct parley_writer *writer, struct parley_writer_state *out);

#ifdef __cplusplus
}
#endif

#endif
