/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates of certificates (RFC 5280, 4.1.2.5): seconds since 1970 as UTCTime, and from 2050 on as
 * GeneralizedTime. Years 1970 to 9999.
 */
#ifndef PL_DER_TIME_H
#define PL_DER_TIME_H

#include "trust/der.h"

/* 9999-12-31T23:59:59Z: the last second that a certificate can name. */
#define PL_DER_SECONDS_MAX INT64_C(253402300799)

/* `seconds` is 0 to PL_DER_SECONDS_MAX. */
void pl_der_put_time(struct pl_der_writer *w, int64_t seconds);
/* Errors: EMALFORMED. */
int64_t pl_der_read_time(struct pl_reader *r);

#endif
