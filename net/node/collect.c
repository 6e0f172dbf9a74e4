/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node_int.h"

int64_t pl_collect_grace(const struct pl_node *node)
{
    int64_t grace = node->options.tombstone_grace_us;
    return grace > 0 ? grace : PL_FLOOR_GRACE_US;
}
