/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/log.h"

#include "base/writer.h"
#include "core/iso8601.h"
#include "uv/uv_time.h"

#include <unistd.h>

#define LINE_BYTES_MAX 2048

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

static bool is_plain(const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    }
    return value[0] != '\0';
}

/* A value must not be able to end its line or its quotes: somebody's parser reads this. */
static void write_value(struct pl_writer *w, const char *value)
{
    if (is_plain(value)) {
        pl_write_text(w, value);
        return;
    }
    pl_write_u8(w, '"');
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            pl_write_u8(w, '\\');
        pl_write_u8(w, c < ' ' || c == 0x7f ? (uint8_t)' ' : c);
    }
    pl_write_u8(w, '"');
}

void log_write(const struct log_sink *sink, enum log_level level, const char *event,
               const struct log_pair *pairs)
{
    if (level > sink->level)
        return;
    char line[LINE_BYTES_MAX + 1];
    char time[PL_ISO8601_BYTES];
    parley_wall now = pl_uv_wall_now();
    pl_iso8601_format(now < 0 ? 0 : pl_min_u64((uint64_t)now, PL_ISO8601_US_MAX), time);
    struct pl_writer w = pl_writer_over(line, LINE_BYTES_MAX);
    pl_write_text(&w, "time=");
    pl_write_bytes(&w, time, sizeof time);
    pl_write_text(&w, " level=");
    pl_write_text(&w, level_name(level));
    pl_write_text(&w, " event=");
    pl_write_text(&w, event);
    for (; pairs->key != NULL; pairs++) {
        if (pairs->value == NULL)
            continue;
        pl_write_u8(&w, ' ');
        pl_write_text(&w, pairs->key);
        pl_write_u8(&w, '=');
        write_value(&w, pairs->value);
    }
    line[w.len] = '\n';
    if (write(sink->fd, line, w.len + 1) < 0)
        pl_ignore(PARLEY_EIO, "a log that cannot be written cannot be complained about");
}
