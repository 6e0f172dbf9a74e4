/* SPDX-License-Identifier: Apache-2.0
 *
 * diff: what a sync with a peer would move.
 */
#include "parley/cli.h"

#include <stdlib.h>

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

static void print_diff(const struct cli *cli, const json_t *answer)
{
    const char *basis = json_text(answer, "basis");
    printf("%s is %s\n\n", json_text(answer, "backend_id"), json_text(answer, "state"));
    print_spaces(cli, json_object_get(answer, "namespaces"));
    fputs("\n", stdout);
    if (strcmp(basis, "equal") == 0)
        fputs("nothing would move: both are proved equal\n", stdout);
    else if (strcmp(basis, "logs") == 0)
        print_bounds(answer);
    else if (strcmp(basis, "compare") == 0)
        fputs("the change logs do not tell what differs; ranges are compared, and that moves what "
              "is missing\n",
              stdout);
    else
        fputs("unknown: the peer has not been connected since parleyd started\n", stdout);
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
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        print_diff(cli, answer);
    json_decref(answer);
    buf_free(&path);
    free(id);
    return exit;
}
