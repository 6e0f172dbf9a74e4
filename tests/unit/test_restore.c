/* SPDX-License-Identifier: Apache-2.0
 *
 * Restores: no damage gets past them, and what a forged backup makes is sound.
 */
#include "lib/backup_fixture.h"

/* ---- Damage ---- */

/* A small one, so that every byte of it can be tried. */
static struct backup *take_small(struct fixture *f)
{
    put_sys(f->db, "identity", "sealed");
    db_util_apply(f->db, db_util_message("c", "m", 9, "o", "text", f->body));
    db_util_apply(f->db, db_util_message("c", "m", 19, "o", "text", f->body));
    db_util_apply(f->db, db_util_tombstone("c", "n", 19, "o"));
    db_util_apply(f->db, db_util_message("c", "later", DB_UTIL_NOW * 2, "o", "held", f->body));
    return take(f->db);
}

static void restore_refuses_a_backup_cut_at_any_byte(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    size_t whole = b->len;
    for (b->len = 0; b->len < whole; b->len++)
        assert_err(PARLEY_EMISSING, restore_into(f, NULL, b, BYTES_MAX, NULL));
    assert_ok(restore_into(f, NULL, b, 1, NULL));
    b->bytes[b->len++] = 0;
    assert_err(PARLEY_EMALFORMED, restore_into(f, NULL, b, BYTES_MAX, NULL));
    free(b);
}

static void restore_refuses_a_backup_with_any_bit_changed(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    for (size_t i = 0; i < 8 * b->len; i++) {
        b->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        parley_err err = restore_into(f, NULL, b, BYTES_MAX, NULL);
        assert_true(err == PARLEY_EMALFORMED || err == PARLEY_EMISSING);
        b->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    free(b);
}

/* Makes the digests of all blocks right again: what a hostile file has. */
static void forge(struct backup *b)
{
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES];
    pl_backup_genesis(digest);
    for (size_t at = PL_BACKUP_MAGIC_BYTES; at + 6 < b->len;) {
        size_t records = (size_t)pl_get_be(b->bytes + at, 4);
        if (records > b->len - at - 6)
            return;
        size_t end = at + 6 + records + (size_t)pl_get_be(b->bytes + at + 4 + records, 2);
        if (end + sizeof digest > b->len)
            return;
        pl_backup_chain(digest, pl_span_of(b->bytes + at, end - at));
        memcpy(b->bytes + end, digest, sizeof digest);
        at = end + sizeof digest;
    }
}

static void restore_refuses_an_end_that_says_otherwise(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    size_t body = 3 * 8; /* records, bytes, clock: the last before the place */
    size_t end = b->len - (b->place.len + 2) - body;
    for (size_t i = 0; i < 16; i++) {
        b->bytes[end + i] ^= 1;
        forge(b);
        assert_err(PARLEY_EMALFORMED, restore_into(f, NULL, b, BYTES_MAX, NULL));
        b->bytes[end + i] ^= 1;
    }
    forge(b);
    assert_ok(restore_into(f, NULL, b, BYTES_MAX, NULL));
    free(b);
}

/* Forged with right digests: refused, or a store that is sound. */
static void restore_makes_a_sound_store_of_a_forged_backup_or_none(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    struct backup *forged = malloc(sizeof *forged);
    unsigned taken = 0;
    for (size_t i = 0; i < b->len; i++) {
        struct fixture own;
        env_mem_init(&own.env);
        own.db = db_util_open(&own.env.t.env, "restored");
        memcpy(forged, b, sizeof *b);
        forged->bytes[i] ^= (uint8_t)(1u << i % 8);
        forge(forged);
        if (restore_into(&own, own.db, forged, BYTES_MAX, NULL) == PARLEY_OK) {
            db_util_check(own.db);
            db_util_apply(own.db, db_util_message("c", "m", 0, "o", "goes on", f->body));
            taken++;
        }
        parley_db_close(own.db);
        env_mem_deinit(&own.env);
    }
    assert_true(taken > 0);
    free(forged);
    free(b);
}

/* ---- Restoring ---- */

static void restore_needs_an_empty_store(void **state)
{
    struct fixture *f = *state;
    struct parley_restore *r;
    put_sys(f->db, "identity", "sealed");
    assert_err(PARLEY_EBUSY, parley_restore_open(&f->env.t.env, f->db, PARLEY_RESTORE_STORE, &r));
}

static void restore_takes_bytes_in_any_pieces(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *b = take(f->db);
    size_t steps[] = { 1, 2, 3, 7, 64, 4096 };
    for (size_t i = 0; i < PL_ARRAY_LEN(steps); i++)
        assert_ok(restore_into(f, NULL, b, steps[i], NULL));
    free(b);
}

static void restore_of_a_restore_is_the_same(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *first = take(f->db);
    struct parley_db *db = restored(f, first, "first");
    struct backup *second = take(db);
    struct parley_db *again = restored(f, second, "second");
    assert_same_node(db, again);
    parley_db_close(again);
    parley_db_close(db);
    free(first);
    free(second);
}

static void restore_survives_running_out_of_memory(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *b = take(f->db);
    bool through = false;
    for (int64_t nth = 0; !through; nth++) {
        struct fixture own;
        env_mem_init(&own.env);
        own.db = db_util_open(&own.env.t.env, "restored");
        struct parley_restore *r = NULL;
        own.env.t.fail_after = nth;
        parley_err err = parley_restore_open(&own.env.t.env, own.db, PARLEY_RESTORE_STORE, &r);
        if (err == PARLEY_OK)
            err = push_all(r, b->bytes, b->len, 4096, NULL);
        own.env.t.fail_after = -1;
        parley_restore_close(r);
        assert_true(err == PARLEY_OK || err == PARLEY_ENOMEM);
        through = err == PARLEY_OK;
        if (through)
            db_util_check(own.db);
        parley_db_close(own.db);
        env_mem_deinit(&own.env);
        nth += nth / 8; /* every one of the first, then some */
    }
    free(b);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(restore_refuses_a_backup_cut_at_any_byte),
        CASE(restore_refuses_a_backup_with_any_bit_changed),
        CASE(restore_refuses_an_end_that_says_otherwise),
        CASE(restore_makes_a_sound_store_of_a_forged_backup_or_none),
        CASE(restore_needs_an_empty_store),
        CASE(restore_takes_bytes_in_any_pieces),
        CASE(restore_of_a_restore_is_the_same),
        CASE(restore_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
