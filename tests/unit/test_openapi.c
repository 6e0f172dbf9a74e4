/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /openapi.json against what the node does: every route is in it and nothing else, a token is
 * needed where it says so, numbers are numbers, and what must be there must be there.
 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/shim.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct node_client c;
    json_t *document;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, false);
    struct node_reply r = node_client_ask(&f->c, "GET", "/openapi.json", NULL, NULL);
    node_client_expect(r, 200, "\"openapi\":\"3.1.0\"");
    f->document = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(f->document);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    json_decref(f->document);
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

/* Upper case, for a request. */
static const char *method_of(const char *name, char out[8])
{
    size_t i = 0;
    for (; name[i] != '\0' && i < 7; i++)
        out[i] = (char)(name[i] - 32);
    out[i] = '\0';
    return out;
}

/* The path with something in the place of its names. */
static void fill(const char *path, const char *with, char *out, size_t cap)
{
    size_t at = 0;
    for (; *path != '\0' && at + strlen(with) < cap; path++) {
        if (*path == '{') {
            at += (size_t)snprintf(out + at, cap - at, "%s", with);
            path = strchr(path, '}');
        } else {
            out[at++] = *path;
        }
    }
    out[at] = '\0';
}

static json_t *operation(struct fixture *f, const struct pl_route *route)
{
    static const char *const names[] = {
        [PL_HTTP_GET] = "get",     [PL_HTTP_POST] = "post",     [PL_HTTP_PUT] = "put",
        [PL_HTTP_PATCH] = "patch", [PL_HTTP_DELETE] = "delete",
    };
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(f->document, "paths"), path, item)
    {
        char pattern[128];
        fill(path, "*", pattern, sizeof pattern);
        if (strcmp(pattern, route->pattern) == 0)
            return json_object_get(item, names[route->method]);
    }
    return NULL;
}

static void openapi_has_every_route_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    size_t count;
    const struct pl_route *routes = pl_shim_routes(&count);
    for (size_t i = 0; i < count; i++)
        if (operation(f, &routes[i]) == NULL)
            fail_msg("no note of %s", routes[i].pattern);
    size_t operations = 0;
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(f->document, "paths"), path, item) operations +=
        json_object_size(item);
    assert_int_equal(count, operations);
}

/* One operation after the other, with its method and path. */
#define FOR_EACH_OPERATION(f, path, name, op)                                                      \
    json_t *paths_ = json_object_get((f)->document, "paths"), *item_;                              \
    json_object_foreach(paths_, path, item_) json_object_foreach(item_, name, op)

static void openapi_says_where_a_token_is_needed(void **state)
{
    struct fixture *f = *state;
    const char *path, *name;
    json_t *op;
    FOR_EACH_OPERATION(f, path, name, op)
    {
        char target[128], method[8];
        fill(path, "x", target, sizeof target);
        struct node_reply r = node_client_ask(&f->c, method_of(name, method), target, NULL, NULL);
        bool open = json_object_get(op, "security") != NULL;
        if (open == (r.status == 401))
            fail_msg("%s %s without a token: %u", method, target, r.status);
    }
}

/* So that there is something at every path that is filled with x. */
static void write_x(struct fixture *f)
{
    node_client_expect(node_client_admin(&f->c, "POST", "/conversations/x/messages",
                                         "{\"message_id\":\"x\",\"role\":\"r\",\"content\":\"c\"}"),
                       201, NULL);
}

static void openapi_numbers_are_numbers(void **state)
{
    struct fixture *f = *state;
    const char *path, *name;
    json_t *op;
    unsigned tried = 0;
    write_x(f);
    FOR_EACH_OPERATION(f, path, name, op)
    {
        size_t i;
        json_t *p;
        json_array_foreach(json_object_get(op, "parameters"), i, p)
        {
            const char *parameter = json_string_value(json_object_get(p, "name"));
            json_t *type = json_object_get(json_object_get(p, "schema"), "type");
            char target[256], method[8], filled[128], want[64];
            if (!json_is_string(type) || strcmp(json_string_value(type), "integer") != 0)
                continue;
            fill(path, "x", filled, sizeof filled);
            snprintf(target, sizeof target, "%s?%s=none", filled, parameter);
            snprintf(want, sizeof want, "\"field\":\"%s\"", parameter);
            struct node_reply r = node_client_admin(
                &f->c, method_of(name, method), target,
                strcmp(name, "get") == 0 ? NULL : "{\"role\":\"r\",\"content\":\"c\"}");
            if (r.status != 400 || strstr(r.body, want) == NULL)
                fail_msg("%s %s: %u %s", method, target, r.status, r.body);
            tried++;
        }
    }
    assert_true(tried >= 10);
}

static bool names_one_of(json_t *required, const char *body)
{
    size_t i;
    json_t *name;
    json_array_foreach(required, i, name)
    {
        char field[64];
        snprintf(field, sizeof field, "\"field\":\"%s\"", json_string_value(name));
        if (strstr(body, field) != NULL)
            return true;
        snprintf(field, sizeof field, "%s", json_string_value(name));
        if (strstr(body, field) != NULL)
            return true;
    }
    return false;
}

static void openapi_members_that_must_be_there_are_missed(void **state)
{
    struct fixture *f = *state;
    const char *path, *name;
    json_t *op;
    unsigned tried = 0;
    write_x(f);
    FOR_EACH_OPERATION(f, path, name, op)
    {
        json_t *content = json_object_get(json_object_get(op, "requestBody"), "content");
        json_t *schema = json_object_get(json_object_get(content, "application/json"), "schema");
        json_t *required = json_object_get(schema, "required");
        char target[128], method[8];
        if (json_array_size(required) == 0)
            continue;
        fill(path, "x", target, sizeof target);
        struct node_reply r = node_client_admin(&f->c, method_of(name, method), target, "{}");
        if (r.status != 400 || !names_one_of(required, r.body))
            fail_msg("%s %s: %u %s", method, target, r.status, r.body);
        tried++;
    }
    assert_true(tried >= 8);
}

/* What is answered is what it says; a refusal is a problem. */
static void openapi_knows_the_form_of_every_answer(void **state)
{
    struct fixture *f = *state;
    const char *path, *name;
    json_t *op;
    FOR_EACH_OPERATION(f, path, name, op)
    {
        char target[128], method[8], status[8], type[64] = "";
        fill(path, "x", target, sizeof target);
        struct node_reply r = node_client_admin(
            &f->c, method_of(name, method), target,
            strcmp(name, "get") == 0 || strstr(path, "diff") != NULL ? NULL : "{}");
        const char *at = strstr(r.head, "Content-Type: ");
        assert_non_null(at);
        snprintf(type, sizeof type, "%.*s", (int)strcspn(at + 14, ";\r"), at + 14);
        snprintf(status, sizeof status, "%u", r.status);
        json_t *answer = json_object_get(json_object_get(op, "responses"), status);
        bool good = answer != NULL
                        ? json_object_get(json_object_get(answer, "content"), type) != NULL
                        : r.status >= 400 && strcmp(type, "application/problem+json") == 0;
        if (!good)
            fail_msg("%s %s: %u %s", method, target, r.status, type);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(openapi_has_every_route_and_nothing_else),
        TEST(openapi_says_where_a_token_is_needed),
        TEST(openapi_numbers_are_numbers),
        TEST(openapi_members_that_must_be_there_are_missed),
        TEST(openapi_knows_the_form_of_every_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
