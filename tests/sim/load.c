/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include "core/message.h"
#include "core/mp_write.h"
#include "sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARED_REGISTERS 6
#define INVITE_US        (INT64_C(30) * 24 * 3600 * PARLEY_US_PER_S)
/* With one invite; then somebody asks for another. */
#define INVITE_TRIES 5

/* ---- Writes ---- */

/* What fits into the batch of a node, and never more than 1 MiB: the run stays quick. */
static size_t large_bytes(struct sim_world *w)
{
    size_t max = pl_min_size(PL_BATCH_BYTES_MAX - 4096, 1 << 20);
    if (sim_chance(w, 70))
        max = pl_min_size(max, 3 * PL_FRAME_BYTES_MAX);
    return PL_CHANGE_BODY_BYTES_MAX - 64 + (size_t)sim_within(w, max - PL_CHANGE_BODY_BYTES_MAX);
}

/* Text that is different each time, so that no two writes can be mistaken for one another. */
static size_t make_text(struct sim_node *n, size_t size, uint8_t *text)
{
    struct sim_world *w = n->world;
    int len = snprintf((char *)text, 48, "n%u says %llu ", n->index,
                       (unsigned long long)++w->load.serial);
    for (size_t i = (size_t)len; i < size; i++)
        text[i] = (uint8_t)('a' + (i * 7 + w->load.serial) % 26);
    return pl_max_size((size_t)len, size);
}

static void make_message(struct sim_node *n, struct parley_version *v, const char *id, size_t size,
                         uint8_t *body, size_t cap, uint8_t *text)
{
    size_t len = make_text(n, size, text);
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_of(text, len) };
    struct pl_writer writer = pl_writer_over(body, cap);
    pl_message_encode(&writer, &message);
    PL_ASSERT(writer.err == PARLEY_OK);
    v->kind = PARLEY_KIND_MESSAGE;
    v->id = pl_span_text(id);
    v->body = pl_writer_span(&writer);
}

static void make_header(struct sim_node *n, struct parley_version *v, uint8_t *body, size_t cap,
                        uint8_t *text)
{
    static const char *const names[] = { "title", "surface", "metadata.mood", "field.x" };
    struct pl_writer writer = pl_writer_over(body, cap);
    size_t len = make_text(n, 0, text);
    pl_mp_write_str(&writer, pl_span_of(text, len));
    v->kind = PARLEY_KIND_HEADER;
    v->id = pl_span_text(names[sim_within(n->world, PL_ARRAY_LEN(names))]);
    v->body = pl_writer_span(&writer);
}

static void submit(struct sim_node *n, const struct parley_version *v)
{
    struct sim_world *w = n->world;
    parley_err err = pl_node_write(n->node, v, sim_now(n));
    sim_note(w, n->index, (uint64_t)err, "n%u writes %.*s/%.*s, %zu bytes: %s", n->index,
             (int)v->conversation.len, (const char *)v->conversation.ptr, (int)v->id.len,
             (const char *)v->id.ptr, v->body.len, parley_err_name(err));
    if (err == PARLEY_EAGAIN)
        w->load.refused++;
    else if (err != PARLEY_OK && err != PARLEY_ENOMEM)
        sim_fail(w, "load", "a good version is refused: %s", parley_err_name(err));
    sim_drain(n);
}

