/* SPDX-License-Identifier: Apache-2.0
 *
 * One line on a terminal that is drawn over and over while something long runs. Silent elsewhere.
 */
#ifndef PARLEY_PROGRESS_H
#define PARLEY_PROGRESS_H

#include "parley/cli.h"

struct progress {
    bool shown; /* stderr is a terminal */
    bool drawn; /* a line is on it now */
    double began;
    double next; /* seconds; not drawn again before */
};

/* Seconds of a clock that never goes backwards. */
double progress_now(void);
void progress_init(struct progress *p, const struct cli *cli);
/* Whether it is time to draw again; so that the text is only made when it is shown. */
bool progress_is_due(const struct progress *p);
/* `done` of `total` with a bar; `total` 0 draws none. `text` is what stands behind it. */
void progress_draw(struct progress *p, uint64_t done, uint64_t total, const char *text);
/* Takes the line away, so that other text can be printed. */
void progress_clear(struct progress *p);

#endif
