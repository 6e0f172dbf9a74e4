/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/env_mem.h"

#include "core/message.h"
#include "core/mp_write.h"
#include "node/render.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct parley_db *db;
    size_t account;
    struct pl_out out;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct parley_db_options options = { .name = "a",
                                         .local_origin = { (const uint8_t *)"us", 2 } };
    bool renewed = false;
    env_mem_init(&f->env);
    assert_ok(parley_db_open(&f->env.t.env, &options, &f->db, &renewed, NULL));
    pl_out_init(&f->out, &f->env.t.env, &f->account);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pl_out_free(&f->out);
    assert_int_equal(0, f->account);
    parley_db_close(f->db);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static void put_body(struct fixture *f, enum parley_kind kind, const char *id, uint64_t time,
                     uint32_t flags, struct parley_span body)
{
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text("c"),
                                               .id = pl_span_text(id),
                                               .kind = kind,
                                               .flags = flags,
                                               .time = time,
                                               .origin = pl_span_text("o"),
                                               .body = body };
    bool changed = false;
    assert_ok(parley_db_apply(f->db, &write, 1, INT64_C(1) << 50, &changed));
}

static void put(struct fixture *f, enum parley_kind kind, const char *id, uint64_t time,
                const char *text, uint64_t created)
{
    uint8_t body[256];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"), .created = created };
    if (text != NULL && kind == PARLEY_KIND_MESSAGE) {
        message.content = pl_span_text(text);
        pl_message_encode(&w, &message);
    } else if (text != NULL) {
        pl_mp_write_text(&w, text);
    }
    assert_ok(w.err);
    put_body(f, kind, id, time, text == NULL ? PARLEY_FLAG_TOMBSTONE : 0, pl_writer_span(&w));
}

static const char *render(struct fixture *f, unsigned flags, parley_err want)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info info;
    bool found = false;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &info, &found));
    assert_true(found);
    pl_out_reset(&f->out);
    assert_err(want, pl_render_conversation(read, &info, flags, &f->out));
    parley_read_end(read);
    if (want == PARLEY_OK)
        pl_out_bytes(&f->out, pl_span_of("", 1));
    return (const char *)f->out.ptr;
}

static void render_writes_keys_in_a_fixed_order(void **state)
{
    struct fixture *f = *state;
    put(f, PARLEY_KIND_HEADER, "metadata.z", 5000000, "1", 0);
    put(f, PARLEY_KIND_HEADER, "metadata.a", 5000000, "2", 0);
    put(f, PARLEY_KIND_HEADER, "field.y", 5000000, "3", 0);
    put(f, PARLEY_KIND_HEADER, "field.b", 5000000, "4", 0);
    put(f, PARLEY_KIND_HEADER, "surface", 5000000, "web", 0);
    put(f, PARLEY_KIND_HEADER, "title", 5000000, "T", 0);
    put(f, PARLEY_KIND_HEADER, "created_at", 5000000, "then", 0);
    assert_string_equal(
        render(f, 0, PARLEY_OK),
        "{\"conversation_id\":\"c\",\"title\":\"T\",\"surface\":\"web\",\"created_at\":\"then\","
        "\"updated_at\":\"1970-01-01T00:00:05.000000Z\",\"metadata\":{\"a\":\"2\",\"z\":\"1\"},"
        "\"b\":\"4\",\"y\":\"3\",\"messages\":[]}");
}

static void render_orders_messages_by_creation_then_id(void **state)
{
    struct fixture *f = *state;
    put(f, PARLEY_KIND_MESSAGE, "a", 9000000, "third", 0);
    put(f, PARLEY_KIND_MESSAGE, "b", 8000000, "second", 0);
    put(f, PARLEY_KIND_MESSAGE, "c", 10000000, "first", 7000000);
    put(f, PARLEY_KIND_MESSAGE, "d", 8000000, "second too", 0);
    const char *text = render(f, 0, PARLEY_OK);
    const char *first = strstr(text, "first");
    const char *second = strstr(text, "second\"");
    const char *too = strstr(text, "second too");
    const char *third = strstr(text, "third");
    assert_true(first != NULL && first < second && second < too && too < third);
    assert_non_null(strstr(text, "\"created_at\":\"1970-01-01T00:00:07.000000Z\""));
    assert_non_null(strstr(text, "\"updated_at\":\"1970-01-01T00:00:10.000000Z\""));
}

static void render_sorts_many_messages(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%03u", i);
        put(f, PARLEY_KIND_MESSAGE, id, 1000000 + (i * 7919u) % 200u, id, 0);
    }
    const char *at = render(f, 0, PARLEY_OK);
    unsigned last = 0;
    size_t count = 0;
    while ((at = strstr(at, "T00:00:01.")) != NULL) {
        unsigned us = (unsigned)strtoul(at + 10, NULL, 10);
        if (count++ > 0) /* the first is updated_at */
            assert_true(us >= last);
        last = count == 1 ? 0 : us;
        at++;
    }
    assert_int_equal(201, count);
}

