/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters; see filter.h.
 */
#include "sync/filter.h"

#include "core/utf8.h"

#define DAY_US (INT64_C(24) * 3600 * PARLEY_US_PER_S)

static bool is_prefix_ok(struct parley_span prefix)
{
    if (prefix.len > PARLEY_ID_BYTES_MAX || !pl_utf8_is_valid(prefix))
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (prefix.ptr[i] < 0x20)
            return false;
    return true;
}

parley_err pl_filter_set(struct pl_filter *filter, struct parley_span prefix, uint64_t max_age)
{
    if (!is_prefix_ok(prefix) || max_age > PL_FILTER_AGE_DAYS_MAX)
        return PARLEY_EINVAL;
    if (prefix.len != 0)
        memcpy(filter->prefix, prefix.ptr, prefix.len);
    filter->prefix[prefix.len] = '\0';
    filter->max_age = (uint32_t)max_age;
    return PARLEY_OK;
}

bool pl_filter_equal(const struct pl_filter *a, const struct pl_filter *b)
{
    return a->max_age == b->max_age && strcmp(a->prefix, b->prefix) == 0;
}

uint64_t pl_filter_since(const struct pl_filter *filter, parley_wall now)
{
    int64_t day = now / DAY_US - (int64_t)filter->max_age;
    return filter->max_age == 0 || now < 0 || day < 0 ? 0 : (uint64_t)(day * DAY_US);
}

void pl_share_learn(struct pl_share *share, struct parley_span ours, uint64_t since,
                    struct parley_span prefix)
{
    struct parley_span held = pl_span_of(share->prefix, share->prefix_len);
    struct parley_span longest = held.len > ours.len ? held : ours;
    if (since > share->since)
        share->since = since;
    if (pl_span_has_prefix(longest, prefix))
        return;
    if (!pl_span_has_prefix(prefix, longest)) {
        share->state = PL_SHARE_EXCLUDED;
        return;
    }
    memcpy(share->prefix, prefix.ptr, prefix.len);
    share->prefix_len = (uint8_t)prefix.len;
}
