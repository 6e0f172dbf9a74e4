/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "uv/uv_time.h"

#include "base/base.h"

#include <time.h>
#include <uv.h>

parley_wall pl_uv_wall_now(void)
{
    struct timespec ts;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
        parley_panic(__FILE__, __LINE__, "the kernel gives no time");
    return (parley_wall)ts.tv_sec * PARLEY_US_PER_S + (parley_wall)(ts.tv_nsec / 1000);
}

struct parley_now pl_uv_now(void)
{
    return (struct parley_now){ .mono = uv_hrtime(), .wall = pl_uv_wall_now() };
}
