/* SPDX-License-Identifier: Apache-2.0
 *
 * MessagePack writing: msgpack-c's packer into a bounded pl_writer. Always the shortest encoding.
 * Overflow sticks in the writer (EFULL).
 */
#ifndef PL_MP_WRITE_H
#define PL_MP_WRITE_H

#include "base/writer.h"

void pl_mp_write_nil(struct pl_writer *w);
void pl_mp_write_bool(struct pl_writer *w, bool value);
void pl_mp_write_uint(struct pl_writer *w, uint64_t value);
void pl_mp_write_int(struct pl_writer *w, int64_t value);
void pl_mp_write_float(struct pl_writer *w, double value);
void pl_mp_write_str(struct pl_writer *w, struct parley_span text);
void pl_mp_write_text(struct pl_writer *w, const char *text);
void pl_mp_write_bin(struct pl_writer *w, struct parley_span bytes);
void pl_mp_write_array(struct pl_writer *w, uint32_t count);
void pl_mp_write_map(struct pl_writer *w, uint32_t count);

#endif
