/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store implementations share: bounds of keys and values, the sticky error, and where a
 * cursor stands.
 */
#ifndef PL_STORE_INT_H
#define PL_STORE_INT_H

#include "store/store.h"

#define PL_STORE_VALUE_BYTES_MAX ((size_t)INT32_MAX)

/* LMDB leaves open what a step does after one that found nothing, so the position is kept here
 * and both implementations answer alike. */
enum pl_cursor_at {
    PL_CURSOR_UNSET,  /* no seek yet: next is the first key, prev the last */
    PL_CURSOR_ON,     /* on a key */
    PL_CURSOR_BEFORE, /* ran off the start: next is the first key */
    PL_CURSOR_AFTER,  /* ran off the end: prev is the last key */
};

/* What must be left of a store's size limit. */
static inline uint64_t pl_store_map_reserve(uint64_t reserve, uint64_t limit)
{
    return pl_min_u64(reserve, limit / 16);
}

/* Records the first error of a transaction and returns `err`. */
static inline parley_err pl_store_fail(struct pl_txn *txn, parley_err err)
{
    if (txn->err == PARLEY_OK)
        txn->err = err;
    return err;
}

static inline PL_MUST_USE parley_err pl_store_check_key(struct pl_txn *txn, struct parley_span key)
{
    if (txn->err != PARLEY_OK)
        return txn->err;
    if (key.len == 0)
        return pl_store_fail(txn, PARLEY_EINVAL);
    if (key.len > PL_STORE_KEY_BYTES_MAX)
        return pl_store_fail(txn, PARLEY_ETOOBIG);
    return PARLEY_OK;
}

/* What put, append and del need: a transaction that may write and has not failed. */
static inline PL_MUST_USE parley_err pl_store_check_write(struct pl_txn *txn,
                                                          struct parley_span key, size_t value_len)
{
    PL_ASSERT(txn->writable);
    PL_TRY(pl_store_check_key(txn, key));
    if (value_len > PL_STORE_VALUE_BYTES_MAX)
        return pl_store_fail(txn, PARLEY_ETOOBIG);
    return PARLEY_OK;
}

#endif
