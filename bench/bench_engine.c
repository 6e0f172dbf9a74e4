/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `engine`: parley_db_apply against a raw LMDB program, and what merging again writes.
 *
 * The raw program puts the same bytes under the same keys in the same batches: its rows are read
 * back from the store that the engine has just made, so that nothing is left out. The register rows
 * and the log rows (which are the change log and hold the bodies), the row of each conversation
 * and its name, and at each commit the counters and the namespace. It computes nothing.
 */
#include "raw.h"

#include "base/writer.h"

#include <stdio.h>
#include <stdlib.h>

#define REPEATS_MAX 5
#define BATCH       1000u
#define NO_ROW      SIZE_MAX

enum table { META, SPACE, NAMES, REGISTER, LOG, TABLES };
static const char *const table_names[TABLES] = { "meta", "namespace", "conversation", "register",
                                                 "log" };

/* One repetition. */
struct result {
    double merge_seconds;
    double raw_seconds;
    double merge_cpu;
    double raw_cpu;
    double remerge_seconds;
    uint64_t remerge_written;
    double written_ratio; /* bytes written over those of the raw program */
    double file_ratio;    /* file over the rows in it */
};

/* ---- The engine ---- */

struct engine {
    struct parley_env env;
    struct parley_db *db;
    char dir[BENCH_PATH_BYTES];
    struct parley_write *writes;
    double seconds;
    double cpu_seconds;
};

static void engine_open(const struct bench *b, struct engine *e)
{
    struct parley_diag diag = { "" };
    struct parley_db_options options = { .name = e->dir, .local_origin = pl_span_text("bench") };
    bool renewed;
    bench_make_dir(b, e->dir);
    parley_env_posix(&e->env);
    if (parley_db_open(&e->env, &options, &e->db, &renewed, &diag) != PARLEY_OK)
        bench_die("opening a store: %s", diag.text);
}

static void engine_apply(struct engine *e, size_t count)
{
    double start = bench_now();
    double cpu = bench_cpu();
    bench_ok(parley_db_apply(e->db, e->writes, count, INT64_C(1893456000000000), NULL), "apply");
    e->seconds += bench_now() - start;
    e->cpu_seconds += bench_cpu() - cpu;
}

/* Merges the whole data set, conversations in the given order. */
static void engine_merge(struct engine *e, const struct bench_data *data, const size_t *order)
{
    size_t count = 0;
    e->seconds = 0;
    e->cpu_seconds = 0;
    for (size_t i = 0; i < data->talk_count; i++) {
        const struct bench_talk *talk = &data->talks[order[i]];
        for (size_t k = 0; k < talk->count; k++) {
            e->writes[count++] =
                (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                       .source = 1,
                                       .u.version = data->versions[talk->first + k] };
            if (count == BATCH) {
                engine_apply(e, count);
                count = 0;
            }
        }
    }
    if (count != 0)
        engine_apply(e, count);
}

/* ---- The raw program ---- */

struct row {
    enum table table;
    uint32_t key_len;
    uint32_t value_len;
    const uint8_t *bytes; /* the key, then the value */
};

struct script {
    struct row *rows;
    size_t count;
    size_t *batch_ends; /* index after the last row of each batch */
    size_t batch_count;
    struct row fixed[2]; /* counters and namespace */
    uint64_t bytes;
    uint8_t *memory;
    size_t memory_len;
};

static struct row copy_row(struct script *s, enum table table, MDB_val key, MDB_val value)
{
    uint8_t *at = s->memory + s->memory_len;
    memcpy(at, key.mv_data, key.mv_size);
    memcpy(at + key.mv_size, value.mv_data, value.mv_size);
    s->memory_len += key.mv_size + value.mv_size;
    return (struct row){ .table = table,
                         .key_len = (uint32_t)key.mv_size,
                         .value_len = (uint32_t)value.mv_size,
                         .bytes = at };
}

static void add_row(struct script *s, struct raw *from, enum table table, const uint8_t *key,
                    size_t key_len)
{
    MDB_val k = { .mv_size = key_len, .mv_data = (void *)(uintptr_t)key };
    s->rows[s->count++] = copy_row(s, table, k, raw_get(from, table, key, key_len));
}

