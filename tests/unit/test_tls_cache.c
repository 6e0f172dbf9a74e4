/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "proto/tls_cache.h"

static struct pl_tls_session made(size_t number, parley_time at)
{
    struct pl_tls_session session = { .is_set = true, .made_at = at };
    session.id[0] = 0;
    session.id[1] = (uint8_t)number;
    session.id[31] = (uint8_t)(number >> 8);
    memset(session.master, 0x55, sizeof session.master);
    return session;
}

static void what_was_added_is_found_until_it_is_too_old(void **state)
{
    (void)state;
    struct pl_tls_cache *cache = test_calloc(1, sizeof *cache);
    struct pl_tls_session session = made(1, 100);
    pl_tls_cache_add(cache, &session, 100);
    const struct pl_tls_session *found = pl_tls_cache_find(cache, session.id, 100);
    assert_non_null(found);
    assert_memory_equal(&session, found, sizeof session);
    assert_non_null(pl_tls_cache_find(cache, session.id, 100 + PL_TLS_SESSION_NS_MAX));
    assert_null(pl_tls_cache_find(cache, session.id, 101 + PL_TLS_SESSION_NS_MAX));
    test_free(cache);
}

/* Ids that differ in the last byte alone share a set. */
static void the_oldest_of_a_full_set_gives_way(void **state)
{
    (void)state;
    struct pl_tls_cache *cache = test_calloc(1, sizeof *cache);
    for (size_t i = 0; i <= PL_TLS_CACHE_WAYS; i++) {
        struct pl_tls_session session = made(1 + (i << 8), 100 + i);
        pl_tls_cache_add(cache, &session, 200);
    }
    for (size_t i = 0; i <= PL_TLS_CACHE_WAYS; i++) {
        struct pl_tls_session session = made(1 + (i << 8), 100 + i);
        assert_int_equal(i != 0, pl_tls_cache_find(cache, session.id, 200) != NULL);
    }
    test_free(cache);
}

static bool holds_a_secret(const struct pl_tls_cache *cache)
{
    const uint8_t *bytes = (const uint8_t *)cache;
    for (size_t i = 0; i < sizeof *cache; i++)
        if (bytes[i] == 0x55)
            return true;
    return false;
}

static void nothing_of_a_secret_stays_after_a_flush_or_its_time(void **state)
{
    (void)state;
    struct pl_tls_cache *cache = test_calloc(1, sizeof *cache);
    for (size_t i = 0; i < 2 * PL_TLS_SESSIONS_MAX; i++) {
        struct pl_tls_session session = made(i, 100);
        pl_tls_cache_add(cache, &session, 100);
    }
    assert_true(holds_a_secret(cache));
    pl_tls_cache_flush(cache);
    assert_false(holds_a_secret(cache));
    struct pl_tls_session session = made(1, 100);
    pl_tls_cache_add(cache, &session, 100);
    assert_null(pl_tls_cache_find(cache, session.id, 101 + PL_TLS_SESSION_NS_MAX));
    assert_false(holds_a_secret(cache));
    test_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found_until_it_is_too_old),
        cmocka_unit_test(the_oldest_of_a_full_set_gives_way),
        cmocka_unit_test(nothing_of_a_secret_stays_after_a_flush_or_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
