/* SPDX-License-Identifier: Apache-2.0
 *
 * sync: makes the node dial its peers now, then waits until everything is equal.
 *
 * "Equal" is what the node says of a peer: in sync, roots equal, nothing unacknowledged either way.
 * An old backend that is pushed to has no root: it has taken all that is here, or not.
 * It must say so twice in a row, since what was written a moment ago may not be counted yet.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"
#include "parley/progress.h"

#include <stdlib.h>
#include <time.h>

#define POLL_NS         100000000L
#define TIMEOUT_DEFAULT 60
#define EQUAL_POLLS     2

struct waiting {
    size_t peers;    /* looked at */
    size_t equal;    /* of them */
    uint64_t behind; /* sequences */
    const json_t *first_not_equal;
};

static bool is_wanted(const json_t *peer, const char *only)
{
    const char *state = json_text(peer, "state");
    if (only != NULL)
        return strcmp(json_text(peer, "backend_id"), only) == 0;
    return strcmp(state, "pending") != 0 && strcmp(state, "revoked") != 0;
}

static struct waiting look(const json_t *status, const char *only)
{
    struct waiting w = { 0 };
    size_t index;
    json_t *peer;
    json_array_foreach(json_object_get(status, "peers"), index, peer)
    {
        if (!is_wanted(peer, only))
            continue;
        bool rooted = json_is_true(json_object_get(peer, "root_equal")) ||
                      strcmp(json_text(peer, "kind"), "http-legacy") == 0;
        bool equal = json_is_true(json_object_get(peer, "in_sync")) && rooted &&
                     json_count(peer, "behind") == 0;
        w.peers++;
        w.equal += equal;
        w.behind += json_count(peer, "behind");
        if (!equal && w.first_not_equal == NULL)
            w.first_not_equal = peer;
    }
    return w;
}

/* A peer that is shut out here, or not yet let in, will not get in sync by waiting. */
static enum cli_exit check_lets_in(struct cli *cli, const json_t *status, const char *only)
{
    size_t index;
    json_t *peer;
    json_array_foreach(json_object_get(status, "peers"), index, peer)
    {
        const char *state = json_text(peer, "state");
        if (strcmp(json_text(peer, "backend_id"), only) != 0)
            continue;
        if (strcmp(state, "revoked") == 0)
            return cli_fail(cli, CLI_REFUSED, "revoked",
                            "%s is revoked here; to let it in again, let one of the two join an "
                            "invite of the other",
                            only);
        if (strcmp(state, "pending") == 0)
            return cli_fail(cli, CLI_REFUSED, "pending",
                            "%s waits for approval; let it in with: parley approve", only);
    }
    return CLI_OK;
}

/* Peers that dial us cannot be dialed: the answer 409 is no failure then. */
static enum cli_exit kick(struct cli *cli, const char *id)
{
    struct buf path = { 0 };
    buf_text(&path, "/peers");
    path_add(&path, id);
    path_add(&path, "sync");
    enum cli_exit exit = cli_call(cli, "POST", path.ptr, NULL, NULL);
    buf_free(&path);
    if (exit == CLI_REFUSED && strcmp(cli->code, "cannot-dial") == 0) {
        cli->code[0] = '\0';
        buf_clear(&cli->detail);
        exit = CLI_OK;
    }
    return exit;
}

static enum cli_exit kick_all(struct cli *cli, const json_t *status, const char *only)
{
    enum cli_exit exit = CLI_OK;
    size_t index;
    json_t *peer;
    json_array_foreach(json_object_get(status, "peers"), index, peer)
    {
        if (exit == CLI_OK && is_wanted(peer, only))
            exit = kick(cli, json_text(peer, "backend_id"));
    }
    return exit;
}

