/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/json.h"
#include "core/message.h"
#include "core/mp_write.h"
#include "node/payload.h"

#include <stdio.h>
#include <stdlib.h>

#define MAIN    pl_span_text("main")
#define ORIGIN  pl_span_text("import")
#define MP_ROOM (1u << 20)

static uint8_t mp[MP_ROOM];

static struct parley_span to_mp(const char *json)
{
    struct pl_writer w = pl_writer_over(mp, sizeof mp);
    struct pl_json_error where = { 0 };
    parley_err err = pl_json_to_mp(pl_span_text(json), &w, &where);
    if (err != PARLEY_OK)
        fail_msg("%s: %s", json, where.what);
    return pl_writer_span(&w);
}

static struct parley_diag refused(const char *json)
{
    struct pl_payload p;
    struct parley_diag diag = { "" };
    assert_int_not_equal(PARLEY_OK, pl_payload_open(&p, to_mp(json), MAIN, ORIGIN, &diag));
    return diag;
}

#define assert_refused(json, why) assert_string_equal((why), refused(json).text)

#define MESSAGE(fields) "{\"conversation_id\":\"c\",\"messages\":[{" fields "}]}"
#define GOOD_FIELDS                                                                                \
    "\"message_id\":\"m\",\"role\":\"user\",\"timestamp\":\"2024-01-02T03:04:05.000006Z\""

/* Yields all versions as one line each and checks them against the store's own rules. */
static size_t list(const char *json, char *out, size_t cap)
{
    struct pl_payload p;
    struct pl_payload_item item;
    struct parley_diag diag = { "" };
    size_t count = 0;
    size_t at = 0;
    parley_err err = pl_payload_open(&p, to_mp(json), MAIN, ORIGIN, &diag);
    if (err != PARLEY_OK)
        fail_msg("%s", diag.text);
    while (pl_payload_next(&p, &item)) {
        uint8_t body[4096];
        struct pl_writer w = pl_writer_over(body, sizeof body);
        assert_true(pl_payload_body_bytes_max(&item) <= sizeof body);
        pl_payload_body(&item, &w);
        assert_ok(w.err);
        item.version.body = pl_writer_span(&w);
        assert_ok(parley_version_check(&item.version, &diag));
        uint8_t text[4096];
        struct pl_writer t = pl_writer_over(text, sizeof text);
        struct pl_reader r = pl_reader_over(item.version.body);
        assert_ok(pl_mp_to_json(&r, &t));
        at += (size_t)snprintf(
            out + at, cap - at, "%u %.*s @%llu %.*s %.*s\n", (unsigned)item.version.kind,
            (int)item.version.id.len, (const char *)item.version.id.ptr,
            (unsigned long long)item.version.time, (int)item.version.origin.len,
            (const char *)item.version.origin.ptr, (int)t.len, (const char *)text);
        assert_true(at < cap);
        count++;
    }
    return count;
}

static void payload_maps_each_part_to_its_register(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(
        7, list("{\"conversation_id\":\"c\",\"title\":\"T\",\"surface\":\"web\","
                "\"created_at\":\"1970-01-01T00:00:01\",\"updated_at\":\"1970-01-01T00:00:09Z\","
                "\"metadata\":{\"k\":[1,2]},\"pinned\":true,\"messages\":["
                "{\"message_id\":\"m1\",\"role\":\"user\",\"content\":\"hi\","
                "\"timestamp\":\"1970-01-01T00:00:02\",\"source_backend\":\"b\"},"
                "{\"message_id\":\"m2\",\"role\":\"user\",\"content\":\"yo\",\"x\":1,"
                "\"timestamp\":\"1970-01-01T00:00:03Z\",\"y\":null,"
                "\"created_at\":\"1970-01-01T00:00:02Z\"}]}",
                out, sizeof out));
    assert_string_equal(out,
                        "2 title @9000000 import \"T\"\n"
                        "2 surface @9000000 import \"web\"\n"
                        "2 created_at @9000000 import \"1970-01-01T00:00:01.000000Z\"\n"
                        "2 field.pinned @9000000 import true\n"
                        "2 metadata.k @9000000 import [1,2]\n"
                        "3 m1 @2000000 b [\"user\",\"hi\"]\n"
                        "3 m2 @3000000 import [\"user\",\"yo\",2000000,{\"x\":1,\"y\":null}]\n");
}

