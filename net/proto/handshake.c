/* SPDX-License-Identifier: Apache-2.0
 *
 * What each message of the handshake means: who the peer claims to be, the proof that it is, and
 * the exchange of a join. session.c has checked that the message may come now.
 */
#include "core/hash.h"
#include "proto/msg.h"
#include "proto/session_int.h"

static void save_hello(struct hello_bytes *to, struct parley_span frame)
{
    PL_ASSERT(frame.len <= sizeof to->bytes);
    memcpy(to->bytes, frame.ptr, frame.len);
    to->len = frame.len;
}

/* In a join the nonce is a commitment to what we show later. */
static void make_nonce(struct pl_session *s, uint8_t out[PL_NONCE_BYTES])
{
    if (!s->join) {
        s->env->entropy(s->env->ud, out, PL_NONCE_BYTES);
        return;
    }
    s->env->entropy(s->env->ud, s->our_reveal, sizeof s->our_reveal);
    pl_sha256_of(pl_span_of(s->our_reveal, sizeof s->our_reveal), out);
}

/* Keeps what the peer shows; false: it is not what its nonce commits to. */
static bool take_reveal(struct pl_session *s, const uint8_t reveal[PL_REVEAL_BYTES])
{
    uint8_t nonce[PL_NONCE_BYTES];
    pl_sha256_of(pl_span_of(reveal, PL_REVEAL_BYTES), nonce);
    memcpy(s->peer_reveal, reveal, sizeof s->peer_reveal);
    return memcmp(nonce, s->peer_nonce, sizeof nonce) == 0;
}

void pl_handshake_send_hello(struct pl_session *s)
{
    struct pl_msg_hello hello = {
        .version = PL_WIRE_VERSION,
        .backend_id = s->config.backend_id,
        .incarnation = s->config.incarnation,
        .features = s->config.zip != NULL ? PL_FEATURE_ZSTD : 0,
        .join = s->config.client && s->join,
        .has_hint = !s->join,
    };
    if (hello.has_hint)
        memcpy(hello.hint, s->peer_key.fingerprint, sizeof hello.hint);
    make_nonce(s, hello.nonce);
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_HELLO);
    pl_msg_hello_encode(&hello, &w);
    save_hello(&s->our_hello, pl_session_finish_frame(s, PL_MSG_HELLO, &w));
}

static void hash_hellos(const struct pl_session *s, struct pl_sha256 *h)
{
    const struct hello_bytes *client = s->config.client ? &s->our_hello : &s->peer_hello;
    const struct hello_bytes *server = s->config.client ? &s->peer_hello : &s->our_hello;
    pl_sha256_update(h, client->bytes, client->len);
    pl_sha256_update(h, server->bytes, server->len);
}

void pl_handshake_check(const struct pl_session *s, char out[PL_CHECK_DIGITS + 1])
{
    static const char label[] = "parley check 2";
    uint8_t hash[PL_SHA256_BYTES];
    struct pl_sha256 h;
    PL_ASSERT(s->join && s->proved);
    pl_sha256_init(&h);
    pl_sha256_update(&h, label, sizeof label - 1);
    hash_hellos(s, &h);
    pl_sha256_update(&h, s->config.client ? s->our_reveal : s->peer_reveal, PL_REVEAL_BYTES);
    pl_sha256_update(&h, s->config.client ? s->peer_reveal : s->our_reveal, PL_REVEAL_BYTES);
    pl_sha256_final(&h, hash);
    uint64_t value = pl_get_be(hash, 8);
    for (size_t i = PL_CHECK_DIGITS; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    out[PL_CHECK_DIGITS] = '\0';
}

static void hash_transcript(const struct pl_session *s, bool of_client,
                            uint8_t out[PL_SHA256_BYTES])
{
    static const char label[] = "parley proof 1";
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, label, sizeof label - 1);
    pl_sha256_update(&h, of_client ? "C" : "S", 1);
    hash_hellos(s, &h);
    pl_sha256_update(&h, s->config.tls_server_key, sizeof s->config.tls_server_key);
    pl_sha256_final(&h, out);
}

/* What leads from the key that the peer holds for us to our current one: nothing in most sessions,
 * all in a join, nothing for a key that is none of ours. */
static void attach_rotations(const struct pl_session *s, struct pl_msg_proof *proof)
{
    const struct pl_key_chain *chain = s->config.chain;
    size_t from = 0;
    if (chain == NULL || (!s->join && !pl_key_chain_find(chain, s->peer_hint, &from)))
        return;
    for (; from < chain->count; from++)
        proof->rotations[proof->rotation_count++] =
            pl_span_of(chain->links[from].statement, chain->links[from].len);
}

/* The server's reveal comes with JOINED: who could see it before an invite is used up could try
 * until the digits suit. */
static bool shows_reveal(const struct pl_session *s, bool client)
{
    return s->join && client;
}

