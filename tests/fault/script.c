/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps. Times, names and bodies are functions of numbers alone; entropy is constant.
 */
#include "fault/script.h"

#include "core/message.h"
#include "store/store_lmdb.h"

#include <stdio.h>
#include <stdlib.h>

#define SPACE "main"
/* The wall clock of the first step; each is a minute after the one before. */
#define BEGIN   INT64_C(1000000000000000)
#define STEP_US (INT64_C(60) * PARLEY_US_PER_S)
#define HOUR_US (INT64_C(3600) * PARLEY_US_PER_S)
/* The times of what is merged: long ago, in order of number. */
#define MERGED UINT64_C(900000000000000)
/* Small, so that the script fills it and has to grow it. */
#define MAP_BYTES    (UINT64_C(640) << 10)
#define LARGE_BYTES  70000u
#define HUGE_BYTES   140000u
#define LOOP_MAX     400
#define TOMBSTONE_AT 5000u

/* ---- The environment ---- */

static void constant_entropy(void *ud, void *out, size_t len)
{
    (void)ud;
    memset(out, 0x5a, len);
}

static void *counted_alloc(void *ud, size_t size)
{
    struct script *s = ud;
    if (fault_take(FAULT_ENV) != 0) {
        if (s->lie == SCRIPT_LIE_CRASH)
            abort();
        for (volatile bool hangs = s->lie == SCRIPT_LIE_HANG; hangs;)
            continue;
        return NULL;
    }
    void *ptr = malloc(size);
    s->blocks += ptr != NULL ? 1 : 0;
    return ptr;
}

static void counted_release(void *ud, void *ptr, size_t size)
{
    struct script *s = ud;
    (void)size;
    if (s->lie == SCRIPT_LIE_LEAK && !s->lying.left_out && s->fault->injected != 0) {
        s->lying.left_out = true;
        return;
    }
    s->blocks -= ptr != NULL ? 1 : 0;
    free(ptr);
}

static parley_err open_store(void *ud, const char *name, struct parley_store **out,
                             struct parley_diag *diag)
{
    struct script *s = ud;
    PL_TRY(pl_store_lmdb_open_sized(&s->env, name, MAP_BYTES, out, diag));
    if (s->lie != SCRIPT_LIE_NONE)
        script_plant(s, *out);
    script_read_rows(s, *out);
    return PARLEY_OK;
}

void script_init(struct script *s, const char *dir, const struct fault *fault, enum script_lie lie)
{
    memset(s, 0, sizeof *s);
    s->dir = dir;
    s->fault = fault;
    s->lie = lie;
    s->env = (struct parley_env){ .ud = s,
                                  .entropy = constant_entropy,
                                  .alloc = counted_alloc,
                                  .release = counted_release,
                                  .store_open = open_store };
}

parley_err script_open(struct script *s)
{
    struct parley_db_options options = { .name = s->dir, .local_origin = pl_span_text("local") };
    bool renewed = false;
    parley_err err = parley_db_open(&s->env, &options, &s->db, &renewed, NULL);
    if (err != PARLEY_OK)
        s->db = NULL;
    s->renewed = s->renewed || renewed;
    if (err != PARLEY_OK && s->lie == SCRIPT_LIE_ALARM)
        return PARLEY_EFORMAT;
    return err;
}

void script_close(struct script *s)
{
    parley_db_close(s->db);
    s->db = NULL;
}

/* ---- Batches ---- */

static struct parley_write *add(struct script *s, enum parley_write_kind kind)
{
    PL_ASSERT(s->count < SCRIPT_WRITES_MAX);
    struct parley_write *w = &s->writes[s->count++];
    *w = (struct parley_write){ .kind = kind };
    return w;
}

/* A text of this write, which lives until the next step. */
static struct parley_span name_of(struct script *s, const char *letter, unsigned number)
{
    char *text = s->ids[s->count - 1];
    int len = snprintf(text, sizeof s->ids[0], "%s%u", letter, number);
    return pl_span_of(text, (size_t)len);
}

static struct parley_span body_of(struct script *s, unsigned number, uint64_t time)
{
    uint8_t *body = s->bodies[s->count - 1];
    char text[48];
    int len = snprintf(text, sizeof text, "message %u of %llu", number, (unsigned long long)time);
    struct pl_writer w = pl_writer_over(body, SCRIPT_BODY_BYTES);
    pl_message_encode(&w, &(struct pl_message){ .role = pl_span_text("user"),
                                                .content = pl_span_of(text, (size_t)len) });
    return pl_writer_span(&w);
}

