/* SPDX-License-Identifier: Apache-2.0
 *
 * A line is made of cells of known widths. What does not fit is left out from the right, so that a
 * narrow terminal shows the first, most important, columns whole. Why a peer is not in sync is more
 * important than its numbers: where both do not fit, it stands in their place.
 */
#define _GNU_SOURCE 1
#include "parley/top.h"

#include <stdlib.h>
#include <time.h>

#define HEAD_ROWS   5 /* above the peers, and what stands around them */
#define BARE_ROWS   7 /* without changes */
#define GAP         2
#define REST_MIN    10 /* columns for which a note is worth a cell */
#define CHANGES_MIN 3
#define ID_HEX      8

#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

/* ---- Lines ---- */

struct line {
    struct buf *out;
    size_t width, max;
    bool colors;
};

static struct line line_begin(const struct top *top, size_t columns, struct buf *out)
{
    return (struct line){ .out = out, .max = columns, .colors = top->colors };
}

static void add_blanks(struct line *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_text(line->out, " ");
    line->width += count;
}

/* A cell of exactly this width; `text` is cut. Nothing when it does not fit. */
static void add_cell(struct line *line, const char *text, size_t width, bool right,
                     const char *color)
{
    struct buf cut = { 0 };
    size_t gap = line->width == 0 ? 0 : GAP;
    if (width == 0 || line->width + gap + width > line->max) {
        line->max = line->width; /* nothing behind it either: columns stand below each other */
        return;
    }
    add_blanks(line, gap);
    text_brief(&cut, pl_span_text(text), width);
    size_t used = text_width(buf_str(&cut));
    size_t pad = used < width ? width - used : 0;
    if (right)
        add_blanks(line, pad);
    if (line->colors && color != NULL)
        buf_text(line->out, color);
    buf_text(line->out, buf_str(&cut));
    if (line->colors && color != NULL)
        buf_text(line->out, PLAIN);
    line->width += used;
    if (!right)
        add_blanks(line, pad);
    buf_free(&cut);
}

/* What is left of the line. */
static void add_rest(struct line *line, const char *text, const char *color)
{
    size_t gap = line->width == 0 ? 0 : GAP;
    size_t want = text_width(text);
    size_t room = line->max > line->width + gap ? line->max - line->width - gap : 0;
    if (text[0] != '\0' && room >= pl_min_size(REST_MIN, want))
        add_cell(line, text, pl_min_size(room, want), false, color);
}

/* A cell as wide as its text. */
static void add_word(struct line *line, const char *text, const char *color)
{
    add_cell(line, text, text_width(text), false, color);
}

/* ---- Words ---- */

/* "hosted 130506f5" of an id of that form; others as they are. */
static void add_node(struct buf *out, const char *id)
{
    const char *mark = strstr(id, "_sha256_");
    if (mark == NULL || strlen(mark + 8) < ID_HEX)
        text_safe(out, pl_span_text(id), false);
    else
        buf_format(out, "%.*s %.*s", (int)(mark - id), id, ID_HEX, mark + 8);
}

static void add_rate(struct buf *out, double rate)
{
    text_bytes(out, rate < 0 ? 0 : (uint64_t)(rate + 0.5));
    buf_text(out, "/s");
}

static void add_skew(struct buf *out, const json_t *skew)
{
    double us = (double)json_integer_value(skew);
    double size = us < 0 ? -us : us;
    if (skew == NULL)
        buf_text(out, "?");
    else if (size < 1e3)
        buf_format(out, "%+.0f us", us);
    else if (size < 1e6)
        buf_format(out, "%+.1f ms", us / 1e3);
    else
        buf_format(out, "%+.1f s", us / 1e6);
}

static void add_span(struct buf *out, uint64_t seconds)
{
    if (seconds < 120)
        buf_format(out, "%llu s", (unsigned long long)seconds);
    else if (seconds < 7200)
        buf_format(out, "%llu min", (unsigned long long)seconds / 60);
    else if (seconds < 172800)
        buf_format(out, "%llu h", (unsigned long long)seconds / 3600);
    else
        buf_format(out, "%llu days", (unsigned long long)seconds / 86400);
}

/* ---- Peers ---- */

