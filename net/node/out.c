/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing buffer of the HTTP side. Its form is in out.h.
 */
#include "node/out.h"

#include "core/hash.h"
#include "core/iso8601.h"
#include "core/json.h"

#define OUT_BYTES_MIN 512u

bool pl_out_may_hold(size_t size, size_t others)
{
    size_t max = PL_NODE_BUFFER_BYTES_MAX;
    if (size > PL_SMALL_BUFFER_BYTES)
        max -= PL_SMALL_BUFFER_BYTES * PL_CONNS_MAX;
    return others <= max && size <= max - others;
}

void pl_out_init(struct pl_out *out, const struct parley_env *env, size_t *account)
{
    *out = (struct pl_out){ .env = env, .account = account };
}

void pl_out_free(struct pl_out *out)
{
    if (out->ptr != NULL) {
        pl_wipe(out->ptr, out->cap);
        out->env->release(out->env->ud, out->ptr, out->cap);
        PL_ASSERT(*out->account >= out->cap);
        *out->account -= out->cap;
    }
    pl_out_init(out, out->env, out->account);
}

void pl_out_reset(struct pl_out *out)
{
    out->len = 0;
    out->err = PARLEY_OK;
}

/* The next capacity: double, so that growth is paid once a byte, unless only less is left. */
static size_t next_cap(const struct pl_out *out, size_t want, size_t others)
{
    size_t cap = pl_max_size(pl_max_size(want, out->cap * 2), OUT_BYTES_MIN);
    return pl_out_may_hold(cap, others) ? cap : want;
}

PL_MUST_USE parley_err pl_out_room(struct pl_out *out, size_t more)
{
    if (out->err != PARLEY_OK)
        return out->err;
    if (more <= out->cap - out->len)
        return PARLEY_OK;
    size_t others = *out->account - out->cap;
    if (more > PL_NODE_BUFFER_BYTES_MAX || !pl_out_may_hold(out->len + more, others)) {
        out->err = PARLEY_EFULL;
        return out->err;
    }
    size_t cap = next_cap(out, out->len + more, others);
    uint8_t *ptr = out->env->alloc(out->env->ud, cap);
    if (ptr == NULL) {
        out->err = PARLEY_ENOMEM;
        return out->err;
    }
    if (out->ptr != NULL) {
        memcpy(ptr, out->ptr, out->len);
        pl_wipe(out->ptr, out->cap);
        out->env->release(out->env->ud, out->ptr, out->cap);
    }
    *out->account = others + cap;
    out->ptr = ptr;
    out->cap = cap;
    return PARLEY_OK;
}

void pl_out_bytes(struct pl_out *out, struct parley_span bytes)
{
    if (bytes.len == 0 || pl_out_room(out, bytes.len) != PARLEY_OK)
        return;
    memcpy(out->ptr + out->len, bytes.ptr, bytes.len);
    out->len += bytes.len;
}

void pl_out_text(struct pl_out *out, const char *text)
{
    pl_out_bytes(out, pl_span_text(text));
}

void pl_out_separate(struct pl_out *out)
{
    if (out->len == 0)
        return;
    uint8_t last = out->ptr[out->len - 1];
    if (last != '{' && last != '[' && last != ':')
        pl_out_text(out, ",");
}

void pl_out_name(struct pl_out *out, const char *name)
{
    pl_out_separate(out);
    pl_out_text(out, "\"");
    pl_out_text(out, name);
    pl_out_text(out, "\":");
}

/* Escapes make the length of the result unknown: try, and grow, until it fits. */
void pl_out_string(struct pl_out *out, struct parley_span text)
{
    size_t want = text.len + text.len / 8 + 16;
    while (pl_out_room(out, want) == PARLEY_OK) {
        struct pl_writer w = pl_writer_over(out->ptr + out->len, out->cap - out->len);
        pl_json_write_string(&w, text);
        if (w.err == PARLEY_OK) {
            out->len += w.len;
            return;
        }
        want = (out->cap - out->len) * 2;
    }
}

void pl_out_mp(struct pl_out *out, struct parley_span value)
{
    size_t want = value.len + value.len / 8 + 16;
    while (pl_out_room(out, want) == PARLEY_OK) {
        struct pl_writer w = pl_writer_over(out->ptr + out->len, out->cap - out->len);
        struct pl_reader r = pl_reader_over(value);
        parley_err err = pl_mp_to_json(&r, &w);
        if (err == PARLEY_OK) {
            out->len += w.len;
            return;
        }
        if (err != PARLEY_EFULL) {
            out->err = PARLEY_ECORRUPT;
            return;
        }
        want = (out->cap - out->len) * 2;
    }
}

struct parley_span pl_out_digits(uint64_t value, char buf[20])
{
    size_t at = 20;
    do {
        buf[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return pl_span_of(buf + at, 20 - at);
}

void pl_out_u64(struct pl_out *out, uint64_t value)
{
    char buf[20];
    pl_out_bytes(out, pl_out_digits(value, buf));
}

void pl_out_i64(struct pl_out *out, int64_t value)
{
    if (value < 0)
        pl_out_text(out, "-");
    pl_out_u64(out, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}

void pl_out_bool(struct pl_out *out, bool value)
{
    pl_out_text(out, value ? "true" : "false");
}

void pl_out_time(struct pl_out *out, int64_t us)
{
    if (us <= 0 || (uint64_t)us > PL_ISO8601_US_MAX) {
        pl_out_text(out, "null");
        return;
    }
    char text[PL_ISO8601_BYTES];
    pl_iso8601_format((uint64_t)us, text);
    pl_out_text(out, "\"");
    pl_out_bytes(out, pl_span_of(text, sizeof text));
    pl_out_text(out, "\"");
}

void pl_out_hex(struct pl_out *out, const uint8_t *bytes, size_t len)
{
    char text[64];
    PL_ASSERT(len <= sizeof text / 2);
    pl_hex_encode(bytes, len, text);
    pl_out_text(out, "\"");
    pl_out_bytes(out, pl_span_of(text, len * 2));
    pl_out_text(out, "\"");
}

void pl_out_field(struct pl_out *out, const char *name, struct parley_span text)
{
    pl_out_name(out, name);
    pl_out_string(out, text);
}

void pl_out_field_text(struct pl_out *out, const char *name, const char *text)
{
    pl_out_field(out, name, pl_span_text(text));
}

void pl_out_field_u64(struct pl_out *out, const char *name, uint64_t value)
{
    pl_out_name(out, name);
    pl_out_u64(out, value);
}

void pl_out_field_bool(struct pl_out *out, const char *name, bool value)
{
    pl_out_name(out, name);
    pl_out_bool(out, value);
}

void pl_out_field_time(struct pl_out *out, const char *name, int64_t us)
{
    pl_out_name(out, name);
    pl_out_time(out, us);
}
