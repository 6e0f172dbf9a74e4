/* SPDX-License-Identifier: Apache-2.0
 *
 * Small helpers of the replayer. What cannot be done ends the program with exit 2 and a sentence: a
 * replay that is cut short has proved nothing.
 */
#ifndef POWER_UTIL_H
#define POWER_UTIL_H

#include <stddef.h>
#include <stdint.h>

void util_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* realloc that cannot fail. */
void *util_grow(void *ptr, size_t size);
void util_free(void *ptr);
/* `dir`/`name`; it must fit. */
void util_path(char *out, size_t cap, const char *dir, const char *name);
void util_write_file(const char *path, const void *bytes, size_t len);
/* Removes everything below a directory, and keeps it. */
void util_empty_dir(const char *path);
/* The whole file, mapped and never unmapped. */
const uint8_t *util_map(const char *path, size_t *len);
uint64_t util_now_us(void);

#endif
