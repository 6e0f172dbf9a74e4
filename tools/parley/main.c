/* SPDX-License-Identifier: Apache-2.0
 *
 * parley: one command, one table. Flags may stand anywhere; "--" ends them.
 */
#define _GNU_SOURCE 1
#include "core/iso8601.h"
#include "parley/client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TTL_SECONDS_MAX      (30 * 24 * 3600ull)
#define TIMEOUT_SECONDS_MAX  (24 * 3600ull)
#define MAX_AGE_DAYS_MAX     36500
#define INTERVAL_SECONDS_MAX 3600

struct command {
    const char *name;
    const char *usage; /* behind the name */
    const char *help;  /* one line */
    size_t args_min, args_max;
    cli_flags flags;
    enum cli_exit (*run)(struct cli *cli);
};

static enum cli_exit cmd_help(struct cli *cli);
static enum cli_exit cmd_version(struct cli *cli);

static const struct command commands[] = {
    { "identity", "[--ca [FILE]]",
      "show who this node is; --ca: its certificate, for curl --cacert", 0, 1, CLI_FLAG_CA,
      cmd_identity },
    { "key",
      "show | rotate [--bits 2048|3072] | export --sealed FILE [--export-passphrase-file FILE] | "
      "import FILE [--export-passphrase-file FILE] | reseal --new-passphrase-file FILE | "
      "reseal --new-seal-key-file FILE",
      "show, change, move or seal anew the key of this node", 1, 2,
      CLI_FLAG_BITS | CLI_FLAG_SEALED | CLI_FLAG_NEW_SECRET | CLI_FLAG_EXPORT_PHRASE, cmd_key },
    { "invite",
      "[--namespace NS] [--ttl 10m] [--right read|write] [--prefix P] [--max-age DAYS] | list | "
      "withdraw ID",
      "print one line that lets another node join; list those that have not expired; take one back",
      0, 2,
      CLI_FLAG_NAMESPACE | CLI_FLAG_TTL | CLI_FLAG_READ_ONLY | CLI_FLAG_PREFIX | CLI_FLAG_MAX_AGE,
      cmd_invite },
    { "join", "URL [--timeout 60s] [--prefix P] [--max-age DAYS]",
      "join the node that printed the invite; share only conversations whose id begins with P, or "
      "what was written in the last DAYS",
      1, 1, CLI_FLAG_TIMEOUT | CLI_FLAG_PREFIX | CLI_FLAG_MAX_AGE, cmd_join },
    { "peers", "", "list the nodes this one knows", 0, 0, 0, cmd_peers },
    { "approve", "ID [--namespace NS] [--right read|write] [--prefix P] [--max-age DAYS]",
      "let a peer in, or say anew what it is granted of a namespace", 1, 1,
      CLI_FLAG_NAMESPACE | CLI_FLAG_READ_ONLY | CLI_FLAG_PREFIX | CLI_FLAG_MAX_AGE, cmd_approve },
    { "revoke", "ID", "shut a peer out, at once, or drop a registration that waits", 1, 1, 0,
      cmd_revoke },
    { "add-legacy", "http://HOST:PORT",
      "push what is new here to a backend of the old system; parley revoke ends it", 1, 1, 0,
      cmd_add_legacy },
    { "token", "create|list|revoke [ID] [FLAGS]", "issue, list and revoke session tokens", 1, 2,
      CLI_FLAG_USER | CLI_FLAG_SESSION | CLI_FLAG_PEER | CLI_FLAG_TTL | CLI_FLAG_ISSUER,
      cmd_token },
    { "audit", "[--limit N] [--follow] | --verify [--expect HASH]",
      "show who was let in, shut out and refused; or prove that the log is whole", 0, 0,
      CLI_FLAG_LIMIT | CLI_FLAG_FOLLOW | CLI_FLAG_VERIFY | CLI_FLAG_EXPECT, cmd_audit },
    { "import", "FILE [--all] [--date YYYY-MM-DD] [--strict] [--namespace NS]",
      "read conversations: JSON lines, also gzip; the export of ChatGPT or Claude, its archive or "
      "its "
      "conversations.json; lists of {role, content}; - is stdin. --all: other branches of such an "
      "export too; --date: for lists, which have no times",
      1, 1, CLI_FLAG_ALL | CLI_FLAG_DATE | CLI_FLAG_STRICT | CLI_FLAG_NAMESPACE, cmd_import },
    { "export", "FILE [CONV] [--markdown] [--namespace NS]",
      "write all conversations, or one: as JSON lines to FILE.jsonl[.gz], as Markdown to FILE.md; "
      "- is "
      "stdout",
      1, 2, CLI_FLAG_MARKDOWN | CLI_FLAG_NAMESPACE, cmd_export },
    { "backup", "FILE [--force]",
      "write everything that makes this node into FILE while it runs; run it again after an "
      "interruption and it goes on; - is stdout, which cannot go on",
      1, 1, CLI_FLAG_FORCE, cmd_backup },
    { "bundle", "create FILE [--since PLACE|PEER] [--namespace NS] | apply FILE",
      "a sync by file: write what another node lacks, signed; take what a peer wrote so; - is "
      "stdout, or stdin",
      2, 2, CLI_FLAG_SINCE | CLI_FLAG_NAMESPACE, cmd_bundle },
    { "restore", "FILE [--verify]",
      "make the node in a directory that has none; - is stdin; --verify only checks FILE", 1, 1,
      CLI_FLAG_VERIFY, cmd_restore },
    { "compact", "", "make the store's file as small as what is in it; parleyd must not run", 0, 0,
      0, cmd_compact },
    { "list", "[--namespace NS] [--limit N]", "list the conversations", 0, 0,
      CLI_FLAG_NAMESPACE | CLI_FLAG_LIMIT, cmd_list },
    { "show", "CONV [--namespace NS]", "show one conversation", 1, 1, CLI_FLAG_NAMESPACE,
      cmd_show },
    { "append", "CONV --role R TEXT [--id MSG] [--namespace NS]",
      "add a message; TEXT - reads stdin", 2, 2, CLI_FLAG_ROLE | CLI_FLAG_ID | CLI_FLAG_NAMESPACE,
      cmd_append },
    { "edit", "CONV MSG TEXT [--namespace NS]", "change a message; TEXT - reads stdin", 3, 3,
      CLI_FLAG_NAMESPACE, cmd_edit },
    { "delete", "CONV [MSG] [--namespace NS]", "delete a message, or a whole conversation", 1, 2,
      CLI_FLAG_NAMESPACE, cmd_delete },
    { "purge", "CONV --reason TEXT [--namespace NS]",
      "erase a conversation and all that it ever was, on every node, for good", 1, 1,
      CLI_FLAG_REASON | CLI_FLAG_NAMESPACE, cmd_purge },
    { "history", "CONV [MSG] [--namespace NS]", "show all versions, also overwritten ones", 1, 2,
      CLI_FLAG_NAMESPACE, cmd_history },
    { "retention", "[--versions N] [--days D] [--namespace NS]",
      "show or set how many overwritten versions of each message this node keeps, and for how "
      "long; "
      "0 days: as long as there is room",
      0, 0, CLI_FLAG_VERSIONS | CLI_FLAG_DAYS | CLI_FLAG_NAMESPACE, cmd_retention },
    { "conflicts", "[CONV] [--all] [--limit N] [--namespace NS]",
      "show versions that lost to those of other nodes; --all: also what was merely replaced", 0, 1,
      CLI_FLAG_ALL | CLI_FLAG_LIMIT | CLI_FLAG_NAMESPACE, cmd_conflicts },
    { "promote", "CONV MSG VERSION [--field] [--namespace NS]",
      "make an overwritten version the current one again; --field: MSG is title or its like", 3, 3,
      CLI_FLAG_FIELD | CLI_FLAG_NAMESPACE, cmd_promote },
    { "trash", "[list|restore|empty [CONV [MSG]]] [--namespace NS]",
      "show, write again or drop what this node took out after it had been away for too long", 0, 3,
      CLI_FLAG_NAMESPACE, cmd_trash },
    { "sync", "[PEER] [--timeout 60s]", "sync now, and wait until all is equal", 0, 1,
      CLI_FLAG_TIMEOUT, cmd_sync },
    { "diff", "PEER", "show what a sync would move, and move nothing", 1, 1, 0, cmd_diff },
    { "status", "", "show roots, counts and peers", 0, 0, 0, cmd_status },
    { "top", "[--once] [--interval 2s] [--namespace NS]",
      "show the node, its peers and the last changes, again and again; q ends it", 0, 0,
      CLI_FLAG_ONCE | CLI_FLAG_INTERVAL | CLI_FLAG_NAMESPACE, cmd_top },
    { "health", "", "say whether parleyd serves and is well: for health checks", 0, 0, 0,
      cmd_health },
    { "check", "", "verify everything that is stored", 0, 0, 0, cmd_check },
    { "log-level", "[error|warn|info|debug]",
      "show or set how much parleyd logs, until it starts again or reloads", 0, 1, 0,
      cmd_log_level },
    { "doctor", "[--strict]",
      "find what is wrong with this node, its disk, clock and peers, and say what to do; --strict: "
      "warnings count too",
      0, 0, CLI_FLAG_STRICT, cmd_doctor },
    { "version", "", "print the version", 0, 0, 0, cmd_version },
    { "help", "[COMMAND]", "print this, or the usage of a command", 0, 1, 0, cmd_help },
};

