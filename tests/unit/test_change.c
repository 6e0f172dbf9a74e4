/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/mp_write.h"
#include "sync/change.h"

static const uint8_t body_bytes[] = { 0x92, 0xa4, 'u', 's', 'e', 'r', 0xa2, 'h', 'i' };

static struct parley_version message(const char *conversation, const char *id, const char *origin,
                                     uint64_t time)
{
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text(conversation),
                                    .id = pl_span_text(id),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = time,
                                    .origin = pl_span_text(origin),
                                    .body = pl_span_of(body_bytes, sizeof body_bytes) };
}

static void assert_same_version(const struct parley_version *a, const struct parley_version *b)
{
    assert_true(pl_span_equal(a->name_space, b->name_space));
    assert_true(pl_span_equal(a->conversation, b->conversation));
    assert_true(pl_span_equal(a->id, b->id));
    assert_true(pl_span_equal(a->origin, b->origin));
    assert_true(pl_span_equal(a->body, b->body));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->time, b->time);
}

static void change_reads_back_what_was_written(void **state)
{
    uint8_t buf[8192];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    struct parley_version versions[] = {
        message("c1", "m1", "node-a", 1000),
        message("c1", "m2", "node-b", 900),
        message("c2", "m1", "node-a", UINT64_MAX - 1),
        message("c2", "m3", "node-a", 0),
    };
    (void)state;
    versions[3].flags = PARLEY_FLAG_TOMBSTONE;
    versions[3].body = pl_span_of(NULL, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(versions); i++)
        assert_true(pl_change_write(&w, &out, &versions[i]));

    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    struct pl_change_state in = { 0 };
    struct parley_version got;
    bool found = false;
    for (size_t i = 0; i < PL_ARRAY_LEN(versions); i++) {
        assert_ok(pl_change_read(&r, &in, &got, &found));
        assert_true(found);
        assert_same_version(&versions[i], &got);
    }
    assert_ok(pl_change_read(&r, &in, &got, &found));
    assert_false(found);
}

static void change_says_what_ids_share_once(void **state)
{
    static const char *const ids[] = {
        "talk-0001-m0001", "talk-0001-m0002", "talk-0001-m0002", "talk-0001", "", "talk-0001-m0003"
    };
    uint8_t buf[8192];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    struct pl_change_state in = { 0 };
    struct parley_version got;
    bool found = false;
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++) {
        struct parley_version version = message("c", ids[i], "o", 7);
        size_t before = w.len;
        assert_true(pl_change_write(&w, &out, &version));
        if (i == 1)
            assert_int_equal(1 + 1 + 2 + 1 + sizeof body_bytes, w.len - before);
    }
    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++) {
        assert_ok(pl_change_read(&r, &in, &got, &found));
        assert_true(found && pl_span_is(got.id, ids[i]));
    }
}

/* The id that is shared and the rest are each within the limit, and together are not. */
static void change_refuses_an_id_that_grows_above_its_limit(void **state)
{
    uint8_t buf[8192];
    uint8_t name[PARLEY_ID_BYTES_MAX];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    struct pl_change_state in = { 0 };
    struct parley_version version = message("c", "", "o", 7);
    bool found = false;
    (void)state;
    memset(name, 'x', sizeof name);
    version.id = pl_span_of(name, sizeof name);
    assert_true(pl_change_write(&w, &out, &version));
    pl_mp_write_uint(&w, 14);
    pl_mp_write_uint(&w, 1);
    pl_mp_write_str(&w, version.id);
    pl_mp_write_int(&w, 0);
    pl_write_span(&w, version.body);
    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    assert_ok(pl_change_read(&r, &in, &version, &found));
    assert_true(found);
    assert_err(PARLEY_EPROTO, pl_change_read(&r, &in, &version, &found));
}

static void change_says_names_once_a_run(void **state)
{
    uint8_t buf[8192];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    struct parley_version first = message("a-long-conversation-name", "m1", "a-long-origin", 1);
    struct parley_version second = message("a-long-conversation-name", "m2", "a-long-origin", 2);
    (void)state;
    assert_true(pl_change_write(&w, &out, &first));
    size_t before = w.len;
    assert_true(pl_change_write(&w, &out, &second));
    assert_true(w.len - before < 8 + sizeof body_bytes);
}

