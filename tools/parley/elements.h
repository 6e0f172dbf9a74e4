/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a stream of JSON into values: the elements of one array at the top, or values one after the
 * other, as JSON lines are. Only where a value ends is found out here, by its strings and brackets;
 * the memory is that of the longest value.
 */
#ifndef PARLEY_ELEMENTS_H
#define PARLEY_ELEMENTS_H

#include "parley/text.h"

#include <stdbool.h>

#define ELEMENT_BYTES_MAX (63u << 20)

enum elements_event {
    ELEMENTS_MORE, /* give it more bytes, or say that there are none */
    ELEMENTS_VALUE,
    ELEMENTS_TOO_LONG, /* one value is longer than ELEMENT_BYTES_MAX; it is passed over */
    ELEMENTS_END,
    ELEMENTS_BAD /* no JSON from here on; `what` says why */
};

struct elements {
    struct buf pending;
    size_t at;      /* of pending: done with */
    size_t scanned; /* of pending: the value at `at` does not end before */
    uint32_t depth;
    bool text, slash; /* inside a string, behind a backslash of it */
    bool began;       /* the first byte that is no blank was seen */
    bool in_array;
    bool after;    /* a value of the array: a comma or the end is due */
    bool comma;    /* a value is due */
    bool ended;    /* the array */
    bool skipping; /* the rest of a value that is too long */
    const char *what;
};

/* Forgets all but its memory. */
void elements_reset(struct elements *e);
/* Room for `len` bytes of input; then say how many came. */
char *elements_room(struct elements *e, size_t len);
void elements_add(struct elements *e, size_t len);
/* The next value, lent until elements_room. `at_end`: no more bytes will come. */
enum elements_event elements_next(struct elements *e, bool at_end, struct parley_span *value);
void elements_free(struct elements *e);

#endif
