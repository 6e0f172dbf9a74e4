/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parley/text.h"

#include "core/iso8601.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

/* ---- Buffers ---- */

PARLEY_NORETURN static void out_of_memory(void)
{
    fputs("parley: out of memory\n", stderr);
    exit(71);
}

char *buf_room(struct buf *b, size_t len)
{
    if (len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
        out_of_memory();
    size_t need = b->len + len + 1;
    if (need > b->cap) {
        size_t cap = pl_max_size(need, b->cap * 2);
        char *ptr = realloc(b->ptr, cap);
        if (ptr == NULL)
            out_of_memory();
        b->ptr = ptr;
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    char *at = buf_room(b, len);
    if (len != 0)
        memcpy(at, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buf_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_format(struct buf *b, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        out_of_memory();
    buf_add(b, text, (size_t)len);
    free(text);
}

void buf_drop(struct buf *b, size_t len)
{
    PL_ASSERT(len <= b->len);
    b->len -= len;
    if (b->ptr != NULL) {
        memmove(b->ptr, b->ptr + len, b->len);
        b->ptr[b->len] = '\0';
    }
}

void buf_clear(struct buf *b)
{
    buf_drop(b, b->len);
}

void buf_free(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){ 0 };
}

const char *buf_str(const struct buf *b)
{
    return b->ptr != NULL ? b->ptr : "";
}

/* ---- Escaping ---- */

/* Decodes one character; returns its bytes, or 0 when the first byte is not good UTF-8. */
static size_t decode(struct parley_span text, uint32_t *out)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = text.ptr[0];
    if (first < 0x80) {
        *out = first;
        return 1;
    }
    size_t len = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    if (len == 0 || first >= 0xf5 || text.len < len)
        return 0;
    uint32_t value = first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((text.ptr[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text.ptr[i] & 0x3fu);
    }
    bool good = value >= least[len] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
    *out = value;
    return good ? len : 0;
}

/* Controls of the terminal, and marks that reorder what stands around them. */
static bool is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           (c >= 0xe0000 && c <= 0xe007f);
}

void text_safe(struct buf *out, struct parley_span text, bool lines)
{
    while (text.len != 0) {
        uint32_t c = 0;
        size_t len = decode(text, &c);
        if (len == 0)
            buf_format(out, "\\x%02x", text.ptr[0]);
        else if (c == '\n' && lines)
            buf_text(out, "\n");
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (is_dangerous(c))
            buf_format(out, "\\u{%x}", c);
        else
            buf_add(out, text.ptr, len);
        text = pl_span_after(text, len == 0 ? 1 : len);
    }
}

static size_t width_of(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f) ||
        (c >= 0x1f3fb && c <= 0x1f3ff))
        return 0;
    bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
                (c >= 0x20000 && c <= 0x3fffd);
    return wide ? 2 : 1;
}

size_t text_width(const char *text)
{
    struct parley_span rest = pl_span_text(text);
    size_t width = 0;
    while (rest.len != 0) {
        uint32_t c = 0;
        size_t len = decode(rest, &c);
        width += len == 0 ? 1 : width_of(c);
        rest = pl_span_after(rest, len == 0 ? 1 : len);
    }
    return width;
}

void text_brief(struct buf *out, struct parley_span text, size_t width_max)
{
    struct buf all = { 0 };
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.ptr, '\n', text.len);
    bool cut = end != NULL;
    struct parley_span line = cut ? pl_span_of(text.ptr, (size_t)(end - text.ptr)) : text;
    /* Enough for any width: no character needs more bytes than this. */
    text_safe(&all, pl_span_of(line.ptr, pl_min_size(line.len, width_max * 8 + 8)), false);
    struct parley_span rest = pl_span_text(buf_str(&all));
    size_t width = 0;
    size_t used = 0;
    while (used < rest.len) {
        uint32_t c = 0;
        size_t len = decode(pl_span_after(rest, used), &c);
        size_t columns = len == 0 ? 1 : width_of(c);
        if (width + columns > width_max - 1 && text_width(buf_str(&all)) + cut > width_max)
            break;
        width += columns;
        used += len == 0 ? 1 : len;
    }
    buf_add(out, rest.ptr, used);
    if (used < rest.len || cut)
        buf_text(out, "…");
    buf_free(&all);
}

