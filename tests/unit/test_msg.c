/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/golden.h"

#include <stdio.h>

#include "core/hash.h"
#include "core/mp_write.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "trust/identity.h"

static struct pl_msg_hello sample_hello(void)
{
    struct pl_msg_hello hello = {
        .version = 1,
        .backend_id = pl_span_text("local_sha256_00112233445566778899aabbccddeeff"),
        .features = 0,
        .join = true,
        .has_hint = true,
    };
    for (size_t i = 0; i < PL_KEY_HINT_BYTES; i++)
        hello.hint[i] = (uint8_t)(0xa0 + i);
    for (size_t i = 0; i < PL_NONCE_BYTES; i++)
        hello.nonce[i] = (uint8_t)i;
    for (size_t i = 0; i < PARLEY_INCARNATION_BYTES; i++)
        hello.incarnation.bytes[i] = (uint8_t)(0xf0 + i);
    return hello;
}

static void msg_hello_matches_its_golden_bytes(void **state)
{
    (void)state;
    uint8_t buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_msg_hello hello = sample_hello();
    pl_msg_hello_encode(&hello, &w);
    golden_check("hello", PL_MSG_HELLO, &w);
    struct pl_msg_hello back;
    assert_ok(pl_msg_hello_decode(pl_writer_span(&w), &back));
    assert_int_equal(1, back.version);
    assert_true(pl_span_equal(hello.backend_id, back.backend_id));
    assert_memory_equal(hello.nonce, back.nonce, PL_NONCE_BYTES);
    assert_memory_equal(&hello.incarnation, &back.incarnation, PARLEY_INCARNATION_BYTES);
    assert_int_equal(0, back.features);
    assert_true(back.join);
    assert_true(back.has_hint);
    assert_memory_equal(hello.hint, back.hint, PL_KEY_HINT_BYTES);

    hello.has_hint = false;
    w = pl_writer_over(buf, sizeof buf);
    pl_msg_hello_encode(&hello, &w);
    golden_check("hello_join", PL_MSG_HELLO, &w);
    assert_ok(pl_msg_hello_decode(pl_writer_span(&w), &back));
    assert_false(back.has_hint);
}

static void msg_proof_matches_its_golden_bytes(void **state)
{
    (void)state;
    uint8_t signature[256];
    uint8_t key[294];
    uint8_t reveal[PL_REVEAL_BYTES];
    uint8_t buf[1024];
    memset(signature, 0x5a, sizeof signature);
    memset(key, 0x30, sizeof key);
    memset(reveal, 0xe1, sizeof reveal);
    struct pl_msg_proof proof = { .signature = pl_span_of(signature, sizeof signature) };
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_proof_encode(&proof, &w);
    golden_check("proof", PL_MSG_PROOF, &w);
    struct pl_msg_proof back;
    assert_ok(pl_msg_proof_decode(pl_writer_span(&w), &back));
    assert_true(pl_span_equal(proof.signature, back.signature));
    assert_int_equal(0, back.key.len);
    assert_int_equal(0, back.reveal.len);

    proof.key = pl_span_of(key, sizeof key);
    proof.reveal = pl_span_of(reveal, sizeof reveal);
    w = pl_writer_over(buf, sizeof buf);
    pl_msg_proof_encode(&proof, &w);
    golden_check("proof_join", PL_MSG_PROOF, &w);
    assert_ok(pl_msg_proof_decode(pl_writer_span(&w), &back));
    assert_true(pl_span_equal(proof.key, back.key));
    assert_true(pl_span_equal(proof.reveal, back.reveal));

    proof.key = pl_span_of(NULL, 0);
    proof.reveal = pl_span_of(NULL, 0);
    proof.rotation_count = 2;
    proof.rotations[0] = pl_span_text("first");
    proof.rotations[1] = pl_span_text("second");
    w = pl_writer_over(buf, sizeof buf);
    pl_msg_proof_encode(&proof, &w);
    golden_check("proof_rotated", PL_MSG_PROOF, &w);
    assert_ok(pl_msg_proof_decode(pl_writer_span(&w), &back));
    assert_int_equal(2, back.rotation_count);
    assert_span_text(back.rotations[0], "first");
    assert_span_text(back.rotations[1], "second");
}

