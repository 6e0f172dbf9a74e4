/* SPDX-License-Identifier: Apache-2.0
 *
 * A db over LMDB whose size limit is reached: writes are refused a little before the end, reads and
 * deletions go on, and writes work again once the limit has grown.
 */
#include "lib/db_util.h"
#include "core/message.h"
#include "store/store_lmdb.h"

#include <stdio.h>

#define MAP_BYTES  (16u << 20)
#define TALK_LEN   10
#define TALKS_MAX  100000u
#define BODY_BYTES 1500
/* Conversations that can be deleted with a reserve of 1 MiB: 30 KB each. */
#define DELETED_MIN 30u

static parley_err open_small(void *ud, const char *name, struct parley_store **out,
                             struct parley_diag *diag)
{
    static struct parley_env memory;
    (void)ud;
    parley_env_posix(&memory);
    return pl_store_lmdb_open_sized(&memory, name, MAP_BYTES, out, diag);
}

/* A conversation of some messages with bodies that take room. */
static parley_err put_talk(struct parley_db *db, unsigned number)
{
    struct parley_write writes[TALK_LEN];
    char talk[32];
    char ids[TALK_LEN][16];
    char text[BODY_BYTES];
    uint8_t body[BODY_BYTES + 80];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user") };
    memset(text, 'y', sizeof text);
    message.content = pl_span_of(text, sizeof text);
    pl_message_encode(&w, &message);
    snprintf(talk, sizeof talk, "c%u", number);
    for (int i = 0; i < TALK_LEN; i++) {
        snprintf(ids[i], sizeof ids[i], "m%d", i);
        struct parley_version *v = &writes[i].u.version;
        writes[i] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION, .source = 1 };
        *v = db_util_tombstone(talk, ids[i], 1000, "ann");
        v->flags = 0;
        v->body = pl_writer_span(&w);
    }
    return parley_db_apply(db, writes, TALK_LEN, DB_UTIL_NOW, NULL);
}

static parley_err delete_talk(struct parley_db *db, unsigned number)
{
    char talk[32];
    snprintf(talk, sizeof talk, "c%u", number);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = db_util_delete(talk, 2000, "ann");
    return parley_db_apply(db, &write, 1, DB_UTIL_NOW, NULL);
}

static void deletions_go_on_when_the_limit_is_reached_and_growth_heals(void **state)
{
    char dir[64];
    struct parley_env env;
    (void)state;
    parley_env_posix(&env);
    env.store_open = open_small;
    test_tmpdir(dir);
    struct parley_db *db = db_util_open(&env, dir);
    parley_err err = PARLEY_OK;
    unsigned talks = 0;
    for (; err == PARLEY_OK && talks < TALKS_MAX; talks++)
        err = put_talk(db, talks);
    talks--; /* the last one was refused */
    assert_int_equal(PARLEY_EMAPFULL, err);
    assert_int_equal(talks * TALK_LEN, db_util_namespace(db).messages);
    /* Again and again the same: nothing of the reserve is taken by what is refused. */
    for (int i = 0; i < 20; i++)
        assert_err(PARLEY_EMAPFULL, put_talk(db, talks));
    /* What is deleted goes to the history, which is no smaller; so the reserve is not for ever. */
    unsigned deleted = 0;
    for (err = PARLEY_OK; err == PARLEY_OK && deleted < talks; deleted++)
        err = delete_talk(db, deleted);

    deleted -= err == PARLEY_OK ? 0 : 1;
    assert_true(deleted > DELETED_MIN);
    assert_int_equal((talks - deleted) * TALK_LEN, db_util_namespace(db).messages);
    db_util_check(db);
    /* The disk has room, so the limit grows; without a restart. */
    assert_ok(parley_db_maintain(db, DB_UTIL_NOW, NULL));
    for (unsigned i = 0; i < talks / 4; i++)
        assert_ok(put_talk(db, talks + i));
    db_util_check(db);
    parley_db_close(db);
    test_rmtree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deletions_go_on_when_the_limit_is_reached_and_growth_heals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
