/* SPDX-License-Identifier: Apache-2.0
 *
 * parley-sim: runs seeds. Exit status 1 when a promise was broken; the seed that shows it is
 * printed and shows it again whenever it is run.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
/* Of each scenario; more by --scenario. */
#define SCENARIO_SEEDS 15
/* Where years pass. */
#define LONG_SEEDS 4

/* What one worker process is at; shared, so that its death can be told. */
struct worker {
    uint64_t seed;
    uint64_t done, failed;
    struct sim_stats stats;
    uint64_t writes;
};

struct options {
    uint64_t first, last;
    unsigned jobs;
    bool twice;
    bool trace;
    bool self_test;
    bool scenarios;
    const struct sim_scenario *scenario; /* NULL: each seed's own plan */
};

static void add_stats(struct worker *to, const struct sim_world *w)
{
    to->stats.events += w->stats.events;
    to->stats.bytes += w->stats.bytes;
    to->stats.connections += w->stats.connections;
    to->stats.commits += w->stats.commits;
    to->stats.crashes += w->stats.crashes;
    to->stats.faults += w->stats.faults;
    to->stats.ns += w->now;
    to->stats.wall_us += w->slept_us + (int64_t)(w->now / 1000);
    to->writes += w->load.count;
}

/* One run; true if all promises were kept. */
static bool run_once(struct sim_world *w, uint64_t seed, enum sim_plant plant,
                     const struct sim_scenario *scenario, bool trace, struct worker *worker)
{
    sim_world_init(w, seed, plant, scenario, trace);
    sim_keys_real(w->plan.rsa);
    sim_world_run(w);
    if (worker != NULL)
        add_stats(worker, w);
    if (trace)
        sim_world_print_trace(w);
    sim_world_deinit(w);
    return !w->failed;
}

static bool run_seed(struct sim_world *w, uint64_t seed, const struct options *o,
                     struct worker *worker)
{
    bool ok = run_once(w, seed, SIM_PLANT_NONE, o->scenario, o->trace, worker);
    uint64_t hash = w->hash;
    if (ok && o->twice) {
        ok = run_once(w, seed, SIM_PLANT_NONE, o->scenario, false, NULL);
        if (ok && w->hash != hash)
            sim_fail(w, "twice", "the second run went another way: %016llx, %016llx",
                     (unsigned long long)hash, (unsigned long long)w->hash);
        ok = !w->failed;
    }
    if (!ok)
        printf("FAILED seed %llu: %s: %s\n", (unsigned long long)seed, w->oracle, w->why);
    return ok;
}

/* ---- Many seeds ---- */

static void work(struct worker *worker, unsigned index, const struct options *o)
{
    struct sim_world *w = malloc(sizeof *w);
    PL_ASSERT(w != NULL);
    for (uint64_t seed = o->first + index; seed <= o->last; seed += o->jobs) {
        worker->seed = seed;
        worker->failed += run_seed(w, seed, o, worker) ? 0 : 1;
        worker->done++;
        fflush(stdout);
    }
    free(w);
}

static int report(const struct worker *workers, const struct options *o)
{
    struct worker sum = { 0 };
    for (unsigned i = 0; i < o->jobs; i++) {
        const struct worker *one = &workers[i];
        sum.done += one->done;
        sum.failed += one->failed;
        sum.writes += one->writes;
        sum.stats.events += one->stats.events;
        sum.stats.bytes += one->stats.bytes;
        sum.stats.connections += one->stats.connections;
        sum.stats.commits += one->stats.commits;
        sum.stats.crashes += one->stats.crashes;
        sum.stats.faults += one->stats.faults;
        sum.stats.ns += one->stats.ns;
        sum.stats.wall_us += one->stats.wall_us;
    }
    printf("%llu seeds, %llu failed; %llu events, %llu connections, %llu kB, %llu commits, "
           "%llu durable writes, %llu faults, %llu crashes, %.1f hours of virtual time, "
           "%.1f days by the clocks\n",
           (unsigned long long)sum.done, (unsigned long long)sum.failed,
           (unsigned long long)sum.stats.events, (unsigned long long)sum.stats.connections,
           (unsigned long long)sum.stats.bytes / 1000, (unsigned long long)sum.stats.commits,
           (unsigned long long)sum.writes, (unsigned long long)sum.stats.faults,
           (unsigned long long)sum.stats.crashes, (double)sum.stats.ns / 3600e9,
           (double)sum.stats.wall_us / 86400e6);
    return sum.failed == 0 && sum.done == o->last - o->first + 1 ? 0 : 1;
}

