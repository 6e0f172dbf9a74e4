/* SPDX-License-Identifier: Apache-2.0
 *
 * Merges whose reads fail, or find damage: each read in turn, in a snapshot and in a batch.
 */
#include "lib/db_util.h"
#include "lib/read_fault.h"

#include "core/digest.h"
#include "core/stamp.h"
#include "db/db_int.h"

/* Two names with one tag: that of which the digest is greater wins at the same time. */
#define TWIN_A "o9c52"
#define TWIN_B "o1b27c"

#define LATER ((uint64_t)DB_UTIL_NOW * 2)

struct bodies {
    uint8_t of[8][80];
};

/* Something for each way that a merge can go. */
static struct parley_db *make_db(struct env_mem *env, struct bodies *b)
{
    env_mem_init(env);
    struct parley_db *db = db_util_open(&env->t.env, "a");
    db_util_apply(db, db_util_message("c1", "m1", 100, "ann", "old", b->of[0]));
    db_util_apply(db, db_util_message("c1", "m1", 200, "ann", "new", b->of[0]));
    db_util_apply(db, db_util_message("c1", "twin", 300, TWIN_A, "x", b->of[0]));
    db_util_apply(db, db_util_message("c2", "m1", 100, "ann", "gone", b->of[0]));
    db_util_apply(db, db_util_delete("c2", 250, "ann"));
    db_util_apply(db, db_util_message("c3", "m1", 100, "ann", "erased", b->of[0]));
    db_util_apply(db, db_util_purge("c3", 250, "ann"));
    db_util_apply(db, db_util_message("c4", "m1", LATER, "ann", "held", b->of[0]));
    struct parley_write collect = { .kind = PARLEY_WRITE_COLLECT };
    collect.u.collect.name_space = pl_span_text("main");
    collect.u.collect.upto = 50;
    collect.u.collect.raise = true;
    assert_ok(parley_db_apply(db, &collect, 1, DB_UTIL_NOW, NULL));
    return db;
}

/* What comes, and what a merge says of it. */
static const struct arrival {
    const char *conversation, *id;
    uint64_t time;
    const char *origin, *content;
    enum parley_verdict verdict;
    bool wanted;
} arrivals[] = {
    { "c1", "m1", 200, "ann", "new", PARLEY_VERDICT_SAME, false },
    { "c1", "m1", 150, "bob", "late", PARLEY_VERDICT_LOST, true },
    { "c1", "m1", 300, "bob", "newest", PARLEY_VERDICT_UPDATED, true },
    { "c1", "m9", 300, "bob", "another", PARLEY_VERDICT_NEW, true },
    { "c9", "m1", 300, "cy", "another", PARLEY_VERDICT_NEW, true },
    { "c2", "m1", 240, "bob", "covered", PARLEY_VERDICT_LOST, true },
    { "c2", "m1", 260, "bob", "after", PARLEY_VERDICT_NEW, true },
    { "c3", "m1", 240, "bob", "nothing", PARLEY_VERDICT_LOST, false },
    { "c3", "m1", 260, "bob", "after", PARLEY_VERDICT_NEW, true },
    { "c4", "m1", LATER, "ann", "held", PARLEY_VERDICT_SAME, false },
    { "c4", "m2", LATER, "ann", "held too", PARLEY_VERDICT_HELD, true },
    { "c1", "m1", 40, "bob", NULL, PARLEY_VERDICT_LOST, false }, /* below the floor */
    { "c1", "m1", 400, "bob", NULL, PARLEY_VERDICT_UPDATED, true },
};

static struct parley_version version_of(const struct arrival *a, uint8_t *body)
{
    return a->content == NULL
               ? db_util_tombstone(a->conversation, a->id, a->time, a->origin)
               : db_util_message(a->conversation, a->id, a->time, a->origin, a->content, body);
}

static bool wants(struct parley_db *db, const struct parley_version *v)
{
    struct parley_read *read;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    bool wanted = false;
    pl_digest_of(v, digest);
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_wants(read, v, digest, &wanted));
    parley_read_end(read);
    return wanted;
}

static void a_read_that_fails_is_no_answer_to_whether_a_version_is_wanted(void **state)
{
    (void)state;
    struct env_mem env;
    struct bodies b;
    struct parley_db *db = make_db(&env, &b);
    read_fault_plant(&env, "a");
    for (size_t i = 0; i < PL_ARRAY_LEN(arrivals); i++) {
        struct parley_version v = version_of(&arrivals[i], b.of[1]);
        uint8_t digest[PARLEY_DIGEST_BYTES];
        parley_err err = PARLEY_EIO;
        pl_digest_of(&v, digest);
        for (int64_t at = 0; err == PARLEY_EIO; at++) {
            struct parley_read *read;
            bool wanted = !arrivals[i].wanted;
            assert_ok(parley_read_begin(db, &read));
            read_fault_after = at;
            err = parley_read_wants(read, &v, digest, &wanted);
            bool reached = read_fault_after == 0;
            read_fault_after = -1;
            parley_read_end(read);
            assert_true(err == PARLEY_OK || (err == PARLEY_EIO && reached));
            assert_int_equal(err == PARLEY_OK ? arrivals[i].wanted : !arrivals[i].wanted, wanted);
        }
        assert_ok(err);
    }
    parley_db_close(db);
    env_mem_deinit(&env);
}

