/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/talk.h"

#include "lib/keys.h"
#include "lib/more_keys.h"

#include "core/hash.h"
#include "core/mp_write.h"

#include <bearssl.h>

/* ---- The node ---- */

static struct pl_peer *add_peer(struct rig *r, enum who who, enum pl_peer_state state)
{
    struct pl_node *node = r->c.node;
    struct pl_peer *peer = NULL;
    assert_ok(pl_peers_add(&node->peers, &r->env.t.env, pl_span_text(r->names[who]), &peer));
    peer->key = *pl_identity_pubkey(r->ids[who]);
    peer->state = state;
    peer->registered_at = r->c.now.wall;
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), true));
    pl_node_store_peer(node, peer);
    node_client_settle(&r->c);
    return peer;
}

static void add_invite(struct rig *r, parley_wall expires, uint8_t secret[PL_INVITE_SECRET_BYTES])
{
    char url[512];
    struct pl_join join;
    assert_ok(
        pl_node_invite(r->c.node, pl_span_text("main"), true, expires, url, sizeof url, r->c.now));
    node_client_settle(&r->c);
    assert_ok(pl_invite_parse(pl_span_text(url), &join, NULL));
    memcpy(secret, join.secret, PL_INVITE_SECRET_BYTES);
}

void rig_open(struct rig *r)
{
    static const char *const pems[WHO_COUNT] = { TEST_KEY_B_PKCS1, TEST_NEXT_KEY_1, TEST_NEXT_KEY_2,
                                                 TEST_NEXT_KEY_3,  TEST_NEXT_KEY_4, TEST_NEXT_KEY_5,
                                                 TEST_NEXT_KEY_6 };
    env_mem_init(&r->env);
    node_client_open(&r->c, &r->env, "a", TEST_KEY_A_PKCS8, false);
    for (int i = 0; i < WHO_COUNT; i++) {
        assert_ok(pl_identity_import(&r->env.t.env, pl_span_text(pems[i]), &r->ids[i], NULL));
        pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(r->ids[i]), r->names[i]);
    }
    add_peer(r, PEER, PL_PEER_ACTIVE);
    add_peer(r, OTHER, PL_PEER_ACTIVE);
    add_peer(r, PENDING, PL_PEER_PENDING);
    add_peer(r, LEGACY, PL_PEER_ACTIVE)->legacy = true;
    add_invite(r, r->c.now.wall + HOUR_US, r->old);
    assert_ok(pl_peering_revoke(r->c.node, add_peer(r, REVOKED, PL_PEER_ACTIVE)));
    node_client_settle(&r->c);
    add_invite(r, r->c.now.wall + HOUR_US, r->used);
    memcpy(r->c.node->invites[1].used_by, r->names[OTHER], sizeof r->names[OTHER]);
    add_invite(r, r->c.now.wall, r->expired);
    add_invite(r, r->c.now.wall + HOUR_US, r->open);
}

void rig_close(struct rig *r)
{
    for (int i = 0; i < WHO_COUNT; i++)
        pl_identity_destroy(r->ids[i]);
    node_client_close(&r->c);
    env_mem_deinit(&r->env);
}

/* ---- Talking ---- */

void talk_set_id(struct talk *t, const char *id)
{
    size_t len = strlen(id);
    assert_in_range(len, 0, sizeof t->id - 1);
    memmove(t->id, id, len + 1);
    t->hello.backend_id = pl_span_of(t->id, len);
}

void talk_be(struct talk *t, enum who who)
{
    size_t len = 0;
    talk_set_id(t, t->rig->names[who]);
    t->signer = t->rig->ids[who];
    t->proof.key = pl_span_of(NULL, 0);
    if (!t->join)
        return;
    assert_ok(pl_pubkey_to_der(pl_identity_pubkey(t->signer), t->key, &len));
    t->proof.key = pl_span_of(t->key, len);
}

void talk_init(struct talk *t, struct rig *r, bool join)
{
    memset(t, 0, sizeof *t);
    t->rig = r;
    t->join = join;
    t->side = 'C';
    t->steps = join ? "HPJ" : "HP";
    t->hello.version = PL_WIRE_VERSION;
    t->hello.join = join;
    t->hello.has_hint = !join;
    memset(&t->hello.incarnation, 7, sizeof t->hello.incarnation);
    memcpy(t->hello.hint, pl_identity_pubkey(r->c.node->identity)->fingerprint, PL_KEY_HINT_BYTES);
    memset(t->reveal, 9, sizeof t->reveal);
    pl_sha256_of(pl_span_of(t->reveal, sizeof t->reveal), t->hello.nonce);
    if (join)
        t->proof.reveal = pl_span_of(t->reveal, sizeof t->reveal);
    memcpy(t->secret.secret, r->open, sizeof r->open);
    talk_be(t, join ? STRANGER : PEER);
}

static struct pl_writer body_of(struct bytes *frame)
{
    return pl_writer_over(frame->ptr + PL_FRAME_HEADER_BYTES, FRAME_MAX - PL_FRAME_HEADER_BYTES);
}

static void finish(struct bytes *frame, enum pl_message_type type, const struct pl_writer *body)
{
    assert_ok(body->err);
    pl_frame_put_header(frame->ptr, type, body->len);
    frame->len = PL_FRAME_HEADER_BYTES + body->len;
}

