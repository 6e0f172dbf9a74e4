/* SPDX-License-Identifier: Apache-2.0
 *
 * What the doctor makes of the answers of a node: those that a test of real processes cannot get
 * soon enough. tests/cli/test_doctor.py has the others.
 */
#include "lib/testlib.h"

#include "parley/doctor.h"

#define NOW_US INT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

static json_t *load(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void begin(struct doctor *d)
{
    doctor_init(d, "/data dir", NOW_US);
}

/* The finding of this check; NULL: none. */
static const json_t *find(const struct doctor *d, const char *check)
{
    size_t index;
    json_t *item;
    json_array_foreach(d->findings, index, item)
    {
        if (strcmp(json_text(item, "check"), check) == 0)
            return item;
    }
    return NULL;
}

static void assert_finding(const struct doctor *d, const char *check, const char *level,
                           const char *what, const char *to_do)
{
    const json_t *item = find(d, check);
    assert_non_null(item);
    assert_string_equal(level, json_text(item, "level"));
    if (strstr(json_text(item, "what"), what) == NULL)
        fail_msg("%s: %s", check, json_text(item, "what"));
    if (strstr(json_text(item, "do"), to_do) == NULL)
        fail_msg("%s: %s", check, json_text(item, "do"));
}

static void judge_store(struct doctor *d, const char *text)
{
    json_t *status = load(text);
    begin(d);
    doctor_judge_store(d, status, false);
    json_decref(status);
}

static void doctor_finds_nothing_in_a_store_that_is_well(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":true,\"file_bytes\":1000,\"limit_bytes\":1000000,"
                    "\"scrub\":{\"rows\":7,\"problems\":0}},\"clock_ahead_us\":1000}");
    assert_int_equal(1, json_array_size(d.findings));
    assert_finding(&d, "store", "ok", "7 rows proved", "");
    doctor_free(&d);
}

static void doctor_finds_a_store_near_its_limit(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":true,\"file_bytes\":900,\"limit_bytes\":1000}}");
    assert_finding(&d, "store-near-limit", "warning", "900 B of 1.0 kB",
                   "parley --data '/data dir' compact");
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":true,\"file_bytes\":899,\"limit_bytes\":1000}}");
    assert_null(find(&d, "store-near-limit"));
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":true,\"file_bytes\":9000000000000000000,"
                    "\"limit_bytes\":9223372036854775807}}");
    assert_non_null(find(&d, "store-near-limit"));
    doctor_free(&d);
}

static void doctor_finds_damage_and_refused_writes(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":false,\"note\":\"n\",\"scrub\":{\"problems\":2,"
                    "\"first\":\"row 5\"}}}");
    assert_finding(&d, "store-damaged", "problem", "row 5", "check");
    assert_null(find(&d, "writes-refused"));
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":false,\"note\":\"the disk is full\"}}");
    assert_finding(&d, "writes-refused", "problem", "the disk is full", "room");
    doctor_free(&d);
}

static void doctor_finds_what_waits(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":true},\"held\":3,\"trash\":4,\"namespaces\":[{"
                    "\"name\":\"main\",\"deletions_waiting\":5,"
                    "\"more_peers_away_than_here\":true}]}");
    assert_finding(&d, "held", "warning", "3 versions", "set the clock");
    assert_finding(&d, "trash", "note", "4 versions", "trash restore");
    assert_finding(&d, "deletions-wait", "note", "5 deletions", "revoke");
    doctor_free(&d);
}

static void doctor_compares_stamps_with_the_clock(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":true},\"clock_ahead_us\":9999999}");
    assert_null(find(&d, "clock-behind-stamps"));
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":true},\"clock_ahead_us\":60000000}");
    assert_finding(&d, "clock-behind-stamps", "warning", "60 s behind", "date -u");
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":true},\"clock_ahead_us\":7200000000}");
    assert_finding(&d, "clock-behind-stamps", "problem", "2 hours behind", "date -u");
    doctor_free(&d);
}

static void doctor_finds_another_version(void **state)
{
    (void)state;
    struct doctor d;
    judge_store(&d, "{\"store\":{\"ok\":true},\"version\":\"0.0.7\"}");
    assert_finding(&d, "version", "warning", "0.0.7", "restart parleyd");
    doctor_free(&d);
    judge_store(&d, "{\"store\":{\"ok\":true},\"version\":\"" PARLEY_VERSION "\"}");
    assert_null(find(&d, "version"));
    doctor_free(&d);
}

static json_t *many(const char *name, size_t count, const char *item)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, load(item));
    return json_pack("{s:o, s:{s:b}}", name, list, "store", "ok", 1);
}

static void doctor_finds_limits_that_are_near(void **state)
{
    (void)state;
    struct doctor d;
    json_t *status = many("namespaces", PARLEY_NAMESPACES_MAX * 9 / 10 + 1, "{\"name\":\"n\"}");
    begin(&d);
    doctor_judge_store(&d, status, false);
    assert_finding(&d, "namespaces-near-limit", "warning", "of 4096", "namespace");
    json_decref(status);
    status = many("peers", PARLEY_PEERS_MAX * 9 / 10 + 1, "{\"state\":\"revoked\"}");
    doctor_judge_peers(&d, status, false);
    assert_finding(&d, "peers-near-limit", "warning", "of 1024", "revoke ID");
    json_decref(status);
    doctor_free(&d);
}

