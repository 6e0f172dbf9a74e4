/* SPDX-License-Identifier: Apache-2.0
 *
 * health: whether the daemon of a data directory serves and is well, as an exit code. For health
 * checks of containers, which have no shell and no curl. It opens no store, so that it is never in
 * the way of a daemon that is just starting.
 */
#define _GNU_SOURCE 1
#include "parley/client.h"

#include <signal.h>
#include <unistd.h>

/* A loop that stands still answers nothing, and is what is asked about. */
#define ANSWER_SECONDS 10

static void give_up(int number)
{
    static const char text[] = "parley: parleyd does not answer\n";
    (void)number;
    if (write(2, text, sizeof text - 1) < 0)
        _exit(CLI_OUTPUT);
    _exit(CLI_LATER);
}

enum cli_exit cmd_health(struct cli *cli)
{
    json_t *answer = NULL;
    signal(SIGALRM, give_up);
    alarm(ANSWER_SECONDS);
    enum cli_exit exit = client_open_daemon(cli);
    if (exit == CLI_OK)
        exit = cli_call(cli, "GET", "/health", NULL, &answer);
    alarm(0);
    if (exit != CLI_OK)
        return exit;
    bool well = strcmp(json_text(answer, "status"), "ok") == 0;
    const json_t *store = json_object_get(answer, "store");
    if (cli->json)
        cli_print_json(cli, answer);
    else if (well)
        puts("ok");
    else
        printf("%s: %s\n", json_text(answer, "status"), json_text(store, "note"));
    json_decref(answer);
    return well ? CLI_OK : CLI_REFUSED;
}
