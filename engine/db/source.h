/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch that grows while it is applied: for a writer that others give their writes to. What comes
 * before the transaction is committed goes along, so nobody waits for company, and under load few
 * are left behind for the next commit.
 */
#ifndef PL_SOURCE_H
#define PL_SOURCE_H

#include <parley/db.h>

struct pl_write_source {
    void *ud;
    /* The next writes of the transaction, where they are; how many, 0: no more, so it is committed.
     * Called at least once; not again after it has returned 0, or after a failure. The batch is
     * bounded by the source. Writes and all that they point at are lent until pl_db_apply_from
     * returns. */
    size_t (*next)(void *ud, struct parley_write **writes);
};

/* As parley_db_apply, of all that the source gives. */
PL_MUST_USE parley_err pl_db_apply_from(struct parley_db *db, const struct pl_write_source *source,
                                        parley_wall now, bool *changed);

#endif
