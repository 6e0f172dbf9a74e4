/* SPDX-License-Identifier: Apache-2.0
 *
 * How the world learns that the daemon is up: the run file, one line on stdout, systemd.
 */
#ifndef PARLEYD_READY_H
#define PARLEYD_READY_H

#include "lib/file.h"
#include "parleyd/settings.h"
#include "uv/uv_node.h"

struct ready_facts {
    const char *data_dir;
    const char *backend_id;
    const struct pl_uv *uv; /* its bound addresses */
    bool json;              /* the line on stdout */
    /* For the run file, where `parley doctor` reads them. */
    const struct settings *set;
    const char *config;  /* the configuration file; NULL: none */
    parley_wall read_at; /* when that was read */
    parley_wall until;   /* of the operator's certificate; 0: none */
};

/* Writes DIR/parleyd.run, atomically: {"pid", "version", "backend_id", "addresses"}, and how the
 * daemon was started. */
PL_MUST_USE parley_err ready_write_run_file(const struct ready_facts *facts,
                                            struct parley_diag *diag);
void ready_remove_run_file(const char *data_dir);
/* Prints exactly one line and flushes it. */
void ready_print(const struct ready_facts *facts);
/* Tells the service manager, if there is one: "READY=1", "STOPPING=1". */
void ready_notify(const char *state);
/* How often the service manager wants "WATCHDOG=1" from this process, in milliseconds: twice in
 * the time after which it gives up. 0: never. */
uint64_t ready_watchdog_ms(void);

#endif
