/* SPDX-License-Identifier: Apache-2.0
 *
 * A case has a number within its class: the call, the error, once or for ever, the way out. A
 * sample takes as many from each class as there are, up to an equal share of the limit.
 */
#define _POSIX_C_SOURCE 200809L
#include "fault/sweep.h"

#include "base/rng.h"
#include "fault/scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* No run takes longer, also under sanitizers on a machine with other work. */
#define RUN_SECONDS_MAX 60
/* The lie that hangs is waited for. */
#define LIE_SECONDS_MAX 2
/* EINTR has no "for ever": a kernel gives it once a signal. This is a storm of them. */
#define STORM_CALLS 63
#define ERRORS_MAX  5
#define BROKEN_MAX  20
/* Cases tried with each lie: far more than it takes. */
#define LIE_CASES 400

static const struct class_plan {
    const char *name;
    int errors[ERRORS_MAX]; /* up to the first 0 */
} plans[FAULT_CLASSES] = {
    [FAULT_OPEN] = { "open", { EIO, ENOSPC, EINTR, EMFILE } },
    [FAULT_READ] = { "read", { EIO, EINTR } },
    [FAULT_WRITE] = { "write", { EIO, ENOSPC, EINTR, FAULT_SHORT } },
    [FAULT_SYNC] = { "sync", { EIO, ENOSPC, EINTR } },
    [FAULT_SIZE] = { "size", { EIO, ENOSPC, EINTR } },
    [FAULT_NAME] = { "name", { EIO, ENOSPC } },
    [FAULT_MAP] = { "map", { ENOMEM } },
    [FAULT_HEAP] = { "heap", { ENOMEM } },
    [FAULT_ENV] = { "env", { ENOMEM } },
    [FAULT_ROW] = { "row", { EIO } },
};

static const struct {
    int error;
    const char *name;
} error_names[] = { { EIO, "EIO" },       { ENOSPC, "ENOSPC" }, { EINTR, "EINTR" },
                    { EMFILE, "EMFILE" }, { ENOMEM, "ENOMEM" }, { FAULT_SHORT, "SHORT" } };

static const char *error_name(int error)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(error_names); i++)
        if (error_names[i].error == error)
            return error_names[i].name;
    return "?";
}

struct job {
    pid_t pid; /* 0: none */
    struct run_case c;
    struct run_slot *slot;
};

struct tally {
    uint64_t calls, cases, run, broken;
};

struct sweep {
    struct run_states *states; /* shared */
    struct run_slot *slots;    /* shared */
    struct job jobs[SWEEP_JOBS_MAX];
    unsigned job_count;
    unsigned seconds_max;
    bool quiet;
    char base[64];
    struct tally tally[FAULT_CLASSES];
    uint64_t broken;
    char oracle[16]; /* of the last that broke */
};

/* ---- Directories and processes ---- */

static void dir_of(const struct sweep *w, unsigned job, char out[96])
{
    snprintf(out, 96, "%s/%u", w->base, job);
}

static void print_case(const struct run_case *c)
{
    printf("%s %s %llu %s %s", plans[c->class].name, error_name(c->error),
           (unsigned long long)c->at, c->more == 0 ? "once" : "ever",
           c->way == RUN_RESTART ? "restart" : "recover");
}

/* F1: what the status of a run says besides its own verdict. */
static void conclude(struct sweep *w, struct job *job, int status)
{
    struct run_slot *slot = job->slot;
    w->tally[job->c.class].run++;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFSIGNALED(status)) {
        bool hung = WTERMSIG(status) == SIGALRM;
        snprintf(slot->oracle, sizeof slot->oracle, "%s", hung ? "hung" : "died");
        snprintf(slot->why, sizeof slot->why, "signal %d", WTERMSIG(status));
    } else if (slot->oracle[0] == '\0') {
        snprintf(slot->oracle, sizeof slot->oracle, "died");
        snprintf(slot->why, sizeof slot->why, "exit status %d", WEXITSTATUS(status));
    }
    memcpy(w->oracle, slot->oracle, sizeof w->oracle);
    w->tally[job->c.class].broken++;
    if (w->broken++ < BROKEN_MAX && !w->quiet) {
        printf("BROKEN ");
        print_case(&job->c);
        printf(": step \"%s\": %s: %s\n", script_steps[slot->step].name, slot->oracle, slot->why);
        fflush(stdout);
    }
}

