/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/db_util.h"

static struct parley_version good(void)
{
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text("c"),
                                    .id = pl_span_text("m"),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = 5,
                                    .origin = pl_span_text("ann"),
                                    .body = pl_span_text("\x92\xa1u\xa1x") };
}

static parley_err check(struct parley_version v)
{
    struct parley_diag diag = { { 0 } };
    parley_err err = parley_version_check(&v, &diag);
    assert_int_equal(err != PARLEY_OK, diag.text[0] != '\0');
    return err;
}

static void version_accepts_each_kind(void **state)
{
    (void)state;
    struct parley_version v = good();
    assert_ok(check(v));
    v.kind = PARLEY_KIND_HEADER;
    v.body = pl_span_text("\x01");
    assert_ok(check(v));
    v.flags = PARLEY_FLAG_TOMBSTONE;
    v.body.len = 0;
    assert_ok(check(v));
    v.kind = PARLEY_KIND_CONVERSATION;
    v.id.len = 0;
    assert_ok(check(v));
    v.time = 0;
    v.origin.len = 0;
    assert_ok(check(v));
}

static void version_refuses_names_out_of_bounds(void **state)
{
    (void)state;
    static uint8_t text[256];
    memset(text, 'x', sizeof text);
    for (int field = 0; field < 4; field++) {
        struct parley_version v = good();
        struct parley_span *name = field == 0   ? &v.name_space
                                   : field == 1 ? &v.conversation
                                   : field == 2 ? &v.id
                                                : &v.origin;
        size_t max = field == 0 ? PARLEY_NAMESPACE_BYTES_MAX : PARLEY_ID_BYTES_MAX;
        *name = pl_span_of(text, max);
        assert_ok(check(v));
        *name = pl_span_of(text, max + 1);
        assert_err(PARLEY_ETOOBIG, check(v));
        *name = pl_span_of(NULL, 0);
        assert_err(PARLEY_EMISSING, check(v));
        *name = pl_span_of("a\0b", 3);
        assert_err(PARLEY_EMALFORMED, check(v));
        *name = pl_span_text("a\x7f");
        assert_err(PARLEY_EMALFORMED, check(v));
        *name = pl_span_text("a\xc0\x80");
        assert_err(PARLEY_EUTF8, check(v));
    }
}

static void version_refuses_wrong_kinds_and_flags(void **state)
{
    (void)state;
    struct parley_version v = good();
    v.flags = 2;
    assert_err(PARLEY_EMALFORMED, check(v));
    v = good();
    v.flags = PARLEY_FLAG_TOMBSTONE;
    assert_err(PARLEY_EMALFORMED, check(v));
    v = good();
    v.kind = PARLEY_KIND_CONVERSATION;
    assert_err(PARLEY_EMALFORMED, check(v));
    v.id.len = 0;
    assert_err(PARLEY_EMALFORMED, check(v));
}

static void version_refuses_headers_above_their_limits(void **state)
{
    (void)state;
    static uint8_t body[PARLEY_METADATA_BYTES_MAX + 1];
    struct parley_version v = good();
    memset(body, 'x', sizeof body);
    v.kind = PARLEY_KIND_HEADER;
    v.id = pl_span_text("title");
    body[0] = 0xda;
    body[1] = (uint8_t)(PARLEY_TITLE_BYTES_MAX >> 8);
    body[2] = (uint8_t)(PARLEY_TITLE_BYTES_MAX & 0xff);
    v.body = pl_span_of(body, 3 + PARLEY_TITLE_BYTES_MAX);
    assert_ok(check(v));
    body[2]++;
    v.body.len++;
    assert_err(PARLEY_ETOOBIG, check(v));
    v.id = pl_span_text("metadata.note");
    assert_ok(check(v));
    v.body = pl_span_of(body, sizeof body);
    assert_err(PARLEY_ETOOBIG, check(v));
    v.id = pl_span_text("title");
    v.body = pl_span_text("\x01");
    assert_err(PARLEY_ETYPE, check(v));
    v.body = pl_span_text("\xa5x");
    assert_err(PARLEY_EMALFORMED, check(v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_accepts_each_kind),
        cmocka_unit_test(version_refuses_names_out_of_bounds),
        cmocka_unit_test(version_refuses_wrong_kinds_and_flags),
        cmocka_unit_test(version_refuses_headers_above_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
