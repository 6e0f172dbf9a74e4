/* SPDX-License-Identifier: Apache-2.0
 *
 * nginx; see nginx.h.
 *
 * Without a master: the one process is what a worker is, and whose CPU time counts is known.
 * sendfile and tcp_nopush are as in Debian's own configuration; for the rest nginx's defaults hold.
 */
#define _GNU_SOURCE 1
#include "nginx.h"

#include "proc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READY_SECONDS 5.0
#define POLL_US       20000

static const char *find_program(void)
{
    static const char *const places[] = { "/usr/sbin/nginx", "/usr/local/sbin/nginx",
                                          "/usr/bin/nginx" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static int open_socket(struct sockaddr_in *at, uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_check(fd >= 0, "a socket");
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd;
}

/* It cannot say which port it got; so one that is free now is looked for. */
static uint16_t free_port(void)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int fd = open_socket(&at, 0);
    bench_check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                    getsockname(fd, (struct sockaddr *)&at, &len) == 0,
                "a free port");
    close(fd);
    return ntohs(at.sin_port);
}

static bool listens(uint16_t port)
{
    struct sockaddr_in at;
    int fd = open_socket(&at, port);
    bool there = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return there;
}

static void write_file(const char *path, struct parley_span bytes)
{
    FILE *file = fopen(path, "w");
    bench_check(file != NULL && fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len &&
                    fclose(file) == 0,
                path);
}

static void write_config(const struct nginx *nginx, const char *path)
{
    FILE *file = fopen(path, "w");
    bench_check(file != NULL, path);
    fprintf(file,
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid nginx.pid;\n"
            "error_log stderr crit;\nevents { worker_connections 512; }\n"
            "http {\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n"
            "  keepalive_requests 1000000000;\n  keepalive_timeout 1000;\n"
            "  default_type application/json;\n"
            "  client_body_temp_path tmp;\n  proxy_temp_path tmp;\n  fastcgi_temp_path tmp;\n"
            "  uwsgi_temp_path tmp;\n  scgi_temp_path tmp;\n"
            "  server { listen 127.0.0.1:%u; root files; }\n}\n",
            (unsigned)nginx->port);
    bench_check(fclose(file) == 0, path);
}

static void write_content(const struct nginx *nginx, const char *folder, const char *name,
                          struct parley_span bytes)
{
    char root[BENCH_PATH_BYTES], dir[BENCH_PATH_BYTES], path[BENCH_PATH_BYTES];
    bench_join(root, nginx->dir, "files");
    bench_join(dir, root, folder);
    bench_join(path, dir, name);
    bench_check(mkdir(root, 0700) == 0 && mkdir(dir, 0700) == 0, dir);
    write_file(path, bytes);
}

bool nginx_start(const struct bench *b, struct nginx *nginx, const char *folder, const char *name,
                 struct parley_span bytes)
{
    char config[BENCH_PATH_BYTES], log[BENCH_PATH_BYTES];
    const char *program = find_program();
    if (program == NULL)
        return false;
    bench_make_dir(b, nginx->dir);
    write_content(nginx, folder, name, bytes);
    nginx->port = free_port();
    bench_join(config, nginx->dir, "nginx.conf");
    write_config(nginx, config);
    bench_join(log, nginx->dir, "log");
    const char *argv[] = { program, "-p", nginx->dir, "-e", "stderr", "-c", config, NULL };
    nginx->pid = proc_start(argv, log, NULL);
    for (double end = bench_now() + READY_SECONDS; !listens(nginx->port);) {
        bench_check(bench_now() < end, "starting nginx");
        usleep(POLL_US);
    }
    return true;
}

void nginx_stop(struct nginx *nginx)
{
    proc_stop(nginx->pid);
    bench_remove_tree(nginx->dir);
}
