/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses, listening, accepting.
 */
#define _GNU_SOURCE 1
#include "uv/uv_int.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Addresses ---- */

static bool port_is_valid(const char *port)
{
    size_t len = strlen(port);
    if (len == 0 || len > 5 || strspn(port, "0123456789") != len)
        return false;
    return strtoul(port, NULL, 10) <= 65535;
}

parley_err pl_uv_split_address(const char *address, char host[PL_ADDRESS_BYTES_MAX + 1],
                               char port[6])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !port_is_valid(colon + 1))
        return PARLEY_EINVAL;
    struct parley_span name = pl_span_of(address, (size_t)(colon - address));
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = pl_span_of(address + 1, name.len - 2);
    else if (name.len != 0 && memchr(name.ptr, ':', name.len) != NULL)
        return PARLEY_EINVAL; /* where does ::1:8825 end? */
    if (name.len == 0 || name.len > PL_ADDRESS_BYTES_MAX || memchr(name.ptr, '[', name.len) != NULL)
        return PARLEY_EINVAL;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return PARLEY_OK;
}

bool pl_uv_address_is_loopback(const char *address)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (pl_uv_split_address(address, host, port) != PARLEY_OK)
        return false;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (uv_ip4_addr(host, 0, &in) == 0)
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    return uv_ip6_addr(host, 0, &in6) == 0 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/* ---- Accepting ---- */

static pl_conn accept_from(struct pl_uv *uv, const uv_tcp_t *tcp)
{
    struct pl_remote remote = { .local = pl_uv_conn_is_local(tcp) };
    pl_uv_conn_net(tcp, remote.net);
    return pl_node_accepted(uv->node, &remote, pl_uv_turn(uv));
}

static void accept_one(struct pl_uv_listener *listener)
{
    struct pl_uv *uv = listener->uv;
    /* U2. libuv does not poll a listener whose connection was not taken, so waiting is free. */
    bool open = uv->started && uv->rejects < PL_UV_REJECTS_MAX && !pl_uv_conn_place_is_coming(uv);
    struct pl_uv_slot *slot = open ? pl_uv_slot_take(uv) : NULL;
    listener->waiting = slot == NULL;
    if (slot == NULL)
        return;
    if (uv_tcp_init(uv->loop, &slot->tcp) != 0)
        parley_panic(__FILE__, __LINE__, "a socket handle cannot be made");
    slot->tcp.data = slot;
    slot->state = PL_UV_OPEN;
    int rc = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&slot->tcp);
    pl_conn conn = 0;
    if (rc == 0)
        conn = accept_from(uv, &slot->tcp);
    pl_uv_slot_bind(slot, conn);
    if (conn == 0)
        pl_uv_conn_close(slot);
    else
        pl_uv_conn_opened(slot);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct pl_uv_listener *listener = server->data;
    struct pl_uv *uv = listener->uv;
    if (status != 0) {
        pl_uv_note(uv, (struct pl_uv_note){ .kind = PL_UV_NOTE_ACCEPT_FAILED,
                                            .text = uv_strerror(status),
                                            .address = listener->address });
        return;
    }
    accept_one(listener);
    pl_uv_pump(uv);
}

void pl_uv_listen_resume(struct pl_uv *uv)
{
    for (size_t i = 0; i < uv->listener_count; i++) {
        if (uv->listeners[i].open && uv->listeners[i].waiting)
            accept_one(&uv->listeners[i]);
    }
}

/* ---- Listening ---- */

static parley_err explain(struct parley_diag *diag, const char *address, int rc)
{
    if (diag != NULL)
        snprintf(diag->text, sizeof diag->text, "cannot listen on %s: %s", address,
                 uv_strerror(rc));
    switch (rc) {
    case UV_EADDRINUSE:
        return PARLEY_EBUSY;
    case UV_EACCES:
    case UV_EPERM:
        return PARLEY_EACCESS;
    default:
        return PARLEY_EIO;
    }
}

