/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of an identity in a store: the sealed key under PL_IDENTITY_RECORD_KEY, and, once it
 * was rotated, the chain of its keys under PL_CHAIN_RECORD_KEY. For the files of this folder;
 * everybody else uses identity_store.h.
 */
#ifndef TOOL_IDENTITY_RECORD_H
#define TOOL_IDENTITY_RECORD_H

#include "lib/identity_store.h"

/* In a form of its own, since what a read lends dies with the read. */
struct identity_record {
    struct tool_identity_info info;
    uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
    size_t sealed_len;
    struct pl_key_chain chain; /* ends in info.pubkey */
};

PL_MUST_USE parley_err identity_record_decode(struct pl_span bytes, struct identity_record *out);
PL_MUST_USE parley_err identity_record_encode(const struct identity_record *record,
                                              struct pl_writer *w);
/* Checks that the chain leads from the key that the id names to the current one. ECORRUPT. */
PL_MUST_USE parley_err identity_record_check(const struct identity_record *record);
PL_MUST_USE parley_err identity_record_read(struct parley_db *db, struct identity_record *out,
                                            bool *found, struct parley_diag *diag);
/* Opens the sealed key; derives `seal` from the secret on the way. */
PL_MUST_USE parley_err tool_identity_unseal(const struct parley_env *env,
                                            const struct identity_record *record,
                                            const struct tool_secret *secret,
                                            struct pl_seal_key *seal, struct pl_identity **out,
                                            struct parley_diag *diag);
/* Seals `key` into the record under a secret with a fresh salt; fills `seal`. */
PL_MUST_USE parley_err tool_identity_seal(const struct parley_env *env,
                                          const struct pl_identity *key,
                                          const struct tool_secret *secret,
                                          struct pl_seal_key *seal, struct identity_record *record,
                                          struct parley_diag *diag);
/* Both records, in one transaction. */
PL_MUST_USE parley_err identity_record_write(struct parley_db *db,
                                             const struct identity_record *record, parley_wall now,
                                             struct parley_diag *diag);

#endif
