/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `sync`: two daemons over TLS on loopback, with a counting relay between them.
 *
 * Plan: import into A through its daemon -> B joins A by an invite -> time until the roots are
 * equal and both say in sync (the cold sync, pairing included) -> cut the connection -> B syncs
 * again over a new one -> count every TCP payload byte until both are in sync and it is quiet ->
 * the same over the open one -> cut, change a little on A, sync, count.
 * The cold copy is compared with the import in the same run: the same data, one network less.
 * Times are those of the daemons as they are started by default; bytes are also counted without
 * zstd, in one more run.
 */
#define _GNU_SOURCE 1
#include "daemon.h"
#include "proc.h"
#include "proxy.h"

#include "core/iso8601.h"
#include "core/message.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPEATS_MAX    3
#define POLL_US        30000
#define QUIET_SECONDS  0.5
#define QUIET_WAIT_MAX 5.0
#define BEAT_SECONDS   12.0 /* a STATE passes at least every 10 s */

/* What changes between two syncs: a message more in 1 % of the conversations, and 0.1 % of the
 * messages edited. */
#define DELTA_TALK_STEP    100u
#define DELTA_MESSAGE_STEP 1000u
#define DELTA_TIME_US      (UINT64_C(3600) * 1000000)

struct pair {
    const struct bench *bench;
    struct proxy proxy;
    struct daemon a, b;
};

struct result {
    double import_seconds;
    double cold_seconds;
    double join_seconds; /* of them, until `parley join` ended */
    double cold_bytes;
    double noop_bytes;
    double noop_seconds;
    uint64_t noop_connections;
    double noop_open_bytes;
    double delta_bytes;
    uint64_t delta_text; /* bytes of contents and ids of what changed */
    uint64_t delta_messages;
    double a_cpu, b_cpu, relay_cpu; /* seconds, during the cold sync */
    double import_cpu;              /* of daemon A during the import */
    double b_written;
};

static void door_open(struct daemon *daemon, uint16_t port, bool zstd)
{
    snprintf(daemon->door, sizeof daemon->door, "127.0.0.1:%u", (unsigned)port);
    daemon->plain = !zstd;
}

static void pair_start(const struct bench *b, struct pair *pair, bool zstd)
{
    *pair = (struct pair){ .bench = b };
    proxy_open(&pair->proxy);
    door_open(&pair->a, pair->proxy.ports[0], zstd);
    door_open(&pair->b, pair->proxy.ports[1], zstd);
    daemon_start(b, &pair->a, "hosted");
    daemon_start(b, &pair->b, "local");
    proxy_run(&pair->proxy, (const uint16_t[PROXY_DOORS]){ pair->a.port, pair->b.port });
}

static void pair_stop(struct pair *pair)
{
    daemon_stop(&pair->a);
    daemon_stop(&pair->b);
    proxy_close(&pair->proxy);
}

static void wait_equal(const struct pair *pair)
{
    daemons_wait_equal(pair->bench, &pair->a, &pair->b);
}

/* ---- Measuring ---- */

static void measure_import(struct bench *b, struct pair *pair, struct result *r)
{
    struct proc_usage before = proc_usage_of(pair->a.pid);
    double start = bench_now();
    json_decref(daemon_command(pair->bench, &pair->a, "import", b->data_path));
    r->import_seconds = bench_now() - start;
    r->import_cpu = proc_usage_of(pair->a.pid).cpu_seconds - before.cpu_seconds;
}

static void measure_cold(struct pair *pair, struct result *r)
{
    json_t *invite = daemon_command(pair->bench, &pair->a, "invite", NULL);
    const char *url = json_string_value(json_object_get(invite, "url"));
    bench_check(url != NULL && strstr(url, pair->a.door) != NULL, "an invite through the relay");
    struct proc_usage a = proc_usage_of(pair->a.pid);
    struct proc_usage b = proc_usage_of(pair->b.pid);
    struct proc_usage relay = proc_usage_of(pair->proxy.pid);
    double start = bench_now();
    json_decref(daemon_command(pair->bench, &pair->b, "join", url));
    r->join_seconds = bench_now() - start;
    wait_equal(pair);
    r->cold_seconds = bench_now() - start;
    r->cold_bytes = (double)proxy_bytes(&pair->proxy);
    r->a_cpu = proc_usage_of(pair->a.pid).cpu_seconds - a.cpu_seconds;
    r->b_cpu = proc_usage_of(pair->b.pid).cpu_seconds - b.cpu_seconds;
    r->b_written = (double)(proc_usage_of(pair->b.pid).written - b.written);
    r->relay_cpu = proc_usage_of(pair->proxy.pid).cpu_seconds - relay.cpu_seconds;
    json_decref(invite);
}

