/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that a node's certificate is good for: what operators call the node by, host names and
 * IP addresses. localhost, 127.0.0.1 and ::1 are always in the certificate and never in this list.
 */
#ifndef PL_CERT_NAMES_H
#define PL_CERT_NAMES_H

#include "base/span.h"

/* One to advertise and the eight addresses that a daemon can listen on. */
#define PL_CERT_NAMES_MAX 9
/* Bytes of all of them: a certificate must stay below PL_CERT_DER_BYTES_MAX. */
#define PL_CERT_NAMES_BYTES_MAX 320

struct pl_cert_names {
    uint8_t bytes[PL_CERT_NAMES_BYTES_MAX];
    size_t len;
    size_t count;
    struct {
        size_t at;
        size_t len;
        bool is_ip; /* 4 or 16 bytes; else a host name */
    } list[PL_CERT_NAMES_MAX];
};

/* Adds HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. Nothing is added, and that is no error, for the
 * addresses that stand for all (0.0.0.0, ::) and for what is there already.
 * Errors: EINVAL (no host name and no address), EFULL; the list is then as before. */
PL_MUST_USE parley_err pl_cert_names_add(struct pl_cert_names *names, struct parley_span address);
/* Ownership: lent by the list. */
struct parley_span pl_cert_names_at(const struct pl_cert_names *names, size_t index, bool *is_ip);

/* Text of an IPv4 or IPv6 address into 4 or 16 bytes; 0 when it is neither. */
size_t pl_cert_ip_parse(struct parley_span text, uint8_t out[16]);

#endif
