/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/db_fixture.h"

#include "core/message.h"
#include <parley/message.h>

#include <stdlib.h>

static struct parley_message_name name_of(const char *id)
{
    return (struct parley_message_name){ parley_text("main"), parley_text("talk"),
                                         parley_text(id) };
}

static void apply(struct fixture *f, const struct parley_version *version)
{
    bool changed = false;
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .u.version = *version };
    assert_ok(parley_db_apply(f->db, &write, 1, DB_UTIL_NOW, &changed));
    assert_true(changed);
}

static bool read_message(struct fixture *f, const char *id, const char *content)
{
    struct parley_read *read = NULL;
    struct parley_message message = { .created = 5 };
    struct parley_message_name name = name_of(id);
    bool found = true;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_message(read, &name, &message, &found));
    if (found)
        assert_span_text(message.content, content);
    else
        assert_int_equal(5, message.created);
    parley_read_end(read);
    return found;
}

static void message_that_was_written_is_read_by_its_name(void **state)
{
    struct fixture *f = *state;
    struct parley_message_name name = name_of("1");
    struct parley_message message = { .role = parley_text("user"), .content = parley_text("Rye?") };
    struct parley_version version;
    assert_false(read_message(f, "1", ""));
    assert_ok(parley_message_version(&name, &message, f->body, sizeof f->body, &version));
    apply(f, &version);
    assert_true(read_message(f, "1", "Rye?"));
    assert_false(read_message(f, "2", ""));
    version.flags = PARLEY_FLAG_TOMBSTONE;
    version.body = pl_span_of(NULL, 0);
    apply(f, &version);
    assert_false(read_message(f, "1", ""));
}

static void message_body_needs_no_more_than_its_overhead(void **state)
{
    static const uint8_t map[] = { 0x81, 0xa1, 'k', 0xc0 };
    size_t content_len = 70000; /* the longest form of a length */
    char *content = calloc(1, content_len + 1);
    memset(content, 'x', content_len);
    struct parley_message message = { .role = parley_text("user"),
                                      .content = parley_text(content),
                                      .created = UINT64_MAX,
                                      .extra = pl_span_of(map, sizeof map) };
    size_t cap = 4 + content_len + sizeof map + PARLEY_MESSAGE_OVERHEAD_BYTES;
    uint8_t *body = malloc(cap);
    struct parley_message out;
    size_t len = 0;
    (void)state;
    assert_ok(parley_message_encode(&message, body, cap, &len));
    assert_ok(parley_message_decode(pl_span_of(body, len), &out));
    assert_int_equal(content_len, out.content.len);
    assert_true(message.created == out.created);
    assert_true(pl_span_equal(message.extra, out.extra));
    assert_err(PARLEY_EFULL, parley_message_encode(&message, body, len - 1, &len));
    free(body);
    free(content);
}

static void message_that_no_node_would_take_is_not_encoded(void **state)
{
    struct parley_message good = { .role = parley_text("user"), .content = parley_text("hi") };
    struct parley_message message = good;
    char role[PARLEY_ROLE_BYTES_MAX + 2] = { 0 };
    uint8_t body[128];
    size_t len = 7;
    (void)state;
    memset(role, 'r', sizeof role - 1);
    message.role = parley_text(role);
    assert_err(PARLEY_ETOOBIG, parley_message_encode(&message, body, sizeof body, &len));
    message = good;
    message.content = parley_text("\xff");
    assert_err(PARLEY_EUTF8, parley_message_encode(&message, body, sizeof body, &len));
    message = good;
    message.extra = parley_text("\x01");
    assert_err(PARLEY_ETYPE, parley_message_encode(&message, body, sizeof body, &len));
    assert_int_equal(7, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(message_that_was_written_is_read_by_its_name, setup,
                                        teardown),
        cmocka_unit_test(message_body_needs_no_more_than_its_overhead),
        cmocka_unit_test(message_that_no_node_would_take_is_not_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
