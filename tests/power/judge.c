/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/judge.h"

#include "base/span.h"
#include "core/hash.h"
#include "power/util.h"
#include "store/store_lmdb.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DELETED         UINT32_MAX
#define PEER_NUMBERS    8 /* local numbers of peers that are looked at */
#define MARK_DIGITS     8
#define DEEP_BATCHES    3
#define DEEP_WRITES     24
#define LEDGER_TEXT_CAP (PARLEY_LEDGER_BYTES_MAX + 1)

const char *const judge_names[JUDGE_KINDS] = {
    [JUDGE_OK] = "ok",           [JUDGE_OPEN] = "open",   [JUDGE_LOST] = "lost",
    [JUDGE_CURSOR] = "cursor",   [JUDGE_CHECK] = "check", [JUDGE_CONTENT] = "content",
    [JUDGE_RENEWED] = "renewed", [JUDGE_WRITE] = "write", [JUDGE_CRASH] = "crash",
};

/* What is known of one content of one node. */
struct judge_state {
    uint64_t content;
    const char *node;
    struct judge_verdict verdict; /* of what does not depend on promises */
    uint32_t *present;            /* for each target of the claims: how new it is here */
};

static void say(struct judge_verdict *v, enum judge_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct judge_verdict *v, enum judge_kind kind, const char *format, ...)
{
    va_list args;
    v->kind = kind;
    va_start(args, format);
    vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
}

/* ---- Content ---- */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h ^= x;
    h *= UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 29);
}

static parley_err hash_tables(struct pl_txn *txn, uint64_t *out)
{
    uint64_t h = 1;
    for (unsigned t = 0; t < PL_TABLE_COUNT; t++) {
        struct pl_cursor cursor;
        struct parley_span key, value;
        bool found;
        PL_TRY(pl_txn_cursor(txn, (enum pl_table)t, &cursor));
        PL_TRY(pl_cursor_seek(&cursor, pl_span_text(""), &key, &value, &found));
        while (found) {
            h = mix(mix(mix(h, t + 1), pl_xxh3_of(key)), pl_xxh3_of(value));
            PL_TRY(pl_cursor_next(&cursor, &key, &value, &found));
        }
    }
    *out = h;
    return PARLEY_OK;
}

static parley_err look_at(struct judge *j, struct parley_store *store)
{
    struct pl_txn *txn;
    struct parley_span place;
    PL_TRY(pl_store_read_begin(store, &txn));
    parley_err err = hash_tables(txn, &j->content);
    bool found = false;
    if (err == PARLEY_OK)
        err = pl_txn_get(txn, PL_TABLE_META, pl_span_text("place"), &place, &found);
    j->place_known = err == PARLEY_OK && found && place.len == sizeof j->place;
    if (j->place_known)
        memcpy(j->place, place.ptr, sizeof j->place);
    pl_store_read_end(txn);
    return err;
}

/* The one judge of this process, for the two functions that the store gives no way to tell. */
static struct judge *asking;
static struct pl_store_ops judged_ops;

static void same_place(struct parley_store *store, uint8_t out[PL_STORE_PLACE_BYTES])
{
    (void)store;
    memcpy(out, asking->place, PL_STORE_PLACE_BYTES);
}

static parley_err open_store(void *ud, const char *name, struct parley_store **out,
                             struct parley_diag *diag)
{
    struct judge *j = ud;
    PL_TRY(pl_store_lmdb_open(&j->env, name, out, diag));
    parley_err err = look_at(j, *out);
    if (err != PARLEY_OK) {
        (*out)->ops->close(*out);
        return err;
    }
    judged_ops = *(*out)->ops;
    if (j->place_known)
        judged_ops.place = same_place;
    (*out)->ops = &judged_ops;
    return PARLEY_OK;
}

static parley_err open_db(struct judge *j, const char *dir, struct parley_db **out, bool *renewed,
                          struct parley_diag *diag)
{
    struct parley_db_options options = { .name = dir };
    diag->text[0] = '\0';
    return parley_db_open(&j->env, &options, out, renewed, diag);
}

void judge_init(struct judge *j, const struct claims *claims, const char *dir)
{
    struct parley_db *db;
    struct parley_diag diag;
    *j = (struct judge){ .claims = claims };
    parley_env_posix(&j->env);
    j->env.ud = j;
    j->env.store_open = open_store;
    asking = j;
    if (open_db(j, dir, &db, NULL, &diag) != PARLEY_OK)
        util_fail("%s: no store can be made: %s", dir, diag.text);
    j->nothing = j->content;
    parley_db_close(db);
}

