/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity of a store: the sealed key under PL_IDENTITY_RECORD_KEY, and, once it was rotated,
 * the chain of its keys under PL_CHAIN_RECORD_KEY. The first is a msgpack map
 *
 *   type        str   "local", "hosted" or "edge"
 *   backend_id  str   from the first public key; survives rotation
 *   created_at  uint  microseconds since 1970
 *   public      str   PEM of the current public key
 *   seal        str   "raw" or "passphrase": what unseals, for messages only
 *   sealed      bin   the private key, see trust/seal.h
 *
 * Keys that are not known are skipped. It is written before a node is opened, or by a rotation,
 * then together with the chain, see trust/rotation.h. Every host keeps it so: parleyd, the command
 * line and programs that embed a node can take over each other's stores.
 *
 * Threads: those of the db for read and write; the rest is pure.
 */
#ifndef PL_IDENTITY_RECORD_H
#define PL_IDENTITY_RECORD_H

#include <parley/db.h>

#include "base/writer.h"
#include "trust/rotation.h"

/* What can be known without any secret. */
struct pl_identity_info {
    enum pl_backend_type type;
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    parley_wall created_at;
    struct pl_pubkey pubkey;
    bool needs_passphrase;
};

/* In a form of its own, since what a read lends dies with the read. */
struct pl_identity_record {
    struct pl_identity_info info;
    uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
    size_t sealed_len;
    struct pl_key_chain chain; /* ends in info.pubkey */
};

/* Errors: ECORRUPT. The chain is not in these bytes. */
PL_MUST_USE parley_err pl_identity_record_decode(struct parley_span bytes,
                                                 struct pl_identity_record *out);
PL_MUST_USE parley_err pl_identity_record_encode(const struct pl_identity_record *record,
                                                 struct pl_writer *w);
/* Checks that the chain leads from the key that the id names to the current one. ECORRUPT. */
PL_MUST_USE parley_err pl_identity_record_check(const struct pl_identity_record *record);
/* Both records, checked. Errors: ECORRUPT, those of the store. */
PL_MUST_USE parley_err pl_identity_record_read(struct parley_db *db, struct pl_identity_record *out,
                                               bool *found);
/* Both records, in one transaction. Errors: those of parley_db_apply. */
PL_MUST_USE parley_err pl_identity_record_write(struct parley_db *db,
                                                const struct pl_identity_record *record,
                                                parley_wall now);

#endif
