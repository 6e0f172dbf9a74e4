/* SPDX-License-Identifier: Apache-2.0
 *
 * Dialing: a name look-up, then its addresses one after the other. Everything together takes at
 * most PL_UV_DIAL_NS; what is left is shared among the addresses left, so that one that swallows
 * packets does not use up the time of the next.
 */
#define _GNU_SOURCE 1
#include "uv/uv_int.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

/* Tells the node that nothing came of the dial and frees the slot; no socket is open. */
static void give_up(struct pl_uv_slot *slot)
{
    struct pl_uv *uv = slot->uv;
    if (!slot->dial_told) {
        slot->dial_told = true;
        pl_uv_note(uv, (struct pl_uv_note){ .kind = PL_UV_NOTE_DIAL_FAILED,
                                            .text = slot->why,
                                            .address = slot->address });
        pl_node_dialed(uv->node, slot->conn, false, false, slot->why, pl_uv_turn(uv));
    }
    pl_uv_slot_release(slot);
}

static void forget_lookup(struct pl_uv_slot *slot)
{
    if (slot->lookup == NULL)
        return;
    slot->lookup->slot = NULL;
    /* One that runs cannot be cancelled; then it ends when it ends. */
    if (uv_cancel((uv_req_t *)&slot->lookup->request) != 0)
        pl_ignore(PARLEY_EBUSY, "it frees itself");
    slot->lookup = NULL;
}

void pl_uv_dial_abandon(struct pl_uv_slot *slot, const char *why)
{
    slot->why = why;
    if (slot->state == PL_UV_RESOLVING) {
        forget_lookup(slot);
        give_up(slot);
    } else if (slot->state == PL_UV_CONNECTING || slot->state == PL_UV_RETRYING) {
        /* on_closed finds no candidate left. */
        slot->candidate_next = slot->candidate_count;
        if (slot->state == PL_UV_CONNECTING)
            pl_uv_conn_close_attempt(slot);
    }
}

static void on_connected(uv_connect_t *request, int status)
{
    struct pl_uv_slot *slot = request->data;
    struct pl_uv *uv = slot->uv;
    if (slot->state != PL_UV_CONNECTING)
        return; /* UV_ECANCELED: its socket is being closed */
    if (status != 0) {
        slot->why = uv_strerror(status);
        pl_uv_conn_close_attempt(slot);
        return;
    }
    slot->dial_told = true;
    pl_node_dialed(uv->node, slot->conn, true, pl_uv_conn_is_local(&slot->tcp),
                   "the connection could not be set up", pl_uv_turn(uv));
    pl_uv_conn_opened(slot);
    pl_uv_pump(uv);
}

static void start_attempt(struct pl_uv_slot *slot)
{
    struct pl_uv *uv = slot->uv;
    const struct sockaddr *to = (const struct sockaddr *)&slot->candidates[slot->candidate_next];
    parley_time now = pl_uv_turn(uv).mono;
    size_t left = slot->candidate_count - slot->candidate_next;
    slot->candidate_next++;
    slot->attempt_deadline = now + (now < slot->deadline ? (slot->deadline - now) / left : 0);
    if (uv_tcp_init(uv->loop, &slot->tcp) != 0)
        parley_panic(__FILE__, __LINE__, "a socket handle cannot be made");
    slot->tcp.data = slot;
    slot->connect.data = slot;
    slot->state = PL_UV_CONNECTING;
    int rc = uv_tcp_connect(&slot->connect, &slot->tcp, to, on_connected);
    if (rc != 0) {
        slot->why = uv_strerror(rc);
        pl_uv_conn_close_attempt(slot);
    }
}

void pl_uv_dial_next(struct pl_uv_slot *slot)
{
    if (slot->candidate_next < slot->candidate_count && pl_uv_turn(slot->uv).mono < slot->deadline)
        start_attempt(slot);
    else
        give_up(slot);
}

void pl_uv_dial_expire(struct pl_uv_slot *slot, parley_time now)
{
    if (slot->state == PL_UV_RESOLVING && now >= slot->deadline) {
        pl_uv_dial_abandon(slot, "the name look-up timed out");
    } else if (slot->state == PL_UV_CONNECTING &&
               (now >= slot->attempt_deadline || now >= slot->deadline)) {
        slot->why = "timed out";
        pl_uv_conn_close_attempt(slot);
    }
}

/* ---- Names ---- */

static bool add_candidate(struct pl_uv_slot *slot, const struct sockaddr *address, size_t len)
{
    if (slot->candidate_count == PL_UV_CANDIDATES_MAX || len > sizeof slot->candidates[0])
        return false;
    memcpy(&slot->candidates[slot->candidate_count++], address, len);
    return true;
}

static bool add_numeric(struct pl_uv_slot *slot, const char *host, int port)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (uv_ip4_addr(host, port, &in) == 0)
        return add_candidate(slot, (const struct sockaddr *)&in, sizeof in);
    if (uv_ip6_addr(host, port, &in6) == 0)
        return add_candidate(slot, (const struct sockaddr *)&in6, sizeof in6);
    return false;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct pl_uv_lookup *lookup = request->data;
    struct pl_uv *uv = lookup->uv;
    struct pl_uv_slot *slot = lookup->slot;
    uv->lookup_count--;
    free(lookup);
    if (uv->freed && uv->lookup_count == 0)
        free(uv);
    if (slot != NULL) {
        slot->lookup = NULL;
        slot->why = status == 0 ? "the name has no address" : uv_strerror(status);
        for (struct addrinfo *at = found; at != NULL; at = at->ai_next) {
            if (!add_candidate(slot, at->ai_addr, at->ai_addrlen))
                break;
        }
        pl_uv_dial_next(slot);
    }
    uv_freeaddrinfo(found);
    if (slot != NULL)
        pl_uv_pump(uv);
}

static const char *start_lookup(struct pl_uv_slot *slot, const char *host, const char *port)
{
    struct pl_uv *uv = slot->uv;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    if (uv->lookup_count == PL_UV_LOOKUPS_MAX)
        return "too many name look-ups at once";
    struct pl_uv_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return "out of memory";
    lookup->uv = uv;
    lookup->slot = slot;
    lookup->request.data = lookup;
    int rc = uv_getaddrinfo(uv->loop, &lookup->request, on_resolved, host, port, &hints);
    if (rc != 0) {
        free(lookup);
        return uv_strerror(rc);
    }
    uv->lookup_count++;
    slot->lookup = lookup;
    return NULL;
}

void pl_uv_dial(struct pl_uv *uv, pl_conn conn, const char *address)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    struct pl_uv_slot *slot = pl_uv_slot_take(uv);
    PL_ASSERT(slot != NULL); /* U1 */
    pl_uv_slot_bind(slot, conn);
    size_t len = pl_min_size(strlen(address), PL_ADDRESS_BYTES_MAX);
    memcpy(slot->address, address, len);
    slot->address[len] = '\0';
    slot->state = PL_UV_RESOLVING;
    pl_uv_slot_deadline(slot, pl_uv_turn(uv).mono + PL_UV_DIAL_NS);
    if (pl_uv_split_address(address, host, port) != PARLEY_OK) {
        pl_uv_dial_abandon(slot, "the address is not HOST:PORT");
        return;
    }
    if (add_numeric(slot, host, (int)strtoul(port, NULL, 10))) {
        start_attempt(slot);
        return;
    }
    const char *why = start_lookup(slot, host, port);
    if (why != NULL)
        pl_uv_dial_abandon(slot, why);
}
