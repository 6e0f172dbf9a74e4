/* SPDX-License-Identifier: Apache-2.0
 *
 * status: what is here, with whom it is equal, and if not, why. log-level: how much parleyd logs.
 */
#include "parley/cli.h"

/* A stamp may be some microseconds ahead after a burst; this is more than that. */
#define CLOCK_AHEAD_US_SHOWN 10000000

static void print_line(const char *name, const char *value)
{
    struct buf safe = { 0 };
    text_safe(&safe, pl_span_text(value), false);
    printf("%-12s %s\n", name, buf_str(&safe));
    buf_free(&safe);
}

static void print_name_spaces(const struct cli *cli, const json_t *list)
{
    static const char *const heads[] = { "NAMESPACE", ">CONVERSATIONS", ">MESSAGES", ">VERSIONS",
                                         "ROOT" };
    struct table t;
    struct buf b = { 0 };
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(list, index, item)
    {
        text_safe(&b, pl_span_text(json_text(item, "name")), false);
        table_cell(&t, &b);
        table_number(&t, json_count(item, "conversations"));
        table_number(&t, json_count(item, "messages"));
        table_number(&t, json_count(item, "versions"));
        text_safe(&b, pl_span_text(json_text(item, "root")), false);
        table_cell(&t, &b);
    }
    table_print(&t, stdout, cli->colors);
    buf_free(&b);
}

/* ---- Peers ---- */

/* "3 of 7" of a log; nothing while the peer has not said. */
static void add_progress(struct table *t, const json_t *progress)
{
    struct buf b = { 0 };
    if (progress != NULL) {
        text_count(&b, json_count(progress, "done"));
        buf_text(&b, " of ");
        text_count(&b, json_count(progress, "of"));
    }
    table_cell(t, &b);
    buf_free(&b);
}

/* The wall clock of a peer minus ours; nothing while it is not known. */
static void add_skew(struct table *t, const json_t *skew)
{
    struct buf b = { 0 };
    if (skew != NULL)
        buf_format(&b, "%+.1f s", (double)json_integer_value(skew) / 1e6);
    table_cell(t, &b);
    buf_free(&b);
}

static void add_peer(struct table *t, const json_t *peer)
{
    struct buf b = { 0 };
    text_safe(&b, pl_span_text(json_text(peer, "backend_id")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(peer, "state")), false);
    table_cell(t, &b);
    text_ago(&b, json_text(peer, "since"));
    table_cell(t, &b);
    text_ago(&b, json_text(peer, "last_sync_at"));
    table_cell(t, &b);
    add_progress(t, json_object_get(peer, "sending"));
    add_progress(t, json_object_get(peer, "receiving"));
    text_bytes(&b, json_count(peer, "bytes_in"));
    table_cell(t, &b);
    text_bytes(&b, json_count(peer, "bytes_out"));
    table_cell(t, &b);
    add_skew(t, json_object_get(peer, "skew_us"));
    if (json_object_get(peer, "next_dial_at") != NULL)
        text_ago(&b, json_text(peer, "next_dial_at"));
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(peer, "note")), false);
    table_cell(t, &b);
    buf_free(&b);
}

static void print_peers(const struct cli *cli, const json_t *list)
{
    static const char *const heads[] = { "PEER", "STATE", "SINCE", "LAST SYNC", "SENT", "RECEIVED",
                                         ">IN",  ">OUT",  "CLOCK", "NEXT TRY",  "NOTE" };
    struct table t;
    size_t index;
    json_t *item;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(list, index, item)
    {
        add_peer(&t, item);
    }
    table_print(&t, stdout, cli->colors);
}

/* What of the namespace is shared: a prefix and a star, "since" a day, or nothing for all of it. */
static void add_filter(struct buf *b, const json_t *space)
{
    const char *since = json_text(space, "versions_since");
    if (json_object_get(space, "prefix") != NULL) {
        text_safe(b, pl_span_text(json_text(space, "prefix")), false);
        buf_text(b, "*");
    }
    if (since[0] != '\0')
        buf_format(b, "%ssince %.10s", b->len != 0 ? " " : "", since);
}

static void add_shared(struct table *t, const char *peer, const json_t *space)
{
    struct buf b = { 0 };
    const json_t *there = json_object_get(space, "versions_there");
    text_safe(&b, pl_span_text(peer), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(space, "name")), false);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(space, "right")), false);
    table_cell(t, &b);
    add_filter(&b, space);
    table_cell(t, &b);
    text_safe(&b, pl_span_text(json_text(space, "state")), false);
    table_cell(t, &b);
    if (json_is_string(json_object_get(space, "since")))
        text_ago(&b, json_text(space, "since"));
    table_cell(t, &b);
    table_number(t, json_count(space, "versions"));
    if (there != NULL)
        text_count(&b, json_count(space, "versions_there"));
    table_cell(t, &b);
    buf_free(&b);
}