static void change_refuses_a_version_that_does_not_fit_and_writes_nothing(void **state)
{
    uint8_t buf[PL_CHANGE_OVERHEAD_BYTES_MAX + sizeof body_bytes - 1];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    struct parley_version version = message("c", "m", "o", 5);
    (void)state;
    assert_false(pl_change_write(&w, &out, &version));
    assert_int_equal(0, w.len);
    assert_ok(w.err);
}

static void change_ends_a_frame_when_the_origin_table_is_full(void **state)
{
    static uint8_t buf[65536];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_change_state out = { 0 };
    char names[PL_CHANGE_ORIGINS_MAX + 1][4];
    (void)state;
    for (size_t i = 0; i <= PL_CHANGE_ORIGINS_MAX; i++) {
        names[i][0] = (char)('a' + i / 26);
        names[i][1] = (char)('a' + i % 26);
        names[i][2] = '\0';
        struct parley_version version = message("c", "m", names[i], 5);
        size_t before = w.len;
        bool fits = pl_change_write(&w, &out, &version);
        assert_int_equal(i < PL_CHANGE_ORIGINS_MAX, fits);
        if (!fits)
            assert_int_equal(before, w.len);
    }
}

static parley_err read_bytes(const uint8_t *bytes, size_t len)
{
    struct pl_reader r = pl_reader_over(pl_span_of(bytes, len));
    struct pl_change_state in = { 0 };
    struct parley_version got;
    bool found = true;
    parley_err err = PARLEY_OK;
    while (err == PARLEY_OK && found)
        err = pl_change_read(&r, &in, &got, &found);
    return err;
}

static void change_refuses_what_the_format_does_not_allow(void **state)
{
    /* 0 NAMESPACE "n", 1 CONVERSATION "c", 2 ORIGIN "o", 14 = message */
    static const uint8_t good[] = { 0,   0xa1, 'n', 1,    0xa1, 'c', 2,   0xa1,
                                    'o', 14,   0,   0xa1, 'm',  1,   0xc0 };
    static const uint8_t no_origin[] = { 0, 0xa1, 'n', 1, 0xa1, 'c', 14, 0, 0xa1, 'm', 1, 0xc0 };
    static const uint8_t bad_index[] = { 2, 0xa1, 'o', 3, 1 };
    static const uint8_t bad_tag[] = { 4 };
    static const uint8_t bad_kind[] = { 2, 0xa1, 'o', 8, 0, 0xa1, 'm', 1, 0xc0 };
    static const uint8_t high_kind[] = { 2, 0xa1, 'o', 18, 0, 0xa1, 'm', 1, 0xc0 };
    static const uint8_t too_shared[] = { 2, 0xa1, 'o', 14, 1, 0xa1, 'm', 1, 0xc0 };
    (void)state;
    assert_ok(read_bytes(good, sizeof good));
    assert_err(PARLEY_EPROTO, read_bytes(no_origin, sizeof no_origin));
    assert_err(PARLEY_EPROTO, read_bytes(bad_index, sizeof bad_index));
    assert_err(PARLEY_EPROTO, read_bytes(bad_tag, sizeof bad_tag));
    assert_err(PARLEY_EPROTO, read_bytes(bad_kind, sizeof bad_kind));
    assert_err(PARLEY_EPROTO, read_bytes(high_kind, sizeof high_kind));
    assert_err(PARLEY_EPROTO, read_bytes(too_shared, sizeof too_shared));
    /* Cut anywhere but between records, it is refused; never read past. */
    for (size_t len = 10; len < sizeof good; len++)
        assert_err(PARLEY_EPROTO, read_bytes(good, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change_reads_back_what_was_written),
        cmocka_unit_test(change_says_what_ids_share_once),
        cmocka_unit_test(change_refuses_an_id_that_grows_above_its_limit),
        cmocka_unit_test(change_says_names_once_a_run),
        cmocka_unit_test(change_refuses_a_version_that_does_not_fit_and_writes_nothing),
        cmocka_unit_test(change_ends_a_frame_when_the_origin_table_is_full),
        cmocka_unit_test(change_refuses_what_the_format_does_not_allow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
