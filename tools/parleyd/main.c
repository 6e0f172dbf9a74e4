/* SPDX-License-Identifier: Apache-2.0
 *
 * parleyd: one node on one data directory.
 *
 * Start: the store (its lock keeps a second daemon out), the secrets, the identity, the node, the
 * sockets, the run file; only then "ready". Each step undoes the ones before it when it fails, and
 * says in one sentence what is wrong and what to do. Stop is the same list backwards.
 */
#define _GNU_SOURCE 1
#include "parleyd/daemon.h"

#include "lib/secret.h"
#include "core/hash.h"
#include "uv/uv_time.h"
#include <parley/trace.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* After sysexits.h; --help lists them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FLAGS = 64,
    EXIT_DATA = 65,
    EXIT_LISTEN = 69,
    EXIT_BUG = 70,
    EXIT_OS = 71,
    EXIT_DISK = 74,
    EXIT_LOCKED = 75,
    EXIT_ACCESS = 77,
    EXIT_IDENTITY = 78
};

static enum exit_code exit_code_of(parley_err err)
{
    switch (err) {
    case PARLEY_OK:
        return EXIT_OK;
    case PARLEY_EIDENTITY:
    case PARLEY_ESEALED:
    case PARLEY_ENOENT:
    case PARLEY_EINVAL:
    case PARLEY_EMALFORMED:
    case PARLEY_ETOOBIG:
    case PARLEY_EEXPIRED:
        return EXIT_IDENTITY;
    case PARLEY_ECORRUPT:
    case PARLEY_EFORMAT:
        return EXIT_DATA;
    case PARLEY_ENOSPC:
    case PARLEY_EMAPFULL:
    case PARLEY_EIO:
        return EXIT_DISK;
    case PARLEY_ELOCKED:
        return EXIT_LOCKED;
    case PARLEY_EACCESS:
    case PARLEY_EREADONLY:
        return EXIT_ACCESS;
    case PARLEY_ENOMEM:
        return EXIT_OS;
    case PARLEY_EBUSY:
    case PARLEY_EAGAIN:
        return EXIT_LISTEN;
    case PARLEY_ESTATE:
    case PARLEY_EFULL:
    case PARLEY_EPROTO:
    case PARLEY_EVERSION:
    case PARLEY_EAUTH:
    case PARLEY_EDENIED:
    case PARLEY_EUNKNOWN:
    case PARLEY_EUTF8:
    case PARLEY_ETYPE:
    case PARLEY_EMISSING:
    case PARLEY_ETIMEOUT:
    case PARLEY_ECLOSING:
        return EXIT_BUG;
    }
    return EXIT_BUG;
}

/* Logs why the start ends here and passes the error on. */
static parley_err refuse(const struct daemon *d, parley_err err, const char *step,
                         const struct parley_diag *diag)
{
    log_event(&d->log, LOG_LEVEL_ERROR, "start-failed", { "step", step },
              { "error", parley_err_name(err) },
              { "detail", diag->text[0] != '\0' ? diag->text : parley_err_text(err) });
    return err;
}

/* ---- Notes of the driver ---- */

static enum log_level note_level(enum pl_uv_note_kind kind)
{
    switch (kind) {
    case PL_UV_NOTE_COMMIT_FAILED:
    case PL_UV_NOTE_RECOVER_FAILED:
        return LOG_LEVEL_ERROR;
    case PL_UV_NOTE_ACCEPT_FAILED:
    case PL_UV_NOTE_RECOVERED:
    case PL_UV_NOTE_MAINTAIN_FAILED:
    case PL_UV_NOTE_STOP_FORCED:
        return LOG_LEVEL_WARN;
    case PL_UV_NOTE_DIAL_FAILED:
        return LOG_LEVEL_DEBUG;
    }
    return LOG_LEVEL_ERROR;
}

static const char *note_event(enum pl_uv_note_kind kind)
{
    switch (kind) {
    case PL_UV_NOTE_ACCEPT_FAILED:
        return "accept-failed";
    case PL_UV_NOTE_DIAL_FAILED:
        return "dial-failed";
    case PL_UV_NOTE_COMMIT_FAILED:
        return "commit-failed";
    case PL_UV_NOTE_RECOVERED:
        return "store-recovered";
    case PL_UV_NOTE_RECOVER_FAILED:
        return "store-recover-failed";
    case PL_UV_NOTE_MAINTAIN_FAILED:
        return "maintain-failed";
    case PL_UV_NOTE_STOP_FORCED:
        return "stop-forced";
    }
    return "note";
}

