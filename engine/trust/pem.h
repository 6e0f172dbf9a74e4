/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM (RFC 7468) in and out: one block, nothing but white space around it; and a file of several
 * blocks, cut into single ones.
 */
#ifndef PL_PEM_H
#define PL_PEM_H

#include "base/span.h"

/* Bytes of the DER in a block. A private RSA-3072 key has 1794 in PKCS#8; certificates with many
 * names are the largest. An RSA-4096 key fits, and is refused by its size, not its form. */
#define PL_PEM_DER_BYTES_MAX 4096
/* Bytes of PEM text that are looked at. The base64 of the above is 5464 characters; line ends may
 * be mangled to four characters ("\r\n" spelt out) every 64. */
#define PL_PEM_TEXT_BYTES_MAX 8192

/* Finds the label of the first block, for example "PRIVATE KEY". Errors: EMALFORMED, ETOOBIG. */
PL_MUST_USE parley_err pl_pem_label(struct parley_span text, struct parley_span *label);

/* Cuts the first block, from BEGIN to the end of its END line, off `text`, whatever stands before
 * it; `text` then begins behind it. *found is false when there is none. Errors: EMALFORMED (no
 * END), ETOOBIG (longer than PL_PEM_TEXT_BYTES_MAX). */
PL_MUST_USE parley_err pl_pem_cut(struct parley_span *text, struct parley_span *block, bool *found);

/* Decodes the block with this label. Line ends may be LF, CRLF, absent, or spelt as backslash-n and
 * backslash-r, as environments mangle them. Its scratch memory is wiped, `out` is wiped on error.
 * Errors: EMALFORMED, ETOOBIG (the text or its DER is above the limits or above `cap`). */
PL_MUST_USE parley_err pl_pem_decode(struct parley_span text, const char *label, uint8_t *out,
                                     size_t cap, size_t *len);

/* Writes a block with lines of 64 characters, NUL-terminated. Errors: EFULL. */
PL_MUST_USE parley_err pl_pem_encode(struct parley_span der, const char *label, char *out,
                                     size_t cap);

#endif