static const char *talk_of(unsigned number)
{
    static const char *const names[] = { "c0", "c1", "c2", "c3", "d4", "d5", "d6", "d7" };
    return names[number % PL_ARRAY_LEN(names)];
}

/* Message `number`, in the conversation that is its own; time 0: a local write. */
static void add_message(struct script *s, unsigned number, uint64_t time)
{
    struct parley_write *w = add(s, PARLEY_WRITE_VERSION);
    w->source = time == 0 ? 0 : 7;
    w->u.version = (struct parley_version){ .name_space = pl_span_text(SPACE),
                                            .conversation = pl_span_text(talk_of(number)),
                                            .id = name_of(s, "m", number),
                                            .kind = PARLEY_KIND_MESSAGE,
                                            .time = time,
                                            .origin = pl_span_text(time == 0 ? "" : "ann"),
                                            .body = body_of(s, number, time) };
}

static void add_whole(struct script *s, enum parley_kind kind, const char *talk, uint64_t time,
                      struct parley_span body)
{
    struct parley_write *w = add(s, PARLEY_WRITE_VERSION);
    w->source = 7;
    w->u.version = (struct parley_version){ .name_space = pl_span_text(SPACE),
                                            .conversation = pl_span_text(talk),
                                            .kind = kind,
                                            .flags = body.len == 0 ? PARLEY_FLAG_TOMBSTONE : 0u,
                                            .time = time,
                                            .origin = pl_span_text("bob"),
                                            .body = body };
}

static void add_cursor(struct script *s, uint64_t seq)
{
    struct parley_write *w = add(s, PARLEY_WRITE_CURSOR);
    w->u.cursor.peer = 7;
    w->u.cursor.seq = seq;
    memset(w->u.cursor.incarnation.bytes, 7, PARLEY_INCARNATION_BYTES);
}

static void add_row(struct script *s, const char *key, const char *value)
{
    struct parley_write *w = add(s, value == NULL ? PARLEY_WRITE_SYS_DEL : PARLEY_WRITE_SYS_PUT);
    w->u.sys.key = pl_span_text(key);
    w->u.sys.value = value == NULL ? pl_span_of(NULL, 0) : pl_span_text(value);
}

static PL_MUST_USE parley_err apply(struct script *s, parley_wall now)
{
    bool changed;
    parley_err err = parley_db_apply(s->db, s->writes, s->count, now, &changed);
    if (err != PARLEY_OK && s->lie == SCRIPT_LIE_BLAME)
        return PARLEY_EINVAL;
    return s->lie == SCRIPT_LIE_UNNAMED && err != PARLEY_OK ? (parley_err)5 : err;
}

static PL_MUST_USE parley_err merge(struct script *s, parley_wall now, unsigned first,
                                    unsigned count, uint64_t time)
{
    s->count = 0;
    for (unsigned i = 0; i < count; i++)
        add_message(s, first + i, time + i);
    add_cursor(s, time + count);
    return apply(s, now);
}

/* ---- The steps ---- */

static parley_err step_open(struct script *s, parley_wall now)
{
    (void)now;
    return s->db != NULL ? PARLEY_OK : script_open(s);
}

static PL_MUST_USE parley_err read_state(struct script *s, struct parley_db_state *out)
{
    struct parley_read *read;
    PL_TRY(parley_read_begin(s->db, &read));
    parley_err err = parley_read_state(read, out);
    parley_read_end(read);
    return err;
}

static parley_err step_restart(struct script *s, parley_wall now)
{
    struct parley_db_state before = { 0 };
    struct parley_db_state after = { 0 };
    (void)now;
    if (s->db != NULL) {
        PL_TRY(read_state(s, &before));
        script_close(s);
    }
    PL_TRY(script_open(s));
    PL_TRY(read_state(s, &after));
    s->lengthened = s->lengthened || after.file_bytes > before.file_bytes;
    return PARLEY_OK;
}

static parley_err step_local(struct script *s, parley_wall now)
{
    s->count = 0;
    for (unsigned i = 0; i < 5; i++)
        add_message(s, i, 0);
    return apply(s, now);
}

static parley_err step_merge(struct script *s, parley_wall now)
{
    return merge(s, now, 10, 40, MERGED);
}

