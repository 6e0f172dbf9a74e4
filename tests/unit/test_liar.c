/* SPDX-License-Identifier: Apache-2.0
 *
 * A peer that lies. Each talk with the node is honest but for one thing, so that it succeeds when
 * the check for that thing is missing: the honest talks show that. After each lie the node has said
 * why it refuses, holds no connection, and knows and stores what it did before.
 */
#include "lib/keys.h"
#include "lib/snapshot.h"
#include "lib/talk.h"

#include <stdio.h>

/* ---- Lies in HELLO ---- */

static void says_version_0(struct talk *t)
{
    t->hello.version = 0;
}
static void says_version_2(struct talk *t)
{
    t->hello.version = 2;
}
static void is_the_node_itself(struct talk *t)
{
    talk_set_id(t, t->rig->c.node->backend_id);
}
static void has_no_id(struct talk *t)
{
    talk_set_id(t, "");
}
static void has_a_blank_in_its_id(struct talk *t)
{
    t->id[5] = ' ';
}
static void has_a_line_end_in_its_id(struct talk *t)
{
    t->id[5] = '\n';
}
static void has_no_ascii_in_its_id(struct talk *t)
{
    memcpy(t->id + 5, "\xc3\xa4", 2);
}
static void is_unknown(struct talk *t)
{
    talk_be(t, STRANGER);
}
static void is_pending(struct talk *t)
{
    talk_be(t, PENDING);
}
static void is_revoked(struct talk *t)
{
    talk_be(t, REVOKED);
}
static void is_registered_without_proof(struct talk *t)
{
    talk_be(t, LEGACY);
}
static void is_another_peer(struct talk *t)
{
    talk_set_id(t, t->rig->names[OTHER]);
}
static void has_no_hint(struct talk *t)
{
    t->hello.has_hint = false;
}
static void has_a_hint_in_a_join(struct talk *t)
{
    t->hello.has_hint = true;
}

static void has_a_long_id(struct talk *t)
{
    memset(t->id, 'x', PARLEY_BACKEND_ID_BYTES_MAX + 1);
    talk_set_id(t, t->id);
}

/* HELLO is 97 01 d9 2d <id> c4 20 <nonce> c4 10 <incarnation> 00 c2 c4 10 <hint>. */
#define AT_ID          PL_FRAME_HEADER_BYTES + 2
#define AT_NONCE       AT_ID + 2 + 45
#define AT_INCARNATION AT_NONCE + 2 + 32
#define AT_FEATURES    AT_INCARNATION + 2 + 16
#define AT_JOIN        AT_FEATURES + 1
#define AT_HINT        AT_JOIN + 1

/* Makes a binary one byte shorter. */
static void shorten(struct bytes *frame, size_t at)
{
    frame->ptr[at + 1]--;
    memmove(frame->ptr + at + 2, frame->ptr + at + 3, frame->len - at - 3);
    frame->len--;
    frame_set_length(frame);
}

static void shorten_nonce(struct bytes *frame)
{
    shorten(frame, AT_NONCE);
}
static void shorten_incarnation(struct bytes *frame)
{
    shorten(frame, AT_INCARNATION);
}
static void shorten_hint(struct bytes *frame)
{
    shorten(frame, AT_HINT);
}
static void make_nonce_text(struct bytes *frame)
{
    frame->ptr[AT_NONCE] = 0xd9;
}
static void make_id_binary(struct bytes *frame)
{
    frame->ptr[AT_ID] = 0xc4;
}
static void make_features_nil(struct bytes *frame)
{
    frame->ptr[AT_FEATURES] = 0xc0;
}
static void make_join_a_number(struct bytes *frame)
{
    frame->ptr[AT_JOIN] = 0;
}
static void empty_array(struct bytes *frame)
{
    frame->ptr[PL_FRAME_HEADER_BYTES] = 0x90;
}
static void count_one_field_more(struct bytes *frame)
{
    frame->ptr[PL_FRAME_HEADER_BYTES]++;
}
static void count_one_field_less(struct bytes *frame)
{
    frame->ptr[PL_FRAME_HEADER_BYTES]--;
}

