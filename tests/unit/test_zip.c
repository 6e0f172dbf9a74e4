/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "proto/zip.h"

#include <stdlib.h>

#define TEXT_BYTES 4000

struct box {
    struct test_env t;
    struct pl_zip *zip;
    uint8_t text[TEXT_BYTES];
    uint8_t packed[TEXT_BYTES];
    size_t packed_len;
    uint8_t out[PL_FRAME_BYTES_MAX + 64];
    size_t len;
};

static void fill_text(uint8_t *out, size_t len)
{
    static const char words[] = "would you like a table for two at half past eleven tomorrow? ";
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)words[(i + i / 97) % (sizeof words - 1)];
}

static void fill_noise(uint8_t *out, size_t len)
{
    uint64_t seed = 5;
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        out[i] = (uint8_t)(seed >> 56);
    }
}

static struct box *box_make(void)
{
    struct box *b = calloc(1, sizeof *b);
    struct parley_span packed;
    assert_non_null(b);
    test_env_init(&b->t);
    assert_ok(pl_zip_create(&b->t.env, &b->zip));
    fill_text(b->text, TEXT_BYTES);
    assert_true(pl_zip_pack(b->zip, pl_span_of(b->text, TEXT_BYTES), &packed));
    memcpy(b->packed, packed.ptr, packed.len);
    b->packed_len = packed.len;
    return b;
}

static void box_drop(struct box *b)
{
    pl_zip_destroy(b->zip);
    assert_int_equal(0, b->t.allocs);
    free(b);
}

static parley_err unpack(struct box *b, const uint8_t *bytes, size_t len, size_t cap)
{
    return pl_zip_unpack(b->zip, pl_span_of(bytes, len), b->out, cap, &b->len);
}

static void zip_gives_back_what_it_packed(void **state)
{
    struct box *b = box_make();
    uint8_t *plain = malloc(PL_FRAME_BYTES_MAX);
    (void)state;
    assert_non_null(plain);
    fill_text(plain, PL_FRAME_BYTES_MAX);
    for (size_t len = 160; len <= PL_FRAME_BYTES_MAX; len = len * 3 / 2 + 1) {
        struct parley_span packed;
        assert_true(pl_zip_pack(b->zip, pl_span_of(plain, len), &packed));
        assert_true(packed.len + 2 <= len);
        assert_ok(unpack(b, packed.ptr, packed.len, len));
        assert_int_equal(len, b->len);
        assert_memory_equal(plain, b->out, len);
    }
    free(plain);
    box_drop(b);
}

static void zip_packs_the_same_the_same_way_whatever_came_before(void **state)
{
    struct box *b = box_make();
    struct parley_span packed;
    (void)state;
    for (size_t len = 100; len < TEXT_BYTES; len += 333)
        assert_true(pl_zip_pack(b->zip, pl_span_of(b->text, len), &packed));
    assert_true(pl_zip_pack(b->zip, pl_span_of(b->text, TEXT_BYTES), &packed));
    assert_int_equal(b->packed_len, packed.len);
    assert_memory_equal(b->packed, packed.ptr, packed.len);
    box_drop(b);
}

static void zip_leaves_what_would_not_get_shorter(void **state)
{
    struct box *b = box_make();
    struct parley_span packed;
    uint8_t noise[TEXT_BYTES];
    (void)state;
    fill_noise(noise, sizeof noise);
    assert_false(pl_zip_pack(b->zip, pl_span_of(noise, sizeof noise), &packed));
    for (size_t len = 0; len < 12; len++)
        assert_false(pl_zip_pack(b->zip, pl_span_of(b->text, len), &packed));
    assert_true(pl_zip_pack(b->zip, pl_span_of(b->text, TEXT_BYTES), &packed)); /* still works */
    box_drop(b);
}

static void zip_refuses_a_frame_cut_anywhere(void **state)
{
    struct box *b = box_make();
    (void)state;
    for (size_t len = 0; len < b->packed_len; len++)
        assert_err(PARLEY_EPROTO, unpack(b, b->packed, len, TEXT_BYTES));
    assert_ok(unpack(b, b->packed, b->packed_len, TEXT_BYTES));
    box_drop(b);
}

