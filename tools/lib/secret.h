/* SPDX-License-Identifier: Apache-2.0
 *
 * The secrets of a data directory: what seals the private key, and the operator's token.
 */
#ifndef TOOL_SECRET_H
#define TOOL_SECRET_H

#include "lib/file.h"
#include "trust/seal.h"

#define TOOL_ADMIN_TOKEN_BYTES 32

/* What seals the identity, and where it came from (for messages). Wipe it after use. */
struct tool_secret {
    enum pl_seal_kind kind;
    uint8_t bytes[PL_SEAL_SECRET_BYTES_MAX];
    size_t len;
    char source[TOOL_PATH_BYTES_MAX + 1];
};

/* Where a secret may come from, besides the environment. */
struct tool_secret_sources {
    const char *dir;             /* the data directory */
    const char *key_file;        /* NULL: none */
    const char *passphrase_file; /* NULL: none */
};

/* Finds the sealing secret. The first of these that is there:
 *   1. PARLEY_PASSPHRASE of the environment, which is then overwritten and removed from it;
 *   2. `passphrase_file`, without the line end that editors put behind it;
 *   3. the systemd credential "parley-passphrase", likewise;
 *   4. the systemd credential "parley-seal";
 *   5. `key_file`;
 *   6. DIR/seal.key, made now from 32 random bytes if it is missing and `create` is true.
 * Errors: EACCESS (others can read it), ENOENT, ETOOBIG, EINVAL (shorter than 32 bytes, or an empty
 *         pass phrase), EIO, ENOSPC; `diag` names the file and what to do. */
PL_MUST_USE parley_err tool_secret_load(const struct parley_env *env,
                                        const struct tool_secret_sources *sources, bool create,
                                        struct tool_secret *out, struct parley_diag *diag);
/* One of the two kinds of file. A key file that is missing is made when `create` is true. */
PL_MUST_USE parley_err tool_secret_load_passphrase(const char *path, struct tool_secret *out,
                                                   struct parley_diag *diag);
PL_MUST_USE parley_err tool_secret_load_key(const struct parley_env *env, const char *path,
                                            bool create, struct tool_secret *out,
                                            struct parley_diag *diag);
/* A pass phrase in the environment under this name; *found. */
PL_MUST_USE parley_err tool_secret_take_passphrase(const char *name, struct tool_secret *out,
                                                   bool *found, struct parley_diag *diag);
struct pl_seal_secret tool_secret_view(const struct tool_secret *secret);
void tool_secret_wipe(struct tool_secret *secret);

/* Takes a variable out of the environment, overwriting it. Copies it to `out`; *found is false
 * when it is unset or empty. Errors: ETOOBIG; it is taken out all the same. */
PL_MUST_USE parley_err tool_secret_take_env(const char *name, char *out, size_t cap, bool *found);

/* Reads DIR/admin.token (64 hex digits and a newline); makes it if it is missing and `create`.
 * Errors: EACCESS (others can read it), EMALFORMED, ENOENT, EIO, ENOSPC. */
PL_MUST_USE parley_err tool_admin_token_load(const struct parley_env *env, const char *dir,
                                             bool create, uint8_t out[TOOL_ADMIN_TOKEN_BYTES],
                                             struct parley_diag *diag);

#endif
