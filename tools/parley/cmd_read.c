/* SPDX-License-Identifier: Apache-2.0
 *
 * list, show, history: reading conversations.
 */
#include "parley/cli.h"

#include <stdlib.h>

#define PAGE_LIMIT    1000
#define TITLE_WIDTH   48
#define CONTENT_WIDTH 60

/* ---- list ---- */

/* Appends the next page to `all`; `*more` says whether there is another one. */
static enum cli_exit read_page(struct cli *cli, json_t *all, uint64_t limit, bool *more)
{
    struct buf path = { 0 };
    struct buf number = { 0 };
    json_t *answer = NULL;
    size_t have = json_array_size(all);
    const json_t *last = have == 0 ? NULL : json_array_get(all, have - 1);
    buf_text(&path, "/conversations");
    path_query(&path, "namespace", cli->name_space);
    path_query(&path, "order", "id");
    if (last != NULL)
        path_query(&path, "after", json_text(last, "conversation_id"));
    buf_format(&number, "%llu", (unsigned long long)pl_min_u64(limit, PAGE_LIMIT));
    path_query(&path, "limit", number.ptr);
    enum cli_exit exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
    if (exit == CLI_OK) {
        json_t *page = json_object_get(answer, "conversations");
        json_array_extend(all, page);
        *more = json_object_get(answer, "next") != NULL && json_array_size(page) != 0;
    }
    json_decref(answer);
    buf_free(&path);
    buf_free(&number);
    return exit;
}

static void print_list(const struct cli *cli, const json_t *all)
{
    static const char *const heads[] = { "CONVERSATION", ">MESSAGES", "UPDATED", "TITLE" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(all, index, item)
    {
        const json_t *title = json_object_get(item, "title");
        text_safe(&b, pl_span_text(json_text(item, "conversation_id")), false);
        table_cell(&t, &b);
        table_number(&t, json_count(item, "messages"));
        text_ago(&b, json_text(item, "updated_at"));
        table_cell(&t, &b);
        text_brief(&b, pl_span_of(json_string_value(title), json_string_length(title)),
                   TITLE_WIDTH);
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

enum cli_exit cmd_list(struct cli *cli)
{
    json_t *all = json_array();
    uint64_t limit = (cli->given & CLI_FLAG_LIMIT) != 0 ? cli->limit : UINT64_MAX;
    bool more = true;
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK && more && json_array_size(all) < limit)
        exit = read_page(cli, all, limit - json_array_size(all), &more);
    if (exit == CLI_OK && cli->json) {
        json_t *answer = json_pack("{s:O, s:b}", "conversations", all, "more", (int)more);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK && json_array_size(all) == 0) {
        fputs("no conversations here; read some with: parley import FILE.jsonl\n", stdout);
    } else if (exit == CLI_OK) {
        print_list(cli, all);
    }
    json_decref(all);
    return exit;
}

/* ---- show ---- */

static void print_member(const char *name, const json_t *value)
{
    struct buf safe = { 0 };
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (json_is_string(value))
        text_safe(&safe, pl_span_of(json_string_value(value), json_string_length(value)), false);
    else if (text != NULL)
        text_safe(&safe, pl_span_text(text), false);
    struct buf key = { 0 };
    text_safe(&key, pl_span_text(name), false);
    printf("%-16s %s\n", buf_str(&key), buf_str(&safe));
    buf_free(&key);
    buf_free(&safe);
    free(text);
}

/* Content keeps its lines, each indented, so that none of them can pose as a message head. */
static void print_content(const json_t *content)
{
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_of(json_string_value(content), json_string_length(content)), true);
    const char *line = buf_str(&safe);
    for (const char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        printf("    %.*s\n", (int)(end - line), line);
        line = end + 1;
    }
    printf("    %s\n", line);
    buf_free(&safe);
}

static void print_message(const struct cli *cli, const json_t *message)
{
    static const char *const names[] = { "role", "message_id", "timestamp", "source_backend" };
    struct buf head = { 0 };
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        buf_text(&head, i == 0 ? "" : "  ");
        text_safe(&head, pl_span_text(json_text(message, names[i])), false);
    }
    printf("\n%s%s%s\n", cli->colors ? "\033[1m" : "", buf_str(&head),
           cli->colors ? "\033[0m" : "");
    print_content(json_object_get(message, "content"));
    buf_free(&head);
}

