/* SPDX-License-Identifier: Apache-2.0
 *
 * Measurements on made-up stores of a million messages, twenty a conversation:
 *
 *   scattered  single messages for random conversations, batches of 1,000: the engine on one copy
 *              of the store, the raw program of script.h on another
 *   lone       one message a commit, the same way
 *   reads      one message by its names, and conversations of twenty, against raw look-ups of the
 *              same rows in the same store
 *   growth     what a message costs in a store of five million against one of 100,000, batches of
 *              new conversations in turns
 *   open       after an orderly close, and after SIGKILL amid writes
 */
#define _GNU_SOURCE 1
#include "engine_large.h"

#include "engine_backup.h"
#include "filler.h"
#include "script.h"

#include "base/span.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH         1000u
#define SCATTERED     20000u
#define LONE          400u
#define READS         100000u
#define TALK_READS    20000u
#define GROWTH_PAIRS  40u
#define OPENS         9
#define KILL_AFTER_US 400000
#define CHUNK         FILLER_BATCH_MAX

struct sizes {
    uint64_t messages;
    uint64_t small, big; /* of the stores that growth compares */
};

static void report(const struct bench *b, const char *name, double value, const char *unit,
                   double baseline, const char *note)
{
    bench_report(
        b, &(struct bench_metric){
               .name = name, .value = value, .unit = unit, .baseline = &baseline, .note = note });
}

static void make_store(const struct bench *b, uint64_t messages, char dir[BENCH_PATH_BYTES])
{
    struct filler f;
    bench_make_dir(b, dir);
    filler_open(&f, dir, false);
    filler_fill(&f, messages, CHUNK);
    filler_index(f.db);
    filler_close(&f);
}

static void copy_of(const struct bench *b, const char *base, char dir[BENCH_PATH_BYTES])
{
    bench_make_dir(b, dir);
    filler_copy(base, dir);
}

/* ---- Writes ---- */

/* New messages for random conversations, newer than all there are. */
static parley_seq engine_writes(const char *dir, uint64_t talks, size_t count, size_t batch,
                                double *times)
{
    struct filler f;
    struct pl_rng rng;
    pl_rng_init(&rng, batch);
    filler_open(&f, dir, false);
    parley_seq before = filler_state(f.db).head;
    for (size_t i = 0; i < count; i++) {
        uint64_t time = (uint64_t)(FILLER_BEGIN_US + FILLER_YEAR_US) + i * 1000000;
        filler_put(&f, "c", pl_rng_below(&rng, talks), FILLER_TALK_LEN + i, time, batch);
        if ((i + 1) % batch == 0) {
            times[i / batch] = f.seconds;
            f.seconds = 0;
        }
    }
    filler_close(&f);
    return before;
}

struct writes {
    double engine, raw; /* median seconds of a commit */
    double bytes_ratio;
};

static struct writes measure_writes(const struct bench *b, const char *base, uint64_t talks,
                                    size_t count, size_t batch)
{
    char dirs[2][BENCH_PATH_BYTES];
    struct writes w;
    size_t batches = count / batch;
    double *times = bench_alloc(batches * sizeof *times);
    copy_of(b, base, dirs[0]);
    copy_of(b, base, dirs[1]);
    uint64_t before = bench_written();
    parley_seq head = engine_writes(dirs[0], talks, count, batch, times);
    uint64_t between = bench_written();
    w.engine = bench_median(times, batches);
    struct script *script = script_make(dirs[0], head, batch);
    script_put_all(script, dirs[1], times);
    w.raw = bench_median(times, batches);
    w.bytes_ratio = (double)(between - before) / (double)(bench_written() - between);
    script_free(script);
    free(times);
    bench_remove_tree(dirs[0]);
    bench_remove_tree(dirs[1]);
    return w;
}

static void report_writes(struct bench *b, const char *base, const struct sizes *sizes)
{
    char note[128];
    uint64_t talks = sizes->messages / FILLER_TALK_LEN;
    size_t scattered = b->quick ? 2 * BATCH : SCATTERED;
    struct writes w = measure_writes(b, base, talks, scattered, BATCH);
    snprintf(note, sizeof note,
             "median batches; %.2f times the bytes written; baseline: versions/s of raw LMDB",
             w.bytes_ratio);
    report(b, "merge_scattered_ratio", w.raw / w.engine, "ratio", BATCH / w.raw, note);
    w = measure_writes(b, base, talks, b->quick ? 20 : LONE, 1);
    snprintf(note, sizeof note, "%.3f ms; %.2f times the bytes written; baseline: raw LMDB in ms",
             w.engine * 1e3, w.bytes_ratio);
    report(b, "lone_write_latency_ratio", w.engine / w.raw, "ratio", w.raw * 1e3, note);
}

/* ---- Reads ---- */

struct names {
    char talk[24];
    char message[24];
};

