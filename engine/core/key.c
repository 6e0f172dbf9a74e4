/* SPDX-License-Identifier: Apache-2.0
 *
 * Key encodings; see key.h.
 */
#include "core/key.h"

#include "base/writer.h"
#include "core/hash.h"

static void put_u32(struct pl_key *key, uint32_t value)
{
    pl_put_be(key->bytes + key->len, value, 4);
    key->len += 4;
}

static void put_u64(struct pl_key *key, uint64_t value)
{
    pl_put_be(key->bytes + key->len, value, 8);
    key->len += 8;
}

static void put_u8(struct pl_key *key, uint8_t value)
{
    key->bytes[key->len++] = value;
}

static void put_span(struct pl_key *key, struct parley_span bytes)
{
    if (bytes.len != 0)
        memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
    key->len += bytes.len;
}

void pl_key_number(struct pl_key *key, uint32_t number)
{
    key->len = 0;
    put_u8(key, PL_KEY_BY_NUMBER);
    put_u32(key, number);
}

void pl_key_name(struct pl_key *key, struct parley_span name)
{
    PL_ASSERT(name.len <= PARLEY_ORIGIN_BYTES_MAX);
    key->len = 0;
    put_u8(key, PL_KEY_BY_NAME);
    put_span(key, name);
}

void pl_key_view(struct pl_key *key, uint32_t name_space, uint8_t slot)
{
    key->len = 0;
    put_u8(key, PL_KEY_OF_VIEW);
    put_u32(key, name_space);
    put_u8(key, slot);
}

void pl_key_conversation(struct pl_key *key, uint32_t name_space, struct parley_span id)
{
    PL_ASSERT(id.len <= PARLEY_ID_BYTES_MAX);
    key->len = 0;
    put_u32(key, name_space);
    put_span(key, id);
}

void pl_key_register(struct pl_key *key, uint32_t conversation, uint8_t kind, struct parley_span id)
{
    PL_ASSERT(id.len <= PARLEY_ID_BYTES_MAX);
    key->len = 0;
    put_u32(key, conversation);
    put_u8(key, kind);
    put_span(key, id);
}

void pl_key_log(struct pl_key *key, uint64_t seq)
{
    key->len = 0;
    put_u64(key, seq);
}

void pl_key_history_prefix(struct pl_key *key, uint32_t conversation, uint8_t kind,
                           struct parley_span id)
{
    pl_key_register(key, conversation, kind, id);
    /* Ids have no byte below 0x20, so this ends the id: no id's versions lie among another's. */
    put_u8(key, 0);
}

void pl_key_history(struct pl_key *key, uint32_t conversation, uint8_t kind, struct parley_span id,
                    struct pl_stamp stamp, const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    pl_key_history_prefix(key, conversation, kind, id);
    put_u64(key, stamp.time);
    put_u32(key, stamp.tag);
    put_span(key, pl_span_of(digest, PL_KEY_DIGEST_BYTES));
}

void pl_key_hold(struct pl_key *key, struct pl_stamp stamp,
                 const uint8_t digest[PARLEY_DIGEST_BYTES], struct parley_span name_space)
{
    key->len = 0;
    put_u64(key, stamp.time);
    put_u32(key, stamp.tag);
    put_span(key, pl_span_of(digest, 8));
    /* The digest leaves the namespace out; the same version may be held in two of them. */
    put_u32(key, (uint32_t)pl_xxh3_of(name_space));
}

void pl_key_cursor(struct pl_key *key, uint32_t peer)
{
    key->len = 0;
    put_u8(key, 0);
    put_u8(key, 'c');
    put_u32(key, peer);
}

void pl_key_floor(struct pl_key *key, uint32_t name_space)
{
    key->len = 0;
    put_u8(key, 0);
    put_u8(key, 'f');
    put_u32(key, name_space);
}

void pl_key_retention(struct pl_key *key, uint32_t name_space)
{
    key->len = 0;
    put_u8(key, 0);
    put_u8(key, 'h');
    put_u32(key, name_space);
}

void pl_key_trash_count(struct pl_key *key)
{
    key->len = 0;
    put_u8(key, 0);
    put_u8(key, 't');
}

void pl_key_element(struct pl_key *key, uint32_t name_space, const struct parley_point *point)
{
    key->len = 0;
    put_u32(key, name_space);
    put_span(key, pl_span_of(point->bytes, sizeof point->bytes));
}

PL_MUST_USE parley_err pl_key_register_split(struct parley_span key,
                                             struct pl_key_register_parts *out)
{
    if (key.len < 5 || key.len > 5 + PARLEY_ID_BYTES_MAX)
        return PARLEY_ECORRUPT;
    *out = (struct pl_key_register_parts){
        .conversation = (uint32_t)pl_get_be(key.ptr, 4),
        .kind = key.ptr[4],
        .id = pl_span_after(key, 5),
    };
    return PARLEY_OK;
}

void pl_key_bump(struct pl_key *key)
{
    PL_ASSERT(key->len < PL_KEY_BYTES_MAX);
    put_u8(key, 0);
}