static void add_a_byte(struct bytes *frame)
{
    frame->ptr[frame->len++] = 0xc0;
    frame_set_length(frame);
}

/* ---- Lies in the frame ---- */

static void say_length_0(struct bytes *frame)
{
    memset(frame->ptr, 0, PL_FRAME_LENGTH_BYTES);
}
static void say_greatest_length(struct bytes *frame)
{
    memset(frame->ptr, 0xff, 4);
}
static void say_one_byte_less(struct bytes *frame)
{
    frame->ptr[3]--;
}
static void say_length_above_the_type(struct bytes *frame)
{
    frame->ptr[2] = 0x7f;
}
static void say_unknown_type(struct bytes *frame)
{
    frame->ptr[4] = PL_MSG_BYE + 1;
}
static void say_type_0(struct bytes *frame)
{
    frame->ptr[4] = 0;
}

/* The first byte of the next frame would be the last of this one. */
static void say_one_byte_more(struct bytes *frame)
{
    frame->ptr[3]++;
    frame->ptr[frame->len++] = 0;
}

/* ---- Lies in PROOF ---- */

static void signs_with_another_key(struct talk *t)
{
    t->signer = t->rig->ids[OTHER];
}
static void signs_as_the_server(struct talk *t)
{
    t->side = 'S';
}
static void signs_its_own_hello_twice(struct talk *t)
{
    t->signs_own_hello_twice = true;
}
static void signs_another_tls_key(struct talk *t)
{
    t->tls_key[64] = 1;
}
static void shows_no_key_in_a_join(struct talk *t)
{
    t->proof.key.len = 0;
}
static void shows_no_reveal(struct talk *t)
{
    t->proof.reveal.len = 0;
}
static void shows_a_short_reveal(struct talk *t)
{
    t->proof.reveal.len--;
}
static void shows_another_reveal(struct talk *t)
{
    t->reveal[31] ^= 1;
}
static void is_another_peer_in_a_join(struct talk *t)
{
    talk_set_id(t, t->rig->names[OTHER]);
}
static void has_an_unknown_type(struct talk *t)
{
    memcpy(t->id, "lokal", 5);
}
static void has_capitals_in_its_id(struct talk *t)
{
    t->id[0] = 'L';
}

static void signs_nothing(struct talk *t)
{
    memset(t->signature, 0, sizeof t->signature);
    t->proof.signature = pl_span_of(t->signature, 256);
}

static void signs_too_long(struct talk *t)
{
    t->proof.signature = pl_span_of(t->signature, sizeof t->signature);
}

static void shows_a_key_outside_of_a_join(struct talk *t)
{
    t->join = true;
    talk_be(t, PEER);
}

static void shows_a_reveal_outside_of_a_join(struct talk *t)
{
    t->proof.reveal = pl_span_of(t->reveal, sizeof t->reveal);
}

static void shows_the_key_of_another(struct talk *t)
{
    size_t len = 0;
    assert_ok(pl_pubkey_to_der(pl_identity_pubkey(t->rig->ids[NEXT]), t->key, &len));
    t->proof.key = pl_span_of(t->key, len);
    t->signer = t->rig->ids[NEXT];
}

static void shows_half_a_key(struct talk *t)
{
    t->proof.key.len /= 2;
}

/* The id is right for whatever bytes are shown as the key. */
static void name_by_key(struct talk *t)
{
    uint8_t hash[PL_SHA256_BYTES];
    char hex[32];
    pl_sha256_of(t->proof.key, hash);
    pl_hex_encode(hash, 16, hex);
    snprintf(t->id, sizeof t->id, "local_sha256_%.32s", hex);
    talk_set_id(t, t->id);
}

