/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity of a data directory: the record of its store (node/identity_record.h), and the
 * secrets that open it.
 */
#ifndef TOOL_IDENTITY_STORE_H
#define TOOL_IDENTITY_STORE_H

#include <parley/db.h>

#include "lib/file.h"
#include "lib/secret.h"
#include "node/identity_record.h"

struct tool_identity_options {
    const char *data_dir;
    const char *seal_key_file;        /* NULL: DIR/seal.key; see secret.h for what goes first */
    const enum pl_backend_type *type; /* NULL: as stored, or local for a new one */
    const char *passphrase_file;      /* NULL: none */
    unsigned key_bits;                /* of a new key, and then only; 0: the default */
    bool must_exist;                  /* never make one (the command line off line) */
};

struct tool_identity {
    struct pl_identity *key; /* the caller's, to be destroyed */
    struct pl_identity_info info;
    /* What seals the next key without the pass phrase or key file, which are wiped. */
    bool can_seal;
    struct pl_seal_key seal;
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
 * Ownership: out->key is the caller's; so is wiping `out`.
 * Errors:    EIDENTITY (the key of the environment, or options->type, differs from the stored
 *            one), ESEALED (wrong secret), ENOENT, EACCESS, EMALFORMED, ECORRUPT, store errors;
 *            `diag` says what to do. */
PL_MUST_USE parley_err tool_identity_load(const struct parley_env *env, struct parley_db *db,
                                          const struct tool_identity_options *options,
                                          parley_wall now, struct tool_identity *out,
                                          struct parley_diag *diag);

/* Wipes what can seal. The key is destroyed apart. */
void tool_identity_wipe(struct tool_identity *identity);

/* Makes the key of a rotation, and the record that the next tool_identity_load will find. Any
 * thread. Errors: ESEALED (`identity` cannot seal), ENOMEM. Cost: as pl_identity_create. */
PL_MUST_USE parley_err tool_identity_make(const struct parley_env *env,
                                          const struct tool_identity *identity, unsigned bits,
                                          struct pl_identity **out,
                                          uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX],
                                          size_t *len);

PL_MUST_USE parley_err tool_identity_peek(struct parley_db *db, struct pl_identity_info *out,
                                          bool *found, struct parley_diag *diag);

/* ---- identity_move.c ---- */

/* Bytes of an exported identity as text. */
#define TOOL_EXPORT_BYTES_MAX 65536
/* Seals the identity, with its rotations, under a pass phrase of its own; text with a NUL. Needs
 * the secret that `options` name, like a start. Errors: as tool_identity_load. */
PL_MUST_USE parley_err tool_identity_export(const struct parley_env *env, struct parley_db *db,
                                            const struct tool_identity_options *options,
                                            const struct tool_secret *passphrase,
                                            char out[TOOL_EXPORT_BYTES_MAX],
                                            struct parley_diag *diag);
/* Takes an exported identity into a store that has none, sealed as a new one would be.
 * Errors: EBUSY (there is one), EMALFORMED, ESEALED, and as tool_identity_load. */
PL_MUST_USE parley_err tool_identity_import(const struct parley_env *env, struct parley_db *db,
                                            const struct tool_identity_options *options,
                                            const struct tool_secret *passphrase,
                                            struct parley_span text, parley_wall now,
                                            struct pl_identity_info *out, struct parley_diag *diag);
/* Seals the stored key under another secret, in one transaction. */
PL_MUST_USE parley_err tool_identity_reseal(const struct parley_env *env, struct parley_db *db,
                                            const struct tool_identity_options *options,
                                            const struct tool_secret *secret, parley_wall now,
                                            struct parley_diag *diag);

#endif
