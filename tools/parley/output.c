/* SPDX-License-Identifier: Apache-2.0
 *
 * See output.h.
 */
#define _GNU_SOURCE 1
#include "parley/output.h"

#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool output_is_stdout(const char *name)
{
    return strcmp(name, "-") == 0;
}

static enum cli_exit fail(const struct output *o, int error)
{
    return cli_fail(o->cli, CLI_OUTPUT, "no-output", "%s cannot be written: %s",
                    output_is_stdout(o->name) ? "stdout" : o->name, strerror(error));
}

enum cli_exit output_open(struct output *o, struct cli *cli, const char *name, bool packed)
{
    o->cli = cli;
    o->name = name;
    o->fd = STDOUT_FILENO;
    if (output_is_stdout(name))
        return CLI_OK;
    buf_format(&o->part, "%s.part-%ld", name, (long)getpid());
    o->fd = open(o->part.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (o->fd < 0) {
        int error = errno;
        buf_clear(&o->part);
        return fail(o, error);
    }
    if (!packed)
        return CLI_OK;
    int copy = dup(o->fd); /* gzclose closes its own; the file is synced after that */
    if (copy >= 0)
        o->gz = gzdopen(copy, "wb6");
    if (o->gz != NULL)
        return CLI_OK;
    if (copy >= 0)
        close(copy);
    return fail(o, copy < 0 ? errno : ENOMEM);
}

enum cli_exit output_write(struct output *o, struct parley_span bytes)
{
    if (o->gz != NULL) {
        bool ok = bytes.len == 0 || gzwrite(o->gz, bytes.ptr, (unsigned)bytes.len) != 0;
        return ok ? CLI_OK : fail(o, errno);
    }
    int rc = tool_write(o->fd, bytes);
    return rc == 0 ? CLI_OK : fail(o, rc);
}

static enum cli_exit keep(const struct output *o)
{
    int rc = fsync(o->fd) == 0 ? tool_rename(o->part.ptr, o->name) : errno;
    return rc == 0 ? CLI_OK : fail(o, rc);
}

enum cli_exit output_close(struct output *o, enum cli_exit exit)
{
    if (o->gz != NULL && gzclose(o->gz) != Z_OK && exit == CLI_OK)
        exit = fail(o, errno);
    o->gz = NULL;
    if (o->part.len != 0) {
        exit = exit == CLI_OK ? keep(o) : exit;
        close(o->fd);
        if (exit != CLI_OK)
            unlink(o->part.ptr);
    }
    buf_free(&o->part);
    return exit;
}