static void shows_nonsense_as_a_key(struct talk *t)
{
    memset(t->key, 'k', sizeof t->key);
    name_by_key(t);
}

static void shows_a_p256_key(struct talk *t)
{
    struct pl_pubkey key;
    size_t len = 0;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &key));
    assert_ok(pl_pubkey_to_der(&key, t->key, &len));
    t->proof.key = pl_span_of(t->key, len);
    name_by_key(t);
    t->signs_with_p256 = true;
}

/* An RSA key with this modulus; the exponent has one byte. */
static void show_rsa_key(struct talk *t, struct parley_span modulus, uint8_t exponent)
{
    static const uint8_t algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
    struct pl_writer w = pl_writer_over(t->key, sizeof t->key);
    uint16_t integer = (uint16_t)(modulus.len + 1);
    pl_write_u16(&w, 0x3082);
    pl_write_u16(&w, (uint16_t)(sizeof algorithm + 4 + 1 + 4 + 4 + integer + 3));
    pl_write_bytes(&w, algorithm, sizeof algorithm);
    pl_write_u16(&w, 0x0382);
    pl_write_u16(&w, (uint16_t)(1 + 4 + 4 + integer + 3));
    pl_write_u8(&w, 0);
    pl_write_u16(&w, 0x3082);
    pl_write_u16(&w, (uint16_t)(4 + integer + 3));
    pl_write_u16(&w, 0x0282);
    pl_write_u16(&w, integer);
    pl_write_u8(&w, 0);
    pl_write_span(&w, modulus);
    pl_write_u16(&w, 0x0201);
    pl_write_u8(&w, exponent);
    assert_ok(w.err);
    t->proof.key = pl_writer_span(&w);
    name_by_key(t);
}

static void shows_a_key_of_1024_bits(struct talk *t)
{
    const struct pl_pubkey *key = pl_identity_pubkey(t->signer);
    show_rsa_key(t, pl_span_of(key->modulus, 128), 3);
}

static void shows_an_even_modulus(struct talk *t)
{
    struct pl_pubkey key = *pl_identity_pubkey(t->signer);
    key.modulus[key.modulus_len - 1] &= 0xfe;
    show_rsa_key(t, pl_span_of(key.modulus, key.modulus_len), 3);
}

/* Under the exponent 1 whoever writes the padded hash has signed it. */
static void shows_the_exponent_1(struct talk *t)
{
    const struct pl_pubkey *key = pl_identity_pubkey(t->signer);
    show_rsa_key(t, pl_span_of(key->modulus, key->modulus_len), 1);
    t->shows_the_padded_hash = true;
}

/* Statements for `id`: from its first key to NEXT's, and from there to STRANGER's. */
static void add_rotation(struct talk *t, enum who from, enum who to, enum who about,
                         uint32_t number)
{
    size_t i = t->proof.rotation_count++;
    size_t len = 0;
    struct rig *r = t->rig;
    assert_ok(pl_rotation_make(r->ids[from], r->ids[to], pl_span_text(r->names[about]),
                               r->c.now.wall, number, t->rotations[i], &len));
    t->proof.rotations[i] = pl_span_of(t->rotations[i], len);
}

static void rotates_in_the_wrong_order(struct talk *t)
{
    add_rotation(t, NEXT, STRANGER, PEER, 2);
    add_rotation(t, PEER, NEXT, PEER, 1);
    t->signer = t->rig->ids[STRANGER];
}

static void rotates_twice_by_one_statement(struct talk *t)
{
    add_rotation(t, PEER, NEXT, PEER, 1);
    t->proof.rotations[t->proof.rotation_count++] = t->proof.rotations[0];
    t->signer = t->rig->ids[NEXT];
}

static void rotates_another_identity(struct talk *t)
{
    add_rotation(t, PEER, NEXT, OTHER, 1);
    t->signer = t->rig->ids[NEXT];
}

static void rotates_from_a_key_of_another(struct talk *t)
{
    add_rotation(t, OTHER, NEXT, PEER, 1);
    t->signer = t->rig->ids[NEXT];
}