/* The conversation's own row has its id at offset 32, before a checksum of 4 bytes. */
static void add_talk_rows(struct script *s, struct raw *from, const uint8_t *number, bool fresh)
{
    uint8_t key[4 + PARLEY_ID_BYTES_MAX] = { 0 };
    memcpy(key, number, 4);
    add_row(s, from, REGISTER, key, 5);
    const struct row *talk = &s->rows[s->count - 1];
    const uint8_t *value = talk->bytes + talk->key_len;
    if (!fresh)
        return;
    memcpy(key, value, 4); /* the namespace */
    size_t id_len = talk->value_len - 36u;
    memcpy(key + 4, value + 32, id_len);
    add_row(s, from, NAMES, key, 4 + id_len);
}

/* One log row gives its register row: conversation at 6, kind at 1, id after its length at 42. */
static void add_version_rows(struct script *s, struct raw *from, MDB_val key, MDB_val value)
{
    const uint8_t *record = value.mv_data;
    uint8_t tree_key[5 + PARLEY_ID_BYTES_MAX];
    memcpy(tree_key, record + 6, 4);
    tree_key[4] = record[1];
    memcpy(tree_key + 5, record + 43, record[42]);
    s->rows[s->count++] = copy_row(s, LOG, key, value);
    add_row(s, from, REGISTER, tree_key, 5u + record[42]);
}

static void build_rows(struct script *s, struct raw *from)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint8_t talk[4] = { 0 };
    uint64_t seen = 0;
    size_t versions = 0;
    bench_check(mdb_cursor_open(from->txn, from->dbi[LOG], &cursor) == 0, "a cursor");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        const uint8_t *record = value.mv_data;
        bool fresh = pl_get_be(record + 6, 4) > seen;
        bool batch_begins = versions % BATCH == 0;
        if (fresh)
            seen = pl_get_be(record + 6, 4);
        /* The engine writes a conversation's row once a batch, when it leaves it. */
        if (fresh || batch_begins || memcmp(talk, record + 6, 4) != 0)
            add_talk_rows(s, from, record + 6, fresh);
        memcpy(talk, record + 6, 4);
        add_version_rows(s, from, key, value);
        if (++versions % BATCH == 0)
            s->batch_ends[s->batch_count++] = s->count;
    }
    if (versions % BATCH != 0)
        s->batch_ends[s->batch_count++] = s->count;
    mdb_cursor_close(cursor);
}

static struct script *build_script(const struct engine *e, const struct bench_data *data)
{
    struct raw from;
    char dir[BENCH_PATH_BYTES];
    char path[BENCH_PATH_BYTES];
    struct script *s = bench_alloc(sizeof *s);
    *s = (struct script){ .rows = bench_alloc(5 * data->count * sizeof *s->rows),
                          .batch_ends = bench_alloc((data->count / BATCH + 1) * sizeof(size_t)) };
    bench_join(dir, e->dir, "store");
    bench_join(path, dir, "data.mdb");
    s->memory = bench_alloc(2 * bench_file_bytes(path) + (1u << 20));
    raw_open(&from, dir, table_names, TABLES);
    raw_begin(&from, false);
    build_rows(s, &from);
    s->bytes = s->memory_len;
    MDB_val key = { .mv_size = 8, .mv_data = (void *)(uintptr_t) "counters" };
    s->fixed[0] = copy_row(s, META, key, raw_get(&from, META, "counters", 8));
    static const uint8_t first_space[5] = { 'i', 0, 0, 0, 1 };
    key = (MDB_val){ .mv_size = 5, .mv_data = (void *)(uintptr_t)first_space };
    s->fixed[1] = copy_row(s, SPACE, key, raw_get(&from, SPACE, first_space, 5));
    raw_end(&from);
    raw_close(&from);
    return s;
}

static void free_script(struct script *s)
{
    free(s->rows);
    free(s->batch_ends);
    free(s->memory);
    free(s);
}

static void put_row(struct raw *raw, const struct row *row)
{
    raw_put(raw, row->table, row->bytes, row->key_len, row->bytes + row->key_len, row->value_len,
            row->table == LOG ? MDB_APPEND : 0);
}

static void run_script(const struct bench *b, const struct script *s, struct result *r,
                       uint64_t *written)
{
    struct raw raw;
    size_t row = 0;
    raw_create(b, &raw, table_names, TABLES);
    uint64_t before = bench_written();
    double start = bench_now();
    double cpu = bench_cpu();
    for (size_t i = 0; i < s->batch_count; i++) {
        raw_begin(&raw, true);
        for (; row < s->batch_ends[i]; row++)
            put_row(&raw, &s->rows[row]);
        put_row(&raw, &s->fixed[0]);
        put_row(&raw, &s->fixed[1]);
        raw_commit(&raw);
    }
    r->raw_seconds = bench_now() - start;
    r->raw_cpu = bench_cpu() - cpu;
    *written = bench_written() - before;
    raw_destroy(&raw);
}

