/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON to MessagePack. The loop in convert has two places to be: before a value and after one. The
 * open containers are a fixed stack, so nesting costs no recursion. Text is scanned eight bytes at
 * a time; a string without escapes is copied as it is.
 *
 * Moving a container when it outgrows its one-byte head costs each byte at most one move a level of
 * nesting: nothing for ordinary documents, 64 times memmove for the worst.
 */
#include "core/json.h"
#include "core/decimal.h"
#include "core/mp_write.h"
#include "core/utf8.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* First bytes of MessagePack heads: small form, then 8-, 16- and 32-bit lengths (0: no such). */
struct head_kind {
    uint8_t small;
    uint8_t small_max;
    uint8_t tag8;
    uint8_t tag16;
    uint8_t tag32;
};

static const struct head_kind head_str = { 0xa0, 31, 0xd9, 0xda, 0xdb };
static const struct head_kind head_array = { 0x90, 15, 0, 0xdc, 0xdd };
static const struct head_kind head_map = { 0x80, 15, 0, 0xde, 0xdf };

struct level {
    size_t head_at;
    uint32_t count; /* elements, or pairs */
    bool is_map;
};

struct parser {
    const uint8_t *at;
    const uint8_t *end;
    struct pl_writer *out;
    const uint8_t *wrong_at;
    const char *wrong;
    parley_err err;
    size_t depth;
    struct level levels[PARLEY_DEPTH_MAX];
};

static size_t head_size(const struct head_kind *kind, size_t count)
{
    if (count <= kind->small_max)
        return 1;
    if (count <= UINT8_MAX && kind->tag8 != 0)
        return 2;
    return count <= UINT16_MAX ? 3 : 5;
}

static void put_head(uint8_t *at, const struct head_kind *kind, size_t count)
{
    size_t size = head_size(kind, count);
    if (size == 1) {
        at[0] = (uint8_t)(kind->small | count);
        return;
    }
    at[0] = size == 2 ? kind->tag8 : size == 3 ? kind->tag16 : kind->tag32;
    pl_put_be(at + 1, count, size - 1);
}

static bool fail(struct parser *p, parley_err err, const uint8_t *at, const char *what)
{
    p->err = err;
    p->wrong_at = at;
    p->wrong = what;
    return false;
}

static bool malformed(struct parser *p, const char *what)
{
    return fail(p, PARLEY_EMALFORMED, p->at, what);
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && *p->at <= ' ' &&
           (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
        p->at++;
}

/* Takes `c` after white space, if it is there. */
static bool take(struct parser *p, uint8_t c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

/* Whether one of eight characters is a quote, a backslash or a control character. Exact as a
 * whole, although single bytes above a true one may be marked wrongly. */
static bool has_special(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE * '"';
    uint64_t backslash = word ^ EACH_BYTE * '\\';
    uint64_t found = ((quote - EACH_BYTE) & ~quote) | ((backslash - EACH_BYTE) & ~backslash) |
                     ((word - EACH_BYTE * 0x20) & ~word);
    return (found & HIGH_BITS) != 0;
}

/* The run of bytes up to the first quote, backslash or control character; `*high` collects whether
 * any is not ASCII. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end, bool *high)
{
    uint64_t seen = 0;
    while ((size_t)(end - at) >= sizeof seen) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if (has_special(word))
            break;
        seen |= word;
        at += sizeof word;
    }
    uint8_t last = 0;
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
        last |= *at++;
    *high = *high || ((seen & HIGH_BITS) | (last & 0x80)) != 0;
    return at;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The unit of "\uXXXX" at `at`, or -1. */
static int32_t unit_at(const uint8_t *at, const uint8_t *end)
{
    int32_t unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[len] | c);
    return len;
}

/* Decodes the \u escape at `*at`, two for a character above U+FFFF. */
static bool decode_unicode(struct parser *p, const uint8_t **at, const uint8_t *end, uint8_t *out,
                           size_t *len)
{
    int32_t unit = unit_at(*at, end);
    if (unit < 0)
        return fail(p, PARLEY_EMALFORMED, *at, "expected four hex digits after \\u");
    uint32_t c = (uint32_t)unit;
    size_t used = 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        int32_t low = c <= 0xdbff ? unit_at(*at + 6, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(p, PARLEY_EMALFORMED, *at, "surrogate without its pair");
        c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        used = 12;
    }
    *at += used;
    *len += put_utf8(out + *len, c);
    return true;
}

static int simple_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    }
    return -1;
}

