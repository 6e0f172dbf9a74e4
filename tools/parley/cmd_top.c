/* SPDX-License-Identifier: Apache-2.0
 *
 * top: the node, its peers and what was written last, again and again. It asks the routes that the
 * page at /ui asks, of the daemon only: a store that is looked at every two seconds without one
 * would be locked for whoever wants to start it.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"
#include "parley/screen.h"
#include "parley/top.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_S    2
#define COLUMNS_PLAIN 120 /* where the width is not known */
#define FIRST_WAIT_MS 1000

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Asking ---- */

/* The last of the log: a cursor is the incarnation and a place in it. */
static enum cli_exit ask_changes(struct cli *cli, struct top *top, const json_t *status)
{
    struct buf path = { 0 };
    char since[96];
    json_t *answer = NULL;
    uint64_t head = json_count(status, "head");
    snprintf(since, sizeof since, "%s-%llu", json_text(status, "incarnation"),
             (unsigned long long)(head > TOP_CHANGES_MAX ? head - TOP_CHANGES_MAX : 0));
    buf_text(&path, "/changes");
    path_query(&path, "namespace", top->name_space);
    path_query(&path, "since", since);
    enum cli_exit exit = cli_call(cli, "GET", buf_str(&path), NULL, &answer);
    buf_free(&path);
    if (exit != CLI_OK)
        return exit;
    json_decref(top->changes);
    top->changes = json_incref(json_object_get(answer, "changes"));
    json_decref(answer);
    return CLI_OK;
}

static void remember_rate(struct top *top)
{
    if (top->rate_count == TOP_RATES_MAX)
        memmove(top->rates, top->rates + 1, sizeof top->rates - sizeof top->rates[0]);
    else
        top->rate_count++;
    top->rates[top->rate_count - 1] = top_rate(top, "bytes_in") + top_rate(top, "bytes_out");
}

/* Whether both are of the same run of the same store, so that counts may be subtracted. */
static bool goes_on(const struct top *top, const json_t *health)
{
    return top->health != NULL &&
           json_count(health, "uptime_seconds") >= json_count(top->health, "uptime_seconds");
}

static enum cli_exit ask(struct cli *cli, struct top *top, int64_t *asked_at)
{
    json_t *status = NULL;
    json_t *health = NULL;
    int64_t at = now_ms();
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit == CLI_OK)
        exit = cli_call(cli, "GET", "/status", NULL, &status);
    if (exit == CLI_OK)
        exit = cli_call(cli, "GET", "/health", NULL, &health);
    if (exit == CLI_OK &&
        (top->changes == NULL || json_count(status, "head") != json_count(top->status, "head")))
        exit = ask_changes(cli, top, status);
    if (exit != CLI_OK) {
        json_decref(status);
        json_decref(health);
        return exit;
    }
    json_decref(top->before);
    top->before = goes_on(top, health) ? top->status : NULL;
    if (top->before == NULL)
        json_decref(top->status);
    json_decref(top->health);
    top->status = status;
    top->health = health;
    top->seconds = (double)(at - *asked_at) / 1000;
    *asked_at = at;
    if (top->before != NULL)
        remember_rate(top);
    return CLI_OK;
}

static void top_free(struct top *top)
{
    json_decref(top->before);
    json_decref(top->status);
    json_decref(top->health);
    json_decref(top->changes);
    buf_free(&top->trouble);
}

/* A failure is shown, and the next look may go well. */
static void look(struct cli *cli, struct top *top, int64_t *asked_at)
{
    buf_clear(&top->trouble);
    if (cli->client == NULL && !client_finds_daemon(cli->data_dir)) {
        buf_text(&top->trouble, "parleyd is not running; waiting for it");
        return;
    }
    if (ask(cli, top, asked_at) == CLI_OK)
        return;
    text_safe(&top->trouble, pl_span_text(buf_str(&cli->detail)), false);
    cli->code[0] = '\0';
    buf_clear(&cli->detail);
    client_close(cli->client);
    cli->client = NULL;
}

/* ---- Once ---- */

static enum cli_exit print_json(struct cli *cli, const struct top *top)
{
    json_t *answer =
        json_pack("{s:O, s:O, s:O, s:{s:f, s:f, s:f}}", "status", top->status, "health",
                  top->health, "changes", top->changes, "rates", "seconds", top->seconds,
                  "bytes_in", top_rate(top, "bytes_in"), "bytes_out", top_rate(top, "bytes_out"));
    cli_print_json(cli, answer);
    json_decref(answer);
    return CLI_OK;
}

