/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keys.h"
#include "lib/testlib.h"

#include "sync/peer.h"
#include "sync/sched.h"
#include "trust/rotation.h"

static void fill_peer(struct pl_peer *peer)
{
    *peer = (struct pl_peer){ .number = 7,
                              .backend_id = "hosted_sha256_00",
                              .state = PL_PEER_ACTIVE,
                              .address = "example.org:8825",
                              .registered_at = 1234,
                              .last_sync_at = -1,
                              .incarnation_seq = 99,
                              .extra = { 0x80 },
                              .extra_len = 1 };
    memset(peer->incarnation.bytes, 3, sizeof peer->incarnation.bytes);
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &peer->key));
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), true));
    assert_ok(pl_peer_grant(peer, pl_span_text("team"), false));
    assert_ok(pl_filter_set(&peer->grants[1].filter, pl_span_text("work/"), 30));
    memcpy(peer->grants[1].asked, "work/x", 7);
    peer->grants[1].asked_at = 77;
}

static void peer_record_reads_back(void **state)
{
    uint8_t buf[PL_PEER_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_peer peer;
    struct pl_peer got;
    (void)state;
    fill_peer(&peer);
    pl_peer_encode(&peer, &w);
    assert_ok(w.err);
    assert_ok(pl_peer_decode(pl_writer_span(&w), &got));
    assert_memory_equal(peer.key.fingerprint, got.key.fingerprint, PL_FINGERPRINT_BYTES);
    got.key = peer.key; /* its padding may differ */
    assert_memory_equal(&peer, &got, sizeof peer);

    peer.rotations = 2;
    peer.has_previous = true;
    peer.rotated_at = 5678;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &peer.previous));
    w = pl_writer_over(buf, sizeof buf);
    pl_peer_encode(&peer, &w);
    assert_ok(pl_peer_decode(pl_writer_span(&w), &got));
    assert_memory_equal(&peer, &got, sizeof peer);
}

/* All that a record may hold, at its longest. */
static void peer_record_fits_whatever_is_granted(void **state)
{
    static uint8_t buf[PL_PEER_RECORD_BYTES_MAX];
    static struct pl_peer peer;
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    char name[PARLEY_NAMESPACE_BYTES_MAX + 1];
    (void)state;
    fill_peer(&peer);
    peer.grant_count = 0;
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < PL_PEER_GRANTS_MAX; i++) {
        struct pl_grant *grant = &peer.grants[i];
        name[0] = (char)('a' + i);
        assert_ok(pl_peer_grant(&peer, pl_span_of(name, PARLEY_NAMESPACE_BYTES_MAX), true));
        grant->filter.max_age = PL_FILTER_AGE_DAYS_MAX;
        memset(grant->filter.prefix, 'p', PARLEY_ID_BYTES_MAX);
        memset(grant->asked, 'p', PARLEY_ID_BYTES_MAX);
        grant->asked_at = INT64_MAX;
    }
    memset(peer.backend_id, 'b', PARLEY_BACKEND_ID_BYTES_MAX);
    memset(peer.address, 'a', PL_PEER_ADDRESS_BYTES_MAX);
    peer.extra_len = sizeof peer.extra;
    peer.has_previous = true;
    peer.previous = peer.key;
    pl_peer_encode(&peer, &w);
    assert_ok(w.err);
    assert_true(w.len + 2 * PL_PUBKEY_DER_BYTES_MAX < sizeof buf);
}

