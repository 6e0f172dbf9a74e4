/* SPDX-License-Identifier: Apache-2.0
 *
 * Which wire: whoever holds the lock of the data directory serves it. When the store opens, there
 * is no daemon and the node runs here; when it is locked, the run file says where the daemon
 * listens. A daemon that is just starting, or another command that has the store for a moment, is
 * waited for.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"

#include "core/hash.h"
#include "lib/secret.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ATTACH_TRIES_MAX 250
/* Root, in the directory of another user: half a second, for a daemon that is just starting. */
#define FOREIGN_TRIES_MAX 25
#define ATTACH_PAUSE_NS   20000000L
#define HEAD_BYTES_MAX    65536u
#define RUN_FILE_BYTES    8192
#define BODY_BYTES_MAX    (160u << 20)

/* ---- Attaching ---- */

static long lock_owner(const char *data_dir)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    char text[32] = "";
    size_t len = 0;
    if (tool_path_join(data_dir, "lock", path, NULL) != PARLEY_OK ||
        tool_file_read(path, false, (uint8_t *)text, sizeof text - 1, &len, NULL) != PARLEY_OK)
        return 0;
    return strtol(text, NULL, 10);
}

/* The first address of the run file, if that was written by the owner of the lock. */
static bool find_address(const char *data_dir, char out[128])
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    char text[RUN_FILE_BYTES + 1];
    size_t len = 0;
    if (tool_path_join(data_dir, "parleyd.run", path, NULL) != PARLEY_OK ||
        tool_file_read(path, false, (uint8_t *)text, RUN_FILE_BYTES, &len, NULL) != PARLEY_OK)
        return false;
    json_t *run = json_loadb(text, len, 0, NULL);
    const char *address = json_string_value(json_array_get(json_object_get(run, "addresses"), 0));
    bool good = address != NULL && strlen(address) < 128 &&
                json_integer_value(json_object_get(run, "pid")) == lock_owner(data_dir);
    if (good)
        memcpy(out, address, strlen(address) + 1);
    json_decref(run);
    return good;
}

bool client_finds_daemon(const char *data_dir)
{
    char address[128];
    return find_address(data_dir, address) &&
           (kill((pid_t)lock_owner(data_dir), 0) == 0 || errno == EPERM);
}

static parley_err attach_daemon(const char *data_dir, struct wire **out, struct parley_diag *diag)
{
    char address[128];
    uint8_t token[TOOL_ADMIN_TOKEN_BYTES];
    struct parley_env env;
    if (!find_address(data_dir, address))
        return tool_fail(diag, PARLEY_ELOCKED,
                         "another process (pid %ld) uses %.140s; try again when it is done",
                         lock_owner(data_dir), data_dir);
    parley_env_posix(&env);
    PL_TRY(tool_admin_token_load(&env, data_dir, false, token, diag));
    parley_err err = wire_tcp_open(address, out, diag);
    if (err == PARLEY_OK) {
        pl_hex_encode(token, sizeof token, (*out)->token);
        (*out)->token[64] = '\0';
    }
    pl_wipe(token, sizeof token);
    return err;
}

static parley_err attach(struct cli *cli, struct wire **out, struct parley_diag *diag)
{
    parley_err err = PARLEY_ELOCKED;
    struct wire_secrets secrets = { .seal_key_file = cli->seal_key_file,
                                    .passphrase_file = cli->passphrase_file };
    struct parley_diag owner_diag = { "" };
    bool foreign = tool_check_owner(cli->data_dir, &owner_diag) != PARLEY_OK;
    for (int i = 0; i < (foreign ? FOREIGN_TRIES_MAX : ATTACH_TRIES_MAX); i++) {
        *diag = (struct parley_diag){ "" };
        err = foreign ? PARLEY_ELOCKED : wire_local_open(cli->data_dir, &secrets, out, diag);
        if (err != PARLEY_ELOCKED)
            return err;
        err = attach_daemon(cli->data_dir, out, diag);
        /* Refused: it is about to listen, or it has just ended. */
        if (err != PARLEY_ELOCKED && err != PARLEY_EIO && err != PARLEY_ENOENT)
            return err;
        struct timespec pause = { .tv_nsec = ATTACH_PAUSE_NS };
        nanosleep(&pause, NULL);
    }
    if (!foreign)
        return err;
    *diag = owner_diag;
    return PARLEY_EACCESS;
}

/* Takes the wire. */
static enum cli_exit use_wire(struct cli *cli, struct wire *wire)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        wire->ops->close(wire);
        return cli_fail(cli, CLI_OS, "out-of-memory", "out of memory");
    }
    client->wire = wire;
    cli->client = client;
    return CLI_OK;
}

static enum cli_exit no_data_dir(struct cli *cli)
{
    return cli_fail(cli, CLI_USAGE, "usage",
                    "--data DIR is missing: name the data directory of the node");
}

enum cli_exit client_open(struct cli *cli)
{
    struct parley_diag diag = { "" };
    struct wire *wire = NULL;
    if (cli->client != NULL && !cli->client->closes)
        return CLI_OK;
    client_close(cli->client);
    cli->client = NULL;
    if (cli->data_dir == NULL)
        return no_data_dir(cli);
    parley_err err = attach(cli, &wire, &diag);
    if (err != PARLEY_OK)
        return cli_fail_err(cli, err, diag.text);
    return use_wire(cli, wire);
}

