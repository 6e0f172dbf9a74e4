/* SPDX-License-Identifier: Apache-2.0
 *
 * The namespaces "own-<node>" are granted to nobody.
 */
#include "sim/oracle.h"

#include <stdio.h>

void oracle_confine_look(struct sim_node *n)
{
    struct parley_read *read = NULL;
    uint32_t position = 0;
    struct parley_namespace_info info;
    bool found = true;
    char own[16];
    snprintf(own, sizeof own, "own-%u", n->self);
    parley_err err = parley_read_begin(n->db, &read);
    while (err == PARLEY_OK && found) {
        err = parley_read_namespace(read, &position, &info, &found);
        if (err == PARLEY_OK && found && !pl_span_is(info.name, own) &&
            !pl_span_is(info.name, SIM_NAMESPACE))
            sim_fail(n->world, "confine", "n%u has the namespace %.*s", n->index,
                     (int)info.name.len, (const char *)info.name.ptr);
    }
    if (read != NULL)
        parley_read_end(read);
    if (err != PARLEY_OK)
        sim_fail(n->world, "confine", "n%u can not be read: %s", n->index, parley_err_name(err));
}
