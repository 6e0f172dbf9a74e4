/* SPDX-License-Identifier: Apache-2.0
 *
 * A decimal w * 10^e is scaled with 128-bit arithmetic: 10^e = 10^(16 i) * 10^j, where w * 10^j is
 * exact in 128 bits and 10^(16 i) comes from a table cut to 128 bits. The result has a known small
 * error on one side. When both ends of the error interval round to the same double, that is the
 * answer; else exact big integers compare the number with the point half way (rare: exact ties and
 * texts of more than 19 digits).
 */
#include "core/decimal.h"

#include <float.h>

/* Significant digits that can matter: a tie has at most 767; the rest become one sticky one. */
#define DIGITS_MAX 800
/* 800 digits and one more need 2661 bits, and so does what they are compared with: (1142 powers of
 * five in 2652 bits) * (54 bits). */
#define BIG_LIMBS    100
#define EXPONENT_MAX 1000000000

struct wide {
    uint64_t hi;
    uint64_t lo;
};

struct power {
    uint64_t hi;
    uint64_t lo;
    int exponent; /* 10^k is (hi * 2^64 + lo) * 2^exponent, rounded down */
};

struct big {
    size_t len;
    uint32_t limb[BIG_LIMBS];
};

/* What a text says: (w, or more precisely its digits when truncated) * 10^exponent. */
struct decimal {
    uint64_t w;             /* the first 19 significant digits */
    int64_t exponent;       /* of w */
    bool truncated;         /* digits other than zero follow those in w */
    struct parley_span all; /* the digits and the point */
    int64_t exponent_all;
};

#define POWER_FIRST (-22)
#define POWER_STEP  16

/* 10^(16 i) for i from -22 to 21, computed with exact integers; the tests check every decimal
 * exponent against another implementation. */
