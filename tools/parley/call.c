/* SPDX-License-Identifier: Apache-2.0
 *
 * One request, one answer: what most commands need, and how a refusal becomes a sentence.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"

#include <stdlib.h>

/* What to do next, for refusals whose text cannot know that a person at a terminal reads it. */
static const char *advice(const char *code)
{
    static const struct {
        const char *code;
        const char *text;
    } known[] = {
        { "no-such-conversation", "; see: parley list" },
        { "no-such-message", "; see: parley show CONV" },
        { "no-such-peer", "; see: parley peers" },
        { "no-such-version", "; see: parley history CONV" },
        { "token-admin", "; DATA/admin.token is not of the daemon that answers: is another parleyd "
                         "on this address?" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(known); i++)
        if (strcmp(known[i].code, code) == 0)
            return known[i].text;
    return "";
}

static enum cli_exit exit_of(unsigned status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return CLI_DATA;
    case 401:
    case 403:
        return CLI_ACCESS;
    case 503:
        return CLI_LATER;
    case 507:
        return CLI_DISK;
    default:
        return status >= 500 ? CLI_BUG : CLI_REFUSED;
    }
}

void reply_problem(const struct reply *reply, struct buf *code, struct buf *detail)
{
    json_t *problem = json_loadb(buf_str(&reply->body), reply->body.len, JSON_ALLOW_NUL, NULL);
    buf_text(code, json_text(problem, "code"));
    buf_text(detail, json_text(problem, "detail"));
    json_decref(problem);
}

enum cli_exit client_refusal(struct cli *cli, const struct reply *reply)
{
    struct buf code = { 0 };
    struct buf detail = { 0 };
    reply_problem(reply, &code, &detail);
    if (code.len == 0)
        buf_format(&code, "http-%u", reply->status);
    if (detail.len == 0)
        buf_format(&detail, "the node answered with status %u", reply->status);
    enum cli_exit exit = exit_of(reply->status);
    if (strcmp(code.ptr, "corrupt") == 0)
        exit = CLI_DATA;
    cli_fail(cli, exit, code.ptr, "%s%s", detail.ptr, advice(code.ptr));
    buf_free(&code);
    buf_free(&detail);
    return exit;
}

static enum cli_exit exchange(struct cli *cli, const char *method, const char *path,
                              const char *body, struct reply *reply)
{
    enum cli_exit exit = client_open(cli);
    if (exit != CLI_OK)
        return exit;
    client_send(cli->client, method, path, body != NULL ? "application/json" : NULL,
                pl_span_text(body != NULL ? body : ""));
    exit = client_receive(cli, reply);
    if (exit == CLI_OK && reply->status >= 400)
        exit = client_refusal(cli, reply);
    return exit;
}

enum cli_exit cli_call(struct cli *cli, const char *method, const char *path, const json_t *body,
                       json_t **out)
{
    struct reply reply = { 0 };
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    if (body != NULL && text == NULL)
        return cli_fail(cli, CLI_BUG, "internal", "the request cannot be written as JSON");
    enum cli_exit exit = exchange(cli, method, path, text, &reply);
    free(text);
    if (exit == CLI_OK && out != NULL) {
        json_error_t why;
        *out = json_loadb(buf_str(&reply.body), reply.body.len, JSON_ALLOW_NUL, &why);
        if (*out == NULL)
            *out = json_loadb(buf_str(&reply.body), reply.body.len,
                              JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        if (*out == NULL)
            exit = cli_fail(cli, CLI_BUG, "bad-answer", "the answer of the node is not JSON: %s",
                            why.text);
    }
    reply_free(&reply);
    return exit;
}

enum cli_exit cli_get_text(struct cli *cli, const char *path, struct buf *out)
{
    struct reply reply = { 0 };
    enum cli_exit exit = exchange(cli, "GET", path, NULL, &reply);
    if (exit == CLI_OK)
        buf_add(out, buf_str(&reply.body), reply.body.len);
    reply_free(&reply);
    return exit;
}

enum cli_exit cli_need_daemon(struct cli *cli)
{
    enum cli_exit exit = client_open(cli);
    if (exit != CLI_OK || !cli->client->wire->is_local)
        return exit;
    return cli_fail(cli, CLI_OFFLINE, "not-running",
                    "parleyd is not running for %s; start it with: parleyd --data %s",
                    cli->data_dir, cli->data_dir);
}

/* ---- Paths ---- */

static void add_encoded(struct buf *path, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("-_.~", c) != NULL;
        if (plain)
            buf_add(path, at, 1);
        else
            buf_format(path, "%%%02X", c);
    }
}

void path_add(struct buf *path, const char *segment)
{
    buf_text(path, "/");
    add_encoded(path, segment);
}

void path_query(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_text(path, strchr(buf_str(path), '?') == NULL ? "?" : "&");
    buf_format(path, "%s=", name);
    add_encoded(path, value);
}
