/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of sides that have rotated their keys: what a PROOF shows, what its reader learns, and
 * every way to lie about it.
 */
#include "lib/keys.h"
#include "lib/more_keys.h"
#include "lib/session_pair.h"

#include "proto/msg.h"

#define NOW  (INT64_C(1700000000) * 1000000)
#define KEYS 3

/* The chains of both sides: key 0 is the fixture's, two more follow. */
struct keys {
    struct pl_identity *ids[2][KEYS];
    struct pl_key_chain chains[2];
};

static void add_link(struct keys *k, const struct fixture *f, int who, int from, int to)
{
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    size_t len = 0;
    struct parley_span id = pl_span_text(f->names[who]);
    uint32_t number = (uint32_t)k->chains[who].count + 1;
    assert_ok(pl_rotation_make(k->ids[who][from], k->ids[who][to], id, NOW + number, number, bytes,
                               &len));
    assert_ok(pl_key_chain_append(&k->chains[who], id, pl_span_of(bytes, len)));
}

static struct keys *make_keys(struct fixture *f)
{
    static const char *const pems[2][KEYS] = {
        { TEST_KEY_A_PKCS1, TEST_NEXT_KEY_1, TEST_NEXT_KEY_2 },
        { TEST_KEY_B_PKCS1, TEST_NEXT_KEY_3, TEST_NEXT_KEY_4 }
    };
    static struct keys k;
    for (int who = 0; who < 2; who++) {
        for (int i = 0; i < KEYS; i++)
            assert_ok(
                pl_identity_import(&f->t.env, pl_span_text(pems[who][i]), &k.ids[who][i], NULL));
        pl_key_chain_init(&k.chains[who], pl_identity_pubkey(k.ids[who][0]));
        add_link(&k, f, who, 0, 1);
        add_link(&k, f, who, 1, 2);
    }
    return &k;
}

static void drop_keys(struct keys *k)
{
    for (int who = 0; who < 2; who++)
        for (int i = 0; i < KEYS; i++)
            pl_identity_destroy(k->ids[who][i]);
}

static const struct pl_pubkey *key_of(const struct keys *k, int who, int index)
{
    return pl_identity_pubkey(k->ids[who][index]);
}

/* `who` has rotated twice; the other holds its key `known`. */
static void init_rotated(struct pair *p, struct fixture *f, struct keys *k, int who, int known,
                         bool join)
{
    pair_init(p, f, join);
    p->config[who].identity = k->ids[who][2];
    p->config[who].chain = &k->chains[who];
    struct pl_session_key key = { .key = key_of(k, who, known), .rotations = (uint32_t)known };
    if (who == 1)
        p->admit_key = key;
    else if (!join)
        p->config[1].expect_key = key;
}

static void run(struct pair *p)
{
    pair_open(p);
    pair_pump(p);
}

static void session_shows_the_rotations_that_the_other_side_missed(void **state)
{
    struct keys *k = make_keys(*state);
    for (int who = 0; who < 2; who++) {
        for (int known = 0; known < KEYS; known++) {
            struct pair p;
            init_rotated(&p, *state, k, who, known, false);
            run(&p);
            const struct pl_session_event *event = &p.side[1 - who].last;
            assert_int_equal(PL_SESSION_OPEN, event->kind);
            assert_int_equal(known < 2, event->learned);
            assert_int_equal(2, event->rotations);
            assert_memory_equal(key_of(k, who, 2)->fingerprint, event->peer_key->fingerprint, 32);
            if (event->learned) {
                assert_memory_equal(key_of(k, who, 1)->fingerprint, event->previous->fingerprint,
                                    32);
                assert_int_equal(NOW + 2, event->rotated_at);
            }
            /* The side that has learned nothing says so. */
            assert_false(p.side[who].last.learned);
            pair_free(&p);
        }
    }
    drop_keys(k);
}

static void session_refuses_every_lie_about_rotations(void **state)
{
    struct keys *k = make_keys(*state);
    for (int who = 0; who < 2; who++) {
        for (int lie = 0; lie < 7; lie++) {
            struct pair p;
            struct pl_key_chain chain = k->chains[who];
            init_rotated(&p, *state, k, who, 0, false);
            p.config[who].chain = &chain;
            switch (lie) {
            case 0: /* the first is missing */
                chain.links[0] = chain.links[1];
                chain.count = 1;
                break;
            case 1: /* the last is missing: signed by a key that nothing leads to */
                chain.count = 1;
                break;
            case 2: /* the order is wrong */
                chain.links[0] = k->chains[who].links[1];
                chain.links[1] = k->chains[who].links[0];
                break;
            case 3: /* one is repeated */
                chain.links[2] = chain.links[1];
                chain.count = 3;
                break;
            case 4: /* one is changed */
                chain.links[1].statement[chain.links[1].len - 1] ^= 1;
                break;
            case 5: /* they are about the other side */
                memcpy(chain.links, k->chains[1 - who].links, sizeof chain.links);
                break;
            case 6: /* they are true, but the signature is of the key before */
                p.config[who].identity = k->ids[who][1];
                break;
            }
            run(&p);
            assert_false(side_saw(&p.side[1 - who], PL_SESSION_OPEN));
            side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
            pair_free(&p);
        }
    }
    drop_keys(k);
}

