/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator asked for: flags to a struct, every mistake with a sentence.
 */
#ifndef PARLEYD_CONFIG_H
#define PARLEYD_CONFIG_H

#include "parleyd/log.h"
#include "trust/identity.h"
#include "uv/uv_node.h"

#define CONFIG_LISTEN_DEFAULT "127.0.0.1:8825"
#define CONFIG_ORIGINS_MAX    16
/* Requests a second: a client at work needs some, and one that has gone wild makes thousands. */
#define CONFIG_PEER_RATE     500
#define CONFIG_STRANGER_RATE 100

struct config {
    const char *data_dir;
    const char *listen[PL_UV_LISTENS_MAX];
    size_t listen_count;
    bool type_given;
    enum pl_backend_type type;
    bool compat_legacy;
    bool force_compat_legacy;
    bool plain_peers;
    bool no_zstd;
    bool json_ready;
    const char *advertise;       /* NULL: none */
    const char *seal_key_file;   /* NULL: DATA/seal.key */
    const char *passphrase_file; /* NULL: none */
    unsigned key_bits;           /* 0: not given */
    int64_t tombstone_grace_us;  /* as pl_node_options has it */
    uint64_t reserve_bytes;      /* kept back for deletions */
    const char *tls_cert;        /* PEM file for HTTPS; NULL: the node's own certificate */
    const char *tls_key;         /* with it */
    const char *origins[CONFIG_ORIGINS_MAX];
    size_t origin_count;
    uint32_t peer_rate, stranger_rate; /* as pl_node_options has them */
    enum log_level log_level;
};

enum config_action { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

/* Ownership: the struct borrows from argv. Errors: EINVAL; `diag` says. */
PL_MUST_USE parley_err config_parse(int argc, char **argv, struct config *out,
                                    enum config_action *action, struct parley_diag *diag);
/* The text of --help, static. */
const char *config_help(void);

#endif
