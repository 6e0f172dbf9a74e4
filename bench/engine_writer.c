/* SPDX-License-Identifier: Apache-2.0
 *
 * Group commit: durable single messages through parley_writer, in a store of 100,000 messages.
 *
 *   one    one thread writes message after message, each to a random conversation
 *   many   64 threads do the same at once
 *
 *   apply  the same as `one` by parley_db_apply, without a writer: what its thread costs
 *
 *   raw    rows of `many`, put into a copy of the store by the program of script.h: 64 versions a
 *          commit, and one
 *
 * In turns, several times; ratios are of neighbours in time, and the median of them counts. A round
 * of `many` writes more, so that all take about as long.
 */
#define _GNU_SOURCE 1
#include "engine_writer.h"

#include "filler.h"
#include "script.h"

#include "base/span.h"
#include <parley/writer.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS      ENGINE_CROWD_THREADS
#define ROUNDS       9u
#define MESSAGES     100000u
#define ONE_WRITES   200u
#define MANY_WRITES  150u /* of each thread */
#define QUICK_WRITES 20u
#define RAW_COMMITS  100u

struct author {
    struct parley_writer *writer; /* NULL: straight to the db */
    const struct filler *filler;
    pthread_t thread;
    struct pl_rng rng;
    uint64_t talks;
    uint64_t next; /* number of the next message, of its own */
    unsigned writes;
};

static void write_one(struct author *a)
{
    char talk[24];
    char message[24];
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    snprintf(talk, sizeof talk, "c%llu", (unsigned long long)pl_rng_below(&a->rng, a->talks));
    snprintf(message, sizeof message, "n%llu", (unsigned long long)a->next++);
    write.u.version =
        (struct parley_version){ .name_space = pl_span_text("main"),
                                 .conversation = pl_span_text(talk),
                                 .id = pl_span_text(message),
                                 .kind = PARLEY_KIND_MESSAGE,
                                 .body = pl_span_of(a->filler->body, a->filler->body_len) };
    if (a->writer != NULL)
        bench_ok(parley_writer_write(a->writer, &write, 1), "a write");
    else
        bench_ok(parley_db_apply(a->filler->db, &write, 1, FILLER_WALL, NULL), "a write");
}

static void *run_author(void *arg)
{
    struct author *a = arg;
    for (unsigned i = 0; i < a->writes; i++)
        write_one(a);
    return NULL;
}

/* Writes a second of so many threads that write so many messages each. */
static double measure_rate(struct author *authors, unsigned count, unsigned writes)
{
    double start = bench_now();
    for (unsigned i = 0; i < count; i++) {
        authors[i].writes = writes;
        bench_check(pthread_create(&authors[i].thread, NULL, run_author, &authors[i]) == 0,
                    "a thread");
    }
    for (unsigned i = 0; i < count; i++)
        bench_check(pthread_join(authors[i].thread, NULL) == 0, "a thread that ends");
    return (double)count * writes / (bench_now() - start);
}

/* ---- The store and those who write to it ---- */

struct engine_crowd {
    struct author authors[THREADS];
    struct filler filler;
    char dir[BENCH_PATH_BYTES];
    unsigned alone;  /* writes of one thread in a round */
    unsigned writes; /* of each of many */
};

uint64_t engine_crowd_messages(const struct bench *b)
{
    return b->quick ? MESSAGES / 10 : MESSAGES;
}

struct engine_crowd *engine_crowd_open(const struct bench *b)
{
    struct engine_crowd *c = bench_alloc(sizeof *c);
    c->alone = b->quick ? QUICK_WRITES : ONE_WRITES;
    c->writes = b->quick ? QUICK_WRITES : MANY_WRITES;
    bench_make_dir(b, c->dir);
    filler_open(&c->filler, c->dir, false);
    filler_fill(&c->filler, engine_crowd_messages(b), FILLER_BATCH_MAX);
    filler_index(c->filler.db);
    for (unsigned i = 0; i < THREADS; i++) {
        c->authors[i] = (struct author){ .filler = &c->filler,
                                         .talks = engine_crowd_messages(b) / FILLER_TALK_LEN,
                                         .next = (uint64_t)i * 1000000 };
        pl_rng_init(&c->authors[i].rng, i);
    }
    return c;
}

void engine_crowd_close(struct engine_crowd *crowd)
{
    filler_close(&crowd->filler);
    bench_remove_tree(crowd->dir);
    free(crowd);
}