static void msg_join_matches_its_golden_bytes(void **state)
{
    (void)state;
    struct pl_msg_join join;
    uint8_t buf[64];
    memset(join.secret, 0xa7, sizeof join.secret);
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_join_encode(&join, &w);
    golden_check("join", PL_MSG_JOIN, &w);
    struct pl_msg_join back;
    assert_ok(pl_msg_join_decode(pl_writer_span(&w), &back));
    assert_memory_equal(join.secret, back.secret, sizeof join.secret);
}

static void msg_joined_matches_its_golden_bytes(void **state)
{
    (void)state;
    struct pl_msg_joined joined = { .name_space = pl_span_text("family"), .may_write = true };
    uint8_t buf[64];
    memset(joined.reveal, 0xe2, sizeof joined.reveal);
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_joined_encode(&joined, &w);
    golden_check("joined", PL_MSG_JOINED, &w);
    struct pl_msg_joined back;
    assert_ok(pl_msg_joined_decode(pl_writer_span(&w), &back));
    assert_span_text(back.name_space, "family");
    assert_true(back.may_write);
    assert_memory_equal(joined.reveal, back.reveal, sizeof joined.reveal);
}

static void msg_join_done_matches_its_golden_bytes(void **state)
{
    (void)state;
    uint8_t buf[16];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_join_done_encode(&w);
    golden_check("join_done", PL_MSG_JOIN_DONE, &w);
    assert_ok(pl_msg_join_done_decode(pl_writer_span(&w)));
    assert_err(PARLEY_EMALFORMED, pl_msg_join_done_decode(pl_span_of("\x90\x90", 2)));
    assert_err(PARLEY_EMALFORMED, pl_msg_join_done_decode(pl_span_of("", 0)));
    assert_err(PARLEY_ETOOBIG, pl_msg_join_done_decode(pl_span_of("\x91\x01", 2)));
}

static void msg_bye_matches_its_golden_bytes(void **state)
{
    (void)state;
    struct pl_msg_bye bye = { .code = PL_BYE_REVOKED, .text = pl_span_text(pl_bye_text(4)) };
    uint8_t buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_bye_encode(&bye, &w);
    golden_check("bye", PL_MSG_BYE, &w);
    struct pl_msg_bye back;
    assert_ok(pl_msg_bye_decode(pl_writer_span(&w), &back));
    assert_int_equal(PL_BYE_REVOKED, back.code);
    assert_true(pl_span_equal(bye.text, back.text));
}

typedef parley_err (*decoder)(struct parley_span body);
static parley_err try_hello(struct parley_span body)
{
    struct pl_msg_hello out;
    return pl_msg_hello_decode(body, &out);
}
static parley_err try_proof(struct parley_span body)
{
    struct pl_msg_proof out;
    return pl_msg_proof_decode(body, &out);
}
static parley_err try_join(struct parley_span body)
{
    struct pl_msg_join out;
    return pl_msg_join_decode(body, &out);
}
static parley_err try_joined(struct parley_span body)
{
    struct pl_msg_joined out;
    return pl_msg_joined_decode(body, &out);
}
static parley_err try_bye(struct parley_span body)
{
    struct pl_msg_bye out;
    return pl_msg_bye_decode(body, &out);
}

static void msg_decoders_refuse_every_shorter_and_longer_body(void **state)
{
    (void)state;
    static const struct {
        const char *golden;
        decoder decode;
    } cases[] = { { "hello", try_hello },      { "proof", try_proof },
                  { "proof_join", try_proof }, { "proof_rotated", try_proof },
                  { "hello_join", try_hello }, { "join", try_join },
                  { "joined", try_joined },    { "join_done", pl_msg_join_done_decode },
                  { "bye", try_bye } };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        uint8_t wire[GOLDEN_BYTES_MAX];
        size_t len = golden_read(cases[i].golden, wire);
        struct parley_span body =
            pl_span_of(wire + PL_FRAME_HEADER_BYTES, len - PL_FRAME_HEADER_BYTES);
        assert_ok(cases[i].decode(body));
        for (size_t cut = 0; cut < body.len; cut++)
            assert_int_not_equal(PARLEY_OK, cases[i].decode(pl_span_of(body.ptr, cut)));
        wire[len] = 0xc0;
        assert_err(PARLEY_EMALFORMED, cases[i].decode(pl_span_of(body.ptr, body.len + 1)));
    }
}

static parley_err decode_changed_hello(void (*change)(struct pl_msg_hello *hello))
{
    uint8_t buf[1024];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_msg_hello hello = sample_hello();
    change(&hello);
    pl_msg_hello_encode(&hello, &w);
    assert_ok(w.err);
    return try_hello(pl_writer_span(&w));
}

