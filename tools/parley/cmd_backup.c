/* SPDX-License-Identifier: Apache-2.0
 *
 * backup: the blocks that the node gives, into FILE.part, which becomes FILE when it is whole.
 *
 * A FILE.part that is there is gone on with: its blocks are verified, what is behind the last whole
 * one is cut off, and that one says where the next begins. One that is of another store, or older
 * than a day, is begun anew: nobody wants the peers of last month beside the messages of today.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"
#include "parley/progress.h"

#include "core/hash.h"
#include "lib/file.h"
#include <parley/backup.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PART_BYTES    "1048576"
#define READ_BYTES    (1u << 20)
#define RESUME_US_MAX (INT64_C(24) * 3600 * PARLEY_US_PER_S)
/* The daemon closes connections that are idle for long: after a write that took this many seconds
 * the next request gets one of its own. */
#define STALL_SECONDS 2.0

struct backup {
    struct cli *cli;
    const char *name;
    struct buf part; /* the file while it is written; empty for stdout */
    int fd;
    struct parley_env env;
    struct parley_restore *skim; /* has seen all that is written */
    struct buf after;            /* where the next block begins, in hex; empty: at the beginning */
    uint64_t resumed_at;         /* bytes that were there */
    struct progress progress;
};

static enum cli_exit fail_output(const struct backup *b, int error)
{
    bool full = error == ENOSPC || error == EDQUOT;
    const char *kept =
        b->part.len != 0 ? "; what is there is kept: make room and run it again" : "";
    return cli_fail(b->cli, CLI_OUTPUT, "no-output", "%s cannot be written: %s%s",
                    b->part.len == 0 ? "stdout" : b->part.ptr, strerror(error), full ? kept : "");
}

static uint64_t bytes_written(const struct backup *b)
{
    struct parley_backup_report report;
    parley_restore_report(b->skim, &report);
    return report.bytes;
}

static enum cli_exit open_skim(struct backup *b)
{
    parley_restore_close(b->skim);
    b->skim = NULL;
    parley_err err = parley_restore_open(&b->env, NULL, PARLEY_RESTORE_SKIM, &b->skim);
    return err == PARLEY_OK ? CLI_OK : cli_fail_err(b->cli, err, "");
}

/* ---- Going on ---- */

static enum cli_exit cut(struct backup *b, uint64_t len)
{
    if (ftruncate(b->fd, (off_t)len) != 0 || lseek(b->fd, (off_t)len, SEEK_SET) < 0)
        return fail_output(b, errno);
    return CLI_OK;
}

static enum cli_exit begin_anew(struct backup *b)
{
    buf_clear(&b->after);
    b->resumed_at = 0;
    enum cli_exit exit = cut(b, 0);
    return exit == CLI_OK ? open_skim(b) : exit;
}

/* Reads what is there, as far as it is good. */
static enum cli_exit read_part(struct backup *b)
{
    uint8_t *bytes = malloc(READ_BYTES);
    ssize_t got = 0;
    parley_err err = PARLEY_OK;
    if (bytes == NULL)
        return cli_fail(b->cli, CLI_OS, "out-of-memory", "out of memory");
    while (err == PARLEY_OK) {
        got = read(b->fd, bytes, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        err = parley_restore_push(b->skim, bytes, (size_t)got, NULL);
    }
    int error = errno;
    free(bytes);
    return got < 0 ? fail_output(b, error) : CLI_OK;
}

static bool is_recent(const struct parley_backup_report *report)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    parley_wall now = (parley_wall)wall.tv_sec * PARLEY_US_PER_S;
    return report->taken_at <= now + RESUME_US_MAX && now - report->taken_at <= RESUME_US_MAX;
}

static enum cli_exit go_on(struct backup *b)
{
    struct parley_backup_report report;
    struct parley_backup_place place;
    enum cli_exit exit = read_part(b);
    if (exit != CLI_OK)
        return exit;
    parley_restore_rewind(b->skim);
    parley_restore_report(b->skim, &report);
    parley_restore_place(b->skim, &place);
    if (place.len == 0 || !is_recent(&report))
        return begin_anew(b);
    b->resumed_at = report.bytes;
    pl_hex_encode(place.bytes, place.len, buf_room(&b->after, 2 * place.len));
    b->after.len = 2 * place.len;
    return cut(b, report.bytes);
}

/* ---- Files ---- */

