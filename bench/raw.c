/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#define MAP_BYTES ((size_t)8 << 30)

static void must(int rc, const char *what)
{
    if (rc != MDB_SUCCESS)
        bench_die("LMDB %s: %s", what, mdb_strerror(rc));
}

static void open_env(struct raw *raw, unsigned flags)
{
    must(mdb_env_create(&raw->env), "env_create");
    must(mdb_env_set_mapsize(raw->env, MAP_BYTES), "set_mapsize");
    must(mdb_env_set_maxdbs(raw->env, RAW_TABLES_MAX), "set_maxdbs");
    must(mdb_env_open(raw->env, raw->dir, MDB_NOTLS | flags, 0600), "env_open");
}

void raw_create(const struct bench *b, struct raw *raw, const char *const *names, size_t tables)
{
    *raw = (struct raw){ 0 };
    bench_make_dir(b, raw->dir);
    open_env(raw, 0);
    raw_begin(raw, true);
    for (size_t i = 0; i < tables; i++)
        must(mdb_dbi_open(raw->txn, names[i], MDB_CREATE, &raw->dbi[i]), "dbi_open");
    raw_commit(raw);
}

void raw_open(struct raw *raw, const char *dir, const char *const *names, size_t tables, bool write)
{
    *raw = (struct raw){ 0 };
    memcpy(raw->dir, dir, strlen(dir) + 1);
    open_env(raw, write ? 0 : MDB_RDONLY);
    raw_begin(raw, false);
    for (size_t i = 0; i < tables; i++)
        must(mdb_dbi_open(raw->txn, names[i], 0, &raw->dbi[i]), "dbi_open");
    /* Handles opened in a transaction that is aborted would be closed with it. */
    raw_commit(raw);
}

void raw_close(struct raw *raw)
{
    mdb_env_close(raw->env);
    raw->env = NULL;
}

void raw_destroy(struct raw *raw)
{
    raw_close(raw);
    bench_remove_tree(raw->dir);
}

void raw_begin(struct raw *raw, bool write)
{
    must(mdb_txn_begin(raw->env, NULL, write ? 0 : MDB_RDONLY, &raw->txn), "txn_begin");
}

void raw_commit(struct raw *raw)
{
    must(mdb_txn_commit(raw->txn), "commit");
    raw->txn = NULL;
}

void raw_end(struct raw *raw)
{
    mdb_txn_abort(raw->txn);
    raw->txn = NULL;
}

void raw_reset(struct raw *raw)
{
    mdb_txn_reset(raw->txn);
}

void raw_renew(struct raw *raw)
{
    must(mdb_txn_renew(raw->txn), "txn_renew");
}

static MDB_val val(const void *ptr, size_t len)
{
    return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)ptr };
}

void raw_put(struct raw *raw, size_t table, const void *key, size_t key_len, const void *value,
             size_t value_len, unsigned flags)
{
    MDB_val k = val(key, key_len);
    MDB_val v = val(value, value_len);
    must(mdb_put(raw->txn, raw->dbi[table], &k, &v, flags), "put");
}

MDB_val raw_get(struct raw *raw, size_t table, const void *key, size_t key_len)
{
    MDB_val k = val(key, key_len);
    MDB_val v = { 0 };
    must(mdb_get(raw->txn, raw->dbi[table], &k, &v), "get");
    return v;
}

void raw_del(struct raw *raw, size_t table, const void *key, size_t key_len)
{
    MDB_val k = val(key, key_len);
    must(mdb_del(raw->txn, raw->dbi[table], &k, NULL), "del");
}

size_t raw_count(const struct raw *raw, size_t table)
{
    MDB_stat stat;
    must(mdb_stat(raw->txn, raw->dbi[table], &stat), "stat");
    return stat.ms_entries;
}

uint64_t raw_file_bytes(const struct raw *raw)
{
    char path[BENCH_PATH_BYTES];
    bench_join(path, raw->dir, "data.mdb");
    return bench_file_bytes(path);
}
