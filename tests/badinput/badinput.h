/* SPDX-License-Identifier: Apache-2.0
 *
 * What the decoders make of a case of the corpus of bad input (generate.py), in the words of its
 * manifest. A judge never looks at what is wanted. Each runs its decoder over every way to cut the
 * input that it knows; when they do not all come to the same, that is the verdict: "cut:N", where
 * the first cut that differs is.
 */
#ifndef BADINPUT_H
#define BADINPUT_H

#include "base/span.h"

#include <parley/err.h>

#define VERDICT_BYTES 256

struct verdict {
    char text[VERDICT_BYTES];
};

typedef void judge_fn(const char *reader, struct parley_span data, struct verdict *out);

judge_fn judge_mp, judge_json, judge_utf8; /* judge_text.c */
judge_fn judge_http;
judge_fn judge_token;
judge_fn judge_frame;
judge_fn judge_invite;

void verdict_print(struct verdict *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "ok", or the name of the error without its prefix. */
void verdict_err(struct verdict *out, parley_err err);

#endif
