/* SPDX-License-Identifier: Apache-2.0
 *
 * What every command of `parley` shares: the parsed command line, how to fail, how to print.
 *
 * A command is a function that returns an exit code. A failure is noted once, by cli_fail, where it
 * is understood best; main prints it, as a sentence on stderr or as JSON on stdout.
 */
#ifndef PARLEY_CLI_H
#define PARLEY_CLI_H

#include "base/base.h"
#include "parley/text.h"

#include <jansson.h>

/* After sysexits.h; `parley help` lists them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_REFUSED = 1,   /* what was asked for does not exist, or cannot be done as things are */
    CLI_USAGE = 64,    /* wrong command line */
    CLI_DATA = 65,     /* bad input, or a damaged store */
    CLI_NO_INPUT = 66, /* the input file cannot be read */
    CLI_OFFLINE = 69,  /* parleyd is needed and is not there */
    CLI_BUG = 70,      /* a bug of ours */
    CLI_OS = 71,       /* no memory */
    CLI_OUTPUT = 73,   /* the output file cannot be written */
    CLI_DISK = 74,     /* disk trouble of the node */
    CLI_LATER = 75,    /* busy, locked or timed out: try again */
    CLI_ACCESS = 77,   /* permissions, token */
    CLI_IDENTITY = 78  /* wrong key, pass phrase or identity */
};

/* Flags that were given, or that a command takes: a set of bits. */
typedef uint64_t cli_flags;

#define CLI_FLAG_NAMESPACE     (UINT64_C(1) << 0)
#define CLI_FLAG_TTL           (UINT64_C(1) << 1)
#define CLI_FLAG_READ_ONLY     (UINT64_C(1) << 2)
#define CLI_FLAG_STRICT        (UINT64_C(1) << 3)
#define CLI_FLAG_ROLE          (UINT64_C(1) << 4)
#define CLI_FLAG_TIMEOUT       (UINT64_C(1) << 5)
#define CLI_FLAG_ID            (UINT64_C(1) << 6)
#define CLI_FLAG_LIMIT         (UINT64_C(1) << 7)
#define CLI_FLAG_CA            (UINT64_C(1) << 8)
#define CLI_FLAG_USER          (UINT64_C(1) << 9)
#define CLI_FLAG_SESSION       (UINT64_C(1) << 10)
#define CLI_FLAG_PEER          (UINT64_C(1) << 11)
#define CLI_FLAG_ISSUER        (UINT64_C(1) << 12)
#define CLI_FLAG_FOLLOW        (UINT64_C(1) << 13)
#define CLI_FLAG_VERIFY        (UINT64_C(1) << 14)
#define CLI_FLAG_EXPECT        (UINT64_C(1) << 15)
#define CLI_FLAG_BITS          (UINT64_C(1) << 16)
#define CLI_FLAG_SEALED        (UINT64_C(1) << 17)
#define CLI_FLAG_NEW_SECRET    (UINT64_C(1) << 18)
#define CLI_FLAG_EXPORT_PHRASE (UINT64_C(1) << 19)
#define CLI_FLAG_ALL           (UINT64_C(1) << 20)
#define CLI_FLAG_FIELD         (UINT64_C(1) << 21)
#define CLI_FLAG_PREFIX        (UINT64_C(1) << 22)
#define CLI_FLAG_MAX_AGE       (UINT64_C(1) << 23)
#define CLI_FLAG_REASON        (UINT64_C(1) << 24)
#define CLI_FLAG_VERSIONS      (UINT64_C(1) << 25)
#define CLI_FLAG_DAYS          (UINT64_C(1) << 26)
#define CLI_FLAG_FORCE         (UINT64_C(1) << 27)
#define CLI_FLAG_DATE          (UINT64_C(1) << 28)
#define CLI_FLAG_MARKDOWN      (UINT64_C(1) << 29)
#define CLI_FLAG_SINCE         (UINT64_C(1) << 30)
#define CLI_FLAG_ONCE          (UINT64_C(1) << 31)
#define CLI_FLAG_INTERVAL      (UINT64_C(1) << 32)

#define CLI_ARGS_MAX 4

struct client;

struct cli {
    /* The command line; borrowed from argv. */
    const char *data_dir;
    const char *seal_key_file;
    const char *passphrase_file;
    const char *new_seal_key_file;
    const char *new_passphrase_file;
    const char *export_passphrase_file;
    const char *sealed_file;
    uint64_t bits;
    bool json;
    cli_flags given;
    const char *name_space;
    const char *role;
    const char *reason;
    uint64_t versions; /* with CLI_FLAG_VERSIONS */
    uint64_t days;     /* with CLI_FLAG_DAYS */
    const char *id;
    const char *user;
    const char *session;
    const char *peer;
    const char *issuer;
    uint64_t ttl_seconds;
    uint64_t timeout_seconds;
    uint64_t interval_seconds;
    uint64_t limit;
    const char *prefix;
    uint64_t max_age_days;
    bool read_only;
    bool strict;
    bool follow;
    bool verify;
    const char *expect;
    bool ca;
    bool all;
    bool markdown;
    const char *since;
    uint64_t date_us; /* with CLI_FLAG_DATE */
    bool field;
    bool force;
    bool once;
    const char *args[CLI_ARGS_MAX];
    size_t arg_count;

