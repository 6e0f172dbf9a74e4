/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP. Everything is read and checked before anything is changed, so that a mistake in a file
 * leaves a daemon that runs as before.
 */
#define _GNU_SOURCE 1
#include "parleyd/daemon.h"

#include "uv/uv_time.h"

#include <stdlib.h>
#include <unistd.h>

static const struct config *live_config(const struct daemon *d)
{
    return d->live != NULL ? d->live : d->config;
}

struct ready_facts daemon_facts(const struct daemon *d)
{
    const struct config *config = live_config(d);
    int64_t until = d->https != NULL ? pl_https_cert_not_after(d->https) : 0;
    return (struct ready_facts){
        .data_dir = d->config->set.data_dir,
        .backend_id = pl_node_backend_id(d->node),
        .uv = d->uv,
        .json = d->config->set.json_ready,
        .set = &config->set,
        .config = config->file,
        .read_at = d->read_at,
        .until = until * PARLEY_US_PER_S,
    };
}

/* ---- Certificates ---- */

/* A connection may still be in the handshake that began with an old one. */
static void free_old_certs(struct daemon *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->old_https_count; i++) {
        if (pl_node_uses_https(d->node, d->old_https[i]))
            d->old_https[kept++] = d->old_https[i];
        else
            pl_https_cert_close(d->old_https[i]);
    }
    d->old_https_count = kept;
}

static void replace_cert(struct daemon *d, struct pl_https_cert *cert)
{
    if (d->https != NULL)
        d->old_https[d->old_https_count++] = d->https;
    d->https = cert;
    pl_node_set_https(d->node, cert);
    free_old_certs(d);
}

static parley_err read_cert(struct daemon *d, const struct settings *set,
                            struct pl_https_cert **out, struct parley_diag *diag)
{
    *out = NULL;
    free_old_certs(d);
    if (d->https != NULL && d->old_https_count == DAEMON_OLD_CERTS_MAX)
        return tool_fail(diag, PARLEY_EFULL,
                         "connections still use %d older certificates; try again when they have "
                         "ended, or restart",
                         DAEMON_OLD_CERTS_MAX);
    if (set->tls_cert == NULL)
        return PARLEY_OK;
    return https_open(&d->env, set->tls_cert, set->tls_key, pl_uv_wall_now(), out, diag);
}

/* ---- Settings ---- */

static void log_change(const struct daemon *d, const struct config *next, enum setting_id id,
                       bool needs_restart)
{
    const struct config_values *values = &next->values[id];
    char text[512] = "";
    struct pl_writer w = pl_writer_over(text, sizeof text - 1);
    for (size_t i = 0; i < values->count; i++) {
        pl_write_text(&w, i != 0 ? " " : "");
        pl_write_text(&w, values->text[i]);
    }
    text[w.len] = '\0';
    if (needs_restart)
        log_event(&d->log, LOG_LEVEL_WARN, "restart-needed", { "setting", setting_at(id)->name },
                  { "value", text },
                  { "detail", "this setting is read at the start; restart parleyd to change it" });
    else
        log_event(&d->log, LOG_LEVEL_INFO, "setting-changed", { "setting", setting_at(id)->name },
                  { "value", text });
}

static size_t log_changes(const struct daemon *d, const struct config *next)
{
    size_t count = 0;
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        bool is_live = setting_at(id)->is_live;
        const struct config *before = is_live ? live_config(d) : d->config;
        if (config_is_same(before, next, id))
            continue;
        log_change(d, next, id, !is_live);
        count += is_live;
    }
    return count;
}

