/* SPDX-License-Identifier: Apache-2.0
 *
 * power_replay: makes crash images from the log of a recording and judges them.
 *
 * First the log is taken for what it claims to be: played to its end it must give exactly the files
 * that the recorded programs left. Then processes, one a job, go through it (run.h). An image that
 * kills its process is a failure like any other; the process is begun again behind it.
 *
 * An image is named by seed, tear, crash point and image number, under the same --per-class and
 * --random; --only replays it, --keep puts its files into a directory. Exit 0: no failure, or with
 * --expect at least one of that kind; 1: not so; 2: nothing was proved.
 */
#define _GNU_SOURCE 1
#include "power/run.h"
#include "power/util.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX     64
#define PATH_BYTES   1024
#define TEAR_MIN     64
#define TEAR_MAX     65536
#define RESTARTS_MAX 2000
/* LMDB asks for 2 MiB of zeros at each open; pages of the kernel are zero already. */
#define OWN_MAP_BYTES (1 << 20)

struct arguments {
    const char *log, *claims, *root, *work;
    bool expects;
    struct run_options run;
};

static const char usage[] =
    "Usage: power_replay --log FILE --claims FILE --root DIR --work DIR [OPTION...]\n"
    "  --log FILE         what the recorder wrote\n"
    "  --claims FILE      what the client was told (claims.h)\n"
    "  --root DIR         the recorded directory, as it is now\n"
    "  --work DIR         where images are put, best in memory\n"
    "  --tear BYTES       what reaches the disk whole or not at all (512)\n"
    "  --seed N           of random choices (1)\n"
    "  --per-class N      images of each class at a crash point; 0: all (64)\n"
    "  --random N         random subsets at a crash point (40)\n"
    "  --deep N           every N-th image is written to and checked whole then; 0: none (32)\n"
    "  --jobs N           processes (1)\n"
    "  --failures N       stop after so many (10)\n"
    "  --plant nosync | no-fdatasync | early-ack\n"
    "                     the disk lies, or the acknowledgement comes before the commit\n"
    "  --expect KIND      exit 0 when there is a failure of that kind: open, lost, cursor, check,\n"
    "                     content, renewed, write, crash; any\n"
    "  --only POINT:IMAGE [--keep DIR]\n"
    "                     one image alone; its files are put into DIR\n";

/* ---- Arguments ---- */

static uint64_t number_of(const char *text, const char *name, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > most)
        util_fail("--%s takes a number up to %llu, not %s", name, (unsigned long long)most, text);
    return value;
}

static void take_plant(struct run_options *run, const char *name)
{
    if (strcmp(name, "nosync") == 0)
        run->plant = MODEL_NOSYNC;
    else if (strcmp(name, "no-fdatasync") == 0)
        run->plant = MODEL_NO_FDATASYNC;
    else if (strcmp(name, "early-ack") == 0)
        run->early = true;
    else
        util_fail("--plant: there is no %s", name);
}

static void take_expected(struct arguments *a, const char *name)
{
    unsigned kind = 1;
    while (kind < JUDGE_KINDS && strcmp(judge_names[kind], name) != 0)
        kind++;
    if (kind == JUDGE_KINDS && strcmp(name, "any") != 0)
        util_fail("--expect: there is no %s", name);
    a->run.wanted = kind == JUDGE_KINDS ? JUDGE_OK : (enum judge_kind)kind;
    a->expects = true;
}

static void take_only(struct run_options *run, const char *text)
{
    char *end;
    run->only = true;
    run->only_point = strtoull(text, &end, 10);
    if (*end != ':')
        util_fail("--only takes POINT:IMAGE, not %s", text);
    run->only_image = number_of(end + 1, "only", UINT64_MAX);
}

enum argument {
    LOG = 1,
    CLAIMS,
    ROOT,
    WORK,
    TEAR,
    SEED,
    PER_CLASS,
    RANDOM,
    DEEP,
    JOBS,
    FAILURES,
    PLANT,
    EXPECT,
    ONLY,
    KEEP
};

