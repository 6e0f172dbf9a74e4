/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON (RFC 8259) to MessagePack and back, in one pass, into bounded buffers, without allocation.
 *
 * To MessagePack. Strict: UTF-8 checked (no surrogates, no overlong forms), \u escapes paired, no
 * leading zeros, no trailing comma, no NaN, no byte order mark, nothing after the value. Names are
 * not checked for duplicates and keep their order. Numbers without fraction and exponent from
 * INT64_MIN to UINT64_MAX are integers (so -0 is 0); all others become the nearest double; one that
 * overflows a double is EMALFORMED. NUL characters (\u0000) are kept.
 *
 * The encoding is the only one: integers, strings and containers in their shortest form, doubles in
 * 64 bits. Texts that differ only in white space and escapes give equal bytes, and what came from
 * JSON comes back from JSON byte for byte.
 */
#ifndef PL_JSON_H
#define PL_JSON_H

#include "base/reader.h"
#include "base/writer.h"

/* Room that always suffices for a JSON text of `len` bytes. "1e1," becomes 9 bytes and is the worst
 * case; text without such numbers needs at most len + 3. */
#define PL_JSON_MP_BYTES_MAX(len) ((len) / 4 * 9 + 16)

/* Where a JSON text is wrong. */
struct pl_json_error {
    size_t offset;    /* bytes from the start of the text */
    const char *what; /* static text, for example "expected ',' or '}'" */
};

/* Converts one JSON text and appends it. A container is written with a head of one byte; when it
 * closes with more than 15 elements its content moves up by two or four bytes. A string with
 * escapes needs room for its escaped form for a moment. On an error the length of `out` is as
 * before.
 * Errors: EMALFORMED, EUTF8 and ETOOBIG (deeper than PARLEY_DEPTH_MAX), for which `error` is filled
 * unless it is NULL; EFULL without room, which sticks in `out`. */
PL_MUST_USE parley_err pl_json_to_mp(struct parley_span json, struct pl_writer *out,
                                     struct pl_json_error *error);

/* Converts one MessagePack value at the reader to JSON text and appends it, without white space.
 * Strings are escaped minimally; bin becomes a string in standard base 64; doubles print as
 * pl_decimal_format says ("3.0", "1e300") and read back equal; NaN and infinity, which JSON cannot
 * say, print as null. On an error the length of `out` is as before.
 * Errors: EMALFORMED; EUTF8; ETYPE for ext and for a name in a map that is not a string; ETOOBIG
 * (depth), all of which stick in `in`; EFULL, which sticks in `out`. */
PL_MUST_USE parley_err pl_mp_to_json(struct pl_reader *in, struct pl_writer *out);

/* Appends `text` as a JSON string with quotes; U+FFFD stands in for each byte that is not UTF-8. */
void pl_json_write_string(struct pl_writer *out, struct parley_span text);

#endif
