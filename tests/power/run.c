/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/run.h"

#include "power/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKETS_MAX    4096
#define POINT_SECONDS  120 /* for all images of one crash point; a store that hangs is killed */
#define STATUS_GOOD(s) ((s) >= 200 && (s) < 300)

/* The operation that was asked for last over a socket of a process. */
struct asked {
    uint32_t pid, fd;
    uint64_t op;
};

struct pass {
    const struct run_options *o;
    struct model model;
    struct claims *claims;
    struct judge *judge;
    struct run_shared *shared;
    struct slot slots[MODEL_NODES_MAX];
    bool has_slot[MODEL_NODES_MAX];
    struct asked asked[SOCKETS_MAX];
    size_t asked_count;
    uint64_t point; /* the next */
    bool resumes;   /* behind this image, which ended the process before */
    uint64_t from_point, from_image;
};

bool run_next(const struct run_log *log, size_t *at, struct power_record *record,
              const uint8_t **data)
{
    if (log->len - *at < sizeof *record)
        return false;
    memcpy(record, log->bytes + *at, sizeof *record);
    if (record->magic != POWER_LOG_MAGIC || log->len - *at - sizeof *record < record->len)
        util_fail("the log is damaged at byte %zu", *at);
    *data = log->bytes + *at + sizeof *record;
    *at += sizeof *record + record->len;
    return true;
}

void run_note_failure(struct run_shared *shared, const struct run_failure *failure)
{
    shared->count[failure->verdict.kind]++;
    if (shared->failures < RUN_FAILURES_MAX)
        shared->first[shared->failures] = *failure;
    shared->failures++;
}

bool run_is_over(const struct run_options *options, const struct run_shared *shared)
{
    uint64_t count =
        options->wanted == JUDGE_OK ? shared->failures : shared->count[options->wanted];
    return count >= options->failures_max;
}

/* ---- One image ---- */

static struct slot *slot_of(struct pass *p, uint32_t node)
{
    char path[SLOT_PATH_BYTES];
    char name[32];
    if (!p->has_slot[node]) {
        snprintf(name, sizeof name, "job%u-node%u", p->o->job, node);
        util_path(path, sizeof path, p->o->work, name);
        slot_init(&p->slots[node], node, path);
        p->has_slot[node] = true;
    }
    return &p->slots[node];
}

static void keep_image(struct pass *p, uint32_t node)
{
    if (mkdir(p->o->keep, 0700) != 0 && errno != EEXIST)
        util_fail("%s: %s", p->o->keep, strerror(errno));
    util_empty_dir(p->o->keep);
    model_write(&p->model, node, p->o->keep);
}

/* Images 0 and 1 of a crash point say what the others may be: all of what was pending, or nothing
 * of it. An image of a directory's sync may also be that of a store which was never made. */
struct allowed {
    uint64_t content[3];
    size_t count;
};

static void try_image(struct pass *p, uint32_t node, struct model_file *focus, uint64_t image,
                      struct allowed *allowed, struct judge_verdict *out)
{
    struct slot *slot = slot_of(p, node);
    uint64_t draw = plan_choose(&p->o->plan, &p->model, node, focus, p->point, image);
    struct judge_ask ask = { .dir = slot->dir,
                             .node = p->model.nodes[node],
                             .allowed = allowed->content,
                             .allowed_count = image <= 1 ? 0 : allowed->count,
                             .deep = p->o->deep != 0 && draw % p->o->deep == 0 };
    if (p->o->only && p->o->keep != NULL && image == p->o->only_image)
        keep_image(p, node);
    slot_put(slot, &p->model, p->point * MODEL_NODES_MAX + node);
    judge_image(p->judge, &ask, out);
    slot_take_back(slot);
    p->shared->deep += ask.deep ? 1u : 0u;
    if (image <= 1 && out->kind != JUDGE_OPEN)
        allowed->content[allowed->count++] = out->content;
}

static bool is_wanted(const struct pass *p, uint64_t image)
{
    if (p->o->only)
        return p->point == p->o->only_point && image == p->o->only_image;
    return !p->resumes || p->point > p->from_point || image > p->from_image;
}

static void count_image(struct pass *p, uint32_t node, uint64_t image,
                        const struct judge_verdict *verdict)
{
    struct run_failure failure = {
        .point = p->point, .image = image, .node = node, .verdict = *verdict
    };
    p->shared->images++;
    if (verdict->kind == JUDGE_OK)
        p->shared->count[JUDGE_OK]++;
    else
        run_note_failure(p->shared, &failure);
}

