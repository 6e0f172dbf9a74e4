/* SPDX-License-Identifier: Apache-2.0
 *
 * Private memory of real daemons: `Anonymous` and `Swap` of /proc/PID/smaps_rollup. That is all
 * that is theirs alone and in no file: heap, stacks, data of program and libraries. Pages of mapped
 * files (text, the store, LMDB's lock file) are left out: the kernel takes them back as it likes.
 *
 *   empty  a new store; after it has answered some requests
 *   idle   growth by TLS connections that brought an operator's token, got an answer and stay open
 *   1m     a store of a million messages, twenty a conversation; after a walk over the list of
 *          conversations and some thousand conversations that were read whole
 */
#define _GNU_SOURCE 1
#include "memory.h"

#include "daemon.h"
#include "filler.h"
#include "link.h"
#include "proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGES          1000000u
#define MESSAGES_OF_QUICK 20000u
#define TALK_READS        5000u
#define REQUESTS          20
#define WARM_LINKS        8
#define LINKS             200
#define SETTLE_US         300000
#define BYTES_PER_KIB     1024.0
#define SMALL_MESSAGES    100000u
#define SMALL_LINKS       16
#define SMALL_READS       2000u
#define SMALL_SECONDS     600.0

static double private_bytes(const struct daemon *daemon)
{
    char path[64];
    char line[128];
    unsigned long long kib = 0;
    double sum = 0;
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)daemon->pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Anonymous: %llu kB", &kib) != 1 &&
            sscanf(line, "Swap: %llu kB", &kib) != 1)
            continue;
        sum += (double)kib * BYTES_PER_KIB;
        found++;
    }
    if (file != NULL)
        fclose(file);
    bench_check(found == 2, "reading smaps_rollup");
    return sum;
}

/* What is done meanwhile, such as maintenance, has come and gone. */
static double settled_bytes(const struct daemon *daemon)
{
    usleep(SETTLE_US);
    return private_bytes(daemon);
}

static void ask(struct link *link, const char *path, const char *token)
{
    char answer[LINK_ANSWER_BYTES];
    link_ask(link, path, token, answer);
    bench_check(strncmp(answer, "HTTP/1.1 200", 12) == 0, path);
}

static void open_all(struct link *links, size_t count, const struct daemon *daemon,
                     const char *token)
{
    for (size_t i = 0; i < count; i++) {
        link_init(&links[i]);
        link_open(&links[i], daemon->port);
        link_handshake(&links[i]);
        ask(&links[i], "/status", token);
    }
}

static void close_all(struct link *links, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        link_close(&links[i]);
        link_deinit(&links[i]);
    }
}

static void measure_empty(const struct bench *b)
{
    static struct daemon daemon;
    static struct link links[WARM_LINKS + LINKS];
    char token[DAEMON_TOKEN_BYTES];
    char note[128];
    daemon_start(b, &daemon, NULL);
    double started = private_bytes(&daemon) / BYTES_PER_KIB;
    daemon_token(&daemon, token);
    open_all(links, 1, &daemon, token);
    for (int i = 0; i < REQUESTS; i++)
        ask(&links[0], i % 2 == 0 ? "/health" : "/conversations", token);
    bench_report(b,
                 &(struct bench_metric){ .name = "memory_empty_kib",
                                         .value = settled_bytes(&daemon) / BYTES_PER_KIB,
                                         .unit = "KiB",
                                         .baseline = &started,
                                         .note = "baseline: when it is ready, before a request" });
    open_all(links + 1, WARM_LINKS - 1, &daemon, token);
    double before = settled_bytes(&daemon);
    open_all(links + WARM_LINKS, LINKS, &daemon, token);
    double after = settled_bytes(&daemon);
    snprintf(note, sizeof note, "growth by %d connections; baseline: all of it before, in bytes",
             LINKS);
    bench_report(b, &(struct bench_metric){ .name = "memory_idle_tls_connection_bytes",
                                            .value = (after - before) / LINKS,
                                            .unit = "B",
                                            .baseline = &before,
                                            .note = note });
    close_all(links, WARM_LINKS + LINKS);
    daemon_stop(&daemon);
}

