/* SPDX-License-Identifier: Apache-2.0
 *
 * diff: what a sync with a peer would move. A peer that is connected is asked to compare its set
 * with ours, which tells exactly and moves nothing; without it the change log gives bounds.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include <stdlib.h>
#include <time.h>

#define POLL_NS   50000000L
#define POLLS_MAX 600 /* half a minute */

static void print_spaces(const struct cli *cli, const json_t *spaces)
{
    static const char *const heads[] = { "NAMESPACE", "EQUAL", ">VERSIONS HERE",
                                         ">VERSIONS THERE" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *space;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(spaces, index, space)
    {
        text_safe(&b, pl_span_text(json_text(space, "name")), false);
        table_cell(&t, &b);
        table_text(&t, json_is_true(json_object_get(space, "root_equal")) ? "yes" : "no");
        table_number(&t, json_count(space, "versions"));
        if (json_object_get(space, "versions_there") != NULL)
            text_count(&b, json_count(space, "versions_there"));
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

static void print_bounds(const json_t *answer)
{
    const json_t *outgoing = json_object_get(answer, "outgoing");
    struct buf versions = { 0 };
    struct buf talks = { 0 };
    struct buf bytes = { 0 };
    struct buf incoming = { 0 };
    text_count(&versions, json_count(outgoing, "versions"));
    text_count(&talks, json_count(outgoing, "conversations"));
    text_bytes(&bytes, json_count(outgoing, "bytes"));
    text_count(&incoming, json_count(json_object_get(answer, "incoming"), "versions"));
    printf("to send      at most %s versions in %s conversations, %s\n"
           "to receive   at most %s versions, when it last said\n"
           "These are bounds from the change logs. What the peer already has from others is not\n"
           "sent; which versions will win is only known afterwards: parley conflicts\n",
           buf_str(&versions), buf_str(&talks), buf_str(&bytes), buf_str(&incoming));
    buf_free(&versions);
    buf_free(&talks);
    buf_free(&bytes);
    buf_free(&incoming);
}

static void print_moves(const char *what, const json_t *moves)
{
    struct buf versions = { 0 };
    struct buf bytes = { 0 };
    text_count(&versions, json_count(moves, "versions"));
    text_bytes(&bytes, json_count(moves, "bytes"));
    printf("%s   %s versions, %s\n", what, buf_str(&versions), buf_str(&bytes));
    buf_free(&versions);
    buf_free(&bytes);
}

static void print_compared(const json_t *compared)
{
    struct buf conflicts = { 0 };
    bool all = json_is_true(json_object_get(compared, "conflicts_all"));
    print_moves("to send   ", json_object_get(compared, "outgoing"));
    print_moves("to receive", json_object_get(compared, "incoming"));
    text_count(&conflicts, json_count(compared, "conflicts"));
    printf("conflicts    %s%s: changed on both sides; the newer wins, parley conflicts has the "
           "other\n",
           all ? "" : "at least ", buf_str(&conflicts));
    buf_free(&conflicts);
}

static void print_diff(const struct cli *cli, const json_t *answer)
{
    const char *basis = json_text(answer, "basis");
    const json_t *compared = json_object_get(answer, "compared");
    printf("%s is %s\n\n", json_text(answer, "backend_id"), json_text(answer, "state"));
    print_spaces(cli, json_object_get(answer, "namespaces"));
    fputs("\n", stdout);
    if (compared != NULL && !json_is_true(json_object_get(answer, "comparing")))
        print_compared(compared);
    else if (strcmp(basis, "equal") == 0)
        fputs("nothing would move: both are proved equal\n", stdout);
    else if (strcmp(basis, "logs") == 0)
        print_bounds(answer);
    else if (strcmp(basis, "compare") == 0)
        fputs("the change logs do not tell what differs, and the peer has not answered\n", stdout);
    else
        fputs("unknown: the peer has not been connected since parleyd started\n", stdout);
}

/* Has a peer that is connected and not proved equal compare, and waits for what comes of it. */
static enum cli_exit compare(struct cli *cli, const char *path, json_t **answer)
{
    struct timespec pause = { .tv_nsec = POLL_NS };
    bool equal = strcmp(json_text(*answer, "basis"), "equal") == 0;
    if (equal || !json_is_true(json_object_get(*answer, "connected")))
        return CLI_OK;
    enum cli_exit exit = cli_call(cli, "POST", path, NULL, NULL);
    bool runs = true;
    for (int i = 0; i < POLLS_MAX && runs && exit == CLI_OK; i++) {
        nanosleep(&pause, NULL);
        json_decref(*answer);
        *answer = NULL;
        exit = cli_call(cli, "GET", path, NULL, answer);
        runs = exit == CLI_OK && json_is_true(json_object_get(*answer, "comparing"));
    }
    return exit;
}

enum cli_exit cmd_diff(struct cli *cli)
{
    char *id = NULL;
    json_t *answer = NULL;
    struct buf path = { 0 };
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit == CLI_OK)
        exit = cli_find_peer(cli, cli->args[0], &id);
    if (exit == CLI_OK) {
        buf_text(&path, "/peers");
        path_add(&path, id);
        path_add(&path, "diff");
        exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
    }
    if (exit == CLI_OK)
        exit = compare(cli, path.ptr, &answer);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        print_diff(cli, answer);
    json_decref(answer);
    buf_free(&path);
    free(id);
    return exit;
}
