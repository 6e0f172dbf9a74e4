/* SPDX-License-Identifier: Apache-2.0
 *
 * parley_db_check finds every changed value: each byte of each row of a small store is flipped in
 * turn, and the row deleted, and the report must say so.
 */
#include "lib/full_db.h"
#include "lib/rows.h"

static void delete_row(struct parley_db *db, enum pl_table t, const struct row *row)
{
    struct pl_txn *txn;
    assert_ok(pl_store_write_begin(db->store, &txn));
    assert_ok(pl_txn_del(txn, t, pl_span_of(row->key, row->key_len)));
    assert_ok(pl_txn_commit(txn));
}

static uint64_t count_problems(struct parley_db *db)
{
    struct parley_check_report report;
    assert_ok(parley_db_check(db, &report));
    return report.problems;
}

static void verify_finds_every_flipped_bit_in_every_table(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    size_t flips = 0;
    db_util_check(db);
    for (int t = 0; t < PL_TABLE_COUNT; t++) {
        size_t rows = 0;
        for (; take_row(db, (enum pl_table)t, rows, &row); rows++) {
            for (size_t bit = 0; bit < row.value_len * 8; bit++, flips++) {
                row.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
                put_row(db, (enum pl_table)t, &row);
                if (count_problems(db) == 0)
                    fail_msg("table %d row %zu bit %zu went unseen", t, rows, bit);
                row.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            put_row(db, (enum pl_table)t, &row);
        }
        assert_true(rows > 0);
    }
    assert_true(flips > 5000);
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
}

static struct parley_scrub scrub_all(struct parley_db *db, uint32_t rows)
{
    struct parley_scrub scrub = { 0 };
    while (scrub.passes == 0)
        assert_ok(parley_db_scrub(db, &scrub, rows));
    return scrub;
}

/* Each row proves itself, so what changes its value is seen without the rest; but where a store
 * lives is compared at the start, and what was promised of an older format is not. */
static void scrub_finds_every_flipped_bit_a_few_rows_at_a_time(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    struct parley_scrub clean = scrub_all(db, 1000);
    size_t flips = 0;
    assert_int_equal(0, clean.problems);
    assert_int_equal(clean.rows, scrub_all(db, 1).rows);
    for (int t = 0; t < PL_TABLE_COUNT; t++) {
        for (size_t rows = 0; take_row(db, (enum pl_table)t, rows, &row); rows++) {
            if (t == PL_TABLE_META && row.value_len == PL_STORE_PLACE_BYTES)
                continue;
            for (size_t bit = 0; bit < row.value_len * 8; bit++, flips++) {
                row.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
                put_row(db, (enum pl_table)t, &row);
                struct parley_scrub scrub = scrub_all(db, 7);
                if (scrub.problems == 0)
                    fail_msg("table %d row %zu bit %zu went unseen", t, rows, bit);
                assert_int_equal(clean.rows, scrub.rows);
                assert_true(scrub.first.text[0] != '\0');
                row.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            put_row(db, (enum pl_table)t, &row);
        }
    }
    assert_true(flips > 5000);
    assert_int_equal(0, scrub_all(db, 3).problems);
    parley_db_close(db);
    env_mem_deinit(&env);
}

/* History and rows of the node may be absent: nothing else says that they were there. */
static void verify_finds_every_missing_row(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    for (int t = 0; t < PL_TABLE_COUNT; t++) {
        if (t == PL_TABLE_HISTORY || t == PL_TABLE_SYS)
            continue;
        for (size_t i = 0; take_row(db, (enum pl_table)t, i, &row); i++) {
            delete_row(db, (enum pl_table)t, &row);
            if (count_problems(db) == 0)
                fail_msg("table %d row %zu is not missed", t, i);
            put_row(db, (enum pl_table)t, &row);
        }
    }
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
}

static void verify_finds_rows_that_do_not_belong(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    for (int t = 1; t < PL_TABLE_COUNT; t++) {
        assert_true(take_row(db, (enum pl_table)t, 0, &row));
        row.key[row.key_len - 1] ^= 0x55; /* the same row under another key */
        put_row(db, (enum pl_table)t, &row);
        assert_true(count_problems(db) > 0);
        delete_row(db, (enum pl_table)t, &row);
        db_util_check(db);
    }
    parley_db_close(db);
    env_mem_deinit(&env);
}

/* Rows that are sealed anew: their checksums are right, what they say is not. */

static void put_sealed(struct parley_db *db, enum pl_table t, struct row *row, struct pl_writer *w)
{
    assert_ok(w->err);
    memcpy(row->value, w->ptr, w->len);
    row->value_len = w->len;
    put_row(db, t, row);
}

static void verify_computes_each_digest_anew(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct pl_record record;
    uint8_t space[1024], body[256];
    struct parley_db *db = make_full(&env);
    for (size_t i = 0; take_row(db, PL_TABLE_LOG, i, &row); i++) {
        struct row before = row;
        struct parley_span key = pl_span_of(row.key, row.key_len);
        struct pl_writer w = pl_writer_over(space, sizeof space);
        assert_ok(pl_record_read_version(key, pl_span_of(before.value, before.value_len), &record));
        if (record.body.len < 4)
            continue;
        /* Another letter in the middle: the shape of the version stays good. */
        memcpy(body, record.body.ptr, record.body.len);
        body[3] ^= 1;
        record.body.ptr = body;
        pl_record_write_version(&w, key, &record);
        put_sealed(db, PL_TABLE_LOG, &row, &w);
        assert_true(count_problems(db) > 0);
        put_row(db, PL_TABLE_LOG, &before);
    }
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
}

static void change_talk(struct pl_talk_row *talk, size_t what)
{
    switch (what) {
    case 0:
        talk->messages++;
        break;
    case 1:
        talk->headers++;
        break;
    case 2:
        talk->updated++;
        break;
    default:
        talk->tomb.time++;
        break;
    }
}

static void verify_counts_what_each_conversation_has(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct pl_talk_row talk;
    uint8_t space[1024];
    size_t talks = 0;
    struct parley_db *db = make_full(&env);
    for (size_t i = 0; take_row(db, PL_TABLE_REGISTER, i, &row); i++) {
        struct row before = row;
        struct parley_span key = pl_span_of(row.key, row.key_len);
        if (row.key_len != 5 || row.key[4] != 0)
            continue; /* of a register; that of its conversation comes first */
        for (size_t what = 0; what < 4; what++) {
            struct pl_writer w = pl_writer_over(space, sizeof space);
            assert_ok(pl_record_read_talk(key, pl_span_of(before.value, before.value_len), &talk));
            change_talk(&talk, what);
            pl_record_write_talk(&w, key, &talk);
            put_sealed(db, PL_TABLE_REGISTER, &row, &w);
            if (count_problems(db) == 0)
                fail_msg("conversation %zu: change %zu went unseen", talks, what);
        }
        put_row(db, PL_TABLE_REGISTER, &before);
        talks++;
    }
    assert_true(talks >= 4);
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
}

static void verify_survives_damage_and_reads_refuse_it(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    struct parley_read *read;
    struct parley_change change;
    bool found;
    assert_true(take_row(db, PL_TABLE_LOG, 0, &row));
    row.value[30] ^= 1;
    put_row(db, PL_TABLE_LOG, &row);
    assert_ok(parley_read_begin(db, &read));
    assert_err(PARLEY_ECORRUPT, parley_read_change(read, pl_get_be(row.key, 8), &change, &found));
    assert_err(PARLEY_ECORRUPT, parley_read_change(read, 1, &change, &found));
    parley_read_end(read);
    parley_db_close(db);
    env_mem_deinit(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify_finds_every_flipped_bit_in_every_table),
        cmocka_unit_test(scrub_finds_every_flipped_bit_a_few_rows_at_a_time),
        cmocka_unit_test(verify_finds_every_missing_row),
        cmocka_unit_test(verify_finds_rows_that_do_not_belong),
        cmocka_unit_test(verify_computes_each_digest_anew),
        cmocka_unit_test(verify_counts_what_each_conversation_has),
        cmocka_unit_test(verify_survives_damage_and_reads_refuse_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
