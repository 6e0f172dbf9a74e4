/* SPDX-License-Identifier: Apache-2.0
 *
 * The store contract: every test of the table `both` runs against the LMDB store and the memory
 * store; what only one of them can show is in test_store_lmdb.c and test_store_mem.c.
 */
#include "lib/testlib.h"
#include "store/store_lmdb.h"
#include "store/store_mem.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { LMDB, MEM };

struct fixture {
    struct test_env t;
    enum kind kind;
    char dir[64];
    struct parley_store *s;
};

static void open_store(struct fixture *f, enum kind kind)
{
    test_env_init(&f->t);
    f->kind = kind;
    if (kind == MEM) {
        assert_ok(pl_store_mem_open(&f->t.env, 7, 0, &f->s));
        return;
    }
    test_tmpdir(f->dir);
    assert_ok(pl_store_lmdb_open(&f->t.env, f->dir, &f->s, NULL));
}

static void close_store(struct fixture *f)
{
    f->s->ops->close(f->s);
    assert_int_equal(0, f->t.allocs);
    if (f->kind == LMDB)
        test_rmtree(f->dir);
}

static int setup(void **state)
{
    const enum kind *kind = *state;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    open_store(f, *kind);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    free(f);
    return 0;
}

static struct pl_txn *begin_write(struct parley_store *s)
{
    struct pl_txn *txn = NULL;
    assert_ok(pl_store_write_begin(s, &txn));
    return txn;
}

static struct pl_txn *begin_read(struct parley_store *s)
{
    struct pl_txn *txn = NULL;
    assert_ok(pl_store_read_begin(s, &txn));
    return txn;
}

static parley_err put(struct pl_txn *txn, const char *key, const char *value)
{
    return pl_txn_put(txn, PL_TABLE_SYS, pl_span_text(key), pl_span_text(value));
}

static void put_now(struct parley_store *s, const char *key, const char *value)
{
    struct pl_txn *txn = begin_write(s);
    assert_ok(put(txn, key, value));
    assert_ok(pl_txn_commit(txn));
}

static void assert_holds(struct pl_txn *txn, const char *key, const char *want)
{
    struct parley_span value;
    bool found;
    assert_ok(pl_txn_get(txn, PL_TABLE_SYS, pl_span_text(key), &value, &found));
    assert_int_equal(want != NULL, found);
    if (want != NULL)
        assert_span_text(value, want);
}

static void assert_stored(struct parley_store *s, const char *key, const char *want)
{
    struct pl_txn *txn = begin_read(s);
    assert_holds(txn, key, want);
    pl_store_read_end(txn);
}

/* ---- Transactions ---- */

static void a_new_store_is_empty(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_read(f->s);
    for (unsigned t = 0; t < PL_TABLE_COUNT; t++) {
        struct pl_cursor c;
        struct parley_span key;
        struct parley_span value;
        bool found = true;
        assert_ok(pl_txn_cursor(txn, (enum pl_table)t, &c));
        assert_ok(pl_cursor_seek_last(&c, &key, &value, &found));
        assert_false(found);
    }
    pl_store_read_end(txn);
}

static void what_is_committed_can_be_read(void **state)
{
    struct fixture *f = *state;
    put_now(f->s, "key", "one");
    assert_stored(f->s, "key", "one");
    put_now(f->s, "key", "two");
    assert_stored(f->s, "key", "two");
    assert_stored(f->s, "ke", NULL);
}

static void an_empty_value_is_not_absence(void **state)
{
    struct fixture *f = *state;
    put_now(f->s, "key", "");
    assert_stored(f->s, "key", "");
}

static void tables_do_not_share_keys(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_write(f->s);
    struct parley_span value;
    bool found;
    for (unsigned t = 0; t < PL_TABLE_COUNT; t++) {
        uint8_t byte = (uint8_t)t;
        assert_ok(pl_txn_put(txn, (enum pl_table)t, pl_span_text("k"), pl_span_of(&byte, 1)));
    }
    for (unsigned t = 0; t < PL_TABLE_COUNT; t++) {
        assert_ok(pl_txn_get(txn, (enum pl_table)t, pl_span_text("k"), &value, &found));
        assert_true(found);
        assert_int_equal(t, value.ptr[0]);
    }
    pl_txn_abort(txn);
}

