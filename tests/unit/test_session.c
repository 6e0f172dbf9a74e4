/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake, the join and the order of messages.
 */
#include "lib/keys.h"
#include "lib/session_pair.h"

#include "proto/frame.h"
#include "proto/msg.h"

/* ---- Opening ---- */

static void check_opened(struct pair *p)
{
    static const enum pl_session_event_kind server[] = { PL_SESSION_PEER, PL_SESSION_OPEN };
    assert_int_equal(2, p->side[0].log_count);
    assert_memory_equal(server, p->side[0].log, sizeof server);
    assert_int_equal(1, p->side[1].log_count);
    assert_int_equal(PL_SESSION_OPEN, p->side[1].log[0]);
    assert_true(pl_session_is_open(p->side[0].s));
    assert_true(pl_session_is_open(p->side[1].s));
    assert_span_text(pl_session_peer_id(p->side[0].s), p->f->names[1]);
    assert_span_text(pl_session_peer_id(p->side[1].s), p->f->names[0]);
    assert_memory_equal(&p->config[1].incarnation, &p->side[0].last.incarnation, 16);
    assert_memory_equal(&p->config[0].incarnation, &p->side[1].last.incarnation, 16);
}

static void session_opens_however_its_bytes_are_cut(void **state)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct pair p;
        pair_init(&p, *state, false);
        p.seed = seed;
        p.step = seed == 0 ? 1 : seed == 1 ? SIZE_MAX : 0;
        pair_open(&p);
        pair_pump(&p);
        check_opened(&p);
        pair_free(&p);
    }
}

static void session_refuses_a_server_with_another_key(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.config[1].expect_key.key = fixture_key(p.f, 1);
    pair_open(&p);
    pair_pump(&p);
    pair_assert_never_open(&p);
    side_assert_closed(&p.side[1], false, PL_BYE_PROOF);
    side_assert_closed(&p.side[0], true, PL_BYE_PROOF);
    pair_free(&p);
}

static void session_refuses_a_client_with_another_key(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.admit_key.key = fixture_key(p.f, 0);
    pair_open(&p);
    pair_pump(&p);
    assert_false(side_saw(&p.side[0], PL_SESSION_OPEN));
    side_assert_closed(&p.side[0], false, PL_BYE_PROOF);
    side_assert_closed(&p.side[1], true, PL_BYE_PROOF);
    pair_free(&p);
}

static void session_refuses_a_server_with_another_id(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.config[1].expect_backend_id = pl_span_text("hosted_sha256_0");
    pair_open(&p);
    pair_pump(&p);
    pair_assert_never_open(&p);
    side_assert_closed(&p.side[1], false, PL_BYE_PROOF);
    pair_free(&p);
}

static void session_refuses_itself(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.config[1].backend_id = p.config[0].backend_id;
    pair_open(&p);
    pair_pump(&p);
    assert_false(side_saw(&p.side[0], PL_SESSION_PEER));
    side_assert_closed(&p.side[0], false, PL_BYE_SELF);
    side_assert_closed(&p.side[1], true, PL_BYE_SELF);
    pair_free(&p);
}

