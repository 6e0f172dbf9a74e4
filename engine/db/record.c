/* SPDX-License-Identifier: Apache-2.0
 *
 * Row encodings; see record.h.
 */
#include "db/record.h"

#include "base/reader.h"
#include "core/hash.h"
#include "core/key.h"

/* ---- Checksums ---- */

static void seal(struct pl_writer *w, struct parley_span key, size_t start, size_t width)
{
    struct parley_span body = pl_span_of(w->ptr + start, w->len - start);
    pl_write_be(w, pl_xxh3_pair(key, body), width);
    PL_ASSERT(w->err == PARLEY_OK);
}

/* Checks the last `width` bytes and gives what is before them. */
static PL_MUST_USE parley_err unseal(struct parley_span key, struct parley_span value, size_t width,
                                     struct parley_span *out)
{
    if (value.len < width)
        return PARLEY_ECORRUPT;
    struct parley_span body = pl_span_of(value.ptr, value.len - width);
    uint64_t stored = pl_get_be(value.ptr + body.len, width);
    uint64_t mask = width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
    if ((pl_xxh3_pair(key, body) & mask) != stored)
        return PARLEY_ECORRUPT;
    *out = body;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err unseal_row(struct parley_span key, struct parley_span value,
                                         struct pl_reader *out)
{
    struct parley_span body;
    PL_TRY(unseal(key, value, PL_RECORD_ROW_CHECK_BYTES, &body));
    *out = pl_reader_over(body);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err end_row(const struct pl_reader *r)
{
    return pl_reader_end(r) == PARLEY_OK ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* ---- Counters and names ---- */

/* What older formats have behind `held`. */
#define OLD_COUNTERS_TAIL (3u * 4u)

void pl_record_write_counters(struct pl_writer *w, struct parley_span key,
                              const struct pl_counters *in)
{
    size_t start = w->len;
    pl_write_u64(w, in->commits);
    pl_write_u64(w, in->head);
    pl_write_u64(w, in->clock);
    pl_write_u64(w, in->held);
    pl_write_u64(w, in->indexed);
    pl_write_u32(w, in->name_spaces);
    pl_write_u32(w, in->origins);
    pl_write_u32(w, in->conversations);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_counters(struct parley_span key, struct parley_span value,
                                               struct pl_counters *out)
{
    struct pl_reader r;
    struct pl_counters counters = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    counters.commits = pl_read_u64(&r);
    counters.head = pl_read_u64(&r);
    counters.clock = pl_read_u64(&r);
    counters.held = pl_read_u64(&r);
    if (pl_reader_left(&r) != OLD_COUNTERS_TAIL) /* not of format 2 or older */
        counters.indexed = pl_read_u64(&r);
    counters.name_spaces = pl_read_u32(&r);
    counters.origins = pl_read_u32(&r);
    counters.conversations = pl_read_u32(&r);
    PL_TRY(end_row(&r));
    *out = counters;
    return PARLEY_OK;
}

void pl_record_write_number(struct pl_writer *w, struct parley_span key, uint32_t number)
{
    size_t start = w->len;
    pl_write_u32(w, number);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_number(struct parley_span key, struct parley_span value,
                                             uint32_t *out)
{
    struct pl_reader r;
    PL_TRY(unseal_row(key, value, &r));
    uint32_t number = pl_read_u32(&r);
    PL_TRY(end_row(&r));
    *out = number;
    return PARLEY_OK;
}

void pl_record_write_space(struct pl_writer *w, struct parley_span key,
                           const struct pl_space_row *in)
{
    size_t start = w->len;
    pl_write_u64(w, in->root.count);
    pl_write_bytes(w, in->root.sum, PARLEY_DIGEST_BYTES);
    pl_write_u64(w, in->conversations);
    pl_write_u64(w, in->messages);
    pl_write_span(w, in->name);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_space(struct parley_span key, struct parley_span value,
                                            struct pl_space_row *out)
{
    struct pl_reader r;
    struct pl_space_row row = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    row.root.count = pl_read_u64(&r);
    pl_read_copy(&r, row.root.sum, PARLEY_DIGEST_BYTES);
    row.conversations = pl_read_u64(&r);
    row.messages = pl_read_u64(&r);
    row.name = pl_read_bytes(&r, pl_reader_left(&r));
    PL_TRY(end_row(&r));
    if (row.name.len == 0 || row.name.len > PARLEY_NAMESPACE_BYTES_MAX)
        return PARLEY_ECORRUPT;
    *out = row;
    return PARLEY_OK;
}

void pl_record_write_origin(struct pl_writer *w, struct parley_span key,
                            const struct pl_origin_row *in)
{
    size_t start = w->len;
    pl_write_u32(w, in->tag);
    pl_write_span(w, in->name);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_origin(struct parley_span key, struct parley_span value,
                                             struct pl_origin_row *out)
{
    struct pl_reader r;
    struct pl_origin_row row = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    row.tag = pl_read_u32(&r);
    row.name = pl_read_bytes(&r, pl_reader_left(&r));
    PL_TRY(end_row(&r));
    if (row.name.len == 0 || row.name.len > PARLEY_ORIGIN_BYTES_MAX)
        return PARLEY_ECORRUPT;
    *out = row;
    return PARLEY_OK;
}

/* ---- Conversation and register rows ---- */

void pl_record_write_talk(struct pl_writer *w, struct parley_span key, const struct pl_talk_row *in)
{
    size_t start = w->len;
    pl_write_u32(w, in->name_space);
    pl_write_u32(w, in->messages);
    pl_write_u32(w, in->headers);
    pl_write_u64(w, in->updated);
    pl_write_u64(w, in->tomb.time);
    pl_write_u32(w, in->tomb.tag);
    pl_write_span(w, in->id);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_talk(struct parley_span key, struct parley_span value,
                                           struct pl_talk_row *out)
{
    struct pl_reader r;
    struct pl_talk_row row = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    row.name_space = pl_read_u32(&r);
    row.messages = pl_read_u32(&r);
    row.headers = pl_read_u32(&r);
    row.updated = pl_read_u64(&r);
    row.tomb.time = pl_read_u64(&r);
    row.tomb.tag = pl_read_u32(&r);
    row.id = pl_read_bytes(&r, pl_reader_left(&r));
    PL_TRY(end_row(&r));
    if (row.id.len == 0 || row.id.len > PARLEY_ID_BYTES_MAX)
        return PARLEY_ECORRUPT;
    *out = row;
    return PARLEY_OK;
}

void pl_record_write_register(struct pl_writer *w, struct parley_span key,
                              const struct pl_register_row *in)
{
    size_t start = w->len;
    pl_write_u64(w, in->seq);
    pl_write_u64(w, in->stamp.time);
    pl_write_u32(w, in->stamp.tag);
    pl_write_u8(w, in->flags);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_register(struct parley_span key, struct parley_span value,
                                               struct pl_register_row *out)
{
    struct pl_reader r;
    struct pl_register_row row = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    row.seq = pl_read_u64(&r);
    row.stamp.time = pl_read_u64(&r);
    row.stamp.tag = pl_read_u32(&r);
    row.flags = pl_read_u8(&r);
    PL_TRY(end_row(&r));
    *out = row;
    return PARLEY_OK;
}

/* ---- Versions ---- */

void pl_record_write_version(struct pl_writer *w, struct parley_span key,
                             const struct pl_record *in)
{
    size_t start = w->len;
    pl_write_u8(w, in->flags);
    pl_write_u8(w, in->kind);
    pl_write_u32(w, in->source);
    pl_write_u32(w, in->conversation);
    pl_write_u64(w, in->stamp.time);
    pl_write_u32(w, in->stamp.tag);
    pl_write_u32(w, in->origin);
    pl_write_bytes(w, in->digest, PARLEY_DIGEST_BYTES);
    pl_write_u8(w, (uint8_t)in->id.len);
    pl_write_span(w, in->id);
    pl_write_span(w, in->body);
    seal(w, key, start, PL_RECORD_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_version(struct parley_span key, struct parley_span value,
                                              struct pl_record *out)
{
    struct parley_span body;
    PL_TRY(unseal(key, value, PL_RECORD_CHECK_BYTES, &body));
    struct pl_reader r = pl_reader_over(body);
    struct pl_record record = { 0 };
    record.flags = pl_read_u8(&r);
    record.kind = pl_read_u8(&r);
    record.source = pl_read_u32(&r);
    record.conversation = pl_read_u32(&r);
    record.stamp.time = pl_read_u64(&r);
    record.stamp.tag = pl_read_u32(&r);
    record.origin = pl_read_u32(&r);
    record.digest = pl_read_bytes(&r, PARLEY_DIGEST_BYTES).ptr;
    record.id.len = pl_read_u8(&r);
    record.id = pl_read_bytes(&r, record.id.len);
    record.body = pl_read_bytes(&r, pl_reader_left(&r));
    PL_TRY(end_row(&r));
    if (record.kind < PARLEY_KIND_CONVERSATION || record.kind > PARLEY_KIND_PURGE)
        return PARLEY_ECORRUPT;
    *out = record;
    return PARLEY_OK;
}

static void write_short(struct pl_writer *w, struct parley_span name)
{
    pl_write_u8(w, (uint8_t)name.len);
    pl_write_span(w, name);
}

static struct parley_span read_short(struct pl_reader *r)
{
    size_t len = pl_read_u8(r);
    return pl_read_bytes(r, len);
}

void pl_record_write_held(struct pl_writer *w, struct parley_span key, const struct pl_held *in)
{
    size_t start = w->len;
    pl_write_u8(w, (uint8_t)in->version.flags);
    pl_write_u8(w, (uint8_t)in->version.kind);
    pl_write_u32(w, in->source);
    pl_write_u64(w, in->version.time);
    write_short(w, in->version.name_space);
    write_short(w, in->version.conversation);
    write_short(w, in->version.id);
    write_short(w, in->version.origin);
    pl_write_span(w, in->version.body);
    seal(w, key, start, PL_RECORD_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_held(struct parley_span key, struct parley_span value,
                                           struct pl_held *out)
{
    struct parley_span body;
    PL_TRY(unseal(key, value, PL_RECORD_CHECK_BYTES, &body));
    struct pl_reader r = pl_reader_over(body);
    struct pl_held held = { 0 };
    held.version.flags = pl_read_u8(&r);
    uint8_t kind = pl_read_u8(&r);
    held.source = pl_read_u32(&r);
    held.version.time = pl_read_u64(&r);
    held.version.name_space = read_short(&r);
    held.version.conversation = read_short(&r);
    held.version.id = read_short(&r);
    held.version.origin = read_short(&r);
    held.version.body = pl_read_bytes(&r, pl_reader_left(&r));
    PL_TRY(end_row(&r));
    if (kind < PARLEY_KIND_CONVERSATION || kind > PARLEY_KIND_PURGE)
        return PARLEY_ECORRUPT;
    held.version.kind = (enum parley_kind)kind;
    *out = held;
    return PARLEY_OK;
}

/* ---- Views ---- */

void pl_record_write_subset(struct pl_writer *w, struct parley_span key,
                            const struct pl_subset_row *in)
{
    size_t start = w->len;
    pl_write_u8(w, in->state);
    write_short(w, in->prefix);
    write_short(w, in->talk);
    pl_write_u8(w, in->kind);
    write_short(w, in->id);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_subset(struct parley_span key, struct parley_span value,
                                             struct pl_subset_row *out)
{
    struct pl_reader r;
    struct pl_subset_row row = { 0 };
    PL_TRY(unseal_row(key, value, &r));
    row.state = pl_read_u8(&r);
    row.prefix = read_short(&r);
    row.talk = read_short(&r);
    row.kind = pl_read_u8(&r);
    row.id = read_short(&r);
    PL_TRY(end_row(&r));
    if (row.state < PARLEY_VIEW_BUILDING || row.state > PARLEY_VIEW_DROPPING || row.prefix.len == 0)
        return PARLEY_ECORRUPT;
    *out = row;
    return PARLEY_OK;
}

/* ---- SYS ---- */

void pl_record_write_cursor(struct pl_writer *w, struct parley_span key,
                            const struct parley_incarnation *incarnation, parley_seq seq)
{
    size_t start = w->len;
    pl_write_bytes(w, incarnation->bytes, PARLEY_INCARNATION_BYTES);
    pl_write_u64(w, seq);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_cursor(struct parley_span key, struct parley_span value,
                                             struct parley_incarnation *incarnation,
                                             parley_seq *seq)
{
    struct pl_reader r;
    struct parley_incarnation read_incarnation;
    PL_TRY(unseal_row(key, value, &r));
    pl_read_copy(&r, read_incarnation.bytes, PARLEY_INCARNATION_BYTES);
    parley_seq read_seq = pl_read_u64(&r);
    PL_TRY(end_row(&r));
    *incarnation = read_incarnation;
    *seq = read_seq;
    return PARLEY_OK;
}

void pl_record_write_plain(struct pl_writer *w, struct parley_span key, struct parley_span bytes)
{
    size_t start = w->len;
    pl_write_span(w, bytes);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_plain(struct parley_span key, struct parley_span value,
                                            struct parley_span *out)
{
    return unseal(key, value, PL_RECORD_ROW_CHECK_BYTES, out);
}

/* ---- Elements ---- */

void pl_record_write_floor(struct pl_writer *w, struct parley_span key,
                           const struct pl_floor_row *in)
{
    size_t start = w->len;
    pl_write_u64(w, in->floor);
    pl_write_u64(w, in->clean);
    pl_write_u64(w, in->gone);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_floor(struct parley_span key, struct parley_span value,
                                            struct pl_floor_row *out)
{
    struct pl_reader r;
    struct pl_floor_row row;
    PL_TRY(unseal_row(key, value, &r));
    row.floor = pl_read_u64(&r);
    row.clean = pl_read_u64(&r);
    row.gone = pl_read_u64(&r);
    PL_TRY(end_row(&r));
    *out = row;
    return PARLEY_OK;
}

void pl_record_write_retention(struct pl_writer *w, struct parley_span key,
                               const struct parley_retention *in)
{
    size_t start = w->len;
    pl_write_u32(w, in->versions);
    pl_write_u64(w, in->age_us);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_retention(struct parley_span key, struct parley_span value,
                                                struct parley_retention *out)
{
    struct pl_reader r;
    struct parley_retention rule;
    PL_TRY(unseal_row(key, value, &r));
    rule.versions = pl_read_u32(&r);
    rule.age_us = pl_read_u64(&r);
    PL_TRY(end_row(&r));
    if (rule.versions > PARLEY_HISTORY_PER_REGISTER_MAX)
        return PARLEY_ECORRUPT;
    *out = rule;
    return PARLEY_OK;
}

void pl_record_write_elements(struct pl_writer *w, struct parley_span key,
                              struct parley_span elements)
{
    PL_ASSERT(elements.len <= PL_BLOCK_ELEMENTS_MAX * PL_ELEMENT_BYTES &&
              elements.len % PL_ELEMENT_BYTES == 0);
    size_t start = w->len;
    pl_write_span(w, elements);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_elements(struct parley_span key, struct parley_span value,
                                               struct parley_span *elements)
{
    struct parley_span body;
    PL_TRY(unseal(key, value, PL_RECORD_ROW_CHECK_BYTES, &body));
    if (key.len != PL_KEY_ELEMENT_BYTES || body.len % PL_ELEMENT_BYTES != 0 ||
        body.len > PL_BLOCK_ELEMENTS_MAX * PL_ELEMENT_BYTES)
        return PARLEY_ECORRUPT;
    *elements = body;
    return PARLEY_OK;
}

void pl_record_write_sum(struct pl_writer *w, struct parley_span key, const struct parley_root *in)
{
    size_t start = w->len;
    pl_write_be(w, in->count, 2);
    pl_write_bytes(w, in->sum, PARLEY_DIGEST_BYTES);
    seal(w, key, start, PL_RECORD_ROW_CHECK_BYTES);
}

PL_MUST_USE parley_err pl_record_read_sum(struct parley_span key, struct parley_span value,
                                          struct parley_root *out)
{
    struct pl_reader r;
    PL_TRY(unseal_row(key, value, &r));
    struct parley_root root = { .count = pl_read_u16(&r) };
    pl_read_copy(&r, root.sum, PARLEY_DIGEST_BYTES);
    PL_TRY(end_row(&r));
    if (key.len != PL_KEY_ELEMENT_BYTES)
        return PARLEY_ECORRUPT;
    *out = root;
    return PARLEY_OK;
}