/* Decodes a string with escapes, quotes excluded, into `out`; it never grows. */
static bool decode_string(struct parser *p, struct parley_span raw, uint8_t *out, size_t *len)
{
    const uint8_t *at = raw.ptr;
    const uint8_t *end = raw.ptr + raw.len;
    *len = 0;
    while (at < end) {
        const uint8_t *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape == NULL ? end : escape) - at);
        memcpy(out + *len, at, run);
        *len += run;
        at += run;
        if (escape == NULL)
            break;
        /* The scan made sure that a character follows a backslash. */
        if (at[1] == 'u') {
            if (!decode_unicode(p, &at, end, out, len))
                return false;
            continue;
        }
        int c = simple_escape(at[1]);
        if (c < 0)
            return fail(p, PARLEY_EMALFORMED, at, "unknown escape");
        out[(*len)++] = (uint8_t)c;
        at += 2;
    }
    return true;
}

/* Finds the closing quote of the string that begins at p->at and moves behind it. */
static bool scan_string(struct parser *p, struct parley_span *raw, bool *escapes)
{
    const uint8_t *start = p->at;
    const uint8_t *at = start;
    bool high = false;
    *escapes = false;
    for (;;) {
        at = skip_plain(at, p->end, &high);
        if (at == p->end)
            return fail(p, PARLEY_EMALFORMED, at, "text ends inside a string");
        if (*at == '"')
            break;
        if (*at != '\\')
            return fail(p, PARLEY_EMALFORMED, at, "control character in a string");
        *escapes = true;
        at = p->end - at < 2 ? p->end : at + 2;
    }
    *raw = pl_span_of(start, (size_t)(at - start));
    if (raw->len > UINT32_MAX)
        return fail(p, PARLEY_ETOOBIG, start, "string too long");
    /* Escapes are ASCII, so the raw bytes are well-formed if and only if the decoded ones are. A
     * byte after a backslash was not scanned, but then it is no known escape. */
    size_t valid = high ? pl_utf8_prefix(*raw) : raw->len;
    if (valid != raw->len)
        return fail(p, PARLEY_EUTF8, start + valid, "invalid UTF-8");
    p->at = at + 1;
    return true;
}

/* Converts the string after an opening quote that was taken. */
static bool read_string(struct parser *p)
{
    struct parley_span raw;
    bool escapes;
    if (!scan_string(p, &raw, &escapes))
        return false;
    size_t head = head_size(&head_str, raw.len);
    uint8_t *at = pl_writer_reserve(p->out, head + raw.len);
    if (at == NULL)
        return true;
    if (!escapes) {
        put_head(at, &head_str, raw.len);
        memcpy(at + head, raw.ptr, raw.len);
        return true;
    }
    size_t len;
    if (!decode_string(p, raw, at + head, &len))
        return false;
    size_t final_head = head_size(&head_str, len);
    if (final_head != head)
        memmove(at + final_head, at + head, len);
    put_head(at, &head_str, len);
    p->out->len -= head + raw.len - final_head - len;
    return true;
}

/* Converts a number that is not a plain integer in range. */
static bool read_double(struct parser *p, const uint8_t *start)
{
    const uint8_t *at = start;
    while (at < p->end &&
           (is_digit(*at) || *at == '-' || *at == '+' || *at == '.' || *at == 'e' || *at == 'E'))
        at++;
    double value;
    parley_err err = pl_decimal_parse(pl_span_of(start, (size_t)(at - start)), &value);
    if (err != PARLEY_OK)
        return fail(p, PARLEY_EMALFORMED, start,
                    err == PARLEY_ETOOBIG ? "number out of range" : "malformed number");
    pl_mp_write_float(p->out, value);
    p->at = at;
    return true;
}

static bool read_number(struct parser *p)
{
    const uint8_t *start = p->at;
    const uint8_t *at = start;
    bool negative = *at == '-';
    at += negative;
    const uint8_t *first = at;
    uint64_t value = 0;
    for (; at < p->end && is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return read_double(p, start);
        value = value * 10 + digit;
    }
    bool more = at < p->end && (*at == '.' || *at == 'e' || *at == 'E');
    if (more || (negative && value > (uint64_t)INT64_MAX + 1))
        return read_double(p, start);
    if (at == first || (*first == '0' && at - first > 1))
        return malformed(p, "malformed number");
    if (!negative && value < 0x80)
        pl_write_u8(p->out, (uint8_t)value);
    else if (!negative || value == 0)
        pl_mp_write_uint(p->out, value);
    else
        pl_mp_write_int(p->out, -1 - (int64_t)(value - 1));
    p->at = at;
    return true;
}

