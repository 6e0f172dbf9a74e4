/* SPDX-License-Identifier: Apache-2.0
 *
 * The wires of the switch keep N1 to N5 of link.h.
 */
#include "net/link.h"

#include "lib/testlib.h"

static struct net_links links;

static int begin(void **state)
{
    (void)state;
    return net_links_init(&links, 3, 7) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    net_links_deinit(&links);
    return 0;
}

static void send_byte(uint8_t byte, uint64_t now_us)
{
    net_links_send(&links, 0, 1, &byte, 1, now_us);
}

/* The bytes that come out until `now_us`, and how many. */
static size_t drain(uint64_t now_us, uint8_t *out, size_t cap)
{
    struct net_packet *packet;
    size_t len = 0;
    while ((packet = net_links_take(&links, now_us)) != NULL) {
        assert_int_equal(1, packet->len);
        assert_int_equal(0, packet->from);
        assert_int_equal(1, packet->to);
        assert_true(len < cap);
        out[len++] = packet->bytes[0];
        net_links_drop(&links, packet);
    }
    return len;
}

static void links_deliver_after_the_delay_and_in_order(void **state)
{
    uint8_t got[8];
    (void)state;
    links.wires[0][1].quality = (struct net_quality){ .delay_us = 1000, .jitter_us = 5000 };
    for (uint8_t i = 0; i < 8; i++)
        send_byte(i, i);
    assert_int_equal(0, drain(999, got, sizeof got));
    assert_int_equal(8, drain(6100, got, sizeof got));
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(i, got[i]);
    assert_true(net_links_due(&links) == NET_NEVER);
}

static void links_lose_duplicate_and_reorder_as_often_as_they_were_told(void **state)
{
    enum { COUNT = 1000 };
    uint8_t got[2 * COUNT];
    unsigned inversions = 0;
    (void)state;
    links.wires[0][1].quality = (struct net_quality){ .delay_us = 10,
                                                      .loss_ppm = 300000,
                                                      .dup_ppm = 100000,
                                                      .reorder_ppm = 200000,
                                                      .hold_us = 5000 };
    for (unsigned i = 0; i < COUNT; i++)
        send_byte((uint8_t)(i / 4), 100 * i);
    size_t len = drain(1000000, got, sizeof got);
    assert_in_range(links.counts.lost, 250, 350);
    assert_in_range(links.counts.duplicated, 40, 100);
    assert_int_equal(COUNT - links.counts.lost + links.counts.duplicated, len);
    for (size_t i = 1; i < len; i++)
        inversions += got[i] < got[i - 1];
    assert_in_range(inversions, 40, 400);
}

static void links_that_are_cut_lose_what_comes_and_what_is_under_way(void **state)
{
    uint8_t got[4];
    (void)state;
    links.wires[0][1].quality = (struct net_quality){ .delay_us = 100 };
    send_byte(1, 0);
    net_links_turn(&links, 0, 1, NET_CUT, 50);
    send_byte(2, 60);
    assert_int_equal(0, drain(1000, got, sizeof got));
    net_links_turn(&links, 0, 1, NET_OPEN, 1000);
    send_byte(3, 1000);
    assert_int_equal(1, drain(2000, got, sizeof got));
    assert_int_equal(3, got[0]);
    assert_int_equal(2, links.counts.cut);
}

static void links_that_are_stopped_give_all_in_order_when_they_go_on(void **state)
{
    uint8_t got[8];
    (void)state;
    links.wires[0][1].quality = (struct net_quality){ .delay_us = 100 };
    send_byte(1, 0);
    net_links_turn(&links, 0, 1, NET_STOPPED, 50);
    send_byte(2, 60);
    assert_int_equal(0, drain(1000, got, sizeof got));
    send_byte(3, 1000);
    net_links_turn(&links, 0, 1, NET_OPEN, 1050);
    send_byte(4, 1060);
    assert_int_equal(4, drain(5000, got, sizeof got));
    for (uint8_t i = 0; i < 4; i++)
        assert_int_equal(i + 1, got[i]);
    net_links_turn(&links, 0, 1, NET_STOPPED, 5000);
    send_byte(5, 5000);
    assert_int_equal(0, drain(6000, got, sizeof got));
    net_links_turn(&links, 0, 1, NET_CUT, 6000);
    net_links_turn(&links, 0, 1, NET_OPEN, 6000);
    assert_int_equal(0, drain(9000, got, sizeof got));
}

static void links_hold_no_more_than_their_room(void **state)
{
    uint8_t got[NET_WIRE_PACKETS + 1];
    (void)state;
    net_links_turn(&links, 0, 1, NET_STOPPED, 0);
    for (unsigned i = 0; i < NET_WIRE_PACKETS + 10; i++)
        send_byte(1, i);
    assert_int_equal(10, links.counts.overflown);
    net_links_turn(&links, 0, 1, NET_OPEN, 5000);
    assert_int_equal(NET_WIRE_PACKETS, drain(5000, got, sizeof got));
    send_byte(1, 6000);
    assert_int_equal(1, drain(6000, got, sizeof got));
}

static void links_have_the_same_dice_for_the_same_seed(void **state)
{
    uint8_t got[2][256];
    size_t len[2];
    (void)state;
    for (int run = 0; run < 2; run++) {
        net_links_deinit(&links);
        assert_true(net_links_init(&links, 3, 99));
        links.wires[0][1].quality = (struct net_quality){ .loss_ppm = 500000 };
        for (unsigned i = 0; i < 128; i++)
            send_byte((uint8_t)i, i);
        len[run] = drain(1000, got[run], sizeof got[run]);
    }
    assert_in_range(len[0], 30, 98);
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(got[0], got[1], len[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_deliver_after_the_delay_and_in_order, begin, end),
        cmocka_unit_test_setup_teardown(links_lose_duplicate_and_reorder_as_often_as_they_were_told,
                                        begin, end),
        cmocka_unit_test_setup_teardown(links_that_are_cut_lose_what_comes_and_what_is_under_way,
                                        begin, end),
        cmocka_unit_test_setup_teardown(links_that_are_stopped_give_all_in_order_when_they_go_on,
                                        begin, end),
        cmocka_unit_test_setup_teardown(links_hold_no_more_than_their_room, begin, end),
        cmocka_unit_test_setup_teardown(links_have_the_same_dice_for_the_same_seed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
