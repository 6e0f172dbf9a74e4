/* SPDX-License-Identifier: Apache-2.0
 *
 * restore: a node out of a backup, in a directory that has none. The store is made in
 * DIR/restore.tmp, checked, and renamed to DIR/store when it is whole; until then there is nothing
 * that a daemon would take for a node.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"
#include "parley/progress.h"

#include "core/hash.h"
#include "lib/identity_store.h"
#include <parley/backup.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)
#define TEMP       "restore.tmp"

struct restore {
    struct cli *cli;
    const char *name;
    int fd;
    struct parley_env env;
    struct parley_restore *reader;
    struct parley_db *db; /* NULL: only verified */
    char temp[TOOL_PATH_BYTES_MAX + 1];
    struct parley_backup_report report;
    struct parley_check_report check;
    struct pl_identity_info identity;
    bool has_identity;
    struct progress progress;
};

/* ---- The input ---- */

static enum cli_exit fail_bad(struct restore *r, parley_err err, const char *detail)
{
    const char *name = strcmp(r->name, "-") == 0 ? "stdin" : r->name;
    if (err == PARLEY_EMISSING)
        return cli_fail(r->cli, CLI_DATA, "incomplete-backup", "%s, %s", name, detail);
    if (err == PARLEY_EVERSION)
        return cli_fail(r->cli, CLI_DATA, "newer-backup", "%s, %s", name, detail);
    if (err == PARLEY_EMALFORMED || err == PARLEY_EINVAL)
        return cli_fail(r->cli, CLI_DATA, "bad-backup", "%s, %s", name, detail);
    return cli_fail_err(r->cli, err, detail);
}

static enum cli_exit fail_input(struct restore *r, int error)
{
    return cli_fail(r->cli, CLI_NO_INPUT, "no-input", "%s cannot be read: %s", r->name,
                    strerror(error));
}

static enum cli_exit open_input(struct restore *r)
{
    r->fd = strcmp(r->name, "-") == 0 ? 0 : open(r->name, O_RDONLY | O_CLOEXEC);
    return r->fd >= 0 ? CLI_OK : fail_input(r, errno);
}

static void draw(struct restore *r)
{
    struct buf text = { 0 };
    if (!progress_is_due(&r->progress))
        return;
    parley_restore_report(r->reader, &r->report);
    text_count(&text, r->report.records);
    buf_text(&text, " records, ");
    text_bytes(&text, r->report.bytes);
    progress_draw(&r->progress, 0, 0, text.ptr);
    buf_free(&text);
}

