/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire without a daemon: a whole node in this process, driven like the simulator does it. No
 * socket, no thread: commits are applied where they are asked for. It speaks to no peer; every dial
 * fails at once.
 */
#define _GNU_SOURCE 1
#include "parley/wire.h"

#include "core/hash.h"
#include "lib/identity_store.h"
#include "node/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define READ_BYTES_MAX (1u << 20)
/* Between two deadlines of the node; longer ones than this do not occur while a request runs. */
#define WAIT_NS_MAX    (100 * PARLEY_NS_PER_MS)
#define IDLE_TURNS_MAX 6000

struct wire_local {
    struct wire head;
    struct parley_env env;
    struct parley_db *db;
    struct pl_node *node;
    struct tool_identity identity; /* its key is the node's */
    pl_conn conn;
    bool closed;
};

/* ---- Effects ---- */

static void commit(struct wire_local *local, const struct pl_effect *effect)
{
    bool changed = false;
    bool recovered = false;
    parley_err err = parley_db_apply(local->db, effect->writes, effect->count,
                                     parley_now_posix().wall, &changed);
    if (err == PARLEY_EIO)
        recovered = parley_db_recover(local->db) == PARLEY_OK;
    pl_node_committed(local->node, err, recovered, changed, parley_now_posix());
}

static void make_key(struct wire_local *local, unsigned bits)
{
    struct pl_identity *key = NULL;
    uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX];
    size_t len = 0;
    parley_err err = tool_identity_make(&local->env, &local->identity, bits, &key, record, &len);
    pl_node_key_made(local->node, key, pl_span_of(record, len), err, parley_now_posix());
}

static void carry_out(struct wire_local *local, const struct pl_effect *effect)
{
    size_t count = 0;
    switch (effect->kind) {
    case PL_EFFECT_DIAL:
        pl_node_dialed(local->node, effect->conn, false, false, "parleyd is not running",
                       parley_now_posix());
        return;
    case PL_EFFECT_CLOSE:
        if (effect->conn == local->conn)
            local->closed = true;
        pl_node_closed(local->node, effect->conn, parley_now_posix());
        return;
    case PL_EFFECT_COMMIT:
        commit(local, effect);
        return;
    case PL_EFFECT_MAINTAIN:
        if (parley_db_maintain(local->db, parley_now_posix().wall, &count) != PARLEY_OK)
            pl_ignore(PARLEY_EIO, "the next commit meets the same trouble and reports it");
        return;
    case PL_EFFECT_NEW_KEY:
        make_key(local, effect->bits);
        return;
    case PL_EFFECT_WRITE:
    case PL_EFFECT_READ:
        return; /* move_bytes looks at both ways anyway */
    }
}

static void drain_effects(struct wire_local *local)
{
    struct pl_effect effect;
    while (pl_node_take_effect(local->node, &effect))
        carry_out(local, &effect);
}

/* ---- Moving bytes ---- */

static size_t feed(struct wire_local *local, struct parley_span out)
{
    size_t room = 0;
    uint8_t *at = out.len == 0 ? NULL : pl_node_recv_buf(local->node, local->conn, &room);
    size_t len = at == NULL ? 0 : pl_min_size(room, out.len);
    if (len == 0)
        return 0;
    memcpy(at, out.ptr, len);
    pl_node_recv_ack(local->node, local->conn, len, parley_now_posix());
    return len;
}

static size_t drain(struct wire_local *local, struct buf *in)
{
    size_t len = 0;
    const uint8_t *at = pl_node_send_buf(local->node, local->conn, &len);
    if (at == NULL || len == 0)
        return 0;
    len = pl_min_size(len, READ_BYTES_MAX);
    buf_add(in, at, len);
    pl_node_send_ack(local->node, local->conn, len, parley_now_posix());
    return len;
}

static void pass_time(struct wire_local *local)
{
    parley_time at = pl_node_deadline(local->node);
    parley_time now = parley_now_posix().mono;
    if (at > now) {
        parley_time wait = pl_min_u64(at - now, WAIT_NS_MAX);
        struct timespec pause = { .tv_nsec = (long)wait };
        nanosleep(&pause, NULL);
    }
    pl_node_tick(local->node, parley_now_posix());
}

