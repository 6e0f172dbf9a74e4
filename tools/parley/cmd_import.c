/* SPDX-License-Identifier: Apache-2.0
 *
 * import: JSON lines, plain or gzip, into the node, in requests of about a megabyte. What other
 * programs wrote, archives among it, is cut into conversations; each is made into a line of ours.
 *
 * Up to three requests are under way on the one connection, so that reading, sending and committing
 * overlap; answers come in order. With --strict there is one at a time, because nothing behind a
 * bad line may be stored. What the node acknowledged is durable: after a failure the same import
 * may simply be run again.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"
#include "parley/elements.h"
#include "parley/foreign.h"
#include "parley/progress.h"
#include "parley/unpack.h"

#include <stdlib.h>

#define PART_BYTES     (768u << 10)
#define READ_BYTES     (256u << 10)
#define LINE_BYTES_MAX (PL_HTTP_WHOLE_BYTES_MAX - 2 * READ_BYTES)
#define IN_FLIGHT_MAX  3
#define SHOWN_MAX      20
#define LISTED_MAX     1000

struct import {
    struct cli *cli;
    const char *name;
    struct unpack input;
    struct buf path;    /* of the request */
    struct buf pending; /* read, not yet sent */
    size_t scanned;     /* bytes of it known to hold no newline */
    bool skipping;      /* inside a line that is too long */
    bool at_end;
    uint64_t line; /* number of the first line of `pending`, from 1 */

    uint64_t first_line[IN_FLIGHT_MAX]; /* of the requests under way, a ring */
    size_t ring_first, ring_count;

    /* What is not lines of ours. */
    bool foreign;
    struct elements elements;
    struct foreign_options options;
    uint64_t number;       /* of the last value, from 1 */
    uint64_t *numbers;     /* by line of ours: the value that it was made of */
    size_t made, made_cap; /* of numbers */
    json_t *list;          /* messages of a file that is one conversation */
    size_t list_bytes;
    uint64_t left_out;

    uint64_t received, created, updated, skipped, versions, bad;
    json_t *errors;
    struct progress progress;
};

/* The number of a line as the user counts it. */
static uint64_t number_of(const struct import *m, uint64_t line)
{
    return m->foreign && line - 1 < m->made ? m->numbers[line - 1] : line;
}

static const char *unit_of(const struct import *m)
{
    return m->foreign ? "conversation" : "line";
}

/* ---- Reports ---- */

static void note_bad(struct import *m, uint64_t line, const char *id, const char *detail)
{
    m->bad++;
    if (m->bad <= LISTED_MAX) {
        json_t *item = json_pack("{s:I, s:s}", m->foreign ? "number" : "line", (json_int_t)line,
                                 "detail", detail);
        if (id[0] != '\0')
            json_object_set_new(item, "conversation_id", json_string(id));
        json_array_append_new(m->errors, item);
    }
    if (m->cli->json || m->bad > SHOWN_MAX + 1)
        return;
    progress_clear(&m->progress);
    if (m->bad > SHOWN_MAX) {
        fprintf(stderr, "more bad %ss follow; --json lists 1,000 of them\n", unit_of(m));
        return;
    }
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(detail), false);
    if (id[0] != '\0') {
        buf_text(&safe, " (");
        text_safe(&safe, pl_span_text(id), false);
        buf_text(&safe, ")");
    }
    fprintf(stderr, "%s %llu: %s: skipped\n", unit_of(m), (unsigned long long)line, buf_str(&safe));
    buf_free(&safe);
}

static void draw(struct import *m)
{
    struct buf b = { 0 };
    if (!progress_is_due(&m->progress))
        return;
    double seconds = progress_now() - m->progress.began;
    text_count(&b, m->received);
    buf_text(&b, " conversations, ");
    text_count(&b, (uint64_t)((double)m->received / seconds));
    buf_text(&b, "/s");
    progress_draw(&m->progress, unpack_progress(&m->input), m->input.file_bytes, b.ptr);
    buf_free(&b);
}

/* ---- Requests ---- */

