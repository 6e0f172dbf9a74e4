/* SPDX-License-Identifier: Apache-2.0
 *
 * Which images are made at a crash point. The file that is being synced there is the focus: of its
 * pending units none, all, all but one, one alone, the first so many, and random ones; all subsets
 * when they are few. Of a directory: the first so many of its changes, each with several choices of
 * everything else. At the moment of an answer there is no focus. All other files of the node are
 * chosen at random, but in image 0 nothing else is on the disk, in image 1 everything.
 */
#ifndef POWER_PLAN_H
#define POWER_PLAN_H

#include "power/model.h"

struct plan_options {
    uint64_t seed;
    uint32_t per_class; /* images of each class of one unit or prefix; 0: as many as units */
    uint32_t random;    /* random subsets */
};

/* How many images there are; `focus` may be NULL. */
uint64_t plan_count(const struct plan_options *options, const struct model_file *focus);
/* Makes the choice of image `image` at crash point `point` in the files of `node`. Returns a draw
 * of that image's own generator, for whatever else is to be decided. */
uint64_t plan_choose(const struct plan_options *options, struct model *m, uint32_t node,
                     struct model_file *focus, uint64_t point, uint64_t image);

#endif
