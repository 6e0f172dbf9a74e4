/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_SECONDS_MAX 10.0

static void become(const char *const *argv, const char *log, int out)
{
    /* What an operator has set for a node of theirs must not reach these. */
    static const char *const unset[] = { "PARLEY_DATA", "BACKEND_PRIVATE_KEY", "PARLEY_PASSPHRASE",
                                         "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET" };
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        unsetenv(unset[i]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int null = open("/dev/null", O_RDWR);
    if (err < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out < 0 ? null : out, 1) < 0 ||
        dup2(err, 2) < 0)
        _exit(126);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    perror(argv[0]);
    _exit(127);
}

pid_t proc_start(const char *const *argv, const char *log, int *out)
{
    int ends[2] = { -1, -1 };
    bench_check(out == NULL || pipe2(ends, O_CLOEXEC) == 0, "a pipe");
    pid_t pid = fork();
    bench_check(pid >= 0, "fork");
    if (pid == 0)
        become(argv, log, ends[1]);
    if (out != NULL) {
        close(ends[1]);
        *out = ends[0];
    }
    return pid;
}

/* Reads until the end, the first newline if `line`, or the time limit; false at the latter. */
static bool read_until(int fd, double end, bool line, char *text, size_t cap)
{
    size_t len = 0;
    while (len < cap - 1) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        double left = end - bench_now();
        if (left <= 0)
            return false;
        if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        ssize_t got = read(fd, text + len, line ? 1 : cap - 1 - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
        if (line && text[len - 1] == '\n')
            break;
    }
    text[len] = '\0';
    return true;
}

void proc_read_line(int fd, double seconds, char *line, size_t cap)
{
    if (!read_until(fd, bench_now() + seconds, true, line, cap) || line[0] == '\0')
        bench_die("a program that was started said nothing within %.0f s", seconds);
}

static void show_log(const char *log)
{
    char line[512];
    FILE *file = fopen(log, "r");
    for (int i = 0; file != NULL && i < 40 && fgets(line, sizeof line, file) != NULL; i++)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

void proc_run(const char *const *argv, const char *log, double seconds, char *out, size_t cap)
{
    int fd;
    int status = 0;
    pid_t pid = proc_start(argv, log, &fd);
    bool in_time = read_until(fd, bench_now() + seconds, false, out, cap);
    close(fd);
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    show_log(log);
    bench_die("%s %s %s: %s (status %d)\n%s", argv[0], argv[1], argv[2],
              in_time ? "failed" : "took too long", status, in_time ? out : "");
}

void proc_stop(pid_t pid)
{
    double end = bench_now() + STOP_SECONDS_MAX;
    struct timespec pause = { .tv_nsec = 10000000 };
    kill(pid, SIGTERM);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (bench_now() > end)
            kill(pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
}

struct proc_usage proc_usage_of(pid_t pid)
{
    struct proc_usage usage = { 0 };
    char path[64];
    char line[512];
    unsigned long user = 0;
    unsigned long system = 0;
    unsigned long long written = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL && fgets(line, sizeof line, file) != NULL) {
        /* The name in parentheses may hold anything; what counts is behind it. */
        const char *at = strrchr(line, ')');
        if (at != NULL && sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                                 &system) == 2)
            usage.cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    }
    if (file != NULL)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "wchar: %llu", &written) == 1)
            usage.written = written;
    if (file != NULL)
        fclose(file);
    return usage;
}
