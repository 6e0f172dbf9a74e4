/* SPDX-License-Identifier: Apache-2.0
 *
 * Large versions on their way in. A slot is assembling (conn set), or waits for its batch (serial
 * set), or is free. The memory counts against the node's buffer budget.
 */
#include "node/node_int.h"
#include "node/out.h"

static void release_slot(struct pl_node *node, struct pl_large *slot)
{
    node->env->release(node->env->ud, slot->ptr, slot->size);
    node->buffered_bytes -= slot->size;
    *slot = (struct pl_large){ 0 };
}

static struct pl_large *find_slot(struct pl_node *node, pl_conn conn)
{
    for (size_t i = 0; i < PL_LARGE_MAX; i++) {
        struct pl_large *slot = &node->large[i];
        if (slot->ptr != NULL && slot->serial == 0 && slot->conn == conn)
            return slot;
    }
    return NULL;
}

/* A free slot, or one whose sender has stalled: its next piece is then out of place, and it begins
 * anew in another session. */
static struct pl_large *find_place(struct pl_node *node)
{
    for (size_t i = 0; i < PL_LARGE_MAX; i++) {
        if (node->large[i].ptr == NULL)
            return &node->large[i];
    }
    for (size_t i = 0; i < PL_LARGE_MAX; i++) {
        struct pl_large *slot = &node->large[i];
        if (slot->serial == 0 && node->now.mono > slot->touched_at + PL_LARGE_STALL_NS) {
            release_slot(node, slot);
            return slot;
        }
    }
    return NULL;
}

static struct parley_span copy_behind(struct pl_large *slot, size_t *at, struct parley_span bytes)
{
    uint8_t *to = slot->ptr + *at;
    if (bytes.len != 0)
        memcpy(to, bytes.ptr, bytes.len);
    *at += bytes.len;
    return pl_span_of(to, bytes.len);
}

static parley_err begin_slot(struct pl_node *node, pl_conn conn, const struct pl_part *part,
                             struct pl_large **out)
{
    const struct parley_version *v = &part->version;
    size_t size = part->total + v->name_space.len + v->conversation.len + v->id.len + v->origin.len;
    struct pl_large *slot = find_place(node);
    if (slot == NULL || !pl_out_may_hold(size, node->buffered_bytes))
        return PARLEY_EAGAIN;
    uint8_t *ptr = node->env->alloc(node->env->ud, size);
    if (ptr == NULL)
        return PARLEY_ENOMEM;
    node->buffered_bytes += size;
    *slot = (struct pl_large){ .ptr = ptr, .size = size, .conn = conn, .version = *v };
    size_t at = part->total;
    slot->version.name_space = copy_behind(slot, &at, v->name_space);
    slot->version.conversation = copy_behind(slot, &at, v->conversation);
    slot->version.id = copy_behind(slot, &at, v->id);
    slot->version.origin = copy_behind(slot, &at, v->origin);
    slot->version.body = pl_span_of(ptr, part->total);
    *out = slot;
    return PARLEY_OK;
}

parley_err pl_large_take(struct pl_node *node, pl_conn conn, const struct pl_part *part,
                         struct pl_large **out, bool *complete)
{
    struct pl_large *slot = find_slot(node, conn);
    *complete = false;
    if (part->total == 0) { /* The sender gave it up: a newer version took its place. */
        if (slot != NULL)
            release_slot(node, slot);
        return PARLEY_OK;
    }
    if (part->offset == 0) {
        if (slot != NULL)
            return PARLEY_EPROTO;
        PL_TRY(begin_slot(node, conn, part, &slot));
    }
    if (slot == NULL || part->offset != slot->len || part->total != slot->version.body.len)
        return PARLEY_EPROTO;
    if (part->bytes.len != 0)
        memcpy(slot->ptr + slot->len, part->bytes.ptr, part->bytes.len);
    slot->len += part->bytes.len;
    slot->touched_at = node->now.mono;
    if (slot->len < part->total)
        return PARLEY_OK;
    if (parley_version_check(&slot->version, NULL) != PARLEY_OK) {
        release_slot(node, slot);
        return PARLEY_EPROTO;
    }
    *out = slot;
    *complete = true;
    return PARLEY_OK;
}

void pl_large_hand_over(struct pl_large *large, uint64_t serial)
{
    large->conn = 0;
    large->serial = serial;
}

static parley_err add_large(struct pl_node *node, pl_conn conn,
                            const struct parley_version *version, uint32_t source)
{
    struct pl_part part = { .version = *version, .total = version->body.len };
    part.bytes = version->body;
    part.version.body = pl_span_of(NULL, 0);
    struct pl_large *large = NULL;
    bool complete = false;
    PL_TRY(pl_large_take(node, conn, &part, &large, &complete));
    PL_ASSERT(complete);
    pl_batch_add(node, PARLEY_WRITE_VERSION, source)->u.version = large->version;
    pl_large_hand_over(large, pl_batch_serial(node));
    return PARLEY_OK;
}

parley_err pl_large_write(struct pl_node *node, pl_conn conn, const struct parley_version *version,
                          uint32_t source)
{
    bool is_large = version->body.len > PL_LARGE_BYTES_MIN;
    size_t names =
        version->name_space.len + version->conversation.len + version->id.len + version->origin.len;
    if (!pl_batch_has_room(node, 1, names + (is_large ? 0 : version->body.len)))
        return PARLEY_EAGAIN;
    if (is_large)
        return add_large(node, conn, version, source);
    pl_batch_add_version(node, version, source);
    return PARLEY_OK;
}

void pl_large_committed(struct pl_node *node, uint64_t serial)
{
    for (size_t i = 0; i < PL_LARGE_MAX; i++) {
        if (node->large[i].ptr != NULL && node->large[i].serial == serial)
            release_slot(node, &node->large[i]);
    }
}

void pl_large_drop(struct pl_node *node, pl_conn conn)
{
    struct pl_large *slot = find_slot(node, conn);
    if (slot != NULL)
        release_slot(node, slot);
}
