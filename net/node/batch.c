/* SPDX-License-Identifier: Apache-2.0
 *
 * The two write batches: one fills while the other is being committed.
 */
#include "node/node_int.h"

/* Namespace, conversation, origin, id, body: each is copied on its own, with padding. */
#define SPANS_PER_WRITE 5u

static struct pl_batch *filling(struct pl_node *node)
{
    return &node->batches[node->filling];
}

bool pl_batch_has_room(const struct pl_node *node, size_t count, size_t bytes)
{
    const struct pl_batch *batch = &node->batches[node->filling];
    /* A small machine begins with the next one earlier; what belongs together stays together. */
    if (batch->count != 0 && (batch->count + count > node->batch_writes_max ||
                              batch->arena.len + bytes > node->batch_bytes_max))
        return false;
    size_t padding = (count * SPANS_PER_WRITE + 1) * PL_ARENA_ALIGN;
    return count <= PL_BATCH_WRITES_MAX - batch->count && bytes <= PL_BATCH_BYTES_MAX &&
           bytes + padding <= batch->arena.cap - batch->arena.len;
}

struct parley_write *pl_batch_add(struct pl_node *node, enum parley_write_kind kind,
                                  uint32_t source)
{
    struct pl_batch *batch = filling(node);
    PL_ASSERT(batch->count < PL_BATCH_WRITES_MAX);
    struct parley_write *write = &batch->writes[batch->count++];
    *write = (struct parley_write){ .kind = kind, .source = source };
    return write;
}

struct parley_span pl_batch_copy(struct pl_node *node, struct parley_span bytes)
{
    struct parley_span copy = { 0 };
    bool room = pl_arena_copy(&filling(node)->arena, bytes, &copy);
    PL_ASSERT(room);
    return copy;
}

void pl_batch_add_version(struct pl_node *node, const struct parley_version *version,
                          uint32_t source)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_VERSION, source);
    struct parley_version *v = &write->u.version;
    const struct pl_batch *batch = filling(node);
    /* Runs share their names: point at the copy of the write before. */
    const struct parley_write *before = batch->count > 1 ? write - 1 : NULL;
    bool run = before != NULL && before->kind == PARLEY_WRITE_VERSION;
    const struct parley_version *b = run ? &before->u.version : NULL;
    *v = *version;
    v->name_space = run && pl_span_equal(b->name_space, version->name_space)
                        ? b->name_space
                        : pl_batch_copy(node, version->name_space);
    v->conversation = run && pl_span_equal(b->conversation, version->conversation)
                          ? b->conversation
                          : pl_batch_copy(node, version->conversation);
    v->origin = run && pl_span_equal(b->origin, version->origin)
                    ? b->origin
                    : pl_batch_copy(node, version->origin);
    v->id = pl_batch_copy(node, version->id);
    v->body = pl_batch_copy(node, version->body);
}

void pl_batch_put_sys(struct pl_node *node, struct parley_span key, struct parley_span value)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_SYS_PUT, 0);
    write->u.sys.key = pl_batch_copy(node, key);
    write->u.sys.value = pl_batch_copy(node, value);
}

void pl_batch_add_sys(struct pl_node *node, struct parley_span key, struct parley_span value)
{
    pl_batch_put_sys(node, key, value);
    pl_batch_commit_soon(node);
}

void pl_batch_del_sys(struct pl_node *node, struct parley_span key)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_SYS_DEL, 0);
    write->u.sys.key = pl_batch_copy(node, key);
    pl_batch_commit_soon(node);
}

void pl_batch_add_line(struct pl_node *node, struct parley_span line)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_LEDGER, 0);
    write->u.line = pl_batch_copy(node, line);
}

uint64_t pl_batch_serial(const struct pl_node *node)
{
    return node->batches[node->filling].serial;
}

size_t pl_batch_count(const struct pl_node *node)
{
    return node->batches[node->filling].count;
}

static bool touches(const struct parley_write *write, const struct parley_version *what)
{
    const struct parley_version *v = &write->u.version;
    /* Which register leaves is known to the store alone; a rebase is rare. */
    if (write->kind == PARLEY_WRITE_TRASH)
        return true;
    if (write->kind != PARLEY_WRITE_VERSION || !pl_span_equal(v->conversation, what->conversation))
        return false;
    bool same = v->kind == what->kind && pl_span_equal(v->id, what->id);
    bool whole = v->kind == PARLEY_KIND_CONVERSATION || v->kind == PARLEY_KIND_PURGE;
    return (same || whole || (int)what->kind == 0) &&
           pl_span_equal(v->name_space, what->name_space);
}

bool pl_batch_touches(const struct pl_node *node, const struct parley_version *what)
{
    for (size_t b = 0; b < 2; b++) {
        const struct pl_batch *batch = &node->batches[b];
        bool open = b == node->filling || node->commit_in_flight;
        for (size_t i = 0; i < batch->count && open; i++)
            if (touches(&batch->writes[i], what))
                return true;
    }
    return false;
}

const struct parley_write *pl_batch_results(const struct pl_node *node)
{
    return node->batches[1 - node->filling].writes;
}

void pl_batch_commit_soon(struct pl_node *node)
{
    struct pl_batch *batch = filling(node);
    node->commit_wanted = true;
    if (node->commit_in_flight || (batch->count == 0 && batch->audit_count == 0))
        return;
    bool has_index = batch->count != 0 && batch->writes[0].kind == PARLEY_WRITE_INDEX;
    if (!has_index && batch->count < PL_BATCH_WRITES_MAX && pl_index_goes_along(node))
        pl_batch_add(node, PARLEY_WRITE_INDEX, 0);
    size_t count = pl_audit_launch(node, batch);
    node->commit_wanted = false;
    node->commit_in_flight = true;
    node->filling = 1 - node->filling;
    struct pl_batch *next = filling(node);
    next->count = 0;
    next->audit_count = 0;
    next->serial = node->next_serial++;
    pl_arena_reset(&next->arena);
    pl_node_effect(node, (struct pl_effect){
                             .kind = PL_EFFECT_COMMIT, .writes = batch->writes, .count = count });
}
