/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: u32 length of what follows, u8 message type, body. A frame that cannot be right is
 * refused from its first four or five bytes, before its body is buffered.
 *
 * Pure; any thread.
 */
#ifndef PL_FRAME_H
#define PL_FRAME_H

#include "base/span.h"
#include "proto/wire.h"

#define PL_FRAME_LENGTH_BYTES   4
#define PL_FRAME_BODY_BYTES_MAX (PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES)

struct pl_frame {
    enum pl_message_type type;
    struct parley_span body;
    struct parley_span bytes; /* header and body */
};

/* The greatest body of a type, from the table; 0 for a number that is not in it. */
size_t pl_frame_body_max(uint32_t type);
bool pl_frame_is_known(uint32_t type);

/* Looks at the frame at the start of `bytes`. Whole: `*out` is lent from `bytes`, `*need` is its
 * length. Not whole: `*whole` is false and `*need` is how many bytes of it must be there before
 * another look can say more (4, 5 or the whole frame).
 *
 * Errors: EMALFORMED (length 0), ETOOBIG (above the limit of all frames or of its type), EPROTO
 *         (unknown type); each as soon as the bytes that prove it are there. */
PL_MUST_USE parley_err pl_frame_split(struct parley_span bytes, struct pl_frame *out, bool *whole,
                                      size_t *need);

/* Fills the header of a frame whose body, within its type's limit, has `body_len` bytes. */
void pl_frame_put_header(uint8_t at[PL_FRAME_HEADER_BYTES], enum pl_message_type type,
                         size_t body_len);

#endif
