/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sessions joined by byte pipes that cut the stream anywhere, stop it after a number of bytes
 * or change one of them. Side 0 is the server, side 1 the client.
 */
#ifndef SESSION_PAIR_H
#define SESSION_PAIR_H

#include "lib/testlib.h"

#include "proto/session.h"

#define LOG_MAX      64
#define STREAM_MAX   8192
#define START        PARLEY_NS_PER_S
#define MOMENT_COUNT 9

/* Who takes part; made once. */
struct fixture {
    struct test_env t;
    struct pl_identity *ids[2]; /* 0: server, 1: client */
    char names[2][PARLEY_BACKEND_ID_BYTES_MAX + 1];
};

struct side {
    struct pl_session *s;
    enum pl_session_event_kind log[LOG_MAX];
    size_t log_count;
    struct pl_session_event last; /* its spans may be stale */
    uint8_t sent[STREAM_MAX];     /* the beginning of what it sent */
    size_t sent_len;
    size_t flip; /* byte of its stream that is changed on the way; SIZE_MAX: none */
    uint8_t flip_bits;
    size_t cut; /* bytes that still get through */
};

struct pair {
    struct fixture *f;
    struct side side[2]; /* 0: server, 1: client */
    struct pl_session_config config[2];
    struct pl_session_key admit_key;
    bool answer;        /* answer events as an owner would */
    enum pl_bye refuse; /* of PEER and JOIN, unless CLOSING */
    size_t step;        /* bytes a move; 0: by the seed */
    uint64_t seed;
    parley_time now;
};

/* How far the model handshake goes before the message under test; a state of each kind. */
struct moment {
    bool join;
    int who;
    size_t frames;             /* that the other side's stream may deliver first */
    enum pl_message_type next; /* what would be right */
};

extern const struct moment moments[MOMENT_COUNT];

const struct pl_pubkey *fixture_key(const struct fixture *f, int who);
void pair_init(struct pair *p, struct fixture *f, bool join);
void pair_open(struct pair *p);
void pair_free(struct pair *p);
bool pair_take_events(struct pair *p, struct side *side);
bool pair_carry(struct pair *p, struct side *from, struct side *to);
void pair_pump(struct pair *p);
bool side_saw(const struct side *side, enum pl_session_event_kind kind);
void side_assert_closed(const struct side *side, bool by_peer, uint32_t bye);
void pair_assert_never_open(const struct pair *p);
void pair_open_both(struct pair *p, struct fixture *f, bool join);
void pair_feed(struct pair *p, struct side *side, const void *bytes, size_t len);
void pair_feed_frame(struct pair *p, struct side *side, enum pl_message_type type, const void *body,
                     size_t len);
size_t side_frame_end(const struct side *side, size_t from);
void pair_reach(struct pair *p, struct fixture *f, const struct moment *m);
int fixture_make(void **state);
int fixture_drop(void **state);

#endif
