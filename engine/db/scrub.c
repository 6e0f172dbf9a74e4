/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads all that is stored again and again, a few rows at a time, and proves each row by itself:
 * its checksum, the digest of a version from its names and body, the other end of what it names.
 * Counts and sums need one snapshot of all: that is parley_db_check.
 */
#include "db/db_int.h"

#include "core/digest.h"

/* A step ends after so many bytes of rows, too: versions may be large. */
#define STEP_BYTES (4u << 20)

typedef parley_err (*scrub_row)(struct parley_read *read, struct parley_span key,
                                struct parley_span value);

static PL_MUST_USE parley_err scrub_meta(struct parley_read *read, struct parley_span key,
                                         struct parley_span value)
{
    struct pl_counters counters;
    struct parley_span bytes;
    (void)read;
    if (pl_span_is(key, "counters"))
        return pl_record_read_counters(key, value, &counters);
    if (pl_span_is(key, "incarnation"))
        return pl_record_read_plain(key, value, &bytes);
    if (pl_span_is(key, "place"))
        return value.len == PL_STORE_PLACE_BYTES ? PARLEY_OK : PARLEY_ECORRUPT;
    return pl_span_is(key, "format") && value.len == 4 && pl_get_be(value.ptr, 4) == PL_DB_FORMAT
               ? PARLEY_OK
               : PARLEY_ECORRUPT;
}

/* All rows of SYS end in the same checksum. */
static PL_MUST_USE parley_err scrub_sys(struct parley_read *read, struct parley_span key,
                                        struct parley_span value)
{
    struct parley_span bytes;
    (void)read;
    return pl_record_read_plain(key, value, &bytes);
}

static PL_MUST_USE parley_err scrub_space(struct parley_read *read, struct parley_span key,
                                          struct parley_span value)
{
    struct pl_subset_row view;
    struct pl_space_row space;
    uint32_t number;
    (void)read;
    if (key.ptr[0] == PL_KEY_OF_VIEW)
        return pl_record_read_subset(key, value, &view);
    if (key.ptr[0] == PL_KEY_BY_NAME)
        return pl_record_read_number(key, value, &number);
    return pl_record_read_space(key, value, &space);
}

static PL_MUST_USE parley_err scrub_origin(struct parley_read *read, struct parley_span key,
                                           struct parley_span value)
{
    struct pl_origin_row row;
    uint32_t number;
    (void)read;
    if (key.ptr[0] == PL_KEY_BY_NAME)
        return pl_record_read_number(key, value, &number);
    return pl_record_read_origin(key, value, &row);
}

static PL_MUST_USE parley_err scrub_conversation(struct parley_read *read, struct parley_span key,
                                                 struct parley_span value)
{
    uint32_t number;
    PL_TRY(pl_record_read_number(key, value, &number));
    return pl_view_get_talk(&read->view, number);
}

/* The version that it names must be there, and be its own. */
static PL_MUST_USE parley_err scrub_register(struct parley_read *read, struct parley_span key,
                                             struct parley_span value)
{
    struct pl_key_register_parts parts;
    struct pl_register_row row;
    struct pl_talk_row talk;
    struct pl_record record;
    PL_TRY(pl_key_register_split(key, &parts));
    if (parts.kind == 0)
        return pl_record_read_talk(key, value, &talk);
    PL_TRY(pl_record_read_register(key, value, &row));
    return pl_view_get_version(&read->view, parts.conversation, parts.kind, parts.id, &row,
                               &record);
}

