/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/testlib.h"

#include "lib/identity_store.h"
#include "lib/secret.h"
#include "test_key.h"
#include "uv/uv_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct store {
    char dir[64];
    struct parley_env env;
    struct parley_db *db;
};

static void open_store(struct store *s)
{
    bool renewed;
    struct parley_db_options options = { .name = s->dir };
    parley_env_posix(&s->env);
    assert_ok(parley_db_open(&s->env, &options, &s->db, &renewed, NULL));
}

static int set_up(void **state)
{
    struct store *s = calloc(1, sizeof *s);
    assert_non_null(s);
    unsetenv("PARLEY_PASSPHRASE");
    unsetenv("BACKEND_PRIVATE_KEY");
    unsetenv("CREDENTIALS_DIRECTORY");
    test_tmpdir(s->dir);
    open_store(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct store *s = *state;
    parley_db_close(s->db);
    test_rmtree(s->dir);
    free(s);
    return 0;
}

static parley_err load_as(struct store *s, const enum pl_backend_type *type, char *backend_id,
                          struct parley_diag *diag)
{
    struct tool_identity identity;
    struct tool_identity_options options = { .data_dir = s->dir, .type = type };
    PL_TRY(tool_identity_load(&s->env, s->db, &options, pl_uv_wall_now(), &identity, diag));
    if (backend_id != NULL)
        memcpy(backend_id, identity.backend_id, sizeof identity.backend_id);
    pl_identity_destroy(identity.key);
    return PARLEY_OK;
}

static parley_err load(struct store *s, char *backend_id, struct parley_diag *diag)
{
    return load_as(s, NULL, backend_id, diag);
}

static void an_identity_is_made_once_and_stays(void **state)
{
    struct store *s = *state;
    char first[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char second[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    assert_ok(load(s, first, NULL));
    parley_db_close(s->db);
    open_store(s);
    assert_ok(load(s, second, NULL));
    assert_string_equal(first, second);
    assert_int_equal(0, strncmp(first, "local_sha256_", 13));
}

static void the_seal_key_is_private_and_random(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    assert_ok(load(s, NULL, NULL));
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0600, st.st_mode & 0777);
    assert_int_equal(32, st.st_size);
}

static void a_seal_key_that_others_can_read_is_refused(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct parley_diag diag = { "" };
    assert_ok(load(s, NULL, NULL));
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_int_equal(0, chmod(path, 0640));
    assert_err(PARLEY_EACCESS, load(s, NULL, &diag));
    assert_non_null(strstr(diag.text, path));
}

static void a_lost_seal_key_is_never_replaced(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    assert_ok(load(s, NULL, NULL));
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_int_equal(0, unlink(path));
    assert_err(PARLEY_ENOENT, load(s, NULL, NULL));
    assert_int_not_equal(0, access(path, F_OK));
}

static void a_wrong_seal_key_is_told_from_damage(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    uint8_t other[32] = { 1 };
    assert_ok(load(s, NULL, NULL));
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_ok(tool_file_replace(path, pl_span_of(other, sizeof other), NULL));
    assert_err(PARLEY_ESEALED, load(s, NULL, NULL));
}

static void a_short_seal_key_is_refused(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_ok(tool_file_create(path, pl_span_text("short"), NULL));
    assert_err(PARLEY_EINVAL, load(s, NULL, NULL));
}

static void a_pass_phrase_seals_and_leaves_the_environment(void **state)
{
    struct store *s = *state;
    struct parley_diag diag = { "" };
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    assert_ok(load(s, NULL, NULL));
    assert_null(getenv("PARLEY_PASSPHRASE"));
    assert_err(PARLEY_ENOENT, load(s, NULL, &diag)); /* no key file, and none is made */
    setenv("PARLEY_PASSPHRASE", "wrong horse", 1);
    assert_err(PARLEY_ESEALED, load(s, NULL, &diag));
    assert_non_null(strstr(diag.text, "pass phrase"));
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    assert_ok(load(s, NULL, NULL));
}

static void a_credential_goes_before_the_key_file(void **state)
{
    struct store *s = *state;
    char path[TOOL_PATH_BYTES_MAX + 1];
    assert_ok(tool_path_join(s->dir, "parley-seal", path, NULL));
    assert_ok(tool_file_create(path, pl_span_text("0123456789abcdef0123456789abcdef"), NULL));
    setenv("CREDENTIALS_DIRECTORY", s->dir, 1);
    assert_ok(load(s, NULL, NULL));
    assert_ok(tool_path_join(s->dir, "seal.key", path, NULL));
    assert_int_not_equal(0, access(path, F_OK));
    assert_ok(load(s, NULL, NULL));
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_err(PARLEY_ENOENT, load(s, NULL, NULL));
}

static void a_key_of_the_environment_is_imported_once(void **state)
{
    struct store *s = *state;
    char imported[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char stored[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    enum pl_backend_type hosted = PL_BACKEND_HOSTED;
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    assert_ok(load_as(s, &hosted, imported, NULL));
    assert_null(getenv("BACKEND_PRIVATE_KEY"));
    assert_int_equal(0, strncmp(imported, "hosted_sha256_", 14));
    assert_ok(load(s, stored, NULL));
    assert_string_equal(imported, stored);
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    assert_ok(load(s, stored, NULL));
    assert_string_equal(imported, stored);
}

static void another_key_in_the_environment_stops_the_start(void **state)
{
    struct store *s = *state;
    char stored[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char after[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct parley_diag diag = { "" };
    assert_ok(load(s, stored, NULL));
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    assert_err(PARLEY_EIDENTITY, load(s, NULL, &diag));
    assert_non_null(strstr(diag.text, stored));
    assert_non_null(strstr(diag.text, "BACKEND_PRIVATE_KEY is the key of local_sha256_"));
    assert_ok(load(s, after, NULL));
    assert_string_equal(stored, after);
}

static void garbage_in_the_environment_stops_the_start(void **state)
{
    struct store *s = *state;
    struct tool_identity_info info;
    bool found = true;
    setenv("BACKEND_PRIVATE_KEY", "not a key", 1);
    assert_err(PARLEY_EMALFORMED, load(s, NULL, NULL));
    assert_ok(tool_identity_peek(s->db, &info, &found, NULL));
    assert_false(found);
}

static void the_type_of_a_store_is_fixed(void **state)
{
    struct store *s = *state;
    enum pl_backend_type edge = PL_BACKEND_EDGE;
    enum pl_backend_type local = PL_BACKEND_LOCAL;
    assert_ok(load_as(s, &edge, NULL, NULL));
    assert_ok(load(s, NULL, NULL));
    assert_err(PARLEY_EIDENTITY, load_as(s, &local, NULL, NULL));
}

static void a_damaged_record_is_corrupt_not_new(void **state)
{
    struct store *s = *state;
    bool changed;
    struct parley_write write = { .kind = PARLEY_WRITE_SYS_PUT };
    write.u.sys.key = pl_span_text(TOOL_IDENTITY_KEY);
    write.u.sys.value = pl_span_text("\x81\xa4type");
    assert_ok(parley_db_apply(s->db, &write, 1, pl_uv_wall_now(), &changed));
    assert_err(PARLEY_ECORRUPT, load(s, NULL, NULL));
}

static void the_admin_token_is_made_once_and_must_be_private(void **state)
{
    struct store *s = *state;
    uint8_t first[TOOL_ADMIN_TOKEN_BYTES];
    uint8_t second[TOOL_ADMIN_TOKEN_BYTES];
    char path[TOOL_PATH_BYTES_MAX + 1];
    assert_err(PARLEY_ENOENT, tool_admin_token_load(&s->env, s->dir, false, first, NULL));
    assert_ok(tool_admin_token_load(&s->env, s->dir, true, first, NULL));
    assert_ok(tool_admin_token_load(&s->env, s->dir, true, second, NULL));
    assert_memory_equal(first, second, sizeof first);
    assert_ok(tool_path_join(s->dir, "admin.token", path, NULL));
    assert_int_equal(0, chmod(path, 0604));
    assert_err(PARLEY_EACCESS, tool_admin_token_load(&s->env, s->dir, true, second, NULL));
    assert_int_equal(0, chmod(path, 0600));
    assert_ok(tool_file_replace(path, pl_span_text("xyz\n"), NULL));
    assert_err(PARLEY_EMALFORMED, tool_admin_token_load(&s->env, s->dir, true, second, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(an_identity_is_made_once_and_stays),
        TEST(the_seal_key_is_private_and_random),
        TEST(a_seal_key_that_others_can_read_is_refused),
        TEST(a_lost_seal_key_is_never_replaced),
        TEST(a_wrong_seal_key_is_told_from_damage),
        TEST(a_short_seal_key_is_refused),
        TEST(a_pass_phrase_seals_and_leaves_the_environment),
        TEST(a_credential_goes_before_the_key_file),
        TEST(a_key_of_the_environment_is_imported_once),
        TEST(another_key_in_the_environment_stops_the_start),
        TEST(garbage_in_the_environment_stops_the_start),
        TEST(the_type_of_a_store_is_fixed),
        TEST(a_damaged_record_is_corrupt_not_new),
        TEST(the_admin_token_is_made_once_and_must_be_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
