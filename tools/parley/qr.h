/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARLEY_QR_H
#define PARLEY_QR_H

/* Prints the text as a QR code of half blocks to stdout; nothing when it does not fit one,
 * or the terminal is too narrow.
 * `colors`: sets black on white, so that it also reads on a light terminal. */
#include <stdbool.h>

void qr_print(const char *text, bool colors);

#endif
