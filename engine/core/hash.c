/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"

#include <bearssl.h>
#include <xxhash.h>

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct pl_sha256), "room for the context");
_Static_assert(_Alignof(br_sha256_context) <= _Alignof(struct pl_sha256), "aligned context");
_Static_assert(br_sha256_SIZE == PL_SHA256_BYTES, "one size");

/* The context is copied in and out, 112 bytes, so that neither type is read as the other. */
static void load(br_sha256_context *context, const struct pl_sha256 *h)
{
    memcpy(context, h->opaque, sizeof *context);
}

static void save(struct pl_sha256 *h, const br_sha256_context *context)
{
    memcpy(h->opaque, context, sizeof *context);
}

void pl_sha256_init(struct pl_sha256 *h)
{
    br_sha256_context context;
    br_sha256_init(&context);
    *h = (struct pl_sha256){ .opaque = { 0 } };
    save(h, &context);
}

void pl_sha256_update(struct pl_sha256 *h, const void *bytes, size_t len)
{
    br_sha256_context context;
    if (len == 0)
        return;
    load(&context, h);
    br_sha256_update(&context, bytes, len);
    save(h, &context);
}

void pl_sha256_final(const struct pl_sha256 *h, uint8_t out[PL_SHA256_BYTES])
{
    br_sha256_context context;
    load(&context, h);
    br_sha256_out(&context, out);
}

void pl_sha256_of(struct pl_span bytes, uint8_t out[PL_SHA256_BYTES])
{
    br_sha256_context context;
    br_sha256_init(&context);
    if (bytes.len != 0)
        br_sha256_update(&context, bytes.ptr, bytes.len);
    br_sha256_out(&context, out);
}

/* The library may not be given a null pointer, not even with length 0, in every version. */
static const void *pointer_of(struct pl_span bytes)
{
    return bytes.len == 0 ? "" : (const void *)bytes.ptr;
}

uint64_t pl_xxh3_of(struct pl_span bytes)
{
    return XXH3_64bits(pointer_of(bytes), bytes.len);
}

uint64_t pl_xxh3_pair(struct pl_span key, struct pl_span value)
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

parley_err pl_hex_decode(struct pl_span text, uint8_t *out, size_t len)
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
