/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

static bool is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* The length of the character at `at`, whose first byte is not ASCII; 0 unless well-formed. */
static size_t multibyte_len(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (left < 2 || first < 0xc2 || first > 0xf4)
        return 0;
    uint8_t second = at[1];
    if (first < 0xe0)
        return is_tail(second) ? 2 : 0;
    if (left < 3 || !is_tail(second) || !is_tail(at[2]))
        return 0;
    if (first < 0xf0) {
        bool overlong = first == 0xe0 && second < 0xa0;
        bool surrogate = first == 0xed && second > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = first == 0xf0 && second < 0x90;
    bool too_great = first == 0xf4 && second > 0x8f;
    return left < 4 || !is_tail(at[3]) || overlong || too_great ? 0 : 4;
}

size_t pl_utf8_prefix(struct parley_span text)
{
    size_t i = 0;
    while (i < text.len) {
        if (text.ptr[i] >= 0x80) {
            size_t len = multibyte_len(text.ptr + i, text.len - i);
            if (len == 0)
                return i;
            i += len;
            continue;
        }
        uint64_t word = 0;
        while (text.len - i >= sizeof word) {
            memcpy(&word, text.ptr + i, sizeof word);
            if ((word & HIGH_BITS) != 0)
                break;
            i += sizeof word;
        }
        while (i < text.len && text.ptr[i] < 0x80)
            i++;
    }
    return i;
}

bool pl_utf8_is_valid(struct parley_span text)
{
    return pl_utf8_prefix(text) == text.len;
}

/* Eight bytes at once: without high bits no borrow of these subtractions can hide another. */
static bool is_printable(uint64_t word)
{
    uint64_t no_delete = word ^ (EACH_BYTE * 0x7f);
    return (word & HIGH_BITS) == 0 && ((word - EACH_BYTE * 0x20) & HIGH_BITS) == 0 &&
           ((no_delete - EACH_BYTE) & HIGH_BITS) == 0;
}

bool pl_ascii_is_printable(struct parley_span text)
{
    uint64_t word = EACH_BYTE * ' ';
    size_t i = 0;
    for (; text.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.ptr + i, sizeof word);
        if (!is_printable(word))
            return false;
    }
    /* The rest, over eight blanks. */
    word = EACH_BYTE * ' ';
    if (i < text.len)
        memcpy(&word, text.ptr + i, text.len - i);
    return is_printable(word);
}
