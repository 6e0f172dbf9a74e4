/* SPDX-License-Identifier: Apache-2.0
 *
 * parley/node.h over node/node.h: what libparley-node exports. It holds what a host would hold: who
 * the node is, and the key that seals the next one. Everything else is the node's.
 */
#include <parley/node.h>

#include "core/hash.h"
#include "node/identity_record.h"
#include "node/node_int.h"
#include "node/report.h"
#include "trust/seal.h"

struct parley_node {
    const struct parley_env *env;
    struct parley_db *db;
    struct pl_node *node;
    /* Constant while the node is open, so that a key can be made on another thread. */
    struct pl_identity_info info;
    struct pl_seal_key seal;
};

struct parley_node_key {
    const struct parley_env *env;
    struct pl_identity *identity;
    uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX];
    size_t len;
};

_Static_assert((int)PARLEY_NODE_HOSTED == PL_BACKEND_HOSTED, "types are cast");
_Static_assert((int)PARLEY_NODE_EDGE == PL_BACKEND_EDGE, "types are cast");
_Static_assert(PARLEY_SECRET_BYTES_MAX == PL_SEAL_SECRET_BYTES_MAX, "every secret must fit");
_Static_assert(PARLEY_ADDRESS_BYTES_MAX == PL_ADDRESS_BYTES_MAX, "every address must fit");
_Static_assert(PARLEY_ADMIN_TOKEN_BYTES == sizeof((struct pl_node_options *)0)->admin_token,
               "a token is copied whole");

/* ---- Life ---- */

static parley_err refuse(struct parley_diag *diag, parley_err err, const char *text)
{
    if (diag != NULL)
        pl_text_copy(diag->text, sizeof diag->text, text);
    return err;
}

static parley_err load_key(const struct parley_env *env, const struct pl_seal_secret *secret,
                           const struct pl_identity_record *record, struct pl_seal_key *seal,
                           struct pl_identity **out, struct parley_diag *diag)
{
    struct parley_span sealed = pl_span_of(record->sealed, record->sealed_len);
    if (record->info.needs_passphrase)
        return refuse(diag, PARLEY_ESEALED,
                      "secret: the key of this store is sealed with a pass phrase");
    parley_err err = pl_seal_key_of(secret, sealed, seal);
    if (err == PARLEY_OK)
        err = pl_identity_unseal_with(env, seal, sealed, out);
    if (err == PARLEY_OK)
        return err;
    return refuse(diag, err,
                  err == PARLEY_ESEALED
                      ? "secret: the key of this store was sealed with another one"
                      : "the stored identity cannot be unsealed");
}

static parley_err make_key(const struct parley_env *env, const struct pl_seal_secret *secret,
                           struct pl_identity_record *record, struct pl_seal_key *seal,
                           struct pl_identity **out)
{
    struct pl_identity *identity;
    PL_TRY(pl_seal_key_make(env, secret, seal));
    PL_TRY(pl_identity_create(env, PL_RSA_BITS_DEFAULT, &identity));
    record->info.pubkey = *pl_identity_pubkey(identity);
    pl_key_chain_init(&record->chain, &record->info.pubkey);
    pl_backend_id_make(record->info.type, &record->info.pubkey, record->info.backend_id);
    parley_err err = pl_identity_seal_with(identity, env, seal, record->sealed,
                                           sizeof record->sealed, &record->sealed_len);
    if (err != PARLEY_OK)
        pl_identity_destroy(identity);
    else
        *out = identity;
    return err;
}

/* The identity of the store, or a new one, which is durable when this returns. */
static parley_err take_identity(struct parley_node *self, const struct parley_node_options *options,
                                parley_wall now, struct pl_identity **out, struct parley_diag *diag)
{
    struct pl_seal_secret secret = { .kind = PL_SEAL_RAW, .bytes = options->secret };
    struct pl_identity_record record;
    bool found = false;
    parley_err err = pl_identity_record_read(self->db, &record, &found);
    if (err != PARLEY_OK)
        return refuse(diag, err, "the stored identity cannot be read");
    if (found) {
        self->info = record.info;
        return load_key(self->env, &secret, &record, &self->seal, out, diag);
    }
    record = (struct pl_identity_record){ 0 };
    record.info.type = (enum pl_backend_type)options->type;
    record.info.created_at = now;
    err = make_key(self->env, &secret, &record, &self->seal, out);
    if (err != PARLEY_OK)
        return refuse(diag, err, "no identity can be made");
    self->info = record.info;
    err = pl_identity_record_write(self->db, &record, now);
    if (err == PARLEY_OK)
        return err;
    pl_identity_destroy(*out);
    return refuse(diag, err, "the new identity cannot be stored");
}