static void collect_one(struct sweep *w)
{
    char dir[96];
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    for (unsigned i = 0; i < w->job_count; i++) {
        if (w->jobs[i].pid != pid)
            continue;
        w->jobs[i].pid = 0;
        conclude(w, &w->jobs[i], status);
        dir_of(w, i, dir);
        scratch_remove(dir);
    }
}

static void launch(struct sweep *w, unsigned i, const struct run_case *c)
{
    struct job *job = &w->jobs[i];
    char dir[96];
    dir_of(w, i, dir);
    memset(job->slot, 0, sizeof *job->slot);
    job->c = *c;
    job->pid = fork();
    PL_ASSERT(job->pid >= 0);
    if (job->pid != 0)
        return;
    alarm(w->seconds_max);
    run_case(job->slot, c, dir, w->states);
}

static void submit(struct sweep *w, const struct run_case *c)
{
    for (;;) {
        for (unsigned i = 0; i < w->job_count; i++) {
            if (w->jobs[i].pid != 0)
                continue;
            launch(w, i, c);
            return;
        }
        collect_one(w);
    }
}

static void drain(struct sweep *w)
{
    for (unsigned i = 0; i < w->job_count; i++)
        while (w->jobs[i].pid != 0)
            collect_one(w);
}

/* ---- Cases ---- */

static uint64_t error_count(enum fault_class class)
{
    uint64_t count = 0;
    while (count < ERRORS_MAX && plans[class].errors[count] != 0)
        count++;
    return count;
}

static struct run_case case_of(const struct sweep *w, enum fault_class class, uint64_t number)
{
    struct run_case c = { .class = class };
    uint64_t errors = error_count(class);
    c.way = (enum run_way)(number % RUN_WAYS);
    number /= RUN_WAYS;
    bool once = number % 2 == 0;
    number /= 2;
    c.error = plans[class].errors[number % errors];
    c.at = class == FAULT_ROW ? w->states->sites.reads[number / errors] : 1 + number / errors;
    if (!once)
        c.more = c.error == EINTR ? STORM_CALLS : UINT64_MAX;
    return c;
}

/* Runs the script twice: for the state after each step, and for the calls that a run makes. */
static bool measure(struct sweep *w)
{
    char dir[96];
    int status = 1;
    dir_of(w, 0, dir);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(w->seconds_max);
        run_reference(&w->slots[0], dir, w->states);
    }
    PL_ASSERT(waitpid(pid, &status, 0) == pid);
    scratch_remove(dir);
    struct job *job = &w->jobs[0];
    if (status == 0) {
        launch(w, 0, &(struct run_case){ .class = FAULT_NONE });
        drain(w);
    }
    if (status != 0 || w->broken != 0) {
        printf("the script does not even run without faults: step \"%s\": %s: %s\n",
               script_steps[job->slot->step].name, job->slot->oracle, job->slot->why);
        return false;
    }
    for (unsigned i = 1; i < FAULT_CLASSES; i++) {
        w->tally[i].calls = job->slot->fault.count[i];
        /* Of reads one from each place: the same place reads thousands of rows. */
        uint64_t tried = i == FAULT_ROW ? w->states->sites.count : w->tally[i].calls;
        w->tally[i].cases = tried * error_count(i) * 2 * RUN_WAYS;
    }
    return true;
}

