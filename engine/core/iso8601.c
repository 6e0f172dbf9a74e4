/* SPDX-License-Identifier: Apache-2.0
 *
 * The calendar is the proleptic Gregorian one. Days are counted in years that begin in March, so
 * that the leap day is the last of its year.
 */
#include "core/iso8601.h"

#define US_PER_S  INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)
/* Days from 0000-03-01 to 1970-01-01. */
#define DAYS_TO_1970       719468
#define DAYS_PER_400_YEARS 146097

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes `count` digits from the front of the text. */
static bool take_number(struct parley_span *text, size_t count, int64_t max, int64_t *out)
{
    int64_t value = 0;
    if (text->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->ptr[i]))
            return false;
        value = value * 10 + (text->ptr[i] - '0');
    }
    *text = pl_span_after(*text, count);
    *out = value;
    return value <= max;
}

static bool take_char(struct parley_span *text, uint8_t c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = pl_span_after(*text, 1);
    return true;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    if (month == 2)
        return is_leap(year) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days since 1970-01-01. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = (month + 9) % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - DAYS_TO_1970;
}

static bool take_date(struct parley_span *text, int64_t *days)
{
    int64_t year;
    int64_t month;
    int64_t day;
    if (!take_number(text, 4, 9999, &year) || !take_char(text, '-') ||
        !take_number(text, 2, 12, &month) || !take_char(text, '-') ||
        !take_number(text, 2, 31, &day))
        return false;
    if (month == 0 || day == 0 || day > days_in_month(year, month))
        return false;
    *days = days_of(year, month, day);
    return true;
}

static bool take_fraction(struct parley_span *text, int64_t *us)
{
    int64_t value = 0;
    size_t count = 0;
    for (; text->len > 0 && is_digit(text->ptr[0]); count++) {
        if (count < 6)
            value = value * 10 + (text->ptr[0] - '0');
        *text = pl_span_after(*text, 1);
        if (count == 9)
            return false;
    }
    for (size_t i = count; i < 6; i++)
        value *= 10;
    *us = value;
    return count > 0;
}

static bool take_clock(struct parley_span *text, int64_t *us)
{
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    int64_t fraction = 0;
    if (!take_number(text, 2, 23, &hour) || !take_char(text, ':') ||
        !take_number(text, 2, 59, &minute))
        return false;
    if (take_char(text, ':')) {
        if (!take_number(text, 2, 60, &second))
            return false;
        if (take_char(text, '.') && !take_fraction(text, &fraction))
            return false;
    }
    int64_t second_us = second * US_PER_S + fraction;
    if (second == 60)
        second_us = 60 * US_PER_S - 1;
    *us = (hour * 60 + minute) * 60 * US_PER_S + second_us;
    return true;
}

/* Takes what says how far the clock is ahead of UTC, up to the end of the text. */
static bool take_zone(struct parley_span *text, int64_t *minutes)
{
    *minutes = 0;
    if (text->len == 0)
        return true;
    if (take_char(text, 'Z') || take_char(text, 'z'))
        return text->len == 0;
    bool behind = take_char(text, '-');
    int64_t hour;
    int64_t minute;
    if ((!behind && !take_char(text, '+')) || !take_number(text, 2, 23, &hour))
        return false;
    if (take_char(text, ':') && text->len == 0)
        return false;
    if (!take_number(text, 2, 59, &minute))
        return false;
    *minutes = (behind ? -1 : 1) * (hour * 60 + minute);
    return text->len == 0;
}

parley_err pl_iso8601_parse(struct parley_span text, uint64_t *us)
{
    int64_t days;
    int64_t clock_us;
    int64_t zone_minutes;
    if (!take_date(&text, &days))
        return PARLEY_EMALFORMED;
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' '))
        return PARLEY_EMALFORMED;
    if (!take_clock(&text, &clock_us) || !take_zone(&text, &zone_minutes))
        return PARLEY_EMALFORMED;
    int64_t at = days * S_PER_DAY * US_PER_S + clock_us - zone_minutes * 60 * US_PER_S;
    if (at < 0 || at > (int64_t)PL_ISO8601_US_MAX)
        return PARLEY_ETOOBIG;
    *us = (uint64_t)at;
    return PARLEY_OK;
}

static void put_number(char *out, size_t count, uint64_t value)
{
    for (size_t i = count; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
}

void pl_iso8601_format(uint64_t us, char out[PL_ISO8601_BYTES])
{
    PL_ASSERT(us <= PL_ISO8601_US_MAX);
    uint64_t second = us / (uint64_t)US_PER_S;
    uint64_t days = second / (uint64_t)S_PER_DAY + DAYS_TO_1970;
    second %= (uint64_t)S_PER_DAY;
    /* Year, and day of it, within the cycle of 400 years: take out the leap days first. */
    uint64_t cycle = days / DAYS_PER_400_YEARS;
    uint64_t day = days % DAYS_PER_400_YEARS;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    /* Months from March have 31 30 31 30 31 days, twice, then the rest: 153 days every five. */
    uint64_t month = (day * 5 + 2) / 153;
    day -= (month * 153 + 2) / 5;
    month = month < 10 ? month + 3 : month - 9;
    year += cycle * 400 + (month <= 2);
    memcpy(out, "0000-00-00T00:00:00.000000Z", PL_ISO8601_BYTES);
    put_number(out, 4, year);
    put_number(out + 5, 2, month);
    put_number(out + 8, 2, day + 1);
    put_number(out + 11, 2, second / 3600);
    put_number(out + 14, 2, second / 60 % 60);
    put_number(out + 17, 2, second % 60);
    put_number(out + 20, 6, us % (uint64_t)US_PER_S);
}
