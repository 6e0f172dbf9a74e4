/* SPDX-License-Identifier: Apache-2.0
 *
 * A fixed count of objects of one size over the caller's memory. Objects are named by handles
 * (generation and index), not pointers, so that a stale handle is detected rather than followed.
 *
 * Lifetime: pl_slab_init over pl_slab_bytes() bytes, then alloc and free; forget it to release it.
 * Threads: none; one owner at a time.
 */
#ifndef PL_SLAB_H
#define PL_SLAB_H

#include "base/base.h"

/* The index is the low half of a handle; the last value marks the end of the free list. */
#define PL_SLAB_COUNT_MAX 65535u

/* Names a live object; 0 names none. The generation half is never 0. */
typedef uint32_t pl_handle;

struct pl_slab_slot;

struct pl_slab {
    uint8_t *objects;
    struct pl_slab_slot *slots;
    size_t stride;
    uint32_t count;
    uint32_t used;
    uint16_t free_first;
    uint16_t free_last;
};

/* Bytes of memory that pl_slab_init needs. */
size_t pl_slab_bytes(uint32_t count, size_t object_size);

/* Makes an empty slab. Ownership: borrows `mem`, aligned for any type, for the slab's life. */
void pl_slab_init(struct pl_slab *slab, void *mem, uint32_t count, size_t object_size);

/* Lends a zeroed object until it is freed and fills its handle; NULL when all are in use. The slot
 * that has been free longest is taken, so that a generation comes round as late as possible: a
 * handle repeats after 65535 uses of one slot. */
PL_MUST_USE void *pl_slab_alloc(struct pl_slab *slab, pl_handle *handle);

/* Frees the object of a live handle; asserts that it is live. */
void pl_slab_free(struct pl_slab *slab, pl_handle handle);

/* The live object of this handle, or NULL: for 0, for a freed one, for any other number. */
void *pl_slab_find(const struct pl_slab *slab, pl_handle handle);

/* The live handle that follows `after` in index order, or 0 at the end; start with 0. The object of
 * `after` may have been freed in between. */
pl_handle pl_slab_next(const struct pl_slab *slab, pl_handle after);

#endif