/* ---- help, version ---- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char help_tail[] =
    "\n"
    "Flags of all commands\n"
    "  --data DIR             the data directory of the node (or PARLEY_DATA in the environment)\n"
    "  --json                 one JSON document on stdout, errors too: {\"error\":{code,detail}}\n"
    "  --seal-key-file FILE   unseals the identity when no daemon runs (default DIR/seal.key)\n"
    "  --passphrase-file FILE likewise, by a pass phrase (or PARLEY_PASSPHRASE)\n"
    "\n"
    "Commands go through the daemon when it runs; without it they open DIR themselves, but for\n"
    "invite without list or withdraw, join, sync, diff, top, health and log-level. restore and\n"
    "compact always do. ID may be the beginning of a peer's id, or of the hex digits in it.\n"
    "\n"
    "Exit codes\n"
    "   0 done                       70 a bug of ours\n"
    "   1 no such thing, refused     71 no memory\n"
    "  64 wrong command line         73 the output file cannot be written\n"
    "  65 bad input, damaged store   74 the disk or the store is full\n"
    "  66 the input cannot be read   75 busy, locked or timed out: try again\n"
    "  69 parleyd is not running     77 permissions, token\n"
    "                                78 wrong key, pass phrase or identity\n";

static json_t *command_json(const struct command *command)
{
    return json_pack("{s:s, s:s, s:s}", "name", command->name, "usage", command->usage, "help",
                     command->help);
}

static enum cli_exit help_all(struct cli *cli)
{
    if (cli->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++)
            json_array_append_new(list, command_json(&commands[i]));
        json_t *answer = json_pack("{s:o}", "commands", list);
        cli_print_json(cli, answer);
        json_decref(answer);
        return CLI_OK;
    }
    fputs("parley: looks at and changes the conversations, keys and peers of a node.\n"
          "\n"
          "  parley --data DIR [--json] COMMAND\n"
          "\n",
          stdout);
    for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    fputs(help_tail, stdout);
    return CLI_OK;
}

static enum cli_exit cmd_help(struct cli *cli)
{
    if (cli->arg_count == 0)
        return help_all(cli);
    const struct command *command = find_command(cli->args[0]);
    if (command == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "\"%s\" is not a command; try: parley help",
                        cli->args[0]);
    if (cli->json) {
        json_t *answer = command_json(command);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else {
        printf("parley --data DIR [--json] %s%s%s\n  %s\n", command->name,
               command->usage[0] != '\0' ? " " : "", command->usage, command->help);
        if (command->run == cmd_token)
            fputs(cmd_token_verbs, stdout);
    }
    return CLI_OK;
}

static enum cli_exit cmd_version(struct cli *cli)
{
    if (cli->json)
        printf("{\"version\":\"%s\"}\n", PARLEY_VERSION);
    else
        printf("parley %s\n", PARLEY_VERSION);
    return CLI_OK;
}

/* ---- The command line ---- */

