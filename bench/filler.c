/* SPDX-License-Identifier: Apache-2.0
 *
 * Made-up stores; see filler.h.
 */
#include "filler.h"

#include "core/message.h"
#include "db/measure.h"

#include <stdio.h>
#include <stdlib.h>

void filler_open(struct filler *f, const char *dir, bool without_elements)
{
    struct parley_db_options options = { .name = dir, .local_origin = pl_span_text("bench") };
    struct parley_diag diag = { "" };
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text("hello") };
    *f = (struct filler){ .writes = bench_alloc(FILLER_BATCH_MAX * sizeof *f->writes),
                          .names = bench_alloc(FILLER_BATCH_MAX * sizeof *f->names) };
    parley_env_posix(&f->env);
    if (parley_db_open(&f->env, &options, &f->db, NULL, &diag) != PARLEY_OK)
        bench_die("opening %s: %s", dir, diag.text);
    if (without_elements)
        pl_db_leave_out_elements(f->db);
    struct pl_writer w = pl_writer_over(f->body, sizeof f->body);
    pl_message_encode(&w, &message);
    f->body_len = w.len;
}

void filler_flush(struct filler *f)
{
    double start = bench_now();
    if (f->count != 0)
        bench_ok(parley_db_apply(f->db, f->writes, f->count, FILLER_WALL, NULL), "filling a store");
    f->seconds += bench_now() - start;
    f->count = 0;
}

struct parley_db_state filler_state(struct parley_db *db)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    bench_ok(parley_read_begin(db, &read), "a read");
    bench_ok(parley_read_state(read, &state), "the state");
    parley_read_end(read);
    return state;
}

double filler_index(struct parley_db *db)
{
    struct parley_db_state state;
    double start = bench_now();
    do {
        bench_ok(parley_db_maintain(db, FILLER_WALL, NULL), "bringing the sets on");
        state = filler_state(db);
    } while (state.indexed < state.head);
    return bench_now() - start;
}

void filler_close(struct filler *f)
{
    filler_flush(f);
    parley_db_close(f->db);
    free(f->writes);
    free(f->names);
}

void filler_put(struct filler *f, const char *prefix, uint64_t talk, uint64_t message,
                uint64_t time, size_t batch)
{
    struct parley_write *write = &f->writes[f->count];
    char(*names)[24] = f->names[f->count];
    snprintf(names[0], sizeof names[0], "%s%llu", prefix, (unsigned long long)talk);
    snprintf(names[1], sizeof names[1], "m%llu", (unsigned long long)message);
    *write = (struct parley_write){ .kind = PARLEY_WRITE_VERSION, .source = 1 };
    write->u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                                .conversation = pl_span_text(names[0]),
                                                .id = pl_span_text(names[1]),
                                                .kind = PARLEY_KIND_MESSAGE,
                                                .time = time,
                                                .origin = pl_span_text("bench"),
                                                .body = pl_span_of(f->body, f->body_len) };
    if (++f->count == batch)
        filler_flush(f);
}

void filler_add(struct filler *f, const char *prefix, uint64_t index, uint64_t time, size_t batch)
{
    filler_put(f, prefix, index / FILLER_TALK_LEN, index % FILLER_TALK_LEN, time, batch);
}

void filler_fill(struct filler *f, uint64_t count, size_t batch)
{
    uint64_t step = (uint64_t)FILLER_YEAR_US / count;
    for (uint64_t i = 0; i < count; i++)
        filler_add(f, "c", i, (uint64_t)FILLER_BEGIN_US + i * step, batch);
    filler_flush(f);
}

void filler_copy(const char *from, const char *to)
{
    char command[3 * BENCH_PATH_BYTES];
    snprintf(command, sizeof command, "cp -r '%s/store' '%s/store'", from, to);
    bench_check(system(command) == 0, "copying a store");
}
