/* SPDX-License-Identifier: Apache-2.0
 *
 * A switch in user space: net_switch NODES SEED
 *
 * Makes NODES network namespaces without names, in each a TUN device `wire` with the address
 * 10.77.0.N (N from 1) and a loopback device, and carries IPv4 packets from one device to the
 * others over the wires of link.h. The namespaces live as long as this process and those that run
 * in them: nothing is left behind, however it ends.
 *
 * Prints "ready FD FD ...", the namespaces as descriptors of its own: nsenter
 * --net=/proc/PID/fd/FD. Then it takes lines from stdin, nodes counted from 1, and answers each
 * with "ok ...", or with "no", a blank and the reason:
 *
 *   quality A B DELAY_US JITTER_US LOSS_PPM DUP_PPM REORDER_PPM HOLD_US
 *   open A B · cut A B · stop A B          the wire from A to B
 *   reset A B                              the next TCP segment on it arrives as a reset, as from a
 *                                          router that has forgotten the connection
 *   counts                                 what happened to packets so far
 *
 * It ends with stdin. Exit: 0, 2 wrong arguments, 3 namespaces or TUN devices are not allowed here
 * (the reason is on stderr), 1 anything else.
 */
#define _GNU_SOURCE 1
#include "net/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES    256u
#define READS_A_TURN  64
#define EXIT_NOT_HERE 3
#define ADDRESS_FIRST 0x0a4d0000u /* 10.77.0.0 */
#define IPV4_BYTES    20u
#define TCP_BYTES     20u
#define TCP_SYN       0x02u
#define TCP_RST       0x04u
#define TCP_ACK       0x10u
#define PROTOCOL_TCP  6u
#define TLS_HANDSHAKE 0x16u
#define PREFACE_FIRST 0xc1u /* of the native protocol without TLS */
#define DELAY_US_MAX  60000000u

struct net_switch {
    struct net_links links;
    int tuns[NET_NODES_MAX], spaces[NET_NODES_MAX];
    bool resets[NET_NODES_MAX][NET_NODES_MAX];
    uint64_t reset;      /* segments */
    uint64_t tls, plain; /* TCP segments that begin a TLS handshake, or a native session without */
    char line[LINE_BYTES];
    size_t line_len;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---- Namespaces and devices ---- */

static bool complain(const char *what)
{
    fprintf(stderr, "net_switch: %s: %s\n", what, strerror(errno));
    return false;
}

static bool raise_device(int socket_fd, const char *name, uint32_t address)
{
    struct ifreq request = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (address != 0) {
        in.sin_addr.s_addr = htonl(address);
        memcpy(&request.ifr_addr, &in, sizeof in);
        if (ioctl(socket_fd, SIOCSIFADDR, &request) != 0)
            return complain("SIOCSIFADDR");
        in.sin_addr.s_addr = htonl(0xffffff00u);
        memcpy(&request.ifr_netmask, &in, sizeof in);
        if (ioctl(socket_fd, SIOCSIFNETMASK, &request) != 0)
            return complain("SIOCSIFNETMASK");
    }
    if (ioctl(socket_fd, SIOCGIFFLAGS, &request) != 0)
        return complain("SIOCGIFFLAGS");
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
    return ioctl(socket_fd, SIOCSIFFLAGS, &request) == 0 || complain("SIOCSIFFLAGS");
}

/* A device belongs to the namespace in which it is made, whoever holds its descriptor later. */
static bool open_node(struct net_switch *s, uint32_t node)
{
    struct ifreq request = { 0 };
    if (unshare(CLONE_NEWNET) != 0)
        return complain("a network namespace");
    s->spaces[node] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (s->spaces[node] < 0)
        return complain("/proc/self/ns/net");
    s->tuns[node] = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (s->tuns[node] < 0)
        return complain("/dev/net/tun");
    snprintf(request.ifr_name, sizeof request.ifr_name, "wire");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(s->tuns[node], TUNSETIFF, &request) != 0)
        return complain("TUNSETIFF");
    int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0)
        return complain("socket");
    bool good = raise_device(socket_fd, "lo", 0) &&
                raise_device(socket_fd, "wire", ADDRESS_FIRST + node + 1);
    close(socket_fd);
    return good;
}

/* ---- Packets ---- */

static void count_talk(struct net_switch *s, const uint8_t *packet, size_t len)
{
    size_t head = (size_t)(packet[0] & 15u) * 4;
    if (packet[9] != PROTOCOL_TCP || len < head + TCP_BYTES)
        return;
    size_t data = head + (size_t)(packet[head + 12] >> 4) * 4;
    if (len >= data + 3 && packet[data] == TLS_HANDSHAKE && packet[data + 1] == 3)
        s->tls++;
    if (len >= data + 4 && packet[data] == PREFACE_FIRST &&
        memcmp(packet + data + 1, "PLY", 3) == 0)
        s->plain++;
}

