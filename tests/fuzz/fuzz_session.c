/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes one session, the victim, that talks to an honest one until the input takes over.
 *
 * The first byte chooses: bits 0-2 how many frames of the honest peer come first, bit 3 the victim
 * (client or server), bit 4 a join. The second is how many bytes arrive at a time. The rest is what
 * the victim reads then. Checked: the victim is never OPEN before an honest PROOF came, its CLOSED
 * comes once and last, it has room for BYE, and its bytes are frames.
 */
#include "lib/keys.h"
#include "lib/plain_env.h"

#include "proto/frame.h"
#include "proto/session.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct world {
    struct plain_env env;
    struct pl_identity *ids[2]; /* 0: server, 1: client */
    char names[2][PARLEY_BACKEND_ID_BYTES_MAX + 1];
};

/* Reading a key costs more than a run, so the two are read once. */
static struct world world;

static void make_world(void)
{
    static const char *const pems[2] = { TEST_KEY_A_PKCS1, TEST_KEY_B_PKCS1 };
    plain_env_init(&world.env);
    for (int i = 0; i < 2; i++) {
        parley_err err =
            pl_identity_import(&world.env.env, pl_span_text(pems[i]), &world.ids[i], NULL);
        CHECK(err == PARLEY_OK);
        pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(world.ids[i]), world.names[i]);
    }
}

static struct pl_session *open_side(bool client, bool join)
{
    struct pl_session_config config = {
        .client = client,
        .join = client && join,
        .backend_id = pl_span_text(world.names[client]),
        .identity = world.ids[client],
        .expect_key = { .key = pl_identity_pubkey(world.ids[0]) },
    };
    memcpy(config.expect_fingerprint, config.expect_key.key->fingerprint, PL_FINGERPRINT_BYTES);
    struct pl_session *s;
    CHECK(pl_session_open(&world.env.env, &config, 1, &s) == PARLEY_OK);
    return s;
}

struct run {
    struct pl_session *victim;
    struct pl_session *peer;
    bool proved; /* an honest PROOF was delivered to the victim */
    bool closed;
};

static void answer(struct pl_session *s, const struct pl_session_event *event)
{
    switch (event->kind) {
    case PL_SESSION_PEER:
        pl_session_admit(
            s, event->join ? NULL
                           : &(struct pl_session_key){ .key = pl_identity_pubkey(world.ids[1]) });
        break;
    case PL_SESSION_JOIN:
        pl_session_joined(s, pl_span_text("family"), true);
        break;
    case PL_SESSION_JOINED:
        pl_session_join_done(s);
        break;
    case PL_SESSION_MESSAGE:
        CHECK(event->body.len <= pl_frame_body_max((uint32_t)event->type));
        pl_session_message_done(s);
        break;
    case PL_SESSION_NONE:
    case PL_SESSION_OPEN:
    case PL_SESSION_CLOSED:
        break;
    }
}

static void take_events(struct run *run, struct pl_session *s)
{
    struct pl_session_event event;
    for (pl_session_next(s, &event); event.kind != PL_SESSION_NONE; pl_session_next(s, &event)) {
        if (s == run->victim) {
            bool needs_proof = event.kind != PL_SESSION_PEER && event.kind != PL_SESSION_CLOSED;
            CHECK(!run->closed);
            CHECK(run->proved || !needs_proof);
            run->closed = event.kind == PL_SESSION_CLOSED;
            CHECK(!run->closed || (event.why != NULL && !pl_session_is_open(s)));
        }
        answer(s, &event);
    }
    CHECK(run->proved || !pl_session_is_open(run->victim));
}

static void feed(struct run *run, struct pl_session *to, const uint8_t *bytes, size_t len,
                 size_t step)
{
    while (len != 0) {
        size_t room;
        uint8_t *dst = pl_session_recv_buf(to, &room);
        if (dst == NULL)
            return;
        size_t part = pl_min_size(pl_min_size(len, room), step);
        memcpy(dst, bytes, part);
        pl_session_recv_ack(to, part, 1);
        bytes += part;
        len -= part;
        take_events(run, to);
    }
}

/* The first frame, or the preface, that `from` has to send; empty when there is none. */
static struct parley_span first_unit(const struct pl_session *from, bool preface)
{
    size_t len;
    const uint8_t *bytes = pl_session_send_buf(from, &len);
    struct pl_frame frame = { .bytes = { NULL, 0 } };
    bool whole = false;
    size_t need;
    if (bytes == NULL)
        return pl_span_of(NULL, 0);
    if (preface)
        return pl_span_of(bytes, PL_WIRE_PREFACE_BYTES);
    CHECK(pl_frame_split(pl_span_of(bytes, len), &frame, &whole, &need) == PARLEY_OK);
    CHECK(whole);
    return frame.bytes;
}

static void deliver(struct run *run, struct pl_session *from, struct pl_session *to, bool preface)
{
    struct parley_span unit = first_unit(from, preface);
    if (unit.len == 0)
        return;
    if (to == run->victim && unit.len > 4 && unit.ptr[4] == PL_MSG_PROOF)
        run->proved = true;
    feed(run, to, unit.ptr, unit.len, SIZE_MAX);
    pl_session_send_ack(from, unit.len);
}

static void play(struct run *run, bool victim_is_client, size_t frames)
{
    bool preface = true;
    for (size_t i = 0; i < frames; i++) {
        if (victim_is_client) {
            for (int k = 0; k < 3; k++, preface = false)
                deliver(run, run->victim, run->peer, preface);
            deliver(run, run->peer, run->victim, false);
        } else {
            if (preface)
                deliver(run, run->peer, run->victim, true);
            preface = false;
            deliver(run, run->peer, run->victim, false);
            for (int k = 0; k < 3; k++)
                deliver(run, run->victim, run->peer, false);
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    make_world();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (world.ids[0] == NULL)
        make_world();
    world.env.seed = 1;
    bool victim_is_client = (data[0] & 8) != 0;
    bool join = (data[0] & 16) != 0;
    struct run run = { .victim = open_side(victim_is_client, join),
                       .peer = open_side(!victim_is_client, join) };
    play(&run, victim_is_client, data[0] & 7);
    feed(&run, run.victim, data + 2, size - 2, (size_t)data[1] + 1);
    bool was_closed = run.closed;
    pl_session_tick(run.victim, 1 + PL_SESSION_IDLE_NS_MAX);
    take_events(&run, run.victim);
    CHECK(was_closed || run.closed);
    pl_session_free(run.victim);
    pl_session_free(run.peer);
    return 0;
}
