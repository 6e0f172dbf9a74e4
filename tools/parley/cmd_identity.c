/* SPDX-License-Identifier: Apache-2.0
 *
 * identity, status, check: who is this node, is all here, is it sound.
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

/* ---- status ---- */

static void print_name_spaces(const struct cli *cli, const json_t *list)
{
    static const char *const heads[] = { "NAMESPACE", ">CONVERSATIONS", ">MESSAGES", ">VERSIONS",
                                         "ROOT" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(list, index, item)
    {
        text_safe(&b, pl_span_text(json_text(item, "name")), false);
        table_cell(&t, &b);
        table_number(&t, json_count(item, "conversations"));
        table_number(&t, json_count(item, "messages"));
        table_number(&t, json_count(item, "versions"));
        text_safe(&b, pl_span_text(json_text(item, "root")), false);
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

static void print_peers(const struct cli *cli, const json_t *list)
{
    static const char *const heads[] = { "PEER", "STATE", "EQUAL", ">BEHIND", "LAST SYNC", "NOTE" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(list, index, item)
    {
        text_safe(&b, pl_span_text(json_text(item, "backend_id")), false);
        table_cell(&t, &b);
        text_safe(&b, pl_span_text(json_text(item, "state")), false);
        table_cell(&t, &b);
        table_text(&t, json_is_true(json_object_get(item, "root_equal")) ? "yes" : "no");
        table_number(&t, json_count(item, "behind"));
        text_ago(&b, json_text(item, "last_sync_at"));
        table_cell(&t, &b);
        text_safe(&b, pl_span_text(json_text(item, "note")), false);
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
    json_array_foreach(list, index, item)
    {
        cli_print_refused(json_text(item, "backend_id"), json_count(item, "writes_refused"));
    }
}

static void print_store(const json_t *store)
{
    struct buf b = { 0 };
    text_bytes(&b, json_count(store, "file_bytes"));
    buf_text(&b, " of ");
    text_bytes(&b, json_count(store, "limit_bytes"));
    if (!json_is_true(json_object_get(store, "ok")))
        buf_format(&b, ", writes are refused: %s", json_text(store, "note"));
    print_line("store", buf_str(&b));
    buf_free(&b);
}

enum cli_exit cmd_status(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/status", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    if (cli->json) {
        cli_print_json(cli, answer);
        json_decref(answer);
        return CLI_OK;
    }
    print_line("node", json_text(answer, "backend_id"));
    print_line("incarnation", json_text(answer, "incarnation"));
    print_store(json_object_get(answer, "store"));
    if (json_count(answer, "held") != 0)
        printf("%-12s %llu versions from the future wait for their time\n", "held",
               (unsigned long long)json_count(answer, "held"));
    fputs("\n", stdout);
    print_name_spaces(cli, json_object_get(answer, "namespaces"));
    fputs("\n", stdout);
    if (json_array_size(json_object_get(answer, "peers")) == 0)
        fputs("no peers yet; to add one: parley invite here, parley join there\n", stdout);
    else
        print_peers(cli, json_object_get(answer, "peers"));
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