static void session_refuses_another_version(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    pair_open(&p);
    pair_feed(&p, &p.side[0], PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
    pair_feed_frame(&p, &p.side[0], PL_MSG_HELLO, "\x92\x02\xc3", 3);
    side_assert_closed(&p.side[0], false, PL_BYE_VERSION);
    pair_feed_frame(&p, &p.side[1], PL_MSG_HELLO, "\x92\x02\xc3", 3);
    side_assert_closed(&p.side[1], false, PL_BYE_VERSION);
    pair_free(&p);
}

static void session_refuses_a_wrong_preface_at_its_first_wrong_byte(void **state)
{
    for (size_t wrong = 0; wrong < PL_WIRE_PREFACE_BYTES; wrong++) {
        struct pair p;
        char preface[] = PL_WIRE_PREFACE;
        preface[wrong] ^= 1;
        pair_init(&p, *state, false);
        pair_open(&p);
        for (size_t i = 0; i < wrong; i++)
            pair_feed(&p, &p.side[0], preface + i, 1);
        assert_int_equal(0, p.side[0].log_count);
        pair_feed(&p, &p.side[0], preface + wrong, 1);
        side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
}

static void session_refuses_what_was_said_in_an_earlier_session(void **state)
{
    struct pair first;
    pair_open_both(&first, *state, false);
    struct pair second;
    pair_init(&second, *state, false);
    pair_open(&second);
    pair_feed(&second, &second.side[0], first.side[1].sent, first.side[1].sent_len);
    side_assert_closed(&second.side[0], false, PL_BYE_PROOF);
    pair_feed(&second, &second.side[1], first.side[0].sent, first.side[0].sent_len);
    side_assert_closed(&second.side[1], false, PL_BYE_PROOF);
    pair_assert_never_open(&second);
    pair_free(&first);
    pair_free(&second);
}

static void session_never_opens_when_a_hello_is_changed_on_its_way(void **state)
{
    struct pair model;
    pair_open_both(&model, *state, false);
    for (int who = 0; who < 2; who++) {
        size_t end = side_frame_end(&model.side[who], who == 1 ? PL_WIRE_PREFACE_BYTES : 0);
        for (size_t at = 0; at < end; at++) {
            struct pair p;
            pair_init(&p, *state, false);
            p.side[who].flip = at;
            p.side[who].flip_bits = (uint8_t)(1u << at % 8);
            p.step = SIZE_MAX;
            pair_open(&p);
            pair_pump(&p);
            pair_assert_never_open(&p);
            pair_free(&p);
        }
    }
    pair_free(&model);
}

static void session_never_opens_when_a_proof_is_changed_on_its_way(void **state)
{
    struct pair model;
    pair_open_both(&model, *state, false);
    for (int who = 0; who < 2; who++) {
        size_t start = side_frame_end(&model.side[who], who == 1 ? PL_WIRE_PREFACE_BYTES : 0);
        for (size_t at = start; at < model.side[who].sent_len; at += 11) {
            struct pair p;
            pair_init(&p, *state, false);
            p.side[who].flip = at;
            p.side[who].flip_bits = 0x20;
            p.step = SIZE_MAX;
            pair_open(&p);
            pair_pump(&p);
            assert_false(side_saw(&p.side[1 - who], PL_SESSION_OPEN));
            pair_free(&p);
        }
    }
    pair_free(&model);
}

static void session_refuses_its_own_proof_reflected(void **state)
{
    struct pair p;
    struct pair model;
    pair_open_both(&model, *state, false);
    pair_init(&p, *state, false);
    p.admit_key.key = fixture_key(p.f, 0);
    p.side[1].cut = side_frame_end(&model.side[1], PL_WIRE_PREFACE_BYTES);
    pair_open(&p);
    pair_pump(&p);
    size_t start = side_frame_end(&p.side[0], 0);
    pair_feed(&p, &p.side[0], p.side[0].sent + start, p.side[0].sent_len - start);
    side_assert_closed(&p.side[0], false, PL_BYE_PROOF);
    pair_free(&model);
    pair_free(&p);
}

static void session_refuses_a_server_that_asks_to_join(void **state)
{
    struct pair p;
    struct pl_msg_hello hello = { .version = 1, .join = true, .has_hint = true };
    uint8_t buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pair_init(&p, *state, false);
    hello.backend_id = p.config[0].backend_id;
    pl_msg_hello_encode(&hello, &w);
    pair_open(&p);
    pair_feed_frame(&p, &p.side[1], PL_MSG_HELLO, buf, w.len);
    side_assert_closed(&p.side[1], false, PL_BYE_PROTOCOL);
    pair_free(&p);
}

static void session_refuses_another_tls_server_key(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.config[0].tls_server_key[64] ^= 1;
    pair_open(&p);
    pair_pump(&p);
    pair_assert_never_open(&p);
    side_assert_closed(&p.side[1], false, PL_BYE_PROOF);
    pair_free(&p);
}

static void session_survives_truncation_at_every_byte(void **state)
{
    struct pair model;
    pair_open_both(&model, *state, false);
    for (size_t cut = 0; cut < model.side[1].sent_len; cut++) {
        struct pair p;
        pair_init(&p, *state, false);
        p.side[1].cut = cut;
        p.step = SIZE_MAX;
        pair_open(&p);
        pair_pump(&p);
        assert_false(side_saw(&p.side[0], PL_SESSION_OPEN));
        assert_false(side_saw(&p.side[0], PL_SESSION_CLOSED));
        pair_free(&p);
    }
    pair_free(&model);
}

/* ---- Joining ---- */

static void session_joins(void **state)
{
    static const enum pl_session_event_kind logs[2][3] = { { PL_SESSION_PEER, PL_SESSION_JOIN,
                                                             PL_SESSION_OPEN },
                                                           { PL_SESSION_JOINED, PL_SESSION_OPEN } };
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct pair p;
        pair_init(&p, *state, true);
        p.step = seed == 0 ? 1 : 0;
        p.seed = seed;
        pair_open(&p);
        pair_pump(&p);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(3 - i, p.side[i].log_count);
            assert_memory_equal(logs[i], p.side[i].log, p.side[i].log_count * sizeof logs[i][0]);
            assert_true(pl_session_is_open(p.side[i].s));
        }
        pair_free(&p);
    }
}

