/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles: a sync by file. A bundle is a sequence of blocks; each is a piece of the change log of
 * one namespace, signed by the node that made it, and good by itself: blocks may be applied in any
 * order, twice, or in part, as versions merge.
 *
 *   u32 length of what follows up to the signature (big-endian, at most PL_BUNDLE_BODY_BYTES_MAX)
 *   msgpack array of 10:
 *     "parley-bundle", 1, backend id of the maker, its incarnation (bin 16), namespace,
 *     since, upto, head (sequences of its log: the block has what is live in (since, upto]),
 *     floor (of the namespace there), versions (bin: records as of CHANGES, sync/change.h)
 *   u16 length, signature: of SHA-256 over PL_BUNDLE_LABEL, a zero byte, and the array
 *
 * It is not encrypted. Pure; any thread.
 */
#ifndef PL_BUNDLE_H
#define PL_BUNDLE_H

#include "sync/change.h"
#include "trust/identity.h"

#define PL_BUNDLE_LABEL           "parley-bundle-1"
#define PL_BUNDLE_BODY_BYTES_MAX  (PARLEY_BODY_BYTES_MAX + (1u << 20))
#define PL_BUNDLE_HEAD_BYTES_MAX  512u /* of the array, before the versions */
#define PL_BUNDLE_BLOCK_BYTES_MAX (4u + PL_BUNDLE_BODY_BYTES_MAX + 2u + PL_SIGNATURE_BYTES_MAX)

struct pl_bundle {
    struct parley_span maker;
    struct parley_incarnation incarnation;
    struct parley_span name_space;
    parley_seq since, upto, head;
    uint64_t floor;
    struct parley_span versions;
};

/* Appends a whole block. `w` needs the versions and PL_BUNDLE_HEAD_BYTES_MAX + 6 +
 * PL_SIGNATURE_BYTES_MAX. Errors: EFULL, those of pl_identity_sign. */
PL_MUST_USE parley_err pl_bundle_write(struct pl_writer *w, const struct pl_bundle *bundle,
                                       const struct pl_identity *identity);
/* Reads exactly one block; spans are lent from it. The signature is not looked at: its hash and
 * bytes are filled for pl_pubkey_verify. Errors: EMALFORMED, ETYPE, ETOOBIG, EFORMAT (not a bundle,
 * or of another version). */
PL_MUST_USE parley_err pl_bundle_read(struct parley_span block, struct pl_bundle *out,
                                      uint8_t hash[32], struct parley_span *signature);

#endif