/* "line 17: rest" counts from the first line of its request. */
static enum cli_exit fail_strict(struct import *m, const struct reply *reply, uint64_t first)
{
    struct buf code = { 0 };
    struct buf detail = { 0 };
    reply_problem(reply, &code, &detail);
    unsigned long long line = 0;
    int used = 0;
    bool ours = strcmp(buf_str(&code), "bad-line") == 0 &&
                sscanf(buf_str(&detail), "line %llu: %n", &line, &used) == 1 && used > 0;
    enum cli_exit exit;
    if (ours)
        exit = cli_fail(m->cli, CLI_DATA, "bad-line",
                        "%s: %s %llu: %s; what is before it is stored, nothing after it is",
                        m->name, unit_of(m), (unsigned long long)number_of(m, first + line - 1),
                        detail.ptr + used);
    else
        exit = client_refusal(m->cli, reply);
    buf_free(&code);
    buf_free(&detail);
    return exit;
}

static void take_counts(struct import *m, const json_t *answer, uint64_t first)
{
    const json_t *errors = json_object_get(answer, "errors");
    uint64_t omitted = json_count(answer, "errors_omitted");
    size_t index;
    json_t *item;
    uint64_t bad = json_array_size(errors) + omitted;
    m->received += json_count(answer, "received");
    m->created += json_count(answer, "created");
    m->updated += json_count(answer, "updated");
    m->skipped += json_count(answer, "skipped") - pl_min_u64(bad, json_count(answer, "skipped"));
    m->versions += json_count(answer, "versions_new");
    json_array_foreach(errors, index, item)
    {
        note_bad(m, number_of(m, first + json_count(item, "line") - 1),
                 json_text(item, "conversation_id"), json_text(item, "detail"));
    }
    m->bad += omitted;
}

static enum cli_exit take_answer(struct import *m)
{
    struct reply reply = { 0 };
    uint64_t first = m->first_line[m->ring_first];
    enum cli_exit exit = client_receive(m->cli, &reply);
    if (exit == CLI_OK && reply.status >= 400)
        exit = fail_strict(m, &reply, first);
    if (exit == CLI_OK) {
        json_t *answer = json_loadb(buf_str(&reply.body), reply.body.len, JSON_ALLOW_NUL, NULL);
        if (answer == NULL)
            exit = cli_fail(m->cli, CLI_BUG, "bad-answer", "the answer of the node is not JSON");
        else
            take_counts(m, answer, first);
        json_decref(answer);
    }
    m->ring_first = (m->ring_first + 1) % IN_FLIGHT_MAX;
    m->ring_count--;
    reply_free(&reply);
    draw(m);
    return exit;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t count = 0;
    for (const char *at = bytes; len != 0; count++) {
        const char *end = memchr(at, '\n', len);
        if (end == NULL)
            break;
        len -= (size_t)(end - at) + 1;
        at = end + 1;
    }
    return count;
}

/* Sends the first `len` bytes of `pending`: whole lines. */
static enum cli_exit send_part(struct import *m, size_t len)
{
    size_t in_flight_max = m->cli->strict ? 1 : IN_FLIGHT_MAX;
    while (m->ring_count == in_flight_max) {
        enum cli_exit exit = take_answer(m);
        if (exit != CLI_OK)
            return exit;
    }
    client_send(m->cli->client, "POST", m->path.ptr, "application/x-ndjson",
                pl_span_of(m->pending.ptr, len));
    m->first_line[(m->ring_first + m->ring_count) % IN_FLIGHT_MAX] = m->line;
    m->ring_count++;
    m->line += count_lines(m->pending.ptr, len);
    buf_drop(&m->pending, len);
    m->scanned = 0;
    /* In flight is only what has left; with a free place nothing would wait for that. */
    return m->ring_count == in_flight_max ? take_answer(m) : CLI_OK;
}

/* ---- Lines ---- */

/* A line longer than a request may be: its rest is thrown away. */
static enum cli_exit skip_line(struct import *m)
{
    char *end = m->pending.len == 0 ? NULL : memchr(m->pending.ptr, '\n', m->pending.len);
    buf_drop(&m->pending, end == NULL ? m->pending.len : (size_t)(end - m->pending.ptr) + 1);
    m->scanned = 0;
    if (end != NULL) {
        m->line++;
        m->skipping = false;
    }
    return CLI_OK;
}

