/* SPDX-License-Identifier: Apache-2.0
 *
 * The wires of the switch: one for each ordered pair of nodes, with delay, loss, duplicates and
 * reordering of its own, that can be cut or stopped. Knows no descriptors and no clock: packets and
 * the time come in, packets that are due go out.
 *
 *   N1  A packet is delivered at most once, or twice where it is duplicated, and whole.
 *   N2  On a wire that reorders nothing, what is delivered keeps its order.
 *   N3  What reaches a wire that is cut is gone, and so is what is under way when its time comes.
 *       What reaches a wire that is stopped waits, in order, until the wire goes on or is cut.
 *   N4  A wire holds NET_WIRE_PACKETS at most; what comes then is dropped, as in a router.
 *   N5  The dice of a wire are its own: its n-th packet has the same fate in each run of a seed,
 *       under the same settings.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_NODES_MAX    8u
#define NET_PACKET_BYTES 2048u
#define NET_WIRE_PACKETS 2000u /* 200 ms of 100 Mbit/s */
#define NET_NEVER        UINT64_MAX
#define NET_PPM          1000000u

struct net_quality {
    uint32_t delay_us;    /* each way */
    uint32_t jitter_us;   /* up to so much more */
    uint32_t loss_ppm;    /* of a million packets, so many are lost, */
    uint32_t dup_ppm;     /* come twice, */
    uint32_t reorder_ppm; /* are held so that others overtake them, */
    uint32_t hold_us;     /* for up to so long */
};

enum net_state { NET_OPEN = 0, NET_CUT, NET_STOPPED };

struct net_counts {
    uint64_t sent, delivered, lost, cut, duplicated, reordered, overflown;
};

struct net_packet {
    struct net_packet *next; /* of those that wait, or are free */
    uint64_t due_us, number; /* in this order they go out */
    uint8_t from, to;
    uint16_t len;
    uint8_t bytes[NET_PACKET_BYTES];
};

struct net_wire {
    struct net_quality quality;
    enum net_state state;
    uint64_t dice;
    uint64_t last_us; /* nothing that keeps its order goes before this */
    uint32_t held;    /* packets in the heap or waiting */
    struct net_packet *first, *last;
};

struct net_links {
    uint32_t nodes;
    struct net_wire wires[NET_NODES_MAX][NET_NODES_MAX]; /* [from][to] */
    struct net_counts counts;
    struct net_packet **heap; /* least due first */
    uint32_t heap_len;
    struct net_packet *free, *all;
    uint64_t numbers;
};

/* False: no memory. Takes room for all that the wires may hold. */
bool net_links_init(struct net_links *links, uint32_t nodes, uint64_t seed);
void net_links_deinit(struct net_links *links);

/* Copies a packet of 1 to NET_PACKET_BYTES bytes onto a wire, or drops it. */
void net_links_send(struct net_links *links, uint32_t from, uint32_t to, const uint8_t *bytes,
                    size_t len, uint64_t now_us);
/* When the next packet is due; NET_NEVER if none is. */
uint64_t net_links_due(const struct net_links *links);
/* The next packet that is due, or NULL; lent until net_links_drop, which must be called. */
struct net_packet *net_links_take(struct net_links *links, uint64_t now_us);
void net_links_drop(struct net_links *links, struct net_packet *packet);
/* Cuts, stops or opens a wire; what waited on it is lost, or goes out now. */
void net_links_turn(struct net_links *links, uint32_t from, uint32_t to, enum net_state state,
                    uint64_t now_us);

#endif