/* Two looks, because there are rates in the picture. */
static enum cli_exit print_once(struct cli *cli, struct top *top)
{
    struct buf out = { 0 };
    struct timespec pause = { .tv_sec = FIRST_WAIT_MS / 1000 };
    size_t columns = COLUMNS_PLAIN;
    size_t rows = 0;
    int64_t asked_at = now_ms();
    enum cli_exit exit = ask(cli, top, &asked_at);
    if (exit == CLI_OK) {
        nanosleep(&pause, NULL);
        exit = ask(cli, top, &asked_at);
    }
    if (exit != CLI_OK)
        return exit;
    if (cli->json)
        return print_json(cli, top);
    screen_size(&columns, &rows);
    top_draw(top, columns, 0, "\n", &out);
    fputs(buf_str(&out), stdout);
    buf_free(&out);
    return CLI_OK;
}

/* ---- Again and again ---- */

static void show(const struct top *top)
{
    struct buf out = { 0 };
    size_t columns = 80;
    size_t rows = 24;
    screen_size(&columns, &rows);
    buf_text(&out, "\033[H");
    top_draw(top, columns, rows, "\033[K\n", &out);
    buf_text(&out, "\033[K\033[J");
    for (size_t sent = 0; sent < out.len;) {
        ssize_t put = write(1, out.ptr + sent, out.len - sent);
        if (put < 0 && errno != EINTR)
            break;
        sent += put > 0 ? (size_t)put : 0;
    }
    buf_free(&out);
}

/* False: that was all. *now: do not wait until it is time. */
static bool obey(struct top *top, int key, bool *now)
{
    size_t peers = json_array_size(json_object_get(top->status, "peers"));
    switch (key) {
    case SCREEN_ENDED:
    case SCREEN_CHARACTER + 'q':
    case SCREEN_CHARACTER + 'Q':
        return false;
    case SCREEN_UP:
        top->scroll -= top->scroll > 0 ? 1 : 0;
        break;
    case SCREEN_DOWN:
        top->scroll += top->scroll + 1 < peers ? 1 : 0;
        break;
    case SCREEN_LEFT:
        top->sort = (top->sort + TOP_COLUMNS - 1) % TOP_COLUMNS;
        break;
    case SCREEN_RIGHT:
    case SCREEN_CHARACTER + 's':
        top->sort = (top->sort + 1) % TOP_COLUMNS;
        break;
    case SCREEN_CHARACTER + 'r':
        top->reverse = !top->reverse;
        break;
    case SCREEN_CHARACTER + ' ':
        *now = true;
        break;
    default:
        break;
    }
    return true;
}

static enum cli_exit refresh(struct cli *cli, struct top *top, int64_t interval_ms)
{
    int64_t asked_at = now_ms();
    int64_t next_at = 0;
    bool first = true;
    for (;;) {
        int64_t wait = next_at - now_ms();
        if (wait <= 0) {
            look(cli, top, &asked_at);
            next_at = now_ms() + (first ? FIRST_WAIT_MS : interval_ms); /* rates come soon */
            first = false;
            wait = next_at - now_ms();
        }
        show(top);
        bool now = false;
        if (!obey(top, screen_wait(wait > 0 ? (int)wait : 0), &now))
            return CLI_OK;
        next_at = now ? 0 : next_at;
    }
}

static enum cli_exit fill_screen(struct cli *cli, struct top *top, int64_t interval_ms)
{
    int status = 0;
    client_close(cli->client); /* the child has one of its own */
    cli->client = NULL;
    switch (screen_run(&status)) {
    case SCREEN_IN_CHILD:
        return refresh(cli, top, interval_ms);
    case SCREEN_DONE:
        return (enum cli_exit)status;
    case SCREEN_CRASHED:
        return cli_fail(cli, CLI_BUG, "internal", "parley top has crashed; please report it");
    case SCREEN_FAILED:
        break;
    }
    return cli_fail(cli, CLI_OS, "no-terminal", "the terminal cannot be used: %s", strerror(errno));
}

enum cli_exit cmd_top(struct cli *cli)
{
    struct top top = { .name_space = cli->name_space != NULL ? cli->name_space : "main",
                       .sort = TOP_PEER,
                       .colors = cli->colors };
    uint64_t seconds = (cli->given & CLI_FLAG_INTERVAL) != 0 ? cli->interval_seconds : INTERVAL_S;
    /* What is wrong from the beginning is said where it stays to be read. */
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit == CLI_OK && (cli->once || cli->json || !screen_is_there()))
        exit = print_once(cli, &top);
    else if (exit == CLI_OK)
        exit = fill_screen(cli, &top, (int64_t)seconds * 1000);
    top_free(&top);
    return exit;
}
