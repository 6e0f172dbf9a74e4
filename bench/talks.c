/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations as JSON; see talks.h.
 */
#include "talks.h"

#include <stdlib.h>
#include <zlib.h>

#define LINE_BYTES_MAX (8u << 20)

static void cut(json_t *messages, size_t count)
{
    while (json_array_size(messages) > count)
        json_array_remove(messages, json_array_size(messages) - 1);
}

json_t *talks_read(const struct bench *b, size_t count, size_t messages)
{
    char *line = bench_alloc(LINE_BYTES_MAX);
    json_t *talks = json_array();
    gzFile in = gzopen(b->data_path, "rb");
    bench_check(in != NULL && talks != NULL, "opening the data");
    while (json_array_size(talks) < count && gzgets(in, line, (int)LINE_BYTES_MAX) != NULL) {
        json_t *talk = json_loads(line, 0, NULL);
        json_t *list = json_object_get(talk, "messages");
        if (json_array_size(list) < messages) {
            json_decref(talk);
            continue;
        }
        cut(list, messages);
        bench_check(json_array_append_new(talks, talk) == 0, "a conversation");
    }
    gzclose_r(in);
    free(line);
    bench_check(json_array_size(talks) == count, "finding conversations that are long enough");
    return talks;
}
