/* SPDX-License-Identifier: Apache-2.0
 *
 * The least code around LMDB, as the thing to compare with: default flags and MDB_NOTLS, named
 * tables, any failure ends the run.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "bench.h"

#include <lmdb.h>

#define RAW_TABLES_MAX 9

struct raw {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[RAW_TABLES_MAX];
    char dir[BENCH_PATH_BYTES];
};

/* Creates a store with `tables` tables in a fresh directory. */
void raw_create(const struct bench *b, struct raw *raw, const char *const *names, size_t tables);
/* Opens an existing one; `dir` has data.mdb. */
void raw_open(struct raw *raw, const char *dir, const char *const *names, size_t tables,
              bool write);
/* Closes; a created one is deleted. */
void raw_close(struct raw *raw);
void raw_destroy(struct raw *raw);

void raw_begin(struct raw *raw, bool write);
void raw_commit(struct raw *raw);
void raw_end(struct raw *raw);
/* A read transaction is put aside and taken up anew. */
void raw_reset(struct raw *raw);
void raw_renew(struct raw *raw);

void raw_put(struct raw *raw, size_t table, const void *key, size_t key_len, const void *value,
             size_t value_len, unsigned flags);
/* Fails the run when the key is absent. */
MDB_val raw_get(struct raw *raw, size_t table, const void *key, size_t key_len);
void raw_del(struct raw *raw, size_t table, const void *key, size_t key_len);
/* Rows of a table; in a transaction. */
size_t raw_count(const struct raw *raw, size_t table);
uint64_t raw_file_bytes(const struct raw *raw);

#endif
