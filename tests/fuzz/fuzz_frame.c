/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the frame splitter and, behind it, every decoder of a handshake message. Checked: a frame
 * that is refused is refused from its first five bytes already, a whole one lies inside the input
 * and within its limits, and what decodes encodes and decodes again.
 */
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/msg.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hello(struct parley_span body)
{
    struct pl_msg_hello hello;
    struct pl_msg_hello again;
    uint8_t buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    if (pl_msg_hello_decode(body, &hello) != PARLEY_OK)
        return;
    pl_msg_hello_encode(&hello, &w);
    CHECK(w.err == PARLEY_OK && w.len <= body.len);
    CHECK(pl_msg_hello_decode(pl_writer_span(&w), &again) == PARLEY_OK);
    CHECK(pl_span_equal(hello.backend_id, again.backend_id));
}

static void check_proof(struct parley_span body)
{
    struct pl_msg_proof proof;
    uint8_t buf[1024];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    if (pl_msg_proof_decode(body, &proof) != PARLEY_OK)
        return;
    pl_msg_proof_encode(&proof, &w);
    CHECK(w.err == PARLEY_OK && w.len <= body.len);
}

static void check_join(struct parley_span body)
{
    struct pl_msg_join join;
    struct pl_msg_joined joined;
    uint8_t buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    if (pl_msg_join_decode(body, &join) == PARLEY_OK)
        pl_msg_join_encode(&join, &w);
    else if (pl_msg_joined_decode(body, &joined) == PARLEY_OK)
        pl_msg_joined_encode(&joined, &w);
    CHECK(w.err == PARLEY_OK && w.len <= body.len);
}

static void check_bye(struct parley_span body)
{
    struct pl_msg_bye bye;
    if (pl_msg_bye_decode(body, &bye) == PARLEY_OK)
        CHECK(pl_bye_text(bye.code) != NULL);
}

static void check_whole(const struct pl_frame *frame, struct parley_span input, size_t need)
{
    CHECK(frame->bytes.ptr == input.ptr && frame->bytes.len == need && need <= input.len);
    CHECK(frame->body.len + PL_FRAME_HEADER_BYTES == need);
    CHECK(frame->body.len <= pl_frame_body_max((uint32_t)frame->type));
    check_hello(frame->body);
    check_proof(frame->body);
    check_join(frame->body);
    check_bye(frame->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_span left = pl_span_of(data, size);
    for (;;) {
        struct pl_frame frame;
        struct pl_frame early;
        bool whole = false;
        bool early_whole = false;
        size_t need = 0;
        size_t early_need = 0;
        parley_err err = pl_frame_split(left, &frame, &whole, &need);
        struct parley_span head =
            pl_span_of(left.ptr, pl_min_size(left.len, PL_FRAME_HEADER_BYTES));
        CHECK(err == pl_frame_split(head, &early, &early_whole, &early_need));
        if (err != PARLEY_OK)
            return 0;
        CHECK(need > (whole ? 0 : left.len) && need <= PL_FRAME_BYTES_MAX);
        if (!whole)
            return 0;
        check_whole(&frame, left, need);
        left = pl_span_after(left, need);
    }
}
