/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include "core/hash.h"
#include "sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t way(const struct sim_link *link, unsigned dir)
{
    return link->index * 2 + dir;
}

static struct sim_node *node_at(struct sim_link *link, unsigned side)
{
    return &link->world->nodes[link->node[side]];
}

static struct sim_link *find_link(struct sim_node *n, pl_conn conn, unsigned *side)
{
    struct sim_world *w = n->world;
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        struct sim_link *link = &w->links[i];
        for (*side = 0; *side < 2 && link->state != SIM_LINK_FREE; (*side)++) {
            if (link->open[*side] && link->node[*side] == n->index && link->conn[*side] == conn)
                return link;
        }
    }
    return NULL;
}

static void free_link(struct sim_link *link)
{
    for (unsigned i = 0; i < 2; i++)
        free(link->pipe[i].buf);
    memset(link->pipe, 0, sizeof link->pipe);
    link->state = SIM_LINK_FREE;
    link->epoch++;
}

static parley_time latency(struct sim_world *w)
{
    return w->plan.latency_ns + sim_within(w, w->plan.jitter_ns);
}

/* ---- Dialing ---- */

void sim_wire_dial(struct sim_node *n, pl_conn conn, const char *address)
{
    struct sim_world *w = n->world;
    struct sim_link *link = NULL;
    for (unsigned i = 0; i < SIM_LINKS_MAX && link == NULL; i++) {
        if (w->links[i].state == SIM_LINK_FREE)
            link = &w->links[i];
    }
    PL_ASSERT(link != NULL);
    PL_ASSERT(address[0] == 'n' && (unsigned)(address[1] - '0') < w->plan.nodes);
    link->state = SIM_LINK_DIALING;
    link->resetting = false;
    link->node[0] = n->index;
    link->node[1] = (unsigned)(address[1] - '0');
    link->conn[0] = conn;
    link->conn[1] = 0;
    link->open[0] = true;
    link->open[1] = false;
    sim_push(w, w->now + 2 * latency(w), SIM_DIALED, way(link, 0), link->epoch);
}

static bool is_cut(const struct sim_world *w, unsigned from, unsigned to)
{
    return w->now < w->cut_until[from][to];
}

static void dial_failed(struct sim_link *link, const char *why)
{
    struct sim_node *n = node_at(link, 0);
    pl_conn conn = link->conn[0];
    free_link(link);
    sim_note(link->world, n->index, 5, "n%u: dial fails, %s", n->index, why);
    pl_node_dialed(n->node, conn, false, false, why, sim_now(n));
    sim_drain(n);
}

void sim_wire_dialed(struct sim_link *link)
{
    struct sim_world *w = link->world;
    struct sim_node *from = node_at(link, 0);
    struct sim_node *to = node_at(link, 1);
    if (is_cut(w, from->index, to->index) || is_cut(w, to->index, from->index)) {
        dial_failed(link, "timed out");
        return;
    }
    if (!w->calm && sim_chance(w, w->plan.dial_fails_percent)) {
        dial_failed(link, "network unreachable");
        return;
    }
    const struct pl_remote remote = { .net = { 0, 0, 0xff, 0xff, 10, 0, 0, (uint8_t)from->index } };
    pl_conn conn = to->state == SIM_UP ? pl_node_accepted(to->node, &remote, sim_now(to)) : 0;
    if (conn == 0) {
        dial_failed(link, "connection refused");
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        link->pipe[i].buf = malloc(w->plan.pipe_bytes);
        PL_ASSERT(link->pipe[i].buf != NULL);
        link->pipe[i].tap.lost = w->plan.tls;
    }
    link->state = SIM_LINK_OPEN;
    link->conn[1] = conn;
    link->open[1] = true;
    w->stats.connections++;
    sim_note(w, from->index, to->index, "n%u -> n%u connected", from->index, to->index);
    sim_drain(to);
    pl_node_dialed(from->node, link->conn[0], true, false, "", sim_now(from));
    sim_drain(from);
}

/* ---- Ends ---- */

static void schedule_arrival(struct sim_link *link, unsigned dir)
{
    struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_world *w = link->world;
    parley_time at =
        pipe->piece_count > 0 ? pipe->pieces[pipe->piece_first].at : w->now + latency(w);
    sim_push(w, at, SIM_ARRIVE, way(link, dir), link->epoch);
}

/* One end is closed; its node knows. What is under way to the other still arrives. */
static void end_side(struct sim_link *link, unsigned side)
{
    link->open[side] = false;
    if (link->state != SIM_LINK_OPEN || !link->open[1 - side]) {
        free_link(link);
        return;
    }
    struct sim_pipe *out = &link->pipe[side];
    out->sending = 0;
    out->ended = true;
    if (out->piece_count == 0)
        schedule_arrival(link, side);
}

void sim_wire_close(struct sim_node *n, pl_conn conn)
{
    unsigned side = 0;
    struct sim_link *link = find_link(n, conn, &side);
    if (link != NULL)
        end_side(link, side);
    pl_node_closed(n->node, conn, sim_now(n));
}

