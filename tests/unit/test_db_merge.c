/* SPDX-License-Identifier: Apache-2.0
 *
 * Merge as a property: whatever the order and the batches, the same versions give the same live
 * set, root and history, and it is the set that an independent model computes by brute force.
 */
#include "lib/db_util.h"
#include "lib/env_mem.h"

#include "core/digest.h"
#include "core/mp_write.h"
#include "core/stamp.h"

#define DBS          3
#define VERSIONS_MAX 96

struct universe {
    struct parley_version versions[VERSIONS_MAX];
    uint8_t bodies[VERSIONS_MAX][80];
    size_t count;
};

static uint64_t draw(uint64_t *seed, uint64_t bound)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % bound;
}

static struct parley_version draw_version(uint64_t *seed, uint8_t *body)
{
    static const char *const spaces[] = { "main", "team" };
    static const char *const talks[] = { "c1", "c2", "c10" };
    static const char *const ids[] = { "m", "m1", "m2" };
    static const char *const origins[] = { "ann", "bob", "cy" };
    static const char *const contents[] = { "x", "y", "" };
    const char *talk = talks[draw(seed, 3)];
    uint64_t time = 1 + draw(seed, 10);
    const char *origin = origins[draw(seed, 3)];
    const char *id = ids[draw(seed, 3)];
    struct parley_version v;
    switch (draw(seed, 10)) {
    case 0:
        v = db_util_delete(talk, time, origin);
        break;
    case 1:
        v = db_util_tombstone(talk, id, time, origin);
        break;
    case 2:
        v = db_util_tombstone(talk, "title", time, origin);
        v.kind = PARLEY_KIND_HEADER;
        v.flags = 0;
        body[0] = (uint8_t)(0xa0 | 1);
        body[1] = (uint8_t)('a' + draw(seed, 3));
        v.body = pl_span_of(body, 2);
        break;
    case 3:
        v = db_util_purge(talk, draw(seed, time) + 1, origin);
        break;
    default:
        v = db_util_message(talk, id, time, origin, contents[draw(seed, 3)], body);
        break;
    }
    v.name_space = pl_span_text(spaces[draw(seed, 4) == 0 ? 1 : 0]);
    return v;
}

static void draw_universe(struct universe *u, uint64_t *seed)
{
    u->count = 1 + (size_t)draw(seed, VERSIONS_MAX);
    for (size_t i = 0; i < u->count; i++)
        u->versions[i] = draw_version(seed, u->bodies[i]);
}

/* ---- The model: everything by comparison of all with all ---- */

static bool same_talk(const struct parley_version *a, const struct parley_version *b)
{
    return pl_span_equal(a->name_space, b->name_space) &&
           pl_span_equal(a->conversation, b->conversation);
}

static bool same_register(const struct parley_version *a, const struct parley_version *b)
{
    return same_talk(a, b) && a->kind == b->kind && pl_span_equal(a->id, b->id);
}

static bool same_version(const struct parley_version *a, const struct parley_version *b)
{
    return same_register(a, b) && a->time == b->time && a->flags == b->flags &&
           pl_span_equal(a->origin, b->origin) && pl_span_equal(a->body, b->body);
}

static int stamp_order(const struct parley_version *a, const struct parley_version *b)
{
    struct pl_stamp x = { a->time, pl_stamp_tag(a->origin) };
    struct pl_stamp y = { b->time, pl_stamp_tag(b->origin) };
    return pl_stamp_compare(x, y);
}

static bool beats(const struct parley_version *a, const struct parley_version *b)
{
    uint8_t x[PARLEY_DIGEST_BYTES], y[PARLEY_DIGEST_BYTES];
    int order = stamp_order(a, b);
    if (order != 0)
        return order > 0;
    pl_digest_of(a, x);
    pl_digest_of(b, y);
    return memcmp(x, y, sizeof x) > 0;
}

static bool model_is_first(const struct universe *u, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (same_version(&u->versions[i], &u->versions[index]))
            return false;
    return true;
}

/* It is nowhere: a purge covers it, or it is a purge and there is a newer one. */
static bool model_is_erased(const struct universe *u, size_t index)
{
    const struct parley_version *v = &u->versions[index];
    for (size_t i = 0; i < u->count; i++) {
        const struct parley_version *other = &u->versions[i];
        if (other->kind != PARLEY_KIND_PURGE || !same_talk(v, other))
            continue;
        if (v->kind == PARLEY_KIND_PURGE ? beats(other, v) : stamp_order(v, other) <= 0)
            return true;
    }
    return false;
}

static bool model_is_live(const struct universe *u, size_t index)
{
    const struct parley_version *v = &u->versions[index];
    bool coverable = v->kind == PARLEY_KIND_HEADER || v->kind == PARLEY_KIND_MESSAGE;
    if (!model_is_first(u, index) || model_is_erased(u, index))
        return false;
    for (size_t i = 0; i < u->count; i++) {
        const struct parley_version *other = &u->versions[i];
        if (same_register(v, other) && beats(other, v))
            return false;
        if (coverable && other->kind == PARLEY_KIND_CONVERSATION && same_talk(v, other) &&
            stamp_order(v, other) <= 0)
            return false;
    }
    return true;
}

