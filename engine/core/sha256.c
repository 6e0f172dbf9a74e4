/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 by one of two libraries, as the build says: Nettle, which uses the instructions that
 * processors have for it, or BearSSL, which is here anyway.
 */
#include "core/hash.h"

#ifdef PARLEY_NETTLE
#include <nettle/sha2.h>

typedef struct sha256_ctx context;

static void begin(context *c)
{
    sha256_init(c);
}

static void add(context *c, const void *bytes, size_t len)
{
    sha256_update(c, len, bytes);
}

static void finish(context *c, uint8_t out[PL_SHA256_BYTES])
{
    sha256_digest(c, PL_SHA256_BYTES, out);
}
#else
#include <bearssl.h>

typedef br_sha256_context context;

static void begin(context *c)
{
    br_sha256_init(c);
}

static void add(context *c, const void *bytes, size_t len)
{
    br_sha256_update(c, bytes, len);
}

static void finish(context *c, uint8_t out[PL_SHA256_BYTES])
{
    br_sha256_out(c, out);
}
#endif

_Static_assert(sizeof(context) <= sizeof(struct pl_sha256), "room for the context");
_Static_assert(_Alignof(context) <= _Alignof(struct pl_sha256), "aligned context");

/* The context is copied in and out, 112 bytes, so that neither type is read as the other. */
static void load(context *c, const struct pl_sha256 *h)
{
    memcpy(c, h->opaque, sizeof *c);
}

static void save(struct pl_sha256 *h, const context *c)
{
    memcpy(h->opaque, c, sizeof *c);
}

void pl_sha256_init(struct pl_sha256 *h)
{
    context c;
    begin(&c);
    *h = (struct pl_sha256){ .opaque = { 0 } };
    save(h, &c);
}

void pl_sha256_update(struct pl_sha256 *h, const void *bytes, size_t len)
{
    context c;
    if (len == 0)
        return;
    load(&c, h);
    add(&c, bytes, len);
    save(h, &c);
}

void pl_sha256_final(const struct pl_sha256 *h, uint8_t out[PL_SHA256_BYTES])
{
    context c;
    load(&c, h);
    finish(&c, out);
}

void pl_sha256_of(struct parley_span bytes, uint8_t out[PL_SHA256_BYTES])
{
    context c;
    begin(&c);
    if (bytes.len != 0)
        add(&c, bytes.ptr, bytes.len);
    finish(&c, out);
}
