/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/message.h"

static struct parley_span encode(struct pl_writer *w, uint64_t created, struct parley_span extra)
{
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_text("hi"),
                                  .created = created,
                                  .extra = extra };
    pl_message_encode(w, &message);
    assert_ok(w->err);
    return pl_writer_span(w);
}

static void message_comes_back_as_it_was_in_each_length(void **state)
{
    (void)state;
    static const uint8_t map[] = { 0x81, 0xa1, 'k', 0xc0 };
    for (int form = 0; form < 4; form++) {
        uint8_t buf[64];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        struct parley_span extra = pl_span_of(map, form >= 2 ? sizeof map : 0);
        uint64_t created = form % 2 != 0 ? 77 : 0;
        struct pl_message out;
        assert_ok(pl_message_decode(encode(&w, created, extra), &out));
        assert_span_text(out.role, "user");
        assert_span_text(out.content, "hi");
        assert_int_equal(created, out.created);
        assert_true(pl_span_equal(extra, out.extra));
    }
}

static parley_err decode(const char *bytes, size_t len)
{
    struct pl_message out;
    return pl_message_decode(pl_span_of(bytes, len), &out);
}

static void message_refuses_every_wrong_form(void **state)
{
    (void)state;
    assert_ok(decode("\x92\xa1u\xa1x", 5));
    assert_int_not_equal(PARLEY_OK, decode("", 0));
    assert_err(PARLEY_EMALFORMED, decode("\x91\xa1u", 3));
    assert_err(PARLEY_ETYPE, decode("\x92\x01\xa1x", 4));
    assert_err(PARLEY_EMALFORMED, decode("\x92\xa1u\xa1x!", 6));
    assert_err(PARLEY_EMALFORMED, decode("\x92\xa1u\xa5x", 5));
    assert_err(PARLEY_EUTF8, decode("\x92\xa1u\xa1\xff", 5));
    assert_err(PARLEY_ETYPE, decode("\x94\xa1u\xa1x\x00\x90", 7));
    assert_err(PARLEY_EUTF8, decode("\x94\xa1u\xa1x\x00\x81\xa1k\xa1\xff", 11));
    assert_int_not_equal(PARLEY_OK, decode("\x95\xa1u\xa1x\x00\x80\xc0", 8));
}

static void message_keeps_nul_in_content(void **state)
{
    (void)state;
    assert_ok(decode("\x92\xa1u\xa2x\0", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_comes_back_as_it_was_in_each_length),
        cmocka_unit_test(message_refuses_every_wrong_form),
        cmocka_unit_test(message_keeps_nul_in_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
