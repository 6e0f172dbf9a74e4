/* SPDX-License-Identifier: Apache-2.0
 *
 * What identity_store.c and identity_move.c share: the record of an identity, with errors that name
 * what to do. Everybody else uses identity_store.h.
 */
#ifndef TOOL_IDENTITY_INT_H
#define TOOL_IDENTITY_INT_H

#include "lib/identity_store.h"

PL_MUST_USE parley_err tool_identity_read(struct parley_db *db, struct pl_identity_record *out,
                                          bool *found, struct parley_diag *diag);
PL_MUST_USE parley_err tool_identity_write(struct parley_db *db,
                                           const struct pl_identity_record *record, parley_wall now,
                                           struct parley_diag *diag);
/* Opens the sealed key; derives `seal` from the secret on the way. */
PL_MUST_USE parley_err tool_identity_unseal(const struct parley_env *env,
                                            const struct pl_identity_record *record,
                                            const struct tool_secret *secret,
                                            struct pl_seal_key *seal, struct pl_identity **out,
                                            struct parley_diag *diag);
/* Seals `key` into the record under a secret with a fresh salt; fills `seal`. */
PL_MUST_USE parley_err tool_identity_seal(
    const struct parley_env *env, const struct pl_identity *key, const struct tool_secret *secret,
    struct pl_seal_key *seal, struct pl_identity_record *record, struct parley_diag *diag);

#endif
