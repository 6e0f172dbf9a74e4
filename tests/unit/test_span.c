/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

static void span_compares_like_a_store(void **state)
{
    (void)state;
    assert_true(pl_span_compare(pl_span_text("a"), pl_span_text("b")) < 0);
    assert_true(pl_span_compare(pl_span_text("a"), pl_span_text("ab")) < 0);
    assert_true(pl_span_compare(pl_span_text("\x80"), pl_span_text("\x7f")) > 0);
    assert_true(pl_span_compare(pl_span_of(NULL, 0), pl_span_text("")) == 0);
    assert_true(pl_span_compare(pl_span_of(NULL, 0), pl_span_text("a")) < 0);
}

static void span_equality_needs_the_same_length(void **state)
{
    (void)state;
    assert_true(pl_span_equal(pl_span_of(NULL, 0), pl_span_text("")));
    assert_false(pl_span_equal(pl_span_text("ab"), pl_span_text("a")));
    assert_false(pl_span_is(pl_span_text("ab"), "ac"));
}

static void span_prefix_includes_the_empty_and_the_whole(void **state)
{
    (void)state;
    struct parley_span text = pl_span_text("abc");
    assert_true(pl_span_has_prefix(text, pl_span_of(NULL, 0)));
    assert_true(pl_span_has_prefix(text, text));
    assert_false(pl_span_has_prefix(text, pl_span_text("abcd")));
    assert_false(pl_span_has_prefix(text, pl_span_text("b")));
}

static void span_after_can_skip_everything(void **state)
{
    (void)state;
    assert_span_text(pl_span_after(pl_span_text("abc"), 1), "bc");
    assert_int_equal(0, pl_span_after(pl_span_text("abc"), 3).len);
    assert_int_equal(0, pl_span_after(pl_span_of(NULL, 0), 0).len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_compares_like_a_store),
        cmocka_unit_test(span_equality_needs_the_same_length),
        cmocka_unit_test(span_prefix_includes_the_empty_and_the_whole),
        cmocka_unit_test(span_after_can_skip_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
