/* SPDX-License-Identifier: Apache-2.0
 *
 * token create, token list, token revoke: session binding tokens.
 */
#include "parley/cli.h"

#include <stdlib.h>

#define PAGE_LIMIT  "1000"
#define TTL_DEFAULT (8 * 3600)

const char cmd_token_verbs[] =
    "\n"
    "  token create --user U [--session S] [--peer ID] [--ttl 8h]\n"
    "      issue a token for a user: the token on stdout, what it says on stderr. It is shown\n"
    "      once. With --peer it binds this node and that peer, and acts as the peer here\n"
    "  token list\n"
    "      show what was issued and revoked, never a token itself\n"
    "  token revoke ID [--issuer ID]\n"
    "      refuse the token with this id from now on, also one that a peer issued\n";

/* ---- create ---- */

static void print_token(const json_t *answer)
{
    struct buf user = { 0 };
    struct buf session = { 0 };
    struct buf when = { 0 };
    text_safe(&user, pl_span_text(json_text(answer, "user_id")), false);
    text_safe(&session, pl_span_text(json_text(answer, "session_id")), false);
    text_ago(&when, json_text(answer, "expires_at"));
    /* Alone on its line and on stdout, so that scripts can take it. */
    printf("%s\n", json_text(answer, "token"));
    fprintf(stderr,
            "token %s of user %s, session %s; expires %s\n"
            "  local %s, hosted %s\n",
            json_text(answer, "sbt_id"), buf_str(&user), buf_str(&session), buf_str(&when),
            json_text(answer, "local_backend_id"), json_text(answer, "hosted_backend_id"));
    buf_free(&user);
    buf_free(&session);
    buf_free(&when);
}

static enum cli_exit create(struct cli *cli)
{
    char *peer = NULL;
    json_t *answer = NULL;
    enum cli_exit exit = CLI_OK;
    if (cli->user == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "--user is missing: for whom is the token?");
    if (cli->peer != NULL)
        exit = cli_find_peer(cli, cli->peer, &peer);
    if (exit != CLI_OK)
        return exit;
    uint64_t ttl = (cli->given & CLI_FLAG_TTL) != 0 ? cli->ttl_seconds : TTL_DEFAULT;
    json_t *body = json_pack("{s:s, s:s*, s:s*, s:I}", "user_id", cli->user, "session_id",
                             cli->session, "peer", peer, "ttl_seconds", (json_int_t)ttl);
    free(peer);
    if (body == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "--user or --session is not valid UTF-8");
    exit = cli_call(cli, "POST", "/tokens", body, &answer);
    json_decref(body);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        print_token(answer);
    json_decref(answer);
    return exit;
}

/* ---- list ---- */

/* Appends the next page to `all`; `next` is where the one after it begins, empty at the end. */
static enum cli_exit read_page(struct cli *cli, json_t *all, struct buf *next)
{
    struct buf path = { 0 };
    json_t *answer = NULL;
    buf_text(&path, "/tokens?limit=" PAGE_LIMIT);
    path_query(&path, "after", next->len != 0 ? next->ptr : NULL);
    enum cli_exit exit = cli_call(cli, "GET", path.ptr, NULL, &answer);
    buf_clear(next);
    if (exit == CLI_OK) {
        json_array_extend(all, json_object_get(answer, "tokens"));
        buf_text(next, json_text(answer, "next"));
    }
    json_decref(answer);
    buf_free(&path);
    return exit;
}

static void print_list(const struct cli *cli, const json_t *all)
{
    static const char *const heads[] = { "TOKEN",   "STATE",  "USER",  "SESSION",
                                         "EXPIRES", "ISSUER", "LOCAL", "HOSTED" };
    static const char *const names[] = { "sbt_id", "state", "user_id", "session_id" };
    static const char *const ids[] = { "issuer", "local_backend_id", "hosted_backend_id" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(all, index, item)
    {
        for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
            text_safe(&b, pl_span_text(json_text(item, names[i])), false);
            table_cell(&t, &b);
        }
        text_ago(&b, json_text(item, "expires_at"));
        table_cell(&t, &b);
        for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++) {
            text_safe(&b, pl_span_text(json_text(item, ids[i])), false);
            table_cell(&t, &b);
        }
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

static enum cli_exit list(struct cli *cli)
{
    json_t *all = json_array();
    struct buf next = { 0 };
    enum cli_exit exit = read_page(cli, all, &next);
    while (exit == CLI_OK && next.len != 0)
        exit = read_page(cli, all, &next);
    if (exit == CLI_OK && cli->json) {
        json_t *answer = json_pack("{s:O}", "tokens", all);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK && json_array_size(all) == 0) {
        fputs("no tokens were issued or revoked here; to issue one: parley token create\n", stdout);
    } else if (exit == CLI_OK) {
        print_list(cli, all);
    }
    buf_free(&next);
    json_decref(all);
    return exit;
}

/* ---- revoke ---- */

static enum cli_exit revoke(struct cli *cli)
{
    struct buf path = { 0 };
    struct buf safe = { 0 };
    json_t *answer = NULL;
    char *issuer = NULL;
    json_t *self = NULL;
    enum cli_exit exit = CLI_OK;
    /* This node's own id is no peer's. */
    if (cli->issuer != NULL)
        exit = cli_call(cli, "GET", "/identity", NULL, &self);
    if (exit == CLI_OK && cli->issuer != NULL &&
        strcmp(json_text(self, "backend_id"), cli->issuer) != 0)
        exit = cli_find_peer(cli, cli->issuer, &issuer);
    json_decref(self);
    if (exit != CLI_OK)
        return exit;
    buf_text(&path, "/tokens");
    path_add(&path, cli->args[1]);
    path_query(&path, "issuer", issuer);
    free(issuer);
    exit = cli_call(cli, "DELETE", path.ptr, NULL, &answer);
    text_safe(&safe, pl_span_text(cli->args[1]), false);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("token %s is revoked\n", buf_str(&safe));
    json_decref(answer);
    buf_free(&path);
    buf_free(&safe);
    return exit;
}

/* ---- The verbs ---- */

enum cli_exit cmd_token(struct cli *cli)
{
    static const struct {
        const char *name;
        size_t args;
        cli_flags flags;
        enum cli_exit (*run)(struct cli *cli);
    } verbs[] = {
        { "create", 1, CLI_FLAG_USER | CLI_FLAG_SESSION | CLI_FLAG_PEER | CLI_FLAG_TTL, create },
        { "list", 1, 0, list },
        { "revoke", 2, CLI_FLAG_ISSUER, revoke },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, cli->args[0]) != 0)
            continue;
        if (cli->arg_count != verbs[i].args || (cli->given & ~verbs[i].flags) != 0)
            return cli_fail(cli, CLI_USAGE, "usage",
                            "token %s does not go with what else is on the line; try: parley help "
                            "token",
                            verbs[i].name);
        return verbs[i].run(cli);
    }
    return cli_fail(cli, CLI_USAGE, "usage",
                    "token \"%s\": it is create, list or revoke; try: parley help token",
                    cli->args[0]);
}