struct peer {
    const json_t *now;
    uint64_t lag;
    bool lag_known;
    double in, out;
};

static const json_t *find_peer(const json_t *status, const char *id)
{
    size_t index;
    json_t *peer;
    json_array_foreach(json_object_get(status, "peers"), index, peer)
    {
        if (strcmp(json_text(peer, "backend_id"), id) == 0)
            return peer;
    }
    return NULL;
}

static double rate_between(const json_t *before, const json_t *now, const char *name,
                           double seconds)
{
    uint64_t from = json_count(before, name);
    uint64_t to = json_count(now, name);
    return before == NULL || seconds <= 0 || to < from ? 0 : (double)(to - from) / seconds;
}

double top_rate(const struct top *top, const char *name)
{
    double sum = 0;
    size_t index;
    json_t *peer;
    json_array_foreach(json_object_get(top->status, "peers"), index, peer)
    {
        const json_t *before = find_peer(top->before, json_text(peer, "backend_id"));
        sum += rate_between(before, peer, name, top->seconds);
    }
    return sum;
}

static struct peer look_at(const struct top *top, const json_t *now)
{
    const json_t *before = find_peer(top->before, json_text(now, "backend_id"));
    struct peer peer = { .now = now, .lag = json_count(now, "behind") };
    peer.lag_known = json_is_true(json_object_get(now, "in_sync")) ||
                     json_object_get(now, "sending") != NULL || peer.lag != 0;
    peer.in = rate_between(before, now, "bytes_in", top->seconds);
    peer.out = rate_between(before, now, "bytes_out", top->seconds);
    return peer;
}

static double number_of(const struct peer *peer, enum top_column column)
{
    switch (column) {
    case TOP_LAG:
        return peer->lag_known ? (double)peer->lag : 1e18;
    case TOP_SKEW:
        return (double)json_integer_value(json_object_get(peer->now, "skew_us"));
    case TOP_RATE_IN:
        return peer->in;
    case TOP_RATE_OUT:
        return peer->out;
    case TOP_IN:
        return (double)json_count(peer->now, "bytes_in");
    case TOP_OUT:
        return (double)json_count(peer->now, "bytes_out");
    case TOP_PEER:
    case TOP_STATE:
    case TOP_SYNC:
    case TOP_COLUMNS:
        break;
    }
    return 0;
}

/* Names go up, numbers go down: the ones to look at stand first. */
static bool stands_before(const struct top *top, const struct peer *a, const struct peer *b)
{
    static const char *const texts[TOP_COLUMNS] = {
        [TOP_PEER] = "backend_id", [TOP_STATE] = "state", [TOP_SYNC] = "last_sync_at"
    };
    const char *name = texts[top->sort];
    double order = name == NULL ? number_of(b, top->sort) - number_of(a, top->sort)
                                : strcmp(json_text(a->now, name), json_text(b->now, name));
    return top->reverse ? order > 0 : order < 0;
}

/* Equal ones stay as the node lists them. */
static struct peer *sort_peers(const struct top *top, size_t *count)
{
    const json_t *list = json_object_get(top->status, "peers");
    struct peer *peers = calloc(json_array_size(list) + 1, sizeof *peers);
    *count = peers == NULL ? 0 : json_array_size(list);
    for (size_t i = 0; i < *count; i++) {
        struct peer peer = look_at(top, json_array_get(list, i));
        size_t at = i;
        for (; at > 0 && stands_before(top, &peer, &peers[at - 1]); at--)
            peers[at] = peers[at - 1];
        peers[at] = peer;
    }
    return peers;
}

static const struct {
    const char *head;
    size_t width;
    bool right;
} columns_of_peers[TOP_COLUMNS] = {
    [TOP_PEER] = { "PEER", 17, false },
    [TOP_STATE] = { "STATE", 11, false },
    [TOP_LAG] = { "LAG", 7, true },
    [TOP_SKEW] = { "CLOCK", 9, true },
    [TOP_RATE_IN] = { "IN/S", 9, true },
    [TOP_RATE_OUT] = { "OUT/S", 9, true },
    [TOP_IN] = { "IN", 8, true },
    [TOP_OUT] = { "OUT", 8, true },
    [TOP_SYNC] = { "LAST SYNC", 11, false },
};