static void on_note(void *ud, const struct pl_uv_note *note)
{
    struct daemon *d = ud;
    const char *error = note->err == PARLEY_OK ? NULL : parley_err_name(note->err);
    const char *detail = note->text;
    if (detail == NULL && note->err != PARLEY_OK)
        detail = parley_err_text(note->err);
    log_event(&d->log, note_level(note->kind), note_event(note->kind), { "address", note->address },
              { "error", error }, { "detail", detail });
}

/* ---- Events of the node ---- */

static enum log_level trace_level(enum parley_trace_level level)
{
    switch (level) {
    case PARLEY_TRACE_ERROR:
        return LOG_LEVEL_ERROR;
    case PARLEY_TRACE_WARN:
        return LOG_LEVEL_WARN;
    case PARLEY_TRACE_INFO:
        return LOG_LEVEL_INFO;
    }
    return LOG_LEVEL_ERROR;
}

/* The value of a pair, or NULL to leave it out. */
static const char *trace_text(struct parley_span text, char *out, size_t cap)
{
    size_t len = pl_min_size(text.len, cap - 1);
    if (len == 0)
        return NULL;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
    return out;
}

/* The operator has set another level. It is said in whichever of both levels says more. */
static void take_level(struct daemon *d, const char *name, const char *level)
{
    enum log_level next = (enum log_level)(pl_node_log_level(d->node) - PL_LOG_ERROR);
    d->log.level = next > d->log.level ? next : d->log.level;
    log_event(&d->log, LOG_LEVEL_INFO, name, { "note", level });
    d->log.level = next;
}

static void on_trace(void *ud, const struct parley_trace *event)
{
    struct daemon *d = ud;
    char peer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char note[256];
    char count[24];
    const char *peer_text = trace_text(event->peer, peer, sizeof peer);
    const char *note_text = trace_text(event->note, note, sizeof note);
    if (event->kind == PARLEY_TRACE_LOG_LEVEL_EVENT) {
        take_level(d, event->name, note_text);
        return;
    }
    snprintf(count, sizeof count, "%llu", (unsigned long long)event->count);
    log_event(&d->log, trace_level(event->level), event->name, { "peer", peer_text },
              { "note", note_text }, { "count", event->count == 0 ? NULL : count });
}

_Static_assert((int)PL_LOG_ERROR - 1 == (int)LOG_LEVEL_ERROR &&
                   (int)PL_LOG_DEBUG - 1 == (int)LOG_LEVEL_DEBUG,
               "both count levels in one order");

/* ---- Steps of the start ---- */

/* ---- Memory and the store, within the profile ---- */

static void *on_alloc(void *ud, size_t size)
{
    struct daemon *d = ud;
    return profile_alloc(&d->memory, size);
}

static void on_release(void *ud, void *ptr, size_t size)
{
    struct daemon *d = ud;
    profile_release(&d->memory, ptr, size);
}

static parley_err on_store_open(void *ud, const char *name, struct parley_store **out,
                                struct parley_diag *diag)
{
    const struct daemon *d = ud;
    return profile_store_open(d->config->set.profile, name, out, diag);
}

/* The store must never get the number 0, 1 or 2: a stray line of output would be written into it.
 * */
static bool open_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    }
    return true;
}

static parley_err open_store(struct daemon *d, struct parley_diag *diag)
{
    bool renewed = false;
    struct parley_db_options options = { .name = d->config->set.data_dir };
    PL_TRY(tool_check_owner(d->config->set.data_dir, diag));
    parley_err err = parley_db_open(&d->env, &options, &d->db, &renewed, diag);
    if (err == PARLEY_ENOENT) /* No such parent directory: not the exit code of a lost key. */
        return PARLEY_EIO;
    if (err != PARLEY_OK)
        return err;
    parley_db_set_reserve(d->db, d->config->set.reserve_bytes);
    if (renewed)
        log_event(&d->log, LOG_LEVEL_INFO, "new-incarnation", { "data", d->config->set.data_dir });
    return PARLEY_OK;
}