static const struct option options[] = {
    { "log", 1, NULL, LOG },
    { "claims", 1, NULL, CLAIMS },
    { "root", 1, NULL, ROOT },
    { "work", 1, NULL, WORK },
    { "tear", 1, NULL, TEAR },
    { "seed", 1, NULL, SEED },
    { "per-class", 1, NULL, PER_CLASS },
    { "random", 1, NULL, RANDOM },
    { "deep", 1, NULL, DEEP },
    { "jobs", 1, NULL, JOBS },
    { "failures", 1, NULL, FAILURES },
    { "plant", 1, NULL, PLANT },
    { "expect", 1, NULL, EXPECT },
    { "only", 1, NULL, ONLY },
    { "keep", 1, NULL, KEEP },
    { NULL, 0, NULL, 0 },
};

static void take_option(struct arguments *a, int option)
{
    struct run_options *run = &a->run;
    switch (option) {
    case LOG:
        a->log = optarg;
        break;
    case CLAIMS:
        a->claims = optarg;
        break;
    case ROOT:
        a->root = optarg;
        break;
    case WORK:
        a->work = optarg;
        break;
    case TEAR:
        run->tear = (uint32_t)number_of(optarg, "tear", TEAR_MAX);
        break;
    case SEED:
        run->plan.seed = number_of(optarg, "seed", UINT64_MAX);
        break;
    case PER_CLASS:
        run->plan.per_class = (uint32_t)number_of(optarg, "per-class", 65536);
        break;
    case RANDOM:
        run->plan.random = (uint32_t)number_of(optarg, "random", 65536);
        break;
    case DEEP:
        run->deep = (uint32_t)number_of(optarg, "deep", 65536);
        break;
    case JOBS:
        run->jobs = (uint32_t)number_of(optarg, "jobs", JOBS_MAX);
        break;
    case FAILURES:
        run->failures_max = number_of(optarg, "failures", UINT64_MAX);
        break;
    case PLANT:
        take_plant(run, optarg);
        break;
    case EXPECT:
        take_expected(a, optarg);
        break;
    case ONLY:
        take_only(run, optarg);
        break;
    case KEEP:
        run->keep = optarg;
        break;
    default:
        fputs(usage, stderr);
        _exit(2);
    }
}

static struct arguments read_arguments(int argc, char **argv)
{
    struct arguments a = { .run = { .plan = { .seed = 1, .per_class = 64, .random = 40 },
                                    .tear = 512,
                                    .deep = 32,
                                    .jobs = 1,
                                    .failures_max = 10 } };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(&a, option);
    if (a.log == NULL || a.claims == NULL || a.root == NULL || a.work == NULL || optind != argc) {
        fputs(usage, stderr);
        _exit(2);
    }
    if (a.run.tear < TEAR_MIN || a.run.jobs == 0)
        util_fail("--tear is at least %d, --jobs at least 1", TEAR_MIN);
    if (strlen(a.work) >= sizeof a.run.work)
        util_fail("--work: the name is too long");
    memcpy(a.run.work, a.work, strlen(a.work) + 1);
    return a;
}

/* ---- The log is the truth ---- */

static int is_no_matter(const char *name)
{
    /* Locks are made anew at every start. */
    return strcmp(name, "lock") == 0 || strcmp(name, "lock.mdb") == 0;
}

static uint64_t compare_dirs(const char *real, const char *made);

static uint64_t compare_entry(const char *real, const char *made)
{
    struct stat a, b;
    size_t a_len, b_len;
    if (lstat(real, &a) != 0 || S_ISSOCK(a.st_mode))
        return 0;
    if (lstat(made, &b) != 0)
        util_fail("%s: is there, but the log does not know it", real);
    if (S_ISDIR(a.st_mode))
        return compare_dirs(real, made);
    const uint8_t *a_bytes = util_map(real, &a_len);
    const uint8_t *b_bytes = util_map(made, &b_len);
    if (a_len != b_len || (a_len != 0 && memcmp(a_bytes, b_bytes, a_len) != 0))
        util_fail("%s: is not what the log says: something wrote to it unseen", real);
    return 1;
}

