/* SPDX-License-Identifier: Apache-2.0
 *
 * A load of HTTP requests; see http_load.h.
 *
 * Requests are sent with blocking calls: no answer is due while one is sent on its connection, so
 * the server never waits for us to read before it reads on.
 */
#define _GNU_SOURCE 1
#include "http_load.h"

#include "base/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 10000

struct connection {
    int fd;
    size_t len;
    size_t head_len; /* 0: the head is not whole */
    size_t want;     /* head and body */
    char answer[HTTP_LOAD_ANSWER_BYTES + 1];
};

struct http_load {
    struct http_load_plan plan;
    int epoll;
    unsigned waiting; /* connections whose answer is still to come */
    size_t sent;
    struct connection connections[HTTP_LOAD_CONNECTIONS_MAX];
};

static int dial(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        bench_die("the server cannot be reached: %s", strerror(errno));
    bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "socket options");
    return fd;
}

struct http_load *http_load_open(const struct http_load_plan *plan)
{
    struct http_load *load = bench_alloc(sizeof *load);
    memset(load, 0, sizeof *load);
    load->plan = *plan;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    bench_check(load->epoll >= 0 && plan->connections <= HTTP_LOAD_CONNECTIONS_MAX, "a load");
    for (unsigned i = 0; i < plan->connections; i++) {
        struct connection *c = &load->connections[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
        c->fd = dial(plan->port);
        bench_check(epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll");
    }
    return load;
}

void http_load_close(struct http_load *load)
{
    for (unsigned i = 0; i < load->plan.connections; i++)
        close(load->connections[i].fd);
    close(load->epoll);
    free(load);
}

static void ask(struct http_load *load, struct connection *c)
{
    struct parley_span request = load->plan.next(load->plan.arg);
    for (size_t at = 0; at < request.len;) {
        ssize_t sent = send(c->fd, request.ptr + at, request.len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            bench_die("a request was not taken: %s", strerror(errno));
        at += (size_t)sent;
    }
    c->len = 0;
    c->head_len = 0;
    load->sent++;
    load->waiting++;
}

static void read_head(const struct http_load *load, struct connection *c)
{
    c->answer[c->len] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return;
    const char *length = strstr(c->answer, "Content-Length: ");
    if (strtoul(c->answer + strlen("HTTP/1.1 "), NULL, 10) != load->plan.status)
        bench_die("an answer is not %u: %.400s", load->plan.status, c->answer);
    bench_check(length != NULL && length < end, "an answer with a length");
    c->head_len = (size_t)(end - c->answer) + 4;
    c->want = c->head_len + strtoul(length + strlen("Content-Length: "), NULL, 10);
    bench_check(c->want <= HTTP_LOAD_ANSWER_BYTES, "an answer that fits");
}

/* Whether the answer is whole now. */
static bool hear(struct http_load *load, struct connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->len, HTTP_LOAD_ANSWER_BYTES - c->len, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0)
        bench_die("an answer did not come: %s", got == 0 ? "closed" : strerror(errno));
    c->len += (size_t)got;
    if (c->head_len == 0)
        read_head(load, c);
    bool whole = c->head_len != 0 && c->len >= c->want;
    load->waiting -= whole;
    return whole;
}

size_t http_load_run(struct http_load *load, double seconds, size_t count)
{
    struct epoll_event events[HTTP_LOAD_CONNECTIONS_MAX];
    double end = bench_now() + seconds;
    size_t answers = 0;
    load->sent = 0;
    for (unsigned i = 0; i < load->plan.connections && load->sent < count; i++)
        ask(load, &load->connections[i]);
    while (load->waiting != 0) {
        int ready = epoll_wait(load->epoll, events, HTTP_LOAD_CONNECTIONS_MAX, WAIT_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        bench_check(ready > 0, "an answer in time");
        bool more = bench_now() < end;
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!hear(load, c))
                continue;
            answers++;
            if (more && load->sent < count)
                ask(load, c);
        }
    }
    return answers;
}

struct parley_span http_load_body(const struct http_load *load)
{
    const struct connection *c = &load->connections[0];
    return pl_span_of((const uint8_t *)c->answer + c->head_len, c->want - c->head_len);
}
