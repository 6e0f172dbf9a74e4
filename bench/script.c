/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the engine, put by raw LMDB; see script.h.
 */
#include "script.h"

#include "base/writer.h"

#include <stdlib.h>

/* Of one table in a batch of sets: about as many as the engine brings on in one step. */
#define SET_ROWS 1024u

const char *const script_tables[SCRIPT_TABLES] = { "meta", "namespace", "conversation", "register",
                                                   "log",  "element",   "sum" };

struct row {
    enum script_table table;
    uint32_t key_len;
    uint32_t value_len;
    const uint8_t *bytes; /* the key, then the value */
};

struct script {
    struct row *rows;
    size_t count;
    size_t *batch_ends; /* index after the last row of each batch */
    size_t batch;       /* versions of one */
    size_t batch_count;
    struct row fixed[2]; /* counters and namespace */
    uint64_t bytes;
    uint8_t *memory;
    size_t memory_len;
};

static struct row copy_row(struct script *s, enum script_table table, MDB_val key, MDB_val value)
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

static void add_row(struct script *s, struct raw *from, enum script_table table, const uint8_t *key,
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
    add_row(s, from, SCRIPT_REGISTER, key, 5);
    const struct row *talk = &s->rows[s->count - 1];
    const uint8_t *value = talk->bytes + talk->key_len;
    if (!fresh)
        return;
    memcpy(key, value, 4); /* the namespace */
    size_t id_len = talk->value_len - 36u;
    memcpy(key + 4, value + 32, id_len);
    add_row(s, from, SCRIPT_NAMES, key, 4 + id_len);
}

/* One log row gives its register row: conversation at 6, kind at 1, id after its length at 42. */
static void add_version_rows(struct script *s, struct raw *from, MDB_val key, MDB_val value)
{
    const uint8_t *record = value.mv_data;
    uint8_t tree_key[5 + PARLEY_ID_BYTES_MAX];
    memcpy(tree_key, record + 6, 4);
    tree_key[4] = record[1];
    memcpy(tree_key + 5, record + 43, record[42]);
    s->rows[s->count++] = copy_row(s, SCRIPT_LOG, key, value);
    add_row(s, from, SCRIPT_REGISTER, tree_key, 5u + record[42]);
}

/* Puts the cursor on the row of ELEMENT that has the version: the last one whose key is at most the
 * number of the first namespace, its time and its digest. */
static MDB_val seek_set_row(MDB_cursor *cursor, const uint8_t *record, MDB_val *value)
{
    uint8_t point[28] = { 0, 0, 0, 1 };
    memcpy(point + 4, record + 10, 8);
    memcpy(point + 12, record + 26, 16);
    MDB_val key = { .mv_size = sizeof point, .mv_data = point };
    int rc = mdb_cursor_get(cursor, &key, value, MDB_SET_RANGE);
    if (rc != MDB_SUCCESS)
        rc = mdb_cursor_get(cursor, &key, value, MDB_LAST);
    else if (key.mv_size != sizeof point || memcmp(key.mv_data, point, sizeof point) != 0)
        rc = mdb_cursor_get(cursor, &key, value, MDB_PREV);
    bench_check(rc == MDB_SUCCESS, "the set of a version");
    return key;
}

/* Both rows, unless the batch, which begins at row `begin`, has them already. */
static void add_set_rows_of(struct script *s, struct raw *from, MDB_cursor *cursor,
                            const uint8_t *record, size_t begin)
{
    MDB_val value;
    MDB_val key = seek_set_row(cursor, record, &value);
    for (size_t i = begin; i < s->count; i++) {
        const struct row *row = &s->rows[i];
        if (row->table == SCRIPT_ELEMENT && row->key_len == key.mv_size &&
            memcmp(row->bytes, key.mv_data, key.mv_size) == 0)
            return;
    }
    s->rows[s->count++] = copy_row(s, SCRIPT_ELEMENT, key, value);
    add_row(s, from, SCRIPT_SUM, key.mv_data, key.mv_size);
}

/* The greatest number of a conversation in the log up to `after`: those above it are new. */
static uint64_t greatest_talk(struct raw *from, parley_seq after)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t greatest = 0;
    bench_check(mdb_cursor_open(from->txn, from->dbi[SCRIPT_LOG], &cursor) == 0, "a cursor");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS &&
           pl_get_be(key.mv_data, 8) <= after) {
        uint64_t talk = pl_get_be((const uint8_t *)value.mv_data + 6, 4);
        greatest = talk > greatest ? talk : greatest;
    }
    mdb_cursor_close(cursor);
    return greatest;
}

static void build_rows(struct script *s, struct raw *from, parley_seq after)
{
    MDB_cursor *cursor, *sets;
    MDB_val key, value;
    uint8_t talk[4] = { 0 };
    uint64_t seen = greatest_talk(from, after);
    size_t versions = 0;
    size_t begin = 0;
    bench_check(mdb_cursor_open(from->txn, from->dbi[SCRIPT_LOG], &cursor) == 0, "a cursor");
    bench_check(mdb_cursor_open(from->txn, from->dbi[SCRIPT_ELEMENT], &sets) == 0, "a cursor");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        const uint8_t *record = value.mv_data;
        if (pl_get_be(key.mv_data, 8) <= after)
            continue;
        bool fresh = pl_get_be(record + 6, 4) > seen;
        bool batch_begins = versions % s->batch == 0;
        begin = batch_begins ? s->count : begin;
        if (fresh)
            seen = pl_get_be(record + 6, 4);
        /* The engine writes a conversation's row once a batch, when it leaves it. */
        if (fresh || batch_begins || memcmp(talk, record + 6, 4) != 0)
            add_talk_rows(s, from, record + 6, fresh);
        memcpy(talk, record + 6, 4);
        add_version_rows(s, from, key, value);
        if (s->batch <= PL_INDEX_EAGER_MAX)
            add_set_rows_of(s, from, sets, record, begin);
        if (++versions % s->batch == 0)
            s->batch_ends[s->batch_count++] = s->count;
    }
    if (versions % s->batch != 0)
        s->batch_ends[s->batch_count++] = s->count;
    mdb_cursor_close(sets);
    mdb_cursor_close(cursor);
}

