/* SPDX-License-Identifier: Apache-2.0
 *
 * The probe asks GET /health on one keep-alive connection, every few milliseconds, and notes how
 * long each answer took; first alone, then under load. The load is what costs a node most that a
 * stranger can ask for: TLS with a full handshake, HELLO with an invite (the node signs), PROOF
 * (it verifies), a secret that is none of its own. Its times are fixed in advance, so that a slow
 * node is not asked less.
 */
#define _GNU_SOURCE 1
#include "trust_load.h"

#include "daemon.h"
#include "proc.h"
#include "proto/session.h"
#include "proto/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKES_PER_SECOND 50
#define SECONDS               8.0
#define SECONDS_OF_QUICK      1.5
#define PROBE_PAUSE_US        2000
#define PROBES_MAX            16384
#define WAIT_MS_MAX           10000
#define ANSWER_BYTES          8192
#define REQUEST_BYTES         128

struct node {
    struct daemon daemon;
    uint8_t fingerprint[PL_FINGERPRINT_BYTES];
};

/* One TLS connection. */
struct link {
    struct parley_env env;
    struct pl_tls_profile *profile;
    int fd;
    struct pl_tls *tls;
};

/* What the other process counts; shared with it. */
struct counts {
    size_t done;
    size_t late; /* begun more than one interval after their time */
};

static struct parley_now now_of(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct parley_now){ .mono = (parley_time)(bench_now() * 1e9),
                                .wall = (parley_wall)wall.tv_sec * PARLEY_US_PER_S };
}

/* ---- Connections ---- */

static void link_init(struct link *link)
{
    *link = (struct link){ .fd = -1 };
    parley_env_posix(&link->env);
    bench_ok(pl_tls_profile_create(&link->env, &link->profile), "a TLS profile");
}

static void link_open(struct link *link, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&at, sizeof at) != 0)
        bench_die("the daemon cannot be reached: %s", strerror(errno));
    bench_check(setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    bench_ok(pl_tls_open_client(&link->env, link->profile, NULL, now_of(), &link->tls),
             "a TLS client");
}

static void link_close(struct link *link)
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

/* Sends what there is and waits for bytes. False: the daemon has closed the connection. */
static bool link_turn(struct link *link)
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

static void link_handshake(struct link *link)
{
    while (!pl_tls_is_ready(link->tls))
        bench_check(link_turn(link), "a TLS handshake");
}

/* ---- The probe ---- */

/* One request and its whole answer, NUL-terminated, at most ANSWER_BYTES. Returns its body. */
static const char *ask(struct link *link, const char *path, char *answer)
{
    char request[REQUEST_BYTES];
    size_t room = 0;
    size_t len = 0;
    int request_len =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
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
        bench_check(have < ANSWER_BYTES - len, "a short answer");
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

/* Fills `times` with milliseconds, sorted; returns how many. */
static size_t probe(struct link *link, double seconds, double *times)
{
    char answer[ANSWER_BYTES];
    size_t count = 0;
    double end = bench_now() + seconds;
    while (bench_now() < end && count < PROBES_MAX) {
        double start = bench_now();
        ask(link, "/health", answer);
        times[count] = (bench_now() - start) * 1e3;
        count++;
        usleep(PROBE_PAUSE_US);
    }
    bench_check(strncmp(answer, "HTTP/1.1 200", 12) == 0, "GET /health");
    return count;
}

/* ---- The load ---- */

static bool session_turn(struct link *link, struct pl_session *session, uint32_t *bye)
{
    size_t have = 0;
    size_t room = 0;
    struct pl_session_event event;
    const uint8_t *src = pl_session_send_buf(session, &have);
    uint8_t *dst = src == NULL || have == 0 ? NULL : pl_tls_plain_send_buf(link->tls, &room);
    size_t len = dst == NULL ? 0 : pl_min_size(have, room);
    if (len != 0) {
        memcpy(dst, src, len);
        pl_session_send_ack(session, len);
        pl_tls_plain_send_ack(link->tls, len);
        pl_tls_flush(link->tls);
    } else if (!link_turn(link)) {
        return false;
    }
    src = pl_tls_plain_recv_buf(link->tls, &have);
    dst = src == NULL ? NULL : pl_session_recv_buf(session, &room);
    len = dst == NULL ? 0 : pl_min_size(have, room);
    if (len != 0) {
        memcpy(dst, src, len);
        pl_tls_plain_recv_ack(link->tls, len);
        pl_session_recv_ack(session, len, now_of().mono);
    }
    pl_session_next(session, &event);
    if (event.kind == PL_SESSION_CLOSED)
        *bye = event.bye;
    return event.kind != PL_SESSION_CLOSED;
}

/* TLS, HELLO, PROOF, and the refusal of an invite that does not exist. */
static void native_handshake(struct link *link, const struct node *node,
                             const struct pl_identity *identity, const char *name)
{
    struct pl_session_config config = {
        .client = true, .join = true, .backend_id = pl_span_text(name), .identity = identity
    };
    struct pl_session *session = NULL;
    uint32_t bye = 0;
    memcpy(config.expect_fingerprint, node->fingerprint, sizeof config.expect_fingerprint);
    link_open(link, node->daemon.port);
    link_handshake(link);
    memcpy(config.tls_server_key, pl_tls_server_key(link->tls), sizeof config.tls_server_key);
    bench_ok(pl_session_open(&link->env, &config, now_of().mono, &session), "a session");
    while (session_turn(link, session, &bye))
        continue;
    if (bye != PL_BYE_INVITE)
        bench_die("a handshake ended with %s", pl_bye_text(bye));
    pl_session_free(session);
    link_close(link);
}

static void run_load(const struct node *node, double seconds, struct counts *counts)
{
    struct link link;
    struct pl_identity *identity = NULL;
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    link_init(&link);
    bench_ok(pl_identity_create(&link.env, PL_RSA_BITS_DEFAULT, &identity), "a key");
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(identity), name);
    double start = bench_now();
    const double interval = 1.0 / HANDSHAKES_PER_SECOND;
    for (size_t i = 0; (double)i * interval < seconds; i++) {
        double wait = start + (double)i * interval - bench_now();
        if (wait > 0)
            usleep((useconds_t)(wait * 1e6));
        counts->late += wait < -interval;
        native_handshake(&link, node, identity, name);
        counts->done++;
    }
    pl_identity_destroy(identity);
    pl_tls_profile_destroy(link.profile);
}