static void rotates_with_a_gap(struct talk *t)
{
    add_rotation(t, PEER, NEXT, PEER, 2);
    t->signer = t->rig->ids[NEXT];
}

static void rotates_and_signs_with_the_old_key(struct talk *t)
{
    add_rotation(t, PEER, NEXT, PEER, 1);
}

static void rotates_by_half_a_statement(struct talk *t)
{
    add_rotation(t, PEER, NEXT, PEER, 1);
    t->proof.rotations[0].len /= 2;
    t->signer = t->rig->ids[NEXT];
}

/* A PROOF of this peer that was good once, in a talk with the same HELLO. */
static void replays_a_proof(struct talk *t)
{
    static struct talk before;
    talk_init(&before, t->rig, false);
    talk_say(&before);
    t->replayed = before.frame;
    pl_node_closed(t->rig->c.node, t->rig->c.conn, t->rig->c.now);
    t->rig->c.conn = 0;
    node_client_settle(&t->rig->c);
}

/* ---- Lies in JOIN, and in the order ---- */

static void use_secret(struct talk *t, const uint8_t secret[PL_INVITE_SECRET_BYTES])
{
    memcpy(t->secret.secret, secret, PL_INVITE_SECRET_BYTES);
}

static void has_a_wrong_secret(struct talk *t)
{
    t->secret.secret[15] ^= 1;
}
static void has_an_expired_secret(struct talk *t)
{
    use_secret(t, t->rig->expired);
}
static void has_a_used_secret(struct talk *t)
{
    use_secret(t, t->rig->used);
}
static void shorten_secret(struct bytes *frame)
{
    shorten(frame, PL_FRAME_HEADER_BYTES + 1);
}

static void was_revoked_after_its_invite(struct talk *t)
{
    talk_be(t, REVOKED);
    use_secret(t, t->rig->old);
}

static void comes_back_under_another_id(struct talk *t)
{
    talk_be(t, REVOKED);
    use_secret(t, t->rig->old);
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(t->rig->ids[REVOKED]), t->id);
    talk_set_id(t, t->id);
}

static void has_a_second_id(struct talk *t)
{
    talk_be(t, OTHER);
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(t->rig->ids[OTHER]), t->id);
    talk_set_id(t, t->id);
}

static void has_a_secret_of_another_node(struct talk *t)
{
    memset(t->secret.secret, 0x5a, sizeof t->secret.secret);
}

struct lie {
    const char *steps; /* NULL: in the right order */
    bool join;
    enum pl_bye bye;
    void (*tell)(struct talk *t);
    char edited;
    void (*edit)(struct bytes *frame);
    const char *name;
};

#define SESSION(bye, lie)                                                                          \
    {                                                                                              \
        NULL, false, PL_BYE_##bye, lie, 0, NULL, #lie                                              \
    }
#define JOIN(bye, lie)                                                                             \
    {                                                                                              \
        NULL, true, PL_BYE_##bye, lie, 0, NULL, #lie                                               \
    }
#define EDIT(join, step, lie)                                                                      \
    {                                                                                              \
        NULL, join, PL_BYE_PROTOCOL, NULL, step, lie, #lie                                         \
    }
#define ORDER(join, steps)                                                                         \
    {                                                                                              \
        steps, join, PL_BYE_PROTOCOL, NULL, 0, NULL, steps                                         \
    }

