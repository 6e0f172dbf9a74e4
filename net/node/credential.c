/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's TLS certificate: made at the start, renewed while it runs, never stored. And the
 * certificate of its identity, for clients that are not parley.
 */
#include "node/node_int.h"

#include "trust/pem.h"

/* What is no name is passed over: the certificate is good for the rest, and peers do not look. */
static void add_name(struct pl_node *node, const char *name)
{
    pl_ignore(pl_cert_names_add(&node->tls_names, pl_span_text(name)),
              "the certificate is good for the names that fit");
}

parley_err pl_credential_open(struct pl_node *node)
{
    if (node->options.advertise != NULL)
        add_name(node, node->options.advertise);
    for (size_t i = 0; i < node->options.tls_name_count; i++)
        add_name(node, node->options.tls_names[i]);
    node->options.tls_names = NULL;
    node->options.tls_name_count = 0;
    PL_TRY(pl_tls_profile_create(node->env, &node->tls_profile));
    return pl_credential_renew(node);
}

parley_err pl_credential_renew(struct pl_node *node)
{
    struct pl_tls_credential credential;
    PL_TRY(pl_tls_credential_make(node->env, node->identity, node->backend_id, &node->tls_names,
                                  node->now.wall, &credential));
    node->tls_credential = credential;
    pl_tls_credential_wipe(&credential);
    pl_tls_profile_forget(node->tls_profile);
    node->ca_pem[0] = '\0';
    return PARLEY_OK;
}

void pl_credential_tick(struct pl_node *node)
{
    if (!pl_tls_credential_is_due(&node->tls_credential, node->now.wall))
        return;
    parley_err err = pl_credential_renew(node);
    pl_node_trace(node, PARLEY_TRACE_CERTIFICATE_EVENT, "",
                  err == PARLEY_OK ? "renewed" : parley_err_text(err),
                  (uint64_t)node->tls_credential.not_after);
}

void pl_credential_close(struct pl_node *node)
{
    pl_tls_profile_destroy(node->tls_profile);
    pl_tls_credential_wipe(&node->tls_credential);
}

const char *pl_credential_ca_pem(struct pl_node *node)
{
    uint8_t der[PL_CERT_DER_BYTES_MAX];
    size_t len = 0;
    if (node->ca_pem[0] != '\0')
        return node->ca_pem;
    if (pl_cert_ca_make(node->identity, node->backend_id, node->created_at, der, &len) !=
            PARLEY_OK ||
        pl_pem_encode(pl_span_of(der, len), "CERTIFICATE", node->ca_pem, sizeof node->ca_pem) !=
            PARLEY_OK) {
        node->ca_pem[0] = '\0';
        return NULL;
    }
    return node->ca_pem;
}

void pl_credential_forget(struct pl_node *node, struct pl_peer *peer)
{
    pl_tls_session_forget(&peer->tls_session);
    pl_tls_profile_forget(node->tls_profile);
}