static parley_err local_move(struct wire *wire, struct parley_span out, size_t *sent,
                             struct buf *in)
{
    struct wire_local *local = PL_CONTAINER_OF(wire, struct wire_local, head);
    *sent = 0;
    for (int i = 0; i < IDLE_TURNS_MAX; i++) {
        drain_effects(local);
        if (local->closed)
            return PARLEY_ECLOSING;
        size_t fed = feed(local, pl_span_after(out, *sent));
        *sent += fed;
        drain_effects(local);
        size_t drained = local->closed ? 0 : drain(local, in);
        if (drained != 0 || (*sent != 0 && *sent == out.len))
            return PARLEY_OK;
        if (fed == 0 && *sent != 0)
            return PARLEY_OK;
        if (fed == 0)
            pass_time(local);
    }
    return PARLEY_ETIMEOUT;
}

static void local_close(struct wire *wire)
{
    struct wire_local *local = PL_CONTAINER_OF(wire, struct wire_local, head);
    if (local->node != NULL) {
        pl_node_stop(local->node, parley_now_posix());
        drain_effects(local);
        if (local->conn != 0 && !local->closed)
            pl_node_closed(local->node, local->conn, parley_now_posix());
        drain_effects(local);
        pl_node_free(local->node);
    }
    if (local->db != NULL)
        parley_db_close(local->db);
    tool_identity_wipe(&local->identity);
    pl_wipe(local->head.token, sizeof local->head.token);
    free(local);
}

/* ---- Opening ---- */

static const struct wire_ops local_ops = { .move = local_move, .close = local_close };

/* Opening would make a store; a command must not do that by accident. */
static parley_err check_exists(const char *data_dir, struct parley_diag *diag)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    PL_TRY(tool_path_join(data_dir, "store", path, diag));
    if (stat(path, &st) == 0)
        return PARLEY_OK;
    if (errno == EACCES)
        return tool_fail(diag, PARLEY_EACCESS, "%.180s: %s", path, strerror(errno));
    return tool_fail(diag, PARLEY_ENOENT,
                     "there is no parley data in %.100s; make it with: parleyd --data %.60s",
                     data_dir, data_dir);
}

static parley_err open_parts(struct wire_local *local, const struct wire_secrets *secrets,
                             const char *data_dir, struct parley_diag *diag)
{
    struct parley_db_options db_options = { .name = data_dir };
    struct tool_identity_options identity_options = { .data_dir = data_dir,
                                                      .seal_key_file = secrets->seal_key_file,
                                                      .passphrase_file = secrets->passphrase_file,
                                                      .must_exist = true };
    struct pl_node_options options = { .version = PARLEY_VERSION };
    bool renewed = false;
    PL_TRY(parley_db_open(&local->env, &db_options, &local->db, &renewed, diag));
    PL_TRY(tool_identity_load(&local->env, local->db, &identity_options, parley_now_posix().wall,
                              &local->identity, diag));
    options.type = local->identity.type;
    /* Nobody else can reach this node, so its operator's token is made for the occasion. */
    local->env.entropy(local->env.ud, options.admin_token, sizeof options.admin_token);
    pl_hex_encode(options.admin_token, sizeof options.admin_token, local->head.token);
    local->head.token[64] = '\0';
    parley_err err = pl_node_open(&local->env, &options, local->db, local->identity.key,
                                  parley_now_posix(), &local->node, diag);
    pl_wipe(options.admin_token, sizeof options.admin_token);
    if (err != PARLEY_OK) {
        pl_identity_destroy(local->identity.key);
        return err;
    }
    local->conn =
        pl_node_accepted(local->node, &(struct pl_remote){ .local = true }, parley_now_posix());
    return local->conn != 0 ? PARLEY_OK : PARLEY_EFULL;
}

parley_err wire_local_open(const char *data_dir, const struct wire_secrets *secrets,
                           struct wire **out, struct parley_diag *diag)
{
    PL_TRY(check_exists(data_dir, diag));
    struct wire_local *local = calloc(1, sizeof *local);
    if (local == NULL)
        return tool_fail(diag, PARLEY_ENOMEM, "out of memory");
    local->head.ops = &local_ops;
    local->head.is_local = true;
    snprintf(local->head.host, sizeof local->head.host, "localhost");
    parley_env_posix(&local->env);
    parley_err err = open_parts(local, secrets, data_dir, diag);
    if (err != PARLEY_OK) {
        local_close(&local->head);
        return err;
    }
    *out = &local->head;
    return PARLEY_OK;
}
