/* SPDX-License-Identifier: Apache-2.0
 *
 * invite and join: two nodes get to know each other by one line of text and six digits.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"
#include "parley/progress.h"
#include "parley/qr.h"

#include <time.h>

#define POLL_NS         100000000L
#define TIMEOUT_DEFAULT 60

/* ---- invite ---- */

static void print_invite(const struct cli *cli, const json_t *answer)
{
    struct buf url = { 0 };
    struct buf when = { 0 };
    text_safe(&url, pl_span_text(json_text(answer, "url")), false);
    text_ago(&when, json_text(answer, "expires_at"));
    /* Alone on its line and on stdout, so that scripts can take it. */
    printf("%s\n", buf_str(&url));
    if (cli->out_is_tty) {
        qr_print(json_text(answer, "url"), cli->colors);
        printf("Good once, and it expires %s. On the other node:\n"
               "  parley --data DIR join '%s'\n"
               "Both sides then show the same six digits; here: parley peers\n"
               "To take it back: parley invite withdraw %.8s\n",
               buf_str(&when), buf_str(&url), json_text(answer, "id"));
    } else {
        fprintf(stderr, "good once; expires %s\n", buf_str(&when));
    }
    buf_free(&url);
    buf_free(&when);
}

static enum cli_exit create_invite(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit != CLI_OK)
        return exit;
    uint64_t ttl = (cli->given & CLI_FLAG_TTL) != 0 ? cli->ttl_seconds : 600;
    json_t *body = json_pack("{s:s, s:s, s:I}", "namespace",
                             cli->name_space != NULL ? cli->name_space : "main", "right",
                             cli->read_only ? "read" : "write", "ttl_seconds", (json_int_t)ttl);
    if (body == NULL || !cli_add_filter(cli, body)) {
        json_decref(body);
        return cli_fail(cli, CLI_USAGE, "usage", "--namespace or --prefix is not valid UTF-8");
    }
    exit = cli_call(cli, "POST", "/invites", body, &answer);
    json_decref(body);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        print_invite(cli, answer);
    json_decref(answer);
    return exit;
}

/* ---- invite list, invite withdraw ---- */

