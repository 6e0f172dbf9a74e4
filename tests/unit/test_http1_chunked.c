/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "proto/http1.h"

/* A literal with its length, so that a case may hold NUL. */
#define BYTES(text) .bytes = (text), .len = sizeof(text) - 1

static size_t fill(char *text, const char *head, char c, size_t count, const char *tail)
{
    size_t len = strlen(head);
    memcpy(text, head, len);
    memset(text + len, c, count);
    memcpy(text + len + count, tail, strlen(tail));
    return len + count + strlen(tail);
}

struct decoded {
    parley_err err;
    bool done;
    size_t used;
    size_t len;
    char text[512];
};

/* Feeds at most `step` bytes a call. */
static struct decoded decode(struct parley_span in, size_t step)
{
    struct decoded out = { .err = PARLEY_OK };
    struct pl_http_chunked c;
    pl_http_chunked_init(&c);
    while (out.used < in.len && !out.done) {
        struct parley_span part =
            pl_span_of(in.ptr + out.used, pl_min_size(step, in.len - out.used));
        struct parley_span body;
        size_t used;
        out.err = pl_http_chunked_feed(&c, part, &used, &body, &out.done);
        if (out.err != PARLEY_OK)
            return out;
        assert_in_range(used, 1, part.len);
        assert_true(body.len <= used && out.len + body.len <= sizeof out.text);
        if (body.len > 0)
            memcpy(out.text + out.len, body.ptr, body.len);
        out.len += body.len;
        out.used += used;
    }
    return out;
}

static void http1_chunked_decodes_chunks_however_they_are_cut(void **state)
{
    (void)state;
    static const char wire[] = "5\r\nhello\r\n1;a=\"b;\\\"\"; c;d=e\r\n \r\n00A\r\n0123\r\n6789\r\n"
                               "0;last\r\nTrailer: x\r\nOther:\r\n\r\nGET /";
    size_t end = strlen(wire) - strlen("GET /");
    for (size_t step = 1; step <= sizeof wire; step++) {
        struct decoded out = decode(pl_span_text(wire), step);
        assert_ok(out.err);
        assert_true(out.done);
        assert_int_equal(end, out.used);
        assert_true(pl_span_is(pl_span_of(out.text, out.len), "hello 0123\r\n6789"));
    }
    for (size_t len = 0; len < end; len++)
        assert_false(decode(pl_span_of(wire, len), 7).done);
}

static void http1_chunked_refuses_malformed_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *bytes;
        size_t len;
    } cases[] = {
        { "empty size", BYTES("\r\n") },
        { "size with a plus", BYTES("+5\r\nhello\r\n") },
        { "size with a minus", BYTES("-5\r\n") },
        { "size with 0x", BYTES("0x5\r\nhello\r\n") },
        { "size with an underscore", BYTES("1_0\r\n") },
        { "space before the size", BYTES(" 5\r\nhello\r\n") },
        { "space after the size", BYTES("5 \r\nhello\r\n") },
        { "space before the extension", BYTES("5 ;a\r\nhello\r\n") },
        { "size of 16 digits", BYTES("0000000000000005\r\nhello\r\n") },
        { "size that overflows", BYTES("FFFFFFFFFFFFFFFFF\r\n") },
        { "no digits before an extension", BYTES(";a\r\n") },
        { "an extension of nothing", BYTES("5;\r\nhello\r\n") },
        { "an extension of blanks", BYTES("5; \t\r\nhello\r\n") },
        { "an extension without a name", BYTES("5;=a\r\nhello\r\n") },
        { "bare LF after the size", BYTES("5\nhello\r\n") },
        { "bare CR after the size", BYTES("5\rhello\r\n") },
        { "bare LF in an extension", BYTES("5;a\nhello\r\n") },
        { "bare CR in an extension", BYTES("5;a\rb\r\nhello\r\n") },
        { "NUL in an extension", BYTES("5;\0\r\nhello\r\n") },
        { "a quote that stays open", BYTES("5;a=\"b\r\nhello\r\n") },
        { "an escape at the end of a quote", BYTES("5;a=\"b\\\r\nhello\r\n") },
        { "something behind a quote", BYTES("5;a=\"b\"c\r\nhello\r\n") },
        { "a quote in a word", BYTES("5;a=b\"c\r\nhello\r\n") },
        { "an extension without its value", BYTES("5;a=\r\nhello\r\n") },
        { "an extension with two values", BYTES("5;a=b=c\r\nhello\r\n") },
        { "a blank in an extension", BYTES("5;a b\r\nhello\r\n") },
        { "a second extension of nothing", BYTES("5;a;\r\nhello\r\n") },
        { "bare LF after the data", BYTES("5\r\nhello\n0\r\n\r\n") },
        { "another byte than CR after the data", BYTES("4\r\nhello\n0\r\n\r\n") },
        { "another byte than LF after the data", BYTES("4\r\nhell\rx0\r\n\r\n") },
        { "data longer than said", BYTES("4\r\nhello\r\n0\r\n\r\n") },
        { "data shorter than said", BYTES("6\r\nhello\r\n0\r\n\r\n") },
        { "bare LF after the last chunk", BYTES("0\n\n") },
        { "bare LF at the end", BYTES("0\r\n\n") },
        { "bare CR at the end", BYTES("0\r\n\rX") },
        { "trailer without a colon", BYTES("0\r\nX\r\n\r\n") },
        { "trailer with an empty name", BYTES("0\r\n: x\r\n\r\n") },
        { "trailer with a space before the colon", BYTES("0\r\nX : y\r\n\r\n") },
        { "folded trailer", BYTES("0\r\nX: y\r\n z\r\n\r\n") },
        { "NUL in a trailer", BYTES("0\r\nX: \0\r\n\r\n") },
        { "bare LF in a trailer", BYTES("0\r\nX: y\n\r\n") },
        { "bare CR in a trailer", BYTES("0\r\nX: y\rz\r\n\r\n") },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        for (size_t step = 1; step < 9; step++)
            if (decode(pl_span_of(cases[i].bytes, cases[i].len), step).err != PARLEY_EMALFORMED)
                fail_msg("%s was taken in steps of %zu", cases[i].what, step);
}

