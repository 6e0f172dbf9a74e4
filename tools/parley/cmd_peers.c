/* SPDX-License-Identifier: Apache-2.0
 *
 * peers, approve, revoke, add-legacy.
 */
#include "parley/cli.h"

#include <stdlib.h>

void cli_add_grant(struct buf *b, const json_t *grant)
{
    text_safe(b, pl_span_text(json_text(grant, "namespace")), false);
    if (strcmp(json_text(grant, "right"), "read") == 0)
        buf_text(b, " (read)");
    if (json_object_get(grant, "prefix") != NULL) {
        buf_text(b, " ");
        text_safe(b, pl_span_text(json_text(grant, "prefix")), false);
        buf_text(b, "*");
    }
    if (json_object_get(grant, "max_age_days") != NULL)
        buf_format(b, " %llud", (unsigned long long)json_count(grant, "max_age_days"));
}

static void add_grants(struct buf *b, const json_t *grants)
{
    size_t index;
    json_t *item;
    json_array_foreach(grants, index, item)
    {
        buf_text(b, index == 0 ? "" : ", ");
        cli_add_grant(b, item);
    }
}

/* The registration and the sync state in one word. */
static const char *state_of(const json_t *peer)
{
    const char *state = json_text(peer, "state");
    if (strcmp(state, "active") != 0)
        return state;
    return json_text(json_object_get(peer, "sync"), "state");
}

static void add_row(struct table *t, const json_t *peer)
{
    struct buf b = { 0 };
    const json_t *sync = json_object_get(peer, "sync");
    text_safe(&b, pl_span_text(json_text(peer, "backend_id")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(peer, "kind")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(state_of(peer)), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(peer, "check")), false);
    table_cell(t, &b);
    text_ago(&b, json_text(peer, "last_sync_at"));
    table_cell(t, &b);
    text_bytes(&b, json_count(sync, "bytes_in"));
    table_cell(t, &b);
    text_bytes(&b, json_count(sync, "bytes_out"));
    table_cell(t, &b);
    add_grants(&b, json_object_get(peer, "grants"));
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(peer, "address")), false);
    table_cell(t, &b);
    if (json_is_string(json_object_get(sync, "next_dial_at")))
        text_ago(&b, json_text(sync, "next_dial_at"));
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(sync, "note")), false);
    table_cell(t, &b);
    buf_free(&b);
}

void cli_print_refused(const char *id, uint64_t count)
{
    struct buf safe = { 0 };
    struct buf number = { 0 };
    if (count == 0)
        return;
    text_safe(&safe, pl_span_text(id), false);
    text_count(&number, count);
    printf(
        "\n%s writes of %s were refused: it may not write there.\n"
        "Let it: parley approve %s --namespace NS --right write. Or leave it: its own copy keeps "
        "them.\n",
        buf_str(&number), buf_str(&safe), buf_str(&safe));
    buf_free(&safe);
    buf_free(&number);
}

static void print_peers(const struct cli *cli, const json_t *peers)
{
    static const char *const heads[] = { "PEER",      "KIND",     "STATE", "CHECK",
                                         "LAST SYNC", ">IN",      ">OUT",  "NAMESPACES",
                                         "ADDRESS",   "NEXT TRY", "NOTE" };
    struct table t;
    size_t index;
    json_t *peer;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(peers, index, peer)
    {
        add_row(&t, peer);
    }
    table_print(&t, stdout, cli->colors);
    json_array_foreach(peers, index, peer)
    {
        cli_print_refused(json_text(peer, "backend_id"),
                          json_count(json_object_get(peer, "sync"), "writes_refused"));
    }
}

enum cli_exit cmd_peers(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/peers", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    const json_t *peers = json_object_get(answer, "peers");
    if (cli->json) {
        cli_print_json(cli, answer);
    } else if (json_array_size(peers) == 0) {
        fputs("no peers yet; to add one: parley invite here, parley join there\n", stdout);
    } else {
        print_peers(cli, peers);
    }
    json_decref(answer);
    return CLI_OK;
}

/* ---- approve, revoke ---- */

bool cli_add_filter(const struct cli *cli, json_t *body)
{
    bool good =
        cli->prefix == NULL || json_object_set_new(body, "prefix", json_string(cli->prefix)) == 0;
    if ((cli->given & CLI_FLAG_MAX_AGE) != 0)
        json_object_set_new(body, "max_age_days", json_integer((json_int_t)cli->max_age_days));
    return good;
}

static enum cli_exit change_peer(struct cli *cli, const char *method, const char *action,
                                 const json_t *body)
{
    char *id = NULL;
    json_t *answer = NULL;
    struct buf path = { 0 };
    enum cli_exit exit = cli_find_peer(cli, cli->args[0], &id);
    if (exit != CLI_OK)
        return exit;
    buf_text(&path, "/peers");
    path_add(&path, id);
    if (action != NULL)
        path_add(&path, action);
    exit = cli_call(cli, method, path.ptr, body, &answer);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("%s is %s\n", id, json_text(answer, "status"));
    json_decref(answer);
    buf_free(&path);
    free(id);
    return exit;
}

enum cli_exit cmd_approve(struct cli *cli)
{
    json_t *body =
        json_pack("{s:s, s:s}", "namespace", cli->name_space != NULL ? cli->name_space : "main",
                  "right", cli->read_only ? "read" : "write");
    if (body == NULL || !cli_add_filter(cli, body)) {
        json_decref(body);
        return cli_fail(cli, CLI_USAGE, "usage", "--namespace or --prefix is not valid UTF-8");
    }
    enum cli_exit exit = change_peer(cli, "POST", "approve", body);
    json_decref(body);
    return exit;
}

enum cli_exit cmd_revoke(struct cli *cli)
{
    return change_peer(cli, "DELETE", NULL, NULL);
}

/* ---- add-legacy ---- */

enum cli_exit cmd_add_legacy(struct cli *cli)
{
    json_t *answer = NULL;
    json_t *body = json_pack("{s:s}", "url", cli->args[0]);
    if (body == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "the URL is not valid UTF-8");
    enum cli_exit exit = cli_call(cli, "POST", "/peers/legacy", body, &answer);
    json_decref(body);
    if (exit != CLI_OK)
        return exit;
    if (cli->json)
        cli_print_json(cli, answer);
    else
        printf("%s is %s; what is new here is pushed to it while parleyd runs: parley peers\n",
               json_text(answer, "url"), json_text(answer, "status"));
    json_decref(answer);
    return CLI_OK;
}
