/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing byte buffer whose room is accounted against one bound for the whole node, and the few
 * helpers that write JSON into it. Used for request bodies, decoded payloads and responses, none of
 * which has a size known in advance. The first failure sticks (ENOMEM, or EFULL at the bound of
 * PL_NODE_BUFFER_BYTES_MAX) and later writes change nothing.
 *
 * JSON: a separator is written by itself before a name or an element, unless the byte before opens
 * a container. That is unambiguous, because every value ends in another byte than '{', '[' or ':'.
 */
#ifndef PL_OUT_H
#define PL_OUT_H

#include "base/span.h"
#include <parley/env.h>

struct pl_out {
    const struct parley_env *env;
    size_t *account; /* bytes held by all buffers together */
    uint8_t *ptr;
    size_t len;
    size_t cap;
    parley_err err;
};

/* Ownership: `env` and `account` are borrowed for the life of the buffer. */
void pl_out_init(struct pl_out *out, const struct parley_env *env, size_t *account);
/* Overwrites the memory, gives it back and forgets an error; it can be used again. */
void pl_out_free(struct pl_out *out);
/* Empties it and forgets an error, but keeps the memory. */
void pl_out_reset(struct pl_out *out);
/* Whether a buffer of this size may be held beside `others` bytes: the last of the budget are for
 * small ones. */
bool pl_out_may_hold(size_t size, size_t others);
/* Makes sure that `more` bytes fit after `len`. Errors: EFULL, ENOMEM, both sticky. */
PL_MUST_USE parley_err pl_out_room(struct pl_out *out, size_t more);

static inline struct parley_span pl_out_span(const struct pl_out *out)
{
    return pl_span_of(out->ptr, out->len);
}

void pl_out_bytes(struct pl_out *out, struct parley_span bytes);
void pl_out_text(struct pl_out *out, const char *text);

/* ---- JSON values ---- */

/* Writes ',' where one is due. */
void pl_out_separate(struct pl_out *out);
/* A separator if due, the name and ':'. `name` needs no escapes. */
void pl_out_name(struct pl_out *out, const char *name);
void pl_out_string(struct pl_out *out, struct parley_span text);
void pl_out_u64(struct pl_out *out, uint64_t value);
void pl_out_i64(struct pl_out *out, int64_t value);
void pl_out_bool(struct pl_out *out, bool value);
/* Microseconds as ISO 8601 in quotes; null for 0 or less. */
void pl_out_time(struct pl_out *out, int64_t us);
/* Lower-case hex in quotes. */
void pl_out_hex(struct pl_out *out, const uint8_t *bytes, size_t len);
/* One msgpack value of ours as JSON. What does not decode makes the buffer fail with ECORRUPT. */
void pl_out_mp(struct pl_out *out, struct parley_span value);

/* Name and value in one. */
void pl_out_field(struct pl_out *out, const char *name, struct parley_span text);
void pl_out_field_text(struct pl_out *out, const char *name, const char *text);
void pl_out_field_u64(struct pl_out *out, const char *name, uint64_t value);
void pl_out_field_bool(struct pl_out *out, const char *name, bool value);
void pl_out_field_time(struct pl_out *out, const char *name, int64_t us);

/* Decimal digits of `value` at the end of `buf`; lends them from there. */
struct parley_span pl_out_digits(uint64_t value, char buf[20]);

#endif
