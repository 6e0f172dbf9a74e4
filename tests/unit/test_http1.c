/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/testlib.h"
#include "proto/http1.h"

/* A literal with its length, so that a case may hold NUL. */
#define BYTES(text) .bytes = (text), .len = sizeof(text) - 1
#define HOST        "Host: localhost\r\n"
#define CHUNKED     "Transfer-Encoding: chunked\r\n"
#define GET         "GET / HTTP/1.1\r\n" HOST

struct refusal {
    const char *what;
    const char *bytes;
    size_t len;
    unsigned status;
};

/* ---- Request line ---- */

static const struct refusal line_refusals[] = {
    { "method in lower case", BYTES("get / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "method in mixed case", BYTES("GeT / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "method with a non-token", BYTES("GE(T / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "empty method", BYTES(" / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "empty line first", BYTES("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "two spaces after the method", BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "two spaces after the target", BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "tab for a space", BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "tab in the target", BYTES("GET /\t HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "space after the version", BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400 },
    { "space in the target", BYTES("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "no version (HTTP/0.9)", BYTES("GET /\r\n\r\n"), 400 },
    { "no target", BYTES("GET HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "empty target", BYTES("GET  HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "version in lower case", BYTES("GET / http/1.1\r\n" HOST "\r\n"), 400 },
    { "version with two digits", BYTES("GET / HTTP/1.10\r\n" HOST "\r\n"), 400 },
    { "version without a dot", BYTES("GET / HTTP/1-1\r\n" HOST "\r\n"), 400 },
    { "version with letters", BYTES("GET / HTTP/a.b\r\n" HOST "\r\n"), 400 },
    { "HTTP/1.2", BYTES("GET / HTTP/1.2\r\n" HOST "\r\n"), 505 },
    { "HTTP/0.9 by name", BYTES("GET / HTTP/0.9\r\n" HOST "\r\n"), 505 },
    { "HTTP/2.0", BYTES("GET / HTTP/2.0\r\n" HOST "\r\n"), 505 },
    { "the HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 },
    { "absolute-form", BYTES("GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "authority-form", BYTES("CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "asterisk-form", BYTES("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "relative target", BYTES("GET peers HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "query without a path", BYTES("GET ?a=b HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "fragment", BYTES("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "backslash", BYTES("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "raw byte above 0x7f", BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "TLS on the plain port", BYTES("\x16\x03\x01\x02"), 400 },
};

/* ---- Line ends and control bytes ---- */

static const struct refusal byte_refusals[] = {
    { "bare LF after the request line", BYTES("GET / HTTP/1.1\n" HOST "\r\n"), 400 },
    { "bare LF after a field", BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400 },
    { "bare LF as the empty line", BYTES(GET "\n"), 400 },
    { "bare CR in a value", BYTES(GET "X: a\rb\r\n\r\n"), 400 },
    { "bare CR that hides a field", BYTES(GET "X: \rTransfer-Encoding: chunked\r\n\r\n"), 400 },
    { "bare CR before the end", BYTES(GET "\r\r\n"), 400 },
    { "CR, CR, LF at a line end", BYTES("GET / HTTP/1.1\r\r\n" HOST "\r\n"), 400 },
    { "bare CR in the request line", BYTES("GET /\r HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "NUL in the target", BYTES("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { "NUL in a name", BYTES(GET "X\0: a\r\n\r\n"), 400 },
    { "NUL in a value", BYTES(GET "X: a\0b\r\n\r\n"), 400 },
    { "escape byte in a value", BYTES(GET "X: a\x1b[2J\r\n\r\n"), 400 },
    { "DEL in a value", BYTES(GET "X: \x7f\r\n\r\n"), 400 },
    { "vertical tab in a value", BYTES(GET "X: a\vb\r\n\r\n"), 400 },
    { "form feed in a name", BYTES(GET "X\f: a\r\n\r\n"), 400 },
};

/* ---- Fields ---- */

static const struct refusal field_refusals[] = {
    { "obs-fold with a space", BYTES(GET "X: a\r\n b\r\n\r\n"), 400 },
    { "obs-fold with a tab", BYTES(GET "X: a\r\n\tb\r\n\r\n"), 400 },
    { "folded first field", BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400 },
    { "folded line that looks like a field", BYTES(GET "X: a\r\n Y: b\r\n\r\n"), 400 },
    { "space before the colon", BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400 },
    { "tab before the colon", BYTES("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"), 400 },
    { "empty name", BYTES(GET ": a\r\n\r\n"), 400 },
    { "no colon", BYTES(GET "X\r\n\r\n"), 400 },
    { "space in a name", BYTES(GET "X Y: a\r\n\r\n"), 400 },
    { "non-token in a name", BYTES(GET "X(Y): a\r\n\r\n"), 400 },
    { "quote in a name", BYTES(GET "\"X\": a\r\n\r\n"), 400 },
    { "byte above 0x7f in a name", BYTES(GET "X\xc3\xa9: a\r\n\r\n"), 400 },
    { "Authorization twice", BYTES(GET "Authorization: a\r\nauthorization: a\r\n\r\n"), 400 },
    { "Content-Type twice", BYTES(GET "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n"), 400 },
    { "Origin twice", BYTES(GET "Origin: null\r\nOrigin: http://a\r\n\r\n"), 400 },
    { "Accept twice", BYTES(GET "Accept: a/b\r\nAccept: c/d\r\n\r\n"), 400 },
    { "Accept-Encoding twice", BYTES(GET "Accept-Encoding: a\r\nAccept-Encoding: b\r\n\r\n"), 400 },
    { "Content-Encoding twice", BYTES(GET "Content-Encoding: a\r\nContent-Encoding: b\r\n\r\n"),
      400 },
    { "If-Match twice", BYTES(GET "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n\r\n"), 400 },
    { "If-None-Match twice", BYTES(GET "If-None-Match: a\r\nIf-None-Match: b\r\n\r\n"), 400 },
    { "Idempotency-Key twice", BYTES(GET "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n"), 400 },
    { "Last-Event-ID twice", BYTES(GET "Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n"), 400 },
    { "a second, empty field", BYTES(GET "Origin:\r\nOrigin: a\r\n\r\n"), 400 },
    { "unknown expectation", BYTES(GET "Expect: 200-ok\r\n\r\n"), 417 },
    { "empty expectation", BYTES(GET "Expect:\r\n\r\n"), 417 },
    { "Expect twice", BYTES(GET "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), 400 },
};

static const struct refusal host_refusals[] = {
    { "no Host in 1.1", BYTES("GET / HTTP/1.1\r\n\r\n"), 400 },
    { "two Hosts", BYTES(GET "Host: other\r\n\r\n"), 400 },
    { "two equal Hosts", BYTES(GET HOST "\r\n"), 400 },
    { "two Hosts in 1.0", BYTES("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), 400 },
    { "empty Host", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400 },
    { "list of Hosts", BYTES("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400 },
    { "Host with a user", BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400 },
    { "Host with a path", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400 },
    { "Host with an empty port", BYTES("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), 400 },
    { "Host with a long port", BYTES("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"), 400 },
    { "Host with a named port", BYTES("GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"), 400 },
    { "Host that is only a port", BYTES("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), 400 },
    { "open bracket", BYTES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400 },
    { "empty brackets", BYTES("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), 400 },
    { "name in brackets", BYTES("GET / HTTP/1.1\r\nHost: [localhost]\r\n\r\n"), 400 },
    { "text after brackets", BYTES("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), 400 },
};

/* ---- Body framing ---- */

static const struct refusal framing_refusals[] = {
    { "TE and CL", BYTES(GET CHUNKED "Content-Length: 4\r\n\r\n"), 400 },
    { "CL and TE", BYTES(GET "Content-Length: 4\r\n" CHUNKED "\r\n"), 400 },
    { "unknown TE and CL", BYTES(GET "Transfer-Encoding: x\r\nContent-Length: 4\r\n\r\n"), 400 },
    { "two CL", BYTES(GET "Content-Length: 4\r\nContent-Length: 5\r\n\r\n"), 400 },
    { "two equal CL", BYTES(GET "Content-Length: 4\r\nContent-Length: 4\r\n\r\n"), 400 },
    { "CL as a list", BYTES(GET "Content-Length: 4, 4\r\n\r\n"), 400 },
    { "empty CL", BYTES(GET "Content-Length:\r\n\r\n"), 400 },
    { "CL with a plus", BYTES(GET "Content-Length: +4\r\n\r\n"), 400 },
    { "CL with a minus", BYTES(GET "Content-Length: -4\r\n\r\n"), 400 },
    { "CL with a space inside", BYTES(GET "Content-Length: 4 4\r\n\r\n"), 400 },
    { "CL in hex", BYTES(GET "Content-Length: 0x4\r\n\r\n"), 400 },
    { "CL with an underscore", BYTES(GET "Content-Length: 1_0\r\n\r\n"), 400 },
    { "CL with a fraction", BYTES(GET "Content-Length: 4.0\r\n\r\n"), 400 },
    { "CL in quotes", BYTES(GET "Content-Length: \"4\"\r\n\r\n"), 400 },
    { "CL with a leading zero", BYTES(GET "Content-Length: 010\r\n\r\n"), 400 },
    { "CL one above the limit", BYTES(GET "Content-Length: 1073741825\r\n\r\n"), 413 },
    { "CL of 2^64", BYTES(GET "Content-Length: 18446744073709551616\r\n\r\n"), 413 },
    { "CL of 2^64 + 4", BYTES(GET "Content-Length: 18446744073709551620\r\n\r\n"), 413 },
    { "CL of 30 digits", BYTES(GET "Content-Length: 100000000000000000000000000000\r\n\r\n"), 413 },
    { "TE twice", BYTES(GET CHUNKED CHUNKED "\r\n"), 400 },
    { "chunked twice", BYTES(GET "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400 },
    { "TE list that ends in chunked", BYTES(GET "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400 },
    { "TE list that begins with chunked", BYTES(GET "Transfer-Encoding: chunked, identity\r\n\r\n"),
      400 },
    { "TE with an empty element", BYTES(GET "Transfer-Encoding: ,chunked\r\n\r\n"), 400 },
    { "TE with a parameter", BYTES(GET "Transfer-Encoding: chunked;q=1\r\n\r\n"), 400 },
    { "empty TE", BYTES(GET "Transfer-Encoding:\r\n\r\n"), 400 },
    { "quoted TE", BYTES(GET "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400 },
    { "unknown TE", BYTES(GET "Transfer-Encoding: xchunked\r\n\r\n"), 501 },
    { "identity TE", BYTES(GET "Transfer-Encoding: identity\r\n\r\n"), 501 },
    { "TE in HTTP/1.0", BYTES("POST / HTTP/1.0\r\n" CHUNKED "\r\n"), 400 },
};

/* Heads that are taken, for the properties below. */
static const char *const good_heads[] = {
    GET "\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST /sync?a=b HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "POST /sync HTTP/1.1\r\n" HOST CHUNKED "Connection: close\r\nX: \t a b \t\r\n\r\n",
    ("DELETE /peers/a%2fb HTTP/1.1\r\nHost: [::1]:8825\r\nOrigin: http://localhost\r\n"
     "Authorization: Bearer abc\r\nAccept: application/json\r\n\r\n"),
};

/* ---- Helpers ---- */

struct outcome {
    enum pl_http_parse verdict;
    unsigned status;
    size_t head_len;
    size_t at; /* bytes shown when the verdict fell */
    struct pl_http_request request;
};

static struct outcome parse_once(struct parley_span bytes)
{
    struct outcome out = { .at = bytes.len };
    size_t scanned = 0;
    out.verdict = pl_http_parse_head(bytes, &scanned, &out.request, &out.head_len, &out.status);
    return out;
}

/* Shows `step` more bytes with each call. */
static struct outcome parse_split(struct parley_span bytes, size_t step)
{
    struct outcome out = { .verdict = PL_HTTP_NEED_MORE };
    size_t scanned = 0;
    while (out.verdict == PL_HTTP_NEED_MORE && out.at < bytes.len) {
        out.at = pl_min_size(out.at + step, bytes.len);
        out.verdict = pl_http_parse_head(pl_span_of(bytes.ptr, out.at), &scanned, &out.request,
                                         &out.head_len, &out.status);
    }
    return out;
}

static bool same_span(struct parley_span a, struct parley_span b)
{
    return a.ptr == b.ptr && a.len == b.len;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->verdict != b->verdict || a->status != b->status || a->head_len != b->head_len)
        return false;
    const struct pl_http_request *x = &a->request;
    const struct pl_http_request *y = &b->request;
    return x->method == y->method && same_span(x->target, y->target) &&
           x->keep_alive == y->keep_alive && x->chunked == y->chunked &&
           x->has_length == y->has_length && x->content_length == y->content_length &&
           same_span(x->host, y->host) && x->header_count == y->header_count;
}

/* Each case gives its status at once, byte by byte and in odd steps, and no prefix is DONE. */
static void check_refusals(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct parley_span bytes = pl_span_of(cases[i].bytes, cases[i].len);
        for (size_t step = 0; step < 8; step++) {
            struct outcome out = step == 0 ? parse_once(bytes) : parse_split(bytes, step);
            if (out.verdict != PL_HTTP_BAD || out.status != cases[i].status)
                fail_msg("%s (step %zu): verdict %d, status %u, want %u", cases[i].what, step,
                         (int)out.verdict, out.status, cases[i].status);
        }
        for (size_t len = 0; len < bytes.len; len++)
            if (parse_once(pl_span_of(bytes.ptr, len)).verdict == PL_HTTP_DONE)
                fail_msg("%s: done after %zu bytes", cases[i].what, len);
    }
}

static struct pl_http_request parse_good(const char *text)
{
    struct outcome out = parse_once(pl_span_text(text));
    assert_int_equal(PL_HTTP_DONE, out.verdict);
    assert_int_equal(strlen(text), out.head_len);
    return out.request;
}

/* ---- Heads ---- */

static void http1_refuses_ambiguous_request_lines(void **state)
{
    (void)state;
    check_refusals(line_refusals, PL_ARRAY_LEN(line_refusals));
}

static void http1_refuses_bare_line_ends_and_control_bytes(void **state)
{
    (void)state;
    check_refusals(byte_refusals, PL_ARRAY_LEN(byte_refusals));
}

static void http1_refuses_malformed_and_repeated_fields(void **state)
{
    (void)state;
    check_refusals(field_refusals, PL_ARRAY_LEN(field_refusals));
}

static void http1_refuses_missing_repeated_and_malformed_hosts(void **state)
{
    (void)state;
    check_refusals(host_refusals, PL_ARRAY_LEN(host_refusals));
}

static void http1_refuses_ambiguous_body_framing(void **state)
{
    (void)state;
    check_refusals(framing_refusals, PL_ARRAY_LEN(framing_refusals));
}

static void http1_refuses_every_control_byte_everywhere(void **state)
{
    (void)state;
    char text[256];
    const char *good = good_heads[2];
    size_t len = strlen(good);
    memcpy(text, good, len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned byte = 0; byte < 0x80; byte++) {
            if (byte == '\t' || (byte >= 0x20 && byte != 0x7f) || byte == (unsigned char)good[at])
                continue;
            text[at] = (char)byte;
            /* A replaced byte of the last CRLF may leave the head open, but never done. */
            assert_int_not_equal(PL_HTTP_DONE, parse_once(pl_span_of(text, len)).verdict);
        }
        text[at] = good[at];
    }
}

static void http1_fills_every_field_of_a_request(void **state)
{
    (void)state;
    struct pl_http_request r = parse_good(
        "POST /sync?full=1&x HTTP/1.1\r\nHOST:\t127.0.0.1:8825 \r\norigin: http://localhost\r\n"
        "Authorization: Bearer a.b.c\r\nContent-Type: application/json; charset=utf-8\r\n"
        "Accept:application/msgpack\r\nAccept-Encoding: gzip, zstd\r\nContent-Encoding: zstd\r\n"
        "If-None-Match: \"1\"\r\nIf-Match: \"2\"\r\nIdempotency-Key: k\r\nLast-Event-ID: 7\r\n"
        "Content-Length: 1073741824\r\nX-Other: \xc3\xa9\r\n\r\n");
    assert_int_equal(PL_HTTP_POST, r.method);
    assert_span_text(r.target, "/sync?full=1&x");
    assert_span_text(r.path, "/sync");
    assert_span_text(r.query, "full=1&x");
    assert_int_equal(1, r.minor);
    assert_true(r.keep_alive && r.has_length && !r.chunked && !r.expect_continue);
    assert_int_equal(PL_HTTP_BODY_BYTES_MAX, r.content_length);
    assert_span_text(r.host, "127.0.0.1:8825");
    assert_span_text(r.origin, "http://localhost");
    assert_span_text(r.authorization, "Bearer a.b.c");
    assert_span_text(r.content_type, "application/json; charset=utf-8");
    assert_span_text(r.accept, "application/msgpack");
    assert_span_text(r.accept_encoding, "gzip, zstd");
    assert_span_text(r.content_encoding, "zstd");
    assert_span_text(r.if_none_match, "\"1\"");
    assert_span_text(r.if_match, "\"2\"");
    assert_span_text(r.idempotency_key, "k");
    assert_span_text(r.last_event_id, "7");
    assert_int_equal(13, r.header_count);
}

static void http1_tells_an_absent_field_from_an_empty_one(void **state)
{
    (void)state;
    struct pl_http_request r = parse_good(GET "Origin: \t \r\n\r\n");
    assert_non_null(r.origin.ptr);
    assert_int_equal(0, r.origin.len);
    assert_null(r.authorization.ptr);
}

static void http1_splits_the_target_at_the_first_question_mark(void **state)
{
    (void)state;
    struct pl_http_request r = parse_good("GET /a?b?c=/d HTTP/1.1\r\n" HOST "\r\n");
    assert_span_text(r.path, "/a");
    assert_span_text(r.query, "b?c=/d");
    r = parse_good("GET //a HTTP/1.1\r\n" HOST "\r\n");
    assert_span_text(r.path, "//a");
    assert_int_equal(0, r.query.len);
}

static void http1_knows_its_methods_and_calls_the_rest_other(void **state)
{
    (void)state;
    static const char *const names[] = { "GET",   "HEAD",   "POST",    "PUT",
                                         "PATCH", "DELETE", "OPTIONS", "M-SEARCH" };
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        char text[64];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\n" HOST "\r\n", names[i]);
        assert_int_equal(i, parse_good(text).method);
    }
}

static void http1_takes_names_literals_and_ports_as_host(void **state)
{
    (void)state;
    static const char *const hosts[] = { "localhost",          "a-b.example.org:443",
                                         "127.0.0.1:8825",     "[::1]",
                                         "[::ffff:1.2.3.4]:1", "under_score",
                                         "example.org.",       "a:65535" };
    for (size_t i = 0; i < PL_ARRAY_LEN(hosts); i++) {
        char text[96];
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        assert_span_text(parse_good(text).host, hosts[i]);
    }
}

static void http1_keeps_alive_by_version_and_connection(void **state)
{
    (void)state;
    assert_true(parse_good(GET "\r\n").keep_alive);
    assert_false(parse_good(GET "Connection: close\r\n\r\n").keep_alive);
    assert_false(parse_good(GET "Connection: x, CLOSE ,y\r\n\r\n").keep_alive);
    assert_false(parse_good(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n").keep_alive);
    assert_true(parse_good(GET "Connection: closed\r\n\r\n").keep_alive);
    assert_false(parse_good("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(parse_good("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

static void http1_expects_continue_only_before_a_body_in_1_1(void **state)
{
    (void)state;
    assert_true(parse_good(good_heads[2]).expect_continue);
    assert_true(parse_good(GET CHUNKED "Expect: 100-Continue\r\n\r\n").expect_continue);
    assert_false(parse_good(GET "Expect: 100-continue\r\n\r\n").expect_continue);
    assert_false(parse_good("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
                     .expect_continue);
}

static void http1_takes_chunked_in_any_case_with_blanks_around(void **state)
{
    (void)state;
    struct pl_http_request r = parse_good(GET "transfer-encoding: \tChunked \r\n\r\n");
    assert_true(r.chunked && !r.has_length);
}

static void http1_takes_a_zero_length(void **state)
{
    (void)state;
    struct pl_http_request r = parse_good(GET "Content-Length: 0\r\n\r\n");
    assert_true(r.has_length && r.content_length == 0);
}

/* ---- Heads: limits ---- */

static size_t fill(char *text, const char *head, char c, size_t count, const char *tail)
{
    size_t len = strlen(head);
    memcpy(text, head, len);
    memset(text + len, c, count);
    memcpy(text + len + count, tail, strlen(tail));
    return len + count + strlen(tail);
}

static void http1_counts_fields_and_refuses_one_too_many(void **state)
{
    (void)state;
    char text[2048];
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = fill(text, GET, 'x', 0, "");
        for (size_t i = 1; i < PL_HTTP_HEADERS_MAX + extra; i++)
            len += fill(text + len, "X", ':', 1, "\r\n");
        len += fill(text + len, "\r\n", 0, 0, "");
        struct outcome out = parse_once(pl_span_of(text, len));
        assert_int_equal(extra == 0 ? PL_HTTP_DONE : PL_HTTP_BAD, out.verdict);
        assert_int_equal(extra == 0 ? 0 : 431, out.status);
    }
}

static void http1_refuses_a_head_of_one_byte_too_many(void **state)
{
    (void)state;
    char *text = malloc(PL_HTTP_HEAD_BYTES_MAX + 64);
    size_t fixed = strlen(GET "X:\r\n\r\n");
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = fill(text, GET "X:", 'a', PL_HTTP_HEAD_BYTES_MAX - fixed + extra, "\r\n\r\n");
        struct outcome out = parse_once(pl_span_of(text, len));
        struct outcome split = parse_split(pl_span_of(text, len), 1000);
        assert_int_equal(extra == 0 ? PL_HTTP_DONE : PL_HTTP_BAD, out.verdict);
        assert_int_equal(extra == 0 ? 0 : 431, out.status);
        assert_true(same_outcome(&out, &split));
    }
    free(text);
}

static void http1_refuses_an_endless_request_line_as_too_long(void **state)
{
    (void)state;
    char *text = malloc(PL_HTTP_HEAD_BYTES_MAX + 64);
    size_t len = fill(text, "GET /", 'a', PL_HTTP_HEAD_BYTES_MAX, "");
    struct outcome out = parse_split(pl_span_of(text, len), 100);
    assert_int_equal(PL_HTTP_BAD, out.verdict);
    assert_int_equal(414, out.status);
    free(text);
}

static void http1_refuses_a_target_of_one_byte_too_many(void **state)
{
    (void)state;
    char *text = malloc(PL_HTTP_TARGET_BYTES_MAX + 128);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = fill(text, "GET /", 'a', PL_HTTP_TARGET_BYTES_MAX - 1 + extra,
                          " HTTP/1.1\r\n" HOST "\r\n");
        struct outcome out = parse_once(pl_span_of(text, len));
        bool fits = extra == 0 && len <= PL_HTTP_HEAD_BYTES_MAX;
        assert_int_equal(fits ? PL_HTTP_DONE : PL_HTTP_BAD, out.verdict);
        if (len <= PL_HTTP_HEAD_BYTES_MAX)
            assert_int_equal(fits ? 0 : 414, out.status);
    }
    free(text);
}

/* ---- Heads: properties ---- */

static void http1_finds_no_head_in_any_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(good_heads); i++) {
        struct parley_span head = pl_span_text(good_heads[i]);
        for (size_t len = 0; len < head.len; len++)
            assert_int_equal(PL_HTTP_NEED_MORE, parse_once(pl_span_of(head.ptr, len)).verdict);
        assert_int_equal(PL_HTTP_DONE, parse_once(head).verdict);
    }
}

static void http1_leaves_what_follows_the_head_alone(void **state)
{
    (void)state;
    char text[512];
    for (size_t i = 0; i < PL_ARRAY_LEN(good_heads); i++) {
        size_t len = fill(text, good_heads[i], '\n', 9, "\r\r\r");
        struct outcome out = parse_once(pl_span_of(text, len));
        assert_int_equal(PL_HTTP_DONE, out.verdict);
        assert_int_equal(strlen(good_heads[i]), out.head_len);
    }
}

static void http1_writes_results_only_on_their_verdict(void **state)
{
    (void)state;
    struct pl_http_request request = { .minor = 77 };
    size_t scanned = 0;
    size_t head_len = 77;
    unsigned status = 77;
    assert_int_equal(PL_HTTP_NEED_MORE, pl_http_parse_head(pl_span_text("GET / H"), &scanned,
                                                           &request, &head_len, &status));
    assert_true(scanned == 7 && head_len == 77 && status == 77 && request.minor == 77);
    scanned = 0;
    assert_int_equal(PL_HTTP_BAD, pl_http_parse_head(pl_span_text("GET / HTTP/1.1\r\n\r\n"),
                                                     &scanned, &request, &head_len, &status));
    assert_true(head_len == 77 && status == 400 && request.minor == 77);
    scanned = 0;
    status = 77;
    assert_int_equal(PL_HTTP_DONE, pl_http_parse_head(pl_span_text(GET "\r\n"), &scanned, &request,
                                                      &head_len, &status));
    assert_true(status == 77 && request.minor == 1);
}

/* Every byte of every good head replaced by every value: what is taken is a whole head, and it is
 * taken alike however it was cut. */
static void http1_judges_mutated_heads_alike_however_they_are_cut(void **state)
{
    (void)state;
    char text[512];
    for (size_t i = 0; i < PL_ARRAY_LEN(good_heads); i++) {
        size_t len = fill(text, good_heads[i], 0, 0, "");
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                text[at] = (char)byte;
                struct parley_span bytes = pl_span_of(text, len);
                struct outcome whole = parse_once(bytes);
                struct outcome split = parse_split(bytes, 1 + (at + byte) % 13);
                assert_true(same_outcome(&whole, &split));
                if (whole.verdict == PL_HTTP_DONE)
                    assert_memory_equal(text + whole.head_len - 4, "\r\n\r\n", 4);
            }
            text[at] = good_heads[i][at];
        }
    }
}

/* ---- Queries and segments ---- */

static parley_err query(const char *text, const char *name, char out[16], size_t *len, bool *found)
{
    return pl_http_query(pl_span_text(text), name, out, 16, len, found);
}

static void http1_finds_and_decodes_query_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *name;
        const char *value; /* NULL: absent */
    } cases[] = {
        { "a=1&b=2", "b", "2" },
        { "a=1&b=2", "c", NULL },
        { "", "a", NULL },
        { "a", "a", "" },
        { "a=", "a", "" },
        { "&&a=1&&", "a", "1" },
        { "a=b=c", "a", "b=c" },
        { "a=x+y%2By", "a", "x y+y" },
        { "%61=1", "a", "1" },
        { "ab=1&a=2", "a", "2" },
        { "a=1&ab=2", "ab", "2" },
        { "A=1", "a", NULL },
        { "b=%zz&a=1", "a", "1" },
        { "a%00=1", "a", NULL },
        { "a=%c3%A9", "a", "\xc3\xa9" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char out[16];
        size_t len = 99;
        bool found = false;
        assert_ok(query(cases[i].query, cases[i].name, out, &len, &found));
        assert_int_equal(cases[i].value != NULL, found);
        assert_true(pl_span_is(pl_span_of(out, len), found ? cases[i].value : ""));
    }
}

static void http1_refuses_bad_escapes_and_repeated_parameters(void **state)
{
    (void)state;
    static const char *const cases[] = { "a=%", "a=%4",  "a=%4g",   "a=%g4",
                                         "%=1", "%zz=1", "a=1&a=1", "a=1&%61" };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char out[16] = "unchanged";
        size_t len = 99;
        bool found = true;
        assert_err(PARLEY_EMALFORMED, query(cases[i], "a", out, &len, &found));
        assert_true(len == 99 && found);
        assert_string_equal("unchanged", out);
    }
}

static void http1_refuses_a_value_above_its_room(void **state)
{
    (void)state;
    char out[16];
    size_t len = 99;
    bool found = false;
    assert_ok(query("a=%301234567890abcde", "a", out, &len, &found));
    assert_int_equal(16, len);
    assert_err(PARLEY_ETOOBIG, query("a=%301234567890abcdef", "a", out, &len, &found));
}

static void http1_decodes_segments_with_slashes_and_nul(void **state)
{
    (void)state;
    char out[8];
    size_t len = 0;
    assert_ok(pl_http_decode_segment(pl_span_text("a%2Fb%00+"), out, sizeof out, &len));
    assert_int_equal(5, len);
    assert_memory_equal("a/b\0+", out, 5);
    assert_err(PARLEY_EMALFORMED,
               pl_http_decode_segment(pl_span_text("a%2"), out, sizeof out, &len));
    assert_err(PARLEY_ETOOBIG,
               pl_http_decode_segment(pl_span_text("123456789"), out, sizeof out, &len));
    assert_ok(pl_http_decode_segment(pl_span_of(NULL, 0), out, sizeof out, &len));
    assert_int_equal(0, len);
}

/* ---- Responses ---- */

static void http1_writes_a_response_head(void **state)
{
    (void)state;
    char buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_http_write_head(&w, &(struct pl_http_response){ .status = 200,
                                                       .content_type = "application/json",
                                                       .content_length = 1234567890123,
                                                       .keep_alive = true,
                                                       .extra = pl_span_text("ETag: \"1\"\r\n") });
    assert_ok(w.err);
    assert_span_text(pl_writer_span(&w),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: 1234567890123\r\nConnection: keep-alive\r\n"
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                     "ETag: \"1\"\r\n\r\n");
}

static void http1_writes_chunked_bodiless_and_interim_heads(void **state)
{
    (void)state;
    char buf[512];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_http_write_head(&w, &(struct pl_http_response){ .status = 400, .chunked = true });
    assert_span_text(pl_writer_span(&w),
                     "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n"
                     "Connection: close\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n\r\n");
    w = pl_writer_over(buf, sizeof buf);
    pl_http_write_head(&w, &(struct pl_http_response){ .status = 204, .keep_alive = true });
    assert_span_text(pl_writer_span(&w),
                     "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n"
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n");
    w = pl_writer_over(buf, sizeof buf);
    pl_http_write_head(&w, &(struct pl_http_response){ .status = 100 });
    assert_span_text(pl_writer_span(&w), "HTTP/1.1 100 Continue\r\n\r\n");
}

static void http1_reports_a_response_buffer_that_is_too_small(void **state)
{
    (void)state;
    char buf[512];
    struct pl_http_response response = { .status = 200, .content_type = "a/b" };
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_http_write_head(&w, &response);
    for (size_t cap = 0, need = w.len; cap < need; cap++) {
        w = pl_writer_over(buf, cap);
        pl_http_write_head(&w, &response);
        assert_err(PARLEY_EFULL, w.err);
    }
}

static void http1_has_a_reason_for_each_status_it_refuses_with(void **state)
{
    (void)state;
    static const unsigned statuses[] = { 400, 413, 414, 417, 431, 501, 505 };
    for (size_t i = 0; i < PL_ARRAY_LEN(statuses); i++)
        assert_string_not_equal("Unknown", pl_http_reason(statuses[i]));
    assert_string_equal("Unknown", pl_http_reason(299));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_refuses_ambiguous_request_lines),
        cmocka_unit_test(http1_refuses_bare_line_ends_and_control_bytes),
        cmocka_unit_test(http1_refuses_malformed_and_repeated_fields),
        cmocka_unit_test(http1_refuses_missing_repeated_and_malformed_hosts),
        cmocka_unit_test(http1_refuses_ambiguous_body_framing),
        cmocka_unit_test(http1_refuses_every_control_byte_everywhere),
        cmocka_unit_test(http1_fills_every_field_of_a_request),
        cmocka_unit_test(http1_tells_an_absent_field_from_an_empty_one),
        cmocka_unit_test(http1_splits_the_target_at_the_first_question_mark),
        cmocka_unit_test(http1_knows_its_methods_and_calls_the_rest_other),
        cmocka_unit_test(http1_takes_names_literals_and_ports_as_host),
        cmocka_unit_test(http1_keeps_alive_by_version_and_connection),
        cmocka_unit_test(http1_expects_continue_only_before_a_body_in_1_1),
        cmocka_unit_test(http1_takes_chunked_in_any_case_with_blanks_around),
        cmocka_unit_test(http1_takes_a_zero_length),
        cmocka_unit_test(http1_counts_fields_and_refuses_one_too_many),
        cmocka_unit_test(http1_refuses_a_head_of_one_byte_too_many),
        cmocka_unit_test(http1_refuses_an_endless_request_line_as_too_long),
        cmocka_unit_test(http1_refuses_a_target_of_one_byte_too_many),
        cmocka_unit_test(http1_finds_no_head_in_any_prefix),
        cmocka_unit_test(http1_leaves_what_follows_the_head_alone),
        cmocka_unit_test(http1_writes_results_only_on_their_verdict),
        cmocka_unit_test(http1_judges_mutated_heads_alike_however_they_are_cut),
        cmocka_unit_test(http1_finds_and_decodes_query_parameters),
        cmocka_unit_test(http1_refuses_bad_escapes_and_repeated_parameters),
        cmocka_unit_test(http1_refuses_a_value_above_its_room),
        cmocka_unit_test(http1_decodes_segments_with_slashes_and_nul),
        cmocka_unit_test(http1_writes_a_response_head),
        cmocka_unit_test(http1_writes_chunked_bodiless_and_interim_heads),
        cmocka_unit_test(http1_reports_a_response_buffer_that_is_too_small),
        cmocka_unit_test(http1_has_a_reason_for_each_status_it_refuses_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
