/* SPDX-License-Identifier: Apache-2.0
 *
 * key: show and rotate go through the node; export, import and reseal touch the sealed key, so they
 * open the store themselves and need parleyd to be stopped.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include "core/hash.h"
#include "lib/identity_store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ROTATE_SECONDS_MAX 60
#define ROTATE_PAUSE_NS    50000000L
#define EXPORT_VARIABLE    "PARLEY_EXPORT_PASSPHRASE"

/* ---- show ---- */

static void print_key(const json_t *key)
{
    size_t index;
    json_t *item;
    printf("%-12s %s\n", "node", json_text(key, "backend_id"));
    printf("%-12s %s\n", "fingerprint", json_text(key, "fingerprint"));
    printf("%-12s %llu\n", "bits", (unsigned long long)json_count(key, "bits"));
    printf("%-12s %s\n", "since", json_text(key, "created_at"));
    json_array_foreach(json_object_get(key, "rotations"), index, item)
    {
        printf("rotation %-3llu %s from %.16s, honoured until %s\n",
               (unsigned long long)json_count(item, "number"), json_text(item, "at"),
               json_text(item, "from"), json_text(item, "from_honoured_until"));
    }
}

static enum cli_exit print_answer(struct cli *cli, json_t *answer)
{
    if (cli->json)
        cli_print_json(cli, answer);
    else
        print_key(answer);
    json_decref(answer);
    return CLI_OK;
}

static enum cli_exit show(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/key", NULL, &answer);
    return exit == CLI_OK ? print_answer(cli, answer) : exit;
}

/* ---- rotate ---- */

/* Waits until rotation `number` is stored, or is known not to be. */
static enum cli_exit await_rotation(struct cli *cli, json_t **out)
{
    struct timespec pause = { .tv_nsec = ROTATE_PAUSE_NS };
    for (long waited = 0; waited < ROTATE_SECONDS_MAX * (1000000000L / ROTATE_PAUSE_NS); waited++) {
        json_t *answer = NULL;
        enum cli_exit exit = cli_call(cli, "GET", "/key", NULL, &answer);
        if (exit != CLI_OK)
            return exit;
        const char *phase = json_text(answer, "phase");
        if (strcmp(phase, "done") == 0) {
            *out = answer;
            return CLI_OK;
        }
        bool failed = strcmp(phase, "making") != 0 && strcmp(phase, "storing") != 0;
        if (failed)
            exit = cli_fail(cli, CLI_REFUSED, "rotation-failed", "the key was not rotated: %s",
                            json_text(answer, "error"));
        json_decref(answer);
        if (failed)
            return exit;
        nanosleep(&pause, NULL);
    }
    return cli_fail(cli, CLI_LATER, "timeout",
                    "the new key is still being made; see: parley key show");
}

static enum cli_exit rotate(struct cli *cli)
{
    json_t *answer = NULL;
    json_t *body = json_object();
    if (cli->bits != 0)
        json_object_set_new(body, "bits", json_integer((json_int_t)cli->bits));
    enum cli_exit exit = cli_call(cli, "POST", "/key/rotate", body, NULL);
    json_decref(body);
    if (exit == CLI_OK)
        exit = await_rotation(cli, &answer);
    return exit == CLI_OK ? print_answer(cli, answer) : exit;
}

/* ---- The store itself ---- */

struct own_store {
    struct parley_env env;
    struct parley_db *db;
    struct tool_identity_options options;
};

static parley_wall wall_now(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (parley_wall)wall.tv_sec * PARLEY_US_PER_S + wall.tv_nsec / 1000;
}