static const struct power powers[] = {
    { UINT64_C(0xcd42a11346f34f7d), UINT64_C(0x0092757bf2623727), -1297 }, /* 10^-352 */
    { UINT64_C(0xe3e27a444d8d98b7), UINT64_C(0xfd1b1b2308169b25), -1244 }, /* 10^-336 */
    { UINT64_C(0xfd00b897478238d0), UINT64_C(0x8920b098955522b4), -1191 }, /* 10^-320 */
    { UINT64_C(0x8c71dcd9ba0b4925), UINT64_C(0x9ff0c08b7f1d0b14), -1137 }, /* 10^-304 */
    { UINT64_C(0x9becce62836ac577), UINT64_C(0x4ee367f9430aec32), -1084 }, /* 10^-288 */
    { UINT64_C(0xad1c8eab5ee43b66), UINT64_C(0xda3243650005eecf), -1031 }, /* 10^-272 */
    { UINT64_C(0xc0314325637a1939), UINT64_C(0xfa911155fefb5308), -978 },  /* 10^-256 */
    { UINT64_C(0xd5605fcdcf32e1d6), UINT64_C(0xfb1e4a9a90880a64), -925 },  /* 10^-240 */
    { UINT64_C(0xece53cec4a314ebd), UINT64_C(0xa4f8bf5635246428), -872 },  /* 10^-224 */
    { UINT64_C(0x8380dea93da4bc60), UINT64_C(0x4247cb9e59f71e6d), -818 },  /* 10^-208 */
    { UINT64_C(0x91ff83775423cc06), UINT64_C(0x7b6306a34627ddcf), -765 },  /* 10^-192 */
    { UINT64_C(0xa21727db38cb002f), UINT64_C(0xb8ada00e5a506a7c), -712 },  /* 10^-176 */
    { UINT64_C(0xb3f4e093db73a093), UINT64_C(0x59ed216765690f56), -659 },  /* 10^-160 */
    { UINT64_C(0xc7caba6e7c5382c8), UINT64_C(0xfe64a52ee96b8fc0), -606 },  /* 10^-144 */
    { UINT64_C(0xddd0467c64bce4a0), UINT64_C(0xac7cb3f6d05ddbde), -553 },  /* 10^-128 */
    { UINT64_C(0xf64335bcf065d37d), UINT64_C(0x4d4617b5ff4a16d5), -500 },  /* 10^-112 */
    { UINT64_C(0x88b402f7fd75539b), UINT64_C(0x11dbcb0218ebb414), -446 },  /* 10^-96 */
    { UINT64_C(0x97c560ba6b0919a5), UINT64_C(0xdccd879fc967d41a), -393 },  /* 10^-80 */
    { UINT64_C(0xa87fea27a539e9a5), UINT64_C(0x3f2398d747b36224), -340 },  /* 10^-64 */
    { UINT64_C(0xbb127c53b17ec159), UINT64_C(0x5560c018580d5d52), -287 },  /* 10^-48 */
    { UINT64_C(0xcfb11ead453994ba), UINT64_C(0x67de18eda5814af2), -234 },  /* 10^-32 */
    { UINT64_C(0xe69594bec44de15b), UINT64_C(0x4c2ebe687989a9b3), -181 },  /* 10^-16 */
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000), -127 },  /* 10^0 */
    { UINT64_C(0x8e1bc9bf04000000), UINT64_C(0x0000000000000000), -74 },   /* 10^16 */
    { UINT64_C(0x9dc5ada82b70b59d), UINT64_C(0xf020000000000000), -21 },   /* 10^32 */
    { UINT64_C(0xaf298d050e4395d6), UINT64_C(0x9670b12b7f410000), 32 },    /* 10^48 */
    { UINT64_C(0xc2781f49ffcfa6d5), UINT64_C(0x3cbf6b71c76b25fb), 85 },    /* 10^64 */
    { UINT64_C(0xd7e77a8f87daf7fb), UINT64_C(0xdc33745ec97be906), 138 },   /* 10^80 */
    { UINT64_C(0xefb3ab16c59b14a2), UINT64_C(0xc5cfe94ef3ea101e), 191 },   /* 10^96 */
    { UINT64_C(0x850fadc09923329e), UINT64_C(0x03e2cf6bc604ddb0), 245 },   /* 10^112 */
    { UINT64_C(0x93ba47c980e98cdf), UINT64_C(0xc66f336c36b10137), 298 },   /* 10^128 */
    { UINT64_C(0xa402b9c5a8d3a6e7), UINT64_C(0x5f16206c9c6209a6), 351 },   /* 10^144 */
    { UINT64_C(0xb616a12b7fe617aa), UINT64_C(0x577b986b314d6009), 404 },   /* 10^160 */
    { UINT64_C(0xca28a291859bbf93), UINT64_C(0x7d7b8f7503cfdcfe), 457 },   /* 10^176 */
    { UINT64_C(0xe070f78d3927556a), UINT64_C(0x85bbe253f47b1417), 510 },   /* 10^192 */
    { UINT64_C(0xf92e0c3537826145), UINT64_C(0xa7709a56ccdf8a82), 563 },   /* 10^208 */
    { UINT64_C(0x8a5296ffe33cc92f), UINT64_C(0x82bd6b70d99aaa6f), 617 },   /* 10^224 */
    { UINT64_C(0x9991a6f3d6bf1765), UINT64_C(0xacca6da1e0a8ef29), 670 },   /* 10^240 */
    { UINT64_C(0xaa7eebfb9df9de8d), UINT64_C(0xddbb901b98feeab7), 723 },   /* 10^256 */
    { UINT64_C(0xbd49d14aa79dbc82), UINT64_C(0x4b2d8644d8a74e18), 776 },   /* 10^272 */
    { UINT64_C(0xd226fc195c6a2f8c), UINT64_C(0x73832eec6fff3111), 829 },   /* 10^288 */
    { UINT64_C(0xe950df20247c83fd), UINT64_C(0x47c6b82ef32a2069), 882 },   /* 10^304 */
    { UINT64_C(0x81842f29f2cce375), UINT64_C(0xe6a1158300d46640), 936 },   /* 10^320 */
    { UINT64_C(0x8fcac257558ee4e6), UINT64_C(0x213a4f0aa5e8a7b1), 989 },   /* 10^336 */
};

