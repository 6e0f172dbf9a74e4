/* SPDX-License-Identifier: Apache-2.0
 *
 * The persistent AVL tree of the memory store. Invariants:
 *   T1  Keys of the left subtree are smaller, of the right greater.
 *   T2  Heights of two siblings differ by at most one, except in a tree whose change failed.
 *   T3  A node is written only if every node from the root to it has exactly one reference.
 */
#include "store/store_mem_tree.h"

/* A key with its value; shared by copies of a node. */
struct item {
    uint64_t refs;
    size_t key_len;
    size_t value_len;
    uint8_t bytes[];
};

enum side { LEFT = 0, RIGHT = 1 };

struct pl_mem_node {
    uint64_t refs;
    int height;
    struct pl_mem_node *kids[2];
    struct item *item;
};

static struct parley_span item_key(const struct item *item)
{
    return pl_span_of(item->bytes, item->key_len);
}

static struct parley_span item_value(const struct item *item)
{
    return pl_span_of(item->bytes + item->key_len, item->value_len);
}

static struct item *item_make(const struct parley_env *env, struct parley_span key,
                              struct parley_span value)
{
    struct item *item = env->alloc(env->ud, sizeof *item + key.len + value.len);
    if (item == NULL)
        return NULL;
    *item = (struct item){ .refs = 1, .key_len = key.len, .value_len = value.len };
    memcpy(item->bytes, key.ptr, key.len);
    if (value.len != 0)
        memcpy(item->bytes + key.len, value.ptr, value.len);
    return item;
}

static void item_drop(const struct parley_env *env, struct item *item)
{
    PL_ASSERT(item->refs > 0);
    item->refs--;
    if (item->refs == 0)
        env->release(env->ud, item, sizeof *item + item->key_len + item->value_len);
}

uint64_t pl_mem_tree_pair_bytes(size_t key_len, size_t value_len)
{
    return (uint64_t)sizeof(struct pl_mem_node) + sizeof(struct item) + key_len + value_len;
}

struct pl_mem_node *pl_mem_tree_share(struct pl_mem_node *root)
{
    if (root != NULL)
        root->refs++;
    return root;
}

void pl_mem_tree_drop(const struct parley_env *env, struct pl_mem_node *root)
{
    if (root == NULL)
        return;
    PL_ASSERT(root->refs > 0);
    root->refs--;
    if (root->refs != 0)
        return;
    pl_mem_tree_drop(env, root->kids[LEFT]); /* as deep as the tree is high */
    pl_mem_tree_drop(env, root->kids[RIGHT]);
    item_drop(env, root->item);
    env->release(env->ud, root, sizeof *root);
}

bool pl_mem_tree_get(const struct pl_mem_node *root, struct parley_span key,
                     struct parley_span *value)
{
    while (root != NULL) {
        int order = pl_span_compare(key, item_key(root->item));
        if (order == 0) {
            *value = item_value(root->item);
            return true;
        }
        root = root->kids[order < 0 ? LEFT : RIGHT];
    }
    return false;
}

/* ---- Changing ---- */

/* Makes the node in `slot` ours alone to write (T3), by copying it if others share it. */
static parley_err own(const struct parley_env *env, struct pl_mem_node **slot)
{
    struct pl_mem_node *old = *slot;
    if (old->refs == 1)
        return PARLEY_OK;
    struct pl_mem_node *copy = env->alloc(env->ud, sizeof *copy);
    if (copy == NULL)
        return PARLEY_ENOMEM;
    *copy = *old;
    copy->refs = 1;
    copy->item->refs++;
    pl_mem_tree_share(copy->kids[LEFT]);
    pl_mem_tree_share(copy->kids[RIGHT]);
    old->refs--;
    *slot = copy;
    return PARLEY_OK;
}

static int height_of(const struct pl_mem_node *node)
{
    return node == NULL ? 0 : node->height;
}

static void measure(struct pl_mem_node *node)
{
    int left = height_of(node->kids[LEFT]);
    int right = height_of(node->kids[RIGHT]);
    node->height = (left > right ? left : right) + 1;
}

/* Lifts the child on side `up` above the node in `slot`. Both are ours. */
static void rotate(struct pl_mem_node **slot, enum side up)
{
    struct pl_mem_node *node = *slot;
    struct pl_mem_node *child = node->kids[up];
    node->kids[up] = child->kids[!up];
    child->kids[!up] = node;
    measure(node);
    measure(child);
    *slot = child;
}

/* Restores T2 at a node of ours whose subtrees differ by at most two. */
static parley_err balance(const struct parley_env *env, struct pl_mem_node **slot)
{
    struct pl_mem_node *node = *slot;
    int lean = height_of(node->kids[RIGHT]) - height_of(node->kids[LEFT]);
    measure(node);
    if (lean >= -1 && lean <= 1)
        return PARLEY_OK;
    enum side tall = lean > 0 ? RIGHT : LEFT;
    PL_TRY(own(env, &node->kids[tall]));
    struct pl_mem_node *child = node->kids[tall];
    if (height_of(child->kids[!tall]) > height_of(child->kids[tall])) {
        PL_TRY(own(env, &child->kids[!tall]));
        rotate(&node->kids[tall], !tall);
    }
    rotate(slot, tall);
    return PARLEY_OK;
}

/* The slots from the root to where a key is or belongs; every node above the last is ours. */
struct trail {
    struct pl_mem_node **slots[PL_MEM_HEIGHT_MAX + 1];
    size_t count;
};

static void trail_push(struct trail *t, struct pl_mem_node **slot)
{
    PL_ASSERT(t->count < PL_ARRAY_LEN(t->slots));
    t->slots[t->count++] = slot;
}

