/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an identity beyond its first key: statements that one key has given way to the next,
 * and the chain of them that leads from the first key, which the backend id names, to the current.
 *
 * A statement is signed by both keys over
 *   "parley rotate 1" | u16 length, backend id | u16 length, old SPKI | u16 length, new SPKI |
 *   u64 wall time in microseconds | u32 number
 * and holds only what its reader cannot know: he names the id and the old key himself, so that a
 * statement about another identity or from another key cannot verify.
 *
 * A chain is never cut: without its first statement the id would prove nothing to a new peer. After
 * PL_ROTATIONS_MAX rotations the next one is refused.
 *
 * Pure; any thread.
 */
#ifndef PL_ROTATION_H
#define PL_ROTATION_H

#include "trust/identity.h"

#include "base/writer.h"

/* Rotations of one identity: one a quarter for four years. Bounds the PROOF of a join. */
#define PL_ROTATIONS_MAX 16
/* Bytes of a statement: key of RSA-3072, two signatures, 23 bytes around them. */
#define PL_ROTATION_BYTES_MAX 1280
/* How long a key that was rotated away is still honoured. */
#define PL_ROTATION_GRACE_US (INT64_C(7) * 24 * 3600 * 1000000)
/* Bytes of a fingerprint that tell a peer which key one holds for it. */
#define PL_KEY_HINT_BYTES 16

/* Where a store keeps the sealed current key, and the chain. Written together, in one batch. */
#define PL_IDENTITY_RECORD_KEY       "identity"
#define PL_IDENTITY_RECORD_BYTES_MAX 8192
#define PL_CHAIN_RECORD_KEY          "identity/rotations"
#define PL_CHAIN_RECORD_BYTES_MAX                                                                  \
    (16 + PL_PUBKEY_DER_BYTES_MAX + PL_ROTATIONS_MAX * (3 + PL_ROTATION_BYTES_MAX))

/* Says that `from` has given way to `to`; `number` counts from 1. Cost: two signatures, 3 ms.
 * Errors: EINVAL (no change, number or time out of range), ECORRUPT (see pl_identity_sign). */
PL_MUST_USE parley_err pl_rotation_make(const struct pl_identity *from,
                                        const struct pl_identity *to, struct parley_span backend_id,
                                        parley_wall at, uint32_t number,
                                        uint8_t out[PL_ROTATION_BYTES_MAX], size_t *len);

/* Verifies the statement with this number by which `from` of `backend_id` gives way to `*to`.
 * Errors: EMALFORMED, ETOOBIG, EINVAL (a key that is none of ours to use), EAUTH (another number,
 *         no change of key, or one of the two signatures does not verify). */
PL_MUST_USE parley_err pl_rotation_check(struct parley_span statement,
                                         struct parley_span backend_id,
                                         const struct pl_pubkey *from, uint32_t number,
                                         struct pl_pubkey *to, parley_wall *at);

struct pl_key_link {
    struct pl_pubkey key; /* that it leads to */
    parley_wall at;       /* since when; the key before it was rotated away then */
    uint8_t statement[PL_ROTATION_BYTES_MAX];
    size_t len;
};

/* All keys of an identity in order: `first`, then one for each link. */
struct pl_key_chain {
    struct pl_pubkey first;
    size_t count;
    struct pl_key_link links[PL_ROTATIONS_MAX];
};

void pl_key_chain_init(struct pl_key_chain *chain, const struct pl_pubkey *first);
/* Lends key `index`, 0 to count; the last is the current one. */
const struct pl_pubkey *pl_key_chain_at(const struct pl_key_chain *chain, size_t index);
const struct pl_pubkey *pl_key_chain_current(const struct pl_key_chain *chain);
/* Which key begins with this hint. */
bool pl_key_chain_find(const struct pl_key_chain *chain, const uint8_t hint[PL_KEY_HINT_BYTES],
                       size_t *index);
/* Verifies a statement and adds it. Errors: those of pl_rotation_check; EFULL; EAUTH also for a
 * key that was there before. */
PL_MUST_USE parley_err pl_key_chain_append(struct pl_key_chain *chain,
                                           struct parley_span backend_id,
                                           struct parley_span statement);
/* The stored form: a msgpack array, the first key and one bin for each statement. */
void pl_key_chain_encode(const struct pl_key_chain *chain, struct pl_writer *w);
/* The key that the id must name; nothing is verified. Errors: ECORRUPT. */
PL_MUST_USE parley_err pl_key_chain_first(struct parley_span record, struct pl_pubkey *out);
/* Verifies all of it. Errors: ECORRUPT. Cost: 0.2 ms a statement. */
PL_MUST_USE parley_err pl_key_chain_decode(struct parley_span record, struct parley_span backend_id,
                                           struct pl_key_chain *out);

#endif