enum cli_exit client_open_daemon(struct cli *cli)
{
    struct parley_diag diag = { "" };
    struct wire *wire = NULL;
    char address[128];
    if (cli->data_dir == NULL)
        return no_data_dir(cli);
    parley_err err = PARLEY_ENOENT;
    if (find_address(cli->data_dir, address))
        err = attach_daemon(cli->data_dir, &wire, &diag);
    if (err == PARLEY_OK)
        return use_wire(cli, wire);
    if (err == PARLEY_EACCESS)
        return cli_fail_err(cli, err, diag.text);
    return cli_fail(cli, CLI_OFFLINE, "not-running",
                    "parleyd is not running for %s, or does not listen yet", cli->data_dir);
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    client->wire->ops->close(client->wire);
    buf_free(&client->out);
    buf_free(&client->in);
    free(client);
}

/* ---- Requests ---- */

void client_send(struct client *client, const char *method, const char *path, const char *type,
                 struct parley_span body)
{
    struct buf *out = &client->out;
    buf_drop(out, client->out_sent);
    client->out_sent = 0;
    buf_format(out, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", method, path,
               client->wire->host, client->wire->token);
    if (type != NULL)
        buf_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len);
    buf_text(out, "\r\n");
    buf_add(out, body.ptr, body.len);
}

/* ---- Answers ---- */

/* The value of a field in a head, or NULL. */
static const char *find_field(const char *head, const char *name, size_t *len)
{
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        size_t name_len = strlen(name);
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        value += strspn(value, " \t");
        *len = strcspn(value, "\r\n");
        return value;
    }
    return NULL;
}

/* Parses one answer at the front of client->in. *whole: it was there and is in `reply`. */
static parley_err take_reply(struct client *client, struct reply *reply, bool *whole)
{
    struct buf *in = &client->in;
    *whole = false;
    char *end = in->len == 0 ? NULL : memmem(in->ptr, in->len, "\r\n\r\n", 4);
    if (end == NULL)
        return in->len > HEAD_BYTES_MAX ? PARLEY_EPROTO : PARLEY_OK;
    size_t head_len = (size_t)(end - in->ptr) + 4;
    if (head_len < 16 || memcmp(in->ptr, "HTTP/1.", 7) != 0)
        return PARLEY_EPROTO;
    end[2] = '\0';
    unsigned long status = strtoul(in->ptr + 9, NULL, 10);
    size_t len = 0;
    const char *text = find_field(in->ptr, "Content-Length", &len);
    unsigned long long body_len = text == NULL ? 0 : strtoull(text, NULL, 10);
    const char *next = find_field(in->ptr, "X-Parley-Next", &len);
    size_t next_len = next == NULL ? 0 : len;
    const char *connection = find_field(in->ptr, "Connection", &len);
    bool closes = connection != NULL && len == 5 && strncasecmp(connection, "close", 5) == 0;
    bool bad = body_len > BODY_BYTES_MAX || next_len >= sizeof reply->next;
    end[2] = '\r';
    if (bad)
        return PARLEY_EPROTO;
    if (in->len - head_len < body_len) {
        buf_room(in, (size_t)body_len - (in->len - head_len));
        return PARLEY_OK;
    }
    if (status >= 200) {
        reply->status = (unsigned)status;
        memcpy(reply->next, next_len != 0 ? next : "", next_len);
        reply->next[next_len] = '\0';
        buf_clear(&reply->body);
        buf_add(&reply->body, in->ptr + head_len, (size_t)body_len);
        client->closes = closes;
        *whole = true;
    }
    buf_drop(in, head_len + (size_t)body_len);
    return PARLEY_OK;
}

static enum cli_exit lost(struct cli *cli, parley_err err)
{
    client_close(cli->client);
    cli->client = NULL;
    if (err == PARLEY_EPROTO)
        return cli_fail(cli, CLI_BUG, "bad-answer", "the answer of the node is not understood");
    if (err == PARLEY_ETIMEOUT)
        return cli_fail(cli, CLI_LATER, "timeout",
                        "the node did not answer; look at its log, and try again");
    return cli_fail(cli, CLI_OFFLINE, "connection-lost",
                    "parleyd closed the connection; it may be stopping: what it acknowledged is "
                    "stored, the rest can be sent again");
}

enum cli_exit client_receive(struct cli *cli, struct reply *reply)
{
    struct client *client = cli->client;
    for (;;) {
        bool whole = false;
        size_t sent = 0;
        parley_err err = take_reply(client, reply, &whole);
        if (err == PARLEY_OK && whole)
            return CLI_OK;
        struct parley_span out = pl_span_of(client->out.ptr, client->out.len);
        if (err == PARLEY_OK)
            err = client->wire->ops->move(client->wire, pl_span_after(out, client->out_sent), &sent,
                                          &client->in);
        client->out_sent += sent;
        if (client->out_sent == client->out.len) {
            buf_clear(&client->out);
            client->out_sent = 0;
        }
        if (err == PARLEY_OK)
            continue;
        /* What came before the end may still hold the answer. */
        if (take_reply(client, reply, &whole) == PARLEY_OK && whole) {
            client->closes = true;
            return CLI_OK;
        }
        return lost(cli, err);
    }
}

void reply_free(struct reply *reply)
{
    buf_free(&reply->body);
}
