/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrowed bytes: a pointer and a length. A span never owns what it points at; who does, and until
 * when, is said where the span is handed out. The empty span may have a NULL pointer.
 */
#ifndef PL_SPAN_H
#define PL_SPAN_H

#include "base/base.h"
#include <parley/types.h>

static inline struct parley_span pl_span_of(const void *ptr, size_t len)
{
    return (struct parley_span){ .ptr = (const uint8_t *)ptr, .len = len };
}

/* The bytes of a NUL-terminated text, without the NUL. */
static inline struct parley_span pl_span_text(const char *text)
{
    return pl_span_of(text, strlen(text));
}

static inline bool pl_span_equal(struct parley_span a, struct parley_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool pl_span_is(struct parley_span a, const char *text)
{
    return pl_span_equal(a, pl_span_text(text));
}

static inline bool pl_span_has_prefix(struct parley_span a, struct parley_span prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* Byte order, shorter first on a common prefix: the order of every store. */
static inline int pl_span_compare(struct parley_span a, struct parley_span b)
{
    size_t common = pl_min_size(a.len, b.len);
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

/* Copies a text into a fixed array of `cap` bytes, cut to fit, always NUL-terminated. For notes
 * that people read; what must not be cut is checked before. */
static inline void pl_text_copy(char *out, size_t cap, const char *text)
{
    size_t len = pl_min_size(strlen(text), cap - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

/* The bytes after the first `skip`. */
static inline struct parley_span pl_span_after(struct parley_span a, size_t skip)
{
    PL_ASSERT(skip <= a.len);
    return pl_span_of(a.ptr == NULL ? NULL : a.ptr + skip, a.len - skip);
}

#endif
