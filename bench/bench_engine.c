/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `engine`: parley_db_apply against a raw LMDB program, and what merging again writes.
 *
 * The raw program is that of script.h.
 */
#include "engine_large.h"
#include "engine_writer.h"
#include "filler.h"
#include "memory.h"
#include "script.h"

#include "base/span.h"

#include <stdio.h>
#include <stdlib.h>

#define REPEATS_MAX 5
#define BATCH       1000u

/* One repetition. */
struct result {
    double merge_seconds;
    double index_seconds; /* until the sets have all of it, from the end of the merge */
    double raw_seconds;
    double raw_sets_seconds; /* for the sets, after it */
    double merge_cpu;
    double raw_cpu;
    double remerge_seconds;
    uint64_t remerge_written;
    double written_ratio;   /* bytes written over those of the raw program */
    double disk_ratio;      /* and over the bytes of keys and values */
    double disk_sets_ratio; /* with the sets, over those of all */
    double file_ratio;      /* file over the rows in it, the sets among them */
};

/* ---- The engine ---- */

struct engine {
    struct parley_env env;
    struct parley_db *db;
    char dir[BENCH_PATH_BYTES];
    struct parley_write *writes;
    double seconds;
    double cpu_seconds;
};

static void engine_open(const struct bench *b, struct engine *e)
{
    struct parley_diag diag = { "" };
    struct parley_db_options options = { .name = e->dir, .local_origin = pl_span_text("bench") };
    bool renewed;
    bench_make_dir(b, e->dir);
    parley_env_posix(&e->env);
    if (parley_db_open(&e->env, &options, &e->db, &renewed, &diag) != PARLEY_OK)
        bench_die("opening a store: %s", diag.text);
}

static void engine_apply(struct engine *e, size_t count)
{
    double start = bench_now();
    double cpu = bench_cpu();
    bench_ok(parley_db_apply(e->db, e->writes, count, FILLER_WALL, NULL), "apply");
    e->seconds += bench_now() - start;
    e->cpu_seconds += bench_cpu() - cpu;
}

/* Merges the whole data set, conversations in the given order. */
static void engine_merge(struct engine *e, const struct bench_data *data, const size_t *order)
{
    size_t count = 0;
    e->seconds = 0;
    e->cpu_seconds = 0;
    for (size_t i = 0; i < data->talk_count; i++) {
        const struct bench_talk *talk = &data->talks[order[i]];
        for (size_t k = 0; k < talk->count; k++) {
            e->writes[count++] =
                (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                       .source = 1,
                                       .u.version = data->versions[talk->first + k] };
            if (count == BATCH) {
                engine_apply(e, count);
                count = 0;
            }
        }
    }
    if (count != 0)
        engine_apply(e, count);
}

/* ---- The suite ---- */

struct raw_run {
    double seconds, cpu;
    uint64_t written; /* bytes */
};

/* Batches from `first` on. */
static struct raw_run run_script(struct script *script, struct raw *raw, size_t first)
{
    uint64_t before = bench_written();
    double start = bench_now();
    double cpu = bench_cpu();
    for (size_t i = first; i < script_batches(script); i++)
        script_put(script, raw, i);
    return (struct raw_run){ .seconds = bench_now() - start,
                             .cpu = bench_cpu() - cpu,
                             .written = bench_written() - before };
}

static struct result measure(struct bench *b, struct engine *e, const size_t *order)
{
    const struct bench_data *data = bench_data_get(b);
    struct result r;
    char path[BENCH_PATH_BYTES];
    engine_open(b, e);
    uint64_t before = bench_written();
    engine_merge(e, data, order);
    uint64_t written = bench_written() - before;
    r.merge_seconds = e->seconds;
    r.merge_cpu = e->cpu_seconds;
    r.index_seconds = filler_index(e->db);
    uint64_t indexed = bench_written() - before;
    before = bench_written();
    engine_merge(e, data, order);
    r.remerge_seconds = e->seconds;
    r.remerge_written = bench_written() - before;
    parley_db_close(e->db);
    bench_join(path, e->dir, "store/data.mdb");
    struct raw raw;
    raw_create(b, &raw, script_tables, SCRIPT_TABLES);
    struct script *script = script_make(e->dir, 0, BATCH);
    struct raw_run merged = run_script(script, &raw, 0);
    r.disk_ratio = (double)written / (double)script_bytes(script);
    size_t batches = script_batches(script);
    script_add_sets(script, e->dir);
    struct raw_run sets = run_script(script, &raw, batches);
    r.raw_seconds = merged.seconds;
    r.raw_cpu = merged.cpu;
    r.raw_sets_seconds = sets.seconds;
    r.written_ratio = (double)written / (double)merged.written;
    r.disk_sets_ratio = (double)indexed / (double)script_bytes(script);
    r.file_ratio = (double)bench_file_bytes(path) / (double)script_bytes(script);
    script_free(script);
    raw_destroy(&raw);
    bench_remove_tree(e->dir);
    return r;
}

