/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of the disk must be neither kinder nor crueller than a disk. Each test plays a few
 * records and asks what an image with nothing, or with all, of what is pending holds.
 */
#include "lib/testlib.h"
#include "power/model.h"

#include <string.h>

enum { ROOT = 1, NODE = 2, FILE_A = 3 };

static struct model m;

static void play(enum power_type type, uint64_t file, uint64_t offset, uint32_t flags,
                 const void *data, size_t len)
{
    struct power_record record = {
        .type = type, .file = file, .offset = offset, .flags = flags, .len = (uint32_t)len
    };
    model_take(&m, &record, data);
    model_sync(&m, &record);
}

static void play_name(enum power_type type, uint64_t file, const char *name)
{
    play(type, file, 0, 0, name, strlen(name));
}

static void play_write(uint64_t offset, uint32_t flags, const char *text)
{
    play(POWER_WRITE, FILE_A, offset, flags, text, strlen(text));
}

static void play_sync(uint64_t file)
{
    play(POWER_SYNC, file, 0, 0, NULL, 0);
}

static int begin(void **state)
{
    (void)state;
    model_init(&m, 64, MODEL_HONEST);
    play(POWER_START, ROOT, 0, 0, NULL, 0);
    play_name(POWER_MKDIR, NODE, "n");
    play_sync(ROOT);
    return 0;
}

static int end(void **state)
{
    (void)state;
    model_deinit(&m);
    return 0;
}

/* Whether the image with nothing (or all) of what is pending has exactly this in the file. */
static bool holds(bool all, const char *name, const char *text)
{
    uint8_t bytes[1024];
    model_choose_all(&m, all);
    const struct model_file *file = model_find(&m, name);
    if (file == NULL)
        return text == NULL;
    assert_true(model_room(file) <= sizeof bytes);
    uint64_t len = model_render(file, bytes, false);
    return text != NULL && len == strlen(text) && memcmp(bytes, text, len) == 0;
}

static void model_keeps_no_name_before_its_directory_is_synced(void **state)
{
    (void)state;
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_write(0, 0, "text");
    play_sync(FILE_A);
    assert_true(holds(false, "n/a", NULL));
    assert_true(holds(true, "n/a", "text"));
    play_sync(NODE);
    assert_true(holds(false, "n/a", "text"));
}

static void model_keeps_no_bytes_before_the_file_is_synced(void **state)
{
    (void)state;
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play_write(0, 0, "text");
    assert_true(holds(false, "n/a", ""));
    play_sync(FILE_A);
    play_write(2, 0, "st");
    assert_true(holds(false, "n/a", "text"));
    assert_true(holds(true, "n/a", "test"));
}

static void model_takes_o_dsync_for_its_own_write_alone(void **state)
{
    (void)state;
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play_write(0, 0, "aaaa");
    play_sync(FILE_A);
    play_write(0, 0, "bb");
    play_write(2, POWER_FLAG_DSYNC, "cc");
    assert_true(holds(false, "n/a", "aacc"));
    assert_true(holds(true, "n/a", "bbcc"));
}

static void model_cuts_a_write_into_units(void **state)
{
    (void)state;
    char text[129];
    memset(text, 'x', 128);
    text[128] = '\0';
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play_write(32, 0, text);
    struct model_file *file = model_find(&m, "n/a");
    assert_int_equal(3, file->unit_count);
    assert_int_equal(32, file->units[0].len);
    assert_int_equal(64, file->units[1].at);
    assert_int_equal(32, file->units[2].len);
}

static void model_never_shows_half_a_rename(void **state)
{
    (void)state;
    static const char names[] = "n/a\0n/b";
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play(POWER_RENAME, 0, 0, 0, names, sizeof names);
    model_choose_all(&m, false);
    assert_non_null(model_find(&m, "n/a"));
    assert_null(model_find(&m, "n/b"));
    model_choose_changes(model_find(&m, "n"), 1);
    assert_null(model_find(&m, "n/a"));
    assert_non_null(model_find(&m, "n/b"));
}

static void model_gives_a_longer_file_zeros_or_garbage(void **state)
{
    (void)state;
    uint8_t bytes[64];
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play_write(0, 0, "text");
    model_choose_all(&m, false);
    struct model_file *file = model_find(&m, "n/a");
    file->tail = MODEL_TAIL_ZEROS;
    assert_int_equal(4, model_render(file, bytes, false));
    assert_memory_equal("\0\0\0\0", bytes, 4);
    file->tail = MODEL_TAIL_GARBAGE;
    assert_int_equal(4, model_render(file, bytes, false));
    assert_memory_not_equal("\0\0\0\0", bytes, 4);
}

static void model_undoes_what_an_image_wrote(void **state)
{
    (void)state;
    uint8_t bytes[64] = "text";
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    play_write(0, 0, "text");
    play_sync(FILE_A);
    play_write(1, 0, "oas");
    model_choose_all(&m, true);
    const struct model_file *file = model_find(&m, "n/a");
    model_render(file, bytes, true);
    assert_memory_equal("toas", bytes, 4);
    model_undo(file, bytes);
    assert_memory_equal("text", bytes, 4);
}

static void model_without_syncs_keeps_nothing(void **state)
{
    (void)state;
    play_name(POWER_CREATE, FILE_A, "n/a");
    play_sync(NODE);
    m.plant = MODEL_NOSYNC;
    play_write(0, POWER_FLAG_DSYNC, "text");
    play_sync(FILE_A);
    assert_true(holds(false, "n/a", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(model_keeps_no_name_before_its_directory_is_synced, begin,
                                        end),
        cmocka_unit_test_setup_teardown(model_keeps_no_bytes_before_the_file_is_synced, begin, end),
        cmocka_unit_test_setup_teardown(model_takes_o_dsync_for_its_own_write_alone, begin, end),
        cmocka_unit_test_setup_teardown(model_cuts_a_write_into_units, begin, end),
        cmocka_unit_test_setup_teardown(model_never_shows_half_a_rename, begin, end),
        cmocka_unit_test_setup_teardown(model_gives_a_longer_file_zeros_or_garbage, begin, end),
        cmocka_unit_test_setup_teardown(model_undoes_what_an_image_wrote, begin, end),
        cmocka_unit_test_setup_teardown(model_without_syncs_keeps_nothing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
