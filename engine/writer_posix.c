/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer of embedders: see writer.h for W1 to W4.
 *
 * Happy path: a caller checks its job and appends it to the queue -> the thread takes from the
 * front what fits into one group, and again what has come while that was applied -> commit -> each
 * job's `done`. A call that waits is a job on the caller's stack whose `done` wakes it.
 *
 * Failures: a group that is refused is settled in halves (W2). After EIO the store is recovered
 * first (W4); when that fails the writer is read-only: what waits is refused, and recovery is tried
 * again with each maintenance, unless an acknowledged commit is known to be gone.
 *
 * Locks: `mutex` is never held across a call into the db or of `done`.
 */
#define _POSIX_C_SOURCE 200809L
#include <parley/writer.h>

#include "base/base.h"
#include "db/source.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

/* Milliseconds between two attempts to recover. */
#define RECOVER_PAUSE_MS 5u

/* The jobs of a commit. */
struct group {
    struct parley_job **jobs; /* room for PL_WRITER_GROUP_WRITES_MAX */
    size_t count;
    size_t writes, bytes; /* of all of them */
    bool sociable;        /* others may come along */
};

struct parley_writer {
    const struct parley_env *env;
    struct parley_db *db;
    size_t jobs_max, bytes_max;
    uint64_t maintain_ns, recover_ns; /* the former PARLEY_TIME_NEVER: not at all */
    pthread_t thread;
    bool stopped; /* the thread has ended; of the thread that stops */

    /* Of the thread alone. */
    struct group group;
    parley_time maintain_at;

    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t work;   /* for the thread: a job, or the end */
    pthread_cond_t room;   /* for callers: their turn may have come */
    struct parley_job *first, **last;
    /* W3: callers that wait have the tickets from `turn` on, in the order of arrival. */
    uint64_t turn, tickets;
    bool closing, cancelled;
    struct parley_writer_state state;
};

/* ---- Time ---- */

static parley_time now_mono(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        parley_panic(__FILE__, __LINE__, "there is no monotonic clock");
    return (parley_time)now.tv_sec * PARLEY_NS_PER_S + (parley_time)now.tv_nsec;
}

static parley_wall now_wall(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        parley_panic(__FILE__, __LINE__, "there is no clock");
    return (parley_wall)now.tv_sec * PARLEY_US_PER_S + (parley_wall)now.tv_nsec / 1000;
}

static struct timespec timespec_of(parley_time at)
{
    return (struct timespec){ .tv_sec = (time_t)(at / PARLEY_NS_PER_S),
                              .tv_nsec = (long)(at % PARLEY_NS_PER_S) };
}

/* ---- The queue; with the mutex held ---- */

static bool has_room(const struct parley_writer *w, const struct parley_job *job)
{
    return w->state.queued_jobs < w->jobs_max && job->bytes <= w->bytes_max - w->state.queued_bytes;
}

static void push(struct parley_writer *w, struct parley_job *job)
{
    job->next = NULL;
    *w->last = job;
    w->last = &job->next;
    w->state.queued_jobs++;
    w->state.queued_bytes += job->bytes;
    pthread_cond_signal(&w->work);
}

static struct parley_job *pop(struct parley_writer *w)
{
    struct parley_job *job = w->first;
    w->first = job->next;
    if (w->first == NULL)
        w->last = &w->first;
    w->state.queued_jobs--;
    w->state.queued_bytes -= job->bytes;
    return job;
}

/* Lines of the ledger are kept whatever becomes of their batch: trying that again must not double
 * them, so they go alone. */
static bool is_sociable(const struct parley_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->writes[i].kind == PARLEY_WRITE_LEDGER)
            return false;
    return true;
}

/* From the front of the queue into the group, as far as that has room. */
static void take_jobs(struct parley_writer *w)
{
    struct group *g = &w->group;
    while (w->first != NULL) {
        const struct parley_job *next = w->first;
        size_t writes = g->writes + next->count;
        size_t bytes = g->bytes + next->bytes;
        bool sociable = is_sociable(next);
        if (g->count != 0 && (!g->sociable || !sociable || writes > PL_WRITER_GROUP_WRITES_MAX ||
                              bytes > PL_WRITER_GROUP_BYTES_MAX))
            break;
        g->writes = writes;
        g->bytes = bytes;
        g->sociable = sociable;
        g->jobs[g->count++] = pop(w);
    }
    if (w->turn != w->tickets)
        pthread_cond_broadcast(&w->room);
}