static void payload_takes_header_time_from_the_newest_message(void **state)
{
    (void)state;
    char out[1024];
    list("{\"conversation_id\":\"c\",\"title\":\"T\",\"messages\":[{\"message_id\":\"m\",\"role\":"
         "\"user\","
         "\"content\":\"\",\"timestamp\":\"1970-01-01T00:00:02\"}]}",
         out, sizeof out);
    assert_non_null(strstr(out, "title @2000000 import"));
}

static void payload_takes_fields_that_stand_behind_the_messages(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(3, list("{\"conversation_id\":\"c\",\"messages\":[{" GOOD_FIELDS
                             ",\"content\":\"x\"}],\"pinned\":{\"messages\":[1]},"
                             "\"surface\":\"web\"}",
                             out, sizeof out));
    assert_non_null(strstr(out, "field.pinned @1704164645000006 import {\"messages\":[1]}\n"));
    assert_non_null(strstr(out, "surface @1704164645000006 import \"web\"\n"));
    assert_int_equal(1, list("{\"conversation_id\":\"c\",\"messages\":null,\"title\":\"T\","
                             "\"updated_at\":\"1970-01-01T00:00:02\"}",
                             out, sizeof out));
    assert_string_equal(out, "2 title @2000000 import \"T\"\n");
}

static void payload_takes_header_time_from_created_at_at_last(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(2, list("{\"conversation_id\":\"c\",\"title\":\"T\","
                             "\"created_at\":\"1970-01-01T00:00:02\"}",
                             out, sizeof out));
    assert_non_null(strstr(out, "title @2000000 import"));
}

static void payload_takes_null_for_absent(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(
        1, list("{\"conversation_id\":\"c\",\"title\":null,\"surface\":null,\"metadata\":null,"
                "\"created_at\":null,\"updated_at\":null,\"messages\":[{" GOOD_FIELDS
                ",\"content\":\"x\",\"source_backend\":null,\"created_at\":null}]}",
                out, sizeof out));
}

static void payload_stores_no_created_equal_to_the_timestamp(void **state)
{
    (void)state;
    char out[1024];
    list(MESSAGE(GOOD_FIELDS ",\"content\":\"x\",\"created_at\":\"2024-01-02T03:04:05.000006\""),
         out, sizeof out);
    assert_non_null(strstr(out, "[\"user\",\"x\"]\n"));
}

static void payload_yields_both_of_a_repeated_message_id(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(2, list("{\"conversation_id\":\"c\",\"messages\":[{" GOOD_FIELDS
                             ",\"content\":\"x\"},{" GOOD_FIELDS ",\"content\":\"y\"}]}",
                             out, sizeof out));
}

static void payload_encodes_like_message_encode(void **state)
{
    (void)state;
    struct pl_payload p;
    struct pl_payload_item item;
    uint8_t a[256], b[256];
    assert_ok(pl_payload_open(&p, to_mp(MESSAGE(GOOD_FIELDS ",\"content\":\"x\",\"z\":{\"q\":[]}")),
                              MAIN, ORIGIN, NULL));
    assert_true(pl_payload_next(&p, &item));
    struct pl_writer wa = pl_writer_over(a, sizeof a);
    struct pl_writer wb = pl_writer_over(b, sizeof b);
    pl_payload_body(&item, &wa);
    struct pl_message m;
    assert_ok(pl_message_decode(pl_writer_span(&wa), &m));
    pl_message_encode(&wb, &m);
    assert_true(pl_span_equal(pl_writer_span(&wa), pl_writer_span(&wb)));
}

static void payload_names_the_field_that_is_wrong(void **state)
{
    (void)state;
    assert_refused("[]", "conversation: must be an object");
    assert_refused("{}", "conversation_id: is missing");
    assert_refused("{\"conversation_id\":7}", "conversation_id: must be a string");
    assert_refused("{\"conversation_id\":\"\"}", "conversation_id: must not be empty");
    assert_refused("{\"conversation_id\":\"a\\u0001\"}",
                   "conversation_id: has a control character");
    assert_refused("{\"conversation_id\":\"c\",\"conversation_id\":\"c\"}",
                   "conversation_id: is given twice");
    assert_refused("{\"conversation_id\":\"c\",\"messages\":{}}", "messages: must be an array");
    assert_refused("{\"conversation_id\":\"c\",\"messages\":[3]}",
                   "messages[0]: must be an object");
    assert_refused("{\"conversation_id\":\"c\",\"title\":3,\"messages\":[]}",
                   "title: must be a string");
    assert_refused("{\"conversation_id\":\"c\",\"surface\":[]}", "surface: must be a string");
    assert_refused("{\"conversation_id\":\"c\",\"metadata\":[]}", "metadata: must be an object");
    assert_refused("{\"conversation_id\":\"c\",\"updated_at\":\"x\"}",
                   "updated_at: is not an ISO 8601 time");
    assert_refused("{\"conversation_id\":\"c\",\"created_at\":12}", "created_at: must be a string");
    assert_refused("{\"conversation_id\":\"c\",\"messages\":[]}",
                   "updated_at: is missing, and there is no message or created_at to take it from");
}

