/* SPDX-License-Identifier: Apache-2.0
 *
 * The store contract: a few named ordered maps of bytes to bytes, snapshot reads, one atomic
 * durable writer. Two implementations, store_lmdb.c and store_mem.c, pass one suite
 * (tests/contract/test_store.c); the simulator wraps the second in faults.
 *
 * Lifetime: open (store_lmdb.h, store_mem.h) -> begin/end of transactions -> close, when none is
 * left. Reads may run on any thread, each transaction on one thread at a time; at most one write
 * transaction exists at any moment (a second is EBUSY), begun and ended on the same thread.
 *
 * Promises
 *   S1  A read transaction sees the state of the last commit before it began, until it ends.
 *   S2  commit is atomic and, once it returned PARLEY_OK, durable: any later crash keeps it.
 *   S3  A failed put, del or commit changes nothing that a reader can see, except that after a
 *       commit failed with EIO the outcome is unknown until the store is closed and reopened
 *       (`reopen`): all of it, or nothing. Until then write_begin returns EIO.
 *   S4  Keys are 1 to 511 bytes, ordered bytewise, shorter first. Values are 0 to 2^31-1 bytes.
 *       An empty key is EINVAL, except to seek, where it means the first; a longer one ETOOBIG.
 *   S5  The first error of a transaction sticks: later calls return it and commit refuses.
 */
#ifndef PL_STORE_H
#define PL_STORE_H

#include "base/span.h"
#include <parley/env.h>

/* The tables. Numbers and names are part of the disk format; docs/STORAGE.md describes the keys. */
enum pl_table {
    PL_TABLE_META = 0,         /* fixed text -> format version, incarnation, counters */
    PL_TABLE_SYS = 1,          /* text path -> records of the node: peers, invites, identity */
    PL_TABLE_NAMESPACE = 2,    /* namespace number -> name, root, counts */
    PL_TABLE_ORIGIN = 3,       /* origin number -> name */
    PL_TABLE_CONVERSATION = 4, /* (namespace number, conversation id) -> conversation number */
    PL_TABLE_REGISTER = 5,     /* (conversation number, kind, register id) -> small row */
    PL_TABLE_LOG = 6,          /* sequence -> the version itself; appended */
    PL_TABLE_HISTORY = 7,      /* (conversation, kind, id, stamp) -> overwritten version */
    PL_TABLE_HOLD = 8,         /* (time, ...) -> versions from the future */
    PL_TABLE_ELEMENT = 9,      /* (namespace number, time, digest) -> block of elements */
    PL_TABLE_SUM = 10,         /* the same key -> count and sum of that block */
    PL_TABLE_TRASH = 11,       /* (conversation, kind, id, stamp) -> version a rebase took out */
    PL_TABLE_COUNT = 12
};

#define PL_STORE_KEY_BYTES_MAX PARLEY_STORE_KEY_BYTES_MAX
#define PL_STORE_PLACE_BYTES   16
#define PL_STORE_WITNESS_BYTES 32
/* Cursors of one transaction; each is for as many seeks as one likes. Beyond: EFULL. */
#define PL_STORE_CURSORS_MAX 16
/* Milliseconds that growing or reopening holds up readers that begin, at most. A read is over in
 * microseconds, a long list in some milliseconds; a thread that begins a second read inside of its
 * first one waits in vain. */
#define PL_STORE_GATE_MS_MAX      50
#define PL_STORE_LEDGER_BYTES_MAX PARLEY_LEDGER_BYTES_MAX

/* A transaction of either kind. Opaque; small; from the implementation's own pool. */
struct pl_txn;
/* A position in one table within one transaction. The caller's memory; nothing to release:
 * implementations keep what they need with the transaction and free it at its end. */
struct pl_cursor {
    struct pl_txn *txn;
    enum pl_table table;
    void *impl; /* set by pl_store_cursor */
};

struct pl_store_stats {
    uint64_t file_bytes;   /* bytes the store occupies now */
    uint64_t limit_bytes;  /* where EMAPFULL begins */
    uint64_t commits;      /* since open */
    uint32_t readers;      /* open read transactions */
    uint32_t reader_slots; /* places of readers in use or used before, of all processes */
};

