/* SPDX-License-Identifier: Apache-2.0
 *
 * trash: what this node took out because it had been away for too long.
 */
#include "parley/cli.h"

#include <stdlib.h>

#define CONTENT_WIDTH 48
#define FROM_WIDTH    24

static void add_row(struct table *t, const json_t *item)
{
    struct buf b = { 0 };
    const char *message = json_text(item, "message_id");
    text_safe(&b, pl_span_text(json_text(item, "conversation_id")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(message[0] != '\0' ? message : json_text(item, "field")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(item, "timestamp")), false);
    table_cell(t, &b);
    text_brief(&b, pl_span_text(json_text(item, "source_backend")), FROM_WIDTH);
    table_cell(t, &b);
    text_brief(&b, pl_span_text(json_text(item, "content")), CONTENT_WIDTH);
    table_cell(t, &b);
    buf_free(&b);
}

static void print_trash(const struct cli *cli, const json_t *all)
{
    static const char *const heads[] = { "CONVERSATION", "WHAT", "TIME", "FROM", "CONTENT" };
    struct table t;
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(all, index, item)
    {
        add_row(&t, item);
    }
    table_print(&t, stdout, cli->colors);
    fputs("\nTo write it again, so that it is current on every node:\n"
          "parley trash restore [CONVERSATION [WHAT]]\n",
          stdout);
}

/* GET or DELETE of one page; `after` becomes where the next one begins, empty at the end. */
static enum cli_exit ask_page(struct cli *cli, const char *method, const char *conversation,
                              struct buf *after, json_t **answer)
{
    struct buf path = { 0 };
    buf_text(&path, "/trash");
    path_query(&path, "namespace", cli->name_space);
    path_query(&path, "conversation", conversation);
    path_query(&path, "after", after->len != 0 ? after->ptr : NULL);
    enum cli_exit exit = cli_call(cli, method, path.ptr, NULL, answer);
    buf_clear(after);
    if (exit == CLI_OK)
        buf_text(after, json_text(*answer, "next"));
    buf_free(&path);
    return exit;
}

static enum cli_exit restore_page(struct cli *cli, struct buf *after, json_t **answer)
{
    struct buf path = { 0 };
    json_t *body = json_object();
    if (cli->arg_count > 1)
        json_object_set_new(body, "conversation_id", json_string(cli->args[1]));
    if (cli->arg_count > 2)
        json_object_set_new(body, "message_id", json_string(cli->args[2]));
    if (after->len != 0)
        json_object_set_new(body, "after", json_string(after->ptr));
    buf_text(&path, "/trash/restore");
    path_query(&path, "namespace", cli->name_space);
    enum cli_exit exit = cli_call(cli, "POST", path.ptr, body, answer);
    buf_clear(after);
    if (exit == CLI_OK)
        buf_text(after, json_text(*answer, "next"));
    json_decref(body);
    buf_free(&path);
    return exit;
}

static enum cli_exit list(struct cli *cli)
{
    json_t *all = json_array();
    struct buf after = { 0 };
    enum cli_exit exit = CLI_OK;
    do {
        json_t *answer = NULL;
        exit = ask_page(cli, "GET", cli->arg_count > 1 ? cli->args[1] : NULL, &after, &answer);
        if (exit == CLI_OK)
            json_array_extend(all, json_object_get(answer, "trash"));
        json_decref(answer);
    } while (exit == CLI_OK && after.len != 0);
    if (exit == CLI_OK && cli->json) {
        json_t *answer = json_pack("{s:O}", "trash", all);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK && json_array_size(all) == 0) {
        fputs("the trash is empty\n", stdout);
    } else if (exit == CLI_OK) {
        print_trash(cli, all);
    }
    json_decref(all);
    buf_free(&after);
    return exit;
}

/* `restored` or `dropped`, summed over all pages. */
static enum cli_exit move(struct cli *cli, bool restores)
{
    const char *what = restores ? "restored" : "dropped";
    struct buf after = { 0 };
    json_int_t count = 0;
    enum cli_exit exit = CLI_OK;
    do {
        json_t *answer = NULL;
        const char *conversation = cli->arg_count > 1 ? cli->args[1] : NULL;
        exit = restores ? restore_page(cli, &after, &answer)
                        : ask_page(cli, "DELETE", conversation, &after, &answer);
        if (exit == CLI_OK)
            count += json_integer_value(json_object_get(answer, what));
        json_decref(answer);
    } while (exit == CLI_OK && after.len != 0);
    buf_free(&after);
    if (exit != CLI_OK)
        return exit;
    if (cli->json) {
        json_t *answer = json_pack("{s:I}", what, count);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else {
        printf("%lld versions %s\n", (long long)count, what);
    }
    return CLI_OK;
}

enum cli_exit cmd_trash(struct cli *cli)
{
    const char *verb = cli->arg_count == 0 ? "list" : cli->args[0];
    if (strcmp(verb, "list") == 0)
        return list(cli);
    if (strcmp(verb, "restore") == 0)
        return move(cli, true);
    if (strcmp(verb, "empty") == 0 && cli->arg_count < 3)
        return move(cli, false);
    return cli_fail(cli, CLI_USAGE, "usage", "trash list, trash restore or trash empty");
}