/* Walks down, owning each node, until the key or an empty slot. */
static parley_err trail_find(const struct parley_env *env, struct pl_mem_node **root,
                             struct parley_span key, struct trail *t)
{
    struct pl_mem_node **slot = root;
    t->count = 0;
    trail_push(t, slot);
    while (*slot != NULL) {
        PL_TRY(own(env, slot));
        int order = pl_span_compare(key, item_key((*slot)->item));
        if (order == 0)
            return PARLEY_OK;
        slot = &(*slot)->kids[order < 0 ? LEFT : RIGHT];
        trail_push(t, slot);
    }
    return PARLEY_OK;
}

/* Balances from the end of the trail up. A rotation replaces what is in a slot, not the slots
 * above it. */
static parley_err trail_balance(const struct parley_env *env, struct trail *t)
{
    for (size_t i = t->count; i > 0; i--) {
        if (*t->slots[i - 1] != NULL)
            PL_TRY(balance(env, t->slots[i - 1]));
    }
    return PARLEY_OK;
}

parley_err pl_mem_tree_put(const struct parley_env *env, struct pl_mem_node **root,
                           struct parley_span key, struct parley_span value)
{
    struct trail t;
    PL_TRY(trail_find(env, root, key, &t));
    struct item *item = item_make(env, key, value);
    if (item == NULL)
        return PARLEY_ENOMEM;
    struct pl_mem_node **slot = t.slots[t.count - 1];
    if (*slot != NULL) {
        item_drop(env, (*slot)->item);
        (*slot)->item = item;
        return PARLEY_OK;
    }
    struct pl_mem_node *node = env->alloc(env->ud, sizeof *node);
    if (node == NULL) {
        item_drop(env, item);
        return PARLEY_ENOMEM;
    }
    *node = (struct pl_mem_node){ .refs = 1, .height = 1, .item = item };
    *slot = node;
    return trail_balance(env, &t);
}

parley_err pl_mem_tree_del(const struct parley_env *env, struct pl_mem_node **root,
                           struct parley_span key)
{
    struct trail t;
    PL_TRY(trail_find(env, root, key, &t));
    struct pl_mem_node *node = *t.slots[t.count - 1];
    PL_ASSERT(node != NULL);
    if (node->kids[LEFT] != NULL && node->kids[RIGHT] != NULL) {
        /* The next greater pair takes its place, and the node that held that one goes. */
        struct pl_mem_node **slot = &node->kids[RIGHT];
        for (;;) {
            trail_push(&t, slot);
            PL_TRY(own(env, slot));
            if ((*slot)->kids[LEFT] == NULL)
                break;
            slot = &(*slot)->kids[LEFT];
        }
        struct item *gone = node->item;
        node->item = (*slot)->item;
        (*slot)->item = gone;
    }
    struct pl_mem_node **slot = t.slots[t.count - 1];
    struct pl_mem_node *last = *slot;
    enum side kid = last->kids[LEFT] != NULL ? LEFT : RIGHT;
    *slot = last->kids[kid];
    last->kids[kid] = NULL;
    pl_mem_tree_drop(env, last);
    t.count--;
    return trail_balance(env, &t);
}

/* ---- Walking ---- */

static void path_push(struct pl_mem_path *path, const struct pl_mem_node *node)
{
    PL_ASSERT(path->depth < PL_MEM_HEIGHT_MAX);
    path->nodes[path->depth++] = node;
}

static bool path_descend(struct pl_mem_path *path, const struct pl_mem_node *node, enum side side)
{
    for (; node != NULL; node = node->kids[side])
        path_push(path, node);
    return path->depth != 0;
}

bool pl_mem_path_first(struct pl_mem_path *path, const struct pl_mem_node *root)
{
    path->depth = 0;
    return path_descend(path, root, LEFT);
}

bool pl_mem_path_last(struct pl_mem_path *path, const struct pl_mem_node *root)
{
    path->depth = 0;
    return path_descend(path, root, RIGHT);
}

bool pl_mem_path_at_least(struct pl_mem_path *path, const struct pl_mem_node *root,
                          struct parley_span key)
{
    size_t best = 0;
    path->depth = 0;
    while (root != NULL) {
        path_push(path, root);
        int order = pl_span_compare(key, item_key(root->item));
        if (order <= 0)
            best = path->depth;
        if (order == 0)
            break;
        root = root->kids[order < 0 ? LEFT : RIGHT];
    }
    path->depth = best;
    return best != 0;
}

/* One step towards `side`: the nearest node down there, else the nearest ancestor on that side. */
static bool path_step(struct pl_mem_path *path, enum side side)
{
    PL_ASSERT(path->depth > 0);
    const struct pl_mem_node *node = path->nodes[path->depth - 1];
    if (node->kids[side] != NULL)
        return path_descend(path, node->kids[side], !side);
    while (path->depth > 1) {
        path->depth--;
        const struct pl_mem_node *parent = path->nodes[path->depth - 1];
        if (parent->kids[!side] == node)
            return true;
        node = parent;
    }
    path->depth = 0;
    return false;
}

bool pl_mem_path_next(struct pl_mem_path *path)
{
    return path_step(path, RIGHT);
}

bool pl_mem_path_prev(struct pl_mem_path *path)
{
    return path_step(path, LEFT);
}

void pl_mem_path_pair(const struct pl_mem_path *path, struct parley_span *key,
                      struct parley_span *value)
{
    PL_ASSERT(path->depth > 0);
    const struct item *item = path->nodes[path->depth - 1]->item;
    *key = item_key(item);
    *value = item_value(item);
}
