/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/model.h"

#include "power/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GARBAGE_BYTE(at) ((uint8_t)((at)*167 + 13))

void model_init(struct model *m, uint32_t tear, enum model_plant plant)
{
    *m = (struct model){ .tear = tear, .plant = plant };
    m->files = util_grow(NULL, MODEL_FILES_MAX * sizeof *m->files);
    memset(m->files, 0, MODEL_FILES_MAX * sizeof *m->files);
}

void model_deinit(struct model *m)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        util_free(m->files[i].durable);
        util_free(m->files[i].units);
        util_free(m->files[i].names);
        util_free(m->files[i].changes);
    }
    util_free(m->files);
}

static struct model_file *file_of(struct model *m, uint64_t inode)
{
    /* The newest first: an inode may be used again when its file is gone. */
    for (uint32_t i = m->file_count; i-- > 0;)
        if (m->files[i].inode == inode)
            return &m->files[i];
    return NULL;
}

/* ---- Names ---- */

/* The file of that name in the directory, after its first `changes` changes. */
static struct model_file *look_up(struct model *m, const struct model_file *dir, size_t changes,
                                  const char *name, size_t len)
{
    for (size_t i = changes; i-- > 0;) {
        const struct model_name *change = &dir->changes[i];
        if (strlen(change->text) == len && memcmp(change->text, name, len) == 0)
            return change->removed ? NULL : &m->files[change->file];
    }
    for (size_t i = 0; i < dir->name_count; i++)
        if (strlen(dir->names[i].text) == len && memcmp(dir->names[i].text, name, len) == 0)
            return &m->files[dir->names[i].file];
    return NULL;
}

/* Walks `len` bytes of a path. With `now` all changes count, else those of the image. */
static struct model_file *walk(struct model *m, const char *path, size_t len, bool now)
{
    struct model_file *file = file_of(m, m->root);
    size_t at = 0;
    while (file != NULL && at < len) {
        size_t part = strcspn(path + at, "/");
        part = part < len - at ? part : len - at;
        if (!file->is_dir)
            return NULL;
        if (part != 0)
            file =
                look_up(m, file, now ? file->change_count : file->chosen_changes, path + at, part);
        at += part + 1;
    }
    return file;
}

struct model_file *model_find(struct model *m, const char *name)
{
    return walk(m, name, strlen(name), false);
}

static struct model_file *parent_now(struct model *m, const char *path, const char **last)
{
    const char *slash = strrchr(path, '/');
    *last = slash == NULL ? path : slash + 1;
    struct model_file *dir = walk(m, path, slash == NULL ? 0 : (size_t)(slash - path), true);
    if (dir == NULL || !dir->is_dir)
        util_fail("%s: is in no directory of the log", path);
    return dir;
}

static void change_name(struct model *m, const char *path, const struct model_file *file,
                        bool paired)
{
    const char *last;
    struct model_file *dir = parent_now(m, path, &last);
    struct model_name change = { .removed = file == NULL, .paired = paired };
    if (strlen(last) >= MODEL_NAME_MAX)
        util_fail("%s: the name is too long", path);
    memcpy(change.text, last, strlen(last) + 1);
    if (file != NULL)
        change.file = (uint32_t)(file - m->files);
    if (dir->change_count == dir->change_cap) {
        dir->change_cap = dir->change_cap * 2 + 16;
        dir->changes = util_grow(dir->changes, dir->change_cap * sizeof *dir->changes);
    }
    dir->changes[dir->change_count++] = change;
}

static uint32_t node_of(struct model *m, const char *path)
{
    size_t len = strcspn(path, "/");
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strlen(m->nodes[i]) == len && memcmp(m->nodes[i], path, len) == 0)
            return i;
    if (m->node_count == MODEL_NODES_MAX || len >= MODEL_NAME_MAX)
        util_fail("%s: too many directories, or a name is too long", path);
    memcpy(m->nodes[m->node_count], path, len);
    m->nodes[m->node_count][len] = '\0';
    return m->node_count++;
}

static struct model_file *add_file(struct model *m, uint64_t inode, const char *path, bool is_dir)
{
    if (m->file_count == MODEL_FILES_MAX)
        util_fail("more than %d files", MODEL_FILES_MAX);
    struct model_file *file = &m->files[m->file_count++];
    *file = (struct model_file){ .inode = inode, .is_dir = is_dir };
    if (path != NULL) {
        file->node = node_of(m, path);
        change_name(m, path, file, false);
    }
    return file;
}

static void move_name(struct model *m, const struct power_record *record, const char *from,
                      const char *to)
{
    struct model_file *file = walk(m, from, strlen(from), true);
    if (file == NULL)
        util_fail("%s: is not in the log", from);
    const char *last;
    bool is_rename = record->type == POWER_RENAME;
    if (is_rename && parent_now(m, from, &last) != parent_now(m, to, &last))
        util_fail("%s: is renamed into another directory", from);
    change_name(m, to, file, is_rename);
    if (is_rename)
        change_name(m, from, NULL, false);
}

/* ---- Bytes ---- */