static void measure_large(const struct bench *b)
{
    static struct daemon daemon;
    struct filler f;
    struct link link;
    struct pl_rng rng;
    char token[DAEMON_TOKEN_BYTES];
    char path[64];
    uint64_t messages = b->quick ? MESSAGES_OF_QUICK : MESSAGES;
    bench_make_dir(b, daemon.data);
    filler_open(&f, daemon.data, false);
    filler_fill(&f, messages, FILLER_BATCH_MAX);
    filler_close(&f);
    daemon_start_on(b, &daemon, NULL);
    double started = private_bytes(&daemon) / BYTES_PER_KIB;
    daemon_token(&daemon, token);
    open_all(&link, 1, &daemon, token);
    pl_rng_init(&rng, 1);
    for (unsigned i = 0; i < (b->quick ? REQUESTS : TALK_READS); i++) {
        snprintf(path, sizeof path, "/conversations/c%llu",
                 (unsigned long long)pl_rng_below(&rng, messages / FILLER_TALK_LEN));
        ask(&link, path, token);
    }
    json_decref(daemon_command(b, &daemon, "status", NULL));
    bench_report(b,
                 &(struct bench_metric){ .name = "memory_1m_kib",
                                         .value = settled_bytes(&daemon) / BYTES_PER_KIB,
                                         .unit = "KiB",
                                         .baseline = &started,
                                         .note = "baseline: when it is ready, before a request" });
    close_all(&link, 1);
    daemon_stop(&daemon);
}

/* Runs parley on the daemon: COMMAND FILE, and a flag that may be NULL. */
static void run_command(const struct bench *b, const struct daemon *daemon, const char *name,
                        const char *file, const char *flag)
{
    char program[BENCH_PATH_BYTES];
    char answer[4096];
    bench_join(program, b->bin_dir, "tools/parley/parley");
    const char *const argv[] = {
        program, "--data", daemon->data, "--json", name, file, flag, NULL
    };
    proc_run(argv, daemon->log, SMALL_SECONDS, answer, sizeof answer);
}

static void keep_largest(double *largest, const struct daemon *daemon)
{
    double now = settled_bytes(daemon) / BYTES_PER_KIB;
    *largest = now > *largest ? now : *largest;
}

void memory_measure_small(struct bench *b, const char *program)
{
    static struct daemon daemon;
    static struct link links[SMALL_LINKS];
    struct filler f;
    char token[DAEMON_TOKEN_BYTES];
    char path[64];
    char file[BENCH_PATH_BYTES + 16];
    uint64_t messages = b->quick ? MESSAGES_OF_QUICK : SMALL_MESSAGES;
    daemon = (struct daemon){ .profile = "small", .program = program };
    bench_make_dir(b, daemon.data);
    filler_open(&f, daemon.data, false);
    filler_fill(&f, messages, FILLER_BATCH_MAX);
    filler_close(&f);
    daemon_start_on(b, &daemon, NULL);
    double started = private_bytes(&daemon) / BYTES_PER_KIB;
    double largest = started;
    daemon_token(&daemon, token);
    open_all(links, SMALL_LINKS, &daemon, token);
    for (unsigned i = 0; i < SMALL_READS; i++) {
        snprintf(path, sizeof path, "/conversations/c%llu",
                 (unsigned long long)(i * 7919u % (messages / FILLER_TALK_LEN)));
        ask(&links[i % SMALL_LINKS], path, token);
    }
    keep_largest(&largest, &daemon);
    close_all(links, SMALL_LINKS);
    /* All of it out, and in again as another namespace: commits as large as they get. */
    snprintf(file, sizeof file, "%s/all.jsonl", daemon.data);
    run_command(b, &daemon, "export", file, NULL);
    keep_largest(&largest, &daemon);
    run_command(b, &daemon, "import", file, "--namespace=copy");
    keep_largest(&largest, &daemon);
    json_decref(daemon_command(b, &daemon, "status", NULL));
    bench_report(b, &(struct bench_metric){ .name = "memory_small_profile_kib",
                                            .value = largest,
                                            .unit = "KiB",
                                            .baseline = &started,
                                            .note =
                                                "largest of: 16 TLS connections that read, export, "
                                                "import; baseline: when it is ready" });
    daemon_stop(&daemon);
}

void memory_measure(struct bench *b)
{
    measure_empty(b);
    measure_large(b);
}
