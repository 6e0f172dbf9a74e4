/* SPDX-License-Identifier: Apache-2.0
 *
 * The six digits of a join: equal on both sides, different when somebody is between, and made of
 * nothing that either side could still choose once it knew the rest.
 */
#include "lib/session_pair.h"

#include "core/hash.h"
#include "proto/session_int.h"

#include <stdio.h>

/* What the owners of a join were shown; both are empty before it got that far. */
struct shown {
    char check[2][PL_CHECK_DIGITS + 1];
};

static bool keep_check(struct pair *p, int who, struct shown *shown)
{
    struct side *side = &p->side[who];
    bool any = pair_take_events(p, side);
    if (any && side->last.kind == PL_SESSION_PEER)
        pl_session_admit(side->s, NULL);
    if (any && (side->last.kind == PL_SESSION_JOIN || side->last.kind == PL_SESSION_JOINED)) {
        memcpy(shown->check[who], side->last.check, sizeof side->last.check);
        if (who == 0)
            pl_session_joined(side->s, pl_span_text("family"), true);
        else
            pl_session_join_done(side->s);
    }
    return any;
}

/* Runs a join to its end. */
static void run_join(struct pair *p, struct shown *shown)
{
    bool moved = true;
    *shown = (struct shown){ 0 };
    while (moved) {
        moved = pair_carry(p, &p->side[1], &p->side[0]);
        moved = keep_check(p, 0, shown) || moved;
        moved = pair_carry(p, &p->side[0], &p->side[1]) || moved;
        moved = keep_check(p, 1, shown) || moved;
    }
}

static void open_join(struct pair *p, struct fixture *f)
{
    pair_init(p, f, true);
    p->answer = false;
    pair_open(p);
}

static void check_digits_are_equal_on_both_sides_and_new_each_time(void **state)
{
    char before[PL_CHECK_DIGITS + 1] = "";
    for (int i = 0; i < 3; i++) {
        struct pair p;
        struct shown shown;
        open_join(&p, *state);
        run_join(&p, &shown);
        assert_true(pl_session_is_open(p.side[0].s) && pl_session_is_open(p.side[1].s));
        assert_int_equal(PL_CHECK_DIGITS, strlen(shown.check[0]));
        assert_string_equal(shown.check[0], shown.check[1]);
        assert_string_not_equal(before, shown.check[0]);
        memcpy(before, shown.check[0], sizeof before);
        pair_free(&p);
    }
}

/* As docs/PROTOCOL.md has it, from the bytes that were on the wire. */
static void check_digits_are_what_the_protocol_says(void **state)
{
    struct pair p;
    struct shown shown;
    struct pl_sha256 h;
    uint8_t hash[PL_SHA256_BYTES];
    char digits[PL_CHECK_DIGITS + 1];
    open_join(&p, *state);
    run_join(&p, &shown);
    size_t client_end = side_frame_end(&p.side[1], PL_WIRE_PREFACE_BYTES);
    pl_sha256_init(&h);
    pl_sha256_update(&h, "parley check 2", 14);
    pl_sha256_update(&h, p.side[1].sent + PL_WIRE_PREFACE_BYTES,
                     client_end - PL_WIRE_PREFACE_BYTES);
    pl_sha256_update(&h, p.side[0].sent, side_frame_end(&p.side[0], 0));
    pl_sha256_update(&h, p.side[1].s->our_reveal, PL_REVEAL_BYTES);
    pl_sha256_update(&h, p.side[0].s->our_reveal, PL_REVEAL_BYTES);
    pl_sha256_final(&h, hash);
    snprintf(digits, sizeof digits, "%06u", (unsigned)(pl_get_be(hash, 8) % 1000000));
    assert_string_equal(digits, shown.check[0]);
    pair_free(&p);
}

/* Somebody changed the invite on its way, so that the client believes his key: he joins the server
 * with the secret, and lets the client join him. Both joins succeed; only the digits tell. */
static void check_digits_differ_with_somebody_between(void **state)
{
    struct fixture *f = *state;
    struct fixture middle = *f;
    struct pair to_client;
    struct pair to_server;
    struct shown client;
    struct shown server;
    middle.ids[0] = f->ids[1];
    memcpy(middle.names[0], f->names[1], sizeof middle.names[0]);
    middle.ids[1] = f->ids[0];
    memcpy(middle.names[1], f->names[0], sizeof middle.names[1]);
    open_join(&to_client, &middle);
    open_join(&to_server, f);
    run_join(&to_client, &client);
    run_join(&to_server, &server);
    assert_int_equal(PL_CHECK_DIGITS, strlen(client.check[1]));
    assert_string_not_equal(client.check[1], server.check[0]);
    pair_free(&to_client);
    pair_free(&to_server);
}

/* The nonce is fixed, the reveal not yet shown. */
static void send_hello_of_server(struct pair *p)
{
    while (!pair_take_events(p, &p->side[0]))
        assert_true(pair_carry(p, &p->side[1], &p->side[0]));
    pl_session_admit(p->side[0].s, NULL);
}

/* What makes the digits hard to choose: each side is bound before it sees the other's part. */
static void session_join_refuses_a_reveal_that_is_not_of_the_nonce(void **state)
{
    for (int liar = 0; liar < 2; liar++) {
        for (size_t at = 0; at < PL_REVEAL_BYTES; at += 31) {
            struct pair p;
            struct shown shown;
            open_join(&p, *state);
            if (liar == 0)
                send_hello_of_server(&p);
            p.side[liar].s->our_reveal[at] ^= 1;
            run_join(&p, &shown);
            side_assert_closed(&p.side[1 - liar], false, PL_BYE_PROOF);
            assert_non_null(strstr(p.side[1 - liar].last.why, "reveal"));
            pair_assert_never_open(&p);
            pair_free(&p);
        }
    }
}

static void session_shows_no_reveal_before_the_other_side_is_bound(void **state)
{
    struct pair p;
    open_join(&p, *state);
    pair_pump(&p);
    pl_session_admit(p.side[0].s, NULL);
    pair_pump(&p);
    assert_int_equal(PL_SESSION_JOIN, p.side[0].last.kind);
    const uint8_t *secret = p.side[0].s->our_reveal;
    for (size_t i = 0; i + PL_REVEAL_BYTES <= p.side[0].sent_len; i++)
        assert_memory_not_equal(secret, p.side[0].sent + i, PL_REVEAL_BYTES);
    size_t hello_end = side_frame_end(&p.side[1], PL_WIRE_PREFACE_BYTES);
    for (size_t i = 0; i + PL_REVEAL_BYTES <= hello_end; i++)
        assert_memory_not_equal(p.side[1].s->our_reveal, p.side[1].sent + i, PL_REVEAL_BYTES);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_digits_are_equal_on_both_sides_and_new_each_time),
        cmocka_unit_test(check_digits_are_what_the_protocol_says),
        cmocka_unit_test(check_digits_differ_with_somebody_between),
        cmocka_unit_test(session_join_refuses_a_reveal_that_is_not_of_the_nonce),
        cmocka_unit_test(session_shows_no_reveal_before_the_other_side_is_bound),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_drop);
}