/* ---- The dbs ---- */

static void apply_shuffled(struct parley_db *db, const struct universe *u, uint64_t *seed)
{
    struct parley_write writes[VERSIONS_MAX];
    for (size_t i = 0; i < u->count; i++) {
        size_t at = (size_t)draw(seed, i + 1);
        if (at != i)
            writes[i] = writes[at];
        writes[at] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                            .source = 1,
                                            .u.version = u->versions[i] };
    }
    bool changed;
    for (size_t done = 0; done < u->count;) {
        size_t batch = 1 + (size_t)draw(seed, 20);
        batch = pl_min_size(batch, u->count - done);
        assert_ok(parley_db_apply(db, writes + done, batch, DB_UTIL_NOW, &changed));
        done += batch;
    }
    assert_ok(parley_db_apply(db, writes, u->count, DB_UTIL_NOW, &changed));
    assert_false(changed);
    for (size_t i = 0; i < u->count; i++)
        assert_true(writes[i].verdict == PARLEY_VERDICT_SAME ||
                    writes[i].verdict == PARLEY_VERDICT_LOST);
}

static void expect_version(struct parley_read *read, const struct parley_version *want, bool live,
                           bool erased)
{
    struct parley_conversation_info talk;
    struct parley_version got;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    bool found, wanted;
    assert_ok(parley_read_conversation(read, want->name_space, want->conversation, &talk, &found));
    assert_true(found || erased);
    if (!found)
        return;
    assert_ok(parley_read_register(read, talk.number, want->kind, want->id, &got, &found));
    assert_int_equal(live, found && same_version(&got, want));
    bool kept = false;
    uint32_t position = 0;
    do {
        assert_ok(
            parley_read_history(read, talk.number, want->kind, want->id, &position, &got, &found));
        kept = kept || (found && same_version(&got, want));
    } while (found);
    assert_int_equal(!live && !erased, kept);
    pl_digest_of(want, digest);
    assert_ok(parley_read_wants(read, want, digest, &wanted));
    assert_false(wanted);
}

static void expect_model(struct parley_db *db, const struct universe *u)
{
    struct parley_root roots[2] = { 0 };
    static const char *const spaces[] = { "main", "team" };
    struct parley_read *read;
    struct parley_namespace_info info;
    size_t distinct = 0;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    for (size_t i = 0; i < u->count; i++) {
        uint8_t digest[PARLEY_DIGEST_BYTES];
        bool live = model_is_live(u, i);
        if (!model_is_first(u, i))
            continue;
        bool erased = model_is_erased(u, i);
        distinct += erased ? 0 : 1;
        expect_version(read, &u->versions[i], live, erased);
        if (!live)
            continue;
        struct parley_root *root = &roots[pl_span_is(u->versions[i].name_space, "main") ? 0 : 1];
        pl_digest_of(&u->versions[i], digest);
        pl_digest_add(root->sum, digest);
        root->count++;
    }
    for (size_t i = 0; i < 2; i++) {
        assert_ok(parley_read_namespace_named(read, pl_span_text(spaces[i]), &info, &found));
        assert_true(found ? pl_root_equal(&info.root, &roots[i]) : roots[i].count == 0);
    }
    parley_read_end(read);
    struct parley_check_report report = db_util_check(db);
    assert_int_equal(distinct, report.versions + report.history);
}

static void merge_gives_the_models_state_in_any_order_and_batching(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 150; round++) {
        struct env_mem env;
        struct universe u;
        uint64_t seed = round * UINT64_C(0x9e3779b97f4a7c15);
        env_mem_init(&env);
        draw_universe(&u, &seed);
        for (size_t i = 0; i < DBS; i++) {
            char name[] = { (char)('a' + i), 0 };
            struct parley_db *db = db_util_open(&env.t.env, name);
            apply_shuffled(db, &u, &seed);
            expect_model(db, &u);
            parley_db_close(db);
        }
        env_mem_deinit(&env);
    }
}

static void merge_keeps_history_bounded_and_newest(void **state)
{
    (void)state;
    struct env_mem env;
    uint8_t body[80];
    env_mem_init(&env);
    struct parley_db *db = db_util_open(&env.t.env, "a");
    for (uint64_t time = 10; time < 10 + 40; time++)
        db_util_apply(db, db_util_message("c", "m", time, "ann", "x", body));
    struct parley_check_report report = db_util_check(db);
    assert_int_equal(PARLEY_HISTORY_VERSIONS, report.history);
    /* Older than the oldest kept: dropped, nothing written. */
    struct parley_version old = db_util_message("c", "m", 5, "ann", "x", body);
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .u.version = old };
    bool changed;
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, &changed));
    assert_false(changed);
    assert_int_equal(PARLEY_VERDICT_LOST, w.verdict);
    /* Newer than the oldest kept: takes its place. */
    w.u.version = db_util_message("c", "m", 48, "bob", "x", body);
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, &changed));
    assert_true(changed);
    report = db_util_check(db);
    assert_int_equal(PARLEY_HISTORY_VERSIONS, report.history);
    parley_db_close(db);
    env_mem_deinit(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_gives_the_models_state_in_any_order_and_batching),
        cmocka_unit_test(merge_keeps_history_bounded_and_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
