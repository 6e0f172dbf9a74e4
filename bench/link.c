/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS_MAX   10000
#define REQUEST_BYTES 512

struct parley_now link_now(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct parley_now){ .mono = (parley_time)(bench_now() * 1e9),
                                .wall = (parley_wall)wall.tv_sec * PARLEY_US_PER_S };
}

void link_init(struct link *link)
{
    *link = (struct link){ .fd = -1 };
    parley_env_posix(&link->env);
    bench_ok(pl_tls_profile_create(&link->env, &link->profile), "a TLS profile");
}

void link_deinit(struct link *link)
{
    pl_tls_profile_destroy(link->profile);
}

void link_open(struct link *link, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&at, sizeof at) != 0)
        bench_die("the daemon cannot be reached: %s", strerror(errno));
    bench_check(setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    bench_ok(pl_tls_open_client(&link->env, link->profile, NULL, link_now(), &link->tls),
             "a TLS client");
}

void link_close(struct link *link)
{
    pl_tls_close(link->tls);
    close(link->fd);
    link->tls = NULL;
}

static void link_send(struct link *link)
{
    size_t len = 0;
    for (;;) {
        const uint8_t *bytes = pl_tls_send_buf(link->tls, &len);
        if (bytes == NULL || len == 0)
            return;
        ssize_t put = send(link->fd, bytes, len, MSG_NOSIGNAL);
        if (put <= 0)
            bench_die("the daemon closed a connection: %s", strerror(errno));
        pl_tls_send_ack(link->tls, (size_t)put);
    }
}

bool link_turn(struct link *link)
{
    struct pollfd p = { .fd = link->fd, .events = POLLIN };
    size_t room = 0;
    link_send(link);
    uint8_t *to = pl_tls_recv_buf(link->tls, &room);
    bench_check(to != NULL && room != 0, "room for bytes");
    bench_check(poll(&p, 1, WAIT_MS_MAX) == 1, "an answer in time");
    ssize_t got = recv(link->fd, to, room, 0);
    if (got <= 0)
        return false;
    pl_tls_recv_ack(link->tls, (size_t)got);
    link_send(link);
    return true;
}

void link_handshake(struct link *link)
{
    while (!pl_tls_is_ready(link->tls))
        bench_check(link_turn(link), "a TLS handshake");
}

const char *link_ask(struct link *link, const char *path, const char *token, char *answer)
{
    char request[REQUEST_BYTES];
    size_t room = 0;
    size_t len = 0;
    int request_len =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", path,
                 token == NULL ? "" : "Authorization: Bearer ", token == NULL ? "" : token,
                 token == NULL ? "" : "\r\n");
    bench_check(request_len > 0 && (size_t)request_len < sizeof request, "room for a request");
    uint8_t *to = pl_tls_plain_send_buf(link->tls, &room);
    bench_check(to != NULL && room >= (size_t)request_len, "room for a request");
    memcpy(to, request, (size_t)request_len);
    pl_tls_plain_send_ack(link->tls, (size_t)request_len);
    pl_tls_flush(link->tls);
    for (;;) {
        bench_check(link_turn(link), "an answer");
        size_t have = 0;
        const uint8_t *from = pl_tls_plain_recv_buf(link->tls, &have);
        if (from == NULL)
            continue;
        bench_check(have < LINK_ANSWER_BYTES - len, "a short answer");
        memcpy(answer + len, from, have);
        len += have;
        answer[len] = '\0';
        pl_tls_plain_recv_ack(link->tls, have);
        const char *body = strstr(answer, "\r\n\r\n");
        const char *length = strstr(answer, "Content-Length: ");
        if (body == NULL || length == NULL)
            continue;
        if (len >= (size_t)(body + 4 - answer) + strtoul(length + 16, NULL, 10))
            return body + 4;
    }
}
