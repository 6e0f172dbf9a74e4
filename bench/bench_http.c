/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `http`: what the HTTP side costs a daemon that has one core; the client has another.
 *
 *   get   one conversation of 20 messages, over and over, from a keep-alive connection each of
 *         some clients; against nginx with the same bytes as a file. Requests a CPU second of the
 *         server, all of its threads: so it does not matter how fast the client is.
 *   post  one durable message a request, 64 clients at once, each time to a random conversation;
 *         against the engine's writer with 64 threads on a store of the same content, which has
 *         the same one core.
 *   sync  http_sync.c
 *
 * In turns, several times; ratios are of neighbours in time, and the median of them counts.
 */
#define _GNU_SOURCE 1
#include "daemon.h"
#include "engine_writer.h"
#include "filler.h"
#include "http_load.h"
#include "http_sync.h"
#include "nginx.h"
#include "proc.h"
#include "talks.h"

#include "base/span.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS           9u
#define SECONDS          1.5
#define SECONDS_OF_QUICK 0.2
#define GET_CONNECTIONS  32u
#define GET_MESSAGES     20u
#define REQUEST_BYTES    1024
#define US_PER_SECOND    1e6

static double seconds_of(const struct bench *b)
{
    return b->quick ? SECONDS_OF_QUICK : SECONDS;
}

static void report(const struct bench *b, const char *name, double value, const char *unit,
                   const double *baseline, const char *note)
{
    bench_report(
        b, &(struct bench_metric){
               .name = name, .value = value, .unit = unit, .baseline = baseline, .note = note });
}

/* ---- Reading a conversation ---- */

/* One server and those who ask it. */
struct shop {
    uint16_t port;
    pid_t pid;
    struct http_load *load;
    double rates[ROUNDS];     /* requests a second */
    double cpu_rates[ROUNDS]; /* and a CPU second of the server */
};

static struct parley_span same_request(void *arg)
{
    return pl_span_text(arg);
}

/* Opens the connections and asks once. */
static void shop_open(struct shop *shop, uint16_t port, pid_t pid, char *request)
{
    struct http_load_plan plan = { .port = port,
                                   .connections = GET_CONNECTIONS,
                                   .status = 200,
                                   .next = same_request,
                                   .arg = request };
    shop->pid = pid;
    shop->load = http_load_open(&plan);
    http_load_run(shop->load, 0, 1);
}

static void shop_measure(struct shop *shop, double seconds, size_t round)
{
    double start = bench_now();
    double before = proc_usage_of(shop->pid).cpu_seconds;
    double count = (double)http_load_run(shop->load, seconds, SIZE_MAX);
    shop->cpu_rates[round] = count / (proc_usage_of(shop->pid).cpu_seconds - before);
    shop->rates[round] = count / (bench_now() - start);
}

/* Imports the conversation and makes the request for it. */
static void prepare_get(const struct bench *b, const struct daemon *daemon, char *request)
{
    char path[BENCH_PATH_BYTES];
    char token[DAEMON_TOKEN_BYTES];
    json_t *talks = talks_read(b, 1, GET_MESSAGES);
    json_t *talk = json_array_get(talks, 0);
    bench_join(path, b->scratch, "talk.jsonl");
    json_object_set_new(talk, "conversation_id", json_string("talk"));
    bench_check(json_dump_file(talk, path, JSON_COMPACT) == 0, "writing a conversation");
    json_decref(daemon_command(b, daemon, "import", path));
    json_decref(talks);
    daemon_token(daemon, token);
    snprintf(request, REQUEST_BYTES,
             "GET /conversations/talk HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
             "Accept: application/json\r\n\r\n",
             token);
}

static void report_get_ratio(const struct bench *b, const struct shop *ours, struct shop *nginx,
                             size_t count)
{
    double ratios[ROUNDS];
    char note[200];
    for (size_t i = 0; i < count; i++)
        ratios[i] = ours->cpu_rates[i] / nginx->cpu_rates[i];
    double base = bench_median(nginx->cpu_rates, count);
    snprintf(note, sizeof note,
             "median of %zu rounds, the least %.3f; baseline: nginx, requests a CPU second", count,
             bench_percentile(ratios, count, 0));
    report(b, "get_conversation_ratio_nginx", bench_median(ratios, count), "ratio", &base, note);
    report(b, "get_nginx_rate", bench_median(nginx->rates, count), "requests/s", NULL, NULL);
}

static void report_get(const struct bench *b, struct shop *ours, size_t count)
{
    char note[120];
    snprintf(note, sizeof note, "%u messages, %zu bytes, %u connections", GET_MESSAGES,
             http_load_body(ours->load).len, GET_CONNECTIONS);
    report(b, "get_conversation_cpu_rate", bench_median(ours->cpu_rates, count), "requests/CPU-s",
           NULL, note);
    report(b, "get_conversation_rate", bench_median(ours->rates, count), "requests/s", NULL, NULL);
}

