/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

static void err_names_every_code_and_class(void **state)
{
    (void)state;
#define CHECK_ROW(name, value, text)                                                               \
    assert_string_equal("PARLEY_" #name, parley_err_name(PARLEY_##name));                          \
    assert_string_equal(text, parley_err_text(PARLEY_##name));                                     \
    assert_int_equal((value) / 100, parley_err_class(PARLEY_##name));                              \
    assert_in_range(parley_err_class(PARLEY_##name), 1, 6);
    PARLEY_ERR_TABLE(CHECK_ROW)
#undef CHECK_ROW
}

static void err_knows_ok_and_the_unknown(void **state)
{
    (void)state;
    assert_string_equal("PARLEY_OK", parley_err_name(PARLEY_OK));
    assert_int_equal(0, parley_err_class(PARLEY_OK));
    assert_string_equal("PARLEY_E?", parley_err_name((parley_err)199));
    assert_string_equal("unknown error", parley_err_text((parley_err)199));
}

static void err_values_never_change(void **state)
{
    (void)state;
    assert_int_equal(101, PARLEY_EINVAL);
    assert_int_equal(202, PARLEY_EFULL);
    assert_int_equal(302, PARLEY_EMALFORMED);
    assert_int_equal(401, PARLEY_EAGAIN);
    assert_int_equal(501, PARLEY_ENOSPC);
    assert_int_equal(601, PARLEY_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_names_every_code_and_class),
        cmocka_unit_test(err_knows_ok_and_the_unknown),
        cmocka_unit_test(err_values_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
