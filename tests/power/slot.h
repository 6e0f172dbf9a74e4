/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory that holds one image of a node after the other. The environment stays the same file,
 * mapped here: an image writes its units over the durable bytes and takes them back afterwards, so
 * that an image costs what it differs by, not what the store holds.
 */
#ifndef POWER_SLOT_H
#define POWER_SLOT_H

#include "power/model.h"

#define SLOT_PATH_BYTES  512
#define SLOT_SMALL_FILES 5
#define SLOT_HEAD_BYTES  8192 /* the two meta pages: every commit changes one */

struct slot {
    char dir[SLOT_PATH_BYTES];
    uint32_t node;
    int fd; /* of the environment; -1: the directory holds something else */
    uint8_t *map;
    const struct model_file *file; /* whose durable bytes the environment has */
    uint64_t point;                /* as they were at this crash point */
    uint64_t len;                  /* of the environment in the image */
    uint8_t head[SLOT_HEAD_BYTES]; /* of the image */
    uint64_t puts;
    const struct model_file *settled[SLOT_SMALL_FILES]; /* there, with nothing pending */
};

/* Makes the directory, or empties it. */
void slot_init(struct slot *s, uint32_t node, const char *dir);
/* Puts the chosen image there. */
void slot_put(struct slot *s, struct model *m, uint64_t point);
/* Takes it away, with whatever the product did to it. */
void slot_take_back(struct slot *s);

#endif
