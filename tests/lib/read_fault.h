/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of a store in memory that fail, at the store's contract: a row, a cursor and each of its
 * steps; or what is put and deleted instead. For one test program: it holds functions and what they
 * count.
 */
#ifndef READ_FAULT_H
#define READ_FAULT_H

#include "lib/env_mem.h"

/* So many reads go well before each one fails with EIO, or only one; -1: none fails. */
static int64_t read_fault_after = -1;
static bool read_fault_once;
/* Not reads but puts, appends and deletes count and fail. */
static bool read_fault_of_puts;
/* Whether the last one that failed was of a transaction that writes. */
static bool read_fault_in_write;
static struct pl_store_ops read_fault_sound;

static bool read_fault_counts(struct pl_txn *txn)
{
    if (read_fault_after < 0)
        return false;
    if (read_fault_after > 0) {
        read_fault_after--;
        return false;
    }
    read_fault_in_write = txn->writable;
    if (read_fault_once)
        read_fault_after = -1;
    /* As in every store an error sticks to a transaction that writes. */
    if (txn->writable && txn->err == PARLEY_OK)
        txn->err = PARLEY_EIO;
    return true;
}

static bool read_fault_hits(struct pl_txn *txn)
{
    return !read_fault_of_puts && read_fault_counts(txn);
}

static parley_err read_fault_put(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                                 struct parley_span value)
{
    bool fails = read_fault_of_puts && read_fault_counts(txn);
    return fails ? PARLEY_EIO : read_fault_sound.put(txn, t, key, value);
}

static parley_err read_fault_append(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                                    struct parley_span value)
{
    bool fails = read_fault_of_puts && read_fault_counts(txn);
    return fails ? PARLEY_EIO : read_fault_sound.append(txn, t, key, value);
}

static parley_err read_fault_del(struct pl_txn *txn, enum pl_table t, struct parley_span key)
{
    bool fails = read_fault_of_puts && read_fault_counts(txn);
    return fails ? PARLEY_EIO : read_fault_sound.del(txn, t, key);
}

static parley_err read_fault_get(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                                 struct parley_span *value, bool *found)
{
    return read_fault_hits(txn) ? PARLEY_EIO : read_fault_sound.get(txn, t, key, value, found);
}

static parley_err read_fault_cursor(struct pl_txn *txn, enum pl_table t, struct pl_cursor *c)
{
    return read_fault_hits(txn) ? PARLEY_EIO : read_fault_sound.cursor(txn, t, c);
}

static parley_err read_fault_seek(struct pl_cursor *c, struct parley_span key,
                                  struct parley_span *out_key, struct parley_span *value,
                                  bool *found)
{
    return read_fault_hits(c->txn) ? PARLEY_EIO
                                   : read_fault_sound.seek(c, key, out_key, value, found);
}

static parley_err read_fault_last(struct pl_cursor *c, struct parley_span *out_key,
                                  struct parley_span *value, bool *found)
{
    return read_fault_hits(c->txn) ? PARLEY_EIO
                                   : read_fault_sound.seek_last(c, out_key, value, found);
}

static parley_err read_fault_next(struct pl_cursor *c, struct parley_span *out_key,
                                  struct parley_span *value, bool *found)
{
    return read_fault_hits(c->txn) ? PARLEY_EIO : read_fault_sound.next(c, out_key, value, found);
}

static parley_err read_fault_prev(struct pl_cursor *c, struct parley_span *out_key,
                                  struct parley_span *value, bool *found)
{
    return read_fault_hits(c->txn) ? PARLEY_EIO : read_fault_sound.prev(c, out_key, value, found);
}

/* From now on the reads of this store count. All stores of `m` are of one kind. */
static inline void read_fault_plant(struct env_mem *m, const char *name)
{
    struct parley_store *store = env_mem_store(m, name);
    for (size_t i = 0; i < ENV_MEM_STORES_MAX; i++) {
        struct env_mem_slot *slot = &m->slots[i];
        if (slot->store != store)
            continue;
        read_fault_sound = *slot->ops;
        slot->kept.get = read_fault_get;
        slot->kept.put = read_fault_put;
        slot->kept.append = read_fault_append;
        slot->kept.del = read_fault_del;
        slot->kept.cursor = read_fault_cursor;
        slot->kept.seek = read_fault_seek;
        slot->kept.seek_last = read_fault_last;
        slot->kept.next = read_fault_next;
        slot->kept.prev = read_fault_prev;
    }
    read_fault_after = -1;
}

#endif
