/* SPDX-License-Identifier: Apache-2.0
 *
 * A persistent balanced tree of bytes to bytes, for store_mem.c. Private.
 *
 * A root is an owned reference or NULL for the empty tree. Nodes with one reference all the way
 * from the root are changed in place; shared ones are copied first, so any number of roots can
 * share most of their nodes. Reference counts are plain: one thread.
 */
#ifndef PL_STORE_MEM_TREE_H
#define PL_STORE_MEM_TREE_H

#include "base/span.h"
#include <parley/env.h>

/* An AVL tree of n nodes is at most 1.44 log2(n + 2) high: enough for 2^32 keys. */
#define PL_MEM_HEIGHT_MAX 47

struct pl_mem_node;

/* The path from the root to the current node; depth 0 is no position. Valid while the tree is. */
struct pl_mem_path {
    const struct pl_mem_node *nodes[PL_MEM_HEIGHT_MAX];
    size_t depth;
};

struct pl_mem_node *pl_mem_tree_share(struct pl_mem_node *root);
void pl_mem_tree_drop(const struct parley_env *env, struct pl_mem_node *root);

bool pl_mem_tree_get(const struct pl_mem_node *root, struct parley_span key,
                     struct parley_span *value);
/* Bytes that a pair takes, for the size limit. */
uint64_t pl_mem_tree_pair_bytes(size_t key_len, size_t value_len);

/* Inserts or replaces. On ENOMEM the tree is good only to be dropped. */
PL_MUST_USE parley_err pl_mem_tree_put(const struct parley_env *env, struct pl_mem_node **root,
                                       struct parley_span key, struct parley_span value);
/* Removes a key that is there. ENOMEM as for put. */
PL_MUST_USE parley_err pl_mem_tree_del(const struct parley_env *env, struct pl_mem_node **root,
                                       struct parley_span key);

/* Positions `path`; false, and depth 0, if there is no such key. */
bool pl_mem_path_first(struct pl_mem_path *path, const struct pl_mem_node *root);
bool pl_mem_path_last(struct pl_mem_path *path, const struct pl_mem_node *root);
bool pl_mem_path_at_least(struct pl_mem_path *path, const struct pl_mem_node *root,
                          struct parley_span key);
bool pl_mem_path_next(struct pl_mem_path *path);
bool pl_mem_path_prev(struct pl_mem_path *path);
void pl_mem_path_pair(const struct pl_mem_path *path, struct parley_span *key,
                      struct parley_span *value);

#endif