static void print_invites(const struct cli *cli, const json_t *invites)
{
    static const char *const heads[] = { "INVITE", "STATE",   "NAMESPACE",
                                         "MADE",   "EXPIRES", "USED BY" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(invites, index, item)
    {
        buf_format(&b, "%.8s", json_text(item, "id"));
        table_cell(&t, &b);
        buf_text(&b, json_text(item, "state"));
        table_cell(&t, &b);
        cli_add_grant(&b, item);
        table_cell(&t, &b);
        text_ago(&b, json_text(item, "created_at"));
        table_cell(&t, &b);
        text_ago(&b, json_text(item, "expires_at"));
        table_cell(&t, &b);
        text_safe(&b, pl_span_text(json_text(item, "used_by")), false);
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

/* The one invite whose id begins so; NULL and *exit: there is none, or more than one. */
static const char *find_invite(struct cli *cli, const json_t *invites, const char *prefix,
                               enum cli_exit *exit)
{
    const char *found = NULL;
    size_t count = 0;
    size_t index;
    json_t *item;
    json_array_foreach(invites, index, item)
    {
        const char *id = json_text(item, "id");
        if (prefix[0] == '\0' || strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        found = id;
        count++;
    }
    if (count == 1)
        return found;
    if (count == 0)
        *exit = cli_fail(cli, CLI_REFUSED, "no-such-invite",
                         "no invite begins with \"%s\"; see: parley invite list", prefix);
    else
        *exit = cli_fail(cli, CLI_REFUSED, "ambiguous-invite",
                         "%zu invites begin with \"%s\"; give more of the id", count, prefix);
    return NULL;
}

static enum cli_exit withdraw(struct cli *cli, const json_t *invites)
{
    struct buf path = { 0 };
    json_t *answer = NULL;
    enum cli_exit exit = CLI_OK;
    const char *id = find_invite(cli, invites, cli->args[1], &exit);
    if (id == NULL)
        return exit;
    buf_text(&path, "/invites");
    path_add(&path, id);
    exit = cli_call(cli, "DELETE", path.ptr, NULL, &answer);
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK)
        printf("invite %.8s is withdrawn: nobody joins by it any more\n", id);
    json_decref(answer);
    buf_free(&path);
    return exit;
}

enum cli_exit cmd_invite(struct cli *cli)
{
    json_t *answer = NULL;
    bool lists = cli->arg_count == 1 && strcmp(cli->args[0], "list") == 0;
    bool withdraws = cli->arg_count == 2 && strcmp(cli->args[0], "withdraw") == 0;
    if (cli->arg_count == 0)
        return create_invite(cli);
    if ((!lists && !withdraws) || cli->given != 0)
        return cli_fail(cli, CLI_USAGE, "usage",
                        "invite: it makes one, or list or withdraw ID stands behind it, without "
                        "flags; try: parley help invite");
    enum cli_exit exit = cli_call(cli, "GET", "/invites", NULL, &answer);
    const json_t *invites = json_object_get(answer, "invites");
    if (exit == CLI_OK && withdraws)
        exit = withdraw(cli, invites);
    else if (exit == CLI_OK && cli->json)
        cli_print_json(cli, answer);
    else if (exit == CLI_OK && json_array_size(invites) == 0)
        fputs("no invites are open; to make one: parley invite\n", stdout);
    else if (exit == CLI_OK)
        print_invites(cli, invites);
    json_decref(answer);
    return exit;
}

/* ---- join ---- */

static bool is_over(const json_t *join)
{
    const char *phase = json_text(join, "phase");
    return strcmp(phase, "dialing") != 0 && strcmp(phase, "storing") != 0;
}

/* Asks until the join is over; `*join` is replaced by the latest answer. */
static enum cli_exit wait_join(struct cli *cli, json_t **join)
{
    uint64_t limit = (cli->given & CLI_FLAG_TIMEOUT) != 0 ? cli->timeout_seconds : TIMEOUT_DEFAULT;
    double end = progress_now() + (double)limit;
    struct progress progress;
    enum cli_exit exit = CLI_OK;
    progress_init(&progress, cli);
    while (exit == CLI_OK && !is_over(*join)) {
        struct timespec pause = { .tv_nsec = POLL_NS };
        nanosleep(&pause, NULL);
        if (progress_now() > end) {
            exit = cli_fail(cli, CLI_LATER, "timeout",
                            "the join is not done after %llu s (%s); it goes on in parleyd: see "
                            "parley peers",
                            (unsigned long long)limit, json_text(*join, "phase"));
            break;
        }
        if (progress_is_due(&progress))
            progress_draw(&progress, 0, 0, json_text(*join, "phase"));
        json_decref(*join);
        *join = NULL;
        exit = cli_call(cli, "GET", "/joins", NULL, join);
    }
    progress_clear(&progress);
    return exit;
}

enum cli_exit cmd_join(struct cli *cli)
{
    json_t *join = NULL;
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit != CLI_OK)
        return exit;
    json_t *body = json_pack("{s:s}", "url", cli->args[0]);
    if (body == NULL)
        return cli_fail(cli, CLI_DATA, "bad-invite", "the invite is not valid UTF-8");
    if (!cli_add_filter(cli, body)) {
        json_decref(body);
        return cli_fail(cli, CLI_USAGE, "usage", "--prefix is not valid UTF-8");
    }
    exit = cli_call(cli, "POST", "/joins", body, &join);
    json_decref(body);
    if (exit == CLI_OK)
        exit = wait_join(cli, &join);
    if (exit == CLI_OK && strcmp(json_text(join, "phase"), "done") != 0)
        exit = cli_fail(cli, CLI_REFUSED, "join-failed",
                        "the join failed: %s; if the invite was used or has expired, make a new "
                        "one with: parley invite",
                        json_text(join, "error"));
    if (exit == CLI_OK && cli->json)
        cli_print_json(cli, join);
    else if (exit == CLI_OK)
        printf("joined %s\ncheck digits: %s (the other node must show the same: parley peers)\n",
               json_text(join, "backend_id"), json_text(join, "check"));
    json_decref(join);
    return exit;
}
