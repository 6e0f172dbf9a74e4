/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubles as decimal text, without libc: no locale, no rounding mode surprise, and the same digits
 * on every machine, since equal values must give equal stored bytes.
 */
#ifndef PL_DECIMAL_H
#define PL_DECIMAL_H

#include "base/span.h"

/* Room for the longest text: "-2.2250738585072014e-308". */
#define PL_DECIMAL_BYTES_MAX 24

/* Reads a number of the JSON grammar, the whole of `text`, as the nearest double (ties to even).
 * What is too small becomes zero with its sign.
 * Errors: EMALFORMED (grammar); ETOOBIG (overflows a double). */
PL_MUST_USE parley_err pl_decimal_parse(struct parley_span text, double *value);

/* Writes a finite double with 15 digits when they read back equal, else 16, else 17, without
 * trailing zeros; so a number that was written with up to 15 digits comes back as it was. From 1e-5
 * to below 1e17 in plain form with at least one decimal ("3.0"), else as "1.5e-7". Returns the
 * length; no NUL. */
size_t pl_decimal_format(double value, char out[PL_DECIMAL_BYTES_MAX]);

#endif
