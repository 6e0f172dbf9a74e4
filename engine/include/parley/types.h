/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain values shared by the public headers.
 */
#ifndef PARLEY_TYPES_H
#define PARLEY_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes; the empty span may have a NULL pointer. */
struct parley_span {
    const uint8_t *ptr;
    size_t len;
};

/* The bytes of a NUL-terminated text, without the NUL; borrowed from it. */
static inline struct parley_span parley_text(const char *text)
{
    struct parley_span span = { (const uint8_t *)text, strlen(text) };
    return span;
}

#define PARLEY_DIGEST_BYTES      16
#define PARLEY_INCARNATION_BYTES 16

/* The sum of the leaf digests of a namespace modulo 2^128, and how many there are. Two stores with
 * equal roots hold the same current versions of every register. */
struct parley_root {
    uint64_t count;
    uint8_t sum[PARLEY_DIGEST_BYTES];
};

/* A random name of one life of a store; renewed when it is created, restored or copied. */
struct parley_incarnation {
    uint8_t bytes[PARLEY_INCARNATION_BYTES];
};

/* A place in the order of versions of a namespace, for reconciliation: the time as 8 bytes
 * big-endian, then the digest. Byte order is the order. A version is an element at its point. */
#define PARLEY_POINT_BYTES (8 + PARLEY_DIGEST_BYTES)
struct parley_point {
    uint8_t bytes[PARLEY_POINT_BYTES];
};

#ifdef __cplusplus
}
#endif

#endif
