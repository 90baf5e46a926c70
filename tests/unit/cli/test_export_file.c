/* The end of an exported file: found wherever the file was cut, and what is not ours is left alone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/export_file.h"
#include "test.h"

#define N_LINES 7

static char s_dir[] = "/tmp/hawser-export.XXXXXX";
static char s_path[64];
static struct hws_buf s_text;
static size_t s_end_of[N_LINES]; /* the bytes up to and with each line */

/* key, record 1, record 2, checkpoint 2, gap 3 to 5, record 6, checkpoint 6 */
static const struct {
    enum hws_line_kind kind;
    uint64_t seq; /* how far a file comes that ends with this line */
    bool signs;   /* a checkpoint stands behind that record */
} s_lines[N_LINES] = {{HWS_LINE_KEY, 0, false},      {HWS_LINE_RECORD, 1, false},
                      {HWS_LINE_RECORD, 2, false},   {HWS_LINE_CHECKPOINT, 2, true},
                      {HWS_LINE_GAP, 5, false},      {HWS_LINE_RECORD, 6, false},
                      {HWS_LINE_CHECKPOINT, 6, true}};

static int setup(void **state)
{
    static char detail[300];
    (void)state;

    memset(detail, 'x', sizeof(detail) - 1);
    for (size_t i = 0; i < N_LINES; i++) {
        struct hws_line line = {.kind = s_lines[i].kind};
        if (line.kind == HWS_LINE_RECORD) {
            line.u.record = (struct hws_record){.seq = s_lines[i].seq,
                                                .phase = HWS_RECORD_READ,
                                                .detail = detail + (i == 2 ? 0 : 250)};
            line.u.record.hash.b[0] = (uint8_t)s_lines[i].seq;
        } else if (line.kind == HWS_LINE_CHECKPOINT) {
            line.u.checkpoint = (struct hws_checkpoint){.seq = s_lines[i].seq, .host = "h"};
        } else if (line.kind == HWS_LINE_GAP) {
            line.u.gap = (struct hws_line_gap){.first = 3, .last = 5};
        }
        assert_ok(hws_line_print(&line, &s_text), NULL);
        s_end_of[i] = hws_buf_len(&s_text);
    }
    assert_non_null(mkdtemp(s_dir));
    assert_true(hws_str_print(s_path, sizeof(s_path), "%s/log", s_dir));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_buf_deinit(&s_text);
    (void)unlink(s_path);
    return rmdir(s_dir);
}

static void put_file(const char *path, const void *bytes, size_t n, size_t n_zeros)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(ftruncate(fd, (off_t)(n + n_zeros)), 0);
    (void)close(fd);
}

static void check_cut(size_t n, size_t n_zeros)
{
    struct hws_export_file f;
    struct hws_export_end end;
    struct hws_err err;
    size_t n_whole = 0;

    put_file(s_path, hws_buf_peek(&s_text), n, n_zeros);
    while (n_whole < N_LINES && s_end_of[n_whole] <= n) {
        n_whole++;
    }
    assert_ok(hws_export_file_open(&f, s_path, &end, &err), &err);
    uint64_t seq = n_whole == 0 ? 0 : s_lines[n_whole - 1].seq;
    assert_int_equal(end.seq, seq);
    assert_int_equal(end.has_checkpoint, n_whole > 0 && s_lines[n_whole - 1].signs);
    assert_int_equal(end.has_hash, seq != 0 && seq != 5);
    assert_int_equal(end.hash.b[0], end.has_hash ? seq : 0);
    assert_int_equal(f.n_bytes, n_whole == 0 ? 0 : s_end_of[n_whole - 1]);
    struct stat st;
    assert_int_equal(stat(s_path, &st), 0);
    assert_int_equal(st.st_size, f.n_bytes);
    assert_false(hws_export_file_moved(&f));
    hws_export_file_close(&f);
}

