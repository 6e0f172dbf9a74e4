/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/der_time.h"

#define DAY_S INT64_C(86400)
/* 2050-01-01: from here on RFC 5280 wants GeneralizedTime. */
#define SECONDS_2050 INT64_C(2524608000)

static void put_digits(char *at, int64_t value, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Proleptic Gregorian date of a day number, counted in 400-year eras that start in March, so that
 * the leap day is the last of its year. */
static void date_of_day(int64_t day, int64_t *year, int64_t *month, int64_t *day_of_month)
{
    int64_t shifted = day + 719468; /* days from 0000-03-01 to 1970-01-01 */
    int64_t era = shifted / 146097;
    int64_t in_era = shifted % 146097;
    int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * in_year + 2) / 153;
    *day_of_month = in_year - (153 * march_month + 2) / 5 + 1;
    *month = march_month < 10 ? march_month + 3 : march_month - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static int64_t day_of_date(int64_t year, int64_t month, int64_t day_of_month)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t era = march_year / 400;
    int64_t year_of_era = march_year % 400;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day_of_month - 1;
    int64_t in_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + in_year;
    return era * 146097 + in_era - 719468;
}

void pl_der_put_time(struct pl_der_writer *w, int64_t seconds)
{
    PL_ASSERT(seconds >= 0 && seconds <= PL_DER_SECONDS_MAX);
    char text[15]; /* YYYYMMDDHHMMSSZ */
    int64_t year;
    int64_t month;
    int64_t day;
    date_of_day(seconds / DAY_S, &year, &month, &day);
    put_digits(text, year, 4);
    put_digits(text + 4, month, 2);
    put_digits(text + 6, day, 2);
    put_digits(text + 8, seconds % DAY_S / 3600, 2);
    put_digits(text + 10, seconds % 3600 / 60, 2);
    put_digits(text + 12, seconds % 60, 2);
    text[14] = 'Z';
    if (seconds < SECONDS_2050)
        pl_der_put(w, PL_DER_UTC_TIME, pl_span_of(text + 2, sizeof text - 2));
    else
        pl_der_put(w, PL_DER_GENERALIZED_TIME, pl_span_of(text, sizeof text));
}

static int64_t read_digits(struct pl_reader *r, size_t count)
{
    int64_t value = 0;
    struct parley_span digits = pl_read_bytes(r, count);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            pl_reader_fail(r, PARLEY_EMALFORMED);
        value = value * 10 + (digits.ptr[i] - '0');
    }
    return value;
}

int64_t pl_der_read_time(struct pl_reader *r)
{
    bool is_utc = pl_der_peek(r) == PL_DER_UTC_TIME;
    struct pl_reader text = pl_der_enter(r, is_utc ? PL_DER_UTC_TIME : PL_DER_GENERALIZED_TIME);
    int64_t year = read_digits(&text, is_utc ? 2 : 4);
    int64_t month = read_digits(&text, 2);
    int64_t day = read_digits(&text, 2);
    int64_t hour = read_digits(&text, 2);
    int64_t minute = read_digits(&text, 2);
    int64_t second = read_digits(&text, 2);
    uint8_t zone = pl_read_u8(&text);
    pl_der_leave(r, &text);
    if (is_utc)
        year += year < 50 ? 2000 : 1900; /* RFC 5280, 4.1.2.5.1 */
    bool is_date = year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
    if (zone != 'Z' || !is_date || hour > 23 || minute > 59 || second > 59) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return 0;
    }
    return day_of_date(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
}
