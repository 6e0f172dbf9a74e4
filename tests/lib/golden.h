/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames as they stand in tests/golden: pairs of hex digits, blanks, and comments from '#' on.
 */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "lib/testlib.h"

#include "base/writer.h"
#include "proto/wire.h"

#define GOLDEN_BYTES_MAX 2048

/* Reads tests/golden/<name>.hex. */
size_t golden_read(const char *name, uint8_t out[GOLDEN_BYTES_MAX]);
/* The body of the frame that it holds. */
struct parley_span golden_body(const char *name, enum pl_message_type type,
                               uint8_t out[GOLDEN_BYTES_MAX]);
/* The frame of a body. */
size_t golden_frame(enum pl_message_type type, const struct pl_writer *body,
                    uint8_t out[GOLDEN_BYTES_MAX]);
/* The frame of this body is the golden one, byte for byte. */
void golden_check(const char *name, enum pl_message_type type, const struct pl_writer *body);

#endif
