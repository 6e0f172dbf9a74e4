/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "round_pair.h"

#include "proto/frame.h"
#include "sync/descent.h"
#include "sync/round.h"

#include <stdlib.h>
#include <time.h>

#define WALL          INT64_C(1893456000000000)
#define BATCH_MAX     20000u
#define TICKS_MAX     2000000u
#define WIRE_CHUNK    (1u << 20)
#define PREFACE_BYTES PL_WIRE_PREFACE_BYTES

/* Bytes on their way in one direction. */
struct wire {
    uint8_t *bytes;
    size_t len, cap;
    size_t at; /* what the reader has taken */
};

struct side {
    struct parley_env env;
    struct parley_db *db;
    struct pl_identity *identity;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_peer peer; /* the other */
    struct pl_session *session;
    struct pl_round round;
    bool open;
    struct pl_session_event event; /* MESSAGE at hand */
    bool has_message;
    uint64_t serial;
    uint64_t merged;
    struct wire out[2]; /* leaves now; arrives at the next tick */
    struct parley_write *writes;
    uint8_t (*ids)[PARLEY_ID_BYTES_MAX]; /* theirs; a frame lends one at a time */
};

struct pair {
    struct side side[2]; /* [0] dials */
    parley_time now;
    double cpu;
    uint64_t find_bytes, state_bytes;
    unsigned ticks;
    bool finding;
    unsigned find_from, find_to, find_depth;
};

static double cpu_now(void)
{
    struct timespec t;
    bench_check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "CPU clock");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- Set-up ---- */

static void side_open(struct side *s, const char *dir, const char *name)
{
    struct parley_db_options options = { .name = dir, .local_origin = pl_span_text(name) };
    struct parley_diag diag = { "" };
    parley_env_posix(&s->env);
    if (parley_db_open(&s->env, &options, &s->db, NULL, &diag) != PARLEY_OK)
        bench_die("opening %s: %s", dir, diag.text);
    bench_ok(pl_identity_create(&s->env, PL_RSA_BITS_DEFAULT, &s->identity), "a key");
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(s->identity), s->id);
    s->writes = bench_alloc(BATCH_MAX * sizeof *s->writes);
    s->ids = bench_alloc(BATCH_MAX * sizeof *s->ids);
}

static struct parley_db_state state_of(struct side *s, struct parley_read **read)
{
    struct parley_db_state state;
    bench_ok(parley_read_begin(s->db, read), "a read");
    bench_ok(parley_read_state(*read, &state), "the state");
    return state;
}

/* A daemon that has run for a while has the index mapped; a store that was just opened has not. */
static void touch_index(struct side *s)
{
    struct parley_read *read = NULL;
    struct parley_elements elements;
    struct parley_runs runs;
    struct parley_point from = { 0 };
    state_of(s, &read);
    bench_ok(parley_elements_begin(read, &(struct parley_set){ .name_space = pl_span_text("main") },
                                   &from, &elements),
             "the index");
    for (bool found = true; found;) {
        struct parley_element element;
        bench_ok(parley_elements_next(&elements, &element, &found), "the index");
    }
    bench_ok(parley_runs_begin(read, &(struct parley_set){ .name_space = pl_span_text("main") },
                               &from, &runs),
             "the index");
    for (bool found = true; found;) {
        struct parley_run run;
        bench_ok(parley_runs_next(&runs, NULL, &run, &found), "the index");
    }
    parley_read_end(read);
}

static void side_connect(struct pair *p, int i)
{
    struct side *s = &p->side[i];
    struct side *other = &p->side[1 - i];
    struct parley_read *read = NULL;
    struct parley_db_state state = state_of(s, &read);
    parley_read_end(read);
    s->peer = (struct pl_peer){ .number = 1, .state = PL_PEER_ACTIVE };
    memcpy(s->peer.backend_id, other->id, sizeof other->id);
    s->peer.key = *pl_identity_pubkey(other->identity);
    bench_ok(pl_peer_grant(&s->peer, pl_span_text("main"), true), "a grant");
    struct pl_session_config config = { .client = i == 0,
                                        .backend_id = pl_span_text(s->id),
                                        .identity = s->identity,
                                        .incarnation = state.incarnation };
    if (i == 0) {
        config.expect_backend_id = pl_span_text(other->id);
        config.expect_key.key = &s->peer.key;
    }
    bench_ok(pl_session_open(&s->env, &config, p->now, &s->session), "a session");
}

