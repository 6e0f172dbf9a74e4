/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 for the shim: a strict request parser over the caller's contiguous buffer, a decoder of
 * chunked bodies, and a response head writer. One message, one parse: what two parsers could read
 * in two ways is refused with 400 and the connection closed (docs/HTTP.md lists the classes).
 *
 * Stricter than RFC 9112 where it allows a choice: no empty line before the request line, only
 * origin-form targets ("/path?query"; absolute-form belongs to proxies and would name a second
 * host) in the characters of RFC 3986, method names in capitals, Content-Length without leading
 * zeros, and at most one field of each name that is kept below, list-valued ones included.
 * Names in the head are matched without case. Nothing here allocates or keeps a pointer.
 */
#ifndef PL_HTTP1_H
#define PL_HTTP1_H

#include "base/reader.h"
#include "base/writer.h"

#define PL_HTTP_HEADERS_MAX      64
#define PL_HTTP_TARGET_BYTES_MAX 4096

enum pl_http_method {
    PL_HTTP_GET,
    PL_HTTP_HEAD,
    PL_HTTP_POST,
    PL_HTTP_PUT,
    PL_HTTP_PATCH,
    PL_HTTP_DELETE,
    PL_HTTP_OPTIONS,
    PL_HTTP_OTHER
};

/* A parsed head; all spans are lent from the buffer it was parsed from. */
struct pl_http_request {
    enum pl_http_method method;
    struct parley_span target; /* as sent: path and query */
    struct parley_span path;   /* before '?' */
    struct parley_span query;  /* after '?', may be empty */
    unsigned minor;            /* HTTP/1.minor, 0 or 1 */
    bool keep_alive;
    bool expect_continue; /* only when a body follows, and never in HTTP/1.0 */
    bool chunked;
    bool has_length;
    uint64_t content_length; /* at most PL_HTTP_BODY_BYTES_MAX */
    /* Values without surrounding blanks; a NULL pointer says that the field is absent. */
    struct parley_span host, origin, authorization, content_type, accept, accept_encoding,
        content_encoding, if_none_match, if_match, idempotency_key, last_event_id;
    size_t header_count;
};

enum pl_http_parse {
    PL_HTTP_DONE,      /* *head_len bytes are the head */
    PL_HTTP_NEED_MORE, /* no end of head yet */
    PL_HTTP_BAD        /* *status is 400, 413, 414, 417, 431, 501 or 505; close after answering */
};

/* Parses the request head at the start of `bytes`, which may go on with body bytes.
 *
 * `scanned` is kept by the caller between calls (0 at first, and again for the next request) so
 * that no byte is searched twice; earlier bytes must not change between the calls. DONE fills
 * *out and *head_len, BAD fills *status, NEED_MORE moves *scanned; the others are left alone.
 * How the bytes were split over calls never changes the verdict. 400 is "malformed", 413 a
 * Content-Length above PL_HTTP_BODY_BYTES_MAX, 414 a target above PL_HTTP_TARGET_BYTES_MAX, 417 an
 * Expect other than 100-continue, 431 a head above PL_HTTP_HEAD_BYTES_MAX or more than
 * PL_HTTP_HEADERS_MAX fields, 501 a transfer coding other than chunked, 505 not HTTP/1.0 or 1.1
 * (the HTTP/2 preface is one such).
 *
 * Ownership: `bytes` is borrowed; the spans in *out are lent from it. */
enum pl_http_parse pl_http_parse_head(struct parley_span bytes, size_t *scanned,
                                      struct pl_http_request *out, size_t *head_len,
                                      unsigned *status);

/* Finds a query parameter and percent-decodes it into `out` (cap bytes); *found false and *len 0 if
 * absent. "+" is a space, as forms send it. `name` is compared after decoding. Not NUL-terminated.
 * Errors: EMALFORMED (bad escape, or the parameter is given twice), ETOOBIG. */
PL_MUST_USE parley_err pl_http_query(struct parley_span query, const char *name, char *out,
                                     size_t cap, size_t *len, bool *found);
/* Percent-decodes one path segment; "%2F" and NUL are allowed, "+" stays a plus.
 * Errors: EMALFORMED (bad escape), ETOOBIG. */
PL_MUST_USE parley_err pl_http_decode_segment(struct parley_span segment, char *out, size_t cap,
                                              size_t *len);

/* Whether a list as of Accept or Accept-Encoding has `name` (in lower case), with a weight that is
 * not zero. What stands for all ("*") does not count. */
bool pl_http_accepts(struct parley_span list, const char *name);

/* Chunked transfer coding, fed byte ranges as they arrive; no extensions above 64 bytes, size lines
 * of at most 15 hex digits, trailers checked and discarded up to 4 KiB. The sum of the body bytes
 * is for the caller to bound. */
struct pl_http_chunked {
    unsigned state;
    uint64_t left;
    size_t line_len;
    size_t trailer_len;
};
void pl_http_chunked_init(struct pl_http_chunked *c);
/* Consumes up to in.len bytes, lends at most one run of body bytes in *body (inside `in`), sets
 * *used. *done true after the last chunk and trailers; then nothing more is consumed. Call again
 * with the rest while *used < in.len and not done: each call with bytes left consumes some.
 * Errors: EMALFORMED -> 400; it sticks, and no out-parameter is written. */
PL_MUST_USE parley_err pl_http_chunked_feed(struct pl_http_chunked *c, struct parley_span in,
                                            size_t *used, struct parley_span *body, bool *done);

/* Appends a response head: status line, Date-less, Content-Type, Content-Length (unless chunked or
 * until_close), Transfer-Encoding (if chunked), Connection, Cache-Control (no-store unless tagged),
 * X-Content-Type-Options: nosniff, then `extra` (already formatted "Name: value\r\n" lines, may be
 * empty), and the empty line. 204 and 304 carry no framing header, 1xx nothing but `extra`. An
 * overflow sticks in the writer. */
struct pl_http_response {
    unsigned status;
    const char *content_type; /* NULL: none */
    uint64_t content_length;
    bool chunked;
    bool until_close; /* the body ends with the connection, for HTTP/1.0 */
    bool keep_alive;
    bool tagged; /* `extra` has an entity tag: clients may keep it, to ask with that */
    struct parley_span extra;
};
void pl_http_write_head(struct pl_writer *out, const struct pl_http_response *response);
/* The reason phrase, "Unknown" for a status we never send. Ownership: static text. */
const char *pl_http_reason(unsigned status);

#endif
