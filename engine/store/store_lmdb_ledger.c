/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: DIR/ledger, a text file, and the witness, DIR/witness. They lie beside DIR/store, so
 * that putting an older store there does not take them back.
 *
 * A crash may leave part of a line at the end, which was never acknowledged: reading leaves it out,
 * and the next append begins behind the last whole line. Lines are taken out by writing the others
 * to DIR/ledger.new, which then takes the place of DIR/ledger.
 */
#define _GNU_SOURCE 1
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4200

/* Errno as one of ours; PARLEY_OK for 0. */
static parley_err as_err(const struct pl_store_lmdb *s, int rc)
{
    return rc == 0 ? PARLEY_OK : pl_store_lmdb_err(s->dir, rc);
}

static void make_path(const struct pl_store_lmdb *s, const char *name, char out[PATH_BYTES])
{
    int len = snprintf(out, PATH_BYTES, "%s/%s", s->dir, name);
    PL_ASSERT(len > 0 && len < PATH_BYTES);
}

static int open_file(const struct pl_store_lmdb *s, const char *name, int flags)
{
    char path[PATH_BYTES];
    make_path(s, name, path);
    return open(path, flags | O_CLOEXEC, 0600);
}

static int open_ledger(const struct pl_store_lmdb *s, int flags)
{
    return open_file(s, "ledger", flags);
}

static int read_all(int fd, uint8_t *out, size_t cap, size_t *len)
{
    size_t have = 0;
    while (have < cap) {
        ssize_t got = pread(fd, out + have, cap - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *len = have;
    return 0;
}

static int put_all(int fd, struct parley_span bytes, size_t at)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t put = pwrite(fd, bytes.ptr + done, bytes.len - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        done += (size_t)put;
    }
    return 0;
}

static int write_all(int fd, struct parley_span bytes, size_t at)
{
    int rc = put_all(fd, bytes, at);
    if (rc != 0)
        return rc;
    return fdatasync(fd) == 0 ? 0 : errno;
}

static size_t whole_lines(const uint8_t *bytes, size_t len)
{
    while (len != 0 && bytes[len - 1] != '\n')
        len--;
    return len;
}

parley_err pl_store_lmdb_ledger_read(struct parley_store *store, uint8_t *out, size_t cap,
                                     size_t *len)
{
    const struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    size_t have = 0;
    int fd = open_ledger(s, O_RDONLY);
    if (fd < 0 && errno == ENOENT) {
        *len = 0;
        return PARLEY_OK;
    }
    if (fd < 0)
        return as_err(s, errno);
    int rc = read_all(fd, out, cap, &have);
    close(fd);
    if (rc == 0)
        *len = whole_lines(out, have);
    return as_err(s, rc);
}

/* The name must outlive a crash as well. That the file is there does not say that it does: whoever
 * made it may have died, or failed, before this. */
static int sync_name(struct pl_store_lmdb *s)
{
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    s->ledger_named = rc == 0;
    return rc;
}

static int append(struct pl_store_lmdb *s, int fd, uint8_t *held, struct parley_span line,
                  parley_err *err)
{
    size_t len = 0;
    int rc = read_all(fd, held, PL_STORE_LEDGER_BYTES_MAX, &len);
    if (rc != 0)
        return rc;
    len = whole_lines(held, len);
    if (line.len > PL_STORE_LEDGER_BYTES_MAX - len) {
        *err = PARLEY_EFULL;
        return 0;
    }
    rc = write_all(fd, line, len);
    if (rc == 0 && !s->ledger_named)
        rc = sync_name(s);
    return rc;
}

parley_err pl_store_lmdb_ledger_append(struct parley_store *store, struct parley_span line)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    parley_err err = PARLEY_OK;
    uint8_t *held = s->env->alloc(s->env->ud, PL_STORE_LEDGER_BYTES_MAX);
    if (held == NULL)
        return PARLEY_ENOMEM;
    int fd = open_ledger(s, O_RDWR | O_CREAT);
    int rc = fd < 0 ? errno : append(s, fd, held, line, &err);
    if (fd >= 0)
        close(fd);
    s->env->release(s->env->ud, held, PL_STORE_LEDGER_BYTES_MAX);
    return err != PARLEY_OK ? err : as_err(s, rc);
}

static int write_new(const struct pl_store_lmdb *s, struct parley_span lines)
{
    int fd = open_file(s, "ledger.new", O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return errno;
    int rc = write_all(fd, lines, 0);
    close(fd);
    return rc;
}

parley_err pl_store_lmdb_ledger_replace(struct parley_store *store, struct parley_span lines)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    if (lines.len > PL_STORE_LEDGER_BYTES_MAX)
        return PARLEY_EFULL;
    make_path(s, "ledger.new", from);
    make_path(s, "ledger", to);
    int rc = write_new(s, lines);
    s->ledger_named = false;
    if (rc == 0 && rename(from, to) != 0)
        rc = errno;
    if (rc == 0)
        rc = sync_name(s);
    return as_err(s, rc);
}

/* ---- The witness ---- */

parley_err pl_store_lmdb_witness_write(struct parley_store *store,
                                       const uint8_t bytes[PL_STORE_WITNESS_BYTES])
{
    const struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    int fd = open_file(s, "witness", O_WRONLY | O_CREAT);
    if (fd < 0)
        return as_err(s, errno);
    int rc = put_all(fd, pl_span_of(bytes, PL_STORE_WITNESS_BYTES), 0);
    close(fd);
    return as_err(s, rc);
}

parley_err pl_store_lmdb_witness_read(struct parley_store *store,
                                      uint8_t out[PL_STORE_WITNESS_BYTES], bool *found)
{
    const struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    size_t len = 0;
    *found = false;
    int fd = open_file(s, "witness", O_RDONLY);
    if (fd < 0)
        return errno == ENOENT ? PARLEY_OK : as_err(s, errno);
    int rc = read_all(fd, out, PL_STORE_WITNESS_BYTES, &len);
    close(fd);
    *found = rc == 0 && len == PL_STORE_WITNESS_BYTES;
    return as_err(s, rc);
}