static parley_err open_identity(struct daemon *d, struct parley_diag *diag)
{
    struct tool_identity_options options = {
        .data_dir = d->config->set.data_dir,
        .seal_key_file = d->config->set.seal_key_file,
        .passphrase_file = d->config->set.passphrase_file,
        .key_bits = d->config->set.key_bits,
        .type = d->config->set.type_given ? &d->config->set.type : NULL,
    };
    PL_TRY(tool_identity_load(&d->env, d->db, &options, pl_uv_wall_now(), &d->identity, diag));
    if (d->identity.is_new)
        log_event(&d->log, LOG_LEVEL_INFO,
                  d->identity.is_imported ? "identity-imported" : "identity-created",
                  { "backend_id", d->identity.backend_id });
    return PARLEY_OK;
}

static parley_err open_https(struct daemon *d, struct parley_diag *diag)
{
    if (d->config->set.tls_cert == NULL)
        return PARLEY_OK;
    return https_open(&d->env, d->config->set.tls_cert, d->config->set.tls_key, pl_uv_wall_now(),
                      &d->https, diag);
}

/* Every address that is served, as it was asked for. */
static size_t listen_names(const struct config *config, const char *names[PL_UV_LISTENS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < config->activation.count; i++)
        names[count++] = config->activation.addresses[i];
    for (size_t i = 0; i < config->set.listen_count; i++)
        names[count++] = config->set.listen[i];
    return count;
}

static parley_err open_node(struct daemon *d, struct parley_diag *diag)
{
    const char *names[PL_UV_LISTENS_MAX];
    size_t name_count = listen_names(d->config, names);
    const struct profile *profile = d->config->set.profile;
    struct pl_node_options options = { .type = d->identity.type,
                                       .compat_legacy = d->config->set.compat_legacy,
                                       .plain_peers = d->config->set.plain_peers,
                                       .no_zstd = d->config->set.no_zstd,
                                       .tombstone_grace_us = d->config->set.tombstone_grace_us,
                                       .advertise = d->config->set.advertise,
                                       .version = PARLEY_VERSION,
                                       .tls_names = names,
                                       .tls_name_count = name_count,
                                       .origins = d->config->set.origins,
                                       .origin_count = d->config->set.origin_count,
                                       .peer_rate = d->config->set.peer_rate,
                                       .stranger_rate = d->config->set.stranger_rate,
                                       .conns_max = profile->conns_max,
                                       .batch_writes_max = profile->batch_writes_max,
                                       .batch_bytes_max = profile->batch_bytes_max,
                                       .https = d->https };
    PL_TRY(
        tool_admin_token_load(&d->env, d->config->set.data_dir, true, options.admin_token, diag));
    parley_err err =
        pl_node_open(&d->env, &options, d->db, d->identity.key, pl_uv_now(), &d->node, diag);
    pl_wipe(options.admin_token, sizeof options.admin_token);
    if (err != PARLEY_OK)
        return err;
    d->identity.key = NULL;
    profile_bound(&d->memory, profile);
    pl_node_set_log_level(d->node, (enum pl_log_level)(PL_LOG_ERROR + d->log.level));
    return PARLEY_OK;
}

/* On a thread of libuv's pool. The seal key and the facts of the identity do not change. */
static parley_err on_make_key(void *ud, unsigned bits, struct pl_identity **out,
                              uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX], size_t *len)
{
    const struct daemon *d = ud;
    return tool_identity_make(&d->env, &d->identity, bits, out, record, len);
}