/* The columns of a peer that has a note: all of them, if it fits behind them. */
static enum top_column last_column(size_t columns, const char *note)
{
    size_t width = GAP + REST_MIN;
    for (enum top_column i = 0; i < TOP_COLUMNS; i++)
        width += columns_of_peers[i].width + (i == 0 ? 0 : GAP);
    return note[0] == '\0' || width <= columns ? TOP_SYNC : TOP_LAG;
}

static const char *color_of(const char *state)
{
    if (strcmp(state, "in sync") == 0)
        return GREEN;
    return strcmp(state, "refused") == 0 ? RED : strcmp(state, "revoked") == 0 ? DIM : YELLOW;
}

static void add_value(struct buf *b, const struct peer *peer, enum top_column column)
{
    switch (column) {
    case TOP_PEER:
        add_node(b, json_text(peer->now, "backend_id"));
        break;
    case TOP_STATE:
        text_safe(b, pl_span_text(json_text(peer->now, "state")), false);
        break;
    case TOP_LAG:
        if (peer->lag_known)
            text_count(b, peer->lag);
        else
            buf_text(b, "?");
        break;
    case TOP_SKEW:
        add_skew(b, json_object_get(peer->now, "skew_us"));
        break;
    case TOP_RATE_IN:
    case TOP_RATE_OUT:
        add_rate(b, column == TOP_RATE_IN ? peer->in : peer->out);
        break;
    case TOP_IN:
    case TOP_OUT:
        text_bytes(b, json_count(peer->now, column == TOP_IN ? "bytes_in" : "bytes_out"));
        break;
    case TOP_SYNC:
        text_ago(b, json_text(peer->now, "last_sync_at"));
        break;
    case TOP_COLUMNS:
        break;
    }
}

static void draw_peer(const struct top *top, const struct peer *peer, size_t columns,
                      struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    struct buf b = { 0 };
    const char *state = json_text(peer->now, "state");
    const char *note = json_text(peer->now, "note");
    enum top_column last = last_column(columns, note);
    for (enum top_column i = 0; i <= last; i++) {
        add_value(&b, peer, i);
        add_cell(&line, buf_str(&b), columns_of_peers[i].width, columns_of_peers[i].right,
                 i == TOP_STATE ? color_of(state) : NULL);
        buf_clear(&b);
    }
    text_safe(&b, pl_span_text(note), false);
    add_rest(&line, buf_str(&b), YELLOW);
    buf_free(&b);
}

static void draw_peer_heads(const struct top *top, size_t columns, struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    for (enum top_column i = 0; i < TOP_COLUMNS; i++) {
        struct buf b = { 0 };
        const char *mark = i != top->sort ? "" : top->reverse ? "-" : "+";
        buf_format(&b, "%s%s", mark, columns_of_peers[i].head);
        add_cell(&line, buf_str(&b), columns_of_peers[i].width, columns_of_peers[i].right, BOLD);
        buf_free(&b);
    }
    add_rest(&line, "NOTE", BOLD);
}

/* ---- The node ---- */

static void draw_name(const struct top *top, size_t columns, struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    struct buf b = { 0 };
    char clock[16];
    time_t now = time(NULL);
    struct tm parts;
    bool well = strcmp(json_text(top->health, "status"), "ok") == 0;
    localtime_r(&now, &parts);
    strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    add_word(&line, clock, NULL);
    if (top->trouble.len != 0)
        add_word(&line, "no answer", RED);
    else
        add_word(&line, well ? "healthy" : "degraded", well ? GREEN : RED);
    buf_format(&b, "parley %s", json_text(top->status, "version"));
    add_word(&line, buf_str(&b), BOLD);
    buf_clear(&b);
    buf_text(&b, "up ");
    add_span(&b, json_count(top->health, "uptime_seconds"));
    add_word(&line, buf_str(&b), NULL);
    buf_clear(&b);
    text_safe(&b, pl_span_text(json_text(top->status, "backend_id")), false);
    add_rest(&line, buf_str(&b), NULL);
    buf_free(&b);
}