static void render_leaves_deleted_registers_out(void **state)
{
    struct fixture *f = *state;
    put(f, PARLEY_KIND_HEADER, "title", 5000000, "T", 0);
    put(f, PARLEY_KIND_MESSAGE, "a", 5000000, "x", 0);
    put(f, PARLEY_KIND_MESSAGE, "b", 5000000, "y", 0);
    put(f, PARLEY_KIND_MESSAGE, "a", 6000000, NULL, 0);
    put(f, PARLEY_KIND_HEADER, "title", 6000000, NULL, 0);
    const char *text = render(f, 0, PARLEY_OK);
    assert_null(strstr(text, "\"x\""));
    assert_null(strstr(text, "title"));
    assert_non_null(strstr(text, "\"updated_at\":\"1970-01-01T00:00:05.000000Z\""));
}

static void render_writes_all_that_a_message_has(void **state)
{
    struct fixture *f = *state;
    uint8_t body[128], extra[64];
    struct pl_writer e = pl_writer_over(extra, sizeof extra);
    struct pl_writer w = pl_writer_over(body, sizeof body);
    pl_mp_write_map(&e, 2);
    pl_mp_write_text(&e, "a\"b");
    pl_mp_write_array(&e, 1);
    pl_mp_write_uint(&e, 7);
    pl_mp_write_text(&e, "n");
    pl_mp_write_map(&e, 0);
    pl_message_encode(&w, &(struct pl_message){ .role = pl_span_text("user"),
                                                .content = pl_span_text("x\ny"),
                                                .created = 4000000,
                                                .extra = pl_writer_span(&e) });
    put_body(f, PARLEY_KIND_MESSAGE, "m", 5000000, 0, pl_writer_span(&w));
    assert_non_null(strstr(render(f, 0, PARLEY_OK),
                           "\"messages\":[{\"message_id\":\"m\",\"role\":\"user\","
                           "\"content\":\"x\\ny\",\"timestamp\":\"1970-01-01T00:00:05.000000Z\","
                           "\"source_backend\":\"o\","
                           "\"created_at\":\"1970-01-01T00:00:04.000000Z\","
                           "\"a\\\"b\":[7],\"n\":{}}]}"));
}

/* Each byte of the content becomes six: more than the room that is made at first. */
static void render_makes_room_for_messages_full_of_escapes(void **state)
{
    enum { COUNT = 30000 };
    struct fixture *f = *state;
    char *content = malloc(COUNT);
    uint8_t *body = malloc(COUNT + 64);
    struct pl_writer w = pl_writer_over(body, COUNT + 64);
    memset(content, 1, COUNT);
    pl_message_encode(&w, &(struct pl_message){ .role = pl_span_text("user"),
                                                .content = pl_span_of(content, COUNT) });
    assert_ok(w.err);
    put_body(f, PARLEY_KIND_MESSAGE, "m", 5000000, 0, pl_writer_span(&w));
    put(f, PARLEY_KIND_MESSAGE, "n", 6000000, "after", 0);
    const char *text = render(f, 0, PARLEY_OK);
    const char *last = strstr(text, "\\u0001\",\"timestamp\"");
    assert_non_null(last);
    assert_true(last - strstr(text, "\\u0001") == 6 * (COUNT - 1));
    assert_non_null(strstr(last, "{\"message_id\":\"n\",\"role\":\"user\",\"content\":\"after\""));
    free(content);
    free(body);
}

static void render_refuses_a_field_whose_name_is_no_string(void **state)
{
    static const uint8_t extra[] = { 0x81, 0x01, 0x02 };
    struct fixture *f = *state;
    uint8_t body[64];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    pl_message_encode(&w, &(struct pl_message){ .role = pl_span_text("user"),
                                                .content = pl_span_text("x"),
                                                .extra = pl_span_of(extra, sizeof extra) });
    put_body(f, PARLEY_KIND_MESSAGE, "m", 5000000, 0, pl_writer_span(&w));
    render(f, 0, PARLEY_ECORRUPT);
}

static void render_fills_defaults_only_when_asked(void **state)
{
    struct fixture *f = *state;
    put(f, PARLEY_KIND_MESSAGE, "a", 5000000, "x", 0);
    assert_null(strstr(render(f, 0, PARLEY_OK), "title"));
    const char *text = render(f, PL_RENDER_DEFAULTS, PARLEY_OK);
    assert_non_null(strstr(text, "\"title\":\"\",\"created_at\":\"1970-01-01T00:00:05.000000Z\","));
}

static void render_says_so_when_it_has_no_room(void **state)
{
    struct fixture *f = *state;
    put(f, PARLEY_KIND_MESSAGE, "a", 5000000, "x", 0);
    pl_out_free(&f->out);
    f->account += PL_NODE_BUFFER_BYTES_MAX;
    render(f, 0, PARLEY_EFULL);
    f->account -= PL_NODE_BUFFER_BYTES_MAX;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(render_writes_keys_in_a_fixed_order),
        TEST(render_orders_messages_by_creation_then_id),
        TEST(render_sorts_many_messages),
        TEST(render_leaves_deleted_registers_out),
        TEST(render_writes_all_that_a_message_has),
        TEST(render_makes_room_for_messages_full_of_escapes),
        TEST(render_refuses_a_field_whose_name_is_no_string),
        TEST(render_fills_defaults_only_when_asked),
        TEST(render_says_so_when_it_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
