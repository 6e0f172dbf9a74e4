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

/* Finds the sealing secret. The first of these that is there:
 *   1. PARLEY_PASSPHRASE of the environment, which is then overwritten and removed from it;
 *   2. the systemd credential "parley-seal";
 *   3. `key_file`, when it is not NULL;
 *   4. DIR/seal.key, made now from 32 random bytes if it is missing and `create` is true.
 * Errors: EACCESS (others can read it), ENOENT, ETOOBIG, EINVAL (shorter than 32 bytes), EIO,
 *         ENOSPC; `diag` names the file and what to do. */
PL_MUST_USE parley_err tool_secret_load(const struct parley_env *env, const char *dir,
                                        const char *key_file, bool create, struct tool_secret *out,
                                        struct parley_diag *diag);
struct pl_seal_secret tool_secret_view(const struct tool_secret *secret);
void tool_secret_wipe(struct tool_secret *secret);

/* Takes a variable out of the environment, overwriting it. Copies it to `out`; *found is false
 * when it is unset or empty. Errors: ETOOBIG. */
PL_MUST_USE parley_err tool_secret_take_env(const char *name, char *out, size_t cap, bool *found);

/* Reads DIR/admin.token (64 hex digits and a newline); makes it if it is missing and `create`.
 * Errors: EACCESS (others can read it), EMALFORMED, ENOENT, EIO, ENOSPC. */
PL_MUST_USE parley_err tool_admin_token_load(const struct parley_env *env, const char *dir,
                                             bool create, uint8_t out[TOOL_ADMIN_TOKEN_BYTES],
                                             struct parley_diag *diag);

#endif
