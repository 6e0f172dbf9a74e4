/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch number n is a function of n and carries n as a row of the node. So the row says which
 * batches the store must have, message by message, and the shared memory which were acknowledged.
 */
#define _POSIX_C_SOURCE 200809L
#include "fault/kill.h"

#include "base/rng.h"
#include "core/message.h"
#include "fault/scratch.h"
#include <parley/db.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOW       INT64_C(1000000000000000)
#define MERGED    UINT64_C(900000000000000)
#define BATCH_MAX 100
#define TALKS     5u
/* A store is done away with after so many kills: creation is killed, too, and proofs stay short. */
#define STORE_KILLS 20
/* A kill hits the opening, or up to so long after it. */
#define OPENING_US_MAX  2000u
#define WRITING_US_MAX  40000u
#define READY_TRY_US    500u
#define READY_TRIES_MAX 120000u /* a minute */
#define MAINTAIN_EVERY  8u
#define REOPEN_EVERY    13u
#define LIE_KILLS       400

enum kill_lie { KILL_LIE_NONE, KILL_LIE_EARLY, KILL_LIE_SPLIT };

struct kill_shared {
    _Atomic uint64_t acknowledged; /* the last batch */
    _Atomic uint64_t proved;       /* this process has opened the store and proved it */
    char why[256];                 /* empty: nothing is missing */
};

struct writer {
    struct kill_shared *shared;
    struct parley_db *db;
    enum kill_lie lie;
    struct parley_write writes[BATCH_MAX + 3];
    char ids[BATCH_MAX][24];
    uint8_t bodies[BATCH_MAX][64];
};

#define MISSING(w, ...)                                                                            \
    do {                                                                                           \
        snprintf((w)->shared->why, sizeof(w)->shared->why, __VA_ARGS__);                           \
        _exit(1);                                                                                  \
    } while (0)

/* ---- Batches ---- */

static unsigned messages_of(uint64_t number)
{
    static const unsigned counts[] = { 5, 1, 20, BATCH_MAX };
    return counts[number % PL_ARRAY_LEN(counts)];
}

/* Every fourth batch deletes a message of the one two before. */
static bool deletes(uint64_t number)
{
    return number % 4 == 0;
}

static struct parley_span id_of(uint64_t batch, unsigned index, char out[24])
{
    int len = snprintf(out, 24, "m%llu-%u", (unsigned long long)batch, index);
    return pl_span_of(out, (size_t)len);
}

static struct parley_span talk_of(uint64_t batch)
{
    static const char *const names[TALKS] = { "a", "b", "c", "d", "e" };
    return pl_span_text(names[batch % TALKS]);
}

static struct parley_version message(struct writer *w, uint64_t batch, unsigned index)
{
    struct parley_span id = id_of(batch, index, w->ids[index]);
    struct pl_writer body = pl_writer_over(w->bodies[index], sizeof w->bodies[index]);
    pl_message_encode(&body, &(struct pl_message){ .role = pl_span_text("user"), .content = id });
    bool local = messages_of(batch) == 1;
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = talk_of(batch),
                                    .id = id,
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = local ? 0 : MERGED + batch * 1000 + index,
                                    .origin = pl_span_text(local ? "" : "ann"),
                                    .body = pl_writer_span(&body) };
}

static PL_MUST_USE parley_err apply(struct writer *w, struct parley_write *writes, size_t count)
{
    bool changed;
    return parley_db_apply(w->db, writes, count, NOW, &changed);
}

static PL_MUST_USE parley_err write_batch(struct writer *w, uint64_t number)
{
    char id[24];
    size_t count = messages_of(number);
    for (unsigned i = 0; i < count; i++)
        w->writes[i] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                              .source = 1,
                                              .u.version = message(w, number, i) };
    if (deletes(number)) {
        struct parley_version gone = { .name_space = pl_span_text("main"),
                                       .conversation = talk_of(number - 2),
                                       .id = id_of(number - 2, 0, id),
                                       .kind = PARLEY_KIND_MESSAGE,
                                       .flags = PARLEY_FLAG_TOMBSTONE,
                                       .time = MERGED + number * 1000 + 999,
                                       .origin = pl_span_text("ann") };
        w->writes[count++] =
            (struct parley_write){ .kind = PARLEY_WRITE_VERSION, .u.version = gone };
    }
    if (w->lie == KILL_LIE_SPLIT) {
        PL_TRY(apply(w, w->writes, count));
        count = 0;
    }
    struct parley_write *row = &w->writes[count++];
    *row = (struct parley_write){ .kind = PARLEY_WRITE_SYS_PUT };
    row->u.sys.key = pl_span_text("batch");
    row->u.sys.value = pl_span_of(&number, sizeof number);
    return apply(w, w->writes, count);
}

