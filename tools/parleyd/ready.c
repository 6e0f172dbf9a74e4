/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/ready.h"

#include "core/iso8601.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RUN_FILE "parleyd.run"

static json_t *facts_json(const struct ready_facts *facts)
{
    json_t *addresses = json_array();
    for (size_t i = 0; i < pl_uv_listen_count(facts->uv); i++)
        json_array_append_new(addresses, json_string(pl_uv_listen_address(facts->uv, i)));
    return json_pack("{s:s, s:I, s:s, s:s, s:o}", "event", "ready", "pid", (json_int_t)getpid(),
                     "version", PARLEY_VERSION, "backend_id", facts->backend_id, "addresses",
                     addresses);
}

static void set_time(json_t *json, const char *name, parley_wall at)
{
    char text[PL_ISO8601_BYTES];
    if (at <= 0)
        return;
    pl_iso8601_format(pl_min_u64((uint64_t)at, PL_ISO8601_US_MAX), text);
    json_object_set_new(json, name, json_stringn(text, sizeof text));
}

/* A name that is not UTF-8 has no JSON form, and one that is this long no room: the run file says
 * where the daemon is, and must not fail for it. */
#define NAME_BYTES_MAX 512
static void set_name(json_t *json, const char *name, const char *file)
{
    if (file != NULL && strlen(file) <= NAME_BYTES_MAX)
        json_object_set_new(json, name, json_string(file));
}

static bool listens_outside(const struct pl_uv *uv)
{
    for (size_t i = 0; i < pl_uv_listen_count(uv); i++)
        if (!pl_uv_address_is_loopback(pl_uv_listen_address(uv, i)))
            return true;
    return false;
}

static void add_run_facts(json_t *json, const struct ready_facts *facts)
{
    struct rlimit files = { 0 };
    json_object_set_new(json, "compat_legacy", json_boolean(facts->set->compat_legacy));
    json_object_set_new(json, "listens_outside", json_boolean(listens_outside(facts->uv)));
    json_object_set_new(json, "plain_peers", json_boolean(facts->set->plain_peers));
    set_name(json, "config", facts->config);
    set_time(json, "config_read_at", facts->read_at);
    set_name(json, "tls_cert", facts->set->tls_cert);
    set_time(json, "tls_cert_until", facts->until);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        json_object_set_new(json, "files_max",
                            json_integer((json_int_t)pl_min_u64(files.rlim_cur, INT32_MAX)));
}

static parley_err dump(json_t *json, char *out, size_t cap, size_t *len)
{
    size_t need = json == NULL ? cap : json_dumpb(json, out, cap - 1, JSON_COMPACT);
    if (need == 0 || need > cap - 1)
        return PARLEY_ENOMEM;
    out[need] = '\n';
    *len = need + 1;
    return PARLEY_OK;
}

parley_err ready_write_run_file(const struct ready_facts *facts, struct parley_diag *diag)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    char text[8192];
    size_t len = 0;
    PL_TRY(tool_path_join(facts->data_dir, RUN_FILE, path, diag));
    json_t *json = facts_json(facts);
    if (json != NULL)
        json_object_del(json, "event");
    add_run_facts(json, facts);
    parley_err err = dump(json, text, sizeof text, &len);
    json_decref(json);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "%.180s: cannot be written", path);
    return tool_file_replace(path, pl_span_of(text, len), diag);
}

void ready_remove_run_file(const char *data_dir)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    if (tool_path_join(data_dir, RUN_FILE, path, NULL) == PARLEY_OK && unlink(path) != 0)
        pl_ignore(PARLEY_EIO, "readers compare its pid with the lock anyway");
}

static void print_json(const struct ready_facts *facts)
{
    char text[8192];
    size_t len = 0;
    json_t *json = facts_json(facts);
    /* A directory name that is not UTF-8 has no JSON form; the line is useful without it. */
    if (json != NULL)
        json_object_set_new(json, "data", json_string(facts->data_dir));
    if (dump(json, text, sizeof text, &len) == PARLEY_OK)
        fwrite(text, 1, len, stdout);
    json_decref(json);
}

void ready_print(const struct ready_facts *facts)
{
    if (facts->json) {
        print_json(facts);
    } else {
        fputs("parleyd ready on ", stdout);
        for (size_t i = 0; i < pl_uv_listen_count(facts->uv); i++)
            printf("%s%s", i == 0 ? "" : ", ", pl_uv_listen_address(facts->uv, i));
        printf(" as %s (data %s)\n", facts->backend_id, facts->data_dir);
    }
    fflush(stdout);
}

void ready_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract name space */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        pl_ignore(PARLEY_EIO, "the manager then times out and says so");
    close(fd);
}

/* A whole number of up to 18 digits, which fits; 0 for anything else. */
static uint64_t env_number(const char *name)
{
    const char *text = getenv(name);
    size_t len = text == NULL ? 0 : strlen(text);
    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return 0;
    return strtoull(text, NULL, 10);
}

uint64_t ready_watchdog_ms(void)
{
    uint64_t us = env_number("WATCHDOG_USEC");
    if (us == 0 || getenv("NOTIFY_SOCKET") == NULL)
        return 0;
    if (getenv("WATCHDOG_PID") != NULL && env_number("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return pl_max_u64(us / 2000, 1);
}
