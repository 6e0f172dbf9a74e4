/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine, and two nodes joined by byte queues, for the reference model: reads commands, one a
 * line, and says what there is then. It judges nothing. Words are separated by blanks; "-" is an
 * empty one; bodies are in hex digits.
 *
 *   store                 a new store in memory           pair PIECE   two nodes, a and b, instead
 *   at a|b                of which node all that follows is
 *   v SPACE TALK KIND ID FLAGS TIME ORIGIN BODY           a version for the next apply
 *   apply NOW             -> "verdict time" a version
 *   maintain NOW          keep SPACE COUNT                collect SPACE UPTO RAISE NOW
 *   view SPACE PREFIX     dump                            -> all that the store shows
 *   join PREFIX PREFIX    meet                            -> "a|b digest" of each version received
 *   part                  check                           -> what is wrong
 *
 * Every answer ends with a line "."
 */
#define _POSIX_C_SOURCE 200809L
#include "lib/node_pair.h"

#include "core/digest.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES_MAX (1u << 20)
#define WRITES_MAX     8192
#define WORDS_MAX      9

static struct {
    struct env_mem env;   /* of a single store */
    struct parley_db *db; /* the one that commands are about */
    struct world pair;
    struct side *side; /* of `pair`, NULL with a single store */
    bool has_pair;
    struct parley_write writes[WRITES_MAX];
    char *lines[WRITES_MAX]; /* that the writes point into */
    size_t count;
} d;

static void give_up(const char *what, parley_err err)
{
    printf("! %s: %s\n", what, parley_err_name(err));
    fflush(stdout);
    exit(1);
}

static void must(const char *what, parley_err err)
{
    if (err != PARLEY_OK)
        give_up(what, err);
}

/* ---- Words ---- */

static struct parley_span span_of_word(const char *word)
{
    return strcmp(word, "-") == 0 ? pl_span_of(NULL, 0) : pl_span_text(word);
}

static uint64_t number_of(const char *word)
{
    char *end = NULL;
    unsigned long long number = strtoull(word, &end, 10);
    if (end == word || *end != '\0')
        give_up("not a number", PARLEY_EINVAL);
    return number;
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* In place: a byte is shorter than its two digits. */
static struct parley_span bytes_of_word(char *word)
{
    struct parley_span digits = span_of_word(word);
    for (size_t i = 0; i + 1 < digits.len; i += 2)
        word[i / 2] = (char)(nibble(word[i]) << 4 | nibble(word[i + 1]));
    return pl_span_of(digits.ptr, digits.len / 2);
}

static void print_hex(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
}

static void print_word(struct parley_span word)
{
    printf(" %.*s", word.len == 0 ? 1 : (int)word.len,
           word.len == 0 ? "-" : (const char *)word.ptr);
}

/* ---- Writing ---- */

static void take_version(char *const *word, char *line)
{
    if (d.count == WRITES_MAX)
        give_up("too many versions", PARLEY_EFULL);
    d.lines[d.count] = line;
    d.writes[d.count++] = (struct parley_write){
        .kind = PARLEY_WRITE_VERSION,
        .u.version = { .name_space = span_of_word(word[1]),
                       .conversation = span_of_word(word[2]),
                       .kind = (enum parley_kind)number_of(word[3]),
                       .id = span_of_word(word[4]),
                       .flags = (uint32_t)number_of(word[5]),
                       .time = number_of(word[6]),
                       .origin = span_of_word(word[7]),
                       .body = bytes_of_word(word[8]) },
    };
}

static parley_wall now_of(const char *word)
{
    return d.side != NULL ? d.pair.now.wall : (parley_wall)number_of(word);
}

static void apply(const char *now)
{
    bool changed = false;
    must("apply", parley_db_apply(d.db, d.writes, d.count, now_of(now), &changed));
    for (size_t i = 0; i < d.count; i++) {
        printf("%d %llu\n", (int)d.writes[i].verdict, (unsigned long long)d.writes[i].stamped_time);
        free(d.lines[i]);
    }
    d.count = 0;
    if (d.side != NULL)
        d.side->node->state_fresh = false; /* the store changed behind its back */
}

/* Again while there is more to do. */
static void apply_steps(struct parley_write *write)
{
    bool changed = true;
    while (changed)
        must("a step", parley_db_apply(d.db, write, 1, 0, &changed));
}

static struct parley_db_state state_of_db(void)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    must("read", parley_read_begin(d.db, &read));
    must("state", parley_read_state(read, &state));
    parley_read_end(read);
    return state;
}

static void bring_index_on(void)
{
    struct parley_write write = { .kind = PARLEY_WRITE_INDEX };
    struct parley_db_state state = state_of_db();
    for (; state.indexed < state.head; state = state_of_db())
        must("index", parley_db_apply(d.db, &write, 1, 0, NULL));
}

