/* SPDX-License-Identifier: Apache-2.0
 *
 * How a session ends, its deadlines, backpressure and bulk.
 */
#include "lib/session_pair.h"

#include "proto/frame.h"

/* ---- Ending ---- */

static void session_carries_every_bye(void **state)
{
    for (uint32_t code = 0; code < PL_BYE_COUNT; code++) {
        struct pair p;
        pair_open_both(&p, *state, false);
        int who = (int)(code % 2);
        pl_session_close(p.side[who].s, (enum pl_bye)code);
        assert_false(pl_session_is_open(p.side[who].s));
        assert_false(pl_session_is_finished(p.side[who].s));
        pair_pump(&p);
        side_assert_closed(&p.side[1 - who], true, code);
        assert_string_equal(pl_bye_text(code), p.side[1 - who].last.why);
        assert_false(side_saw(&p.side[who], PL_SESSION_CLOSED));
        assert_true(pl_session_is_finished(p.side[0].s) && pl_session_is_finished(p.side[1].s));
        pair_free(&p);
    }
}

static void session_understands_a_bye_of_a_later_version_and_a_broken_one(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    pair_feed_frame(&p, &p.side[0], PL_MSG_BYE, "\x93\xcd\x03\xe8\xa2no\xc0", 8);
    side_assert_closed(&p.side[0], true, 1000);
    assert_string_equal("unknown reason", p.side[0].last.why);
    pair_feed_frame(&p, &p.side[1], PL_MSG_BYE, "", 0);
    side_assert_closed(&p.side[1], true, PL_BYE_PROTOCOL);
    pair_free(&p);
}

static void session_drops_what_it_had_to_say_when_the_peer_says_bye(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_writer body;
    assert_true(pl_session_send_begin(p.side[0].s, PL_MSG_ACK, 2, &body));
    pl_write_text(&body, "\x91\x05");
    pl_session_send_end(p.side[0].s, &body);
    size_t len;
    pl_session_send_buf(p.side[0].s, &len);
    assert_int_equal(7, len);
    pair_feed_frame(&p, &p.side[0], PL_MSG_BYE, "\x92\x00\xa0", 3);
    assert_null(pl_session_send_buf(p.side[0].s, &len));
    assert_true(pl_session_is_finished(p.side[0].s));
    pl_session_send_ack(p.side[0].s, 7); /* a write that was under way */
    pair_free(&p);
}

static void session_reads_nothing_after_it_closed(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    size_t room;
    uint8_t *dst = pl_session_recv_buf(p.side[0].s, &room);
    assert_non_null(dst);
    pl_session_close(p.side[0].s, PL_BYE_STORE);
    memset(dst, 0xff, 5);
    pl_session_recv_ack(p.side[0].s, 5, p.now); /* a read that was under way */
    assert_null(pl_session_recv_buf(p.side[0].s, &room));
    struct pl_session_event event;
    pl_session_next(p.side[0].s, &event);
    assert_int_equal(PL_SESSION_NONE, event.kind);
    pair_free(&p);
}

static void session_answers_are_inert_after_the_deadline(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    p.answer = false;
    pair_open(&p);
    pair_pump(&p);
    assert_int_equal(PL_SESSION_PEER, p.side[0].last.kind);
    pl_session_tick(p.side[0].s, START + PL_SESSION_HELLO_NS_MAX);
    pl_session_admit(p.side[0].s, &p.admit_key);
    pair_take_events(&p, &p.side[0]);
    side_assert_closed(&p.side[0], false, PL_BYE_IDLE);
    pair_take_events(&p, &p.side[0]);
    assert_int_equal(2, p.side[0].log_count);
    pair_free(&p);
}

/* ---- Time ---- */

static void session_must_open_within_its_time(void **state)
{
    struct pair p;
    pair_init(&p, *state, false);
    pair_open(&p);
    for (int i = 0; i < 2; i++) {
        struct side *side = &p.side[i];
        parley_time deadline = START + PL_SESSION_HELLO_NS_MAX;
        if (i == 0)
            pair_feed(&p, side, PL_WIRE_PREFACE, 3);
        assert_int_equal(deadline, pl_session_deadline(side->s));
        pl_session_tick(side->s, deadline - 1);
        pair_take_events(&p, side);
        assert_int_equal(0, side->log_count);
        pl_session_tick(side->s, deadline);
        pair_take_events(&p, side);
        side_assert_closed(side, false, PL_BYE_IDLE);
    }
    pair_free(&p);
}

static void session_closes_when_nothing_was_heard(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[0].s;
    p.now = START + 7;
    pair_feed_frame(&p, &p.side[0], PL_MSG_ACK, "\x91\x01", 2);
    assert_int_equal(START + 7, pl_session_heard_at(s));
    assert_int_equal(START + 7 + PL_SESSION_IDLE_NS_MAX, pl_session_deadline(s));
    pl_session_tick(s, START + 6 + PL_SESSION_IDLE_NS_MAX);
    assert_true(pl_session_is_open(s));
    pl_session_tick(s, START + 7 + PL_SESSION_IDLE_NS_MAX);
    pair_take_events(&p, &p.side[0]);
    side_assert_closed(&p.side[0], false, PL_BYE_IDLE);
    pair_pump(&p);
    side_assert_closed(&p.side[1], true, PL_BYE_IDLE);
    pair_free(&p);
}