static void payload_names_the_message_that_is_wrong(void **state)
{
    (void)state;
    assert_refused(MESSAGE("\"role\":\"user\""), "messages[0].message_id: is missing");
    assert_refused(MESSAGE(GOOD_FIELDS), "messages[0].content: is missing");
    assert_refused(MESSAGE(GOOD_FIELDS ",\"content\":7"), "messages[0].content: must be a string");
    assert_refused(MESSAGE("\"message_id\":\"m\",\"content\":\"\""),
                   "messages[0].role: is missing");
    assert_refused(MESSAGE("\"message_id\":\"m\",\"role\":\"u\",\"content\":\"\""),
                   "messages[0].timestamp: is missing");
    assert_refused(MESSAGE("\"message_id\":\"m\",\"role\":\"u\",\"content\":\"\",\"timestamp\":1"),
                   "messages[0].timestamp: must be a string");
    assert_refused(MESSAGE("\"message_id\":\"m\",\"role\":\"u\",\"content\":\"\","
                           "\"timestamp\":\"1970-01-01T00:00:00Z\""),
                   "messages[0].timestamp: is outside the years 1970 to 9999");
    assert_refused(MESSAGE(GOOD_FIELDS ",\"content\":\"\",\"source_backend\":1"),
                   "messages[0].source_backend: must be a string");
    assert_refused(MESSAGE(GOOD_FIELDS ",\"content\":\"\",\"created_at\":\"soon\""),
                   "messages[0].created_at: is not an ISO 8601 time");
    assert_refused(MESSAGE(GOOD_FIELDS ",\"content\":\"\",\"content\":\"\""),
                   "messages[0].content: is given twice");
    assert_refused("{\"conversation_id\":\"c\",\"messages\":[{" GOOD_FIELDS
                   ",\"content\":\"\"},{" GOOD_FIELDS ",\"content\":[]}]}",
                   "messages[1].content: must be a string");
}

/* `before`, `count` times 'a', `after`. */
static char *stretch(const char *before, size_t count, const char *after)
{
    size_t len = strlen(before);
    char *text = malloc(len + count + strlen(after) + 1);
    memcpy(text, before, len);
    memset(text + len, 'a', count);
    memcpy(text + len + count, after, strlen(after) + 1);
    return text;
}

static void check_limit(const char *before, size_t max, const char *after, const char *why)
{
    struct pl_payload p;
    char *good = stretch(before, max, after);
    char *bad = stretch(before, max + 1, after);
    struct parley_diag diag = { "" };
    parley_err err = pl_payload_open(&p, to_mp(good), MAIN, ORIGIN, &diag);
    if (err != PARLEY_OK)
        fail_msg("%s", diag.text);
    struct pl_payload_item item;
    while (pl_payload_next(&p, &item))
        if (item.version.kind == PARLEY_KIND_HEADER) {
            item.version.body = item.value;
            assert_ok(parley_version_check(&item.version, &diag));
        }
    assert_string_equal(why, refused(bad).text);
    free(good);
    free(bad);
}

static void payload_refuses_what_is_above_a_limit(void **state)
{
    (void)state;
    check_limit("{\"created_at\":\"2024-01-01\\u0054"
                "00:00\",\"conversation_id\":\"",
                255, "\"}", "conversation_id: is longer than 255 bytes");
    check_limit("{\"created_at\":\"2024-01-01T00:00\",\"conversation_id\":\"c\",\"title\":\"", 4096,
                "\"}", "title: is longer than 4096 bytes");
    check_limit("{\"conversation_id\":\"c\",\"messages\":[{\"message_id\":\"m\",\"content\":\"\","
                "\"timestamp\":\"2024-01-01T00:00\",\"role\":\"",
                64, "\"}]}", "messages[0].role: is longer than 64 bytes");
    check_limit("{\"conversation_id\":\"c\",\"messages\":[{\"content\":\"\",\"role\":\"u\","
                "\"timestamp\":\"2024-01-01T00:00\",\"message_id\":\"",
                255, "\"}]}", "messages[0].message_id: is longer than 255 bytes");
    /* A value of 64 KiB, its own head of 3 bytes included. */
    check_limit("{\"created_at\":\"2024-01-01T00:00\",\"conversation_id\":\"c\",\"note\":\"", 65533,
                "\"}", "note: is longer than 64 KiB");
    /* Head of the map (reserved with 5), name with head 2, head of the text 3. */
    check_limit("{\"conversation_id\":\"c\",\"messages\":[{\"message_id\":\"m\",\"content\":\"\","
                "\"timestamp\":\"2024-01-01T00:00\",\"role\":\"u\",\"x\":\"",
                65536 - 10, "\"}]}", "messages[0]: has more than 64 KiB of other fields");
}