static int run_seeds(const struct options *o)
{
    pid_t pids[JOBS_MAX];
    struct worker *workers = mmap(NULL, JOBS_MAX * sizeof *workers, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (workers == MAP_FAILED)
        return 2;
    for (unsigned i = 0; i < o->jobs; i++) {
        fflush(stdout);
        pids[i] = fork();
        if (pids[i] == 0) {
            work(&workers[i], i, o);
            exit(0);
        }
        if (pids[i] < 0)
            return 2;
    }
    for (unsigned i = 0; i < o->jobs; i++) {
        int status = 0;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            printf("FAILED seed %llu: the process died\n", (unsigned long long)workers[i].seed);
            workers[i].failed++;
        }
    }
    int result = report(workers, o);
    munmap(workers, JOBS_MAX * sizeof *workers);
    return result;
}

static int run_one(const struct options *o)
{
    struct sim_world *w = malloc(sizeof *w);
    PL_ASSERT(w != NULL);
    struct sim_plan plan;
    sim_plan_make(&plan, o->first, SIM_PLANT_NONE);
    if (o->scenario != NULL) {
        printf("scenario: %s\n", o->scenario->name);
        o->scenario->shape(&plan);
    } else {
        sim_plan_more(&plan, o->first);
    }
    sim_plan_print(&plan);
    bool ok = run_seed(w, o->first, o, NULL);
    printf("seed %llu: %s, %llu events, %.1f s of virtual time, trace %016llx\n",
           (unsigned long long)o->first, ok ? "good" : "FAILED",
           (unsigned long long)w->stats.events, (double)w->now / 1e9, (unsigned long long)w->hash);
    free(w);
    return ok ? 0 : 1;
}

/* ---- Planted bugs ---- */

static const struct {
    enum sim_plant plant;
    const char *what;
    const char *oracle;   /* that must see it */
    const char *scenario; /* in which it shows; NULL: in any world */
} plants[] = {
    { SIM_PLANT_LOST_COMMIT, "the disk forgets committed batches at a crash", "acked", NULL },
    { SIM_PLANT_ALTERED_BODY, "a body is altered before it is stored", "merge", NULL },
    { SIM_PLANT_SKIPPED, "a node never stores one conversation", "converge", NULL },
    { SIM_PLANT_MISSED, "a node misses one version of a frame", "repair", NULL },
    { SIM_PLANT_FLIPPED_BIT, "a bit of a stored row flips", "check", NULL },
    { SIM_PLANT_FALSE_CLAIM, "a store changes behind its node's back", "claim", NULL },
    { SIM_PLANT_BROKEN_FRAME, "a byte of a frame changes on the way", "blame", NULL },
    { SIM_PLANT_LEAK, "24 bytes are never given back", "memory", NULL },
    { SIM_PLANT_SPLIT, "a partition does not heal", "converge", NULL },
    { SIM_PLANT_STRAY, "a private version appears elsewhere", "confine", NULL },
    { SIM_PLANT_FALSE_KEY, "a node holds a stranger's key for a peer", "keys", NULL },
    { SIM_PLANT_EAGER, "the store takes at once what is stamped ahead", "future",
      "what a fast clock stamped waits for its time" },
    { SIM_PLANT_DROPPED_HELD, "what is held is dropped at a restart", "future",
      "what a fast clock stamped waits for its time" },
    { SIM_PLANT_ECHO, "a node forgets from whom it has what it relays", "economy",
      "in a ring of eight nothing goes back to where it came from" },
    { SIM_PLANT_CUT_SHORT, "the session that restores equality is reset", "rounds",
      "a restored node is equal again in one session" },
    { SIM_PLANT_LOST_CLOCK, "a restart forgets the greatest stamp", "clock",
      "a node whose clock is set back goes on after its last stamp" },
    { SIM_PLANT_DISORDER, "a node misses the first of all it lacks", "newest", NULL },
    { SIM_PLANT_UNFILTERED, "the hub forgets what devices filter", "filter", NULL },
    { SIM_PLANT_UNFILTERING, "a device forgets its own filter", "filter", NULL },
    { SIM_PLANT_RISEN, "a node that was away keeps what was deleted", "deleted", NULL },
    { SIM_PLANT_EMPTIED, "what a node took out of its set is dropped", "trash", NULL },
    { SIM_PLANT_FORGIVEN, "a restart forgets a revocation", "outcast", NULL },
    { SIM_PLANT_DICE, "entropy differs from run to run", "twice", NULL },
};