static enum cli_exit too_long(struct import *m)
{
    struct buf detail = { 0 };
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK && m->ring_count != 0)
        exit = take_answer(m);
    buf_format(&detail,
               "the line is longer than %u bytes, the limit of a conversation in one "
               "request",
               LINE_BYTES_MAX);
    m->received++;
    if (exit == CLI_OK && m->cli->strict)
        exit = cli_fail(m->cli, CLI_DATA, "bad-line", "%s: line %llu: %s", m->name,
                        (unsigned long long)m->line, detail.ptr);
    else if (exit == CLI_OK)
        note_bad(m, m->line, "", detail.ptr);
    buf_free(&detail);
    m->skipping = true;
    return exit;
}

static enum cli_exit cut_lines(struct import *m)
{
    if (m->skipping)
        return skip_line(m);
    if (m->pending.len < PART_BYTES && !m->at_end)
        return CLI_OK;
    if (m->pending.len == 0)
        return CLI_OK;
    const char *end = memrchr(m->pending.ptr + m->scanned, '\n', m->pending.len - m->scanned);
    if (m->at_end && m->pending.len <= LINE_BYTES_MAX + READ_BYTES)
        return send_part(m, m->pending.len);
    if (end != NULL)
        return send_part(m, (size_t)(end - m->pending.ptr) + 1);
    m->scanned = m->pending.len;
    return m->pending.len > LINE_BYTES_MAX ? too_long(m) : CLI_OK;
}

static enum cli_exit finish_requests(struct import *m)
{
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK && m->ring_count != 0)
        exit = take_answer(m);
    return exit;
}

/* The input is damaged, which is noted already. What is whole before that is still worth having;
 * half a line is not. */
static enum cli_exit save_lines(struct import *m, enum cli_exit failed)
{
    const char *end = m->pending.len == 0 ? NULL : memrchr(m->pending.ptr, '\n', m->pending.len);
    enum cli_exit exit = CLI_OK;
    if (end != NULL && !m->skipping && !m->cli->strict)
        exit = send_part(m, (size_t)(end - m->pending.ptr) + 1);
    if (exit == CLI_OK)
        exit = finish_requests(m);
    buf_format(&m->cli->detail, "; %llu conversations before that were taken",
               (unsigned long long)m->received);
    return exit != CLI_OK ? exit : failed;
}

static enum cli_exit read_part(struct import *m)
{
    size_t len = 0;
    enum cli_exit exit =
        unpack_read(&m->input, buf_room(&m->pending, READ_BYTES), READ_BYTES, &len);
    if (exit != CLI_OK)
        return save_lines(m, exit);
    m->pending.len += len;
    m->pending.ptr[m->pending.len] = '\0';
    m->at_end = len == 0;
    return CLI_OK;
}

static enum cli_exit run_lines(struct import *m)
{
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK) {
        exit = cut_lines(m);
        draw(m);
        if (m->at_end && m->pending.len == 0)
            break;
        if (exit == CLI_OK && !m->at_end)
            exit = read_part(m);
    }
    return exit != CLI_OK ? exit : finish_requests(m);
}

/* ---- What others wrote ---- */

static enum cli_exit refuse_value(struct import *m, const char *why)
{
    if (m->cli->strict)
        return cli_fail(m->cli, CLI_DATA, "bad-line", "%s: conversation %llu: %s", m->name,
                        (unsigned long long)m->number, why);
    m->received++;
    note_bad(m, m->number, "", why);
    return CLI_OK;
}

