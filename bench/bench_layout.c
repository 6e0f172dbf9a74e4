/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `layout`: where the bodies of versions should live, measured on raw LMDB.
 *
 *   A  in the tree: (conversation, kind, id) -> whole version; log: seq -> that key
 *   B  in the log:  seq -> whole version;  tree: (conversation, kind, id) -> seq, stamp
 *
 * Both also intern conversation names, so that the order of conversations matters where it does in
 * the engine. Neither hashes nor checks anything. Each figure is the best of the repetitions, since
 * what disturbs a run only slows it; the layouts take turns. The conclusion:
 * docs/decisions/0001-bodies-in-the-log.md.
 */
#include "raw.h"

#include "base/writer.h"

#include <stdio.h>
#include <stdlib.h>

#define REPEATS_MAX 3
#define READ_ROWS   20u
#define READ_TALKS  1000u
#define BIG_BATCH   8000u
#define HEAD_BYTES  43u /* of a version record in the engine */
#define STAMP_BYTES 25u /* of a register row in the engine */
#define CHECK_BYTES 8u
#define VALUE_BYTES (1u << 20)

enum table { NAMES, TREE, LOG, TABLES };

enum figure {
    LOAD_ORDERED_1000,
    LOAD_ORDERED_8000,
    LOAD_SHUFFLED_1000,
    LOAD_SHUFFLED_8000,
    LOAD_WRITTEN,
    LOAD_FILE,
    READ_LOADED,
    FEED_LOADED,
    ADD_1,
    ADD_100,
    ADD_1000,
    ADD_WRITTEN,
    EDIT_1000,
    EDIT_WRITTEN,
    READ_AGED,
    FILE_AGED,
    MIXED_1000,
    READ_MIXED,
    FIGURES
};

static const char *const figure_names[FIGURES][2] = {
    [LOAD_ORDERED_1000] = { "load_ordered_batch_1000", "versions/s" },
    [LOAD_ORDERED_8000] = { "load_ordered_batch_8000", "versions/s" },
    [LOAD_SHUFFLED_1000] = { "load_shuffled_batch_1000", "versions/s" },
    [LOAD_SHUFFLED_8000] = { "load_shuffled_batch_8000", "versions/s" },
    [LOAD_WRITTEN] = { "load_shuffled_1000_written", "B/version" },
    [LOAD_FILE] = { "load_file_size", "B/version" },
    [READ_LOADED] = { "read_20_rows_loaded", "us" },
    [FEED_LOADED] = { "feed_scan_loaded", "versions/s" },
    [ADD_1] = { "add_scattered_batch_1", "versions/s" },
    [ADD_100] = { "add_scattered_batch_100", "versions/s" },
    [ADD_1000] = { "add_scattered_batch_1000", "versions/s" },
    [ADD_WRITTEN] = { "add_scattered_1000_written", "B/version" },
    [EDIT_1000] = { "edit_scattered_batch_1000", "versions/s" },
    [EDIT_WRITTEN] = { "edit_scattered_1000_written", "B/version" },
    [READ_AGED] = { "read_20_rows_aged", "us" },
    [FILE_AGED] = { "aged_file_size", "B/version" },
    [MIXED_1000] = { "load_interleaved_batch_1000", "versions/s" },
    [READ_MIXED] = { "read_20_rows_interleaved", "us" },
};

struct layout {
    bool in_log; /* B */
    struct raw raw;
    const struct bench_data *data;
    uint32_t *numbers; /* of each conversation of the data; 0: not seen */
    uint32_t talks;
    uint64_t seq;
    size_t rows; /* in the tree */
    uint8_t *value;
    struct pl_rng rng;
    double *figures;
};

/* ---- One version ---- */

static size_t make_key(uint8_t *key, uint32_t talk, uint8_t kind, struct parley_span id)
{
    pl_put_be(key, talk, 4);
    key[4] = kind;
    memcpy(key + 5, id.ptr, id.len);
    return 5 + id.len;
}

static void put_tree_layout(struct layout *l, const uint8_t *key, size_t key_len,
                            struct parley_span body)
{
    uint8_t seq[8];
    pl_put_be(seq, l->seq, 8);
    memset(l->value, 1, HEAD_BYTES);
    memcpy(l->value, seq, 8);
    memcpy(l->value + HEAD_BYTES, body.ptr, body.len);
    memset(l->value + HEAD_BYTES + body.len, 2, CHECK_BYTES);
    raw_put(&l->raw, TREE, key, key_len, l->value, HEAD_BYTES + body.len + CHECK_BYTES, 0);
    raw_put(&l->raw, LOG, seq, 8, key, key_len, MDB_APPEND);
}