static void make_version_2(struct pl_msg_hello *hello)
{
    hello->version = 2;
}
static void make_version_0(struct pl_msg_hello *hello)
{
    hello->version = 0;
}
static void make_id_empty(struct pl_msg_hello *hello)
{
    hello->backend_id = pl_span_text("");
}
static void make_id_long(struct pl_msg_hello *hello)
{
    hello->backend_id =
        pl_span_text("0123456789012345678901234567890123456789012345678901234567890123+");
}
static void make_id_with_newline(struct pl_msg_hello *hello)
{
    hello->backend_id = pl_span_text("local\nerror forged");
}
static void make_id_not_ascii(struct pl_msg_hello *hello)
{
    hello->backend_id = pl_span_text("loc\xc3\xa4l");
}
static void add_features(struct pl_msg_hello *hello)
{
    hello->features = UINT64_MAX;
}

static void msg_hello_refuses_what_it_must(void **state)
{
    (void)state;
    assert_err(PARLEY_EVERSION, decode_changed_hello(make_version_2));
    assert_err(PARLEY_EVERSION, decode_changed_hello(make_version_0));
    assert_err(PARLEY_EMALFORMED, decode_changed_hello(make_id_empty));
    assert_err(PARLEY_ETOOBIG, decode_changed_hello(make_id_long));
    assert_err(PARLEY_EMALFORMED, decode_changed_hello(make_id_with_newline));
    assert_err(PARLEY_EMALFORMED, decode_changed_hello(make_id_not_ascii));
    assert_ok(decode_changed_hello(add_features));
}

static void msg_hello_of_a_later_version_may_look_different(void **state)
{
    (void)state;
    assert_err(PARLEY_EVERSION, try_hello(pl_span_of("\x92\x02\xc0", 3)));
    assert_err(PARLEY_ETYPE, try_hello(pl_span_of("\x92\xc0\xc0", 3)));
}

static void msg_fixed_fields_refuse_other_lengths(void **state)
{
    (void)state;
    assert_err(PARLEY_EMALFORMED, try_join(pl_span_of("\x91\xc4\x03"
                                                      "abc",
                                                      6)));
    uint8_t buf[64];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_mp_write_array(&w, 1);
    pl_mp_write_bin(&w, pl_span_text("seventeen bytes!!"));
    assert_err(PARLEY_ETOOBIG, try_join(pl_writer_span(&w)));
}

static void msg_proof_refuses_fields_that_are_empty_or_short(void **state)
{
    (void)state;
    assert_err(PARLEY_EMALFORMED, try_proof(pl_span_of("\x94\xc4\x00\xc0\x90\xc0", 6)));
    assert_err(PARLEY_EMALFORMED, try_proof(pl_span_of("\x94\xc4\x01x\xc4\x00\x90\xc0", 8)));
    assert_err(PARLEY_EMALFORMED, try_proof(pl_span_of("\x94\xc4\x01x\xc0\x90\xc4\x00", 8)));
    assert_err(PARLEY_EMALFORMED, try_proof(pl_span_of("\x94\xc4\x01x\xc0\x90\xc4\x01y", 9)));
    assert_ok(try_proof(pl_span_of("\x94\xc4\x01x\xc0\x90\xc0", 7)));
}

static void msg_proof_refuses_more_rotations_than_a_chain_has(void **state)
{
    uint8_t buf[64];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    (void)state;
    pl_mp_write_array(&w, 4);
    pl_mp_write_bin(&w, pl_span_text("x"));
    pl_mp_write_nil(&w);
    pl_mp_write_array(&w, PL_ROTATIONS_MAX + 1);
    for (int i = 0; i <= PL_ROTATIONS_MAX; i++)
        pl_mp_write_bin(&w, pl_span_text("s"));
    assert_err(PARLEY_ETOOBIG, try_proof(pl_writer_span(&w)));
    static uint8_t large[PL_ROTATION_BYTES_MAX + 64];
    static const uint8_t statement[PL_ROTATION_BYTES_MAX + 1];
    w = pl_writer_over(large, sizeof large);
    pl_mp_write_array(&w, 4);
    pl_mp_write_bin(&w, pl_span_text("x"));
    pl_mp_write_nil(&w);
    pl_mp_write_array(&w, 1);
    pl_mp_write_bin(&w, pl_span_of(statement, sizeof statement));
    assert_ok(w.err);
    assert_err(PARLEY_ETOOBIG, try_proof(pl_writer_span(&w)));
}