static const uint64_t small_powers[] = { UINT64_C(1),
                                         UINT64_C(10),
                                         UINT64_C(100),
                                         UINT64_C(1000),
                                         UINT64_C(10000),
                                         UINT64_C(100000),
                                         UINT64_C(1000000),
                                         UINT64_C(10000000),
                                         UINT64_C(100000000),
                                         UINT64_C(1000000000),
                                         UINT64_C(10000000000),
                                         UINT64_C(100000000000),
                                         UINT64_C(1000000000000),
                                         UINT64_C(10000000000000),
                                         UINT64_C(100000000000000),
                                         UINT64_C(1000000000000000),
                                         UINT64_C(10000000000000000),
                                         UINT64_C(100000000000000000) };

/* Powers of ten that a double holds exactly. */
static const double exact_powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

#define BITS_INFINITY UINT64_C(0x7ff0000000000000)
#define BITS_FRACTION UINT64_C(0x000fffffffffffff)

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct wide multiply_64(uint64_t a, uint64_t b)
{
    uint64_t a_lo = a & UINT32_MAX;
    uint64_t b_lo = b & UINT32_MAX;
    uint64_t low = a_lo * b_lo;
    uint64_t mid = (a >> 32) * b_lo + (low >> 32);
    uint64_t mid2 = a_lo * (b >> 32) + (mid & UINT32_MAX);
    return (struct wide){ .hi = (a >> 32) * (b >> 32) + (mid >> 32) + (mid2 >> 32),
                          .lo = mid2 << 32 | (low & UINT32_MAX) };
}

/* The upper half of the 256-bit product, rounded down. */
static struct wide multiply_upper(struct wide a, struct wide b)
{
    struct wide ll = multiply_64(a.lo, b.lo);
    struct wide lh = multiply_64(a.lo, b.hi);
    struct wide hl = multiply_64(a.hi, b.lo);
    struct wide out = multiply_64(a.hi, b.hi);
    uint64_t mid = ll.hi + lh.lo;
    uint64_t carry = mid < lh.lo;
    mid += hl.lo;
    carry += mid < hl.lo;
    uint64_t lo = out.lo + lh.hi;
    out.hi += lo < lh.hi;
    out.lo = lo + hl.hi;
    out.hi += out.lo < hl.hi;
    lo = out.lo + carry;
    out.hi += lo < carry;
    out.lo = lo;
    return out;
}

static struct wide shift_left(struct wide a, unsigned count)
{
    if (count == 0)
        return a;
    if (count >= 64)
        return (struct wide){ .hi = a.lo << (count - 64) };
    return (struct wide){ .hi = a.hi << count | a.lo >> (64 - count), .lo = a.lo << count };
}

static unsigned leading_zeros(uint64_t a)
{
    unsigned count = 0;
    for (unsigned step = 32; step > 0; step /= 2) {
        if (a >> (64 - step) == 0) {
            count += step;
            a <<= step;
        }
    }
    return a == 0 ? 64 : count;
}

static struct wide normalise(struct wide a, int *exponent)
{
    unsigned zeros = a.hi == 0 ? 64 + leading_zeros(a.lo) : leading_zeros(a.hi);
    *exponent -= (int)zeros;
    return shift_left(a, zeros);
}

/* w * 10^k as m * 2^exponent with the top bit of m set; the true value is from m up to and without
 * m + 4. Exact for k from 0 to 15. w is not 0. */
static struct wide scale(uint64_t w, int k, int *exponent)
{
    int i = (k - (k < 0 ? POWER_STEP - 1 : 0)) / POWER_STEP;
    int j = k - i * POWER_STEP;
    PL_ASSERT(i >= POWER_FIRST);
    PL_ASSERT((size_t)(i - POWER_FIRST) < PL_ARRAY_LEN(powers));
    const struct power *power = &powers[i - POWER_FIRST];
    *exponent = 0;
    struct wide m = normalise(multiply_64(w, small_powers[j]), exponent);
    if (i == 0)
        return m;
    m = multiply_upper(m, (struct wide){ .hi = power->hi, .lo = power->lo });
    *exponent += power->exponent + 128;
    return normalise(m, exponent);
}

