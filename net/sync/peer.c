/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer table and its records. A record is a msgpack array; new fields go to its end, so that an
 * older record still reads.
 */
#include "sync/peer.h"

#include "core/mp_read.h"
#include "core/mp_write.h"
#include "trust/rotation.h"

#define PEER_RECORD_VERSION 1
#define PEER_FIELDS         21
#define PEER_FIELDS_OLDEST  18 /* of records before floors */
#define PEER_PREFIX         "peer/"
/* Before there were filters a grant had two. */
#define GRANT_FIELDS     6
#define GRANT_FIELDS_OLD 2

static void copy_text(char *out, size_t cap, struct parley_span text)
{
    PL_ASSERT(text.len < cap);
    if (text.len != 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static void read_text(struct pl_reader *r, char *out, size_t cap)
{
    struct parley_span text = pl_mp_read_str(r, cap - 1);
    copy_text(out, cap, text);
}

const char *pl_peer_state_name(enum pl_peer_state state)
{
    switch (state) {
    case PL_PEER_PENDING:
        return "pending";
    case PL_PEER_JOINING:
        return "joining";
    case PL_PEER_ACTIVE:
        return "active";
    case PL_PEER_REVOKED:
        return "revoked";
    }
    return "unknown";
}

const char *pl_sync_state_name(enum pl_sync_state state)
{
    switch (state) {
    case PL_SYNC_OFFLINE:
        return "offline";
    case PL_SYNC_CATCHING_UP:
        return "catching up";
    case PL_SYNC_IN_SYNC:
        return "in sync";
    case PL_SYNC_REFUSED:
        return "refused";
    }
    return "unknown";
}

static void write_key(struct pl_writer *out, const struct pl_pubkey *key)
{
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len = 0;
    parley_err err = pl_pubkey_to_der(key, der, &len);
    PL_ASSERT(err == PARLEY_OK);
    pl_mp_write_bin(out, pl_span_of(der, len));
}

void pl_peer_encode(const struct pl_peer *peer, struct pl_writer *out)
{
    pl_mp_write_array(out, PEER_FIELDS);
    pl_mp_write_uint(out, PEER_RECORD_VERSION);
    pl_mp_write_uint(out, peer->number);
    pl_mp_write_text(out, peer->backend_id);
    write_key(out, &peer->key);
    pl_mp_write_uint(out, (uint64_t)peer->state);
    pl_mp_write_uint(out, (uint64_t)(peer->http ? 1 : 0) + (peer->legacy ? 2 : 0));
    pl_mp_write_text(out, peer->address);
    pl_mp_write_array(out, (uint32_t)peer->grant_count);
    for (size_t i = 0; i < peer->grant_count; i++) {
        const struct pl_grant *grant = &peer->grants[i];
        pl_mp_write_array(out, GRANT_FIELDS);
        pl_mp_write_text(out, grant->name_space);
        pl_mp_write_bool(out, grant->may_write);
        pl_mp_write_text(out, grant->filter.prefix);
        pl_mp_write_uint(out, grant->filter.max_age);
        pl_mp_write_text(out, grant->asked);
        pl_mp_write_int(out, grant->asked_at);
    }
    pl_mp_write_int(out, peer->registered_at);
    pl_mp_write_int(out, peer->last_sync_at);
    pl_mp_write_bin(out, pl_span_of(peer->incarnation.bytes, sizeof peer->incarnation.bytes));
    pl_mp_write_uint(out, peer->incarnation_seq);
    pl_mp_write_bin(out, pl_span_of(peer->extra, peer->extra_len));
    pl_mp_write_int(out, peer->admitted_at);
    pl_mp_write_int(out, peer->revoked_at);
    if (peer->has_previous)
        write_key(out, &peer->previous);
    else
        pl_mp_write_nil(out);
    pl_mp_write_int(out, peer->rotated_at);
    pl_mp_write_uint(out, peer->rotations);
    pl_mp_write_uint(out, peer->acked_stored);
    pl_mp_write_bin(out, pl_span_of(peer->synced_life.bytes, sizeof peer->synced_life.bytes));
    pl_mp_write_array(out, (uint32_t)peer->grant_count);
    for (size_t i = 0; i < peer->grant_count; i++)
        pl_mp_write_int(out, peer->synced_at[i]);
}

static void decode_grant(struct pl_reader *r, struct pl_grant *grant)
{
    uint32_t fields = pl_mp_read_array(r, GRANT_FIELDS);
    read_text(r, grant->name_space, sizeof grant->name_space);
    grant->may_write = pl_mp_read_bool(r);
    if (fields == GRANT_FIELDS_OLD)
        return;
    struct parley_span prefix = pl_mp_read_str(r, PARLEY_ID_BYTES_MAX);
    uint64_t max_age = pl_mp_read_uint(r);
    read_text(r, grant->asked, sizeof grant->asked);
    grant->asked_at = pl_mp_read_int(r);
    bool good =
        r->err != PARLEY_OK ||
        (fields == GRANT_FIELDS && pl_filter_set(&grant->filter, prefix, max_age) == PARLEY_OK);
    if (!good)
        pl_reader_fail(r, PARLEY_EMALFORMED);
}

static void decode_grants(struct pl_reader *r, struct pl_peer *peer)
{
    uint32_t count = pl_mp_read_array(r, PL_PEER_GRANTS_MAX);
    for (uint32_t i = 0; i < count && r->err == PARLEY_OK; i++)
        decode_grant(r, &peer->grants[i]);
    peer->grant_count = count;
}

/* Elements 15 to 17. */
static parley_err decode_rotation(struct pl_reader *r, struct pl_peer *peer)
{
    peer->has_previous = pl_mp_peek(r) != PL_MP_NIL;
    struct parley_span der = { 0 };
    if (peer->has_previous)
        der = pl_mp_read_bin(r, PL_PUBKEY_DER_BYTES_MAX);
    else
        pl_mp_read_nil(r);
    peer->rotated_at = pl_mp_read_int(r);
    uint64_t rotations = pl_mp_read_uint(r);
    if (r->err != PARLEY_OK || rotations > UINT32_MAX)
        return PARLEY_ECORRUPT;
    peer->rotations = (uint32_t)rotations;
    return peer->has_previous ? pl_pubkey_from_der(der, &peer->previous) : PARLEY_OK;
}

/* Elements 18 to 20. */
static parley_err decode_synced(struct pl_reader *r, struct pl_peer *peer)
{
    peer->acked_stored = pl_mp_read_uint(r);
    struct parley_span life = pl_mp_read_bin(r, PARLEY_INCARNATION_BYTES);
    uint32_t count = pl_mp_read_array(r, PL_PEER_GRANTS_MAX);
    if (r->err != PARLEY_OK || life.len != PARLEY_INCARNATION_BYTES || count != peer->grant_count)
        return PARLEY_ECORRUPT;
    memcpy(peer->synced_life.bytes, life.ptr, life.len);
    for (uint32_t i = 0; i < count; i++)
        peer->synced_at[i] = pl_mp_read_int(r);
    return r->err == PARLEY_OK ? PARLEY_OK : PARLEY_ECORRUPT;
}

parley_err pl_peer_decode(struct parley_span record, struct pl_peer *out)
{
    struct pl_reader r = pl_reader_over(record);
    *out = (struct pl_peer){ 0 };
    uint32_t fields = pl_mp_read_array(&r, 64);
    uint64_t version = pl_mp_read_uint(&r);
    if (r.err == PARLEY_OK && (fields < PEER_FIELDS_OLDEST || version != PEER_RECORD_VERSION))
        return PARLEY_ECORRUPT;
    uint64_t number = pl_mp_read_uint(&r);
    read_text(&r, out->backend_id, sizeof out->backend_id);
    struct parley_span der = pl_mp_read_bin(&r, PL_PUBKEY_DER_BYTES_MAX);
    uint64_t state = pl_mp_read_uint(&r);
    uint64_t way = pl_mp_read_uint(&r);
    read_text(&r, out->address, sizeof out->address);
    decode_grants(&r, out);
    out->registered_at = pl_mp_read_int(&r);
    out->last_sync_at = pl_mp_read_int(&r);
    struct parley_span incarnation = pl_mp_read_bin(&r, PARLEY_INCARNATION_BYTES);
    out->incarnation_seq = pl_mp_read_uint(&r);
    struct parley_span extra = pl_mp_read_bin(&r, sizeof out->extra);
    out->admitted_at = pl_mp_read_int(&r);
    out->revoked_at = pl_mp_read_int(&r);
    bool valid = r.err == PARLEY_OK && number > 0 && number <= UINT32_MAX &&
                 incarnation.len == PARLEY_INCARNATION_BYTES && state >= PL_PEER_PENDING &&
                 state <= PL_PEER_REVOKED && way <= 3;
    if (!valid || pl_pubkey_from_der(der, &out->key) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    if (decode_rotation(&r, out) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    if (fields >= PEER_FIELDS && decode_synced(&r, out) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    out->number = (uint32_t)number;
    out->state = (enum pl_peer_state)state;
    out->http = (way & 1) != 0;
    out->legacy = (way & 2) != 0;
    memcpy(out->incarnation.bytes, incarnation.ptr, PARLEY_INCARNATION_BYTES);
    if (extra.len != 0)
        memcpy(out->extra, extra.ptr, extra.len);
    out->extra_len = extra.len;
    return PARLEY_OK;
}

struct parley_span pl_peer_key(const struct pl_peer *peer, char out[PL_PEER_KEY_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, PL_PEER_KEY_BYTES_MAX);
    pl_write_text(&w, PEER_PREFIX);
    pl_write_text(&w, peer->backend_id);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

parley_err pl_peer_reload(struct pl_peer *peer, struct parley_span record)
{
    struct pl_peer stored;
    PL_TRY(pl_peer_decode(record, &stored));
    memcpy(peer, &stored, offsetof(struct pl_peer, sync));
    return PARLEY_OK;
}

static parley_err insert_peer(struct pl_peers *peers, const struct parley_env *env,
                              struct pl_peer **out)
{
    if (peers->count == PARLEY_PEERS_MAX)
        return PARLEY_EFULL;
    struct pl_peer *peer = env->alloc(env->ud, sizeof *peer);
    if (peer == NULL)
        return PARLEY_ENOMEM;
    *peer = (struct pl_peer){ 0 };
    peers->table[peers->count++] = peer;
    *out = peer;
    return PARLEY_OK;
}

parley_err pl_peers_load(struct pl_peers *peers, const struct parley_env *env,
                         struct parley_read *read)
{
    *peers = (struct pl_peers){ .next_number = 1 };
    struct parley_span prefix = pl_span_text(PEER_PREFIX);
    struct parley_span after = prefix;
    for (;;) {
        struct parley_span key;
        struct parley_span value;
        bool found = false;
        PL_TRY(parley_read_sys_after(read, prefix, after, &key, &value, &found));
        if (!found)
            return PARLEY_OK;
        struct pl_peer *peer = NULL;
        PL_TRY(insert_peer(peers, env, &peer));
        PL_TRY(pl_peer_decode(value, peer));
        if (peer->number >= peers->next_number)
            peers->next_number = peer->number + 1;
        after = key;
    }
}

void pl_peers_free(struct pl_peers *peers, const struct parley_env *env)
{
    for (size_t i = 0; i < peers->count; i++) {
        pl_tls_session_forget(&peers->table[i]->tls_session);
        env->release(env->ud, peers->table[i], sizeof *peers->table[i]);
    }
    *peers = (struct pl_peers){ 0 };
}

void pl_peers_remove(struct pl_peers *peers, const struct parley_env *env, struct pl_peer *peer)
{
    size_t i = 0;
    while (peers->table[i] != peer)
        i++;
    peers->count--;
    memmove(&peers->table[i], &peers->table[i + 1], (peers->count - i) * sizeof(struct pl_peer *));
    env->release(env->ud, peer, sizeof *peer);
}

struct pl_peer *pl_peers_find(struct pl_peers *peers, struct parley_span backend_id)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (pl_span_is(backend_id, peers->table[i]->backend_id))
            return peers->table[i];
    }
    return NULL;
}

struct pl_peer *pl_peers_find_number(struct pl_peers *peers, uint32_t number)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (peers->table[i]->number == number)
            return peers->table[i];
    }
    return NULL;
}

static bool holds_key(const struct pl_peer *peer, const struct pl_pubkey *key)
{
    bool now = memcmp(peer->key.fingerprint, key->fingerprint, PL_FINGERPRINT_BYTES) == 0;
    bool before = peer->has_previous &&
                  memcmp(peer->previous.fingerprint, key->fingerprint, PL_FINGERPRINT_BYTES) == 0;
    return !peer->legacy && (now || before);
}

struct pl_peer *pl_peers_find_key(struct pl_peers *peers, const struct pl_pubkey *key,
                                  struct parley_span but)
{
    struct pl_peer *found = NULL;
    for (size_t i = 0; i < peers->count; i++) {
        struct pl_peer *peer = peers->table[i];
        if (pl_span_is(but, peer->backend_id) || !holds_key(peer, key))
            continue;
        if (peer->state != PL_PEER_REVOKED)
            return peer;
        if (found == NULL || peer->revoked_at > found->revoked_at)
            found = peer;
    }
    return found;
}

parley_err pl_peers_add(struct pl_peers *peers, const struct parley_env *env,
                        struct parley_span backend_id, struct pl_peer **out)
{
    if (backend_id.len == 0 || backend_id.len > PARLEY_BACKEND_ID_BYTES_MAX)
        return PARLEY_ETOOBIG;
    struct pl_peer *peer = NULL;
    PL_TRY(insert_peer(peers, env, &peer));
    peer->number = peers->next_number++;
    copy_text(peer->backend_id, sizeof peer->backend_id, backend_id);
    peer->state = PL_PEER_PENDING;
    *out = peer;
    return PARLEY_OK;
}

const struct pl_grant *pl_peer_granted(const struct pl_peer *peer, struct parley_span name_space)
{
    for (size_t i = 0; i < peer->grant_count; i++) {
        if (pl_span_is(name_space, peer->grants[i].name_space))
            return &peer->grants[i];
    }
    return NULL;
}

parley_err pl_peer_grant(struct pl_peer *peer, struct parley_span name_space, bool may_write)
{
    if (name_space.len == 0 || name_space.len > PARLEY_NAMESPACE_BYTES_MAX)
        return PARLEY_ETOOBIG;
    for (size_t i = 0; i < peer->grant_count; i++) {
        if (pl_span_is(name_space, peer->grants[i].name_space)) {
            peer->grants[i].may_write = may_write;
            return PARLEY_OK;
        }
    }
    if (peer->grant_count == PL_PEER_GRANTS_MAX)
        return PARLEY_EFULL;
    peer->synced_at[peer->grant_count] = 0;
    struct pl_grant *grant = &peer->grants[peer->grant_count++];
    *grant = (struct pl_grant){ 0 };
    copy_text(grant->name_space, sizeof grant->name_space, name_space);
    grant->may_write = may_write;
    return PARLEY_OK;
}

bool pl_peer_set_filter(struct pl_peer *peer, struct parley_span name_space,
                        const struct pl_filter *filter)
{
    for (size_t i = 0; i < peer->grant_count; i++) {
        struct pl_grant *grant = &peer->grants[i];
        if (!pl_span_is(name_space, grant->name_space) || pl_filter_equal(&grant->filter, filter))
            continue;
        grant->filter = *filter;
        return true;
    }
    return false;
}

bool pl_peer_may_write(const struct pl_peer *peer, const struct parley_version *version)
{
    const struct pl_grant *grant = pl_peer_granted(peer, version->name_space);
    return grant != NULL && grant->may_write &&
           pl_span_has_prefix(version->conversation, pl_span_text(grant->filter.prefix));
}

const struct pl_pubkey *pl_peer_previous_key(const struct pl_peer *peer, parley_wall now)
{
    bool honoured = peer->has_previous && now <= peer->rotated_at + PL_ROTATION_GRACE_US;
    return honoured ? &peer->previous : NULL;
}

void pl_peer_note_root(struct pl_peer *peer, size_t grant, const struct parley_root *root,
                       bool equal, parley_wall now)
{
    struct pl_peer_root *noted = &peer->roots[grant];
    if (noted->named != (root != NULL) || noted->equal != equal)
        noted->since = now;
    noted->named = root != NULL;
    noted->equal = equal;
    if (root != NULL)
        noted->root = *root;
}

void pl_peer_set_note(struct pl_peer *peer, const char *note)
{
    pl_text_copy(peer->note, sizeof peer->note, note);
}