static void try_images(struct pass *p, uint32_t node, struct model_file *focus)
{
    uint64_t count = plan_count(&p->o->plan, focus);
    struct allowed allowed = { 0 };
    if (focus != NULL && focus->is_dir)
        allowed.content[allowed.count++] = p->judge->nothing;
    alarm(POINT_SECONDS);
    for (uint64_t image = 0; image < count; image++) {
        struct judge_verdict verdict;
        /* After a restart the first two are needed again for what they allow. */
        if (!is_wanted(p, image) && image > 1)
            continue;
        p->shared->point = p->point;
        p->shared->image = image;
        p->shared->node = node;
        try_image(p, node, focus, image, &allowed, &verdict);
        if (is_wanted(p, image))
            count_image(p, node, image, &verdict);
        if (run_is_over(p->o, p->shared))
            break;
    }
    alarm(0);
}

static void crash_point(struct pass *p, uint32_t node, struct model_file *focus)
{
    bool mine = p->point % p->o->jobs == p->o->job;
    if (p->o->only)
        mine = p->point == p->o->only_point;
    else if (p->resumes && p->point < p->from_point)
        mine = false;
    /* Without images 0 and 1 there is nothing to measure the others by. */
    else if (p->resumes && p->point == p->from_point && p->from_image <= 1)
        mine = false;
    if (mine && !run_is_over(p->o, p->shared)) {
        p->shared->points++;
        try_images(p, node, focus);
    }
    p->point++;
}

/* ---- Requests and answers ---- */

static struct asked *asked_of(struct pass *p, const struct power_record *record)
{
    for (size_t i = 0; i < p->asked_count; i++)
        if (p->asked[i].pid == record->pid && p->asked[i].fd == record->flags)
            return &p->asked[i];
    if (p->asked_count == SOCKETS_MAX)
        util_fail("more than %d sockets", SOCKETS_MAX);
    p->asked[p->asked_count] = (struct asked){ .pid = record->pid, .fd = record->flags };
    return &p->asked[p->asked_count++];
}

static void acknowledged(struct pass *p, uint64_t op)
{
    if (op == 0 || !claims_acknowledge(p->claims, op))
        return;
    for (uint32_t node = 0; node < p->model.node_count; node++)
        if (claims_any(p->claims, p->model.nodes[node]))
            crash_point(p, node, NULL);
}

static void take_talk(struct pass *p, const struct power_record *record)
{
    struct asked *asked = asked_of(p, record);
    if (record->type == POWER_ASK) {
        asked->op = record->offset;
        if (p->o->early)
            acknowledged(p, asked->op);
        return;
    }
    if (!p->o->early && STATUS_GOOD(record->offset))
        acknowledged(p, asked->op);
    asked->op = 0;
}

/* ---- The log ---- */

static void take_record(struct pass *p, const struct power_record *record, const uint8_t *data)
{
    if (record->type == POWER_ASK || record->type == POWER_ANSWER) {
        take_talk(p, record);
        return;
    }
    model_take(&p->model, record, data);
    struct model_file *file = model_synced(&p->model, record);
    if (file == NULL)
        return;
    /* The directory that holds all nodes: a crash of the newest of them. */
    uint32_t node = file->inode == p->model.root ? p->model.node_count - 1 : file->node;
    if (p->model.node_count != 0)
        crash_point(p, node, file);
    model_sync(&p->model, record);
}

void run_log_through(const struct run_options *options, const struct run_log *log,
                     struct claims *claims, struct judge *judge, struct run_shared *shared)
{
    static struct pass pass;
    pass = (struct pass){ .o = options,
                          .claims = claims,
                          .judge = judge,
                          .shared = shared,
                          .resumes = shared->point != UINT64_MAX,
                          .from_point = shared->point,
                          .from_image = shared->image };
    struct power_record record;
    const uint8_t *data;
    size_t at = 0;
    model_init(&pass.model, options->tear, options->plant);
    while (run_next(log, &at, &record, &data))
        take_record(&pass, &record, data);
    shared->operations = claims->acknowledged;
    shared->contents = judge->state_count;
    shared->cursors = judge->cursors;
    shared->done = true;
    model_deinit(&pass.model);
}