static void print_conversation(const struct cli *cli, json_t *conversation)
{
    const char *name;
    json_t *value;
    size_t index;
    json_object_foreach(conversation, name, value)
    {
        if (strcmp(name, "messages") != 0)
            print_member(name, value);
    }
    json_array_foreach(json_object_get(conversation, "messages"), index, value)
    {
        print_message(cli, value);
    }
}

static void conversation_path(const struct cli *cli, struct buf *path)
{
    buf_text(path, "/conversations");
    path_add(path, cli->args[0]);
}

enum cli_exit cmd_show(struct cli *cli)
{
    struct buf path = { 0 };
    struct buf text = { 0 };
    json_t *answer = NULL;
    enum cli_exit exit;
    conversation_path(cli, &path);
    path_query(&path, "namespace", cli->name_space);
    if (cli->json) {
        exit = cli_get_text(cli, path.ptr, &text);
        if (exit == CLI_OK)
            cli_print_json_text(cli, &text);
    } else {
        exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
        if (exit == CLI_OK)
            print_conversation(cli, answer);
    }
    json_decref(answer);
    buf_free(&text);
    buf_free(&path);
    return exit;
}

/* ---- history ---- */

static void add_version(struct table *t, const json_t *version)
{
    struct buf b = { 0 };
    const char *message = json_text(version, "message_id");
    const json_t *value = json_object_get(version, message[0] != '\0' ? "content" : "value");
    text_safe(&b, pl_span_text(message[0] != '\0' ? message : json_text(version, "field")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(version, "version")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(version, "timestamp")), false);
    table_cell(t, &b);
    text_brief(&b, pl_span_text(json_text(version, "source_backend")), 24);
    table_cell(t, &b);
    table_text(t, json_is_true(json_object_get(version, "current")) ? "yes" : "");
    if (json_is_true(json_object_get(version, "deleted"))) {
        buf_text(&b, "(deleted)");
    } else if (json_is_string(value)) {
        text_brief(&b, pl_span_of(json_string_value(value), json_string_length(value)),
                   CONTENT_WIDTH);
    } else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        text_brief(&b, pl_span_text(text != NULL ? text : ""), CONTENT_WIDTH);
        free(text);
    }
    table_cell(t, &b);
    buf_free(&b);
}

enum cli_exit cmd_history(struct cli *cli)
{
    static const char *const heads[] = { "WHAT", "VERSION", "TIME", "FROM", "CURRENT", "CONTENT" };
    struct buf path = { 0 };
    struct buf text = { 0 };
    json_t *answer = NULL;
    enum cli_exit exit;
    conversation_path(cli, &path);
    path_add(&path, "history");
    path_query(&path, "namespace", cli->name_space);
    path_query(&path, "message", cli->arg_count == 2 ? cli->args[1] : NULL);
    if (cli->json) {
        exit = cli_get_text(cli, path.ptr, &text);
        if (exit == CLI_OK)
            cli_print_json_text(cli, &text);
    } else {
        exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
    }
    if (exit == CLI_OK && !cli->json) {
        struct table t;
        size_t index;
        json_t *version;
        table_init(&t, heads, PL_ARRAY_LEN(heads));
        json_array_foreach(json_object_get(answer, "versions"), index, version)
        {
            add_version(&t, version);
        }
        table_print(&t, stdout, cli->colors);
    }
    json_decref(answer);
    buf_free(&text);
    buf_free(&path);
    return exit;
}