/* One batch of one version, of which the n-th read fails. False: none did. */
static bool fail_once(const struct arrival *a, int64_t at)
{
    struct env_mem env;
    struct bodies b;
    struct parley_db *db = make_db(&env, &b);
    struct parley_root before = db_util_root(db);
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = 1 };
    w.u.version = version_of(a, b.of[1]);
    read_fault_plant(&env, "a");
    read_fault_after = at;
    parley_err err = parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL);
    read_fault_after = -1;
    if (err != PARLEY_OK) {
        struct parley_root after = db_util_root(db);
        assert_err(PARLEY_EIO, err);
        assert_true(pl_root_equal(&before, &after));
        if (read_fault_in_write) {
            /* What was read and written before it is not believed either. */
            assert_err(PARLEY_EIO, parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
            assert_ok(parley_db_recover(db));
        }
        assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
    }
    assert_int_equal(a->verdict, w.verdict);
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
    return err != PARLEY_OK;
}

static void a_read_that_fails_in_a_batch_undoes_it_and_the_store_has_to_recover(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(arrivals); i++) {
        int64_t at = 0;
        while (fail_once(&arrivals[i], at))
            at++;
        assert_true(at >= 3);
    }
}

static void damage_is_met_by_a_merge_and_said(void **state)
{
    (void)state;
    struct env_mem env;
    struct bodies b;
    struct pl_key key;
    struct pl_txn *txn;
    uint8_t value[256];
    struct parley_span found_value;
    bool found = false;
    struct parley_db *db = make_db(&env, &b);
    pl_key_register(&key, 1, PARLEY_KIND_MESSAGE, pl_span_text("m1"));
    assert_ok(pl_store_write_begin(db->store, &txn));
    assert_ok(pl_txn_get(txn, PL_TABLE_REGISTER, pl_key_span(&key), &found_value, &found));
    assert_true(found && found_value.len <= sizeof value);
    memcpy(value, found_value.ptr, found_value.len);
    value[0] ^= 1;
    assert_ok(
        pl_txn_put(txn, PL_TABLE_REGISTER, pl_key_span(&key), pl_span_of(value, found_value.len)));
    assert_ok(pl_txn_commit(txn));
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION };
    w.u.version = db_util_message("c1", "m1", 500, "ann", "more", b.of[1]);
    assert_err(PARLEY_ECORRUPT, parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
    w.u.version = db_util_message("c1", "m7", 500, "ann", "elsewhere", b.of[1]);
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
    parley_db_close(db);
    env_mem_deinit(&env);
}

/* M1 where neither time nor tag tell: both names are known, or one of them is not. */
static void of_two_origins_with_one_tag_the_digest_decides(void **state)
{
    (void)state;
    assert_int_equal(pl_stamp_tag(pl_span_text(TWIN_A)), pl_stamp_tag(pl_span_text(TWIN_B)));
    for (int order = 0; order < 4; order++) {
        struct env_mem env;
        uint8_t bodies[2][80];
        uint8_t digests[2][PARLEY_DIGEST_BYTES];
        struct parley_version v[2];
        struct parley_version live;
        struct parley_conversation_info talk;
        struct parley_read *read;
        bool found = false;
        env_mem_init(&env);
        struct parley_db *db = db_util_open(&env.t.env, "a");
        v[0] = db_util_message("c", "m", 300, TWIN_A, "same", bodies[0]);
        v[1] = db_util_message("c", "m", 300, TWIN_B, "same", bodies[1]);
        for (size_t i = 0; i < 2; i++)
            pl_digest_of(&v[i], digests[i]);
        if (order >= 2) /* both origins are known before */
            for (size_t i = 0; i < 2; i++)
                db_util_apply(db, db_util_message("c", i == 0 ? "x" : "y", 100,
                                                  i == 0 ? TWIN_A : TWIN_B, "", bodies[0]));
        v[0] = db_util_message("c", "m", 300, TWIN_A, "same", bodies[0]);
        assert_true(wants(db, &v[order % 2]));
        db_util_apply(db, v[order % 2]);
        assert_false(wants(db, &v[order % 2]));
        assert_true(wants(db, &v[1 - order % 2]));
        db_util_apply(db, v[1 - order % 2]);
        size_t winner = memcmp(digests[0], digests[1], PARLEY_DIGEST_BYTES) > 0 ? 0 : 1;
        assert_ok(parley_read_begin(db, &read));
        assert_ok(
            parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &talk, &found));
        assert_ok(parley_read_register(read, talk.number, PARLEY_KIND_MESSAGE, pl_span_text("m"),
                                       &live, &found));
        assert_true(found && pl_span_equal(live.origin, v[winner].origin));
        parley_read_end(read);
        db_util_check(db);
        parley_db_close(db);
        env_mem_deinit(&env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_fails_is_no_answer_to_whether_a_version_is_wanted),
        cmocka_unit_test(a_read_that_fails_in_a_batch_undoes_it_and_the_store_has_to_recover),
        cmocka_unit_test(damage_is_met_by_a_merge_and_said),
        cmocka_unit_test(of_two_origins_with_one_tag_the_digest_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