bool pl_handshake_send_proof(struct pl_session *s)
{
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    uint8_t key[PL_PUBKEY_DER_BYTES_MAX];
    size_t signature_len = 0;
    size_t key_len = 0;
    const struct pl_pubkey *first =
        s->config.chain != NULL ? &s->config.chain->first : pl_identity_pubkey(s->config.identity);
    hash_transcript(s, s->config.client, hash);
    parley_err err = pl_identity_sign(s->config.identity, hash, signature, &signature_len);
    if (err == PARLEY_OK && s->join)
        err = pl_pubkey_to_der(first, key, &key_len);
    if (err != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_CLOSING, "our own key cannot sign");
        return false;
    }
    struct pl_msg_proof proof = { .signature = pl_span_of(signature, signature_len),
                                  .key = pl_span_of(key, key_len) };
    if (shows_reveal(s, s->config.client))
        proof.reveal = pl_span_of(s->our_reveal, sizeof s->our_reveal);
    attach_rotations(s, &proof);
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_PROOF);
    pl_msg_proof_encode(&proof, &w);
    pl_session_finish_frame(s, PL_MSG_PROOF, &w);
    return true;
}

/* Nodes have RSA identities; a peer that registered another key over HTTP is no node. */
static bool check_kind(struct pl_session *s, const struct pl_pubkey *key)
{
    if (key->kind == PL_KEY_RSA)
        return true;
    pl_session_fail(s, PL_BYE_PROOF,
                    "the peer's key is not RSA, as the identity of a node must be");
    return false;
}

static bool is_expected(const struct pl_session *s)
{
    return pl_equal_ct(s->peer_key.fingerprint, s->config.expect_fingerprint, PL_FINGERPRINT_BYTES);
}

/* In a join the first key comes with the proof; the id must name it. The key that the invite names
 * is looked for along the chain: the server may have rotated since the invite was made. */
static bool adopt_key(struct pl_session *s, struct parley_span der)
{
    struct pl_pubkey key;
    if (pl_pubkey_from_der(der, &key) != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROOF, "the peer's key does not decode");
        return false;
    }
    if (!check_kind(s, &key))
        return false;
    if (!pl_backend_id_names(pl_session_peer_id(s), &key)) {
        pl_session_fail(s, PL_BYE_PROOF, "the peer's id does not belong to its key");
        return false;
    }
    s->peer_key = key;
    s->peer_rotations = 0;
    return true;
}

static void show(struct pl_session *s)
{
    memcpy(s->shown[s->shown_count++], s->peer_key.fingerprint, PL_FINGERPRINT_BYTES);
}

/* Walks from the key known so far to the current one. */
static bool follow_rotations(struct pl_session *s, const struct pl_msg_proof *proof)
{
    s->shown_count = 0;
    show(s);
    bool expected = !s->join || !s->config.client || is_expected(s);
    for (size_t i = 0; i < proof->rotation_count; i++) {
        struct pl_pubkey next;
        parley_wall at = 0;
        if (pl_rotation_check(proof->rotations[i], pl_session_peer_id(s), &s->peer_key,
                              s->peer_rotations + 1, &next, &at) != PARLEY_OK) {
            pl_session_fail(s, PL_BYE_PROOF, "a rotation of the peer's key does not verify");
            return false;
        }
        s->peer_previous = s->peer_key;
        s->peer_key = next;
        s->peer_rotations++;
        s->peer_rotated_at = at;
        s->learned = true;
        show(s);
        expected = expected || is_expected(s);
    }
    if (!expected)
        pl_session_fail(s, PL_BYE_PROOF, "the server's key is not the one in the invite");
    return expected;
}

/* By the key that is known, or, for a while, by the one before it: a node that was restored from a
 * backup of before its rotation has nothing else. */
static bool is_signed(const struct pl_session *s, struct parley_span signature)
{
    uint8_t hash[PL_SHA256_BYTES];
    hash_transcript(s, !s->config.client, hash);
    if (pl_pubkey_verify(&s->peer_key, hash, signature) == PARLEY_OK)
        return true;
    return !s->learned && s->has_previous &&
           pl_pubkey_verify(&s->peer_previous, hash, signature) == PARLEY_OK;
}

/* ---- The handshake, message by message ---- */

static void take_hello(struct pl_session *s, const struct pl_frame *frame)
{
    struct pl_msg_hello hello;
    parley_err err = pl_msg_hello_decode(frame->body, &hello);
    if (err == PARLEY_EVERSION) {
        pl_session_fail(s, PL_BYE_VERSION, "the peer speaks another version");
        return;
    }
    if (err != PARLEY_OK || (s->config.client && hello.join)) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's HELLO is malformed");
        return;
    }
    /* In a join no key is known yet, without one each side says which it holds. */
    if (hello.has_hint == (s->config.client ? s->join : hello.join)) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's HELLO must name a key outside of a join");
        return;
    }
    if (pl_span_equal(hello.backend_id, s->config.backend_id)) {
        pl_session_fail(s, PL_BYE_SELF, "the peer names our own backend id");
        return;
    }
    if (s->config.client && s->config.expect_backend_id.len != 0 &&
        !pl_span_equal(hello.backend_id, s->config.expect_backend_id)) {
        pl_session_fail(s, PL_BYE_PROOF, "the server is not the backend that was dialed");
        return;
    }
    memcpy(s->peer_id, hello.backend_id.ptr, hello.backend_id.len);
    s->peer_id_len = hello.backend_id.len;
    s->peer_incarnation = hello.incarnation;
    s->packs = s->config.zip != NULL && (hello.features & PL_FEATURE_ZSTD) != 0;
    memcpy(s->peer_hint, hello.hint, sizeof s->peer_hint);
    memcpy(s->peer_nonce, hello.nonce, sizeof s->peer_nonce);
    save_hello(&s->peer_hello, frame->bytes);
    if (s->config.client) {
        pl_session_move(s, STATE_PROOF);
        return;
    }
    s->join = hello.join;
    pl_session_move(s, STATE_PEER);
    pl_session_raise(s, PL_SESSION_PEER);
}

