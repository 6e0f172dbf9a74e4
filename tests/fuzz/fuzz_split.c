/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of POST /sync, cut while it comes: the first byte says in how large pieces.
 * Oracle: the events are those of the whole text; and a text that is a JSON object as a whole is
 * never refused, and each of its pieces is JSON.
 */
#include "core/json.h"
#include "core/hash.h"
#include "node/split.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    enum pl_split_event end;
    uint64_t sum; /* of all events and pieces, in order */
    size_t events;
    bool all_json;
};

static bool is_json(struct parley_span text)
{
    size_t cap = PL_JSON_MP_BYTES_MAX(text.len);
    uint8_t *buf = malloc(cap);
    PL_ASSERT(buf != NULL);
    struct pl_writer w = pl_writer_over(buf, cap);
    bool good = pl_json_to_mp(text, &w, NULL) == PARLEY_OK;
    free(buf);
    return good;
}

static void note(struct result *r, enum pl_split_event event, const struct pl_split *s)
{
    struct parley_span value = event == PL_SPLIT_BEGIN ? pl_span_of(NULL, 0) : s->value;
    uint64_t parts[4] = { r->sum, (uint64_t)event, pl_xxh3_of(value),
                          pl_xxh3_of(pl_span_of(s->name, s->name_len)) };
    r->sum = pl_xxh3_of(pl_span_of((const uint8_t *)parts, sizeof parts));
    r->events++;
    r->all_json = r->all_json && (event == PL_SPLIT_BEGIN || is_json(value));
}

static struct result cut(struct parley_span text, size_t piece)
{
    struct result r = { .all_json = true };
    struct pl_split s;
    size_t begin = 0;
    size_t end = pl_min_size(piece, text.len);
    pl_split_init(&s, "conversations");
    for (;;) {
        enum pl_split_event event =
            pl_split_next(&s, pl_span_of(text.ptr + begin, end - begin), end < text.len);
        PL_ASSERT(s.at <= end - begin);
        PL_ASSERT(r.events <= text.len);
        if (event == PL_SPLIT_END || event == PL_SPLIT_BAD) {
            PL_ASSERT((event == PL_SPLIT_BAD) == (s.what != NULL));
            r.end = event;
            return r;
        }
        if (event != PL_SPLIT_MORE) {
            note(&r, event, &s);
            continue;
        }
        PL_ASSERT(end < text.len);
        begin += s.at;
        s.at = 0;
        end = pl_min_size(end + piece, text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct parley_span text = pl_span_of(data + 1, size - 1);
    struct result whole = cut(text, text.len);
    struct result parts = cut(text, 1u + data[0]);
    PL_ASSERT(whole.end == parts.end && whole.sum == parts.sum && whole.events == parts.events);
    size_t at = 0;
    while (at < text.len && (text.ptr[at] == ' ' || (text.ptr[at] >= 9 && text.ptr[at] <= 13)))
        at++;
    bool object = at < text.len && text.ptr[at] == '{';
    if (object && is_json(text))
        PL_ASSERT(whole.end == PL_SPLIT_END && whole.all_json);
    return 0;
}
