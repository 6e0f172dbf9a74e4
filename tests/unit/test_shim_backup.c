/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /backup.
 */
#include "lib/client_fixture.h"

#include <parley/backup.h>

#include <stdio.h>
#include <stdlib.h>

static void write_message(struct node_client *c, unsigned number)
{
    char body[512];
    snprintf(body, sizeof body, "{\"message_id\":\"m%u\",\"role\":\"user\",\"content\":\"%0200u\"}",
             number, number);
    node_client_expect(node_client_admin(c, "POST", "/conversations/c/messages", body), 201, NULL);
}

/* The value of X-Parley-Next; false: there is none. */
static bool take_next(struct node_reply r, char out[1200])
{
    const char *at = strstr(r.head, "X-Parley-Next: ");
    if (at == NULL)
        return false;
    at += strlen("X-Parley-Next: ");
    size_t len = strcspn(at, "\r");
    assert_true(len < 1200);
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

static void parts_make_one_backup_that_a_restore_takes(void **state)
{
    struct node_client *c = client(state);
    struct parley_restore *r = NULL;
    struct parley_backup_report report;
    char next[1200] = "";
    unsigned parts = 0;
    for (unsigned i = 0; i < 40; i++)
        write_message(c, i);
    struct parley_db_options options = { .name = "restored" };
    struct parley_db *db = NULL;
    assert_ok(parley_db_open(&c->env->t.env, &options, &db, NULL, NULL));
    assert_ok(parley_restore_open(&c->env->t.env, db, PARLEY_RESTORE_STORE, &r));
    for (bool more = true; more; parts++) {
        char path[1400];
        snprintf(path, sizeof path, "/backup?limit_bytes=1%s%s", parts != 0 ? "&after=" : "", next);
        struct node_reply reply = node_client_admin(c, "GET", path, NULL);
        node_client_expect(reply, 200, NULL);
        assert_non_null(strstr(reply.head, "application/octet-stream"));
        assert_ok(parley_restore_push(r, (const uint8_t *)reply.body, reply.body_len, NULL));
        more = take_next(reply, next);
        if (parts == 0)
            write_message(c, 40); /* meanwhile */
    }
    assert_ok(parley_restore_finish(r, NULL));
    parley_restore_report(r, &report);
    assert_true(report.complete && report.versions >= 40);
    parley_restore_close(r);
    struct parley_check_report check;
    assert_ok(parley_db_check(db, &check));
    assert_int_equal(0, check.problems);
    parley_db_close(db);
}

/* The longest key that a record of the node can have, where a block ends. */
static void a_place_behind_the_longest_key_is_told_whole(void **state)
{
    struct node_client *c = client(state);
    static const uint8_t zeros[60000];
    char key[401] = "token/";
    char next[1200] = "";
    struct parley_write w = { .kind = PARLEY_WRITE_SYS_PUT };
    memset(key + 6, 'k', sizeof key - 7);
    for (unsigned i = 0; i < 8; i++) {
        key[398] = (char)('0' + i);
        w.u.sys.key = pl_span_text(key);
        w.u.sys.value = pl_span_of(zeros, sizeof zeros);
        assert_ok(parley_db_apply(c->db, &w, 1, c->now.wall, NULL));
    }
    size_t longest = 0;
    for (bool more = true; more; longest = strlen(next) > longest ? strlen(next) : longest) {
        char path[1400];
        snprintf(path, sizeof path, "/backup?limit_bytes=1%s%s", longest != 0 ? "&after=" : "",
                 next);
        struct node_reply reply = node_client_admin(c, "GET", path, NULL);
        node_client_expect(reply, 200, NULL);
        more = take_next(reply, next);
    }
    assert_true(longest > 2 * 400);
}

static void a_place_that_is_none_is_refused(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(node_client_admin(c, "GET", "/backup?after=zz", NULL), 400, "bad-query");
    node_client_expect(node_client_admin(c, "GET", "/backup?after=abc", NULL), 400, "bad-query");
    node_client_expect(node_client_admin(c, "GET", "/backup?after=abcd", NULL), 400, "bad-query");
}

/* A place that says nothing but where to begin in a store that is not this one. */
static void a_place_of_another_store_is_a_conflict(void **state)
{
    struct node_client *c = client(state);
    char path[400] = "/backup?after=";
    size_t len = strlen(path);
    memset(path + len, '0', 2 * (PARLEY_BACKUP_DIGEST_BYTES + PARLEY_INCARNATION_BYTES + 8 + 8));
    len = strlen(path);
    memcpy(path + len, "01000000", 9); /* phase, no key, no end of the journal */
    node_client_expect(node_client_admin(c, "GET", path, NULL), 409, "another-incarnation");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(parts_make_one_backup_that_a_restore_takes),
        CASE(a_place_behind_the_longest_key_is_told_whole),
        CASE(a_place_that_is_none_is_refused),
        CASE(a_place_of_another_store_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
