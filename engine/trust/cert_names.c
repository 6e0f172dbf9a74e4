/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/cert_names.h"

#include "base/reader.h"

#define IPV4_BYTES         4
#define IPV6_BYTES         16
#define DNS_NAME_BYTES_MAX 253

/* ---- Addresses ---- */

static uint8_t next_char(const struct pl_reader *r)
{
    return r->err == PARLEY_OK && pl_reader_left(r) != 0 ? *r->at : 0;
}

static void read_ipv4(struct pl_reader *r, uint8_t out[IPV4_BYTES])
{
    for (size_t i = 0; i < IPV4_BYTES; i++) {
        unsigned value = 0;
        size_t digits = 0;
        if (i != 0 && pl_read_u8(r) != '.')
            pl_reader_fail(r, PARLEY_EMALFORMED);
        for (; next_char(r) >= '0' && next_char(r) <= '9'; digits++) {
            value = value * 10 + pl_read_u8(r) - '0';
            if (value > 255)
                pl_reader_fail(r, PARLEY_EMALFORMED);
        }
        if (digits == 0 || digits > 3)
            pl_reader_fail(r, PARLEY_EMALFORMED);
        out[i] = (uint8_t)value;
    }
}

static int hex_value(uint8_t c)
{
    uint8_t lower = (uint8_t)(c | 0x20);
    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Up to four hex digits; false when there is none. */
static bool read_group(struct pl_reader *r, uint8_t out[2])
{
    unsigned value = 0;
    size_t digits = 0;
    for (; hex_value(next_char(r)) >= 0; digits++)
        value = (value << 4 | (unsigned)hex_value(pl_read_u8(r))) & 0xffff;
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    if (digits > 4)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    return digits != 0;
}

/* Groups of two bytes; "::" once stands for the zeros that are missing. Addresses that end in four
 * decimal numbers are not understood. */
static void read_ipv6(struct pl_reader *r, uint8_t out[IPV6_BYTES])
{
    uint8_t groups[IPV6_BYTES];
    size_t len = 0;
    size_t gap = SIZE_MAX;
    for (bool more = true; more && r->err == PARLEY_OK;) {
        if (next_char(r) == ':' && pl_reader_left(r) >= 2 && r->at[1] == ':' && gap == SIZE_MAX) {
            pl_read_u8(r);
            pl_read_u8(r);
            gap = len;
            more = next_char(r) != 0;
            continue;
        }
        if (len != 0 && gap != len && pl_read_u8(r) != ':')
            pl_reader_fail(r, PARLEY_EMALFORMED);
        if (len == IPV6_BYTES || !read_group(r, groups + len)) {
            pl_reader_fail(r, PARLEY_EMALFORMED);
            return;
        }
        len += 2;
        more = next_char(r) != 0;
    }
    if ((gap == SIZE_MAX) != (len == IPV6_BYTES)) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return;
    }
    size_t head = gap == SIZE_MAX ? len : gap;
    memset(out, 0, IPV6_BYTES);
    if (head != 0)
        memcpy(out, groups, head);
    if (len != head)
        memcpy(out + IPV6_BYTES - (len - head), groups + head, len - head);
}

size_t pl_cert_ip_parse(struct parley_span text, uint8_t out[IPV6_BYTES])
{
    bool is_ipv6 = text.len != 0 && memchr(text.ptr, ':', text.len) != NULL;
    struct pl_reader r = pl_reader_over(text);
    uint8_t bytes[IPV6_BYTES] = { 0 };
    if (is_ipv6)
        read_ipv6(&r, bytes);
    else
        read_ipv4(&r, bytes);
    if (pl_reader_end(&r) != PARLEY_OK)
        return 0;
    memcpy(out, bytes, sizeof bytes);
    return is_ipv6 ? IPV6_BYTES : IPV4_BYTES;
}

/* ---- The list ---- */

/* HOST of HOST:PORT and its other forms; empty when it is none of them. */
static struct parley_span host_of(struct parley_span address)
{
    const uint8_t *colon = address.len == 0 ? NULL : memchr(address.ptr, ':', address.len);
    if (address.len != 0 && address.ptr[0] == '[') {
        const uint8_t *end = memchr(address.ptr, ']', address.len);
        return end == NULL ? pl_span_of(NULL, 0)
                           : pl_span_of(address.ptr + 1, (size_t)(end - address.ptr) - 1);
    }
    if (colon == NULL)
        return address;
    size_t len = (size_t)(colon - address.ptr);
    bool is_ipv6 = memchr(colon + 1, ':', address.len - len - 1) != NULL;
    return is_ipv6 ? address : pl_span_of(address.ptr, len);
}

/* Letters, digits, hyphens and dots; a name that is not one would make a certificate that others
 * refuse to parse. */
static bool is_host_name(struct parley_span name)
{
    if (name.len == 0 || name.len > DNS_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        uint8_t lower = (uint8_t)(c | 0x20);
        bool is_letter = lower >= 'a' && lower <= 'z';
        bool is_inner = (c == '-' || c == '.') && i != 0;
        if (!is_letter && !(c >= '0' && c <= '9') && !is_inner)
            return false;
    }
    return true;
}

static bool is_all(struct parley_span ip)
{
    for (size_t i = 0; i < ip.len; i++)
        if (ip.ptr[i] != 0)
            return false;
    return true;
}

static bool is_always_there(struct parley_span name, bool is_ip)
{
    static const uint8_t loopback4[IPV4_BYTES] = { 127, 0, 0, 1 };
    static const uint8_t loopback6[IPV6_BYTES] = { [15] = 1 };
    if (!is_ip)
        return pl_span_is(name, "localhost");
    return pl_span_equal(name, pl_span_of(loopback4, sizeof loopback4)) ||
           pl_span_equal(name, pl_span_of(loopback6, sizeof loopback6));
}

parley_err pl_cert_names_add(struct pl_cert_names *names, struct parley_span address)
{
    uint8_t ip[IPV6_BYTES];
    struct parley_span name = host_of(address);
    size_t ip_len = pl_cert_ip_parse(name, ip);
    if (ip_len != 0)
        name = pl_span_of(ip, ip_len);
    else if (!is_host_name(name))
        return PARLEY_EINVAL;
    if ((ip_len != 0 && is_all(name)) || is_always_there(name, ip_len != 0))
        return PARLEY_OK;
    for (size_t i = 0; i < names->count; i++) {
        bool is_ip = false;
        if (pl_span_equal(pl_cert_names_at(names, i, &is_ip), name) && is_ip == (ip_len != 0))
            return PARLEY_OK;
    }
    if (names->count == PL_CERT_NAMES_MAX || name.len > sizeof names->bytes - names->len)
        return PARLEY_EFULL;
    memcpy(names->bytes + names->len, name.ptr, name.len);
    names->list[names->count].at = names->len;
    names->list[names->count].len = name.len;
    names->list[names->count].is_ip = ip_len != 0;
    names->len += name.len;
    names->count++;
    return PARLEY_OK;
}

struct parley_span pl_cert_names_at(const struct pl_cert_names *names, size_t index, bool *is_ip)
{
    PL_ASSERT(index < names->count);
    *is_ip = names->list[index].is_ip;
    return pl_span_of(names->bytes + names->list[index].at, names->list[index].len);
}
