/* SPDX-License-Identifier: Apache-2.0
 *
 * What an old backend is asked before the first push, and what it answered: who it is, and that it
 * has us.
 *
 * GET /identity proves nothing: whoever answers at the address can say any id. So an id that has
 * proved itself here in another way is not taken from it, and what was learned once must stay.
 */
#include "node/legacy.h"

#include "core/hash.h"
#include "core/json.h"
#include "core/mp_read.h"
#include "core/mp_write.h"

#define SBT_SECONDS        (8 * 3600)
#define RANDOM_BYTES       16
#define CAPABILITIES_BYTES 1024u

/* ---- Registering ---- */

static void write_random(struct pl_node *node, struct pl_out *out, const char *name, size_t count)
{
    uint8_t bytes[2 * RANDOM_BYTES];
    PL_ASSERT(count <= sizeof bytes);
    node->env->entropy(node->env->ud, bytes, count);
    pl_out_name(out, name);
    pl_out_hex(out, bytes, count);
}

/* The old token object. Nobody there can check its signature, so it is as long as one and says
 * nothing: a real one would be a token that crosses the network in the clear. */
static void write_sbt(struct pl_node *node, const struct pl_peer *peer, struct pl_out *out)
{
    bool we_host = node->options.type == PL_BACKEND_HOSTED;
    uint64_t now = (uint64_t)node->now.wall;
    pl_out_name(out, "sbt");
    pl_out_text(out, "{");
    write_random(node, out, "sbt_id", RANDOM_BYTES);
    pl_out_field_text(out, "user_id", "parley");
    write_random(node, out, "session_id", RANDOM_BYTES);
    pl_out_field_text(out, "local_backend_id", we_host ? peer->backend_id : node->backend_id);
    pl_out_field_text(out, "hosted_backend_id", we_host ? node->backend_id : peer->backend_id);
    pl_legacy_write_time(out, "created_at", now);
    pl_legacy_write_time(out, "expires_at", now + (uint64_t)SBT_SECONDS * PARLEY_US_PER_S);
    write_random(node, out, "signature", 2 * RANDOM_BYTES);
    pl_out_text(out, "}");
}

void pl_legacy_write_registration(struct pl_node *node, const struct pl_peer *peer,
                                  struct pl_out *out)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    bool good = pl_pubkey_to_pem(pl_identity_pubkey(node->identity), pem) == PARLEY_OK;
    pl_out_text(out, "{");
    write_sbt(node, peer, out);
    pl_out_field_text(out, "peer_backend_id", node->backend_id);
    pl_out_field_text(out, "peer_public_key", good ? pem : "");
    pl_out_name(out, "peer_capabilities");
    pl_out_text(out, "[\"sync\",\"conversations\"]}");
}

/* ---- Reading answers ---- */

/* The value of a name in the object, as encoded; empty: it is not there, or given twice. */
static struct parley_span find_value(struct parley_span object, const char *wanted)
{
    struct parley_span found = { 0 };
    struct pl_reader r = pl_reader_over(object);
    uint32_t count = pl_mp_read_map(&r, UINT32_MAX);
    bool twice = false;
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, object.len);
        struct parley_span value = pl_mp_read_any(&r);
        if (!pl_span_is(name, wanted))
            continue;
        twice = twice || found.len != 0;
        found = value;
    }
    return r.err != PARLEY_OK || twice ? pl_span_of(NULL, 0) : found;
}

static struct parley_span find_text(struct parley_span object, const char *wanted, size_t max)
{
    struct pl_reader r = pl_reader_over(find_value(object, wanted));
    return pl_mp_peek(&r) == PL_MP_STR ? pl_mp_read_str(&r, max) : pl_span_of(NULL, 0);
}

/* The answer as msgpack in `mp`, which the caller frees. False: it is no JSON object. */
static bool decode_answer(const struct pl_legacy_call *call, struct pl_out *mp)
{
    struct parley_span json = pl_out_span(&call->content);
    if (pl_out_room(mp, PL_JSON_MP_BYTES_MAX(json.len)) != PARLEY_OK)
        return false;
    struct pl_writer w = pl_writer_over(mp->ptr, mp->cap);
    if (pl_json_to_mp(json, &w, NULL) != PARLEY_OK)
        return false;
    mp->len = w.len;
    struct pl_reader r = pl_reader_over(pl_out_span(mp));
    return pl_mp_peek(&r) == PL_MP_MAP;
}

