/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "core/hash.h"

#include <bearssl.h>

static void hash_gives_the_published_sha256_however_it_is_fed(void **state)
{
    (void)state;
    uint8_t expected[PL_SHA256_BYTES];
    uint8_t out[PL_SHA256_BYTES];
    assert_ok(pl_hex_decode(
        pl_span_text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), expected,
        sizeof expected));
    pl_sha256_of(pl_span_text("abc"), out);
    assert_memory_equal(expected, out, sizeof out);
    struct pl_sha256 h;
    pl_sha256_init(&h);
    for (size_t i = 0; i < 3; i++)
        pl_sha256_update(&h, &"abc"[i], 1);
    pl_sha256_update(&h, NULL, 0);
    pl_sha256_final(&h, out);
    assert_memory_equal(expected, out, sizeof out);
}

/* Of every length around the blocks of 64, in one piece and in two; BearSSL is the second opinion,
 * or, when it is what the build uses, at least the cut shows. */
static void hash_agrees_with_another_library_at_every_length(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint8_t expected[PL_SHA256_BYTES];
        uint8_t out[PL_SHA256_BYTES];
        br_sha256_context other;
        br_sha256_init(&other);
        br_sha256_update(&other, bytes, len);
        br_sha256_out(&other, expected);
        pl_sha256_of(pl_span_of(bytes, len), out);
        assert_memory_equal(expected, out, sizeof out);
        struct pl_sha256 h;
        pl_sha256_init(&h);
        pl_sha256_update(&h, bytes, len / 3);
        pl_sha256_update(&h, bytes + len / 3, len - len / 3);
        pl_sha256_final(&h, out);
        assert_memory_equal(expected, out, sizeof out);
    }
}

static void hash_of_nothing_works(void **state)
{
    (void)state;
    uint8_t out[PL_SHA256_BYTES];
    pl_sha256_of(pl_span_of(NULL, 0), out);
    assert_int_equal(0xe3, out[0]);
    assert_true(pl_xxh3_of(pl_span_of(NULL, 0)) == UINT64_C(0x2d06800538d394c2));
}

static void hash_of_a_pair_notices_a_moved_byte(void **state)
{
    (void)state;
    uint64_t sum = pl_xxh3_pair(pl_span_text("key"), pl_span_text("value"));
    assert_true(sum == pl_xxh3_pair(pl_span_text("key"), pl_span_text("value")));
    assert_true(sum != pl_xxh3_pair(pl_span_text("keyv"), pl_span_text("alue")));
    assert_true(sum != pl_xxh3_pair(pl_span_text("kez"), pl_span_text("value")));
    assert_true(sum != pl_xxh3_pair(pl_span_text("key"), pl_span_text("valuf")));
}

static void hash_compares_every_byte(void **state)
{
    (void)state;
    assert_true(pl_equal_ct("abc", "abc", 3));
    assert_false(pl_equal_ct("abc", "bbc", 3));
    assert_false(pl_equal_ct("abc", "abd", 3));
    assert_true(pl_equal_ct("", "", 0));
}

static void hash_wipes(void **state)
{
    (void)state;
    uint8_t secret[5] = { 1, 2, 3, 4, 5 };
    pl_wipe(secret, 4);
    assert_memory_equal("\0\0\0\0\5", secret, 5);
}

static void hash_hex_is_strict(void **state)
{
    (void)state;
    uint8_t out[2] = { 7, 7 };
    char text[4];
    assert_ok(pl_hex_decode(pl_span_text("0aFf"), out, 2));
    assert_memory_equal("\x0a\xff", out, 2);
    pl_hex_encode(out, 2, text);
    assert_memory_equal("0aff", text, 4);
    static const char *const bad[] = { "0aF", "0aFf0", "0aFg", "0x00", " 0aF", "", "0aF:" };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EMALFORMED, pl_hex_decode(pl_span_text(bad[i]), out, 2));
    assert_memory_equal("\x0a\xff", out, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_gives_the_published_sha256_however_it_is_fed),
        cmocka_unit_test(hash_agrees_with_another_library_at_every_length),
        cmocka_unit_test(hash_of_nothing_works),
        cmocka_unit_test(hash_of_a_pair_notices_a_moved_byte),
        cmocka_unit_test(hash_compares_every_byte),
        cmocka_unit_test(hash_wipes),
        cmocka_unit_test(hash_hex_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