static void maintain(const char *now)
{
    size_t count = 0;
    do
        must("maintain", parley_db_maintain(d.db, now_of(now), &count));
    while (count != 0);
}

static void collect(char *const *word)
{
    struct parley_write write = { .kind = PARLEY_WRITE_COLLECT };
    write.u.collect.name_space = span_of_word(word[1]);
    write.u.collect.upto = number_of(word[2]);
    write.u.collect.raise = number_of(word[3]) != 0;
    bring_index_on(); /* it walks the set of tombstones */
    do
        must("collect", parley_db_apply(d.db, &write, 1, now_of(word[4]), NULL));
    while (write.more);
}

/* ---- Showing ---- */

static void print_version(const char *what, const struct parley_version *v)
{
    uint8_t digest[PARLEY_DIGEST_BYTES];
    pl_digest_of(v, digest);
    printf("%s", what);
    print_word(v->name_space);
    print_word(v->conversation);
    printf(" %d", (int)v->kind);
    print_word(v->id);
    printf(" %u %llu", v->flags, (unsigned long long)v->time);
    print_word(v->origin);
    printf(" ");
    print_hex(digest, sizeof digest);
    printf("\n");
}

static void dump_spaces(struct parley_read *read)
{
    uint32_t position = 0;
    struct parley_namespace_info info;
    bool found = false;
    for (;;) {
        must("namespace", parley_read_namespace(read, &position, &info, &found));
        if (!found)
            return;
        printf("root");
        print_word(info.name);
        printf(" %llu ", (unsigned long long)info.root.count);
        print_hex(info.root.sum, sizeof info.root.sum);
        printf(" %llu %llu %llu\n", (unsigned long long)info.conversations,
               (unsigned long long)info.messages, (unsigned long long)info.floor);
    }
}

static void dump_live(struct parley_read *read)
{
    struct parley_feed feed;
    struct parley_change change;
    bool found = false;
    must("feed", parley_feed_begin(read, 0, &feed));
    for (;;) {
        must("change", parley_feed_next(&feed, &change, &found));
        if (!found)
            return;
        print_version("live", &change.version);
    }
}

static void dump_history(struct parley_read *read)
{
    struct parley_register_name name = { .kind = 0 };
    struct parley_version v;
    bool found = false;
    for (;;) {
        uint32_t position = 0;
        must("lost", parley_read_lost_after(read, &name, &found));
        if (!found)
            return;
        for (;;) {
            must("history",
                 parley_read_history(read, name.conversation, name.kind,
                                     pl_span_of(name.id, name.id_len), &position, &v, &found));
            if (!found)
                break;
            print_version("lost", &v);
        }
    }
}

static void dump_held(struct parley_read *read)
{
    struct parley_held_position position = { .len = 0 };
    struct parley_held held;
    bool found = false;
    for (;;) {
        must("held", parley_read_held(read, &position, &held, &found));
        if (!found)
            return;
        print_version("held", &held.version);
    }
}

static void dump_views(struct parley_read *read)
{
    uint64_t position = 0;
    struct parley_view_info view;
    bool found = false;
    for (;;) {
        struct parley_runs runs;
        struct parley_run run;
        struct parley_point from = { 0 };
        struct parley_root root = { .count = 0 };
        must("views", parley_read_views(read, &position, &view, &found));
        if (!found)
            return;
        if (view.state != PARLEY_VIEW_READY)
            continue;
        struct parley_set set = { .name_space = view.name_space, .prefix = view.prefix };
        must("runs", parley_runs_begin(read, &set, &from, &runs));
        for (;;) {
            must("run", parley_runs_next(&runs, NULL, &run, &found));
            if (!found)
                break;
            root.count += run.root.count;
            pl_digest_add(root.sum, run.root.sum);
        }
        printf("view");
        print_word(view.name_space);
        print_word(view.prefix);
        printf(" %llu ", (unsigned long long)root.count);
        print_hex(root.sum, sizeof root.sum);
        printf("\n");
    }
}

static void dump(void)
{
    struct parley_read *read = NULL;
    bring_index_on();
    must("read", parley_read_begin(d.db, &read));
    dump_spaces(read);
    dump_live(read);
    dump_history(read);
    dump_held(read);
    dump_views(read);
    parley_read_end(read);
}

static void check(void)
{
    struct parley_check_report report;
    must("check", parley_db_check(d.db, &report));
    if (report.problems != 0)
        printf("%s\n", report.first[0].text);
}

/* ---- Two nodes ---- */

