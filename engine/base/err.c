/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and texts of the error table.
 */
#include "base/base.h"

const char *parley_err_name(parley_err err)
{
    switch (err) {
    case PARLEY_OK:
        return "PARLEY_OK";
#define NAME_CASE(name, value, text)                                                               \
    case PARLEY_##name:                                                                            \
        return "PARLEY_" #name;
        PARLEY_ERR_TABLE(NAME_CASE)
#undef NAME_CASE
    }
    return "PARLEY_E?";
}

const char *parley_err_text(parley_err err)
{
    switch (err) {
    case PARLEY_OK:
        return "ok";
#define TEXT_CASE(name, value, text)                                                               \
    case PARLEY_##name:                                                                            \
        return text;
        PARLEY_ERR_TABLE(TEXT_CASE)
#undef TEXT_CASE
    }
    return "unknown error";
}

int parley_err_class(parley_err err)
{
    return (int)err / 100;
}
