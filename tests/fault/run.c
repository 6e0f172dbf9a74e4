/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Attempts while the fault lasts, before it is taken away. */
#define PATIENCE 2
/* Steps after the fault that are each looked at; then the end alone is. */
#define LOOKS 3

/* What a look found, as bits: a step that changes nothing shown is both. */
enum seen { SEEN_NOTHING = 0, SEEN_BEFORE = 1, SEEN_AFTER = 2, SEEN_BETWEEN = 4 };

struct run {
    struct script *s;
    struct run_slot *slot;
    const struct run_states *states;
    enum run_way way;
    size_t step;
    bool done;       /* this step was acknowledged */
    bool unknown;    /* an attempt at it ended with EIO */
    parley_err last; /* of the db; EIO: to be recovered */
};

/* Ends the process of a run: without what the parent had still to write. */
static _Noreturn void leave(int status)
{
#ifdef FAULT_COUNTED
    extern void __gcov_dump(void);
    __gcov_dump();
#endif
    _exit(status);
}

#define BROKEN(r, name, ...)                                                                       \
    do {                                                                                           \
        snprintf((r)->slot->oracle, sizeof(r)->slot->oracle, "%s", name);                          \
        snprintf((r)->slot->why, sizeof(r)->slot->why, __VA_ARGS__);                               \
        leave(1);                                                                                  \
    } while (0)

static bool lasts(const struct run *r)
{
    return atomic_load(&r->slot->fault.armed) != 0;
}

/* F2. */
static void heed(struct run *r, parley_err err, const char *what)
{
    const char *name = parley_err_name(err);
    int class = parley_err_class(err);
    if (strcmp(name, "PARLEY_E?") == 0)
        BROKEN(r, "unnamed", "%s gave %d, which is no error of ours", what, (int)err);
    if (class == 6)
        BROKEN(r, "alarm", "%s gave %s, but the store is whole", what, name);
    if (r->slot->fault.injected == 0)
        BROKEN(r, "cause", "%s gave %s, and nothing was wrong", what, name);
    if (class != 2 && class != 4 && class != 5)
        BROKEN(r, "class", "%s gave %s, which says nothing of a fault", what, name);
    if (!lasts(r))
        BROKEN(r, "stuck", "%s gave %s after the fault was over", what, name);
    r->unknown = r->unknown || err == PARLEY_EIO;
    r->last = err;
}

/* F4, F5 */
static enum seen look(struct run *r)
{
    uint8_t digest[PL_SHA256_BYTES];
    const uint8_t *after = r->states->after[r->step];
    const uint8_t *before = r->step == 0 ? after : r->states->after[r->step - 1];
    bool good = true;
    if (r->s->db == NULL)
        return SEEN_NOTHING;
    parley_err err = script_look_at_ledger(r->s, &good);
    if (err == PARLEY_OK && !good)
        BROKEN(r, "ledger", "a line is missing, or one is there that nobody wrote");
    if (err == PARLEY_OK)
        err = script_observe(r->s, digest);
    if (err != PARLEY_OK) {
        parley_err last = r->last;
        heed(r, err, "a read");
        r->last = last;
        return SEEN_NOTHING;
    }
    enum seen seen = SEEN_NOTHING;
    if (memcmp(digest, before, sizeof digest) == 0)
        seen |= SEEN_BEFORE;
    if (memcmp(digest, after, sizeof digest) == 0)
        seen |= SEEN_AFTER;
    if (seen == SEEN_NOTHING && !script_steps[r->step].loose)
        BROKEN(r, "state", "what is there is neither before nor after this step");
    return seen == SEEN_NOTHING ? SEEN_BETWEEN : seen;
}

/* F3, F4: what may be there now. */
static enum seen judge(struct run *r)
{
    enum seen seen = look(r);
    if (seen == SEEN_NOTHING || (seen & SEEN_AFTER) != 0) {
        bool surprise = seen == SEEN_AFTER && !r->done && !r->unknown;
        if (surprise && !script_steps[r->step].loose)
            BROKEN(r, "undone", "the step failed with %s and was done all the same",
                   parley_err_name(r->last));
        return seen;
    }
    if (r->done)
        BROKEN(r, "lost", "the step was acknowledged and is not there");
    return seen;
}

static void check(struct run *r)
{
    static struct parley_check_report report;
    parley_err err = parley_db_check(r->s->db, &report);
    if (err != PARLEY_OK)
        heed(r, err, "parley_db_check");
    if (report.problems != 0)
        BROKEN(r, "check", "%.200s", report.first[0].text);
    if (r->s->renewed)
        BROKEN(r, "renewed", "the store has taken itself for another");
}

