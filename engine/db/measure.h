/* SPDX-License-Identifier: Apache-2.0
 *
 * For benchmarks of what a part of the engine costs. Such a store is good for nothing else.
 */
#ifndef PL_MEASURE_H
#define PL_MEASURE_H

#include <parley/db.h>

/* Merges no longer keep the tables ELEMENT and SUM. */
void pl_db_leave_out_elements(struct parley_db *db);

#endif