/* "90", "90s", "10m", "2h", "1d". */
static bool parse_seconds(const char *text, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long value = strtoull(text, &end, 10);
    uint64_t unit = 1;
    if (errno != 0 || (end[0] != '\0' && end[1] != '\0'))
        return false;
    switch (end[0]) {
    case '\0':
    case 's':
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = 86400;
        break;
    default:
        return false;
    }
    if (value == 0 || value > max / unit)
        return false;
    *out = value * unit;
    return true;
}

/* A whole number, also 0. */
static bool parse_count(const char *text, uint64_t *out)
{
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0;
}

static enum cli_exit bad_value(struct cli *cli, const char *name, const char *value,
                               const char *want)
{
    return cli_fail(cli, CLI_USAGE, "usage", "--%s \"%s\": %s", name, value, want);
}

/* Flags that are text as it stands. */
static bool set_text(struct cli *cli, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **value;
        cli_flags flag;
    } texts[] = {
        { "data", &cli->data_dir, 0 },
        { "seal-key-file", &cli->seal_key_file, 0 },
        { "passphrase-file", &cli->passphrase_file, 0 },
        { "namespace", &cli->name_space, CLI_FLAG_NAMESPACE },
        { "role", &cli->role, CLI_FLAG_ROLE },
        { "reason", &cli->reason, CLI_FLAG_REASON },
        { "id", &cli->id, CLI_FLAG_ID },
        { "user", &cli->user, CLI_FLAG_USER },
        { "session", &cli->session, CLI_FLAG_SESSION },
        { "peer", &cli->peer, CLI_FLAG_PEER },
        { "issuer", &cli->issuer, CLI_FLAG_ISSUER },
        { "expect", &cli->expect, CLI_FLAG_EXPECT },
        { "prefix", &cli->prefix, CLI_FLAG_PREFIX },
        { "since", &cli->since, CLI_FLAG_SINCE },
        { "sealed", &cli->sealed_file, CLI_FLAG_SEALED },
        { "new-seal-key-file", &cli->new_seal_key_file, CLI_FLAG_NEW_SECRET },
        { "new-passphrase-file", &cli->new_passphrase_file, CLI_FLAG_NEW_SECRET },
        { "export-passphrase-file", &cli->export_passphrase_file, CLI_FLAG_EXPORT_PHRASE },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++) {
        if (strcmp(texts[i].name, name) != 0)
            continue;
        *texts[i].value = value;
        cli->given |= texts[i].flag;
        return true;
    }
    return false;
}

