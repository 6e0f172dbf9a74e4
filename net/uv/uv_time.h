/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks of a host, read in one place.
 */
#ifndef PL_UV_TIME_H
#define PL_UV_TIME_H

#include <parley/env.h>

parley_wall pl_uv_wall_now(void);
struct parley_now pl_uv_now(void);

#endif