static bool begin(struct sweep *w, unsigned jobs)
{
    *w = (struct sweep){ .job_count = jobs, .seconds_max = RUN_SECONDS_MAX };
    w->states = scratch_share(sizeof *w->states);
    w->slots = scratch_share(sizeof *w->slots * SWEEP_JOBS_MAX);
    for (unsigned i = 0; i < jobs; i++)
        w->jobs[i].slot = &w->slots[i];
    scratch_make(w->base);
    return measure(w);
}

static void finish(struct sweep *w)
{
    scratch_remove(w->base);
    scratch_unshare(w->states, sizeof *w->states);
    scratch_unshare(w->slots, sizeof *w->slots * SWEEP_JOBS_MAX);
}

/* Selection sampling: each subset of `take` of the cases of a class is as likely. */
static void run_class(struct sweep *w, enum fault_class class, uint64_t take, struct pl_rng *rng)
{
    uint64_t total = w->tally[class].cases;
    for (uint64_t i = 0; i < total && take != 0; i++) {
        if (take < total - i && pl_rng_below(rng, total - i) >= take)
            continue;
        struct run_case c = case_of(w, class, i);
        submit(w, &c);
        take--;
    }
}

/* How many of each class: all of the small ones, equal shares of what is left of the others. */
static void share(const struct sweep *w, uint64_t limit, uint64_t take[FAULT_CLASSES])
{
    uint64_t left = limit;
    bool given[FAULT_CLASSES] = { true };
    for (unsigned round = 1; round < FAULT_CLASSES; round++) {
        unsigned least = 0;
        for (unsigned i = 1; i < FAULT_CLASSES; i++)
            if (!given[i] && (least == 0 || w->tally[i].cases < w->tally[least].cases))
                least = i;
        take[least] = pl_min_u64(w->tally[least].cases, left / (FAULT_CLASSES - round));
        left -= take[least];
        given[least] = true;
    }
}

static void print_tally(const struct sweep *w)
{
    uint64_t cases = 0;
    uint64_t run = 0;
    printf("%-6s %8s %8s %8s %8s\n", "class", "calls", "cases", "run", "broken");
    for (unsigned i = 1; i < FAULT_CLASSES; i++) {
        const struct tally *t = &w->tally[i];
        printf("%-6s %8llu %8llu %8llu %8llu\n", plans[i].name, (unsigned long long)t->calls,
               (unsigned long long)t->cases, (unsigned long long)t->run,
               (unsigned long long)t->broken);
        cases += t->cases;
        run += t->run;
    }
    printf("%llu of %llu faults injected, %llu broke something\n", (unsigned long long)run,
           (unsigned long long)cases, (unsigned long long)w->broken);
}

bool sweep_run(const struct sweep_options *options)
{
    static struct sweep w;
    struct pl_rng rng;
    uint64_t take[FAULT_CLASSES] = { 0 };
    pl_rng_init(&rng, options->seed);
    if (!begin(&w, options->jobs)) {
        finish(&w);
        return false;
    }
    for (unsigned i = 1; i < FAULT_CLASSES; i++)
        if (options->only != FAULT_NONE && options->only != i)
            w.tally[i].cases = 0;
    share(&w, options->limit == 0 ? UINT64_MAX : options->limit, take);
    for (unsigned i = 1; i < FAULT_CLASSES; i++)
        run_class(&w, i, take[i], &rng);
    drain(&w);
    print_tally(&w);
    finish(&w);
    return w.broken == 0;
}

bool sweep_replay(char *const words[5])
{
    static struct sweep w;
    struct run_case c = { .more = strcmp(words[3], "ever") == 0 ? UINT64_MAX : 0 };
    for (unsigned i = 1; i < FAULT_CLASSES; i++)
        if (strcmp(plans[i].name, words[0]) == 0)
            c.class = i;
    for (size_t i = 0; i < PL_ARRAY_LEN(error_names); i++)
        if (strcmp(error_names[i].name, words[1]) == 0)
            c.error = error_names[i].error;
    c.at = strtoull(words[2], NULL, 10);
    c.way = strcmp(words[4], "restart") == 0 ? RUN_RESTART : RUN_RECOVER;
    if (c.error == EINTR && c.more != 0)
        c.more = STORM_CALLS;
    bool good = c.class != FAULT_NONE && c.error != 0 && c.at != 0 && begin(&w, 1);
    if (good) {
        submit(&w, &c);
        drain(&w);
        good = w.broken == 0;
        printf("%s\n", good ? "nothing broke" : "see above");
    }
    finish(&w);
    return good;
}

