/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory: `count` objects of `stride` bytes, then `count` slots of bookkeeping. Invariants:
 *   1. a slot is live or on the free list, never both; used + length of the list = count
 *   2. a generation is never 0 and changes at every free, so a handle dies with its object
 */
#include "base/slab.h"

#define OBJECT_ALIGN 16u
#define NO_SLOT      UINT16_MAX

struct pl_slab_slot {
    uint16_t generation;
    uint16_t free_next;
    bool live;
};

_Static_assert(PL_SLAB_COUNT_MAX <= NO_SLOT, "the end mark must not be an index");
_Static_assert(OBJECT_ALIGN % _Alignof(struct pl_slab_slot) == 0, "slots follow the objects");

static size_t stride_of(size_t object_size)
{
    PL_ASSERT(object_size > 0);
    PL_ASSERT(object_size <= SIZE_MAX / PL_SLAB_COUNT_MAX / 2);
    return (object_size + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
}

size_t pl_slab_bytes(uint32_t count, size_t object_size)
{
    PL_ASSERT(count > 0);
    PL_ASSERT(count <= PL_SLAB_COUNT_MAX);
    return count * (stride_of(object_size) + sizeof(struct pl_slab_slot));
}

/* Invariant 1, over the ends of the list. */
PL_UNUSED static bool is_sound(const struct pl_slab *slab)
{
    bool full = slab->used == slab->count;
    return slab->used <= slab->count && full == (slab->free_first == NO_SLOT) &&
           full == (slab->free_last == NO_SLOT) &&
           (full || (!slab->slots[slab->free_first].live && !slab->slots[slab->free_last].live &&
                     slab->slots[slab->free_last].free_next == NO_SLOT));
}

void pl_slab_init(struct pl_slab *slab, void *mem, uint32_t count, size_t object_size)
{
    PL_ASSERT(mem != NULL);
    PL_ASSERT(count > 0);
    PL_ASSERT(count <= PL_SLAB_COUNT_MAX);
    size_t stride = stride_of(object_size);
    *slab = (struct pl_slab){ .objects = mem,
                              .slots = (void *)((uint8_t *)mem + count * stride),
                              .stride = stride,
                              .count = count,
                              .free_last = (uint16_t)(count - 1) };
    for (uint32_t i = 0; i < count; i++) {
        uint16_t next = i + 1 < count ? (uint16_t)(i + 1) : NO_SLOT;
        slab->slots[i] = (struct pl_slab_slot){ .generation = 1, .free_next = next };
    }
    PL_ASSERT_SLOW(is_sound(slab));
}

static pl_handle handle_of(const struct pl_slab *slab, uint32_t index)
{
    return (pl_handle)slab->slots[index].generation << 16 | index;
}

void *pl_slab_alloc(struct pl_slab *slab, pl_handle *handle)
{
    uint16_t index = slab->free_first;
    if (index == NO_SLOT)
        return NULL;
    struct pl_slab_slot *slot = &slab->slots[index];
    PL_ASSERT(!slot->live);
    slab->free_first = slot->free_next;
    if (slab->free_first == NO_SLOT)
        slab->free_last = NO_SLOT;
    slot->live = true;
    slab->used++;
    PL_ASSERT_SLOW(is_sound(slab));
    *handle = handle_of(slab, index);
    return memset(slab->objects + index * slab->stride, 0, slab->stride);
}

void *pl_slab_find(const struct pl_slab *slab, pl_handle handle)
{
    uint32_t index = handle & UINT16_MAX;
    if (index >= slab->count || !slab->slots[index].live || handle != handle_of(slab, index))
        return NULL;
    return slab->objects + index * slab->stride;
}

void pl_slab_free(struct pl_slab *slab, pl_handle handle)
{
    PL_ASSERT(pl_slab_find(slab, handle) != NULL);
    uint16_t index = (uint16_t)(handle & UINT16_MAX);
    struct pl_slab_slot *slot = &slab->slots[index];
    uint16_t generation = slot->generation == UINT16_MAX ? 1 : (uint16_t)(slot->generation + 1);
    *slot = (struct pl_slab_slot){ .generation = generation, .free_next = NO_SLOT };
    if (slab->free_last == NO_SLOT)
        slab->free_first = index;
    else
        slab->slots[slab->free_last].free_next = index;
    slab->free_last = index;
    slab->used--;
    PL_ASSERT_SLOW(is_sound(slab));
}

pl_handle pl_slab_next(const struct pl_slab *slab, pl_handle after)
{
    for (uint32_t i = after == 0 ? 0 : (after & UINT16_MAX) + 1; i < slab->count; i++) {
        if (slab->slots[i].live)
            return handle_of(slab, i);
    }
    return 0;
}