/* Every version has two rows, and at worst its conversation two more, and so have its sets. */
static struct script *allocate(const char *path, size_t versions, size_t batch)
{
    struct script *s = bench_alloc(sizeof *s);
    *s = (struct script){ .rows = bench_alloc(6 * versions * sizeof *s->rows),
                          .batch_ends = bench_alloc((versions / batch + versions / SET_ROWS + 2) *
                                                    sizeof(size_t)),
                          .batch = batch };
    s->memory = bench_alloc(2 * bench_file_bytes(path) + (1u << 20));
    return s;
}

struct script *script_make(const char *dir, parley_seq after, size_t batch)
{
    static const uint8_t first_space[5] = { 'i', 0, 0, 0, 1 };
    struct raw from;
    char store[BENCH_PATH_BYTES];
    char path[BENCH_PATH_BYTES];
    bench_join(store, dir, "store");
    bench_join(path, store, "data.mdb");
    raw_open(&from, store, script_tables, SCRIPT_TABLES, false);
    raw_begin(&from, false);
    struct script *s = allocate(path, raw_count(&from, SCRIPT_LOG), batch);
    build_rows(s, &from, after);
    s->bytes = s->memory_len;
    MDB_val key = { .mv_size = 8, .mv_data = (void *)(uintptr_t) "counters" };
    s->fixed[0] = copy_row(s, SCRIPT_META, key, raw_get(&from, SCRIPT_META, "counters", 8));
    key = (MDB_val){ .mv_size = 5, .mv_data = (void *)(uintptr_t)first_space };
    s->fixed[1] = copy_row(s, SCRIPT_SPACE, key, raw_get(&from, SCRIPT_SPACE, first_space, 5));
    raw_end(&from);
    raw_close(&from);
    return s;
}

/* The next rows of a table of the sets; false: these were the last. */
static bool add_next_rows(struct script *s, MDB_cursor *cursor, enum script_table table)
{
    MDB_val key, value;
    for (unsigned i = 0; i < SET_ROWS; i++) {
        if (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) != MDB_SUCCESS)
            return false;
        s->rows[s->count++] = copy_row(s, table, key, value);
    }
    return true;
}

void script_add_sets(struct script *s, const char *dir)
{
    struct raw from;
    MDB_cursor *elements, *sums;
    char store[BENCH_PATH_BYTES];
    size_t before = s->memory_len;
    bench_join(store, dir, "store");
    raw_open(&from, store, script_tables, SCRIPT_TABLES, false);
    raw_begin(&from, false);
    bench_check(mdb_cursor_open(from.txn, from.dbi[SCRIPT_ELEMENT], &elements) == 0 &&
                    mdb_cursor_open(from.txn, from.dbi[SCRIPT_SUM], &sums) == 0,
                "cursors");
    for (bool more = true; more;) {
        more = add_next_rows(s, elements, SCRIPT_ELEMENT);
        add_next_rows(s, sums, SCRIPT_SUM); /* as many as of the other */
        s->batch_ends[s->batch_count++] = s->count;
    }
    s->bytes += s->memory_len - before;
    mdb_cursor_close(elements);
    mdb_cursor_close(sums);
    raw_end(&from);
    raw_close(&from);
}

void script_free(struct script *s)
{
    free(s->rows);
    free(s->batch_ends);
    free(s->memory);
    free(s);
}

size_t script_batches(const struct script *s)
{
    return s->batch_count;
}

uint64_t script_bytes(const struct script *s)
{
    return s->bytes;
}

static void put_row(struct raw *raw, const struct row *row)
{
    raw_put(raw, row->table, row->bytes, row->key_len, row->bytes + row->key_len, row->value_len,
            row->table == SCRIPT_LOG ? MDB_APPEND : 0);
}

void script_put(struct script *s, struct raw *raw, size_t batch)
{
    size_t row = batch == 0 ? 0 : s->batch_ends[batch - 1];
    raw_begin(raw, true);
    for (; row < s->batch_ends[batch]; row++)
        put_row(raw, &s->rows[row]);
    put_row(raw, &s->fixed[0]);
    put_row(raw, &s->fixed[1]);
    raw_commit(raw);
}

void script_put_all(struct script *s, const char *dir, double *times)
{
    struct raw raw;
    char store[BENCH_PATH_BYTES];
    bench_join(store, dir, "store");
    raw_open(&raw, store, script_tables, SCRIPT_TABLES, true);
    for (size_t i = 0; i < s->batch_count; i++) {
        double start = bench_now();
        script_put(s, &raw, i);
        times[i] = bench_now() - start;
    }
    raw_close(&raw);
}