/* Each entry of `real` must be in `made` with the same bytes; returns the number of files. */
static uint64_t compare_dirs(const char *real, const char *made)
{
    char a[PATH_BYTES], b[PATH_BYTES];
    uint64_t count = 0;
    DIR *dir = opendir(real);
    struct dirent *entry;
    if (dir == NULL)
        util_fail("%s: %s", real, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_no_matter(entry->d_name))
            continue;
        util_path(a, sizeof a, real, entry->d_name);
        util_path(b, sizeof b, made, entry->d_name);
        count += compare_entry(a, b);
    }
    closedir(dir);
    return count;
}

static void check_node(struct judge *judge, struct model *m, uint32_t node,
                       const struct arguments *a)
{
    char real[PATH_BYTES], made[PATH_BYTES];
    util_path(real, sizeof real, a->root, m->nodes[node]);
    util_path(made, sizeof made, a->work, "final");
    if (mkdir(made, 0700) != 0 && errno != EEXIST)
        util_fail("%s: %s", made, strerror(errno));
    util_empty_dir(made);
    model_write(m, node, made);
    uint64_t count = compare_dirs(real, made);
    if (compare_dirs(made, real) != count || count < 2)
        util_fail("%s: has other files than the log", real);
    judge_learn_peer(judge, made);
}

static void check_log(struct judge *judge, const struct run_log *log, const struct arguments *a)
{
    struct model m;
    struct power_record record;
    const uint8_t *data;
    size_t at = 0;
    model_init(&m, a->run.tear, MODEL_HONEST);
    while (run_next(log, &at, &record, &data)) {
        model_take(&m, &record, data);
        model_sync(&m, &record);
    }
    model_choose_all(&m, true);
    if (m.node_count == 0)
        util_fail("the log has no node");
    for (uint32_t node = 0; node < m.node_count; node++)
        check_node(judge, &m, node, a);
    model_deinit(&m);
}

/* ---- Jobs ---- */

struct job {
    pid_t pid;
    uint32_t restarts;
    struct run_shared *shared;
    struct run_options options;
};

static void begin_job(struct job *job, const struct run_log *log, struct claims *claims,
                      struct judge *judge)
{
    fflush(NULL);
    job->pid = fork();
    if (job->pid < 0)
        util_fail("no process: %s", strerror(errno));
    if (job->pid != 0)
        return;
    run_log_through(&job->options, log, claims, judge, job->shared);
    _exit(0);
}

/* The process ended. Says whether it must be begun again, behind the image that ended it. */
static bool must_go_on(struct job *job, int status)
{
    struct run_shared *shared = job->shared;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && shared->done)
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        _exit(2); /* it has said why */
    if (shared->point == UINT64_MAX)
        util_fail("a job died outside of any image");
    struct run_failure failure = { .point = shared->point,
                                   .image = shared->image,
                                   .node = shared->node,
                                   .verdict.kind = JUDGE_CRASH };
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    snprintf(failure.verdict.text, sizeof failure.verdict.text, "signal %d (%s)", number,
             number == SIGALRM ? "it did not come to an end" : strsignal(number));
    shared->images++;
    run_note_failure(shared, &failure);
    return !run_is_over(&job->options, shared) && !job->options.only &&
           ++job->restarts < RESTARTS_MAX;
}

static void run_jobs(struct job *jobs, uint32_t count, const struct run_log *log,
                     struct claims *claims, struct judge *judge)
{
    uint32_t running = count;
    for (uint32_t i = 0; i < count; i++)
        begin_job(&jobs[i], log, claims, judge);
    while (running != 0) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        for (uint32_t i = 0; i < count; i++) {
            if (jobs[i].pid != pid)
                continue;
            if (must_go_on(&jobs[i], status))
                begin_job(&jobs[i], log, claims, judge);
            else
                running--;
        }
    }
}

