/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens inside, as typed events. Pure code emits them and never formats text; a host's sink
 * (env->trace) turns them into log lines, counters or a test's transcript. Never a key, a token or
 * what people wrote.
 *
 * Levels: error: somebody must act; warn: degraded, heals itself; info: a state changed.
 */
#ifndef PARLEY_TRACE_H
#define PARLEY_TRACE_H

#include <stdint.h>

#include <parley/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum parley_trace_level { PARLEY_TRACE_ERROR = 1, PARLEY_TRACE_WARN = 2, PARLEY_TRACE_INFO = 3 };

/* number, name, level. `peer` is the backend id it is about (may be empty), `note` a short reason
 * (may be empty), `count` as the comment says. */
#define PARLEY_TRACE_TABLE(X)                                                                      \
    X(1, PEER_REGISTERED, INFO, "peer-registered") /* note: pending, or how */                     \
    X(2, PEER_APPROVED, INFO, "peer-approved")                                                     \
    X(3, PEER_REVOKED, INFO, "peer-revoked")                                                       \
    X(4, INVITE_CREATED, INFO, "invite-created") /* note: namespace */                             \
    X(5, JOIN_DONE, INFO, "join-done")                                                             \
    X(6, JOIN_FAILED, WARN, "join-failed") /* note: why */                                         \
    X(7, SESSION_OPEN, INFO, "session-open")                                                       \
    X(8, SESSION_CLOSED, INFO, "session-closed")   /* note: why */                                 \
    X(9, SESSION_REFUSED, WARN, "session-refused") /* note: why */                                 \
    X(10, IN_SYNC, INFO, "in-sync")                /* count: versions */                           \
    X(11, DIVERGED, WARN, "diverged")              /* note: what is done about it */               \
    X(12, STORE_REFUSED, ERROR, "store-refused")   /* note: why writes are refused */              \
    X(13, STORE_RECOVERED, INFO, "store-recovered")                                                \
    X(14, CONNECTION_REFUSED, WARN, "connection-refused") /* note: why */                          \
    X(15, LEGACY_PEER, WARN, "legacy-peer")               /* accepted without proof */             \
    X(16, CERTIFICATE, INFO, "certificate") /* note: renewed, or why not; count: its end */        \
    X(17, KEY_ROTATED, INFO, "key-rotated") /* count: which; peer empty: our own */                \
    X(18, KEY_FAILED, ERROR, "key-rotation-failed") /* note: why */                                \
    X(19, COLLECTED, INFO, "collected")             /* note: namespace; count: tombstones */       \
    X(20, REBASE_BEGUN, WARN, "rebase-begun")       /* note: namespace */                          \
    X(21, REBASED, WARN, "rebased")                 /* note: namespace; count: to the trash */     \
    X(22, STORE_DAMAGED, ERROR, "store-damaged")    /* note: the first row; count: rows so far */  \
    X(23, LOG_LEVEL, INFO, "log-level")             /* note: the new one, set by the operator */   \
    X(24, INVITE_WITHDRAWN, INFO, "invite-withdrawn") /* note: namespace */

enum parley_trace_kind {
#define PARLEY_TRACE_ENUM(number, name, level, text) PARLEY_TRACE_##name##_EVENT = number,
    PARLEY_TRACE_TABLE(PARLEY_TRACE_ENUM)
#undef PARLEY_TRACE_ENUM
};

struct parley_trace {
    enum parley_trace_kind kind;
    enum parley_trace_level level;
    const char *name;        /* static */
    struct parley_span peer; /* lent for the call, like note */
    struct parley_span note;
    uint64_t count;
};

#ifdef __cplusplus
}
#endif

#endif