static void a_writer_reads_its_own_writes(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(put(txn, "key", "one"));
    assert_holds(txn, "key", "one");
    pl_txn_abort(txn);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    put_now(f->s, "old", "1");
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(put(txn, "new", "2"));
    assert_ok(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("old")));
    pl_txn_abort(txn);
    assert_stored(f->s, "old", "1");
    assert_stored(f->s, "new", NULL);
}

static void deleting_an_absent_key_is_ok(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("nothing")));
    assert_ok(pl_txn_commit(txn));
}

static void a_deleted_key_is_gone(void **state)
{
    struct fixture *f = *state;
    put_now(f->s, "key", "one");
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("key")));
    assert_ok(pl_txn_commit(txn));
    assert_stored(f->s, "key", NULL);
}

static void s1_a_reader_keeps_its_state_while_others_commit(void **state)
{
    struct fixture *f = *state;
    put_now(f->s, "key", "before");
    struct pl_txn *old = begin_read(f->s);
    struct pl_txn *writer = begin_write(f->s);
    assert_ok(put(writer, "key", "after"));
    assert_ok(put(writer, "other", "x"));
    assert_holds(old, "key", "before");
    assert_ok(pl_txn_commit(writer));
    assert_holds(old, "key", "before");
    assert_holds(old, "other", NULL);
    assert_stored(f->s, "key", "after");
    pl_store_read_end(old);
}

static void a_second_writer_is_busy(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_write(f->s);
    struct pl_txn *second;
    assert_err(PARLEY_EBUSY, pl_store_write_begin(f->s, &second));
    pl_txn_abort(txn);
}

static void s5_the_first_error_sticks_and_commit_refuses(void **state)
{
    struct fixture *f = *state;
    struct parley_span value;
    bool found;
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(put(txn, "key", "one"));
    assert_err(PARLEY_EINVAL, put(txn, "", "no key"));
    assert_err(PARLEY_EINVAL, put(txn, "fine", "but late"));
    assert_err(PARLEY_EINVAL, pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("key")));
    assert_err(PARLEY_EINVAL, pl_txn_get(txn, PL_TABLE_SYS, pl_span_text("key"), &value, &found));
    assert_err(PARLEY_EINVAL, pl_txn_commit(txn));
    assert_stored(f->s, "key", NULL);
}

static void s4_keys_have_1_to_511_bytes(void **state)
{
    struct fixture *f = *state;
    uint8_t key[PL_STORE_KEY_BYTES_MAX + 1] = { 1 };
    struct parley_span value;
    bool found;
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_put(txn, PL_TABLE_SYS, pl_span_of(key, 511), pl_span_text("v")));
    assert_ok(pl_txn_get(txn, PL_TABLE_SYS, pl_span_of(key, 511), &value, &found));
    assert_true(found);
    assert_err(PARLEY_ETOOBIG,
               pl_txn_put(txn, PL_TABLE_SYS, pl_span_of(key, 512), pl_span_text("v")));
    pl_txn_abort(txn);
    txn = begin_read(f->s);
    assert_err(PARLEY_EINVAL, pl_txn_get(txn, PL_TABLE_SYS, pl_span_of(NULL, 0), &value, &found));
    pl_store_read_end(txn);
}

static void s4_a_value_of_2_gib_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t byte = 0;
    struct pl_txn *txn = begin_write(f->s);
    assert_err(PARLEY_ETOOBIG, pl_txn_put(txn, PL_TABLE_SYS, pl_span_text("k"),
                                          pl_span_of(&byte, (size_t)1 << 31)));
    pl_txn_abort(txn);
}

