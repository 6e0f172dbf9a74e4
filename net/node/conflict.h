/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the overwritten versions of a register were lost, and not merely replaced.
 *
 * A version does not say what its writer had seen, so a conflict is judged by what every node can
 * read from the versions themselves: two nodes with the same history give the same answer. A loser
 * is in conflict with the version that comes next in the register unless
 *   C1  both have the same origin: a writer knows what it wrote before;
 *   C2  it is a message as first written and the next one is an edit or a deletion: nobody edits or
 *       deletes what he has not seen;
 *   C3  it says the same as the current version: nothing was lost;
 *   C4  the next one says the same as an older version: it was promoted, by someone who looked;
 *   C5  the register has no current version: its conversation was deleted.
 * What remains may still be an edit of another node's edit, made knowingly.
 */
#ifndef PL_CONFLICT_H
#define PL_CONFLICT_H

#include <parley/db.h>

#include "base/base.h"

struct pl_conflict {
    bool has_current;
    struct parley_version current;
    struct parley_version losers[PARLEY_HISTORY_PER_REGISTER_MAX]; /* newest first */
    bool lost[PARLEY_HISTORY_PER_REGISTER_MAX];                    /* in conflict */
    size_t count;
    size_t lost_count;
};

/* Reads and judges all versions of a register. Spans are lent from the snapshot. */
PL_MUST_USE parley_err pl_conflict_read(struct parley_read *read,
                                        const struct parley_register_name *name,
                                        struct pl_conflict *out);

/* Whether two versions of a register say the same, whoever wrote them and when. */
bool pl_conflict_is_same(const struct parley_version *a, const struct parley_version *b);

#endif