static enum cli_exit read_all(struct restore *r, uint8_t *bytes)
{
    struct parley_diag diag = { "" };
    parley_err err = PARLEY_OK;
    for (;;) {
        ssize_t got = read(r->fd, bytes, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_input(r, errno);
        err = got == 0 ? parley_restore_finish(r->reader, &diag)
                       : parley_restore_push(r->reader, bytes, (size_t)got, &diag);
        if (err != PARLEY_OK)
            return fail_bad(r, err, diag.text);
        if (got == 0)
            return CLI_OK;
        draw(r);
    }
}

static enum cli_exit read_backup(struct restore *r)
{
    enum parley_restore_mode mode = r->db == NULL ? PARLEY_RESTORE_VERIFY : PARLEY_RESTORE_STORE;
    uint8_t *bytes = malloc(READ_BYTES);
    if (bytes == NULL)
        return cli_fail(r->cli, CLI_OS, "out-of-memory", "out of memory");
    parley_err err = parley_restore_open(&r->env, r->db, mode, &r->reader);
    enum cli_exit exit = err == PARLEY_OK ? read_all(r, bytes) : cli_fail_err(r->cli, err, "");
    if (err == PARLEY_OK)
        parley_restore_report(r->reader, &r->report);
    parley_restore_close(r->reader);
    free(bytes);
    return exit;
}

/* ---- The directory ---- */

static bool join(struct restore *r, const char *name, char out[TOOL_PATH_BYTES_MAX + 1])
{
    return tool_path_join(r->cli->data_dir, name, out, NULL) == PARLEY_OK;
}

static enum cli_exit check_vacant(struct restore *r)
{
    struct parley_diag diag = { "" };
    struct stat st;
    char path[TOOL_PATH_BYTES_MAX + 1];
    if (r->cli->data_dir == NULL)
        return cli_fail(r->cli, CLI_USAGE, "usage",
                        "--data DIR is missing: name the directory to restore into");
    if (!join(r, "store", path) || !join(r, TEMP, r->temp))
        return cli_fail(r->cli, CLI_USAGE, "usage", "the name of the directory is too long");
    if (lstat(path, &st) == 0)
        return cli_fail(r->cli, CLI_REFUSED, "exists",
                        "there is a store in %s, and a restore replaces nothing: stop parleyd, "
                        "move the store away (mv %s %s.old) and leave the other files where they "
                        "are",
                        r->cli->data_dir, path, path);
    if (tool_check_owner(r->cli->data_dir, &diag) != PARLEY_OK)
        return cli_fail_err(r->cli, PARLEY_EACCESS, diag.text);
    return CLI_OK;
}

/* Removes what a restore leaves; nobody else's files are in there. */
static enum cli_exit remove_temp(struct restore *r)
{
    static const char *const files[] = { TEMP "/store/data.mdb", TEMP "/store/lock.mdb",
                                         TEMP "/witness", TEMP "/ledger", TEMP "/lock" };
    static const char *const dirs[] = { TEMP "/store", TEMP };
    char path[TOOL_PATH_BYTES_MAX + 1];
    for (size_t i = 0; i < PL_ARRAY_LEN(files); i++)
        if (join(r, files[i], path) && unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return cli_fail(r->cli, CLI_ACCESS, "access", "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < PL_ARRAY_LEN(dirs); i++)
        if (join(r, dirs[i], path) && rmdir(path) != 0 && errno != ENOENT)
            return cli_fail(r->cli, CLI_ACCESS, "access", "%s: %s", path, strerror(errno));
    return CLI_OK;
}

/* An interrupted restore left something; one that runs holds the lock there. */
static enum cli_exit clear_temp(struct restore *r)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    int fd = join(r, TEMP "/lock", path) ? open(path, O_RDWR | O_CLOEXEC) : -1;
    bool busy = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    if (busy)
        return cli_fail(r->cli, CLI_LATER, "locked", "another restore into %s is under way",
                        r->cli->data_dir);
    return remove_temp(r);
}

static enum cli_exit open_temp(struct restore *r)
{
    struct parley_diag diag = { "" };
    struct parley_db_options options = { .name = r->temp };
    bool renewed = false;
    enum cli_exit exit = clear_temp(r);
    if (exit != CLI_OK)
        return exit;
    parley_err err = parley_db_open(&r->env, &options, &r->db, &renewed, &diag);
    return err == PARLEY_OK ? CLI_OK : cli_fail_err(r->cli, err, diag.text);
}

/* Nothing that parley check would complain of gets a name. */
static enum cli_exit check_store(struct restore *r)
{
    struct parley_diag diag = { "" };
    parley_err err = parley_db_check(r->db, &r->check);
    if (err == PARLEY_OK && r->check.problems == 0)
        err = tool_identity_peek(r->db, &r->identity, &r->has_identity, &diag);
    if (err != PARLEY_OK)
        return cli_fail_err(r->cli, err, diag.text);
    if (r->check.problems == 0)
        return CLI_OK;
    return cli_fail(r->cli, CLI_BUG, "unsound",
                    "the restored store is not sound, which is a bug of parley; nothing is "
                    "restored. The first problem: %s",
                    r->check.first[0].text);
}

/* The witness goes first: one that is of another store only costs another incarnation. */
static enum cli_exit put_in_place(struct restore *r)
{
    static const char *const names[] = { "witness", "store" };
    char from[TOOL_PATH_BYTES_MAX + 1];
    char to[TOOL_PATH_BYTES_MAX + 1];
    char part[32];
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        snprintf(part, sizeof part, TEMP "/%s", names[i]);
        if (!join(r, part, from) || !join(r, names[i], to))
            return cli_fail(r->cli, CLI_USAGE, "usage", "the name of the directory is too long");
        int rc = tool_rename(from, to);
        if (rc != 0)
            return cli_fail(r->cli, CLI_DISK, "no-output", "%s cannot be put in place: %s", to,
                            strerror(rc));
    }
    return remove_temp(r);
}

static enum cli_exit make_node(struct restore *r)
{
    enum cli_exit exit = open_temp(r);
    if (exit == CLI_OK)
        exit = read_backup(r);
    if (exit == CLI_OK)
        exit = check_store(r);
    bool opened = r->db != NULL;
    parley_db_close(r->db);
    if (exit == CLI_OK)
        exit = put_in_place(r);
    if (exit != CLI_OK && opened)
        pl_ignore(remove_temp(r) == CLI_OK ? PARLEY_OK : PARLEY_EIO, "the next restore removes it");
    return exit;
}

/* ---- The result ---- */

static bool is_there(struct restore *r, const char *name)
{
    struct stat st;
    char path[TOOL_PATH_BYTES_MAX + 1];
    return join(r, name, path) && stat(path, &st) == 0;
}

static void print_json(struct restore *r)
{
    char digest[2 * PARLEY_BACKUP_DIGEST_BYTES + 1] = "";
    pl_hex_encode(r->report.digest, sizeof r->report.digest, digest);
    json_t *answer = json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s*}", "restored", !r->cli->verify, "bytes",
        (json_int_t)r->report.bytes, "taken_at", (json_int_t)r->report.taken_at, "versions",
        (json_int_t)r->report.versions, "history", (json_int_t)r->report.history, "trash",
        (json_int_t)r->report.trash, "held", (json_int_t)r->report.held, "digest", digest,
        "backend_id", r->has_identity ? r->identity.backend_id : NULL);
    cli_print_json(r->cli, answer);
    json_decref(answer);
}

