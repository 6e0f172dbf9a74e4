/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/claims.h"

#include "power/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 2048
#define FIELDS_MAX 7

static const char *const kinds[] = { "message", "gone", "record", "line", "file" };
static const size_t kind_fields[] = { 3, 2, 1, 1, 1 };

static size_t split(char *line, char *fields[FIELDS_MAX])
{
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at != NULL && count < FIELDS_MAX;)
        fields[count++] = strsep(&at, "\t");
    return count;
}

static void copy_field(char *out, size_t cap, const char *text)
{
    if (strlen(text) >= cap)
        util_fail("claims: %s: is too long", text);
    memcpy(out, text, strlen(text) + 1);
}

static struct claim_target target_of(char *fields[FIELDS_MAX], size_t count)
{
    struct claim_target t = { 0 };
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind], fields[3]) != 0)
        kind++;
    if (kind == sizeof kinds / sizeof kinds[0] || count != 4 + kind_fields[kind])
        util_fail("claims: no such kind, or not its fields: %s", fields[3]);
    t.kind = (enum claim_kind)kind;
    copy_field(t.node, sizeof t.node, fields[2]);
    for (size_t i = 0; i < kind_fields[kind]; i++)
        copy_field(t.name[i], sizeof t.name[i], fields[4 + i]);
    return t;
}

static uint32_t target_number(struct claims *c, const struct claim_target *t)
{
    for (size_t i = 0; i < c->target_count; i++) {
        const struct claim_target *have = &c->targets[i];
        if (have->kind == t->kind && strcmp(have->node, t->node) == 0 &&
            memcmp(have->name, t->name, sizeof t->name) == 0)
            return (uint32_t)i;
    }
    if (c->target_count == c->target_cap) {
        c->target_cap = c->target_cap * 2 + 64;
        c->targets = util_grow(c->targets, c->target_cap * sizeof *c->targets);
    }
    c->targets[c->target_count] = *t;
    return (uint32_t)c->target_count++;
}

static void add_promise(struct claims *c, const struct claim_promise *promise)
{
    if (c->promise_count == c->promise_cap) {
        c->promise_cap = c->promise_cap * 2 + 64;
        c->promises = util_grow(c->promises, c->promise_cap * sizeof *c->promises);
    }
    c->promises[c->promise_count++] = *promise;
}

static int by_op(const void *a, const void *b)
{
    const struct claim_promise *x = a;
    const struct claim_promise *y = b;
    return (x->op > y->op) - (x->op < y->op);
}

void claims_load(struct claims *c, const char *path)
{
    char line[LINE_BYTES];
    char *fields[FIELDS_MAX];
    FILE *file = fopen(path, "r");
    *c = (struct claims){ 0 };
    if (file == NULL)
        util_fail("%s: cannot be read", path);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t count = split(line, fields);
        if (count < 5)
            util_fail("claims: too few fields: %s", fields[0]);
        struct claim_target t = target_of(fields, count);
        struct claim_promise promise = { .op = (uint32_t)strtoul(fields[0], NULL, 10),
                                         .value = (uint32_t)strtoul(fields[1], NULL, 10),
                                         .target = target_number(c, &t) };
        if (promise.op == 0 || promise.value == 0)
            util_fail("claims: an operation is numbered from 1");
        add_promise(c, &promise);
    }
    fclose(file);
    qsort(c->promises, c->promise_count, sizeof *c->promises, by_op);
    for (size_t i = 0; i < c->promise_count; i++)
        c->op_count += i == 0 || c->promises[i].op != c->promises[i - 1].op;
}

bool claims_acknowledge(struct claims *c, uint64_t op)
{
    bool any = false;
    for (size_t i = 0; i < c->promise_count; i++) {
        const struct claim_promise *promise = &c->promises[i];
        if (promise->op != op)
            continue;
        struct claim_target *t = &c->targets[promise->target];
        any = true;
        if (promise->value > t->required) {
            t->required = promise->value;
            t->by = promise->op;
        }
    }
    c->acknowledged += any ? 1u : 0u;
    return any;
}

bool claims_any(const struct claims *c, const char *node)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].required != 0 && strcmp(c->targets[i].node, node) == 0)
            return true;
    return false;
}
