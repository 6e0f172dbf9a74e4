/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts packed with gzip (RFC 1952), for HTTP clients that ask for it. Pure; memory comes from the
 * env and is given back before the call returns: about 270 KB to pack, 50 KB to unpack.
 */
#ifndef PL_GZIP_H
#define PL_GZIP_H

#include "base/span.h"
#include <parley/env.h>

/* Errors: EFULL (what came of it does not fit `cap` bytes), ENOMEM. */
PL_MUST_USE parley_err pl_gzip_pack(const struct parley_env *env, struct parley_span plain,
                                    uint8_t *out, size_t cap, size_t *len);

/* One whole gzip that holds `len` bytes. Errors: ECORRUPT (it does not, or is none), ENOMEM. */
PL_MUST_USE parley_err pl_gzip_unpack(const struct parley_env *env, struct parley_span packed,
                                      uint8_t *out, size_t len);

#endif
