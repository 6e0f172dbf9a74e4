/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handshake and a token cost in BearSSL alone: the baseline of suite `trust`. No certificate
 * is parsed, no memory is allocated, nothing is cleared, no signature is checked before it leaves.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include "trust/cert.h"

struct bare;

/* Makes the RSA-2048 keys of two peers, and takes the leaf and key that the server shows. */
struct bare *bare_open(const struct pl_tls_credential *credential);
void bare_close(struct bare *bare);
/* One TLS 1.2 handshake in memory with the suite that parley prefers here, then the signature of
 * each peer and its verification. `resume`: what the last full handshake made. */
void bare_handshake(struct bare *bare, bool resume);
/* SHA-256 of a token's signed text, and one verification under `key`. */
void bare_token(struct parley_span text, struct parley_span signature, const struct pl_pubkey *key);

#endif
