/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.2 as a byte filter over BearSSL: cipher bytes on one side, plain bytes on the other, four
 * verbs each. TLS proves only that the server owns the P-256 key of its certificate; who the peer
 * is, is settled by the signed HELLO above, which covers that key. The identity's signature on the
 * certificate is for curl and its like: the client here does not look at it, since a peer may have
 * a new identity key that only its HELLO can tell.
 *
 * Sessions are resumed by id. The server keeps them in its profile; the client gives one to
 * open_client and takes the next one once the peer has proved itself (tls_cache.h).
 *
 * Lifetime: open_client or open_server -> bytes both ways -> close. A filter is one allocation of
 * about 39 KiB from the env, of which untouched buffer pages cost nothing. A client offers ALPN
 * parley/1 alone; a server takes parley/1 before http/1.1, or none (curl, openssl s_client). To
 * whoever does not speak parley/1 it shows the operator's certificate, if there is one.
 *
 * A failed certificate check closes the client without an alert (BearSSL sends none): the server
 * sees the end of the connection.
 */
#ifndef PL_TLS_H
#define PL_TLS_H

#include "proto/tls_cache.h"
#include "trust/https_cert.h"

struct pl_tls;

/* Looks CPU features up and builds the cipher lists once, and holds the sessions that a server can
 * resume; shared by all filters of a node. */
struct pl_tls_profile;
PL_MUST_USE parley_err pl_tls_profile_create(const struct parley_env *env,
                                             struct pl_tls_profile **out);
void pl_tls_profile_destroy(struct pl_tls_profile *profile);
/* Nothing made so far is resumed any more. */
void pl_tls_profile_forget(struct pl_tls_profile *profile);

/* ALPN names: "parley/1" and "http/1.1". */
enum pl_alpn { PL_ALPN_NONE = 0, PL_ALPN_PARLEY = 1, PL_ALPN_HTTP = 2 };

/* Borrows: `profile` and `https` (NULL: none) for the life of the filter. Copies: `credential`, so
 * that a handshake that has begun ends with it, whatever the node renews meanwhile. */
PL_MUST_USE parley_err pl_tls_open_server(const struct parley_env *env,
                                          struct pl_tls_profile *profile,
                                          const struct pl_tls_credential *credential,
                                          const struct pl_https_cert *https, parley_time now,
                                          struct pl_tls **out);
/* `session` (copied; NULL or not usable: none) is offered for resumption. The wall clock is for the
 * dates of the certificate. */
PL_MUST_USE parley_err pl_tls_open_client(const struct parley_env *env,
                                          const struct pl_tls_profile *profile,
                                          const struct pl_tls_session *session,
                                          struct parley_now now, struct pl_tls **out);
/* Wipes and frees; NULL is allowed. */
void pl_tls_close(struct pl_tls *tls);

/* Cipher side, to and from the socket. NULL with *len 0: no room, nothing to send. recv_ack and
 * send_ack run handshake steps: up to 2 ms each. */
uint8_t *pl_tls_recv_buf(struct pl_tls *tls, size_t *len);
void pl_tls_recv_ack(struct pl_tls *tls, size_t len);
const uint8_t *pl_tls_send_buf(struct pl_tls *tls, size_t *len);
void pl_tls_send_ack(struct pl_tls *tls, size_t len);

/* Plain side, to and from the protocol above: bytes that arrived; room for bytes to send. */
const uint8_t *pl_tls_plain_recv_buf(struct pl_tls *tls, size_t *len);
void pl_tls_plain_recv_ack(struct pl_tls *tls, size_t len);
uint8_t *pl_tls_plain_send_buf(struct pl_tls *tls, size_t *len);
void pl_tls_plain_send_ack(struct pl_tls *tls, size_t len);
/* Ends the current record so that what was acked is sent now. */
void pl_tls_flush(struct pl_tls *tls);

/* The handshake is over and application bytes may flow. */
bool pl_tls_is_ready(const struct pl_tls *tls);
/* The engine has closed, by error or close_notify; `why` gets a short reason. */
bool pl_tls_is_closed(const struct pl_tls *tls, struct parley_diag *why);
/* Starts an orderly close: sends what was acked, then close_notify; the filter is closed once the
 * peer has answered. Plain bytes that arrived and were not read are dropped: read them first. May
 * be called at any time; do not wait for the peer without a time limit. */
void pl_tls_shutdown(struct pl_tls *tls);
enum pl_alpn pl_tls_alpn(const struct pl_tls *tls);
/* The P-256 point in the server's certificate, the same on both sides; of a resumed session the one
 * it was made under. NULL where the operator's certificate was shown: no peer may be talked to
 * there. Only once ready. Ownership: lent until close. */
const uint8_t *pl_tls_server_key(const struct pl_tls *tls);
/* The handshake was an abbreviated one. */
bool pl_tls_is_resumed(const struct pl_tls *tls);
/* Whether it was opened with this certificate, and so borrows it. */
bool pl_tls_borrows(const struct pl_tls *tls, const struct pl_https_cert *https);
/* Client: what the next connection may offer. Save it only when the peer has proved who it is.
 * False: not ready, or the server keeps no sessions. */
bool pl_tls_session(const struct pl_tls *tls, struct pl_tls_session *out);

#endif