static parley_err open_node(struct parley_node *self, const struct parley_node_options *options,
                            struct parley_now now, struct parley_diag *diag)
{
    struct pl_node_options inner = { .advertise = options->advertise,
                                     .version = "embedded",
                                     .sync_interval = options->sync_interval,
                                     .tombstone_grace_us = options->tombstone_grace_us };
    struct pl_identity *identity = NULL;
    PL_TRY(take_identity(self, options, now.wall, &identity, diag));
    inner.type = self->info.type;
    /* A token that nobody knows, where none is wanted. */
    if (options->admin_token == NULL)
        self->env->entropy(self->env->ud, inner.admin_token, sizeof inner.admin_token);
    else
        memcpy(inner.admin_token, options->admin_token, sizeof inner.admin_token);
    parley_err err = pl_node_open(self->env, &inner, self->db, identity, now, &self->node, diag);
    pl_wipe(inner.admin_token, sizeof inner.admin_token);
    if (err != PARLEY_OK)
        pl_identity_destroy(identity);
    return err;
}

static void release_node(struct parley_node *self)
{
    const struct parley_env *env = self->env;
    pl_seal_key_wipe(&self->seal);
    env->release(env->ud, self, sizeof *self);
}

parley_err parley_node_open(const struct parley_env *env, const struct parley_node_options *options,
                            struct parley_db *db, struct parley_now now, struct parley_node **out,
                            struct parley_diag *diag)
{
    if (options->secret.len < PARLEY_SECRET_BYTES_MIN ||
        options->secret.len > PARLEY_SECRET_BYTES_MAX)
        return refuse(diag, PARLEY_EINVAL, "secret: must have 32 to 1024 bytes");
    if ((unsigned)options->type > PARLEY_NODE_EDGE)
        return refuse(diag, PARLEY_EINVAL, "type: must be local, hosted or edge");
    if (options->advertise != NULL && strlen(options->advertise) > PARLEY_ADDRESS_BYTES_MAX)
        return refuse(diag, PARLEY_ETOOBIG, "advertise: longer than 255 bytes");
    struct parley_node *self = env->alloc(env->ud, sizeof *self);
    if (self == NULL)
        return PARLEY_ENOMEM;
    *self = (struct parley_node){ .env = env, .db = db };
    parley_err err = open_node(self, options, now, diag);
    if (err != PARLEY_OK)
        release_node(self);
    else
        *out = self;
    return err;
}

void parley_node_stop(struct parley_node *node, struct parley_now now)
{
    pl_node_stop(node->node, now);
}

bool parley_node_is_stopped(const struct parley_node *node)
{
    return pl_node_is_stopped(node->node);
}

/* Effects are taken out between connections, since the queue is as long as one turn needs. */
static void forget_connections(struct pl_node *node)
{
    struct pl_effect unused;
    pl_handle handle = 0;
    do {
        while (pl_node_take_effect(node, &unused)) {
        }
        handle = pl_slab_next(&node->conns, handle);
        pl_node_closed(node, handle, node->now);
    } while (handle != 0);
}

void parley_node_close(struct parley_node *node)
{
    if (node == NULL)
        return;
    forget_connections(node->node);
    pl_node_free(node->node);
    release_node(node);
}

/* ---- Effects ---- */

static const enum parley_effect_kind effect_kinds[] = {
    [PL_EFFECT_DIAL] = PARLEY_EFFECT_DIAL,       [PL_EFFECT_CLOSE] = PARLEY_EFFECT_CLOSE,
    [PL_EFFECT_WRITE] = PARLEY_EFFECT_WRITE,     [PL_EFFECT_READ] = PARLEY_EFFECT_READ,
    [PL_EFFECT_COMMIT] = PARLEY_EFFECT_COMMIT,   [PL_EFFECT_MAINTAIN] = PARLEY_EFFECT_MAINTAIN,
    [PL_EFFECT_NEW_KEY] = PARLEY_EFFECT_NEW_KEY,
};

bool parley_node_take_effect(struct parley_node *node, struct parley_effect *out)
{
    struct pl_effect effect;
    if (!pl_node_take_effect(node->node, &effect))
        return false;
    *out = (struct parley_effect){ .kind = effect_kinds[effect.kind],
                                   .conn = effect.conn,
                                   .address = effect.address,
                                   .writes = effect.writes,
                                   .count = effect.count,
                                   .bits = effect.bits };
    return true;
}

static void run_commit(struct parley_node *node, const struct parley_effect *effect,
                       struct parley_now now)
{
    bool changed = false;
    bool recovered = false;
    parley_err err = parley_db_apply(node->db, effect->writes, effect->count, now.wall, &changed);
    if (err == PARLEY_EIO)
        recovered = parley_db_recover(node->db) == PARLEY_OK;
    parley_node_committed(node, err, recovered, changed, now);
}

