/* SPDX-License-Identifier: Apache-2.0
 *
 * Big-endian numbers in bytes.
 */
#ifndef PL_BE_H
#define PL_BE_H

#include "base/base.h"

/* Eight bytes, and four that are read, are written out, because compilers make one instruction of
 * that and a loop of the loop; `width` is nearly always a constant. */
static inline void pl_put_be(uint8_t *at, uint64_t value, size_t width)
{
    if (width == 8) {
        /* By way of an array: gcc stores single bytes where `at` was read before. */
        const uint8_t bytes[8] = { (uint8_t)(value >> 56), (uint8_t)(value >> 48),
                                   (uint8_t)(value >> 40), (uint8_t)(value >> 32),
                                   (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                   (uint8_t)(value >> 8),  (uint8_t)value };
        memcpy(at, bytes, sizeof bytes);
        return;
    }
    /*@ loop invariant 0 <= i <= width;
        loop assigns i, at[0 .. width - 1];
        loop variant width - i; */
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

static inline uint64_t pl_get_be(const uint8_t *at, size_t width)
{
    if (width == 8)
        return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 |
               (uint64_t)at[3] << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 |
               (uint64_t)at[6] << 8 | (uint64_t)at[7];
    if (width == 4)
        return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 |
               (uint64_t)at[3];
    uint64_t value = 0;
    /*@ loop invariant 0 <= i <= width;
        loop assigns i, value;
        loop variant width - i; */
    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

#endif
