/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/golden.h"

#include "core/hash.h"
#include "proto/frame.h"

#include <stdio.h>

size_t golden_read(const char *name, uint8_t out[GOLDEN_BYTES_MAX])
{
    char path[512];
    int path_len = snprintf(path, sizeof path, "%s/golden/%s.hex", TEST_SOURCE_DIR, name);
    assert_in_range(path_len, 1, sizeof path - 1);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[512];
    char digits[2 * GOLDEN_BYTES_MAX];
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL)
        for (const char *at = line; *at != '\0' && *at != '#'; at++)
            if (*at > ' ') {
                assert_in_range(count, 0, sizeof digits - 1);
                digits[count++] = *at;
            }
    assert_int_equal(0, fclose(file));
    assert_int_equal(0, count % 2);
    assert_ok(pl_hex_decode(pl_span_of(digits, count), out, count / 2));
    return count / 2;
}

struct parley_span golden_body(const char *name, enum pl_message_type type,
                               uint8_t out[GOLDEN_BYTES_MAX])
{
    size_t len = golden_read(name, out);
    assert_true(len >= PL_FRAME_HEADER_BYTES);
    assert_int_equal(len - 4, pl_get_be(out, 4));
    assert_int_equal(type, out[4]);
    return pl_span_of(out + PL_FRAME_HEADER_BYTES, len - PL_FRAME_HEADER_BYTES);
}

size_t golden_frame(enum pl_message_type type, const struct pl_writer *body,
                    uint8_t out[GOLDEN_BYTES_MAX])
{
    assert_ok(body->err);
    pl_frame_put_header(out, type, body->len);
    memcpy(out + PL_FRAME_HEADER_BYTES, body->ptr, body->len);
    return PL_FRAME_HEADER_BYTES + body->len;
}

void golden_check(const char *name, enum pl_message_type type, const struct pl_writer *body)
{
    uint8_t golden[GOLDEN_BYTES_MAX];
    uint8_t made[GOLDEN_BYTES_MAX];
    size_t golden_len = golden_read(name, golden);
    size_t made_len = golden_frame(type, body, made);
    assert_int_equal(golden_len, made_len);
    assert_memory_equal(golden, made, golden_len);
}