static const struct lie lies[] = {
    SESSION(VERSION, says_version_0),
    SESSION(VERSION, says_version_2),
    SESSION(SELF, is_the_node_itself),
    SESSION(PROTOCOL, has_no_id),
    SESSION(PROTOCOL, has_a_long_id),
    SESSION(PROTOCOL, has_a_blank_in_its_id),
    SESSION(PROTOCOL, has_a_line_end_in_its_id),
    SESSION(PROTOCOL, has_no_ascii_in_its_id),
    SESSION(UNKNOWN_PEER, is_unknown),
    SESSION(PENDING, is_pending),
    SESSION(REVOKED, is_revoked),
    SESSION(UNKNOWN_PEER, is_registered_without_proof),
    SESSION(PROOF, is_another_peer),
    SESSION(PROTOCOL, has_no_hint),
    JOIN(PROTOCOL, has_a_hint_in_a_join),
    EDIT(false, 'H', shorten_nonce),
    EDIT(false, 'H', make_nonce_text),
    EDIT(false, 'H', shorten_incarnation),
    EDIT(false, 'H', shorten_hint),
    EDIT(false, 'H', make_id_binary),
    EDIT(false, 'H', make_features_nil),
    EDIT(false, 'H', make_join_a_number),
    EDIT(false, 'H', empty_array),
    EDIT(false, 'H', count_one_field_more),
    EDIT(false, 'H', count_one_field_less),
    EDIT(false, 'H', add_a_byte),

    EDIT(false, 'H', say_length_0),
    EDIT(false, 'H', say_greatest_length),
    EDIT(false, 'H', say_length_above_the_type),
    EDIT(false, 'H', say_one_byte_less),
    EDIT(false, 'H', say_one_byte_more),
    EDIT(false, 'H', say_unknown_type),
    EDIT(false, 'H', say_type_0),
    EDIT(true, 'P', say_one_byte_less),
    EDIT(true, 'J', say_one_byte_more),

    SESSION(PROOF, signs_with_another_key),
    SESSION(PROOF, signs_as_the_server),
    SESSION(PROOF, signs_its_own_hello_twice),
    SESSION(PROOF, signs_another_tls_key),
    SESSION(PROOF, signs_nothing),
    SESSION(PROTOCOL, signs_too_long),
    SESSION(PROOF, replays_a_proof),
    SESSION(PROTOCOL, shows_a_key_outside_of_a_join),
    SESSION(PROTOCOL, shows_a_reveal_outside_of_a_join),
    SESSION(PROOF, rotates_in_the_wrong_order),
    SESSION(PROOF, rotates_twice_by_one_statement),
    SESSION(PROOF, rotates_another_identity),
    SESSION(PROOF, rotates_from_a_key_of_another),
    SESSION(PROOF, rotates_with_a_gap),
    SESSION(PROOF, rotates_and_signs_with_the_old_key),
    SESSION(PROOF, rotates_by_half_a_statement),
    EDIT(false, 'P', count_one_field_more),
    EDIT(false, 'P', add_a_byte),
    EDIT(true, 'P', count_one_field_less),
    JOIN(PROOF, signs_with_another_key),
    JOIN(PROTOCOL, shows_no_key_in_a_join),
    JOIN(PROOF, shows_half_a_key),
    JOIN(PROOF, shows_nonsense_as_a_key),
    JOIN(PROOF, shows_a_p256_key),
    JOIN(PROOF, shows_a_key_of_1024_bits),
    JOIN(PROOF, shows_an_even_modulus),
    JOIN(PROOF, shows_the_exponent_1),
    JOIN(PROOF, shows_the_key_of_another),
    JOIN(PROOF, is_another_peer_in_a_join),
    JOIN(PROOF, has_an_unknown_type),
    JOIN(PROOF, has_capitals_in_its_id),
    JOIN(PROTOCOL, shows_no_reveal),
    JOIN(PROTOCOL, shows_a_short_reveal),
    JOIN(PROOF, shows_another_reveal),

    JOIN(INVITE, has_a_wrong_secret),
    JOIN(INVITE, has_an_expired_secret),
    JOIN(INVITE, has_a_used_secret),
    JOIN(INVITE, has_a_secret_of_another_node),
    JOIN(INVITE, was_revoked_after_its_invite),
    JOIN(INVITE, comes_back_under_another_id),
    JOIN(INVITE, has_a_second_id),
    EDIT(true, 'J', shorten_secret),
    EDIT(true, 'J', empty_array),
    EDIT(true, 'J', add_a_byte),

    ORDER(false, "HH"),
    ORDER(false, "P"),
    ORDER(false, "HS"),
    ORDER(false, "HJ"),
    ORDER(false, "S"),
    ORDER(true, "HJP"),
    ORDER(true, "HPD"),
    ORDER(true, "HPP"),
    ORDER(true, "HPS"),
    ORDER(true, "HPW"),
    ORDER(true, "HD"),
    ORDER(true, "J"),
};