static enum cli_exit open_own_store(struct cli *cli, bool may_create, struct own_store *s)
{
    struct parley_diag diag = { "" };
    struct parley_db_options options = { .name = cli->data_dir };
    bool renewed = false;
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    if (cli->data_dir == NULL)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "--data DIR is missing: name the data directory of the node");
    if (tool_path_join(cli->data_dir, "store", path, &diag) != PARLEY_OK)
        return cli_fail_err(cli, PARLEY_ETOOBIG, diag.text);
    if (!may_create && stat(path, &st) != 0)
        return cli_fail(cli, CLI_NO_INPUT, "noent", "there is no parley data in %s: %s",
                        cli->data_dir, strerror(errno));
    s->options = (struct tool_identity_options){ .data_dir = cli->data_dir,
                                                 .seal_key_file = cli->seal_key_file,
                                                 .passphrase_file = cli->passphrase_file };
    parley_env_posix(&s->env);
    parley_err err = tool_check_owner(cli->data_dir, &diag);
    if (err == PARLEY_OK)
        err = parley_db_open(&s->env, &options, &s->db, &renewed, &diag);
    if (err == PARLEY_ELOCKED)
        return cli_fail(cli, CLI_LATER, "locked",
                        "parleyd runs on %s; stop it first: this command touches the sealed key",
                        cli->data_dir);
    return err == PARLEY_OK ? CLI_OK : cli_fail_err(cli, err, diag.text);
}

/* ---- The pass phrase of an export ---- */

static bool read_hidden(char *out, size_t cap)
{
    struct termios before;
    if (tcgetattr(0, &before) != 0)
        return false;
    struct termios hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fputs("pass phrase of the export: ", stderr);
    fflush(stderr);
    if (tcsetattr(0, TCSAFLUSH, &hidden) != 0)
        return false;
    size_t len = 0;
    char c = 0;
    bool room = true;
    while (read(0, &c, 1) == 1 && c != '\n') {
        room = room && len + 1 < cap;
        if (room)
            out[len++] = c;
    }
    out[len] = '\0';
    tcsetattr(0, TCSAFLUSH, &before);
    fputs("\n", stderr);
    return room && len != 0;
}

static enum cli_exit export_phrase(struct cli *cli, struct tool_secret *out)
{
    struct parley_diag diag = { "" };
    bool found = false;
    parley_err err = tool_secret_take_passphrase(EXPORT_VARIABLE, out, &found, &diag);
    if (err == PARLEY_OK && !found && cli->export_passphrase_file != NULL) {
        err = tool_secret_load_passphrase(cli->export_passphrase_file, out, &diag);
        found = true;
    }
    if (err != PARLEY_OK)
        return cli_fail_err(cli, err, diag.text);
    if (found)
        return CLI_OK;
    out->kind = PL_SEAL_PASSPHRASE;
    snprintf(out->source, sizeof out->source, "what was typed");
    if (isatty(0) != 1 || !read_hidden((char *)out->bytes, sizeof out->bytes))
        return cli_fail(cli, CLI_USAGE, "no-passphrase",
                        "give the pass phrase of the export in " EXPORT_VARIABLE
                        " or with --export-passphrase-file FILE");
    out->len = strlen((const char *)out->bytes);
    return CLI_OK;
}

/* ---- export, import ---- */

static enum cli_exit export_key(struct cli *cli)
{
    struct own_store s = { .db = NULL };
    struct tool_secret phrase = { .len = 0 };
    struct parley_diag diag = { "" };
    char text[TOOL_EXPORT_BYTES_MAX];
    if (cli->sealed_file == NULL)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "say where to: parley key export --sealed FILE; the key never leaves the "
                        "store unsealed");
    enum cli_exit exit = open_own_store(cli, false, &s);
    if (exit == CLI_OK)
        exit = export_phrase(cli, &phrase);
    if (exit == CLI_OK) {
        parley_err err = tool_identity_export(&s.env, s.db, &s.options, &phrase, text, &diag);
        if (err == PARLEY_OK)
            err = tool_file_create(cli->sealed_file, pl_span_text(text), &diag);
        if (err != PARLEY_OK)
            exit = cli_fail_err(cli, err, diag.text);
    }
    tool_secret_wipe(&phrase);
    if (s.db != NULL)
        parley_db_close(s.db);
    if (exit == CLI_OK && cli->json)
        printf("{\"status\":\"exported\"}\n");
    else if (exit == CLI_OK)
        printf("%s holds the key of this node; keep it and its pass phrase apart\n",
               cli->sealed_file);
    return exit;
}

