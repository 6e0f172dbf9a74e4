/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes we depend on: SHA-256 (sha256.c) where peers compare, XXH3 (xxHash) as a checksum of
 * our own stored rows.
 */
#ifndef PL_HASH_H
#define PL_HASH_H

#include "base/span.h"

#define PL_SHA256_BYTES 32

/* An incremental SHA-256; opaque, big enough for either library (checked in sha256.c). */
struct pl_sha256 {
    uint64_t opaque[16];
};

void pl_sha256_init(struct pl_sha256 *h);
void pl_sha256_update(struct pl_sha256 *h, const void *bytes, size_t len);
void pl_sha256_final(const struct pl_sha256 *h, uint8_t out[PL_SHA256_BYTES]);
/* One shot. */
void pl_sha256_of(struct parley_span bytes, uint8_t out[PL_SHA256_BYTES]);

uint64_t pl_xxh3_of(struct parley_span bytes);
/* The checksum of a row: over the key and the value together. */
uint64_t pl_xxh3_pair(struct parley_span key, struct parley_span value);

/* Whether two byte strings are equal, in time that depends on the length alone. */
bool pl_equal_ct(const void *a, const void *b, size_t len);
/* Overwrites a secret in a way that the compiler keeps. */
void pl_wipe(void *secret, size_t len);
/* Overwrites the stack below the caller, where a library calculated with a secret and left copies.
 * Call it from the function that called the library. */
void pl_wipe_stack(void);

/* Lower-case hex, 2 * len characters, no NUL. */
void pl_hex_encode(const uint8_t *bytes, size_t len, char *out);
/* Errors: EMALFORMED unless text is 2 * len hex digits. */
PL_MUST_USE parley_err pl_hex_decode(struct parley_span text, uint8_t *out, size_t len);

#endif