/* Around the end of each line, and at every fifth byte from one that is drawn. */
static void a_file_cut_at_any_byte_ends_with_its_last_whole_line(void **state)
{
    uint64_t rand = hws_test_seed();
    size_t begin = hws_test_rand(&rand) % 5;
    (void)state;

    for (size_t i = 0; i < N_LINES; i++) {
        for (size_t n = s_end_of[i] - 2; n <= hws_buf_len(&s_text) && n <= s_end_of[i] + 12; n++) {
            check_cut(n, 0);
        }
    }
    for (size_t n = begin; n <= hws_buf_len(&s_text); n += 5) {
        check_cut(n, hws_test_rand(&rand) % 2 * (1 + n % 300));
    }
}

static void what_is_no_export_is_left_as_it_is(void **state)
{
    static const char *const texts[] = {
        "hello", "hello\n", "{\"type\":\"record\"}\n{",
        "\n",    "\n\n",    "{\"type\":\"gap\",\"first\":1,\"last\":2} \n"};
    struct hws_export_file f;
    struct hws_export_end end;
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct stat st;
        put_file(s_path, texts[i], strlen(texts[i]), 0);
        assert_code(hws_export_file_open(&f, s_path, &end, NULL), HWS_E_PROTO);
        assert_int_equal(f.fd, -1);
        assert_int_equal(stat(s_path, &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
}

static void one_export_holds_a_file(void **state)
{
    struct hws_export_file f;
    struct hws_export_file g;
    struct hws_export_end end;
    (void)state;

    put_file(s_path, "", 0, 0);
    assert_code(hws_export_file_open(&f, s_path, &end, NULL), HWS_OK);
    assert_code(hws_export_file_open(&g, s_path, &end, NULL), HWS_E_STATE);
    hws_export_file_close(&f);
    assert_code(hws_export_file_open(&g, s_path, &end, NULL), HWS_OK);
    hws_export_file_close(&g);
}

static void a_file_that_was_rotated_or_cut_is_seen_and_found(void **state)
{
    struct hws_export_file f;
    struct hws_export_end end;
    char rotated[80];
    (void)state;

    assert_true(hws_str_print(rotated, sizeof(rotated), "%s.1", s_path));
    put_file(s_path, "", 0, 0);
    assert_code(hws_export_file_open(&f, s_path, &end, NULL), HWS_OK);
    assert_code(hws_export_file_put(&f, hws_buf_peek(&s_text), s_end_of[2], NULL), HWS_OK);
    assert_code(hws_export_file_sync(&f, NULL), HWS_OK);
    assert_false(hws_export_file_moved(&f));
    assert_code(hws_export_file_rotated(s_path, f.inode, &end, NULL), HWS_E_NOT_FOUND);
    assert_int_equal(rename(s_path, rotated), 0);
    assert_true(hws_export_file_moved(&f));
    put_file(s_path, "", 0, 0);
    assert_true(hws_export_file_moved(&f));
    assert_code(hws_export_file_rotated(s_path, f.inode, &end, NULL), HWS_OK);
    assert_int_equal(end.seq, 2);
    hws_export_file_close(&f);
    assert_int_equal(rename(rotated, s_path), 0);

    assert_code(hws_export_file_open(&f, s_path, &end, NULL), HWS_OK);
    assert_int_equal(truncate(s_path, 0), 0); /* logrotate's copytruncate */
    assert_true(hws_export_file_moved(&f));
    hws_export_file_close(&f);
}

static void a_place_that_cannot_be_written_says_why(void **state)
{
    struct hws_export_file f;
    struct hws_export_end end;
    struct hws_err err;
    (void)state;

    assert_code(hws_export_file_open(&f, "/nonexistent/log", &end, &err), HWS_E_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/log"));
    assert_code(hws_export_file_open(&f, "/dev/full", &end, &err), HWS_OK);
    assert_false(f.regular);
    assert_code(hws_export_file_put(&f, "x", 1, &err), HWS_E_IO);
    hws_export_file_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_at_any_byte_ends_with_its_last_whole_line),
        cmocka_unit_test(what_is_no_export_is_left_as_it_is),
        cmocka_unit_test(one_export_holds_a_file),
        cmocka_unit_test(a_file_that_was_rotated_or_cut_is_seen_and_found),
        cmocka_unit_test(a_place_that_cannot_be_written_says_why),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
