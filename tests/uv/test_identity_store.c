/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/testlib.h"

#include "lib/identity_int.h"
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
    struct pl_identity_info info;
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
    write.u.sys.key = pl_span_text(PL_IDENTITY_RECORD_KEY);
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

/* A whole rotation of the store, without a node. */
static void rotate(struct store *s, const struct tool_identity_options *options)
{
    struct tool_identity identity;
    struct pl_identity *next = NULL;
    struct pl_identity_record record;
    uint8_t bytes[PL_IDENTITY_RECORD_BYTES_MAX];
    uint8_t statement[PL_ROTATION_BYTES_MAX];
    size_t len = 0;
    size_t statement_len = 0;
    bool found = false;
    assert_ok(tool_identity_load(&s->env, s->db, options, pl_uv_wall_now(), &identity, NULL));
    assert_true(identity.can_seal);
    assert_ok(tool_identity_make(&s->env, &identity, 2048, &next, bytes, &len));
    assert_ok(tool_identity_read(s->db, &record, &found, NULL));
    struct pl_key_chain chain = record.chain;
    assert_ok(pl_identity_record_decode(pl_span_of(bytes, len), &record));
    record.chain = chain;
    struct parley_span id = pl_span_text(identity.backend_id);
    assert_ok(pl_rotation_make(identity.key, next, id, pl_uv_wall_now(), (uint32_t)chain.count + 1,
                               statement, &statement_len));
    assert_ok(pl_key_chain_append(&record.chain, id, pl_span_of(statement, statement_len)));
    assert_ok(tool_identity_write(s->db, &record, pl_uv_wall_now(), NULL));
    pl_identity_destroy(identity.key);
    pl_identity_destroy(next);
    tool_identity_wipe(&identity);
}