static struct model_unit *add_unit(struct model_file *file)
{
    if (file->unit_count == file->unit_cap) {
        file->unit_cap = file->unit_cap * 2 + 64;
        file->units = util_grow(file->units, file->unit_cap * sizeof *file->units);
    }
    return &file->units[file->unit_count++];
}

static void forget_oldest(struct model_file *file)
{
    /* One unit written over and over, with nobody to sync it: only the last ones are likely. */
    if (file->unit_count < MODEL_UNSYNCED_MAX || file->has_dsync)
        return;
    for (size_t i = 1; i < file->unit_count; i++)
        if (file->units[i].bytes == NULL || file->units[i].at != file->units[0].at)
            return;
    file->unit_count--;
    memmove(file->units, file->units + 1, file->unit_count * sizeof *file->units);
}

static void add_write(struct model *m, struct model_file *file, uint64_t at, const uint8_t *bytes,
                      uint32_t len)
{
    while (len != 0) {
        uint32_t part = m->tear - (uint32_t)(at % m->tear);
        part = part < len ? part : len;
        forget_oldest(file);
        *add_unit(file) = (struct model_unit){ .at = at, .bytes = bytes, .len = part };
        at += part;
        bytes += part;
        len -= part;
    }
    file->now_len = at > file->now_len ? at : file->now_len;
}

static void add_size(struct model_file *file, uint64_t size)
{
    *add_unit(file) = (struct model_unit){ .at = size };
    file->now_len = size;
}

/* LMDB locks through a mapped file; everything else must be written by calls that are logged. */
static void check_map(struct model *m, const struct model_file *file)
{
    for (uint32_t i = 0; i < m->file_count; i++)
        for (size_t k = 0; k < m->files[i].change_count + m->files[i].name_count; k++) {
            const struct model_file *dir = &m->files[i];
            const struct model_name *name =
                k < dir->name_count ? &dir->names[k] : &dir->changes[k - dir->name_count];
            if (&m->files[name->file] == file && !name->removed &&
                strcmp(name->text, "lock.mdb") != 0)
                util_fail("%s is mapped writable: the log cannot be the whole truth", name->text);
        }
}

void model_take(struct model *m, const struct power_record *record, const uint8_t *data)
{
    struct model_file *file = file_of(m, record->file);
    char names[2 * 4096] = "";
    if (record->type != POWER_WRITE && record->len < sizeof names && record->len != 0)
        memcpy(names, data, record->len);
    switch ((enum power_type)record->type) {
    case POWER_START:
        if (m->root == 0)
            add_file(m, record->file, NULL, true);
        m->root = record->file;
        break;
    case POWER_CREATE:
    case POWER_MKDIR:
        add_file(m, record->file, names, record->type == POWER_MKDIR);
        break;
    case POWER_RENAME:
        move_name(m, record, names, names + strlen(names) + 1);
        break;
    case POWER_LINK:
        move_name(m, record, names, names + strlen(names) + 1);
        break;
    case POWER_UNLINK:
        change_name(m, names, NULL, false);
        break;
    case POWER_WRITE:
        if (file != NULL) {
            file->has_dsync |= (record->flags & POWER_FLAG_DSYNC) != 0;
            add_write(m, file, record->offset, data, record->len);
        }
        break;
    case POWER_SIZE:
        if (file != NULL)
            add_size(file, record->offset);
        break;
    case POWER_MAP:
        if (file != NULL)
            check_map(m, file);
        break;
    case POWER_SYNC:
    case POWER_ASK:
    case POWER_ANSWER:
        break;
    }
}

/* ---- Syncs ---- */

struct model_file *model_synced(struct model *m, const struct power_record *record)
{
    bool through = record->type == POWER_WRITE && (record->flags & POWER_FLAG_DSYNC) != 0;
    return through || record->type == POWER_SYNC ? file_of(m, record->file) : NULL;
}

static void make_durable(struct model_file *file)
{
    uint64_t room = model_room(file);
    if (room > file->durable_cap) {
        file->durable_cap = room * 2;
        file->durable = util_grow(file->durable, file->durable_cap);
    }
    for (size_t i = 0; i < file->unit_count; i++)
        file->units[i].chosen = true;
    file->tail = MODEL_TAIL_SHORT;
    file->durable_len = model_render(file, file->durable, true);
    file->unit_count = 0;
}

/* Only what came through the descriptor with O_DSYNC: the units of the newest write. */
static void make_last_durable(struct model_file *file, const struct power_record *record)
{
    struct model_file part = *file;
    size_t count = 0;
    while (count < file->unit_count &&
           file->units[file->unit_count - 1 - count].at >= record->offset &&
           file->units[file->unit_count - 1 - count].at < record->offset + record->len)
        count++;
    part.units += file->unit_count - count;
    part.unit_count = count;
    part.now_len = part.durable_len;
    make_durable(&part);
    file->durable = part.durable;
    file->durable_len = part.durable_len;
    file->durable_cap = part.durable_cap;
    file->unit_count -= count;
}

static void remove_durable_name(struct model_file *dir, const char *text)
{
    for (size_t i = 0; i < dir->name_count; i++)
        if (strcmp(dir->names[i].text, text) == 0) {
            dir->names[i] = dir->names[--dir->name_count];
            return;
        }
}

