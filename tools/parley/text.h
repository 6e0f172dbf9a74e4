/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for people: growing buffers, escaping of what a terminal would obey, widths, tables, times.
 */
#ifndef PARLEY_TEXT_H
#define PARLEY_TEXT_H

#include "base/span.h"

#include <stdio.h>

/* Growing bytes, always NUL-terminated once something was added. When memory runs out the program
 * ends with a message: a command line tool has nothing better to do then. */
struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_text(struct buf *b, const char *text);
void buf_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `len` more bytes behind ptr + len, to be filled by the caller. */
char *buf_room(struct buf *b, size_t len);
/* Drops the first `len` bytes. */
void buf_drop(struct buf *b, size_t len);
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
/* Never NULL. */
const char *buf_str(const struct buf *b);

/* Adds text with everything escaped that could make a terminal do something: controls, invalid
 * bytes, marks that change the direction of writing. With `lines` a newline stays one. */
void text_safe(struct buf *out, struct parley_span text, bool lines);
/* The first line of a text, escaped, cut with an ellipsis to `width_max` columns. */
void text_brief(struct buf *out, struct parley_span text, size_t width_max);
/* Columns a terminal needs for escaped text, about. */
size_t text_width(const char *text);

/* "12 s ago", "3 min ago", or a date; of an ISO 8601 time. Empty text or 1970 gives "never". */
void text_ago(struct buf *out, const char *iso);
/* 1234567 as "1,234,567". */
void text_count(struct buf *out, uint64_t count);
/* Bytes as "12.3 MB". */
void text_bytes(struct buf *out, uint64_t bytes);

/* ---- Tables: aligned columns, widths from what is in them ---- */

#define TABLE_COLUMNS_MAX 11

struct table {
    size_t columns;
    bool right[TABLE_COLUMNS_MAX]; /* align right */
    char **cells;                  /* owned; the first row is the head */
    size_t count, cap;
};

/* Heads are constants; one that begins with '>' is aligned right. */
void table_init(struct table *t, const char *const *heads, size_t columns);
/* Takes the next cell from `b` and empties it. */
void table_cell(struct table *t, struct buf *b);
void table_text(struct table *t, const char *text);
void table_number(struct table *t, uint64_t count);
/* Prints and frees. `bold` heads. */
void table_print(struct table *t, FILE *out, bool bold);

#endif
