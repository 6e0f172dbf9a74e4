/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and freeing a node.
 */
#include "node/growth.h"
#include "node/node_int.h"

#include "core/hash.h"
#include "core/iso8601.h"
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "node/legacy.h"

#define SELF_KEY "node/self"

void pl_node_set_advertise(struct pl_node *node, const char *address)
{
    pl_text_copy(node->advertise, sizeof node->advertise, address);
}

void pl_node_set_rates(struct pl_node *node, uint32_t peer_rate, uint32_t stranger_rate)
{
    node->options.peer_rate = peer_rate;
    node->options.stranger_rate = stranger_rate;
}

void pl_node_set_origins(struct pl_node *node, const char *const *origins, size_t count)
{
    node->options.origins = origins;
    node->options.origin_count = count;
}

void pl_node_set_tombstone_grace(struct pl_node *node, int64_t grace_us)
{
    if (node->options.tombstone_grace_us == grace_us)
        return;
    node->options.tombstone_grace_us = grace_us;
    node->collect.due = 0; /* planned anew: passes come more often when the grace is short */
}

void pl_node_set_log_level(struct pl_node *node, enum pl_log_level level)
{
    node->log_level = level;
}

enum pl_log_level pl_node_log_level(const struct pl_node *node)
{
    return node->log_level;
}

void pl_node_set_https(struct pl_node *node, const struct pl_https_cert *https)
{
    node->options.https = https;
    /* A session that is resumed shows no certificate: clients would not see the new one. */
    pl_tls_profile_forget(node->tls_profile);
}

bool pl_node_uses_https(const struct pl_node *node, const struct pl_https_cert *https)
{
    const struct pl_slab *conns = &node->conns;
    for (pl_handle h = pl_slab_next(conns, 0); h != 0; h = pl_slab_next(conns, h)) {
        const struct pl_connection *conn = pl_slab_find(conns, h);
        if (conn->tls != NULL && pl_tls_borrows(conn->tls, https))
            return true;
    }
    return node->options.https == https;
}

static parley_err open_batch(const struct parley_env *env, struct pl_batch *batch)
{
    batch->writes = env->alloc(env->ud, PL_BATCH_ROOM * sizeof *batch->writes);
    void *mem = env->alloc(env->ud, PL_BATCH_BYTES_MAX);
    if (mem != NULL)
        pl_arena_init(&batch->arena, mem, PL_BATCH_BYTES_MAX);
    batch->mem = mem;
    return batch->writes == NULL || mem == NULL ? PARLEY_ENOMEM : PARLEY_OK;
}

static void free_batch(const struct parley_env *env, struct pl_batch *batch)
{
    env->release(env->ud, batch->writes, PL_BATCH_ROOM * sizeof *batch->writes);
    env->release(env->ud, batch->mem, PL_BATCH_BYTES_MAX);
}

/* The node's own record: [backend id, type, created, incarnation]. Written at the first start;
 * afterwards it must fit the key, so that an identity never changes by accident. Another
 * incarnation than the store's says that this is a copy, or an older state put back. */
static parley_err write_self(struct pl_node *node)
{
    uint8_t record[PARLEY_BACKEND_ID_BYTES_MAX + 64];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    pl_mp_write_array(&w, 4);
    pl_mp_write_text(&w, node->backend_id);
    pl_mp_write_uint(&w, (uint64_t)node->options.type);
    pl_mp_write_int(&w, node->created_at);
    pl_mp_write_bin(&w, pl_span_of(node->state.incarnation.bytes, PARLEY_INCARNATION_BYTES));
    PL_ASSERT(w.err == PARLEY_OK);
    struct parley_write write = { .kind = PARLEY_WRITE_SYS_PUT };
    write.u.sys.key = pl_span_text(SELF_KEY);
    write.u.sys.value = pl_writer_span(&w);
    bool changed = false;
    return parley_db_apply(node->db, &write, 1, node->now.wall, &changed);
}

static parley_err read_self(struct pl_node *node, struct parley_span record, bool *renewed)
{
    struct pl_reader r = pl_reader_over(record);
    uint32_t fields = pl_mp_read_array(&r, 8);
    struct parley_span id = pl_mp_read_str(&r, PARLEY_BACKEND_ID_BYTES_MAX);
    uint64_t type = pl_mp_read_uint(&r);
    node->created_at = pl_mp_read_int(&r);
    struct parley_span life = pl_mp_read_bin(&r, PARLEY_INCARNATION_BYTES);
    *renewed =
        !pl_span_equal(life, pl_span_of(node->state.incarnation.bytes, PARLEY_INCARNATION_BYTES));
    if (r.err != PARLEY_OK || fields < 4 || id.len == 0 || type > PL_BACKEND_EDGE)
        return PARLEY_ECORRUPT;
    memcpy(node->backend_id, id.ptr, id.len);
    node->backend_id[id.len] = '\0';
    node->options.type = (enum pl_backend_type)type;
    return PARLEY_OK;
}

