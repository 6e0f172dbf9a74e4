/* SPDX-License-Identifier: Apache-2.0
 *
 * parley-fault: faults of the system under the engine. Exit status 1 when a promise was broken.
 */
#include "fault/kill.h"
#include "fault/sweep.h"

#include <stdio.h>
#include <stdlib.h>

static int usage(void)
{
    fprintf(stderr,
            "usage: parley-fault sweep [--limit CASES] [--seed N] [--jobs N]\n"
            "       parley-fault rows [--limit CASES] [--seed N] [--jobs N]\n"
            "       parley-fault case CLASS ERROR CALL once|ever recover|restart\n"
            "       parley-fault kill [--limit KILLS] [--seed N]\n"
            "       parley-fault lies [--jobs N]\n"
            "\n"
            "sweep  lets one call of the system fail in each run of a script of everything the\n"
            "       engine does: every call, every error, once and for ever; --limit takes a\n"
            "       sample, which --seed changes\n"
            "rows   the same with reads of the store alone\n"
            "case   one run again, as a BROKEN line names it\n"
            "kill   kills a writing process at random moments\n"
            "lies   lets the engine lie and expects to find it out\n");
    return 2;
}

/* Takes "--name N" pairs from `words`; false when there is anything else. */
static bool take_numbers(char **words, uint64_t *limit, uint64_t *seed, uint64_t *jobs)
{
    for (; words[0] != NULL; words += 2) {
        uint64_t *to = strcmp(words[0], "--limit") == 0  ? limit
                       : strcmp(words[0], "--seed") == 0 ? seed
                       : strcmp(words[0], "--jobs") == 0 ? jobs
                                                         : NULL;
        char *end;
        if (to == NULL || words[1] == NULL)
            return false;
        *to = strtoull(words[1], &end, 10);
        if (*end != '\0')
            return false;
    }
    return *jobs >= 1 && *jobs <= SWEEP_JOBS_MAX;
}

int main(int argc, char **argv)
{
    uint64_t limit = 0;
    uint64_t seed = 1;
    uint64_t jobs = 2;
    if (argc == 7 && strcmp(argv[1], "case") == 0)
        return sweep_replay(argv + 2) ? 0 : 1;
    if (argc < 2 || !take_numbers(argv + 2, &limit, &seed, &jobs))
        return usage();
    if (strcmp(argv[1], "sweep") == 0 || strcmp(argv[1], "rows") == 0) {
        struct sweep_options options = { .limit = limit, .seed = seed, .jobs = (unsigned)jobs };
        options.only = argv[1][0] == 'r' ? FAULT_ROW : FAULT_NONE;
        return sweep_run(&options) ? 0 : 1;
    }
    if (strcmp(argv[1], "kill") == 0)
        return kill_run(limit, seed) ? 0 : 1;
    if (strcmp(argv[1], "lies") == 0)
        return sweep_lies((unsigned)jobs) && kill_lies() ? 0 : 1;
    return usage();
}
