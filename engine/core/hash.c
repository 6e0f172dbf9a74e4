/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"

#include <xxhash.h>

/* The library may not be given a null pointer, not even with length 0, in every version. */
static const void *pointer_of(struct parley_span bytes)
{
    return bytes.len == 0 ? "" : (const void *)bytes.ptr;
}

uint64_t pl_xxh3_of(struct parley_span bytes)
{
    return XXH3_64bits(pointer_of(bytes), bytes.len);
}

uint64_t pl_xxh3_pair(struct parley_span key, struct parley_span value)
{
    /* The key's hash seeds the value's: a byte moved from one to the other changes the sum, and
     * nothing is copied together. */
    return XXH3_64bits_withSeed(pointer_of(value), value.len, pl_xxh3_of(key));
}

bool pl_equal_ct(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t left = x[i];
        uint8_t right = y[i];
        difference |= (unsigned)(left ^ right);
    }
    return difference == 0;
}

/* A compiler cannot leave out a call of which it does not know the function. */
typedef void *(*volatile fill_call)(void *, int, size_t);
static const fill_call fill = memset;

void pl_wipe(void *secret, size_t len)
{
    if (len != 0)
        fill(secret, 0, len);
}

/* BearSSL's largest frames, of RSA, take less than 8 KiB together. */
#define STACK_BYTES 16384

void pl_wipe_stack(void)
{
    uint8_t below[STACK_BYTES];
    pl_wipe(below, sizeof below);
}

void pl_hex_encode(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

/* 0 to 15, or 16 for any other character. */
static unsigned hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a' + 10);
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 16;
}

parley_err pl_hex_decode(struct parley_span text, uint8_t *out, size_t len)
{
    if (text.len % 2 != 0 || text.len / 2 != len)
        return PARLEY_EMALFORMED;
    for (size_t i = 0; i < text.len; i++) {
        if (hex_value(text.ptr[i]) > 15)
            return PARLEY_EMALFORMED;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_value(text.ptr[2 * i]) << 4 | hex_value(text.ptr[2 * i + 1]));
    return PARLEY_OK;
}