/* One line of ours, of the value with the current number. */
static enum cli_exit emit(struct import *m, const json_t *talk)
{
    char *line = json_dumps(talk, JSON_COMPACT);
    if (line == NULL)
        return refuse_value(m, "cannot be written as JSON again");
    size_t len = strlen(line);
    if (len > LINE_BYTES_MAX) {
        free(line);
        return refuse_value(m, "is longer than a conversation in one request may be");
    }
    if (m->made == m->made_cap) {
        m->made_cap = m->made_cap == 0 ? 1024 : 2 * m->made_cap;
        m->numbers = realloc(m->numbers, m->made_cap * sizeof *m->numbers);
        PL_ASSERT(m->numbers != NULL);
    }
    m->numbers[m->made++] = m->number;
    buf_add(&m->pending, line, len);
    buf_text(&m->pending, "\n");
    free(line);
    return m->pending.len >= PART_BYTES ? send_part(m, m->pending.len) : CLI_OK;
}

static enum cli_exit convert(struct import *m, const json_t *value, enum foreign_shape shape)
{
    struct foreign_report report;
    json_t *talk = foreign_convert(value, shape, &m->options, &report);
    m->left_out += report.left_out;
    enum cli_exit exit = talk != NULL ? emit(m, talk) : refuse_value(m, report.why);
    json_decref(talk);
    return exit;
}

/* A file of single messages is one conversation. */
static enum cli_exit collect(struct import *m, json_t *message, size_t bytes)
{
    m->list = m->list != NULL ? m->list : json_array();
    m->list_bytes += bytes;
    if (m->list_bytes > LINE_BYTES_MAX || json_array_size(m->list) == FOREIGN_MESSAGES_MAX)
        return cli_fail(m->cli, CLI_DATA, "bad-input",
                        "%s: is a list of more messages than one conversation may have (%u, %u "
                        "bytes); nothing of it is stored",
                        m->name, FOREIGN_MESSAGES_MAX, LINE_BYTES_MAX);
    json_array_append(m->list, message);
    return CLI_OK;
}