/* ---- Report ---- */

static void add_up(struct run_shared *sum, const struct run_shared *job)
{
    sum->points += job->points;
    sum->images += job->images;
    sum->deep += job->deep;
    sum->failures += job->failures;
    sum->operations = job->operations;
    sum->contents += job->contents;
    sum->cursors += job->cursors;
    for (unsigned kind = 0; kind < JUDGE_KINDS; kind++)
        sum->count[kind] += job->count[kind];
}

static void print_failures(const struct job *job)
{
    const struct run_shared *s = job->shared;
    for (uint64_t i = 0; i < s->failures && i < RUN_FAILURES_MAX; i++)
        printf("failure: seed %llu, tear %u, --only %llu:%llu, node %u: %s: %s\n",
               (unsigned long long)job->options.plan.seed, job->options.tear,
               (unsigned long long)s->first[i].point, (unsigned long long)s->first[i].image,
               s->first[i].node, judge_names[s->first[i].verdict.kind], s->first[i].verdict.text);
}

static int report(const struct arguments *a, const struct job *jobs, const struct claims *claims,
                  uint64_t took_us)
{
    struct run_shared sum = { 0 };
    for (uint32_t i = 0; i < a->run.jobs; i++) {
        add_up(&sum, jobs[i].shared);
        print_failures(&jobs[i]);
    }
    printf(
        "tear %u, seed %llu: %llu crash points, %llu images (%llu deep), %llu contents with %llu "
        "cursors, %zu operations, %llu failures",
        a->run.tear, (unsigned long long)a->run.plan.seed, (unsigned long long)sum.points,
        (unsigned long long)sum.images, (unsigned long long)sum.deep,
        (unsigned long long)sum.contents, (unsigned long long)sum.cursors, claims->op_count,
        (unsigned long long)sum.failures);
    for (unsigned kind = 1; kind < JUDGE_KINDS; kind++)
        if (sum.count[kind] != 0)
            printf(", %s %llu", judge_names[kind], (unsigned long long)sum.count[kind]);
    printf(", %.1f s, %.0f images/s\n", (double)took_us / 1e6,
           (double)sum.images * 1e6 / (double)(took_us + 1));
    if (a->expects)
        return (a->run.wanted == JUDGE_OK ? sum.failures : sum.count[a->run.wanted]) != 0 ? 0 : 1;
    /* A promise that no answer of the log made was never tried. */
    if (!a->run.only && sum.failures == 0 && sum.operations != claims->op_count)
        util_fail("only %llu of %zu operations have their answer in the log",
                  (unsigned long long)sum.operations, claims->op_count);
    return sum.failures == 0 && sum.images != 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct job jobs[JOBS_MAX];
    struct arguments a = read_arguments(argc, argv);
    struct claims claims;
    struct judge judge;
    struct run_log log;
    char made[PATH_BYTES];
    mallopt(M_MMAP_THRESHOLD, OWN_MAP_BYTES);
    if (mkdir(a.work, 0700) != 0 && errno != EEXIST)
        util_fail("%s: %s", a.work, strerror(errno));
    util_empty_dir(a.work);
    util_path(made, sizeof made, a.work, "nothing");
    claims_load(&claims, a.claims);
    judge_init(&judge, &claims, made);
    log.bytes = util_map(a.log, &log.len);
    check_log(&judge, &log, &a);
    size_t size = a.run.jobs * sizeof(struct run_shared);
    struct run_shared *shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        util_fail("out of memory");
    for (uint32_t i = 0; i < a.run.jobs; i++) {
        jobs[i] = (struct job){ .shared = &shared[i], .options = a.run };
        jobs[i].options.job = i;
        shared[i].point = UINT64_MAX;
    }
    uint64_t began = util_now_us();
    run_jobs(jobs, a.run.jobs, &log, &claims, &judge);
    int code = report(&a, jobs, &claims, util_now_us() - began);
    util_empty_dir(a.work);
    return code;
}