struct pl_store_ops {
    parley_err (*read_begin)(struct parley_store *s, struct pl_txn **out);
    void (*read_end)(struct pl_txn *txn);
    parley_err (*write_begin)(struct parley_store *s, struct pl_txn **out);
    parley_err (*commit)(struct pl_txn *txn); /* ends the transaction whatever it returns */
    void (*abort)(struct pl_txn *txn);

    /* The value is lent until the transaction ends or, in a write transaction, the next put or
     * del; so it must not be an argument of that put. Absence: PARLEY_OK with *found false. */
    parley_err (*get)(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                      struct parley_span *value, bool *found);
    parley_err (*put)(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                      struct parley_span value);
    /* Like put, but the key must be greater than every key of the table; else EINVAL. Fast. */
    parley_err (*append)(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                         struct parley_span value);
    /* Deleting what is not there is PARLEY_OK. */
    parley_err (*del)(struct pl_txn *txn, enum pl_table t, struct parley_span key);

    /* Cursors. seek goes to the first key >= `key`; seek_last to the greatest key; next and prev
     * move. *found is false past either end, and a step back from there finds the last or first
     * key; before any seek, next finds the first and prev the last. key and value are lent like
     * get's. After a put or del of its transaction a cursor needs a new seek: next and prev
     * return ESTATE. */
    parley_err (*cursor)(struct pl_txn *txn, enum pl_table t, struct pl_cursor *c);
    parley_err (*seek)(struct pl_cursor *c, struct parley_span key, struct parley_span *out_key,
                       struct parley_span *value, bool *found);
    parley_err (*seek_last)(struct pl_cursor *c, struct parley_span *out_key,
                            struct parley_span *value, bool *found);
    parley_err (*next)(struct pl_cursor *c, struct parley_span *out_key, struct parley_span *value,
                       bool *found);
    parley_err (*prev)(struct pl_cursor *c, struct parley_span *out_key, struct parley_span *value,
                       bool *found);

    parley_err (*stats)(struct parley_store *s, struct pl_store_stats *out);
    /* Whether `reserve` bytes are left, see parley_db_set_reserve: ENOSPC when the disk has less,
     * EMAPFULL when it is less to the size limit, or less than a sixteenth of that. Called by the
     * writer outside of transactions. 0: always. */
    parley_err (*room)(struct parley_store *s, uint64_t reserve);
    /* Where the store lives (file system and inode, or an instance number): differs in a copy. */
    void (*place)(struct parley_store *s, uint8_t out[PL_STORE_PLACE_BYTES]);
    /* Closes and opens the backing file again after an error with unknown outcome. EBUSY when a
     * transaction stays open; readers that begin wait as for maintain. After a failure nothing but
     * reopen and close works. */
    parley_err (*reopen)(struct parley_store *s);
    /* Grows the size limit when less than a quarter is left and the disk has room; called by the
     * writer between transactions. That needs a moment without readers: those that would begin wait
     * for those that are open to end, at most PL_STORE_GATE_MS_MAX. EBUSY, if one stays open for
     * longer: harmless, the next call tries again. ENOSPC: it should have grown, but the disk is
     * nearly full. */
    parley_err (*maintain)(struct parley_store *s);
    /* Writes the contents into a new file without the room that is free, and puts that in the place
     * of the old one; a crash leaves either. The new one lives elsewhere: its place is written into
     * the row of META with this key, which must be there. Nothing else may have the store open.
     * Errors: EBUSY (a transaction is open), ENOSPC (both files need room), EIO, ENOMEM; after EIO
     * reopen says what is left. */
    parley_err (*compact)(struct parley_store *s, struct parley_span place_key);
    /* The ledger: lines that are added one by one, beside the store, in the same place. Who puts an
     * older copy of the store there leaves the ledger alone, so that it remembers what the copy has
     * forgotten. Durable when append returns OK; a torn end after a crash is cut off, to the last
     * newline. Appends come from the writer's thread, outside of transactions.
     * Errors: EFULL (above PL_STORE_LEDGER_BYTES_MAX), ENOSPC, EIO, ENOMEM. */
    parley_err (*ledger_append)(struct parley_store *s, struct parley_span line);
    /* The first `cap` bytes, which is all of it with PL_STORE_LEDGER_BYTES_MAX. */
    parley_err (*ledger_read)(struct parley_store *s, uint8_t *out, size_t cap, size_t *len);
    /* Whole lines in the place of all that is there, for its owner, who knows which ones say
     * nothing any more. A crash leaves the old or the new ones. Errors as of ledger_append. */
    parley_err (*ledger_replace)(struct parley_store *s, struct parley_span lines);
    /* The witness: a few bytes beside the store that say what it held last, so that an older copy
     * put in its place shows. Not synced: after a power loss there may be an older one, or one that
     * is torn. Errors: EIO, ENOSPC. */
    parley_err (*witness_write)(struct parley_store *s,
                                const uint8_t bytes[PL_STORE_WITNESS_BYTES]);
    parley_err (*witness_read)(struct parley_store *s, uint8_t out[PL_STORE_WITNESS_BYTES],
                               bool *found);
    void (*close)(struct parley_store *s);
};