static void take_group(struct parley_writer *w)
{
    w->group = (struct group){ .jobs = w->group.jobs };
    take_jobs(w);
}

/* ---- Settling a group; on the thread ---- */

static void set_health(struct parley_writer *w, enum parley_writer_health health, parley_err err)
{
    pthread_mutex_lock(&w->mutex);
    w->state.health = health;
    w->state.err = err;
    if (health == PARLEY_WRITER_READ_ONLY)
        pthread_cond_broadcast(&w->room);
    pthread_mutex_unlock(&w->mutex);
}

/* Only the thread changes it, so it may look without the mutex. */
static bool is_read_only(const struct parley_writer *w)
{
    return w->state.health == PARLEY_WRITER_READ_ONLY;
}

static void recover(struct parley_writer *w)
{
    const struct timespec pause = { .tv_nsec = (long)(RECOVER_PAUSE_MS * PARLEY_NS_PER_MS) };
    set_health(w, PARLEY_WRITER_RECOVERING, PARLEY_EIO);
    parley_time end = now_mono() + w->recover_ns;
    parley_err err = parley_db_recover(w->db);
    while (err == PARLEY_EBUSY && now_mono() < end) {
        nanosleep(&pause, NULL);
        err = parley_db_recover(w->db);
    }
    if (err == PARLEY_OK)
        set_health(w, PARLEY_WRITER_OK, PARLEY_OK);
    else
        set_health(w, PARLEY_WRITER_READ_ONLY, err);
}

static void note_outcome(struct parley_writer *w, size_t jobs, parley_err err)
{
    struct parley_writer_state *state = &w->state;
    bool full = err == PARLEY_ENOSPC || err == PARLEY_EMAPFULL;
    pthread_mutex_lock(&w->mutex);
    if (err == PARLEY_OK) {
        state->commits++;
        state->jobs_ok += jobs;
        state->group_jobs_largest =
            jobs > state->group_jobs_largest ? jobs : state->group_jobs_largest;
    } else if (err == PARLEY_EIO) {
        state->jobs_unknown += jobs;
    } else {
        state->jobs_refused += jobs;
    }
    if (err == PARLEY_OK || full) {
        state->health = full ? PARLEY_WRITER_FULL : PARLEY_WRITER_OK;
        state->err = err;
    }
    pthread_mutex_unlock(&w->mutex);
    if (err == PARLEY_EMAPFULL) /* the limit may grow: do not wait for it */
        w->maintain_at = w->maintain_at == PARLEY_TIME_NEVER ? PARLEY_TIME_NEVER : 0;
}

static void finish(struct parley_writer *w, size_t first, size_t count, parley_err err)
{
    note_outcome(w, count, err);
    for (size_t i = first; i < first + count; i++) {
        struct parley_job *job = w->group.jobs[i];
        job->err = err;
        job->done(job);
    }
}

/* Jobs of the group, in one transaction. */
struct share {
    struct parley_writer *writer;
    size_t at, end;
    bool grows; /* the whole group: with what comes before the commit */
};

static size_t next_writes(void *ud, struct parley_write **out)
{
    struct share *share = ud;
    struct parley_writer *w = share->writer;
    if (share->at == share->end && share->grows) {
        pthread_mutex_lock(&w->mutex);
        take_jobs(w);
        pthread_mutex_unlock(&w->mutex);
        share->end = w->group.count;
    }
    if (share->at == share->end)
        return 0;
    struct parley_job *job = w->group.jobs[share->at++];
    *out = job->writes;
    return job->count;
}

/* W2. Recursion: as deep as the number of jobs in a group has bits. */
static void settle(struct parley_writer *w, size_t first, size_t count, bool grows)
{
    struct share share = { .writer = w, .at = first, .end = first + count, .grows = grows };
    struct pl_write_source source = { .ud = &share, .next = next_writes };
    if (is_read_only(w)) {
        finish(w, first, count, PARLEY_EREADONLY);
        return;
    }
    parley_err err = pl_db_apply_from(w->db, &source, now_wall(), NULL);
    count = share.end - first;
    if (err == PARLEY_EIO)
        recover(w);
    if (err == PARLEY_OK || err == PARLEY_EIO || count == 1) {
        finish(w, first, count, err);
        return;
    }
    settle(w, first, count / 2, false);
    settle(w, first + count / 2, count - count / 2, false);
}