static void session_does_not_blame_the_peer_for_a_slow_owner(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[0].s;
    p.answer = false;
    pair_feed_frame(&p, &p.side[0], PL_MSG_ACK, "\x91\x01", 2);
    parley_time late = START + 3 * PL_SESSION_IDLE_NS_MAX;
    pl_session_tick(s, late);
    assert_true(pl_session_is_open(s));
    pl_session_message_done(s);
    assert_int_equal(late + PL_SESSION_IDLE_NS_MAX, pl_session_deadline(s));
    assert_int_equal(START, pl_session_heard_at(s));
    pair_free(&p);
}

static void session_gives_up_on_a_peer_that_does_not_read_its_bye(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[0].s;
    pl_session_close(s, PL_BYE_CLOSING);
    assert_int_equal(START, pl_session_deadline(s));
    pl_session_tick(s, START + 5);
    assert_int_equal(START + 5 + PL_SESSION_LINGER_NS_MAX, pl_session_deadline(s));
    assert_false(pl_session_is_finished(s));
    pl_session_tick(s, START + 5 + PL_SESSION_LINGER_NS_MAX);
    assert_true(pl_session_is_finished(s));
    assert_int_equal(PARLEY_TIME_NEVER, pl_session_deadline(s));
    pair_free(&p);
}

/* ---- Flow ---- */

static void session_reads_nothing_while_an_event_or_message_is_out(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[0].s;
    size_t room;
    uint8_t *dst = pl_session_recv_buf(s, &room);
    static const uint8_t two[] = { 0, 0, 0, 3, PL_MSG_ACK, 0x91, 0x01,
                                   0, 0, 0, 3, PL_MSG_ACK, 0x91, 0x02 };
    memcpy(dst, two, sizeof two);
    pl_session_recv_ack(s, sizeof two, START);
    assert_null(pl_session_recv_buf(s, &room));
    struct pl_session_event event;
    for (uint8_t i = 1; i <= 2; i++) {
        pl_session_next(s, &event);
        assert_int_equal(PL_SESSION_MESSAGE, event.kind);
        assert_int_equal(PL_MSG_ACK, event.type);
        assert_int_equal(i, event.body.ptr[1]);
        assert_null(pl_session_recv_buf(s, &room));
        struct pl_session_event none;
        pl_session_next(s, &none);
        assert_int_equal(PL_SESSION_NONE, none.kind);
        pl_session_message_done(s);
    }
    assert_non_null(pl_session_recv_buf(s, &room));
    pair_free(&p);
}

static void session_says_full_and_has_room_again_once_sent(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[1].s;
    struct pl_writer body;
    assert_int_equal(PL_FRAME_BODY_BYTES_MAX, pl_session_send_room(s));
    assert_true(pl_session_send_begin(s, PL_MSG_PART, PL_FRAME_BODY_BYTES_MAX, &body));
    assert_int_equal(PL_FRAME_BODY_BYTES_MAX, body.cap);
    memset(pl_writer_reserve(&body, body.cap), 0x7b, body.cap);
    pl_session_send_end(s, &body);
    assert_int_equal(0, pl_session_send_room(s));
    assert_false(pl_session_send_begin(s, PL_MSG_ACK, 1, &body));
    size_t len;
    const uint8_t *bytes = pl_session_send_buf(s, &len);
    assert_non_null(bytes);
    assert_int_equal(PL_FRAME_BYTES_MAX, len);
    pl_session_send_ack(s, len - 100);
    assert_true(pl_session_send_begin(s, PL_MSG_ACK, 2, &body));
    pl_session_send_end(s, NULL);
    pl_session_send_buf(s, &len);
    assert_int_equal(100, len);
    pair_free(&p);
}

static void session_has_room_for_bye_when_it_is_full(void **state)
{
    struct pair p;
    pair_open_both(&p, *state, false);
    struct pl_session *s = p.side[1].s;
    struct pl_writer body;
    while (pl_session_send_room(s) != 0) {
        assert_true(pl_session_send_begin(s, PL_MSG_ACK, 1, &body));
        pl_write_u8(&body, 0x90);
        pl_session_send_end(s, &body);
    }
    pl_session_close(s, PL_BYE_STORE);
    p.step = SIZE_MAX;
    pair_pump(&p);
    side_assert_closed(&p.side[0], true, PL_BYE_STORE);
    pair_free(&p);
}

/* ---- Bulk ---- */

struct flow {
    size_t bytes;
    uint8_t next; /* the content counts up, so that nothing is lost, doubled or moved */
    uint64_t seed;
};

static size_t draw(struct flow *flow, size_t below)
{
    flow->seed = flow->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(flow->seed >> 33) % below;
}

