/*
 * Replays a corpus through a fuzz target without libFuzzer: each argument is a file or a folder of
 * files. Fails if there was nothing to replay, since an empty corpus proves nothing.
 *
 * With --oom first, each input is replayed once per allocation that it makes with that one failing,
 * and once with all from there on failing: nothing may crash, leak (the sanitized build sees it) or
 * keep the next replay from working.
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

static bool s_oom;
static unsigned long s_n_failed; /* allocations that were made to fail */

static void replay(const uint8_t *bytes, size_t n)
{
    (void)LLVMFuzzerTestOneInput(bytes, n);
    if (!s_oom) {
        return;
    }
    hws_mem_count_reset();
    (void)LLVMFuzzerTestOneInput(bytes, n);
    uint64_t n_allocs = hws_mem_n_allocs();
    for (uint64_t k = 1; k <= n_allocs; k++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            hws_mem_fail_after(k, sticky != 0);
            (void)LLVMFuzzerTestOneInput(bytes, n);
            hws_mem_fail_after(0, false);
            s_n_failed++;
        }
    }
    (void)LLVMFuzzerTestOneInput(bytes, n);
}

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
    replay(exact, n);
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

    s_oom = argc > 1 && hws_str_eq(argv[1], "--oom");
    for (int i = s_oom ? 2 : 1; i < argc; i++) {
        struct stat st;
        bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        int n = folder ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (n < 0) {
            return 1;
        }
        total += n;
    }
    (void)printf("%d inputs replayed, %lu failed allocations\n", total, s_n_failed);
    return total > 0 && (!s_oom || s_n_failed > 0) ? 0 : 1;
}
