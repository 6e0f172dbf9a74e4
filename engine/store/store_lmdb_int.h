/* SPDX-License-Identifier: Apache-2.0
 *
 * The structs shared by store_lmdb.c (transactions) and store_lmdb_open.c (files). Private.
 */
#ifndef PL_STORE_LMDB_INT_H
#define PL_STORE_LMDB_INT_H

#include "store/store_int.h"
#include "store/store_lmdb.h"

#include <lmdb.h>
#include <pthread.h>

/* LMDB's own default. A slot is 64 bytes of the lock file; the pool keeps as many transactions as
 * were ever open at once. */
#define PL_STORE_LMDB_READERS_MAX 126

struct pl_store_lmdb_cursor {
    MDB_cursor *mdb;
    uint64_t changes; /* of the transaction, at the last seek */
    enum pl_cursor_at at;
};

struct pl_store_lmdb_txn {
    struct pl_txn head;
    MDB_txn *mdb;
    struct pl_store_lmdb_txn *next; /* in the pool */
    uint64_t changes;               /* puts and dels so far */
    uint32_t cursor_count;
    struct pl_store_lmdb_cursor cursors[PL_STORE_CURSORS_MAX];
};

struct pl_store_lmdb {
    struct pl_store head;
    const struct parley_env *env;
    /* Guards everything below down to `write`. Held across beginning a reader and across a change
     * of the map size: LMDB moves the map under open readers without a word. */
    pthread_mutex_t mutex;
    MDB_env *mdb; /* NULL after a failed reopen */
    MDB_dbi dbi[PL_TABLE_COUNT];
    uint64_t map_bytes;
    uint64_t commits;
    uint32_t readers; /* read transactions open now */
    bool write_open;
    bool must_reopen;  /* a commit had an unknown outcome: no writes until reopen */
    bool ledger_named; /* the name of the ledger was synced since this store was opened */
    struct pl_store_lmdb_txn *pool;
    struct pl_store_lmdb_txn write; /* the one write transaction; owned by its thread */
    uint8_t place[PL_STORE_PLACE_BYTES];
    int lock_fd;
    size_t size; /* of this allocation */
    char dir[];
};

extern const struct pl_store_ops pl_store_lmdb_ops;

/* Every code of LMDB and errno that can come out of LMDB, as one of ours. `dir` may be on the full
 * disk that LMDB reports as EIO. */
parley_err pl_store_lmdb_err(const char *dir, int rc);

/* Ends the pooled readers and the environment. */
void pl_store_lmdb_env_close(struct pl_store_lmdb *s);

PL_MUST_USE parley_err pl_store_lmdb_reopen(struct pl_store *store);
PL_MUST_USE parley_err pl_store_lmdb_maintain(struct pl_store *store);
PL_MUST_USE parley_err pl_store_lmdb_ledger_append(struct pl_store *store, struct pl_span line);
PL_MUST_USE parley_err pl_store_lmdb_ledger_replace(struct pl_store *store, struct pl_span lines);
PL_MUST_USE parley_err pl_store_lmdb_ledger_read(struct pl_store *store, uint8_t *out, size_t cap,
                                                 size_t *len);
PL_MUST_USE parley_err pl_store_lmdb_witness_write(struct pl_store *store,
                                                   const uint8_t bytes[PL_STORE_WITNESS_BYTES]);
PL_MUST_USE parley_err pl_store_lmdb_witness_read(struct pl_store *store,
                                                  uint8_t out[PL_STORE_WITNESS_BYTES], bool *found);
void pl_store_lmdb_close(struct pl_store *store);

#endif
