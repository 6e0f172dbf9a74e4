/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/mp_write.h"
#include "node/out.h"

struct fixture {
    struct test_env t;
    size_t account;
    struct pl_out out;
};

static void open_out(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    test_env_init(&f->t);
    pl_out_init(&f->out, &f->t.env, &f->account);
}

static void close_out(struct fixture *f)
{
    pl_out_free(&f->out);
    assert_int_equal(0, f->account);
    assert_int_equal(0, f->t.allocs);
}

static void out_grows_and_accounts(void **state)
{
    (void)state;
    struct fixture f;
    open_out(&f);
    for (int i = 0; i < 100000; i++)
        pl_out_text(&f.out, "x");
    assert_ok(f.out.err);
    assert_int_equal(100000, f.out.len);
    assert_int_equal(f.out.cap, f.account);
    close_out(&f);
}

static void out_separates_elements_but_not_the_first(void **state)
{
    (void)state;
    struct fixture f;
    open_out(&f);
    pl_out_text(&f.out, "{");
    pl_out_field_text(&f.out, "a", "x\n{");
    pl_out_field_u64(&f.out, "b", UINT64_MAX);
    pl_out_name(&f.out, "c");
    pl_out_text(&f.out, "[");
    for (int i = 0; i < 2; i++) {
        pl_out_separate(&f.out);
        pl_out_i64(&f.out, INT64_MIN);
    }
    pl_out_text(&f.out, "]");
    pl_out_field_bool(&f.out, "d", true);
    pl_out_field_time(&f.out, "e", 1000001);
    pl_out_field_time(&f.out, "f", 0);
    pl_out_name(&f.out, "g");
    pl_out_hex(&f.out, (const uint8_t *)"\x01\xfe", 2);
    pl_out_text(&f.out, "}");
    assert_span_text(pl_out_span(&f.out),
                     "{\"a\":\"x\\n{\",\"b\":18446744073709551615,"
                     "\"c\":[-9223372036854775808,-9223372036854775808],\"d\":true,"
                     "\"e\":\"1970-01-01T00:00:01.000001Z\",\"f\":null,\"g\":\"01fe\"}");
    close_out(&f);
}

static void out_grows_for_strings_that_are_all_escapes(void **state)
{
    (void)state;
    struct fixture f;
    char text[5000];
    memset(text, 1, sizeof text);
    open_out(&f);
    pl_out_string(&f.out, pl_span_of(text, sizeof text));
    assert_ok(f.out.err);
    assert_int_equal(sizeof text * 6 + 2, f.out.len);
    close_out(&f);
}

static void out_grows_for_msgpack_that_prints_long(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t mp[5000];
    struct pl_writer w = pl_writer_over(mp, sizeof mp);
    pl_mp_write_array(&w, 4000);
    for (int i = 0; i < 4000; i++)
        pl_mp_write_bool(&w, false);
    open_out(&f);
    pl_out_mp(&f.out, pl_writer_span(&w));
    assert_ok(f.out.err);
    assert_int_equal(4000 * 6 + 1, f.out.len);
    close_out(&f);
}

static void out_fails_for_msgpack_that_does_not_decode(void **state)
{
    (void)state;
    struct fixture f;
    open_out(&f);
    pl_out_mp(&f.out, pl_span_text("\xc1"));
    assert_err(PARLEY_ECORRUPT, f.out.err);
    close_out(&f);
}

static void out_keeps_its_first_error(void **state)
{
    (void)state;
    struct fixture f;
    open_out(&f);
    f.t.fail_after = 0;
    pl_out_text(&f.out, "x");
    f.t.fail_after = -1;
    pl_out_text(&f.out, "y");
    assert_err(PARLEY_ENOMEM, f.out.err);
    assert_int_equal(0, f.out.len);
    pl_out_reset(&f.out);
    pl_out_text(&f.out, "z");
    assert_span_text(pl_out_span(&f.out), "z");
    close_out(&f);
}

static void out_stops_at_the_bound_of_the_node(void **state)
{
    (void)state;
    struct fixture f;
    open_out(&f);
    f.account = PL_NODE_BUFFER_BYTES_MAX - 100;
    assert_ok(pl_out_room(&f.out, 100));
    assert_int_equal(100, f.out.cap);
    assert_err(PARLEY_EFULL, pl_out_room(&f.out, 101));
    pl_out_reset(&f.out);
    assert_err(PARLEY_EFULL, pl_out_room(&f.out, SIZE_MAX));
    pl_out_free(&f.out);
    assert_int_equal(PL_NODE_BUFFER_BYTES_MAX - 100, f.account);
    assert_int_equal(0, f.t.allocs);
}

/* Large answers that nobody read once left no room for the small ones of everybody else. */
static void out_keeps_the_last_of_the_bound_for_small_buffers(void **state)
{
    (void)state;
    struct fixture f;
    size_t small = PL_SMALL_BUFFER_BYTES;
    size_t kept = small * PL_CONNS_MAX;
    open_out(&f);
    f.account = PL_NODE_BUFFER_BYTES_MAX - kept - 2 * small;
    assert_ok(pl_out_room(&f.out, 2 * small));
    assert_err(PARLEY_EFULL, pl_out_room(&f.out, 2 * small + 1));
    pl_out_free(&f.out);
    f.account = PL_NODE_BUFFER_BYTES_MAX - kept;
    assert_err(PARLEY_EFULL, pl_out_room(&f.out, small + 1));
    pl_out_reset(&f.out);
    assert_ok(pl_out_room(&f.out, small - 1));
    f.out.len = small - 1;
    /* What it would double to is large, what is needed is not. */
    assert_ok(pl_out_room(&f.out, 1));
    assert_int_equal(small, f.out.cap);
    pl_out_free(&f.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_grows_and_accounts),
        cmocka_unit_test(out_separates_elements_but_not_the_first),
        cmocka_unit_test(out_grows_for_strings_that_are_all_escapes),
        cmocka_unit_test(out_grows_for_msgpack_that_prints_long),
        cmocka_unit_test(out_fails_for_msgpack_that_does_not_decode),
        cmocka_unit_test(out_keeps_its_first_error),
        cmocka_unit_test(out_stops_at_the_bound_of_the_node),
        cmocka_unit_test(out_keeps_the_last_of_the_bound_for_small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