/* Midnight, UTC. */
static bool parse_date(const char *text, uint64_t *us)
{
    char whole[32];
    int len = snprintf(whole, sizeof whole, "%sT00:00Z", text);
    return len == 17 && pl_iso8601_parse(pl_span_text(whole), us) == PARLEY_OK;
}

static enum cli_exit set_flag(struct cli *cli, const char *name, const char *value)
{
    if (set_text(cli, name, value))
        return CLI_OK;
    if (strcmp(name, "bits") == 0) {
        cli->given |= CLI_FLAG_BITS;
        cli->bits = strcmp(value, "3072") == 0 ? 3072 : 2048;
        if (strcmp(value, "2048") != 0 && strcmp(value, "3072") != 0)
            return bad_value(cli, name, value, "write 2048 or 3072");
    } else if (strcmp(name, "ttl") == 0) {
        cli->given |= CLI_FLAG_TTL;
        if (!parse_seconds(value, TTL_SECONDS_MAX, &cli->ttl_seconds))
            return bad_value(cli, name, value, "write 90s, 10m, 2h or 7d; at most 30 days");
    } else if (strcmp(name, "timeout") == 0) {
        cli->given |= CLI_FLAG_TIMEOUT;
        if (!parse_seconds(value, TIMEOUT_SECONDS_MAX, &cli->timeout_seconds))
            return bad_value(cli, name, value, "write 30s, 5m or 1h; at most a day");
    } else if (strcmp(name, "interval") == 0) {
        cli->given |= CLI_FLAG_INTERVAL;
        if (!parse_seconds(value, INTERVAL_SECONDS_MAX, &cli->interval_seconds))
            return bad_value(cli, name, value, "write 2s or 1m; at most an hour");
    } else if (strcmp(name, "right") == 0) {
        cli->given |= CLI_FLAG_READ_ONLY;
        cli->read_only = strcmp(value, "read") == 0;
        if (!cli->read_only && strcmp(value, "write") != 0)
            return bad_value(cli, name, value, "write read or write");
    } else if (strcmp(name, "max-age") == 0) {
        cli->given |= CLI_FLAG_MAX_AGE;
        if (value[strspn(value, "0123456789")] != '\0' ||
            !parse_seconds(value, MAX_AGE_DAYS_MAX, &cli->max_age_days))
            return bad_value(cli, name, value, "write a number of days from 1 to 36500");
    } else if (strcmp(name, "versions") == 0) {
        cli->given |= CLI_FLAG_VERSIONS;
        if (!parse_count(value, &cli->versions))
            return bad_value(cli, name, value, "write a whole number from 0");
    } else if (strcmp(name, "days") == 0) {
        cli->given |= CLI_FLAG_DAYS;
        if (!parse_count(value, &cli->days))
            return bad_value(cli, name, value, "write a whole number of days, 0 for any age");
    } else if (strcmp(name, "limit") == 0) {
        cli->given |= CLI_FLAG_LIMIT;
        if (value[strspn(value, "0123456789")] != '\0' ||
            !parse_seconds(value, UINT32_MAX, &cli->limit))
            return bad_value(cli, name, value, "write a whole number from 1");
    } else if (strcmp(name, "date") == 0) {
        cli->given |= CLI_FLAG_DATE;
        if (!parse_date(value, &cli->date_us))
            return bad_value(cli, name, value, "write a day as 2024-12-31, from 1970 on");
    } else {
        return cli_fail(cli, CLI_USAGE, "usage", "--%s is not a flag; try: parley help", name);
    }
    return CLI_OK;
}