/* Waits until no byte has passed for a while; what is late belongs to the sync too. */
static void wait_quiet(const struct proxy *proxy)
{
    uint64_t last = proxy_bytes(proxy);
    double since = bench_now();
    double end = since + QUIET_WAIT_MAX;
    while (bench_now() - since < QUIET_SECONDS && bench_now() < end) {
        usleep(POLL_US);
        uint64_t now = proxy_bytes(proxy);
        if (now != last)
            since = bench_now();
        last = now;
    }
}

static void measure_noop(struct pair *pair, struct result *r)
{
    wait_quiet(&pair->proxy);
    proxy_cut(&pair->proxy);
    double start = bench_now();
    json_decref(daemon_command(pair->bench, &pair->b, "sync", NULL));
    /* The old state may still be shown for a moment: insist on a new connection. */
    while (atomic_load(&pair->proxy.counts->accepted) == 0 || proxy_bytes(&pair->proxy) == 0) {
        bench_check(bench_now() - start < DAEMON_COMMAND_SECONDS, "a new connection");
        usleep(POLL_US);
    }
    wait_equal(pair);
    r->noop_seconds = bench_now() - start;
    wait_quiet(&pair->proxy);
    wait_equal(pair);
    r->noop_bytes = (double)proxy_bytes(&pair->proxy);
    r->noop_connections = atomic_load(&pair->proxy.counts->accepted);
}

/* Over the connection that is open. Begins just after a STATE, which would come anyway. */
static void measure_noop_open(struct pair *pair, struct result *r)
{
    uint64_t before = proxy_bytes(&pair->proxy);
    double end = bench_now() + BEAT_SECONDS;
    while (proxy_bytes(&pair->proxy) == before && bench_now() < end)
        usleep(POLL_US);
    wait_quiet(&pair->proxy);
    before = proxy_bytes(&pair->proxy);
    json_decref(daemon_command(pair->bench, &pair->b, "sync", NULL));
    wait_equal(pair);
    wait_quiet(&pair->proxy);
    r->noop_open_bytes = (double)(proxy_bytes(&pair->proxy) - before);
    bench_check(atomic_load(&pair->proxy.counts->accepted) == r->noop_connections,
                "keeping the connection open");
}

/* ---- A little that changed ---- */

static json_t *delta_message(struct result *r, const char *id, uint64_t time,
                             struct parley_span role, const char *content)
{
    char stamp[PL_ISO8601_BYTES];
    pl_iso8601_format(time, stamp);
    r->delta_messages++;
    r->delta_text += strlen(id) + strlen(content);
    return json_pack("{s:s, s:s%, s:s, s:s%}", "message_id", id, "role", (const char *)role.ptr,
                     role.len, "content", content, "timestamp", stamp, sizeof stamp);
}

static void add_message(struct result *r, json_t *messages, const struct parley_version *v,
                        bool is_new)
{
    char id[PARLEY_ID_BYTES_MAX + 8];
    char content[4096];
    struct pl_message message;
    bench_ok(pl_message_decode(v->body, &message), "a message of the data");
    snprintf(id, sizeof id, "%.*s%s", (int)v->id.len, (const char *)v->id.ptr, is_new ? "+" : "");
    snprintf(content, sizeof content, "%.*s Again.",
             (int)pl_min_size(message.content.len, sizeof content / 2),
             (const char *)message.content.ptr);
    json_t *object = delta_message(r, id, v->time + DELTA_TIME_US, message.role, content);
    bench_check(object != NULL && json_array_append_new(messages, object) == 0, "a message");
}

/* One line of the file, when something in this conversation changes. */
static void write_delta_talk(const struct bench_data *data, size_t talk, size_t *message_count,
                             FILE *file, struct result *r)
{
    const struct parley_version *first = &data->versions[data->talks[talk].first];
    const struct parley_version *last = NULL;
    struct parley_span name = first->conversation;
    json_t *messages = json_array();
    for (size_t i = 0; i < data->talks[talk].count; i++) {
        if (first[i].kind != PARLEY_KIND_MESSAGE)
            continue;
        last = &first[i];
        if (++*message_count % DELTA_MESSAGE_STEP == 0)
            add_message(r, messages, last, false);
    }
    if (talk % DELTA_TALK_STEP == 0 && last != NULL)
        add_message(r, messages, last, true);
    if (json_array_size(messages) != 0) {
        json_t *line = json_pack("{s:s%, s:O}", "conversation_id", (const char *)name.ptr, name.len,
                                 "messages", messages);
        bench_check(line != NULL && json_dumpf(line, file, JSON_COMPACT) == 0, "writing a delta");
        fputc('\n', file);
        r->delta_text += name.len;
        json_decref(line);
    }
    json_decref(messages);
}

static void write_delta(struct bench *b, const char *path, struct result *r)
{
    const struct bench_data *data = bench_data_get(b);
    size_t message_count = 0;
    FILE *file = fopen(path, "w");
    bench_check(file != NULL, "creating a delta");
    for (size_t i = 0; i < data->talk_count; i++)
        write_delta_talk(data, i, &message_count, file, r);
    bench_check(fclose(file) == 0, "writing a delta");
}

