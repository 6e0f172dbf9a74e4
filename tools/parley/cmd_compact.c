/* SPDX-License-Identifier: Apache-2.0
 *
 * compact: the store's file without the room that is free in it. It needs the store for itself, and
 * no secret.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include "lib/file.h"
#include <parley/db.h>

#include <errno.h>
#include <sys/stat.h>

static enum cli_exit open_store(struct cli *cli, const struct parley_env *env,
                                struct parley_db **db)
{
    struct parley_diag diag = { "" };
    struct parley_db_options options = { .name = cli->data_dir };
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    bool renewed = false;
    if (cli->data_dir == NULL)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "--data DIR is missing: name the data directory of the node");
    if (tool_path_join(cli->data_dir, "store", path, &diag) != PARLEY_OK)
        return cli_fail_err(cli, PARLEY_ETOOBIG, diag.text);
    if (stat(path, &st) != 0)
        return cli_fail(cli, CLI_NO_INPUT, "noent", "there is no parley data in %s: %s",
                        cli->data_dir, strerror(errno));
    parley_err err = tool_check_owner(cli->data_dir, &diag);
    if (err == PARLEY_OK)
        err = parley_db_open(env, &options, db, &renewed, &diag);
    if (err == PARLEY_ELOCKED)
        return cli_fail(cli, CLI_LATER, "locked",
                        "parleyd runs on %s; stop it first: the file is replaced by another one",
                        cli->data_dir);
    return err == PARLEY_OK ? CLI_OK : cli_fail_err(cli, err, diag.text);
}

static parley_err read_bytes(struct parley_db *db, uint64_t *out)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = parley_read_state(read, &state);
    parley_read_end(read);
    if (err == PARLEY_OK)
        *out = state.file_bytes;
    return err;
}

static void print_result(struct cli *cli, uint64_t before, uint64_t after)
{
    struct buf text = { 0 };
    if (cli->json) {
        json_t *answer =
            json_pack("{s:I, s:I}", "bytes_before", (json_int_t)before, "bytes", (json_int_t)after);
        cli_print_json(cli, answer);
        json_decref(answer);
        return;
    }
    text_bytes(&text, before);
    buf_text(&text, " before, ");
    text_bytes(&text, after);
    printf("compacted: %s now\n", text.ptr);
    buf_free(&text);
}

enum cli_exit cmd_compact(struct cli *cli)
{
    struct parley_env env;
    struct parley_db *db = NULL;
    uint64_t before = 0;
    uint64_t after = 0;
    parley_env_posix(&env);
    enum cli_exit exit = open_store(cli, &env, &db);
    if (exit != CLI_OK)
        return exit;
    parley_err err = read_bytes(db, &before);
    if (err == PARLEY_OK)
        err = parley_db_compact(db);
    if (err == PARLEY_OK)
        err = read_bytes(db, &after);
    parley_db_close(db);
    if (err == PARLEY_ENOSPC)
        return cli_fail(cli, CLI_DISK, "nospc",
                        "the disk has no room for the new file beside the old one, which stays as "
                        "it is");
    if (err != PARLEY_OK)
        return cli_fail_err(cli, err, "");
    print_result(cli, before, after);
    return CLI_OK;
}
