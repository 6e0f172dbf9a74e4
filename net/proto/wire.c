/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of the BYE table.
 */
#include "proto/wire.h"

const char *pl_bye_text(uint32_t code)
{
    static const char *const texts[PL_BYE_COUNT] = {
#define BYE_TEXT(number, name, text) [number] = text,
        PL_BYE_TABLE(BYE_TEXT)
#undef BYE_TEXT
    };
    return code < PL_BYE_COUNT ? texts[code] : "unknown reason";
}
