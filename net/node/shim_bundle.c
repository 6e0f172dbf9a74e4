/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /bundle gives the next block of a bundle, POST /bundle takes one: what bundle.h describes.
 * Nothing is kept between two requests. A place in a log is written as "INCARNATION:SEQUENCE",
 * eight hex digits and a number, so that one of before a restore is not taken for one of after it.
 */
#include "node/bundle.h"
#include "node/node_int.h"
#include "node/shim.h"
#include "sync/floor.h"

/* The versions of a block end soon after this much. */
#define BLOCK_BYTES    (512u << 10)
#define SCAN_MAX       PL_ROUND_SCAN_MAX
#define PLACE_BYTES    (8u + 1u + 20u)
#define REQUIRED_BYTES (PL_BUNDLE_HEAD_BYTES_MAX + 6u + PL_SIGNATURE_BYTES_MAX)

static struct parley_span write_place(const struct parley_incarnation *incarnation, parley_seq seq,
                                      char out[PLACE_BYTES])
{
    struct pl_writer w = pl_writer_over(out, PLACE_BYTES);
    char digits[20];
    pl_hex_encode(incarnation->bytes, 4, out);
    w.len = 8;
    pl_write_text(&w, ":");
    pl_write_span(&w, pl_out_digits(seq, digits));
    return pl_writer_span(&w);
}

/* ---- GET /bundle ---- */

static bool refuse_place(struct pl_request *request, unsigned status, const char *code,
                         const char *detail)
{
    pl_shim_problem_field(request, status, code, "since", detail);
    return false;
}