/* "12 conversations", with the number of all namespaces. */
static void add_total(struct line *line, const struct top *top, const char *name)
{
    struct buf b = { 0 };
    uint64_t sum = 0;
    size_t index;
    json_t *space;
    json_array_foreach(json_object_get(top->status, "namespaces"), index, space)
    {
        sum += json_count(space, name);
    }
    text_count(&b, sum);
    buf_format(&b, " %s", name);
    add_word(line, buf_str(&b), NULL);
    buf_free(&b);
}

static void add_waiting(struct line *line, const struct top *top, const char *name)
{
    struct buf b = { 0 };
    if (json_count(top->status, name) == 0)
        return;
    text_count(&b, json_count(top->status, name));
    buf_format(&b, " %s", name);
    add_word(line, buf_str(&b), YELLOW);
    buf_free(&b);
}

static void draw_store(const struct top *top, size_t columns, struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    const json_t *store = json_object_get(top->status, "store");
    struct buf b = { 0 };
    buf_text(&b, "store ");
    text_bytes(&b, json_count(store, "file_bytes"));
    buf_text(&b, " of ");
    text_bytes(&b, json_count(store, "limit_bytes"));
    add_word(&line, buf_str(&b), NULL);
    if (!json_is_true(json_object_get(store, "ok")) && json_is_object(store)) {
        buf_clear(&b);
        text_safe(&b, pl_span_text(json_text(store, "note")), false);
        add_rest(&line, b.len != 0 ? buf_str(&b) : "damaged: parley check", RED);
    }
    add_total(&line, top, "versions");
    add_total(&line, top, "conversations");
    add_total(&line, top, "messages");
    add_waiting(&line, top, "held");
    add_waiting(&line, top, "trash");
    buf_free(&b);
}

/* The rates as bars, the highest a whole one. */
static void add_bars(struct line *line, const struct top *top)
{
    static const char *const bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    size_t room = line->max > line->width + GAP ? line->max - line->width - GAP : 0;
    size_t count = pl_min_size(top->rate_count, room);
    struct buf b = { 0 };
    double most = 1;
    for (size_t i = top->rate_count - count; i < top->rate_count; i++)
        most = top->rates[i] > most ? top->rates[i] : most;
    for (size_t i = top->rate_count - count; i < top->rate_count; i++)
        buf_text(&b, bars[(size_t)(top->rates[i] / most * 7 + 0.5)]);
    if (count > 1)
        add_word(line, buf_str(&b), GREEN);
    buf_free(&b);
}

static void draw_traffic(const struct top *top, size_t columns, struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    struct buf b = { 0 };
    double changes = rate_between(top->before, top->status, "head", top->seconds);
    buf_text(&b, "in ");
    add_rate(&b, top_rate(top, "bytes_in"));
    add_cell(&line, buf_str(&b), 12, false, NULL);
    buf_clear(&b);
    buf_text(&b, "out ");
    add_rate(&b, top_rate(top, "bytes_out"));
    add_cell(&line, buf_str(&b), 13, false, NULL);
    buf_clear(&b);
    if (changes < 100)
        buf_format(&b, "%.1f", changes);
    else
        text_count(&b, (uint64_t)(changes + 0.5));
    buf_text(&b, " changes/s");
    add_cell(&line, buf_str(&b), 17, false, NULL);
    add_bars(&line, top);
    buf_free(&b);
}

/* ---- Changes ---- */

static void draw_change(const struct top *top, const json_t *change, size_t columns,
                        struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    struct buf b = { 0 };
    const char *field = json_text(change, "field");
    const json_t *value = json_object_get(change, field[0] != '\0' ? "value" : "content");
    text_ago(&b, json_text(change, "timestamp"));
    add_cell(&line, buf_str(&b), 11, false, NULL);
    buf_clear(&b);
    text_safe(&b, pl_span_text(json_text(change, "conversation_id")), false);
    add_cell(&line, buf_str(&b), columns < 100 ? 18 : 28, false, NULL);
    buf_clear(&b);
    bool deleted = json_is_true(json_object_get(change, "deleted"));
    const char *what = field[0] != '\0' ? field : json_text(change, "role");
    text_safe(&b, pl_span_text(deleted ? "deleted" : what), false);
    add_cell(&line, buf_str(&b), 10, false, deleted ? RED : NULL);
    buf_clear(&b);
    add_node(&b, json_text(change, "source_backend"));
    add_cell(&line, buf_str(&b), 15, false, DIM);
    buf_clear(&b);
    const char *text = json_string_value(value);
    if (text != NULL)
        text_brief(&b, pl_span_text(text), line.max > line.width ? line.max - line.width : 1);
    add_rest(&line, buf_str(&b), NULL);
    buf_free(&b);
}