static bool set_switch(struct cli *cli, const char *name)
{
    const struct {
        const char *name;
        bool *value;
        cli_flags flag;
    } switches[] = {
        { "json", &cli->json, 0 },
        { "read-only", &cli->read_only, CLI_FLAG_READ_ONLY },
        { "strict", &cli->strict, CLI_FLAG_STRICT },
        { "ca", &cli->ca, CLI_FLAG_CA },
        { "all", &cli->all, CLI_FLAG_ALL },
        { "field", &cli->field, CLI_FLAG_FIELD },
        { "follow", &cli->follow, CLI_FLAG_FOLLOW },
        { "verify", &cli->verify, CLI_FLAG_VERIFY },
        { "force", &cli->force, CLI_FLAG_FORCE },
        { "markdown", &cli->markdown, CLI_FLAG_MARKDOWN },
        { "once", &cli->once, CLI_FLAG_ONCE },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(switches); i++) {
        if (strcmp(switches[i].name, name) != 0)
            continue;
        *switches[i].value = true;
        cli->given |= switches[i].flag;
        return true;
    }
    return false;
}

static bool takes_value(const struct cli *cli, const char *name)
{
    static const char *const numbers[] = { "bits",    "ttl",      "timeout", "interval", "right",
                                           "max-age", "versions", "days",    "limit",    "date" };
    struct cli scratch = *cli;
    for (size_t i = 0; i < PL_ARRAY_LEN(numbers); i++)
        if (strcmp(numbers[i], name) == 0)
            return true;
    return set_text(&scratch, name, "");
}

