/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- Failing ---- */

static enum cli_exit note(struct cli *cli, enum cli_exit exit, const char *code, const char *text)
{
    if (cli->code[0] != '\0')
        return exit;
    snprintf(cli->code, sizeof cli->code, "%s", code);
    buf_text(&cli->detail, text);
    return exit;
}

enum cli_exit cli_fail(struct cli *cli, enum cli_exit exit, const char *code, const char *format,
                       ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    exit = note(cli, exit, code, len < 0 ? "out of memory" : text);
    if (len >= 0)
        free(text);
    return exit;
}

static enum cli_exit exit_of(parley_err err)
{
    switch (err) {
    case PARLEY_OK:
        return CLI_OK;
    case PARLEY_EIDENTITY:
    case PARLEY_ESEALED:
    case PARLEY_EINVAL:
    case PARLEY_EMALFORMED:
    case PARLEY_ETOOBIG:
        return CLI_IDENTITY;
    case PARLEY_ENOENT:
        return CLI_NO_INPUT;
    case PARLEY_ECORRUPT:
    case PARLEY_EFORMAT:
        return CLI_DATA;
    case PARLEY_ENOSPC:
    case PARLEY_EMAPFULL:
        return CLI_DISK;
    case PARLEY_EIO:
        return CLI_OFFLINE;
    case PARLEY_ELOCKED:
    case PARLEY_EBUSY:
    case PARLEY_EAGAIN:
    case PARLEY_ETIMEOUT:
    case PARLEY_ECLOSING:
        return CLI_LATER;
    case PARLEY_EACCESS:
    case PARLEY_EREADONLY:
        return CLI_ACCESS;
    case PARLEY_ENOMEM:
        return CLI_OS;
    case PARLEY_ESTATE:
    case PARLEY_EFULL:
    case PARLEY_EPROTO:
    case PARLEY_EVERSION:
    case PARLEY_EAUTH:
    case PARLEY_EDENIED:
    case PARLEY_EUNKNOWN:
    case PARLEY_EEXPIRED:
    case PARLEY_EUTF8:
    case PARLEY_ETYPE:
    case PARLEY_EMISSING:
        return CLI_BUG;
    }
    return CLI_BUG;
}

/* "PARLEY_ELOCKED" as "locked": codes for programs do not shout. */
enum cli_exit cli_fail_err(struct cli *cli, parley_err err, const char *detail)
{
    const char *name = parley_err_name(err);
    char code[64];
    size_t len = 0;
    name += strncmp(name, "PARLEY_E", 8) == 0 ? 8 : 0;
    for (; name[len] != '\0' && len + 1 < sizeof code; len++)
        code[len] = (char)tolower((unsigned char)name[len]);
    code[len] = '\0';
    return note(cli, exit_of(err), code, detail[0] != '\0' ? detail : parley_err_text(err));
}

/* ---- JSON ---- */

void cli_print_json(const struct cli *cli, const json_t *json)
{
    size_t flags = JSON_INDENT(2) | (cli->out_is_tty ? JSON_ENSURE_ASCII : 0);
    json_dumpf(json, stdout, flags | JSON_ENCODE_ANY);
    fputc('\n', stdout);
}

void cli_print_json_text(const struct cli *cli, const struct buf *text)
{
    json_t *json = NULL;
    if (cli->out_is_tty)
        json = json_loadb(buf_str(text), text->len, JSON_ALLOW_NUL, NULL);
    if (json != NULL) {
        cli_print_json(cli, json);
        json_decref(json);
        return;
    }
    if (!cli->out_is_tty) {
        fwrite(buf_str(text), 1, text->len, stdout);
    } else {
        struct buf safe = { 0 };
        text_safe(&safe, pl_span_of(text->ptr, text->len), true);
        fputs(buf_str(&safe), stdout);
        buf_free(&safe);
    }
    fputc('\n', stdout);
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

uint64_t json_count(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

/* ---- Peers ---- */

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool peer_matches(const char *backend_id, const char *prefix)
{
    const char *hex = strstr(backend_id, "_sha256_");
    return begins_with(backend_id, prefix) ||
           (hex != NULL && begins_with(hex + strlen("_sha256_"), prefix));
}

enum cli_exit cli_find_peer(struct cli *cli, const char *prefix, char **out)
{
    json_t *answer = NULL;
    json_t *peer;
    size_t index;
    size_t count = 0;
    const char *match = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/peers", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    json_array_foreach(json_object_get(answer, "peers"), index, peer)
    {
        const char *id = json_text(peer, "backend_id");
        if (!peer_matches(id, prefix))
            continue;
        match = id;
        count = strcmp(id, prefix) == 0 ? 1 : count + 1;
        if (strcmp(id, prefix) == 0)
            break;
    }
    if (count == 1 && prefix[0] != '\0') {
        *out = strdup(match);
        if (*out == NULL)
            exit = cli_fail(cli, CLI_OS, "out-of-memory", "out of memory");
    } else if (count == 0) {
        exit = cli_fail(cli, CLI_REFUSED, "no-such-peer",
                        "no peer begins with \"%s\"; see: parley peers", prefix);
    } else {
        exit = cli_fail(cli, CLI_REFUSED, "ambiguous-peer",
                        "%zu peers begin with \"%s\"; give more of the id", count, prefix);
    }
    json_decref(answer);
    return exit;
}