/* The best of each: what disturbs a run only slows it. */
static struct result best_of(const struct result *results, size_t count)
{
    struct result best = results[0];
    for (size_t i = 1; i < count; i++) {
        const struct result *r = &results[i];
        if (r->merge_seconds < best.merge_seconds)
            best.merge_seconds = r->merge_seconds;
        if (r->index_seconds < best.index_seconds)
            best.index_seconds = r->index_seconds;
        if (r->raw_seconds < best.raw_seconds)
            best.raw_seconds = r->raw_seconds;
        if (r->raw_sets_seconds < best.raw_sets_seconds)
            best.raw_sets_seconds = r->raw_sets_seconds;
        if (r->merge_cpu < best.merge_cpu)
            best.merge_cpu = r->merge_cpu;
        if (r->raw_cpu < best.raw_cpu)
            best.raw_cpu = r->raw_cpu;
        if (r->remerge_seconds < best.remerge_seconds)
            best.remerge_seconds = r->remerge_seconds;
        if (r->remerge_written > best.remerge_written)
            best.remerge_written = r->remerge_written;
    }
    return best;
}

static void report(struct bench *b, const struct result *best)
{
    double count = (double)bench_data_get(b)->count;
    double merge_rate = count / best->merge_seconds;
    double raw_rate = count / best->raw_seconds;
    char note[160];
    snprintf(note, sizeof note, "engine %.0f, raw %.0f versions/s; %.2f times its bytes written",
             merge_rate, raw_rate, best->written_ratio);
    bench_report(b, &(struct bench_metric){ .name = "merge_durable_ratio",
                                            .value = merge_rate / raw_rate,
                                            .unit = "ratio",
                                            .note = note });
    bench_report(b, &(struct bench_metric){ .name = "merge_durable_rate",
                                            .value = merge_rate,
                                            .unit = "versions/s",
                                            .baseline = &raw_rate });
    double indexed = best->merge_seconds + best->index_seconds;
    double raw_indexed = best->raw_seconds + best->raw_sets_seconds;
    snprintf(note, sizeof note, "until the sets have them, too: engine %.0f, raw %.0f versions/s",
             count / indexed, count / raw_indexed);
    bench_report(b, &(struct bench_metric){ .name = "merge_indexed_ratio",
                                            .value = raw_indexed / indexed,
                                            .unit = "ratio",
                                            .note = note });
    double raw_cpu = 1e6 * best->raw_cpu / count;
    bench_report(b, &(struct bench_metric){ .name = "merge_cpu",
                                            .value = 1e6 * best->merge_cpu / count,
                                            .unit = "us/version",
                                            .baseline = &raw_cpu,
                                            .note = "processor time, kernel included" });
    /* The worst of all runs. */
    bench_report(b, &(struct bench_metric){ .name = "remerge_bytes_written",
                                            .value = (double)best->remerge_written,
                                            .unit = "B" });
    bench_report(b, &(struct bench_metric){ .name = "remerge_rate",
                                            .value = count / best->remerge_seconds,
                                            .unit = "versions/s" });
    snprintf(note, sizeof note,
             "bytes written over those of keys and values, batches of 1,000, conversations "
             "shuffled; %.2f with the sets",
             best->disk_sets_ratio);
    bench_report(b, &(struct bench_metric){ .name = "disk_bytes_ratio",
                                            .value = best->disk_ratio,
                                            .unit = "ratio",
                                            .note = note });
    bench_report(b,
                 &(struct bench_metric){
                     .name = "file_size_ratio",
                     .value = best->file_ratio,
                     .unit = "ratio",
                     .note = "file size over the bytes of keys and values, the sets with them" });
}

void bench_engine(struct bench *b)
{
    struct result results[REPEATS_MAX];
    struct engine e = { .writes = bench_alloc(BATCH * sizeof *e.writes) };
    const struct bench_data *data = bench_data_get(b);
    size_t repeats = b->quick ? 1 : REPEATS_MAX;
    size_t *order = bench_data_order(data, true);
    for (size_t i = 0; i < repeats; i++)
        results[i] = measure(b, &e, order);
    struct result best = best_of(results, repeats);
    report(b, &best);
    engine_writer_measure(b);
    engine_large_measure(b);
    memory_measure(b);
    free(order);
    free(e.writes);
}