static void a_value_of_3_mib_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    size_t len = (size_t)3 << 20;
    uint8_t *big = malloc(len);
    assert_non_null(big);
    for (size_t i = 0; i < len; i++)
        big[i] = (uint8_t)(i * 7 + (i >> 12));
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_put(txn, PL_TABLE_LOG, pl_span_text("big"), pl_span_of(big, len)));
    assert_ok(pl_txn_commit(txn));
    struct parley_span value;
    bool found;
    txn = begin_read(f->s);
    assert_ok(pl_txn_get(txn, PL_TABLE_LOG, pl_span_text("big"), &value, &found));
    assert_true(found);
    assert_true(pl_span_equal(value, pl_span_of(big, len)));
    pl_store_read_end(txn);
    free(big);
}

static void append_refuses_a_key_that_is_not_the_greatest(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_append(txn, PL_TABLE_LOG, pl_span_text("b"), pl_span_text("1")));
    assert_ok(pl_txn_append(txn, PL_TABLE_LOG, pl_span_text("ba"), pl_span_text("2")));
    assert_ok(pl_txn_commit(txn));
    const char *const wrong[] = { "a", "b", "ba" };
    for (size_t i = 0; i < PL_ARRAY_LEN(wrong); i++) {
        txn = begin_write(f->s);
        assert_err(PARLEY_EINVAL,
                   pl_txn_append(txn, PL_TABLE_LOG, pl_span_text(wrong[i]), pl_span_text("x")));
        pl_txn_abort(txn);
    }
}

static void many_commits_all_stay(void **state)
{
    struct fixture *f = *state;
    char key[16];
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "%04d", i);
        put_now(f->s, key, key);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "%04d", i);
        assert_stored(f->s, key, key);
    }
    struct pl_store_stats stats;
    assert_ok(f->s->ops->stats(f->s, &stats));
    assert_int_equal(300, stats.commits);
    assert_int_equal(0, stats.readers);
    struct pl_txn *reader;
    assert_ok(pl_store_read_begin(f->s, &reader));
    assert_ok(f->s->ops->stats(f->s, &stats));
    pl_store_read_end(reader);
    assert_int_equal(1, stats.readers);
    assert_int_equal(1, stats.reader_slots);
    assert_true(stats.file_bytes > 0);
    assert_true(stats.file_bytes <= stats.limit_bytes);
}

static void reopen_keeps_what_was_committed(void **state)
{
    struct fixture *f = *state;
    uint8_t place[PL_STORE_PLACE_BYTES];
    uint8_t again[PL_STORE_PLACE_BYTES];
    f->s->ops->place(f->s, place);
    put_now(f->s, "key", "one");
    assert_ok(f->s->ops->reopen(f->s));
    f->s->ops->place(f->s, again);
    assert_memory_equal(place, again, sizeof place);
    assert_stored(f->s, "key", "one");
    put_now(f->s, "key", "two");
    assert_stored(f->s, "key", "two");
}

static void reopen_waits_for_transactions(void **state)
{
    struct fixture *f = *state;
    struct pl_txn *txn = begin_read(f->s);
    assert_err(PARLEY_EBUSY, f->s->ops->reopen(f->s));
    pl_store_read_end(txn);
    txn = begin_write(f->s);
    assert_err(PARLEY_EBUSY, f->s->ops->reopen(f->s));
    assert_err(PARLEY_EBUSY, f->s->ops->maintain(f->s));
    pl_txn_abort(txn);
    assert_ok(f->s->ops->maintain(f->s));
}

/* The row of META that compact keeps true, as it stands. */
static void put_place(struct parley_store *s)
{
    uint8_t place[PL_STORE_PLACE_BYTES];
    struct pl_txn *txn = begin_write(s);
    s->ops->place(s, place);
    assert_ok(
        pl_txn_put(txn, PL_TABLE_META, pl_span_text("place"), pl_span_of(place, sizeof place)));
    assert_ok(pl_txn_commit(txn));
}