static void run_new_key(struct parley_node *node, unsigned bits, struct parley_now now)
{
    struct parley_node_key *key = NULL;
    parley_err err = parley_node_key_make(node, bits, &key);
    parley_node_key_made(node, key, err, now);
}

bool parley_node_run_effect(struct parley_node *node, const struct parley_effect *effect,
                            struct parley_now now)
{
    size_t count = 0;
    switch (effect->kind) {
    case PARLEY_EFFECT_COMMIT:
        run_commit(node, effect, now);
        return true;
    case PARLEY_EFFECT_MAINTAIN:
        pl_ignore(parley_db_maintain(node->db, now.wall, &count),
                  "the next commit meets the same trouble and reports it");
        return true;
    case PARLEY_EFFECT_NEW_KEY:
        run_new_key(node, effect->bits, now);
        return true;
    case PARLEY_EFFECT_DIAL:
    case PARLEY_EFFECT_CLOSE:
    case PARLEY_EFFECT_WRITE:
    case PARLEY_EFFECT_READ:
        break;
    }
    return false;
}

void parley_node_committed(struct parley_node *node, parley_err err, bool recovered, bool changed,
                           struct parley_now now)
{
    pl_node_committed(node->node, err, recovered, changed, now);
}

static void release_key(struct parley_node_key *key)
{
    const struct parley_env *env = key->env;
    pl_wipe(key, sizeof *key);
    env->release(env->ud, key, sizeof *key);
}

static parley_err fill_key(const struct parley_node *node, unsigned bits,
                           struct parley_node_key *key)
{
    struct pl_identity_record record = { .info = node->info };
    struct pl_writer w = pl_writer_over(key->record, sizeof key->record);
    PL_TRY(pl_identity_create(node->env, bits, &key->identity));
    record.info.pubkey = *pl_identity_pubkey(key->identity);
    parley_err err = pl_identity_seal_with(key->identity, node->env, &node->seal, record.sealed,
                                           sizeof record.sealed, &record.sealed_len);
    if (err == PARLEY_OK)
        err = pl_identity_record_encode(&record, &w);
    if (err != PARLEY_OK)
        pl_identity_destroy(key->identity);
    key->len = w.len;
    return err;
}

parley_err parley_node_key_make(const struct parley_node *node, unsigned bits,
                                struct parley_node_key **out)
{
    struct parley_node_key *key = node->env->alloc(node->env->ud, sizeof *key);
    if (key == NULL)
        return PARLEY_ENOMEM;
    *key = (struct parley_node_key){ .env = node->env };
    parley_err err = fill_key(node, bits, key);
    if (err != PARLEY_OK)
        release_key(key);
    else
        *out = key;
    return err;
}

void parley_node_key_made(struct parley_node *node, struct parley_node_key *key, parley_err err,
                          struct parley_now now)
{
    if (key == NULL) {
        pl_node_key_made(node->node, NULL, pl_span_of(NULL, 0), err, now);
        return;
    }
    pl_node_key_made(node->node, key->identity, pl_span_of(key->record, key->len), err, now);
    release_key(key);
}

void parley_node_tick(struct parley_node *node, struct parley_now now)
{
    pl_node_tick(node->node, now);
}

parley_time parley_node_deadline(const struct parley_node *node)
{
    return pl_node_deadline(node->node);
}

/* ---- Connections ---- */

static struct pl_remote remote_of_ipv4(const uint8_t address[4])
{
    struct pl_remote remote = { .local = address[0] == 127, .net = { 0, 0, 0xff, 0xff } };
    memcpy(remote.net + 4, address, 4);
    return remote;
}