static parley_err decode_joined_in(struct parley_span name_space)
{
    uint8_t buf[256];
    struct pl_msg_joined joined = { .name_space = name_space };
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_msg_joined_encode(&joined, &w);
    assert_ok(w.err);
    return try_joined(pl_writer_span(&w));
}

static void msg_joined_refuses_bad_namespaces(void **state)
{
    char text[PARLEY_NAMESPACE_BYTES_MAX + 1];
    (void)state;
    memset(text, 'n', sizeof text);
    assert_ok(decode_joined_in(pl_span_of(text, sizeof text - 1)));
    assert_err(PARLEY_ETOOBIG, decode_joined_in(pl_span_of(text, sizeof text)));
    assert_err(PARLEY_EMALFORMED, decode_joined_in(pl_span_of(NULL, 0)));
    assert_err(PARLEY_EMALFORMED, decode_joined_in(pl_span_text("\xff")));
}

static void msg_bye_accepts_more_fields_and_later_codes(void **state)
{
    (void)state;
    struct pl_msg_bye bye;
    assert_ok(pl_msg_bye_decode(pl_span_of("\x93\xcd\x01\x00\xa1x\x93\x01\x02\x03", 10), &bye));
    assert_int_equal(256, bye.code);
    assert_err(PARLEY_EMALFORMED, try_bye(pl_span_of("\x91\x01", 2)));
    assert_err(PARLEY_ETOOBIG, try_bye(pl_span_of("\x92\xcf\0\0\0\x01\0\0\0\0\xa0", 11)));
}

static void msg_encoders_report_a_full_buffer(void **state)
{
    (void)state;
    uint8_t buf[8];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_msg_hello hello = sample_hello();
    pl_msg_hello_encode(&hello, &w);
    assert_err(PARLEY_EFULL, w.err);
    assert_in_range(w.len, 0, sizeof buf);
}

static void msg_greatest_handshake_messages_fit_their_types(void **state)
{
    (void)state;
    static uint8_t bytes[PL_ROTATION_BYTES_MAX];
    memset(bytes, 'x', sizeof bytes);
    static uint8_t buf[32768];
    struct pl_msg_proof proof = { .signature = pl_span_of(bytes, PL_SIGNATURE_BYTES_MAX),
                                  .key = pl_span_of(bytes, PL_PUBKEY_DER_BYTES_MAX),
                                  .reveal = pl_span_of(bytes, PL_REVEAL_BYTES),
                                  .rotation_count = PL_ROTATIONS_MAX };
    for (size_t i = 0; i < PL_ROTATIONS_MAX; i++)
        proof.rotations[i] = pl_span_of(bytes, PL_ROTATION_BYTES_MAX);
    struct pl_writer w = pl_writer_over(buf, pl_frame_body_max(PL_MSG_PROOF));
    pl_msg_proof_encode(&proof, &w);
    assert_ok(w.err);
    struct pl_msg_hello hello = sample_hello();
    hello.backend_id = pl_span_of(bytes, PARLEY_BACKEND_ID_BYTES_MAX);
    hello.features = UINT64_MAX;
    w = pl_writer_over(buf, pl_frame_body_max(PL_MSG_HELLO));
    pl_msg_hello_encode(&hello, &w);
    assert_ok(w.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(msg_hello_matches_its_golden_bytes),
        cmocka_unit_test(msg_proof_matches_its_golden_bytes),
        cmocka_unit_test(msg_join_matches_its_golden_bytes),
        cmocka_unit_test(msg_joined_matches_its_golden_bytes),
        cmocka_unit_test(msg_join_done_matches_its_golden_bytes),
        cmocka_unit_test(msg_bye_matches_its_golden_bytes),
        cmocka_unit_test(msg_decoders_refuse_every_shorter_and_longer_body),
        cmocka_unit_test(msg_hello_refuses_what_it_must),
        cmocka_unit_test(msg_hello_of_a_later_version_may_look_different),
        cmocka_unit_test(msg_fixed_fields_refuse_other_lengths),
        cmocka_unit_test(msg_proof_refuses_fields_that_are_empty_or_short),
        cmocka_unit_test(msg_proof_refuses_more_rotations_than_a_chain_has),
        cmocka_unit_test(msg_joined_refuses_bad_namespaces),
        cmocka_unit_test(msg_bye_accepts_more_fields_and_later_codes),
        cmocka_unit_test(msg_encoders_report_a_full_buffer),
        cmocka_unit_test(msg_greatest_handshake_messages_fit_their_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
