/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets: read into the node's buffer, write from it, close. Backpressure is the node's: without a
 * buffer to read into, reading stops, and TCP tells the other side.
 */
#define _GNU_SOURCE 1
#include "uv/uv_int.h"

#include <netinet/in.h>

/* ---- Slots ---- */

struct pl_uv_slot *pl_uv_slot_take(struct pl_uv *uv)
{
    if (uv->free_count == 0)
        return NULL;
    struct pl_uv_slot *slot = &uv->slots[uv->free_slots[--uv->free_count]];
    PL_ASSERT(slot->state == PL_UV_FREE);
    *slot = (struct pl_uv_slot){ .uv = uv, .deadline = PARLEY_TIME_NEVER };
    uv->used++;
    return slot;
}

void pl_uv_slot_bind(struct pl_uv_slot *slot, pl_conn conn)
{
    struct pl_uv *uv = slot->uv;
    slot->conn = conn;
    if (conn == 0) {
        uv->rejects++;
        return;
    }
    size_t index = conn & 0xffffu;
    PL_ASSERT(index < PL_CONNS_MAX);
    PL_ASSERT(uv->by_index[index] == NULL);
    uv->by_index[index] = slot;
}

struct pl_uv_slot *pl_uv_slot_find(struct pl_uv *uv, pl_conn conn)
{
    size_t index = conn & 0xffffu;
    if (conn == 0 || index >= PL_CONNS_MAX)
        return NULL;
    struct pl_uv_slot *slot = uv->by_index[index];
    return slot != NULL && slot->conn == conn ? slot : NULL;
}

void pl_uv_slot_deadline(struct pl_uv_slot *slot, parley_time at)
{
    bool had = slot->deadline != PARLEY_TIME_NEVER;
    bool has = at != PARLEY_TIME_NEVER;
    if (has && !had)
        slot->uv->timed++;
    if (had && !has)
        slot->uv->timed--;
    slot->deadline = at;
}

void pl_uv_slot_release(struct pl_uv_slot *slot)
{
    struct pl_uv *uv = slot->uv;
    pl_conn conn = slot->conn;
    pl_uv_slot_deadline(slot, PARLEY_TIME_NEVER);
    slot->state = PL_UV_FREE;
    slot->conn = 0;
    uv->used--;
    uv->free_slots[uv->free_count++] = (uint16_t)(slot - uv->slots);
    if (conn == 0) {
        uv->rejects--;
        return;
    }
    uv->by_index[conn & 0xffffu] = NULL;
    pl_node_closed(uv->node, conn, pl_uv_turn(uv));
}

/* ---- Locality ---- */

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->ss_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    if (a->ss_family != AF_INET6)
        return false;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool pl_uv_conn_is_local(const uv_tcp_t *tcp)
{
    struct sockaddr_storage here = { 0 };
    struct sockaddr_storage there = { 0 };
    int here_len = sizeof here;
    int there_len = sizeof there;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&here, &here_len) != 0 ||
        uv_tcp_getpeername(tcp, (struct sockaddr *)&there, &there_len) != 0)
        return false;
    return is_loopback(&there) || same_host(&here, &there);
}

static void put_ipv4(const uint8_t address[4], uint8_t out[8])
{
    static const uint8_t prefix[4] = { 0, 0, 0xff, 0xff };
    memcpy(out, prefix, sizeof prefix);
    memcpy(out + sizeof prefix, address, 4);
}

void pl_uv_conn_net(const uv_tcp_t *tcp, uint8_t out[8])
{
    struct sockaddr_storage there = { 0 };
    int len = sizeof there;
    memset(out, 0, 8);
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&there, &len) != 0)
        return;
    if (there.ss_family == AF_INET)
        put_ipv4((const uint8_t *)&((const struct sockaddr_in *)&there)->sin_addr, out);
    if (there.ss_family != AF_INET6)
        return;
    const struct in6_addr *address = &((const struct sockaddr_in6 *)&there)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address))
        put_ipv4(address->s6_addr + 12, out);
    else
        memcpy(out, address->s6_addr, 8);
}

