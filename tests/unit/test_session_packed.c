/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that travel packed: only between two sides that said so, and only those that may.
 */
#include "lib/session_pair.h"

#include "proto/frame.h"

#define BODY_BYTES 3000

static struct pl_zip *zip_make(struct fixture *f)
{
    struct pl_zip *zip = NULL;
    assert_ok(pl_zip_create(&f->t.env, &zip));
    return zip;
}

/* Which sides have a packer. */
static void open_with(struct pair *p, struct fixture *f, struct pl_zip *server,
                      struct pl_zip *client)
{
    pair_init(p, f, false);
    p->config[0].zip = server;
    p->config[1].zip = client;
    pair_open(p);
    pair_pump(p);
    assert_true(pl_session_is_open(p->side[0].s));
    assert_true(pl_session_is_open(p->side[1].s));
}

static void make_body(uint8_t body[BODY_BYTES])
{
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (uint8_t)('a' + i % 7);
}

/* The client sends this message; how many bytes it takes on the wire. */
static size_t send_body(struct pair *p, enum pl_message_type type, const uint8_t *body, size_t len)
{
    struct pl_writer w;
    size_t sent = 0;
    assert_true(pl_session_send_begin(p->side[1].s, type, len, &w));
    pl_write_bytes(&w, body, len);
    pl_session_send_end(p->side[1].s, &w);
    pl_session_send_buf(p->side[1].s, &sent);
    return sent;
}

/* Carries it and looks at it before it is given back. */
static void expect_body(struct pair *p, enum pl_message_type type, const uint8_t *body, size_t len)
{
    p->answer = false;
    pair_pump(p);
    assert_int_equal(PL_SESSION_MESSAGE, p->side[0].last.kind);
    assert_int_equal(type, p->side[0].last.type);
    assert_int_equal(len, p->side[0].last.body.len);
    assert_memory_equal(body, p->side[0].last.body.ptr, len);
    pl_session_message_done(p->side[0].s);
    p->answer = true;
}

static void packed_messages_arrive_as_they_were_written(void **state)
{
    static const enum pl_message_type types[] = { PL_MSG_CHANGES, PL_MSG_OFFER, PL_MSG_PART };
    struct pl_zip *zip = zip_make(*state);
    struct pair p;
    uint8_t body[BODY_BYTES];
    make_body(body);
    open_with(&p, *state, zip, zip);
    for (size_t i = 0; i < PL_ARRAY_LEN(types); i++) {
        assert_true(send_body(&p, types[i], body, BODY_BYTES - i) < 100);
        expect_body(&p, types[i], body, BODY_BYTES - i);
    }
    pair_free(&p);
    pl_zip_destroy(zip);
}

static void other_and_short_messages_are_not_packed(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    struct pair p;
    uint8_t body[BODY_BYTES];
    make_body(body);
    open_with(&p, *state, zip, zip);
    assert_int_equal(PL_FRAME_HEADER_BYTES + BODY_BYTES,
                     send_body(&p, PL_MSG_STATE, body, BODY_BYTES));
    expect_body(&p, PL_MSG_STATE, body, BODY_BYTES);
    assert_int_equal(PL_FRAME_HEADER_BYTES + PL_ZIP_BYTES_MIN - 1,
                     send_body(&p, PL_MSG_CHANGES, body, PL_ZIP_BYTES_MIN - 1));
    expect_body(&p, PL_MSG_CHANGES, body, PL_ZIP_BYTES_MIN - 1);
    pair_free(&p);
    pl_zip_destroy(zip);
}

/* One side alone: whoever it is, nothing is packed. */
static void nothing_is_packed_unless_both_sides_said_so(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    uint8_t body[BODY_BYTES];
    make_body(body);
    for (int who = 0; who < 2; who++) {
        struct pair p;
        open_with(&p, *state, who == 0 ? zip : NULL, who == 1 ? zip : NULL);
        assert_int_equal(PL_FRAME_HEADER_BYTES + BODY_BYTES,
                         send_body(&p, PL_MSG_CHANGES, body, BODY_BYTES));
        expect_body(&p, PL_MSG_CHANGES, body, BODY_BYTES);
        pair_free(&p);
    }
    pl_zip_destroy(zip);
}