static void session_shows_the_join_to_both_owners(void **state)
{
    struct pair p;
    pair_init(&p, *state, true);
    p.answer = false;
    pair_open(&p);
    pair_pump(&p);
    assert_int_equal(PL_SESSION_PEER, p.side[0].last.kind);
    assert_true(p.side[0].last.join);
    assert_int_equal(0, p.side[0].sent_len);
    pl_session_admit(p.side[0].s, NULL);
    pair_pump(&p);
    const struct pl_session_event *join = &p.side[0].last;
    assert_int_equal(PL_SESSION_JOIN, join->kind);
    assert_span_text(join->peer_id, p.f->names[1]);
    assert_memory_equal(fixture_key(p.f, 1)->fingerprint, join->peer_key->fingerprint, 32);
    assert_memory_equal(p.config[1].join_secret, join->join_secret, PL_INVITE_SECRET_BYTES);
    pl_session_joined(p.side[0].s, pl_span_text("team"), false);
    pair_pump(&p);
    const struct pl_session_event *joined = &p.side[1].last;
    assert_int_equal(PL_SESSION_JOINED, joined->kind);
    assert_span_text(joined->peer_id, p.f->names[0]);
    assert_memory_equal(fixture_key(p.f, 0)->fingerprint, joined->peer_key->fingerprint, 32);
    assert_span_text(joined->name_space, "team");
    assert_false(joined->may_write);
    pair_assert_never_open(&p);
    pl_session_join_done(p.side[1].s);
    pair_pump(&p);
    assert_true(pl_session_is_open(p.side[0].s) && pl_session_is_open(p.side[1].s));
    pair_free(&p);
}

static void session_join_refuses_another_fingerprint(void **state)
{
    struct pair p;
    pair_init(&p, *state, true);
    p.config[1].expect_fingerprint[31] ^= 1;
    pair_open(&p);
    pair_pump(&p);
    assert_false(side_saw(&p.side[0], PL_SESSION_JOIN));
    side_assert_closed(&p.side[1], false, PL_BYE_PROOF);
    pair_free(&p);
}

static void session_join_with_a_wrong_secret_is_for_the_owner_to_refuse(void **state)
{
    struct pair p;
    pair_init(&p, *state, true);
    memset(p.config[1].join_secret, 0, PL_INVITE_SECRET_BYTES);
    p.refuse = PL_BYE_INVITE;
    pair_open(&p);
    pair_pump(&p);
    assert_int_equal(PL_SESSION_JOIN, p.side[0].last.kind);
    side_assert_closed(&p.side[1], true, PL_BYE_INVITE);
    pair_assert_never_open(&p);
    pair_free(&p);
}

static void session_join_may_be_refused_before_anything_is_signed(void **state)
{
    struct pair p;
    pair_init(&p, *state, true);
    p.answer = false;
    pair_open(&p);
    pair_pump(&p);
    pl_session_close(p.side[0].s, PL_BYE_INVITE);
    pair_pump(&p);
    side_assert_closed(&p.side[1], true, PL_BYE_INVITE);
    assert_int_equal(PL_MSG_BYE, p.side[0].sent[PL_FRAME_LENGTH_BYTES]);
    pair_free(&p);
}