/* ---- The proof ---- */

static uint64_t last_batch(struct writer *w, struct parley_read *read)
{
    struct parley_span value;
    uint64_t last = 0;
    bool found = false;
    if (parley_read_sys(read, pl_span_text("batch"), &value, &found) != PARLEY_OK)
        MISSING(w, "the row of the last batch cannot be read");
    if (found && value.len == sizeof last)
        memcpy(&last, value.ptr, sizeof last);
    return last;
}

static void prove_message(struct writer *w, struct parley_read *read, uint64_t batch,
                          unsigned index, bool gone)
{
    struct parley_conversation_info talk;
    struct parley_version want = message(w, batch, index);
    struct parley_version have;
    bool found = false;
    parley_err err =
        parley_read_conversation(read, want.name_space, want.conversation, &talk, &found);
    if (err == PARLEY_OK && found)
        err = parley_read_register(read, talk.number, want.kind, want.id, &have, &found);
    if (err != PARLEY_OK || !found)
        MISSING(w, "message %u of batch %llu is gone", index, (unsigned long long)batch);
    bool deleted = (have.flags & PARLEY_FLAG_TOMBSTONE) != 0;
    if (deleted != gone || (!gone && !pl_span_equal(have.body, want.body)))
        MISSING(w, "message %u of batch %llu is another", index, (unsigned long long)batch);
}

/* All batches up to the last are there, whole, and nothing of a later one. */
static void prove(struct writer *w)
{
    static struct parley_check_report report;
    struct parley_namespace_info info = { 0 };
    struct parley_read *read;
    uint64_t acknowledged = atomic_load(&w->shared->acknowledged);
    uint64_t registers = 0;
    bool found;
    if (parley_read_begin(w->db, &read) != PARLEY_OK)
        MISSING(w, "no read");
    uint64_t last = last_batch(w, read);
    if (last < acknowledged || last > acknowledged + 1)
        MISSING(w, "batch %llu was acknowledged, %llu is the last there is",
                (unsigned long long)acknowledged, (unsigned long long)last);
    for (uint64_t n = 1; n <= last; n++) {
        unsigned count = messages_of(n);
        bool first_gone = n + 2 <= last && deletes(n + 2);
        for (unsigned i = 0; i < count; i++)
            prove_message(w, read, n, i, i == 0 && first_gone);
        registers += count;
    }
    if (parley_read_namespace_named(read, pl_span_text("main"), &info, &found) != PARLEY_OK ||
        info.root.count != registers)
        MISSING(w, "%llu registers, not %llu: a batch is there in part",
                (unsigned long long)info.root.count, (unsigned long long)registers);
    parley_read_end(read);
    if (parley_db_check(w->db, &report) != PARLEY_OK || report.problems != 0)
        MISSING(w, "check: %.200s", report.first[0].text);
    atomic_store(&w->shared->acknowledged, last);
}

/* ---- The process that is killed ---- */

static _Noreturn void write_until_killed(struct kill_shared *shared, const char *dir,
                                         enum kill_lie lie)
{
    static struct writer w;
    struct parley_env env;
    struct parley_db_options options = { .name = dir, .local_origin = pl_span_text("local") };
    bool renewed = false;
    w = (struct writer){ .shared = shared, .lie = lie };
    parley_env_posix(&env);
    parley_err err = parley_db_open(&env, &options, &w.db, &renewed, NULL);
    if (err != PARLEY_OK || renewed)
        MISSING(&w, "opening: %s%s", parley_err_name(err), renewed ? ", renewed" : "");
    prove(&w);
    atomic_store(&shared->proved, 1);
    for (uint64_t n = atomic_load(&shared->acknowledged) + 1;; n++) {
        if (lie == KILL_LIE_EARLY)
            atomic_store(&shared->acknowledged, n);
        err = write_batch(&w, n);
        if (err == PARLEY_OK)
            atomic_store(&shared->acknowledged, n);
        if (err == PARLEY_OK && n % MAINTAIN_EVERY == 0)
            err = parley_db_maintain(w.db, NOW, NULL);
        if (err == PARLEY_OK && n % REOPEN_EVERY == 0)
            err = parley_db_recover(w.db);
        if (err != PARLEY_OK)
            MISSING(&w, "batch %llu: %s", (unsigned long long)n, parley_err_name(err));
    }
}