static struct names pick(struct pl_rng *rng, uint64_t messages)
{
    struct names names;
    uint64_t index = pl_rng_below(rng, messages);
    snprintf(names.talk, sizeof names.talk, "c%llu", (unsigned long long)(index / FILLER_TALK_LEN));
    snprintf(names.message, sizeof names.message, "m%llu",
             (unsigned long long)(index % FILLER_TALK_LEN));
    return names;
}

static uint64_t engine_read_message(struct parley_db *db, const struct names *names)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info info;
    struct parley_version version;
    bool found = false;
    bench_ok(parley_read_begin(db, &read), "a read");
    bench_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(names->talk), &info,
                                      &found),
             "a conversation");
    bench_ok(parley_read_register(read, info.number, PARLEY_KIND_MESSAGE,
                                  pl_span_text(names->message), &version, &found),
             "a message");
    bench_check(found, "a message that is there");
    uint64_t sum = version.body.len;
    parley_read_end(read);
    return sum;
}

static uint64_t engine_read_talk(struct parley_db *db, const struct names *names)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info info;
    struct parley_register_cursor cursor;
    bool found = false;
    uint64_t sum = 0;
    bench_ok(parley_read_begin(db, &read), "a read");
    bench_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(names->talk), &info,
                                      &found),
             "a conversation");
    bench_ok(parley_registers_begin(read, info.number, &cursor), "its messages");
    for (found = true; found;) {
        struct parley_version version;
        bench_ok(parley_registers_next(&cursor, &version, &found), "its messages");
        sum += found ? version.body.len : 0;
    }
    parley_read_end(read);
    return sum;
}

/* The number of a conversation of the first namespace. */
static MDB_val raw_find_talk(struct raw *raw, const struct names *names)
{
    uint8_t key[4 + sizeof names->talk] = { 0, 0, 0, 1 };
    size_t len = strlen(names->talk);
    memcpy(key + 4, names->talk, len);
    return raw_get(raw, SCRIPT_NAMES, key, 4 + len);
}

static uint64_t raw_read_message(struct raw *raw, const struct names *names)
{
    uint8_t key[5 + sizeof names->message];
    size_t len = strlen(names->message);
    raw_renew(raw);
    memcpy(key, raw_find_talk(raw, names).mv_data, 4);
    key[4] = PARLEY_KIND_MESSAGE;
    memcpy(key + 5, names->message, len);
    MDB_val row = raw_get(raw, SCRIPT_REGISTER, key, 5 + len);
    uint64_t sum = raw_get(raw, SCRIPT_LOG, row.mv_data, 8).mv_size;
    raw_reset(raw);
    return sum;
}

