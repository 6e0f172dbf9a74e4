/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of QUERY and ANSWER: what is written reads back, and nothing beyond a limit is taken.
 */
#include "lib/testlib.h"

#include "base/rng.h"
#include "sync/query.h"

static void varints_read_back_and_have_a_limit(void **state)
{
    static const uint64_t values[] = { 0,          1,         127,           128,
                                       16383,      16384,     UINT32_MAX,    UINT64_C(1) << 56,
                                       UINT64_MAX, INT64_MAX, UINT64_MAX - 1 };
    static const uint8_t wrong[][11] = {
        { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 },
        { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 },
    };
    uint8_t buf[16];
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(values); i++) {
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        pl_varint_write(&w, values[i]);
        for (size_t len = 0; len <= w.len; len++) {
            struct pl_reader r = pl_reader_over(pl_span_of(buf, len));
            uint64_t value = pl_varint_read(&r);
            assert_int_equal(len == w.len ? PARLEY_OK : PARLEY_EMALFORMED, r.err);
            assert_true(len < w.len || value == values[i]);
        }
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(wrong); i++) {
        struct pl_reader r = pl_reader_over(pl_span_of(wrong[i], sizeof wrong[i]));
        pl_varint_read(&r);
        assert_int_equal(PARLEY_EMALFORMED, r.err);
    }
}

static struct pl_bound later(struct pl_rng *rng, struct pl_bound from)
{
    static const uint64_t steps[] = { 0, 1, 200, 1u << 20, UINT64_C(1) << 50 };
    uint64_t step = steps[pl_rng_below(rng, PL_ARRAY_LEN(steps))];
    if (pl_rng_below(rng, 20) == 0 || step > UINT64_MAX - from.time)
        return PL_BOUND_END;
    if (step == 0)
        from.prefix += (uint32_t)pl_rng_below(rng, (uint64_t)UINT32_MAX - from.prefix + 1);
    else
        from.prefix = (uint32_t)pl_rng_below(rng, 2) * (uint32_t)pl_rng_u64(rng);
    from.time += step;
    return from;
}

static void make_item(struct pl_rng *rng, struct pl_query_item *item)
{
    static const uint8_t salt[PL_QUERY_SALT_BYTES] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct pl_bound at = { .time = pl_rng_u64(rng) >> pl_rng_below(rng, 64) };
    *item = (struct pl_query_item){ .kind = (enum pl_query_kind)(1 + pl_rng_below(rng, 7)),
                                    .salt = pl_span_of(salt, sizeof salt),
                                    .name_space = pl_span_text("main"),
                                    .takes = pl_rng_below(rng, 2) == 0 };
    if (pl_rng_below(rng, 2) == 0) {
        item->since = pl_rng_below(rng, 2) * pl_rng_u64(rng);
        item->prefix = pl_span_of("a long prefix of ids", (size_t)pl_rng_below(rng, 21));
    }
    if (pl_rng_below(rng, 2) == 0)
        item->cut = pl_rng_u64(rng) >> pl_rng_below(rng, 64);
    item->bounds[0] = at;
    if (item->kind == PL_QUERY_SPLIT)
        item->count = 1 + (uint32_t)pl_rng_below(rng, PL_QUERY_PARTS_MAX);
    for (uint32_t i = 0; item->kind == PL_QUERY_SPLIT && i < item->count; i++) {
        item->bounds[i + 1] = at = later(rng, at);
        item->counts[i] = pl_rng_u64(rng) >> pl_rng_below(rng, 64);
        item->prints[i] = pl_rng_u64(rng);
    }
    if (item->kind == PL_QUERY_HAVE) {
        item->count = 1 + (uint32_t)pl_rng_below(rng, PL_QUERY_KEYS_MAX);
        for (uint32_t i = 0; i < item->count; i++) {
            item->times[i] = pl_rng_u64(rng) >> pl_rng_below(rng, 64);
            item->keys[i] = pl_rng_u64(rng) >> 16;
        }
    }
    if (item->kind != PL_QUERY_LEAF)
        return;
    item->bounds[1] = later(rng, at);
    item->count = (uint32_t)pl_rng_below(rng, PL_QUERY_KEYS_MAX + 1);
    for (uint32_t i = 0; i < item->count; i++) {
        at.time += pl_rng_below(rng, pl_min_u64(item->bounds[1].time - at.time, 1 << 20) + 1);
        item->times[i] = at.time;
        item->keys[i] = pl_rng_u64(rng) >> 16;
    }
}