/* The head of every implementation's struct. */
struct parley_store {
    const struct pl_store_ops *ops;
};

/* The head of every implementation's transaction. */
struct pl_txn {
    struct parley_store *store;
    bool writable;
    parley_err err;
};

/* Thin inline calls, so that users read well. */
static inline PL_MUST_USE parley_err pl_store_read_begin(struct parley_store *s,
                                                         struct pl_txn **out)
{
    return s->ops->read_begin(s, out);
}

static inline void pl_store_read_end(struct pl_txn *txn)
{
    txn->store->ops->read_end(txn);
}

static inline PL_MUST_USE parley_err pl_store_write_begin(struct parley_store *s,
                                                          struct pl_txn **out)
{
    return s->ops->write_begin(s, out);
}

static inline PL_MUST_USE parley_err pl_txn_commit(struct pl_txn *txn)
{
    return txn->store->ops->commit(txn);
}

static inline void pl_txn_abort(struct pl_txn *txn)
{
    txn->store->ops->abort(txn);
}

static inline PL_MUST_USE parley_err pl_txn_get(struct pl_txn *txn, enum pl_table t,
                                                struct parley_span key, struct parley_span *value,
                                                bool *found)
{
    return txn->store->ops->get(txn, t, key, value, found);
}

static inline PL_MUST_USE parley_err pl_txn_put(struct pl_txn *txn, enum pl_table t,
                                                struct parley_span key, struct parley_span value)
{
    return txn->store->ops->put(txn, t, key, value);
}

static inline PL_MUST_USE parley_err pl_txn_append(struct pl_txn *txn, enum pl_table t,
                                                   struct parley_span key, struct parley_span value)
{
    return txn->store->ops->append(txn, t, key, value);
}

static inline PL_MUST_USE parley_err pl_txn_del(struct pl_txn *txn, enum pl_table t,
                                                struct parley_span key)
{
    return txn->store->ops->del(txn, t, key);
}

static inline PL_MUST_USE parley_err pl_txn_cursor(struct pl_txn *txn, enum pl_table t,
                                                   struct pl_cursor *c)
{
    return txn->store->ops->cursor(txn, t, c);
}

static inline PL_MUST_USE parley_err pl_cursor_seek(struct pl_cursor *c, struct parley_span key,
                                                    struct parley_span *out_key,
                                                    struct parley_span *value, bool *found)
{
    return c->txn->store->ops->seek(c, key, out_key, value, found);
}

static inline PL_MUST_USE parley_err pl_cursor_seek_last(struct pl_cursor *c,
                                                         struct parley_span *out_key,
                                                         struct parley_span *value, bool *found)
{
    return c->txn->store->ops->seek_last(c, out_key, value, found);
}

static inline PL_MUST_USE parley_err pl_cursor_next(struct pl_cursor *c,
                                                    struct parley_span *out_key,
                                                    struct parley_span *value, bool *found)
{
    return c->txn->store->ops->next(c, out_key, value, found);
}

static inline PL_MUST_USE parley_err pl_cursor_prev(struct pl_cursor *c,
                                                    struct parley_span *out_key,
                                                    struct parley_span *value, bool *found)
{
    return c->txn->store->ops->prev(c, out_key, value, found);
}

#endif