static void liar_would_be_believed_if_it_were_honest(void **state)
{
    (void)state;
    for (int join = 0; join < 2; join++) {
        static struct rig r;
        static struct talk t;
        rig_open(&r);
        talk_init(&t, &r, join != 0);
        t.steps = join != 0 ? "HPJD" : "HP";
        talk_say(&t);
        assert_int_equal(UINT32_MAX, talk_bye(&r.c));
        const struct pl_peer *peer =
            pl_peers_find(&r.c.node->peers, pl_span_text(r.names[join != 0 ? STRANGER : PEER]));
        assert_non_null(peer);
        assert_int_equal(PL_PEER_ACTIVE, peer->state);
        assert_int_equal(r.c.conn, peer->conn);
        rig_close(&r);
    }
}

static void check_lie(const struct lie *lie)
{
    static struct rig r;
    static struct talk t;
    rig_open(&r);
    talk_init(&t, &r, lie->join);
    if (lie->steps != NULL)
        t.steps = lie->steps;
    if (lie->tell != NULL)
        lie->tell(&t);
    t.edited = lie->edited;
    t.edit = lie->edit;
    struct snapshot before = snapshot_take(r.c.node, r.c.db);
    talk_say(&t);
    uint32_t bye = talk_bye(&r.c);
    struct snapshot after = snapshot_take(r.c.node, r.c.db);
    if (bye != (uint32_t)lie->bye)
        fail_msg("%s: refused with %d, wanted %d", lie->name, (int)bye, (int)lie->bye);
    if (r.c.conn != 0 || pl_slab_next(&r.c.node->conns, 0) != 0)
        fail_msg("%s: the connection is still there", lie->name);
    if (memcmp(&before, &after, sizeof before) != 0)
        fail_msg("%s: the node is not what it was", lie->name);
    if (r.c.node->audit.class_count == 0)
        fail_msg("%s: the refusal is not in the audit log", lie->name);
    rig_close(&r);
}

static void liar_is_refused_with_the_reason_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(lies); i++)
        check_lie(&lies[i]);
}

/* What is wrong after JOINED ends the session, not the join: it waits for its peer's next one. */
static void liar_after_its_join_ends_the_session_alone(void **state)
{
    static const struct {
        const char *steps;
        void (*edit)(struct bytes *frame);
    } cases[] = { { "HPJD", add_a_byte }, { "HPJD", say_one_byte_more },
                  { "HPJD", say_type_0 }, { "HPJJ", NULL },
                  { "HPJP", NULL },       { "HPJH", NULL },
                  { "HPJW", NULL },       { "HPJS", NULL } };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        static struct rig r;
        static struct talk t;
        rig_open(&r);
        talk_init(&t, &r, true);
        t.steps = cases[i].steps;
        t.edited = cases[i].edit == NULL ? 0 : 'D';
        t.edit = cases[i].edit;
        talk_say(&t);
        assert_int_equal(PL_BYE_PROTOCOL, talk_bye(&r.c));
        const struct pl_peer *peer = pl_peers_find(&r.c.node->peers, t.hello.backend_id);
        assert_int_equal(PL_PEER_JOINING, peer->state);
        assert_int_equal(0, peer->conn);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(liar_would_be_believed_if_it_were_honest),
        cmocka_unit_test(liar_after_its_join_ends_the_session_alone),
        cmocka_unit_test(liar_is_refused_with_the_reason_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
