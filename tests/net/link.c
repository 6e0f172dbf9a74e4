/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link.h"

#include <stdlib.h>
#include <string.h>

static uint64_t draw(uint64_t *dice)
{
    uint64_t z = *dice += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to below `end`, which is small against 2^64. */
static uint64_t draw_below(uint64_t *dice, uint64_t end)
{
    uint64_t value = draw(dice);
    return end == 0 ? 0 : value % end;
}

static bool draw_ppm(uint64_t *dice, uint32_t ppm)
{
    return draw_below(dice, NET_PPM) < ppm;
}

bool net_links_init(struct net_links *links, uint32_t nodes, uint64_t seed)
{
    size_t room = (size_t)nodes * (nodes - 1) * NET_WIRE_PACKETS;
    *links = (struct net_links){ .nodes = nodes };
    links->heap = malloc(room * sizeof(struct net_packet *));
    links->all = malloc(room * sizeof *links->all);
    if (links->heap == NULL || links->all == NULL) {
        net_links_deinit(links);
        return false;
    }
    for (size_t i = 0; i < room; i++) {
        links->all[i].next = links->free;
        links->free = &links->all[i];
    }
    for (uint32_t from = 0; from < nodes; from++) {
        for (uint32_t to = 0; to < nodes; to++) {
            uint64_t mixed = seed ^ ((uint64_t)(from * NET_NODES_MAX + to + 1) << 48);
            links->wires[from][to].dice = draw(&mixed);
        }
    }
    return true;
}

void net_links_deinit(struct net_links *links)
{
    free(links->heap);
    free(links->all);
    *links = (struct net_links){ 0 };
}

/* ---- The heap ---- */

static bool is_before(const struct net_packet *a, const struct net_packet *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void heap_push(struct net_links *links, struct net_packet *packet)
{
    uint32_t at = links->heap_len++;
    while (at > 0 && is_before(packet, links->heap[(at - 1) / 2])) {
        links->heap[at] = links->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    links->heap[at] = packet;
}

static struct net_packet *heap_pop(struct net_links *links)
{
    struct net_packet *least = links->heap[0];
    struct net_packet *moved = links->heap[--links->heap_len];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= links->heap_len)
            break;
        if (child + 1 < links->heap_len && is_before(links->heap[child + 1], links->heap[child]))
            child++;
        if (!is_before(links->heap[child], moved))
            break;
        links->heap[at] = links->heap[child];
        at = child;
    }
    links->heap[at] = moved;
    return least;
}

/* ---- Wires ---- */

static struct net_wire *wire_of(struct net_links *links, const struct net_packet *packet)
{
    return &links->wires[packet->from][packet->to];
}

void net_links_drop(struct net_links *links, struct net_packet *packet)
{
    wire_of(links, packet)->held--;
    packet->next = links->free;
    links->free = packet;
}

/* Puts one copy on the wire. The wires' packets have room for all: N4 keeps each to its share. */
static void put_copy(struct net_links *links, struct net_wire *wire, struct net_packet model,
                     const uint8_t *bytes, uint64_t now_us)
{
    const struct net_quality *quality = &wire->quality;
    uint64_t late_us = draw_below(&wire->dice, (uint64_t)quality->jitter_us + 1);
    bool overtaken = draw_ppm(&wire->dice, quality->reorder_ppm);
    uint64_t hold_us = draw_below(&wire->dice, (uint64_t)quality->hold_us + 1);
    if (wire->held >= NET_WIRE_PACKETS) {
        links->counts.overflown++;
        return;
    }
    struct net_packet *packet = links->free;
    links->free = packet->next;
    *packet = model;
    memcpy(packet->bytes, bytes, model.len);
    wire->held++;
    packet->number = links->numbers++;
    packet->due_us = now_us + quality->delay_us + late_us;
    if (overtaken) {
        packet->due_us += hold_us;
        links->counts.reordered++;
    } else {
        if (packet->due_us < wire->last_us)
            packet->due_us = wire->last_us;
        wire->last_us = packet->due_us;
    }
    heap_push(links, packet);
}

void net_links_send(struct net_links *links, uint32_t from, uint32_t to, const uint8_t *bytes,
                    size_t len, uint64_t now_us)
{
    struct net_wire *wire = &links->wires[from][to];
    struct net_packet model = { .from = (uint8_t)from, .to = (uint8_t)to, .len = (uint16_t)len };
    links->counts.sent++;
    bool lost = draw_ppm(&wire->dice, wire->quality.loss_ppm);
    bool twice = draw_ppm(&wire->dice, wire->quality.dup_ppm);
    if (wire->state == NET_CUT) {
        links->counts.cut++;
        return;
    }
    if (lost) {
        links->counts.lost++;
        return;
    }
    put_copy(links, wire, model, bytes, now_us);
    if (twice) {
        links->counts.duplicated++;
        put_copy(links, wire, model, bytes, now_us);
    }
}

uint64_t net_links_due(const struct net_links *links)
{
    return links->heap_len == 0 ? NET_NEVER : links->heap[0]->due_us;
}

static void let_wait(struct net_wire *wire, struct net_packet *packet)
{
    packet->next = NULL;
    if (wire->first == NULL)
        wire->first = packet;
    else
        wire->last->next = packet;
    wire->last = packet;
}

struct net_packet *net_links_take(struct net_links *links, uint64_t now_us)
{
    while (net_links_due(links) <= now_us && links->heap_len > 0) {
        struct net_packet *packet = heap_pop(links);
        struct net_wire *wire = wire_of(links, packet);
        switch (wire->state) {
        case NET_OPEN:
            links->counts.delivered++;
            return packet;
        case NET_CUT:
            links->counts.cut++;
            net_links_drop(links, packet);
            break;
        case NET_STOPPED:
            let_wait(wire, packet);
            break;
        }
    }
    return NULL;
}

void net_links_turn(struct net_links *links, uint32_t from, uint32_t to, enum net_state state,
                    uint64_t now_us)
{
    struct net_wire *wire = &links->wires[from][to];
    wire->state = state;
    if (state == NET_STOPPED)
        return;
    while (wire->first != NULL) {
        struct net_packet *packet = wire->first;
        wire->first = packet->next;
        if (state == NET_CUT) {
            links->counts.cut++;
            net_links_drop(links, packet);
            continue;
        }
        /* Before what is still under way: that came later. */
        packet->due_us = now_us;
        heap_push(links, packet);
    }
    wire->last = NULL;
}