void frame_set_length(struct bytes *frame)
{
    pl_put_be(frame->ptr, frame->len - PL_FRAME_LENGTH_BYTES, PL_FRAME_LENGTH_BYTES);
}

/* What RSASSA-PKCS1-v1_5 raises to the private exponent. */
static size_t pad_hash(const uint8_t hash[PL_SHA256_BYTES], uint8_t *out)
{
    static const uint8_t info[] = { 0x00, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                    0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    const size_t len = 256;
    memset(out, 0xff, len);
    out[0] = 0;
    out[1] = 1;
    memcpy(out + len - PL_SHA256_BYTES - sizeof info, info, sizeof info);
    memcpy(out + len - PL_SHA256_BYTES, hash, PL_SHA256_BYTES);
    return len;
}

static size_t sign_p256(const uint8_t hash[PL_SHA256_BYTES], uint8_t *out)
{
    uint8_t scalar[PL_EC_PRIVATE_BYTES];
    br_ec_private_key key = { .curve = BR_EC_secp256r1, .x = scalar, .xlen = sizeof scalar };
    memcpy(scalar, TEST_KEY_EC_SCALAR, sizeof scalar);
    return br_ecdsa_sign_raw_get_default()(br_ec_get_default(), &br_sha256_vtable, hash, &key, out);
}

static void sign(struct talk *t)
{
    struct pl_sha256 h;
    uint8_t hash[PL_SHA256_BYTES];
    size_t len = 0;
    const struct bytes *server = t->signs_own_hello_twice ? &t->client_hello : &t->server_hello;
    pl_sha256_init(&h);
    pl_sha256_update(&h, "parley proof 1", 14);
    pl_sha256_update(&h, &t->side, 1);
    pl_sha256_update(&h, t->client_hello.ptr, t->client_hello.len);
    pl_sha256_update(&h, server->ptr, server->len);
    pl_sha256_update(&h, t->tls_key, sizeof t->tls_key);
    pl_sha256_final(&h, hash);
    if (t->shows_the_padded_hash)
        len = pad_hash(hash, t->signature);
    else if (t->signs_with_p256)
        len = sign_p256(hash, t->signature);
    else
        assert_ok(pl_identity_sign(t->signer, hash, t->signature, &len));
    t->proof.signature = pl_span_of(t->signature, len);
}

static void take_server_hello(struct talk *t)
{
    struct pl_frame frame;
    bool whole = false;
    size_t need = 0;
    struct node_client *c = &t->rig->c;
    if (pl_frame_split(pl_span_of(c->got, c->got_len), &frame, &whole, &need) != PARLEY_OK ||
        !whole || frame.type != PL_MSG_HELLO)
        return;
    memcpy(t->server_hello.ptr, frame.bytes.ptr, frame.bytes.len);
    t->server_hello.len = frame.bytes.len;
}

static void make_frame(struct talk *t, char step)
{
    struct pl_writer w = body_of(&t->frame);
    switch (step) {
    case 'H':
        pl_msg_hello_encode(&t->hello, &w);
        finish(&t->frame, PL_MSG_HELLO, &w);
        break;
    case 'P':
        take_server_hello(t);
        if (t->proof.signature.len == 0)
            sign(t);
        pl_msg_proof_encode(&t->proof, &w);
        finish(&t->frame, PL_MSG_PROOF, &w);
        break;
    case 'J':
        pl_msg_join_encode(&t->secret, &w);
        finish(&t->frame, PL_MSG_JOIN, &w);
        break;
    case 'D':
        pl_msg_join_done_encode(&w);
        finish(&t->frame, PL_MSG_JOIN_DONE, &w);
        break;
    case 'S':
        pl_mp_write_array(&w, 0);
        finish(&t->frame, PL_MSG_STATE, &w);
        break;
    case 'W':
        pl_mp_write_array(&w, 0);
        finish(&t->frame, PL_MSG_JOINED, &w);
        break;
    default:
        fail_msg("no such step: %c", step);
    }
}

void talk_begin(struct talk *t)
{
    node_client_connect(&t->rig->c);
    node_client_send(&t->rig->c, PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
}

void talk_step(struct talk *t, char step)
{
    make_frame(t, step);
    if (step == 'P' && t->replayed.len != 0)
        t->frame = t->replayed;
    if (step == t->edited)
        t->edit(&t->frame);
    if (step == 'H')
        t->client_hello = t->frame;
    node_client_send(&t->rig->c, t->frame.ptr, t->frame.len);
}

void talk_say(struct talk *t)
{
    talk_begin(t);
    for (const char *step = t->steps; *step != '\0' && t->rig->c.conn != 0; step++)
        talk_step(t, *step);
}

uint32_t talk_bye(const struct node_client *c)
{
    struct parley_span rest = pl_span_of(c->got, c->got_len);
    uint32_t code = UINT32_MAX;
    while (rest.len != 0) {
        struct pl_frame frame;
        struct pl_msg_bye bye;
        bool whole = false;
        size_t need = 0;
        assert_ok(pl_frame_split(rest, &frame, &whole, &need));
        assert_true(whole && code == UINT32_MAX); /* nothing follows a BYE */
        rest = pl_span_after(rest, frame.bytes.len);
        if (frame.type != PL_MSG_BYE)
            continue;
        assert_ok(pl_msg_bye_decode(frame.body, &bye));
        code = bye.code;
    }
    return code;
}
