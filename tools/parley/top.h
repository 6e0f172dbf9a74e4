/* SPDX-License-Identifier: Apache-2.0
 *
 * What `parley top` has seen of a node, and a picture of it in lines of text. cmd_top.c asks,
 * top_draw.c draws; drawing does nothing else, so it can be looked at at any size.
 */
#ifndef PARLEY_TOP_H
#define PARLEY_TOP_H

#include "parley/cli.h"

#define TOP_RATES_MAX   60 /* of the little chart */
#define TOP_CHANGES_MAX 50

enum top_column {
    TOP_PEER,
    TOP_STATE,
    TOP_LAG,
    TOP_SKEW,
    TOP_RATE_IN,
    TOP_RATE_OUT,
    TOP_IN,
    TOP_OUT,
    TOP_SYNC,
    TOP_COLUMNS
};

struct top {
    json_t *status, *before; /* the last two; NULL: not yet */
    json_t *health;
    json_t *changes;             /* of the namespace, oldest first */
    double seconds;              /* between the two */
    const char *name_space;      /* of the changes */
    struct buf trouble;          /* why the last look failed; empty: it did not */
    double rates[TOP_RATES_MAX]; /* bytes a second, both ways, the newest last */
    size_t rate_count;

    enum top_column sort;
    bool reverse;
    size_t scroll; /* peers above the first shown one */
    bool colors;
};

/* Bytes a second of all peers, `name` "bytes_in" or "bytes_out"; 0 while there is one look only. */
double top_rate(const struct top *top, const char *name);
/* Adds the picture: lines that end with `end`, of at most `columns` columns. `rows` 0: as many as
 * it takes, and no help at the end. */
void top_draw(const struct top *top, size_t columns, size_t rows, const char *end, struct buf *out);

#endif