/* ---- Peers ---- */

static struct parley_span keep(struct parley_span bytes)
{
    uint8_t *kept = util_grow(NULL, bytes.len);
    if (bytes.len != 0)
        memcpy(kept, bytes.ptr, bytes.len);
    return pl_span_of(kept, bytes.len);
}

static void learn_change(struct judge_peer *peer, const struct parley_change *change)
{
    if (peer->count == peer->cap) {
        peer->cap = peer->cap * 2 + 256;
        peer->changes = util_grow(peer->changes, peer->cap * sizeof *peer->changes);
    }
    struct judge_change *kept = &peer->changes[peer->count++];
    *kept = (struct judge_change){ .seq = change->seq, .version = change->version };
    kept->version.name_space = keep(change->version.name_space);
    kept->version.conversation = keep(change->version.conversation);
    kept->version.id = keep(change->version.id);
    kept->version.origin = keep(change->version.origin);
    kept->version.body = pl_span_text("");
    memcpy(kept->digest, change->digest, sizeof kept->digest);
}

static parley_err learn(struct judge_peer *peer, struct parley_read *read)
{
    struct parley_db_state state;
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    PL_TRY(parley_read_state(read, &state));
    peer->incarnation = state.incarnation;
    PL_TRY(parley_feed_begin(read, 0, &feed));
    while (found) {
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (found)
            learn_change(peer, &change);
    }
    return PARLEY_OK;
}

void judge_learn_peer(struct judge *j, const char *dir)
{
    struct parley_db *db;
    struct parley_read *read;
    struct parley_diag diag;
    if (j->peer_count == JUDGE_PEERS_MAX)
        util_fail("more than %d nodes", JUDGE_PEERS_MAX);
    if (open_db(j, dir, &db, NULL, &diag) != PARLEY_OK)
        util_fail("the final store does not open: %s", diag.text);
    if (parley_read_begin(db, &read) != PARLEY_OK ||
        learn(&j->peers[j->peer_count++], read) != PARLEY_OK)
        util_fail("the final store cannot be read");
    parley_read_end(read);
    parley_db_close(db);
}

/* Everything of the peer's log up to `seq` must change nothing here. */
static parley_err check_cursor(const struct judge_peer *peer, struct parley_read *read,
                               parley_seq seq, struct judge_verdict *v)
{
    for (size_t i = 0; i < peer->count && peer->changes[i].seq <= seq; i++) {
        const struct judge_change *change = &peer->changes[i];
        bool wanted = false;
        PL_TRY(parley_read_wants(read, &change->version, change->digest, &wanted));
        if (wanted) {
            say(v, JUDGE_CURSOR, "the cursor is at %llu, but change %llu (%.*s, %.*s) is not here",
                (unsigned long long)seq, (unsigned long long)change->seq,
                (int)change->version.conversation.len,
                (const char *)change->version.conversation.ptr, (int)change->version.id.len,
                (const char *)change->version.id.ptr);
            return PARLEY_OK;
        }
    }
    return PARLEY_OK;
}

static const struct judge_peer *peer_of(const struct judge *j,
                                        const struct parley_incarnation *incarnation)
{
    for (size_t i = 0; i < j->peer_count; i++)
        if (memcmp(incarnation->bytes, j->peers[i].incarnation.bytes, sizeof incarnation->bytes) ==
            0)
            return &j->peers[i];
    return NULL;
}

static parley_err check_cursors(struct judge *j, struct parley_read *read, struct judge_verdict *v)
{
    for (uint32_t number = 1; number <= PEER_NUMBERS && v->kind == JUDGE_OK; number++) {
        struct parley_incarnation incarnation;
        parley_seq seq;
        bool found;
        PL_TRY(parley_read_cursor(read, number, &incarnation, &seq, &found));
        const struct judge_peer *peer = found ? peer_of(j, &incarnation) : NULL;
        if (peer == NULL)
            continue;
        j->cursors++;
        PL_TRY(check_cursor(peer, read, seq, v));
    }
    return PARLEY_OK;
}

/* ---- Promises ---- */

static uint32_t mark_in(struct parley_span body)
{
    static const char mark[] = "op=";
    const uint8_t *at = memmem(body.ptr, body.len, mark, sizeof mark - 1);
    char digits[MARK_DIGITS + 1] = "";
    if (at == NULL || at + sizeof mark - 1 + MARK_DIGITS > body.ptr + body.len)
        return 0;
    memcpy(digits, at + sizeof mark - 1, MARK_DIGITS);
    return (uint32_t)strtoul(digits, NULL, 10);
}