static void judge_peer(struct doctor *d, const char *members, bool is_local)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"peers\":[{\"backend_id\":\"local_sha256_ab\",%s}]}", members);
    json_t *status = load(text);
    begin(d);
    doctor_judge_peers(d, status, is_local);
    json_decref(status);
}

static void doctor_finds_nothing_in_a_peer_that_is_well(void **state)
{
    (void)state;
    struct doctor d;
    judge_peer(&d, "\"state\":\"in sync\",\"skew_us\":-9000000,\"repairs\":3", false);
    assert_int_equal(1, json_array_size(d.findings));
    assert_finding(&d, "peers", "ok", "1 of 1 in sync", "");
    doctor_free(&d);
    judge_peer(&d, "\"state\":\"revoked\",\"skew_us\":9000000000,\"writes_refused\":3", false);
    assert_int_equal(1, json_array_size(d.findings));
    doctor_free(&d);
}

static void doctor_finds_a_peer_that_stays_behind(void **state)
{
    (void)state;
    struct doctor d;
    judge_peer(&d,
               "\"state\":\"catching up\",\"note\":\"comparing\",\"behind\":12,"
               "\"last_sync_at\":\"2027-01-15T06:00:00.000000Z\"",
               false);
    assert_finding(&d, "peer-behind", "warning", "2 hours", "status");
    doctor_free(&d);
    judge_peer(&d,
               "\"state\":\"catching up\",\"note\":\"comparing\",\"behind\":12,"
               "\"last_sync_at\":\"2027-01-15T07:30:00.000000Z\"",
               false);
    assert_null(find(&d, "peer-behind"));
    doctor_free(&d);
}

static void doctor_finds_a_peer_that_is_away(void **state)
{
    (void)state;
    struct doctor d;
    static const char away[] = "\"state\":\"offline\",\"note\":\"connection refused\","
                               "\"address\":\"b:1\",\"next_dial_at\":\"2027-01-15T08:00:05Z\","
                               "\"last_sync_at\":\"2027-01-1%dT08:00:00Z\"";
    char text[512];
    snprintf(text, sizeof text, away, 4);
    judge_peer(&d, text, false);
    assert_finding(&d, "peer-offline", "warning",
                   "away: connection refused, for 24 hours; next try in 5 s",
                   "is parleyd running at b:1");
    doctor_free(&d);
    snprintf(text, sizeof text, away, 2);
    judge_peer(&d, text, false);
    assert_finding(&d, "peer-offline", "problem", "for 3 days", "sync local_sha256_ab");
    doctor_free(&d);
    /* Without a daemon everybody is. */
    judge_peer(&d, text, true);
    assert_null(find(&d, "peer-offline"));
    doctor_free(&d);
}

static void doctor_finds_a_peer_that_is_stale_or_repaired(void **state)
{
    (void)state;
    struct doctor d;
    judge_peer(&d,
               "\"state\":\"in sync\",\"repairs\":11,\"writes_refused\":4,\"namespaces\":["
               "{\"name\":\"main\",\"stale\":true}]",
               false);
    assert_finding(&d, "peer-repairs", "warning", "11 times", "check");
    assert_finding(&d, "peer-writes-refused", "warning", "4 of its writes", "--right write");
    assert_finding(&d, "peer-stale", "warning", "deletions of main", "revoke local_sha256_ab");
    doctor_free(&d);
}

static void doctor_finds_a_key_that_can_hardly_be_changed(void **state)
{
    (void)state;
    struct doctor d;
    json_t *key = load("{\"bits\":2048,\"rotations_left\":2,\"phase\":\"failed\","
                       "\"error\":\"no room\"}");
    begin(&d);
    doctor_judge_key(&d, key);
    assert_finding(&d, "rotation-failed", "problem", "no room", "key rotate");
    assert_finding(&d, "rotations-near-limit", "warning", "2 times", "stolen");
    json_decref(key);
    doctor_free(&d);
}

/* What a peer calls itself must not reach a terminal as it is. */
static void doctor_escapes_what_others_wrote(void **state)
{
    (void)state;
    struct doctor d;
    judge_peer(&d, "\"state\":\"refused\",\"note\":\"\\u001b[2J\\u202e\"", false);
    const json_t *item = find(&d, "peer-refused");
    assert_non_null(item);
    assert_null(strchr(json_text(item, "what"), '\x1b'));
    assert_null(strstr(json_text(item, "what"), "\xe2\x80\xae"));
    doctor_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doctor_finds_nothing_in_a_store_that_is_well),
        cmocka_unit_test(doctor_finds_a_store_near_its_limit),
        cmocka_unit_test(doctor_finds_damage_and_refused_writes),
        cmocka_unit_test(doctor_finds_what_waits),
        cmocka_unit_test(doctor_compares_stamps_with_the_clock),
        cmocka_unit_test(doctor_finds_another_version),
        cmocka_unit_test(doctor_finds_limits_that_are_near),
        cmocka_unit_test(doctor_finds_nothing_in_a_peer_that_is_well),
        cmocka_unit_test(doctor_finds_a_peer_that_stays_behind),
        cmocka_unit_test(doctor_finds_a_peer_that_is_away),
        cmocka_unit_test(doctor_finds_a_peer_that_is_stale_or_repaired),
        cmocka_unit_test(doctor_finds_a_key_that_can_hardly_be_changed),
        cmocka_unit_test(doctor_escapes_what_others_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