/* ---- The one who kills ---- */

struct killer {
    struct kill_shared *shared;
    struct pl_rng rng;
    enum kill_lie lie;
    char base[64];
    char dir[80];
    uint64_t opening, writing; /* kills */
    uint64_t batches;          /* acknowledged, in all stores */
};

static void remove_store(struct killer *k)
{
    scratch_remove(k->dir);
    k->batches += atomic_load(&k->shared->acknowledged);
    atomic_store(&k->shared->acknowledged, 0);
}

static void sleep_us(uint64_t us)
{
    struct timespec span = { .tv_nsec = (long)us * 1000 };
    nanosleep(&span, NULL);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Waits for the moment: while the store is being opened, or a little after that. */
static void wait_for_moment(struct killer *k, pid_t pid)
{
    if (pl_rng_below(&k->rng, 3) == 0) {
        sleep_us(pl_rng_below(&k->rng, OPENING_US_MAX));
        return;
    }
    for (unsigned i = 0; atomic_load(&k->shared->proved) == 0 && !has_ended(pid); i++) {
        if (i == READY_TRIES_MAX) {
            snprintf(k->shared->why, sizeof k->shared->why, "the store does not open in time");
            return;
        }
        sleep_us(READY_TRY_US);
    }
    sleep_us(pl_rng_below(&k->rng, WRITING_US_MAX));
}

/* One kill; false when the process found something missing or ended by itself. */
static bool kill_one(struct killer *k)
{
    int status = 0;
    atomic_store(&k->shared->proved, 0);
    pid_t pid = fork();
    PL_ASSERT(pid >= 0);
    if (pid == 0)
        write_until_killed(k->shared, k->dir, k->lie);
    wait_for_moment(k, pid);
    kill(pid, SIGKILL);
    PL_ASSERT(waitpid(pid, &status, 0) == pid);
    if (atomic_load(&k->shared->proved) != 0)
        k->writing++;
    else
        k->opening++;
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && k->shared->why[0] == '\0')
        snprintf(k->shared->why, sizeof k->shared->why, "it ended by itself, status %d", status);
    return k->shared->why[0] == '\0';
}

static bool kill_many(struct killer *k, uint64_t kills, uint64_t seed, enum kill_lie lie)
{
    bool good = true;
    *k = (struct killer){ .lie = lie };
    pl_rng_init(&k->rng, seed);
    scratch_make(k->base);
    snprintf(k->dir, sizeof k->dir, "%s/node", k->base);
    k->shared = scratch_share(sizeof *k->shared);
    for (uint64_t i = 0; good && i < kills; i++) {
        if (i % STORE_KILLS == 0)
            remove_store(k);
        good = kill_one(k);
    }
    remove_store(k);
    scratch_remove(k->base);
    return good;
}

bool kill_run(uint64_t kills, uint64_t seed)
{
    static struct killer k;
    bool good = kill_many(&k, kills == 0 ? KILL_DEFAULT : kills, seed, KILL_LIE_NONE);
    printf("%llu kills of a writing engine, seed %llu: %llu while it opened, %llu while it wrote; "
           "%llu batches acknowledged\n",
           (unsigned long long)(k.opening + k.writing), (unsigned long long)seed,
           (unsigned long long)k.opening, (unsigned long long)k.writing,
           (unsigned long long)k.batches);
    printf("%s\n", good ? "all of them there, each batch whole" : k.shared->why);
    return good;
}

bool kill_lies(void)
{
    static const char *const names[] = { [KILL_LIE_EARLY] = "acknowledges before it applies",
                                         [KILL_LIE_SPLIT] = "writes a batch in two transactions" };
    static struct killer k;
    bool good = true;
    for (enum kill_lie lie = KILL_LIE_EARLY; lie <= KILL_LIE_SPLIT; lie++) {
        bool found = !kill_many(&k, LIE_KILLS, 1, lie);
        printf("%-45s %s: %s\n", names[lie], found ? "found out by" : "NOT FOUND OUT by",
               found ? k.shared->why : "kills");
        good = good && found;
    }
    return good;
}
