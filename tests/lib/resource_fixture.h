/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of parley's own resources share: requests with more headers, pages that are followed
 * to their end, and a second connection. For one test program: it holds functions.
 */
#ifndef RESOURCE_FIXTURE_H
#define RESOURCE_FIXTURE_H

#include "lib/client_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A text that is put together, always NUL-terminated; free(w.ptr) in the end. */
static inline struct pl_writer text_of(size_t cap)
{
    char *memory = calloc(1, cap);
    assert_non_null(memory);
    return pl_writer_over(memory, cap);
}

__attribute__((format(printf, 2, 3))) static inline void put(struct pl_writer *w,
                                                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf((char *)w->ptr + w->len, w->cap - w->len, format, args);
    va_end(args);
    assert_in_range(len, 0, w->cap - w->len - 1);
    w->len += (size_t)len;
}

static inline void put_many(struct pl_writer *w, char c, size_t count)
{
    assert_in_range(count, 0, w->cap - w->len - 1);
    memset(w->ptr + w->len, c, count);
    w->len += count;
    w->ptr[w->len] = '\0';
}

static inline const char *text(const struct pl_writer *w)
{
    return (const char *)w->ptr;
}

static inline struct node_reply admin(struct node_client *c, const char *method, const char *target,
                                      const char *body)
{
    return node_client_admin(c, method, target, body);
}

/* Sends a request of the operator; `headers` are whole lines. */
static inline void send_with(struct node_client *c, const char *method, const char *target,
                             const char *headers, const char *body)
{
    static char request[65536];
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: localhost:8825\r\nAuthorization: Bearer "
                       "%s\r\n%sContent-Length: %zu\r\n\r\n%s",
                       method, target, NODE_CLIENT_ADMIN, headers, strlen(body), body);
    assert_in_range(len, 1, (int)sizeof request - 1);
    if (c->conn == 0)
        node_client_connect(c);
    node_client_send(c, request, (size_t)len);
}

static inline struct node_reply with(struct node_client *c, const char *method, const char *target,
                                     const char *headers, const char *body)
{
    send_with(c, method, target, headers, body);
    return node_client_take(c, false);
}

/* Puts the connection aside and begins another one; go on with the first by take_up. */
static inline pl_conn put_aside(struct node_client *c)
{
    pl_conn first = c->conn;
    c->conn = 0;
    node_client_connect(c);
    return first;
}

static inline void take_up(struct node_client *c, pl_conn conn)
{
    pl_node_closed(c->node, c->conn, c->now);
    c->conn = conn;
    c->got_len = 0;
    node_client_settle(c);
}

/* The text of a field of the first object that has it; "" without one. */
static inline const char *field_of(const char *body, const char *name, char out[1024])
{
    char start[64];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    const char *at = strstr(body, start);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, 1024, "%.*s", (int)strcspn(at + strlen(start), "\""), at + strlen(start));
    return out;
}

/* A line of the head, with its end: to be sent back. */
static inline const char *header_of(struct node_reply r, const char *name, char out[256])
{
    char start[64];
    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strstr(r.head, start);
    if (at == NULL)
        fail_msg("no %s in %s", name, r.head);
    at += strlen(start);
    snprintf(out, 256, "%.*s", (int)strcspn(at, "\r"), at);
    return out;
}

/* The values of `name` on all pages behind `target`, which has a query, each followed by a blank;
 * *pages of them. */
static inline const char *follow(struct node_client *c, const char *target, const char *name,
                                 char *out, size_t cap, unsigned *pages)
{
    char next[1024] = "";
    char start[64];
    size_t len = 0;
    snprintf(start, sizeof start, "\"%s\":\"", name);
    out[0] = '\0';
    for (*pages = 1; *pages < 2000; ++*pages) {
        char whole[2048];
        snprintf(whole, sizeof whole, "%s%s%s", target, next[0] == '\0' ? "" : "&after=", next);
        struct node_reply r = admin(c, "GET", whole, NULL);
        node_client_expect(r, 200, NULL);
        for (const char *at = r.body; (at = strstr(at, start)) != NULL;) {
            at += strlen(start);
            len += (size_t)snprintf(out + len, cap - len, "%.*s ", (int)strcspn(at, "\""), at);
            assert_true(len < cap);
        }
        if (field_of(r.body, "next", next)[0] == '\0')
            return out;
    }
    fail_msg("the pages do not end");
    return out;
}

static inline void say(struct node_client *c, const char *conversation, const char *id,
                       const char *content)
{
    char path[256];
    char body[512];
    snprintf(path, sizeof path, "/conversations/%s/messages", conversation);
    snprintf(body, sizeof body, "{\"role\":\"user\",\"content\":\"%s\",\"message_id\":\"%s\"}",
             content, id);
    node_client_expect(admin(c, "POST", path, body), 201, id);
}

#endif
