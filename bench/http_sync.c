/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /sync of 100 conversations of ten messages, from a peer that is registered and sends a token
 * it has signed: CPU time of the daemon, all of its threads, over that of the bare transcoder from
 * JSON to MessagePack on the same bytes in this process.
 *
 *   new    conversations and messages that the daemon has never seen, in each request
 *   again  the same request as the one before
 *
 * One connection, one request after the other: each commits for itself. What the daemon does later
 * because of new content, such as bringing its sets on, counts too: CPU time is read when it rests.
 */
#define _GNU_SOURCE 1
#include "http_sync.h"

#include "daemon.h"
#include "http_load.h"
#include "proc.h"
#include "talks.h"

#include "core/json.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TALKS             100u
#define MESSAGES          10u
#define ROUNDS            7u
#define REQUESTS          80u
#define REQUESTS_OF_QUICK 5u
#define MARK              "########" /* where the number of the request goes */
#define MARK_BYTES        8u
#define MARKS_MAX         (TALKS * (MESSAGES + 1) + 1)
#define ID_BYTES          64
#define HEAD_BYTES        4096
#define MS_PER_SECOND     1e3
#define REST_US           400000
#define REST_CPU_SECONDS  0.015 /* less than two ticks in REST_US: nothing of ours goes on */
#define RESTS_MAX         50

struct pusher {
    struct parley_env env;
    struct daemon daemon;
    struct pl_identity *identity;
    struct pl_token token;
    char token_text[PARLEY_TOKEN_BYTES_MAX + 1];
    char *request;
    size_t request_len;
    size_t head_len;
    size_t marks[MARKS_MAX];
    size_t mark_count;
    unsigned number; /* of the last request */
    bool again;
    uint8_t *mp; /* where the transcoder writes */
    size_t mp_cap;
};

struct sync_round {
    double fresh, again, bare;     /* CPU seconds a request */
    double fresh_rate, again_rate; /* requests a second */
};

/* ---- Registering ---- */

static struct parley_span same_request(void *arg)
{
    return pl_span_text(arg);
}

/* One request and the JSON of its answer. */
static json_t *ask_once(const struct pusher *p, char *request, unsigned status)
{
    struct http_load_plan plan = { .port = p->daemon.port,
                                   .connections = 1,
                                   .status = status,
                                   .next = same_request,
                                   .arg = request };
    struct http_load *load = http_load_open(&plan);
    http_load_run(load, 0, 1);
    struct parley_span body = http_load_body(load);
    json_t *answer = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    bench_check(answer != NULL, "an answer in JSON");
    http_load_close(load);
    return answer;
}

static void make_token(struct pusher *p, const char *target)
{
    struct timespec wall;
    size_t len = 0;
    clock_gettime(CLOCK_REALTIME, &wall);
    parley_wall now = (parley_wall)wall.tv_sec * PARLEY_US_PER_S;
    p->token = (struct pl_token){ .sbt_id = "0f8fad5b-d9cb-469f-a165-70867728950e",
                                  .user_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                                  .session_id = "session-1",
                                  .created_at = now,
                                  .expires_at = now + PL_TOKEN_TTL_US_DEFAULT };
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(p->identity),
                       p->token.local_backend_id);
    memcpy(p->token.issuer, p->token.local_backend_id, sizeof p->token.issuer);
    snprintf(p->token.hosted_backend_id, sizeof p->token.hosted_backend_id, "%s", target);
    bench_ok(pl_token_issue(p->identity, &p->token, p->token_text, &len), "a token");
    p->token_text[len] = '\0';
}

static void register_peer(struct pusher *p)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    char get[] = "GET /identity HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    json_t *identity = ask_once(p, get, 200);
    const char *target = json_string_value(json_object_get(identity, "backend_id"));
    bench_check(target != NULL, "GET /identity");
    make_token(p, target);
    bench_ok(pl_pubkey_to_pem(pl_identity_pubkey(p->identity), pem), "a public key");
    json_t *body = json_pack("{s:s, s:s, s:s}", "sbt", p->token_text, "peer_backend_id",
                             p->token.issuer, "peer_public_key", pem);
    char *text = json_dumps(body, JSON_COMPACT);
    char *post = bench_alloc(HEAD_BYTES + strlen(text));
    snprintf(post, HEAD_BYTES + strlen(text),
             "POST /register-peer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(text), text);
    json_decref(ask_once(p, post, 202));
    free(post);
    free(text);
    json_decref(body);
    json_decref(identity);
}

