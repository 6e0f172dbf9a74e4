/* SPDX-License-Identifier: Apache-2.0
 *
 * MessagePack to JSON text: the second half of json.h. The open containers are a fixed stack, as in
 * json.c.
 */
#include "core/json.h"
#include "core/base64.h"
#include "core/decimal.h"
#include "core/mp_read.h"
#include "core/utf8.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)
/* Decimal digits of UINT64_MAX. */
#define UINT64_DIGITS 20

struct level {
    uint32_t left; /* elements, or pairs, still to come */
    bool is_map;
};

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* The length of the run that needs no escape. */
static size_t plain_len(struct parley_span text)
{
    size_t i = 0;
    while (text.len - i >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.ptr + i, sizeof word);
        uint64_t quote = word ^ EACH_BYTE * '"';
        uint64_t backslash = word ^ EACH_BYTE * '\\';
        uint64_t found = ((quote - EACH_BYTE) & ~quote) | ((backslash - EACH_BYTE) & ~backslash) |
                         ((word - EACH_BYTE * 0x20) & ~word);
        if ((found & HIGH_BITS) != 0)
            break;
        i += sizeof word;
    }
    while (i < text.len && is_plain(text.ptr[i]))
        i++;
    return i;
}

static void write_escape(struct pl_writer *out, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    static const char names[] = "btn\0fr"; /* of the characters 8 to 13 */
    uint8_t text[6] = { '\\', c, '0', '0', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15] };
    size_t len = 2;
    if (c < 0x20) {
        bool named = c >= 8 && c <= 13 && c != 11;
        text[1] = named ? (uint8_t)names[c - 8] : 'u';
        len = named ? 2 : sizeof text;
    }
    pl_write_bytes(out, text, len);
}

/* Writes the characters of valid UTF-8. */
static void write_escaped(struct pl_writer *out, struct parley_span text)
{
    while (text.len > 0) {
        size_t run = plain_len(text);
        pl_write_bytes(out, text.ptr, run);
        text = pl_span_after(text, run);
        if (text.len > 0) {
            write_escape(out, text.ptr[0]);
            text = pl_span_after(text, 1);
        }
    }
}

void pl_json_write_string(struct pl_writer *out, struct parley_span text)
{
    pl_write_u8(out, '"');
    for (;;) {
        size_t valid = pl_utf8_prefix(text);
        write_escaped(out, pl_span_of(text.ptr, valid));
        if (valid == text.len)
            break;
        pl_write_text(out, "\xef\xbf\xbd");
        text = pl_span_after(text, valid + 1);
    }
    pl_write_u8(out, '"');
}

static void write_integer(struct pl_writer *out, uint64_t size, bool negative)
{
    uint8_t text[UINT64_DIGITS + 1];
    size_t at = sizeof text;
    do {
        text[--at] = (uint8_t)('0' + size % 10);
        size /= 10;
    } while (size != 0);
    if (negative)
        text[--at] = '-';
    pl_write_bytes(out, text + at, sizeof text - at);
}

static void write_double(struct pl_writer *out, double value)
{
    char text[PL_DECIMAL_BYTES_MAX];
    /* The difference is 0 for every finite number and NaN for the others. */
    bool finite = value - value == 0;
    if (finite)
        pl_write_bytes(out, text, pl_decimal_format(value, text));
    else
        pl_write_text(out, "null");
}

static void print_string(struct pl_reader *in, struct pl_writer *out)
{
    struct parley_span text = pl_mp_read_str(in, SIZE_MAX);
    if (!pl_utf8_is_valid(text)) {
        pl_reader_fail(in, PARLEY_EUTF8);
        return;
    }
    pl_write_u8(out, '"');
    write_escaped(out, text);
    pl_write_u8(out, '"');
}

static void print_integer(struct pl_reader *in, struct pl_writer *out, bool negative)
{
    if (negative)
        write_integer(out, 0 - (uint64_t)pl_mp_read_int(in), true);
    else
        write_integer(out, pl_mp_read_uint(in), false);
}

/* Prints a value that is not a container. */
static void print_scalar(struct pl_reader *in, struct pl_writer *out, enum pl_mp_type type)
{
    switch (type) {
    case PL_MP_NIL:
        pl_mp_read_nil(in);
        pl_write_text(out, "null");
        return;
    case PL_MP_BOOL:
        pl_write_text(out, pl_mp_read_bool(in) ? "true" : "false");
        return;
    case PL_MP_UINT:
    case PL_MP_INT:
        print_integer(in, out, type == PL_MP_INT);
        return;
    case PL_MP_FLOAT:
        write_double(out, pl_mp_read_float(in));
        return;
    case PL_MP_STR:
        print_string(in, out);
        return;
    case PL_MP_BIN:
        pl_write_u8(out, '"');
        pl_base64_write(out, pl_mp_read_bin(in, SIZE_MAX));
        pl_write_u8(out, '"');
        return;
    case PL_MP_EXT:
    case PL_MP_ARRAY:
    case PL_MP_MAP:
        pl_reader_fail(in, PARLEY_ETYPE);
        return;
    case PL_MP_END:
        pl_reader_fail(in, PARLEY_EMALFORMED);
        return;
    }
}

/* Closes the containers that are complete; else goes to the next element: a comma unless it is the
 * first, and in a map its name. */
static void print_between(struct pl_reader *in, struct pl_writer *out, struct level *levels,
                          size_t *depth, bool first)
{
    while (*depth > 0 && levels[*depth - 1].left == 0) {
        *depth -= 1;
        pl_write_u8(out, levels[*depth].is_map ? '}' : ']');
        first = false;
    }
    if (*depth == 0)
        return;
    levels[*depth - 1].left--;
    if (!first)
        pl_write_u8(out, ',');
    if (levels[*depth - 1].is_map) {
        print_string(in, out);
        pl_write_u8(out, ':');
    }
}

parley_err pl_mp_to_json(struct pl_reader *in, struct pl_writer *out)
{
    struct level levels[PARLEY_DEPTH_MAX];
    size_t depth = 0;
    size_t len_before = out->len;
    do {
        enum pl_mp_type type = pl_mp_peek(in);
        bool opens = type == PL_MP_ARRAY || type == PL_MP_MAP;
        if (opens && depth == PARLEY_DEPTH_MAX) {
            pl_reader_fail(in, PARLEY_ETOOBIG);
        } else if (opens) {
            bool is_map = type == PL_MP_MAP;
            uint32_t count =
                is_map ? pl_mp_read_map(in, UINT32_MAX) : pl_mp_read_array(in, UINT32_MAX);
            levels[depth++] = (struct level){ .left = count, .is_map = is_map };
            pl_write_u8(out, is_map ? '{' : '[');
        } else {
            print_scalar(in, out, type);
        }
        if (in->err == PARLEY_OK)
            print_between(in, out, levels, &depth, opens);
    } while (depth > 0 && in->err == PARLEY_OK && out->err == PARLEY_OK);
    if (in->err == PARLEY_OK && out->err == PARLEY_OK)
        return PARLEY_OK;
    out->len = len_before;
    return in->err != PARLEY_OK ? in->err : out->err;
}