static enum cli_exit parse_flag(struct cli *cli, const char *flag, const char *next, bool *used)
{
    char name[32];
    size_t len = strcspn(flag + 2, "=");
    *used = false;
    if (len == 0 || len >= sizeof name)
        return cli_fail(cli, CLI_USAGE, "usage", "%s is not a flag; try: parley help", flag);
    memcpy(name, flag + 2, len);
    name[len] = '\0';
    bool has_value = flag[2 + len] == '=';
    if (!has_value && set_switch(cli, name))
        return CLI_OK;
    if (!has_value && next == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "--%s %s; try: parley help", name,
                        takes_value(cli, name) ? "needs a value" : "is not a flag");
    *used = !has_value;
    return set_flag(cli, name, has_value ? flag + 2 + len + 1 : next);
}

/* `words` gets what is no flag: the command and its arguments. */
static enum cli_exit parse(struct cli *cli, int argc, char **argv,
                           const char *words[CLI_ARGS_MAX + 1], size_t *count)
{
    bool flags_end = false;
    *count = 0;
    for (int i = 1; i < argc; i++) {
        bool used = false;
        if (!flags_end && strcmp(argv[i], "--") == 0) {
            flags_end = true;
        } else if (!flags_end && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            /* `parley COMMAND --help` is `parley help COMMAND`, whatever else is on the line. */
            words[1] = words[0];
            *count = *count == 0 ? 1 : 2;
            words[0] = "help";
            cli->given = 0;
            return CLI_OK;
        } else if (!flags_end && strcmp(argv[i], "--version") == 0) {
            words[0] = "version";
            *count = 1;
            return CLI_OK;
        } else if (!flags_end && strncmp(argv[i], "--", 2) == 0) {
            enum cli_exit exit = parse_flag(cli, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used);
            if (exit != CLI_OK)
                return exit;
            i += used;
        } else if (*count <= CLI_ARGS_MAX) {
            words[(*count)++] = argv[i];
        } else {
            return cli_fail(cli, CLI_USAGE, "usage",
                            "\"%s\" is one word too many; text with "
                            "blanks needs quotes",
                            argv[i]);
        }
    }
    return CLI_OK;
}

