/* SPDX-License-Identifier: Apache-2.0
 *
 * See heard.h. A record is a version byte and the fields, sixteen bytes each.
 */
#include "node/heard.h"

#include "core/hash.h"

#define PREFIX     "heard/"
#define PEER_BYTES 4
#define KEY_BYTES_MAX                                                                              \
    (sizeof PREFIX - 1 + PEER_BYTES + PARLEY_NAMESPACE_BYTES_MAX + 1 + PARLEY_ID_BYTES_MAX)
#define FIELD_BYTES      16
#define RECORD_VERSION   1
#define RECORD_BYTES_MAX (1 + PL_HEARD_FIELDS_MAX * FIELD_BYTES)

_Static_assert(KEY_BYTES_MAX <= 400, "keys of node records");

static struct parley_span make_key(uint32_t peer, struct parley_span name_space,
                                   struct parley_span conversation, uint8_t out[KEY_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, KEY_BYTES_MAX);
    uint8_t number[PEER_BYTES];
    pl_put_be(number, peer, sizeof number);
    pl_write_text(&w, PREFIX);
    pl_write_bytes(&w, number, sizeof number);
    pl_write_span(&w, name_space);
    pl_write_u8(&w, 0); /* no name has one */
    pl_write_span(&w, conversation);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

PL_MUST_USE parley_err pl_heard_read(struct parley_read *read, uint32_t peer,
                                     struct parley_span name_space, struct parley_span conversation,
                                     struct pl_heard *out)
{
    uint8_t key[KEY_BYTES_MAX];
    struct parley_span value;
    bool found = false;
    *out = (struct pl_heard){ .count = 0 };
    PL_TRY(parley_read_sys(read, make_key(peer, name_space, conversation, key), &value, &found));
    if (!found)
        return PARLEY_OK;
    bool whole = value.len >= 1 && value.len <= RECORD_BYTES_MAX &&
                 value.ptr[0] == RECORD_VERSION && (value.len - 1) % FIELD_BYTES == 0;
    if (!whole)
        return PARLEY_ECORRUPT;
    out->count = (value.len - 1) / FIELD_BYTES;
    for (size_t i = 0; i < out->count; i++) {
        const uint8_t *at = value.ptr + 1 + i * FIELD_BYTES;
        out->fields[i].name = pl_get_be(at, 8);
        out->fields[i].value = pl_get_be(at + 8, 8);
    }
    return PARLEY_OK;
}

static size_t find_name(const struct pl_heard *heard, uint64_t name)
{
    size_t i = 0;
    while (i < heard->count && heard->fields[i].name != name)
        i++;
    return i;
}

bool pl_heard_find(const struct pl_heard *heard, struct parley_span id, struct parley_span body,
                   bool *same)
{
    size_t i = find_name(heard, pl_xxh3_of(id));
    *same = i < heard->count && heard->fields[i].value == pl_xxh3_of(body);
    return i < heard->count;
}

void pl_heard_note(struct pl_heard *heard, struct parley_span id, struct parley_span body)
{
    struct pl_heard_field field = { .name = pl_xxh3_of(id), .value = pl_xxh3_of(body) };
    size_t i = find_name(heard, field.name);
    if (i < heard->count && heard->fields[i].value == field.value)
        return;
    heard->changed = true;
    if (i == PL_HEARD_FIELDS_MAX) {
        i--;
        memmove(&heard->fields[0], &heard->fields[1], i * sizeof heard->fields[0]);
    } else if (i == heard->count) {
        heard->count++;
    }
    heard->fields[i] = field;
}

bool pl_heard_store(struct pl_node *node, uint32_t peer, struct parley_span name_space,
                    struct parley_span conversation, struct pl_heard *heard)
{
    uint8_t key[KEY_BYTES_MAX];
    uint8_t record[RECORD_BYTES_MAX];
    if (!pl_batch_has_room(node, 1, KEY_BYTES_MAX + RECORD_BYTES_MAX))
        return false;
    record[0] = RECORD_VERSION;
    for (size_t i = 0; i < heard->count; i++) {
        pl_put_be(record + 1 + i * FIELD_BYTES, heard->fields[i].name, 8);
        pl_put_be(record + 9 + i * FIELD_BYTES, heard->fields[i].value, 8);
    }
    pl_batch_put_sys(node, make_key(peer, name_space, conversation, key),
                     pl_span_of(record, 1 + heard->count * FIELD_BYTES));
    heard->changed = false;
    return true;
}