static PL_MUST_USE parley_err scrub_version(struct parley_read *read, struct parley_span key,
                                            struct parley_span value)
{
    struct pl_record record;
    struct parley_version version;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    PL_TRY(pl_record_read_version(key, value, &record));
    PL_TRY(pl_read_lend(read, &record, &version));
    if (parley_version_check(&version, NULL) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    pl_digest_of(&version, digest);
    return memcmp(digest, record.digest, sizeof digest) == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

static PL_MUST_USE parley_err scrub_held(struct parley_read *read, struct parley_span key,
                                         struct parley_span value)
{
    struct pl_held held;
    (void)read;
    PL_TRY(pl_record_read_held(key, value, &held));
    return parley_version_check(&held.version, NULL) == PARLEY_OK ? PARLEY_OK : PARLEY_ECORRUPT;
}

static PL_MUST_USE parley_err scrub_elements(struct parley_read *read, struct parley_span key,
                                             struct parley_span value)
{
    struct parley_span elements;
    (void)read;
    return pl_record_read_elements(key, value, &elements);
}

static PL_MUST_USE parley_err scrub_sum(struct parley_read *read, struct parley_span key,
                                        struct parley_span value)
{
    struct parley_root root;
    (void)read;
    return pl_record_read_sum(key, value, &root);
}

static const struct {
    const char *name;
    scrub_row row;
} tables[PL_TABLE_COUNT] = {
    [PL_TABLE_META] = { "META", scrub_meta },
    [PL_TABLE_SYS] = { "SYS", scrub_sys },
    [PL_TABLE_NAMESPACE] = { "NAMESPACE", scrub_space },
    [PL_TABLE_ORIGIN] = { "ORIGIN", scrub_origin },
    [PL_TABLE_CONVERSATION] = { "CONVERSATION", scrub_conversation },
    [PL_TABLE_REGISTER] = { "REGISTER", scrub_register },
    [PL_TABLE_LOG] = { "LOG", scrub_version },
    [PL_TABLE_HISTORY] = { "HISTORY", scrub_version },
    [PL_TABLE_HOLD] = { "HOLD", scrub_held },
    [PL_TABLE_ELEMENT] = { "ELEMENT", scrub_elements },
    [PL_TABLE_SUM] = { "SUM", scrub_sum },
    [PL_TABLE_TRASH] = { "TRASH", scrub_version },
};

static void note(struct parley_scrub *scrub, struct parley_span key)
{
    struct pl_writer w = pl_writer_over(scrub->first.text, sizeof scrub->first.text - 1);
    scrub->problems++;
    if (scrub->first.text[0] != '\0')
        return;
    pl_write_text(&w, tables[scrub->table].name);
    pl_write_text(&w, " ");
    pl_db_write_hex(&w, key);
    pl_write_text(&w, ": does not decode or disagrees");
    scrub->first.text[w.len] = '\0';
}

/* The row behind the place, in this table or a later one; *end: there is none. */
static PL_MUST_USE parley_err find_next(struct parley_read *read, struct parley_scrub *scrub,
                                        struct parley_span *key, struct parley_span *value,
                                        bool *end)
{
    for (*end = false; scrub->table < PL_TABLE_COUNT; scrub->table++, scrub->key_len = 0) {
        struct pl_cursor *c;
        bool found;
        uint8_t from[sizeof scrub->key + 1];
        memcpy(from, scrub->key, scrub->key_len);
        from[scrub->key_len] = 0;
        PL_TRY(pl_view_cursor(&read->view, (enum pl_table)scrub->table, &c));
        PL_TRY(pl_cursor_seek(c, pl_span_of(from, scrub->key_len + 1), key, value, &found));
        if (found)
            return PARLEY_OK;
    }
    *end = true;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err step(struct parley_read *read, struct parley_scrub *scrub,
                                   uint32_t rows)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < rows && bytes < STEP_BYTES; i++) {
        struct parley_span key, value;
        bool end;
        PL_TRY(find_next(read, scrub, &key, &value, &end));
        if (end) {
            scrub->table = 0;
            scrub->passes++;
            return PARLEY_OK;
        }
        bytes += key.len + value.len;
        scrub->key_len = pl_min_size(key.len, sizeof scrub->key);
        memcpy(scrub->key, key.ptr, scrub->key_len);
        parley_err err = tables[scrub->table].row(read, key, value);
        if (err == PARLEY_ECORRUPT)
            note(scrub, pl_span_of(scrub->key, scrub->key_len));
        else if (err != PARLEY_OK)
            return err;
        read->err = PARLEY_OK; /* damage of one row is no reason to stop */
        scrub->rows++;
    }
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_db_scrub(struct parley_db *db, struct parley_scrub *scrub,
                                           uint32_t rows)
{
    struct parley_read *read;
    if (scrub->table >= PL_TABLE_COUNT || scrub->key_len > sizeof scrub->key)
        return PARLEY_EINVAL;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = step(read, scrub, rows);
    parley_read_end(read);
    return err;
}
