/* SPDX-License-Identifier: Apache-2.0
 *
 * The conversations that suites work on: read as the importer reads them, through the payload
 * reader of the node, into versions in memory.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include "core/iso8601.h"
#include "core/json.h"
#include "node/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define LINE_BYTES_MAX   (8u << 20)
#define QUICK_TALKS      2000u
#define MADE_UP_TALKS    17000u
#define MADE_UP_START_US UINT64_C(1577836800000000) /* 2020-01-01 */
#define CHUNK_BYTES      (4u << 20)

/* ---- Where the lines come from ---- */

static void write_message(FILE *file, struct pl_rng *rng, size_t talk, size_t index, uint64_t time)
{
    static const char *const words[] = { "table",  "for",  "two",     "please", "tomorrow",
                                         "the",    "what", "weather", "in",     "is",
                                         "would",  "like", "flight",  "to",     "reserve",
                                         "thanks", "and",  "number",  "half",   "restaurant" };
    char stamp[PL_ISO8601_BYTES];
    pl_iso8601_format(time, stamp);
    fprintf(file, "%s{\"message_id\":\"made-%05zu-m%03zu\",\"role\":\"%s\",\"content\":\"",
            index == 0 ? "" : ",", talk, index, index % 2 == 0 ? "user" : "assistant");
    for (uint64_t left = 3 + pl_rng_below(rng, 13); left != 0; left--)
        fprintf(file, "%s%s", words[pl_rng_below(rng, sizeof words / sizeof words[0])],
                left == 1 ? "." : " ");
    fprintf(file, "\",\"timestamp\":\"%.*s\",\"source_backend\":\"import\",\"surface\":\"made\"}",
            PL_ISO8601_BYTES, stamp);
}

/* Of the same shape as the shared data set: 18 short messages a conversation. */
static void make_up(const char *path, size_t talks)
{
    struct pl_rng rng;
    FILE *file = fopen(path, "w");
    bench_check(file != NULL, "creating made-up data");
    pl_rng_init(&rng, 1);
    for (size_t i = 0; i < talks; i++) {
        size_t messages = 8 + pl_rng_below(&rng, 21);
        uint64_t time = MADE_UP_START_US + i * UINT64_C(60000000);
        char first[PL_ISO8601_BYTES], last[PL_ISO8601_BYTES];
        pl_iso8601_format(time, first);
        pl_iso8601_format(time + (messages - 1) * 4000000, last);
        fprintf(file,
                "{\"conversation_id\":\"made-%05zu\",\"title\":\"Made up %zu\","
                "\"surface\":\"made\",\"created_at\":\"%.*s\",\"updated_at\":\"%.*s\","
                "\"metadata\":{\"split\":\"made\"},\"messages\":[",
                i, i, PL_ISO8601_BYTES, first, PL_ISO8601_BYTES, last);
        for (size_t k = 0; k < messages; k++)
            write_message(file, &rng, i, k, time + k * 4000000);
        fputs("]}\n", file);
    }
    bench_check(fclose(file) == 0, "writing made-up data");
}

static void copy_first_lines(const char *from, const char *to, size_t lines)
{
    char *line = bench_alloc(LINE_BYTES_MAX);
    gzFile in = gzopen(from, "rb");
    FILE *out = fopen(to, "w");
    if (in == NULL || out == NULL)
        bench_die("%s: cannot be read", from);
    for (; lines != 0 && gzgets(in, line, (int)LINE_BYTES_MAX) != NULL; lines--)
        fputs(line, out);
    gzclose_r(in);
    bench_check(fclose(out) == 0, "writing the first lines");
    free(line);
}

void bench_data_prepare(struct bench *b)
{
    const char *given = getenv("PARLEY_BENCH_DATA");
    char path[BENCH_PATH_BYTES];
    if (b->data_path[0] == '\0')
        snprintf(b->data_path, sizeof b->data_path, "%s",
                 given != NULL && given[0] != '\0' ? given : BENCH_DATA_DEFAULT);
    bool there = access(b->data_path, R_OK) == 0;
    if (!there && strcmp(b->data_path, BENCH_DATA_DEFAULT) != 0)
        bench_die("%s: cannot be read", b->data_path);
    if (there && !b->quick)
        return;
    bench_join(path, b->scratch, "data.jsonl");
    if (there)
        copy_first_lines(b->data_path, path, QUICK_TALKS);
    else
        make_up(path, b->quick ? QUICK_TALKS : MADE_UP_TALKS);
    memcpy(b->data_path, path, sizeof path);
}

