/* SPDX-License-Identifier: Apache-2.0
 *
 * Joins that compete for one invite, and joins that break: at every message, every byte and every
 * commit.
 */
#include "lib/snapshot.h"
#include "lib/talk.h"

#include <stdlib.h>

/* One of two clients, each with a connection and what came on it. */
struct client {
    struct talk talk;
    pl_conn conn;
    uint8_t *got;
    size_t got_len;
    size_t said; /* steps */
};

struct race {
    struct rig rig;
    struct client clients[2];
};

/* Makes this client the one that the rig talks for; a second call takes it back. */
static void swap_in(struct race *race, struct client *client)
{
    struct node_client *c = &race->rig.c;
    uint8_t *got = c->got;
    size_t got_len = c->got_len;
    pl_conn conn = c->conn;
    c->got = client->got;
    c->got_len = client->got_len;
    c->conn = pl_node_conn_find(c->node, client->conn) == NULL ? 0 : client->conn;
    client->got = got;
    client->got_len = got_len;
    client->conn = conn;
}

static void step(struct race *race, size_t who, const char *steps)
{
    struct client *client = &race->clients[who];
    swap_in(race, client);
    node_client_settle(&race->rig.c);
    if (race->rig.c.conn != 0)
        talk_step(&client->talk, steps[client->said++]);
    swap_in(race, client);
}

static void race_open(struct race *race)
{
    static const enum who who[2] = { STRANGER, NEXT };
    rig_open(&race->rig);
    for (size_t i = 0; i < 2; i++) {
        struct client *client = &race->clients[i];
        *client = (struct client){ .got = calloc(1, 1) };
        talk_init(&client->talk, &race->rig, true);
        talk_be(&client->talk, who[i]);
        swap_in(race, client);
        race->rig.c.conn = 0;
        talk_begin(&client->talk);
        swap_in(race, client);
    }
}

static void race_close(struct race *race)
{
    for (size_t i = 0; i < 2; i++) {
        pl_node_closed(race->rig.c.node, race->clients[i].conn, race->rig.c.now);
        free(race->clients[i].got);
    }
    rig_close(&race->rig);
}

static uint32_t settle_bye(struct race *race, size_t who)
{
    swap_in(race, &race->clients[who]);
    node_client_settle(&race->rig.c);
    uint32_t bye = talk_bye(&race->rig.c);
    swap_in(race, &race->clients[who]);
    return bye;
}

static const struct pl_peer *peer_of(struct race *race, size_t who)
{
    return pl_peers_find(&race->rig.c.node->peers, race->clients[who].talk.hello.backend_id);
}

static void check_one_winner(struct race *race, size_t peers_before, enum pl_peer_state state)
{
    size_t winner = peer_of(race, 0) != NULL ? 0 : 1;
    assert_int_equal(peers_before + 1, race->rig.c.node->peers.count);
    assert_int_equal(state, peer_of(race, winner)->state);
    assert_null(peer_of(race, 1 - winner));
    assert_int_equal(UINT32_MAX, settle_bye(race, winner));
    assert_int_equal(PL_BYE_INVITE, settle_bye(race, 1 - winner));
}

/* Bit i of `order` says who makes step i; false when one of them would make too many. */
static bool is_order(unsigned order, size_t each)
{
    size_t count = 0;
    for (size_t i = 0; i < 2 * each; i++)
        count += order >> i & 1;
    return count == each;
}

static void run_order(struct race *race, unsigned order, const char *steps)
{
    for (size_t i = 0; i < 2 * strlen(steps); i++)
        step(race, order >> i & 1, steps);
}

static void two_joins_with_one_invite_have_one_winner_in_any_order(void **state)
{
    static struct race race;
    (void)state;
    for (unsigned order = 0; order < 256; order++) {
        if (!is_order(order, 4))
            continue;
        race_open(&race);
        size_t before = race.rig.c.node->peers.count;
        run_order(&race, order, "HPJD");
        check_one_winner(&race, before, PL_PEER_ACTIVE);
        race_close(&race);
    }
}

/* The first is not durable yet when the second comes. */
static void a_join_whose_commit_is_under_way_has_its_invite(void **state)
{
    static struct race race;
    (void)state;
    for (unsigned order = 0; order < 64; order++) {
        if (!is_order(order, 3))
            continue;
        race_open(&race);
        size_t before = race.rig.c.node->peers.count;
        race.rig.c.hold_commits = true;
        run_order(&race, order, "HPJ");
        node_client_commit(&race.rig.c);
        check_one_winner(&race, before, PL_PEER_JOINING);
        race_close(&race);
    }
}

/* A join that was not stored did not happen: its invite is whole again. */
static void a_join_whose_commit_fails_gives_its_invite_back(void **state)
{
    static struct race race;
    (void)state;
    race_open(&race);
    struct pl_node *node = race.rig.c.node;
    struct parley_store *store = env_mem_store(&race.rig.env, "a");
    struct pl_store_mem_faults faults = { .fail_put_after = -1, .fail_commit_after = 0 };
    struct snapshot before = snapshot_take(node, race.rig.c.db);
    race.rig.c.hold_commits = true;
    for (int i = 0; i < 3; i++)
        step(&race, 0, "HPJ");
    pl_store_mem_set_faults(store, &faults);
    node_client_commit(&race.rig.c);
    assert_int_equal(PL_BYE_STORE, settle_bye(&race, 0));
    assert_null(peer_of(&race, 0));
    for (size_t i = 0; i < node->invite_count; i++)
        node->invites[i].tries = 0; /* that is remembered */
    struct snapshot after = snapshot_take(node, race.rig.c.db);
    assert_memory_equal(&before, &after, sizeof before);
    for (int i = 0; i < 4; i++)
        step(&race, 1, "HPJD");
    assert_int_equal(PL_PEER_ACTIVE, peer_of(&race, 1)->state);
    race_close(&race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_joins_with_one_invite_have_one_winner_in_any_order),
        cmocka_unit_test(a_join_whose_commit_is_under_way_has_its_invite),
        cmocka_unit_test(a_join_whose_commit_fails_gives_its_invite_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
