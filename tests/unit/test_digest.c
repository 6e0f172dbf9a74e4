/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/db_util.h"

#include "base/writer.h"
#include "core/digest.h"
#include "core/hash.h"

/* The layout of digest.h, written out by hand. */
static void digest_is_the_documented_sha256(void **state)
{
    (void)state;
    static const uint8_t layout[] = { 3,   0, 0, 0,   0, 0, 0,   0,   0,   5,    0,    1,
                                      'c', 0, 1, 'm', 0, 3, 'a', 'n', 'n', 0x92, 0xa0, 0xa0 };
    struct parley_version v = { .name_space = pl_span_text("ignored"),
                                .conversation = pl_span_text("c"),
                                .id = pl_span_text("m"),
                                .kind = PARLEY_KIND_MESSAGE,
                                .time = 5,
                                .origin = pl_span_text("ann"),
                                .body = pl_span_of(layout + sizeof layout - 3, 3) };
    uint8_t digest[PARLEY_DIGEST_BYTES], full[PL_SHA256_BYTES];
    pl_digest_of(&v, digest);
    pl_sha256_of(pl_span_of(layout, sizeof layout), full);
    assert_memory_equal(full, digest, sizeof digest);
}

static void digest_of_a_large_body_does_not_depend_on_its_path(void **state)
{
    (void)state;
    uint8_t flat[24 + 4096], digest[PARLEY_DIGEST_BYTES], full[PL_SHA256_BYTES];
    for (size_t len = 500; len < 530; len++) {
        struct pl_writer w = pl_writer_over(flat, sizeof flat);
        pl_write_u8(&w, 2);
        pl_write_u8(&w, 0);
        pl_write_u64(&w, 7);
        for (int i = 0; i < 3; i++) {
            pl_write_u16(&w, 1);
            pl_write_u8(&w, 'x');
        }
        size_t head = w.len;
        memset(flat + head, 'b', len);
        struct parley_span x = pl_span_text("x");
        struct parley_version v = { .conversation = x,
                                    .id = x,
                                    .origin = x,
                                    .kind = PARLEY_KIND_HEADER,
                                    .time = 7,
                                    .body = pl_span_of(flat + head, len) };
        pl_digest_of(&v, digest);
        pl_sha256_of(pl_span_of(flat, head + len), full);
        assert_memory_equal(full, digest, sizeof digest);
    }
}

static void digest_sums_carry_and_wrap_modulo_2_to_128(void **state)
{
    (void)state;
    uint8_t sum[PARLEY_DIGEST_BYTES], one[PARLEY_DIGEST_BYTES] = { 0 };
    uint8_t zero[PARLEY_DIGEST_BYTES] = { 0 }, carried[PARLEY_DIGEST_BYTES] = { 0 };
    one[15] = 1;
    memset(sum, 0xff, sizeof sum);
    pl_digest_add(sum, one);
    assert_memory_equal(zero, sum, sizeof sum);
    pl_digest_sub(sum, one);
    assert_int_equal(0xff, sum[0]);
    memset(sum, 0, 8);
    pl_digest_add(sum, one);
    carried[7] = 1;
    assert_memory_equal(carried, sum, sizeof sum);
}

static void root_equality_needs_count_and_sum(void **state)
{
    (void)state;
    struct parley_root a = { .count = 1 }, b = { .count = 1 };
    assert_true(pl_root_equal(&a, &b));
    b.sum[15] = 1;
    assert_false(pl_root_equal(&a, &b));
    b = (struct parley_root){ .count = 2 };
    assert_false(pl_root_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_is_the_documented_sha256),
        cmocka_unit_test(digest_of_a_large_body_does_not_depend_on_its_path),
        cmocka_unit_test(digest_sums_carry_and_wrap_modulo_2_to_128),
        cmocka_unit_test(root_equality_needs_count_and_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
