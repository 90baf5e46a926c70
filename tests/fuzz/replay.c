/*
 * Replays a corpus through a fuzz target without libFuzzer: each argument is a file or a folder of
 * files. Fails if there was nothing to replay, since an empty corpus proves nothing.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILE_BYTES (4L * 1024 * 1024)

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        return -1;
    }
    uint8_t *bytes = hws_mem_alloc(MAX_FILE_BYTES);
    size_t n = bytes == NULL ? 0 : fread(bytes, 1, MAX_FILE_BYTES, f);
    (void)fclose(f);
    /* An exact copy, so that a read past the end is seen. */
    uint8_t *exact = hws_mem_dup(bytes, n);
    hws_mem_free(bytes);
    if (exact == NULL) {
        return -1;
    }
    (void)LLVMFuzzerTestOneInput(exact, n);
    hws_mem_free(exact);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        (void)fprintf(stderr, "cannot open %s\n", path);
        return -1;
    }
    int n = 0;
    for (struct dirent *e = readdir(dir); e != NULL && n >= 0; e = readdir(dir)) {
        char file[4096];
        if (e->d_name[0] == '.' || !hws_str_print(file, sizeof(file), "%s/%s", path, e->d_name)) {
            continue;
        }
        int rc = replay_file(file);
        n = rc < 0 ? rc : n + rc;
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        int n = folder ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (n < 0) {
            return 1;
        }
        total += n;
    }
    (void)printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
