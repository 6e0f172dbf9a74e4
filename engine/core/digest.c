/* SPDX-License-Identifier: Apache-2.0
 *
 * Leaf digests and their sums; the byte layout is in digest.h and is part of the protocol.
 */
#include "core/digest.h"

#include "base/writer.h"
#include "core/hash.h"

/* kind, flags, time and three length-prefixed names. */
#define HEAD_BYTES_MAX (1 + 1 + 8 + 3 * 2 + 2 * PARLEY_ID_BYTES_MAX + PARLEY_ORIGIN_BYTES_MAX)

/* A body up to this size is hashed in the same call as the head: one copy is cheaper than the
 * buffering of a second update. */
#define SMALL_BODY_BYTES_MAX 512

static void write_name(struct pl_writer *w, struct parley_span name)
{
    pl_write_u16(w, (uint16_t)name.len);
    pl_write_span(w, name);
}

void pl_digest_of(const struct parley_version *version, uint8_t out[PARLEY_DIGEST_BYTES])
{
    PL_ASSERT(version->conversation.len <= PARLEY_ID_BYTES_MAX);
    PL_ASSERT(version->id.len <= PARLEY_ID_BYTES_MAX);
    PL_ASSERT(version->origin.len <= PARLEY_ORIGIN_BYTES_MAX);
    uint8_t buf[HEAD_BYTES_MAX + SMALL_BODY_BYTES_MAX];
    uint8_t full[PL_SHA256_BYTES];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_write_u8(&w, (uint8_t)version->kind);
    pl_write_u8(&w, (uint8_t)version->flags);
    pl_write_u64(&w, version->time);
    write_name(&w, version->conversation);
    write_name(&w, version->id);
    write_name(&w, version->origin);
    struct parley_span rest = version->body;
    if (rest.len <= SMALL_BODY_BYTES_MAX) {
        pl_write_span(&w, rest);
        rest.len = 0;
    }
    PL_ASSERT(w.err == PARLEY_OK);
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, buf, w.len);
    if (rest.len != 0)
        pl_sha256_update(&h, rest.ptr, rest.len);
    pl_sha256_final(&h, full);
    memcpy(out, full, PARLEY_DIGEST_BYTES);
}

void pl_digest_add(uint8_t sum[PARLEY_DIGEST_BYTES], const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    uint64_t low = pl_get_be(sum + 8, 8);
    uint64_t low_sum = low + pl_get_be(digest + 8, 8);
    uint64_t carry = low_sum < low ? 1 : 0;
    uint64_t high_sum = pl_get_be(sum, 8) + pl_get_be(digest, 8) + carry;
    pl_put_be(sum, high_sum, 8);
    pl_put_be(sum + 8, low_sum, 8);
}

void pl_digest_sub(uint8_t sum[PARLEY_DIGEST_BYTES], const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    uint64_t low = pl_get_be(sum + 8, 8);
    uint64_t take = pl_get_be(digest + 8, 8);
    uint64_t borrow = low < take ? 1 : 0;
    uint64_t high_sum = pl_get_be(sum, 8) - pl_get_be(digest, 8) - borrow;
    pl_put_be(sum, high_sum, 8);
    pl_put_be(sum + 8, low - take, 8);
}

bool pl_root_equal(const struct parley_root *a, const struct parley_root *b)
{
    return a->count == b->count && memcmp(a->sum, b->sum, PARLEY_DIGEST_BYTES) == 0;
}
