/* SPDX-License-Identifier: Apache-2.0 */
#include "power/plan.h"

#include "base/rng.h"

#define SUBSETS_MAX_UNITS 7 /* 128 subsets: below what the classes would give */
#define DIR_VARIANTS      8
#define ANSWER_IMAGES     4

/* Classes of images when all subsets are too many, after the two of nothing and everything. */
enum group { ALL_BUT_ONE, ONE_ALONE, PREFIX, RANDOM };

static uint64_t group_size(const struct plan_options *o, uint64_t n, enum group group)
{
    uint64_t most = group == PREFIX ? n - 3 : n; /* prefixes of 2 to n - 2: the others are there */
    if (group == RANDOM)
        return o->random;
    return o->per_class == 0 || most < o->per_class ? most : o->per_class;
}

uint64_t plan_count(const struct plan_options *options, const struct model_file *focus)
{
    if (focus == NULL)
        return ANSWER_IMAGES;
    if (focus->is_dir)
        return focus->change_count == 0 ? 0 : (focus->change_count + 1) * DIR_VARIANTS;
    uint64_t n = focus->unit_count;
    if (n == 0)
        return 0;
    if (n <= SUBSETS_MAX_UNITS)
        return UINT64_C(1) << n;
    uint64_t count = 2;
    for (enum group group = ALL_BUT_ONE; group <= RANDOM; group++)
        count += group_size(options, n, group);
    return count;
}

static void choose_bits(struct model_file *file, uint64_t bits)
{
    for (size_t i = 0; i < file->unit_count; i++)
        file->units[i].chosen = (bits >> i & 1) != 0;
}

static void choose_each(struct model_file *file, bool chosen)
{
    for (size_t i = 0; i < file->unit_count; i++)
        file->units[i].chosen = chosen;
}

/* Half of the units, few or most of them: ways in which a cache may have been flushed. */
static void choose_random(struct model_file *file, struct pl_rng *rng)
{
    static const uint64_t of_16[] = { 8, 2, 14 };
    uint64_t share = of_16[pl_rng_below(rng, 3)];
    for (size_t i = 0; i < file->unit_count; i++)
        file->units[i].chosen = pl_rng_below(rng, 16) < share;
}

/* The k-th of `of` that are spread over n, begun at a place that the crash point decides. */
static uint64_t spread(uint64_t k, uint64_t of, uint64_t n, uint64_t point)
{
    return of == n ? k : (k * n / of + point) % n;
}

static void choose_group(const struct plan_options *o, struct model_file *focus, uint64_t point,
                         uint64_t image, struct pl_rng *rng)
{
    uint64_t n = focus->unit_count;
    uint64_t k = image - 2;
    enum group group = ALL_BUT_ONE;
    while (group < RANDOM && k >= group_size(o, n, group)) {
        k -= group_size(o, n, group);
        group++;
    }
    uint64_t size = group_size(o, n, group);
    switch (group) {
    case ALL_BUT_ONE:
        choose_each(focus, true);
        focus->units[spread(k, size, n, point)].chosen = false;
        break;
    case ONE_ALONE:
        choose_each(focus, false);
        focus->units[spread(k, size, n, point)].chosen = true;
        break;
    case PREFIX:
        choose_each(focus, false);
        for (uint64_t i = 0; i < 2 + spread(k, size, n - 3, point); i++)
            focus->units[i].chosen = true;
        break;
    case RANDOM:
        choose_random(focus, rng);
        break;
    }
}

static void choose_focus(const struct plan_options *o, struct model_file *focus, uint64_t point,
                         uint64_t image, struct pl_rng *rng)
{
    uint64_t n = focus->unit_count;
    focus->tail = (enum model_tail)pl_rng_below(rng, MODEL_TAIL_COUNT);
    if (focus->is_dir)
        model_choose_changes(focus, image / DIR_VARIANTS);
    else if (image <= 1)
        choose_each(focus, image == 1);
    else if (n <= SUBSETS_MAX_UNITS) /* 1 and the last change places: image 1 is everything */
        choose_bits(focus, image == (UINT64_C(1) << n) - 1 ? 1 : image);
    else
        choose_group(o, focus, point, image, rng);
}

static void choose_other(struct model_file *file, uint64_t image, struct pl_rng *rng)
{
    uint64_t way = image <= 1 ? image : pl_rng_below(rng, 3);
    file->tail = (enum model_tail)pl_rng_below(rng, MODEL_TAIL_COUNT);
    if (way <= 1) {
        choose_each(file, way == 1);
        model_choose_changes(file, way == 1 ? file->change_count : 0);
        return;
    }
    choose_random(file, rng);
    model_choose_changes(file, (size_t)pl_rng_below(rng, file->change_count + 1));
}

uint64_t plan_choose(const struct plan_options *options, struct model *m, uint32_t node,
                     struct model_file *focus, uint64_t point, uint64_t image)
{
    struct pl_rng rng;
    pl_rng_init(&rng, options->seed * UINT64_C(0x9e3779b97f4a7c15) + (point << 24) + image);
    /* Of a directory each number of changes has its own images 0 and 1. */
    uint64_t variant = focus != NULL && focus->is_dir ? image % DIR_VARIANTS : image;
    for (uint32_t i = 0; i < m->file_count; i++) {
        struct model_file *file = &m->files[i];
        if (file == focus || (file->unit_count == 0 && file->change_count == 0))
            continue;
        if (file->node == node || file->inode == m->root)
            choose_other(file, variant, &rng);
    }
    if (focus != NULL)
        choose_focus(options, focus, point, image, &rng);
    return pl_rng_u64(&rng);
}
