/* SPDX-License-Identifier: Apache-2.0
 *
 * Times as text. Internally a time is microseconds since 1970 UTC; as text it is ISO 8601 with
 * microseconds. Years 1970 to 9999.
 */
#ifndef PL_ISO8601_H
#define PL_ISO8601_H

#include "base/span.h"

/* Length of "2020-01-01T00:00:44.000000Z". */
#define PL_ISO8601_BYTES 27

/* Accepts YYYY-MM-DD, 'T', 't' or a space, HH:MM[:SS[.f{1,9}]], then nothing (UTC), 'Z', 'z' or
 * (+|-)HH[:]MM. Digits after the sixth of a second are cut. Second 60 is read as 59.999999.
 * Errors: EMALFORMED; ETOOBIG outside the years. */
PL_MUST_USE parley_err pl_iso8601_parse(struct parley_span text, uint64_t *us);

/* Writes exactly PL_ISO8601_BYTES characters, always with six decimals and 'Z', no NUL.
 * `us` must be below year 10000. */
void pl_iso8601_format(uint64_t us, char out[PL_ISO8601_BYTES]);

#define PL_ISO8601_US_MAX UINT64_C(253402300799999999)

#endif
