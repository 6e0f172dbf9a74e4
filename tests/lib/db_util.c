/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/db_util.h"

#include "core/message.h"

struct parley_db *db_util_open(const struct parley_env *env, const char *name)
{
    struct parley_db_options options = { .name = name, .local_origin = pl_span_text("local") };
    struct parley_db *db;
    assert_ok(parley_db_open(env, &options, &db, NULL, NULL));
    return db;
}

struct parley_version db_util_message(const char *conversation, const char *id, uint64_t time,
                                      const char *origin, const char *content, uint8_t *body)
{
    struct pl_writer w = pl_writer_over(body, 80);
    pl_message_encode(
        &w, &(struct pl_message){ .role = pl_span_text("user"), .content = pl_span_text(content) });
    assert_ok(w.err);
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text(conversation),
                                    .id = pl_span_text(id),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = time,
                                    .origin = pl_span_text(origin),
                                    .body = pl_writer_span(&w) };
}

struct parley_version db_util_tombstone(const char *conversation, const char *id, uint64_t time,
                                        const char *origin)
{
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text(conversation),
                                    .id = pl_span_text(id),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .flags = PARLEY_FLAG_TOMBSTONE,
                                    .time = time,
                                    .origin = pl_span_text(origin) };
}

struct parley_version db_util_delete(const char *conversation, uint64_t time, const char *origin)
{
    struct parley_version version = db_util_tombstone(conversation, "", time, origin);
    version.kind = PARLEY_KIND_CONVERSATION;
    return version;
}

struct parley_version db_util_purge(const char *conversation, uint64_t time, const char *origin)
{
    static const uint8_t why[] = { 0xa1, '?' };
    struct parley_version version = db_util_delete(conversation, time, origin);
    version.kind = PARLEY_KIND_PURGE;
    version.flags = 0;
    version.body = pl_span_of(why, sizeof why);
    return version;
}

struct parley_write db_util_apply(struct parley_db *db, struct parley_version version)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = 7, .u.version = version };
    bool changed;
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, &changed));
    return w;
}

struct parley_check_report db_util_check(struct parley_db *db)
{
    struct parley_check_report report;
    assert_ok(parley_db_check(db, &report));
    if (report.problems != 0)
        fail_msg("%s", report.first[0].text);
    return report;
}

struct parley_namespace_info db_util_namespace(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_namespace_info info = { 0 };
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    parley_read_end(read);
    return found ? info : (struct parley_namespace_info){ 0 };
}

struct parley_root db_util_root(struct parley_db *db)
{
    return db_util_namespace(db).root;
}

struct parley_db_state db_util_state(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_db_state state;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_state(read, &state));
    parley_read_end(read);
    return state;
}