/* ---- Maintenance; on the thread ---- */

/* Whether the sets of elements are behind: then the next step follows at once. */
static bool is_behind(struct parley_writer *w)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    if (parley_read_begin(w->db, &read) != PARLEY_OK)
        return false;
    parley_err err = parley_read_state(read, &state);
    parley_read_end(read);
    return err == PARLEY_OK && state.indexed < state.head;
}

static void maintain(struct parley_writer *w)
{
    if (is_read_only(w) && w->state.err != PARLEY_ECORRUPT)
        recover(w);
    parley_err err = PARLEY_EREADONLY;
    if (!is_read_only(w))
        err = parley_db_maintain(w->db, now_wall(), NULL);
    if (err == PARLEY_EIO)
        recover(w);
    bool again = err == PARLEY_OK && is_behind(w);
    w->maintain_at = now_mono() + (again ? 0 : w->maintain_ns);
    pthread_mutex_lock(&w->mutex);
    w->state.maintain_err = err;
    pthread_mutex_unlock(&w->mutex);
}

/* ---- The thread ---- */

enum turn { TURN_COMMIT, TURN_REFUSE, TURN_MAINTAIN, TURN_QUIT };

/* Maintenance is due; with jobs waiting only when it has been for a whole period. */
static bool maintenance_comes_first(const struct parley_writer *w)
{
    if (w->maintain_at == PARLEY_TIME_NEVER)
        return false;
    parley_time now = now_mono();
    return now >= w->maintain_at && (w->first == NULL || now - w->maintain_at >= w->maintain_ns);
}

static void wait_for_work(struct parley_writer *w)
{
    struct timespec end = timespec_of(w->maintain_at);
    int rc = w->maintain_at == PARLEY_TIME_NEVER
                 ? pthread_cond_wait(&w->work, &w->mutex)
                 : pthread_cond_timedwait(&w->work, &w->mutex, &end);
    if (rc != 0 && rc != ETIMEDOUT)
        parley_panic(__FILE__, __LINE__, "the writer's thread cannot wait");
}

static enum turn next_turn(struct parley_writer *w)
{
    enum turn turn = TURN_QUIT;
    pthread_mutex_lock(&w->mutex);
    while (w->first == NULL && !w->closing && !maintenance_comes_first(w))
        wait_for_work(w);
    if (w->first != NULL && w->cancelled)
        turn = TURN_REFUSE;
    else if (!w->closing && maintenance_comes_first(w))
        turn = TURN_MAINTAIN;
    else if (w->first != NULL)
        turn = TURN_COMMIT;
    if (turn == TURN_COMMIT || turn == TURN_REFUSE)
        take_group(w);
    pthread_mutex_unlock(&w->mutex);
    return turn;
}

static void *run(void *arg)
{
    struct parley_writer *w = arg;
    for (;;) {
        switch (next_turn(w)) {
        case TURN_COMMIT:
            settle(w, 0, w->group.count, true);
            break;
        case TURN_REFUSE:
            finish(w, 0, w->group.count, PARLEY_ECLOSING);
            break;
        case TURN_MAINTAIN:
            maintain(w);
            break;
        case TURN_QUIT:
            return NULL;
        }
    }
}

/* ---- Giving jobs ---- */

static size_t bytes_of(const struct parley_write *w)
{
    const struct parley_version *v = &w->u.version;
    size_t size = sizeof *w;
    switch (w->kind) {
    case PARLEY_WRITE_VERSION:
        return size + v->name_space.len + v->conversation.len + v->id.len + v->origin.len +
               v->body.len;
    case PARLEY_WRITE_SYS_PUT:
        return size + w->u.sys.key.len + w->u.sys.value.len;
    case PARLEY_WRITE_SYS_DEL:
        return size + w->u.sys.key.len;
    case PARLEY_WRITE_LEDGER:
        return size + w->u.line.len;
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_VIEW_DROP:
        return size + w->u.view.name_space.len + w->u.view.prefix.len;
    case PARLEY_WRITE_COLLECT:
        return size + w->u.collect.name_space.len;
    case PARLEY_WRITE_UNTRASH:
        return size + w->u.untrash.len;
    case PARLEY_WRITE_RETENTION:
        return size + w->u.retention.name_space.len;
    case PARLEY_WRITE_CURSOR:
    case PARLEY_WRITE_INDEX:
    case PARLEY_WRITE_TRASH:
        return size;
    }
    return size;
}