/* More than what a batch puts into the sets at once. */
static parley_err step_bulk(struct script *s, parley_wall now)
{
    return merge(s, now, 100, 200, MERGED + 1000);
}

static parley_err step_maintain(struct script *s, parley_wall now)
{
    return parley_db_maintain(s->db, now, NULL);
}

static parley_err step_overwrite(struct script *s, parley_wall now)
{
    PL_TRY(merge(s, now, 100, 30, MERGED + 2000));
    return merge(s, now, 100, 30, MERGED + 3000);
}

static parley_err step_overwrite_here(struct script *s, parley_wall now)
{
    s->count = 0;
    add_message(s, 1, 0);
    add_message(s, 110, 0);
    add_row(s, "peer/x", "one");
    add_row(s, "peer/y", "two");
    return apply(s, now);
}

static parley_err step_delete(struct script *s, parley_wall now)
{
    s->count = 0;
    for (unsigned i = 0; i < 10; i++) {
        add_message(s, 12 + i, MERGED + TOMBSTONE_AT + i);
        s->writes[i].u.version.flags = PARLEY_FLAG_TOMBSTONE;
        s->writes[i].u.version.body = pl_span_of(NULL, 0);
    }
    add_row(s, "peer/y", NULL);
    return apply(s, now);
}

static parley_err step_delete_talk(struct script *s, parley_wall now)
{
    s->count = 0;
    add_whole(s, PARLEY_KIND_CONVERSATION, "d5", MERGED + TOMBSTONE_AT + 100, pl_span_of(NULL, 0));
    return apply(s, now);
}

/* Adds a message with a body of `len` bytes of text. */
static void add_large(struct script *s, unsigned number, size_t len)
{
    static char text[HUGE_BYTES];
    static uint8_t body[HUGE_BYTES + SCRIPT_BODY_BYTES];
    PL_ASSERT(len <= sizeof text);
    memset(text, 'x', len);
    struct pl_writer w = pl_writer_over(body, sizeof body);
    pl_message_encode(
        &w, &(struct pl_message){ .role = pl_span_text("user"), .content = pl_span_of(text, len) });
    add_message(s, number, MERGED + 6000 + number);
    s->writes[s->count - 1].u.version.body = pl_writer_span(&w);
}

static const uint8_t why[] = { 0xa1, '?' };

/* Pages that are taken and freed in one transaction are never written: this leaves the file shorter
 * than its pages, which the next open has to find out. */
static parley_err step_large(struct script *s, parley_wall now)
{
    s->count = 0;
    add_large(s, 400, LARGE_BYTES);
    s->writes[0].u.version.conversation = pl_span_text("gone");
    add_whole(s, PARLEY_KIND_PURGE, "gone", MERGED + TOMBSTONE_AT + 6000,
              pl_span_of(why, sizeof why));
    return apply(s, now);
}

static parley_err step_hold(struct script *s, parley_wall now)
{
    s->count = 0;
    for (unsigned i = 0; i < 3; i++)
        add_message(s, 420 + i, (uint64_t)(BEGIN + HOUR_US));
    return apply(s, now);
}

static parley_err step_release(struct script *s, parley_wall now)
{
    size_t count = 0;
    return parley_db_maintain(s->db, now + HOUR_US, &count);
}

static const char *const lines[SCRIPT_LINES] = { "revoked ann 1\n", "revoked bob 2\n",
                                                 "revoked eve 3\n" };

static PL_MUST_USE parley_err write_line(struct script *s, parley_wall now, unsigned number)
{
    s->count = 0;
    add_row(s, "peer/x", lines[number]);
    if (s->lie != SCRIPT_LIE_LINE)
        add(s, PARLEY_WRITE_LEDGER)->u.line = pl_span_text(lines[number]);
    s->lines_tried |= 1u << number;
    parley_err err = apply(s, now);
    if (err == PARLEY_OK)
        s->lines_kept |= 1u << number;
    return err;
}

static parley_err step_line(struct script *s, parley_wall now)
{
    return write_line(s, now, 0);
}

static parley_err step_second_line(struct script *s, parley_wall now)
{
    return write_line(s, now, 1);
}

static parley_err step_third_line(struct script *s, parley_wall now)
{
    return write_line(s, now, 2);
}

/* Takes the second line out. */
static parley_err step_replace_ledger(struct script *s, parley_wall now)
{
    (void)now;
    s->lines_kept &= ~2u;
    return parley_db_ledger_replace(s->db, (const uint8_t *)lines[0], strlen(lines[0]));
}