static void session_join_refuses_an_id_that_is_not_of_the_key(void **state)
{
    for (int who = 0; who < 2; who++) {
        struct pair p;
        pair_init(&p, *state, true);
        p.config[who].backend_id = pl_span_text("edge_sha256_00112233445566778899aabbccddeeff");
        pair_open(&p);
        pair_pump(&p);
        pair_assert_never_open(&p);
        assert_false(side_saw(&p.side[0], PL_SESSION_JOIN));
        side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
        pair_free(&p);
    }
}

static void session_join_refuses_a_swapped_key(void **state)
{
    for (int who = 0; who < 2; who++) {
        struct pair p;
        pair_init(&p, *state, true);
        p.config[who].identity = p.f->ids[1 - who];
        pair_open(&p);
        pair_pump(&p);
        pair_assert_never_open(&p);
        assert_false(side_saw(&p.side[0], PL_SESSION_JOIN));
        side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
        pair_free(&p);
    }
}

static void assert_not_rsa(const struct side *side)
{
    side_assert_closed(side, false, PL_BYE_PROOF);
    assert_non_null(strstr(side->last.why, "is not RSA"));
}

/* Whoever registered a P-256 key over HTTP could otherwise open a session with it. */
static void session_refuses_keys_that_are_not_rsa_with_a_reason_of_their_own(void **state)
{
    struct pair p;
    struct pl_pubkey key;
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    uint8_t body[256];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    size_t len = 0;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &key));
    assert_ok(pl_pubkey_to_der(&key, der, &len));
    struct pl_msg_proof proof = { .signature = pl_span_of(der, PL_EC_SIGNATURE_BYTES),
                                  .key = pl_span_of(der, len),
                                  .reveal = pl_span_of(der, PL_REVEAL_BYTES) };
    pl_msg_proof_encode(&proof, &w);
    assert_ok(w.err);
    pair_reach(&p, *state, &moments[2]);
    pair_feed_frame(&p, &p.side[0], PL_MSG_PROOF, body, w.len);
    assert_not_rsa(&p.side[0]);
    pair_free(&p);

    pair_init(&p, *state, false);
    p.admit_key.key = &key;
    pair_open(&p);
    pair_pump(&p);
    assert_false(side_saw(&p.side[0], PL_SESSION_OPEN));
    assert_not_rsa(&p.side[0]);
    pair_free(&p);
}

/* ---- Order ---- */

static void session_wants_a_key_in_the_proof_of_a_join_and_in_no_other(void **state)
{
    struct pair p;
    pair_reach(&p, *state, &moments[2]);
    pair_feed_frame(&p, &p.side[0], PL_MSG_PROOF, "\x94\xc4\x01x\xc0\x90\xc0", 7);
    side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
    pair_free(&p);
    pair_reach(&p, *state, &moments[1]);
    pair_feed_frame(&p, &p.side[0], PL_MSG_PROOF, "\x94\xc4\x01x\xc4\x01k\x90\xc0", 9);
    side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
    pair_free(&p);
}

static void session_refuses_every_message_out_of_order(void **state)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(moments); i++) {
        for (uint8_t type = PL_MSG_HELLO; type < PL_MSG_BYE; type++) {
            struct pair p;
            if (type == moments[i].next)
                continue;
            pair_reach(&p, *state, &moments[i]);
            struct side *side = &p.side[moments[i].who];
            pair_feed_frame(&p, side, (enum pl_message_type)type, "\x90", 1);
            side_assert_closed(side, false, PL_BYE_PROTOCOL);
            pair_free(&p);
        }
    }
}

static void session_takes_bye_at_any_time_and_answers_nothing(void **state)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(moments); i++) {
        struct pair p;
        pair_reach(&p, *state, &moments[i]);
        struct side *side = &p.side[moments[i].who];
        pair_feed_frame(&p, side, PL_MSG_BYE, "\x92\x06\xa0", 3);
        side_assert_closed(side, true, PL_BYE_INVITE);
        size_t len;
        assert_null(pl_session_send_buf(side->s, &len));
        assert_true(pl_session_is_finished(side->s));
        assert_int_equal(PARLEY_TIME_NEVER, pl_session_deadline(side->s));
        pair_free(&p);
    }
}