/* ---- The suite ---- */

static struct result measure(struct bench *b, struct engine *e, const size_t *order)
{
    const struct bench_data *data = bench_data_get(b);
    struct result r;
    char path[BENCH_PATH_BYTES];
    engine_open(b, e);
    uint64_t before = bench_written();
    engine_merge(e, data, order);
    uint64_t written = bench_written() - before;
    r.merge_seconds = e->seconds;
    r.merge_cpu = e->cpu_seconds;
    before = bench_written();
    engine_merge(e, data, order);
    r.remerge_seconds = e->seconds;
    r.remerge_written = bench_written() - before;
    parley_db_close(e->db);
    bench_join(path, e->dir, "store/data.mdb");
    struct script *s = build_script(e, data);
    r.file_ratio = (double)bench_file_bytes(path) / (double)s->bytes;
    uint64_t raw_written;
    run_script(b, s, &r, &raw_written);
    r.written_ratio = (double)written / (double)raw_written;
    free_script(s);
    bench_remove_tree(e->dir);
    return r;
}

/* The best of each: what disturbs a run only slows it. */
static struct result best_of(const struct result *results, size_t count)
{
    struct result best = results[0];
    for (size_t i = 1; i < count; i++) {
        const struct result *r = &results[i];
        if (r->merge_seconds < best.merge_seconds)
            best.merge_seconds = r->merge_seconds;
        if (r->raw_seconds < best.raw_seconds)
            best.raw_seconds = r->raw_seconds;
        if (r->merge_cpu < best.merge_cpu)
            best.merge_cpu = r->merge_cpu;
        if (r->raw_cpu < best.raw_cpu)
            best.raw_cpu = r->raw_cpu;
        if (r->remerge_seconds < best.remerge_seconds)
            best.remerge_seconds = r->remerge_seconds;
        if (r->remerge_written > best.remerge_written)
            best.remerge_written = r->remerge_written;
    }
    return best;
}

static void report(struct bench *b, const struct result *best)
{
    double count = (double)bench_data_get(b)->count;
    double merge_rate = count / best->merge_seconds;
    double raw_rate = count / best->raw_seconds;
    char note[160];
    snprintf(note, sizeof note, "engine %.0f, raw %.0f versions/s; %.2f times its bytes written",
             merge_rate, raw_rate, best->written_ratio);
    bench_report(b, &(struct bench_metric){ .name = "merge_durable_ratio",
                                            .value = merge_rate / raw_rate,
                                            .unit = "ratio",
                                            .note = note });
    bench_report(b, &(struct bench_metric){ .name = "merge_durable_rate",
                                            .value = merge_rate,
                                            .unit = "versions/s",
                                            .baseline = &raw_rate });
    double raw_cpu = 1e6 * best->raw_cpu / count;
    bench_report(b, &(struct bench_metric){ .name = "merge_cpu",
                                            .value = 1e6 * best->merge_cpu / count,
                                            .unit = "us/version",
                                            .baseline = &raw_cpu,
                                            .note = "processor time, kernel included" });
    /* The worst of all runs. */
    bench_report(b, &(struct bench_metric){ .name = "remerge_bytes_written",
                                            .value = (double)best->remerge_written,
                                            .unit = "B" });
    bench_report(b, &(struct bench_metric){ .name = "remerge_rate",
                                            .value = count / best->remerge_seconds,
                                            .unit = "versions/s" });
    bench_report(b,
                 &(struct bench_metric){ .name = "file_over_rows",
                                         .value = best->file_ratio,
                                         .unit = "ratio",
                                         .note = "file size over the bytes of keys and values" });
}

void bench_engine(struct bench *b)
{
    struct result results[REPEATS_MAX];
    struct engine e = { .writes = bench_alloc(BATCH * sizeof *e.writes) };
    const struct bench_data *data = bench_data_get(b);
    size_t repeats = b->quick ? 1 : REPEATS_MAX;
    size_t *order = bench_data_order(data, true);
    for (size_t i = 0; i < repeats; i++)
        results[i] = measure(b, &e, order);
    struct result best = best_of(results, repeats);
    report(b, &best);
    free(order);
    free(e.writes);
}