/* ---- Closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct pl_uv_slot *slot = handle->data;
    struct pl_uv *uv = slot->uv;
    if (slot->state == PL_UV_RETRYING)
        pl_uv_dial_next(slot);
    else
        pl_uv_slot_release(slot);
    pl_uv_listen_resume(uv);
    pl_uv_pump(uv);
}

void pl_uv_conn_close_attempt(struct pl_uv_slot *slot)
{
    PL_ASSERT(slot->state == PL_UV_CONNECTING);
    slot->state = PL_UV_RETRYING;
    uv_close((uv_handle_t *)&slot->tcp, on_closed);
}

void pl_uv_conn_close(struct pl_uv_slot *slot)
{
    switch (slot->state) {
    case PL_UV_RESOLVING:
    case PL_UV_CONNECTING:
    case PL_UV_RETRYING:
        /* Who asks for this knows the outcome. */
        slot->dial_told = true;
        pl_uv_dial_abandon(slot, "closed");
        return;
    case PL_UV_OPEN:
    case PL_UV_LINGERING:
        pl_uv_slot_deadline(slot, PARLEY_TIME_NEVER);
        slot->state = PL_UV_CLOSING;
        slot->reading = false;
        uv_close((uv_handle_t *)&slot->tcp, on_closed);
        return;
    case PL_UV_FREE:
    case PL_UV_CLOSING:
        return;
    }
}

static void on_linger_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct pl_uv_slot *slot = handle->data;
    (void)suggested;
    *buf = uv_buf_init(slot->uv->scratch, sizeof slot->uv->scratch);
}

static void on_linger_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct pl_uv_slot *slot = stream->data;
    (void)buf;
    if (len > 0)
        slot->lingered += (size_t)len;
    if (len < 0 || slot->lingered > PL_UV_LINGER_BYTES_MAX)
        pl_uv_conn_close(slot);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct pl_uv_slot *slot = request->data;
    if (status != 0 || slot->read_ended)
        pl_uv_conn_close(slot);
}

/* The one that has lingered longest, and how many do; NULL when none does. */
static struct pl_uv_slot *find_lingerer(struct pl_uv *uv, size_t *count)
{
    struct pl_uv_slot *oldest = NULL;
    *count = 0;
    for (size_t i = 0; i < PL_UV_SLOTS_MAX; i++) {
        struct pl_uv_slot *slot = &uv->slots[i];
        if (slot->state != PL_UV_LINGERING)
            continue;
        ++*count;
        if (oldest == NULL || slot->deadline < oldest->deadline)
            oldest = slot;
    }
    return oldest;
}

/* When the node stops nobody needs a place. */
static void bound_lingerers(struct pl_uv *uv)
{
    size_t count = 0;
    struct pl_uv_slot *oldest = uv->stopping ? NULL : find_lingerer(uv, &count);
    if (count > PL_UV_LINGERS_MAX)
        pl_uv_conn_close(oldest);
}

bool pl_uv_conn_place_is_coming(struct pl_uv *uv)
{
    size_t count = 0;
    if (!pl_node_is_full(uv->node))
        return false;
    for (size_t i = 0; i < PL_UV_SLOTS_MAX; i++) {
        if (uv->slots[i].state == PL_UV_CLOSING && uv->slots[i].conn != 0)
            return true;
    }
    struct pl_uv_slot *oldest = find_lingerer(uv, &count);
    if (oldest != NULL)
        pl_uv_conn_close(oldest);
    return oldest != NULL;
}

void pl_uv_conn_close_gently(struct pl_uv_slot *slot)
{
    /* A write in flight is finished by uv_shutdown, within the same deadline. */
    if (slot->state != PL_UV_OPEN || (slot->read_ended && !slot->writing)) {
        pl_uv_conn_close(slot);
        return;
    }
    slot->state = PL_UV_LINGERING;
    slot->shutdown.data = slot;
    uv_stream_t *stream = (uv_stream_t *)&slot->tcp;
    uv_read_stop(stream);
    slot->reading = false;
    pl_uv_slot_deadline(slot, pl_uv_turn(slot->uv).mono + PL_UV_LINGER_NS);
    if (uv_shutdown(&slot->shutdown, stream, on_shutdown) != 0 ||
        (!slot->read_ended && uv_read_start(stream, on_linger_alloc, on_linger_read) != 0))
        pl_uv_conn_close(slot);
    bound_lingerers(slot->uv);
}