/* The bits of the double nearest to m * 2^exponent, or next below it when `down`. */
static uint64_t round_bits(struct wide m, int exponent, bool down)
{
    int top = exponent + 127;
    if (top >= DBL_MAX_EXP)
        return BITS_INFINITY;
    bool normal = top >= DBL_MIN_EXP - 1;
    int kept = normal ? DBL_MANT_DIG : DBL_MANT_DIG - (DBL_MIN_EXP - 1 - top);
    if (kept < 0)
        return 0;
    /* At most 53 bits are kept, so the low word goes whole into what is dropped. */
    uint64_t fraction = kept == 0 ? 0 : m.hi >> (64 - kept);
    uint64_t rest = kept == 0 ? m.hi : m.hi << kept;
    uint64_t half = UINT64_C(1) << 63;
    bool above = rest > half || (rest == half && m.lo != 0);
    bool tie = rest == half && m.lo == 0;
    if (!down && (above || (tie && (fraction & 1) != 0)))
        fraction++;
    /* The leading bit of a normal fraction adds one to the exponent field; so does a carry. */
    uint64_t field = normal ? (uint64_t)(top - (DBL_MIN_EXP - 1)) : 0;
    return (field << 52) + fraction;
}

static void big_multiply_add(struct big *b, uint32_t factor, uint32_t term)
{
    uint64_t carry = term;
    for (size_t i = 0; i < b->len; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) {
        PL_ASSERT(b->len < BIG_LIMBS);
        b->limb[b->len++] = (uint32_t)carry;
    }
}

static void big_multiply_five_to(struct big *b, int64_t power)
{
    for (; power >= 13; power -= 13)
        big_multiply_add(b, 1220703125u, 0);
    for (; power > 0; power--)
        big_multiply_add(b, 5, 0);
}

static void big_shift_left(struct big *b, size_t count)
{
    size_t words = count / 32;
    big_multiply_add(b, (uint32_t)1 << count % 32, 0);
    PL_ASSERT(b->len + words <= BIG_LIMBS);
    memmove(b->limb + words, b->limb, b->len * sizeof b->limb[0]);
    memset(b->limb, 0, words * sizeof b->limb[0]);
    b->len += words;
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    for (size_t i = a->len; i-- > 0;) {
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    }
    return 0;
}

/* Sets b to the digits of a decimal and returns the exponent that belongs to them. */
static int64_t big_from_decimal(struct big *b, const struct decimal *d)
{
    b->len = 0;
    if (!d->truncated) {
        big_multiply_add(b, 0, (uint32_t)(d->w >> 32));
        big_shift_left(b, 32);
        big_multiply_add(b, 1, (uint32_t)d->w);
        return d->exponent;
    }
    int64_t exponent = d->exponent_all;
    size_t count = 0;
    bool sticky = false;
    for (size_t i = 0; i < d->all.len; i++) {
        uint8_t c = d->all.ptr[i];
        if (c == '.' || (count == 0 && c == '0'))
            continue;
        if (count < DIGITS_MAX) {
            big_multiply_add(b, 10, (uint32_t)(c - '0'));
            count++;
        } else {
            exponent++;
            sticky = sticky || c != '0';
        }
    }
    if (sticky) {
        big_multiply_add(b, 10, 1);
        exponent--;
    }
    return exponent;
}

/* Rounds a decimal that lies between the double `below` and the next one. */
static uint64_t round_exactly(const struct decimal *d, uint64_t below)
{
    struct big value;
    struct big half = { .len = 0 };
    int64_t exponent = big_from_decimal(&value, d);
    uint64_t field = below >> 52;
    uint64_t fraction = (below & BITS_FRACTION) | (uint64_t)(field != 0) << 52;
    /* The tie is (2 * fraction + 1) * 2^half_exponent. */
    int64_t half_exponent = (field == 0 ? 1 : (int64_t)field) - 1076;
    uint64_t tie = 2 * fraction + 1;
    big_multiply_add(&half, 0, (uint32_t)(tie >> 32));
    big_shift_left(&half, 32);
    big_multiply_add(&half, 1, (uint32_t)tie);
    big_multiply_five_to(exponent < 0 ? &half : &value, exponent < 0 ? -exponent : exponent);
    int64_t shift = exponent - half_exponent;
    big_shift_left(shift < 0 ? &half : &value, (size_t)(shift < 0 ? -shift : shift));
    int order = big_compare(&value, &half);
    return below + (order > 0 || (order == 0 && (fraction & 1) != 0));
}

