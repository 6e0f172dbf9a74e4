/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresh directories, and memory that a process shares with those it forks.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>

/* Makes a new directory in TMPDIR. */
void scratch_make(char path[64]);
/* Removes a tree; one that is not there is no error. */
void scratch_remove(const char *path);

/* Zeroed; the program ends when there is none. */
void *scratch_share(size_t size);
void scratch_unshare(void *memory, size_t size);

#endif