static parley_err resolve_here(struct pl_uv *uv, const char *address, struct sockaddr_storage *out,
                               struct parley_diag *diag)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    if (pl_uv_split_address(address, host, port) != PARLEY_OK) {
        if (diag != NULL)
            snprintf(diag->text, sizeof diag->text,
                     "cannot listen on \"%.100s\": write ADDR:PORT, or [ADDR]:PORT for IPv6",
                     address);
        return PARLEY_EINVAL;
    }
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    uv_getaddrinfo_t request;
    int rc = uv_getaddrinfo(uv->loop, &request, NULL, host, port, &hints);
    if (rc != 0)
        return explain(diag, address, rc);
    memcpy(out, request.addrinfo->ai_addr, pl_min_size(request.addrinfo->ai_addrlen, sizeof *out));
    uv_freeaddrinfo(request.addrinfo);
    return PARLEY_OK;
}

static void print_bound(struct pl_uv_listener *listener)
{
    struct sockaddr_storage bound = { 0 };
    int len = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = false;
    unsigned port = 0;
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &len) == 0) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&bound;
        six = bound.ss_family == AF_INET6;
        port = ntohs(six ? ((const struct sockaddr_in6 *)&bound)->sin6_port : in->sin_port);
        int rc = six ? uv_ip6_name((const struct sockaddr_in6 *)&bound, host, sizeof host)
                     : uv_ip4_name(in, host, sizeof host);
        PL_ASSERT(rc == 0);
    }
    snprintf(listener->address, sizeof listener->address, six ? "[%s]:%u" : "%s:%u", host, port);
}

/* A listener without a socket yet, in the next place. */
static parley_err new_listener(struct pl_uv *uv, const char *address, struct pl_uv_listener **out,
                               struct parley_diag *diag)
{
    if (uv->listener_count == PL_UV_LISTENS_MAX) {
        if (diag != NULL)
            snprintf(diag->text, sizeof diag->text, "more than %d addresses to listen on",
                     PL_UV_LISTENS_MAX);
        return PARLEY_EFULL;
    }
    struct pl_uv_listener *listener = &uv->listeners[uv->listener_count];
    *listener = (struct pl_uv_listener){ .uv = uv };
    int rc = uv_tcp_init(uv->loop, &listener->tcp);
    if (rc != 0)
        return explain(diag, address, rc);
    listener->tcp.data = listener;
    listener->open = true;
    uv->listener_count++;
    *out = listener;
    return PARLEY_OK;
}

/* `rc` is how binding went. What fails is closed with the rest. */
static parley_err listen_on(struct pl_uv_listener *listener, const char *address, int rc,
                            struct parley_diag *diag)
{
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&listener->tcp, PL_UV_BACKLOG, on_connection);
    if (rc != 0)
        return explain(diag, address, rc);
    print_bound(listener);
    return PARLEY_OK;
}

parley_err pl_uv_listen(struct pl_uv *uv, const char *address, struct parley_diag *diag)
{
    struct sockaddr_storage where = { 0 };
    struct pl_uv_listener *listener = NULL;
    PL_TRY(resolve_here(uv, address, &where, diag));
    PL_TRY(new_listener(uv, address, &listener, diag));
    int rc = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&where, 0);
    return listen_on(listener, address, rc, diag);
}

parley_err pl_uv_listen_take(struct pl_uv *uv, int fd, const char *address,
                             struct parley_diag *diag)
{
    struct pl_uv_listener *listener = NULL;
    PL_TRY(new_listener(uv, address, &listener, diag));
    return listen_on(listener, address, uv_tcp_open(&listener->tcp, fd), diag);
}

void pl_uv_listen_close(struct pl_uv *uv)
{
    for (size_t i = 0; i < uv->listener_count; i++) {
        struct pl_uv_listener *listener = &uv->listeners[i];
        if (listener->open)
            uv_close((uv_handle_t *)&listener->tcp, NULL);
        listener->open = false;
    }
}

size_t pl_uv_listen_count(const struct pl_uv *uv)
{
    return uv->listener_count;
}

const char *pl_uv_listen_address(const struct pl_uv *uv, size_t index)
{
    PL_ASSERT(index < uv->listener_count);
    return uv->listeners[index].address;
}
