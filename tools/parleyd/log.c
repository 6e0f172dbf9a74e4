/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/log.h"

#include "base/writer.h"
#include "core/iso8601.h"
#include "core/utf8.h"
#include "uv/uv_time.h"

#include <unistd.h>

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARN:
        return "warn";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "?";
}

parley_err log_level_parse(const char *text, enum log_level *out)
{
    for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(text, level_name(level)) == 0) {
            *out = level;
            return PARLEY_OK;
        }
    }
    return PARLEY_EINVAL;
}

parley_err log_format_parse(const char *text, enum log_format *out)
{
    bool is_json = strcmp(text, "json") == 0;
    if (!is_json && strcmp(text, "logfmt") != 0)
        return PARLEY_EINVAL;
    *out = is_json ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT;
    return PARLEY_OK;
}

static bool is_plain(const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    }
    return value[0] != '\0';
}

/* One character of a value as it stands between quotes; a control is written as a blank. Returns
 * the bytes of the value that it is. A byte that is no UTF-8 is written as "?". */
static size_t quote_one(const char *at, char out[5])
{
    unsigned char c = (unsigned char)*at;
    size_t len = 1;
    size_t at_len = strnlen(at, 4);
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = *at;
        out[2] = '\0';
        return 1;
    }
    while (len < at_len && c >= 0xc0 && ((unsigned char)at[len] & 0xc0) == 0x80)
        len++;
    bool good = pl_utf8_is_valid(pl_span_of(at, len));
    memcpy(out, at, len);
    out[len] = '\0';
    if (good && c >= ' ' && c != 0x7f)
        return len;
    out[0] = good ? ' ' : '?';
    out[1] = '\0';
    return good ? len : 1;
}

/* A value must not be able to end its line or its quotes: somebody's parser reads this. What goes
 * over `len_max` is cut. */
static void write_quoted(struct pl_writer *w, const char *value, size_t len_max)
{
    char part[5];
    pl_write_u8(w, '"');
    while (*value != '\0') {
        value += quote_one(value, part);
        if (w->len + strlen(part) > len_max)
            break;
        pl_write_text(w, part);
    }
    pl_write_u8(w, '"');
}

/* The quotes, and what ends the line. */
#define TAIL_BYTES 4

static void write_pair(struct pl_writer *w, enum log_format format, const char *key,
                       const char *value)
{
    size_t len_max = LOG_LINE_BYTES_MAX - TAIL_BYTES;
    bool is_json = format == LOG_FORMAT_JSON;
    if (w->len + strlen(key) + 8 > len_max)
        return;
    if (w->len != 0)
        pl_write_u8(w, is_json ? ',' : ' ');
    pl_write_text(w, is_json && w->len == 0 ? "{\"" : is_json ? "\"" : "");
    pl_write_text(w, key);
    pl_write_text(w, is_json ? "\":" : "=");
    if (!is_json && is_plain(value) && w->len + strlen(value) <= len_max &&
        pl_utf8_is_valid(pl_span_text(value)))
        pl_write_text(w, value);
    else
        write_quoted(w, value, len_max);
}

size_t log_format_line(enum log_format format, const char *time, enum log_level level,
                       const char *event, const struct log_pair *pairs,
                       char out[LOG_LINE_BYTES_MAX + 1])
{
    struct pl_writer w = pl_writer_over(out, LOG_LINE_BYTES_MAX);
    write_pair(&w, format, "time", time);
    write_pair(&w, format, "level", level_name(level));
    write_pair(&w, format, "event", event);
    for (; pairs->key != NULL; pairs++)
        if (pairs->value != NULL)
            write_pair(&w, format, pairs->key, pairs->value);
    if (format == LOG_FORMAT_JSON)
        pl_write_u8(&w, '}');
    out[w.len] = '\n';
    return w.len + 1;
}

void log_write(const struct log_sink *sink, enum log_level level, const char *event,
               const struct log_pair *pairs)
{
    if (level > sink->level)
        return;
    char line[LOG_LINE_BYTES_MAX + 1];
    char time[PL_ISO8601_BYTES + 1] = "";
    parley_wall now = pl_uv_wall_now();
    pl_iso8601_format(now < 0 ? 0 : pl_min_u64((uint64_t)now, PL_ISO8601_US_MAX), time);
    size_t len = log_format_line(sink->format, time, level, event, pairs, line);
    if (write(sink->fd, line, len) < 0)
        pl_ignore(PARLEY_EIO, "a log that cannot be written cannot be complained about");
}
