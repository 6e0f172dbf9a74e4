/* SPDX-License-Identifier: Apache-2.0
 *
 * A bump allocator over one fixed block of the caller. Nothing is freed alone: the whole is reset,
 * or rewound to a mark, at the end of a step. Full is an answer, never growth.
 */
#ifndef PL_ARENA_H
#define PL_ARENA_H

#include "base/span.h"

#define PL_ARENA_ALIGN 16u

struct pl_arena {
    uint8_t *mem;
    size_t cap;
    size_t len;
    size_t len_max; /* high-water mark since init */
};

/* Ownership: borrows `mem` for the arena's life. Up to 15 bytes are lost if it is not aligned. */
void pl_arena_init(struct pl_arena *arena, void *mem, size_t size);

/* Lends `size` bytes, not zeroed, aligned to 16, until the arena is reset; NULL when there is no
 * room. A size of 0 gives a pointer that must not be followed. */
PL_MUST_USE void *pl_arena_take(struct pl_arena *arena, size_t size);

/* Copies `bytes` into the arena and lends the copy; false, and `out` untouched, without room. */
PL_MUST_USE bool pl_arena_copy(struct pl_arena *arena, struct parley_span bytes,
                               struct parley_span *out);

/* Forgets everything that was taken. */
void pl_arena_reset(struct pl_arena *arena);

/* Forgets everything that was taken after the mark. */
static inline size_t pl_arena_mark(const struct pl_arena *arena)
{
    return arena->len;
}

void pl_arena_rewind(struct pl_arena *arena, size_t mark);

#endif
