/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node puts into its audit log, and that no failed commit leaves a gap in it.
 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct node_client c;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&f->c);
    node_client_wait(&f->c, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

/* Walks the stored chain; gives the number of records, and the last one's event. */
static uint64_t verify(struct fixture *f, uint32_t *event, uint64_t *count)
{
    struct parley_read *read;
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t buf[PL_AUDIT_KEY_BYTES];
    uint64_t sequence = 0;
    struct parley_span key = pl_audit_key(0, buf);
    pl_audit_genesis(hash);
    assert_ok(parley_read_begin(f->c.db, &read));
    for (;;) {
        struct parley_span value;
        struct pl_audit_record record;
        const char *why = "";
        bool found = false;
        assert_ok(
            parley_read_sys_after(read, pl_span_text(PL_AUDIT_PREFIX), key, &key, &value, &found));
        if (!found)
            break;
        assert_ok(pl_audit_verify(value, &sequence, hash, &why));
        assert_ok(pl_audit_decode(value, &record));
        *event = record.event;
        *count = record.count;
    }
    parley_read_end(read);
    assert_int_equal(sequence, f->c.node->audit.head.sequence);
    assert_memory_equal(hash, f->c.node->audit.head.hash, sizeof hash);
    return sequence;
}

static void set_full(struct fixture *f, bool full)
{
    struct pl_store_mem_faults faults = { .fail_put_after = full ? 0 : -1,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
}

static void the_first_record_says_that_the_node_came_into_being(void **state)
{
    struct fixture *f = *state;
    uint32_t event = 0;
    uint64_t count = 0;
    assert_int_equal(1, verify(f, &event, &count));
    assert_int_equal(PL_AUDIT_node_created, event);
}

static void an_invite_is_recorded_with_its_right(void **state)
{
    struct fixture *f = *state;
    node_client_expect(node_client_admin(&f->c, "POST", "/invites", "{\"right\":\"read\"}"), 201,
                       NULL);
    node_client_expect(node_client_admin(&f->c, "GET", "/audit?after=1", NULL), 200,
                       "\"event\":\"invite_created\",\"actor\":\"operator\",\"subject\":\"main\","
                       "\"detail\":\"read\"");
}

static void a_failed_commit_leaves_no_gap(void **state)
{
    struct fixture *f = *state;
    uint32_t event = 0;
    uint64_t count = 0;
    set_full(f, true);
    node_client_expect(node_client_admin(&f->c, "POST", "/invites", "{}"), 507, NULL);
    set_full(f, false);
    node_client_expect(node_client_admin(&f->c, "POST", "/invites", "{}"), 201, NULL);
    assert_int_equal(2, verify(f, &event, &count));
    assert_int_equal(PL_AUDIT_invite_created, event);
}

static void the_chain_goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;
    uint32_t event = 0;
    uint64_t count = 0;
    node_client_close(&f->c);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    node_client_connect(&f->c);
    node_client_expect(node_client_admin(&f->c, "POST", "/invites", "{}"), 201, NULL);
    assert_int_equal(2, verify(f, &event, &count));
}

static void refusals_are_counted_and_recorded_once_a_minute(void **state)
{
    struct fixture *f = *state;
    uint32_t event = 0;
    uint64_t count = 0;
    for (int i = 0; i < 50; i++)
        node_client_expect(node_client_ask(&f->c, "GET", "/status", NULL, NULL), 401, NULL);
    assert_int_equal(2, verify(f, &event, &count));
    assert_int_equal(PL_AUDIT_refused, event);
    assert_int_equal(1, count);
    node_client_wait(&f->c, 61 * PARLEY_NS_PER_S);
    node_client_wait(&f->c, PARLEY_NS_PER_S);
    assert_int_equal(3, verify(f, &event, &count));
    assert_int_equal(49, count);
    node_client_connect(&f->c);
    node_client_expect(node_client_admin(&f->c, "GET", "/audit", NULL), 200,
                       "\"token-missing\":50");
}

static void only_the_operator_reads_the_log(void **state)
{
    struct fixture *f = *state;
    node_client_expect(node_client_ask(&f->c, "GET", "/audit", NULL, NULL), 401, NULL);
}

/* ---- parley check ---- */

static void check_says(struct fixture *f, const char *part)
{
    node_client_expect(node_client_admin(&f->c, "GET", "/check", NULL), 200, part);
}

/* Reads a stored record, 1 to 512 bytes. */
static size_t get_record(struct fixture *f, uint64_t sequence, uint8_t out[512])
{
    struct parley_read *read;
    struct parley_span value;
    uint8_t key[PL_AUDIT_KEY_BYTES];
    bool found = false;
    assert_ok(parley_read_begin(f->c.db, &read));
    assert_ok(parley_read_sys(read, pl_audit_key(sequence, key), &value, &found));
    assert_true(found && value.len <= 512);
    memcpy(out, value.ptr, value.len);
    parley_read_end(read);
    return value.len;
}

/* What somebody does who can write to the store: `len` 0 takes the record away. */
static void put_record(struct fixture *f, uint64_t sequence, const uint8_t *bytes, size_t len)
{
    uint8_t key[PL_AUDIT_KEY_BYTES];
    struct parley_write write = { .kind = len != 0 ? PARLEY_WRITE_SYS_PUT : PARLEY_WRITE_SYS_DEL };
    bool changed = false;
    write.u.sys.key = pl_audit_key(sequence, key);
    write.u.sys.value = pl_span_of(bytes, len);
    assert_ok(parley_db_apply(f->c.db, &write, 1, f->c.now.wall, &changed));
    assert_true(changed);
}

static void make_records(struct fixture *f)
{
    for (int i = 0; i < 4; i++)
        node_client_expect(node_client_admin(&f->c, "POST", "/invites", "{}"), 201, NULL);
    check_says(f, "{\"ok\":true,\"problems\":0,");
    check_says(f, "\"audit\":5,\"first\":[]");
}

static void a_check_names_the_record_that_was_changed(void **state)
{
    struct fixture *f = *state;
    uint8_t record[512];
    make_records(f);
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        char want[64];
        size_t len = get_record(f, sequence, record);
        /* Every byte behind the head, sequence and hash, and some of those. */
        for (size_t i = 0; i < len; i += i < 45 ? 9 : 1) {
            record[i] ^= 0x01;
            put_record(f, sequence, record, len);
            snprintf(want, sizeof want, "\"first\":[\"audit record %u: ", (unsigned)sequence);
            bool hash = i >= 13 && i < 45; /* of the one before, which it is said of then */
            if (hash && sequence > 1)
                snprintf(want, sizeof want, "\"first\":[\"audit record %u: it was changed",
                         (unsigned)sequence - 1);
            check_says(f, want);
            check_says(f, "{\"ok\":false,\"problems\":1,");
            record[i] ^= 0x01;
        }
        put_record(f, sequence, record, len);
    }
    check_says(f, "\"audit\":5,\"first\":[]");
}