static void side_close(struct side *s)
{
    pl_round_deinit(&s->round);
    pl_session_free(s->session);
    pl_identity_destroy(s->identity);
    parley_db_close(s->db);
    free(s->writes);
    free(s->ids);
    for (int i = 0; i < 2; i++)
        free(s->out[i].bytes);
}

/* ---- Messages ---- */

/* Merges the versions of a CHANGES frame. Its time is not counted. */
static void take_changes(struct pair *p, struct side *s)
{
    size_t count = 0;
    double start = cpu_now();
    bench_ok(pl_round_changes_begin(&s->round, s->event.body), "CHANGES");
    for (;;) {
        const struct parley_version *version = NULL;
        bench_ok(pl_round_changes_peek(&s->round, &version), "CHANGES");
        if (version == NULL)
            break;
        bench_check(count + 1 < BATCH_MAX, "versions of one frame");
        s->writes[count] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                                  .source = 1,
                                                  .u.version = *version };
        memcpy(s->ids[count], version->id.ptr, version->id.len);
        s->writes[count].u.version.id.ptr = s->ids[count];
        count++;
        pl_round_changes_pop(&s->round);
    }
    s->serial++;
    s->merged += count;
    if (count != 0) {
        pl_round_took(&s->round, s->serial);
        s->writes[count++] = (struct parley_write){ .kind = PARLEY_WRITE_INDEX };
        bench_ok(parley_db_apply(s->db, s->writes, count, WALL, NULL), "merging");
    }
    pl_round_changes_end(&s->round, count != 0 ? s->serial : 0, p->now);
    if (count != 0)
        pl_round_committed(&s->round, s->serial, p->now);
    p->cpu -= cpu_now() - start;
}

static parley_err take_message(struct pair *p, struct side *s, const struct pl_round_view *view)
{
    struct parley_span body = s->event.body;
    enum pl_message_type type = s->event.type;
    if (type == PL_MSG_CHANGES) {
        take_changes(p, s);
        return PARLEY_OK;
    }
    if (type == PL_MSG_STATE)
        return pl_round_on_state(&s->round, body, view);
    if (type == PL_MSG_ACK)
        return pl_round_on_ack(&s->round, body, view);
    if (type == PL_MSG_QUERY)
        return pl_round_on_query(&s->round, s->session, body, view);
    return type == PL_MSG_ANSWER ? pl_round_on_answer(&s->round, body, view) : PARLEY_EPROTO;
}

static void take_event(struct pair *p, struct side *s, const struct pl_round_view *view)
{
    struct pl_session_key key = { .key = &s->peer.key };
    bool changed = false;
    if (s->event.kind == PL_SESSION_CLOSED)
        bench_die("a session ended: %s", s->event.why != NULL ? s->event.why : "?");
    if (s->event.kind == PL_SESSION_PEER)
        pl_session_admit(s->session, &key);
    if (s->event.kind == PL_SESSION_OPEN) {
        bench_ok(pl_round_init(&s->round, &s->env, &s->peer, s->event.incarnation, s == &p->side[0],
                               PL_FLOOR_GRACE_US, view, &changed),
                 "a round");
        s->open = true;
    }
    s->has_message = s->event.kind == PL_SESSION_MESSAGE;
}

/* ---- The wire ---- */