static void compete_with_nginx(const struct bench *b, const struct cores *cores, struct shop *ours,
                               char *request, size_t count)
{
    static struct shop theirs;
    struct nginx nginx;
    struct parley_span body = http_load_body(ours->load);
    cores_use(&cores->server);
    bool there = nginx_start(b, &nginx, "conversations", "talk", body);
    cores_use(&cores->client);
    if (there) {
        shop_open(&theirs, nginx.port, nginx.pid, request);
        bench_check(pl_span_equal(body, http_load_body(theirs.load)), "serving the same bytes");
    } else {
        fprintf(stderr, "parley-bench: http: get_conversation_ratio_nginx SKIPPED: nginx is not "
                        "installed (Debian: nginx-light)\n");
    }
    for (size_t i = 0; i < count; i++) {
        shop_measure(ours, seconds_of(b), i);
        if (there)
            shop_measure(&theirs, seconds_of(b), i);
    }
    if (!there)
        return;
    report_get_ratio(b, ours, &theirs, count);
    http_load_close(theirs.load);
    nginx_stop(&nginx);
}

static void measure_get(struct bench *b, const struct cores *cores)
{
    static struct daemon daemon;
    static struct shop ours;
    char request[REQUEST_BYTES];
    size_t count = b->quick ? 1 : ROUNDS;
    cores_use(&cores->server);
    daemon_start(b, &daemon, NULL);
    cores_use(&cores->client);
    prepare_get(b, &daemon, request);
    shop_open(&ours, daemon.port, daemon.pid, request);
    compete_with_nginx(b, cores, &ours, request, count);
    report_get(b, &ours, count);
    http_load_close(ours.load);
    daemon_stop(&daemon);
}

/* ---- Writing messages ---- */

struct poster {
    struct pl_rng rng;
    uint64_t talks;
    char token[DAEMON_TOKEN_BYTES];
    char request[REQUEST_BYTES];
};

static struct parley_span next_post(void *arg)
{
    static const char body[] = "{\"role\":\"user\",\"content\":\"hello\"}";
    struct poster *p = arg;
    int len = snprintf(p->request, sizeof p->request,
                       "POST /conversations/c%llu/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       (unsigned long long)pl_rng_below(&p->rng, p->talks), p->token,
                       sizeof body - 1, body);
    return pl_span_of((const uint8_t *)p->request, (size_t)len);
}

/* A daemon on a store of the same content as that of the engine's writers. */
static void start_filled(struct bench *b, const struct cores *cores, struct daemon *daemon)
{
    struct filler f;
    bench_make_dir(b, daemon->data);
    filler_open(&f, daemon->data, false);
    filler_fill(&f, engine_crowd_messages(b), FILLER_BATCH_MAX);
    filler_index(f.db);
    filler_close(&f);
    cores_use(&cores->server);
    daemon_start_on(b, daemon, NULL);
    cores_use(&cores->client);
}

struct post_rounds {
    double rates[ROUNDS];  /* of the daemon */
    double engine[ROUNDS]; /* of the engine with the same one core */
    double cpu_us[ROUNDS]; /* of the daemon, a request */
};

static void post_round(const struct bench *b, const struct cores *cores, struct engine_crowd *crowd,
                       struct http_load *load, pid_t pid, size_t i, struct post_rounds *out)
{
    cores_use(&cores->server);
    out->engine[i] = engine_crowd_rate(crowd);
    cores_use(&cores->client);
    double start = bench_now();
    double before = proc_usage_of(pid).cpu_seconds;
    double count = (double)http_load_run(load, seconds_of(b), SIZE_MAX);
    out->cpu_us[i] = US_PER_SECOND * (proc_usage_of(pid).cpu_seconds - before) / count;
    out->rates[i] = count / (bench_now() - start);
}

static void report_post(const struct bench *b, struct post_rounds *rounds, size_t count)
{
    double ratios[ROUNDS];
    char note[240];
    for (size_t i = 0; i < count; i++)
        ratios[i] = rounds->rates[i] / rounds->engine[i];
    double base = bench_median(rounds->engine, count);
    snprintf(note, sizeof note,
             "%u connections, %.1f us CPU a request; median of %zu rounds, the least %.3f; "
             "baseline: writes/s of %u threads by parley_writer on the same core",
             ENGINE_CROWD_THREADS, bench_median(rounds->cpu_us, count), count,
             bench_percentile(ratios, count, 0), ENGINE_CROWD_THREADS);
    report(b, "post_message_64_ratio", bench_median(ratios, count), "ratio", &base, note);
    report(b, "post_message_64_rate", bench_median(rounds->rates, count), "requests/s", NULL, NULL);
}

static void measure_post(struct bench *b, const struct cores *cores)
{
    static struct daemon daemon;
    static struct poster poster;
    struct post_rounds rounds;
    size_t count = b->quick ? 1 : ROUNDS;
    struct http_load_plan plan = {
        .connections = ENGINE_CROWD_THREADS, .status = 201, .next = next_post, .arg = &poster
    };
    struct engine_crowd *crowd = engine_crowd_open(b);
    start_filled(b, cores, &daemon);
    poster.talks = engine_crowd_messages(b) / FILLER_TALK_LEN;
    pl_rng_init(&poster.rng, 1);
    daemon_token(&daemon, poster.token);
    plan.port = daemon.port;
    struct http_load *load = http_load_open(&plan);
    for (size_t i = 0; i < count; i++)
        post_round(b, cores, crowd, load, daemon.pid, i, &rounds);
    report_post(b, &rounds, count);
    http_load_close(load);
    daemon_stop(&daemon);
    engine_crowd_close(crowd);
}

void bench_http(struct bench *b)
{
    struct cores cores;
    cores_find(&cores);
    measure_get(b, &cores);
    measure_post(b, &cores);
    http_sync_measure(b, &cores);
    cores_use(&cores.all);
}