static void payload_refuses_a_metadata_name_that_makes_no_id(void **state)
{
    (void)state;
    struct pl_payload p;
    char *good =
        stretch("{\"created_at\":\"2024-01-01T00:00\",\"conversation_id\":\"c\",\"metadata\":{\"",
                255 - 9, "\":1}}");
    char *bad =
        stretch("{\"created_at\":\"2024-01-01T00:00\",\"conversation_id\":\"c\",\"metadata\":{\"",
                255 - 8, "\":1}}");
    assert_ok(pl_payload_open(&p, to_mp(good), MAIN, ORIGIN, NULL));
    assert_non_null(strstr(refused(bad).text, "the name is too long"));
    free(good);
    free(bad);
}

static void payload_refuses_too_many_messages(void **state)
{
    (void)state;
    struct pl_writer w = pl_writer_over(mp, sizeof mp);
    struct pl_payload p;
    struct parley_diag diag;
    pl_mp_write_map(&w, 2);
    pl_mp_write_text(&w, "conversation_id");
    pl_mp_write_text(&w, "c");
    pl_mp_write_text(&w, "messages");
    pl_mp_write_array(&w, 100001);
    for (int i = 0; i < 100001; i++)
        pl_mp_write_nil(&w);
    assert_err(PARLEY_ETOOBIG, pl_payload_open(&p, pl_writer_span(&w), MAIN, ORIGIN, &diag));
    assert_string_equal("messages: has more than 100000 elements", diag.text);
}

static void payload_refuses_names_that_are_not_strings(void **state)
{
    (void)state;
    static const uint8_t wire[] = { 0x81, 0x01, 0x01 };
    struct pl_payload p;
    assert_err(PARLEY_ETYPE,
               pl_payload_open(&p, pl_span_of(wire, sizeof wire), MAIN, ORIGIN, NULL));
}

static void payload_shows_a_long_name_cut(void **state)
{
    (void)state;
    char *bad =
        stretch("{\"conversation_id\":\"c\",\"created_at\":\"2024-01-01T00:00\",\"", 3000, "\":1}");
    struct parley_diag diag = refused(bad);
    assert_true(strlen(diag.text) < 200);
    free(bad);
}

static void payload_reads_a_message_on_its_own(void **state)
{
    (void)state;
    struct pl_payload_item item;
    struct parley_diag diag;
    assert_ok(
        pl_payload_message(to_mp("{\"role\":\"user\",\"content\":\"hi\",\"k\":1}"), &item, &diag));
    assert_int_equal(0, item.version.id.len);
    assert_int_equal(1, item.extra_count);
    assert_err(PARLEY_ETYPE, pl_payload_message(to_mp("3"), &item, &diag));
    assert_err(PARLEY_EMISSING, pl_payload_message(to_mp("{\"role\":\"user\"}"), &item, &diag));
    assert_string_equal("content: is missing", diag.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_maps_each_part_to_its_register),
        cmocka_unit_test(payload_takes_header_time_from_the_newest_message),
        cmocka_unit_test(payload_takes_fields_that_stand_behind_the_messages),
        cmocka_unit_test(payload_takes_header_time_from_created_at_at_last),
        cmocka_unit_test(payload_takes_null_for_absent),
        cmocka_unit_test(payload_stores_no_created_equal_to_the_timestamp),
        cmocka_unit_test(payload_yields_both_of_a_repeated_message_id),
        cmocka_unit_test(payload_encodes_like_message_encode),
        cmocka_unit_test(payload_names_the_field_that_is_wrong),
        cmocka_unit_test(payload_names_the_message_that_is_wrong),
        cmocka_unit_test(payload_refuses_what_is_above_a_limit),
        cmocka_unit_test(payload_refuses_a_metadata_name_that_makes_no_id),
        cmocka_unit_test(payload_refuses_too_many_messages),
        cmocka_unit_test(payload_refuses_names_that_are_not_strings),
        cmocka_unit_test(payload_shows_a_long_name_cut),
        cmocka_unit_test(payload_reads_a_message_on_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
