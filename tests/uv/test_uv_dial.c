/* SPDX-License-Identifier: Apache-2.0
 *
 * Dials whose name look-ups and connections fail, dawdle and hang: what the node is told, and that
 * places are given back.
 */
#define _GNU_SOURCE 1
#include "uv_pair.h"

#include "node/node_int.h"
#include "uv/uv_time.h"

#include <stdio.h>

/* `b` joins `a`, whom the invite says to be at `host`, at its port. */
static void join_at(struct pair *p, const char *host)
{
    char address[PL_ADDRESS_BYTES_MAX + 1];
    char url[1024];
    struct parley_now now = pl_uv_now();
    snprintf(address, sizeof address, host[0] == '!' ? "%s" : "%s:%u", host, host_port(&p->a));
    pl_node_set_advertise(p->a.node, address);
    assert_ok(pl_node_invite(p->a.node, pl_span_text("main"), true,
                             now.wall + 3600 * PARLEY_US_PER_S, url, sizeof url, now));
    assert_ok(pl_node_join(p->b.node, pl_span_text(url), now, NULL));
    pl_uv_wake(p->a.uv);
    pl_uv_wake(p->b.uv);
}

static bool has_joined(void *arg)
{
    const struct pair *p = arg;
    return p->b.node->join.phase == PL_JOIN_DONE;
}

static bool dial_has_failed(void *arg)
{
    const struct pair *p = arg;
    return p->b.notes[PL_UV_NOTE_DIAL_FAILED] != 0;
}

static bool is_looking_up(void *arg)
{
    (void)arg;
    return shim.lookup_count != 0;
}

static bool all_are_swallowed(void *arg)
{
    (void)arg;
    return shim.swallow == 0;
}

/* The dial has failed for this reason; the node knows, and no place is taken by it. */
static void assert_dial_failed(struct pair *p, const char *why)
{
    assert_true(host_run(&p->l, dial_has_failed, p));
    assert_string_equal(why, p->b.why);
    assert_int_equal(PL_JOIN_FAILED, p->b.node->join.phase);
    assert_non_null(strstr(p->b.node->join.error, why));
    turn(p, 3);
    assert_int_equal(0, p->b.uv->used);
    assert_int_equal(0, p->b.uv->timed);
}

/* ---- Names ---- */

static void an_address_of_a_name_that_refuses_makes_way_for_the_next(void **state)
{
    (void)state;
    static const uint16_t ports[] = { 1, 1, 0 };
    struct pair p;
    pair_start(&p);
    join_at(&p, "peer.test");
    assert_true(host_run(&p.l, is_looking_up, NULL));
    shim_resolve(0, "127.0.0.1", ports, PL_ARRAY_LEN(ports));
    assert_true(host_run(&p.l, has_joined, &p));
    assert_int_equal(0, p.b.notes[PL_UV_NOTE_DIAL_FAILED]);
    pair_stop(&p);
}

static void addresses_of_a_name_beyond_the_most_are_not_tried(void **state)
{
    (void)state;
    uint16_t ports[PL_UV_CANDIDATES_MAX + 1];
    struct pair p;
    for (size_t i = 0; i < PL_UV_CANDIDATES_MAX; i++)
        ports[i] = 1;
    ports[PL_UV_CANDIDATES_MAX] = 0;
    pair_start(&p);
    join_at(&p, "peer.test");
    assert_true(host_run(&p.l, is_looking_up, NULL));
    shim_resolve(0, "127.0.0.1", ports, PL_ARRAY_LEN(ports));
    assert_dial_failed(&p, uv_strerror(UV_ECONNREFUSED));
    pair_stop(&p);
}

static void a_name_without_an_address_fails_the_dial(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    join_at(&p, "peer.test");
    assert_true(host_run(&p.l, is_looking_up, NULL));
    shim_resolve(0, "", NULL, 0);
    assert_dial_failed(&p, "the name has no address");
    pair_stop(&p);
}

static void a_name_that_is_not_known_fails_the_dial_with_the_reason(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    join_at(&p, "peer.test");
    assert_true(host_run(&p.l, is_looking_up, NULL));
    shim_resolve(UV_EAI_NONAME, "", NULL, 0);
    assert_dial_failed(&p, uv_strerror(UV_EAI_NONAME));
    pair_stop(&p);
}

static void a_look_up_that_cannot_begin_fails_the_dial_with_the_reason(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    shim_fail(SHIM_GETADDRINFO, UV_ENOMEM, 1);
    join_at(&p, "peer.test");
    assert_dial_failed(&p, uv_strerror(UV_ENOMEM));
    assert_int_equal(0, p.b.uv->lookup_count);
    pair_stop(&p);
}

static void a_port_that_is_none_fails_the_dial(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    join_at(&p, "!");
    assert_dial_failed(&p, "the address is not HOST:PORT");
    pair_stop(&p);
}

