/* SPDX-License-Identifier: Apache-2.0
 *
 * Base 64 of RFC 4648: the standard alphabet with padding, and the URL alphabet without. Decoding
 * is strict: one text for each byte string. No white space, padding exactly where it belongs (never
 * in the URL form), and the unused bits of the last character must be zero.
 */
#ifndef PL_BASE64_H
#define PL_BASE64_H

#include "base/span.h"
#include "base/writer.h"

/* Characters for `len` bytes. */
#define PL_BASE64_LEN(len)    (((len) + 2) / 3 * 4)
#define PL_BASE64URL_LEN(len) (((len)*4 + 2) / 3)

/* Appends the encoding, without a NUL. */
void pl_base64_write(struct pl_writer *w, struct parley_span bytes);
void pl_base64url_write(struct pl_writer *w, struct parley_span bytes);

/* Fills `out` with at most `cap` bytes and `*len` with how many. On an error `*len` is untouched,
 * the bytes of `out` are not.
 * Errors: EMALFORMED; EFULL when the result has more than `cap` bytes. */
PL_MUST_USE parley_err pl_base64_decode(struct parley_span text, uint8_t *out, size_t cap,
                                        size_t *len);
PL_MUST_USE parley_err pl_base64url_decode(struct parley_span text, uint8_t *out, size_t cap,
                                           size_t *len);

#endif