/* Twenty rows with their bodies where they are neighbours: the change log. */
static uint64_t raw_scan(struct raw *raw, const struct names *names)
{
    uint8_t key[5 + 2] = { 0 };
    MDB_cursor *cursor;
    uint64_t sum = 0;
    raw_renew(raw);
    memcpy(key, raw_find_talk(raw, names).mv_data, 4);
    key[4] = PARLEY_KIND_MESSAGE;
    key[5] = 'm';
    key[6] = '0';
    MDB_val row = raw_get(raw, SCRIPT_REGISTER, key, sizeof key);
    MDB_val at = { .mv_size = 8, .mv_data = row.mv_data };
    MDB_val value;
    bench_check(mdb_cursor_open(raw->txn, raw->dbi[SCRIPT_LOG], &cursor) == 0, "a cursor");
    int rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    for (unsigned i = 0; i < FILLER_TALK_LEN && rc == 0; i++) {
        sum += value.mv_size;
        rc = mdb_cursor_get(cursor, &at, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    raw_reset(raw);
    return sum;
}

struct reads {
    double engine, raw; /* seconds of one */
};

static struct reads measure_reads(const struct bench *b, const char *dir, uint64_t messages,
                                  size_t count, bool whole)
{
    struct filler f;
    struct raw raw;
    struct reads r = { 1e9, 1e9 };
    struct names *names = bench_alloc(count * sizeof *names);
    char store[BENCH_PATH_BYTES];
    bench_join(store, dir, "store");
    filler_open(&f, dir, false);
    raw_open(&raw, store, script_tables, SCRIPT_TABLES, false);
    raw_begin(&raw, false);
    raw_reset(&raw);
    /* In turns; the first round warms up, the best counts: what disturbs only slows. */
    for (int round = 0; round < (b->quick ? 2 : 6); round++) {
        struct pl_rng rng;
        uint64_t sum = 0;
        pl_rng_init(&rng, (uint64_t)round);
        for (size_t i = 0; i < count; i++)
            names[i] = pick(&rng, messages);
        double start = bench_now();
        for (size_t i = 0; i < count; i++)
            sum += whole ? engine_read_talk(f.db, &names[i]) : engine_read_message(f.db, &names[i]);
        double middle = bench_now();
        for (size_t i = 0; i < count; i++)
            sum += whole ? raw_scan(&raw, &names[i]) : raw_read_message(&raw, &names[i]);
        bench_check(sum != 0, "what was read");
        double engine = (middle - start) / (double)count;
        double bare = (bench_now() - middle) / (double)count;
        r.engine = round > 0 && engine < r.engine ? engine : r.engine;
        r.raw = round > 0 && bare < r.raw ? bare : r.raw;
    }
    free(names);
    raw_end(&raw);
    raw_close(&raw);
    filler_close(&f);
    return r;
}

static void report_reads(struct bench *b, const char *dir, const struct sizes *sizes)
{
    char note[128];
    size_t share = b->quick ? 10 : 1;
    struct reads r = measure_reads(b, dir, sizes->messages, READS / share, false);
    snprintf(note, sizeof note, "%.2f us; baseline: raw look-ups of the same rows in us",
             r.engine * 1e6);
    report(b, "point_read_ratio", r.raw / r.engine, "ratio", r.raw * 1e6, note);
    r = measure_reads(b, dir, sizes->messages, TALK_READS / share, true);
    snprintf(note, sizeof note, "%.2f us for 20 messages; baseline: a raw scan of 20 rows in us",
             r.engine * 1e6);
    report(b, "conversation_read_ratio", r.engine / r.raw, "ratio", r.raw * 1e6, note);
}

/* ---- Growth ---- */

static double batch_seconds(struct filler *f, uint64_t *next)
{
    f->seconds = 0;
    for (unsigned i = 0; i < BATCH; i++, ++*next)
        filler_add(f, "n", *next, (uint64_t)(FILLER_BEGIN_US + FILLER_YEAR_US) + *next, BATCH);
    return f->seconds;
}

static void report_growth(struct bench *b, const struct sizes *sizes)
{
    char dirs[2][BENCH_PATH_BYTES];
    struct filler f[2];
    uint64_t next[2] = { 0, 0 };
    static double times[2][GROWTH_PAIRS];
    char note[128];
    make_store(b, sizes->small, dirs[0]);
    make_store(b, sizes->big, dirs[1]);
    for (int i = 0; i < 2; i++)
        filler_open(&f[i], dirs[i], false);
    for (unsigned k = 0; k < GROWTH_PAIRS; k++) {
        for (unsigned i = 0; i < 2; i++)
            times[(k + i) % 2][k] = batch_seconds(&f[(k + i) % 2], &next[(k + i) % 2]);
    }
    double small = bench_median(times[0], GROWTH_PAIRS);
    double big = bench_median(times[1], GROWTH_PAIRS);
    double sets[2]; /* a batch's share of what brings them on */
    for (int i = 0; i < 2; i++) {
        sets[i] = filler_index(f[i].db) / GROWTH_PAIRS;
        filler_close(&f[i]);
        bench_remove_tree(dirs[i]);
    }
    snprintf(note, sizeof note,
             "%.2f us a message at %llu; baseline: at %llu; %.1f %% until the sets have it, too",
             big / BATCH * 1e6, (unsigned long long)sizes->big, (unsigned long long)sizes->small,
             100 * ((big + sets[1]) / (small + sets[0]) - 1));
    report(b, "growth_100k_5m_percent", 100 * (big / small - 1), "%", small / BATCH * 1e6, note);
}

/* ---- Opening ---- */

static double open_seconds(const char *dir)
{
    struct filler f;
    double start = bench_now();
    filler_open(&f, dir, false);
    double took = bench_now() - start;
    filler_close(&f);
    return took;
}

/* Writes until it is killed. */
static void kill_writer(const char *dir)
{
    pid_t pid = fork();
    bench_check(pid >= 0, "fork");
    if (pid == 0) {
        struct filler f;
        uint64_t next = 0;
        filler_open(&f, dir, false);
        for (;;)
            batch_seconds(&f, &next);
    }
    usleep(KILL_AFTER_US);
    bench_check(kill(pid, SIGKILL) == 0, "kill");
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void report_opens(struct bench *b, const char *dir)
{
    double clean[OPENS], killed[OPENS];
    for (int i = 0; i < OPENS; i++)
        clean[i] = open_seconds(dir);
    for (int i = 0; i < OPENS; i++) {
        kill_writer(dir);
        killed[i] = open_seconds(dir);
    }
    double worst = bench_percentile(clean, OPENS, 1);
    report(b, "open_clean_ms", bench_median(clean, OPENS) * 1e3, "ms", worst * 1e3,
           "baseline: the worst");
    worst = bench_percentile(killed, OPENS, 1);
    report(b, "open_killed_ms", bench_median(killed, OPENS) * 1e3, "ms", worst * 1e3,
           "after SIGKILL amid writes; baseline: the worst");
}

void engine_large_measure(struct bench *b)
{
    char base[BENCH_PATH_BYTES];
    struct sizes sizes = { .messages = 1000000, .small = 100000, .big = 5000000 };
    if (b->quick)
        sizes = (struct sizes){ .messages = 20000, .small = 2000, .big = 20000 };
    make_store(b, sizes.messages, base);
    report_writes(b, base, &sizes);
    report_reads(b, base, &sizes);
    report_opens(b, base);
    engine_backup_measure(b, base, sizes.messages / FILLER_TALK_LEN);
    bench_remove_tree(base);
    report_growth(b, &sizes);
}