static void on_stopped(void *ud)
{
    struct daemon *d = ud;
    for (size_t i = 0; i < PL_ARRAY_LEN(d->signals); i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    d->signals_open = false;
    if (d->watchdog_open)
        uv_close((uv_handle_t *)&d->watchdog, NULL);
    d->watchdog_open = false;
    /* A name look-up may still run; nobody waits for it. */
    uv_stop(&d->loop);
}

static parley_err open_sockets(struct daemon *d, struct parley_diag *diag)
{
    struct pl_uv_options options = { .node = d->node,
                                     .db = d->db,
                                     .ud = d,
                                     .note = on_note,
                                     .make_key = on_make_key,
                                     .stopped = on_stopped };
    PL_TRY(pl_uv_open(&d->loop, &options, &d->uv, diag));
    const struct activation *taken = &d->config->activation;
    for (size_t i = 0; i < taken->count + d->config->set.listen_count; i++) {
        parley_err err = i < taken->count
                             ? pl_uv_listen_take(d->uv, taken->fds[i], taken->addresses[i], diag)
                             : pl_uv_listen(d->uv, d->config->set.listen[i - taken->count], diag);
        if (err != PARLEY_OK)
            return err == PARLEY_EACCESS ? err : PARLEY_EBUSY;
    }
    if (d->config->set.advertise == NULL || d->config->set.advertise[0] == '\0')
        pl_node_set_advertise(d->node, pl_uv_listen_address(d->uv, 0));
    return PARLEY_OK;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;
    if (number == SIGHUP) {
        daemon_reload(d);
        return;
    }
    log_event(&d->log, LOG_LEVEL_INFO, "stopping",
              { "signal", number == SIGTERM ? "SIGTERM" : "SIGINT" });
    ready_notify("STOPPING=1");
    pl_uv_stop(d->uv);
}

static void open_signals(struct daemon *d)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    _Static_assert(PL_ARRAY_LEN(numbers) == PL_ARRAY_LEN(((struct daemon *)0)->signals),
                   "a handle for each");
    for (size_t i = 0; i < PL_ARRAY_LEN(numbers); i++) {
        d->signals[i].data = d;
        if (uv_signal_init(&d->loop, &d->signals[i]) != 0 ||
            uv_signal_start(&d->signals[i], on_signal, numbers[i]) != 0)
            parley_panic(__FILE__, __LINE__, "signals cannot be watched");
    }
    d->signals_open = true;
}

/* From the loop itself: a loop that stands still, or turns without an end in one callback, is what
 * the service manager has to hear nothing of. */
static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    ready_notify("WATCHDOG=1");
}

static void open_watchdog(struct daemon *d)
{
    uint64_t every_ms = ready_watchdog_ms();
    if (every_ms == 0)
        return;
    if (uv_timer_init(&d->loop, &d->watchdog) != 0 ||
        uv_timer_start(&d->watchdog, on_watchdog, every_ms, every_ms) != 0)
        parley_panic(__FILE__, __LINE__, "the timer of the watchdog cannot be set");
    d->watchdog_open = true;
}

static parley_err start(struct daemon *d)
{
    struct parley_diag diag = { "" };
    parley_err err = open_store(d, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "store", &diag);
    err = open_identity(d, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "identity", &diag);
    err = open_https(d, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "https", &diag);
    err = open_node(d, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "node", &diag);
    err = open_sockets(d, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "listen", &diag);
    return PARLEY_OK;
}

static parley_err announce(struct daemon *d)
{
    struct parley_diag diag = { "" };
    struct ready_facts facts = daemon_facts(d);
    parley_err err = ready_write_run_file(&facts, &diag);
    if (err != PARLEY_OK)
        return refuse(d, err, "run_file", &diag);
    for (size_t i = 0; i < pl_uv_listen_count(d->uv); i++)
        log_event(&d->log, LOG_LEVEL_INFO, "listening",
                  { "address", pl_uv_listen_address(d->uv, i) });
    if (d->config->set.compat_legacy)
        log_event(&d->log, LOG_LEVEL_WARN, "compat-legacy",
                  { "detail", "old clients may sync with tokens that prove nothing" });
    if (d->config->set.plain_peers)
        log_event(&d->log, LOG_LEVEL_WARN, "plain-peers",
                  { "detail", "peers and tokens cross the network in the clear" });
    log_event(&d->log, LOG_LEVEL_INFO, "ready", { "backend_id", facts.backend_id },
              { "version", PARLEY_VERSION }, { "data", d->config->set.data_dir });
    ready_print(&facts);
    ready_notify("READY=1");
    return PARLEY_OK;
}

/* ---- Running ---- */

static parley_err run(struct daemon *d)
{
    open_signals(d);
    open_watchdog(d);
    pl_uv_start(d->uv);
    parley_err err = announce(d);
    if (err != PARLEY_OK)
        pl_uv_stop(d->uv);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    ready_remove_run_file(d->config->set.data_dir);
    return err;
}