/* The sum of the internet checksum, unfolded; `len` is even, or the packet ends there. */
static uint32_t sum_bytes(const uint8_t *bytes, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += (i & 1u) == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    return sum;
}

static void put_checksum(uint8_t *at, uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffffu) + (sum >> 16);
    at[0] = (uint8_t)(~sum >> 8 & 0xffu);
    at[1] = (uint8_t)(~sum & 0xffu);
}

/* Makes a reset of a TCP segment, in its place in the stream; returns the length, or 0 when it is
 * none of a connection that stands. */
static size_t make_reset(uint8_t *packet, size_t len)
{
    size_t head = (size_t)(packet[0] & 15u) * 4;
    if (packet[9] != PROTOCOL_TCP || len < head + TCP_BYTES ||
        (packet[head + 13] & (TCP_SYN | TCP_ACK)) != TCP_ACK)
        return 0;
    uint8_t *tcp = packet + head;
    size_t whole = head + TCP_BYTES;
    packet[2] = (uint8_t)(whole >> 8);
    packet[3] = (uint8_t)whole;
    packet[10] = packet[11] = 0;
    put_checksum(packet + 10, sum_bytes(packet, head, 0));
    tcp[12] = (TCP_BYTES / 4) << 4;
    tcp[13] = TCP_RST | TCP_ACK;
    tcp[16] = tcp[17] = tcp[18] = tcp[19] = 0;
    uint32_t pseudo = sum_bytes(packet + 12, 8, PROTOCOL_TCP + TCP_BYTES);
    put_checksum(tcp + 16, sum_bytes(tcp, TCP_BYTES, pseudo));
    return whole;
}

static void read_packets(struct net_switch *s, uint32_t from)
{
    uint8_t packet[NET_PACKET_BYTES];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t len = read(s->tuns[from], packet, sizeof packet);
        if (len < (ssize_t)IPV4_BYTES)
            return;
        if (packet[0] >> 4 != 4)
            continue;
        uint32_t address = (uint32_t)packet[16] << 24 | (uint32_t)packet[17] << 16 |
                           (uint32_t)packet[18] << 8 | packet[19];
        uint32_t to = address - ADDRESS_FIRST - 1;
        if (to >= s->links.nodes || to == from)
            continue;
        count_talk(s, packet, (size_t)len);
        size_t reset_len = s->resets[from][to] ? make_reset(packet, (size_t)len) : 0;
        if (reset_len != 0) {
            len = (ssize_t)reset_len;
            s->resets[from][to] = false;
            s->reset++;
        }
        net_links_send(&s->links, from, to, packet, (size_t)len, now_us());
    }
}

static void deliver(struct net_switch *s)
{
    struct net_packet *packet;
    while ((packet = net_links_take(&s->links, now_us())) != NULL) {
        /* A full device drops it, as any network does. */
        ssize_t written = write(s->tuns[packet->to], packet->bytes, packet->len);
        if (written < 0)
            s->links.counts.overflown++;
        net_links_drop(&s->links, packet);
    }
}

/* ---- Commands ---- */

/* Takes a number of at most `max` from the line. */
static bool take_number(char **at, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(*at, &end, 10);
    if (end == *at || errno != 0 || value < min || value > max)
        return false;
    *at = end;
    *out = (uint32_t)value;
    return true;
}

static bool take_wire(struct net_switch *s, char **at, uint32_t *from, uint32_t *to)
{
    if (!take_number(at, 1, s->links.nodes, from) || !take_number(at, 1, s->links.nodes, to))
        return false;
    *from -= 1;
    *to -= 1;
    return *from != *to;
}

static bool set_quality(struct net_switch *s, char *at)
{
    uint32_t from, to;
    struct net_quality q;
    if (!take_wire(s, &at, &from, &to) || !take_number(&at, 0, DELAY_US_MAX, &q.delay_us) ||
        !take_number(&at, 0, DELAY_US_MAX, &q.jitter_us) ||
        !take_number(&at, 0, NET_PPM, &q.loss_ppm) || !take_number(&at, 0, NET_PPM, &q.dup_ppm) ||
        !take_number(&at, 0, NET_PPM, &q.reorder_ppm) ||
        !take_number(&at, 0, DELAY_US_MAX, &q.hold_us))
        return false;
    s->links.wires[from][to].quality = q;
    return true;
}