static void assert_place_is_true(struct parley_store *s)
{
    uint8_t place[PL_STORE_PLACE_BYTES];
    struct pl_txn *txn = begin_read(s);
    struct parley_span value;
    bool found;
    s->ops->place(s, place);
    assert_ok(pl_txn_get(txn, PL_TABLE_META, pl_span_text("place"), &value, &found));
    assert_true(found && pl_span_equal(value, pl_span_of(place, sizeof place)));
    pl_store_read_end(txn);
}

static void compact_keeps_everything_and_says_where_it_is(void **state)
{
    struct fixture *f = *state;
    put_place(f->s);
    for (int i = 0; i < 3; i++) {
        put_now(f->s, "key", i == 1 ? "two" : "one");
        assert_ok(f->s->ops->compact(f->s, pl_span_text("place")));
        assert_stored(f->s, "key", i == 1 ? "two" : "one");
        assert_place_is_true(f->s);
    }
}

static void compact_waits_for_transactions(void **state)
{
    struct fixture *f = *state;
    put_place(f->s);
    struct pl_txn *txn = begin_read(f->s);
    assert_err(PARLEY_EBUSY, f->s->ops->compact(f->s, pl_span_text("place")));
    pl_store_read_end(txn);
    txn = begin_write(f->s);
    assert_err(PARLEY_EBUSY, f->s->ops->compact(f->s, pl_span_text("place")));
    pl_txn_abort(txn);
    assert_ok(f->s->ops->compact(f->s, pl_span_text("place")));
}

/* ---- Cursors ---- */

static const char *const ordered[] = { "\x01", "a", "aa", "ab", "b", "b\x7f", "b\xff", "\xff" };

static void put_shuffled(struct parley_store *s)
{
    struct pl_txn *txn = begin_write(s);
    for (size_t i = 0; i < PL_ARRAY_LEN(ordered); i++) {
        size_t at = i * 3 % PL_ARRAY_LEN(ordered);
        assert_ok(put(txn, ordered[at], ordered[at]));
    }
    assert_ok(pl_txn_commit(txn));
}

struct step {
    struct parley_span key;
    struct parley_span value;
    bool found;
};

static const char *step_text(struct step s, char buf[16])
{
    if (!s.found)
        return "-";
    assert_true(s.key.len < 16);
    assert_true(pl_span_equal(s.key, s.value));
    memcpy(buf, s.key.ptr, s.key.len);
    buf[s.key.len] = '\0';
    return buf;
}

static void assert_next(struct pl_cursor *c, const char *want)
{
    struct step s = { .found = false };
    char buf[16];
    assert_ok(pl_cursor_next(c, &s.key, &s.value, &s.found));
    assert_string_equal(want, step_text(s, buf));
}

static void assert_prev(struct pl_cursor *c, const char *want)
{
    struct step s = { .found = false };
    char buf[16];
    assert_ok(pl_cursor_prev(c, &s.key, &s.value, &s.found));
    assert_string_equal(want, step_text(s, buf));
}

static void assert_seek(struct pl_cursor *c, const char *key, const char *want)
{
    struct step s = { .found = false };
    char buf[16];
    assert_ok(pl_cursor_seek(c, pl_span_text(key), &s.key, &s.value, &s.found));
    assert_string_equal(want, step_text(s, buf));
}

static void cursors_walk_bytewise_both_ways(void **state)
{
    struct fixture *f = *state;
    struct pl_cursor c;
    put_shuffled(f->s);
    struct pl_txn *txn = begin_read(f->s);
    assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &c));
    assert_seek(&c, "", ordered[0]);
    for (size_t i = 1; i < PL_ARRAY_LEN(ordered); i++)
        assert_next(&c, ordered[i]);
    assert_next(&c, "-");
    for (size_t i = PL_ARRAY_LEN(ordered); i > 0; i--)
        assert_prev(&c, ordered[i - 1]);
    assert_prev(&c, "-");
    assert_next(&c, ordered[0]);
    pl_store_read_end(txn);
}

