/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding takes no table look-up by character and no branch by its value except for the final
 * verdict, since keys in PEM pass through here.
 */
#include "core/base64.h"

static const char alphabet_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_";

/* Fills 4 characters from up to 3 bytes; returns how many of them carry bits. */
static size_t encode_group(const uint8_t *in, size_t len, const char *alphabet, uint8_t out[4])
{
    uint32_t bits = (uint32_t)in[0] << 16;
    bits |= len > 1 ? (uint32_t)in[1] << 8 : 0;
    bits |= len > 2 ? (uint32_t)in[2] : 0;
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)alphabet[bits >> (18 - 6 * i) & 63];
    return len + 1;
}

static void write_encoding(struct pl_writer *w, struct parley_span bytes, const char *alphabet,
                           size_t text_len, bool padded)
{
    uint8_t *at = pl_writer_reserve(w, text_len);
    if (at == NULL)
        return;
    size_t i = 0;
    for (; bytes.len - i >= 3; i += 3, at += 4)
        encode_group(bytes.ptr + i, 3, alphabet, at);
    if (i == bytes.len)
        return;
    uint8_t last[4];
    size_t used = encode_group(bytes.ptr + i, bytes.len - i, alphabet, last);
    memcpy(at, last, used);
    if (padded)
        memset(at + used, '=', 4 - used);
}

void pl_base64_write(struct pl_writer *w, struct parley_span bytes)
{
    if (bytes.len > SIZE_MAX / 4 - 4) {
        w->err = w->err == PARLEY_OK ? PARLEY_ETOOBIG : w->err;
        return;
    }
    write_encoding(w, bytes, alphabet_standard, PL_BASE64_LEN(bytes.len), true);
}

void pl_base64url_write(struct pl_writer *w, struct parley_span bytes)
{
    if (bytes.len > SIZE_MAX / 4 - 4) {
        w->err = w->err == PARLEY_OK ? PARLEY_ETOOBIG : w->err;
        return;
    }
    write_encoding(w, bytes, alphabet_url, PL_BASE64URL_LEN(bytes.len), false);
}

/* All ones when first <= c <= last, else zero, without a branch. */
static uint32_t in_range_mask(uint32_t c, uint32_t first, uint32_t last)
{
    return (((c - first) | (last - c)) >> 31) - 1;
}

/* The six bits of a character, or a value above 63. */
static uint32_t digit_of(uint32_t c, const char *alphabet)
{
    uint32_t value = 0;
    uint32_t hit = 0;
    uint32_t mask = in_range_mask(c, 'A', 'Z');
    value |= mask & (c - 'A');
    hit |= mask;
    mask = in_range_mask(c, 'a', 'z');
    value |= mask & (c - 'a' + 26);
    hit |= mask;
    mask = in_range_mask(c, '0', '9');
    value |= mask & (c - '0' + 52);
    hit |= mask;
    mask = in_range_mask(c, (uint8_t)alphabet[62], (uint8_t)alphabet[62]);
    value |= mask & 62;
    hit |= mask;
    mask = in_range_mask(c, (uint8_t)alphabet[63], (uint8_t)alphabet[63]);
    value |= mask & 63;
    hit |= mask;
    return value | (~hit & 64);
}

/* Decodes unpadded text, whose length modulo 4 is not 1. */
static parley_err decode(struct parley_span text, const char *alphabet, uint8_t *out, size_t cap,
                         size_t *len)
{
    size_t tail = text.len % 4;
    if (tail == 1)
        return PARLEY_EMALFORMED;
    size_t need = text.len / 4 * 3 + (tail == 0 ? 0 : tail - 1);
    if (need > cap)
        return PARLEY_EFULL;
    uint32_t bad = 0;
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t digit = digit_of(text.ptr[i], alphabet);
        bad |= digit & 64;
        bits = bits << 6 | (digit & 63);
        if (i % 4 != 0)
            out[written++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    /* The bits after the last whole byte: two characters leave four of them, three leave two. */
    uint32_t unused = tail == 2 ? bits & 15 : tail == 3 ? bits & 3 : 0;
    if (bad != 0 || unused != 0)
        return PARLEY_EMALFORMED;
    *len = written;
    return PARLEY_OK;
}

parley_err pl_base64url_decode(struct parley_span text, uint8_t *out, size_t cap, size_t *len)
{
    return decode(text, alphabet_url, out, cap, len);
}

parley_err pl_base64_decode(struct parley_span text, uint8_t *out, size_t cap, size_t *len)
{
    if (text.len % 4 != 0)
        return PARLEY_EMALFORMED;
    for (int i = 0; i < 2 && text.len % 4 != 2 && text.len > 0; i++) {
        if (text.ptr[text.len - 1] == '=')
            text.len--;
    }
    return decode(text, alphabet_standard, out, cap, len);
}