static enum cli_exit open_part(struct backup *b)
{
    struct stat st;
    if (!b->cli->force && stat(b->name, &st) == 0)
        return cli_fail(b->cli, CLI_OUTPUT, "exists",
                        "%s is there already; name another file, or say --force to replace it when "
                        "the new one is whole",
                        b->name);
    buf_format(&b->part, "%s.part", b->name);
    b->fd = open(b->part.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (b->fd < 0)
        return fail_output(b, errno);
    if (flock(b->fd, LOCK_EX | LOCK_NB) != 0)
        return cli_fail(b->cli, CLI_LATER, "locked", "another backup is writing %s", b->part.ptr);
    return go_on(b);
}

static enum cli_exit open_output(struct backup *b)
{
    enum cli_exit exit = open_skim(b);
    if (exit != CLI_OK)
        return exit;
    if (strcmp(b->name, "-") != 0)
        return open_part(b);
    if (b->cli->json || b->cli->out_is_tty)
        return cli_fail(b->cli, CLI_USAGE, "usage",
                        "backup - writes the backup to stdout; --json and terminals need a file");
    b->fd = 1;
    return CLI_OK;
}

static enum cli_exit close_output(struct backup *b)
{
    if (b->part.len == 0)
        return CLI_OK;
    int rc = fsync(b->fd) == 0 ? tool_rename(b->part.ptr, b->name) : errno;
    return rc == 0 ? CLI_OK : fail_output(b, rc);
}

static enum cli_exit write_all(struct backup *b, const struct buf *bytes)
{
    double began = progress_now();
    int rc = tool_write(b->fd, pl_span_of(bytes->ptr, bytes->len));
    if (rc != 0)
        return fail_output(b, rc);
    if (progress_now() - began > STALL_SECONDS && !b->cli->client->wire->is_local)
        b->cli->client->closes = true;
    return CLI_OK;
}

/* ---- Parts ---- */

static void draw(struct backup *b)
{
    struct buf text = { 0 };
    if (!progress_is_due(&b->progress))
        return;
    text_bytes(&text, bytes_written(b));
    progress_draw(&b->progress, 0, 0, text.ptr);
    buf_free(&text);
}

static enum cli_exit ask(struct backup *b, struct reply *reply)
{
    struct buf path = { 0 };
    enum cli_exit exit = client_open(b->cli);
    buf_text(&path, "/backup?limit_bytes=" PART_BYTES);
    if (b->after.len != 0)
        buf_format(&path, "&after=%.*s", (int)b->after.len, b->after.ptr);
    if (exit == CLI_OK) {
        client_send(b->cli->client, "GET", path.ptr, NULL, pl_span_of(NULL, 0));
        exit = client_receive(b->cli, reply);
    }
    buf_free(&path);
    return exit;
}

/* What is written is what a restore will take: it is verified on its way. */
static enum cli_exit take_reply(struct backup *b, const struct reply *reply)
{
    struct parley_diag diag = { "" };
    parley_err err =
        parley_restore_push(b->skim, (const uint8_t *)reply->body.ptr, reply->body.len, &diag);
    if (err != PARLEY_OK)
        return cli_fail(b->cli, CLI_BUG, "bad-answer", "what the node sent is no backup: %s",
                        diag.text);
    buf_clear(&b->after);
    buf_text(&b->after, reply->next);
    return write_all(b, &reply->body);
}

static enum cli_exit take_part(struct backup *b)
{
    struct reply reply = { 0 };
    enum cli_exit exit = ask(b, &reply);
    if (exit == CLI_OK && reply.status == 409 && b->resumed_at != 0) {
        fprintf(stderr, "parley: %s is of another store, or of before a restore: begun anew\n",
                b->part.ptr);
        exit = begin_anew(b);
        if (exit == CLI_OK)
            exit = ask(b, &reply);
    }
    if (exit == CLI_OK && reply.status >= 400)
        exit = client_refusal(b->cli, &reply);
    if (exit == CLI_OK)
        exit = take_reply(b, &reply);
    reply_free(&reply);
    return exit;
}

static bool is_whole(const struct backup *b)
{
    struct parley_backup_report report;
    parley_restore_report(b->skim, &report);
    return report.complete;
}

/* ---- The result ---- */

static void print_result(const struct backup *b)
{
    struct parley_backup_report report;
    char digest[2 * PARLEY_BACKUP_DIGEST_BYTES + 1] = "";
    double seconds = progress_now() - b->progress.began;
    parley_restore_report(b->skim, &report);
    pl_hex_encode(report.digest, sizeof report.digest, digest);
    if (b->cli->json) {
        json_t *answer = json_pack("{s:s*, s:I, s:I, s:s, s:f}", "file", b->name, "bytes",
                                   (json_int_t)report.bytes, "resumed_at",
                                   (json_int_t)b->resumed_at, "digest", digest, "seconds", seconds);
        cli_print_json(b->cli, answer);
        json_decref(answer);
        return;
    }
    struct buf text = { 0 };
    text_bytes(&text, report.bytes);
    if (b->resumed_at != 0) {
        buf_text(&text, ", gone on with at ");
        text_bytes(&text, b->resumed_at);
    }
    fprintf(b->fd == 1 ? stderr : stdout,
            "backed up %s, %.1f s, digest %.16s\n"
            "keep what unseals the identity too, in another place: DIR/seal.key, or the pass "
            "phrase\n",
            buf_str(&text), seconds, digest);
    buf_free(&text);
}

enum cli_exit cmd_backup(struct cli *cli)
{
    struct backup b = { .cli = cli, .name = cli->args[0], .fd = -1 };
    parley_env_posix(&b.env);
    progress_init(&b.progress, cli);
    enum cli_exit exit = client_open(cli);
    if (exit == CLI_OK)
        exit = open_output(&b);
    while (exit == CLI_OK && !is_whole(&b)) {
        exit = take_part(&b);
        draw(&b);
    }
    if (exit == CLI_OK)
        exit = close_output(&b);
    progress_clear(&b.progress);
    if (exit == CLI_OK)
        print_result(&b);
    if (b.part.len != 0 && b.fd >= 0)
        close(b.fd);
    parley_restore_close(b.skim);
    buf_free(&b.after);
    buf_free(&b.part);
    return exit;
}