static bool turn(struct net_switch *s, char *at, enum net_state state)
{
    uint32_t from, to;
    if (!take_wire(s, &at, &from, &to))
        return false;
    net_links_turn(&s->links, from, to, state, now_us());
    return true;
}

static bool set_reset(struct net_switch *s, char *at)
{
    uint32_t from, to;
    if (!take_wire(s, &at, &from, &to))
        return false;
    s->resets[from][to] = true;
    return true;
}

static void obey(struct net_switch *s, char *line)
{
    const struct net_counts *c = &s->links.counts;
    bool good = false;
    if (strncmp(line, "quality ", 8) == 0)
        good = set_quality(s, line + 8);
    else if (strncmp(line, "open ", 5) == 0)
        good = turn(s, line + 5, NET_OPEN);
    else if (strncmp(line, "cut ", 4) == 0)
        good = turn(s, line + 4, NET_CUT);
    else if (strncmp(line, "stop ", 5) == 0)
        good = turn(s, line + 5, NET_STOPPED);
    else if (strncmp(line, "reset ", 6) == 0)
        good = set_reset(s, line + 6);
    else if (strcmp(line, "counts") == 0) {
        printf("ok sent=%llu delivered=%llu lost=%llu cut=%llu duplicated=%llu reordered=%llu "
               "overflown=%llu reset=%llu tls=%llu plain=%llu\n",
               (unsigned long long)c->sent, (unsigned long long)c->delivered,
               (unsigned long long)c->lost, (unsigned long long)c->cut,
               (unsigned long long)c->duplicated, (unsigned long long)c->reordered,
               (unsigned long long)c->overflown, (unsigned long long)s->reset,
               (unsigned long long)s->tls, (unsigned long long)s->plain);
        fflush(stdout);
        return;
    }
    puts(good ? "ok" : "no such command, node or number");
    fflush(stdout);
}

/* False at the end of stdin, or when a line is too long. */
static bool read_commands(struct net_switch *s)
{
    ssize_t len = read(STDIN_FILENO, s->line + s->line_len, sizeof s->line - s->line_len);
    if (len <= 0)
        return len < 0 && errno == EINTR;
    s->line_len += (size_t)len;
    char *end;
    while ((end = memchr(s->line, '\n', s->line_len)) != NULL) {
        *end = '\0';
        obey(s, s->line);
        s->line_len -= (size_t)(end + 1 - s->line);
        memmove(s->line, end + 1, s->line_len);
    }
    return s->line_len < sizeof s->line;
}

static void run(struct net_switch *s)
{
    struct pollfd polls[NET_NODES_MAX + 1];
    uint32_t nodes = s->links.nodes;
    for (uint32_t i = 0; i < nodes; i++)
        polls[i] = (struct pollfd){ .fd = s->tuns[i], .events = POLLIN };
    polls[nodes] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    for (;;) {
        uint64_t due = net_links_due(&s->links), now = now_us();
        uint64_t wait = due <= now ? 0 : due - now;
        struct timespec timeout = { .tv_sec = (time_t)(wait / 1000000u),
                                    .tv_nsec = (long)(wait % 1000000u) * 1000 };
        if (ppoll(polls, nodes + 1, due == NET_NEVER ? NULL : &timeout, NULL) < 0 && errno != EINTR)
            return;
        for (uint32_t i = 0; i < nodes; i++) {
            if (polls[i].revents != 0)
                read_packets(s, i);
        }
        if (polls[nodes].revents != 0 && !read_commands(s))
            return;
        deliver(s);
    }
}

int main(int argc, char **argv)
{
    static struct net_switch s;
    uint32_t nodes = 0;
    char *end = NULL;
    uint64_t seed = argc == 3 ? strtoull(argv[2], &end, 10) : 0;
    if (argc != 3 || end == argv[2] || *end != '\0' ||
        !take_number(&argv[1], 2, NET_NODES_MAX, &nodes)) {
        fprintf(stderr, "usage: net_switch NODES SEED (2 to %u nodes)\n", NET_NODES_MAX);
        return 2;
    }
    for (uint32_t i = 0; i < nodes; i++) {
        if (!open_node(&s, i))
            return EXIT_NOT_HERE;
    }
    if (!net_links_init(&s.links, nodes, seed))
        return 1;
    printf("ready");
    for (uint32_t i = 0; i < nodes; i++)
        printf(" %d", s.spaces[i]);
    putchar('\n');
    fflush(stdout);
    run(&s);
    net_links_deinit(&s.links);
    return 0;
}