static void assert_same(const struct pl_query_item *a, const struct pl_query_item *b)
{
    assert_int_equal(a->kind, b->kind);
    if (a->kind == PL_QUERY_BEGIN)
        assert_true(pl_span_equal(a->salt, b->salt));
    if (a->kind == PL_QUERY_SPACE)
        assert_true(pl_span_equal(a->name_space, b->name_space) && a->takes == b->takes &&
                    a->cut == b->cut && a->since == b->since &&
                    pl_span_equal(a->prefix, b->prefix));
    bool keys = a->kind == PL_QUERY_LEAF || a->kind == PL_QUERY_HAVE;
    if (a->kind != PL_QUERY_SPLIT && !keys)
        return;
    assert_int_equal(a->count, b->count);
    uint32_t bounds = a->kind == PL_QUERY_LEAF ? 2 : keys ? 0 : a->count + 1;
    for (uint32_t i = 0; i < bounds; i++)
        assert_int_equal(0, pl_bound_compare(&a->bounds[i], &b->bounds[i]));
    for (uint32_t i = 0; i < a->count; i++) {
        assert_true(keys || (a->counts[i] == b->counts[i] && a->prints[i] == b->prints[i]));
        assert_true(!keys || (a->times[i] == b->times[i] && a->keys[i] == b->keys[i]));
    }
}

static void queries_read_back(void **state)
{
    static uint8_t buf[8 * PL_QUERY_ITEM_BYTES_MAX];
    struct pl_rng rng;
    (void)state;
    pl_rng_init(&rng, 1);
    for (int round = 0; round < 2000; round++) {
        struct pl_query_item items[8];
        struct pl_query_walk walk = { 0 };
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        for (size_t i = 0; i < PL_ARRAY_LEN(items); i++) {
            size_t before = w.len;
            make_item(&rng, &items[i]);
            pl_query_write(&w, &walk, &items[i]);
            assert_true(w.len - before <= PL_QUERY_ITEM_BYTES_MAX);
        }
        struct pl_reader r = pl_reader_over(pl_writer_span(&w));
        struct pl_query_item item;
        bool found = false;
        walk = (struct pl_query_walk){ 0 };
        for (size_t i = 0; i < PL_ARRAY_LEN(items); i++) {
            assert_ok(pl_query_read(&r, &walk, &item, &found));
            assert_true(found);
            assert_same(&items[i], &item);
        }
        assert_ok(pl_query_read(&r, &walk, &item, &found));
        assert_false(found);
    }
}

