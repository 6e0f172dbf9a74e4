/* SPDX-License-Identifier: Apache-2.0
 *
 * What a disk may hold while a log (log.h) goes on: for each file the bytes that are durable, and
 * the writes since then, each cut into units that reach the disk whole or not at all; for each
 * directory the names that are durable, and the changes since then.
 *
 * An image is a choice: of each file any subset of its pending units and what its length became,
 * of each directory how many of its changes, from the first on. Directories are chosen apart from
 * each other and from what is in their files: nothing but fsync of the directory keeps a name.
 *
 * Lifetime: init over a whole log in memory, which is borrowed -> step through it -> deinit.
 */
#ifndef POWER_MODEL_H
#define POWER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "power/log.h"

#define MODEL_FILES_MAX 4096
#define MODEL_NODES_MAX 4
#define MODEL_NAME_MAX  96
/* Files that nobody syncs (the witness) keep this many units: the newest. */
#define MODEL_UNSYNCED_MAX 64

enum model_plant {
    MODEL_HONEST = 0,
    MODEL_NOSYNC,       /* no sync ever happened, and no descriptor has O_DSYNC */
    MODEL_NO_FDATASYNC, /* no fdatasync of the environment: one of the two of each commit */
};

/* How much of a file's new length an image has, beyond what its chosen units need. */
enum model_tail { MODEL_TAIL_SHORT = 0, MODEL_TAIL_ZEROS, MODEL_TAIL_GARBAGE, MODEL_TAIL_COUNT };

struct model_unit {
    uint64_t at;
    const uint8_t *bytes; /* NULL: the size becomes `at` */
    uint32_t len;
    bool chosen;
};

struct model_name {
    char text[MODEL_NAME_MAX];
    uint32_t file; /* number */
    bool removed;  /* of a change */
    bool paired;   /* the next change is the other half of this one: a rename */
};

struct model_file {
    uint64_t inode;
    uint32_t node;
    bool is_dir;
    bool has_dsync; /* somebody wrote through O_DSYNC: the environment */
    uint8_t *durable;
    uint64_t durable_len, durable_cap, now_len;
    struct model_unit *units;
    size_t unit_count, unit_cap;
    enum model_tail tail;
    /* Directories. */
    struct model_name *names, *changes;
    size_t name_count, name_cap, change_count, change_cap, chosen_changes;
};

struct model {
    uint32_t tear; /* bytes of a unit */
    enum model_plant plant;
    uint64_t root; /* inode */
    struct model_file *files;
    uint32_t file_count;
    char nodes[MODEL_NODES_MAX][MODEL_NAME_MAX]; /* the directories right below the root */
    uint32_t node_count;
};

void model_init(struct model *m, uint32_t tear, enum model_plant plant);
void model_deinit(struct model *m);

/* Takes one record in. A write or change of names is pending then, a sync is not done yet. */
void model_take(struct model *m, const struct power_record *record, const uint8_t *data);
/* The file whose pending units become durable by this record, or NULL. */
struct model_file *model_synced(struct model *m, const struct power_record *record);
/* Makes what is pending of the file durable, unless the plant says otherwise. */
void model_sync(struct model *m, const struct power_record *record);

/* Chooses nothing, or all, of everything that is pending. */
void model_choose_all(struct model *m, bool chosen);
/* Chooses the first `count` changes of a directory, and one more rather than half a rename. */
void model_choose_changes(struct model_file *dir, size_t count);
/* The file of that name in the image, or NULL. `name` is relative to the root. */
struct model_file *model_find(struct model *m, const char *name);
/* The bytes of the file in the image. With `over_durable` `out` holds the durable ones already.
 * Returns the length; `out` has room for model_room bytes. */
uint64_t model_render(const struct model_file *file, uint8_t *out, bool over_durable);
uint64_t model_room(const struct model_file *file);
/* Puts the durable bytes back where model_render has put others. */
void model_undo(const struct model_file *file, uint8_t *out);
/* Writes the image of one node below `dir`, which exists and is empty. */
void model_write(struct model *m, uint32_t node, const char *dir);

#endif