    bool out_is_tty;
    bool err_is_tty;
    bool colors; /* on stdout */

    struct client *client; /* opened by the first request */

    /* The failure, if there is one. */
    char code[64];
    struct buf detail;
};

/* Adds --prefix and --max-age to the body of a grant. False: the prefix is not valid UTF-8. */
bool cli_add_filter(const struct cli *cli, json_t *body);

/* Notes a failure; the first one of a run is kept. Returns `exit`, for `return cli_fail(...)`. */
enum cli_exit cli_fail(struct cli *cli, enum cli_exit exit, const char *code, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));
/* The same for an error of the library. `detail` may be empty. */
enum cli_exit cli_fail_err(struct cli *cli, parley_err err, const char *detail);

/* ---- Requests (client.c decides how they travel) ---- */

/* Sends `body` (may be NULL; not consumed) and waits for the answer. `*out` (may be NULL) is the
 * parsed body, the caller's. A refusal by the node becomes the failure of this run. */
PL_MUST_USE enum cli_exit cli_call(struct cli *cli, const char *method, const char *path,
                                   const json_t *body, json_t **out);
/* The same, but the answer stays text: it may hold numbers that jansson would round. */
PL_MUST_USE enum cli_exit cli_get_text(struct cli *cli, const char *path, struct buf *out);
/* Fails unless parleyd runs: for commands that need the network. */
PL_MUST_USE enum cli_exit cli_need_daemon(struct cli *cli);

/* Adds "/segment", percent-encoded. */
void path_add(struct buf *path, const char *segment);
/* Adds "?name=value" or "&name=value", percent-encoded; a NULL value adds nothing. */
void path_query(struct buf *path, const char *name, const char *value);

/* ---- Output ---- */

/* Prints one JSON document and a newline. */
void cli_print_json(const struct cli *cli, const json_t *json);
/* Prints JSON text as it came; on a terminal escaped so that it cannot do harm there. */
void cli_print_json_text(const struct cli *cli, const struct buf *text);

/* The usage of each verb of `parley token`, a line each. */
extern const char cmd_token_verbs[];

/* Text of a member, or "". */
const char *json_text(const json_t *object, const char *name);
uint64_t json_count(const json_t *object, const char *name);

/* ---- Peers ---- */

/* Finds the peer whose backend id, or the hex digits in it, begins with `prefix`. `*out` is the
 * caller's. Fails when there is none or more than one. */
PL_MUST_USE enum cli_exit cli_find_peer(struct cli *cli, const char *prefix, char **out);

/* A namespace, and what is granted of it, as lists show it. */
void cli_add_grant(struct buf *b, const json_t *grant);
/* Says on stdout, if there are any, what of a peer's writes was refused and what to do. */
void cli_print_refused(const char *id, uint64_t count);

/* ---- Commands ---- */

enum cli_exit cmd_identity(struct cli *cli);
enum cli_exit cmd_key(struct cli *cli);
enum cli_exit cmd_invite(struct cli *cli);
enum cli_exit cmd_join(struct cli *cli);
enum cli_exit cmd_peers(struct cli *cli);
enum cli_exit cmd_approve(struct cli *cli);
enum cli_exit cmd_revoke(struct cli *cli);
enum cli_exit cmd_add_legacy(struct cli *cli);
enum cli_exit cmd_token(struct cli *cli);
enum cli_exit cmd_audit(struct cli *cli);
enum cli_exit cmd_import(struct cli *cli);
enum cli_exit cmd_export(struct cli *cli);
enum cli_exit cmd_backup(struct cli *cli);
enum cli_exit cmd_bundle(struct cli *cli);
enum cli_exit cmd_restore(struct cli *cli);
enum cli_exit cmd_compact(struct cli *cli);
enum cli_exit cmd_list(struct cli *cli);
enum cli_exit cmd_show(struct cli *cli);
enum cli_exit cmd_append(struct cli *cli);
enum cli_exit cmd_edit(struct cli *cli);
enum cli_exit cmd_delete(struct cli *cli);
enum cli_exit cmd_purge(struct cli *cli);
enum cli_exit cmd_retention(struct cli *cli);
enum cli_exit cmd_history(struct cli *cli);
enum cli_exit cmd_conflicts(struct cli *cli);
enum cli_exit cmd_promote(struct cli *cli);
enum cli_exit cmd_trash(struct cli *cli);
enum cli_exit cmd_sync(struct cli *cli);
enum cli_exit cmd_diff(struct cli *cli);
enum cli_exit cmd_status(struct cli *cli);
enum cli_exit cmd_health(struct cli *cli);
enum cli_exit cmd_check(struct cli *cli);
enum cli_exit cmd_doctor(struct cli *cli);
enum cli_exit cmd_log_level(struct cli *cli);
enum cli_exit cmd_top(struct cli *cli);

#endif
