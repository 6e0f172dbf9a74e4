/* SPDX-License-Identifier: Apache-2.0
 *
 * Contracts of net/proto/frame.c, proved by Frama-C WP (run.sh): for every sequence of bytes
 * pl_frame_split reads only what is there, says at most what the bytes prove, and lends a frame
 * that lies within them; pl_frame_put_header writes such a header. The source is included, not
 * copied. I18.
 */
#include "base/base.h"

/*@ requires \false; // an assertion that fails
    assigns \nothing;
    ensures \false; */
void parley_panic(const char *file, int line, const char *what);

#include "proto/frame.h"

/*@ logic integer be32{L}(uint8_t *p) =
        ((p[0] * 256 + p[1]) * 256 + p[2]) * 256 + p[3];
    predicate known(integer type) = 1 <= type <= 17;
    logic integer longest = PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES;
    logic integer body_most(integer type) = // PROTOCOL.md, section 2
        type == 1 || type == 4 || type == 12 ? 512 : type == 2 ? 21504 : type == 3 ? 1024 :
        type == 5 ? 16 : type == 6 ? 8192 : type == 8 ? 32 : type == 10 || type == 14 ? 4096 :
        type == 16 ? 2048 : type == 17 ? 128 :
        type == 7 || type == 9 || type == 11 || type == 13 || type == 15 ? longest : 0;
    logic integer most = PL_FRAME_BYTES_MAX - PL_FRAME_LENGTH_BYTES; */

/* That four bytes are this number is believed here (run.sh leaves `number` out) and tested in
 * tests/unit/test_writer.c: the prover has no theory of shifts. All else of both is proved. */
/*@ requires 1 <= width <= 8;
    requires \valid_read(at + (0 .. width - 1));
    assigns \nothing;
    ensures number: width == 4 ==> \result == be32(at); */
static inline uint64_t pl_get_be(const uint8_t *at, size_t width);

/*@ requires 1 <= width <= 8;
    requires \valid(at + (0 .. width - 1));
    assigns at[0 .. width - 1];
    ensures number: width == 4 && value <= UINT32_MAX ==> be32(at) == value; */
static inline void pl_put_be(uint8_t *at, uint64_t value, size_t width);

/*@ assigns \nothing;
    ensures length == 0 ==> \result == PARLEY_EMALFORMED;
    ensures length > most ==> \result == PARLEY_ETOOBIG;
    ensures 0 < length <= most ==> \result == PARLEY_OK; */
static parley_err check_length(uint64_t length);

/*@ assigns \nothing;
    ensures \result == body_most(type); */
size_t pl_frame_body_max(uint32_t type);

/*@ assigns \nothing;
    ensures \result <==> known(type); */
bool pl_frame_is_known(uint32_t type);

/*@ requires \valid_read(bytes.ptr + (0 .. bytes.len - 1));
    requires \valid(out) && \valid(whole) && \valid(need);
    requires \separated(out, whole, need, bytes.ptr + (0 .. bytes.len - 1));
    assigns *out, *whole, *need;
    ensures nothing_is_said_of_less:
        bytes.len < 4 ==> \result == PARLEY_OK && !*whole && *need == 4;
    ensures empty: bytes.len >= 4 && be32(bytes.ptr) == 0 ==> \result == PARLEY_EMALFORMED;
    ensures too_long: bytes.len >= 4 && be32(bytes.ptr) > most ==> \result == PARLEY_ETOOBIG;
    ensures type_to_come: bytes.len == 4 && 0 < be32(bytes.ptr) <= most ==>
        \result == PARLEY_OK && !*whole && *need == 5;
    ensures unknown: bytes.len > 4 && 0 < be32(bytes.ptr) <= most && !known(bytes.ptr[4]) ==>
        \result == PARLEY_EPROTO;
    ensures too_long_for_its_type: bytes.len > 4 && 0 < be32(bytes.ptr) <= most &&
        known(bytes.ptr[4]) && be32(bytes.ptr) - 1 > body_most(bytes.ptr[4]) ==>
        \result == PARLEY_ETOOBIG;
    ensures good: \result == PARLEY_OK && bytes.len > 4 ==>
        0 < be32(bytes.ptr) <= most && known(bytes.ptr[4]) &&
        be32(bytes.ptr) - 1 <= body_most(bytes.ptr[4]);
    ensures needs: \result == PARLEY_OK && bytes.len > 4 ==> *need == 4 + be32(bytes.ptr);
    ensures needs_a_frame: \result == PARLEY_OK ==> 4 <= *need <= PL_FRAME_BYTES_MAX;
    ensures whole: \result == PARLEY_OK && bytes.len > 4 ==> (*whole <==> bytes.len >= *need);
    ensures lent_type: \result == PARLEY_OK && *whole ==> out->type == bytes.ptr[4];
    ensures lent_bytes: \result == PARLEY_OK && *whole ==> out->bytes.ptr == bytes.ptr;
    ensures lent_len: \result == PARLEY_OK && *whole ==> out->bytes.len == *need <= bytes.len;
    ensures lent_body: \result == PARLEY_OK && *whole ==> out->body.ptr == bytes.ptr + 5;
    ensures lent_rest: \result == PARLEY_OK && *whole ==> out->body.len == *need - 5; */
parley_err pl_frame_split(struct parley_span bytes, struct pl_frame *out, bool *whole,
                          size_t *need);

/*@ requires \valid(at + (0 .. 4));
    requires known(type);
    requires body_len <= body_most(type);
    assigns at[0 .. 4];
    ensures be32(at) == body_len + 1;
    ensures at[4] == type; */
void pl_frame_put_header(uint8_t at[PL_FRAME_HEADER_BYTES], enum pl_message_type type,
                         size_t body_len);

#include "proto/frame.c"