static void say_received(const struct side *s, const struct pl_effect *effect)
{
    for (size_t i = 0; i < effect->count; i++) {
        uint8_t digest[PARLEY_DIGEST_BYTES];
        if (effect->writes[i].kind != PARLEY_WRITE_VERSION || effect->writes[i].source == 0)
            continue;
        pl_digest_of(&effect->writes[i].u.version, digest);
        printf("%s ", s->store);
        print_hex(digest, sizeof digest);
        printf("\n");
    }
}

static struct pl_filter filter_of_word(const char *word)
{
    struct pl_filter filter = { .max_age = 0 };
    must("prefix", pl_filter_set(&filter, span_of_word(word), 0));
    return filter;
}

static void join(char *const *word)
{
    char url[512];
    char id[PL_INVITE_ID_BYTES];
    struct world *w = &d.pair;
    struct pl_filter at_a = filter_of_word(word[1]);
    struct pl_filter at_b = filter_of_word(word[2]);
    must("invite",
         pl_invite_make(w->a.node, pl_span_text("main"), true, &at_a,
                        w->now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, id, w->now));
    world_step(w);
    must("join", pl_invite_join(w->b.node, pl_span_text(url), &at_b, w->now, NULL));
    world_settle(w);
}

static void meet(void)
{
    d.pair.apart = false;
    world_pass(&d.pair, 11 * PARLEY_NS_PER_S);
    world_settle(&d.pair);
}

static void close_all(void)
{
    if (d.has_pair) {
        world_close(&d.pair);
    } else if (d.db != NULL) {
        parley_db_close(d.db);
        env_mem_deinit(&d.env);
    }
    d.has_pair = false;
    d.side = NULL;
    d.db = NULL;
}

static void open_store(void)
{
    struct parley_db_options options = { .name = "one", .local_origin = pl_span_text("here") };
    bool renewed = false;
    close_all();
    env_mem_init(&d.env);
    must("open", parley_db_open(&d.env.t.env, &options, &d.db, &renewed, NULL));
}

static void open_pair(const char *piece)
{
    close_all();
    world_open(&d.pair, false, (size_t)number_of(piece));
    d.pair.a.on_commit = d.pair.b.on_commit = say_received;
    d.has_pair = true;
    d.side = &d.pair.a;
    d.db = d.side->db;
}

/* ---- Commands ---- */

static void turn_to(const char *name)
{
    d.side = strcmp(name, "a") == 0 ? &d.pair.a : &d.pair.b;
    d.db = d.side->db;
}

static void run_write(char *const *word)
{
    struct parley_write write = { .kind = PARLEY_WRITE_RETENTION };
    if (strcmp(word[0], "keep") == 0) {
        write.u.retention.name_space = span_of_word(word[1]);
        write.u.retention.rule.versions = (uint32_t)number_of(word[2]);
        must("keep", parley_db_apply(d.db, &write, 1, 0, NULL));
        return;
    }
    write.kind = PARLEY_WRITE_VIEW;
    write.u.view.name_space = span_of_word(word[1]);
    write.u.view.prefix = span_of_word(word[2]);
    apply_steps(&write);
}

static void run(char *const *word)
{
    const char *name = word[0];
    if (strcmp(name, "store") == 0)
        open_store();
    else if (strcmp(name, "pair") == 0)
        open_pair(word[1]);
    else if (strcmp(name, "at") == 0)
        turn_to(word[1]);
    else if (strcmp(name, "apply") == 0)
        apply(word[1]);
    else if (strcmp(name, "maintain") == 0)
        maintain(word[1]);
    else if (strcmp(name, "collect") == 0)
        collect(word);
    else if (strcmp(name, "keep") == 0 || strcmp(name, "view") == 0)
        run_write(word);
    else if (strcmp(name, "dump") == 0)
        dump();
    else if (strcmp(name, "check") == 0)
        check();
    else if (strcmp(name, "join") == 0)
        join(word);
    else if (strcmp(name, "meet") == 0)
        meet();
    else if (strcmp(name, "part") == 0)
        world_part(&d.pair);
    else
        give_up("an unknown command", PARLEY_EINVAL);
}

int main(void)
{
    static char line[LINE_BYTES_MAX];
    static char none[] = "-";
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *word[WORDS_MAX];
        bool is_version = line[0] == 'v' && line[1] == ' ';
        char *text = is_version ? strdup(line) : line;
        char *rest = NULL;
        if (text == NULL)
            give_up("a line", PARLEY_ENOMEM);
        for (size_t i = 0; i < WORDS_MAX; i++) {
            char *next = strtok_r(i == 0 ? text : NULL, " \n", &rest);
            word[i] = next != NULL ? next : none;
        }
        if (is_version) {
            take_version(word, text);
            continue;
        }
        run(word);
        printf(".\n");
        fflush(stdout);
    }
    close_all();
    return 0;
}
