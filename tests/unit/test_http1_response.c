/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of answers: what is taken, how the body is framed, and what is refused.
 */
#include "lib/testlib.h"

#include "proto/http1_response.h"

#include <stdio.h>
#include <stdlib.h>

struct parsed {
    enum pl_http_parse verdict;
    struct pl_http_answer answer;
    size_t head_len;
    const char *why;
};

/* Shows the bytes `step` at a time; the verdict must not depend on it. */
static struct parsed parse_in_steps(const char *text, size_t step)
{
    struct parsed p = { .verdict = PL_HTTP_NEED_MORE };
    struct parley_span all = pl_span_text(text);
    size_t scanned = 0;
    for (size_t shown = 0; p.verdict == PL_HTTP_NEED_MORE && shown < all.len;) {
        shown = pl_min_size(shown + step, all.len);
        p.verdict = pl_http_parse_answer(pl_span_of(all.ptr, shown), &scanned, &p.answer,
                                         &p.head_len, &p.why);
    }
    return p;
}

static struct parsed parse(const char *text)
{
    struct parsed whole = parse_in_steps(text, SIZE_MAX / 2);
    struct parsed bytes = parse_in_steps(text, 1);
    assert_int_equal(whole.verdict, bytes.verdict);
    assert_int_equal(whole.head_len, bytes.head_len);
    return whole;
}

static void http1_response_takes_a_length(void **state)
{
    (void)state;
    struct parsed p = parse("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  12 \r\n\r\nrest");
    assert_int_equal(PL_HTTP_DONE, p.verdict);
    assert_int_equal(200, p.answer.status);
    assert_int_equal(1, p.answer.minor);
    assert_true(p.answer.has_length && !p.answer.chunked && !p.answer.bodiless);
    assert_int_equal(12, p.answer.content_length);
    assert_int_equal(strlen("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  12 \r\n\r\n"),
                     p.head_len);
}

static void http1_response_takes_chunks(void **state)
{
    (void)state;
    struct parsed p = parse("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(PL_HTTP_DONE, p.verdict);
    assert_int_equal(404, p.answer.status);
    assert_true(p.answer.chunked && !p.answer.has_length);
}

static void http1_response_takes_a_body_that_ends_with_the_connection(void **state)
{
    static const char *const heads[] = { "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n",
                                         "HTTP/1.1 200 \r\n\r\n" };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(heads); i++) {
        struct parsed p = parse(heads[i]);
        assert_int_equal(PL_HTTP_DONE, p.verdict);
        assert_true(!p.answer.chunked && !p.answer.has_length && !p.answer.bodiless);
    }
}

static void http1_response_knows_which_have_no_body(void **state)
{
    static const struct {
        const char *head;
        bool bodiless;
    } cases[] = {
        { "HTTP/1.1 100 Continue\r\n\r\n", true },
        { "HTTP/1.1 204 No Content\r\n\r\n", true },
        { "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", true },
        { "HTTP/1.1 205 Reset\r\n\r\n", false },
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++)
        assert_int_equal(cases[i].bodiless, parse(cases[i].head).answer.bodiless);
}

static void http1_response_refuses_what_two_readers_could_take_in_two_ways(void **state)
{
    static const char *const heads[] = {
        "this is not HTTP\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 02\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(heads); i++) {
        struct parsed p = parse(heads[i]);
        if (p.verdict != PL_HTTP_BAD || p.why == NULL)
            fail_msg("taken: %s", heads[i]);
    }
}

static void http1_response_refuses_a_head_that_does_not_end(void **state)
{
    char *text = calloc(1, PL_HTTP_HEAD_BYTES_MAX + 32);
    (void)state;
    memset(text, 'a', PL_HTTP_HEAD_BYTES_MAX + 16);
    memcpy(text, "HTTP/1.1 200 OK\r\nA:", 19);
    struct parsed p = parse_in_steps(text, 1000);
    assert_int_equal(PL_HTTP_BAD, p.verdict);
    assert_non_null(strstr(p.why, "too long"));
    free(text);
}

/* An answer with so many fields. */
static enum pl_http_parse parse_fields(int count)
{
    char text[1024];
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < count; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "A: b\r\n");
    snprintf(text + len, sizeof text - (size_t)len, "\r\n");
    return parse(text).verdict;
}

static void http1_response_refuses_too_many_fields(void **state)
{
    (void)state;
    assert_int_equal(PL_HTTP_DONE, parse_fields(PL_HTTP_HEADERS_MAX));
    assert_int_equal(PL_HTTP_BAD, parse_fields(PL_HTTP_HEADERS_MAX + 1));
}

static void http1_response_waits_for_the_end_of_the_head(void **state)
{
    (void)state;
    assert_int_equal(PL_HTTP_NEED_MORE, parse("HTTP/1.1 200 OK\r\nA: b\r\n\r").verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_response_takes_a_length),
        cmocka_unit_test(http1_response_takes_chunks),
        cmocka_unit_test(http1_response_takes_a_body_that_ends_with_the_connection),
        cmocka_unit_test(http1_response_knows_which_have_no_body),
        cmocka_unit_test(http1_response_refuses_what_two_readers_could_take_in_two_ways),
        cmocka_unit_test(http1_response_refuses_a_head_that_does_not_end),
        cmocka_unit_test(http1_response_refuses_too_many_fields),
        cmocka_unit_test(http1_response_waits_for_the_end_of_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
