/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over every file of the directories named, so that corpora are replayed where
 * there is no libFuzzer. A directory without a file is an error: it would test nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_BYTES_MAX (1u << 20)

static int replay_file(const char *dir, const char *name)
{
    char path[4096];
    int path_len = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (path_len < 0 || (size_t)path_len >= sizeof path)
        return -1;
    FILE *file = fopen(path, "rb");
    uint8_t *buf = malloc(FILE_BYTES_MAX);
    int result = -1;
    if (file == NULL || buf == NULL)
        goto out;
    size_t len = fread(buf, 1, FILE_BYTES_MAX, file);
    if (ferror(file) != 0)
        goto out;
    /* An exact copy lets the address sanitizer see a read past the end. */
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    if (exact == NULL)
        goto out;
    memcpy(exact, buf, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    result = 0;
out:
    if (file != NULL)
        fclose(file);
    free(buf);
    return result;
}

static int replay_dir(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    if (dir == NULL)
        return -1;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay_file(path, entry->d_name) != 0) {
            count = -1;
            break;
        }
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int count = replay_dir(argv[i]);
        printf("%s: %d inputs\n", argv[i], count);
        if (count <= 0)
            return 1;
    }
    return argc < 2;
}