bool pl_legacy_answer_field(struct pl_node *node, const struct pl_legacy_call *call,
                            const char *name, char *out, size_t cap)
{
    struct pl_out mp;
    pl_out_init(&mp, node->env, &node->buffered_bytes);
    bool object = decode_answer(call, &mp);
    struct parley_span text = { 0 };
    if (object && name != NULL)
        text = find_text(pl_out_span(&mp), name, PL_LEGACY_ANSWER_BYTES_MAX);
    size_t len = name == NULL ? 0 : pl_min_size(text.len, cap - 1);
    for (size_t i = 0; i < len; i++)
        out[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f ? (char)text.ptr[i] : '?';
    if (name != NULL)
        out[len] = '\0';
    pl_out_free(&mp);
    return object;
}

/* ---- Who it is ---- */

struct identity {
    struct parley_span id;
    struct parley_span capabilities; /* an encoded array, or empty */
    struct pl_pubkey key;
};

static PL_MUST_USE parley_err refuse(char why[PL_PEER_NOTE_BYTES_MAX], parley_err err,
                                     const char *text)
{
    pl_text_copy(why, PL_PEER_NOTE_BYTES_MAX, text);
    return err;
}

static bool is_printable(struct parley_span id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= 0x20 || id.ptr[i] >= 0x7f)
            return false;
    return id.len != 0;
}

static PL_MUST_USE parley_err read_identity(struct parley_span object, struct identity *out,
                                            char why[PL_PEER_NOTE_BYTES_MAX])
{
    struct parley_span pem = find_text(object, "public_key", PARLEY_PUBLIC_KEY_PEM_BYTES_MAX);
    out->id = find_text(object, "backend_id", PARLEY_BACKEND_ID_BYTES_MAX);
    out->capabilities = find_value(object, "capabilities");
    struct pl_reader r = pl_reader_over(out->capabilities);
    if (pl_mp_peek(&r) != PL_MP_ARRAY || out->capabilities.len > CAPABILITIES_BYTES)
        out->capabilities = pl_span_of(NULL, 0);
    if (!is_printable(out->id))
        return refuse(why, PARLEY_EMALFORMED,
                      "GET /identity: backend_id must be 1 to 64 printable characters");
    if (pl_pubkey_from_pem(pem, &out->key) != PARLEY_OK)
        return refuse(why, PARLEY_EMALFORMED,
                      "GET /identity: public_key must be PEM, RSA of 2048 to 3072 bits or P-256");
    return PARLEY_OK;
}