static parley_err conversation_age(struct parley_read *read, const struct claim_target *t,
                                   uint32_t *out)
{
    struct parley_conversation_info info;
    struct parley_version version;
    bool found;
    PL_TRY(parley_read_conversation(read, pl_span_text(t->name[0]), pl_span_text(t->name[1]), &info,
                                    &found));
    if (!found)
        return PARLEY_OK;
    *out = info.deleted != 0 ? DELETED : 0;
    if (t->kind == CLAIM_GONE)
        return PARLEY_OK;
    PL_TRY(parley_read_register(read, info.number, PARLEY_KIND_MESSAGE, pl_span_text(t->name[2]),
                                &version, &found));
    if (found)
        *out = (version.flags & PARLEY_FLAG_TOMBSTONE) != 0 ? DELETED : mark_in(version.body);
    return PARLEY_OK;
}

static parley_err age_of(struct parley_read *read, const struct claim_target *t, uint32_t *out)
{
    struct parley_span value;
    bool found = false;
    *out = 0;
    switch (t->kind) {
    case CLAIM_MESSAGE:
    case CLAIM_GONE:
        return conversation_age(read, t, out);
    case CLAIM_RECORD:
        PL_TRY(parley_read_sys(read, pl_span_text(t->name[0]), &value, &found));
        *out = found ? DELETED : 0;
        return PARLEY_OK;
    case CLAIM_LINE: /* not in the store: looked up in each image */
    case CLAIM_FILE:
        *out = DELETED;
        return PARLEY_OK;
    }
    return PARLEY_EINVAL;
}

static void check_lines(const struct judge *j, struct parley_db *db, const char *node,
                        struct judge_verdict *v)
{
    static char text[LEDGER_TEXT_CAP];
    size_t len = 0;
    bool loaded = false;
    for (size_t i = 0; i < j->claims->target_count && v->kind == JUDGE_OK; i++) {
        const struct claim_target *t = &j->claims->targets[i];
        if (t->kind != CLAIM_LINE || t->required == 0 || strcmp(t->node, node) != 0)
            continue;
        if (!loaded && parley_db_ledger(db, (uint8_t *)text, sizeof text - 1, &len) != PARLEY_OK)
            say(v, JUDGE_OPEN, "the ledger cannot be read");
        loaded = true;
        if (v->kind == JUDGE_OK && memmem(text, len, t->name[0], strlen(t->name[0])) == NULL)
            say(v, JUDGE_LOST, "operation %u: the ledger lacks: %.200s", t->by, t->name[0]);
    }
}

static void check_files(const struct judge *j, const struct judge_ask *ask, struct judge_verdict *v)
{
    char path[512];
    struct stat st;
    for (size_t i = 0; i < j->claims->target_count && v->kind == JUDGE_OK; i++) {
        const struct claim_target *t = &j->claims->targets[i];
        if (t->kind != CLAIM_FILE || t->required == 0 || strcmp(t->node, ask->node) != 0)
            continue;
        util_path(path, sizeof path, ask->dir, t->name[0]);
        if (stat(path, &st) != 0 || st.st_size == 0)
            say(v, JUDGE_LOST, "operation %u: there is no %s", t->by, t->name[0]);
    }
}

static void check_promises(const struct judge *j, const struct judge_state *state,
                           struct judge_verdict *v)
{
    for (size_t i = 0; i < j->claims->target_count; i++) {
        const struct claim_target *t = &j->claims->targets[i];
        if (t->required <= state->present[i] || strcmp(t->node, state->node) != 0)
            continue;
        say(v, JUDGE_LOST,
            "operation %u was acknowledged; of %.80s %.80s %.80s there is %u, not %u", t->by,
            t->name[0], t->name[1], t->name[2], state->present[i], t->required);
        return;
    }
}

/* ---- States ---- */

static void check_whole(struct parley_db *db, enum judge_kind kind, struct judge_verdict *v)
{
    struct parley_check_report report;
    parley_err err = parley_db_check(db, &report);
    if (err != PARLEY_OK)
        say(v, kind, "the check gave up: error %d", (int)err);
    else if (report.problems != 0)
        say(v, kind, "%llu problems, the first: %.300s", (unsigned long long)report.problems,
            report.first[0].text);
}

static parley_err fill_state(struct judge *j, struct parley_db *db, struct judge_state *state)
{
    struct parley_read *read;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = check_cursors(j, read, &state->verdict);
    for (size_t i = 0; i < j->claims->target_count && err == PARLEY_OK; i++)
        if (strcmp(j->claims->targets[i].node, state->node) == 0)
            err = age_of(read, &j->claims->targets[i], &state->present[i]);
    parley_read_end(read);
    return err;
}