static void put_log_layout(struct layout *l, const uint8_t *key, size_t key_len,
                           struct parley_span body)
{
    uint8_t seq[8];
    uint8_t row[STAMP_BYTES] = { 0 };
    size_t id_len = key_len - 5;
    pl_put_be(seq, l->seq, 8);
    memcpy(row, seq, 8);
    memset(l->value, 1, HEAD_BYTES);
    memcpy(l->value + HEAD_BYTES, key + 5, id_len);
    memcpy(l->value + HEAD_BYTES + id_len, body.ptr, body.len);
    memset(l->value + HEAD_BYTES + id_len + body.len, 2, CHECK_BYTES);
    raw_put(&l->raw, LOG, seq, 8, l->value, HEAD_BYTES + id_len + body.len + CHECK_BYTES,
            MDB_APPEND);
    raw_put(&l->raw, TREE, key, key_len, row, sizeof row, 0);
}

static void put_version(struct layout *l, uint32_t talk, uint8_t kind, struct parley_span id,
                        struct parley_span body)
{
    uint8_t key[5 + PARLEY_ID_BYTES_MAX];
    size_t key_len = make_key(key, talk, kind, id);
    bench_check(HEAD_BYTES + id.len + body.len + CHECK_BYTES <= VALUE_BYTES, "a body that fits");
    l->seq++;
    if (l->in_log)
        put_log_layout(l, key, key_len, body);
    else
        put_tree_layout(l, key, key_len, body);
}

static uint32_t intern(struct layout *l, size_t talk, struct parley_span id)
{
    if (l->numbers[talk] == 0) {
        uint8_t key[4 + PARLEY_ID_BYTES_MAX];
        uint8_t number[4];
        l->numbers[talk] = ++l->talks;
        pl_put_be(key, 1, 4);
        memcpy(key + 4, id.ptr, id.len);
        pl_put_be(number, l->talks, 4);
        raw_put(&l->raw, NAMES, key, 4 + id.len, number, sizeof number, 0);
    }
    return l->numbers[talk];
}

/* ---- Loading ---- */

static void open_layout(const struct bench *b, struct layout *l)
{
    static const char *const names[TABLES] = { "names", "tree", "log" };
    raw_create(b, &l->raw, names, TABLES);
    memset(l->numbers, 0, l->data->talk_count * sizeof *l->numbers);
    l->talks = 0;
    l->seq = 0;
    l->rows = 0;
    pl_rng_init(&l->rng, 11);
}

/* Begins a new durable batch after each `batch` versions. */
static void step_batch(struct layout *l, size_t done, size_t batch)
{
    if (done % batch != 0)
        return;
    raw_commit(&l->raw);
    raw_begin(&l->raw, true);
}

static double load(struct layout *l, const size_t *order, size_t batch)
{
    double start = bench_now();
    size_t done = 0;
    raw_begin(&l->raw, true);
    for (size_t i = 0; i < l->data->talk_count; i++) {
        const struct bench_talk *talk = &l->data->talks[order[i]];
        for (size_t k = 0; k < talk->count; k++) {
            const struct parley_version *v = &l->data->versions[talk->first + k];
            uint32_t number = intern(l, order[i], v->conversation);
            put_version(l, number, (uint8_t)v->kind, v->id, v->body);
            step_batch(l, ++done, batch);
        }
    }
    raw_commit(&l->raw);
    l->rows += done;
    return (double)done / (bench_now() - start);
}

/* Every version alone in a random place of the stream: as if all conversations grew at once. */
static double load_mixed(struct layout *l, const size_t *owner)
{
    size_t count = l->data->count;
    size_t *order = bench_alloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)pl_rng_below(&l->rng, i);
        size_t swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
    double start = bench_now();
    raw_begin(&l->raw, true);
    for (size_t i = 0; i < count; i++) {
        const struct parley_version *v = &l->data->versions[order[i]];
        uint32_t number = intern(l, owner[order[i]], v->conversation);
        put_version(l, number, (uint8_t)v->kind, v->id, v->body);
        step_batch(l, i + 1, 1000);
    }
    raw_commit(&l->raw);
    l->rows += count;
    free(order);
    return (double)count / (bench_now() - start);
}

