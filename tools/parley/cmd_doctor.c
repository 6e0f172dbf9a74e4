/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor: looks at everything that usually goes wrong, and says what to do about it.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"
#include "parley/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- Findings ---- */

const char *doctor_level_name(enum doctor_level level)
{
    switch (level) {
    case DOCTOR_OK:
        return "ok";
    case DOCTOR_NOTE:
        return "note";
    case DOCTOR_WARNING:
        return "warning";
    case DOCTOR_PROBLEM:
        return "problem";
    case DOCTOR_LEVELS:
        break;
    }
    return "?";
}

void doctor_quote(struct buf *out, const char *word)
{
    size_t plain = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789/._-+:@%,=");
    if (word[0] != '\0' && word[plain] == '\0') {
        buf_text(out, word);
        return;
    }
    buf_text(out, "'");
    for (; *word != '\0'; word++)
        buf_format(out, *word == '\'' ? "'\\'%c" : "%c", *word);
    buf_text(out, "'");
}

void doctor_init(struct doctor *d, const char *data_dir, int64_t now_us)
{
    *d = (struct doctor){ .data_dir = data_dir, .now_us = now_us, .findings = json_array() };
    buf_text(&d->dir, "--data ");
    doctor_quote(&d->dir, data_dir);
}

void doctor_free(struct doctor *d)
{
    json_decref(d->findings);
    json_decref(d->run.json);
    buf_free(&d->dir);
}

static void set_safe(json_t *object, const char *name, const char *text)
{
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(text), false);
    json_object_set_new(object, name, json_string(buf_str(&safe)));
    buf_free(&safe);
}

static void add_text(struct doctor *d, enum doctor_level level, const char *check,
                     const char *where, const char *format, va_list args)
{
    char text[1024];
    json_t *finding = json_object();
    vsnprintf(text, sizeof text, format, args);
    set_safe(finding, "level", doctor_level_name(level));
    set_safe(finding, "check", check);
    set_safe(finding, "where", where);
    set_safe(finding, "what", text);
    json_array_append_new(d->findings, finding);
    d->counts[level]++;
    d->area_findings++;
}

void doctor_add(struct doctor *d, enum doctor_level level, const char *check, const char *where,
                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_text(d, level, check, where, format, args);
    va_end(args);
}

void doctor_do(struct doctor *d, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_safe(json_array_get(d->findings, json_array_size(d->findings) - 1), "do", text);
}

void doctor_begin(struct doctor *d)
{
    d->area_findings = 0;
}

void doctor_end(struct doctor *d, const char *check, const char *where, const char *format, ...)
{
    va_list args;
    if (d->area_findings != 0)
        return;
    va_start(args, format);
    add_text(d, DOCTOR_OK, check, where, format, args);
    va_end(args);
}

/* ---- The node ---- */

/* What the node says, or NULL; a failure becomes a finding, not the end of the run. */
static json_t *ask(struct cli *cli, struct doctor *d, const char *path)
{
    json_t *answer = NULL;
    if (cli_call(cli, "GET", path, NULL, &answer) == CLI_OK)
        return answer;
    if (d->run.alive) {
        doctor_add(d, DOCTOR_PROBLEM, "no-answer", "parleyd", "it does not answer GET %s: %s", path,
                   buf_str(&cli->detail));
        doctor_do(d, "look at the log of parleyd (pid %ld)", (long)d->run.pid);
    } else {
        doctor_add(d, DOCTOR_PROBLEM, "cannot-open", "store", "the node cannot be opened: %s",
                   buf_str(&cli->detail));
        doctor_do(d, "put that right, and try: parley %s status", buf_str(&d->dir));
    }
    cli->code[0] = '\0';
    buf_clear(&cli->detail);
    return NULL;
}

static void look_at_node(struct cli *cli, struct doctor *d)
{
    /* A command of root would leave files that the owner of the directory cannot read. */
    if (d->keep_out && !d->run.alive)
        return;
    json_t *status = ask(cli, d, "/status");
    if (status == NULL)
        return;
    bool is_local = cli->client != NULL && cli->client->wire->is_local;
    doctor_judge_store(d, status, is_local);
    doctor_judge_peers(d, status, is_local);
    json_decref(status);
    json_t *key = ask(cli, d, "/key");
    if (key != NULL)
        doctor_judge_key(d, key);
    json_decref(key);
}

/* ---- Output ---- */

static const char *color_of(const struct cli *cli, enum doctor_level level)
{
    static const char *const colors[DOCTOR_LEVELS] = { "\x1b[32m", "", "\x1b[33m", "\x1b[31m" };
    return cli->colors ? colors[level] : "";
}

static void print_level(const struct cli *cli, const struct doctor *d, enum doctor_level level)
{
    size_t index;
    json_t *item;
    const char *name = doctor_level_name(level);
    json_array_foreach(d->findings, index, item)
    {
        if (strcmp(json_text(item, "level"), name) != 0)
            continue;
        printf("%s%-8s%s %s: %s\n", color_of(cli, level), name, cli->colors ? "\x1b[0m" : "",
               json_text(item, "where"), json_text(item, "what"));
        if (json_text(item, "do")[0] != '\0')
            printf("         do: %s\n", json_text(item, "do"));
    }
}

static void print_count(size_t count, const char *one, const char *many)
{
    printf("%zu %s", count, count == 1 ? one : many);
}

static void print_text(const struct cli *cli, const struct doctor *d)
{
    for (enum doctor_level level = DOCTOR_LEVELS; level-- > DOCTOR_OK;)
        print_level(cli, d, level);
    fputs("\n", stdout);
    print_count(d->counts[DOCTOR_PROBLEM], "problem, ", "problems, ");
    print_count(d->counts[DOCTOR_WARNING], "warning, ", "warnings, ");
    print_count(d->counts[DOCTOR_NOTE], "note\n", "notes\n");
}

static void print_json(const struct cli *cli, const struct doctor *d)
{
    json_t *answer = json_pack(
        "{s:b, s:I, s:I, s:I, s:b, s:O}", "ok", d->counts[DOCTOR_PROBLEM] == 0, "problems",
        (json_int_t)d->counts[DOCTOR_PROBLEM], "warnings", (json_int_t)d->counts[DOCTOR_WARNING],
        "notes", (json_int_t)d->counts[DOCTOR_NOTE], "daemon", d->run.alive, "findings",
        d->findings);
    cli_print_json(cli, answer);
    json_decref(answer);
}

enum cli_exit cmd_doctor(struct cli *cli)
{
    struct doctor d;
    struct timespec now;
    if (cli->data_dir == NULL)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "--data DIR is missing: name the data directory of the node");
    clock_gettime(CLOCK_REALTIME, &now);
    doctor_init(&d, cli->data_dir, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    doctor_check_clock(&d);
    if (doctor_check_files(&d)) {
        doctor_check_disk(&d);
        doctor_check_process(&d);
        doctor_judge_run(&d);
        look_at_node(cli, &d);
    }
    if (cli->json)
        print_json(cli, &d);
    else
        print_text(cli, &d);
    bool bad = d.counts[DOCTOR_PROBLEM] != 0 || (cli->strict && d.counts[DOCTOR_WARNING] != 0);
    doctor_free(&d);
    return bad ? CLI_REFUSED : CLI_OK;
}