/* Look-ups that are given up still count while they run; then a name that answers is reached. */
static void look_ups_that_never_end_are_given_up_and_bounded(void **state)
{
    (void)state;
    static const uint16_t ports[] = { 0 };
    struct pair p;
    pair_start(&p);
    for (size_t i = 0; i < PL_UV_LOOKUPS_MAX; i++) {
        p.b.notes[PL_UV_NOTE_DIAL_FAILED] = 0;
        join_at(&p, "peer.test");
        assert_int_equal(i + 1, shim.lookup_count);
        turn(&p, 2);
        assert_int_equal(0, p.b.notes[PL_UV_NOTE_DIAL_FAILED]);
        shim.ahead += PL_UV_DIAL_NS;
        assert_dial_failed(&p, "the name look-up timed out");
    }
    p.b.notes[PL_UV_NOTE_DIAL_FAILED] = 0;
    join_at(&p, "peer.test");
    assert_dial_failed(&p, "too many name look-ups at once");
    assert_int_equal(PL_UV_LOOKUPS_MAX, shim.lookup_count);
    while (shim.lookup_count != 0)
        shim_resolve(0, "127.0.0.1", ports, 1);
    assert_int_equal(0, p.b.uv->used);
    join_at(&p, "peer.test");
    shim_resolve(0, "127.0.0.1", ports, 1);
    assert_true(host_run(&p.l, has_joined, &p));
    pair_stop(&p);
}

/* ---- Connecting ---- */

static void an_address_that_swallows_leaves_time_for_the_next(void **state)
{
    (void)state;
    static const uint16_t ports[] = { 0, 0 };
    struct pair p;
    pair_start(&p);
    shim.swallow = 1;
    join_at(&p, "peer.test");
    shim_resolve(0, "127.0.0.1", ports, PL_ARRAY_LEN(ports));
    assert_true(host_run(&p.l, all_are_swallowed, NULL));
    shim.ahead += PL_UV_DIAL_NS / 2 + PARLEY_NS_PER_MS;
    assert_true(host_run(&p.l, has_joined, &p));
    assert_int_equal(0, p.b.notes[PL_UV_NOTE_DIAL_FAILED]);
    pair_stop(&p);
}

static void a_dial_whose_time_is_over_tries_no_other_address(void **state)
{
    (void)state;
    static const uint16_t ports[] = { 0, 0 };
    struct pair p;
    pair_start(&p);
    shim.swallow = 1;
    join_at(&p, "peer.test");
    shim_resolve(0, "127.0.0.1", ports, PL_ARRAY_LEN(ports));
    assert_true(host_run(&p.l, all_are_swallowed, NULL));
    shim.ahead += PL_UV_DIAL_NS;
    assert_dial_failed(&p, "timed out");
    pair_stop(&p);
}

static void a_connection_that_cannot_begin_fails_the_dial_with_the_reason(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    shim_fail(SHIM_CONNECT, UV_EMFILE, 1);
    join_at(&p, "127.0.0.1");
    assert_dial_failed(&p, uv_strerror(UV_EMFILE));
    pair_stop(&p);
}

/* An IPv6 address in digits; nobody listens there, or there is no IPv6 here at all. */
static void an_address_in_digits_needs_no_look_up(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    join_at(&p, "[::1]");
    assert_int_equal(0, shim.lookup_count);
    assert_true(host_run(&p.l, dial_has_failed, &p));
    assert_int_equal('[', p.b.about[0]);
    pair_stop(&p);
}

static void a_stop_ends_a_look_up_and_a_connection_that_hang(void **state)
{
    (void)state;
    struct pair p;
    pair_start(&p);
    join_at(&p, "peer.test");
    turn(&p, 2);
    assert_int_equal(1, p.b.uv->used);
    host_stop(&p.b, &p.l);
    assert_int_equal(0, p.b.notes[PL_UV_NOTE_STOP_FORCED]);
    /* What the look-up points at is there until it ends, and then no longer. It was lost once, with
     * each driver that was freed before its look-ups had ended. */
    shim_resolve(UV_ECANCELED, "", NULL, 0);

    host_start(&p.b, &p.l, true);
    shim.swallow = 1;
    join_at(&p, "127.0.0.1");
    assert_int_equal(0, shim.swallow);
    turn(&p, 2);
    assert_int_equal(1, p.b.uv->used);
    host_stop(&p.b, &p.l);
    assert_int_equal(0, p.b.notes[PL_UV_NOTE_STOP_FORCED]);
    one_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_of_a_name_that_refuses_makes_way_for_the_next),
        cmocka_unit_test(addresses_of_a_name_beyond_the_most_are_not_tried),
        cmocka_unit_test(a_name_without_an_address_fails_the_dial),
        cmocka_unit_test(a_name_that_is_not_known_fails_the_dial_with_the_reason),
        cmocka_unit_test(a_look_up_that_cannot_begin_fails_the_dial_with_the_reason),
        cmocka_unit_test(a_port_that_is_none_fails_the_dial),
        cmocka_unit_test(look_ups_that_never_end_are_given_up_and_bounded),
        cmocka_unit_test(an_address_that_swallows_leaves_time_for_the_next),
        cmocka_unit_test(a_dial_whose_time_is_over_tries_no_other_address),
        cmocka_unit_test(a_connection_that_cannot_begin_fails_the_dial_with_the_reason),
        cmocka_unit_test(an_address_in_digits_needs_no_look_up),
        cmocka_unit_test(a_stop_ends_a_look_up_and_a_connection_that_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
