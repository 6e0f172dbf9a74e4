/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of a stream of JSON. The contract is in elements.h.
 */
#include "parley/elements.h"

#include <string.h>

void elements_reset(struct elements *e)
{
    struct buf pending = e->pending;
    buf_clear(&pending);
    *e = (struct elements){ .pending = pending };
}

void elements_free(struct elements *e)
{
    buf_free(&e->pending);
}

char *elements_room(struct elements *e, size_t len)
{
    buf_drop(&e->pending, e->at);
    e->scanned -= e->at;
    e->at = 0;
    return buf_room(&e->pending, len);
}

void elements_add(struct elements *e, size_t len)
{
    e->pending.len += len;
    e->pending.ptr[e->pending.len] = '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct elements *e)
{
    while (e->at < e->pending.len && is_blank(e->pending.ptr[e->at]))
        e->at++;
    e->scanned = e->at;
}

static enum elements_event bad(struct elements *e, const char *what)
{
    e->what = what;
    return ELEMENTS_BAD;
}

/* Moves `scanned` behind the value that begins at `at`; false: its end is not here yet. */
static bool find_end(struct elements *e)
{
    const char *p = e->pending.ptr;
    for (; e->scanned < e->pending.len; e->scanned++) {
        char c = p[e->scanned];
        if (e->text) {
            e->text = e->slash || c != '"';
            e->slash = !e->slash && c == '\\';
        } else if (c == '"') {
            e->text = true;
        } else if (c == '{' || c == '[') {
            e->depth++;
        } else if (c == '}' || c == ']') {
            if (e->depth == 0)
                return true; /* a bare word ends before the bracket of its array */
            e->depth--;
        } else if (e->depth == 0 && (c == ',' || is_blank(c))) {
            return true;
        } else {
            continue;
        }
        if (e->depth == 0 && !e->text) {
            e->scanned++;
            return true;
        }
    }
    return false;
}

/* What stands between values; false: `*event` says what is next instead of a value. */
static bool reach_value(struct elements *e, bool at_end, enum elements_event *event)
{
    for (;;) {
        skip_blanks(e);
        *event = at_end ? ELEMENTS_END : ELEMENTS_MORE;
        if (e->at == e->pending.len) {
            if (at_end && e->in_array && !e->ended)
                *event = bad(e, "the array does not end");
            return false;
        }
        char c = e->pending.ptr[e->at];
        if (e->ended) {
            *event = bad(e, "something follows the array");
            return false;
        }
        if (!e->began && c == '[') {
            e->in_array = true;
        } else if (e->in_array && c == ']' && !e->comma) {
            e->ended = true;
        } else if (e->in_array && c == ',' && e->after) {
            e->after = false;
            e->comma = true;
        } else if (e->in_array && e->after) {
            *event = bad(e, "a comma is missing between two elements");
            return false;
        } else if (c == ',' || c == ']' || c == '}') {
            *event = bad(e, "a value is missing");
            return false;
        } else {
            e->began = true;
            return true;
        }
        e->began = true;
        e->at++;
    }
}

enum elements_event elements_next(struct elements *e, bool at_end, struct parley_span *value)
{
    enum elements_event event;
    bool inside = e->skipping || e->scanned > e->at || e->depth > 0 || e->text;
    if (!inside && !reach_value(e, at_end, &event))
        return event;
    bool whole = find_end(e);
    if (!whole && !at_end) {
        if (e->scanned - e->at <= ELEMENT_BYTES_MAX && !e->skipping)
            return ELEMENTS_MORE;
        e->skipping = true;
        e->at = e->scanned;
        return ELEMENTS_MORE;
    }
    if (!whole && (e->depth > 0 || e->text))
        return bad(e, "the last value does not end");
    bool too_long = e->skipping || e->scanned - e->at > ELEMENT_BYTES_MAX;
    *value = pl_span_of((const uint8_t *)e->pending.ptr + e->at, e->scanned - e->at);
    e->at = e->scanned;
    e->after = e->in_array;
    e->comma = false;
    e->skipping = false;
    return too_long ? ELEMENTS_TOO_LONG : ELEMENTS_VALUE;
}
