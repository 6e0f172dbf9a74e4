/* SPDX-License-Identifier: Apache-2.0
 *
 * See split.h. A piece is searched once however its bytes come: `scanned`, `depth` and the state of
 * the string last from one window to the next.
 */
#include "node/split.h"

#include "core/json.h"
#include "core/mp_read.h"

void pl_split_init(struct pl_split *split, const char *cut)
{
    *split = (struct pl_split){ .cut = cut };
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Looks at the next byte of a piece. Returns whether the piece ends, and in *with whether the byte
 * belongs to it. */
static bool step(struct pl_split *s, uint8_t c, bool *with)
{
    bool closes = c == '}' || c == ']';
    *with = true;
    if (s->text) {
        s->text = c != '"' || s->slash;
        s->slash = c == '\\' && !s->slash;
        return !s->text && s->depth == 0;
    }
    /* A number or a word, which only what is behind it ends. */
    *with = s->depth != 0 || s->scanned == 0 || !(closes || c == ',' || c == ':' || is_blank(c));
    if (!*with)
        return true;
    s->text = c == '"';
    if (c == '{' || c == '[')
        s->depth++;
    if (!closes)
        return false;
    s->depth -= s->depth != 0 ? 1 : 0;
    return s->depth == 0;
}

/* Whether the piece that begins at `at` ends in the window; then `value` is it. */
static bool take_piece(struct pl_split *s, struct parley_span window, bool more)
{
    struct parley_span rest = pl_span_after(window, s->at);
    bool done = false;
    while (!done && s->scanned < rest.len) {
        bool with;
        done = step(s, rest.ptr[s->scanned], &with);
        s->scanned += with ? 1 : 0;
    }
    if (!done && more)
        return false;
    s->value = pl_span_of(rest.ptr, s->scanned);
    s->at += s->scanned;
    s->scanned = 0;
    s->depth = 0;
    s->text = s->slash = false;
    return true;
}

/* Takes the piece at hand for a name. */
static bool take_name(struct pl_split *s)
{
    uint8_t mp[PL_JSON_MP_BYTES_MAX(6 * PL_SPLIT_NAME_BYTES_MAX)];
    struct pl_writer w = pl_writer_over(mp, sizeof mp);
    s->name_len = 0;
    if (s->value.len > 6 * PL_SPLIT_NAME_BYTES_MAX) /* every character of it escaped */
        return true;
    if (pl_json_to_mp(s->value, &w, NULL) != PARLEY_OK)
        return false;
    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    struct parley_span name = pl_mp_read_str(&r, PL_SPLIT_NAME_BYTES_MAX);
    if (name.len != 0)
        memcpy(s->name, name.ptr, name.len);
    s->name_len = name.len;
    return true;
}

static bool is_cut(const struct pl_split *s)
{
    return pl_span_is(pl_span_of(s->name, s->name_len), s->cut);
}

/* Moves over the byte `c` into `state`. */
static bool pass(struct pl_split *s, uint8_t have, char want, enum pl_split_state state)
{
    if (have != (uint8_t)want)
        return false;
    s->at++;
    s->state = state;
    return true;
}

static bool begin(struct pl_split *s, uint8_t have, char want, enum pl_split_state state)
{
    s->first = pass(s, have, want, state);
    return s->first;
}

/* What is at a byte that is no blank. *what: it should have been something else. *event MORE: on to
 * the next byte, or the window has ended inside of a piece, which is then *cut_off. */
static enum pl_split_event look(struct pl_split *s, struct parley_span window, bool more,
                                bool *cut_off)
{
    uint8_t c = window.ptr[s->at];
    *cut_off = false;
    s->what = NULL;
    switch (s->state) {
    case PL_SPLIT_IN_START:
        if (!begin(s, c, '{', PL_SPLIT_IN_NAME))
            s->what = "expected an object";
        return PL_SPLIT_MORE;
    case PL_SPLIT_IN_NAME:
        if (s->first && pass(s, c, '}', PL_SPLIT_IN_END))
            return PL_SPLIT_MORE;
        if (c != '"')
            s->what = "expected a name";
        else if (!take_piece(s, window, more))
            *cut_off = true;
        else if (!take_name(s))
            s->what = "the name before this is not a string";
        else
            s->state = PL_SPLIT_IN_COLON;
        return PL_SPLIT_MORE;
    case PL_SPLIT_IN_COLON:
        if (!pass(s, c, ':', PL_SPLIT_IN_VALUE))
            s->what = "expected ':'";
        return PL_SPLIT_MORE;
    case PL_SPLIT_IN_VALUE:
        if (is_cut(s) && begin(s, c, '[', PL_SPLIT_IN_ELEMENT))
            return PL_SPLIT_BEGIN;
        *cut_off = !take_piece(s, window, more);
        s->state = *cut_off ? PL_SPLIT_IN_VALUE : PL_SPLIT_IN_NEXT;
        return *cut_off ? PL_SPLIT_MORE : PL_SPLIT_MEMBER;
    case PL_SPLIT_IN_NEXT:
        s->first = false;
        if (!pass(s, c, ',', PL_SPLIT_IN_NAME) && !pass(s, c, '}', PL_SPLIT_IN_END))
            s->what = "expected ',' or '}'";
        return PL_SPLIT_MORE;
    case PL_SPLIT_IN_ELEMENT:
        if (s->first && pass(s, c, ']', PL_SPLIT_IN_NEXT))
            return PL_SPLIT_MORE;
        *cut_off = !take_piece(s, window, more);
        s->state = *cut_off ? PL_SPLIT_IN_ELEMENT : PL_SPLIT_IN_AFTER;
        return *cut_off ? PL_SPLIT_MORE : PL_SPLIT_ELEMENT;
    case PL_SPLIT_IN_AFTER:
        s->first = false;
        if (!pass(s, c, ',', PL_SPLIT_IN_ELEMENT) && !pass(s, c, ']', PL_SPLIT_IN_NEXT))
            s->what = "expected ',' or ']'";
        return PL_SPLIT_MORE;
    case PL_SPLIT_IN_END:
        s->what = "nothing may follow the object";
        return PL_SPLIT_MORE;
    }
    return PL_SPLIT_BAD;
}

enum pl_split_event pl_split_next(struct pl_split *s, struct parley_span window, bool more)
{
    for (;;) {
        bool cut_off;
        while (s->at < window.len && is_blank(window.ptr[s->at]))
            s->at++;
        if (s->at == window.len)
            break;
        enum pl_split_event event = look(s, window, more, &cut_off);
        if (s->what != NULL)
            return PL_SPLIT_BAD;
        if (event != PL_SPLIT_MORE || cut_off)
            return event;
    }
    if (more)
        return PL_SPLIT_MORE;
    if (s->state == PL_SPLIT_IN_END)
        return PL_SPLIT_END;
    s->what = "the text ends too soon";
    return PL_SPLIT_BAD;
}