static parley_err load(struct pl_node *node)
{
    struct parley_span record;
    bool found = false;
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    PL_TRY(parley_read_sys(read, pl_span_text(SELF_KEY), &record, &found));
    bool renewed = false;
    if (found)
        PL_TRY(read_self(node, record, &renewed));
    PL_TRY(pl_keys_load(node, read));
    PL_TRY(pl_peers_load(&node->peers, node->env, read));
    PL_TRY(pl_legacy_load(node, read));
    PL_TRY(pl_invite_load(node, read));
    PL_TRY(pl_audit_load(node, read));
    pl_node_read_done(node);
    PL_TRY(pl_ledger_heed(node));
    read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    PL_TRY(pl_tokens_load(node, read));
    pl_node_read_done(node);
    if (renewed) {
        PL_TRY(pl_invite_void_all(node));
        pl_audit_event(node, PL_AUDIT_new_incarnation, "node", "", "");
        return write_self(node);
    }
    if (found)
        return PARLEY_OK;
    node->created_at = node->now.wall;
    pl_audit_event(node, PL_AUDIT_node_created, "node", node->backend_id, "");
    return write_self(node);
}

/* What an option asks for, up to what there is; 0 asks for that. */
static uint32_t bounded(uint32_t wanted, uint32_t max)
{
    return wanted == 0 || wanted > max ? max : wanted;
}

static parley_err open_parts(struct pl_node *node)
{
    const struct parley_env *env = node->env;
    uint64_t seed = 0;
    env->entropy(env->ud, &seed, sizeof seed);
    pl_rng_init(&node->rng, seed);
    node->conns_max = bounded(node->options.conns_max, PL_CONNS_MAX);
    node->batch_writes_max = bounded(node->options.batch_writes_max, PL_BATCH_WRITES_MAX);
    node->batch_bytes_max = bounded(node->options.batch_bytes_max, PL_BATCH_BYTES_MAX);
    size_t bytes = pl_slab_bytes(node->conns_max, sizeof(struct pl_connection));
    node->conns_mem = env->alloc(env->ud, bytes);
    if (node->conns_mem == NULL)
        return PARLEY_ENOMEM;
    pl_slab_init(&node->conns, node->conns_mem, node->conns_max, sizeof(struct pl_connection));
    PL_TRY(open_batch(env, &node->batches[0]));
    PL_TRY(open_batch(env, &node->batches[1]));
    node->batches[0].serial = 1;
    node->batches[1].serial = 0;
    node->next_serial = 2;
    PL_TRY(load(node));
    PL_TRY(parley_db_set_origin(node->db, pl_span_text(node->backend_id)));
    if (!node->options.no_zstd)
        PL_TRY(pl_zip_create(env, &node->zip));
    return pl_credential_open(node);
}

static void refuse(struct parley_diag *diag, parley_err err)
{
    if (diag == NULL)
        return;
    if (err == PARLEY_EIDENTITY)
        pl_text_copy(
            diag->text, sizeof diag->text,
            "this data directory belongs to another identity key; start with the key it was "
            "made with, or with a new data directory");
    else
        pl_text_copy(diag->text, sizeof diag->text, parley_err_text(err));
}

parley_err pl_node_open(const struct parley_env *env, const struct pl_node_options *options,
                        struct parley_db *db, struct pl_identity *identity, struct parley_now now,
                        struct pl_node **out, struct parley_diag *diag)
{
    struct pl_node *node = env->alloc(env->ud, sizeof *node);
    if (node == NULL)
        return PARLEY_ENOMEM;
    *node = (struct pl_node){ .env = env,
                              .options = *options,
                              .db = db,
                              .identity = identity,
                              .now = now,
                              .started_wall = now.wall,
                              .maintain_at = now.mono,
                              .index_at = now.mono };
    pl_node_set_advertise(node, options->advertise != NULL ? options->advertise : "127.0.0.1:8825");
    parley_err err = open_parts(node);
    if (err != PARLEY_OK) {
        refuse(diag, err);
        node->identity = NULL; /* stays the caller's */
        pl_node_free(node);
        return err;
    }
    for (size_t i = 0; i < node->peers.count; i++)
        node->peers.table[i]->dial_at = now.mono;
    *out = node;
    return PARLEY_OK;
}

void pl_node_free(struct pl_node *node)
{
    const struct parley_env *env = node->env;
    pl_node_read_done(node);
    pl_growth_free(node);
    for (size_t i = 0; i < PL_ARRAY_LEN(node->batches); i++)
        free_batch(env, &node->batches[i]);
    for (size_t i = 0; i < PL_LARGE_MAX; i++)
        env->release(env->ud, node->large[i].ptr, node->large[i].size);
    pl_legacy_free_all(node);
    pl_peers_free(&node->peers, env);
    pl_zip_destroy(node->zip);
    pl_credential_close(node);
    pl_wipe(&node->join, sizeof node->join);
    pl_wipe(node->options.admin_token, sizeof node->options.admin_token);
    pl_identity_destroy(node->identity);
    pl_identity_destroy(node->rotate.next);
    if (node->conns_mem != NULL)
        env->release(env->ud, node->conns_mem,
                     pl_slab_bytes(node->conns_max, sizeof(struct pl_connection)));
    env->release(env->ud, node, sizeof *node);
}
