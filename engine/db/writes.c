/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be said of writes without a store: their shape, and whether they may use the reserve.
 */
#include "db/db_int.h"

/* Keys that begin with a zero byte are ours (cursors). */
static bool is_sys_ok(const struct parley_write *w)
{
    struct parley_span key = w->u.sys.key;
    return key.len >= 1 && key.len <= PL_DB_SYS_KEY_BYTES_MAX && key.ptr[0] != 0 &&
           (w->kind == PARLEY_WRITE_SYS_DEL || w->u.sys.value.len <= PL_DB_SYS_VALUE_BYTES_MAX);
}

static bool is_space_ok(struct parley_span name)
{
    return name.len != 0 && name.len <= PARLEY_NAMESPACE_BYTES_MAX;
}

static bool is_view_ok(const struct parley_write *w)
{
    struct parley_span prefix = w->u.view.prefix;
    return is_space_ok(w->u.view.name_space) && prefix.len >= 1 &&
           prefix.len <= PARLEY_ID_BYTES_MAX;
}

static bool is_line_ok(struct parley_span line)
{
    return line.len >= 2 && line.len <= PL_DB_LINE_BYTES_MAX &&
           memchr(line.ptr, '\n', line.len) == line.ptr + line.len - 1;
}

/* What is wrong with a write, NULL: nothing. A version explains itself in `diag`. */
static const char *find_fault(const struct parley_write *w, struct parley_diag *diag)
{
    switch (w->kind) {
    case PARLEY_WRITE_VERSION:
        return parley_version_check(&w->u.version, diag) == PARLEY_OK ? NULL : "version";
    case PARLEY_WRITE_CURSOR:
    case PARLEY_WRITE_INDEX:
        return NULL;
    case PARLEY_WRITE_SYS_PUT:
    case PARLEY_WRITE_SYS_DEL:
        return is_sys_ok(w) ? NULL
                            : "sys: the key has 1 to 400 bytes, the first of them not 0, and the "
                              "value at most 64 KiB";
    case PARLEY_WRITE_LEDGER:
        return is_line_ok(w->u.line) ? NULL
                                     : "line: 2 to 512 bytes, the last and only the last a newline";
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_VIEW_DROP:
        return is_view_ok(w) ? NULL : "view: a namespace, and a prefix of 1 to 255 bytes";
    case PARLEY_WRITE_COLLECT:
        return is_space_ok(w->u.collect.name_space) && w->u.collect.upto != UINT64_MAX
                   ? NULL
                   : "collect: a namespace, and a time below 2^64 - 1";
    case PARLEY_WRITE_TRASH:
        return w->u.trash != 0 ? NULL : "trash: sequences begin at 1";
    case PARLEY_WRITE_UNTRASH:
        return w->u.untrash.len != 0 && w->u.untrash.len <= PL_KEY_BYTES_MAX
                   ? NULL
                   : "untrash: not a key of parley_read_trash_after";
    case PARLEY_WRITE_RETENTION:
        return is_space_ok(w->u.retention.name_space) &&
                       w->u.retention.rule.versions <= PARLEY_HISTORY_PER_REGISTER_MAX
                   ? NULL
                   : "retention: a namespace, and at most 64 versions";
    }
    return "kind: unknown";
}

PARLEY_MUST_USE parley_err parley_writes_check(const struct parley_write *writes, size_t count,
                                               struct parley_diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        const char *fault = find_fault(&writes[i], diag);
        if (fault == NULL)
            continue;
        if (diag != NULL && writes[i].kind != PARLEY_WRITE_VERSION) {
            struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
            pl_write_text(&w, fault);
            diag->text[w.len] = '\0';
        }
        return PARLEY_EINVAL;
    }
    return PARLEY_OK;
}

/* See parley_db_set_reserve. */
static bool may_use_reserve(const struct parley_write *w)
{
    switch (w->kind) {
    case PARLEY_WRITE_VERSION:
        return (w->u.version.flags & PARLEY_FLAG_TOMBSTONE) != 0 ||
               w->u.version.kind == PARLEY_KIND_PURGE;
    case PARLEY_WRITE_SYS_PUT:
        return !w->u.sys.spares_reserve;
    case PARLEY_WRITE_CURSOR:
    case PARLEY_WRITE_SYS_DEL:
    case PARLEY_WRITE_LEDGER:
    case PARLEY_WRITE_VIEW_DROP:
    case PARLEY_WRITE_COLLECT:
    case PARLEY_WRITE_UNTRASH:
    case PARLEY_WRITE_RETENTION:
    case PARLEY_WRITE_INDEX: /* only goes along: apply.c leaves it undone */
        return true;
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_TRASH:
        return false;
    }
    return false;
}

bool parley_writes_need_room(const struct parley_write *writes, size_t count)
{
    bool indexes_only = count != 0;
    for (size_t i = 0; i < count; i++) {
        if (!may_use_reserve(&writes[i]))
            return true;
        indexes_only = indexes_only && writes[i].kind == PARLEY_WRITE_INDEX;
    }
    return indexes_only;
}
