/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of the line for a broken invariant. The hook is the only mutable global of the library:
 * it is process-wide by nature, as abort() is.
 */
#include "base/base.h"

#include <stdlib.h>

static void (*panic_hook)(const char *file, int line, const char *what);

void parley_panic_hook(void (*hook)(const char *file, int line, const char *what))
{
    panic_hook = hook;
}

void parley_panic(const char *file, int line, const char *what)
{
    if (panic_hook != NULL)
        panic_hook(file, line, what);
    abort();
}