static parley_err step_rule(struct script *s, parley_wall now)
{
    s->count = 0;
    struct parley_write *w = add(s, PARLEY_WRITE_RETENTION);
    w->u.retention.name_space = pl_span_text(SPACE);
    w->u.retention.rule = (struct parley_retention){ .versions = 1 };
    return apply(s, now);
}

/* A whole pass of retention, in as many steps as tiny limits need. */
static parley_err step_retain(struct script *s, parley_wall now)
{
    for (int i = 0; i < LOOP_MAX / 4; i++)
        PL_TRY(parley_db_maintain(s->db, now + HOUR_US, NULL));
    return PARLEY_OK;
}

static parley_err step_purge(struct script *s, parley_wall now)
{
    s->count = 0;
    add_whole(s, PARLEY_KIND_PURGE, "c2", MERGED + TOMBSTONE_AT + 200, pl_span_of(why, sizeof why));
    return apply(s, now);
}

static PL_MUST_USE parley_err move_view(struct script *s, parley_wall now,
                                        enum parley_write_kind kind)
{
    bool changed = true;
    for (int i = 0; changed && i < LOOP_MAX; i++) {
        s->count = 0;
        struct parley_write *w = add(s, kind);
        w->u.view.name_space = pl_span_text(SPACE);
        w->u.view.prefix = pl_span_text("c");
        PL_TRY(parley_db_apply(s->db, s->writes, s->count, now, &changed));
    }
    return PARLEY_OK;
}

static parley_err step_view(struct script *s, parley_wall now)
{
    return move_view(s, now, PARLEY_WRITE_VIEW);
}

static parley_err step_drop_view(struct script *s, parley_wall now)
{
    return move_view(s, now, PARLEY_WRITE_VIEW_DROP);
}

static parley_err step_merge_more(struct script *s, parley_wall now)
{
    return merge(s, now, 500, 50, MERGED + 7000);
}

static parley_err step_collect(struct script *s, parley_wall now)
{
    bool more = true;
    for (int i = 0; more && i < LOOP_MAX; i++) {
        s->count = 0;
        struct parley_write *w = add(s, PARLEY_WRITE_COLLECT);
        w->u.collect.name_space = pl_span_text(SPACE);
        w->u.collect.upto = MERGED + TOMBSTONE_AT + 150;
        w->u.collect.raise = true;
        PL_TRY(apply(s, now));
        more = w->more;
    }
    return PARLEY_OK;
}

/* The first live message goes to the trash; once it is there, nothing more. */
static parley_err step_trash(struct script *s, parley_wall now)
{
    struct parley_read *read;
    struct parley_change change = { 0 };
    uint64_t trashed = 0;
    bool found = false;
    PL_TRY(parley_read_begin(s->db, &read));
    parley_err err = parley_read_trash_count(read, &trashed);
    for (parley_seq seq = 1; err == PARLEY_OK && !found; seq++) {
        err = parley_read_change(read, seq, &change, &found);
        found = found && change.version.kind == PARLEY_KIND_MESSAGE && change.version.flags == 0;
    }
    parley_read_end(read);
    if (err != PARLEY_OK || trashed != 0)
        return err;
    s->count = 0;
    add(s, PARLEY_WRITE_TRASH)->u.trash = change.seq;
    return apply(s, now);
}

static parley_err step_untrash(struct script *s, parley_wall now)
{
    struct parley_read *read;
    struct parley_trash_key key = { 0 };
    struct parley_version version;
    bool found = false;
    PL_TRY(parley_read_begin(s->db, &read));
    parley_err err = parley_read_trash_after(read, &key, &version, &found);
    parley_read_end(read);
    if (err != PARLEY_OK || !found)
        return err;
    s->count = 0;
    add(s, PARLEY_WRITE_UNTRASH)->u.untrash = pl_span_of(key.bytes, key.len);
    return apply(s, now);
}

/* Leaves less than a quarter of the map, which the next maintenance grows. */
static parley_err step_huge(struct script *s, parley_wall now)
{
    s->count = 0;
    add_large(s, 440, HUGE_BYTES);
    return apply(s, now);
}

static parley_err step_grow(struct script *s, parley_wall now)
{
    struct parley_db_state before = { 0 };
    struct parley_db_state after = { 0 };
    PL_TRY(read_state(s, &before));
    PL_TRY(parley_db_maintain(s->db, now, NULL));
    PL_TRY(read_state(s, &after));
    s->grown = s->grown || after.limit_bytes > before.limit_bytes;
    return PARLEY_OK;
}