void sim_load_write(struct sim_node *n)
{
    struct sim_world *w = n->world;
    const struct sim_plan *plan = &w->plan;
    if (n->state != SIM_UP)
        return;
    char talk[32], id[32], name_space[32];
    bool large = sim_chance(w, plan->large_percent);
    size_t size = large ? large_bytes(w) : (size_t)sim_draw(&w->rng, 400);
    size = plan->content_bytes != 0 ? plan->content_bytes : size;
    size_t cap = size + 256;
    uint8_t *body = malloc(2 * cap);
    PL_ASSERT(body != NULL);
    bool own = sim_chance(w, 6);
    bool shared = sim_chance(w, plan->edit_percent);
    snprintf(name_space, sizeof name_space, "own-%u", n->self);
    unsigned at = (unsigned)sim_within(w, plan->conversations);
    /* Most of what devices write is for the hub too. */
    if (plan->filtered && n->self != 0 && sim_chance(w, 70))
        at = n->self % 3;
    snprintf(talk, sizeof talk, "talk-%u", at);
    if (shared)
        snprintf(id, sizeof id, "shared-%u", (unsigned)sim_within(w, SHARED_REGISTERS));
    else
        snprintf(id, sizeof id, "n%u-%llu", n->index, (unsigned long long)w->load.serial);
    struct parley_version v = { .name_space = pl_span_text(own ? name_space : SIM_NAMESPACE),
                                .conversation = pl_span_text(talk) };
    if (sim_chance(w, plan->import_percent)) {
        snprintf(id, sizeof id, "old-%llu", (unsigned long long)w->load.serial);
        v.conversation = pl_span_text("imports");
        v.time = (uint64_t)SIM_EPOCH_US - 1 - sim_within(w, PARLEY_NS_PER_S);
        v.origin = pl_span_text("archive");
        make_message(n, &v, id, size, body, cap, body + cap);
    } else if (sim_chance(w, plan->delete_percent)) {
        static const uint8_t reason[] = { 0xa3, 'a', 's', 'k' };
        bool all = sim_chance(w, 25);
        bool purge = all && w->load.written % 3 == 0;
        v.flags = purge ? 0 : PARLEY_FLAG_TOMBSTONE;
        v.kind = all ? PARLEY_KIND_CONVERSATION : PARLEY_KIND_MESSAGE;
        v.kind = purge ? PARLEY_KIND_PURGE : v.kind;
        v.id = all ? pl_span_of(NULL, 0) : pl_span_text(id);
        v.body = pl_span_of(reason, purge ? sizeof reason : 0);
    } else if (sim_chance(w, plan->header_percent)) {
        make_header(n, &v, body, cap, body + cap);
    } else {
        make_message(n, &v, id, size, body, cap, body + cap);
    }
    submit(n, &v);
    free(body);
}

void sim_load_step(struct sim_world *w)
{
    const struct sim_plan *plan = &w->plan;
    for (unsigned i = 0; i < plan->burst && w->load.written < plan->writes; i++) {
        w->load.written++;
        sim_load_write(&w->nodes[plan->cold ? 0 : sim_within(w, plan->nodes)]);
    }
    if (w->load.written >= plan->writes || w->calm)
        return;
    parley_time span = plan->load_ns != 0 ? plan->load_ns : plan->safety_ns;
    parley_time pause = span / (plan->writes / plan->burst + 1);
    pause = plan->cold ? pause / 8 : pause;
    sim_push(w, w->now + pause / 2 + sim_within(w, pause), SIM_WRITE, 0, 0);
}

/* ---- The log ---- */

static struct parley_span keep(uint8_t **at, struct parley_span bytes)
{
    struct parley_span kept = pl_span_of(*at, bytes.len);
    if (bytes.len != 0)
        memcpy(*at, bytes.ptr, bytes.len);
    *at += bytes.len;
    return kept;
}

void sim_load_log(struct sim_node *n, const struct parley_write *write)
{
    struct sim_load *load = &n->world->load;
    const struct parley_version *v = &write->u.version;
    struct parley_span id = v->time == 0 ? pl_span_text(n->id) : v->origin;
    if (load->count == load->cap) {
        load->cap = load->cap == 0 ? 64 : 2 * load->cap;
        load->entries = realloc(load->entries, load->cap * sizeof *load->entries);
        PL_ASSERT(load->entries != NULL);
    }
    struct sim_entry *e = &load->entries[load->count++];
    *e = (struct sim_entry){
        .node = n->index, .fate = SIM_DURABLE, .logged_at = n->world->now, .version = *v
    };
    e->mem_len = v->name_space.len + v->conversation.len + v->id.len + id.len + v->body.len + 1;
    e->mem = malloc(e->mem_len);
    PL_ASSERT(e->mem != NULL);
    uint8_t *at = e->mem;
    e->version.name_space = keep(&at, v->name_space);
    e->version.conversation = keep(&at, v->conversation);
    e->version.id = keep(&at, v->id);
    e->version.origin = keep(&at, id);
    e->version.body = keep(&at, v->body);
    e->version.time = write->stamped_time;
    model_stamp(&e->version, e->digest, &e->tag);
    load->time_max = pl_max_u64(load->time_max, e->version.time);
    oracle_clock_see(n, e);
}

void sim_load_hear(struct sim_node *n, const struct parley_version *version)
{
    struct sim_world *w = n->world;
    for (size_t i = 0; i < w->load.count; i++) {
        struct sim_entry *e = &w->load.entries[i];
        bool same = e->version.time == version->time && e->version.kind == version->kind &&
                    pl_span_equal(e->version.conversation, version->conversation) &&
                    pl_span_equal(e->version.id, version->id);
        if (same && e->heard_at == 0 && e->node != n->index)
            e->heard_at = sim_wall(w);
    }
}