static void draw_title(const struct top *top, const char *text, size_t columns, struct buf *out)
{
    struct line line = line_begin(top, columns, out);
    add_rest(&line, text, BOLD);
}

/* ---- All of it ---- */

static void draw_peers(const struct top *top, size_t columns, size_t shown, const char *end,
                       struct buf *out)
{
    size_t count;
    size_t synced = 0;
    size_t active = 0;
    struct buf title = { 0 };
    struct peer *peers = sort_peers(top, &count);
    for (size_t i = 0; i < count; i++) {
        const char *state = json_text(peers[i].now, "state");
        active += strcmp(state, "revoked") != 0 && strcmp(state, "pending") != 0 ? 1 : 0;
        synced += json_is_true(json_object_get(peers[i].now, "in_sync")) ? 1 : 0;
    }
    buf_format(&title, "%zu of %zu peers in sync", synced, active);
    size_t first = pl_min_size(top->scroll, count > shown ? count - shown : 0);
    if (count > shown && shown > 0)
        buf_format(&title, ", %zu to %zu shown", first + 1, first + shown);
    draw_title(top,
               count == 0 ? "No peers yet: parley invite here, parley join there" : buf_str(&title),
               columns, out);
    buf_text(out, end);
    if (count != 0) {
        draw_peer_heads(top, columns, out);
        buf_text(out, end);
    }
    for (size_t i = first; i < count && i < first + shown; i++) {
        draw_peer(top, &peers[i], columns, out);
        buf_text(out, end);
    }
    buf_free(&title);
    free(peers);
}

static void draw_changes(const struct top *top, size_t columns, size_t shown, const char *end,
                         struct buf *out)
{
    size_t count = json_array_size(top->changes);
    struct buf title = { 0 };
    buf_text(&title, "Last changes in ");
    text_safe(&title, pl_span_text(top->name_space), false);
    buf_text(out, end);
    draw_title(top, buf_str(&title), columns, out);
    buf_text(out, end);
    for (size_t i = 0; i < count && i < shown; i++) {
        draw_change(top, json_array_get(top->changes, count - 1 - i), columns, out);
        buf_text(out, end);
    }
    buf_free(&title);
}

void top_draw(const struct top *top, size_t columns, size_t rows, const char *end, struct buf *out)
{
    size_t peers = json_array_size(json_object_get(top->status, "peers"));
    size_t fixed = HEAD_ROWS + 5; /* heads of both lists, blanks, help */
    size_t left = rows > fixed ? rows - fixed : 0;
    size_t most = left > CHANGES_MIN ? pl_max_size(left / 2, left - pl_min_size(left, 12)) : left;
    /* Where there is no room for changes their head is not drawn either. */
    if (left == 0)
        most = rows > BARE_ROWS ? rows - BARE_ROWS : 0;
    size_t shown = rows == 0 ? peers : pl_min_size(peers, most);
    draw_name(top, columns, out);
    buf_text(out, end);
    draw_store(top, columns, out);
    buf_text(out, end);
    draw_traffic(top, columns, out);
    buf_text(out, end);
    if (top->trouble.len != 0)
        draw_title(top, buf_str(&top->trouble), columns, out);
    buf_text(out, end);
    draw_peers(top, columns, shown, end, out);
    size_t changes = rows == 0 ? 10 : left > shown ? left - shown : 0;
    if (changes != 0)
        draw_changes(top, columns, changes, end, out);
    if (rows != 0) {
        struct line line = line_begin(top, columns, out);
        add_rest(&line, "q quit  left/right sort  r reverse  up/down scroll  space now", DIM);
    }
}
