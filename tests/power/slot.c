/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/slot.h"

#include "power/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_BYTES       (UINT64_C(1) << 30) /* no recording comes near */
#define SMALL_BYTES_MAX (UINT64_C(2) << 20)
#define FULL_LOOK_EACH  512

/* What is looked at beside the environment. The engine writes to the first ones only. */
static const char *const small_files[SLOT_SMALL_FILES] = { "witness", "ledger", "ledger.new",
                                                           "seal.key", "admin.token" };
#define WRITTEN_FILES 3

void slot_init(struct slot *s, uint32_t node, const char *dir)
{
    *s = (struct slot){ .node = node, .fd = -1 };
    if (strlen(dir) >= sizeof s->dir)
        util_fail("%s: the name is too long", dir);
    memcpy(s->dir, dir, strlen(dir) + 1);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        util_fail("%s: %s", dir, strerror(errno));
    util_empty_dir(dir);
}

static void let_go(struct slot *s)
{
    if (s->fd >= 0) {
        munmap(s->map, MAP_BYTES);
        close(s->fd);
    }
    s->fd = -1;
    s->file = NULL;
    memset(s->settled, 0, sizeof s->settled);
    util_empty_dir(s->dir);
}

static void set_size(struct slot *s, uint64_t size)
{
    if (size > MAP_BYTES || ftruncate(s->fd, (off_t)size) != 0)
        util_fail("%s: cannot have %llu bytes", s->dir, (unsigned long long)size);
}

static void put_durable(struct slot *s)
{
    set_size(s, s->file->durable_len);
    if (s->file->durable_len != 0)
        memcpy(s->map, s->file->durable, s->file->durable_len);
}

static void make_env(struct slot *s)
{
    char path[SLOT_PATH_BYTES + 16];
    util_path(path, sizeof path, s->dir, "store");
    if (mkdir(path, 0700) != 0)
        util_fail("%s: %s", path, strerror(errno));
    util_path(path, sizeof path, s->dir, "store/data.mdb");
    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->fd < 0)
        util_fail("%s: %s", path, strerror(errno));
    s->map = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (s->map == MAP_FAILED)
        util_fail("%s: cannot be mapped", path);
}

static void put_small(struct slot *s, struct model *m, size_t number)
{
    const char *name = small_files[number];
    char in_model[MODEL_NAME_MAX * 2];
    char path[SLOT_PATH_BYTES + 16];
    static uint8_t bytes[SMALL_BYTES_MAX];
    util_path(in_model, sizeof in_model, m->nodes[s->node], name);
    util_path(path, sizeof path, s->dir, name);
    const struct model_file *file = model_find(m, in_model);
    bool settles = file != NULL && file->unit_count == 0 && number >= WRITTEN_FILES;
    if (settles && s->settled[number] == file)
        return;
    s->settled[number] = settles ? file : NULL;
    if (file == NULL) {
        unlink(path);
        return;
    }
    if (model_room(file) > sizeof bytes)
        util_fail("%s: is too big", path);
    uint64_t len = model_render(file, bytes, false);
    util_write_file(path, bytes, len);
}

/* The environment of the image, when the image is that and no more than the small files. */
static const struct model_file *plain_env(struct slot *s, struct model *m)
{
    char name[MODEL_NAME_MAX * 2];
    util_path(name, sizeof name, m->nodes[s->node], "store.tmp");
    if (model_find(m, name) != NULL)
        return NULL;
    util_path(name, sizeof name, m->nodes[s->node], "store/data.mdb");
    return model_find(m, name);
}

void slot_put(struct slot *s, struct model *m, uint64_t point)
{
    const struct model_file *file = plain_env(s, m);
    s->puts++;
    if (file == NULL) {
        let_go(s);
        model_write(m, s->node, s->dir);
        return;
    }
    if (s->file != file) {
        let_go(s);
        make_env(s);
    }
    if (s->file != file || s->point != point) {
        s->file = file;
        s->point = point;
        put_durable(s);
    }
    for (size_t i = 0; i < SLOT_SMALL_FILES; i++)
        put_small(s, m, i);
    if (model_room(file) > file->durable_len)
        set_size(s, model_room(file));
    s->len = model_render(file, s->map, true);
    set_size(s, s->len);
    memset(s->head, 0, sizeof s->head);
    memcpy(s->head, s->map, s->len < sizeof s->head ? s->len : sizeof s->head);
}

static bool was_changed(const struct slot *s)
{
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        util_fail("%s: %s", s->dir, strerror(errno));
    return (uint64_t)st.st_size != s->len || s->len < s->file->durable_len ||
           s->len < sizeof s->head || memcmp(s->head, s->map, sizeof s->head) != 0;
}

void slot_take_back(struct slot *s)
{
    if (s->fd < 0) {
        let_go(s);
        return;
    }
    if (was_changed(s)) {
        put_durable(s);
        return;
    }
    set_size(s, s->file->durable_len);
    model_undo(s->file, s->map);
    /* Nothing but a commit changes the file, and that shows in its head. Trust it, and look. */
    if (s->puts % FULL_LOOK_EACH == 0 &&
        memcmp(s->map, s->file->durable, s->file->durable_len) != 0)
        util_fail("%s: an image left something behind: the replayer is wrong", s->dir);
}