static enum cli_exit fail_late(struct cli *cli, const struct waiting *w, uint64_t limit)
{
    const json_t *peer = w->first_not_equal;
    const char *note = json_text(peer, "note");
    return cli_fail(cli, CLI_LATER, "not-in-sync",
                    "not in sync after %llu s: %s is %s%s%s, %llu changes behind%s",
                    (unsigned long long)limit, json_text(peer, "backend_id"),
                    json_text(peer, "state"), note[0] != '\0' ? " - " : "", note,
                    (unsigned long long)json_count(peer, "behind"),
                    json_is_true(json_object_get(peer, "root_equal")) ? "" : ", roots differ");
}

static void draw(struct progress *progress, const struct waiting *w)
{
    struct buf b = { 0 };
    if (!progress_is_due(progress))
        return;
    buf_format(&b, "%zu of %zu peers equal, ", w->equal, w->peers);
    text_count(&b, w->behind);
    buf_text(&b, " changes to go");
    progress_draw(progress, w->equal, w->peers, b.ptr);
    buf_free(&b);
}

static enum cli_exit wait_equal(struct cli *cli, const char *only, uint64_t limit, json_t **status)
{
    struct progress progress;
    double end = progress_now() + (double)limit;
    enum cli_exit exit = CLI_OK;
    int equal_polls = 0;
    progress_init(&progress, cli);
    while (exit == CLI_OK) {
        struct timespec pause = { .tv_nsec = POLL_NS };
        struct waiting w = look(*status, only);
        equal_polls = w.equal == w.peers ? equal_polls + 1 : 0;
        if (equal_polls == EQUAL_POLLS)
            break;
        draw(&progress, &w);
        if (progress_now() > end && equal_polls == 0) {
            exit = fail_late(cli, &w, limit);
            break;
        }
        nanosleep(&pause, NULL);
        json_decref(*status);
        *status = NULL;
        exit = cli_call(cli, "GET", "/status", NULL, status);
    }
    progress_clear(&progress);
    return exit;
}

static void print_result(const struct cli *cli, const json_t *status, const char *only,
                         double seconds)
{
    struct waiting w = look(status, only);
    if (cli->json) {
        json_t *peers = json_array();
        size_t index;
        json_t *peer;
        json_array_foreach(json_object_get(status, "peers"), index, peer)
        {
            if (is_wanted(peer, only))
                json_array_append(peers, peer);
        }
        json_t *answer =
            json_pack("{s:b, s:f, s:o}", "in_sync", 1, "seconds", seconds, "peers", peers);
        cli_print_json(cli, answer);
        json_decref(answer);
        return;
    }
    printf("in sync with %zu %s, %.1f s\n", w.peers, w.peers == 1 ? "peer" : "peers", seconds);
}

enum cli_exit cmd_sync(struct cli *cli)
{
    char *only = NULL;
    json_t *status = NULL;
    double began = progress_now();
    uint64_t limit = (cli->given & CLI_FLAG_TIMEOUT) != 0 ? cli->timeout_seconds : TIMEOUT_DEFAULT;
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit == CLI_OK && cli->arg_count == 1)
        exit = cli_find_peer(cli, cli->args[0], &only);
    if (exit == CLI_OK)
        exit = cli_call(cli, "GET", "/status", NULL, &status);
    if (exit == CLI_OK && only != NULL)
        exit = check_lets_in(cli, status, only);
    if (exit == CLI_OK && look(status, only).peers == 0)
        exit = cli_fail(cli, CLI_REFUSED, "no-peers",
                        "there is no peer to sync with; add one: parley invite on one node, "
                        "parley join on the other");
    if (exit == CLI_OK)
        exit = kick_all(cli, status, only);
    if (exit == CLI_OK) {
        json_decref(status);
        status = NULL;
        exit = cli_call(cli, "GET", "/status", NULL, &status);
    }
    if (exit == CLI_OK)
        exit = wait_equal(cli, only, limit, &status);
    if (exit == CLI_OK)
        print_result(cli, status, only, progress_now() - began);
    json_decref(status);
    free(only);
    return exit;
}