static struct pl_remote remote_of_ipv6(const uint8_t address[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t loopback[16] = { [15] = 1 };
    struct pl_remote remote = { .local = memcmp(address, loopback, sizeof loopback) == 0 };
    if (memcmp(address, mapped, sizeof mapped) == 0)
        return remote_of_ipv4(address + sizeof mapped);
    memcpy(remote.net, address, sizeof remote.net);
    return remote;
}

parley_conn parley_node_accepted(struct parley_node *node, const uint8_t *address,
                                 size_t address_bytes, struct parley_now now)
{
    struct pl_remote remote = { .local = address_bytes == 0 };
    if (address_bytes == 4)
        remote = remote_of_ipv4(address);
    if (address_bytes == 16)
        remote = remote_of_ipv6(address);
    return pl_node_accepted(node->node, &remote, now);
}

void parley_node_dialed(struct parley_node *node, parley_conn conn, const char *why,
                        struct parley_now now)
{
    pl_node_dialed(node->node, conn, why == NULL, false, why == NULL ? "" : why, now);
}

void parley_node_closed(struct parley_node *node, parley_conn conn, struct parley_now now)
{
    pl_node_closed(node->node, conn, now);
}

uint8_t *parley_node_recv_buf(struct parley_node *node, parley_conn conn, size_t *len)
{
    return pl_node_recv_buf(node->node, conn, len);
}

void parley_node_recv_ack(struct parley_node *node, parley_conn conn, size_t len,
                          struct parley_now now)
{
    pl_node_recv_ack(node->node, conn, len, now);
}

void parley_node_recv_end(struct parley_node *node, parley_conn conn, struct parley_now now)
{
    pl_node_recv_end(node->node, conn, now);
}

const uint8_t *parley_node_send_buf(struct parley_node *node, parley_conn conn, size_t *len)
{
    return pl_node_send_buf(node->node, conn, len);
}

void parley_node_send_ack(struct parley_node *node, parley_conn conn, size_t len,
                          struct parley_now now)
{
    pl_node_send_ack(node->node, conn, len, now);
}

/* ---- What it is for ---- */

parley_err parley_node_invite(struct parley_node *node, struct parley_span name_space,
                              bool may_write, parley_wall expires,
                              char url[PARLEY_INVITE_URL_BYTES], struct parley_now now)
{
    return pl_node_invite(node->node, name_space, may_write, expires, url, PARLEY_INVITE_URL_BYTES,
                          now);
}

parley_err parley_node_join(struct parley_node *node, struct parley_span url, struct parley_now now,
                            struct parley_diag *diag)
{
    return pl_node_join(node->node, url, now, diag);
}

parley_err parley_node_revoke(struct parley_node *node, struct parley_span name,
                              struct parley_now now)
{
    struct pl_node *inner = node->node;
    struct pl_peer *peer = pl_peers_find(&inner->peers, name);
    if (peer == NULL)
        return PARLEY_EUNKNOWN;
    inner->now = now;
    parley_err err = pl_peering_revoke(inner, peer);
    pl_batch_commit_soon(inner);
    pl_node_read_done(inner);
    return err;
}

parley_err parley_node_write(struct parley_node *node, const struct parley_version *version,
                             struct parley_now now)
{
    return pl_node_write(node->node, version, now);
}

parley_err parley_node_rotate(struct parley_node *node, unsigned bits, struct parley_now now)
{
    return pl_node_rotate(node->node, bits, now);
}

static enum parley_join join_state(enum pl_join_phase phase)
{
    switch (phase) {
    case PL_JOIN_NONE:
        break;
    case PL_JOIN_DIALING:
    case PL_JOIN_STORING:
        return PARLEY_JOIN_RUNNING;
    case PL_JOIN_DONE:
        return PARLEY_JOIN_DONE;
    case PL_JOIN_FAILED:
        return PARLEY_JOIN_FAILED;
    }
    return PARLEY_JOIN_NONE;
}

static enum parley_peer_state peer_state(const struct pl_peer *peer)
{
    switch (pl_report_state(peer)) {
    case PL_REPORT_IN_SYNC:
        return PARLEY_PEER_IN_SYNC;
    case PL_REPORT_CATCHING_UP:
        return PARLEY_PEER_CATCHING_UP;
    case PL_REPORT_REFUSED:
        return PARLEY_PEER_REFUSED;
    case PL_REPORT_PENDING:
        return PARLEY_PEER_PENDING;
    case PL_REPORT_REVOKED:
        return PARLEY_PEER_REVOKED;
    case PL_REPORT_OFFLINE:
    case PL_REPORT_NOT_SHARED:
    case PL_REPORT_STATES:
        break;
    }
    return PARLEY_PEER_OFFLINE;
}

void parley_node_state(const struct parley_node *node, struct parley_node_state *out)
{
    const struct pl_node *inner = node->node;
    *out = (struct parley_node_state){ .name = inner->backend_id,
                                       .store = inner->store_health,
                                       .join = join_state(inner->join.phase),
                                       .check = inner->join.check,
                                       .join_error = inner->join.error };
    for (size_t i = 0; i < inner->peers.count; i++) {
        const struct pl_peer *peer = inner->peers.table[i];
        if (peer->state != PL_PEER_ACTIVE || peer->http)
            continue;
        out->peers++;
        out->in_sync += peer->sync == PL_SYNC_IN_SYNC ? 1 : 0;
    }
}

bool parley_node_peer(const struct parley_node *node, size_t *position, struct parley_peer *out)
{
    const struct pl_peers *peers = &node->node->peers;
    if (*position >= peers->count)
        return false;
    const struct pl_peer *peer = peers->table[(*position)++];
    *out = (struct parley_peer){ .name = peer->backend_id,
                                 .address = peer->address,
                                 .note = peer->note,
                                 .state = peer_state(peer),
                                 .synced_at = peer->last_sync_at };
    return true;
}