/* The bits of the nearest double; infinity when there is none. */
static uint64_t nearest(const struct decimal *d)
{
    /* Below 10^19 * 10^-343 is less than half the least double; 10^309 is above the greatest. */
    if (d->w == 0 || d->exponent < -342)
        return 0;
    if (d->exponent > 308)
        return BITS_INFINITY;
    int k = (int)d->exponent;
    if (FLT_EVAL_METHOD == 0 && !d->truncated && d->w <= UINT64_C(1) << 53 && k >= -22 && k <= 22) {
        double w = (double)d->w;
        return bits_of(k < 0 ? w / exact_powers[-k] : w * exact_powers[k]);
    }
    int exponent;
    struct wide low = scale(d->w, k, &exponent);
    struct wide high = low;
    /* Digits that were cut add less than one to w, which is then at least 10^18: 2^-59 of it. */
    uint64_t error_hi = d->truncated ? 1u << 6 : 0;
    uint64_t error_lo = k >= 0 && k < POWER_STEP ? 0 : 4;
    high.lo += error_lo;
    high.hi += error_hi + (high.lo < error_lo);
    if (high.hi < low.hi)
        high = (struct wide){ .hi = UINT64_MAX, .lo = UINT64_MAX };
    uint64_t bits = round_bits(low, exponent, false);
    if (bits == round_bits(high, exponent, false))
        return bits;
    return round_exactly(d, round_bits(low, exponent, true));
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits and the point; false when the grammar is broken. Moves `*at`. */
static bool read_digits(struct parley_span text, size_t *at, struct decimal *d)
{
    size_t start = *at;
    size_t i = start;
    size_t point = 0;
    unsigned kept = 0;
    for (; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '.' && point == 0) {
            if (i == start)
                return false;
            point = i;
            continue;
        }
        if (!is_digit(c))
            break;
        if (kept < 19) {
            d->w = d->w * 10 + (uint64_t)(c - '0');
            kept += d->w != 0;
            d->exponent -= point != 0;
        } else {
            d->truncated = d->truncated || c != '0';
            d->exponent += point == 0;
        }
        d->exponent_all -= point != 0;
    }
    bool leading_zero = i - start > 1 && text.ptr[start] == '0' && point != start + 1;
    bool bare_point = point != 0 && point + 1 == i;
    if (i == start || leading_zero || bare_point)
        return false;
    d->all = pl_span_of(text.ptr + start, i - start);
    *at = i;
    return true;
}

/* Takes an exponent, which may be absent. */
static bool read_exponent(struct parley_span text, size_t *at, int64_t *exponent)
{
    size_t i = *at;
    if (i == text.len)
        return true;
    if (text.ptr[i] != 'e' && text.ptr[i] != 'E')
        return false;
    i++;
    bool negative = i < text.len && text.ptr[i] == '-';
    if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
        i++;
    size_t start = i;
    int64_t value = 0;
    for (; i < text.len && is_digit(text.ptr[i]); i++)
        value = value >= EXPONENT_MAX ? value : value * 10 + (text.ptr[i] - '0');
    *exponent = negative ? -value : value;
    *at = i;
    return i > start;
}

parley_err pl_decimal_parse(struct parley_span text, double *value)
{
    struct decimal d = { .w = 0 };
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t exponent = 0;
    if (!read_digits(text, &at, &d) || !read_exponent(text, &at, &exponent) || at != text.len)
        return PARLEY_EMALFORMED;
    d.exponent += exponent;
    d.exponent_all += exponent;
    uint64_t bits = nearest(&d);
    if (bits == BITS_INFINITY)
        return PARLEY_ETOOBIG;
    *value = double_of(bits | (uint64_t)negative << 63);
    return PARLEY_OK;
}

