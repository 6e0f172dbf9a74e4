/* SPDX-License-Identifier: Apache-2.0
 *
 * import: JSON lines, plain or gzip, into the node, in requests of about a megabyte.
 *
 * Up to three requests are under way on the one connection, so that reading, sending and committing
 * overlap; answers come in order. With --strict there is one at a time, because nothing behind a
 * bad line may be stored. What the node acknowledged is durable: after a failure the same import
 * may simply be run again.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"
#include "parley/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PART_BYTES     (768u << 10)
#define READ_BYTES     (256u << 10)
#define LINE_BYTES_MAX (PL_HTTP_WHOLE_BYTES_MAX - 2 * READ_BYTES)
#define IN_FLIGHT_MAX  3
#define SHOWN_MAX      20
#define LISTED_MAX     1000

struct import {
    struct cli *cli;
    const char *name;
    gzFile gz;
    uint64_t file_bytes; /* 0: not known */
    struct buf path;     /* of the request */
    struct buf pending;  /* read, not yet sent */
    size_t scanned;      /* bytes of it known to hold no newline */
    bool skipping;       /* inside a line that is too long */
    bool at_end;
    uint64_t line; /* number of the first line of `pending`, from 1 */

    uint64_t first_line[IN_FLIGHT_MAX]; /* of the requests under way, a ring */
    size_t ring_first, ring_count;

    uint64_t lines, received, created, updated, skipped, versions, bad;
    json_t *errors;
    struct progress progress;
};

/* ---- Reports ---- */

static void note_bad(struct import *m, uint64_t line, const char *id, const char *detail)
{
    m->bad++;
    if (m->bad <= LISTED_MAX) {
        json_t *item = json_pack("{s:I, s:s}", "line", (json_int_t)line, "detail", detail);
        if (id[0] != '\0')
            json_object_set_new(item, "conversation_id", json_string(id));
        json_array_append_new(m->errors, item);
    }
    if (m->cli->json || m->bad > SHOWN_MAX + 1)
        return;
    progress_clear(&m->progress);
    if (m->bad > SHOWN_MAX) {
        fputs("more bad lines follow; --json lists 1,000 of them\n", stderr);
        return;
    }
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(detail), false);
    if (id[0] != '\0') {
        buf_text(&safe, " (");
        text_safe(&safe, pl_span_text(id), false);
        buf_text(&safe, ")");
    }
    fprintf(stderr, "line %llu: %s: skipped\n", (unsigned long long)line, buf_str(&safe));
    buf_free(&safe);
}

static void draw(struct import *m)
{
    struct buf b = { 0 };
    if (!progress_is_due(&m->progress))
        return;
    z_off_t at = gzoffset(m->gz);
    double seconds = progress_now() - m->progress.began;
    text_count(&b, m->received);
    buf_text(&b, " conversations, ");
    text_count(&b, (uint64_t)((double)m->received / seconds));
    buf_text(&b, "/s");
    progress_draw(&m->progress, at > 0 ? (uint64_t)at : 0, m->file_bytes, b.ptr);
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
                        "%s: line %llu: %s; the lines before it are stored, nothing after it is",
                        m->name, (unsigned long long)(first + line - 1), detail.ptr + used);
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
        note_bad(m, first + json_count(item, "line") - 1, json_text(item, "conversation_id"),
                 json_text(item, "detail"));
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

static enum cli_exit fail_input(struct import *m)
{
    int code = Z_OK;
    const char *why = gzerror(m->gz, &code);
    if (code == Z_ERRNO)
        why = strerror(errno);
    else if (code == Z_BUF_ERROR)
        why = "the compressed data ends too early";
    return cli_fail(m->cli, code == Z_ERRNO ? CLI_NO_INPUT : CLI_DATA, "bad-input",
                    "%s: %s; %llu conversations before that were taken", m->name, why,
                    (unsigned long long)m->received);
}

static enum cli_exit read_part(struct import *m)
{
    int got = gzread(m->gz, buf_room(&m->pending, READ_BYTES), READ_BYTES);
    int code = Z_OK;
    if (got > 0) {
        m->pending.len += (size_t)got;
        m->pending.ptr[m->pending.len] = '\0';
    }
    if (got < (int)READ_BYTES)
        gzerror(m->gz, &code);
    if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END)) {
        /* What is whole before the damage is still worth having; half a line is not. */
        const char *end =
            m->pending.len == 0 ? NULL : memrchr(m->pending.ptr, '\n', m->pending.len);
        enum cli_exit exit = CLI_OK;
        if (end != NULL && !m->skipping && !m->cli->strict)
            exit = send_part(m, (size_t)(end - m->pending.ptr) + 1);
        while (exit == CLI_OK && m->ring_count != 0)
            exit = take_answer(m);
        return exit != CLI_OK ? exit : fail_input(m);
    }
    m->at_end = got == 0;
    return CLI_OK;
}

static enum cli_exit run(struct import *m)
{
    enum cli_exit exit = CLI_OK;
    while (exit == CLI_OK && !m->at_end) {
        exit = read_part(m);
        if (exit == CLI_OK)
            exit = cut_lines(m);
        draw(m);
    }
    while (exit == CLI_OK && m->ring_count != 0)
        exit = take_answer(m);
    return exit;
}

/* ---- The command ---- */

static enum cli_exit open_input(struct import *m)
{
    struct stat st;
    bool is_stdin = strcmp(m->name, "-") == 0;
    int fd = is_stdin ? dup(0) : open(m->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail(m->cli, CLI_NO_INPUT, "no-input", "%s cannot be read: %s", m->name,
                        strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return cli_fail(m->cli, CLI_NO_INPUT, "no-input", "%s is a directory", m->name);
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        m->file_bytes = (uint64_t)st.st_size;
    m->gz = gzdopen(fd, "rb");
    if (m->gz == NULL) {
        close(fd);
        return cli_fail(m->cli, CLI_OS, "out-of-memory", "out of memory");
    }
    gzbuffer(m->gz, READ_BYTES);
    return CLI_OK;
}

static void print_result(const struct import *m, double seconds)
{
    double rate = seconds > 0 ? (double)m->received / seconds : 0;
    if (m->cli->json) {
        json_t *answer =
            json_pack("{s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:O}", "file", m->name,
                      "received", (json_int_t)m->received, "created", (json_int_t)m->created,
                      "updated", (json_int_t)m->updated, "skipped", (json_int_t)m->skipped, "bad",
                      (json_int_t)m->bad, "versions_new", (json_int_t)m->versions, "seconds",
                      seconds, "conversations_per_second", rate, "errors", m->errors);
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
    buf_free(&b);
}

enum cli_exit cmd_import(struct cli *cli)
{
    struct import m = { .cli = cli, .name = cli->args[0], .line = 1 };
    m.errors = json_array();
    buf_text(&m.path, "/import");
    path_query(&m.path, "namespace", cli->name_space);
    path_query(&m.path, "strict", cli->strict ? "1" : NULL);
    enum cli_exit exit = open_input(&m);
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
    if (m.gz != NULL)
        gzclose(m.gz);
    json_decref(m.errors);
    buf_free(&m.path);
    buf_free(&m.pending);
    return exit;
}