static void apply(struct daemon *d, struct config *next, struct pl_https_cert *cert)
{
    const struct settings *set = &next->set;
    char count[24];
    /* Said in the old format, and in the new level when that says more. */
    enum log_level level = set->log_level;
    d->log.level = level > d->log.level ? level : d->log.level;
    snprintf(count, sizeof count, "%zu", log_changes(d, next));
    replace_cert(d, cert);
    pl_node_set_rates(d->node, set->peer_rate, set->stranger_rate);
    pl_node_set_origins(d->node, set->origins, set->origin_count);
    pl_node_set_tombstone_grace(d->node, set->tombstone_grace_us);
    config_free(d->live);
    d->live = next;
    struct ready_facts facts = daemon_facts(d);
    pl_ignore(ready_write_run_file(&facts, NULL), "the old one still says where the daemon is");
    log_event(&d->log, LOG_LEVEL_INFO, "reloaded", { "file", next->file }, { "changed", count });
    d->log.level = level;
    d->log.format = set->log_format;
    pl_node_set_log_level(d->node, (enum pl_log_level)(PL_LOG_ERROR + level));
}

static void log_errors(const struct daemon *d, const struct config_errors *errors)
{
    char count[24];
    for (size_t i = 0; i < errors->count; i++)
        log_event(&d->log, LOG_LEVEL_ERROR, "reload-failed", { "detail", errors->text[i] });
    if (errors->left_out == 0)
        return;
    snprintf(count, sizeof count, "%zu", errors->left_out);
    log_event(&d->log, LOG_LEVEL_ERROR, "reload-failed", { "more_errors", count });
}

static void reload(struct daemon *d, struct config_errors *errors)
{
    enum config_action action;
    struct config *next = NULL;
    struct pl_https_cert *cert = NULL;
    struct parley_diag diag = { "" };
    parley_wall now = pl_uv_wall_now();
    if (config_load(d->argc, d->argv, &next, &action, errors) != PARLEY_OK) {
        log_errors(d, errors);
        return;
    }
    parley_err err = read_cert(d, &next->set, &cert, &diag);
    if (err != PARLEY_OK) {
        log_event(&d->log, LOG_LEVEL_ERROR, "reload-failed",
                  { "detail", diag.text[0] != '\0' ? diag.text : parley_err_text(err) });
        config_free(next);
        return;
    }
    d->read_at = now;
    apply(d, next, cert);
}

void daemon_reload(struct daemon *d)
{
    char state[64];
    struct config_errors *errors = malloc(sizeof *errors);
    if (errors == NULL) {
        log_event(&d->log, LOG_LEVEL_ERROR, "reload-failed", { "detail", "out of memory" });
        return;
    }
    /* systemd waits from here, by this clock, for READY=1. */
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)(pl_uv_now().mono / 1000));
    ready_notify(state);
    reload(d, errors);
    ready_notify("READY=1");
    free(errors);
}

/* ---- --check-config ---- */

static size_t say(FILE *err, parley_err code, const struct parley_diag *diag)
{
    if (code == PARLEY_OK)
        return 0;
    fprintf(err, "parleyd: %s\n", diag->text[0] != '\0' ? diag->text : parley_err_text(code));
    return 1;
}

size_t daemon_check_files(const struct settings *set, FILE *err)
{
    struct parley_env env;
    struct pl_https_cert *cert = NULL;
    struct tool_secret secret;
    struct parley_diag diag = { "" };
    size_t count = 0;
    parley_env_posix(&env);
    if (set->tls_cert != NULL) {
        parley_err code =
            https_open(&env, set->tls_cert, set->tls_key, pl_uv_wall_now(), &cert, &diag);
        count += say(err, code, &diag);
        pl_https_cert_close(cert);
    }
    if (set->passphrase_file != NULL) {
        diag = (struct parley_diag){ "" };
        count += say(err, tool_secret_load_passphrase(set->passphrase_file, &secret, &diag), &diag);
        tool_secret_wipe(&secret);
    }
    /* One that is missing is made at the first start. */
    if (set->seal_key_file != NULL && access(set->seal_key_file, F_OK) == 0) {
        diag = (struct parley_diag){ "" };
        count +=
            say(err, tool_secret_load_key(&env, set->seal_key_file, false, &secret, &diag), &diag);
        tool_secret_wipe(&secret);
    }
    return count;
}
