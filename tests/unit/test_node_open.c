/* SPDX-License-Identifier: Apache-2.0
 *
 * The start of a node over a store that has something of everything: while each read and each
 * allocation fails, and over records of its own that are cut or changed.
 */
#include "lib/keys.h"
#include "lib/more_keys.h"
#include "lib/read_fault.h"
#include "lib/talk.h"

#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX  64
#define TRIES_MAX 5000

struct row {
    uint8_t key[PL_DB_SYS_KEY_BYTES_MAX];
    size_t key_len;
    uint8_t *value;
    size_t len;
};

struct fixture {
    struct rig rig;
    struct parley_now now;
    struct row rows[ROWS_MAX];
    size_t row_count;
};

/* ---- The store ---- */

static void collect_rows(struct fixture *f, struct parley_db *db)
{
    struct parley_read *read;
    struct parley_span key = pl_span_text(""), value;
    bool found = true;
    assert_ok(parley_read_begin(db, &read));
    while (found) {
        assert_ok(parley_read_sys_after(read, pl_span_text(""), key, &key, &value, &found));
        if (!found)
            break;
        /* What is read when it is asked for, and what is the host's. */
        if (pl_span_has_prefix(key, pl_span_text("audit")) || pl_span_is(key, "identity") ||
            pl_span_has_prefix(key, pl_span_text("token")))
            continue;
        assert_true(f->row_count < ROWS_MAX);
        struct row *row = &f->rows[f->row_count++];
        memcpy(row->key, key.ptr, key.len);
        row->key_len = key.len;
        row->value = malloc(value.len + 1);
        memcpy(row->value, value.ptr, value.len);
        row->len = value.len;
    }
    parley_read_end(read);
}

/* Peers of every kind, invites, a token, an old backend, a rotated key, an audit log. */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct node_client *c = &f->rig.c;
    assert_non_null(f);
    rig_open(&f->rig);
    node_client_connect(c);
    node_client_expect(
        node_client_admin(c, "POST", "/tokens", "{\"user_id\":\"u\",\"session_id\":\"s\"}"), 201,
        NULL);
    node_client_expect(
        node_client_admin(c, "POST", "/peers/legacy", "{\"url\":\"http://127.0.0.1:8000\"}"), 202,
        NULL);
    node_client_expect(node_client_admin(c, "POST", "/invites", "{\"namespace\":\"main\"}"), 201,
                       NULL);
    assert_ok(pl_node_rotate(c->node, 0, c->now));
    node_client_settle(c);
    node_client_key(c, TEST_KEY_3072_PKCS8);
    node_client_settle(c);
    collect_rows(f, c->db);
    f->now = c->now;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->row_count; i++)
        free(f->rows[i].value);
    rig_close(&f->rig);
    free(f);
    return 0;
}

/* What a start is left with: the node of the rig is set aside while another one is open. */
static void drain(struct pl_node *node, struct parley_db *db, struct parley_now now)
{
    struct pl_effect effect;
    while (pl_node_take_effect(node, &effect)) {
        bool changed = false;
        if (effect.kind != PL_EFFECT_COMMIT)
            continue;
        assert_ok(parley_db_apply(db, effect.writes, effect.count, now.wall, &changed));
        pl_node_committed(node, PARLEY_OK, false, changed, now);
    }
}

/* Starts a node on the store and stops it again. */
static parley_err start(struct fixture *f)
{
    const struct parley_env *env = &f->rig.env.t.env;
    struct pl_node_options options = { .version = "test" };
    struct pl_identity *identity = NULL;
    struct pl_node *node = NULL;
    int64_t faults = f->rig.env.t.fail_after;
    f->rig.env.t.fail_after = -1;
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_3072_PKCS8), &identity, NULL));
    f->rig.env.t.fail_after = faults;
    parley_err err = pl_node_open(env, &options, f->rig.c.db, identity, f->now, &node, NULL);
    if (err != PARLEY_OK) {
        pl_identity_destroy(identity); /* it is taken on success only */
        return err;
    }
    faults = f->rig.env.t.fail_after;
    f->rig.env.t.fail_after = -1;
    drain(node, f->rig.c.db, f->now);
    pl_node_free(node);
    f->rig.env.t.fail_after = faults;
    return PARLEY_OK;
}

