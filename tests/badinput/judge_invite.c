/* SPDX-License-Identifier: Apache-2.0
 *
 * The line that `parley join` takes. What is wrong is known by the sentence for the user, which
 * must name it.
 */
#include "badinput.h"

#include "node/node_int.h"

void judge_invite(const char *reader, struct parley_span data, struct verdict *out)
{
    static const char *const parts[][2] = {
        { "parley://,", "scheme" },
        { "HOST:PORT", "address" },
        { "backend id", "id" },
        { "(k=)", "k" },
        { "(s=)", "s" },
        { "(n=)", "n" },
        { "(r=)", "r" },
        { "(e=)", "e" },
        { "given twice", "names" },
    };
    struct pl_join join;
    struct parley_diag diag = { { 0 } };
    (void)reader;
    if (pl_invite_parse(data, &join, &diag) == PARLEY_OK) {
        verdict_print(out, "ok");
        return;
    }
    verdict_print(out, "refused:?%s", diag.text);
    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++)
        if (strstr(diag.text, parts[i][0]) != NULL)
            verdict_print(out, "refused:%s", parts[i][1]);
}
