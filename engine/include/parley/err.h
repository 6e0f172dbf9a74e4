/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes. The class, in the hundreds digit, says what the caller should do:
 *
 *   1xx USAGE    a public call in a state where it is not allowed: fix the host program
 *   2xx LIMIT    a bound was reached (limits.h and others): apply backpressure, do not loop
 *   3xx PEER     the other side, or a file from outside, sent something invalid or not allowed
 *   4xx AGAIN    not now: wait for the next event
 *   5xx STORE    disk, lock or file trouble: stop writing, keep reading, raise the alarm
 *   6xx CORRUPT  our own stored bytes do not decode: stop the node, run `parley check`
 *
 * Values never change and never travel on the wire.
 */
#ifndef PARLEY_ERR_H
#define PARLEY_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_ERR_TABLE(X)                                                                        \
    X(EINVAL, 101, "argument out of range")                                                        \
    X(ESTATE, 102, "call not allowed in this state")                                               \
    X(ETOOBIG, 201, "a value is above its limit")                                                  \
    X(EFULL, 202, "a bounded buffer or table is full")                                             \
    X(ENOMEM, 203, "out of memory")                                                                \
    X(EPROTO, 301, "the peer broke the protocol")                                                  \
    X(EMALFORMED, 302, "the input does not decode")                                                \
    X(EVERSION, 303, "no common protocol version")                                                 \
    X(EAUTH, 304, "a proof of identity is missing or does not verify")                             \
    X(EDENIED, 305, "the peer is not allowed to do this")                                          \
    X(EUNKNOWN, 306, "the peer is not registered here")                                            \
    X(EEXPIRED, 307, "expired")                                                                    \
    X(EUTF8, 308, "text is not valid UTF-8")                                                       \
    X(ETYPE, 309, "a field has the wrong type")                                                    \
    X(EMISSING, 310, "a required field is missing")                                                \
    X(EAGAIN, 401, "not ready, try again later")                                                   \
    X(EBUSY, 402, "busy")                                                                          \
    X(ETIMEOUT, 403, "timed out")                                                                  \
    X(ECLOSING, 404, "closing")                                                                    \
    X(ENOSPC, 501, "no space left on the device")                                                  \
    X(EMAPFULL, 502, "the store has reached its size limit")                                       \
    X(EIO, 503, "input or output error")                                                           \
    X(ELOCKED, 504, "another process uses the data directory")                                     \
    X(EREADONLY, 505, "the store is read-only")                                                    \
    X(EACCESS, 506, "permission denied")                                                           \
    X(ENOENT, 507, "no such file or directory")                                                    \
    X(ECORRUPT, 601, "stored bytes do not decode or fail their checksum")                          \
    X(EFORMAT, 602, "the store has a format this version does not know")                           \
    X(EIDENTITY, 603, "the identity key differs from the stored one")                              \
    X(ESEALED, 604, "the identity key cannot be unsealed with this secret")

typedef enum parley_err {
    PARLEY_OK = 0,
#define PARLEY_ERR_ENUM(name, value, text) PARLEY_##name = value,
    PARLEY_ERR_TABLE(PARLEY_ERR_ENUM)
#undef PARLEY_ERR_ENUM
} parley_err;

#if defined(__GNUC__)
#define PARLEY_MUST_USE __attribute__((warn_unused_result))
#define PARLEY_API      __attribute__((visibility("default")))
#else
#define PARLEY_MUST_USE
#define PARLEY_API
#endif

/* Names the code, for example "PARLEY_EFULL"; an unknown value gives "PARLEY_E?".
 * Ownership: static text. */
PARLEY_API const char *parley_err_name(parley_err err);

/* One short English phrase. Ownership: static text. */
PARLEY_API const char *parley_err_text(parley_err err);

/* The hundreds digit: 0 for PARLEY_OK, else 1 to 6. */
PARLEY_API int parley_err_class(parley_err err);

/* Readable detail, filled only at the edges (open, config, dial, request). Owned by the caller;
 * every function that takes one accepts NULL. Always NUL-terminated once filled. */
struct parley_diag {
    char text[256];
};

#ifdef __cplusplus
}
#endif

#endif
