/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded MessagePack reader over borrowed bytes. It allocates nothing, and a claimed length is
 * compared with the bytes that are left before it is believed, so that five bytes cannot ask for a
 * gigabyte. Built on pl_reader: the first failure sticks and later reads return zero values.
 *
 * Failures: EMALFORMED (truncated, reserved byte), ETYPE (another type than asked), ETOOBIG.
 */
#ifndef PL_MP_READ_H
#define PL_MP_READ_H

#include "base/reader.h"

enum pl_mp_type {
    PL_MP_NIL,
    PL_MP_BOOL,
    PL_MP_UINT, /* a non-negative integer, whatever its encoding */
    PL_MP_INT,  /* a negative integer */
    PL_MP_FLOAT,
    PL_MP_STR,
    PL_MP_BIN,
    PL_MP_ARRAY,
    PL_MP_MAP,
    PL_MP_EXT,
    PL_MP_END /* no byte left, the reader has failed, or the byte 0xc1, which no read accepts */
};

/* The type of the next value, without moving. */
enum pl_mp_type pl_mp_peek(const struct pl_reader *r);

void pl_mp_read_nil(struct pl_reader *r);
bool pl_mp_read_bool(struct pl_reader *r);
uint64_t pl_mp_read_uint(struct pl_reader *r); /* ETYPE for a negative one */
int64_t pl_mp_read_int(struct pl_reader *r);   /* ETYPE above INT64_MAX */
double pl_mp_read_float(struct pl_reader *r);
/* Lends the bytes. Above `max` bytes: ETOOBIG. Strings are not checked for UTF-8 here. */
struct parley_span pl_mp_read_str(struct pl_reader *r, size_t max);
struct parley_span pl_mp_read_bin(struct pl_reader *r, size_t max);
/* The number of elements (of pairs, for a map). A count that cannot fit in the bytes left (one
 * byte an element, two a pair) is EMALFORMED; above `max` ETOOBIG. */
uint32_t pl_mp_read_array(struct pl_reader *r, uint32_t max);
uint32_t pl_mp_read_map(struct pl_reader *r, uint32_t max);
/* Moves over one whole value of any type and lends its encoding. Nesting above PARLEY_DEPTH_MAX is
 * ETOOBIG. Runs without recursion. */
struct parley_span pl_mp_read_any(struct pl_reader *r);

/* Checks that `bytes` is exactly one well-formed value: nesting, lengths, valid UTF-8 in every
 * string, no ext types. Errors: EMALFORMED, EUTF8, ETOOBIG (depth). */
PL_MUST_USE parley_err pl_mp_check(struct parley_span bytes);

#endif
