/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest host there is: two nodes in one process, and nothing between them. Only what
 * parley/node.h has is used here, as any host can.
 */
#include <parley/node.h>

static void dial(struct parley_link *link, int side, parley_conn conn, struct parley_now now)
{
    int other = 1 - side;
    if (link->conns[side] != 0 || link->conns[other] != 0) {
        parley_node_dialed(link->nodes[side], conn, "they are connected", now);
        return;
    }
    link->conns[other] = parley_node_accepted(link->nodes[other], NULL, 0, now);
    if (link->conns[other] == 0) {
        parley_node_dialed(link->nodes[side], conn, "the other node has no room", now);
        return;
    }
    link->conns[side] = conn;
    parley_node_dialed(link->nodes[side], conn, NULL, now);
}

/* What it had sent has arrived, so the other side can be told at once. */
static void close_end(struct parley_link *link, int side, parley_conn conn, struct parley_now now)
{
    parley_node_closed(link->nodes[side], conn, now);
    if (link->conns[side] != conn)
        return;
    link->conns[side] = 0;
    parley_node_recv_end(link->nodes[1 - side], link->conns[1 - side], now);
}

static bool run_effects(struct parley_link *link, int side, struct parley_now now)
{
    struct parley_effect effect;
    bool any = false;
    while (parley_node_take_effect(link->nodes[side], &effect)) {
        any = true;
        if (parley_node_run_effect(link->nodes[side], &effect, now))
            continue;
        if (effect.kind == PARLEY_EFFECT_DIAL)
            dial(link, side, effect.conn, now);
        if (effect.kind == PARLEY_EFFECT_CLOSE)
            close_end(link, side, effect.conn, now);
        /* WRITE and READ: both directions are looked at in every turn. */
    }
    return any;
}

static bool move_bytes(struct parley_link *link, int side, struct parley_now now)
{
    struct parley_node *from = link->nodes[side];
    struct parley_node *to = link->nodes[1 - side];
    size_t len = 0;
    size_t room = 0;
    const uint8_t *bytes = parley_node_send_buf(from, link->conns[side], &len);
    uint8_t *buf = parley_node_recv_buf(to, link->conns[1 - side], &room);
    if (bytes == NULL || buf == NULL || len == 0 || room == 0)
        return false;
    len = len < room ? len : room;
    memcpy(buf, bytes, len);
    parley_node_recv_ack(to, link->conns[1 - side], len, now);
    parley_node_send_ack(from, link->conns[side], len, now);
    return true;
}

bool parley_link_turn(struct parley_link *link, struct parley_now now)
{
    bool any = false;
    for (int side = 0; side < 2; side++) {
        if (parley_node_deadline(link->nodes[side]) <= now.mono)
            parley_node_tick(link->nodes[side], now);
        any = run_effects(link, side, now) || any;
        any = move_bytes(link, side, now) || any;
    }
    return any;
}
