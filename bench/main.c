/* SPDX-License-Identifier: Apache-2.0
 *
 * parley-bench: flags, the table of suites, and the parent that cleans up after them.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longer than any suite takes on a slow machine. */
#define SUITE_SECONDS_MAX 1200

struct suite {
    const char *name;
    const char *text;
    void (*run)(struct bench *b);
};

static const struct suite suites[] = {
    { "layout", "where bodies should live: raw LMDB, two layouts", bench_layout },
    { "engine", "parley_db against raw LMDB", bench_engine },
    { "sync", "two daemons over TLS on loopback", bench_sync },
    { "live", "from a write on one daemon to where it can be read on another", bench_live },
    { "reconcile", "finding the differences of two stores of a million versions", bench_reconcile },
    { "trust", "handshakes and tokens against bare BearSSL, and under load", bench_trust },
    { "http", "a daemon over HTTP against nginx, its own writer and the bare transcoder",
      bench_http },
    { "footprint", "sizes of static programs, and the memory of a daemon on a small machine",
      bench_footprint },
};

static void print_help(void)
{
    puts("usage: parley-bench SUITE|all [--json] [--quick] [--data FILE.jsonl[.gz]]\n"
         "                    [--scratch DIR] [--bin DIR]\n"
         "\n"
         "  --json     one JSON line a metric\n"
         "  --quick    a small part of the data, one repetition: a check, not a measurement\n"
         "  --data     conversations, one a line; default $PARLEY_BENCH_DATA, else the shared\n"
         "             data set, else made-up ones\n"
         "  --scratch  where stores are created (default: $TMPDIR or /tmp); not a RAM disk\n"
         "  --bin      the build directory that has parleyd and parley\n"
         "\n"
         "suites");
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        printf("  %-11s%s\n", suites[i].name, suites[i].text);
}

static const struct suite *find_suite(const char *name)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (strcmp(suites[i].name, name) == 0)
            return &suites[i];
    return NULL;
}

static void run_one(struct bench *b, const struct suite *suite)
{
    b->suite = suite->name;
    if (!b->json) {
        printf("%s: %s\n", suite->name, suite->text);
        fflush(stdout);
    }
    suite->run(b);
}

static void run_suites(struct bench *b, const char *name)
{
    const struct suite *suite = find_suite(name);
    bench_data_prepare(b);
    for (size_t i = 0; suite == NULL && i < sizeof suites / sizeof suites[0]; i++)
        run_one(b, &suites[i]);
    if (suite != NULL)
        run_one(b, suite);
}

/* Waits for the child, a signal or the time limit. */
static int supervise(pid_t child, const sigset_t *watched)
{
    struct timespec limit = { .tv_sec = SUITE_SECONDS_MAX };
    int status = 0;
    for (;;) {
        int got = sigtimedwait(watched, NULL, &limit);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == SIGCHLD && waitpid(child, &status, WNOHANG) == 0)
            continue;
        if (got != SIGCHLD) {
            if (got < 0)
                fprintf(stderr, "parley-bench: stopped after %d s\n", SUITE_SECONDS_MAX);
            kill(child, SIGKILL);
            while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                continue;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
}

static int run_in_child(struct bench *b, const char *name)
{
    sigset_t watched, before;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigprocmask(SIG_BLOCK, &watched, &before);
    pid_t child = fork();
    if (child < 0) {
        perror("parley-bench: fork");
        return 1;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        run_suites(b, name);
        fflush(stdout);
        _exit(0);
    }
    return supervise(child, &watched);
}

static void default_bin_dir(char *out)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = '\0';
    /* BUILD/bench/parley-bench */
    snprintf(out, BENCH_PATH_BYTES, "%s", dirname(dirname(self)));
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "quick", no_argument, NULL, 'q' },
        { "data", required_argument, NULL, 'd' },
        { "scratch", required_argument, NULL, 's' },
        { "bin", required_argument, NULL, 'b' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    char bin_dir[BENCH_PATH_BYTES];
    struct bench b = { .bin_dir = bin_dir };
    const char *scratch = getenv("TMPDIR");
    default_bin_dir(bin_dir);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'j')
            b.json = true;
        else if (c == 'q')
            b.quick = true;
        else if (c == 'd')
            snprintf(b.data_path, sizeof b.data_path, "%s", optarg);
        else if (c == 's')
            scratch = optarg;
        else if (c == 'b')
            b.bin_dir = optarg;
        else {
            print_help();
            return c == 'h' ? 0 : 64;
        }
    }
    if (optind + 1 != argc ||
        (strcmp(argv[optind], "all") != 0 && find_suite(argv[optind]) == NULL)) {
        print_help();
        return 64;
    }
    snprintf(b.scratch, sizeof b.scratch, "%s/parley-bench.XXXXXX",
             scratch == NULL ? "/tmp" : scratch);
    if (mkdtemp(b.scratch) == NULL) {
        fprintf(stderr, "parley-bench: %s: %s\n", b.scratch, strerror(errno));
        return 1;
    }
    int code = run_in_child(&b, argv[optind]);
    bench_remove_tree(b.scratch);
    return code;
}
