/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire to a running daemon: one TCP connection, never blocking in one direction only.
 */
#define _GNU_SOURCE 1
#include "parley/wire.h"

#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 5000
/* A check of a large store answers nothing for minutes; a daemon that died is noticed at once. */
#define ANSWER_MS  600000
#define READ_BYTES 65536u

struct wire_tcp {
    struct wire head;
    int fd;
};

static parley_err tcp_move(struct wire *wire, struct parley_span out, size_t *sent, struct buf *in)
{
    struct wire_tcp *tcp = PL_CONTAINER_OF(wire, struct wire_tcp, head);
    struct pollfd poll_fd = { .fd = tcp->fd, .events = POLLIN };
    *sent = 0;
    if (out.len != 0)
        poll_fd.events |= POLLOUT;
    int ready = poll(&poll_fd, 1, ANSWER_MS);
    if (ready == 0)
        return PARLEY_ETIMEOUT;
    if (ready < 0)
        return errno == EINTR ? PARLEY_OK : PARLEY_EIO;
    /* Read first: a refusal may already be here although the rest cannot be sent any more. */
    if (poll_fd.revents & (POLLIN | POLLHUP | POLLERR)) {
        char *at = buf_room(in, READ_BYTES);
        ssize_t got = recv(tcp->fd, at, READ_BYTES, 0);
        if (got == 0)
            return PARLEY_ECLOSING;
        if (got > 0) {
            in->len += (size_t)got;
            in->ptr[in->len] = '\0';
            return PARLEY_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return PARLEY_ECLOSING;
    }
    if (poll_fd.revents & POLLOUT) {
        ssize_t put = send(tcp->fd, out.ptr, out.len, MSG_NOSIGNAL);
        if (put > 0)
            *sent = (size_t)put;
        else if (put < 0 && errno != EAGAIN && errno != EINTR)
            return PARLEY_ECLOSING;
    }
    return PARLEY_OK;
}

static void tcp_close(struct wire *wire)
{
    struct wire_tcp *tcp = PL_CONTAINER_OF(wire, struct wire_tcp, head);
    close(tcp->fd);
    free(tcp);
}

static const struct wire_ops tcp_ops = { .move = tcp_move, .close = tcp_close };

static int connect_within(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return fd;
    struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
    int error = errno;
    socklen_t len = sizeof error;
    if (error == EINPROGRESS && poll(&poll_fd, 1, CONNECT_MS) == 1 &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
        return fd;
    close(fd);
    errno = error == EINPROGRESS ? ETIMEDOUT : error;
    return -1;
}

/* HOST:PORT with the host that reaches a listener on this machine. */
static bool split(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(colon + 1) > 5 || colon[1] == '\0')
        return false;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len == 0 || len > 255)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    if (strcmp(host, "0.0.0.0") == 0)
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    if (strcmp(host, "::") == 0)
        memcpy(host, "::1", sizeof "::1");
    return true;
}

parley_err wire_tcp_open(const char *address, struct wire **out, struct parley_diag *diag)
{
    char host[256];
    char port[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (!split(address, host, port))
        return tool_fail(diag, PARLEY_EINVAL, "\"%.100s\" is not HOST:PORT", address);
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return tool_fail(diag, PARLEY_EIO, "%.100s: the name is not known", host);
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = connect_within(at);
    int error = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return tool_fail(diag, error == ETIMEDOUT ? PARLEY_ETIMEOUT : PARLEY_EIO,
                         "cannot connect to %.100s: %s", address, strerror(error));
    struct wire_tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) {
        close(fd);
        return tool_fail(diag, PARLEY_ENOMEM, "out of memory");
    }
    tcp->head.ops = &tcp_ops;
    tcp->fd = fd;
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(tcp->head.host, sizeof tcp->head.host, is_v6 ? "[%.60s]:%s" : "%.60s:%s", host, port);
    *out = &tcp->head;
    return PARLEY_OK;
}