void sim_wire_reset(struct sim_link *link)
{
    struct sim_world *w = link->world;
    bool open[2] = { link->open[0], link->open[1] };
    pl_conn conn[2] = { link->conn[0], link->conn[1] };
    struct sim_node *node[2] = { node_at(link, 0), node_at(link, 1) };
    sim_note(w, link->index, 6, "n%u - n%u reset", node[0]->index, node[1]->index);
    free_link(link);
    for (unsigned i = 0; i < 2; i++) {
        if (!open[i] || node[i]->state == SIM_DOWN)
            continue;
        pl_node_closed(node[i]->node, conn[i], sim_now(node[i]));
        sim_drain(node[i]);
    }
}

static void reset_soon(struct sim_link *link)
{
    struct sim_world *w = link->world;
    if (link->resetting)
        return;
    link->resetting = true;
    sim_push(w, w->now + latency(w), SIM_RESET, way(link, 0), link->epoch);
}

void sim_wire_drop_node(struct sim_node *n, bool silent)
{
    struct sim_world *w = n->world;
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        struct sim_link *link = &w->links[i];
        for (unsigned side = 0; side < 2 && link->state != SIM_LINK_FREE; side++) {
            if (!link->open[side] || link->node[side] != n->index)
                continue;
            pl_node_closed(n->node, link->conn[side], sim_now(n));
            link->open[side] = false;
            if (link->state != SIM_LINK_OPEN || !link->open[1 - side])
                free_link(link);
            else if (!silent)
                reset_soon(link);
        }
    }
}

void sim_wire_half_close(struct sim_link *link, unsigned dir)
{
    link->pipe[dir].ended = true;
    link->pipe[dir].sending = 0;
    if (link->pipe[dir].piece_count == 0)
        schedule_arrival(link, dir);
}

/* ---- Sending ---- */

static void start_send(struct sim_link *link, unsigned dir)
{
    struct sim_world *w = link->world;
    struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_node *n = node_at(link, dir);
    size_t len = 0;
    if (pipe->sending != 0 || pipe->ended)
        return;
    size_t room = w->plan.pipe_bytes - pipe->len;
    pipe->wants_send = room == 0 || pipe->piece_count == SIM_PIECES_MAX;
    if (pipe->wants_send)
        return;
    const uint8_t *bytes = pl_node_send_buf(n->node, link->conn[dir], &len);
    if (bytes == NULL || len == 0)
        return;
    len = pl_min_size(len, pl_min_size(room, 1 + (size_t)sim_within(w, w->plan.split_max)));
    size_t end = (pipe->start + pipe->len) % w->plan.pipe_bytes;
    size_t head = pl_min_size(len, w->plan.pipe_bytes - end);
    memcpy(pipe->buf + end, bytes, head);
    memcpy(pipe->buf, bytes + head, len - head);
    sim_note(w, len, pl_xxh3_of(pl_span_of(bytes, len)), "n%u -> n%u %zu bytes", n->index,
             link->node[1 - dir], len);
    oracle_blame_see(link, dir, bytes, len);
    oracle_economy_see(link, dir, bytes, len);
    size_t last = (pipe->piece_first + pipe->piece_count) % SIM_PIECES_MAX;
    parley_time at = w->now + latency(w);
    if (pipe->piece_count > 0)
        at = pl_max_u64(at, pipe->pieces[(last + SIM_PIECES_MAX - 1) % SIM_PIECES_MAX].at);
    pipe->pieces[last].at = at;
    pipe->pieces[last].len = len;
    pipe->piece_count++;
    pipe->len += len;
    pipe->sending = len;
    w->stats.bytes += len;
    if (pipe->piece_count == 1)
        schedule_arrival(link, dir);
    sim_push(w, w->now + 5000, SIM_SENT, way(link, dir), link->epoch);
}

/* The bytes given to a write call must still be there when it returns. */
static void check_stable(struct sim_link *link, unsigned dir)
{
    const struct sim_world *w = link->world;
    const struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_node *n = node_at(link, dir);
    size_t len = 0;
    const uint8_t *bytes = pl_node_send_buf(n->node, link->conn[dir], &len);
    if (bytes == NULL)
        return; /* the session closed abruptly: the node wants nothing sent any more */
    if (pipe->len < pipe->sending)
        return; /* read already */
    if (w->plan.plant == SIM_PLANT_BROKEN_FRAME)
        return;
    size_t from = (pipe->start + pipe->len - pipe->sending) % w->plan.pipe_bytes;
    size_t head = pl_min_size(pipe->sending, w->plan.pipe_bytes - from);
    if (len < pipe->sending || memcmp(bytes, pipe->buf + from, head) != 0 ||
        memcmp(bytes + head, pipe->buf, pipe->sending - head) != 0)
        sim_fail(link->world, "stable", "n%u changed bytes that were being sent", n->index);
}

