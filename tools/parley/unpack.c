/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain, gzip and ZIP inputs. The contract is in unpack.h.
 */
#define _GNU_SOURCE 1
#include "parley/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256u << 10)

static enum cli_exit fail_os(struct unpack *u, int error)
{
    return cli_fail(u->cli, CLI_NO_INPUT, "no-input", "%s cannot be read: %s", u->name,
                    strerror(error));
}

/* ---- ZIP ---- */

static enum cli_exit fail_zip(struct unpack *u, const char *what)
{
    return cli_fail(u->cli, CLI_DATA, "bad-archive", "%s: %s", u->name, what);
}

static enum cli_exit open_zip(struct unpack *u, int fd)
{
    int code = 0;
    u->zip = zip_fdopen(fd, ZIP_CHECKCONS, &code);
    if (u->zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        enum cli_exit exit = cli_fail(u->cli, CLI_DATA, "bad-archive",
                                      "%s: is no whole ZIP archive: %s; download it again", u->name,
                                      zip_error_strerror(&error));
        zip_error_fini(&error);
        close(fd);
        return exit;
    }
    if (zip_get_num_entries(u->zip, 0) > (zip_int64_t)UNPACK_FILES_MAX)
        return cli_fail(u->cli, CLI_DATA, "bad-archive", "%s: has more than %u files", u->name,
                        UNPACK_FILES_MAX);
    bool more = false;
    enum cli_exit exit = unpack_next(u, &more);
    if (exit == CLI_OK && !more)
        exit = fail_zip(u, "has no conversations.json, conversations-*.json or *.jsonl in it");
    return exit;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Exports hold pictures, pages and accounts besides. */
static bool is_text(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    bool talks = strncmp(name, "conversations", 13) == 0 && ends_with(name, ".json");
    return talks || ends_with(name, ".jsonl");
}

static enum cli_exit check_entry(struct unpack *u, const zip_stat_t *info)
{
    zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_ENCRYPTION_METHOD;
    if ((info->valid & wanted) != wanted)
        return fail_zip(u, "does not say how long its files are");
    if (info->encryption_method != ZIP_EM_NONE)
        return cli_fail(u->cli, CLI_DATA, "bad-archive",
                        "%s: %s is encrypted; unpack it first, and import what comes out", u->name,
                        info->name);
    bool bomb = info->size > UNPACK_RATIO_BYTES && info->size / UNPACK_RATIO_MAX > info->comp_size;
    if (bomb || info->size > UNPACK_BYTES_MAX)
        return cli_fail(u->cli, CLI_DATA, "bad-archive",
                        "%s: %s unpacks from %llu to %llu bytes, which no export does (at most %u "
                        "times as much, and %llu)",
                        u->name, info->name, (unsigned long long)info->comp_size,
                        (unsigned long long)info->size, UNPACK_RATIO_MAX,
                        (unsigned long long)UNPACK_BYTES_MAX);
    return CLI_OK;
}

static enum cli_exit next_entry(struct unpack *u, bool *more)
{
    if (u->file != NULL)
        zip_fclose(u->file);
    u->file = NULL;
    *more = false;
    for (; u->index < (zip_uint64_t)zip_get_num_entries(u->zip, 0); u->index++) {
        zip_stat_t info;
        if (zip_stat_index(u->zip, u->index, 0, &info) != 0 || (info.valid & ZIP_STAT_NAME) == 0)
            return fail_zip(u, zip_strerror(u->zip));
        if (!is_text(info.name))
            continue;
        enum cli_exit exit = check_entry(u, &info);
        if (exit != CLI_OK)
            return exit;
        u->file = zip_fopen_index(u->zip, u->index++, 0);
        if (u->file == NULL)
            return fail_zip(u, zip_strerror(u->zip));
        u->promised = info.size;
        u->packed += info.comp_size;
        *more = true;
        return CLI_OK;
    }
    return CLI_OK;
}

static enum cli_exit read_zip(struct unpack *u, void *to, size_t cap, size_t *len)
{
    zip_int64_t got = zip_fread(u->file, to, cap);
    if (got < 0)
        return fail_zip(u, zip_file_strerror(u->file));
    if ((uint64_t)got > u->promised)
        return fail_zip(u, "a file in it is longer than its directory says");
    u->promised -= (uint64_t)got;
    if (got == 0 && u->promised != 0)
        return fail_zip(u, "a file in it is shorter than its directory says");
    *len = (size_t)got;
    return CLI_OK;
}

/* ---- gzip, and what is not packed ---- */

static enum cli_exit read_gz(struct unpack *u, void *to, size_t cap, size_t *len)
{
    int code = Z_OK;
    int got = gzread(u->gz, to, (unsigned)cap);
    *len = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return CLI_OK;
    const char *why = gzerror(u->gz, &code);
    if (got == 0 && (code == Z_OK || code == Z_STREAM_END))
        return CLI_OK;
    if (code == Z_ERRNO)
        why = strerror(errno);
    else if (code == Z_BUF_ERROR)
        why = "the compressed data ends too early";
    return cli_fail(u->cli, code == Z_ERRNO ? CLI_NO_INPUT : CLI_DATA, "bad-input", "%s: %s",
                    u->name, why);
}

/* ---- Both ---- */

enum cli_exit unpack_open(struct unpack *u, struct cli *cli, const char *name)
{
    static const uint8_t zip_magic[4] = { 'P', 'K', 3, 4 };
    uint8_t magic[4] = { 0 };
    struct stat st;
    *u = (struct unpack){ .cli = cli, .name = name };
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? dup(0) : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_os(u, errno);
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return cli_fail(cli, CLI_NO_INPUT, "no-input", "%s is a directory", name);
    }
    if (S_ISREG(st.st_mode)) {
        u->file_bytes = (uint64_t)st.st_size;
        if (!is_stdin && pread(fd, magic, sizeof magic, 0) == sizeof magic &&
            memcmp(magic, zip_magic, sizeof magic) == 0)
            return open_zip(u, fd);
    }
    u->gz = gzdopen(fd, "rb");
    if (u->gz == NULL) {
        close(fd);
        return cli_fail(cli, CLI_OS, "out-of-memory", "out of memory");
    }
    gzbuffer(u->gz, BUFFER_BYTES);
    return CLI_OK;
}

enum cli_exit unpack_read(struct unpack *u, void *to, size_t cap, size_t *len)
{
    *len = 0;
    return u->zip != NULL ? read_zip(u, to, cap, len) : read_gz(u, to, cap, len);
}

enum cli_exit unpack_next(struct unpack *u, bool *more)
{
    *more = false;
    return u->zip != NULL ? next_entry(u, more) : CLI_OK;
}

uint64_t unpack_progress(const struct unpack *u)
{
    if (u->zip != NULL)
        return u->packed;
    z_off_t at = gzoffset(u->gz);
    return at > 0 ? (uint64_t)at : 0;
}

void unpack_close(struct unpack *u)
{
    if (u->file != NULL)
        zip_fclose(u->file);
    if (u->zip != NULL)
        zip_discard(u->zip);
    if (u->gz != NULL)
        gzclose(u->gz);
}
