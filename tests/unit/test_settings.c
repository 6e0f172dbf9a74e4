/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings: its own order, the nearest name, and what each setting takes.
 */
#include "lib/testlib.h"

#include "parleyd/settings.h"

#include <stdio.h>

static void settings_have_names_that_fit_everywhere(void **state)
{
    (void)state;
    char variable[SETTING_VARIABLE_BYTES_MAX];
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting *setting = setting_at(id);
        enum setting_id found = SETTING_COUNT;
        assert_true(strlen(setting->name) <= SETTING_NAME_BYTES_MAX);
        assert_int_equal(strlen(setting->name),
                         strspn(setting->name, "abcdefghijklmnopqrstuvwxyz-"));
        assert_true(setting_find(setting->name, &found));
        assert_int_equal(id, found);
        setting_variable(setting, variable);
        assert_int_equal(strlen(setting->name) + strlen("PARLEY_"), strlen(variable));
        assert_true(setting->help[0] != '\0' && strpbrk(setting->help, "|\n") == NULL);
    }
    setting_variable(setting_at(SETTING_LOG_LEVEL), variable);
    assert_string_equal("PARLEY_LOG_LEVEL", variable);
}

static void settings_have_defaults_that_they_take(void **state)
{
    (void)state;
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        struct settings set = { 0 };
        struct parley_diag diag = { "" };
        const char *text = setting_at(id)->fallback;
        if (text != NULL)
            assert_ok(setting_at(id)->apply(&set, text, &diag));
    }
}

static void settings_find_the_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *near;
    } rows[] = {
        { "log-leve", "log-level" },
        { "loglevel", "log-level" },
        { "LOG_LEVEL", "log-level" },
        { "cert", "tls-cert" },
        { "passphrase", "passphrase-file" },
        { "grace", "tombstone-grace" },
        { "lsiten", "listen" },
        { "date", "data" },
        { "x", NULL },
        { "", NULL },
        { "nothing-like-any", NULL },
        { "a-name-that-is-longer-than-any-of-ours", NULL },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        const struct setting *near = setting_nearest(rows[i].name);
        assert_string_equal(rows[i].near == NULL ? "none" : rows[i].near,
                            near == NULL ? "none" : near->name);
    }
}

static const struct {
    enum setting_id id;
    const char *text;
    const char *why; /* NULL: it is taken */
} rows[] = {
    { SETTING_LOG_LEVEL, "debug", NULL },
    { SETTING_LOG_LEVEL, "loud", "\"loud\" is not one of error, warn, info, debug" },
    { SETTING_LOG_FORMAT, "JSON", "\"JSON\" is not one of logfmt, json" },
    { SETTING_TYPE, "big", "\"big\" is not one of local, hosted, edge" },
    { SETTING_KEY_BITS, "4096", "\"4096\" is not one of 2048, 3072" },
    { SETTING_KEY_BITS, "3072", NULL },
    { SETTING_TOMBSTONE_GRACE, "36500", NULL },
    { SETTING_TOMBSTONE_GRACE, "36501", "\"36501\": write 0 to 36500 days" },
    { SETTING_TOMBSTONE_GRACE, "-1", "\"-1\": write 0 to 36500 days" },
    { SETTING_TOMBSTONE_GRACE, "99999999999999999999999",
      "\"99999999999999999999999\": write 0 to 36500 days" },
    { SETTING_RESERVE, "1048576", NULL },
    { SETTING_RESERVE, "4M", "\"4M\": write 0 to 1048576 MiB" },
    { SETTING_PLAIN_PEERS, "on", NULL },
    { SETTING_PLAIN_PEERS, "false", NULL },
    { SETTING_PLAIN_PEERS, "maybe", "\"maybe\" is not yes or no" },
    { SETTING_RATE, "0:0", NULL },
    { SETTING_RATE, "5", "\"5\": write PEER:STRANGERS, each 0 to 1000000 requests a second" },
    { SETTING_RATE, "1000001:0",
      "\"1000001:0\": write PEER:STRANGERS, each 0 to 1000000 requests a second" },
    { SETTING_LISTEN, "127.0.0.1", "\"127.0.0.1\": write ADDR:PORT, or [ADDR]:PORT for IPv6" },
    { SETTING_LISTEN, "[::1]:0", NULL },
    { SETTING_ADVERTISE, "host", "\"host\": write HOST:PORT" },
    { SETTING_CORS_ORIGIN, "https://a.example/",
      "\"https://a.example/\": write https://HOST or https://HOST:PORT, one for each site" },
    { SETTING_CORS_ORIGIN, "http://localhost:3000", NULL },
    { SETTING_DATA, "", "is empty; name a file or directory" },
};

static void settings_say_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        struct settings set = { 0 };
        struct parley_diag diag = { "" };
        parley_err err = setting_at(rows[i].id)->apply(&set, rows[i].text, &diag);
        assert_int_equal(rows[i].why == NULL ? PARLEY_OK : PARLEY_EINVAL, err);
        assert_string_equal(rows[i].why == NULL ? "" : rows[i].why, diag.text);
    }
}

static void settings_bound_their_lists(void **state)
{
    (void)state;
    struct settings set = { 0 };
    struct parley_diag diag = { "" };
    for (int i = 0; i < SETTING_VALUES_MAX; i++)
        assert_ok(setting_at(SETTING_CORS_ORIGIN)->apply(&set, "https://a.example", &diag));
    assert_err(PARLEY_EINVAL,
               setting_at(SETTING_CORS_ORIGIN)->apply(&set, "https://a.example", &diag));
    assert_string_equal("at most 16 of them", diag.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_names_that_fit_everywhere),
        cmocka_unit_test(settings_have_defaults_that_they_take),
        cmocka_unit_test(settings_find_the_nearest_name),
        cmocka_unit_test(settings_say_what_is_allowed),
        cmocka_unit_test(settings_bound_their_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
