/* SPDX-License-Identifier: Apache-2.0
 *
 * The leaf digest of a version, and sums of them.
 *
 * Digest = first 16 bytes of SHA-256 over, in order: u8 kind, u8 flags, u64 time, u16 length and
 * bytes of the conversation id, u16 length and bytes of the register id, u16 length and bytes of
 * the origin name, then the body. The namespace is not part: a root belongs to one namespace.
 * Sums are modulo 2^128, big-endian.
 */
#ifndef PL_DIGEST_H
#define PL_DIGEST_H

#include <parley/db.h>

#include "base/span.h"

void pl_digest_of(const struct parley_version *version, uint8_t out[PARLEY_DIGEST_BYTES]);
void pl_digest_add(uint8_t sum[PARLEY_DIGEST_BYTES], const uint8_t digest[PARLEY_DIGEST_BYTES]);
void pl_digest_sub(uint8_t sum[PARLEY_DIGEST_BYTES], const uint8_t digest[PARLEY_DIGEST_BYTES]);
bool pl_root_equal(const struct parley_root *a, const struct parley_root *b);

#endif