static void a_rotated_key_opens_with_the_same_secret_and_the_old_one_stops_the_start(void **state)
{
    struct store *s = *state;
    char before[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char after[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct parley_diag diag = { "" };
    struct tool_identity_options options = { .data_dir = s->dir };
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    assert_ok(load(s, before, NULL));
    /* Known by its key alone, it can seal only when the secret is there too. */
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    struct tool_identity identity;
    assert_ok(tool_identity_load(&s->env, s->db, &options, pl_uv_wall_now(), &identity, NULL));
    assert_false(identity.can_seal);
    pl_identity_destroy(identity.key);
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    rotate(s, &options);
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    assert_ok(load(s, after, NULL));
    assert_string_equal(before, after);
    setenv("PARLEY_PASSPHRASE", "correct horse", 1);
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    assert_err(PARLEY_EIDENTITY, load(s, NULL, &diag));
    assert_non_null(strstr(diag.text, "was rotated away on 20"));
    assert_non_null(strstr(diag.text, "unset it"));
}

static void a_pass_phrase_file_goes_before_credentials(void **state)
{
    struct store *s = *state;
    char file[TOOL_PATH_BYTES_MAX + 1];
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct tool_secret secret;
    assert_ok(tool_path_join(s->dir, "phrase", file, NULL));
    struct tool_secret_sources from = { .dir = s->dir, .passphrase_file = file };
    assert_ok(tool_file_create(file, pl_span_text("from a file\r\n"), NULL));
    assert_ok(tool_path_join(s->dir, "parley-passphrase", path, NULL));
    assert_ok(tool_file_create(path, pl_span_text("of the manager\n"), NULL));
    assert_ok(tool_path_join(s->dir, "parley-seal", path, NULL));
    assert_ok(tool_file_create(path, pl_span_text("0123456789abcdef0123456789abcdef"), NULL));
    setenv("CREDENTIALS_DIRECTORY", s->dir, 1);
    assert_ok(tool_secret_load(&s->env, &from, false, &secret, NULL));
    assert_int_equal(PL_SEAL_PASSPHRASE, secret.kind);
    assert_span_text(pl_span_of(secret.bytes, secret.len), "from a file");
    from.passphrase_file = NULL;
    assert_ok(tool_secret_load(&s->env, &from, false, &secret, NULL));
    assert_span_text(pl_span_of(secret.bytes, secret.len), "of the manager");
    assert_int_equal(
        0,
        unlink(tool_path_join(s->dir, "parley-passphrase", path, NULL) == PARLEY_OK ? path : ""));
    assert_ok(tool_secret_load(&s->env, &from, false, &secret, NULL));
    assert_int_equal(PL_SEAL_RAW, secret.kind);
    unsetenv("CREDENTIALS_DIRECTORY");
    from.passphrase_file = file;
    assert_int_equal(0, chmod(file, 0644));
    assert_err(PARLEY_EACCESS, tool_secret_load(&s->env, &from, false, &secret, NULL));
    assert_int_equal(0, chmod(file, 0600));
    assert_ok(tool_file_replace(file, pl_span_text("\n"), NULL));
    assert_err(PARLEY_EINVAL, tool_secret_load(&s->env, &from, false, &secret, NULL));
}

static void an_identity_is_sealed_anew_in_place(void **state)
{
    struct store *s = *state;
    char before[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char after[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct tool_identity_options options = { .data_dir = s->dir };
    struct tool_secret secret = { .kind = PL_SEAL_PASSPHRASE, .bytes = "new phrase", .len = 10 };
    assert_ok(load(s, before, NULL));
    assert_ok(tool_identity_reseal(&s->env, s->db, &options, &secret, pl_uv_wall_now(), NULL));
    assert_err(PARLEY_ESEALED, load(s, NULL, NULL));
    setenv("PARLEY_PASSPHRASE", "new phrase", 1);
    assert_ok(load(s, after, NULL));
    assert_string_equal(before, after);
}

static void an_exported_identity_moves_with_its_rotations(void **state)
{
    struct store *s = *state;
    struct store to = { .db = NULL };
    struct tool_identity_options options = { .data_dir = s->dir };
    struct tool_secret phrase = { .kind = PL_SEAL_PASSPHRASE, .bytes = "travel", .len = 6 };
    struct tool_secret wrong = { .kind = PL_SEAL_PASSPHRASE, .bytes = "gravel", .len = 6 };
    struct pl_identity_info info;
    struct parley_diag diag = { "" };
    char before[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char after[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    static char text[TOOL_EXPORT_BYTES_MAX];
    assert_ok(load(s, before, NULL));
    rotate(s, &options);
    assert_ok(tool_identity_export(&s->env, s->db, &options, &phrase, text, NULL));
    assert_int_equal(0, strncmp(text, "-----BEGIN PARLEY SEALED IDENTITY-----\n", 39));
    struct parley_span whole = pl_span_text(text);
    assert_err(PARLEY_EBUSY, tool_identity_import(&s->env, s->db, &options, &phrase, whole,
                                                  pl_uv_wall_now(), &info, &diag));
    test_tmpdir(to.dir);
    open_store(&to);
    options.data_dir = to.dir;
    assert_err(PARLEY_ESEALED, tool_identity_import(&to.env, to.db, &options, &wrong, whole,
                                                    pl_uv_wall_now(), &info, &diag));
    for (size_t cut = 0; cut < whole.len - 1; cut += 97)
        assert_err(PARLEY_EMALFORMED,
                   tool_identity_import(&to.env, to.db, &options, &phrase, pl_span_of(text, cut),
                                        pl_uv_wall_now(), &info, &diag));
    assert_ok(tool_identity_import(&to.env, to.db, &options, &phrase, whole, pl_uv_wall_now(),
                                   &info, NULL));
    assert_string_equal(before, info.backend_id);
    assert_ok(load(&to, after, NULL));
    assert_string_equal(before, after);
    struct pl_identity_record record;
    bool found = false;
    assert_ok(tool_identity_read(to.db, &record, &found, NULL));
    assert_int_equal(1, record.chain.count);
    parley_db_close(to.db);
    test_rmtree(to.dir);
}

static void the_size_of_a_key_is_for_new_directories(void **state)
{
    struct store *s = *state;
    struct tool_identity identity;
    struct parley_diag diag = { "" };
    struct tool_identity_options options = { .data_dir = s->dir, .key_bits = 3072 };
    assert_ok(load(s, NULL, NULL));
    assert_err(PARLEY_EIDENTITY,
               tool_identity_load(&s->env, s->db, &options, pl_uv_wall_now(), &identity, &diag));
    assert_non_null(strstr(diag.text, "parley key rotate --bits 3072"));
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
        TEST(a_rotated_key_opens_with_the_same_secret_and_the_old_one_stops_the_start),
        TEST(a_pass_phrase_file_goes_before_credentials),
        TEST(an_identity_is_sealed_anew_in_place),
        TEST(an_exported_identity_moves_with_its_rotations),
        TEST(the_size_of_a_key_is_for_new_directories),
        TEST(the_admin_token_is_made_once_and_must_be_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