void sim_wire_sent(struct sim_link *link, unsigned dir)
{
    struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_node *n = node_at(link, dir);
    size_t len = pipe->sending;
    if (!link->open[dir] || len == 0)
        return;
    check_stable(link, dir);
    pipe->sending = 0;
    uint32_t epoch = link->epoch;
    size_t have = 0;
    const uint8_t *bytes = pl_node_send_buf(n->node, link->conn[dir], &have);
    if (bytes != NULL && have >= len)
        pl_node_send_ack(n->node, link->conn[dir], len, sim_now(n));
    sim_drain(n);
    if (link->epoch == epoch && link->open[dir] && !link->open[1 - dir] &&
        node_at(link, 1 - dir)->state != SIM_DOWN)
        reset_soon(link); /* nobody is there who would read */
}

void sim_wire_want_write(struct sim_node *n, pl_conn conn)
{
    unsigned side = 0;
    struct sim_link *link = find_link(n, conn, &side);
    if (link != NULL && link->state == SIM_LINK_OPEN)
        start_send(link, side);
}

/* ---- Arriving and reading ---- */

static void read_soon(struct sim_link *link, unsigned dir, parley_time wait)
{
    struct sim_pipe *pipe = &link->pipe[dir];
    if (pipe->reading)
        return;
    pipe->reading = true;
    sim_push(link->world, link->world->now + wait, SIM_READ, way(link, dir), link->epoch);
}

void sim_wire_arrive(struct sim_link *link, unsigned dir)
{
    struct sim_world *w = link->world;
    struct sim_pipe *pipe = &link->pipe[dir];
    parley_time until = w->cut_until[link->node[dir]][link->node[1 - dir]];
    until = pl_max_u64(until, pipe->stalled_until);
    if (w->now < until) {
        sim_push(w, until + sim_within(w, 300 * PARLEY_NS_PER_MS), SIM_ARRIVE, way(link, dir),
                 link->epoch);
        return;
    }
    while (pipe->piece_count > 0 && pipe->pieces[pipe->piece_first].at <= w->now) {
        pipe->arrived += pipe->pieces[pipe->piece_first].len;
        pipe->piece_first = (pipe->piece_first + 1) % SIM_PIECES_MAX;
        pipe->piece_count--;
    }
    if (pipe->piece_count > 0)
        schedule_arrival(link, dir);
    if (!link->open[1 - dir]) {
        pipe->start = (pipe->start + pipe->arrived) % w->plan.pipe_bytes;
        pipe->len -= pipe->arrived;
        pipe->arrived = 0;
        return;
    }
    read_soon(link, dir, 0);
}

/* Hands one piece to the reader; 0 when it takes none. */
static size_t hand_over(struct sim_link *link, unsigned dir)
{
    struct sim_world *w = link->world;
    struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_node *n = node_at(link, 1 - dir);
    size_t room = 0;
    uint8_t *to = pl_node_recv_buf(n->node, link->conn[1 - dir], &room);
    if (to == NULL || room == 0)
        return 0;
    size_t len = pl_min_size(room, pipe->arrived);
    bool slow = w->now < n->slow_until;
    len = pl_min_size(len, 1 + (size_t)sim_within(w, slow ? 64 : w->plan.split_max));
    size_t head = pl_min_size(len, w->plan.pipe_bytes - pipe->start);
    memcpy(to, pipe->buf + pipe->start, head);
    memcpy(to + head, pipe->buf, len - head);
    if (w->plan.plant == SIM_PLANT_BROKEN_FRAME)
        sim_plant_bytes(link, dir, to, len);
    pipe->start = (pipe->start + len) % w->plan.pipe_bytes;
    pipe->len -= len;
    pipe->arrived -= len;
    pl_node_recv_ack(n->node, link->conn[1 - dir], len, sim_now(n));
    sim_drain(n);
    return len;
}

void sim_wire_read(struct sim_link *link, unsigned dir)
{
    struct sim_world *w = link->world;
    struct sim_pipe *pipe = &link->pipe[dir];
    struct sim_node *n = node_at(link, 1 - dir);
    uint32_t epoch = link->epoch;
    pipe->reading = false;
    if (!link->open[1 - dir])
        return;
    size_t len = pipe->arrived == 0 ? 0 : hand_over(link, dir);
    if (link->epoch != epoch || !link->open[1 - dir])
        return;
    if (pipe->arrived > 0 && len > 0)
        read_soon(link, dir, w->now < n->slow_until ? 30 * PARLEY_NS_PER_MS : 10000);
    if (pipe->len == 0 && pipe->ended && !pipe->end_told) {
        pipe->end_told = true;
        pl_node_recv_end(n->node, link->conn[1 - dir], sim_now(n));
        sim_drain(n);
    }
    if (link->epoch == epoch && link->open[dir] && pipe->wants_send)
        start_send(link, dir);
}

void sim_wire_want_read(struct sim_node *n, pl_conn conn)
{
    unsigned side = 0;
    struct sim_link *link = find_link(n, conn, &side);
    if (link != NULL && link->state == SIM_LINK_OPEN && link->pipe[1 - side].arrived > 0)
        read_soon(link, 1 - side, 0);
}

void sim_wire_free(struct sim_world *w)
{
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++)
        if (w->links[i].state != SIM_LINK_FREE)
            free_link(&w->links[i]);
}
