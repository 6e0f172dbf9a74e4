/* SPDX-License-Identifier: Apache-2.0
 *
 * What every suite needs: clocks, counters, scratch directories, results.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include <ftw.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Giving up ---- */

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("parley-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(NULL);
    /* The parent cleans up; what was started dies with this process. */
    _exit(1);
}

void bench_check(bool ok, const char *what)
{
    if (!ok)
        bench_die("%s failed", what);
}

void bench_ok(parley_err err, const char *what)
{
    if (err != PARLEY_OK)
        bench_die("%s: %s (%s)", what, parley_err_text(err), parley_err_name(err));
}

void *bench_alloc(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    if (memory == NULL)
        bench_die("no memory for %zu bytes", size);
    return memory;
}

/* ---- Measuring ---- */

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double bench_cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t bench_written(void)
{
    char line[128];
    unsigned long long bytes = 0;
    bool found = false;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "wchar: %llu", &bytes) == 1;
    if (file != NULL)
        fclose(file);
    return found ? bytes : BENCH_WRITTEN_UNKNOWN;
}

uint64_t bench_file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_percentile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[pl_min_size(count - 1, (size_t)((double)count * share))];
}

/* ---- Results ---- */

static void report_json(const struct bench *b, const struct bench_metric *m)
{
    json_t *line = json_pack("{s:s, s:s, s:f, s:s}", "suite", b->suite, "metric", m->name, "value",
                             m->value, "unit", m->unit);
    if (line != NULL && m->baseline != NULL)
        json_object_set_new(line, "baseline", json_real(*m->baseline));
    if (line != NULL && m->note != NULL)
        json_object_set_new(line, "note", json_string(m->note));
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    bench_check(text != NULL, "a result line");
    puts(text);
    free(text);
    json_decref(line);
}

void bench_report(const struct bench *b, const struct bench_metric *m)
{
    if (b->json) {
        report_json(b, m);
    } else {
        bool whole = m->value >= 1000 || m->value <= -1000;
        printf("  %-38s %14.*f %-12s", m->name, whole ? 0 : 3, m->value, m->unit);
        if (m->baseline != NULL)
            printf(" (baseline %.*f)", *m->baseline >= 1000 ? 0 : 3, *m->baseline);
        printf("%s%s\n", m->note == NULL ? "" : "  ", m->note == NULL ? "" : m->note);
    }
    fflush(stdout);
}

/* ---- Scratch ---- */

void bench_join(char *out, const char *dir, const char *name)
{
    int len = snprintf(out, BENCH_PATH_BYTES, "%s/%s", dir, name);
    bench_check(len > 0 && len < BENCH_PATH_BYTES, "a path that fits");
}

void bench_make_dir(const struct bench *b, char *out)
{
    bench_join(out, b->scratch, "XXXXXX");
    if (mkdtemp(out) == NULL)
        bench_die("%s: cannot be created", out);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void bench_remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "parley-bench: %s: not removed\n", path);
}
