/* SPDX-License-Identifier: Apache-2.0
 *
 * The structs shared by store_lmdb.c (transactions), store_lmdb_open.c (files) and
 * store_lmdb_compact.c, and store_lmdb_size.c (room and growth). Private.
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

/* The address space reserved at open. It costs neither memory nor disk, and what is reserved now
 * need not be grown later, which has to wait for a moment without readers. Halved down to the
 * minimum where the process may not map that much. */
#if SIZE_MAX > UINT32_MAX
#define PL_STORE_LMDB_MAP_BYTES     (UINT64_C(64) << 30)
#define PL_STORE_LMDB_MAP_BYTES_MIN (UINT64_C(1) << 30)
#define PL_STORE_LMDB_MAP_BYTES_MAX (UINT64_C(16) << 40)
#else
#define PL_STORE_LMDB_MAP_BYTES     (UINT64_C(512) << 20)
#define PL_STORE_LMDB_MAP_BYTES_MIN (UINT64_C(128) << 20)
#define PL_STORE_LMDB_MAP_BYTES_MAX (UINT64_C(2) << 30)
#endif

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
    MDB_cursor *places[PL_TABLE_COUNT]; /* where the last get or put in a table was; or NULL */
    uint8_t gets[PL_TABLE_COUNT];       /* readers: until there is such a place */
};

struct pl_store_lmdb {
    struct parley_store head;
    const struct parley_env *env;
    /* Guards everything below down to `write`. Held across beginning a reader and across a change
     * of the map size: LMDB moves the map under open readers without a word. */
    pthread_mutex_t mutex;
    pthread_cond_t readers_left; /* the last one, while the gate is shut */
    pthread_cond_t gate_open;
    MDB_env *mdb; /* NULL after a failed reopen */
    MDB_dbi dbi[PL_TABLE_COUNT];
    uint64_t map_bytes;
    uint64_t map_bytes_max; /* where growth ends */
    uint64_t commits;
    uint32_t readers; /* read transactions open now */
    bool gate_shut;   /* no new readers: see store_lmdb_size.c */
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

/* A path built here: the directory itself leaves room for the longest name. */
struct pl_store_lmdb_path {
    char text[4096];
};
struct pl_store_lmdb_path pl_store_lmdb_path_of(const char *dir, const char *name);

/* These answer 0, an errno or a code of LMDB. */

/* Syncs a file, or with O_DIRECTORY a directory. */
int pl_store_lmdb_sync(const char *path, int flags);
/* Removes an environment that was not finished; also when there is none. */
int pl_store_lmdb_remove_temp(const char *dir, const char *name);
int pl_store_lmdb_env_open(const char *path, uint64_t map_bytes, MDB_env **out);
/* Reads where the file lives: the file system and the inode, which differ in a copy. */
int pl_store_lmdb_read_place(const char *data, uint8_t place[PL_STORE_PLACE_BYTES]);

/* Opens the environment of an existing store into `s`. */
PL_MUST_USE parley_err pl_store_lmdb_open_env(struct pl_store_lmdb *s, uint64_t map_bytes,
                                              struct parley_diag *diag);
/* Ends the pooled readers and the environment. */
void pl_store_lmdb_env_close(struct pl_store_lmdb *s);

/* ---- store_lmdb_size.c ---- */

PL_MUST_USE bool pl_store_lmdb_locks_init(struct pl_store_lmdb *s);
void pl_store_lmdb_locks_deinit(struct pl_store_lmdb *s);
/* Of readers, with the mutex held: the first waits while the gate is shut. */
void pl_store_lmdb_gate_pass(struct pl_store_lmdb *s);
void pl_store_lmdb_gate_leave(struct pl_store_lmdb *s);
/* Of the writer, with the mutex held: shuts the gate and says whether all readers have left. It
 * stays shut until it is released, whatever was said. */
PL_MUST_USE bool pl_store_lmdb_gate_clear(struct pl_store_lmdb *s);
void pl_store_lmdb_gate_release(struct pl_store_lmdb *s);
/* Counts the pages of the free list from page number `first` on, as `txn` sees it, and stops at
 * `enough`. */
int pl_store_lmdb_count_free(MDB_txn *txn, uint64_t first, uint64_t enough, uint64_t *out);
bool pl_store_lmdb_nearly_full(uint64_t used, uint64_t limit);
/* The size limit for a store that uses so much: twice and more of `map_bytes`, if needed. */
uint64_t pl_store_lmdb_map_for(uint64_t map_bytes, uint64_t used, uint64_t max);
PL_MUST_USE parley_err pl_store_lmdb_room(struct parley_store *store, uint64_t reserve);

PL_MUST_USE parley_err pl_store_lmdb_reopen(struct parley_store *store);
PL_MUST_USE parley_err pl_store_lmdb_maintain(struct parley_store *store);
PL_MUST_USE parley_err pl_store_lmdb_compact(struct parley_store *store,
                                             struct parley_span place_key);
PL_MUST_USE parley_err pl_store_lmdb_ledger_append(struct parley_store *store,
                                                   struct parley_span line);
PL_MUST_USE parley_err pl_store_lmdb_ledger_replace(struct parley_store *store,
                                                    struct parley_span lines);
PL_MUST_USE parley_err pl_store_lmdb_ledger_read(struct parley_store *store, uint8_t *out,
                                                 size_t cap, size_t *len);
PL_MUST_USE parley_err pl_store_lmdb_witness_write(struct parley_store *store,
                                                   const uint8_t bytes[PL_STORE_WITNESS_BYTES]);
PL_MUST_USE parley_err pl_store_lmdb_witness_read(struct parley_store *store,
                                                  uint8_t out[PL_STORE_WITNESS_BYTES], bool *found);
void pl_store_lmdb_close(struct parley_store *store);

#endif
