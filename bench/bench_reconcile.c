/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `reconcile`: what it takes to find the differences of two stores of a million versions that
 * know nothing of each other's log. Times are spread over one year, twenty messages a conversation;
 * the versions that differ are half on one side and half on the other. Bytes are those of QUERY and
 * ANSWER frames of both directions, bodies not counted. Round trips are counted twice: as levels of
 * the search, as in the published figures, and as they pass on a wire without bandwidth limit,
 * where the bounded memory of the side that asks makes it wait when very much differs.
 */
#include "filler.h"
#include "round_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BATCH FILLER_BATCH_MAX
#define PAIRS 7

struct scenario {
    const char *name;
    uint64_t differ;
    bool newest;
};

static const struct scenario scenarios[] = {
    { "d0", 0, false },
    { "d1000_newest", 1000, true },
    { "d1000_scattered", 1000, false },
    { "d100k_newest", 100000, true },
    { "d100k_scattered", 100000, false },
};

/* ---- Stores ---- */

static void add_differences(const char *dir, const struct scenario *s, int side)
{
    struct filler f;
    struct pl_rng rng;
    pl_rng_init(&rng, (uint64_t)side + 7);
    filler_open(&f, dir, false);
    for (uint64_t i = 0; i < s->differ / 2; i++) {
        uint64_t time =
            s->newest ? (uint64_t)(FILLER_BEGIN_US + FILLER_YEAR_US) + i * 1000000 + (uint64_t)side
                      : (uint64_t)FILLER_BEGIN_US + pl_rng_below(&rng, (uint64_t)FILLER_YEAR_US);
        filler_add(&f, side == 0 ? "a" : "b", i, time, BATCH);
    }
    filler_flush(&f);
    filler_index(f.db);
    filler_close(&f);
}

/* ---- Metrics ---- */

static void report(const struct bench *b, const char *scenario, const char *what, double value,
                   const char *unit, const char *note)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%s", scenario, what);
    struct bench_metric metric = { .name = name, .value = value, .unit = unit, .note = note };
    bench_report(b, &metric);
}

static void run_scenario(const struct bench *b, const char *base, const struct scenario *s)
{
    char dirs[2][BENCH_PATH_BYTES];
    const char *both[2] = { dirs[0], dirs[1] };
    struct round_pair_result result;
    for (int i = 0; i < 2; i++) {
        bench_make_dir(b, dirs[i]);
        filler_copy(base, dirs[i]);
        if (s->differ != 0)
            add_differences(dirs[i], s, i);
    }
    round_pair_sync(both, &result);
    bool none = s->differ == 0;
    report(b, s->name, "bytes", (double)(none ? result.state_bytes / 4 : result.find_bytes), "B",
           none ? "one STATE, which carries head, cursor and root" : "QUERY and ANSWER, both ways");
    report(b, s->name, "rtt", result.find_depth, "round trips",
           "longest chain of questions that each needed the answer before");
    report(b, s->name, "rtt_bounded", result.find_trips, "round trips",
           "from the first QUERY to the last answer, memory bounded");
    report(b, s->name, "cpu_ms", result.find_cpu * 1000, "ms", "both sides, merging left out");
    report(b, s->name, "crossed", (double)result.versions, "versions", NULL);
    for (int i = 0; i < 2; i++)
        bench_remove_tree(dirs[i]);
}

/* Seconds in which the sets were brought on after merges. */
static double catch_up;

/* Merges the data set in durable batches of a thousand. Seconds. */
static double merge_data(struct bench *b, bool without_elements)
{
    const struct bench_data *data = bench_data_get(b);
    char dir[BENCH_PATH_BYTES];
    struct filler f;
    bench_make_dir(b, dir);
    filler_open(&f, dir, without_elements);
    for (size_t i = 0; i < data->count; i++) {
        f.writes[f.count++] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                                     .source = 1,
                                                     .u.version = data->versions[i] };
        if (f.count == 1000)
            filler_flush(&f);
    }
    filler_flush(&f);
    double seconds = f.seconds;
    if (!without_elements)
        catch_up += filler_index(f.db);
    filler_close(&f);
    bench_remove_tree(dir);
    return seconds;
}

/* The same of new messages in the order of their times, as they are written day by day. */
static double merge_live(struct bench *b, bool without_elements)
{
    char dir[BENCH_PATH_BYTES];
    struct filler f;
    bench_make_dir(b, dir);
    filler_open(&f, dir, without_elements);
    filler_fill(&f, b->quick ? 5000 : 100000, 1000);
    filler_flush(&f);
    double seconds = f.seconds;
    if (!without_elements)
        catch_up += filler_index(f.db);
    filler_close(&f);
    bench_remove_tree(dir);
    return seconds;
}

/* The median of pairs of runs, so that what else the machine does counts for both. */
static void measure_overhead(struct bench *b, const char *name, const char *note,
                             double (*merge)(struct bench *b, bool without_elements))
{
    double ratios[PAIRS], bare[PAIRS];
    size_t pairs = b->quick ? 1 : PAIRS;
    char whole[256];
    catch_up = 0;
    for (size_t i = 0; i < pairs; i++) {
        double first = merge(b, i % 2 == 0);
        double second = merge(b, i % 2 == 1);
        bare[i] = i % 2 == 0 ? first : second;
        ratios[i] = (i % 2 == 0 ? second : first) / bare[i];
    }
    double baseline = bench_median(bare, pairs);
    snprintf(whole, sizeof whole, "%s; what is put in afterwards takes %.0f %% more", note,
             100 * catch_up / (double)pairs / baseline);
    struct bench_metric metric = { .name = name,
                                   .value = 100 * (bench_median(ratios, pairs) - 1),
                                   .unit = "%",
                                   .baseline = &baseline,
                                   .note = whole };
    bench_report(b, &metric);
}

void bench_reconcile(struct bench *b)
{
    char base[BENCH_PATH_BYTES];
    struct filler f;
    uint64_t count = b->quick ? 20000 : 1000000;
    bench_make_dir(b, base);
    filler_open(&f, base, false);
    filler_fill(&f, count, BATCH);
    filler_index(f.db);
    filler_close(&f);
    for (size_t i = 0; i < PL_ARRAY_LEN(scenarios); i++)
        run_scenario(b, base, &scenarios[i]);
    bench_remove_tree(base);
    report(b, "index", "bytes_per_million", 0, "B",
           "of memory: the index is in the store, nothing is loaded");
    struct bench_metric session = { .name = "session_bytes",
                                    .value = (double)round_pair_session_bytes(),
                                    .unit = "B",
                                    .note =
                                        "a comparison, on the side that asks; buffers left out" };
    bench_report(b, &session);
    measure_overhead(b, "index_overhead_percent",
                     "the data set in the order of its file, durable batches of 1,000 versions; "
                     "baseline: seconds without the index",
                     merge_data);
    measure_overhead(b, "index_overhead_live_percent",
                     "short new messages in the order of their times, the same batches",
                     merge_live);
}
