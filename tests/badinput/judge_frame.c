/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames, sessions that are told nonsense, and bodies of the messages of sync.
 */
#include "badinput.h"

#include "lib/keys.h"
#include "lib/plain_env.h"

#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/session.h"
#include "sync/change.h"
#include "sync/diff.h"
#include "sync/state.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())
/* The id of who has key A; frame_cases.py names it. */
#define SERVER_NAME "local_sha256_ae27b04f09e5cad3773e176506377423"

/* ---- A frame ---- */

/* Refused from exactly so many bytes on: one fewer could still become another frame. */
static void judge_split(struct parley_span data, struct verdict *out)
{
    verdict_print(out, "need");
    for (size_t shown = 0; shown <= data.len; shown++) {
        struct pl_frame frame;
        bool whole = false;
        size_t need = 0;
        parley_err err = pl_frame_split(pl_span_of(data.ptr, shown), &frame, &whole, &need);
        if (err != PARLEY_OK) {
            verdict_print(out, "%s@%zu", parley_err_name(err) + strlen("PARLEY_"), shown);
            return;
        }
        CHECK(whole || need > shown);
        if (whole)
            verdict_print(out, shown == data.len ? "whole" : "whole@%zu", shown);
    }
}

/* ---- A session ---- */

static struct world {
    struct plain_env env;
    struct pl_identity *ids[2]; /* 0: server, 1: client */
    char names[2][PARLEY_BACKEND_ID_BYTES_MAX + 1];
} world;

static void make_world(void)
{
    static const char *const pems[2] = { TEST_KEY_A_PKCS1, TEST_KEY_B_PKCS1 };
    plain_env_init(&world.env);
    for (int i = 0; i < 2; i++) {
        CHECK(pl_identity_import(&world.env.env, pl_span_text(pems[i]), &world.ids[i], NULL) ==
              PARLEY_OK);
        pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(world.ids[i]), world.names[i]);
    }
    CHECK(strcmp(world.names[0], SERVER_NAME) == 0);
}

static struct pl_session *open_side(bool client)
{
    struct pl_session_config config = {
        .client = client,
        .backend_id = pl_span_text(world.names[client]),
        .identity = world.ids[client],
        .expect_backend_id = pl_span_text(client ? world.names[0] : ""),
        .expect_key = { .key = pl_identity_pubkey(world.ids[0]) },
    };
    struct pl_session *s;
    CHECK(pl_session_open(&world.env.env, &config, 1, &s) == PARLEY_OK);
    return s;
}

static const char *bye_name(uint32_t code)
{
    switch ((enum pl_bye)code) {
#define BYE_NAME(number, name, text)                                                               \
    case PL_BYE_##name:                                                                            \
        return #name;
        PL_BYE_TABLE(BYE_NAME)
#undef BYE_NAME
    case PL_BYE_COUNT:
        break;
    }
    return "?";
}

/* Whether the last frame that the session has to send is a BYE with this code. */
static bool says_bye(const struct pl_session *s, bool client, uint32_t code)
{
    size_t len = 0;
    const uint8_t *bytes = pl_session_send_buf(s, &len);
    struct parley_span left = pl_span_of(bytes, len);
    struct pl_msg_bye bye = { .code = UINT32_MAX };
    if (client)
        left = pl_span_after(left, PL_WIRE_PREFACE_BYTES);
    while (left.len != 0) {
        struct pl_frame frame;
        bool whole = false;
        size_t need = 0;
        CHECK(pl_frame_split(left, &frame, &whole, &need) == PARLEY_OK && whole);
        bye.code = UINT32_MAX;
        if (frame.type == PL_MSG_BYE)
            CHECK(pl_msg_bye_decode(frame.body, &bye) == PARLEY_OK);
        left = pl_span_after(left, need);
    }
    return bye.code == code;
}

