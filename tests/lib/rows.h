/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a store as they lie there, for tests that count or damage them. For one test program: it
 * holds functions.
 */
#ifndef ROWS_H
#define ROWS_H

#include "lib/testlib.h"

#include "db/db_int.h"

static inline uint32_t count_rows(struct parley_store *s, enum pl_table table)
{
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key, value;
    bool found = true;
    uint32_t count = 0;
    assert_ok(pl_store_read_begin(s, &txn));
    assert_ok(pl_txn_cursor(txn, table, &c));
    for (;;) {
        assert_ok(pl_cursor_next(&c, &key, &value, &found));
        if (!found)
            break;
        count++;
    }
    pl_store_read_end(txn);
    return count;
}

struct row {
    uint8_t key[PL_STORE_KEY_BYTES_MAX];
    size_t key_len;
    uint8_t value[PL_BLOCK_BYTES_MAX + 512];
    size_t value_len;
};

/* The `index`-th row of a table, copied out. */
static inline bool take_row(struct parley_db *db, enum pl_table t, size_t index, struct row *out)
{
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key, value;
    bool found;
    assert_ok(pl_store_read_begin(db->store, &txn));
    assert_ok(pl_txn_cursor(txn, t, &c));
    assert_ok(pl_cursor_seek(&c, pl_span_of("", 1), &key, &value, &found));
    for (size_t i = 0; i < index && found; i++)
        assert_ok(pl_cursor_next(&c, &key, &value, &found));
    if (found) {
        assert_true(value.len <= sizeof out->value);
        memcpy(out->key, key.ptr, key.len);
        memcpy(out->value, value.ptr, value.len);
        out->key_len = key.len;
        out->value_len = value.len;
    }
    pl_store_read_end(txn);
    return found;
}

static inline void put_row(struct parley_db *db, enum pl_table t, const struct row *row)
{
    struct pl_txn *txn;
    assert_ok(pl_store_write_begin(db->store, &txn));
    assert_ok(pl_txn_put(txn, t, pl_span_of(row->key, row->key_len),
                         pl_span_of(row->value, row->value_len)));
    assert_ok(pl_txn_commit(txn));
}

#endif
