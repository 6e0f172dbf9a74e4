/* SPDX-License-Identifier: Apache-2.0
 *
 * append, edit, delete, purge: writing one message, or the end of a conversation; retention: how
 * much of what was overwritten is kept.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES 65536u

/* The text of an argument, or all of stdin for "-". */
static enum cli_exit take_text(struct cli *cli, const char *argument, struct buf *out)
{
    if (strcmp(argument, "-") != 0) {
        buf_text(out, argument);
        return CLI_OK;
    }
    for (;;) {
        ssize_t got = read(0, buf_room(out, READ_BYTES), READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cli_fail(cli, CLI_NO_INPUT, "no-input", "stdin cannot be read: %s",
                            strerror(errno));
        out->len += (size_t)got;
        out->ptr[out->len] = '\0';
        if (out->len > PARLEY_CONTENT_BYTES_MAX)
            return cli_fail(cli, CLI_DATA, "too-big",
                            "the text is longer than %u bytes, the limit of a message",
                            PARLEY_CONTENT_BYTES_MAX);
        if (got == 0)
            return CLI_OK;
    }
}

static enum cli_exit add_text(struct cli *cli, json_t *body, const struct buf *text)
{
    json_t *value = json_stringn(buf_str(text), text->len);
    if (value == NULL)
        return cli_fail(cli, CLI_DATA, "bad-utf8", "TEXT is not valid UTF-8; nothing was written");
    json_object_set_new(body, "content", value);
    return CLI_OK;
}

static void message_path(const struct cli *cli, struct buf *path, const char *message)
{
    buf_text(path, "/conversations");
    path_add(path, cli->args[0]);
    if (message != NULL) {
        path_add(path, "messages");
        if (message[0] != '\0')
            path_add(path, message);
    }
    path_query(path, "namespace", cli->name_space);
}

/* The answer to a write: as JSON, or in a sentence. */
static void print_written(const struct cli *cli, const json_t *answer, const char *verb)
{
    if (cli->json) {
        cli_print_json(cli, answer);
        return;
    }
    struct buf b = { 0 };
    text_safe(&b, pl_span_text(json_text(answer, "message_id")), false);
    printf("%s %s at %s\n", verb, buf_str(&b), json_text(answer, "timestamp"));
    buf_free(&b);
}

static enum cli_exit write_message(struct cli *cli, const char *method, const char *message,
                                   json_t *body, const char *text_argument, const char *verb)
{
    struct buf text = { 0 };
    struct buf path = { 0 };
    json_t *answer = NULL;
    enum cli_exit exit = take_text(cli, text_argument, &text);
    if (exit == CLI_OK)
        exit = add_text(cli, body, &text);
    message_path(cli, &path, message);
    if (exit == CLI_OK)
        exit = cli_call(cli, method, path.ptr, body, &answer);
    if (exit == CLI_OK)
        print_written(cli, answer, verb);
    json_decref(answer);
    json_decref(body);
    buf_free(&text);
    buf_free(&path);
    return exit;
}

enum cli_exit cmd_append(struct cli *cli)
{
    if (cli->role == NULL)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "--role is missing: who says it? For example --role user");
    json_t *body = json_pack("{s:s}", "role", cli->role);
    if (body == NULL)
        return cli_fail(cli, CLI_DATA, "bad-utf8", "--role is not valid UTF-8");
    if (cli->id != NULL && json_object_set_new(body, "message_id", json_string(cli->id)) != 0) {
        json_decref(body);
        return cli_fail(cli, CLI_DATA, "bad-utf8", "--id is not valid UTF-8");
    }
    return write_message(cli, "POST", "", body, cli->args[1], "added");
}

enum cli_exit cmd_edit(struct cli *cli)
{
    if (cli->args[1][0] == '\0')
        return cli_fail(cli, CLI_USAGE, "usage", "MSG is empty; see: parley show CONV");
    return write_message(cli, "PATCH", cli->args[1], json_object(), cli->args[2], "changed");
}

enum cli_exit cmd_delete(struct cli *cli)
{
    struct buf path = { 0 };
    struct buf safe = { 0 };
    json_t *answer = NULL;
    const char *message = cli->arg_count == 2 ? cli->args[1] : NULL;
    if (message != NULL && message[0] == '\0')
        return cli_fail(cli, CLI_USAGE, "usage", "MSG is empty; see: parley show CONV");
    message_path(cli, &path, message);
    enum cli_exit exit = cli_call(cli, "DELETE", path.ptr, NULL, &answer);
    text_safe(&safe, pl_span_text(message != NULL ? message : cli->args[0]), false);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("deleted %s %s\n", message != NULL ? "message" : "conversation", buf_str(&safe));
    json_decref(answer);
    buf_free(&path);
    buf_free(&safe);
    return exit;
}

enum cli_exit cmd_purge(struct cli *cli)
{
    struct buf path = { 0 };
    struct buf safe = { 0 };
    json_t *answer = NULL;
    if (cli->reason == NULL || cli->reason[0] == '\0')
        return cli_fail(cli, CLI_USAGE, "usage",
                        "--reason is missing: nothing brings a purged conversation back; say why, "
                        "for the audit log of every node, for example --reason \"request 1234\"");
    json_t *body = json_pack("{s:s}", "reason", cli->reason);
    if (body == NULL)
        return cli_fail(cli, CLI_DATA, "bad-utf8", "--reason is not valid UTF-8");
    buf_text(&path, "/conversations");
    path_add(&path, cli->args[0]);
    path_add(&path, "purge");
    path_query(&path, "namespace", cli->name_space);
    enum cli_exit exit = cli_call(cli, "POST", path.ptr, body, &answer);
    text_safe(&safe, pl_span_text(cli->args[0]), false);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("purged %s: %lld versions are erased here, and on each node with the next sync\n"
               "their bytes stay in free pages of the store file until those are used again\n",
               buf_str(&safe), (long long)json_count(answer, "versions_erased"));
    json_decref(answer);
    json_decref(body);
    buf_free(&path);
    buf_free(&safe);
    return exit;
}

/* One number for people: "16 versions, of any age". */
static void print_retention(const struct cli *cli, const json_t *answer)
{
    if (cli->json) {
        cli_print_json(cli, answer);
        return;
    }
    struct buf b = { 0 };
    long long days = (long long)json_count(answer, "max_age_days");
    text_safe(&b, pl_span_text(json_text(answer, "namespace")), false);
    printf("%s: %lld overwritten versions of each message and field", buf_str(&b),
           (long long)json_count(answer, "versions"));
    if (days == 0)
        printf(", of any age\n");
    else
        printf(", for %lld days after they were overwritten\n", days);
    buf_free(&b);
}

enum cli_exit cmd_retention(struct cli *cli)
{
    struct buf path = { 0 };
    json_t *answer = NULL;
    json_t *body = json_object();
    if ((cli->given & CLI_FLAG_VERSIONS) != 0)
        json_object_set_new(body, "versions", json_integer((json_int_t)cli->versions));
    if ((cli->given & CLI_FLAG_DAYS) != 0)
        json_object_set_new(body, "max_age_days", json_integer((json_int_t)cli->days));
    bool sets = json_object_size(body) != 0;
    buf_text(&path, "/retention");
    path_query(&path, "namespace", cli->name_space);
    enum cli_exit exit =
        cli_call(cli, sets ? "POST" : "GET", path.ptr, sets ? body : NULL, &answer);
    if (exit == CLI_OK)
        print_retention(cli, answer);
    json_decref(answer);
    json_decref(body);
    buf_free(&path);
    return exit;
}