static void print_needs(struct restore *r)
{
    if (!r->has_identity)
        puts("the backup has no identity: parleyd makes a new one at its start");
    else if (r->identity.needs_passphrase)
        puts("the identity is sealed with the pass phrase that it had; parleyd needs it to start");
    else if (!is_there(r, "seal.key"))
        printf("the identity is sealed: put the seal.key of that node into %s before parleyd "
               "starts (chmod 600)\n",
               r->cli->data_dir);
    if (!is_there(r, "ledger"))
        printf("if the old directory is still there, copy its file `ledger` into %s: it remembers "
               "what was revoked since\n",
               r->cli->data_dir);
}

static void print_result(struct restore *r)
{
    struct buf text = { 0 };
    if (r->cli->json) {
        print_json(r);
        return;
    }
    text_count(&text, r->cli->verify ? r->report.versions : r->check.versions);
    buf_text(&text, " versions, ");
    text_count(&text, r->cli->verify ? r->report.history : r->check.history);
    buf_text(&text, " overwritten ones, ");
    text_bytes(&text, r->report.bytes);
    printf("%s %s, %.1f s\n", r->cli->verify ? "the backup is whole:" : "restored", text.ptr,
           progress_now() - r->progress.began);
    if (!r->cli->verify) {
        printf("this is %s again, in a new incarnation: its peers compare with it when it starts\n",
               r->has_identity ? r->identity.backend_id : "a node without an identity");
        print_needs(r);
    }
    buf_free(&text);
}

enum cli_exit cmd_restore(struct cli *cli)
{
    struct restore r = { .cli = cli, .name = cli->args[0], .fd = -1 };
    parley_env_posix(&r.env);
    progress_init(&r.progress, cli);
    enum cli_exit exit = cli->verify ? CLI_OK : check_vacant(&r);
    if (exit == CLI_OK)
        exit = open_input(&r);
    if (exit == CLI_OK)
        exit = cli->verify ? read_backup(&r) : make_node(&r);
    progress_clear(&r.progress);
    if (exit == CLI_OK)
        print_result(&r);
    if (r.fd > 0)
        close(r.fd);
    return exit;
}