static void http1_chunked_takes_a_size_of_15_digits(void **state)
{
    (void)state;
    struct decoded out = decode(pl_span_text("000000000000002\r\nhi\r\n0\r\n\r\n"), 64);
    assert_ok(out.err);
    assert_true(out.done && out.len == 2);
    out = decode(pl_span_text("fffffffffffffff\r\nabc"), 64);
    assert_ok(out.err);
    assert_int_equal(3, out.len);
}

static void http1_chunked_refuses_extensions_and_trailers_above_their_limit(void **state)
{
    (void)state;
    char text[4200];
    size_t len = fill(text, "1;", 'x', 64, "\r\na\r\n0\r\n\r\n");
    assert_true(decode(pl_span_of(text, len), 50).done);
    len = fill(text, "1;", 'x', 65, "\r\na\r\n0\r\n\r\n");
    assert_err(PARLEY_EMALFORMED, decode(pl_span_of(text, len), 50).err);
    len = fill(text, "0\r\nX:", 'x', 4096 - 2 - 3, "\r\n\r\n");
    assert_true(decode(pl_span_of(text, len), 50).done);
    len = fill(text, "0\r\nX:", 'x', 4096, "\r\n\r\n");
    assert_err(PARLEY_EMALFORMED, decode(pl_span_of(text, len), 50).err);
    /* 1024 lines of four bytes, two of which are their ends, are one too many. */
    len = fill(text, "0\r\n", 'x', 0, "");
    for (int i = 0; i < 1024; i++)
        len += fill(text + len, "X:\r\n", 'x', 0, "");
    len += fill(text + len, "\r\n", 'x', 0, "");
    assert_err(PARLEY_EMALFORMED, decode(pl_span_of(text, len), 50).err);
}

static void http1_chunked_keeps_a_chunk_error_and_a_chunk_end(void **state)
{
    (void)state;
    struct pl_http_chunked c;
    struct parley_span body = pl_span_of("x", 1);
    size_t used = 77;
    bool done = false;
    pl_http_chunked_init(&c);
    assert_err(PARLEY_EMALFORMED, pl_http_chunked_feed(&c, pl_span_text("x"), &used, &body, &done));
    assert_err(PARLEY_EMALFORMED,
               pl_http_chunked_feed(&c, pl_span_text("0\r\n\r\n"), &used, &body, &done));
    assert_true(used == 77 && body.len == 1 && !done);
    pl_http_chunked_init(&c);
    assert_ok(pl_http_chunked_feed(&c, pl_span_text("0\r\n\r\n"), &used, &body, &done));
    assert_true(done && used == 5);
    assert_ok(pl_http_chunked_feed(&c, pl_span_text("5\r\n"), &used, &body, &done));
    assert_true(done && used == 0 && body.len == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_chunked_decodes_chunks_however_they_are_cut),
        cmocka_unit_test(http1_chunked_refuses_malformed_chunks),
        cmocka_unit_test(http1_chunked_takes_a_size_of_15_digits),
        cmocka_unit_test(http1_chunked_refuses_extensions_and_trailers_above_their_limit),
        cmocka_unit_test(http1_chunked_keeps_a_chunk_error_and_a_chunk_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