/* ---- The request ---- */

static void rename_all(json_t *talks)
{
    char id[ID_BYTES];
    for (size_t i = 0; i < json_array_size(talks); i++) {
        json_t *talk = json_array_get(talks, i);
        json_t *messages = json_object_get(talk, "messages");
        snprintf(id, sizeof id, "talk-" MARK "-%03zu", i);
        json_object_set_new(talk, "conversation_id", json_string(id));
        for (size_t k = 0; k < json_array_size(messages); k++) {
            snprintf(id, sizeof id, "talk-" MARK "-%03zu-m%03zu", i, k);
            json_object_set_new(json_array_get(messages, k), "message_id", json_string(id));
        }
    }
}

static char *make_body(const struct bench *b, const struct pusher *p)
{
    json_t *talks = talks_read(b, TALKS, MESSAGES);
    rename_all(talks);
    json_t *body = json_pack("{s:s, s:s, s:o}", "sync_id", "sync-" MARK, "source_backend_id",
                             p->token.issuer, "conversations", talks);
    char *text = json_dumps(body, JSON_COMPACT);
    bench_check(text != NULL, "a payload");
    json_decref(body);
    return text;
}

static void make_request(const struct bench *b, struct pusher *p)
{
    char *body = make_body(b, p);
    size_t cap = HEAD_BYTES + strlen(body);
    p->request = bench_alloc(cap);
    int len = snprintf(p->request, cap,
                       "POST /sync HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       p->token_text, strlen(body), body);
    bench_check(len > 0 && (size_t)len < cap, "room for a request");
    p->request_len = (size_t)len;
    p->head_len = p->request_len - strlen(body);
    free(body);
    for (char *at = strstr(p->request, MARK); at != NULL; at = strstr(at + MARK_BYTES, MARK)) {
        bench_check(p->mark_count < MARKS_MAX, "a payload of the usual shape");
        p->marks[p->mark_count++] = (size_t)(at - p->request);
    }
    p->mp_cap = PL_JSON_MP_BYTES_MAX(p->request_len);
    p->mp = bench_alloc(p->mp_cap);
}

static struct parley_span next_request(void *arg)
{
    struct pusher *p = arg;
    char digits[MARK_BYTES + 1];
    p->number += !p->again;
    snprintf(digits, sizeof digits, "%08u", p->number % 100000000u);
    for (size_t i = 0; i < p->mark_count; i++)
        memcpy(p->request + p->marks[i], digits, MARK_BYTES);
    return pl_span_of((const uint8_t *)p->request, p->request_len);
}

/* ---- Measuring ---- */

static size_t count_of(const struct bench *b)
{
    return b->quick ? REQUESTS_OF_QUICK : REQUESTS;
}

/* CPU seconds of the daemon so far, once it has nothing more to do. */
static double rested_cpu(const struct daemon *daemon)
{
    double before = proc_usage_of(daemon->pid).cpu_seconds;
    for (int i = 0; i < RESTS_MAX; i++) {
        usleep(REST_US);
        double now = proc_usage_of(daemon->pid).cpu_seconds;
        if (now - before < REST_CPU_SECONDS)
            return now;
        before = now;
    }
    bench_die("the daemon does not come to rest");
}

/* CPU seconds of the daemon a request; `field` of the last answer must say that it took all. */
static double cost_of(const struct bench *b, struct pusher *p, struct http_load *load,
                      const char *field, double *rate)
{
    json_int_t told = 0;
    double before = rested_cpu(&p->daemon);
    double start = bench_now();
    size_t count = http_load_run(load, DAEMON_COMMAND_SECONDS, count_of(b));
    *rate = (double)count / (bench_now() - start);
    double cpu = rested_cpu(&p->daemon) - before;
    struct parley_span body = http_load_body(load);
    json_t *answer = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    json_unpack(answer, "{s:I}", field, &told);
    bench_check(told == TALKS && json_object_get(answer, "errors") == NULL, "a sync");
    json_decref(answer);
    return cpu / (double)count;
}

static double bare_cost(const struct bench *b, const struct pusher *p)
{
    struct parley_span json =
        pl_span_of((const uint8_t *)p->request + p->head_len, p->request_len - p->head_len);
    double start = bench_cpu();
    for (size_t i = 0; i < count_of(b); i++) {
        struct pl_writer w = pl_writer_over(p->mp, p->mp_cap);
        bench_ok(pl_json_to_mp(json, &w, NULL), "the bare transcoder");
    }
    return (bench_cpu() - start) / (double)count_of(b);
}

static struct sync_round measure_round(const struct bench *b, struct pusher *p,
                                       struct http_load *load, const struct cores *cores)
{
    struct sync_round r = { 0 };
    p->again = false;
    r.fresh = cost_of(b, p, load, "conversations_merged", &r.fresh_rate);
    p->again = true;
    r.again = cost_of(b, p, load, "conversations_skipped", &r.again_rate);
    cores_use(&cores->server);
    r.bare = bare_cost(b, p);
    cores_use(&cores->client);
    return r;
}

static void report(const struct bench *b, const char *name, double value, const char *unit,
                   const double *baseline, const char *note)
{
    bench_report(
        b, &(struct bench_metric){
               .name = name, .value = value, .unit = unit, .baseline = baseline, .note = note });
}

static void report_all(const struct bench *b, const struct pusher *p,
                       const struct sync_round *rounds, size_t count)
{
    double fresh[ROUNDS], again[ROUNDS], rates[ROUNDS], fresh_ms[ROUNDS], again_ms[ROUNDS];
    double bare_ms[ROUNDS], again_rates[ROUNDS];
    char note[200];
    for (size_t i = 0; i < count; i++) {
        const struct sync_round *r = &rounds[i];
        fresh[i] = r->fresh / r->bare;
        again[i] = r->again / r->bare;
        rates[i] = r->fresh_rate;
        again_rates[i] = r->again_rate;
        fresh_ms[i] = r->fresh * MS_PER_SECOND;
        again_ms[i] = r->again * MS_PER_SECOND;
        bare_ms[i] = r->bare * MS_PER_SECOND;
    }
    double base = bench_median(bare_ms, count);
    snprintf(note, sizeof note,
             "%.2f ms CPU a request of %zu bytes, %u conversations of %u messages, all new; "
             "baseline: the transcoder alone, in ms",
             bench_median(fresh_ms, count), p->request_len - p->head_len, TALKS, MESSAGES);
    report(b, "sync_json_ratio", bench_median(fresh, count), "ratio", &base, note);
    snprintf(note, sizeof note, "%.2f ms CPU a request; all is there already",
             bench_median(again_ms, count));
    report(b, "sync_json_again_ratio", bench_median(again, count), "ratio", &base, note);
    report(b, "sync_rate", bench_median(rates, count), "requests/s", NULL,
           "all new, one connection, durable");
    report(b, "sync_again_rate", bench_median(again_rates, count), "requests/s", NULL, NULL);
}

void http_sync_measure(struct bench *b, const struct cores *cores)
{
    static struct pusher p;
    struct sync_round rounds[ROUNDS];
    size_t count = b->quick ? 1 : ROUNDS;
    cores_use(&cores->server);
    daemon_start(b, &p.daemon, "hosted");
    cores_use(&cores->client);
    parley_env_posix(&p.env);
    bench_ok(pl_identity_create(&p.env, PL_RSA_BITS_DEFAULT, &p.identity), "a key");
    register_peer(&p);
    json_decref(daemon_command(b, &p.daemon, "approve", p.token.issuer));
    make_request(b, &p);
    struct http_load_plan plan = {
        .port = p.daemon.port, .connections = 1, .status = 200, .next = next_request, .arg = &p
    };
    struct http_load *load = http_load_open(&plan);
    for (size_t i = 0; i < count; i++)
        rounds[i] = measure_round(b, &p, load, cores);
    report_all(b, &p, rounds, count);
    http_load_close(load);
    free(p.request);
    free(p.mp);
    pl_identity_destroy(p.identity);
    daemon_stop(&p.daemon);
}