static pid_t start_load(const struct node *node, double seconds, struct counts *counts)
{
    fflush(NULL);
    pid_t pid = fork();
    bench_check(pid >= 0, "fork");
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run_load(node, seconds, counts);
    _exit(0);
}

/* ---- The daemon ---- */

static void node_learn_key(struct node *node, struct link *link)
{
    char answer[ANSWER_BYTES];
    struct pl_pubkey key;
    json_t *identity = json_loads(ask(link, "/identity", answer), 0, NULL);
    const char *pem = json_string_value(json_object_get(identity, "public_key"));
    bench_check(pem != NULL, "GET /identity");
    bench_ok(pl_pubkey_from_pem(pl_span_text(pem), &key), "the node's key");
    memcpy(node->fingerprint, key.fingerprint, sizeof node->fingerprint);
    json_decref(identity);
}

void trust_load_measure(struct bench *b)
{
    struct node node = { 0 };
    struct link link;
    char note[320];
    int status = 0;
    double seconds = b->quick ? SECONDS_OF_QUICK : SECONDS;
    double *times = bench_alloc(PROBES_MAX * sizeof *times);
    struct counts *counts =
        mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_check(counts != MAP_FAILED, "shared memory");
    daemon_start(b, &node.daemon, NULL);
    link_init(&link);
    link_open(&link, node.daemon.port);
    link_handshake(&link);
    node_learn_key(&node, &link);
    size_t count = probe(&link, seconds / 2, times);
    double idle = bench_percentile(times, count, 0.99);
    struct proc_usage before = proc_usage_of(node.daemon.pid);
    pid_t load = start_load(&node, seconds, counts);
    double start = bench_now();
    count = probe(&link, seconds, times);
    double cpu = proc_usage_of(node.daemon.pid).cpu_seconds - before.cpu_seconds;
    double took = bench_now() - start;
    while (waitpid(load, &status, 0) < 0 && errno == EINTR)
        continue;
    bench_check(WIFEXITED(status) && WEXITSTATUS(status) == 0 && counts->done > 0, "the load");
    double p99 = bench_percentile(times, count, 0.99);
    snprintf(note, sizeof note,
             "%zu round trips, p50 %.2f ms, p999 %.2f ms, worst %.2f ms; %.1f full handshakes a "
             "second, %zu of %zu begun late; the node used %.0f %% of a core; baseline: p99 alone",
             count, bench_percentile(times, count, 0.5), bench_percentile(times, count, 0.999),
             times[count - 1], (double)counts->done / took, counts->late, counts->done,
             100 * cpu / took);
    bench_report(b, &(struct bench_metric){ .name = "session_p99_ms",
                                            .value = p99,
                                            .unit = "ms",
                                            .baseline = &idle,
                                            .note = note });
    link_close(&link);
    pl_tls_profile_destroy(link.profile);
    daemon_stop(&node.daemon);
    munmap(counts, sizeof *counts);
    free(times);
}
