/* SPDX-License-Identifier: Apache-2.0
 *
 * Two nodes that meet again while one read of a store, or one allocation, fails: of those that it
 * takes to become the same, each that is tried in turn. They become the same all the same.
 */
#include "lib/db_util.h"
#include "lib/node_pair.h"
#include "lib/read_fault.h"

#include "core/digest.h"
#include "core/message.h"

#include <stdio.h>
#include <stdlib.h>

#define LARGE_BYTES 90000u

static void put_from(struct world *w, struct side *s, uint32_t source, const char *talk,
                     const char *id, const char *content, size_t len)
{
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_of(content, len) };
    uint8_t *body = malloc(len + 64);
    struct pl_writer writer = pl_writer_over(body, len + 64);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .source = source };
    pl_message_encode(&writer, &message);
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text(talk),
                                               .id = pl_span_text(id),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .time = (uint64_t)w->now.wall + len,
                                               .origin = pl_span_text(s->store),
                                               .body = pl_writer_span(&writer) };
    assert_ok(parley_db_apply(s->db, &write, 1, w->now.wall, NULL));
    s->node->state_fresh = false;
    free(body);
}

/* Small ones, some that are offered first because they came from elsewhere, and a large one. */
static void write_all(struct world *w, struct side *s)
{
    static char text[LARGE_BYTES];
    char id[32];
    memset(text, s->store[0], sizeof text);
    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "%s-%d", s->store, i);
        put_from(w, s, 0, i % 2 == 0 ? "talk" : s->store, id, text, 5);
        snprintf(id, sizeof id, "far-%s-%d", s->store, i);
        put_from(w, s, 9, "talk", id, text, 700);
    }
    put_from(w, s, 0, "talk", "both", text, 20);
    snprintf(id, sizeof id, "large-%s", s->store);
    put_from(w, s, 0, "large", id, text, sizeof text);
}

static void put_back(struct world *w, struct side *s, const char *copy)
{
    pl_node_stop(s->node, w->now);
    world_step(w);
    pl_node_free(s->node);
    parley_db_close(s->db);
    s->store = copy;
    side_open(w, s);
}

/* How they come to differ. */
enum story { BY_THE_LOG, BY_COMPARISON, BY_COPY, STORIES };

static void prepare(struct world *w, enum story story)
{
    world_open(w, false, 100000);
    world_join(w);
    world_settle(w);
    if (story == BY_COPY)
        env_mem_copy(&w->env, "b", "b-old");
    put_from(w, &w->a, 0, "talk", "old", "x", 1);
    world_pass(w, PARLEY_NS_PER_S);
    world_settle(w);
    if (story == BY_COMPARISON)
        env_mem_copy(&w->env, "b", "b-old");
    world_part(w);
    write_all(w, &w->a);
    if (story != BY_THE_LOG)
        put_back(w, &w->b, "b-old");
    if (story != BY_COPY)
        write_all(w, &w->b);
    read_fault_plant(&w->env, "a");
    read_fault_plant(&w->env, w->b.store);
}

static bool meet(enum story story, int64_t at, bool memory)
{
    struct world w;
    prepare(&w, story);
    int64_t *after = memory ? &w.env.t.fail_after : &read_fault_after;
    read_fault_once = true;
    w.env.t.fail_once = true;
    *after = at;
    w.apart = false;
    world_pass(&w, 30 * PARLEY_NS_PER_S);
    bool reached = *after < 0;
    *after = -1;
    world_settle(&w);
    struct parley_root a = db_util_root(w.a.db);
    struct parley_root b = db_util_root(w.b.db);
    if (!pl_root_equal(&a, &b))
        fail_msg("they differ: story %d, at %d", (int)story, (int)at);
    assert_true(a.count > 20);
    db_util_check(w.a.db);
    db_util_check(w.b.db);
    world_close(&w);
    return reached;
}

static void sweep(bool memory)
{
    for (int story = 0; story < STORIES; story++) {
        int64_t tried = 0;
        for (int64_t at = 0; meet((enum story)story, at, memory); at += 1 + at / 10)
            tried++;
        assert_true(tried > 5);
    }
}

static void nodes_become_the_same_although_a_read_fails(void **state)
{
    (void)state;
    sweep(false);
}

static void nodes_become_the_same_although_an_allocation_fails(void **state)
{
    (void)state;
    sweep(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_become_the_same_although_a_read_fails),
        cmocka_unit_test(nodes_become_the_same_although_an_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
