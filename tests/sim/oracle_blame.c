/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the frames of plain native streams as they are sent and looks for BYE. The bytes of a frame
 * are described in docs/PROTOCOL.md; this is an implementation of its own.
 */
#include "sim/oracle.h"

static void see_byte(struct sim_link *link, unsigned dir, uint8_t byte)
{
    struct sim_tap *tap = &link->pipe[dir].tap;
    /* The dialing side begins with four bytes of preface. */
    if (dir == 0 && tap->at < 4) {
        tap->lost = tap->lost || (tap->at == 0 && byte != 0xc1);
        tap->at++;
        return;
    }
    tap->at++;
    tap->head[tap->head_len++] = byte;
    if (tap->head_len < 5)
        return;
    uint32_t len = (uint32_t)tap->head[0] << 24 | (uint32_t)tap->head[1] << 16 |
                   (uint32_t)tap->head[2] << 8 | tap->head[3];
    bool bye = tap->head[4] == PL_MSG_BYE;
    /* Of a BYE two more bytes are wanted: the array's head and the code. */
    if (bye && tap->head_len < 7)
        return;
    oracle_rounds_see(link, dir, tap->head[4], len - 1);
    oracle_outcast_see(link, dir, tap->head[4]);
    size_t seen = bye ? 3 : 1;
    uint8_t code = bye ? tap->head[6] : 0;
    if (bye && (code == PL_BYE_PROTOCOL || code == PL_BYE_PROOF))
        sim_fail(link->world, "blame", "n%u ends the session with n%u: %s", link->node[dir],
                 link->node[1 - dir], pl_bye_text(code));
    if (bye && code == PL_BYE_DUPLICATE)
        oracle_rounds_duplicate(link);
    if (bye)
        sim_note(link->world, code, 10, "n%u says bye to n%u: %s", link->node[dir],
                 link->node[1 - dir], pl_bye_text(code));
    tap->left = len < seen ? 0 : len - seen;
    tap->head_len = 0;
}

void oracle_blame_see(struct sim_link *link, unsigned dir, const uint8_t *bytes, size_t len)
{
    struct sim_tap *tap = &link->pipe[dir].tap;
    for (size_t i = 0; i < len && !tap->lost;) {
        size_t passed = (size_t)pl_min_u64(tap->left, len - i);
        if (passed == 0) {
            see_byte(link, dir, bytes[i++]);
            continue;
        }
        tap->at += passed;
        tap->left -= passed;
        i += passed;
    }
}
