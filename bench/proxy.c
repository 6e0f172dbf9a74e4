/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINKS_MAX    32u
#define BUFFER_BYTES (256u << 10)
#define POLL_MS      20
#define CUT_SECONDS  5.0

/* One direction: from fd[i] to fd[1 - i] of its link. */
struct flow {
    uint8_t *buf;
    size_t at;
    size_t len;
    bool ended; /* its source will send no more */
};

struct link {
    bool open;
    int fd[2];
    struct flow flow[2];
};

struct relay {
    const struct proxy *proxy;
    const uint16_t *targets;
    struct link links[LINKS_MAX];
};

/* ---- Links ---- */

static void link_close(struct link *link)
{
    for (size_t i = 0; i < 2; i++) {
        close(link->fd[i]);
        free(link->flow[i].buf);
    }
    *link = (struct link){ 0 };
}

static int dial(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void set_no_delay(int fd)
{
    int one = 1;
    bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "TCP_NODELAY");
}

static void link_accept(struct relay *relay, size_t door)
{
    struct link *link = NULL;
    int from = accept4(relay->proxy->doors[door], NULL, NULL, SOCK_CLOEXEC);
    if (from < 0)
        return;
    int to = dial(relay->targets[door]);
    for (size_t i = 0; i < LINKS_MAX && link == NULL; i++)
        if (!relay->links[i].open)
            link = &relay->links[i];
    if (to < 0 || link == NULL) {
        close(from);
        if (to >= 0)
            close(to);
        return;
    }
    set_no_delay(from);
    set_no_delay(to);
    *link = (struct link){ .open = true, .fd = { from, to } };
    for (size_t i = 0; i < 2; i++)
        link->flow[i].buf = bench_alloc(BUFFER_BYTES);
    atomic_fetch_add(&relay->proxy->counts->accepted, 1);
}

/* False when the link is broken. */
static bool flow_read(struct relay *relay, struct link *link, size_t i)
{
    struct flow *flow = &link->flow[i];
    ssize_t got = recv(link->fd[i], flow->buf, BUFFER_BYTES, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        flow->ended = true;
        return shutdown(link->fd[1 - i], SHUT_WR) == 0;
    }
    flow->at = 0;
    flow->len = (size_t)got;
    atomic_fetch_add(&relay->proxy->counts->bytes[i], (uint64_t)got);
    return true;
}

static bool flow_write(struct link *link, size_t i)
{
    struct flow *flow = &link->flow[i];
    ssize_t sent = send(link->fd[1 - i], flow->buf + flow->at, flow->len - flow->at,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    flow->at += (size_t)sent;
    if (flow->at == flow->len) {
        flow->at = 0;
        flow->len = 0;
    }
    return true;
}

static short wanted(const struct link *link, size_t i)
{
    bool in = link->flow[i].len == 0 && !link->flow[i].ended;
    bool out = link->flow[1 - i].len != 0;
    return (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

static void link_step(struct relay *relay, struct link *link, const struct pollfd polled[2])
{
    bool alive = true;
    for (size_t i = 0; alive && i < 2; i++) {
        if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && link->flow[i].len == 0 &&
            !link->flow[i].ended)
            alive = flow_read(relay, link, i);
        /* Most often there is room: no need to ask first. */
        if (alive && link->flow[i].len != 0)
            alive = flow_write(link, i);
    }
    bool over = link->flow[0].ended && link->flow[1].ended;
    /* With nothing asked for, a hang-up would be reported without end. */
    for (size_t i = 0; i < 2; i++)
        over = over || (polled[i].revents & POLLERR) != 0;
    if (!alive || over)
        link_close(link);
}

/* ---- The process ---- */

static void obey(struct relay *relay)
{
    struct proxy_counts *counts = relay->proxy->counts;
    uint64_t cut = atomic_load(&counts->cut);
    if (cut == atomic_load(&counts->cut_done))
        return;
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (relay->links[i].open)
            link_close(&relay->links[i]);
    atomic_store(&counts->bytes[0], 0);
    atomic_store(&counts->bytes[1], 0);
    atomic_store(&counts->accepted, 0);
    atomic_store(&counts->cut_done, cut);
}

static void turn(struct relay *relay)
{
    struct pollfd polled[PROXY_DOORS + 2 * LINKS_MAX];
    for (size_t i = 0; i < PROXY_DOORS; i++)
        polled[i] = (struct pollfd){ .fd = relay->proxy->doors[i], .events = POLLIN };
    for (size_t i = 0; i < LINKS_MAX; i++)
        for (size_t k = 0; k < 2; k++) {
            const struct link *link = &relay->links[i];
            short events = link->open ? wanted(link, k) : 0;
            polled[PROXY_DOORS + 2 * i + k] =
                (struct pollfd){ .fd = events != 0 ? link->fd[k] : -1, .events = events };
        }
    if (poll(polled, PROXY_DOORS + 2 * LINKS_MAX, POLL_MS) < 0)
        return;
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (relay->links[i].open)
            link_step(relay, &relay->links[i], &polled[PROXY_DOORS + 2 * i]);
    for (size_t i = 0; i < PROXY_DOORS; i++)
        if ((polled[i].revents & POLLIN) != 0)
            link_accept(relay, i);
}

void proxy_open(struct proxy *proxy)
{
    *proxy = (struct proxy){ 0 };
    proxy->counts = mmap(NULL, sizeof *proxy->counts, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_check(proxy->counts != MAP_FAILED, "shared memory");
    for (size_t i = 0; i < PROXY_DOORS; i++) {
        struct sockaddr_in at = { .sin_family = AF_INET };
        socklen_t len = sizeof at;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bench_check(fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
                        listen(fd, 16) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0,
                    "a listening socket");
        proxy->doors[i] = fd;
        proxy->ports[i] = ntohs(at.sin_port);
    }
}

void proxy_run(struct proxy *proxy, const uint16_t targets[PROXY_DOORS])
{
    proxy->pid = fork();
    bench_check(proxy->pid >= 0, "fork");
    if (proxy->pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct relay relay = { .proxy = proxy, .targets = targets };
    for (;;) {
        obey(&relay);
        turn(&relay);
    }
}

void proxy_cut(struct proxy *proxy)
{
    uint64_t cut = atomic_fetch_add(&proxy->counts->cut, 1) + 1;
    double end = bench_now() + CUT_SECONDS;
    while (atomic_load(&proxy->counts->cut_done) != cut) {
        bench_check(bench_now() < end, "cutting the connections");
        usleep(1000);
    }
}

uint64_t proxy_bytes(const struct proxy *proxy)
{
    return atomic_load(&proxy->counts->bytes[0]) + atomic_load(&proxy->counts->bytes[1]);
}

void proxy_close(struct proxy *proxy)
{
    kill(proxy->pid, SIGKILL);
    waitpid(proxy->pid, NULL, 0);
    for (size_t i = 0; i < PROXY_DOORS; i++)
        close(proxy->doors[i]);
    munmap(proxy->counts, sizeof *proxy->counts);
}
