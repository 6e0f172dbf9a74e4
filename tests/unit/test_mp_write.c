/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "core/mp_read.h"
#include "core/mp_write.h"

#include <stdlib.h>
#include <msgpack.h>

/* Writes a value with `write` and reads it with msgpack-c. */
static msgpack_object unpacked(const struct pl_writer *w, msgpack_zone *zone)
{
    msgpack_object object;
    size_t at = 0;
    assert_int_equal(MSGPACK_UNPACK_SUCCESS,
                     msgpack_unpack((const char *)w->ptr, w->len, &at, zone, &object));
    assert_int_equal(w->len, at);
    return object;
}

static void mp_write_is_shortest_at_every_edge_of_an_unsigned(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        size_t len;
    } rows[] = { { 0, 1 },         { 127, 1 },        { 128, 2 },
                 { 255, 2 },       { 256, 3 },        { 65535, 3 },
                 { 65536, 5 },     { UINT32_MAX, 5 }, { UINT64_C(1) << 32, 9 },
                 { UINT64_MAX, 9 } };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        uint8_t buf[9];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        pl_mp_write_uint(&w, rows[i].value);
        assert_int_equal(rows[i].len, w.len);
        struct pl_reader r = pl_reader_over(pl_writer_span(&w));
        assert_true(pl_mp_read_uint(&r) == rows[i].value);
        assert_ok(pl_reader_end(&r));
    }
}

static void mp_write_is_shortest_at_every_edge_of_a_signed(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        size_t len;
    } rows[] = { { -1, 1 },        { -32, 1 },       { -33, 2 },
                 { -128, 2 },      { -129, 3 },      { -32768, 3 },
                 { -32769, 5 },    { INT32_MIN, 5 }, { (int64_t)INT32_MIN - 1, 9 },
                 { INT64_MIN, 9 }, { 127, 1 },       { 128, 2 },
                 { INT64_MAX, 9 } };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        uint8_t buf[9];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        pl_mp_write_int(&w, rows[i].value);
        assert_int_equal(rows[i].len, w.len);
        struct pl_reader r = pl_reader_over(pl_writer_span(&w));
        assert_true(pl_mp_read_int(&r) == rows[i].value);
        assert_ok(pl_reader_end(&r));
    }
}

/* Microseconds and seconds of 2038 and 2106, one second to each side. */
static void mp_write_keeps_times_where_32_bits_of_seconds_end(void **state)
{
    (void)state;
    static const uint64_t seconds[] = { INT32_MAX, (uint64_t)INT32_MAX + 1, UINT32_MAX,
                                        (uint64_t)UINT32_MAX + 1 };
    for (size_t i = 0; i < 2 * PL_ARRAY_LEN(seconds); i++) {
        uint64_t time = seconds[i / 2] * (i % 2 == 0 ? 1 : 1000000);
        uint8_t buf[18];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        pl_mp_write_uint(&w, time);
        msgpack_zone zone;
        assert_true(msgpack_zone_init(&zone, 256));
        msgpack_object object = unpacked(&w, &zone);
        assert_int_equal(MSGPACK_OBJECT_POSITIVE_INTEGER, object.type);
        assert_true(object.via.u64 == time);
        msgpack_zone_destroy(&zone);
        pl_mp_write_int(&w, (int64_t)time);
        struct pl_reader r = pl_reader_over(pl_writer_span(&w));
        assert_true(pl_mp_read_uint(&r) == time);
        assert_true(pl_mp_read_int(&r) == (int64_t)time);
        assert_ok(pl_reader_end(&r));
    }
}

static void mp_write_makes_what_msgpack_c_reads(void **state)
{
    (void)state;
    uint8_t buf[64];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_mp_write_array(&w, 6);
    pl_mp_write_nil(&w);
    pl_mp_write_bool(&w, true);
    pl_mp_write_float(&w, 1.5);
    pl_mp_write_text(&w, "text");
    pl_mp_write_bin(&w, pl_span_of("\0\1", 2));
    pl_mp_write_map(&w, 1);
    pl_mp_write_text(&w, "k");
    pl_mp_write_bool(&w, false);
    msgpack_zone zone;
    assert_true(msgpack_zone_init(&zone, 1024));
    msgpack_object object = unpacked(&w, &zone);
    assert_int_equal(MSGPACK_OBJECT_ARRAY, object.type);
    assert_int_equal(6, object.via.array.size);
    assert_int_equal(MSGPACK_OBJECT_NIL, object.via.array.ptr[0].type);
    assert_true(object.via.array.ptr[1].via.boolean);
    assert_true(object.via.array.ptr[2].via.f64 == 1.5);
    assert_memory_equal("text", object.via.array.ptr[3].via.str.ptr, 4);
    assert_int_equal(MSGPACK_OBJECT_BIN, object.via.array.ptr[4].type);
    assert_false(object.via.array.ptr[5].via.map.ptr[0].val.via.boolean);
    msgpack_zone_destroy(&zone);
    assert_ok(pl_mp_check(pl_writer_span(&w)));
}

static void mp_write_uses_the_shortest_string_head(void **state)
{
    (void)state;
    static const size_t lens[][2] = { { 0, 1 },   { 31, 1 },    { 32, 2 },   { 255, 2 },
                                      { 256, 3 }, { 65535, 3 }, { 65536, 5 } };
    uint8_t *buf = malloc(65541);
    uint8_t *text = calloc(1, 65536);
    for (size_t i = 0; i < PL_ARRAY_LEN(lens); i++) {
        struct pl_writer w = pl_writer_over(buf, 65541);
        pl_mp_write_str(&w, pl_span_of(text, lens[i][0]));
        assert_int_equal(lens[i][0] + lens[i][1], w.len);
        assert_ok(pl_mp_check(pl_writer_span(&w)));
    }
    free(text);
    free(buf);
}

static void mp_write_sticks_when_full(void **state)
{
    (void)state;
    uint8_t buf[4];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_mp_write_text(&w, "four");
    assert_int_equal(PARLEY_EFULL, w.err);
    size_t len = w.len;
    pl_mp_write_nil(&w);
    assert_int_equal(len, w.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mp_write_is_shortest_at_every_edge_of_an_unsigned),
        cmocka_unit_test(mp_write_is_shortest_at_every_edge_of_a_signed),
        cmocka_unit_test(mp_write_keeps_times_where_32_bits_of_seconds_end),
        cmocka_unit_test(mp_write_makes_what_msgpack_c_reads),
        cmocka_unit_test(mp_write_uses_the_shortest_string_head),
        cmocka_unit_test(mp_write_sticks_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
