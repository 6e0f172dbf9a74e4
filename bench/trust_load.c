/* SPDX-License-Identifier: Apache-2.0
 *
 * The probe asks GET /health on one keep-alive connection, every few milliseconds, with the token
 * of the operator, since strangers are told to wait, and notes how long each answer took; first
 * alone, then under load. The load is what costs a node most that a stranger can ask for: TLS with
 * a full handshake, HELLO with an invite (the node signs), PROOF (it verifies), a secret that is
 * none of its own. Its times are fixed in advance, so that a slow node is not asked less.
 */
#define _GNU_SOURCE 1
#include "trust_load.h"

#include "daemon.h"
#include "link.h"
#include "proc.h"
#include "proto/session.h"
#include "proto/tls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKES_PER_SECOND 50
#define SECONDS               8.0
#define SECONDS_OF_QUICK      1.5
#define PROBE_PAUSE_US        2000
#define PROBES_MAX            16384

struct node {
    struct daemon daemon;
    uint8_t fingerprint[PL_FINGERPRINT_BYTES];
};

/* What the other process counts; shared with it. */
struct counts {
    size_t done;
    size_t late; /* begun more than one interval after their time */
};

/* ---- The probe ---- */

/* Fills `times` with milliseconds, sorted; returns how many. */
static size_t probe(struct link *link, const char *token, double seconds, double *times)
{
    char answer[LINK_ANSWER_BYTES];
    size_t count = 0;
    double end = bench_now() + seconds;
    while (bench_now() < end && count < PROBES_MAX) {
        double start = bench_now();
        link_ask(link, "/health", token, answer);
        times[count] = (bench_now() - start) * 1e3;
        if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
            bench_die("GET /health: %.300s", answer);
        count++;
        usleep(PROBE_PAUSE_US);
    }
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
        pl_session_recv_ack(session, len, link_now().mono);
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
    bench_ok(pl_session_open(&link->env, &config, link_now().mono, &session), "a session");
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
    link_deinit(&link);
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
    char answer[LINK_ANSWER_BYTES];
    struct pl_pubkey key;
    json_t *identity = json_loads(link_ask(link, "/identity", NULL, answer), 0, NULL);
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
    char token[DAEMON_TOKEN_BYTES];
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
    daemon_token(&node.daemon, token);
    size_t count = probe(&link, token, seconds / 2, times);
    double idle = bench_percentile(times, count, 0.99);
    struct proc_usage before = proc_usage_of(node.daemon.pid);
    pid_t load = start_load(&node, seconds, counts);
    double start = bench_now();
    count = probe(&link, token, seconds, times);
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
    link_deinit(&link);
    daemon_stop(&node.daemon);
    munmap(counts, sizeof *counts);
    free(times);
}
