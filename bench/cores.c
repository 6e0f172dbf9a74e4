/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "cores.h"

static size_t next_core(const cpu_set_t *set, size_t from)
{
    while (from < CPU_SETSIZE && !CPU_ISSET(from, set))
        from++;
    return from;
}

void cores_find(struct cores *cores)
{
    bench_check(sched_getaffinity(0, sizeof cores->all, &cores->all) == 0, "finding the cores");
    size_t first = next_core(&cores->all, 0);
    size_t second = next_core(&cores->all, first + 1);
    CPU_ZERO(&cores->server);
    CPU_ZERO(&cores->client);
    CPU_SET(first, &cores->server);
    CPU_SET(second < CPU_SETSIZE ? second : first, &cores->client);
}

void cores_use(const cpu_set_t *set)
{
    bench_check(sched_setaffinity(0, sizeof *set, set) == 0, "going to a core");
}
