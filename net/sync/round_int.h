/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the two halves of the round only.
 */
#ifndef PL_ROUND_INT_H
#define PL_ROUND_INT_H

#include "sync/round.h"

void pl_round_note_behind(struct pl_round *round, parley_seq head);

#endif
