/* SPDX-License-Identifier: Apache-2.0
 *
 * What main.c starts and stops, and reload.c changes meanwhile. The thread of the loop, for all of
 * it.
 */
#ifndef PARLEYD_DAEMON_H
#define PARLEYD_DAEMON_H

#include "lib/identity_store.h"
#include "parleyd/config.h"
#include "parleyd/https.h"
#include "parleyd/ready.h"

#include <uv.h>

/* Certificates that were replaced while connections still use them. */
#define DAEMON_OLD_CERTS_MAX 8

struct daemon {
    int argc;
    char **argv;
    struct config *config; /* of the start; what a restart changes is taken from here */
    struct config *live;   /* of the last reload; NULL: none yet */
    parley_wall read_at;   /* when the last of them was read */
    struct log_sink log;
    struct parley_env env;
    struct profile_memory memory; /* of env, counted */
    struct parley_db *db;
    struct tool_identity identity; /* its key is the node's once that is open */
    struct pl_https_cert *https;   /* NULL: none */
    struct pl_https_cert *old_https[DAEMON_OLD_CERTS_MAX];
    size_t old_https_count;
    struct pl_node *node;
    uv_loop_t loop;
    struct pl_uv *uv;
    uv_signal_t signals[3];
    bool signals_open;
    uv_timer_t watchdog;
    bool watchdog_open;
};

/* What the world is told of it. Borrows from `d`. */
struct ready_facts daemon_facts(const struct daemon *d);

/* Reads configuration and certificate again. When something in them is wrong nothing changes, and
 * the log says what; else what can change does, and the log names what needs a restart. */
void daemon_reload(struct daemon *d);
/* Says every mistake in the files that the configuration names: those that a start would meet.
 * Returns how many there are. */
size_t daemon_check_files(const struct settings *set, FILE *err);

#endif
