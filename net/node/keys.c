/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of identity keys: the rotation of our own, and what is learned of those of peers.
 *
 *   NONE, DONE, FAILED --pl_node_rotate--> MAKING --pl_node_key_made--> WAITING --put--> STORING
 *   STORING --pl_keys_committed--> DONE            MAKING, WAITING, STORING --fail--> FAILED
 *
 * K1  The sealed new key and the chain with its statement are written in one batch, so a crash at
 *     any moment leaves a store whose key and chain belong together, old or new.
 * K2  Nothing is signed with the new key, but for its statement, before that batch is durable.
 * K3  From then on nothing is signed with the old one. Sessions that have not proved themselves yet
 *     go on with the new key; those that have are closed, so that peers connect again and learn it
 *     at once; joins begin anew, because their proof may be made with the old one already.
 * K4  A commit of unknown outcome is looked up in the store.
 */
#include "node/node_int.h"

/* For the log of the program; `peer` is empty for our own. */
static void record_change(struct pl_node *node, const char *peer, const char *note, uint64_t number)
{
    pl_node_trace(node, PARLEY_TRACE_KEY_ROTATED_EVENT, peer, note, number);
}

/* ---- Loading ---- */

static bool is_first_key(const struct pl_node *node, const struct pl_pubkey *key)
{
    char expected[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(node->options.type, key, expected);
    return strcmp(expected, node->backend_id) == 0;
}

static bool is_same_key(const struct pl_pubkey *a, const struct pl_pubkey *b)
{
    return memcmp(a->fingerprint, b->fingerprint, PL_FINGERPRINT_BYTES) == 0;
}

parley_err pl_keys_load(struct pl_node *node, struct parley_read *read)
{
    const struct pl_pubkey *ours = pl_identity_pubkey(node->identity);
    struct parley_span record;
    bool found = false;
    PL_TRY(parley_read_sys(read, pl_span_text(PL_CHAIN_RECORD_KEY), &record, &found));
    struct pl_pubkey first = *ours;
    if (found)
        PL_TRY(pl_key_chain_first(record, &first));
    /* A new store: of a new identity, or of one that was imported with its rotations. */
    if (node->backend_id[0] == '\0')
        pl_backend_id_make(node->options.type, &first, node->backend_id);
    if (found)
        PL_TRY(pl_key_chain_decode(record, pl_span_text(node->backend_id), &node->chain));
    else
        pl_key_chain_init(&node->chain, ours);

    bool belongs = is_first_key(node, &node->chain.first) &&
                   is_same_key(pl_key_chain_current(&node->chain), ours);
    return belongs ? PARLEY_OK : PARLEY_EIDENTITY;
}

/* ---- Our own key ---- */

static void drop_next(struct pl_node *node)
{
    pl_identity_destroy(node->rotate.next);
    node->rotate.next = NULL;
}

static void fail(struct pl_node *node, const char *why)
{
    drop_next(node);
    node->rotate.phase = PL_ROTATE_FAILED;
    pl_text_copy(node->rotate.error, sizeof node->rotate.error, why);
    pl_node_trace(node, PARLEY_TRACE_KEY_FAILED_EVENT, "", why, 0);
}

static bool is_under_way(const struct pl_rotate *rotate)
{
    return rotate->phase == PL_ROTATE_MAKING || rotate->phase == PL_ROTATE_WAITING ||
           rotate->phase == PL_ROTATE_STORING;
}

parley_err pl_node_rotate(struct pl_node *node, unsigned bits, struct parley_now now)
{
    node->now = now;
    if (bits == 0)
        bits = 8 * (unsigned)pl_identity_pubkey(node->identity)->modulus_len > PL_RSA_BITS_DEFAULT
                   ? PL_RSA_BITS_MAX
                   : PL_RSA_BITS_DEFAULT;
    if (bits != PL_RSA_BITS_DEFAULT && bits != PL_RSA_BITS_MAX)
        return PARLEY_EINVAL;
    if (is_under_way(&node->rotate))
        return PARLEY_EBUSY;
    if (node->chain.count == PL_ROTATIONS_MAX)
        return PARLEY_EFULL;
    if (node->stopping)
        return PARLEY_ECLOSING;
    PL_TRY(node->store_health);
    node->rotate = (struct pl_rotate){ .phase = PL_ROTATE_MAKING };
    pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_NEW_KEY, .bits = bits });
    return PARLEY_OK;
}

/* Appends the statement to a chain that the caller may throw away. */
static parley_err extend(struct pl_node *node, struct pl_key_chain *chain, parley_wall at)
{
    uint8_t statement[PL_ROTATION_BYTES_MAX];
    size_t len = 0;
    struct parley_span id = pl_span_text(node->backend_id);
    PL_TRY(pl_rotation_make(node->identity, node->rotate.next, id, at, (uint32_t)chain->count + 1,
                            statement, &len));
    return pl_key_chain_append(chain, id, pl_span_of(statement, len));
}

