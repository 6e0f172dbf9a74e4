/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation as Markdown, for people to read and to keep with other notes. What messages say is
 * left as it is, since most of it is Markdown already; import does not read it back.
 */
#ifndef PARLEY_MARKDOWN_H
#define PARLEY_MARKDOWN_H

#include "parley/text.h"

#include <jansson.h>

/* Adds a conversation object. */
void markdown_add(struct buf *out, const json_t *talk);

#endif