static parley_err check_job(const struct parley_writer *w, struct parley_job *job)
{
    if (job->count == 0)
        return PARLEY_EINVAL;
    if (job->count > PARLEY_WRITER_JOB_WRITES_MAX)
        return PARLEY_ETOOBIG;
    PL_TRY(parley_writes_check(job->writes, job->count, NULL));
    job->bytes = 0;
    for (size_t i = 0; i < job->count; i++)
        job->bytes += bytes_of(&job->writes[i]);
    return job->bytes <= w->bytes_max ? PARLEY_OK : PARLEY_ETOOBIG;
}

static parley_err refusal(const struct parley_writer *w)
{
    if (w->closing)
        return PARLEY_ECLOSING;
    return w->state.health == PARLEY_WRITER_READ_ONLY ? PARLEY_EREADONLY : PARLEY_OK;
}

/* How a call waits: for room in the queue, for its outcome. */
struct patience {
    bool for_room, for_outcome;
};

/* Takes a job, with the mutex held. */
static parley_err take(struct parley_writer *w, struct parley_job *job, struct patience patience)
{
    /* Who waits on the writer's own thread would wait for itself. Once that has ended its name may
     * be another's. */
    if ((patience.for_room || patience.for_outcome) && !w->closing &&
        pthread_equal(pthread_self(), w->thread))
        return PARLEY_ESTATE;
    uint64_t ticket = w->tickets;
    PL_TRY(refusal(w));
    if (w->turn == ticket && has_room(w, job)) {
        push(w, job);
        return PARLEY_OK;
    }
    if (!patience.for_room)
        return PARLEY_EAGAIN;
    w->tickets++;
    /* Who is refused leaves out of order, so the turn may be ahead of a ticket, but it is never
     * behind the first of those that are left. */
    while (refusal(w) == PARLEY_OK && (w->turn < ticket || !has_room(w, job)))
        pthread_cond_wait(&w->room, &w->mutex);
    parley_err err = refusal(w);
    if (err == PARLEY_OK)
        push(w, job);
    w->turn++;
    pthread_cond_broadcast(&w->room);
    return err;
}

static parley_err submit(struct parley_writer *w, struct parley_job *job, struct patience patience)
{
    PL_TRY(check_job(w, job));
    pthread_mutex_lock(&w->mutex);
    parley_err err = take(w, job, patience);
    pthread_mutex_unlock(&w->mutex);
    return err;
}

PARLEY_MUST_USE parley_err parley_writer_submit(struct parley_writer *w, struct parley_job *job)
{
    return submit(w, job, (struct patience){ .for_room = true });
}

PARLEY_MUST_USE parley_err parley_writer_try_submit(struct parley_writer *w, struct parley_job *job)
{
    return submit(w, job, (struct patience){ .for_room = false });
}

/* The semaphore of a caller that waits: unlike a mutex it may be gone as soon as it was heard. */
static void wake(struct parley_job *job)
{
    sem_t *ended = job->ud;
    if (sem_post(ended) != 0)
        parley_panic(__FILE__, __LINE__, "a caller cannot be woken");
}

static parley_err write_and_wait(struct parley_writer *w, struct parley_write *writes, size_t count,
                                 bool for_room)
{
    sem_t ended;
    struct parley_job job = { .writes = writes, .count = count, .done = wake, .ud = &ended };
    if (sem_init(&ended, 0, 0) != 0)
        parley_panic(__FILE__, __LINE__, "there is no semaphore");
    parley_err err =
        submit(w, &job, (struct patience){ .for_room = for_room, .for_outcome = true });
    if (err == PARLEY_OK) {
        while (sem_wait(&ended) != 0)
            if (errno != EINTR)
                parley_panic(__FILE__, __LINE__, "a caller cannot wait");
        err = job.err;
    }
    sem_destroy(&ended);
    return err;
}

PARLEY_MUST_USE parley_err parley_writer_write(struct parley_writer *w, struct parley_write *writes,
                                               size_t count)
{
    return write_and_wait(w, writes, count, true);
}

