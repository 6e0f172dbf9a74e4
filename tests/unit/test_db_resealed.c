/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that say something wrong under a right checksum, as a bug or a hostile hand would leave
 * them: each byte of each row is changed in turn, and the row sealed anew. Nobody dies of it; the
 * check sees it, but for what nothing else says; and what reads gives the version as it is there,
 * or says that it is damaged.
 */
#include "lib/full_db.h"
#include "lib/rows.h"

#include "core/hash.h"

/* The bytes of the checksum at the end of a row; 0: it has none. */
static size_t check_width(const struct row *row)
{
    static const size_t widths[] = { PL_RECORD_CHECK_BYTES, PL_RECORD_ROW_CHECK_BYTES };
    for (size_t i = 0; i < PL_ARRAY_LEN(widths); i++) {
        size_t width = widths[i];
        if (row->value_len < width)
            continue;
        uint64_t hash = pl_xxh3_pair(pl_span_of(row->key, row->key_len),
                                     pl_span_of(row->value, row->value_len - width));
        uint64_t mask = width == 8 ? UINT64_MAX : UINT32_MAX;
        if (pl_get_be(row->value + row->value_len - width, width) == (hash & mask))
            return width;
    }
    return 0;
}

static void seal(struct row *row, size_t width)
{
    uint64_t hash = pl_xxh3_pair(pl_span_of(row->key, row->key_len),
                                 pl_span_of(row->value, row->value_len - width));
    pl_put_be(row->value + row->value_len - width, width == 8 ? hash : (uint32_t)hash, width);
}

/* Only ECORRUPT may be said of it. */
static void may_be_damaged(parley_err err)
{
    assert_true(err == PARLEY_OK || err == PARLEY_ECORRUPT);
}

static void read_all(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_feed feed;
    struct parley_change change;
    struct parley_db_state state;
    struct parley_conversation_info talk;
    struct parley_trash_key trash = { .len = 0 };
    struct parley_version v;
    parley_err err = parley_read_begin(db, &read);
    may_be_damaged(err);
    if (err != PARLEY_OK)
        return;
    err = parley_read_state(read, &state);
    if (err == PARLEY_OK)
        err = parley_feed_begin(read, 0, &feed);
    for (bool found = true; err == PARLEY_OK && found;)
        err = parley_feed_next(&feed, &change, &found);
    may_be_damaged(err);
    parley_read_end(read);
    static const char *const talks[] = { "c1", "c2", "c3", "c5" };
    for (size_t i = 0; i < PL_ARRAY_LEN(talks); i++) {
        struct parley_register_cursor cursor;
        bool found = false;
        uint32_t position = 0;
        assert_ok(parley_read_begin(db, &read));
        err = parley_read_conversation(read, pl_span_text("main"), pl_span_text(talks[i]), &talk,
                                       &found);
        bool there = err == PARLEY_OK && found;
        if (there)
            err = parley_registers_begin(read, talk.number, &cursor);
        while (there && err == PARLEY_OK && found)
            err = parley_registers_next(&cursor, &v, &found);
        found = there;
        while (err == PARLEY_OK && found && position < 100)
            err = parley_read_history(read, talk.number, PARLEY_KIND_MESSAGE, pl_span_text("m1"),
                                      &position, &v, &found);
        may_be_damaged(err);
        parley_read_end(read);
    }
    assert_ok(parley_read_begin(db, &read));
    err = PARLEY_OK;
    for (bool found = true; err == PARLEY_OK && found;)
        err = parley_read_trash_after(read, &trash, &v, &found);
    may_be_damaged(err);
    parley_read_end(read);
}

/* What is said in one place alone: another value is as good. So it is with where a view stands, and
 * with rows of the node. */
static bool is_free(enum pl_table t, const struct row *row)
{
    bool view = t == PL_TABLE_NAMESPACE && row->key[0] == PL_KEY_OF_VIEW;
    return view || t == PL_TABLE_SYS || t == PL_TABLE_META || t == PL_TABLE_HOLD ||
           t == PL_TABLE_LOG || t == PL_TABLE_HISTORY || t == PL_TABLE_TRASH;
}

static void a_row_that_is_sealed_anew_is_seen_and_survived(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    size_t changed = 0, seen = 0;
    struct parley_db *db = make_full(&env);
    for (int t = 0; t < PL_TABLE_COUNT; t++) {
        for (size_t index = 0; take_row(db, (enum pl_table)t, index, &row); index++) {
            size_t width = check_width(&row);
            for (size_t i = 0; width != 0 && i < row.value_len - width; i++) {
                static const uint8_t flips[] = { 0x01, 0x80, 0xff };
                for (size_t k = 0; k < PL_ARRAY_LEN(flips); k++) {
                    struct row other = row;
                    struct parley_check_report report = { 0 };
                    struct parley_scrub scrub = { 0 };
                    other.value[i] ^= flips[k];
                    seal(&other, width);
                    put_row(db, (enum pl_table)t, &other);
                    may_be_damaged(parley_db_check(db, &report));
                    may_be_damaged(parley_db_scrub(db, &scrub, 1000));
                    read_all(db);
                    changed++;
                    seen += report.problems != 0 ? 1 : 0;
                    if (report.problems == 0 && !is_free((enum pl_table)t, &row))
                        fail_msg("table %d row %zu byte %zu: %02x went unseen", t, index, i,
                                 flips[k]);
                }
            }
            put_row(db, (enum pl_table)t, &row);
        }
    }
    db_util_check(db);
    assert_true(changed > 3000 && seen > changed / 4 * 3);
    parley_db_close(db);
    env_mem_deinit(&env);
}

/* Shorter and longer than a row may be, with a right checksum. */
static void a_row_of_another_length_is_damage(void **state)
{
    (void)state;
    struct env_mem env;
    struct row row;
    struct parley_db *db = make_full(&env);
    for (int t = 1; t < PL_TABLE_COUNT; t++) {
        for (size_t index = 0; take_row(db, (enum pl_table)t, index, &row); index++) {
            size_t width = check_width(&row);
            for (size_t len = width; width != 0 && len <= row.value_len + 1; len++) {
                struct row other = row;
                struct parley_check_report report = { 0 };
                if (len == row.value_len)
                    continue;
                other.value_len = len;
                other.value[len - 1] = 0;
                seal(&other, width);
                put_row(db, (enum pl_table)t, &other);
                may_be_damaged(parley_db_check(db, &report));
                read_all(db);
                if (report.problems == 0 && t != PL_TABLE_SYS)
                    fail_msg("table %d row %zu of %zu bytes went unseen", t, index, len);
            }
            put_row(db, (enum pl_table)t, &row);
        }
    }
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_sealed_anew_is_seen_and_survived),
        cmocka_unit_test(a_row_of_another_length_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