static const struct judge_state *state_of(struct judge *j, struct parley_db *db, const char *node,
                                          uint64_t content)
{
    for (size_t i = j->state_count; i-- > 0;)
        if (j->states[i].content == content && strcmp(j->states[i].node, node) == 0)
            return &j->states[i];
    if (j->state_count == j->state_cap) {
        j->state_cap = j->state_cap * 2 + 256;
        j->states = util_grow(j->states, j->state_cap * sizeof *j->states);
    }
    struct judge_state *state = &j->states[j->state_count];
    size_t size = j->claims->target_count * sizeof *state->present;
    *state = (struct judge_state){ .content = content, .node = node };
    state->present = util_grow(NULL, size);
    memset(state->present, 0, size);
    parley_err err = fill_state(j, db, state);
    if (err != PARLEY_OK)
        say(&state->verdict, JUDGE_CHECK, "the store cannot be read: error %d", (int)err);
    if (state->verdict.kind == JUDGE_OK)
        check_whole(db, JUDGE_CHECK, &state->verdict);
    j->state_count++;
    return state;
}

/* ---- Writing on ---- */

static parley_err write_batch(struct parley_db *db, unsigned batch)
{
    static uint8_t body[] = { 0x92, 0xa4, 'u', 's', 'e', 'r', 0xa4, 'a', 'b', 'c', 'd' };
    struct parley_write writes[DEEP_WRITES] = { 0 };
    char ids[DEEP_WRITES][16];
    char conversations[DEEP_WRITES][16];
    for (unsigned i = 0; i < DEEP_WRITES; i++) {
        snprintf(ids[i], sizeof ids[i], "deep-%u-%u", batch, i);
        snprintf(conversations[i], sizeof conversations[i], "deep-%u", i % 5);
        writes[i].kind = PARLEY_WRITE_VERSION;
        writes[i].u.version = (struct parley_version){
            .name_space = pl_span_text("main"),
            .conversation = pl_span_text(conversations[i]),
            .id = pl_span_text(ids[i]),
            .kind = PARLEY_KIND_MESSAGE,
            .body = pl_span_of(body, sizeof body),
        };
    }
    return parley_db_apply(db, writes, DEEP_WRITES, INT64_C(4000000000000000), NULL);
}

/* What a damaged free list does shows only when its pages are used again. */
static void write_on(struct parley_db *db, struct judge_verdict *v)
{
    parley_err err = parley_db_set_origin(db, pl_span_text("deep"));
    for (unsigned i = 0; i < DEEP_BATCHES && err == PARLEY_OK; i++)
        err = write_batch(db, i);
    if (err != PARLEY_OK)
        say(v, JUDGE_WRITE, "a write afterwards: error %d", (int)err);
    else
        check_whole(db, JUDGE_WRITE, v);
}

/* ---- Images ---- */

static bool is_allowed(const struct judge_ask *ask, uint64_t content)
{
    for (size_t i = 0; i < ask->allowed_count; i++)
        if (ask->allowed[i] == content)
            return true;
    return ask->allowed_count == 0;
}

void judge_image(struct judge *j, const struct judge_ask *ask, struct judge_verdict *out)
{
    struct parley_db *db;
    struct parley_diag diag;
    bool renewed = false;
    *out = (struct judge_verdict){ 0 };
    parley_err err = open_db(j, ask->dir, &db, &renewed, &diag);
    if (err != PARLEY_OK) {
        say(out, JUDGE_OPEN, "error %d: %.300s", (int)err, diag.text);
        return;
    }
    out->content = j->content;
    const struct judge_state *state = state_of(j, db, ask->node, j->content);
    if (state->verdict.kind != JUDGE_OK)
        say(out, state->verdict.kind, "%s", state->verdict.text);
    if (out->kind == JUDGE_OK)
        check_promises(j, state, out);
    if (out->kind == JUDGE_OK)
        check_lines(j, db, ask->node, out);
    if (out->kind == JUDGE_OK)
        check_files(j, ask, out);
    if (out->kind == JUDGE_OK && !is_allowed(ask, j->content))
        say(out, JUDGE_CONTENT, "neither the last commit nor the one that was under way");
    if (out->kind == JUDGE_OK && renewed)
        say(out, JUDGE_RENEWED, "the store was taken for a copy");
    if (out->kind == JUDGE_OK && ask->deep)
        write_on(db, out);
    parley_db_close(db);
}
