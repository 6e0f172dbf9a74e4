/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tls_cache.h"

#include "core/hash.h"

bool pl_tls_session_is_usable(const struct pl_tls_session *session, parley_time now)
{
    return session->is_set && now - session->made_at <= PL_TLS_SESSION_NS_MAX;
}

void pl_tls_session_forget(struct pl_tls_session *session)
{
    pl_wipe(session, sizeof *session);
}

static struct pl_tls_session *set_of(struct pl_tls_cache *cache,
                                     const uint8_t id[PL_TLS_SESSION_ID_BYTES])
{
    size_t number = (size_t)id[0] << 8 | id[1];
    return cache->sets[number % PL_ARRAY_LEN(cache->sets)];
}

void pl_tls_cache_add(struct pl_tls_cache *cache, const struct pl_tls_session *session,
                      parley_time now)
{
    struct pl_tls_session *set = set_of(cache, session->id);
    struct pl_tls_session *oldest = &set[0];
    PL_ASSERT(session->is_set);
    for (size_t i = 0; i < PL_TLS_CACHE_WAYS; i++) {
        if (!pl_tls_session_is_usable(&set[i], now)) {
            oldest = &set[i];
            break;
        }
        if (set[i].made_at < oldest->made_at)
            oldest = &set[i];
    }
    *oldest = *session;
}

const struct pl_tls_session *pl_tls_cache_find(struct pl_tls_cache *cache,
                                               const uint8_t id[PL_TLS_SESSION_ID_BYTES],
                                               parley_time now)
{
    struct pl_tls_session *set = set_of(cache, id);
    for (size_t i = 0; i < PL_TLS_CACHE_WAYS; i++) {
        if (!set[i].is_set || memcmp(set[i].id, id, PL_TLS_SESSION_ID_BYTES) != 0)
            continue;
        if (pl_tls_session_is_usable(&set[i], now))
            return &set[i];
        pl_tls_session_forget(&set[i]);
    }
    return NULL;
}

void pl_tls_cache_flush(struct pl_tls_cache *cache)
{
    pl_wipe(cache, sizeof *cache);
}
