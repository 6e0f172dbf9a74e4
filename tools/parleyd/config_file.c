/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/config_file.h"

#include "core/utf8.h"

#include <ini.h>

struct line {
    const struct config_file_hooks *hooks;
    unsigned number;
};

static void mistake(const struct line *line, const char *why)
{
    line->hooks->mistake(line->hooks->ud, line->number, why);
}

/* Of inih; 1: go on. */
static int on_entry(void *ud, const char *section, const char *name, const char *value)
{
    const struct line *line = ud;
    size_t len = strlen(value);
    (void)section; /* each line is read by itself */
    if (name[0] == '\0')
        mistake(line, "there is no name before the =");
    else if (len == 0)
        mistake(line, "there is no value behind the =; take the line away for the default");
    else if (value[0] == '"' || value[0] == '\'')
        mistake(line, "write the value without quotes");
    else if (strstr(value, " #") != NULL)
        mistake(line, "a comment behind a value begins with \" ;\", not with \" #\"");
    else
        line->hooks->entry(line->hooks->ud, line->number, name, value);
    return 1;
}

static bool has_control(struct parley_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < ' ' && text.ptr[i] != '\t') || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct parley_span trim(struct parley_span text)
{
    while (text.len != 0 && is_blank(text.ptr[0]))
        text = pl_span_after(text, 1);
    while (text.len != 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static void read_line(struct line *line, struct parley_span text)
{
    char copy[CONFIG_LINE_BYTES_MAX + 1];
    text = trim(text);
    if (text.len == 0 || text.ptr[0] == '#' || text.ptr[0] == ';')
        return;
    if (text.len > CONFIG_LINE_BYTES_MAX) {
        mistake(line, "the line is longer than 190 bytes");
        return;
    }
    if (has_control(text) || !pl_utf8_is_valid(text)) {
        mistake(line, "the line has a control character, or is not UTF-8");
        return;
    }
    if (text.ptr[0] == '[') {
        mistake(line, "there are no sections; take the line away");
        return;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (ini_parse_string(copy, on_entry, line) != 0)
        mistake(line, "write NAME = VALUE");
}

void config_file_read(struct parley_span text, const struct config_file_hooks *hooks)
{
    struct line line = { .hooks = hooks };
    static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
    if (text.len >= sizeof mark && memcmp(text.ptr, mark, sizeof mark) == 0)
        text = pl_span_after(text, sizeof mark);
    while (text.len != 0) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        line.number++;
        read_line(&line, pl_span_of(text.ptr, len));
        text = pl_span_after(text, pl_min_size(text.len, len + 1));
    }
}

_Static_assert(CONFIG_LINE_BYTES_MAX == 190, "the message about long lines says so");
