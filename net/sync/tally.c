/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting what would move; see tally.h.
 */
#include "sync/tally.h"

#include "core/hash.h"

static void add_key(struct pl_tally *tally, uint64_t key)
{
    if (tally->key_count < tally->key_max)
        tally->keys[tally->key_count++] = key;
    else
        tally->cut = true;
}

/* No byte of a name is zero, so that zeros tell names apart. */
static uint64_t register_key(const struct pl_salt *salt, const struct parley_version *version)
{
    uint8_t bytes[PARLEY_NAMESPACE_BYTES_MAX + 2 * PARLEY_ID_BYTES_MAX + 3];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_write_span(&w, version->name_space);
    pl_write_u8(&w, 0);
    pl_write_span(&w, version->conversation);
    pl_write_u8(&w, 0);
    pl_write_u8(&w, (uint8_t)version->kind);
    pl_write_span(&w, version->id);
    PL_ASSERT(w.err == PARLEY_OK);
    uint64_t hash = pl_xxh3_pair(pl_span_of(salt->bytes, sizeof salt->bytes), pl_writer_span(&w));
    return hash & ((UINT64_C(1) << (8 * PL_QUERY_KEY_BYTES)) - 1);
}

void pl_tally_add(struct pl_tally *tally, const struct pl_salt *salt,
                  const struct parley_version *version)
{
    tally->versions++;
    tally->bytes += version->id.len + version->body.len;
    add_key(tally, register_key(salt, version));
}

void pl_tally_write(struct pl_writer *w, const struct pl_tally *tally)
{
    pl_varint_write(w, tally->versions);
    pl_varint_write(w, tally->bytes);
    pl_varint_write(w, tally->key_count);
    for (uint32_t i = 0; i < tally->key_count; i++)
        pl_write_be(w, tally->keys[i], PL_QUERY_KEY_BYTES);
}

parley_err pl_tally_read(struct parley_span body, struct pl_tally *sum)
{
    struct pl_reader r = pl_reader_over(body);
    uint64_t versions = pl_varint_read(&r);
    uint64_t bytes = pl_varint_read(&r);
    uint64_t count = pl_varint_read(&r);
    bool fits = count <= PL_TALLY_KEYS_MAX && count <= versions &&
                versions <= UINT64_MAX - sum->versions && bytes <= UINT64_MAX - sum->bytes;
    if (r.err != PARLEY_OK || !fits || pl_reader_left(&r) != count * PL_QUERY_KEY_BYTES)
        return PARLEY_EPROTO;
    sum->versions += versions;
    sum->bytes += bytes;
    sum->cut = sum->cut || count < versions;
    for (uint64_t i = 0; i < count; i++)
        add_key(sum, pl_read_be(&r, PL_QUERY_KEY_BYTES));
    return PARLEY_OK;
}

/* Lets the value at `at` sink in the heap of the first `count`. */
static void sink(uint64_t *keys, uint32_t at, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && keys[child + 1] > keys[child])
            child++;
        if (child >= count || keys[child] <= keys[at])
            return;
        uint64_t key = keys[at];
        keys[at] = keys[child];
        keys[child] = key;
        at = child;
    }
}

static void sort(uint64_t *keys, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sink(keys, i, count);
    for (uint32_t end = count; end > 1; end--) {
        uint64_t greatest = keys[0];
        keys[0] = keys[end - 1];
        keys[end - 1] = greatest;
        sink(keys, 0, end - 1);
    }
}

uint64_t pl_tally_conflicts(struct pl_tally *a, struct pl_tally *b)
{
    uint64_t both = 0;
    uint32_t j = 0;
    sort(a->keys, a->key_count);
    sort(b->keys, b->key_count);
    for (uint32_t i = 0; i < a->key_count; i++) {
        while (j < b->key_count && b->keys[j] < a->keys[i])
            j++;
        if (j == b->key_count)
            break;
        if (b->keys[j] == a->keys[i]) {
            both++;
            j++;
        }
    }
    return both;
}