static void measure_delta(struct bench *b, struct pair *pair, struct result *r)
{
    char path[BENCH_PATH_BYTES];
    bench_join(path, b->scratch, "delta.jsonl");
    write_delta(b, path, r);
    proxy_cut(&pair->proxy);
    json_t *answer = daemon_command(pair->bench, &pair->a, "import", path);
    json_t *count = json_object_get(answer, "versions_new");
    bench_check((uint64_t)json_integer_value(count) == r->delta_messages,
                "importing a delta that is all new");
    json_decref(answer);
    json_decref(daemon_command(pair->bench, &pair->b, "sync", NULL));
    wait_equal(pair);
    wait_quiet(&pair->proxy);
    wait_equal(pair);
    r->delta_bytes = (double)proxy_bytes(&pair->proxy);
}

static struct result measure(struct bench *b, bool zstd)
{
    struct result r = { 0 };
    struct pair *pair = bench_alloc(sizeof *pair);
    pair_start(b, pair, zstd);
    measure_import(b, pair, &r);
    measure_cold(pair, &r);
    measure_noop(pair, &r);
    if (!zstd) {
        measure_noop_open(pair, &r);
        measure_delta(b, pair, &r);
    }
    pair_stop(pair);
    free(pair);
    return r;
}

/* ---- Results ---- */

static void report_time(struct bench *b, const struct result *results, size_t repeats)
{
    double ratio[REPEATS_MAX], cold[REPEATS_MAX], import[REPEATS_MAX];
    char note[256];
    for (size_t i = 0; i < repeats; i++) {
        import[i] = results[i].import_seconds;
        cold[i] = results[i].cold_seconds;
        ratio[i] = import[i] / cold[i];
    }
    const struct result *last = &results[repeats - 1];
    snprintf(note, sizeof note,
             "cold %.2f s (join %.2f s; CPU: sender %.2f s, receiver %.2f s, relay %.2f s; "
             "receiver wrote %.0f MB); import %.2f s (CPU of the daemon %.2f s)",
             last->cold_seconds, last->join_seconds, last->a_cpu, last->b_cpu, last->relay_cpu,
             last->b_written / 1e6, last->import_seconds, last->import_cpu);
    double import_median = bench_median(import, repeats);
    bench_report(b, &(struct bench_metric){ .name = "cold_ratio_to_import",
                                            .value = bench_median(ratio, repeats),
                                            .unit = "ratio",
                                            .note = note });
    bench_report(b, &(struct bench_metric){ .name = "cold_seconds",
                                            .value = bench_median(cold, repeats),
                                            .unit = "s",
                                            .baseline = &import_median,
                                            .note = "baseline: parley import" });
}

static void report_ratio(struct bench *b, const char *name, double bytes, double text,
                         const char *note)
{
    bench_report(b, &(struct bench_metric){ .name = name,
                                            .value = bytes / text,
                                            .unit = "ratio",
                                            .baseline = &text,
                                            .note = note });
}

static void report_bytes(struct bench *b, const struct result *packed, const struct result *plain,
                         const struct result *worst)
{
    double text = (double)bench_data_get(b)->text_bytes;
    char note[256];
    report_ratio(b, "cold_bytes_ratio", plain->cold_bytes, text,
                 "--no-zstd; baseline: bytes of contents and ids");
    report_ratio(b, "cold_bytes_ratio_zstd", packed->cold_bytes, text, "baseline: the same");
    snprintf(note, sizeof note,
             "--no-zstd; baseline: the same of %llu messages that changed; handshake included",
             (unsigned long long)plain->delta_messages);
    report_ratio(b, "delta_bytes_ratio", plain->delta_bytes, (double)plain->delta_text, note);
    snprintf(note, sizeof note, "%llu connections, %.2f s until both say in sync",
             (unsigned long long)worst->noop_connections, worst->noop_seconds);
    bench_report(b,
                 &(struct bench_metric){
                     .name = "noop_bytes", .value = worst->noop_bytes, .unit = "B", .note = note });
    bench_report(b, &(struct bench_metric){
                        .name = "noop_open_bytes",
                        .value = plain->noop_open_bytes,
                        .unit = "B",
                        .note = "parley sync over the open connection; besides, both sides state "
                                "their roots every 10 s" });
}

void bench_sync(struct bench *b)
{
    struct result results[REPEATS_MAX + 1];
    size_t repeats = b->quick ? 1 : REPEATS_MAX;
    const struct result *worst = &results[0];
    for (size_t i = 0; i <= repeats; i++) {
        results[i] = measure(b, i < repeats);
        if (results[i].noop_bytes > worst->noop_bytes)
            worst = &results[i];
    }
    report_time(b, results, repeats);
    report_bytes(b, &results[repeats - 1], &results[repeats], worst);
}
