/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons of a suite; see daemon.h.
 */
#define _GNU_SOURCE 1
#include "daemon.h"

#include "proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_SECONDS 20.0
#define ANSWER_BYTES  (64u << 10)
#define POLL_US       30000

static void find_program(const struct bench *b, const char *name, char out[BENCH_PATH_BYTES])
{
    bench_join(out, b->bin_dir, name);
    if (access(out, X_OK) != 0)
        bench_die("%s: build it first, or say --bin", out);
}

void daemon_start(const struct bench *b, struct daemon *daemon, const char *type)
{
    bench_make_dir(b, daemon->data);
    daemon_start_on(b, daemon, type);
}

void daemon_start_on(const struct bench *b, struct daemon *daemon, const char *type)
{
    char program[BENCH_PATH_BYTES];
    char line[4096];
    const char *argv[16] = { program,       "--data",       daemon->data,  "--listen",
                             "127.0.0.1:0", "--json-ready", "--log-level", "error" };
    size_t argc = 8;
    find_program(b, daemon->program != NULL ? daemon->program : "tools/parleyd", program);
    bench_join(daemon->log, daemon->data, "log");
    if (type != NULL) {
        argv[argc++] = "--type";
        argv[argc++] = type;
    }
    if (daemon->door[0] != '\0') {
        argv[argc++] = "--advertise";
        argv[argc++] = daemon->door;
    }
    if (daemon->profile != NULL) {
        argv[argc++] = "--profile";
        argv[argc++] = daemon->profile;
    }
    if (daemon->plain)
        argv[argc++] = "--no-zstd";
    daemon->pid = proc_start(argv, daemon->log, &daemon->out);
    proc_read_line(daemon->out, READY_SECONDS, line, sizeof line);
    json_t *ready = json_loads(line, 0, NULL);
    const char *address = json_string_value(json_array_get(json_object_get(ready, "addresses"), 0));
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    if (colon == NULL)
        bench_die("parleyd did not say where it listens: %s", line);
    daemon->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    json_decref(ready);
}

void daemon_stop(struct daemon *daemon)
{
    proc_stop(daemon->pid);
    close(daemon->out);
    bench_remove_tree(daemon->data);
}

json_t *daemon_command(const struct bench *b, const struct daemon *daemon, const char *name,
                       const char *arg)
{
    char program[BENCH_PATH_BYTES];
    const char *const argv[] = { program, "--data", daemon->data, "--json", name, arg, NULL };
    char *text = bench_alloc(ANSWER_BYTES);
    find_program(b, "tools/parley/parley", program);
    proc_run(argv, daemon->log, DAEMON_COMMAND_SECONDS, text, ANSWER_BYTES);
    json_t *answer = json_loads(text, 0, NULL);
    if (answer == NULL)
        bench_die("parley %s: the answer is not JSON: %s", name, text);
    free(text);
    return answer;
}

void daemon_token(const struct daemon *daemon, char out[DAEMON_TOKEN_BYTES])
{
    char path[BENCH_PATH_BYTES];
    bench_join(path, daemon->data, "admin.token");
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(out, DAEMON_TOKEN_BYTES, file) == NULL)
        bench_die("%s cannot be read", path);
    fclose(file);
    out[strcspn(out, "\n")] = '\0';
}

static bool is_in_sync(const json_t *status)
{
    const json_t *peer = json_array_get(json_object_get(status, "peers"), 0);
    return json_is_true(json_object_get(peer, "in_sync")) &&
           json_is_true(json_object_get(peer, "root_equal")) &&
           json_integer_value(json_object_get(peer, "behind")) == 0;
}

static bool same_roots(const json_t *x, const json_t *y)
{
    const json_t *a = json_array_get(json_object_get(x, "namespaces"), 0);
    const json_t *b = json_array_get(json_object_get(y, "namespaces"), 0);
    return a != NULL && json_equal(json_object_get(a, "root"), json_object_get(b, "root")) &&
           json_equal(json_object_get(a, "versions"), json_object_get(b, "versions"));
}

static bool are_equal(const struct bench *b, const struct daemon *x, const struct daemon *y)
{
    json_t *of_y = daemon_command(b, y, "status", NULL);
    json_t *of_x = is_in_sync(of_y) ? daemon_command(b, x, "status", NULL) : NULL;
    bool equal = of_x != NULL && is_in_sync(of_x) && same_roots(of_x, of_y);
    json_decref(of_x);
    json_decref(of_y);
    return equal;
}

void daemons_wait_equal(const struct bench *b, const struct daemon *x, const struct daemon *y)
{
    double end = bench_now() + DAEMON_COMMAND_SECONDS;
    while (!are_equal(b, x, y)) {
        bench_check(bench_now() < end, "reaching equality in time");
        usleep(POLL_US);
    }
}
