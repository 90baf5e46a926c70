/* Transcripts of trace lines. */
#include "transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "test.h"

#define MAX_BYTES 262144u

void transcript_init(struct transcript *t)
{
    hws_buf_init(&t->text, MAX_BYTES);
    t->muted = false;
}

static void record(void *data, uint64_t now_ms, const char *line)
{
    struct transcript *t = data;
    if (t->muted) {
        return;
    }
    assert_code(hws_buf_printf(&t->text, "%7" PRIu64 " %s\n", now_ms, line), HWS_OK);
}

struct hws_trace transcript_hook(struct transcript *t)
{
    return (struct hws_trace){.line = record, .data = t};
}

void transcript_note(struct transcript *t, uint64_t now_ms, const char *fmt, ...)
{
    char line[256];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    record(t, now_ms, line);
}

static const char *line_end(const char *s)
{
    const char *nl = strchr(s, '\n');
    return nl != NULL ? nl + 1 : s + strlen(s);
}

/* Line by line: common ones behind a space, the file's behind '-', ours behind '+'. */
static void print_diff(const char *want, const char *got)
{
    while (*want != '\0' || *got != '\0') {
        const char *want_end = line_end(want);
        const char *got_end = line_end(got);
        size_t n_want = (size_t)(want_end - want);
        size_t n_got = (size_t)(got_end - got);
        if (n_want == n_got && memcmp(want, got, n_want) == 0) {
            print_error(" %.*s", (int)n_want, want);
        } else {
            if (n_want > 0) {
                print_error("-%.*s", (int)n_want, want);
            }
            if (n_got > 0) {
                print_error("+%.*s", (int)n_got, got);
            }
        }
        want = want_end;
        got = got_end;
    }
}

void transcript_check(struct transcript *t, const char *name)
{
    char path[4096];
    static char want[MAX_BYTES + 1];
    const char *got = hws_buf_cstr(&t->text);
    const char *update = getenv("HAWSER_UPDATE_TRACES");

    assert_non_null(got);
    assert_true(hws_str_print(path, sizeof(path), "%s/trace/expected/%s.txt", HWS_TESTS_DIR, name));
    if (update != NULL && strcmp(update, "1") == 0) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(got, f) >= 0);
        assert_int_equal(fclose(f), 0);
        hws_buf_deinit(&t->text);
        return;
    }
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail_msg("%s is missing; HAWSER_UPDATE_TRACES=1 writes it", path);
    }
    want[fread(want, 1, MAX_BYTES, f)] = '\0';
    (void)fclose(f);
    if (strcmp(want, got) != 0) {
        print_error("%s differs (- file, + this run):\n", path);
        print_diff(want, got);
        fail();
    }
    hws_buf_deinit(&t->text);
}
