/* SPDX-License-Identifier: Apache-2.0
 *
 * Kills a process that writes, opens and writes again, at random moments. What was acknowledged
 * must be there when the next one opens the store, a batch whole or not at all.
 */
#ifndef KILL_H
#define KILL_H

#include <stdbool.h>
#include <stdint.h>

/* So many kills (0: KILL_DEFAULT), and prints where they hit. False when something was lost. */
#define KILL_DEFAULT 240
bool kill_run(uint64_t kills, uint64_t seed);
/* Lets the writer lie and expects to find it out. */
bool kill_lies(void);

#endif