static void seek_finds_the_key_or_the_next_greater(void **state)
{
    struct fixture *f = *state;
    struct pl_cursor c;
    put_shuffled(f->s);
    struct pl_txn *txn = begin_read(f->s);
    assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &c));
    assert_seek(&c, "aa", "aa");
    assert_seek(&c, "aaa", "ab");
    assert_prev(&c, "aa");
    assert_seek(&c, "\xff\xff", "-");
    assert_next(&c, "-");
    assert_prev(&c, "\xff");
    pl_store_read_end(txn);
}

static void a_cursor_without_seek_starts_at_either_end(void **state)
{
    struct fixture *f = *state;
    struct pl_cursor a;
    struct pl_cursor b;
    put_shuffled(f->s);
    struct pl_txn *txn = begin_read(f->s);
    assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &a));
    assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &b));
    assert_next(&a, ordered[0]);
    assert_prev(&b, "\xff");
    assert_next(&a, ordered[1]);
    pl_store_read_end(txn);
}

static void a_cursor_needs_a_seek_after_a_change(void **state)
{
    struct fixture *f = *state;
    struct pl_cursor c;
    struct step s;
    put_shuffled(f->s);
    struct pl_txn *txn = begin_write(f->s);
    assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &c));
    assert_seek(&c, "aa", "aa");
    assert_ok(pl_txn_del(txn, PL_TABLE_SYS, pl_span_text("aa")));
    assert_seek(&c, "aa", "ab");
    assert_next(&c, "b");
    assert_ok(put(txn, "x", "x"));
    assert_err(PARLEY_ESTATE, pl_cursor_next(&c, &s.key, &s.value, &s.found));
    assert_err(PARLEY_ESTATE, pl_txn_commit(txn));
}

static void a_transaction_has_16_cursors(void **state)
{
    struct fixture *f = *state;
    struct pl_cursor c;
    struct pl_txn *txn = begin_read(f->s);
    for (int i = 0; i < PL_STORE_CURSORS_MAX; i++)
        assert_ok(pl_txn_cursor(txn, PL_TABLE_SYS, &c));
    assert_err(PARLEY_EFULL, pl_txn_cursor(txn, PL_TABLE_SYS, &c));
    pl_store_read_end(txn);
    assert_stored(f->s, "usable", NULL);
}

/* ---- Both against each other ---- */

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % below);
}

static void assert_same_step(parley_err a, parley_err b, struct step sa, struct step sb)
{
    assert_int_equal(a, b);
    if (a != PARLEY_OK)
        return;
    assert_int_equal(sa.found, sb.found);
    if (!sa.found)
        return;
    assert_true(pl_span_equal(sa.key, sb.key));
    assert_true(pl_span_equal(sa.value, sb.value));
}

/* Runs a few random cursor moves on both and compares every answer. */
static void compare_walk(struct pl_txn *a, struct pl_txn *b, uint64_t *seed)
{
    struct pl_cursor ca;
    struct pl_cursor cb;
    assert_ok(pl_txn_cursor(a, PL_TABLE_SYS, &ca));
    assert_ok(pl_txn_cursor(b, PL_TABLE_SYS, &cb));
    for (int i = 0; i < 12; i++) {
        struct step x = { .found = false };
        struct step y = { .found = false };
        uint8_t key[2] = { (uint8_t)draw(seed, 8), (uint8_t)draw(seed, 64) };
        struct parley_span k = pl_span_of(key, draw(seed, 3));
        parley_err ea;
        parley_err eb;
        uint32_t move = draw(seed, 8);
        if (move < 3) {
            ea = pl_cursor_next(&ca, &x.key, &x.value, &x.found);
            eb = pl_cursor_next(&cb, &y.key, &y.value, &y.found);
        } else if (move < 6) {
            ea = pl_cursor_prev(&ca, &x.key, &x.value, &x.found);
            eb = pl_cursor_prev(&cb, &y.key, &y.value, &y.found);
        } else if (move == 6) {
            ea = pl_cursor_seek(&ca, k, &x.key, &x.value, &x.found);
            eb = pl_cursor_seek(&cb, k, &y.key, &y.value, &y.found);
        } else {
            ea = pl_cursor_seek_last(&ca, &x.key, &x.value, &x.found);
            eb = pl_cursor_seek_last(&cb, &y.key, &y.value, &y.found);
        }
        assert_same_step(ea, eb, x, y);
    }
}