/* ---- Numbers and times ---- */

void text_count(struct buf *out, uint64_t count)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    for (int i = 0; i < len; i++) {
        if (i != 0 && (len - i) % 3 == 0)
            buf_text(out, ",");
        buf_add(out, &digits[i], 1);
    }
}

void text_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < PL_ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    buf_format(out, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void text_ago(struct buf *out, const char *iso)
{
    uint64_t us = 0;
    struct timespec now;
    if (pl_iso8601_parse(pl_span_text(iso), &us) != PARLEY_OK || us == 0) {
        buf_text(out, "never");
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    long long seconds = (long long)now.tv_sec - (long long)(us / 1000000);
    const char *form = seconds >= 0 ? "%lld %s ago" : "in %lld %s";
    long long span = seconds >= 0 ? seconds : -seconds;
    char text[64];
    if (span < 2 && seconds >= 0)
        snprintf(text, sizeof text, "just now");
    else if (span < 120)
        snprintf(text, sizeof text, form, span, "s");
    else if (span < 7200)
        snprintf(text, sizeof text, form, span / 60, "min");
    else if (span < 172800)
        snprintf(text, sizeof text, form, span / 3600, "h");
    else if (span < 30 * 86400LL)
        snprintf(text, sizeof text, form, span / 86400, "days");
    else
        snprintf(text, sizeof text, "%.10s", iso);
    buf_text(out, text);
}

/* ---- Tables ---- */

void table_text(struct table *t, const char *text)
{
    if (t->count == t->cap) {
        t->cap = t->cap == 0 ? 64 : t->cap * 2;
        char **cells = realloc(t->cells, t->cap * sizeof *cells);
        if (cells == NULL)
            out_of_memory();
        t->cells = cells;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        out_of_memory();
    t->cells[t->count++] = copy;
}

void table_init(struct table *t, const char *const *heads, size_t columns)
{
    PL_ASSERT(columns <= TABLE_COLUMNS_MAX);
    *t = (struct table){ .columns = columns };
    for (size_t i = 0; i < columns; i++) {
        t->right[i] = heads[i][0] == '>';
        table_text(t, heads[i] + t->right[i]);
    }
}

void table_cell(struct table *t, struct buf *b)
{
    table_text(t, buf_str(b));
    buf_clear(b);
}

void table_number(struct table *t, uint64_t count)
{
    struct buf b = { 0 };
    text_count(&b, count);
    table_text(t, b.ptr);
    buf_free(&b);
}

static void print_row(const struct table *t, size_t row, const size_t *widths, FILE *out, bool bold)
{
    fputs(bold ? "\033[1m" : "", out);
    for (size_t i = 0; i < t->columns; i++) {
        const char *text = t->cells[row * t->columns + i];
        int pad = (int)(widths[i] - text_width(text));
        bool last = i + 1 == t->columns;
        if (t->right[i])
            fprintf(out, "%*s%s", pad, "", text);
        else if (last)
            fputs(text, out);
        else
            fprintf(out, "%s%*s", text, pad, "");
        fputs(last ? "" : "  ", out);
    }
    fputs(bold ? "\033[0m\n" : "\n", out);
}

void table_print(struct table *t, FILE *out, bool bold)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };
    for (size_t i = 0; i < t->count; i++) {
        size_t column = i % t->columns;
        widths[column] = pl_max_size(widths[column], text_width(t->cells[i]));
    }
    for (size_t row = 0; row < t->count / t->columns; row++)
        print_row(t, row, widths, out, bold && row == 0);
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){ 0 };
}
