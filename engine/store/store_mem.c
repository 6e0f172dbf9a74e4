/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory store: a version is one tree root a table, and committing replaces the version. A read
 * transaction holds the version it began with. One thread.
 *
 * It promises what the LMDB store promises, fails where that can fail, and nothing more: after a
 * commit with unknown outcome it takes no writes until reopen, and only reopen shows the outcome.
 */
#include "store/store_mem.h"
#include "base/writer.h"
#include "store/store_int.h"
#include "store/store_mem_tree.h"

struct version {
    uint64_t refs;
    uint64_t used_bytes;
    struct pl_mem_node *roots[PL_TABLE_COUNT];
};

struct mem_cursor {
    struct mem_cursor *next;
    uint64_t changes; /* of the transaction, at the last seek */
    enum pl_cursor_at at;
    struct pl_mem_path path;
};

struct mem_txn {
    struct pl_txn head;
    struct version *version; /* shared by readers; the writer's own draft */
    struct mem_cursor *cursors;
    uint32_t cursor_count;
    uint64_t changes;
};

/* Shared by a store and its clones, as by a store and the older copy that is put in its place. */
struct ledger {
    uint64_t refs;
    uint8_t *bytes;
    size_t len;
    bool has_witness; /* of the store at this place */
    uint64_t witness_place;
    uint8_t witness[PL_STORE_WITNESS_BYTES];
};

struct mem_store {
    struct parley_store head;
    const struct parley_env *env;
    struct version *current;
    struct version *unknown; /* a commit that failed, yet is there after reopen; usually NULL */
    struct ledger *ledger;
    uint64_t place;
    uint64_t limit_bytes;
    uint64_t commits;
    uint32_t readers;
    bool write_open;
    bool must_reopen;
    struct pl_store_mem_faults faults;
};

static struct mem_store *store_of(struct parley_store *s)
{
    return PL_CONTAINER_OF(s, struct mem_store, head);
}

static struct mem_txn *txn_of(struct pl_txn *txn)
{
    return PL_CONTAINER_OF(txn, struct mem_txn, head);
}

/* ---- Versions ---- */

static void version_drop(const struct parley_env *env, struct version *v)
{
    if (v == NULL)
        return;
    PL_ASSERT(v->refs > 0);
    v->refs--;
    if (v->refs != 0)
        return;
    for (size_t i = 0; i < PL_TABLE_COUNT; i++)
        pl_mem_tree_drop(env, v->roots[i]);
    env->release(env->ud, v, sizeof *v);
}