static struct parley_writer *start_writer(struct engine_crowd *c)
{
    struct parley_writer *writer = NULL;
    bench_ok(parley_writer_open(&c->filler.env, c->filler.db, NULL, &writer), "a writer");
    for (unsigned i = 0; i < THREADS; i++)
        c->authors[i].writer = writer;
    return writer;
}

double engine_crowd_rate(struct engine_crowd *crowd)
{
    struct parley_writer *writer = start_writer(crowd);
    double rate = measure_rate(crowd->authors, THREADS, crowd->writes);
    parley_writer_close(writer);
    return rate;
}

/* ---- Rounds ---- */

struct round {
    double apply, one, many; /* writes a second */
    uint64_t jobs, commits;  /* of `many` */
};

static struct round measure_round(struct engine_crowd *c)
{
    struct round r = { 0 };
    struct parley_writer_state before, after;
    c->authors[0].writer = NULL;
    r.apply = measure_rate(c->authors, 1, c->alone);
    struct parley_writer *writer = start_writer(c);
    r.one = measure_rate(c->authors, 1, c->alone);
    parley_writer_state(writer, &before);
    r.many = measure_rate(c->authors, THREADS, c->writes);
    parley_writer_state(writer, &after);
    parley_writer_close(writer);
    r.jobs = after.jobs_ok - before.jobs_ok;
    r.commits = after.commits - before.commits;
    return r;
}

/* Median seconds of a commit of the last versions of the crowd's store, `batch` a commit. */
static double raw_commit_seconds(const struct bench *b, const struct engine_crowd *c,
                                 const char *base, parley_seq head, size_t batch)
{
    char dir[BENCH_PATH_BYTES];
    double times[RAW_COMMITS];
    size_t commits = b->quick ? RAW_COMMITS / 10 : RAW_COMMITS;
    bench_make_dir(b, dir);
    filler_copy(base, dir);
    struct script *script = script_make(c->dir, head - commits * batch, batch);
    bench_check(script_batches(script) == commits, "as many raw commits as are asked for");
    script_put_all(script, dir, times);
    script_free(script);
    bench_remove_tree(dir);
    return bench_median(times, commits);
}

/* How many times as many versions raw LMDB writes in a second, 64 a commit instead of one. */
static double raw_speedup(const struct bench *b, struct engine_crowd *c, const char *base)
{
    parley_seq head = filler_state(c->filler.db).head;
    double one = raw_commit_seconds(b, c, base, head, 1);
    return THREADS * one / raw_commit_seconds(b, c, base, head, THREADS);
}

static void report(const struct bench *b, const struct round *rounds, size_t count, double raw)
{
    double speedups[ROUNDS], latencies[ROUNDS], one[ROUNDS], many[ROUNDS], apply_ms[ROUNDS];
    char note[200];
    double jobs = 0;
    double commits = 0;
    for (size_t i = 0; i < count; i++) {
        const struct round *r = &rounds[i];
        one[i] = r->one;
        many[i] = r->many;
        apply_ms[i] = 1e3 / r->apply;
        speedups[i] = r->many / r->one;
        latencies[i] = r->apply / r->one;
        jobs += (double)r->jobs;
        commits += (double)r->commits;
    }
    double base = bench_median(one, count);
    double least = bench_percentile(speedups, count, 0);
    snprintf(note, sizeof note,
             "%.0f writes/s of %u threads, %.1f in a commit, %.0f of one thread; median of %zu "
             "rounds, the least %.1f; baseline: raw LMDB, 64 a commit over one",
             bench_median(many, count), THREADS, jobs / commits, base, count, least);
    bench_report(b, &(struct bench_metric){ .name = "group_commit_64_speedup",
                                            .value = bench_median(speedups, count),
                                            .unit = "ratio",
                                            .baseline = &raw,
                                            .note = note });
    base = bench_median(apply_ms, count);
    bench_report(b, &(struct bench_metric){ .name = "lone_writer_latency_ratio",
                                            .value = bench_median(latencies, count),
                                            .unit = "ratio",
                                            .baseline = &base,
                                            .note = "a lone write by parley_writer; baseline: by "
                                                    "parley_db_apply, in ms" });
}

void engine_writer_measure(struct bench *b)
{
    struct round rounds[ROUNDS];
    size_t count = b->quick ? 1 : ROUNDS;
    char base[BENCH_PATH_BYTES];
    struct engine_crowd *crowd = engine_crowd_open(b);
    bench_make_dir(b, base);
    filler_copy(crowd->dir, base);
    for (size_t i = 0; i < count; i++)
        rounds[i] = measure_round(crowd);
    report(b, rounds, count, raw_speedup(b, crowd, base));
    bench_remove_tree(base);
    engine_crowd_close(crowd);
}