static bool read_place(struct pl_node *node, struct pl_request *request, struct parley_span text,
                       parley_seq *seq)
{
    char own[PLACE_BYTES];
    struct parley_span head = write_place(&node->state.incarnation, 0, own);
    uint64_t value = 0;
    bool good = text.len >= 10 && text.len <= 9 + 18 && text.ptr[8] == ':';
    for (size_t i = 9; i < text.len && good; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (!good)
        return refuse_place(request, 400, "bad-query",
                            "is no place in a log, such as 1a2b3c4d:4711; take it from the last "
                            "bundle");
    if (memcmp(text.ptr, head.ptr, 8) != 0 || value > node->state.head)
        return refuse_place(request, 409, "another-incarnation",
                            "is of before this store was restored or copied, or of another node; "
                            "make a bundle of everything, without since");
    *seq = value;
    return true;
}

/* Where the block begins: `since`, or what a peer has acknowledged. */
static bool read_since(struct pl_node *node, struct pl_request *request, parley_seq *since)
{
    char text[64], id[PARLEY_BACKEND_ID_BYTES_MAX];
    size_t len = 0, id_len = 0;
    bool found = false, has_peer = false;
    *since = 0;
    if (!pl_shim_query(request, "since", text, sizeof text, &len, &found) ||
        !pl_shim_query(request, "peer", id, sizeof id, &id_len, &has_peer))
        return false;
    if (found)
        return read_place(node, request, pl_span_of(text, len), since);
    if (!has_peer)
        return true;
    const struct pl_peer *peer = pl_peers_find(&node->peers, pl_span_of(id, id_len));
    if (peer == NULL) {
        pl_shim_problem_field(request, 404, "no-such-peer", "peer",
                              "no peer with this backend id is known here");
        return false;
    }
    *since = pl_min_u64(pl_floor_acked(peer), node->state.head);
    return true;
}

/* Versions of the namespace from the log, up to the bytes of a block; *upto: how far it is done. */
static PL_MUST_USE parley_err gather(struct pl_node *node, struct parley_read *read,
                                     struct pl_request *request, parley_seq since, parley_seq *upto)
{
    struct pl_change_state state = { .origin_count = 0 };
    struct pl_out *out = &request->scratch;
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    *upto = since;
    PL_TRY(parley_feed_begin(read, since, &feed));
    for (size_t i = 0; i < SCAN_MAX && out->len < BLOCK_BYTES; i++) {
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found) {
            *upto = node->state.head;
            break;
        }
        const struct parley_version *v = &change.version;
        if (pl_span_equal(v->name_space, pl_shim_name_space(request))) {
            PL_TRY(pl_out_room(out, v->body.len + PL_CHANGE_OVERHEAD_BYTES_MAX));
            struct pl_writer w = pl_writer_over(out->ptr, out->cap);
            w.len = out->len;
            if (!pl_change_write(&w, &state, v))
                break; /* its table of origins is full */
            out->len = w.len;
        }
        *upto = change.seq;
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err make_block(struct pl_node *node, struct pl_request *request,
                                         parley_seq since, parley_seq *upto)
{
    struct parley_namespace_info info = { .floor = 0 };
    parley_err err = PARLEY_OK;
    bool found = false;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    PL_TRY(parley_read_namespace_named(read, pl_shim_name_space(request), &info, &found));
    PL_TRY(gather(node, read, request, since, upto));
    struct pl_out *out = &request->out;
    PL_TRY(pl_out_room(out, request->scratch.len + REQUIRED_BYTES));
    struct pl_writer w = pl_writer_over(out->ptr, out->cap);
    const struct pl_bundle bundle = { .maker = pl_span_text(node->backend_id),
                                      .incarnation = node->state.incarnation,
                                      .name_space = pl_shim_name_space(request),
                                      .since = since,
                                      .upto = *upto,
                                      .head = node->state.head,
                                      .floor = found ? info.floor : 0,
                                      .versions = pl_out_span(&request->scratch) };
    PL_TRY(pl_bundle_write(&w, &bundle, node->identity));
    out->len = w.len;
    return PARLEY_OK;
}

enum pl_shim_step pl_shim_get_bundle(struct pl_node *node, struct pl_request *request)
{
    char place[PLACE_BYTES];
    parley_seq since = 0, upto = 0;
    if (!read_since(node, request, &since))
        return PL_SHIM_DONE;
    pl_shim_reply(request, 200);
    request->content_type = "application/octet-stream";
    parley_err err = make_block(node, request, since, &upto);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(node, request, err);
    if (upto < node->state.head)
        pl_shim_header(request, "X-Parley-Next",
                       write_place(&node->state.incarnation, upto, place));
    return PL_SHIM_DONE;
}

/* ---- POST /bundle ---- */

enum { PHASE_NEW = 0, PHASE_RUNNING, PHASE_COMMITTING };

/* In `scratch`; its spans are lent from the body, which stays until the answer. */
struct apply {
    struct pl_bundle bundle;
    uint32_t source;
    uint64_t floor; /* ours */
    struct pl_reader reader;
    struct pl_change_state state;
    bool has; /* `version` is not in a batch yet */
    struct parley_version version;
    uint64_t versions, added, known, lost, held, refused, passed_over;
};

static struct apply *apply_of(struct pl_request *request)
{
    return (struct apply *)(void *)request->scratch.ptr;
}

static bool refuse_bundle(struct pl_request *request, unsigned status, const char *code,
                          const char *detail)
{
    pl_shim_problem(request, status, code, detail);
    return false;
}

static bool is_signed(struct pl_node *node, const struct pl_peer *peer, const uint8_t hash[32],
                      struct parley_span signature)
{
    const struct pl_pubkey *previous = pl_peer_previous_key(peer, node->now.wall);
    return pl_pubkey_verify(&peer->key, hash, signature) == PARLEY_OK ||
           (previous != NULL && pl_pubkey_verify(previous, hash, signature) == PARLEY_OK);
}

static struct pl_peer *maker_of(struct pl_node *node, const struct pl_bundle *bundle)
{
    struct pl_peer *peer = pl_peers_find(&node->peers, bundle->maker);
    return peer != NULL && peer->state == PL_PEER_ACTIVE ? peer : NULL;
}

/* Whether the block may be applied; else the response is set. */
static bool accept_block(struct pl_node *node, struct pl_request *request, struct pl_bundle *bundle)
{
    uint8_t hash[32];
    struct parley_span signature;
    parley_err err = pl_bundle_read(request->body, bundle, hash, &signature);
    if (err == PARLEY_EFORMAT)
        return refuse_bundle(request, 400, "bad-bundle",
                             "this is no bundle, or one of a newer parley; update this node");
    if (err != PARLEY_OK)
        return refuse_bundle(request, 400, "bad-bundle",
                             "the block is damaged or cut; copy the file again");
    if (pl_span_is(bundle->maker, node->backend_id))
        return refuse_bundle(request, 409, "own-bundle",
                             "this node has made it: there is nothing in it that is new here");
    const struct pl_peer *peer = maker_of(node, bundle);
    if (peer == NULL)
        return refuse_bundle(request, 403, "unknown-maker",
                             "the node that made it is no active peer of this one; let one join "
                             "the other first (parley invite), which takes one meeting");
    if (!is_signed(node, peer, hash, signature)) {
        pl_audit_refusal(node, "bundle-signature", peer->backend_id, "");
        return refuse_bundle(request, 403, "bad-signature",
                             "its signature is not that of the node that it names: it was changed, "
                             "or made before that node had its present key");
    }
    return true;
}

/* The version at hand, or the next one. */
static PL_MUST_USE parley_err next_version(struct apply *a, bool *found)
{
    if (a->has) {
        *found = true;
        return PARLEY_OK;
    }
    PL_TRY(pl_change_read(&a->reader, &a->state, &a->version, found));
    if (!*found)
        return PARLEY_OK;
    if (parley_version_check(&a->version, NULL) != PARLEY_OK ||
        !pl_span_equal(a->version.name_space, a->bundle.name_space))
        return PARLEY_EPROTO;
    a->has = true;
    a->versions++;
    return PARLEY_OK;
}

/* Whether all that is in it decodes: else nothing of it is taken. */
static bool is_sound(const struct apply *block)
{
    struct apply a = *block;
    parley_err err = PARLEY_OK;
    for (bool found = true; err == PARLEY_OK && found; a.has = false)
        err = next_version(&a, &found);
    return err == PARLEY_OK;
}

static bool begin_apply(struct pl_node *node, struct pl_request *request)
{
    struct pl_bundle bundle;
    struct parley_namespace_info info = { .floor = 0 };
    parley_err err = PARLEY_OK;
    bool found = false;
    if (!accept_block(node, request, &bundle))
        return false;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = parley_read_namespace_named(read, bundle.name_space, &info, &found);
    if (err == PARLEY_OK)
        err = pl_out_room(&request->scratch, sizeof(struct apply));
    if (err != PARLEY_OK) {
        pl_shim_store_problem(node, request, err);
        return false;
    }
    request->scratch.len = sizeof(struct apply);
    *apply_of(request) = (struct apply){ .bundle = bundle,
                                         .source = maker_of(node, &bundle)->number,
                                         .floor = found ? info.floor : 0,
                                         .reader = pl_reader_over(bundle.versions) };
    if (!is_sound(apply_of(request)))
        return refuse_bundle(request, 400, "bad-bundle",
                             "its versions do not decode, though it is signed: the node that made "
                             "it has a defect; please report it");
    request->phase = PHASE_RUNNING;
    return true;
}

/* False: the batch has no room now. */
static bool add_version(struct pl_node *node, struct pl_request *request)
{
    struct apply *a = apply_of(request);
    const struct parley_version *v = &a->version;
    bool noted = v->kind == PARLEY_KIND_PURGE; /* it may need an entry of the audit log */
    if (request->count == PL_BATCH_WRITES_MAX || (noted && !pl_audit_has_room(node)) ||
        !pl_shim_add_version(node, request, v, a->source))
        return false;
    pl_purge_heard(node, v);
    return true;
}

static void take_verdicts(struct pl_node *node, struct pl_request *request)
{
    struct apply *a = apply_of(request);
    const struct parley_write *results = pl_batch_results(node) + request->first;
    /* Records of the node may stand between them. */
    for (size_t i = 0, left = request->count; left > 0; i++) {
        if (results[i].kind != PARLEY_WRITE_VERSION)
            continue;
        left--;
        a->added += results[i].verdict == PARLEY_VERDICT_NEW ||
                    results[i].verdict == PARLEY_VERDICT_UPDATED;
        a->known += results[i].verdict == PARLEY_VERDICT_SAME;
        a->lost += results[i].verdict == PARLEY_VERDICT_LOST;
        a->held += results[i].verdict == PARLEY_VERDICT_HELD;
    }
}

static enum pl_shim_step answer(struct pl_request *request)
{
    const struct apply *a = apply_of(request);
    struct pl_out *out = &request->out;
    char place[PLACE_BYTES];
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field(out, "maker", a->bundle.maker);
    pl_out_field(out, "namespace", a->bundle.name_space);
    pl_out_field(out, "since", write_place(&a->bundle.incarnation, a->bundle.since, place));
    pl_out_field(out, "upto", write_place(&a->bundle.incarnation, a->bundle.upto, place));
    pl_out_field(out, "head", write_place(&a->bundle.incarnation, a->bundle.head, place));
    pl_out_field_u64(out, "versions", a->versions);
    pl_out_field_u64(out, "versions_new", a->added);
    pl_out_field_u64(out, "known", a->known);
    pl_out_field_u64(out, "lost", a->lost);
    pl_out_field_u64(out, "held", a->held);
    pl_out_field_u64(out, "refused", a->refused);
    pl_out_field_u64(out, "passed_over", a->passed_over);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* Adds what fits; true: all of the block is in the batch. */
static bool add_some(struct pl_node *node, struct pl_request *request, const struct pl_peer *peer)
{
    struct apply *a = apply_of(request);
    bool found = true;
    for (; next_version(a, &found) == PARLEY_OK && found; a->has = false) {
        if (!pl_peer_may_write(peer, &a->version))
            a->refused++;
        else if (pl_floor_passes_over(&a->version, a->floor, a->bundle.floor))
            a->passed_over++;
        else if (!add_version(node, request))
            return false;
    }
    PL_ASSERT(!found); /* is_sound has read it all before */
    return true;
}

static enum pl_shim_step run(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = maker_of(node, &apply_of(request)->bundle);
    if (peer == NULL) {
        pl_shim_problem(request, 403, "unknown-maker",
                        "the node that made it was revoked meanwhile; what was taken stays");
        return PL_SHIM_DONE;
    }
    pl_shim_mark(node, request);
    bool done = add_some(node, request, peer);
    if (request->count != 0) {
        request->phase = PHASE_COMMITTING;
        return pl_shim_wait(node, request);
    }
    return done ? answer(request) : pl_shim_again(node);
}

enum pl_shim_step pl_shim_post_bundle(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == PHASE_NEW && !begin_apply(node, request))
        return PL_SHIM_DONE;
    if (request->phase == PHASE_COMMITTING) {
        if (request->commit_err != PARLEY_OK)
            return pl_shim_store_problem(node, request, request->commit_err);
        take_verdicts(node, request);
        request->phase = PHASE_RUNNING;
    }
    return run(node, request);
}
