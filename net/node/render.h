/* SPDX-License-Identifier: Apache-2.0
 *
 * A stored conversation as JSON. The order of keys is fixed, extra header fields and metadata keys
 * are sorted by name and messages by (created, message_id), so that equal nodes give equal bytes.
 */
#ifndef PL_RENDER_H
#define PL_RENDER_H

#include <parley/db.h>

#include "node/out.h"

/* For readers that know the old system: a missing title is "", a missing created_at the oldest
 * message's time. Never in exports, where it would come back as a header that nobody wrote. */
#define PL_RENDER_DEFAULTS 0x01u

/* Appends the conversation object; deleted messages and headers are left out.
 * Cost: holds about 100 bytes a message, of the buffer budget, while it sorts.
 * Errors: store errors, ECORRUPT, ENOMEM, EFULL (buffer budget); `out` may then hold a part. */
PL_MUST_USE parley_err pl_render_conversation(struct parley_read *read,
                                              const struct parley_conversation_info *info,
                                              unsigned flags, struct pl_out *out);
/* The same, and adds what is shown to the sum of an entity tag: it is read only once. */
struct pl_etag_sum;
PL_MUST_USE parley_err pl_render_tagged_conversation(struct parley_read *read,
                                                     const struct parley_conversation_info *info,
                                                     struct pl_etag_sum *sum, struct pl_out *out);

/* Appends one live message, as it stands in its conversation. Errors: ECORRUPT, ENOMEM, EFULL. */
PL_MUST_USE parley_err pl_render_message(const struct parley_version *version, struct pl_out *out);

/* The name of a version: the beginning of its digest as hex, the same on every node. */
#define PL_VERSION_NAME_CHARS 16
void pl_render_version_name(const struct parley_version *version,
                            char out[PL_VERSION_NAME_CHARS + 1]);

/* Appends the fields that tell one version from the others of its register, without the braces; its
 * content is cut to at most `shown` bytes, and `cut` true then. */
PL_MUST_USE parley_err pl_render_brief(const struct parley_version *version, size_t shown,
                                       struct pl_out *out);

/* Appends what a version says, without the braces. */
PL_MUST_USE parley_err pl_render_version_fields(const struct parley_version *version,
                                                struct pl_out *out);

/* Appends one element of the history of a register. */
PL_MUST_USE parley_err pl_render_version(const struct parley_version *version, bool current,
                                         struct pl_out *out);

/* The title of a conversation as JSON text, "" if there is none. */
PL_MUST_USE parley_err pl_render_title(struct parley_read *read, uint64_t conversation,
                                       struct pl_out *out);

#endif