/* As it was before there were filters: a grant of two. */
static void peer_record_without_filters_reads(void **state)
{
    uint8_t buf[PL_PEER_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_peer peer;
    struct pl_peer got;
    (void)state;
    fill_peer(&peer);
    peer.grants[1].filter = (struct pl_filter){ .max_age = 0 };
    memset(peer.grants[1].asked, 0, sizeof peer.grants[1].asked);
    peer.grants[1].asked_at = 0;
    pl_peer_encode(&peer, &w);
    for (size_t at = 0; at + 5 < w.len; at++) {
        /* A grant of six that ends in no prefix, no age, nothing asked, never. */
        bool grant = buf[at] == 0x96 && (buf[at + 1] & 0xe0) == 0xa0;
        if (!grant)
            continue;
        buf[at] = 0x92;
        size_t end = at + 2 + (buf[at + 1] & 0x1f) + 1;
        memmove(buf + end, buf + end + 4, w.len - end - 4);
        w.len -= 4;
    }
    assert_ok(pl_peer_decode(pl_writer_span(&w), &got));
    assert_int_equal(2, got.grant_count);
    assert_memory_equal(peer.grants, got.grants, sizeof peer.grants);
    assert_string_equal(peer.address, got.address);
}

static void a_peer_may_write_within_its_prefix(void **state)
{
    struct pl_peer peer;
    struct parley_version v = { .name_space = pl_span_text("main"),
                                .conversation = pl_span_text("work/1") };
    struct pl_filter filter;
    (void)state;
    fill_peer(&peer);
    assert_true(pl_peer_may_write(&peer, &v));
    assert_ok(pl_filter_set(&filter, pl_span_text("work/"), 0));
    assert_true(pl_peer_set_filter(&peer, v.name_space, &filter));
    assert_false(pl_peer_set_filter(&peer, v.name_space, &filter));
    assert_true(pl_peer_may_write(&peer, &v));
    v.conversation = pl_span_text("work");
    assert_false(pl_peer_may_write(&peer, &v));
    v.name_space = pl_span_text("team"); /* read only */
    v.conversation = pl_span_text("work/1");
    assert_false(pl_peer_may_write(&peer, &v));
}

static void peer_previous_key_counts_for_seven_days(void **state)
{
    struct pl_peer peer;
    (void)state;
    fill_peer(&peer);
    peer.rotated_at = 1000;
    assert_null(pl_peer_previous_key(&peer, 1000));
    peer.has_previous = true;
    assert_ptr_equal(&peer.previous, pl_peer_previous_key(&peer, 1000));
    assert_ptr_equal(&peer.previous, pl_peer_previous_key(&peer, 1000 + PL_ROTATION_GRACE_US));
    assert_null(pl_peer_previous_key(&peer, 1001 + PL_ROTATION_GRACE_US));
}

static void peer_record_cut_anywhere_is_corrupt(void **state)
{
    uint8_t buf[PL_PEER_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    struct pl_peer peer;
    struct pl_peer got;
    (void)state;
    fill_peer(&peer);
    pl_peer_encode(&peer, &w);
    for (size_t len = 0; len < w.len; len++)
        assert_err(PARLEY_ECORRUPT, pl_peer_decode(pl_span_of(buf, len), &got));
}

static void peer_grants_are_bounded_and_replace(void **state)
{
    struct pl_peer peer = { 0 };
    char name[3] = "aa";
    (void)state;
    for (size_t i = 0; i < PL_PEER_GRANTS_MAX; i++) {
        name[1] = (char)('a' + i);
        assert_ok(pl_peer_grant(&peer, pl_span_text(name), true));
    }
    assert_err(PARLEY_EFULL, pl_peer_grant(&peer, pl_span_text("zz"), true));
    assert_ok(pl_peer_grant(&peer, pl_span_text("aa"), false));
    assert_false(pl_peer_granted(&peer, pl_span_text("aa"))->may_write);
    assert_null(pl_peer_granted(&peer, pl_span_text("a")));
    assert_err(PARLEY_ETOOBIG, pl_peer_grant(&peer, pl_span_of(NULL, 0), true));
}

static void sched_waits_grow_with_failures_up_to_the_maximum(void **state)
{
    struct pl_rng rng;
    parley_time before = 0;
    (void)state;
    pl_rng_init(&rng, 1);
    for (uint32_t failures = 0; failures < 40; failures++) {
        parley_time greatest = 0;
        for (int i = 0; i < 100; i++) {
            parley_time wait = pl_sched_wait(failures, 0, &rng);
            assert_true(wait > 0 && wait <= PL_SCHED_BACKOFF_NS_MAX);
            greatest = wait > greatest ? wait : greatest;
        }
        assert_true(greatest * 5 / 4 >= before); /* jitter aside, never shorter */
        before = greatest;
    }
    assert_true(before > PL_SCHED_BACKOFF_NS_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_record_reads_back),
        cmocka_unit_test(peer_record_fits_whatever_is_granted),
        cmocka_unit_test(peer_record_without_filters_reads),
        cmocka_unit_test(a_peer_may_write_within_its_prefix),
        cmocka_unit_test(peer_previous_key_counts_for_seven_days),
        cmocka_unit_test(peer_record_cut_anywhere_is_corrupt),
        cmocka_unit_test(peer_grants_are_bounded_and_replace),
        cmocka_unit_test(sched_waits_grow_with_failures_up_to_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
