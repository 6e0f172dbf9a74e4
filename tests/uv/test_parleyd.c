/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon as an operator meets it. PARLEYD names the binary.
 */
#define _GNU_SOURCE 1
#include "lib/testlib.h"

#include "test_key.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct daemon {
    pid_t pid;
    FILE *out;
    FILE *err;
    char line[1024]; /* the first of stdout */
};

static const char *binary(void)
{
    const char *path = getenv("PARLEYD");
    return path != NULL ? path : "parleyd";
}

/* Starts it with its outputs in pipes. `args` ends with NULL; --data comes from `dir`. */
static void spawn(struct daemon *d, const char *dir, const char *const *args)
{
    const char *argv[24] = { binary() };
    size_t count = 1;
    int out[2];
    int err[2];
    if (dir != NULL) {
        argv[count++] = "--data";
        argv[count++] = dir;
    }
    for (size_t i = 0; args[i] != NULL && count < PL_ARRAY_LEN(argv) - 1; i++)
        argv[count++] = args[i];
    assert_int_equal(0, pipe(out));
    assert_int_equal(0, pipe(err));
    *d = (struct daemon){ .pid = fork() };
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        dup2(out[1], 1);
        dup2(err[1], 2);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execv(argv[0], (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    d->out = fdopen(out[0], "r");
    d->err = fdopen(err[0], "r");
    assert_non_null(d->out);
    assert_non_null(d->err);
}

/* Waits for the line that says it is ready; false when it ended instead. */
static bool wait_ready(struct daemon *d)
{
    return fgets(d->line, sizeof d->line, d->out) != NULL;
}

/* Waits for its end, keeps what it said on stderr, and returns its exit code (-1: a signal). */
static int wait_end(struct daemon *d, char *said, size_t cap)
{
    size_t len = fread(said, 1, cap - 1, d->err);
    said[len] = '\0';
    int status;
    assert_int_equal(d->pid, waitpid(d->pid, &status, 0));
    fclose(d->out);
    fclose(d->err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *const plain_args[] = { "--listen", "127.0.0.1:0", NULL };

static int run_to_end(const char *dir, const char *const *args, char *said, size_t cap)
{
    struct daemon d;
    spawn(&d, dir, args);
    if (wait_ready(&d))
        kill(d.pid, SIGTERM);
    return wait_end(&d, said, cap);
}

static int set_up(void **state)
{
    char *dir = calloc(1, 64);
    assert_non_null(dir);
    unsetenv("PARLEY_PASSPHRASE");
    unsetenv("BACKEND_PRIVATE_KEY");
    unsetenv("NOTIFY_SOCKET");
    test_tmpdir(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    test_rmtree(*state);
    free(*state);
    return 0;
}

static bool exists(const char *dir, const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0;
}

static void it_says_when_it_is_ready_and_stops_on_sigterm(void **state)
{
    const char *dir = *state;
    struct daemon d;
    char said[8192];
    spawn(&d, dir, plain_args);
    assert_true(wait_ready(&d));
    assert_int_equal(0, strncmp(d.line, "parleyd ready on 127.0.0.1:", 27));
    assert_null(strstr(d.line, "127.0.0.1:0 "));
    assert_non_null(strstr(d.line, " as local_sha256_"));
    assert_non_null(strstr(d.line, dir));
    assert_true(exists(dir, "parleyd.run"));
    assert_true(exists(dir, "admin.token"));
    assert_int_equal(0, kill(d.pid, SIGTERM));
    assert_int_equal(EOF, fgetc(d.out)); /* exactly one line */
    assert_int_equal(0, wait_end(&d, said, sizeof said));
    assert_non_null(strstr(said, "event=stopped"));
    assert_false(exists(dir, "parleyd.run"));
}

static void sigint_stops_it_as_well_and_sigpipe_does_not(void **state)
{
    struct daemon d;
    char said[8192];
    spawn(&d, *state, plain_args);
    assert_true(wait_ready(&d));
    assert_int_equal(0, kill(d.pid, SIGPIPE));
    assert_int_equal(0, kill(d.pid, SIGINT));
    assert_int_equal(0, wait_end(&d, said, sizeof said));
    assert_non_null(strstr(said, "signal=SIGINT"));
}

static void a_restart_keeps_the_identity_even_after_a_kill(void **state)
{
    struct daemon d;
    char said[8192];
    char id[2][64];
    for (int i = 0; i < 2; i++) {
        spawn(&d, *state, plain_args);
        assert_true(wait_ready(&d));
        const char *at = strstr(d.line, "local_sha256_");
        assert_non_null(at);
        snprintf(id[i], sizeof id[i], "%.45s", at);
        assert_int_equal(0, kill(d.pid, i == 0 ? SIGKILL : SIGTERM));
        assert_int_equal(i == 0 ? -1 : 0, wait_end(&d, said, sizeof said));
    }
    assert_string_equal(id[0], id[1]);
}

static void the_ready_line_and_the_run_file_can_be_json(void **state)
{
    static const char *const args[] = { "--listen", "127.0.0.1:0", "--json-ready", NULL };
    const char *dir = *state;
    struct daemon d;
    char said[8192];
    char path[128];
    spawn(&d, dir, args);
    assert_true(wait_ready(&d));
    json_t *line = json_loads(d.line, 0, NULL);
    snprintf(path, sizeof path, "%s/parleyd.run", dir);
    json_t *file = json_load_file(path, 0, NULL);
    assert_non_null(line);
    assert_non_null(file);
    assert_string_equal("ready", json_string_value(json_object_get(line, "event")));
    assert_string_equal(dir, json_string_value(json_object_get(line, "data")));
    assert_int_equal(d.pid, json_integer_value(json_object_get(file, "pid")));
    assert_int_equal(1, json_array_size(json_object_get(file, "addresses")));
    assert_true(json_equal(json_object_get(line, "addresses"), json_object_get(file, "addresses")));
    json_decref(line);
    json_decref(file);
    assert_int_equal(0, kill(d.pid, SIGTERM));
    assert_int_equal(0, wait_end(&d, said, sizeof said));
}

static void a_second_daemon_on_the_same_directory_is_refused_with_the_pid(void **state)
{
    struct daemon first;
    char said[8192];
    char pid[16];
    spawn(&first, *state, plain_args);
    assert_true(wait_ready(&first));
    assert_int_equal(75, run_to_end(*state, plain_args, said, sizeof said));
    snprintf(pid, sizeof pid, "%ld", (long)first.pid);
    assert_non_null(strstr(said, pid));
    assert_non_null(strstr(said, "/lock"));
    assert_true(exists(*state, "parleyd.run"));
    assert_int_equal(0, kill(first.pid, SIGTERM));
    assert_int_equal(0, wait_end(&first, said, sizeof said));
}

static void another_key_stops_the_start_and_names_both_nodes(void **state)
{
    char said[8192];
    assert_int_equal(0, run_to_end(*state, plain_args, said, sizeof said));
    setenv("BACKEND_PRIVATE_KEY", test_key_pem, 1);
    assert_int_equal(78, run_to_end(*state, plain_args, said, sizeof said));
    unsetenv("BACKEND_PRIVATE_KEY");
    const char *first = strstr(said, "local_sha256_");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "local_sha256_"));
    assert_int_equal(0, run_to_end(*state, plain_args, said, sizeof said));
}

static void a_readable_secret_stops_the_start(void **state)
{
    static const char *const names[] = { "seal.key", "admin.token" };
    char said[8192];
    char path[128];
    assert_int_equal(0, run_to_end(*state, plain_args, said, sizeof said));
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", (const char *)*state, names[i]);
        assert_int_equal(0, chmod(path, 0644));
        assert_int_equal(77, run_to_end(*state, plain_args, said, sizeof said));
        assert_non_null(strstr(said, names[i]));
        assert_int_equal(0, chmod(path, 0600));
    }
}

static void an_address_in_use_stops_the_start(void **state)
{
    struct daemon first;
    char said[8192];
    char other[64];
    char address[64];
    spawn(&first, *state, plain_args);
    assert_true(wait_ready(&first));
    assert_int_equal(1, sscanf(first.line, "parleyd ready on %63s", address));
    const char *const args[] = { "--listen", address, NULL };
    test_tmpdir(other);
    assert_int_equal(69, run_to_end(other, args, said, sizeof said));
    assert_non_null(strstr(said, address));
    test_rmtree(other);
    assert_int_equal(0, kill(first.pid, SIGTERM));
    assert_int_equal(0, wait_end(&first, said, sizeof said));
}

static void wrong_flags_are_named_and_nothing_is_made(void **state)
{
    static const char *const bad[][4] = {
        { "--bogus", NULL },
        { "--listen", "nowhere", NULL },
        { "--type", "moon", NULL },
        { "--log-level", "loud", NULL },
        { "--advertise", "nohost", NULL },
        { "--listen", "0.0.0.0:0", "--compat-legacy", NULL },
        { "stray", NULL },
    };
    char dir[80];
    char said[8192];
    snprintf(dir, sizeof dir, "%s/new", (const char *)*state);
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        assert_int_equal(64, run_to_end(dir, bad[i], said, sizeof said));
        assert_int_equal(0, strncmp(said, "parleyd: ", 9));
    }
    assert_int_equal(64, run_to_end(NULL, plain_args, said, sizeof said));
    assert_false(exists(*state, "new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(it_says_when_it_is_ready_and_stops_on_sigterm),
        TEST(sigint_stops_it_as_well_and_sigpipe_does_not),
        TEST(a_restart_keeps_the_identity_even_after_a_kill),
        TEST(the_ready_line_and_the_run_file_can_be_json),
        TEST(a_second_daemon_on_the_same_directory_is_refused_with_the_pid),
        TEST(another_key_stops_the_start_and_names_both_nodes),
        TEST(a_readable_secret_stops_the_start),
        TEST(an_address_in_use_stops_the_start),
        TEST(wrong_flags_are_named_and_nothing_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