/* A good packed body, as it would be in a PACKED of this type. */
static size_t make_packed(struct pl_zip *zip, unsigned type, uint8_t out[1024])
{
    uint8_t body[BODY_BYTES];
    struct parley_span packed;
    make_body(body);
    assert_true(pl_zip_pack(zip, pl_span_of(body, sizeof body), &packed));
    assert_true(packed.len < 1000);
    out[0] = (uint8_t)type;
    memcpy(out + 1, packed.ptr, packed.len);
    return 1 + packed.len;
}

static void a_packed_message_that_was_not_agreed_on_ends_the_session(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    uint8_t body[1024];
    size_t len = make_packed(zip, PL_MSG_CHANGES, body);
    for (int who = 0; who < 3; who++) {
        struct pair p;
        open_with(&p, *state, who == 1 ? zip : NULL, who == 2 ? zip : NULL);
        pair_feed_frame(&p, &p.side[0], PL_MSG_PACKED, body, len);
        side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
    pl_zip_destroy(zip);
}

static void a_packed_message_before_the_session_is_open_ends_it(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    uint8_t body[1024];
    size_t len = make_packed(zip, PL_MSG_CHANGES, body);
    struct pair p;
    pair_init(&p, *state, false);
    p.config[0].zip = p.config[1].zip = zip;
    pair_open(&p);
    pair_feed(&p, &p.side[0], PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
    pair_feed_frame(&p, &p.side[0], PL_MSG_PACKED, body, len);
    side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
    pair_free(&p);
    pl_zip_destroy(zip);
}

static void only_messages_with_versions_may_come_packed(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    uint8_t body[1024];
    for (unsigned type = 0; type < 256; type++) {
        bool may = type == PL_MSG_CHANGES || type == PL_MSG_OFFER || type == PL_MSG_PART;
        size_t len = make_packed(zip, type, body);
        struct pair p;
        open_with(&p, *state, zip, zip);
        pair_feed_frame(&p, &p.side[0], PL_MSG_PACKED, body, len);
        assert_int_equal(may, pl_session_is_open(p.side[0].s));
        if (!may)
            side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
    pl_zip_destroy(zip);
}

static void what_does_not_unpack_ends_the_session(void **state)
{
    struct pl_zip *zip = zip_make(*state);
    uint8_t body[1024];
    size_t whole = make_packed(zip, PL_MSG_CHANGES, body);
    for (size_t len = 0; len < whole; len++) {
        struct pair p;
        open_with(&p, *state, zip, zip);
        pair_feed_frame(&p, &p.side[0], PL_MSG_PACKED, body, len);
        side_assert_closed(&p.side[0], false, PL_BYE_PROTOCOL);
        pair_free(&p);
    }
    pl_zip_destroy(zip);
}

static void without_memory_to_unpack_the_session_ends_as_busy(void **state)
{
    struct fixture *f = *state;
    struct pl_zip *zip = zip_make(f);
    uint8_t body[1024];
    size_t len = make_packed(zip, PL_MSG_CHANGES, body);
    struct pair p;
    open_with(&p, f, zip, zip);
    f->t.fail_after = 0;
    pair_feed_frame(&p, &p.side[0], PL_MSG_PACKED, body, len);
    f->t.fail_after = -1;
    side_assert_closed(&p.side[0], false, PL_BYE_BUSY);
    pair_free(&p);
    pl_zip_destroy(zip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_messages_arrive_as_they_were_written),
        cmocka_unit_test(other_and_short_messages_are_not_packed),
        cmocka_unit_test(nothing_is_packed_unless_both_sides_said_so),
        cmocka_unit_test(a_packed_message_that_was_not_agreed_on_ends_the_session),
        cmocka_unit_test(a_packed_message_before_the_session_is_open_ends_it),
        cmocka_unit_test(only_messages_with_versions_may_come_packed),
        cmocka_unit_test(what_does_not_unpack_ends_the_session),
        cmocka_unit_test(without_memory_to_unpack_the_session_ends_as_busy),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_drop);
}