void pl_uv_conn_expire(struct pl_uv_slot *slot, parley_time now)
{
    if (slot->state == PL_UV_LINGERING && now >= slot->deadline)
        pl_uv_conn_close(slot);
    else if (slot->state == PL_UV_RESOLVING || slot->state == PL_UV_CONNECTING)
        pl_uv_dial_expire(slot, now);
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct pl_uv_slot *slot = handle->data;
    (void)suggested;
    size_t len = 0;
    uint8_t *at = pl_node_recv_buf(slot->uv->node, slot->conn, &len);
    *buf = uv_buf_init((char *)at, at == NULL ? 0 : (unsigned)pl_min_size(len, 1u << 30));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);

/* Reads exactly while the node has room; so on_alloc always finds some. */
static void follow_room(struct pl_uv_slot *slot)
{
    size_t len = 0;
    bool want = slot->state == PL_UV_OPEN && !slot->read_ended &&
                pl_node_recv_buf(slot->uv->node, slot->conn, &len) != NULL && len != 0;
    if (want == slot->reading || slot->state != PL_UV_OPEN)
        return;
    slot->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&slot->tcp);
    else if (uv_read_start((uv_stream_t *)&slot->tcp, on_alloc, on_read) != 0)
        pl_uv_conn_close(slot);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct pl_uv_slot *slot = stream->data;
    struct pl_uv *uv = slot->uv;
    struct parley_now now = pl_uv_turn(uv);
    (void)buf;
    if (len == 0)
        return;
    if (len > 0) {
        pl_node_recv_ack(uv->node, slot->conn, (size_t)len, now);
    } else if (len == UV_EOF) {
        slot->read_ended = true;
        slot->reading = false;
        uv_read_stop(stream);
        pl_node_recv_end(uv->node, slot->conn, now);
    } else if (len != UV_ENOBUFS) {
        pl_uv_conn_close(slot);
    }
    /* First what came of it: an answer that is sent at once makes room again, and to stop reading
     * and start again are two calls of the kernel. */
    pl_uv_pump(uv);
    follow_room(slot);
}

void pl_uv_conn_read(struct pl_uv_slot *slot)
{
    follow_room(slot);
}

void pl_uv_conn_opened(struct pl_uv_slot *slot)
{
    pl_uv_slot_deadline(slot, PARLEY_TIME_NEVER);
    slot->state = PL_UV_OPEN;
    /* Without it answers wait for acknowledgements; a failure costs time only. */
    if (uv_tcp_nodelay(&slot->tcp, 1) != 0)
        pl_ignore(PARLEY_EIO, "the connection works without");
    follow_room(slot);
}

/* ---- Writing ---- */

static void on_written(uv_write_t *request, int status)
{
    struct pl_uv_slot *slot = request->data;
    struct pl_uv *uv = slot->uv;
    slot->writing = false;
    if (slot->state != PL_UV_OPEN)
        return; /* UV_ECANCELED, on the way to on_closed */
    if (status != 0)
        pl_uv_conn_close(slot);
    else
        pl_node_send_ack(uv->node, slot->conn, slot->write_len, pl_uv_turn(uv));
    pl_uv_pump(uv);
}

/* The kernel's buffer is full: libuv finishes this chunk. */
static void write_later(struct pl_uv_slot *slot, const uint8_t *at, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)at, (unsigned)len);
    slot->write.data = slot;
    slot->write_len = len;
    slot->writing = true;
    if (uv_write(&slot->write, (uv_stream_t *)&slot->tcp, &buf, 1, on_written) != 0) {
        slot->writing = false;
        pl_uv_conn_close(slot);
    }
}

/* One chunk an effect: the acknowledgement makes the node ask again if it has more, behind what the
 * other connections asked for. So nobody starves, and the node's list of effects does not grow. */
void pl_uv_conn_write(struct pl_uv_slot *slot)
{
    struct pl_uv *uv = slot->uv;
    size_t len = 0;
    if (slot->state != PL_UV_OPEN || slot->writing)
        return;
    const uint8_t *at = pl_node_send_buf(uv->node, slot->conn, &len);
    if (at == NULL || len == 0)
        return;
    len = pl_min_size(len, 1u << 30);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)at, (unsigned)len);
    int sent = uv_try_write((uv_stream_t *)&slot->tcp, &buf, 1);
    if (sent > 0)
        pl_node_send_ack(uv->node, slot->conn, (size_t)sent, pl_uv_turn(uv));
    else if (sent == 0 || sent == UV_EAGAIN)
        write_later(slot, at, len);
    else
        pl_uv_conn_close(slot);
}
