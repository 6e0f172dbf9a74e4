/* SPDX-License-Identifier: Apache-2.0
 *
 * conflicts, promote: which versions lost, and making one of them the current one again.
 */
#include "parley/cli.h"

#include <stdlib.h>

#define PAGE_LIMIT    500
#define CONTENT_WIDTH 48
#define FROM_WIDTH    24

/* ---- conflicts ---- */

/* Appends the next page to `all`; `after` is where it begins and becomes where the next one does,
 * empty at the end. */
static enum cli_exit read_page(struct cli *cli, json_t *all, uint64_t limit, struct buf *after)
{
    struct buf path = { 0 };
    struct buf number = { 0 };
    json_t *answer = NULL;
    buf_text(&path, "/conflicts");
    path_query(&path, "namespace", cli->name_space);
    path_query(&path, "conversation", cli->arg_count == 1 ? cli->args[0] : NULL);
    path_query(&path, "all", cli->all ? "1" : NULL);
    path_query(&path, "after", after->len != 0 ? after->ptr : NULL);
    buf_format(&number, "%llu", (unsigned long long)pl_min_u64(limit, PAGE_LIMIT));
    path_query(&path, "limit", number.ptr);
    enum cli_exit exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
    buf_clear(after);
    if (exit == CLI_OK) {
        json_array_extend(all, json_object_get(answer, "conflicts"));
        buf_text(after, json_text(answer, "next"));
    }
    json_decref(answer);
    buf_free(&path);
    buf_free(&number);
    return exit;
}

static void add_content(struct table *t, const json_t *version)
{
    struct buf b = { 0 };
    const json_t *value = json_object_get(version, "content");
    if (value == NULL)
        value = json_object_get(version, "value");
    char *text = value != NULL && !json_is_string(value)
                     ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY)
                     : NULL;
    if (json_is_true(json_object_get(version, "deleted")))
        buf_text(&b, "(deleted)");
    else if (text != NULL)
        text_brief(&b, pl_span_text(text), CONTENT_WIDTH);
    else if (json_is_string(value))
        text_brief(&b, pl_span_of(json_string_value(value), json_string_length(value)),
                   CONTENT_WIDTH);
    else
        buf_text(&b, "(long)");
    table_cell(t, &b);
    free(text);
    buf_free(&b);
}

static void add_version(struct table *t, const char *is, const json_t *version)
{
    struct buf b = { 0 };
    table_text(t, is);
    text_safe(&b, pl_span_text(json_text(version, "version")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(version, "timestamp")), false);
    table_cell(t, &b);
    text_brief(&b, pl_span_text(json_text(version, "source_backend")), FROM_WIDTH);
    table_cell(t, &b);
    add_content(t, version);
    buf_free(&b);
}

/* The winner on a line with the names, the losers below. */
static void add_register(struct table *t, const json_t *item)
{
    struct buf b = { 0 };
    const json_t *winner = json_object_get(item, "winner");
    const char *message = json_text(item, "message_id");
    size_t index;
    json_t *loser;
    text_safe(&b, pl_span_text(json_text(item, "conversation_id")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(message[0] != '\0' ? message : json_text(item, "field")), false);
    table_cell(t, &b);
    if (json_is_object(winner)) {
        add_version(t, "now", winner);
    } else {
        for (int i = 0; i < 4; i++)
            table_text(t, i == 0 ? "now" : "");
        table_text(t, "(conversation deleted)");
    }
    json_array_foreach(json_object_get(item, "losers"), index, loser)
    {
        table_text(t, "");
        table_text(t, "");
        add_version(t, json_is_true(json_object_get(loser, "conflict")) ? "lost" : "replaced",
                    loser);
    }
    buf_free(&b);
}

static void print_conflicts(const struct cli *cli, const json_t *all)
{
    static const char *const heads[] = { "CONVERSATION", "WHAT", "IS",     "VERSION",
                                         "TIME",         "FROM", "CONTENT" };
    struct table t;
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(all, index, item)
    {
        add_register(&t, item);
    }
    table_print(&t, stdout, cli->colors);
    fputs("\nTo make one of these the current version again, on every node:\n"
          "parley promote CONVERSATION WHAT VERSION (with --field if WHAT is not a message)\n",
          stdout);
}

enum cli_exit cmd_conflicts(struct cli *cli)
{
    json_t *all = json_array();
    struct buf after = { 0 };
    uint64_t limit = (cli->given & CLI_FLAG_LIMIT) != 0 ? cli->limit : UINT64_MAX;
    enum cli_exit exit = CLI_OK;
    do {
        exit = read_page(cli, all, limit - json_array_size(all), &after);
    } while (exit == CLI_OK && after.len != 0 && json_array_size(all) < limit);
    if (exit == CLI_OK && cli->json) {
        json_t *answer = json_pack("{s:O, s:b}", "conflicts", all, "more", (int)(after.len != 0));
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK && json_array_size(all) == 0) {
        fputs(cli->all ? "nothing was overwritten here\n"
                       : "no conflicts; what was merely replaced is shown with --all\n",
              stdout);
    } else if (exit == CLI_OK) {
        print_conflicts(cli, all);
    }
    json_decref(all);
    buf_free(&after);
    return exit;
}

/* ---- promote ---- */

enum cli_exit cmd_promote(struct cli *cli)
{
    struct buf path = { 0 };
    struct buf safe = { 0 };
    json_t *answer = NULL;
    const char *kind = cli->field ? "field" : "message_id";
    json_t *body = json_pack("{s:s, s:s}", kind, cli->args[1], "version", cli->args[2]);
    if (body == NULL)
        return cli_fail(cli, CLI_DATA, "bad-utf8", "the arguments are not valid UTF-8");
    buf_text(&path, "/conversations");
    path_add(&path, cli->args[0]);
    path_add(&path, "promote");
    path_query(&path, "namespace", cli->name_space);
    enum cli_exit exit = cli_call(cli, "POST", path.ptr, body, &answer);
    text_safe(&safe, pl_span_text(cli->args[1]), false);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("%s is what that version says, since %s\n", buf_str(&safe),
               json_text(answer, "timestamp"));
    json_decref(answer);
    json_decref(body);
    buf_free(&path);
    buf_free(&safe);
    return exit;
}
