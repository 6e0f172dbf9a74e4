/* SPDX-License-Identifier: Apache-2.0
 *
 * The character classes that the head parser and the chunked decoder share; private to them.
 */
#ifndef PL_HTTP1_CHARS_H
#define PL_HTTP1_CHARS_H

#include "base/base.h"

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

#endif
