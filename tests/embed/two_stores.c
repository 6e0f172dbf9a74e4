/* SPDX-License-Identifier: Apache-2.0
 * Two stores in one process, kept equal by a node each: two_stores DIRECTORY DIRECTORY SECRET */
#include <parley/node.h>
#include <parley/parley.h>
#include <stdio.h>
#include <stdlib.h>

static void must(parley_err err)
{
    if (err != PARLEY_OK)
        exit(fprintf(stderr, "%s\n", parley_err_text(err)) > 0);
}

int main(int argc, char **argv)
{
    struct parley_env env; /* memory, entropy and the kind of store: here the system's */
    struct parley_db *db[2];
    struct parley_link link = { 0 }; /* takes bytes from node to node: here there is no socket */
    struct parley_now now = parley_now_posix();
    bool ok;
    if (argc != 4)
        return 2;
    parley_env_posix(&env);
    for (int i = 0; i < 2; i++) {
        struct parley_db_options store = { .name = argv[i + 1] };
        struct parley_node_options options = { .secret = parley_text(argv[3]) };
        must(parley_db_open(&env, &store, &db[i], &ok, NULL));
        must(parley_node_open(&env, &options, db[i], now, &link.nodes[i], NULL));
    }

    /* Append to the first store, through its node. */
    struct parley_message_name at = { parley_text("main"), parley_text("bread"), parley_text("1") };
    struct parley_message message = { .role = parley_text("user"), .content = parley_text("Rye?") };
    struct parley_version version;
    uint8_t body[64];
    must(parley_message_version(&at, &message, body, sizeof body, &version));
    must(parley_node_write(link.nodes[0], &version, now));

    /* The second node joins the first; then they sync. */
    char url[PARLEY_INVITE_URL_BYTES];
    struct parley_node_state state;
    must(parley_node_invite(link.nodes[0], at.name_space, true, now.wall + 60000000, url, now));
    must(parley_node_join(link.nodes[1], parley_text(url), now, NULL));
    do {
        parley_link_turn(&link, parley_now_posix());
        parley_node_state(link.nodes[1], &state);
    } while (state.in_sync == 0 && state.join != PARLEY_JOIN_FAILED);

    /* Read from the second store. */
    struct parley_read *read;
    must(parley_read_begin(db[1], &read));
    must(parley_read_message(read, &at, &message, &ok));
    printf("%s: %.*s\n", state.name, ok ? (int)message.content.len : 0, message.content.ptr);
    parley_read_end(read);
    for (int i = 0; i < 2; i++) {
        parley_node_close(link.nodes[i]);
        parley_db_close(db[i]);
    }
    return ok ? 0 : 1;
}
