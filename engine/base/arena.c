/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant: len is a multiple of 16 and at most cap, so each pointer handed out is aligned.
 */
#include "base/arena.h"

void pl_arena_init(struct pl_arena *arena, void *mem, size_t size)
{
    PL_ASSERT(mem != NULL);
    size_t skip = (PL_ARENA_ALIGN - (uintptr_t)mem % PL_ARENA_ALIGN) % PL_ARENA_ALIGN;
    skip = pl_min_size(skip, size);
    size_t cap = (size - skip) / PL_ARENA_ALIGN * PL_ARENA_ALIGN;
    *arena = (struct pl_arena){ .mem = (uint8_t *)mem + skip, .cap = cap };
}

void *pl_arena_take(struct pl_arena *arena, size_t size)
{
    /* Both cap and len are multiples of the alignment: what fits unrounded fits rounded. */
    if (size > arena->cap - arena->len)
        return NULL;
    void *out = arena->mem + arena->len;
    arena->len += (size + PL_ARENA_ALIGN - 1) / PL_ARENA_ALIGN * PL_ARENA_ALIGN;
    arena->len_max = pl_max_size(arena->len_max, arena->len);
    PL_ASSERT(arena->len <= arena->cap);
    return out;
}

bool pl_arena_copy(struct pl_arena *arena, struct parley_span bytes, struct parley_span *out)
{
    uint8_t *copy = pl_arena_take(arena, bytes.len);
    if (copy == NULL)
        return false;
    if (bytes.len != 0)
        memcpy(copy, bytes.ptr, bytes.len);
    *out = pl_span_of(copy, bytes.len);
    return true;
}

void pl_arena_reset(struct pl_arena *arena)
{
    arena->len = 0;
}

void pl_arena_rewind(struct pl_arena *arena, size_t mark)
{
    PL_ASSERT(mark <= arena->len);
    PL_ASSERT(mark % PL_ARENA_ALIGN == 0);
    arena->len = mark;
}