/* The writer asks for one key and changes another, which may lie on the same page. Long keys make
 * a deep tree. */
static void random_change(struct pl_txn *a, struct pl_txn *b, size_t more_key, uint64_t *seed)
{
    static const uint8_t bytes[6000] = { 1, 2, 3 };
    uint8_t key[2 + 200] = { (uint8_t)draw(seed, 8), (uint8_t)draw(seed, 64) };
    struct parley_span k = pl_span_of(key, 1 + draw(seed, 2) + more_key);
    struct parley_span v =
        pl_span_of(bytes + draw(seed, 3), draw(seed, 20) == 0 ? 5000 : draw(seed, 60));
    struct step x = { .key = k, .found = false };
    struct step y = { .key = k, .found = false };
    assert_ok(pl_txn_get(a, PL_TABLE_SYS, k, &x.value, &x.found));
    assert_ok(pl_txn_get(b, PL_TABLE_SYS, k, &y.value, &y.found));
    assert_same_step(PARLEY_OK, PARLEY_OK, x, y);
    key[1] = (uint8_t)draw(seed, 64);
    if (draw(seed, 5) < 3) {
        assert_ok(pl_txn_put(a, PL_TABLE_SYS, k, v));
        assert_ok(pl_txn_put(b, PL_TABLE_SYS, k, v));
        return;
    }
    assert_ok(pl_txn_del(a, PL_TABLE_SYS, k));
    assert_ok(pl_txn_del(b, PL_TABLE_SYS, k));
}

static void end_write(struct pl_txn *a, struct pl_txn *b, bool commit)
{
    if (commit) {
        assert_ok(pl_txn_commit(a));
        assert_ok(pl_txn_commit(b));
        return;
    }
    pl_txn_abort(a);
    pl_txn_abort(b);
}

static void compare_histories(size_t more_key)
{
    struct fixture lmdb;
    struct fixture mem;
    uint64_t seed = 42;
    open_store(&lmdb, LMDB);
    open_store(&mem, MEM);
    struct pl_txn *old_a = begin_read(lmdb.s);
    struct pl_txn *old_b = begin_read(mem.s);
    for (int round = 0; round < 400; round++) {
        struct pl_txn *a = begin_write(lmdb.s);
        struct pl_txn *b = begin_write(mem.s);
        for (uint32_t i = draw(&seed, 40); i > 0; i--)
            random_change(a, b, more_key, &seed);
        compare_walk(a, b, &seed);
        end_write(a, b, draw(&seed, 4) != 0);
        if (round % 5 == 0) { /* an old snapshot must have stayed the same in both */
            compare_walk(old_a, old_b, &seed);
            pl_store_read_end(old_a);
            pl_store_read_end(old_b);
            old_a = begin_read(lmdb.s);
            old_b = begin_read(mem.s);
        }
    }
    pl_store_read_end(old_a);
    pl_store_read_end(old_b);
    close_store(&lmdb);
    close_store(&mem);
}

static void both_stores_answer_random_histories_alike(void **state)
{
    (void)state;
    compare_histories(0);
    compare_histories(200);
}

static void the_ledger_keeps_all_lines_in_order(void **state)
{
    struct fixture *f = *state;
    uint8_t held[64];
    size_t len = 99;
    assert_ok(f->s->ops->ledger_read(f->s, held, sizeof held, &len));
    assert_int_equal(0, len);
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("one\n")));
    assert_ok(f->s->ops->reopen(f->s));
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("two\n")));
    assert_ok(f->s->ops->ledger_read(f->s, held, sizeof held, &len));
    assert_int_equal(8, len);
    assert_memory_equal("one\ntwo\n", held, 8);
}

