/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of parleyd: one table, from which the configuration file, the environment, the
 * flags, --help, --print-config and the table of docs/OPERATIONS.md are made.
 *
 * A setting has one name everywhere: "log-level" in the file, --log-level as a flag and
 * PARLEY_LOG_LEVEL in the environment.
 */
#ifndef PARLEYD_SETTINGS_H
#define PARLEYD_SETTINGS_H

#include "parleyd/log.h"
#include "parleyd/profile.h"
#include "trust/identity.h"
#include "uv/uv_node.h"

#define SETTING_NAME_BYTES_MAX 24
/* Values of one list; listening addresses and origins are lists. */
#define SETTING_VALUES_MAX 16

/* In the order of --help. */
enum setting_id {
    SETTING_DATA,
    SETTING_LISTEN,
    SETTING_ADVERTISE,
    SETTING_TYPE,
    SETTING_SEAL_KEY_FILE,
    SETTING_PASSPHRASE_FILE,
    SETTING_KEY_BITS,
    SETTING_TLS_CERT,
    SETTING_TLS_KEY,
    SETTING_TOMBSTONE_GRACE,
    SETTING_RESERVE,
    SETTING_PROFILE,
    SETTING_PLAIN_PEERS,
    SETTING_NO_ZSTD,
    SETTING_CORS_ORIGIN,
    SETTING_RATE,
    SETTING_COMPAT_LEGACY,
    SETTING_FORCE_COMPAT_LEGACY,
    SETTING_LOG_LEVEL,
    SETTING_LOG_FORMAT,
    SETTING_JSON_READY,
    SETTING_COUNT
};

/* What the operator asked for, typed. Texts are borrowed from whoever keeps the values. */
struct settings {
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
    const char *origins[SETTING_VALUES_MAX];
    size_t origin_count;
    uint32_t peer_rate, stranger_rate; /* as pl_node_options has them */
    const struct profile *profile;
    enum log_level log_level;
    enum log_format log_format;
};

struct setting {
    const char *name;
    const char *arg;      /* what its value is called in --help; "" for a switch */
    const char *allowed;  /* for people: the values that are allowed */
    const char *fallback; /* the value when nobody says; NULL: none */
    bool is_list;         /* may be given more than once */
    bool is_live;         /* SIGHUP applies a change */
    const char *help;
    /* Checks one value and puts it into `out`. Errors: EINVAL; `diag` says why, without the name.
     */
    parley_err (*apply)(struct settings *out, const char *text, struct parley_diag *diag);
};

/* Lent for ever. */
const struct setting *setting_at(enum setting_id id);
/* False: there is none of that name. */
bool setting_find(const char *name, enum setting_id *out);
/* The setting whose name is most like `name`; NULL when none is. */
const struct setting *setting_nearest(const char *name);
/* The variable of the environment: "PARLEY_LOG_LEVEL". */
#define SETTING_VARIABLE_BYTES_MAX (SETTING_NAME_BYTES_MAX + 8)
void setting_variable(const struct setting *setting, char out[SETTING_VARIABLE_BYTES_MAX]);

#endif