static void queries_beyond_a_limit_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "\x00", 1 },                          /* no kind */
        { "\x08", 1 },                          /* nor this */
        { "\x01\x01\x02\x03", 4 },              /* half a salt */
        { "\x02\x01\x00", 3 },                  /* a namespace without name */
        { "\x02\x01\x41", 3 },                  /* 65 bytes of name */
        { "\x02\x04\x01m", 4 },                 /* a flag that has no meaning */
        { "\x02\x80\x80\x80\x80\x20\x01m", 8 }, /* one beyond 32 bits */
        { "\x02\x08\x01m\x00\x80\x02", 7 },     /* 256 bytes of prefix */
        { "\x02\x08\x01m\x00\x02x", 7 },        /* one of two bytes of it */
        { "\x03\x00\x00\x00", 4 },              /* no part */
        { "\x03\x00\x00\x21", 4 },              /* 33 parts */
        { "\x03\x04\x00\x01\x03\x00", 6 },      /* a bound below the one before */
        { "\x04\x04\x00\x03\x00\x00", 6 },      /* the same in a leaf */
        { "\x04\x00\x00\x00\x00\x81\x03", 7 },  /* 385 keys */
        { "\x04\x00\x00\x02\x00\x01\x02"
          "abcdef",
          13 },                                             /* a key behind the upper bound */
        { "\x06\x00", 2 },                                  /* no key to offer */
        { "\x06\x81\x03", 3 },                              /* 385 */
        { "\x04\x00\x80\x80\x80\x80\x10\x00\x00\x00", 10 }, /* 33 bits of prefix */
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_reader r =
            pl_reader_over(pl_span_of((const uint8_t *)cases[i].bytes, cases[i].len));
        struct pl_query_walk walk = { 0 };
        struct pl_query_item item;
        bool found = false;
        assert_err(PARLEY_EPROTO, pl_query_read(&r, &walk, &item, &found));
    }
}

static void bits_read_back(void **state)
{
    uint8_t buf[64];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_bit_writer out = { .w = &w };
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        pl_bits_write(&out, i % 3, 1 + i % 2);
    pl_bits_flush(&out);
    assert_int_equal((50 + 100 + 7) / 8, w.len);
    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    struct pl_bit_reader in = { .r = &r };
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(i % 3 & (i % 2 == 0 ? 1u : 3u), pl_bits_read(&in, 1 + i % 2));
    assert_ok(pl_reader_end(&r));
    pl_bits_read(&in, 8);
    assert_int_equal(PARLEY_EMALFORMED, r.err);
}

static void bounds_and_points_agree(void **state)
{
    struct parley_point point;
    struct pl_bound bound = { .time = 5, .prefix = 0x01020304 };
    (void)state;
    pl_bound_point(&bound, &point);
    struct pl_bound again = pl_bound_at(&point);
    assert_int_equal(0, pl_bound_compare(&bound, &again));
    point.bytes[sizeof point.bytes - 1] = 1; /* a point inside */
    again = pl_bound_at(&point);
    assert_int_equal(0, pl_bound_compare(&bound, &again));
}

/* Nobody can make two versions whose keys are the same in every comparison. */
static void keys_and_prints_of_one_digest_differ_with_the_salt(void **state)
{
    (void)state;
    struct pl_salt one = { .bytes = { 1 } };
    struct pl_salt two = { .bytes = { 2 } };
    struct parley_root root = { .count = 3, .sum = { 4 } };
    struct parley_root other = { .count = 4, .sum = { 4 } };
    uint8_t digest[PARLEY_DIGEST_BYTES] = { 9 };
    uint8_t changed[PARLEY_DIGEST_BYTES] = { 9, [PARLEY_DIGEST_BYTES - 1] = 1 };
    assert_true(pl_query_key(&one, digest) == pl_query_key(&one, digest));
    assert_true(pl_query_key(&one, digest) != pl_query_key(&two, digest));
    assert_true(pl_query_key(&one, digest) != pl_query_key(&one, changed));
    assert_true(pl_query_key(&one, digest) >> (8 * PL_QUERY_KEY_BYTES) == 0);
    assert_true(pl_query_print(&one, &root) == pl_query_print(&one, &root));
    assert_true(pl_query_print(&one, &root) != pl_query_print(&two, &root));
    assert_true(pl_query_print(&one, &root) != pl_query_print(&one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_read_back_and_have_a_limit),
        cmocka_unit_test(queries_read_back),
        cmocka_unit_test(queries_beyond_a_limit_are_refused),
        cmocka_unit_test(keys_and_prints_of_one_digest_differ_with_the_salt),
        cmocka_unit_test(bits_read_back),
        cmocka_unit_test(bounds_and_points_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
