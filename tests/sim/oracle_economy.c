/* SPDX-License-Identifier: Apache-2.0
 *
 * All bytes on all wires, joins and pings included, against the least there can be: each body once
 * to each other node. And where it is wanted, which text crosses which link how often: none goes
 * back to where it came from, and in a tree each crosses each link once. Texts begin with
 * "n1 says 23 " (load.c), and go as they are where nobody packs.
 */
#include "sim/oracle.h"

#define MARK     "n# says "
#define MARK_LEN 8u

static void note_crossing(struct sim_link *link, unsigned dir, uint64_t text)
{
    struct sim_world *w = link->world;
    unsigned from = link->node[dir];
    unsigned to = link->node[1 - dir];
    if (text >= SIM_COUNTED_MAX) {
        sim_fail(w, "economy", "text %llu can not be counted", (unsigned long long)text);
        return;
    }
    w->crossed[text][from][to]++;
    if (w->crossed[text][to][from] != 0)
        sim_fail(w, "economy", "n%u sends text %llu back to n%u", from, (unsigned long long)text,
                 to);
    else if (w->plan.each_once && w->crossed[text][from][to] > 1)
        sim_fail(w, "economy", "n%u sends text %llu to n%u again", from, (unsigned long long)text,
                 to);
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static void see_byte(struct sim_link *link, unsigned dir, uint8_t byte)
{
    struct sim_tap *tap = &link->pipe[dir].tap;
    if (tap->mark_len == MARK_LEN && is_digit(byte)) {
        tap->mark = tap->mark * 10 + (uint64_t)(byte - '0');
        return;
    }
    if (tap->mark_len == MARK_LEN && byte == ' ')
        note_crossing(link, dir, tap->mark);
    bool fits =
        tap->mark_len < MARK_LEN &&
        (MARK[tap->mark_len] == '#' ? is_digit(byte) : byte == (uint8_t)MARK[tap->mark_len]);
    tap->mark_len = fits ? tap->mark_len + 1 : byte == 'n';
    tap->mark = 0;
}

void oracle_economy_see(struct sim_link *link, unsigned dir, const uint8_t *bytes, size_t len)
{
    const struct sim_tap *tap = &link->pipe[dir].tap;
    for (size_t i = 0; link->world->plan.counts_texts && i < len; i++) {
        const uint8_t *mark = tap->mark_len > 0 ? bytes + i : memchr(bytes + i, MARK[0], len - i);
        if (mark == NULL)
            return;
        i = (size_t)(mark - bytes);
        see_byte(link, dir, bytes[i]);
    }
}

void oracle_economy_at_end(struct sim_world *w)
{
    uint64_t least = 0;
    uint64_t made = w->stats.connections;
    if (w->plan.connections_max != 0 && made > w->plan.connections_max)
        sim_fail(w, "economy", "%llu connections, at most %u are needed", (unsigned long long)made,
                 w->plan.connections_max);
    if (w->plan.economy_percent == 0)
        return;
    for (size_t i = 0; i < w->load.count; i++) {
        const struct parley_version *version = &w->load.entries[i].version;
        if (pl_span_is(version->name_space, SIM_NAMESPACE))
            least += (w->plan.nodes - 1) * version->body.len;
    }
    sim_note(w, w->stats.bytes, least, "%llu bytes crossed, %llu %%",
             (unsigned long long)w->stats.bytes,
             (unsigned long long)(least == 0 ? 0 : w->stats.bytes * 100 / least));
    if (w->stats.bytes * 100 > least * w->plan.economy_percent)
        sim_fail(w, "economy", "%llu bytes crossed where %llu would do: %llu %%",
                 (unsigned long long)w->stats.bytes, (unsigned long long)least,
                 (unsigned long long)(w->stats.bytes * 100 / least));
}