/* A version of its own with the same contents, or NULL without memory. */
static struct version *version_copy(const struct parley_env *env, const struct version *v)
{
    struct version *copy = env->alloc(env->ud, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = (struct version){ .refs = 1 };
    if (v == NULL)
        return copy;
    copy->used_bytes = v->used_bytes;
    for (size_t i = 0; i < PL_TABLE_COUNT; i++)
        copy->roots[i] = pl_mem_tree_share(v->roots[i]);
    return copy;
}

/* ---- Transactions ---- */

static parley_err mem_read_begin(struct parley_store *store, struct pl_txn **out)
{
    struct mem_store *s = store_of(store);
    struct mem_txn *t = s->env->alloc(s->env->ud, sizeof *t);
    if (t == NULL)
        return PARLEY_ENOMEM;
    *t = (struct mem_txn){ .head.store = store, .version = s->current };
    s->current->refs++;
    s->readers++;
    *out = &t->head;
    return PARLEY_OK;
}

/* Frees the transaction, but not its version. */
static void txn_free(struct mem_store *s, struct mem_txn *t)
{
    while (t->cursors != NULL) {
        struct mem_cursor *c = t->cursors;
        t->cursors = c->next;
        s->env->release(s->env->ud, c, sizeof *c);
    }
    s->env->release(s->env->ud, t, sizeof *t);
}

static void mem_read_end(struct pl_txn *txn)
{
    struct mem_store *s = store_of(txn->store);
    struct mem_txn *t = txn_of(txn);
    PL_ASSERT(!txn->writable);
    PL_ASSERT(s->readers > 0);
    s->readers--;
    version_drop(s->env, t->version);
    txn_free(s, t);
}

static parley_err mem_write_begin(struct parley_store *store, struct pl_txn **out)
{
    struct mem_store *s = store_of(store);
    if (s->must_reopen)
        return PARLEY_EIO;
    if (s->write_open)
        return PARLEY_EBUSY;
    struct mem_txn *t = s->env->alloc(s->env->ud, sizeof *t);
    if (t == NULL)
        return PARLEY_ENOMEM;
    struct version *draft = version_copy(s->env, s->current);
    if (draft == NULL) {
        s->env->release(s->env->ud, t, sizeof *t);
        return PARLEY_ENOMEM;
    }
    *t = (struct mem_txn){ .head = { .store = store, .writable = true }, .version = draft };
    s->write_open = true;
    *out = &t->head;
    return PARLEY_OK;
}

static void mem_abort(struct pl_txn *txn)
{
    struct mem_store *s = store_of(txn->store);
    struct mem_txn *t = txn_of(txn);
    PL_ASSERT(txn->writable);
    s->write_open = false;
    version_drop(s->env, t->version);
    txn_free(s, t);
}

/* Counts a fault down; says whether this call fails. */
static bool fault_hits(int64_t *after, bool repeat)
{
    if (*after < 0)
        return false;
    if (*after > 0) {
        (*after)--;
        return false;
    }
    if (!repeat)
        *after = -1;
    return true;
}

static parley_err mem_commit(struct pl_txn *txn)
{
    struct mem_store *s = store_of(txn->store);
    struct mem_txn *t = txn_of(txn);
    PL_ASSERT(txn->writable);
    parley_err err = txn->err;
    if (err == PARLEY_OK && fault_hits(&s->faults.fail_commit_after, s->faults.repeat)) {
        err = PARLEY_EIO;
        s->must_reopen = true;
        if (s->faults.commit_eio_applied) {
            s->unknown = t->version;
            t->version = NULL;
        }
    }
    if (err == PARLEY_OK) {
        struct version *old = s->current;
        s->current = t->version;
        t->version = old;
        s->commits++;
    }
    mem_abort(txn);
    return err;
}

/* ---- Keys and values ---- */

static struct pl_mem_node **root_of(struct pl_txn *txn, enum pl_table table)
{
    PL_ASSERT((unsigned)table < PL_TABLE_COUNT);
    return &txn_of(txn)->version->roots[table];
}

static parley_err mem_get(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                          struct parley_span *value, bool *found)
{
    PL_TRY(pl_store_check_key(txn, key));
    *found = pl_mem_tree_get(*root_of(txn, table), key, value);
    return PARLEY_OK;
}

/* What every change checks first; then no cursor of the transaction may step. */
static parley_err change_begin(struct pl_txn *txn, struct parley_span key, size_t value_len)
{
    struct mem_store *s = store_of(txn->store);
    PL_TRY(pl_store_check_write(txn, key, value_len));
    if (fault_hits(&s->faults.fail_put_after, s->faults.repeat))
        return pl_store_fail(txn, PARLEY_EMAPFULL);
    txn_of(txn)->changes++;
    return PARLEY_OK;
}

static parley_err store_value(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                              struct parley_span value)
{
    struct mem_store *s = store_of(txn->store);
    struct mem_txn *t = txn_of(txn);
    struct pl_mem_node **root = root_of(txn, table);
    struct parley_span old;
    uint64_t used = t->version->used_bytes + pl_mem_tree_pair_bytes(key.len, value.len);
    if (pl_mem_tree_get(*root, key, &old))
        used -= pl_mem_tree_pair_bytes(key.len, old.len);
    if (s->limit_bytes != 0 && used > s->limit_bytes)
        return pl_store_fail(txn, PARLEY_EMAPFULL);
    parley_err err = pl_mem_tree_put(s->env, root, key, value);
    if (err != PARLEY_OK)
        return pl_store_fail(txn, err);
    t->version->used_bytes = used;
    return PARLEY_OK;
}

static parley_err mem_put(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                          struct parley_span value)
{
    PL_TRY(change_begin(txn, key, value.len));
    return store_value(txn, table, key, value);
}

static parley_err mem_append(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                             struct parley_span value)
{
    PL_TRY(change_begin(txn, key, value.len));
    struct pl_mem_path path;
    if (pl_mem_path_last(&path, *root_of(txn, table))) {
        struct parley_span last;
        struct parley_span ignored;
        pl_mem_path_pair(&path, &last, &ignored);
        if (pl_span_compare(key, last) <= 0)
            return pl_store_fail(txn, PARLEY_EINVAL);
    }
    return store_value(txn, table, key, value);
}

static parley_err mem_del(struct pl_txn *txn, enum pl_table table, struct parley_span key)
{
    PL_TRY(change_begin(txn, key, 0));
    struct mem_txn *t = txn_of(txn);
    struct pl_mem_node **root = root_of(txn, table);
    struct parley_span old;
    if (!pl_mem_tree_get(*root, key, &old))
        return PARLEY_OK;
    uint64_t freed = pl_mem_tree_pair_bytes(key.len, old.len);
    parley_err err = pl_mem_tree_del(store_of(txn->store)->env, root, key);
    if (err != PARLEY_OK)
        return pl_store_fail(txn, err);
    PL_ASSERT(t->version->used_bytes >= freed);
    t->version->used_bytes -= freed;
    return PARLEY_OK;
}

/* ---- Cursors ---- */

static parley_err mem_cursor(struct pl_txn *txn, enum pl_table table, struct pl_cursor *out)
{
    const struct parley_env *env = store_of(txn->store)->env;
    struct mem_txn *t = txn_of(txn);
    PL_ASSERT((unsigned)table < PL_TABLE_COUNT);
    if (txn->err != PARLEY_OK)
        return txn->err;
    if (t->cursor_count == PL_STORE_CURSORS_MAX)
        return pl_store_fail(txn, PARLEY_EFULL);
    struct mem_cursor *c = env->alloc(env->ud, sizeof *c);
    if (c == NULL)
        return pl_store_fail(txn, PARLEY_ENOMEM);
    c->next = t->cursors;
    c->changes = t->changes;
    c->at = PL_CURSOR_UNSET;
    c->path.depth = 0;
    t->cursors = c;
    t->cursor_count++;
    *out = (struct pl_cursor){ .txn = txn, .table = table, .impl = c };
    return PARLEY_OK;
}

/* Ends a positioning step: hands out the pair, or leaves the cursor at `miss`. */
static parley_err cursor_arrive(struct mem_cursor *c, bool hit, enum pl_cursor_at miss,
                                struct parley_span *out_key, struct parley_span *value, bool *found)
{
    c->at = hit ? PL_CURSOR_ON : miss;
    *found = hit;
    if (hit)
        pl_mem_path_pair(&c->path, out_key, value);
    return PARLEY_OK;
}

static parley_err mem_seek(struct pl_cursor *pc, struct parley_span key,
                           struct parley_span *out_key, struct parley_span *value, bool *found)
{
    struct mem_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    if (key.len > PL_STORE_KEY_BYTES_MAX)
        return pl_store_fail(pc->txn, PARLEY_ETOOBIG);
    c->changes = txn_of(pc->txn)->changes;
    bool hit = pl_mem_path_at_least(&c->path, *root_of(pc->txn, pc->table), key);
    return cursor_arrive(c, hit, PL_CURSOR_AFTER, out_key, value, found);
}

static parley_err mem_seek_last(struct pl_cursor *pc, struct parley_span *out_key,
                                struct parley_span *value, bool *found)
{
    struct mem_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    c->changes = txn_of(pc->txn)->changes;
    bool hit = pl_mem_path_last(&c->path, *root_of(pc->txn, pc->table));
    return cursor_arrive(c, hit, PL_CURSOR_BEFORE, out_key, value, found);
}

static parley_err cursor_check_step(struct pl_cursor *pc)
{
    struct mem_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    if (c->changes != txn_of(pc->txn)->changes)
        return pl_store_fail(pc->txn, PARLEY_ESTATE);
    return PARLEY_OK;
}

static parley_err mem_next(struct pl_cursor *pc, struct parley_span *out_key,
                           struct parley_span *value, bool *found)
{
    struct mem_cursor *c = pc->impl;
    PL_TRY(cursor_check_step(pc));
    bool hit = false;
    switch (c->at) {
    case PL_CURSOR_UNSET:
    case PL_CURSOR_BEFORE:
        hit = pl_mem_path_first(&c->path, *root_of(pc->txn, pc->table));
        break;
    case PL_CURSOR_ON:
        hit = pl_mem_path_next(&c->path);
        break;
    case PL_CURSOR_AFTER:
        break;
    }
    return cursor_arrive(c, hit, PL_CURSOR_AFTER, out_key, value, found);
}

static parley_err mem_prev(struct pl_cursor *pc, struct parley_span *out_key,
                           struct parley_span *value, bool *found)
{
    struct mem_cursor *c = pc->impl;
    PL_TRY(cursor_check_step(pc));
    bool hit = false;
    switch (c->at) {
    case PL_CURSOR_UNSET:
    case PL_CURSOR_AFTER:
        hit = pl_mem_path_last(&c->path, *root_of(pc->txn, pc->table));
        break;
    case PL_CURSOR_ON:
        hit = pl_mem_path_prev(&c->path);
        break;
    case PL_CURSOR_BEFORE:
        break;
    }
    return cursor_arrive(c, hit, PL_CURSOR_BEFORE, out_key, value, found);
}

/* ---- The store ---- */

static parley_err mem_stats(struct parley_store *store, struct pl_store_stats *out)
{
    struct mem_store *s = store_of(store);
    *out = (struct pl_store_stats){
        .file_bytes = s->current->used_bytes,
        .limit_bytes = s->limit_bytes == 0 ? UINT64_MAX : s->limit_bytes,
        .commits = s->commits,
        .readers = s->readers,
        .reader_slots = s->readers,
    };
    return PARLEY_OK;
}

static parley_err mem_room(struct parley_store *store, uint64_t reserve)
{
    const struct mem_store *s = store_of(store);
    if (s->limit_bytes == 0)
        return PARLEY_OK;
    uint64_t left = s->limit_bytes - s->current->used_bytes;
    return left < pl_store_map_reserve(reserve, s->limit_bytes) ? PARLEY_EMAPFULL : PARLEY_OK;
}

static void mem_place(struct parley_store *store, uint8_t out[PL_STORE_PLACE_BYTES])
{
    memset(out, 0, PL_STORE_PLACE_BYTES);
    pl_put_be(out + PL_STORE_PLACE_BYTES - 8, store_of(store)->place, 8);
}

static parley_err mem_reopen(struct parley_store *store)
{
    struct mem_store *s = store_of(store);
    if (s->readers != 0 || s->write_open)
        return PARLEY_EBUSY;
    if (s->unknown != NULL) {
        version_drop(s->env, s->current);
        s->current = s->unknown;
        s->unknown = NULL;
    }
    s->must_reopen = false;
    return PARLEY_OK;
}

static parley_err mem_maintain(struct parley_store *store)
{
    /* The limit is the owner's wish, not a reservation: it does not grow. */
    return store_of(store)->write_open ? PARLEY_EBUSY : PARLEY_OK;
}

/* There is nothing to give back. */
static parley_err mem_compact(struct parley_store *store, struct parley_span place_key)
{
    struct mem_store *s = store_of(store);
    (void)place_key;
    return s->readers != 0 || s->write_open ? PARLEY_EBUSY : PARLEY_OK;
}

/* ---- The ledger ---- */

static void ledger_drop(const struct parley_env *env, struct ledger *ledger)
{
    if (--ledger->refs != 0)
        return;
    env->release(env->ud, ledger->bytes, ledger->len);
    env->release(env->ud, ledger, sizeof *ledger);
}

static parley_err mem_ledger_append(struct parley_store *store, struct parley_span line)
{
    struct mem_store *s = store_of(store);
    struct ledger *ledger = s->ledger;
    if (line.len > PL_STORE_LEDGER_BYTES_MAX - ledger->len)
        return PARLEY_EFULL;
    uint8_t *bytes = s->env->alloc(s->env->ud, ledger->len + line.len);
    if (bytes == NULL)
        return PARLEY_ENOMEM;
    if (ledger->len != 0)
        memcpy(bytes, ledger->bytes, ledger->len);
    memcpy(bytes + ledger->len, line.ptr, line.len);
    s->env->release(s->env->ud, ledger->bytes, ledger->len);
    ledger->bytes = bytes;
    ledger->len += line.len;
    return PARLEY_OK;
}

static parley_err mem_ledger_read(struct parley_store *store, uint8_t *out, size_t cap, size_t *len)
{
    const struct ledger *ledger = store_of(store)->ledger;
    *len = pl_min_size(cap, ledger->len);
    if (*len != 0)
        memcpy(out, ledger->bytes, *len);
    return PARLEY_OK;
}

static parley_err mem_ledger_replace(struct parley_store *store, struct parley_span lines)
{
    struct mem_store *s = store_of(store);
    struct ledger *ledger = s->ledger;
    if (lines.len > PL_STORE_LEDGER_BYTES_MAX)
        return PARLEY_EFULL;
    uint8_t *bytes = s->env->alloc(s->env->ud, lines.len);
    if (bytes == NULL)
        return PARLEY_ENOMEM;
    if (lines.len != 0)
        memcpy(bytes, lines.ptr, lines.len);
    s->env->release(s->env->ud, ledger->bytes, ledger->len);
    ledger->bytes = bytes;
    ledger->len = lines.len;
    return PARLEY_OK;
}

static parley_err mem_witness_write(struct parley_store *store,
                                    const uint8_t bytes[PL_STORE_WITNESS_BYTES])
{
    struct mem_store *s = store_of(store);
    s->ledger->has_witness = true;
    s->ledger->witness_place = s->place;
    memcpy(s->ledger->witness, bytes, PL_STORE_WITNESS_BYTES);
    return PARLEY_OK;
}

static parley_err mem_witness_read(struct parley_store *store, uint8_t out[PL_STORE_WITNESS_BYTES],
                                   bool *found)
{
    const struct mem_store *s = store_of(store);
    *found = s->ledger->has_witness && s->ledger->witness_place == s->place;
    if (*found)
        memcpy(out, s->ledger->witness, PL_STORE_WITNESS_BYTES);
    return PARLEY_OK;
}

static void mem_close(struct parley_store *store)
{
    struct mem_store *s = store_of(store);
    PL_ASSERT(s->readers == 0);
    PL_ASSERT(!s->write_open);
    version_drop(s->env, s->current);
    version_drop(s->env, s->unknown);
    ledger_drop(s->env, s->ledger);
    s->env->release(s->env->ud, s, sizeof *s);
}

static const struct pl_store_ops mem_ops = {
    .read_begin = mem_read_begin,
    .read_end = mem_read_end,
    .write_begin = mem_write_begin,
    .commit = mem_commit,
    .abort = mem_abort,
    .get = mem_get,
    .put = mem_put,
    .append = mem_append,
    .del = mem_del,
    .cursor = mem_cursor,
    .seek = mem_seek,
    .seek_last = mem_seek_last,
    .next = mem_next,
    .prev = mem_prev,
    .stats = mem_stats,
    .room = mem_room,
    .place = mem_place,
    .reopen = mem_reopen,
    .maintain = mem_maintain,
    .compact = mem_compact,
    .ledger_append = mem_ledger_append,
    .ledger_read = mem_ledger_read,
    .ledger_replace = mem_ledger_replace,
    .witness_write = mem_witness_write,
    .witness_read = mem_witness_read,
    .close = mem_close,
};

/* `ledger` NULL: a new one. */
static parley_err open_over(const struct parley_env *env, const struct version *contents,
                            struct ledger *ledger, uint64_t place, uint64_t limit_bytes,
                            struct parley_store **out)
{
    struct mem_store *s = env->alloc(env->ud, sizeof *s);
    if (s == NULL)
        return PARLEY_ENOMEM;
    if (ledger == NULL) {
        ledger = env->alloc(env->ud, sizeof *ledger);
        if (ledger != NULL)
            *ledger = (struct ledger){ 0 };
    }
    *s = (struct mem_store){
        .head.ops = &mem_ops,
        .env = env,
        .current = version_copy(env, contents),
        .ledger = ledger,
        .place = place,
        .limit_bytes = limit_bytes,
        .faults = { .fail_put_after = -1, .fail_commit_after = -1 },
    };
    if (ledger != NULL)
        ledger->refs++;
    if (s->current == NULL || ledger == NULL) {
        version_drop(env, s->current);
        if (ledger != NULL)
            ledger_drop(env, ledger);
        env->release(env->ud, s, sizeof *s);
        return PARLEY_ENOMEM;
    }
    *out = &s->head;
    return PARLEY_OK;
}

parley_err pl_store_mem_open(const struct parley_env *env, uint64_t place, uint64_t limit_bytes,
                             struct parley_store **out)
{
    return open_over(env, NULL, NULL, place, limit_bytes, out);
}

void pl_store_mem_set_faults(struct parley_store *store, const struct pl_store_mem_faults *faults)
{
    store_of(store)->faults = *faults;
}

parley_err pl_store_mem_clone(struct parley_store *store, uint64_t place, struct parley_store **out)
{
    struct mem_store *s = store_of(store);
    const struct version *disk = s->unknown != NULL ? s->unknown : s->current;
    return open_over(s->env, disk, s->ledger, place, s->limit_bytes, out);
}