static void make_names_durable(struct model_file *dir)
{
    for (size_t i = 0; i < dir->change_count; i++) {
        remove_durable_name(dir, dir->changes[i].text);
        if (dir->changes[i].removed)
            continue;
        if (dir->name_count == dir->name_cap) {
            dir->name_cap = dir->name_cap * 2 + 16;
            dir->names = util_grow(dir->names, dir->name_cap * sizeof *dir->names);
        }
        dir->names[dir->name_count++] = dir->changes[i];
    }
    dir->change_count = 0;
    dir->chosen_changes = 0;
}

void model_sync(struct model *m, const struct power_record *record)
{
    struct model_file *file = model_synced(m, record);
    if (file == NULL || m->plant == MODEL_NOSYNC)
        return;
    if (m->plant == MODEL_NO_FDATASYNC && (record->flags & POWER_FLAG_DATA) != 0 && file->has_dsync)
        return;
    if (file->is_dir)
        make_names_durable(file);
    else if (record->type == POWER_WRITE)
        make_last_durable(file, record);
    else
        make_durable(file);
}

/* ---- Images ---- */

void model_choose_all(struct model *m, bool chosen)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        struct model_file *file = &m->files[i];
        for (size_t k = 0; k < file->unit_count; k++)
            file->units[k].chosen = chosen;
        file->tail = MODEL_TAIL_SHORT;
        file->chosen_changes = chosen ? file->change_count : 0;
    }
}

void model_choose_changes(struct model_file *dir, size_t count)
{
    bool cuts = count != 0 && count <= dir->change_count && dir->changes[count - 1].paired;
    dir->chosen_changes = count + (cuts ? 1u : 0u);
}

uint64_t model_room(const struct model_file *file)
{
    uint64_t room = file->durable_len > file->now_len ? file->durable_len : file->now_len;
    for (size_t i = 0; i < file->unit_count; i++) {
        uint64_t end = file->units[i].at + file->units[i].len;
        room = end > room ? end : room;
    }
    return room;
}

/* `len` grows or shrinks to `to`; new bytes are zero. */
static uint64_t resize(uint8_t *out, uint64_t len, uint64_t to)
{
    if (to > len)
        memset(out + len, 0, to - len);
    return to;
}

uint64_t model_render(const struct model_file *file, uint8_t *out, bool over_durable)
{
    uint64_t len = file->durable_len;
    if (!over_durable && len != 0)
        memcpy(out, file->durable, len);
    if (file->tail != MODEL_TAIL_SHORT && file->now_len > len) {
        uint64_t old = len;
        len = resize(out, len, file->now_len);
        for (uint64_t i = old; file->tail == MODEL_TAIL_GARBAGE && i < len; i++)
            out[i] = GARBAGE_BYTE(i);
    }
    for (size_t i = 0; i < file->unit_count; i++) {
        const struct model_unit *unit = &file->units[i];
        if (!unit->chosen)
            continue;
        uint64_t end = unit->at + unit->len;
        if (unit->bytes == NULL || end > len)
            len = resize(out, len, end);
        if (unit->bytes != NULL)
            memcpy(out + unit->at, unit->bytes, unit->len);
    }
    return len;
}

void model_undo(const struct model_file *file, uint8_t *out)
{
    for (size_t i = 0; i < file->unit_count; i++) {
        const struct model_unit *unit = &file->units[i];
        uint64_t end = unit->at + unit->len;
        end = end < file->durable_len ? end : file->durable_len;
        if (unit->chosen && unit->at < end)
            memcpy(out + unit->at, file->durable + unit->at, end - unit->at);
    }
}

static void write_file(const struct model_file *file, const char *path)
{
    uint8_t *bytes = util_grow(NULL, model_room(file) + 1);
    uint64_t len = model_render(file, bytes, false);
    util_write_file(path, bytes, len);
    util_free(bytes);
}

static void write_dir(struct model *m, const struct model_file *dir, const char *path);

static void write_name(struct model *m, const struct model_file *dir, const char *name,
                       const char *path)
{
    char below[4096];
    const struct model_file *file = look_up(m, dir, dir->chosen_changes, name, strlen(name));
    util_path(below, sizeof below, path, name);
    if (file == NULL || access(below, F_OK) == 0)
        return;
    if (!file->is_dir)
        write_file(file, below);
    else if (mkdir(below, 0700) != 0)
        util_fail("%s: cannot be made", below);
    else
        write_dir(m, file, below);
}

static void write_dir(struct model *m, const struct model_file *dir, const char *path)
{
    for (size_t i = 0; i < dir->name_count; i++)
        write_name(m, dir, dir->names[i].text, path);
    for (size_t i = 0; i < dir->chosen_changes; i++)
        write_name(m, dir, dir->changes[i].text, path);
}

void model_write(struct model *m, uint32_t node, const char *dir)
{
    const struct model_file *home = model_find(m, m->nodes[node]);
    if (home != NULL && home->is_dir)
        write_dir(m, home, dir);
}
