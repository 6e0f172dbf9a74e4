/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine has written, put again by a raw LMDB program: the same bytes under the same keys
 * in the same batches. Its rows are read back from the store that the engine has just made, so that
 * nothing is left out: register rows and log rows (which are the change log and hold the bodies),
 * the row of each conversation and its name, and at each commit the counters and the namespace.
 * Small batches, which the engine puts into the sets at once, have the rows of the sets that their
 * versions belong to; of large ones the sets follow if asked for, as they are in the end, in the
 * order of their keys. It computes nothing.
 */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "raw.h"

enum script_table {
    SCRIPT_META,
    SCRIPT_SPACE,
    SCRIPT_NAMES,
    SCRIPT_REGISTER,
    SCRIPT_LOG,
    SCRIPT_ELEMENT,
    SCRIPT_SUM,
    SCRIPT_TABLES
};
extern const char *const script_tables[SCRIPT_TABLES];

struct script;

/* The versions of DIR/store behind `after`, `batch` a commit. */
struct script *script_make(const char *dir, parley_seq after, size_t batch);
/* Further batches, behind the others: the sets. */
void script_add_sets(struct script *script, const char *dir);
void script_free(struct script *script);
size_t script_batches(const struct script *script);
/* Bytes of keys and values. */
uint64_t script_bytes(const struct script *script);
/* Puts and commits the batch with this number; in order. */
void script_put(struct script *script, struct raw *raw, size_t batch);
/* All of them, into DIR/store; times[i]: the seconds of batch i. */
void script_put_all(struct script *script, const char *dir, double *times);

#endif