/* ---- Daily life ---- */

static size_t pick(struct layout *l)
{
    return (size_t)pl_rng_below(&l->rng, l->data->count);
}

/* New messages for random conversations. */
static double add_scattered(struct layout *l, const size_t *owner, size_t count, size_t batch)
{
    double start = bench_now();
    raw_begin(&l->raw, true);
    for (size_t i = 0; i < count; i++) {
        char id[32];
        size_t place = pick(l);
        int len = snprintf(id, sizeof id, "zz-scattered-%09zu", l->rows + i);
        put_version(l, l->numbers[owner[place]], PARLEY_KIND_MESSAGE, pl_span_of(id, (size_t)len),
                    l->data->versions[place].body);
        step_batch(l, i + 1, batch);
    }
    raw_commit(&l->raw);
    l->rows += count;
    return (double)count / (bench_now() - start);
}

/* New bodies for random versions: the log entry of the old one goes, as the engine's does. */
static double edit_scattered(struct layout *l, const size_t *owner, size_t count, size_t batch)
{
    double start = bench_now();
    raw_begin(&l->raw, true);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[5 + PARLEY_ID_BYTES_MAX];
        uint8_t old[8];
        size_t place = pick(l);
        const struct parley_version *v = &l->data->versions[place];
        uint32_t talk = l->numbers[owner[place]];
        size_t key_len = make_key(key, talk, (uint8_t)v->kind, v->id);
        memcpy(old, raw_get(&l->raw, TREE, key, key_len).mv_data, 8);
        raw_del(&l->raw, LOG, old, 8);
        put_version(l, talk, (uint8_t)v->kind, v->id, l->data->versions[pick(l)].body);
        step_batch(l, i + 1, batch);
    }
    raw_commit(&l->raw);
    return (double)count / (bench_now() - start);
}

/* ---- Reading ---- */

static uint64_t touch(MDB_val v)
{
    const uint8_t *bytes = v.mv_data;
    return v.mv_size + bytes[0] + bytes[v.mv_size - 1];
}

static uint64_t read_rows(struct layout *l, MDB_cursor *cursor, uint32_t talk)
{
    uint8_t from[4];
    uint64_t sum = 0;
    pl_put_be(from, talk, 4);
    MDB_val key = { .mv_size = 4, .mv_data = from };
    MDB_val value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (size_t i = 0; rc == MDB_SUCCESS && i < READ_ROWS; i++) {
        if (l->in_log)
            value = raw_get(&l->raw, LOG, value.mv_data, 8);
        sum += touch(value);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return sum;
}

/* Microseconds to read 20 rows of a conversation that has them, all pages in memory. */
static double read_talks(struct layout *l)
{
    MDB_cursor *cursor;
    double best = 0;
    uint64_t sum = 0;
    raw_begin(&l->raw, false);
    bench_check(mdb_cursor_open(l->raw.txn, l->raw.dbi[TREE], &cursor) == 0, "a cursor");
    for (size_t round = 0; round < 3; round++) {
        struct pl_rng rng;
        size_t done = 0;
        pl_rng_init(&rng, 3);
        double start = bench_now();
        while (done < READ_TALKS) {
            size_t talk = (size_t)pl_rng_below(&rng, l->data->talk_count);
            if (l->data->talks[talk].count < READ_ROWS)
                continue;
            sum += read_rows(l, cursor, l->numbers[talk]);
            done++;
        }
        double us = (bench_now() - start) * 1e6 / (double)done;
        if (round == 1 || (round == 2 && us < best))
            best = us;
    }
    mdb_cursor_close(cursor);
    raw_end(&l->raw);
    bench_check(sum != 0, "reading");
    return best;
}

/* What a peer that copies everything needs: all versions in log order. */
static double scan_feed(struct layout *l)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t sum = 0;
    size_t rows = 0;
    raw_begin(&l->raw, false);
    bench_check(mdb_cursor_open(l->raw.txn, l->raw.dbi[LOG], &cursor) == 0, "a cursor");
    double start = bench_now();
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        if (!l->in_log)
            value = raw_get(&l->raw, TREE, value.mv_data, value.mv_size);
        sum += touch(value);
        rows++;
    }
    double seconds = bench_now() - start;
    mdb_cursor_close(cursor);
    raw_end(&l->raw);
    bench_check(sum != 0 && rows == l->rows, "reading the whole log");
    return (double)rows / seconds;
}