static bool read_word(struct parser *p, const char *word, uint8_t tag)
{
    struct parley_span left = pl_span_of(p->at, (size_t)(p->end - p->at));
    struct parley_span expected = pl_span_text(word);
    if (!pl_span_has_prefix(left, expected))
        return malformed(p, "expected a value");
    pl_write_u8(p->out, tag);
    p->at += expected.len;
    return true;
}

static bool read_name(struct parser *p)
{
    if (!take(p, '"'))
        return malformed(p, "expected a name in quotes");
    if (!read_string(p))
        return false;
    return take(p, ':') || malformed(p, "expected ':'");
}

static bool open_container(struct parser *p, bool is_map)
{
    if (p->depth == PARLEY_DEPTH_MAX)
        return fail(p, PARLEY_ETOOBIG, p->at, "nested too deeply");
    p->at++;
    p->levels[p->depth++] = (struct level){ .head_at = p->out->len, .is_map = is_map };
    pl_write_u8(p->out, 0);
    return true;
}

/* Writes the head of the innermost container, now that its count is known. */
static void close_container(struct parser *p)
{
    struct level level = p->levels[--p->depth];
    const struct head_kind *kind = level.is_map ? &head_map : &head_array;
    size_t extra = head_size(kind, level.count) - 1;
    size_t content = p->out->len - level.head_at - 1;
    if (extra != 0)
        pl_writer_reserve(p->out, extra);
    if (p->out->err != PARLEY_OK)
        return;
    uint8_t *at = p->out->ptr + level.head_at;
    if (extra != 0)
        memmove(at + 1 + extra, at + 1, content);
    put_head(at, kind, level.count);
}

/* Converts a value other than a container, at its first byte. */
static bool read_scalar(struct parser *p)
{
    switch (*p->at) {
    case '"':
        p->at++;
        return read_string(p);
    case 't':
        return read_word(p, "true", 0xc3);
    case 'f':
        return read_word(p, "false", 0xc2);
    case 'n':
        return read_word(p, "null", 0xc0);
    default:
        if (*p->at == '-' || is_digit(*p->at))
            return read_number(p);
        return malformed(p, "expected a value");
    }
}

/* After a value: counts it, closes what ends here, and says whether another value must follow. */
static bool read_after_value(struct parser *p, bool *another)
{
    *another = false;
    while (p->depth > 0) {
        struct level *level = &p->levels[p->depth - 1];
        if (level->count == UINT32_MAX)
            return fail(p, PARLEY_ETOOBIG, p->at, "too many elements");
        level->count++;
        if (take(p, ',')) {
            *another = true;
            return !level->is_map || read_name(p);
        }
        if (!take(p, level->is_map ? '}' : ']'))
            return malformed(p, level->is_map ? "expected ',' or '}'" : "expected ',' or ']'");
        close_container(p);
    }
    return true;
}

static bool convert(struct parser *p)
{
    bool another = true;
    while (another && p->out->err == PARLEY_OK) {
        skip_space(p);
        if (p->at == p->end)
            return malformed(p, "expected a value");
        bool is_map = *p->at == '{';
        if (is_map || *p->at == '[') {
            if (!open_container(p, is_map))
                return false;
            if (!take(p, is_map ? '}' : ']')) {
                if (is_map && !read_name(p))
                    return false;
                continue;
            }
            close_container(p);
        } else if (!read_scalar(p)) {
            return false;
        }
        if (!read_after_value(p, &another))
            return false;
    }
    skip_space(p);
    if (p->out->err == PARLEY_OK && p->at != p->end)
        return malformed(p, "expected the end of the text");
    return true;
}

parley_err pl_json_to_mp(struct parley_span json, struct pl_writer *out,
                         struct pl_json_error *error)
{
    static const uint8_t nothing[1] = { 0 };
    const uint8_t *start = json.len == 0 ? nothing : json.ptr;
    size_t len_before = out->len;
    /* Not zeroed as a whole: levels are set when they open, and there are many. */
    struct parser p;
    p.at = start;
    p.end = start + json.len;
    p.out = out;
    p.err = PARLEY_OK;
    p.depth = 0;
    bool whole = convert(&p);
    if (whole && out->err == PARLEY_OK)
        return PARLEY_OK;
    out->len = len_before;
    if (whole)
        return out->err;
    if (error != NULL)
        *error = (struct pl_json_error){ .offset = (size_t)(p.wrong_at - start), .what = p.wrong };
    return p.err;
}