static enum cli_exit import_key(struct cli *cli)
{
    struct own_store s = { .db = NULL };
    struct tool_secret phrase = { .len = 0 };
    struct pl_identity_info info;
    struct parley_diag diag = { "" };
    uint8_t text[TOOL_EXPORT_BYTES_MAX];
    size_t len = 0;
    if (cli->arg_count != 2)
        return cli_fail(cli, CLI_USAGE, "usage", "usage: parley --data DIR key import FILE");
    parley_err err = tool_file_read(cli->args[1], false, text, sizeof text, &len, &diag);
    if (err != PARLEY_OK)
        return cli_fail(cli, CLI_NO_INPUT, "no-input", "%s", diag.text);
    enum cli_exit exit = export_phrase(cli, &phrase);
    if (exit == CLI_OK)
        exit = open_own_store(cli, true, &s);
    if (exit == CLI_OK) {
        err = tool_identity_import(&s.env, s.db, &s.options, &phrase, pl_span_of(text, len),
                                   wall_now(), &info, &diag);
        if (err != PARLEY_OK)
            exit = cli_fail_err(cli, err, diag.text);
    }
    tool_secret_wipe(&phrase);
    if (s.db != NULL)
        parley_db_close(s.db);
    if (exit == CLI_OK && cli->json)
        printf("{\"status\":\"imported\",\"backend_id\":\"%s\"}\n", info.backend_id);
    else if (exit == CLI_OK)
        printf("%s now belongs to %s; start parleyd on it, and nowhere else with this key\n",
               cli->data_dir, info.backend_id);
    return exit;
}

/* ---- reseal ---- */

static parley_err new_secret(const struct cli *cli, const struct own_store *s,
                             struct tool_secret *out, struct parley_diag *diag)
{
    if (cli->new_passphrase_file != NULL)
        return tool_secret_load_passphrase(cli->new_passphrase_file, out, diag);
    return tool_secret_load_key(&s->env, cli->new_seal_key_file, true, out, diag);
}

static enum cli_exit reseal(struct cli *cli)
{
    struct own_store s = { .db = NULL };
    struct tool_secret secret = { .len = 0 };
    struct parley_diag diag = { "" };
    if ((cli->new_passphrase_file == NULL) == (cli->new_seal_key_file == NULL))
        return cli_fail(cli, CLI_USAGE, "usage",
                        "give one of --new-passphrase-file FILE and --new-seal-key-file FILE");
    enum cli_exit exit = open_own_store(cli, false, &s);
    if (exit == CLI_OK) {
        parley_err err = new_secret(cli, &s, &secret, &diag);
        if (err == PARLEY_OK)
            err = tool_identity_reseal(&s.env, s.db, &s.options, &secret, wall_now(), &diag);
        if (err != PARLEY_OK)
            exit = cli_fail_err(cli, err, diag.text);
    }
    tool_secret_wipe(&secret);
    if (s.db != NULL)
        parley_db_close(s.db);
    if (exit == CLI_OK && cli->json)
        printf("{\"status\":\"resealed\"}\n");
    else if (exit == CLI_OK)
        printf("sealed anew; the old secret opens only older copies of %s: destroy those that "
               "should not be opened\n",
               cli->data_dir);
    return exit;
}

enum cli_exit cmd_key(struct cli *cli)
{
    static const struct {
        const char *name;
        cli_flags flags;
        size_t args;
        enum cli_exit (*run)(struct cli *cli);
    } verbs[] = { { "show", 0, 1, show },
                  { "rotate", CLI_FLAG_BITS, 1, rotate },
                  { "export", CLI_FLAG_SEALED | CLI_FLAG_EXPORT_PHRASE, 1, export_key },
                  { "import", CLI_FLAG_EXPORT_PHRASE, 2, import_key },
                  { "reseal", CLI_FLAG_NEW_SECRET, 1, reseal } };
    for (size_t i = 0; i < PL_ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, cli->args[0]) != 0)
            continue;
        if (cli->arg_count > verbs[i].args || (cli->given & ~verbs[i].flags) != 0)
            break;
        return verbs[i].run(cli);
    }
    return cli_fail(cli, CLI_USAGE, "usage",
                    "this is no form of the command; see: parley help key");
}
