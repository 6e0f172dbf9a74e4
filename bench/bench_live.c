/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `live`: how long from a write on one daemon until it can be read on another.
 *
 * Plan: import the data into A -> B joins it over TLS -> equal -> many times: one fdatasync of a
 * file of our own; POST a message to A, and GET its conversation from B over and over until it is
 * there; a pause of a length of its own. The time is from before the POST to behind the GET that
 * found it. Durable twice: A answers and B shows only what is. So the unit is the fdatasync, whose
 * median in the same run the times are divided by; two commits of LMDB are about four of them.
 */
#define _GNU_SOURCE 1
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRITES          600
#define WRITES_OF_QUICK 20
#define WAIT_SECONDS    10.0
#define SYNC_BYTES      8192 /* what a small commit writes before it waits: a few pages */
#define FILE_BYTES      (4u << 20)
#define PAUSE_US_MIN    3000
#define PAUSE_US_MAX    20000
#define REQUEST_BYTES   1024
#define ANSWER_BYTES    16384

/* A keep-alive connection of an operator to a daemon. */
struct door {
    int fd;
    uint16_t port;
    char token[DAEMON_TOKEN_BYTES];
    char answer[ANSWER_BYTES];
};

static void door_open(struct door *door, const struct daemon *daemon)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(daemon->port) };
    struct timeval limit = { .tv_sec = (time_t)WAIT_SECONDS };
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    door->port = daemon->port;
    door->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (door->fd < 0 || connect(door->fd, (struct sockaddr *)&at, sizeof at) != 0)
        bench_die("the daemon cannot be reached: %s", strerror(errno));
    bench_check(setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                    setsockopt(door->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0,
                "socket options");
    daemon_token(daemon, door->token);
}

static void door_send(struct door *door, const char *method, const char *path, const char *body)
{
    char request[REQUEST_BYTES];
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       method, path, (unsigned)door->port, door->token, strlen(body), body);
    bench_check(len > 0 && (size_t)len < sizeof request, "room for a request");
    if (send(door->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        bench_die("a request was not taken: %s", strerror(errno));
}

static bool is_whole(const char *answer, size_t len)
{
    const char *body = strstr(answer, "\r\n\r\n");
    const char *length = strstr(answer, "Content-Length: ");
    return body != NULL && length != NULL &&
           len >= (size_t)(body + 4 - answer) + strtoul(length + 16, NULL, 10);
}

/* The status of the next answer. */
static unsigned door_receive(struct door *door)
{
    size_t len = 0;
    door->answer[0] = '\0';
    while (!is_whole(door->answer, len)) {
        ssize_t got = recv(door->fd, door->answer + len, sizeof door->answer - 1 - len, 0);
        if (got <= 0)
            bench_die("an answer did not come: %s", got == 0 ? "closed" : strerror(errno));
        len += (size_t)got;
        door->answer[len] = '\0';
    }
    return (unsigned)strtoul(door->answer + strlen("HTTP/1.1 "), NULL, 10);
}

/* Pages inside of a file, as LMDB writes: one that grows would take longer. */
static double fdatasync_seconds(int fd, size_t number)
{
    static char pages[SYNC_BYTES];
    off_t at = (off_t)(number * SYNC_BYTES % FILE_BYTES);
    double start = bench_now();
    bench_check(pwrite(fd, pages, sizeof pages, at) == (ssize_t)sizeof pages && fdatasync(fd) == 0,
                "a write of its own");
    return bench_now() - start;
}

static int file_open(const struct bench *b)
{
    char path[BENCH_PATH_BYTES];
    bench_join(path, b->scratch, "fdatasync");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bench_check(fd >= 0, "a file of its own");
    for (size_t i = 0; i < FILE_BYTES / SYNC_BYTES; i++)
        fdatasync_seconds(fd, i);
    return fd;
}

/* One message into a conversation of its own, until the other daemon has it. */
static double write_seconds(struct door *from, struct door *to, size_t number)
{
    char path[64], post[80];
    snprintf(path, sizeof path, "/conversations/live-%zu", number);
    snprintf(post, sizeof post, "%s/messages", path);
    double start = bench_now();
    door_send(from, "POST", post, "{\"role\":\"user\",\"content\":\"Is it there yet?\"}");
    for (;;) {
        door_send(to, "GET", path, "");
        unsigned status = door_receive(to);
        if (status == 200)
            break;
        bench_check(status == 404 && bench_now() < start + WAIT_SECONDS, "the write to arrive");
    }
    double took = bench_now() - start;
    bench_check(door_receive(from) == 201, "the answer to a write");
    return took;
}

static void pair_up(const struct bench *b, struct daemon *x, struct daemon *y)
{
    daemon_start(b, x, "hosted");
    daemon_start(b, y, "local");
    json_decref(daemon_command(b, x, "import", b->data_path));
    json_t *invite = daemon_command(b, x, "invite", NULL);
    const char *url = json_string_value(json_object_get(invite, "url"));
    bench_check(url != NULL, "an invite");
    json_decref(daemon_command(b, y, "join", url));
    daemons_wait_equal(b, x, y);
    json_decref(invite);
}

static void report(const struct bench *b, const char *name, double value, const char *unit,
                   const double *baseline, const char *note)
{
    bench_report(
        b, &(struct bench_metric){
               .name = name, .value = value, .unit = unit, .baseline = baseline, .note = note });
}

static void report_all(const struct bench *b, double *times, double *syncs, size_t count)
{
    char note[256];
    double sync = bench_median(syncs, count);
    double p50 = bench_percentile(times, count, 0.5);
    double p99 = bench_percentile(times, count, 0.99);
    double sync_ms = sync * 1e3;
    snprintf(
        note, sizeof note,
        "%zu writes; baseline: median fdatasync in ms, its p99 is %.2f ms; worst write %.2f ms",
        count, bench_percentile(syncs, count, 0.99) * 1e3, times[count - 1] * 1e3);
    report(b, "p50_fdatasyncs", p50 / sync, "fdatasyncs", &sync_ms, note);
    report(b, "p99_fdatasyncs", p99 / sync, "fdatasyncs", &sync_ms, NULL);
    report(b, "p50_ms", p50 * 1e3, "ms", NULL, NULL);
    report(b, "p99_ms", p99 * 1e3, "ms", NULL, NULL);
}

void bench_live(struct bench *b)
{
    static struct daemon x, y;
    static struct door from, to;
    static double times[WRITES], syncs[WRITES];
    size_t count = b->quick ? WRITES_OF_QUICK : WRITES;
    struct pl_rng rng;
    pl_rng_init(&rng, 1);
    int fd = file_open(b);
    pair_up(b, &x, &y);
    door_open(&from, &x);
    door_open(&to, &y);
    for (size_t i = 0; i < count; i++) {
        syncs[i] = fdatasync_seconds(fd, i);
        times[i] = write_seconds(&from, &to, i);
        usleep(PAUSE_US_MIN + (useconds_t)pl_rng_below(&rng, PAUSE_US_MAX - PAUSE_US_MIN));
    }
    report_all(b, times, syncs, count);
    close(from.fd);
    close(to.fd);
    daemon_stop(&x);
    daemon_stop(&y);
    close(fd);
}
