/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

parley_err tool_fail(struct parley_diag *diag, parley_err err, const char *format, ...)
{
    if (diag == NULL)
        return err;
    va_list args;
    va_start(args, format);
    vsnprintf(diag->text, sizeof diag->text, format, args);
    va_end(args);
    return err;
}

static parley_err from_errno(int code)
{
    switch (code) {
    case ENOENT:
        return PARLEY_ENOENT;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return PARLEY_EACCESS;
    case ENOSPC:
    case EDQUOT:
        return PARLEY_ENOSPC;
    case EEXIST:
        return PARLEY_EBUSY;
    case ENOMEM:
        return PARLEY_ENOMEM;
    default:
        return PARLEY_EIO;
    }
}

static parley_err fail_errno(struct parley_diag *diag, const char *path, int code)
{
    return tool_fail(diag, from_errno(code), "%.180s: %s", path, strerror(code));
}

parley_err tool_path_join(const char *dir, const char *name, char out[TOOL_PATH_BYTES_MAX + 1],
                          struct parley_diag *diag)
{
    int len = snprintf(out, TOOL_PATH_BYTES_MAX + 1, "%s/%s", dir, name);
    if (len < 0 || len > TOOL_PATH_BYTES_MAX)
        return tool_fail(diag, PARLEY_ETOOBIG, "the name of the directory is too long");
    return PARLEY_OK;
}

parley_err tool_check_owner(const char *data_dir, struct parley_diag *diag)
{
    struct stat st;
    if (geteuid() != 0 || stat(data_dir, &st) != 0 || st.st_uid == 0)
        return PARLEY_OK;
    return tool_fail(diag, PARLEY_EACCESS,
                     "%.100s: belongs to user %lu, who could not read what root makes there; do it "
                     "as that user, or while parleyd runs",
                     data_dir, (unsigned long)st.st_uid);
}

/* Who may put another file in the place of this one anyway. */
static bool belongs_to_owner_of_parent(const struct stat *st, const char *path)
{
    char dir[TOOL_PATH_BYTES_MAX + 1];
    struct stat parent;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path || slash - path > TOOL_PATH_BYTES_MAX)
        return false;
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    return stat(dir, &parent) == 0 && parent.st_uid == st->st_uid;
}

/* Reads until the end or until `cap` bytes; negative with errno set. */
static ssize_t read_whole(int fd, uint8_t *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t got = read(fd, out + len, cap - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static parley_err check_secret(int fd, const char *path, struct parley_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(diag, path, errno);
    if (!S_ISREG(st.st_mode))
        return tool_fail(diag, PARLEY_EACCESS, "%.180s: is not a regular file", path);
    bool trusted = st.st_uid == geteuid() || st.st_uid == 0 ||
                   (geteuid() == 0 && belongs_to_owner_of_parent(&st, path));
    if (!trusted)
        return tool_fail(diag, PARLEY_EACCESS, "%.180s: belongs to another user", path);
    if ((st.st_mode & 077) != 0)
        return tool_fail(diag, PARLEY_EACCESS,
                         "%.120s: others can read this secret; run: chmod 600 on it, and consider "
                         "it known",
                         path);
    return PARLEY_OK;
}

parley_err tool_file_read(const char *path, bool is_secret, uint8_t *out, size_t cap, size_t *len,
                          struct parley_diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(diag, path, errno);
    parley_err err = is_secret ? check_secret(fd, path, diag) : PARLEY_OK;
    if (err != PARLEY_OK)
        goto out;
    ssize_t got = read_whole(fd, out, cap);
    uint8_t beyond;
    if (got < 0)
        err = fail_errno(diag, path, errno);
    else if ((size_t)got == cap && read_whole(fd, &beyond, 1) != 0)
        err = tool_fail(diag, PARLEY_ETOOBIG, "%.180s: is longer than %zu bytes", path, cap);
    if (err == PARLEY_OK)
        *len = (size_t)got;
out:
    close(fd);
    return err;
}

int tool_write(int fd, struct parley_span bytes)
{
    while (bytes.len != 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? errno : EIO;
        bytes = pl_span_after(bytes, (size_t)put);
    }
    return 0;
}

/* Makes the name of a file durable: syncs the directory that it is in. */
static int sync_parent(const char *path)
{
    char dir[TOOL_PATH_BYTES_MAX + 1];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    memcpy(dir, slash == NULL ? "." : path, len);
    dir[len] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return rc;
}

int tool_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_parent(to) : errno;
}

/* Puts the bytes into a new file with a random name beside `path`. */
static int write_temp(const char *path, struct parley_span bytes,
                      char temp[TOOL_PATH_BYTES_MAX + 1])
{
    int len = snprintf(temp, TOOL_PATH_BYTES_MAX + 1, "%s.XXXXXX", path);
    if (len < 0 || len > TOOL_PATH_BYTES_MAX)
        return ENAMETOOLONG;
    int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600, O_EXCL */
    if (fd < 0)
        return errno;
    int rc = tool_write(fd, bytes);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    close(fd);
    if (rc != 0)
        unlink(temp);
    return rc;
}

/* A link fails when the name is taken; a rename would replace somebody's secret. File systems
 * without links get the rename after a look, which only a second process could cheat. */
static int name_new_file(const char *temp, const char *path)
{
    if (link(temp, path) == 0)
        return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
    if (access(path, F_OK) == 0)
        return EEXIST;
    return rename(temp, path) == 0 ? 0 : errno;
}

parley_err tool_file_create(const char *path, struct parley_span bytes, struct parley_diag *diag)
{
    char temp[TOOL_PATH_BYTES_MAX + 1];
    int rc = write_temp(path, bytes, temp);
    if (rc != 0)
        return fail_errno(diag, path, rc);
    rc = name_new_file(temp, path);
    unlink(temp);
    if (rc == 0)
        rc = sync_parent(path);
    return rc == 0 ? PARLEY_OK : fail_errno(diag, path, rc);
}

parley_err tool_file_replace(const char *path, struct parley_span bytes, struct parley_diag *diag)
{
    char temp[TOOL_PATH_BYTES_MAX + 1];
    int rc = write_temp(path, bytes, temp);
    if (rc != 0)
        return fail_errno(diag, path, rc);
    rc = tool_rename(temp, path);
    if (rc != 0)
        unlink(temp); /* it is there no more when only the sync has failed */
    return rc == 0 ? PARLEY_OK : fail_errno(diag, path, rc);
}
