/* SPDX-License-Identifier: Apache-2.0
 *
 * The cutter of JSON values and the readers of other programs' exports. The input comes in pieces
 * whose length its first byte decides: the values must be those of the whole in one piece, and what
 * is made of a value must be an object with an id and messages.
 */
#include "base/base.h"
#include "parley/elements.h"
#include "parley/foreign.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 64

struct cut {
    size_t count;
    uint64_t sum; /* of the values, in order */
    enum elements_event last;
};

static void see(const struct parley_span value)
{
    const struct foreign_options options = { .all_branches = value.len % 2 == 0, .time_us = 1 };
    struct foreign_report report;
    json_t *json = json_loadb((const char *)value.ptr, value.len,
                              JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    json_t *talk =
        json != NULL ? foreign_convert(json, foreign_shape(json), &options, &report) : NULL;
    if (talk != NULL && foreign_shape(json) != FOREIGN_OURS) {
        PL_ASSERT(report.why[0] == '\0');
        PL_ASSERT(json_string_length(json_object_get(talk, "conversation_id")) != 0);
        PL_ASSERT(json_is_array(json_object_get(talk, "messages")));
    } else if (talk == NULL && json != NULL) {
        PL_ASSERT(report.why[0] != '\0');
    }
    json_decref(talk);
    json_decref(json);
}

static struct cut cut(const uint8_t *data, size_t size, size_t piece)
{
    struct elements e = { .at = 0 };
    struct cut c = { .last = ELEMENTS_MORE };
    size_t done = 0;
    bool at_end = false;
    while (c.count < VALUES_MAX && (c.last == ELEMENTS_MORE || c.last == ELEMENTS_VALUE)) {
        struct parley_span value;
        c.last = elements_next(&e, at_end, &value);
        if (c.last == ELEMENTS_MORE) {
            PL_ASSERT(!at_end);
            size_t len = piece < size - done ? piece : size - done;
            char *room = elements_room(&e, len + 1);
            if (len != 0)
                memcpy(room, data + done, len);
            elements_add(&e, len);
            done += len;
            at_end = len == 0;
        } else if (c.last == ELEMENTS_VALUE) {
            c.count++;
            for (size_t i = 0; i < value.len; i++)
                c.sum = c.sum * 31 + value.ptr[i];
            if (piece >= size)
                see(value);
        }
    }
    elements_free(&e);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct cut whole = cut(data + 1, size - 1, size);
    struct cut pieces = cut(data + 1, size - 1, 1 + data[0] % 16);
    PL_ASSERT(whole.count == pieces.count && whole.sum == pieces.sum);
    PL_ASSERT(whole.last == pieces.last);
    return 0;
}