static enum cli_exit take_value(struct import *m, struct parley_span bytes)
{
    json_error_t error;
    m->number++;
    json_t *value = json_loadb((const char *)bytes.ptr, bytes.len,
                               JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return refuse_value(m, error.text);
    enum foreign_shape shape = foreign_shape(value);
    enum cli_exit exit =
        shape == FOREIGN_MESSAGE ? collect(m, value, bytes.len) : convert(m, value, shape);
    json_decref(value);
    return exit;
}

/* The texts of an archive are apart. */
static enum cli_exit end_text(struct import *m, bool *more)
{
    enum cli_exit exit = CLI_OK;
    if (m->list != NULL)
        exit = convert(m, m->list, FOREIGN_MESSAGE);
    json_decref(m->list);
    m->list = NULL;
    m->list_bytes = 0;
    m->at_end = false;
    elements_reset(&m->elements);
    return exit != CLI_OK ? exit : unpack_next(&m->input, more);
}

static enum cli_exit read_elements(struct import *m)
{
    size_t len = 0;
    enum cli_exit exit =
        unpack_read(&m->input, elements_room(&m->elements, READ_BYTES), READ_BYTES, &len);
    elements_add(&m->elements, len);
    m->at_end = len == 0;
    draw(m);
    return exit;
}

static enum cli_exit next_value(struct import *m, bool *more)
{
    struct parley_span value;
    switch (elements_next(&m->elements, m->at_end, &value)) {
    case ELEMENTS_MORE:
        return read_elements(m);
    case ELEMENTS_VALUE:
        return take_value(m, value);
    case ELEMENTS_TOO_LONG:
        m->number++;
        return refuse_value(m, "is longer than 63 MiB");
    case ELEMENTS_END:
        return end_text(m, more);
    case ELEMENTS_BAD:
        break;
    }
    return cli_fail(m->cli, CLI_DATA, "bad-input", "%s: behind conversation %llu: %s", m->name,
                    (unsigned long long)m->number, m->elements.what);
}

static enum cli_exit run_foreign(struct import *m)
{
    enum cli_exit exit = CLI_OK;
    for (bool more = true; exit == CLI_OK && more;)
        exit = next_value(m, &more);
    if (exit != CLI_OK)
        return exit == CLI_DATA ? save_lines(m, exit) : exit;
    if (m->pending.len != 0)
        exit = send_part(m, m->pending.len);
    return exit != CLI_OK ? exit : finish_requests(m);
}

/* ---- Which of the two ---- */

/* Lines whose first one is a conversation object, or no JSON at all, are for the node to read. */
static bool is_foreign(const struct parley_span value, bool in_array)
{
    json_t *first =
        json_loadb((const char *)value.ptr, value.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    bool ours = first == NULL || foreign_shape(first) == FOREIGN_OURS ||
                foreign_shape(first) == FOREIGN_UNKNOWN;
    json_decref(first);
    return in_array || !ours;
}

static enum cli_exit run(struct import *m)
{
    struct parley_span value;
    enum elements_event event = ELEMENTS_MORE;
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK && event == ELEMENTS_MORE) {
        exit = read_elements(m);
        event = elements_next(&m->elements, m->at_end, &value);
    }
    bool in_array = m->elements.in_array;
    m->foreign =
        m->input.zip != NULL || (event == ELEMENTS_VALUE ? is_foreign(value, in_array) : in_array);
    /* From the start again, whoever reads. */
    struct buf start = m->elements.pending;
    m->elements = (struct elements){ .pending = start };
    if (m->foreign)
        return exit != CLI_OK ? exit : run_foreign(m);
    m->pending = start;
    m->elements = (struct elements){ .at = 0 };
    return exit != CLI_OK ? save_lines(m, exit) : run_lines(m);
}

/* ---- The command ---- */

static void print_result(const struct import *m, double seconds)
{
    double rate = seconds > 0 ? (double)m->received / seconds : 0;
    if (m->cli->json) {
        json_t *answer = json_pack(
            "{s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:O}", "file", m->name, "received",
            (json_int_t)m->received, "created", (json_int_t)m->created, "updated",
            (json_int_t)m->updated, "skipped", (json_int_t)m->skipped, "bad", (json_int_t)m->bad,
            "versions_new", (json_int_t)m->versions, "messages_left_out", (json_int_t)m->left_out,
            "seconds", seconds, "conversations_per_second", rate, "errors", m->errors);
        cli_print_json(m->cli, answer);
        json_decref(answer);
        return;
    }
    struct buf b = { 0 };
    const struct {
        const char *text;
        uint64_t count;
    } parts[] = {
        { " conversations: ", m->received },
        { " created, ", m->created },
        { " updated, ", m->updated },
        { " unchanged, ", m->skipped },
        { " bad; ", m->bad },
        { " new versions; ", m->versions },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++) {
        text_count(&b, parts[i].count);
        buf_text(&b, parts[i].text);
    }
    buf_format(&b, "%.1f s, ", seconds);
    text_count(&b, (uint64_t)rate);
    printf("%s conversations/s\n", b.ptr);
    buf_clear(&b);
    text_count(&b, m->left_out);
    if (m->left_out != 0)
        printf(
            "%s messages of branches that were not the last one shown are left out; --all brings "
            "them too\n",
            b.ptr);
    buf_free(&b);
}

enum cli_exit cmd_import(struct cli *cli)
{
    struct import m = { .cli = cli, .name = cli->args[0], .line = 1 };
    m.errors = json_array();
    m.options = (struct foreign_options){ .all_branches = cli->all,
                                          .time_us = pl_max_u64(cli->date_us, 1) };
    buf_text(&m.path, "/import");
    path_query(&m.path, "namespace", cli->name_space);
    path_query(&m.path, "strict", cli->strict ? "1" : NULL);
    enum cli_exit exit = unpack_open(&m.input, cli, m.name);
    if (exit == CLI_OK)
        exit = client_open(cli);
    progress_init(&m.progress, cli);
    if (exit == CLI_OK)
        exit = run(&m);
    progress_clear(&m.progress);
    if (exit == CLI_OK)
        print_result(&m, progress_now() - m.progress.began);
    if (exit == CLI_OK && m.bad > 0 && m.bad == m.received)
        exit = CLI_DATA; /* not one line was a conversation */
    unpack_close(&m.input);
    elements_free(&m.elements);
    free(m.numbers);
    json_decref(m.list);
    json_decref(m.errors);
    buf_free(&m.path);
    buf_free(&m.pending);
    return exit;
}
