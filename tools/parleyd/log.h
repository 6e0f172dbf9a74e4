/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line an event on stderr, in logfmt or as a JSON object:
 *
 *   time=2020-01-01T00:00:44.000000Z level=info event=listening address=127.0.0.1:8825
 *   {"time":"2020-01-01T00:00:44.000000Z","level":"info","event":"listening","address":"..."}
 *
 * A line is written with one write, so that lines of threads and processes do not mix. No format
 * strings: values are data, and are quoted where they need it.
 */
#ifndef PARLEYD_LOG_H
#define PARLEYD_LOG_H

#include "base/span.h"

enum log_level {
    LOG_LEVEL_ERROR = 0, /* someone must act */
    LOG_LEVEL_WARN = 1,  /* healing itself */
    LOG_LEVEL_INFO = 2,  /* state changed */
    LOG_LEVEL_DEBUG = 3  /* per message */
};

enum log_format { LOG_FORMAT_LOGFMT = 0, LOG_FORMAT_JSON = 1 };

struct log_sink {
    int fd;
    enum log_level level; /* events above it are dropped */
    enum log_format format;
};

struct log_pair {
    const char *key;
    const char *value; /* NULL: the pair is left out */
};

/* "error", "warn", "info" or "debug". */
PL_MUST_USE parley_err log_level_parse(const char *text, enum log_level *out);

/* "logfmt" or "json". */
PL_MUST_USE parley_err log_format_parse(const char *text, enum log_format *out);

#define LOG_LINE_BYTES_MAX 2048
/* The line of one event, with its newline; `pairs` ends with a NULL key. Of what is longer the last
 * values are cut, and pairs that have no room are left out; what is written is whole in its format.
 * Returns its bytes. */
size_t log_format_line(enum log_format format, const char *time, enum log_level level,
                       const char *event, const struct log_pair *pairs,
                       char out[LOG_LINE_BYTES_MAX + 1]);

/* Writes one event with the time of now. */
void log_write(const struct log_sink *sink, enum log_level level, const char *event,
               const struct log_pair *pairs);

/* log_event(sink, level, "listening", { "address", address }, { "as", id }); one pair at least. */
#define log_event(sink, level, event, ...)                                                         \
    log_write((sink), (level), (event), (const struct log_pair[]){ __VA_ARGS__, { NULL, NULL } })

#endif
