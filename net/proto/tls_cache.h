/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes a TLS connection resumable, and the server's bounded table of it.
 *
 * A resumed handshake shows no certificate. So a session remembers the key that the server showed
 * when the session was made, on both sides: the signed transcript of the peers covers that key, and
 * a session that somebody in the middle made with either side names different keys to the two.
 *
 * The table is an array of sets of four, picked by the first bytes of the id, which the server
 * draws at random: looking up and adding cost the same however full it is, and a stranger who
 * makes sessions only costs others a full handshake. Secrets that leave it are wiped.
 */
#ifndef PL_TLS_CACHE_H
#define PL_TLS_CACHE_H

#include "trust/cert.h"

#define PL_TLS_SESSION_ID_BYTES 32
#define PL_TLS_MASTER_BYTES     48

struct pl_tls_session {
    bool is_set;
    bool is_https; /* made under the operator's certificate: `server_key` is zeros */
    uint16_t version;
    uint16_t suite;
    parley_time made_at; /* of the full handshake; resuming it does not make it younger */
    uint8_t id[PL_TLS_SESSION_ID_BYTES];
    uint8_t master[PL_TLS_MASTER_BYTES];
    uint8_t server_key[PL_EC_PUBLIC_BYTES];
};

/* Set, and not older than PL_TLS_SESSION_NS_MAX. */
bool pl_tls_session_is_usable(const struct pl_tls_session *session, parley_time now);
/* Wipes it. */
void pl_tls_session_forget(struct pl_tls_session *session);

#define PL_TLS_CACHE_WAYS 4

struct pl_tls_cache {
    struct pl_tls_session sets[PL_TLS_SESSIONS_MAX / PL_TLS_CACHE_WAYS][PL_TLS_CACHE_WAYS];
};

/* Copies `session` in, in place of the oldest of its set. */
void pl_tls_cache_add(struct pl_tls_cache *cache, const struct pl_tls_session *session,
                      parley_time now);
/* Ownership: lent until the next change. NULL when absent or too old. */
const struct pl_tls_session *pl_tls_cache_find(struct pl_tls_cache *cache,
                                               const uint8_t id[PL_TLS_SESSION_ID_BYTES],
                                               parley_time now);
/* Empties it. */
void pl_tls_cache_flush(struct pl_tls_cache *cache);

#endif
