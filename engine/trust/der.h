/* SPDX-License-Identifier: Apache-2.0
 *
 * The little of DER (X.690) that keys and certificates need: a strict reader on top of pl_reader
 * and a writer that fills its buffer from the end, so that every length is known when its header is
 * written. Tags are one byte, lengths are definite, minimal and below 65536.
 *
 * Bytes from outside go through this reader and never through BearSSL's decoders (the private key
 * decoder of 0.6 writes past its context).
 */
#ifndef PL_DER_H
#define PL_DER_H

#include "base/reader.h"

enum pl_der_tag {
    PL_DER_BOOLEAN = 0x01,
    PL_DER_INTEGER = 0x02,
    PL_DER_BIT_STRING = 0x03,
    PL_DER_OCTET_STRING = 0x04,
    PL_DER_NULL = 0x05,
    PL_DER_OID = 0x06,
    PL_DER_UTF8_STRING = 0x0c,
    PL_DER_UTC_TIME = 0x17,
    PL_DER_GENERALIZED_TIME = 0x18,
    PL_DER_SEQUENCE = 0x30,
    PL_DER_SET = 0x31,
    PL_DER_CONTEXT_0 = 0xa0, /* constructed [0] */
    PL_DER_CONTEXT_3 = 0xa3  /* constructed [3] */
};

/* The tag of the next element without moving, or 0 at the end or after a failure. */
uint8_t pl_der_peek(const struct pl_reader *r);

/* Moves over one element with this tag and lends its contents. Errors: EMALFORMED. */
struct parley_span pl_der_read(struct pl_reader *r, uint8_t tag);
/* The same, lending the element with its header: what a signature covers. */
struct parley_span pl_der_read_whole(struct pl_reader *r, uint8_t tag);
/* A reader over the contents; it carries the failure of `r` if there is one. */
struct pl_reader pl_der_enter(struct pl_reader *r, uint8_t tag);
/* Ends an entered reader: its failure, or bytes left in it, fail `r`. */
void pl_der_leave(struct pl_reader *r, const struct pl_reader *inner);
/* A non-negative INTEGER as big-endian bytes without leading zeros; zero is the empty span.
 * Errors: EMALFORMED (negative, not minimal), ETOOBIG (above `max` bytes). */
struct parley_span pl_der_read_uint(struct pl_reader *r, size_t max);
/* A BIT STRING of whole bytes. */
struct parley_span pl_der_read_bits(struct pl_reader *r);
/* Fails `r` with `err` unless the next element, header included, is exactly `expected`. */
void pl_der_expect(struct pl_reader *r, struct parley_span expected, parley_err err);

/* Writes backwards: the last field first. The first overflow sticks (EFULL). */
struct pl_der_writer {
    uint8_t *ptr;
    size_t at; /* index of the first byte written; everything above it is written */
    size_t cap;
    parley_err err;
};

struct pl_der_writer pl_der_writer_over(uint8_t *buf, size_t cap);
/* Where the writer stands; give it to pl_der_wrap once the contents are written. */
size_t pl_der_mark(const struct pl_der_writer *w);
void pl_der_put_bytes(struct pl_der_writer *w, struct parley_span bytes);
void pl_der_put_u8(struct pl_der_writer *w, uint8_t byte);
/* Puts a header before everything written since `mark`. */
void pl_der_wrap(struct pl_der_writer *w, uint8_t tag, size_t mark);
/* A whole element. */
void pl_der_put(struct pl_der_writer *w, uint8_t tag, struct parley_span contents);
/* A non-negative INTEGER from big-endian bytes. */
void pl_der_put_uint(struct pl_der_writer *w, struct parley_span bytes);
/* Makes a BIT STRING of whole bytes of everything written since `mark`. */
void pl_der_wrap_bits(struct pl_der_writer *w, size_t mark);
/* What has been written so far; lent until the next write. */
struct parley_span pl_der_written(const struct pl_der_writer *w);
/* Moves the result to the start of the buffer. */
PL_MUST_USE parley_err pl_der_finish(struct pl_der_writer *w, size_t *len);

#endif
