/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts the body of POST /sync into the members of its object, and its conversations into elements,
 * while it comes: so that a payload of any length needs the memory of one conversation.
 *
 *   START -> NAME -> COLON -> VALUE -> NEXT -> NAME ... -> END
 *                               |        ^
 *                               v        |   only for the member that it was told to cut
 *                            ELEMENT -> AFTER -> ELEMENT ...
 *
 * It finds where a value ends by its strings and brackets alone; the pieces are for the JSON reader
 * to check. What lies between them is checked here.
 */
#ifndef PL_SPLIT_H
#define PL_SPLIT_H

#include "base/span.h"

enum pl_split_event {
    PL_SPLIT_MORE,    /* the window ends before the next piece does */
    PL_SPLIT_MEMBER,  /* `value` of the member `name` */
    PL_SPLIT_BEGIN,   /* the array that is cut begins */
    PL_SPLIT_ELEMENT, /* `value` of it */
    PL_SPLIT_END,     /* of the object, and of the body */
    PL_SPLIT_BAD      /* `what` was expected at `at` of the window */
};

enum pl_split_state {
    PL_SPLIT_IN_START,
    PL_SPLIT_IN_NAME, /* or the end of the object, if there was none yet */
    PL_SPLIT_IN_COLON,
    PL_SPLIT_IN_VALUE,
    PL_SPLIT_IN_NEXT,
    PL_SPLIT_IN_ELEMENT, /* or the end of the array, if there was none yet */
    PL_SPLIT_IN_AFTER,
    PL_SPLIT_IN_END
};

#define PL_SPLIT_NAME_BYTES_MAX 64

struct pl_split {
    const char *cut;
    size_t at;                             /* bytes of the window that are done with */
    const char *what;                      /* static */
    struct parley_span value;              /* JSON, in the window */
    uint8_t name[PL_SPLIT_NAME_BYTES_MAX]; /* without escapes */
    size_t name_len;                       /* 0 also for one that is longer */

    enum pl_split_state state;
    bool first;       /* no member, or no element, yet */
    size_t scanned;   /* of the piece at `at`, whose end is not there */
    uint32_t depth;   /* of brackets there */
    bool text, slash; /* inside a string, behind a backslash of it */
};

/* `cut` is the member whose array is cut. Ownership: borrowed. */
void pl_split_init(struct pl_split *split, const char *cut);
/* The next event, from `at` of the window on: what is here of the body. After MORE the first
 * `at` bytes may go: then set it to 0. `more`: the body goes on behind the window. */
enum pl_split_event pl_split_next(struct pl_split *split, struct parley_span window, bool more);

#endif