PARLEY_MUST_USE parley_err parley_writer_try_write(struct parley_writer *w,
                                                   struct parley_write *writes, size_t count)
{
    return write_and_wait(w, writes, count, false);
}

void parley_writer_state(struct parley_writer *w, struct parley_writer_state *out)
{
    pthread_mutex_lock(&w->mutex);
    *out = w->state;
    pthread_mutex_unlock(&w->mutex);
}

/* ---- Life ---- */

static bool init_locks(struct parley_writer *w)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&w->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&w->room, NULL) != 0)
        goto out_mutex;
    if (pthread_condattr_init(&attr) != 0)
        goto out_room;
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&w->work, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (ok)
        return true;
out_room:
    pthread_cond_destroy(&w->room);
out_mutex:
    pthread_mutex_destroy(&w->mutex);
    return false;
}

static void deinit_locks(struct parley_writer *w)
{
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->room);
    pthread_mutex_destroy(&w->mutex);
}

/* The host's signals are for the host's threads. */
static bool start_thread(struct parley_writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool ok = pthread_create(&w->thread, NULL, run, w) == 0;
    if (pthread_sigmask(SIG_SETMASK, &before, NULL) != 0)
        parley_panic(__FILE__, __LINE__, "the signal mask cannot be put back");
    return ok;
}

static void free_writer(struct parley_writer *w)
{
    const struct parley_env *env = w->env;
    env->release(env->ud, w->group.jobs, PL_WRITER_GROUP_WRITES_MAX * sizeof(struct parley_job *));
    env->release(env->ud, w, sizeof *w);
}

PARLEY_MUST_USE parley_err parley_writer_open(const struct parley_env *env, struct parley_db *db,
                                              const struct parley_writer_options *options,
                                              struct parley_writer **out)
{
    static const struct parley_writer_options defaults = { 0 };
    const struct parley_writer_options *o = options == NULL ? &defaults : options;
    uint32_t maintain_ms = o->maintain_ms == 0 ? PARLEY_WRITER_MAINTAIN_MS : o->maintain_ms;
    struct parley_writer *w = env->alloc(env->ud, sizeof *w);
    if (w == NULL)
        return PARLEY_ENOMEM;
    *w = (struct parley_writer){
        .env = env,
        .db = db,
        .jobs_max = o->jobs_max == 0 ? PARLEY_WRITER_JOBS_MAX : o->jobs_max,
        .bytes_max = o->bytes_max == 0 ? PARLEY_WRITER_BYTES_MAX : o->bytes_max,
        .maintain_ns = maintain_ms * PARLEY_NS_PER_MS,
        .recover_ns =
            (o->recover_ms == 0 ? PARLEY_WRITER_RECOVER_MS : o->recover_ms) * PARLEY_NS_PER_MS,
    };
    w->last = &w->first;
    w->maintain_at =
        maintain_ms == PARLEY_WRITER_NEVER ? PARLEY_TIME_NEVER : now_mono() + w->maintain_ns;
    w->group.jobs = env->alloc(env->ud, PL_WRITER_GROUP_WRITES_MAX * sizeof(struct parley_job *));
    if (w->group.jobs == NULL || !init_locks(w))
        goto out_memory;
    if (start_thread(w)) {
        *out = w;
        return PARLEY_OK;
    }
    deinit_locks(w);
out_memory:
    free_writer(w);
    return PARLEY_ENOMEM;
}

void parley_writer_stop(struct parley_writer *w, enum parley_stop how)
{
    if (w->stopped)
        return;
    PL_ASSERT(!pthread_equal(pthread_self(), w->thread));
    pthread_mutex_lock(&w->mutex);
    w->closing = true;
    w->cancelled = how == PARLEY_STOP_CANCEL;
    pthread_cond_signal(&w->work);
    pthread_cond_broadcast(&w->room);
    while (w->turn != w->tickets)
        pthread_cond_wait(&w->room, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    if (pthread_join(w->thread, NULL) != 0)
        parley_panic(__FILE__, __LINE__, "the writer's thread cannot be joined");
    w->stopped = true;
}

void parley_writer_close(struct parley_writer *w)
{
    if (w == NULL)
        return;
    parley_writer_stop(w, PARLEY_STOP_DRAIN);
    deinit_locks(w);
    free_writer(w);
}