/* 16 MiB of zeros in some hundred bytes: refused by the length it names. One that names a small
 * length and holds more is refused where that length ends, and nothing is written behind it. */
static void zip_refuses_a_bomb(void **state)
{
    /* Magic; single segment and a length of 4 bytes: 2^24; a last block that repeats one byte. */
    static const uint8_t honest[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 1, 3, 0, 1, 0 };
    /* The same with a length of 1 byte: 16. Its block says 65,536. */
    static const uint8_t liar[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 16, 0x03, 0x00, 0x08, 0x55 };
    struct box *b = box_make();
    (void)state;
    assert_err(PARLEY_EPROTO, unpack(b, honest, sizeof honest, PL_FRAME_BYTES_MAX));
    memset(b->out, 0xee, sizeof b->out);
    assert_err(PARLEY_EPROTO, unpack(b, liar, sizeof liar, PL_FRAME_BYTES_MAX));
    for (size_t i = 16; i < sizeof b->out; i++)
        assert_int_equal(0xee, b->out[i]);
    assert_err(PARLEY_EPROTO, unpack(b, b->packed, b->packed_len, TEXT_BYTES - 1));
    box_drop(b);
}

static void zip_refuses_what_is_not_one_frame_of_version_1(void **state)
{
    static const uint8_t skipped[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x' };
    static const uint8_t old[] = { 0x27, 0xb5, 0x2f, 0xfd, 0x20, 1, 9, 0, 0, 'x' };
    static const uint8_t empty[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0 };
    static const uint8_t unsized_one[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, 0x30, 9, 0, 0, 'x' };
    struct box *b = box_make();
    uint8_t two[2 * TEXT_BYTES];
    (void)state;
    assert_err(PARLEY_EPROTO, unpack(b, skipped, sizeof skipped, TEXT_BYTES));
    assert_err(PARLEY_EPROTO, unpack(b, old, sizeof old, TEXT_BYTES));
    assert_err(PARLEY_EPROTO, unpack(b, empty, sizeof empty, TEXT_BYTES));
    assert_err(PARLEY_EPROTO, unpack(b, unsized_one, sizeof unsized_one, TEXT_BYTES));
    memcpy(two, b->packed, b->packed_len);
    memcpy(two + b->packed_len, b->packed, b->packed_len);
    assert_err(PARLEY_EPROTO, unpack(b, two, 2 * b->packed_len, sizeof b->out));
    memcpy(two + b->packed_len, skipped, sizeof skipped);
    assert_err(PARLEY_EPROTO, unpack(b, two, b->packed_len + sizeof skipped, sizeof b->out));
    box_drop(b);
}

/* A changed byte gives an error or other bytes; never more than were asked for. */
static void zip_survives_garbage(void **state)
{
    struct box *b = box_make();
    (void)state;
    for (size_t i = 0; i < b->packed_len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            b->packed[i] ^= (uint8_t)(1u << bit);
            if (unpack(b, b->packed, b->packed_len, TEXT_BYTES) == PARLEY_OK)
                assert_in_range(b->len, 1, TEXT_BYTES);
            b->packed[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_ok(unpack(b, b->packed, b->packed_len, TEXT_BYTES));
    assert_memory_equal(b->text, b->out, TEXT_BYTES);
    box_drop(b);
}

static void zip_needs_its_one_allocation(void **state)
{
    struct test_env t;
    struct pl_zip *zip = NULL;
    (void)state;
    test_env_init(&t);
    t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_zip_create(&t.env, &zip));
    assert_int_equal(0, t.allocs);
    pl_zip_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zip_gives_back_what_it_packed),
        cmocka_unit_test(zip_packs_the_same_the_same_way_whatever_came_before),
        cmocka_unit_test(zip_leaves_what_would_not_get_shorter),
        cmocka_unit_test(zip_refuses_a_frame_cut_anywhere),
        cmocka_unit_test(zip_refuses_a_bomb),
        cmocka_unit_test(zip_refuses_what_is_not_one_frame_of_version_1),
        cmocka_unit_test(zip_survives_garbage),
        cmocka_unit_test(zip_needs_its_one_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
