/* SPDX-License-Identifier: Apache-2.0 */
#include "node/growth.h"

#include "core/hash.h"
#include "core/message.h"

#define RETRY_NS (100 * PARLEY_NS_PER_MS)
/* No connection has this handle: the versions are the node's. */
#define NO_CONN (UINT32_MAX - 1)
/* Heads of array, strings, created and map. */
#define BODY_HEADS_BYTES 40u

/* ---- Which ---- */

static struct pl_growth_key key_of(const struct pl_growing *g)
{
    return (struct pl_growth_key){
        .name_space = pl_span_of(g->name_space, g->name_space_len),
        .conversation = pl_span_of(g->conversation, g->conversation_len),
        .id = pl_span_of(g->id, g->id_len),
    };
}

struct pl_growing *pl_growth_find(struct pl_node *node, const struct pl_growth_key *key)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        struct pl_growing *g = node->growing[i];
        if (g == NULL)
            continue;
        struct pl_growth_key own = key_of(g);
        if (pl_span_equal(own.id, key->id) && pl_span_equal(own.conversation, key->conversation) &&
            pl_span_equal(own.name_space, key->name_space))
            return g;
    }
    return NULL;
}

struct pl_growing *pl_growth_named(struct pl_node *node, uint64_t name)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++)
        if (node->growing[i] != NULL && node->growing[i]->name == name)
            return node->growing[i];
    return NULL;
}

/* ---- Life ---- */

void pl_growth_close(struct pl_node *node, struct pl_growing *growing)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++)
        if (node->growing[i] == growing)
            node->growing[i] = NULL;
    pl_out_free(&growing->content);
    pl_out_free(&growing->extra);
    node->env->release(node->env->ud, growing, sizeof *growing);
}

static bool is_busy(const struct pl_growing *g)
{
    return g->dirty || g->serial != 0;
}

/* The one that rests longest, all of it stored; NULL: none does. */
static struct pl_growing *find_resting(const struct pl_node *node, const struct pl_growing *but)
{
    struct pl_growing *oldest = NULL;
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        struct pl_growing *g = node->growing[i];
        if (g != NULL && g != but && !is_busy(g) &&
            (oldest == NULL || g->touched_at < oldest->touched_at))
            oldest = g;
    }
    return oldest;
}

/* A free place, or that of one that rests; NULL: all have something to write. */
static struct pl_growing **find_place(struct pl_node *node)
{
    struct pl_growing *resting = find_resting(node, NULL);
    struct pl_growing **theirs = NULL;
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        if (node->growing[i] == NULL)
            return &node->growing[i];
        if (node->growing[i] == resting)
            theirs = &node->growing[i];
    }
    if (theirs != NULL)
        pl_growth_close(node, resting);
    return theirs;
}

static bool has_room(const struct pl_node *node, size_t more)
{
    size_t total = 0;
    for (size_t i = 0; i < PL_GROWING_MAX; i++)
        total += node->growing[i] == NULL ? 0 : node->growing[i]->content.len;
    return more <= PL_GROWTH_BYTES_MAX && total <= PL_GROWTH_BYTES_MAX - more;
}

/* Closes others that rest, until there is room. */
static bool make_room(struct pl_node *node, size_t more, const struct pl_growing *but)
{
    while (!has_room(node, more)) {
        struct pl_growing *resting = find_resting(node, but);
        if (resting == NULL)
            return false;
        pl_growth_close(node, resting);
    }
    return true;
}

static size_t copy_name(uint8_t *to, struct parley_span from)
{
    if (from.len != 0)
        memcpy(to, from.ptr, from.len);
    return from.len;
}

static PL_MUST_USE parley_err fill(struct pl_growing *g, const struct pl_message *message)
{
    g->role_len = copy_name(g->role, message->role);
    g->created = message->created;
    pl_out_bytes(&g->content, message->content);
    pl_out_bytes(&g->extra, message->extra);
    g->stored = message->content.len;
    return g->content.err != PARLEY_OK ? g->content.err : g->extra.err;
}