/* Another node has it and gives it back. */
static bool has_other(struct sim_node *n, const struct sim_entry *e)
{
    struct sim_world *w = n->world;
    struct parley_span talk = e->version.conversation;
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        bool shares = i != n->index && !sim_are_apart(w, i, n->index) &&
                      sim_filter_has(w, i, talk) && sim_filter_has(w, n->index, talk);
        if (shares && w->nodes[i].state != SIM_DOWN && oracle_acked_has(&w->nodes[i], e))
            return true;
    }
    return false;
}

void sim_load_undo(struct sim_node *n, size_t first)
{
    struct sim_load *load = &n->world->load;
    for (size_t i = 0; i < load->count; i++) {
        struct sim_entry *e = &load->entries[i];
        bool undone = i >= first && e->node == n->index && e->fate != SIM_MAYBE;
        if (undone || e->fate == SIM_ELSEWHERE)
            e->fate = has_other(n, e) ? SIM_ELSEWHERE : SIM_MAYBE;
    }
}

void sim_load_part(struct sim_world *w)
{
    for (size_t i = 0; i < w->load.count; i++) {
        struct sim_entry *e = &w->load.entries[i];
        if (e->fate == SIM_ELSEWHERE)
            e->fate = has_other(&w->nodes[e->node], e) ? SIM_ELSEWHERE : SIM_MAYBE;
    }
}

void sim_load_free(struct sim_world *w)
{
    for (size_t i = 0; i < w->load.count; i++)
        free(w->load.entries[i].mem);
    free(w->load.entries);
    w->load = (struct sim_load){ 0 };
}

/* ---- Joins ---- */

static const struct pl_peer *peer_of(const struct sim_node *n, const struct sim_node *other)
{
    if (n->node == NULL || other->id[0] == '\0')
        return NULL;
    return pl_peers_find(&n->node->peers, pl_span_text(other->id));
}

static bool is_joined(const struct sim_world *w, const struct sim_edge *edge)
{
    const struct sim_node *client = &w->nodes[edge->client];
    const struct sim_node *server = &w->nodes[edge->server];
    const struct pl_peer *at_client = peer_of(client, server);
    const struct pl_peer *at_server = peer_of(server, client);
    return at_client != NULL && at_client->state == PL_PEER_ACTIVE &&
           at_client->address[0] != '\0' && at_server != NULL &&
           (at_server->state == PL_PEER_ACTIVE || at_server->state == PL_PEER_JOINING);
}

bool sim_load_joined(const struct sim_world *w)
{
    for (unsigned i = 0; i < w->edge_count; i++) {
        const struct sim_edge *edge = &w->edges[i];
        if (!sim_are_apart(w, edge->client, edge->server) && !is_joined(w, edge))
            return false;
    }
    return true;
}

static void join(struct sim_world *w, struct sim_edge *edge)
{
    struct sim_node *client = &w->nodes[edge->client];
    struct sim_node *server = &w->nodes[edge->server];
    struct parley_diag diag = { "" };
    enum pl_join_phase phase = client->node->join.phase;
    if (phase == PL_JOIN_DIALING || phase == PL_JOIN_STORING)
        return;
    /* An invite may be used again by the one who used it, and may be lost by a crash. */
    if (edge->url[0] == '\0' || edge->tries == INVITE_TRIES || sim_chance(w, 50)) {
        edge->tries = 0;
        struct parley_now now = sim_now(server);
        struct pl_filter filter = sim_filter_at(w, server->index, client->index);
        char id[PL_INVITE_ID_BYTES];
        parley_err err = pl_invite_make(server->node, pl_span_text(SIM_NAMESPACE), true, &filter,
                                        now.wall + INVITE_US, edge->url, sizeof edge->url, id, now);
        sim_drain(server);
        /* There may be as many open ones as there can be, of before it was reached: any will do. */
        if (err != PARLEY_OK && edge->url[0] == '\0')
            return;
    }
    edge->tries++;
    struct pl_filter filter = sim_filter_at(w, client->index, client->index);
    parley_err err =
        pl_invite_join(client->node, pl_span_text(edge->url), &filter, sim_now(client), &diag);
    sim_note(w, client->index, server->index, "n%u joins n%u: %s %s", client->index, server->index,
             parley_err_name(err), diag.text);
    sim_drain(client);
}

void sim_load_join(struct sim_world *w)
{
    if (w->plan.cold && w->load.written < w->plan.writes && !w->calm)
        return;
    for (unsigned i = 0; i < w->edge_count; i++) {
        struct sim_edge *edge = &w->edges[i];
        bool up = w->nodes[edge->client].state == SIM_UP && w->nodes[edge->server].state == SIM_UP;
        if (up && !sim_is_parting(w, edge->client, edge->server) && !is_joined(w, edge))
            join(w, edge);
    }
}