static void session_refuses_handshake_messages_once_open(void **state)
{
    for (uint8_t type = PL_MSG_HELLO; type <= PL_MSG_JOIN_DONE; type++) {
        struct pair p;
        pair_open_both(&p, *state, false);
        pair_feed_frame(&p, &p.side[type % 2], (enum pl_message_type)type, "\x90", 1);
        side_assert_closed(&p.side[type % 2], false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
}

static void session_refuses_malformed_handshake_messages(void **state)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(moments); i++) {
        struct pair p;
        pair_reach(&p, *state, &moments[i]);
        struct side *side = &p.side[moments[i].who];
        pair_feed_frame(&p, side, moments[i].next, "\xc0\xc0", 2);
        side_assert_closed(side, false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
}

static void session_refuses_impossible_frames_from_their_header(void **state)
{
    static const struct {
        uint8_t bytes[5];
        size_t len;
    } cases[] = {
        { { 0, 0, 0, 0 }, 4 },
        { { 0, 2, 0, 0 }, 4 },
        { { 0xff, 0xff, 0xff, 0xff }, 4 },
        { { 0, 0, 0, 34, PL_MSG_ACK }, 5 },
        { { 0, 0, 0x20, 2, PL_MSG_STATE }, 5 },
        { { 0, 0, 0, 2, 0 }, 5 },
        { { 0, 0, 0, 2, PL_MSG_DIFF + 1 }, 5 },
        { { 0, 0, 0, 2, 255 }, 5 },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pair p;
        pair_open_both(&p, *state, false);
        pair_feed(&p, &p.side[i % 2], cases[i].bytes, cases[i].len - 1);
        assert_true(pl_session_is_open(p.side[i % 2].s));
        pair_feed(&p, &p.side[i % 2], cases[i].bytes + cases[i].len - 1, 1);
        side_assert_closed(&p.side[i % 2], false, PL_BYE_PROTOCOL);
        size_t len;
        assert_null(pl_session_recv_buf(p.side[i % 2].s, &len));
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_opens_however_its_bytes_are_cut),
        cmocka_unit_test(session_refuses_a_server_with_another_key),
        cmocka_unit_test(session_refuses_a_client_with_another_key),
        cmocka_unit_test(session_refuses_a_server_with_another_id),
        cmocka_unit_test(session_refuses_itself),
        cmocka_unit_test(session_refuses_another_version),
        cmocka_unit_test(session_refuses_a_wrong_preface_at_its_first_wrong_byte),
        cmocka_unit_test(session_refuses_what_was_said_in_an_earlier_session),
        cmocka_unit_test(session_never_opens_when_a_hello_is_changed_on_its_way),
        cmocka_unit_test(session_never_opens_when_a_proof_is_changed_on_its_way),
        cmocka_unit_test(session_refuses_its_own_proof_reflected),
        cmocka_unit_test(session_refuses_a_server_that_asks_to_join),
        cmocka_unit_test(session_refuses_another_tls_server_key),
        cmocka_unit_test(session_survives_truncation_at_every_byte),
        cmocka_unit_test(session_joins),
        cmocka_unit_test(session_shows_the_join_to_both_owners),
        cmocka_unit_test(session_join_refuses_another_fingerprint),
        cmocka_unit_test(session_join_with_a_wrong_secret_is_for_the_owner_to_refuse),
        cmocka_unit_test(session_join_may_be_refused_before_anything_is_signed),
        cmocka_unit_test(session_join_refuses_an_id_that_is_not_of_the_key),
        cmocka_unit_test(session_join_refuses_a_swapped_key),
        cmocka_unit_test(session_refuses_keys_that_are_not_rsa_with_a_reason_of_their_own),
        cmocka_unit_test(session_wants_a_key_in_the_proof_of_a_join_and_in_no_other),
        cmocka_unit_test(session_refuses_every_message_out_of_order),
        cmocka_unit_test(session_takes_bye_at_any_time_and_answers_nothing),
        cmocka_unit_test(session_refuses_handshake_messages_once_open),
        cmocka_unit_test(session_refuses_malformed_handshake_messages),
        cmocka_unit_test(session_refuses_impossible_frames_from_their_header),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_drop);
}
