/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

void oracle_check_look(struct sim_node *n)
{
    struct parley_check_report report;
    parley_err err = parley_db_check(n->db, &report);
    if (err != PARLEY_OK)
        sim_fail(n->world, "check", "n%u: parley_db_check fails: %s", n->index,
                 parley_err_name(err));
    else if (report.problems != 0)
        sim_fail(n->world, "check", "n%u: %llu problems, the first: %s", n->index,
                 (unsigned long long)report.problems, report.first[0].text);
}