/* True while the session goes on; false when it has closed, with the verdict. */
static bool take_events(struct pl_session *s, bool client, struct verdict *out)
{
    struct pl_session_event event;
    for (pl_session_next(s, &event); event.kind != PL_SESSION_NONE; pl_session_next(s, &event)) {
        if (event.kind == PL_SESSION_CLOSED && event.by_peer) {
            verdict_print(out, "closed");
        } else if (event.kind == PL_SESSION_CLOSED) {
            verdict_print(out, "bye:%s", bye_name(event.bye));
            if (!says_bye(s, client, event.bye))
                verdict_print(out, "silent:%s", bye_name(event.bye));
        } else if (event.kind == PL_SESSION_PEER) {
            struct pl_session_key key = { .key = pl_identity_pubkey(world.ids[1]) };
            pl_session_admit(s, event.join ? NULL : &key);
            continue;
        } else {
            verdict_print(out, "event:%d", (int)event.kind);
        }
        return false;
    }
    return true;
}

static void judge_session(bool client, struct parley_span data, size_t step, struct verdict *out)
{
    struct pl_session *s = open_side(client);
    verdict_print(out, "waits");
    while (data.len != 0) {
        size_t room = 0;
        uint8_t *to = pl_session_recv_buf(s, &room);
        size_t part = pl_min_size(pl_min_size(step, room), data.len);
        if (to == NULL)
            break;
        memcpy(to, data.ptr, part);
        pl_session_recv_ack(s, part, 1);
        data = pl_span_after(data, part);
        if (!take_events(s, client, out))
            break;
    }
    pl_session_free(s);
}

static void judge_sessions(bool client, struct parley_span data, struct verdict *out)
{
    static const size_t steps[] = { 1, 2, 5, 64 };
    if (world.ids[0] == NULL)
        make_world();
    judge_session(client, data, SIZE_MAX, out);
    for (size_t i = 0; i < PL_ARRAY_LEN(steps); i++) {
        struct verdict other;
        judge_session(client, data, steps[i], &other);
        if (strcmp(other.text, out->text) != 0) {
            verdict_print(out, "cut:%zu", steps[i]);
            return;
        }
    }
}

/* ---- Bodies ---- */

static parley_err read_changes(struct parley_span body)
{
    struct pl_change_state state = { 0 };
    struct pl_reader r = pl_reader_over(body);
    struct parley_version version;
    bool found = true;
    parley_err err = PARLEY_OK;
    while (err == PARLEY_OK && found)
        err = pl_change_read(&r, &state, &version, &found);
    return err;
}

static parley_err read_query(struct parley_span body)
{
    static struct pl_query_item item;
    struct pl_query_walk walk = { 0 };
    struct pl_reader r = pl_reader_over(body);
    bool found = true;
    parley_err err = PARLEY_OK;
    (void)pl_varint_read(&r);
    while (err == PARLEY_OK && found)
        err = pl_query_read(&r, &walk, &item, &found);
    return err;
}

static parley_err read_body(const char *reader, struct parley_span body)
{
    static struct pl_state state;
    static struct pl_diff_result result;
    uint64_t keys[PL_TALLY_KEYS_MAX];
    struct pl_tally tally = { .key_max = PL_TALLY_KEYS_MAX, .keys = keys };
    bool asks = false;
    if (strcmp(reader, "state") == 0)
        return pl_state_read(body, &state);
    if (strcmp(reader, "changes") == 0)
        return read_changes(body);
    if (strcmp(reader, "query") == 0)
        return read_query(body);
    if (strcmp(reader, "tally") == 0)
        return pl_tally_read(body, &tally);
    return strcmp(reader, "diff") == 0 ? pl_diff_read(body, &asks, &result) : PARLEY_EINVAL;
}

void judge_frame(const char *reader, struct parley_span data, struct verdict *out)
{
    if (strcmp(reader, "split") == 0)
        judge_split(data, out);
    else if (strcmp(reader, "server") == 0 || strcmp(reader, "client") == 0)
        judge_sessions(strcmp(reader, "client") == 0, data, out);
    else
        verdict_err(out, read_body(reader, data));
}