static void write_some(struct flow *flow, struct pl_session *s)
{
    struct pl_writer body;
    size_t max = draw(flow, 4) == 0 ? PL_FRAME_BODY_BYTES_MAX : 1 + draw(flow, 3000);
    if (!pl_session_send_begin(s, PL_MSG_CHANGES, max, &body))
        return;
    size_t len = max - draw(flow, pl_min_size(max, 50));
    for (size_t i = 0; i < len; i++)
        pl_write_u8(&body, flow->next++);
    flow->bytes += len;
    pl_session_send_end(s, &body);
}

static void read_some(struct flow *flow, struct pl_session *s)
{
    struct pl_session_event event;
    pl_session_next(s, &event);
    if (event.kind != PL_SESSION_MESSAGE)
        return;
    for (size_t i = 0; i < event.body.len; i++)
        assert_int_equal(flow->next++, event.body.ptr[i]);
    flow->bytes += event.body.len;
    pl_session_message_done(s);
}

static void session_carries_bulk_both_ways_unchanged(void **state)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct pair p;
        pair_open_both(&p, *state, false);
        struct flow out[2] = { { .seed = seed }, { .seed = seed + 100 } };
        struct flow in[2] = { { .seed = seed }, { .seed = seed } };
        for (size_t turn = 0; turn < 600; turn++) {
            for (int i = 0; i < 2; i++) {
                write_some(&out[i], p.side[i].s);
                p.step = 1 + draw(&in[i], 2 * PL_FRAME_BYTES_MAX);
                pair_carry(&p, &p.side[i], &p.side[1 - i]);
                read_some(&in[1 - i], p.side[1 - i].s);
            }
        }
        for (size_t turn = 0; turn < 200; turn++)
            for (int i = 0; i < 2; i++) {
                pair_carry(&p, &p.side[i], &p.side[1 - i]);
                read_some(&in[1 - i], p.side[1 - i].s);
            }
        for (int i = 0; i < 2; i++) {
            assert_in_range(out[i].bytes, 100000, SIZE_MAX);
            assert_int_equal(out[i].bytes, in[1 - i].bytes);
        }
        pair_free(&p);
    }
}

static void session_delivers_a_message_that_follows_the_proof_at_once(void **state)
{
    struct pair p;
    pair_reach(&p, *state, &moments[1]);
    p.side[1].cut = 0;
    struct pl_writer body;
    pair_pump(&p);
    assert_true(pl_session_send_begin(p.side[1].s, PL_MSG_ACK, 2, &body));
    pl_write_text(&body, "\x91\x05");
    pl_session_send_end(p.side[1].s, &body);
    p.side[1].cut = SIZE_MAX;
    p.step = SIZE_MAX;
    pair_pump(&p);
    static const enum pl_session_event_kind log[] = { PL_SESSION_PEER, PL_SESSION_OPEN,
                                                      PL_SESSION_MESSAGE };
    assert_int_equal(3, p.side[0].log_count);
    assert_memory_equal(log, p.side[0].log, sizeof log);
    pair_free(&p);
}

static void session_open_reports_no_memory_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t before = f->t.allocs;
    for (int64_t after = 0;; after++) {
        struct pair p;
        pair_init(&p, f, false);
        f->t.fail_after = after;
        parley_err err = pl_session_open(&f->t.env, &p.config[1], START, &p.side[1].s);
        f->t.fail_after = -1;
        if (err == PARLEY_OK) {
            pl_session_free(p.side[1].s);
            assert_int_equal(1, after);
            break;
        }
        assert_int_equal(PARLEY_ENOMEM, err);
        assert_null(p.side[1].s);
    }
    assert_int_equal(before, f->t.allocs);
    pl_session_free(NULL);
}

static void session_allocates_nothing_after_it_was_opened(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    pair_init(&p, f, true);
    pair_open(&p);
    f->t.fail_after = 0;
    pair_pump(&p);
    f->t.fail_after = -1;
    assert_true(pl_session_is_open(p.side[0].s));
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_carries_every_bye),
        cmocka_unit_test(session_understands_a_bye_of_a_later_version_and_a_broken_one),
        cmocka_unit_test(session_drops_what_it_had_to_say_when_the_peer_says_bye),
        cmocka_unit_test(session_reads_nothing_after_it_closed),
        cmocka_unit_test(session_answers_are_inert_after_the_deadline),
        cmocka_unit_test(session_must_open_within_its_time),
        cmocka_unit_test(session_closes_when_nothing_was_heard),
        cmocka_unit_test(session_does_not_blame_the_peer_for_a_slow_owner),
        cmocka_unit_test(session_gives_up_on_a_peer_that_does_not_read_its_bye),
        cmocka_unit_test(session_reads_nothing_while_an_event_or_message_is_out),
        cmocka_unit_test(session_says_full_and_has_room_again_once_sent),
        cmocka_unit_test(session_has_room_for_bye_when_it_is_full),
        cmocka_unit_test(session_carries_bulk_both_ways_unchanged),
        cmocka_unit_test(session_delivers_a_message_that_follows_the_proof_at_once),
        cmocka_unit_test(session_open_reports_no_memory_and_leaks_nothing),
        cmocka_unit_test(session_allocates_nothing_after_it_was_opened),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_drop);
}