/* Returns false when a name look-up still holds the loop: its memory then stays until the exit. */
static bool finish(struct daemon *d)
{
    /* What the stop closed is given back to its owners in the next turns. */
    for (int i = 0; i < 3; i++)
        uv_run(&d->loop, UV_RUN_NOWAIT);
    pl_uv_free(d->uv);
    bool clean = uv_loop_close(&d->loop) == 0;
    if (d->node != NULL)
        pl_node_free(d->node);
    pl_https_cert_close(d->https);
    for (size_t i = 0; i < d->old_https_count; i++)
        pl_https_cert_close(d->old_https[i]);
    pl_identity_destroy(d->identity.key);
    tool_identity_wipe(&d->identity);
    if (d->db != NULL)
        parley_db_close(d->db);
    return clean;
}

static int serve(struct daemon *d)
{
    if (uv_loop_init(&d->loop) != 0) {
        log_event(&d->log, LOG_LEVEL_ERROR, "start-failed", { "step", "loop" });
        return EXIT_OS;
    }
    parley_err err = start(d);
    if (err == PARLEY_OK)
        err = run(d);
    bool clean = finish(d);
    if (err == PARLEY_OK)
        log_event(&d->log, LOG_LEVEL_INFO, "stopped", { "data", d->config->set.data_dir });
    if (!clean) {
        /* exit() would wait for libuv's threads, and so for that look-up. */
        fflush(NULL);
        _exit((int)exit_code_of(err));
    }
    return (int)exit_code_of(err);
}

/* ---- The command line ---- */

static void print_errors(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "parleyd: %s\n", errors->text[i]);
    if (errors->left_out != 0)
        fprintf(stderr, "parleyd: and %zu more\n", errors->left_out);
}

static int check(const struct config *config)
{
    if (daemon_check_files(&config->set, stderr) != 0)
        return EXIT_FLAGS;
    puts("parleyd: the configuration is good");
    return EXIT_OK;
}

static int act(struct daemon *d, enum config_action action)
{
    switch (action) {
    case CONFIG_HELP:
        config_help(stdout);
        return EXIT_OK;
    case CONFIG_LIST:
        config_list(stdout);
        return EXIT_OK;
    case CONFIG_VERSION:
        puts("parleyd " PARLEY_VERSION);
        return EXIT_OK;
    case CONFIG_PRINT:
        config_print(d->config, stdout);
        return EXIT_OK;
    case CONFIG_CHECK:
        return check(d->config);
    case CONFIG_RUN:
        break;
    }
    d->log = (struct log_sink){ .fd = 2,
                                .level = d->config->set.log_level,
                                .format = d->config->set.log_format };
    signal(SIGPIPE, SIG_IGN);
    parley_env_posix(&d->env);
    d->env.ud = d;
    d->env.trace = on_trace;
    d->env.alloc = on_alloc;
    d->env.release = on_release;
    d->env.store_open = on_store_open;
    if (d->config->set.profile->pool_threads != NULL)
        setenv("UV_THREADPOOL_SIZE", d->config->set.profile->pool_threads, 1);
    return serve(d);
}

static int configure(struct daemon *d, enum config_action *action)
{
    struct config_errors *errors = calloc(1, sizeof *errors);
    if (errors == NULL)
        return EXIT_OS;
    parley_err err = config_load(d->argc, d->argv, &d->config, action, errors);
    print_errors(errors);
    free(errors);
    return err == PARLEY_OK ? EXIT_OK : err == PARLEY_ENOMEM ? EXIT_OS : EXIT_FLAGS;
}

int main(int argc, char **argv)
{
    enum config_action action;
    umask(077);
    if (!open_standard_files())
        return EXIT_OS;
    struct daemon *d = calloc(1, sizeof *d);
    if (d == NULL)
        return EXIT_OS;
    d->read_at = pl_uv_wall_now();
    d->argc = argc;
    d->argv = argv;
    int code = configure(d, &action);
    if (code == EXIT_OK)
        code = act(d, action);
    config_free(d->live);
    config_free(d->config);
    free(d);
    return code;
}