static void a_start_whose_read_fails_is_refused_and_the_next_one_is_not(void **state)
{
    struct fixture *f = *state;
    read_fault_plant(&f->rig.env, "a");
    read_fault_once = true;
    assert_ok(start(f));
    bool reached = true;
    int64_t at = 0;
    for (; reached; at++) {
        assert_true(at < TRIES_MAX);
        read_fault_after = at;
        parley_err err = start(f);
        reached = read_fault_after < 0;
        read_fault_after = -1;
        assert_err(reached ? PARLEY_EIO : PARLEY_OK, err);
    }
    assert_true(at > 20);
    assert_ok(start(f));
}

static void a_start_without_memory_is_refused_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct test_env *t = &f->rig.env.t;
    assert_ok(start(f));
    int64_t before = t->allocs;
    parley_err err = PARLEY_ENOMEM;
    t->fail_once = true;
    int64_t at = 0;
    for (; err != PARLEY_OK; at++) {
        assert_true(at < TRIES_MAX);
        t->fail_after = at;
        err = start(f);
        t->fail_after = -1;
        assert_true(err == PARLEY_OK || err == PARLEY_ENOMEM);
        assert_int_equal(before, t->allocs);
    }
    assert_true(at > 10);
}

static void put_value(struct fixture *f, const struct row *row, const uint8_t *value, size_t len)
{
    struct parley_write w = { .kind = PARLEY_WRITE_SYS_PUT };
    w.u.sys.key = pl_span_of(row->key, row->key_len);
    w.u.sys.value = pl_span_of(value, len);
    assert_ok(parley_db_apply(f->rig.c.db, &w, 1, f->now.wall, NULL));
}

/* A record that is cut was never written so: it is damage, which the start says. It is not read as
 * a shorter record, and what it had is not forgotten in silence. */
static void a_record_that_is_cut_is_damage_and_said(void **state)
{
    struct fixture *f = *state;
    size_t said = 0;
    for (size_t i = 0; i < f->row_count; i++) {
        const struct row *row = &f->rows[i];
        for (size_t len = 0; len < row->len; len += 1 + len / 4) {
            put_value(f, row, row->value, len);
            parley_err err = start(f);
            if (err != PARLEY_ECORRUPT && err != PARLEY_OK)
                fail_msg("%.*s of %zu bytes: error %d", (int)row->key_len, (const char *)row->key,
                         len, (int)err);
            if (err == PARLEY_OK)
                fail_msg("%.*s of %zu bytes is taken", (int)row->key_len, (const char *)row->key,
                         len);
            said += err == PARLEY_ECORRUPT;
        }
        put_value(f, row, row->value, row->len);
    }
    assert_true(said > 100);
    assert_ok(start(f));
}

/* Another value of any byte is damage, another key, or another value within the rules: nothing else
 * comes of it, and the node that takes it can be stopped. */
static void a_record_that_is_changed_stops_the_start_or_is_within_the_rules(void **state)
{
    struct fixture *f = *state;
    static const uint8_t changes[] = { 0xff, 0x01 };
    size_t said = 0;
    for (size_t i = 0; i < f->row_count; i++) {
        const struct row *row = &f->rows[i];
        for (size_t at = 0; at < row->len; at += 1 + at / 4) {
            for (size_t k = 0; k < (at < 8 ? PL_ARRAY_LEN(changes) : 1); k++) {
                row->value[at] ^= changes[k];
                put_value(f, row, row->value, row->len);
                row->value[at] ^= changes[k];
                parley_err err = start(f);
                if (err != PARLEY_OK && err != PARLEY_ECORRUPT && err != PARLEY_EIDENTITY)
                    fail_msg("%.*s, byte %zu: error %d", (int)row->key_len, (const char *)row->key,
                             at, (int)err);
                said += err != PARLEY_OK;
            }
        }
        put_value(f, row, row->value, row->len);
    }
    assert_true(said > 100);
    assert_ok(start(f));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_whose_read_fails_is_refused_and_the_next_one_is_not),
        TEST(a_start_without_memory_is_refused_and_leaks_nothing),
        TEST(a_record_that_is_cut_is_damage_and_said),
        TEST(a_record_that_is_changed_stops_the_start_or_is_within_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