/* ---- Lies ---- */

static const struct {
    const char *name;
    enum script_lie lie;
    enum fault_class class; /* whose faults bring it out */
    const char *oracle;
} lies[] = {
    { "acknowledges before the commit", SCRIPT_LIE_EARLY, FAULT_SYNC, "lost" },
    { "takes a failed commit for a good one", SCRIPT_LIE_SWALLOW, FAULT_SYNC, "lost" },
    { "leaves a put out after an error", SCRIPT_LIE_HALF, FAULT_SYNC, "state" },
    { "says it has reopened, and has not", SCRIPT_LIE_STUCK, FAULT_SYNC, "stuck" },
    { "ends the program for want of memory", SCRIPT_LIE_CRASH, FAULT_ENV, "died" },
    { "tries again for ever", SCRIPT_LIE_HANG, FAULT_ENV, "hung" },
    { "loses memory after an error", SCRIPT_LIE_LEAK, FAULT_ENV, "leak" },
    { "returns a bare errno", SCRIPT_LIE_UNNAMED, FAULT_SYNC, "unnamed" },
    { "calls a store damaged that it cannot read", SCRIPT_LIE_ALARM, FAULT_OPEN, "alarm" },
    { "acknowledges a line that it has not written", SCRIPT_LIE_LINE, FAULT_SYNC, "ledger" },
    { "writes a witness of another store", SCRIPT_LIE_RENEW, FAULT_SYNC, "renewed" },
    { "takes a failed read for an empty one", SCRIPT_LIE_BLIND, FAULT_HEAP, "alarm" },
    { "says a batch was undone that it committed", SCRIPT_LIE_UNDONE, FAULT_SYNC, "undone" },
    { "leaves out a row of the sets", SCRIPT_LIE_INDEX, FAULT_SYNC, "check" },
    { "refuses a batch for no reason", SCRIPT_LIE_MOODY, FAULT_SYNC, "cause" },
    { "blames the request", SCRIPT_LIE_BLAME, FAULT_SYNC, "class" },
};
_Static_assert(PL_ARRAY_LEN(lies) == SCRIPT_LIE_COUNT - 1, "each lie has its oracle");

/* Faults of the lie's class until the oracle finds it out. */
static bool find_out(struct sweep *w, size_t which)
{
    struct pl_rng rng;
    pl_rng_init(&rng, which);
    for (int tries = 0; tries < LIE_CASES; tries++) {
        struct run_case c =
            case_of(w, lies[which].class, pl_rng_below(&rng, w->tally[lies[which].class].cases));
        c.lie = lies[which].lie;
        submit(w, &c);
        drain(w);
        if (strcmp(w->oracle, lies[which].oracle) == 0)
            return true;
    }
    return false;
}

bool sweep_lies(unsigned jobs)
{
    static struct sweep w;
    bool good = begin(&w, jobs);
    w.quiet = true;
    for (size_t i = 0; good && i < PL_ARRAY_LEN(lies); i++) {
        w.seconds_max = lies[i].lie == SCRIPT_LIE_HANG ? LIE_SECONDS_MAX : RUN_SECONDS_MAX;
        w.oracle[0] = '\0';
        good = find_out(&w, i);
        printf("%-45s %s%s\n", lies[i].name, good ? "found out by: " : "NOT FOUND OUT by ",
               lies[i].oracle);
        fflush(stdout);
    }
    finish(&w);
    return good;
}