static void the_ledger_has_a_bound(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[PL_STORE_LEDGER_BYTES_MAX];
    memset(big, '\n', sizeof big);
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_of(big, sizeof big - 1)));
    assert_err(PARLEY_EFULL, f->s->ops->ledger_append(f->s, pl_span_text("x\n")));
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("\n")));
}

static void the_witness_is_what_was_written_last(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[PL_STORE_WITNESS_BYTES];
    uint8_t back[PL_STORE_WITNESS_BYTES];
    bool found = true;
    assert_ok(f->s->ops->witness_read(f->s, back, &found));
    assert_false(found);
    for (uint8_t i = 1; i <= 2; i++) {
        memset(bytes, i, sizeof bytes);
        assert_ok(f->s->ops->witness_write(f->s, bytes));
        assert_ok(f->s->ops->witness_read(f->s, back, &found));
        assert_true(found);
        assert_memory_equal(bytes, back, sizeof back);
    }
}

static void the_ledger_is_replaced_as_a_whole(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[PL_STORE_LEDGER_BYTES_MAX + 1];
    uint8_t held[64];
    size_t len = 99;
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("one\ntwo\n")));
    assert_ok(f->s->ops->ledger_replace(f->s, pl_span_text("two\n")));
    assert_ok(f->s->ops->reopen(f->s));
    assert_ok(f->s->ops->ledger_append(f->s, pl_span_text("three\n")));
    assert_err(PARLEY_EFULL, f->s->ops->ledger_replace(f->s, pl_span_of(big, sizeof big)));
    assert_ok(f->s->ops->ledger_read(f->s, held, sizeof held, &len));
    assert_int_equal(10, len);
    assert_memory_equal("two\nthree\n", held, 10);
    assert_ok(f->s->ops->ledger_replace(f->s, pl_span_of("", 0)));
    assert_ok(f->s->ops->ledger_read(f->s, held, sizeof held, &len));
    assert_int_equal(0, len);
}

static enum kind kinds[] = { LMDB, MEM };

#define BOTH(test)                                                                                 \
    { "lmdb: " #test, test, setup, teardown, &kinds[0] },                                          \
    {                                                                                              \
        "mem: " #test, test, setup, teardown, &kinds[1]                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_new_store_is_empty),
        BOTH(what_is_committed_can_be_read),
        BOTH(an_empty_value_is_not_absence),
        BOTH(tables_do_not_share_keys),
        BOTH(a_writer_reads_its_own_writes),
        BOTH(an_aborted_transaction_leaves_nothing),
        BOTH(deleting_an_absent_key_is_ok),
        BOTH(a_deleted_key_is_gone),
        BOTH(s1_a_reader_keeps_its_state_while_others_commit),
        BOTH(a_second_writer_is_busy),
        BOTH(s5_the_first_error_sticks_and_commit_refuses),
        BOTH(s4_keys_have_1_to_511_bytes),
        BOTH(s4_a_value_of_2_gib_is_refused),
        BOTH(a_value_of_3_mib_comes_back_whole),
        BOTH(append_refuses_a_key_that_is_not_the_greatest),
        BOTH(many_commits_all_stay),
        BOTH(reopen_keeps_what_was_committed),
        BOTH(reopen_waits_for_transactions),
        BOTH(compact_keeps_everything_and_says_where_it_is),
        BOTH(compact_waits_for_transactions),
        BOTH(cursors_walk_bytewise_both_ways),
        BOTH(seek_finds_the_key_or_the_next_greater),
        BOTH(a_cursor_without_seek_starts_at_either_end),
        BOTH(a_cursor_needs_a_seek_after_a_change),
        BOTH(a_transaction_has_16_cursors),
        BOTH(the_ledger_keeps_all_lines_in_order),
        BOTH(the_ledger_has_a_bound),
        BOTH(the_ledger_is_replaced_as_a_whole),
        BOTH(the_witness_is_what_was_written_last),
        cmocka_unit_test(both_stores_answer_random_histories_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
