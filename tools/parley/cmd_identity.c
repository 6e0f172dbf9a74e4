/* SPDX-License-Identifier: Apache-2.0
 *
 * identity, check: who is this node, is it sound.
 */
#include "parley/cli.h"

#include "lib/file.h"

static void print_line(const char *name, const char *value)
{
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(value), false);
    printf("%-12s %s\n", name, buf_str(&safe));
    buf_free(&safe);
}

/* ---- identity ---- */

/* Everybody may know it: the file is made like any other, but never in place of one. */
static enum cli_exit write_ca(struct cli *cli, const char *path, const struct buf *pem)
{
    struct parley_diag diag = { "" };
    parley_err err = tool_file_create(path, pl_span_of(pem->ptr, pem->len), &diag);
    if (err == PARLEY_EBUSY)
        return cli_fail(cli, CLI_OUTPUT, "exists", "%s is there already; remove it first", path);
    if (err != PARLEY_OK)
        return cli_fail(cli, CLI_OUTPUT, "output", "%s", diag.text);
    return CLI_OK;
}

static enum cli_exit show_ca(struct cli *cli)
{
    struct buf pem = { 0 };
    enum cli_exit exit = cli_get_text(cli, "/identity/ca.pem", &pem);
    const char *path = cli->arg_count == 1 ? cli->args[0] : NULL;
    if (exit == CLI_OK && path != NULL)
        exit = write_ca(cli, path, &pem);
    if (exit == CLI_OK && cli->json) {
        json_t *answer = json_pack("{s:s}", "ca_pem", buf_str(&pem));
        if (path != NULL)
            json_object_set_new(answer, "file", json_string(path));
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK && path == NULL) {
        fputs(buf_str(&pem), stdout);
    }
    buf_free(&pem);
    return exit;
}

enum cli_exit cmd_identity(struct cli *cli)
{
    json_t *answer = NULL;
    if (cli->ca)
        return show_ca(cli);
    if (cli->arg_count != 0)
        return cli_fail(cli, CLI_USAGE, "usage", "a FILE is for --ca");
    enum cli_exit exit = cli_call(cli, "GET", "/identity", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    if (cli->json) {
        cli_print_json(cli, answer);
    } else {
        struct buf key = { 0 };
        text_safe(&key, pl_span_text(json_text(answer, "public_key")), true);
        print_line("node", json_text(answer, "backend_id"));
        print_line("type", json_text(answer, "backend_type"));
        print_line("created", json_text(answer, "created_at"));
        fputs(buf_str(&key), stdout);
        buf_free(&key);
    }
    json_decref(answer);
    return CLI_OK;
}

/* ---- check ---- */

static void print_report(const json_t *report)
{
    static const char *const names[] = { "conversations", "messages", "versions",
                                         "history",       "held",     "audit" };
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        struct buf b = { 0 };
        text_count(&b, json_count(report, names[i]));
        printf("%-14s %12s\n", names[i], buf_str(&b));
        buf_free(&b);
    }
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(report, "first"), index, item)
    {
        struct buf b = { 0 };
        const char *text = json_string_value(item);
        text_safe(&b, pl_span_text(text != NULL ? text : ""), false);
        printf("problem: %s\n", buf_str(&b));
        buf_free(&b);
    }
}

enum cli_exit cmd_check(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/check", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    bool ok = json_is_true(json_object_get(answer, "ok"));
    if (cli->json)
        cli_print_json(cli, answer);
    else
        print_report(answer);
    if (!ok)
        exit = CLI_DATA;
    if (!cli->json && ok)
        fputs("check: ok\n", stdout);
    if (!cli->json && !ok)
        exit = cli_fail(cli, CLI_DATA, "damaged",
                        "%llu problems; keep a copy of the data directory, then sync a new node "
                        "from a healthy peer",
                        (unsigned long long)json_count(answer, "problems"));
    json_decref(answer);
    return exit;
}