/* Puts key and chain into the batch, if it has room now. */
static void put(struct pl_node *node)
{
    struct pl_rotate *rotate = &node->rotate;
    uint8_t bytes[PL_CHAIN_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_key_chain_encode(&node->chain, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    size_t room = rotate->record_len + w.len + PL_ROTATION_BYTES_MAX + 64;
    if (!pl_audit_has_room(node) || !pl_batch_has_room(node, 2, room)) {
        pl_batch_commit_soon(node);
        return;
    }
    parley_err err = extend(node, &node->chain, node->now.wall);
    if (err != PARLEY_OK) {
        fail(node, parley_err_text(err));
        return;
    }
    w = pl_writer_over(bytes, sizeof bytes);
    pl_key_chain_encode(&node->chain, &w);
    /* Memory shows the new key only once it is durable (K2). */
    node->chain.count--;
    rotate->phase = PL_ROTATE_STORING;
    rotate->serial = pl_batch_serial(node);
    pl_audit_event(node, PL_AUDIT_key_rotated, "operator", node->backend_id, "");
    /* K1: pl_batch_add_sys sends the batch off when it can, so the first of the two must not. */
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_SYS_PUT, 0);
    write->u.sys.key = pl_batch_copy(node, pl_span_text(PL_IDENTITY_RECORD_KEY));
    write->u.sys.value = pl_batch_copy(node, pl_span_of(rotate->record, rotate->record_len));
    pl_batch_add_sys(node, pl_span_text(PL_CHAIN_RECORD_KEY), pl_writer_span(&w));
}

void pl_node_key_made(struct pl_node *node, struct pl_identity *identity, struct parley_span record,
                      parley_err err, struct parley_now now)
{
    struct pl_rotate *rotate = &node->rotate;
    PL_ASSERT(rotate->phase == PL_ROTATE_MAKING);
    PL_ASSERT(record.len <= sizeof rotate->record);
    node->now = now;
    rotate->next = identity;
    if (err != PARLEY_OK || identity == NULL) {
        fail(node, err == PARLEY_ESEALED
                       ? "this node does not know the secret that seals its key, because it was "
                         "started with BACKEND_PRIVATE_KEY; start it without"
                       : parley_err_text(err));
        return;
    }
    if (node->stopping) {
        fail(node, "the node is stopping");
        return;
    }
    if (record.len != 0)
        memcpy(rotate->record, record.ptr, record.len);
    rotate->record_len = record.len;
    rotate->phase = PL_ROTATE_WAITING;
    put(node);
    pl_node_read_done(node);
}

/* ---- The switch ---- */

/* K3. A TLS handshake under way ends with the old certificate, of which it has a copy. */
static void switch_conn(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->closing || conn->kind != PL_CONN_NATIVE)
        return;
    if (!pl_session_set_identity(conn->session, node->identity))
        pl_session_close(conn->session, PL_BYE_REKEYED);
}

static void use_next(struct pl_node *node)
{
    struct pl_identity *old = node->identity;
    node->identity = node->rotate.next;
    node->rotate.next = NULL;
    node->rotate.phase = PL_ROTATE_DONE;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        switch_conn(node, pl_slab_find(&node->conns, h));
    pl_identity_destroy(old);
    pl_ignore(pl_credential_renew(node), "the old certificate is as good to peers; it waits");
    record_change(node, "", "our key was rotated", node->chain.count);
}

/* K4: whether the store holds the chain that ends in the new key. */
static bool is_stored(struct pl_node *node)
{
    uint8_t bytes[PL_CHAIN_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    struct parley_span record;
    bool found = false;
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL ||
        parley_read_sys(read, pl_span_text(PL_CHAIN_RECORD_KEY), &record, &found) != PARLEY_OK)
        return false;
    node->chain.count++;
    pl_key_chain_encode(&node->chain, &w);
    node->chain.count--;
    PL_ASSERT(w.err == PARLEY_OK);
    return found && pl_span_equal(record, pl_writer_span(&w));
}

void pl_keys_committed(struct pl_node *node, parley_err err)
{
    const struct pl_rotate *rotate = &node->rotate;
    uint64_t serial = node->batches[1 - node->filling].serial;
    if (rotate->phase == PL_ROTATE_WAITING) {
        put(node);
        return;
    }
    if (rotate->phase != PL_ROTATE_STORING || rotate->serial != serial)
        return;
    if (err == PARLEY_OK || is_stored(node)) {
        node->chain.count++; /* put() has left the link behind the end */
        use_next(node);
    } else {
        fail(node, parley_err_text(err));
    }
}

/* ---- Keys of peers ---- */

bool pl_keys_learn(struct pl_node *node, struct pl_peer *peer, const struct pl_session_event *event)
{
    bool is_new = !pl_peer_has_key(peer);
    /* Of two sessions the one that began earlier may end later: never back. */
    if (!is_new && event->rotations <= peer->rotations)
        return false;
    peer->key = *event->peer_key;
    peer->rotations = event->rotations;
    peer->has_previous = event->previous != NULL;
    if (peer->has_previous) {
        peer->previous = *event->previous;
        /* A time from the future would honour the old key for longer. */
        peer->rotated_at = event->rotated_at < node->now.wall ? event->rotated_at : node->now.wall;
    }
    if (is_new)
        return true;
    pl_credential_forget(node, peer);
    pl_audit_event(node, PL_AUDIT_peer_key_rotated, peer->backend_id, peer->backend_id, "");
    record_change(node, peer->backend_id, "the peer's key was rotated", peer->rotations);
    return true;
}