static const char *flag_name(cli_flags flag)
{
    static const struct {
        cli_flags flag;
        const char *name;
    } names[] = {
        { CLI_FLAG_NAMESPACE, "namespace" },
        { CLI_FLAG_TTL, "ttl" },
        { CLI_FLAG_READ_ONLY, "read-only" },
        { CLI_FLAG_STRICT, "strict" },
        { CLI_FLAG_ROLE, "role" },
        { CLI_FLAG_REASON, "reason" },
        { CLI_FLAG_VERSIONS, "versions" },
        { CLI_FLAG_DAYS, "days" },
        { CLI_FLAG_TIMEOUT, "timeout" },
        { CLI_FLAG_ID, "id" },
        { CLI_FLAG_LIMIT, "limit" },
        { CLI_FLAG_CA, "ca" },
        { CLI_FLAG_USER, "user" },
        { CLI_FLAG_SESSION, "session" },
        { CLI_FLAG_PEER, "peer" },
        { CLI_FLAG_ISSUER, "issuer" },
        { CLI_FLAG_FOLLOW, "follow" },
        { CLI_FLAG_VERIFY, "verify" },
        { CLI_FLAG_EXPECT, "expect" },
        { CLI_FLAG_BITS, "bits" },
        { CLI_FLAG_SEALED, "sealed" },
        { CLI_FLAG_NEW_SECRET, "new-..." },
        { CLI_FLAG_EXPORT_PHRASE, "export-passphrase-file" },
        { CLI_FLAG_FORCE, "force" },
        { CLI_FLAG_ONCE, "once" },
        { CLI_FLAG_INTERVAL, "interval" },
        { CLI_FLAG_ALL, "all" },
        { CLI_FLAG_FIELD, "field" },
        { CLI_FLAG_PREFIX, "prefix" },
        { CLI_FLAG_MAX_AGE, "max-age" },
        { CLI_FLAG_DATE, "date" },
        { CLI_FLAG_MARKDOWN, "markdown" },
        { CLI_FLAG_SINCE, "since" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++)
        if ((names[i].flag & flag) != 0)
            return names[i].name;
    return "";
}

static enum cli_exit run(struct cli *cli, const char *const *words, size_t count)
{
    if (count == 0)
        return cli_fail(cli, CLI_USAGE, "usage", "which command? try: parley help");
    const struct command *command = find_command(words[0]);
    if (command == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "\"%s\" is not a command; try: parley help",
                        words[0]);
    cli->arg_count = count - 1;
    if (cli->arg_count < command->args_min || cli->arg_count > command->args_max)
        return cli_fail(cli, CLI_USAGE, "usage", "usage: parley --data DIR %s%s%s", command->name,
                        command->usage[0] == '\0' ? "" : " ", command->usage);
    for (size_t i = 0; i < cli->arg_count; i++)
        cli->args[i] = words[i + 1];
    if ((cli->given & ~command->flags) != 0)
        return cli_fail(
            cli, CLI_USAGE, "usage", "--%s means nothing to %s; usage: parley --data DIR %s %s",
            flag_name(cli->given & ~command->flags), command->name, command->name, command->usage);
    return command->run(cli);
}

/* ---- Main ---- */

static void print_failure(const struct cli *cli)
{
    if (cli->json) {
        json_t *error = json_pack("{s:{s:s, s:s}}", "error", "code", cli->code, "detail",
                                  buf_str(&cli->detail));
        /* A name from the command line may not be UTF-8; then the text is shown escaped. */
        if (error == NULL) {
            struct buf safe = { 0 };
            text_safe(&safe, pl_span_text(buf_str(&cli->detail)), false);
            error =
                json_pack("{s:{s:s, s:s}}", "error", "code", cli->code, "detail", buf_str(&safe));
            buf_free(&safe);
        }
        cli_print_json(cli, error);
        json_decref(error);
        return;
    }
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(buf_str(&cli->detail)), false);
    fprintf(stderr, "parley: %s\n", buf_str(&safe));
    buf_free(&safe);
}

int main(int argc, char **argv)
{
    const char *words[CLI_ARGS_MAX + 1] = { NULL };
    size_t count = 0;
    struct cli cli = { .data_dir = getenv("PARLEY_DATA"),
                       .out_is_tty = isatty(1) == 1,
                       .err_is_tty = isatty(2) == 1 };
    const char *no_color = getenv("NO_COLOR");
    cli.colors = cli.out_is_tty && (no_color == NULL || no_color[0] == '\0');
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    enum cli_exit exit = parse(&cli, argc, argv, words, &count);
    /* The flag may stand behind the one that was wrong. */
    for (int i = 1; exit != CLI_OK && i < argc; i++)
        cli.json = cli.json || strcmp(argv[i], "--json") == 0;
    if (exit == CLI_OK)
        exit = run(&cli, words, count);
    client_close(cli.client);
    if (exit != CLI_OK && cli.code[0] != '\0')
        print_failure(&cli);
    buf_free(&cli.detail);
    if (fflush(stdout) != 0 && exit == CLI_OK) {
        fprintf(stderr, "parley: the output cannot be written: %s\n", strerror(errno));
        exit = CLI_OUTPUT;
    }
    return (int)exit;
}