static int self_test(void)
{
    struct options o = { .twice = true };
    struct sim_world *w = malloc(sizeof *w);
    PL_ASSERT(w != NULL);
    int missed = 0;
    for (size_t i = 0; i < PL_ARRAY_LEN(plants); i++) {
        const char *name = plants[i].scenario;
        const struct sim_scenario *scenario = name != NULL ? sim_scenario_named(name) : NULL;
        PL_ASSERT(name == NULL || scenario != NULL);
        unsigned caught = 0;
        unsigned tries = 0;
        const char *other = NULL;
        for (uint64_t seed = 1; seed <= 12 && caught < 3; seed++, tries++) {
            bool ok = run_once(w, seed, plants[i].plant, scenario, o.trace, NULL);
            uint64_t hash = w->hash;
            if (plants[i].plant == SIM_PLANT_DICE && ok) {
                ok = run_once(w, seed, plants[i].plant, scenario, false, NULL) && w->hash == hash;
                w->oracle = "twice";
            }
            if (!ok && strcmp(w->oracle, plants[i].oracle) == 0)
                caught++;
            else if (!ok)
                other = w->oracle;
        }
        printf("%-7s %-48s by %-9s in %u of %u worlds%s%s\n", caught > 0 ? "caught" : "MISSED",
               plants[i].what, plants[i].oracle, caught, tries, other != NULL ? ", also by " : "",
               other != NULL ? other : "");
        missed += caught > 0 ? 0 : 1;
    }
    free(w);
    return missed == 0 ? 0 : 1;
}

/* ---- Scenarios ---- */

static int run_scenarios(struct options o)
{
    int failed = 0;
    for (size_t i = 0; sim_scenario_at(i) != NULL; i++) {
        struct sim_plan plan;
        o.scenario = sim_scenario_at(i);
        sim_plan_make(&plan, 1, SIM_PLANT_NONE);
        o.scenario->shape(&plan);
        o.first = 1;
        o.last = plan.night_us != 0 ? LONG_SEEDS : SCENARIO_SEEDS;
        printf("%2zu  %s\n      ", i + 1, o.scenario->name);
        failed += run_seeds(&o);
    }
    return failed == 0 ? 0 : 1;
}

/* ---- Command line ---- */

static int usage(void)
{
    fprintf(stderr, "usage: parley-sim --seeds A..B [--jobs N] [--twice]\n"
                    "       parley-sim --seed N [--trace] [--twice]\n"
                    "       parley-sim --scenarios [--jobs N]\n"
                    "       parley-sim --scenario N (--seeds ... | --seed ...)\n"
                    "       parley-sim --self-test\n");
    return 2;
}

static bool parse_number(const char *text, char **end, uint64_t *out)
{
    *out = strtoull(text, end, 10);
    return *end != text;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        char *end = NULL;
        uint64_t number = 0;
        if (strcmp(argv[i], "--twice") == 0) {
            o->twice = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            o->trace = true;
        } else if (strcmp(argv[i], "--self-test") == 0) {
            o->self_test = true;
        } else if (strcmp(argv[i], "--scenarios") == 0) {
            o->scenarios = true;
        } else if (strcmp(argv[i], "--scenario") == 0 && parse_number(value, &end, &number) &&
                   number >= 1 && sim_scenario_at((size_t)number - 1) != NULL) {
            o->scenario = sim_scenario_at((size_t)number - 1);
            i++;
        } else if (strcmp(argv[i], "--jobs") == 0 && parse_number(value, &end, &number) &&
                   number >= 1 && number <= JOBS_MAX) {
            o->jobs = (unsigned)number;
            i++;
        } else if (strcmp(argv[i], "--seed") == 0 && parse_number(value, &end, &o->first)) {
            o->last = o->first;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0 && parse_number(value, &end, &o->first) &&
                   strncmp(end, "..", 2) == 0 && parse_number(end + 2, &end, &o->last) &&
                   o->last >= o->first) {
            i++;
        } else {
            return false;
        }
    }
    return o->self_test || o->scenarios || o->last != 0;
}

static void on_panic(const char *file, int line, const char *what)
{
    fprintf(stderr, "panic at %s:%d: %s\n", file, line, what);
}

int main(int argc, char **argv)
{
    parley_panic_hook(on_panic);
    struct options o = { .jobs = 1 };
    if (!parse(argc, argv, &o))
        return usage();
    if (o.self_test)
        return self_test();
    if (o.scenarios)
        return run_scenarios(o);
    return o.first == o.last ? run_one(&o) : run_seeds(&o);
}