/* ---- Lines to versions ---- */

struct loader {
    struct bench_data *data;
    size_t version_cap;
    size_t talk_cap;
    uint8_t *chunk; /* never freed: the data lives as long as the process */
    size_t chunk_left;
    uint8_t *body;
    uint8_t *object;
};

static struct parley_span keep(struct loader *l, struct parley_span bytes)
{
    if (bytes.len > l->chunk_left) {
        l->chunk_left = bytes.len > CHUNK_BYTES ? bytes.len : CHUNK_BYTES;
        l->chunk = bench_alloc(l->chunk_left);
    }
    uint8_t *copy = l->chunk;
    if (bytes.len != 0)
        memcpy(copy, bytes.ptr, bytes.len);
    l->chunk += bytes.len;
    l->chunk_left -= bytes.len;
    return pl_span_of(copy, bytes.len);
}

static void *grow(void *old, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return old;
    *cap = *cap == 0 ? 4096 : *cap * 2;
    void *memory = realloc(old, *cap * size);
    bench_check(memory != NULL, "memory for the data");
    return memory;
}

static void load_item(struct loader *l, const struct pl_payload_item *item)
{
    struct bench_data *data = l->data;
    struct pl_writer w = pl_writer_over(l->body, LINE_BYTES_MAX);
    data->versions = grow(data->versions, data->count, &l->version_cap, sizeof data->versions[0]);
    struct parley_version *v = &data->versions[data->count++];
    pl_payload_body(item, &w);
    bench_ok(w.err, "a message body");
    *v = item->version;
    v->id = keep(l, v->id);
    v->body = keep(l, pl_writer_span(&w));
    if (v->kind != PARLEY_KIND_MESSAGE)
        return;
    data->message_count++;
    data->text_bytes += v->id.len + item->content.len;
}

static void load_line(struct loader *l, struct parley_span json)
{
    struct pl_payload payload;
    struct pl_payload_item item;
    struct parley_diag diag = { "" };
    struct pl_writer w = pl_writer_over(l->object, PL_JSON_MP_BYTES_MAX(LINE_BYTES_MAX));
    bench_ok(pl_json_to_mp(json, &w, NULL), "a line of the data");
    struct parley_span object = keep(l, pl_writer_span(&w));
    parley_err err =
        pl_payload_open(&payload, object, pl_span_text("main"), pl_span_text("import"), &diag);
    if (err != PARLEY_OK)
        bench_die("a conversation of the data: %s", diag.text);
    struct bench_data *data = l->data;
    data->talks = grow(data->talks, data->talk_count, &l->talk_cap, sizeof data->talks[0]);
    struct bench_talk *talk = &data->talks[data->talk_count++];
    talk->first = data->count;
    while (pl_payload_next(&payload, &item))
        load_item(l, &item);
    talk->count = data->count - talk->first;
    data->text_bytes += payload.id.len;
}

const struct bench_data *bench_data_get(struct bench *b)
{
    if (b->data != NULL)
        return b->data;
    struct loader l = { .data = calloc(1, sizeof *l.data),
                        .body = bench_alloc(LINE_BYTES_MAX),
                        .object = bench_alloc(PL_JSON_MP_BYTES_MAX(LINE_BYTES_MAX)) };
    char *line = bench_alloc(LINE_BYTES_MAX);
    gzFile in = gzopen(b->data_path, "rb");
    bench_check(in != NULL && l.data != NULL, "opening the data");
    while (gzgets(in, line, (int)LINE_BYTES_MAX) != NULL)
        if (line[0] != '\n')
            load_line(&l, pl_span_text(line));
    gzclose_r(in);
    free(line);
    free(l.body);
    free(l.object);
    bench_check(l.data->talk_count != 0, "finding a conversation in the data");
    b->data = l.data;
    return b->data;
}

size_t *bench_data_order(const struct bench_data *data, bool shuffled)
{
    size_t *order = bench_alloc(data->talk_count * sizeof *order);
    struct pl_rng rng;
    pl_rng_init(&rng, 7);
    for (size_t i = 0; i < data->talk_count; i++)
        order[i] = i;
    for (size_t i = data->talk_count; shuffled && i > 1; i--) {
        size_t k = (size_t)pl_rng_below(&rng, i);
        size_t swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
    return order;
}