static void print_shared(const struct cli *cli, const json_t *peers)
{
    static const char *const heads[] = {
        "PEER",  "NAMESPACE", "RIGHT",          "FILTER",
        "STATE", "SINCE",     ">VERSIONS HERE", ">VERSIONS THERE"
    };
    struct table t;
    size_t index;
    size_t inner;
    json_t *peer;
    json_t *space;
    table_init(&t, heads, PL_ARRAY_LEN(heads));
    json_array_foreach(peers, index, peer)
    {
        json_array_foreach(json_object_get(peer, "namespaces"), inner, space)
        {
            add_shared(&t, json_text(peer, "backend_id"), space);
        }
    }
    table_print(&t, stdout, cli->colors);
}

/* What waits because a clock is wrong, and what to do. */
static void print_held(const json_t *peer)
{
    struct buf id = { 0 };
    struct buf count = { 0 };
    struct buf until = { 0 };
    if (json_count(peer, "held") == 0)
        return;
    text_safe(&id, pl_span_text(json_text(peer, "backend_id")), false);
    text_count(&count, json_count(peer, "held"));
    text_ago(&until, json_text(peer, "held_until"));
    printf("\n%s versions of %s are stamped more than 5 minutes ahead and wait, the last due %s.\n"
           "Set the clock that stamped them, there or on the node they came from.\n",
           buf_str(&count), buf_str(&id), buf_str(&until));
    buf_free(&id);
    buf_free(&count);
    buf_free(&until);
}

static void print_hints(const json_t *peers)
{
    size_t index;
    json_t *peer;
    json_array_foreach(peers, index, peer)
    {
        print_held(peer);
        cli_print_refused(json_text(peer, "backend_id"), json_count(peer, "writes_refused"));
    }
}

static void print_all_peers(const struct cli *cli, const json_t *peers)
{
    if (json_array_size(peers) == 0) {
        fputs("no peers yet; to add one: parley invite here, parley join there\n", stdout);
        return;
    }
    print_peers(cli, peers);
    fputs("\n", stdout);
    print_shared(cli, peers);
    print_hints(peers);
}

/* ---- The node ---- */

static void print_store(const json_t *store)
{
    struct buf b = { 0 };
    text_bytes(&b, json_count(store, "file_bytes"));
    buf_text(&b, " of ");
    text_bytes(&b, json_count(store, "limit_bytes"));
    bool damaged = json_count(json_object_get(store, "scrub"), "problems") != 0;
    if (!json_is_true(json_object_get(store, "ok")))
        buf_format(&b, ", %s%s", damaged ? "" : "writes are refused: ", json_text(store, "note"));
    print_line("store", buf_str(&b));
    buf_free(&b);
}

/* Stamps never go back: after a clock was set back they stay ahead of it for a while. */
static void print_clock(int64_t ahead_us)
{
    if (ahead_us >= CLOCK_AHEAD_US_SHOWN)
        printf("%-12s stamps are %.0f s ahead of the clock of this machine; was it set back?\n",
               "clock", (double)ahead_us / 1e6);
}

enum cli_exit cmd_status(struct cli *cli)
{
    json_t *answer = NULL;
    enum cli_exit exit = cli_call(cli, "GET", "/status", NULL, &answer);
    if (exit != CLI_OK)
        return exit;
    if (cli->json) {
        cli_print_json(cli, answer);
        json_decref(answer);
        return CLI_OK;
    }
    print_line("node", json_text(answer, "backend_id"));
    print_line("incarnation", json_text(answer, "incarnation"));
    print_store(json_object_get(answer, "store"));
    if (json_count(answer, "trash") != 0)
        printf("%-12s %llu versions from before this node was away: parley trash\n", "trash",
               (unsigned long long)json_count(answer, "trash"));
    if (json_count(answer, "held") != 0)
        printf("%-12s %llu versions from the future wait for their time\n", "held",
               (unsigned long long)json_count(answer, "held"));
    print_clock((int64_t)json_count(answer, "clock_ahead_us"));
    fputs("\n", stdout);
    print_name_spaces(cli, json_object_get(answer, "namespaces"));
    fputs("\n", stdout);
    print_all_peers(cli, json_object_get(answer, "peers"));
    json_decref(answer);
    return CLI_OK;
}

/* ---- log-level ---- */

enum cli_exit cmd_log_level(struct cli *cli)
{
    json_t *answer = NULL;
    json_t *body = cli->arg_count == 0 ? NULL : json_pack("{s:s}", "level", cli->args[0]);
    if (cli->arg_count != 0 && body == NULL)
        return cli_fail(cli, CLI_USAGE, "usage", "the level is one of error, warn, info, debug");
    enum cli_exit exit = cli_need_daemon(cli);
    if (exit == CLI_OK)
        exit = cli_call(cli, body == NULL ? "GET" : "POST", "/log-level", body, &answer);
    json_decref(body);
    if (exit != CLI_OK)
        return exit;
    if (cli->json)
        cli_print_json(cli, answer);
    else
        printf("%s\n", json_text(answer, "level"));
    json_decref(answer);
    return CLI_OK;
}