static void a_check_names_the_record_that_is_missing(void **state)
{
    struct fixture *f = *state;
    uint8_t record[512];
    make_records(f);
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        char want[64];
        size_t len = get_record(f, sequence, record);
        put_record(f, sequence, NULL, 0);
        snprintf(want, sizeof want, "\"first\":[\"audit record %u: it is missing",
                 (unsigned)sequence);
        check_says(f, want);
        put_record(f, sequence, record, len);
    }
}

static void a_check_names_a_record_that_was_put_in(void **state)
{
    struct fixture *f = *state;
    uint8_t record[512];
    make_records(f);
    size_t len = get_record(f, 5, record);
    struct pl_audit_head head = f->c.node->audit.head;
    pl_audit_chain(record, len, 6, head.hash);
    put_record(f, 6, record, len);
    check_says(f, "audit record 6: it is behind what was the end of the log");
    put_record(f, 6, NULL, 0);
    put_record(f, 0, record, len);
    check_says(f, "audit record 1: it is missing, or not in its place");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_record_says_that_the_node_came_into_being),
        TEST(an_invite_is_recorded_with_its_right),
        TEST(a_failed_commit_leaves_no_gap),
        TEST(the_chain_goes_on_after_a_restart),
        TEST(refusals_are_counted_and_recorded_once_a_minute),
        TEST(only_the_operator_reads_the_log),
        TEST(a_check_names_the_record_that_was_changed),
        TEST(a_check_names_the_record_that_is_missing),
        TEST(a_check_names_a_record_that_was_put_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
