/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PL_UTF8_H
#define PL_UTF8_H

#include "base/span.h"

/* Whether the bytes are well-formed UTF-8 (Unicode table 3-7): no overlong form, no surrogate,
 * nothing above U+10FFFF. Fast over ASCII. */
bool pl_utf8_is_valid(struct parley_span text);

/* Whether every byte is a printable character of ASCII or a blank: 0x20 to 0x7e. Quick. */
bool pl_ascii_is_printable(struct parley_span text);

/* The length of the longest well-formed beginning: where the first wrong character is. */
size_t pl_utf8_prefix(struct parley_span text);

#endif