static parley_err step_check(struct script *s, parley_wall now)
{
    static struct parley_check_report report;
    struct parley_scrub scrub = { 0 };
    (void)now;
    PL_TRY(parley_db_check(s->db, &report));
    PL_TRY(parley_db_scrub(s->db, &scrub, 1000));
    return report.problems + scrub.problems == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* Two reads of the same state, one of which a fault may spoil: an error, or the same. */
static parley_err step_read(struct script *s, parley_wall now)
{
    uint8_t one[PL_SHA256_BYTES];
    uint8_t other[PL_SHA256_BYTES];
    (void)now;
    PL_TRY(script_observe(s, one));
    PL_TRY(script_observe(s, other));
    return memcmp(one, other, sizeof one) == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

static parley_err step_reopen(struct script *s, parley_wall now)
{
    (void)now;
    return parley_db_recover(s->db);
}

static parley_err step_merge_last(struct script *s, parley_wall now)
{
    return merge(s, now, 560, 20, MERGED + 8000);
}

const struct script_step script_steps[] = {
    { .name = "create", .run = step_open },
    { .name = "local writes", .run = step_local, .local = true },
    { .name = "merge", .run = step_merge },
    { .name = "bulk merge", .run = step_bulk },
    { .name = "index", .run = step_maintain },
    { .name = "overwrite", .run = step_overwrite, .loose = true },
    { .name = "overwrite here, rows", .run = step_overwrite_here, .local = true },
    { .name = "delete messages", .run = step_delete },
    { .name = "delete a conversation", .run = step_delete_talk },
    { .name = "hold", .run = step_hold },
    { .name = "ledger line", .run = step_line },
    { .name = "large value, purged at once", .run = step_large },
    { .name = "restart", .run = step_restart },
    { .name = "release", .run = step_release, .loose = true },
    { .name = "rule of retention", .run = step_rule },
    { .name = "retain", .run = step_retain, .loose = true },
    { .name = "purge", .run = step_purge },
    { .name = "view", .run = step_view, .loose = true },
    { .name = "merge into the view", .run = step_merge_more },
    { .name = "drop the view", .run = step_drop_view, .loose = true },
    { .name = "collect", .run = step_collect, .loose = true },
    { .name = "trash", .run = step_trash },
    { .name = "untrash", .run = step_untrash },
    { .name = "second line", .run = step_second_line },
    { .name = "replace the ledger", .run = step_replace_ledger },
    { .name = "third line", .run = step_third_line },
    { .name = "huge value", .run = step_huge },
    { .name = "grow", .run = step_grow },
    { .name = "read", .run = step_read },
    { .name = "check", .run = step_check },
    { .name = "reopen", .run = step_reopen, .reopens = true },
    { .name = "last restart", .run = step_restart },
    { .name = "last merge", .run = step_merge_last },
};
const size_t script_step_count = PL_ARRAY_LEN(script_steps);
_Static_assert(PL_ARRAY_LEN(script_steps) <= SCRIPT_STEPS_MAX, "room for the states of all steps");

parley_err script_run(struct script *s, size_t step)
{
    if (s->db == NULL && script_steps[step].run != step_open &&
        script_steps[step].run != step_restart)
        return PARLEY_ESTATE;
    return script_steps[step].run(s, BEGIN + (parley_wall)step * STEP_US);
}

/* ---- The ledger ---- */

parley_err script_look_at_ledger(struct script *s, bool *good)
{
    static uint8_t held[PARLEY_LEDGER_BYTES_MAX];
    size_t len = 0;
    uint32_t seen = 0;
    PL_TRY(parley_db_ledger(s->db, held, sizeof held, &len));
    *good = true;
    for (size_t at = 0; at < len;) {
        const uint8_t *end = memchr(held + at, '\n', len - at);
        PL_ASSERT(end != NULL);
        struct parley_span line = pl_span_of(held + at, (size_t)(end - held) + 1 - at);
        uint32_t bit = 0;
        for (uint32_t i = 0; i < SCRIPT_LINES; i++)
            bit |= pl_span_is(line, lines[i]) ? 1u << i : 0;
        *good = *good && (bit & s->lines_tried) != 0;
        seen |= bit;
        at += line.len;
    }
    *good = *good && (s->lines_kept & ~seen) == 0;
    return PARLEY_OK;
}