parley_err pl_growth_open(struct pl_node *node, const struct pl_growth_key *key,
                          const struct parley_version *stored, struct parley_span role,
                          struct pl_growing **out)
{
    struct pl_message message = { .role = role };
    if (stored != NULL && pl_message_decode(stored->body, &message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    if (!make_room(node, message.content.len, NULL))
        return PARLEY_EFULL;
    struct pl_growing **place = find_place(node);
    if (place == NULL)
        return PARLEY_EAGAIN;
    struct pl_growing *g = node->env->alloc(node->env->ud, sizeof *g);
    if (g == NULL)
        return PARLEY_ENOMEM;
    *g = (struct pl_growing){ .name = ++node->growth_names,
                              .dirty = stored == NULL,
                              .opened_at = node->now.mono,
                              .touched_at = node->now.mono,
                              .flush_at = node->now.mono + PL_GROWTH_WAIT_NS_MIN };
    g->name_space_len = copy_name(g->name_space, key->name_space);
    g->conversation_len = copy_name(g->conversation, key->conversation);
    g->id_len = copy_name(g->id, key->id);
    pl_out_init(&g->content, node->env, &node->buffered_bytes);
    pl_out_init(&g->extra, node->env, &node->buffered_bytes);
    parley_err err = fill(g, &message);
    if (stored != NULL) {
        g->base_time = stored->time;
        g->base_bytes = stored->body.len;
        if (g->created == 0)
            g->created = stored->time;
    }
    *place = g;
    if (err == PARLEY_OK)
        *out = g;
    else
        pl_growth_close(node, g);
    return err;
}

/* ---- Growing ---- */

static parley_time wait_of(const struct pl_growing *g, parley_time now)
{
    parley_time eighth = (now - g->opened_at) / 8;
    return pl_min_u64(pl_max_u64(eighth, PL_GROWTH_WAIT_NS_MIN), PL_GROWTH_WAIT_NS_MAX);
}

parley_err pl_growth_add(struct pl_node *node, struct pl_growing *growing, struct parley_span text)
{
    if (text.len > PARLEY_CONTENT_BYTES_MAX - growing->content.len)
        return PARLEY_ETOOBIG;
    if (!make_room(node, text.len, growing))
        return PARLEY_EFULL;
    parley_err err = pl_out_room(&growing->content, text.len);
    growing->content.err = PARLEY_OK;
    if (err != PARLEY_OK)
        return err;
    growing->touched_at = node->now.mono;
    pl_out_bytes(&growing->content, text);
    if (!growing->dirty && text.len != 0) {
        growing->dirty = true;
        growing->flush_at = node->now.mono + wait_of(growing, node->now.mono);
    }
    size_t waiting = growing->content.len - pl_max_size(growing->stored, growing->flying);
    if (growing->dirty && waiting >= pl_max_size(PL_GROWTH_STEP_BYTES, growing->content.len / 8))
        growing->flush_at = node->now.mono;
    return PARLEY_OK;
}

/* ---- Writing ---- */

static PL_MUST_USE parley_err find_stored(struct pl_node *node, const struct pl_growing *g,
                                          struct parley_version *out, bool *found)
{
    struct pl_growth_key key = key_of(g);
    struct parley_conversation_info info;
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    *found = false;
    if (read == NULL)
        return err;
    PL_TRY(parley_read_conversation(read, key.name_space, key.conversation, &info, found));
    if (*found)
        PL_TRY(parley_read_register(read, info.number, PARLEY_KIND_MESSAGE, key.id, out, found));
    *found = *found && (out->flags & PARLEY_FLAG_TOMBSTONE) == 0;
    return PARLEY_OK;
}

parley_err pl_growth_check(struct pl_node *node, struct pl_growing *growing, bool *good)
{
    struct parley_version v;
    bool found = false;
    /* Until it is committed, what is on its way may be in the snapshot or not. */
    *good = growing->serial != 0;
    if (*good)
        return PARLEY_OK;
    PL_TRY(find_stored(node, growing, &v, &found));
    *good = found == (growing->base_time != 0) &&
            (!found || (v.time == growing->base_time && v.body.len == growing->base_bytes));
    if (!*good)
        pl_growth_close(node, growing);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_version(struct pl_node *node, struct pl_growing *g)
{
    struct pl_growth_key key = key_of(g);
    struct pl_message message = { .role = pl_span_of(g->role, g->role_len),
                                  .content = pl_out_span(&g->content),
                                  .created = g->created,
                                  .extra = pl_out_span(&g->extra) };
    struct pl_out body;
    pl_out_init(&body, node->env, &node->buffered_bytes);
    parley_err err =
        pl_out_room(&body, g->role_len + g->content.len + g->extra.len + BODY_HEADS_BYTES);
    if (err == PARLEY_OK) {
        struct pl_writer w = pl_writer_over(body.ptr, body.cap);
        pl_message_encode(&w, &message);
        PL_ASSERT(w.err == PARLEY_OK);
        struct parley_version v = { .name_space = key.name_space,
                                    .conversation = key.conversation,
                                    .id = key.id,
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .body = pl_writer_span(&w) };
        size_t index = pl_batch_count(node);
        uint64_t serial = pl_batch_serial(node);
        err = pl_large_write(node, NO_CONN, &v, 0);
        if (err == PARLEY_OK) {
            g->index = index;
            g->serial = serial;
            g->flying_bytes = w.len;
        }
    }
    pl_out_free(&body);
    return err == PARLEY_EFULL ? PARLEY_ENOMEM : err;
}

parley_err pl_growth_flush(struct pl_node *node, struct pl_growing *growing)
{
    struct pl_growth_key key = key_of(growing);
    struct parley_version what = { .name_space = key.name_space,
                                   .conversation = key.conversation,
                                   .id = key.id,
                                   .kind = PARLEY_KIND_MESSAGE };
    bool good = false;
    if (growing->serial != 0 || pl_batch_touches(node, &what)) {
        if (pl_batch_count(node) != 0)
            pl_batch_commit_soon(node);
        return PARLEY_EAGAIN;
    }
    PL_TRY(pl_growth_check(node, growing, &good));
    if (!good)
        return PARLEY_ESTATE;
    parley_err err = write_version(node, growing);
    if (err == PARLEY_OK) {
        growing->flying = growing->content.len;
        growing->dirty = false;
    }
    if (err == PARLEY_OK || (err == PARLEY_EAGAIN && pl_batch_count(node) != 0))
        pl_batch_commit_soon(node);
    return err;
}

/* ---- The node's turns ---- */

parley_time pl_growth_deadline(const struct pl_node *node)
{
    parley_time at = PARLEY_TIME_NEVER;
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        const struct pl_growing *g = node->growing[i];
        if (g == NULL || g->serial != 0)
            continue;
        at = pl_min_u64(at, g->dirty ? g->flush_at : g->touched_at + PL_GROWTH_IDLE_NS);
    }
    return at;
}

static void flush_due(struct pl_node *node, struct pl_growing *g)
{
    /* After another error than ESTATE it is tried again; appends go on until memory is full. */
    parley_err err = pl_growth_flush(node, g);
    if (err != PARLEY_OK && err != PARLEY_ESTATE)
        g->flush_at = node->now.mono + RETRY_NS;
}

void pl_growth_tick(struct pl_node *node)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        struct pl_growing *g = node->growing[i];
        if (g == NULL || g->serial != 0)
            continue;
        if (g->dirty && node->now.mono >= g->flush_at)
            flush_due(node, g);
        else if (!g->dirty && node->now.mono >= g->touched_at + PL_GROWTH_IDLE_NS)
            pl_growth_close(node, g);
    }
}

static void land(struct pl_node *node, struct pl_growing *g)
{
    const struct parley_write *write = &pl_batch_results(node)[g->index];
    g->base_time = write->stamped_time;
    g->base_bytes = g->flying_bytes;
    if (g->created == 0)
        g->created = write->stamped_time;
    g->stored = g->flying;
    g->flying = 0;
    g->serial = 0;
    g->flush_at = pl_max_u64(g->flush_at, node->now.mono);
}

void pl_growth_committed(struct pl_node *node, parley_err err)
{
    uint64_t serial = node->batches[1 - node->filling].serial;
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        struct pl_growing *g = node->growing[i];
        if (g == NULL || g->serial != serial)
            continue;
        if (err == PARLEY_OK)
            land(node, g);
        else
            pl_growth_close(node, g);
    }
}

void pl_growth_stop(struct pl_node *node)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++) {
        struct pl_growing *g = node->growing[i];
        if (g != NULL && g->dirty && g->serial == 0)
            flush_due(node, g);
    }
}

void pl_growth_free(struct pl_node *node)
{
    for (size_t i = 0; i < PL_GROWING_MAX; i++)
        if (node->growing[i] != NULL)
            pl_growth_close(node, node->growing[i]);
}