static void attempt(struct run *r)
{
    parley_err err = script_run(r->s, r->step);
    if (err != PARLEY_OK) {
        heed(r, err, script_steps[r->step].name);
        if (script_steps[r->step].reopens)
            r->last = PARLEY_EIO; /* it has not recovered */
        return;
    }
    r->last = PARLEY_OK;
    r->done = true;
}

static void recover(struct run *r)
{
    if (r->s->db == NULL || r->last != PARLEY_EIO)
        return;
    parley_err err = parley_db_recover(r->s->db);
    if (err != PARLEY_OK) {
        heed(r, err, "parley_db_recover");
        r->last = PARLEY_EIO; /* whatever it was: it has not recovered */
        return;
    }
    r->last = PARLEY_OK;
}

static void reopen(struct run *r)
{
    if (r->s->db != NULL)
        script_close(r->s);
    parley_err err = script_open(r->s);
    if (err != PARLEY_OK)
        heed(r, err, "opening");
    r->last = PARLEY_OK;
}

/* The step, unless it gives a stamp and is there already. */
static void again(struct run *r, enum seen seen)
{
    bool there = (seen & SEEN_AFTER) != 0 && (seen & SEEN_BEFORE) == 0;
    if (script_steps[r->step].local && there)
        r->done = true;
    else if (!r->done)
        attempt(r);
}

/* F6. */
static void heal(struct run *r)
{
    for (int i = 0; i < PATIENCE && !r->done; i++) {
        recover(r);
        again(r, judge(r));
    }
    atomic_store(&r->slot->fault.armed, 0);
    if (r->way == RUN_RESTART)
        reopen(r);
    else
        recover(r);
    again(r, judge(r));
    judge(r);
    check(r);
}

/* F7. */
static void end(struct run *r, uint64_t blocks)
{
    atomic_store(&r->slot->fault.armed, 0);
    recover(r);
    judge(r);
    check(r);
    script_close(r->s);
    if (r->s->blocks != 0)
        BROKEN(r, "leak", "%lld allocations of the engine are open", (long long)r->s->blocks);
    if (r->slot->fault.blocks != blocks)
        BROKEN(r, "leak", "%lld blocks of the heap are left",
               (long long)(r->slot->fault.blocks - blocks));
    reopen(r);
    judge(r);
    check(r);
    script_close(r->s);
}

static void start(struct run *r, struct script *s, struct run_slot *slot, const char *dir,
                  enum script_lie lie)
{
    *r = (struct run){ .s = s, .slot = slot };
    script_init(s, dir, &slot->fault, lie);
    fault_attach(&slot->fault);
}

void run_case(struct run_slot *slot, const struct run_case *c, const char *dir,
              struct run_states *states)
{
    static struct script s;
    struct run r;
    int looks = LOOKS;
    start(&r, &s, slot, dir, c->lie);
    r.states = states;
    r.way = c->way;
    if (c->class == FAULT_NONE)
        script_note_sites(&s, &states->sites);
    atomic_store(&slot->fault.class, c->class);
    atomic_store(&slot->fault.error, (uint64_t)c->error);
    atomic_store(&slot->fault.at, c->at);
    atomic_store(&slot->fault.more, c->more);
    atomic_store(&slot->fault.no_sync, 1);
    uint64_t blocks = slot->fault.blocks;
    atomic_store(&slot->fault.armed, 1);
    for (r.step = 0; r.step < script_step_count; r.step++) {
        slot->step = (uint32_t)r.step;
        r.done = false;
        r.unknown = false;
        attempt(&r);
        if (!r.done)
            heal(&r);
        else if (slot->fault.injected != 0 && looks-- > 0)
            judge(&r);
    }
    r.step--;
    if (c->class != FAULT_NONE && slot->fault.injected == 0)
        BROKEN(&r, "reach", "the fault was never reached");
    end(&r, blocks);
    leave(0);
}

void run_reference(struct run_slot *slot, const char *dir, struct run_states *states)
{
    static struct script s;
    struct run r;
    start(&r, &s, slot, dir, SCRIPT_LIE_NONE);
    atomic_store(&slot->fault.no_sync, 1);
    r.states = states;
    for (r.step = 0; r.step < script_step_count; r.step++) {
        slot->step = (uint32_t)r.step;
        parley_err err = script_run(&s, r.step);
        if (err == PARLEY_OK)
            err = script_observe(&s, states->after[r.step]);
        if (err != PARLEY_OK)
            heed(&r, err, script_steps[r.step].name);
        check(&r);
    }
    if (!s.lengthened || !s.grown)
        BROKEN(&r, "script", "it no longer meets a short file and a full map");
    leave(0);
}