/* What the reader knows counts, not what the writer says of it. */
static void session_refuses_rotations_from_a_key_it_does_not_hold(void **state)
{
    struct keys *k = make_keys(*state);
    for (int who = 0; who < 2; who++) {
        struct pair p;
        init_rotated(&p, *state, k, who, 0, false);
        struct pl_session_key key = { .key = key_of(k, 1 - who, 1), .rotations = 0 };
        if (who == 1)
            p.admit_key = key;
        else
            p.config[1].expect_key = key;
        run(&p);
        side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
        pair_free(&p);
        /* The right key under the wrong number. */
        init_rotated(&p, *state, k, who, 0, false);
        p.admit_key.rotations = p.config[1].expect_key.rotations = 1;
        run(&p);
        side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
        pair_free(&p);
    }
    drop_keys(k);
}

/* A node restored from a backup: it signs with the key before the one that is held. */
static void session_accepts_the_previous_key_only_while_it_is_honoured(void **state)
{
    struct keys *k = make_keys(*state);
    for (int honoured = 0; honoured < 2; honoured++) {
        for (int who = 0; who < 2; who++) {
            struct pair p;
            init_rotated(&p, *state, k, who, 1, false);
            p.config[who].identity = k->ids[who][0];
            p.config[who].chain = NULL;
            struct pl_session_key *held = who == 1 ? &p.admit_key : &p.config[1].expect_key;
            held->previous = honoured != 0 ? key_of(k, who, 0) : NULL;
            run(&p);
            if (honoured != 0) {
                assert_int_equal(PL_SESSION_OPEN, p.side[1 - who].last.kind);
                assert_false(p.side[1 - who].last.learned);
                assert_int_equal(1, p.side[1 - who].last.rotations);
            } else {
                side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
            }
            pair_free(&p);
        }
    }
    drop_keys(k);
}

static void session_joins_whoever_has_rotated(void **state)
{
    struct keys *k = make_keys(*state);
    for (int named = 0; named < KEYS; named++) {
        struct pair p;
        init_rotated(&p, *state, k, 0, 0, true);
        p.config[1].identity = k->ids[1][2];
        p.config[1].chain = &k->chains[1];
        memcpy(p.config[1].expect_fingerprint, key_of(k, 0, named)->fingerprint,
               PL_FINGERPRINT_BYTES);
        run(&p);
        for (int who = 0; who < 2; who++) {
            const struct pl_session *s = p.side[who].s;
            assert_true(pl_session_is_open(s));
            for (int i = 0; i < KEYS; i++)
                assert_true(pl_session_has_shown(s, key_of(k, 1 - who, i)));
            assert_false(pl_session_has_shown(s, key_of(k, who, 0)));
            assert_int_equal(2, p.side[who].last.rotations);
        }
        pair_free(&p);
    }
    drop_keys(k);
}

static void session_join_refuses_a_chain_that_does_not_begin_with_the_id(void **state)
{
    struct keys *k = make_keys(*state);
    for (int who = 0; who < 2; who++) {
        struct pair p;
        /* The chain begins with its second key. */
        struct pl_key_chain chain = k->chains[who];
        init_rotated(&p, *state, k, who, 0, true);
        chain.first = chain.links[0].key;
        chain.links[0] = chain.links[1];
        chain.count = 1;
        p.config[who].chain = &chain;
        run(&p);
        side_assert_closed(&p.side[1 - who], false, PL_BYE_PROOF);
        pair_assert_never_open(&p);
        pair_free(&p);
    }
    drop_keys(k);
}

static void session_goes_on_when_its_own_key_is_rotated_in_the_handshake(void **state)
{
    struct keys *k = make_keys(*state);
    struct pair p;
    struct pl_key_chain chain = { .count = 0 };
    pl_key_chain_init(&chain, key_of(k, 1, 0));
    pair_init(&p, *state, false);
    p.config[1].identity = k->ids[1][0];
    p.config[1].chain = &chain;
    pair_open(&p);
    chain = k->chains[1];
    assert_true(pl_session_set_identity(p.side[1].s, k->ids[1][2]));
    pair_pump(&p);
    assert_int_equal(PL_SESSION_OPEN, p.side[0].last.kind);
    assert_true(p.side[0].last.learned);
    assert_int_equal(2, p.side[0].last.rotations);
    pair_free(&p);
    drop_keys(k);
}

static void session_wants_a_hint_outside_of_a_join_and_in_no_other(void **state)
{
    for (int join = 0; join < 2; join++) {
        for (int who = 0; who < 2; who++) {
            struct pair p;
            uint8_t buf[512];
            struct pl_writer w = pl_writer_over(buf, sizeof buf);
            pair_init(&p, *state, join != 0);
            struct pl_msg_hello hello = { .version = 1,
                                          .backend_id = p.config[1 - who].backend_id,
                                          .join = join != 0 && who == 0,
                                          .has_hint = join != 0 };
            pl_msg_hello_encode(&hello, &w);
            pair_open(&p);
            if (who == 0)
                pair_feed(&p, &p.side[0], PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
            pair_feed_frame(&p, &p.side[who], PL_MSG_HELLO, buf, w.len);
            side_assert_closed(&p.side[who], false, PL_BYE_PROTOCOL);
            pair_free(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_shows_the_rotations_that_the_other_side_missed),
        cmocka_unit_test(session_refuses_every_lie_about_rotations),
        cmocka_unit_test(session_refuses_rotations_from_a_key_it_does_not_hold),
        cmocka_unit_test(session_accepts_the_previous_key_only_while_it_is_honoured),
        cmocka_unit_test(session_joins_whoever_has_rotated),
        cmocka_unit_test(session_join_refuses_a_chain_that_does_not_begin_with_the_id),
        cmocka_unit_test(session_goes_on_when_its_own_key_is_rotated_in_the_handshake),
        cmocka_unit_test(session_wants_a_hint_outside_of_a_join_and_in_no_other),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_drop);
}