/* ---- The plan ---- */

static double file_per_row(const struct layout *l)
{
    return (double)raw_file_bytes(&l->raw) / (double)l->rows;
}

static void measure_life(struct layout *l, const size_t *owner, bool quick)
{
    double *f = l->figures;
    size_t scale = quick ? 10 : 1;
    f[READ_LOADED] = read_talks(l);
    f[FEED_LOADED] = scan_feed(l);
    f[ADD_1] = add_scattered(l, owner, 1000 / scale, 1);
    f[ADD_100] = add_scattered(l, owner, 20000 / scale, 100);
    size_t count = 50000 / scale;
    uint64_t before = bench_written();
    f[ADD_1000] = add_scattered(l, owner, count, 1000);
    f[ADD_WRITTEN] = (double)(bench_written() - before) / (double)count;
    before = bench_written();
    f[EDIT_1000] = edit_scattered(l, owner, count, 1000);
    f[EDIT_WRITTEN] = (double)(bench_written() - before) / (double)count;
    f[READ_AGED] = read_talks(l);
    f[FILE_AGED] = file_per_row(l);
}

static void measure(struct bench *b, struct layout *l, const size_t *owner)
{
    size_t *ordered = bench_data_order(l->data, false);
    size_t *shuffled = bench_data_order(l->data, true);
    double *f = l->figures;
    open_layout(b, l);
    f[LOAD_ORDERED_1000] = load(l, ordered, 1000);
    raw_destroy(&l->raw);
    open_layout(b, l);
    f[LOAD_ORDERED_8000] = load(l, ordered, BIG_BATCH);
    raw_destroy(&l->raw);
    open_layout(b, l);
    f[LOAD_SHUFFLED_8000] = load(l, shuffled, BIG_BATCH);
    raw_destroy(&l->raw);
    open_layout(b, l);
    f[MIXED_1000] = load_mixed(l, owner);
    f[READ_MIXED] = read_talks(l);
    raw_destroy(&l->raw);
    open_layout(b, l);
    uint64_t before = bench_written();
    f[LOAD_SHUFFLED_1000] = load(l, shuffled, 1000);
    f[LOAD_WRITTEN] = (double)(bench_written() - before) / (double)l->rows;
    f[LOAD_FILE] = file_per_row(l);
    measure_life(l, owner, b->quick);
    raw_destroy(&l->raw);
    free(ordered);
    free(shuffled);
}

static size_t *owners_of(const struct bench_data *data)
{
    size_t *owner = bench_alloc(data->count * sizeof *owner);
    for (size_t i = 0; i < data->talk_count; i++)
        for (size_t k = 0; k < data->talks[i].count; k++)
            owner[data->talks[i].first + k] = i;
    return owner;
}

/* Rates are better when greater, times and sizes when smaller. */
static double better(size_t figure, double a, double b)
{
    bool rate = strcmp(figure_names[figure][1], "versions/s") == 0;
    return (a > b) == rate ? a : b;
}

void bench_layout(struct bench *b)
{
    double figures[2][REPEATS_MAX][FIGURES] = { 0 };
    size_t repeats = b->quick ? 1 : REPEATS_MAX;
    struct layout l = { .data = bench_data_get(b), .value = bench_alloc(VALUE_BYTES) };
    size_t *owner = owners_of(l.data);
    l.numbers = bench_alloc(l.data->talk_count * sizeof *l.numbers);
    for (size_t r = 0; r < repeats; r++) {
        for (size_t kind = 0; kind < 2; kind++) {
            l.in_log = kind == 1;
            l.figures = figures[kind][r];
            measure(b, &l, owner);
        }
    }
    for (size_t i = 0; i < FIGURES; i++) {
        double best[2];
        for (size_t kind = 0; kind < 2; kind++) {
            best[kind] = figures[kind][0][i];
            for (size_t r = 1; r < repeats; r++)
                best[kind] = better(i, best[kind], figures[kind][r][i]);
        }
        bench_report(b, &(struct bench_metric){ .name = figure_names[i][0],
                                                .value = best[1],
                                                .unit = figure_names[i][1],
                                                .baseline = &best[0],
                                                .note = i == 0 ? "value: B, bodies in the log; "
                                                                 "baseline: A, in the tree"
                                                               : NULL });
    }
    free(l.numbers);
    free(l.value);
    free(owner);
}
