/* SPDX-License-Identifier: Apache-2.0
 *
 * Splitting and heading of frames. The length is compared with its limits before any arithmetic.
 */
#include "proto/frame.h"

#include "base/writer.h"

#define BODY_MAX_CHECK(number, name, max)                                                          \
    _Static_assert((max) <= PL_FRAME_BODY_BYTES_MAX, #name " must fit a frame");
PL_MESSAGE_TABLE(BODY_MAX_CHECK)
#undef BODY_MAX_CHECK

size_t pl_frame_body_max(uint32_t type)
{
    static const size_t body_max[] = {
#define BODY_MAX(number, name, max) [number] = (max),
        PL_MESSAGE_TABLE(BODY_MAX)
#undef BODY_MAX
    };
    return type < PL_ARRAY_LEN(body_max) ? body_max[type] : 0;
}

bool pl_frame_is_known(uint32_t type)
{
    return pl_frame_body_max(type) != 0;
}

static PL_MUST_USE parley_err check_length(uint64_t length)
{
    if (length == 0)
        return PARLEY_EMALFORMED;
    return length > PL_FRAME_BYTES_MAX - PL_FRAME_LENGTH_BYTES ? PARLEY_ETOOBIG : PARLEY_OK;
}

parley_err pl_frame_split(struct parley_span bytes, struct pl_frame *out, bool *whole, size_t *need)
{
    if (bytes.len < PL_FRAME_LENGTH_BYTES) {
        *whole = false;
        *need = PL_FRAME_LENGTH_BYTES;
        return PARLEY_OK;
    }
    uint64_t length = pl_get_be(bytes.ptr, PL_FRAME_LENGTH_BYTES);
    PL_TRY(check_length(length));
    if (bytes.len < PL_FRAME_HEADER_BYTES) {
        *whole = false;
        *need = PL_FRAME_HEADER_BYTES;
        return PARLEY_OK;
    }
    uint8_t type = bytes.ptr[PL_FRAME_LENGTH_BYTES];
    if (!pl_frame_is_known(type))
        return PARLEY_EPROTO;
    if (length - 1 > pl_frame_body_max(type))
        return PARLEY_ETOOBIG;
    size_t total = PL_FRAME_LENGTH_BYTES + (size_t)length;
    *need = total;
    *whole = bytes.len >= total;
    if (*whole)
        *out = (struct pl_frame){
            .type = (enum pl_message_type)type,
            .body = pl_span_of(bytes.ptr + PL_FRAME_HEADER_BYTES, total - PL_FRAME_HEADER_BYTES),
            .bytes = pl_span_of(bytes.ptr, total),
        };
    return PARLEY_OK;
}

void pl_frame_put_header(uint8_t at[PL_FRAME_HEADER_BYTES], enum pl_message_type type,
                         size_t body_len)
{
    PL_ASSERT(pl_frame_is_known(type));
    PL_ASSERT(body_len <= pl_frame_body_max(type));
    pl_put_be(at, body_len + 1, PL_FRAME_LENGTH_BYTES);
    at[PL_FRAME_LENGTH_BYTES] = (uint8_t)type;
}