static bool same_key(const struct pl_pubkey *a, const struct pl_pubkey *b)
{
    return memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

/* Whether what is known here of this id allows pushes to it. `linked`: the peer of this address, if
 * it has one. */
static PL_MUST_USE parley_err check_known(const struct pl_node *node,
                                          const struct pl_legacy *legacy,
                                          const struct identity *identity,
                                          const struct pl_peer *known, const struct pl_peer *linked,
                                          char why[PL_PEER_NOTE_BYTES_MAX])
{
    if (linked != NULL && known != linked)
        return refuse(why, PARLEY_EIDENTITY,
                      "another backend answers there now; if that is meant, revoke this peer and "
                      "add the address again");
    if (pl_span_is(identity->id, node->backend_id))
        return refuse(why, PARLEY_EDENIED, "this node itself answers there");
    if (known == NULL)
        return PARLEY_OK;
    if (!same_key(&known->key, &identity->key))
        return refuse(why, PARLEY_EIDENTITY,
                      "it answers with another key than the one known of its id; if that is meant, "
                      "revoke the peer and add the address again");
    if (!known->http)
        return refuse(why, PARLEY_EDENIED, "it is a node of parley, and known here as one");
    const struct pl_legacy *other = pl_legacy_of(node, known);
    if (other != NULL && other != legacy)
        return refuse(why, PARLEY_EDENIED, "the same backend is pushed to at another address");
    /* That nobody had to prove anything to be registered cannot shut out for ever: the operator,
     * who revoked it, has added its address anew. */
    bool again = known->state == PL_PEER_REVOKED && known->legacy && linked == NULL;
    if (known->state != PL_PEER_ACTIVE && !again)
        return refuse(why, PARLEY_EDENIED, "the peer of that id is not active here");
    return PARLEY_OK;
}

static void fill_extra(struct pl_peer *peer, const struct identity *identity)
{
    struct pl_writer w = pl_writer_over(peer->extra, sizeof peer->extra);
    pl_mp_write_map(&w, 2);
    pl_mp_write_text(&w, "capabilities");
    if (identity->capabilities.len != 0)
        pl_write_span(&w, identity->capabilities);
    else
        pl_mp_write_array(&w, 0);
    pl_mp_write_text(&w, "sbt");
    pl_mp_write_nil(&w);
    PL_ASSERT(w.err == PARLEY_OK);
    peer->extra_len = w.len;
}

static PL_MUST_USE parley_err link_peer(struct pl_node *node, struct pl_legacy *legacy,
                                        const struct identity *identity, struct pl_peer *peer)
{
    /* Room for the peer, and for the record of this address. */
    if (!pl_peering_has_room(node) ||
        !pl_batch_has_room(node, 3,
                           PL_PEER_RECORD_BYTES_MAX + PL_PEER_KEY_BYTES_MAX +
                               PL_LEDGER_LINE_BYTES_MAX + 2 * PL_LEGACY_URL_MAX))
        return PARLEY_EAGAIN;
    if (peer == NULL) {
        PL_TRY(pl_peers_add(&node->peers, node->env, identity->id, &peer));
        peer->key = identity->key;
        peer->http = true;
        peer->legacy = true;
        peer->registered_at = node->now.wall;
        pl_ignore(pl_peer_grant(peer, pl_span_text("main"), true), "a new peer has no grants yet");
        fill_extra(peer, identity);
    }
    peer->state = PL_PEER_ACTIVE;
    peer->admitted_at = pl_peering_stamp(node);
    pl_text_copy(peer->address, sizeof peer->address, legacy->address);
    legacy->peer_number = peer->number;
    pl_audit_event(node, PL_AUDIT_legacy_linked, "node", peer->backend_id, legacy->address);
    pl_node_trace(node, PARLEY_TRACE_LEGACY_PEER_EVENT, peer->backend_id,
                  "an old backend that is pushed to", 0);
    /* In this order: a record of an address must not name a peer that is nowhere. */
    pl_node_store_peer(node, peer);
    pl_legacy_store(node, legacy);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_legacy_take_identity(struct pl_node *node, struct pl_legacy *legacy,
                                               char why[PL_PEER_NOTE_BYTES_MAX])
{
    struct identity identity = { .capabilities = { 0 } };
    struct pl_peer *linked = pl_legacy_peer(node, legacy);
    struct pl_out mp;
    pl_out_init(&mp, node->env, &node->buffered_bytes);
    parley_err err = PARLEY_OK;
    if (!decode_answer(legacy->call, &mp))
        err = refuse(why, PARLEY_EMALFORMED, "GET /identity: the answer is no JSON object");
    if (err == PARLEY_OK)
        err = read_identity(pl_out_span(&mp), &identity, why);
    struct pl_peer *known = err == PARLEY_OK ? pl_peers_find(&node->peers, identity.id) : NULL;
    if (err == PARLEY_OK)
        err = check_known(node, legacy, &identity, known, linked, why);
    if (err == PARLEY_OK && linked == NULL) {
        err = link_peer(node, legacy, &identity, known);
        if (err != PARLEY_OK)
            pl_text_copy(why, PL_PEER_NOTE_BYTES_MAX, parley_err_text(err));
    }
    if (err == PARLEY_EIDENTITY)
        pl_audit_refusal(node, "legacy-identity", linked == NULL ? "" : linked->backend_id,
                         legacy->address);
    pl_out_free(&mp);
    return err;
}
