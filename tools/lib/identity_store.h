/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity of a data directory: the record "identity" of its store. A msgpack map
 *
 *   type        str   "local", "hosted" or "edge"
 *   backend_id  str   from the first public key; survives rotation
 *   created_at  uint  microseconds since 1970
 *   public      str   PEM of the current public key
 *   seal        str   "raw" or "passphrase": what unseals, for messages only
 *   sealed      bin   the private key, see trust/seal.h
 *
 * Keys that are not known are skipped. It is written before the node starts, or by a rotation.
 */
#ifndef TOOL_IDENTITY_STORE_H
#define TOOL_IDENTITY_STORE_H

#include <parley/db.h>

#include "lib/file.h"
#include "trust/identity.h"

#define TOOL_IDENTITY_KEY              "identity"
#define TOOL_IDENTITY_RECORD_BYTES_MAX 8192

struct tool_identity_options {
    const char *data_dir;
    const char *seal_key_file;        /* NULL: DIR/seal.key; see secret.h for what goes first */
    const enum pl_backend_type *type; /* NULL: as stored, or local for a new one */
    bool must_exist;                  /* never make one (the command line off line) */
};

struct tool_identity {
    struct pl_identity *key; /* the caller's, to be destroyed */
    enum pl_backend_type type;
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    parley_wall created_at;
    bool is_new;      /* made or imported just now */
    bool is_imported; /* the key is that of BACKEND_PRIVATE_KEY */
};

/* Loads the identity of the data directory; makes it (RSA-2048), or takes it from
 * BACKEND_PRIVATE_KEY, when there is none yet. A key in the environment that is the stored one is
 * used as it is, so that it also helps when the sealing secret is lost. The variables of the
 * environment that hold secrets are overwritten and removed.
 *
 * Ownership: out->key is the caller's.
 * Errors:    EIDENTITY (the key of the environment, or options->type, differs from the stored
 *            one), ESEALED (wrong secret), ENOENT, EACCESS, EMALFORMED, ECORRUPT, store errors;
 *            `diag` says what to do. */
PL_MUST_USE parley_err tool_identity_load(const struct parley_env *env, struct parley_db *db,
                                          const struct tool_identity_options *options,
                                          parley_wall now, struct tool_identity *out,
                                          struct parley_diag *diag);

/* What can be known without any secret. */
struct tool_identity_info {
    enum pl_backend_type type;
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    parley_wall created_at;
    struct pl_pubkey pubkey;
    bool needs_passphrase;
};
PL_MUST_USE parley_err tool_identity_peek(struct parley_db *db, struct tool_identity_info *out,
                                          bool *found, struct parley_diag *diag);

#endif
