/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of messages, packed with Zstandard. Each is one frame of zstd (RFC 8878) by itself: no
 * state is kept between two of them, so that one packer serves all sessions of a node, and a
 * message that was lost or dropped concerns no other. A window over earlier messages would make a
 * tenth less of the data set, for two megabytes a session.
 *
 * Lifetime: create -> pack and unpack, any number -> destroy. Memory: one allocation from the env,
 * about 0.8 MB; nothing later. Level 3: measured against 1 and 6 in docs/DEPENDENCIES.md.
 * Pure; one thread.
 */
#ifndef PL_ZIP_H
#define PL_ZIP_H

#include "base/span.h"
#include <parley/env.h>

/* Bodies below this are sent as they are: the head of a zstd frame takes 11 bytes, and a short text
 * repeats little. */
#define PL_ZIP_BYTES_MIN PL_LIMIT(192u, 32u)

struct pl_zip;
PL_MUST_USE parley_err pl_zip_create(const struct parley_env *env, struct pl_zip **out);
void pl_zip_destroy(struct pl_zip *zip); /* NULL is allowed */

/* False: `plain` (at most PL_FRAME_BYTES_MAX) would not be shorter by two bytes. *out is lent until
 * the next call. */
bool pl_zip_pack(struct pl_zip *zip, struct parley_span plain, struct parley_span *out);

/* The frame must name its content's length, and that is compared with `cap` before anything is
 * unpacked. Errors: EPROTO for all but one whole frame of 1 to `cap` bytes. */
PL_MUST_USE parley_err pl_zip_unpack(struct pl_zip *zip, struct parley_span packed, uint8_t *out,
                                     size_t cap, size_t *len);

#endif
