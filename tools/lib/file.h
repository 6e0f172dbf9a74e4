/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files of the data directory: read whole, created once, replaced atomically. Everything is
 * made with mode 0600, and a secret that others can read is refused rather than used.
 */
#ifndef TOOL_FILE_H
#define TOOL_FILE_H

#include "base/span.h"
#include <parley/env.h>

#define TOOL_PATH_BYTES_MAX 4095

/* Joins DIR/NAME. Errors: ETOOBIG; `diag` says. */
PL_MUST_USE parley_err tool_path_join(const char *dir, const char *name,
                                      char out[TOOL_PATH_BYTES_MAX + 1], struct parley_diag *diag);

/* Writes text into `diag` (NULL allowed), cut to fit, and returns `err`. */
PL_MUST_USE parley_err tool_fail(struct parley_diag *diag, parley_err err, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Refuses root a data directory of another user: what root would make in it that user could not
 * read. A directory that is not there yet is nobody's. Errors: EACCESS; `diag` says what to do. */
PL_MUST_USE parley_err tool_check_owner(const char *data_dir, struct parley_diag *diag);

/* Reads a file of at most `cap` bytes. With `is_secret`, one that group or others can read, or that
 * belongs to another user, is refused. For root it may belong to whom its directory belongs to.
 * Errors: ENOENT, EACCESS, ETOOBIG, EIO; `diag` names the file and what to do. */
PL_MUST_USE parley_err tool_file_read(const char *path, bool is_secret, uint8_t *out, size_t cap,
                                      size_t *len, struct parley_diag *diag);

/* Creates a file that must not exist yet, durable before it is visible under its name: a crash
 * leaves either the whole file or none. Errors: EBUSY (exists), EACCESS, ENOSPC, EIO. */
PL_MUST_USE parley_err tool_file_create(const char *path, struct parley_span bytes,
                                        struct parley_diag *diag);
/* The same, replacing what is there. */
PL_MUST_USE parley_err tool_file_replace(const char *path, struct parley_span bytes,
                                         struct parley_diag *diag);

/* Writes all of it. 0 or an errno. */
PL_MUST_USE int tool_write(int fd, struct parley_span bytes);
/* Renames, also over what is there, and syncs the directory of `to`, so that the name stays. 0 or
 * an errno. */
PL_MUST_USE int tool_rename(const char *from, const char *to);

#endif
