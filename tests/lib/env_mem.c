/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/env_mem.h"

static struct env_mem_slot *find_slot(struct env_mem *m, const char *name)
{
    for (size_t i = 0; i < ENV_MEM_STORES_MAX; i++)
        if (m->slots[i].store != NULL && strcmp(m->slots[i].name, name) == 0)
            return &m->slots[i];
    return NULL;
}

/* The store stays; only a real close (deinit) ends it. */
static void keep_open(struct parley_store *s)
{
    (void)s;
}

static struct env_mem_slot *add_slot(struct env_mem *m, const char *name,
                                     struct parley_store *store)
{
    for (size_t i = 0; i < ENV_MEM_STORES_MAX; i++) {
        struct env_mem_slot *slot = &m->slots[i];
        if (slot->store != NULL)
            continue;
        assert_true(strlen(name) < sizeof slot->name);
        memcpy(slot->name, name, strlen(name) + 1);
        slot->store = store;
        slot->ops = store->ops;
        slot->kept = *store->ops;
        slot->kept.close = keep_open;
        store->ops = &slot->kept;
        return slot;
    }
    fail_msg("more stores than ENV_MEM_STORES_MAX");
    return NULL;
}

static uint64_t next_place(const struct env_mem *m)
{
    uint64_t place = 1;
    for (size_t i = 0; i < ENV_MEM_STORES_MAX; i++)
        place += m->slots[i].store != NULL ? 1 : 0;
    return place;
}

static parley_err open_store(void *ud, const char *name, struct parley_store **out,
                             struct parley_diag *diag)
{
    struct env_mem *m = ud;
    struct env_mem_slot *slot = find_slot(m, name);
    (void)diag;
    if (slot == NULL) {
        struct parley_store *store;
        PL_TRY(pl_store_mem_open(&m->t.env, next_place(m), 0, &store));
        slot = add_slot(m, name, store);
    }
    *out = slot->store;
    return PARLEY_OK;
}

void env_mem_init(struct env_mem *m)
{
    memset(m, 0, sizeof *m);
    test_env_init(&m->t);
    m->t.env.store_open = open_store;
}

void env_mem_deinit(struct env_mem *m)
{
    for (size_t i = 0; i < ENV_MEM_STORES_MAX; i++) {
        struct env_mem_slot *slot = &m->slots[i];
        if (slot->store == NULL)
            continue;
        slot->store->ops = slot->ops;
        slot->ops->close(slot->store);
        slot->store = NULL;
    }
    assert_int_equal(0, m->t.allocs);
}

struct parley_store *env_mem_store(struct env_mem *m, const char *name)
{
    struct env_mem_slot *slot = find_slot(m, name);
    assert_non_null(slot);
    return slot->store;
}

void env_mem_copy(struct env_mem *m, const char *from, const char *to)
{
    struct parley_store *copy;
    assert_ok(pl_store_mem_clone(env_mem_store(m, from), 1000 + next_place(m), &copy));
    add_slot(m, to, copy);
}