/* value * 10^k rounded to an integer, for a result below 2^63. */
static uint64_t scaled_integer(uint64_t fraction, int binary_exponent, int k)
{
    int exponent;
    struct wide m = scale(fraction, k, &exponent);
    int shift = -(exponent + binary_exponent);
    PL_ASSERT(shift > 64);
    PL_ASSERT(shift < 128);
    uint64_t half = UINT64_C(1) << (shift - 65);
    return (m.hi >> (shift - 64)) + ((m.hi & half) != 0);
}

/* The decimal of `digits` digits nearest to a positive double: w * 10^exponent. */
static struct decimal decimal_of(uint64_t bits, unsigned digits)
{
    uint64_t field = bits >> 52;
    uint64_t fraction = (bits & BITS_FRACTION) | (uint64_t)(field != 0) << 52;
    int binary_exponent = (field == 0 ? 1 : (int)field) - 1075;
    int top = 63 - (int)leading_zeros(fraction) + binary_exponent;
    /* floor(top * log10(2)); it may be one too small, or one too great next to a power of ten. */
    int power = (int)((top * 78913 + 1024 * 262144) / 262144) - 1024;
    for (int tries = 0; tries < 3; tries++) {
        int k = (int)digits - 1 - power;
        uint64_t w = scaled_integer(fraction, binary_exponent, k);
        if (w >= small_powers[digits - 1] * 10)
            power++;
        else if (w < small_powers[digits - 1])
            power--;
        else
            return (struct decimal){ .w = w, .exponent = -k };
    }
    parley_panic(__FILE__, __LINE__, "no decimal of this many digits");
}

/* Lays digits out in plain form; the decimal point goes before digit number `point`. */
static size_t format_plain(char *out, const char *digits, size_t count, int point)
{
    size_t len = 0;
    if (point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = point; i < 0; i++)
            out[len++] = '0';
        memcpy(out + len, digits, count);
        return len + count;
    }
    for (size_t i = 0; i < pl_max_size(count, (size_t)point + 1); i++) {
        if (i == (size_t)point)
            out[len++] = '.';
        out[len++] = i < count ? digits[i] : '0';
    }
    return len;
}

static size_t format_scientific(char *out, const char *digits, size_t count, int power)
{
    size_t len = 0;
    out[len++] = digits[0];
    if (count > 1) {
        out[len++] = '.';
        memcpy(out + len, digits + 1, count - 1);
        len += count - 1;
    }
    out[len++] = 'e';
    if (power < 0)
        out[len++] = '-';
    int size = power < 0 ? -power : power;
    if (size >= 100)
        out[len++] = (char)('0' + size / 100);
    if (size >= 10)
        out[len++] = (char)('0' + size / 10 % 10);
    out[len++] = (char)('0' + size % 10);
    return len;
}

/* The decimal digits of a value above 0, from the front of `out`; how many. */
static size_t digits_of(uint64_t value, char out[20])
{
    size_t count = 0;
    for (uint64_t rest = value; rest != 0; rest /= 10)
        count++;
    for (size_t i = count; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return count;
}

size_t pl_decimal_format(double value, char out[PL_DECIMAL_BYTES_MAX])
{
    uint64_t bits = bits_of(value) & INT64_MAX;
    PL_ASSERT(bits < BITS_INFINITY);
    size_t sign = (size_t)(bits_of(value) >> 63);
    out[0] = '-';
    if (bits == 0) {
        memcpy(out + sign, "0.0", 3);
        return sign + 3;
    }
    struct decimal d = { .w = 0 };
    for (unsigned digits = 15; digits <= 17; digits++) {
        d = decimal_of(bits, digits);
        if (nearest(&d) == bits)
            break;
    }
    PL_ASSERT(nearest(&d) == bits);
    for (; d.w % 10 == 0; d.w /= 10)
        d.exponent++;
    char text[20] = { 0 };
    size_t count = digits_of(d.w, text);
    int power = (int)d.exponent + (int)count - 1;
    if (power >= -5 && power <= 16)
        return sign + format_plain(out + sign, text, count, power + 1);
    return sign + format_scientific(out + sign, text, count, power);
}