static void wire_put(struct wire *w, const uint8_t *bytes, size_t len)
{
    if (w->cap - w->len < len) {
        w->cap = w->cap + len + WIRE_CHUNK;
        w->bytes = realloc(w->bytes, w->cap);
        bench_check(w->bytes != NULL, "memory");
    }
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

/* Counts the frames of what a side has written since `from`. */
static void count_frames(struct pair *p, const struct wire *w, size_t from)
{
    while (from + PL_FRAME_HEADER_BYTES <= w->len) {
        size_t total = 4 + (size_t)pl_get_be(w->bytes + from, 4);
        uint8_t type = w->bytes[from + 4];
        if (type == PL_MSG_QUERY || type == PL_MSG_ANSWER)
            p->find_bytes += total;
        if (type == PL_MSG_STATE)
            p->state_bytes += total;
        if (type == PL_MSG_QUERY && !p->finding) {
            p->finding = true;
            p->find_from = p->ticks;
        }
        from += total;
    }
}

static void drain(struct pair *p, struct side *s, struct wire *to)
{
    size_t len = 0;
    const uint8_t *bytes = pl_session_send_buf(s->session, &len);
    if (len == 0)
        return;
    size_t from = to->len;
    bool preface = memcmp(bytes, PL_WIRE_PREFACE, PREFACE_BYTES) == 0;
    wire_put(to, bytes, len);
    count_frames(p, to, from + (preface ? PREFACE_BYTES : 0));
    pl_session_send_ack(s->session, len);
}

static bool feed(struct pair *p, struct side *s, struct wire *from)
{
    size_t room = 0;
    uint8_t *buf = pl_session_recv_buf(s->session, &room);
    size_t len = pl_min_size(room, from->len - from->at);
    if (buf == NULL || len == 0)
        return false;
    memcpy(buf, from->bytes + from->at, len);
    from->at += len;
    pl_session_recv_ack(s->session, len, p->now);
    return true;
}

/* Lets one side do all it can with what has arrived. */
static void pump(struct pair *p, int i, struct wire *in, struct wire *out)
{
    struct side *s = &p->side[i];
    for (bool busy = true; busy;) {
        struct parley_read *read = NULL;
        struct parley_db_state state = state_of(s, &read);
        struct pl_round_view view = { .read = read,
                                      .state = &state,
                                      .now = { .mono = p->now, .wall = WALL } };
        double start = cpu_now();
        size_t before = out->len;
        bool more = false;
        busy = feed(p, s, in);
        if (!s->has_message) {
            pl_session_next(s->session, &s->event);
            busy = busy || s->event.kind != PL_SESSION_NONE;
            take_event(p, s, &view);
        }
        if (s->has_message) {
            parley_err err = take_message(p, s, &view);
            if (err != PARLEY_EAGAIN) {
                bench_ok(err, "a message");
                s->has_message = false;
                pl_session_message_done(s->session);
                busy = true;
            }
        }
        parley_read_end(read);
        state = state_of(s, &view.read);
        if (s->open && !s->has_message)
            bench_ok(pl_round_fill(&s->round, s->session, &view, &more), "filling");
        parley_read_end(view.read);
        if (s->open)
            p->cpu += cpu_now() - start;
        drain(p, s, out);
        busy = busy || more || out->len != before;
        if (i == 0 && s->open && s->round.descent != NULL && s->round.descent->ended &&
            p->find_to == 0) {
            p->find_to = p->ticks;
            p->find_depth = s->round.descent->depth;
        }
    }
}

static bool is_in_sync(const struct side *s)
{
    return s->open && s->peer.sync == PL_SYNC_IN_SYNC;
}

void round_pair_sync(const char *const dirs[2], struct round_pair_result *out)
{
    struct pair *p = bench_alloc(sizeof *p);
    *p = (struct pair){ .now = PARLEY_NS_PER_S };
    side_open(&p->side[0], dirs[0], "a");
    side_open(&p->side[1], dirs[1], "b");
    touch_index(&p->side[0]);
    touch_index(&p->side[1]);
    side_connect(p, 0);
    side_connect(p, 1);
    for (; !is_in_sync(&p->side[0]) || !is_in_sync(&p->side[1]); p->ticks++) {
        bench_check(p->ticks < TICKS_MAX, "the stores become equal");
        unsigned now = p->ticks % 2;
        for (int i = 0; i < 2; i++)
            p->side[i].out[1 - now].len = p->side[i].out[1 - now].at = 0;
        for (int i = 0; i < 2; i++)
            pump(p, i, &p->side[1 - i].out[now], &p->side[i].out[1 - now]);
        bool quiet = p->side[0].out[1 - now].len == 0 && p->side[1].out[1 - now].len == 0;
        p->now += quiet ? PARLEY_NS_PER_S : PARLEY_NS_PER_MS;
    }
    *out = (struct round_pair_result){ .find_bytes = p->find_bytes,
                                       .find_depth = p->find_depth,
                                       .find_trips = (p->find_to - p->find_from) / 2.0,
                                       .find_cpu = p->cpu,
                                       .versions = p->side[0].merged + p->side[1].merged,
                                       .state_bytes = p->state_bytes };
    side_close(&p->side[0]);
    side_close(&p->side[1]);
    free(p);
}

size_t round_pair_session_bytes(void)
{
    return sizeof(struct pl_descent);
}
