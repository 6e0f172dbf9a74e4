/* SPDX-License-Identifier: Apache-2.0
 *
 * The character classes, and the few ways to cut text, that the parsers of heads and the chunked
 * decoder share; private to them.
 */
#ifndef PL_HTTP1_CHARS_H
#define PL_HTTP1_CHARS_H

#include "proto/http1.h"

static inline bool pl_http1_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline bool pl_http1_is_alpha(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* What may stand in a line: no control bytes but the tab. Bytes above 0x7f are opaque. */
static inline bool pl_http1_is_field(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* tchar of RFC 9110. */
static inline bool pl_http1_is_token(uint8_t c)
{
    switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~':
        return true;
    default:
        return pl_http1_is_digit(c) || pl_http1_is_alpha(c);
    }
}

/* The value of a hex digit, or 16. */
static inline unsigned pl_http1_hex_value(uint8_t c)
{
    if (pl_http1_is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

static inline bool pl_http1_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static inline uint8_t pl_http1_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Compares without case; `lower` is in lower case and not empty. */
static inline bool pl_http1_equals(struct parley_span a, const char *lower)
{
    /* The first byte tells most names apart, for less than a length costs. */
    if (a.len == 0 || pl_http1_lower(a.ptr[0]) != (uint8_t)lower[0] || a.len != strlen(lower))
        return false;
    for (size_t i = 1; i < a.len; i++)
        if (pl_http1_lower(a.ptr[i]) != (uint8_t)lower[i])
            return false;
    return true;
}

static inline struct parley_span pl_http1_trim(struct parley_span value)
{
    while (value.len > 0 && pl_http1_is_blank(value.ptr[0]))
        value = pl_span_after(value, 1);
    while (value.len > 0 && pl_http1_is_blank(value.ptr[value.len - 1]))
        value.len--;
    return value;
}

/* Cuts `rest` at the first `mark`; without one, takes all of it and leaves nothing. */
static inline bool pl_http1_cut(struct parley_span *rest, uint8_t mark, struct parley_span *head)
{
    const uint8_t *at = rest->len == 0 ? NULL : memchr(rest->ptr, mark, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->ptr);
    *head = pl_span_of(rest->ptr, len);
    *rest = pl_span_after(*rest, at == NULL ? len : len + 1);
    return at != NULL;
}

/* ---- http1.c ---- */

/* Looks for the empty line from *scanned on. DONE sets *head_len; every line before it is then
 * known to end in CRLF, the first byte to be a capital. */
enum pl_http_parse pl_http1_scan(struct parley_span bytes, size_t *scanned, size_t *head_len);
/* Takes the next line of a scanned head off `rest`, without its CRLF. */
struct parley_span pl_http1_next_line(struct parley_span *rest);
/* A Content-Length. 0, or the status to refuse with. */
unsigned pl_http1_read_length(struct parley_span value, uint64_t *out);

#endif