/* The peer is who it says; the client answers with its own proof. */
static void accept_proof(struct pl_session *s)
{
    s->proved = true;
    if (s->config.client && !pl_handshake_send_proof(s))
        return;
    if (!s->join) {
        pl_session_move(s, STATE_OPEN);
        pl_session_raise(s, PL_SESSION_OPEN);
        return;
    }
    if (!s->config.client) {
        pl_session_move(s, STATE_JOIN);
        return;
    }
    struct pl_msg_join join;
    memcpy(join.secret, s->config.join_secret, sizeof join.secret);
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_JOIN);
    pl_msg_join_encode(&join, &w);
    pl_session_finish_frame(s, PL_MSG_JOIN, &w);
    pl_wipe(&join, sizeof join);
    pl_session_move(s, STATE_JOINED);
}

static void take_proof(struct pl_session *s, struct parley_span body)
{
    struct pl_msg_proof proof;
    if (pl_msg_proof_decode(body, &proof) != PARLEY_OK || (proof.key.len != 0) != s->join ||
        (proof.reveal.len != 0) != shows_reveal(s, !s->config.client)) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's PROOF is malformed");
        return;
    }
    if (s->join ? !adopt_key(s, proof.key) : !check_kind(s, &s->peer_key))
        return;
    if (!follow_rotations(s, &proof))
        return;
    if (!is_signed(s, proof.signature)) {
        pl_session_fail(s, PL_BYE_PROOF, "the peer's signature does not verify");
        return;
    }
    if (proof.reveal.len != 0 && !take_reveal(s, proof.reveal.ptr)) {
        pl_session_fail(s, PL_BYE_PROOF, "the client's reveal is not that of its nonce");
        return;
    }
    accept_proof(s);
}

static void take_join(struct pl_session *s, struct parley_span body)
{
    struct pl_msg_join join;
    if (pl_msg_join_decode(body, &join) != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's JOIN is malformed");
        return;
    }
    memcpy(s->join_secret, join.secret, sizeof s->join_secret);
    pl_wipe(&join, sizeof join);
    pl_wipe(s->recv + (body.ptr - s->recv), body.len);
    pl_session_move(s, STATE_INVITE);
    pl_session_raise(s, PL_SESSION_JOIN);
}

static void take_joined(struct pl_session *s, struct parley_span body)
{
    struct pl_msg_joined joined;
    if (pl_msg_joined_decode(body, &joined) != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's JOINED is malformed");
        return;
    }
    if (!take_reveal(s, joined.reveal)) {
        pl_session_fail(s, PL_BYE_PROOF, "the server's reveal is not that of its nonce");
        return;
    }
    memcpy(s->name_space, joined.name_space.ptr, joined.name_space.len);
    s->name_space_len = joined.name_space.len;
    s->may_write = joined.may_write;
    pl_session_move(s, STATE_STORE);
    pl_session_raise(s, PL_SESSION_JOINED);
}

static void take_join_done(struct pl_session *s, struct parley_span body)
{
    if (pl_msg_join_done_decode(body) != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the peer's JOIN_DONE is malformed");
        return;
    }
    pl_session_move(s, STATE_OPEN);
    pl_session_raise(s, PL_SESSION_OPEN);
}

void pl_handshake_take(struct pl_session *s, const struct pl_frame *frame)
{
    switch (frame->type) {
    case PL_MSG_HELLO:
        take_hello(s, frame);
        return;
    case PL_MSG_PROOF:
        take_proof(s, frame->body);
        return;
    case PL_MSG_JOIN:
        take_join(s, frame->body);
        return;
    case PL_MSG_JOINED:
        take_joined(s, frame->body);
        return;
    case PL_MSG_JOIN_DONE:
        take_join_done(s, frame->body);
        return;
    case PL_MSG_NONE:
    case PL_MSG_STATE:
    case PL_MSG_CHANGES:
    case PL_MSG_ACK:
    case PL_MSG_OFFER:
    case PL_MSG_WANT:
    case PL_MSG_PART:
    case PL_MSG_QUERY:
    case PL_MSG_ANSWER:
    case PL_MSG_TALLY:
    case PL_MSG_DIFF:
    case PL_MSG_PACKED:
    case PL_MSG_BYE:
        break;
    }
    parley_panic(__FILE__, __LINE__, "not a message of the handshake");
}
