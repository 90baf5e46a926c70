/* What is kept of a policy's rotation: the state as bytes, the file that knows when it is damaged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "hawserd/rotation.h"
#include "hawserd/sealed.h"
#include "test.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void state_comes_back_as_it_was(void **state)
{
    const struct hws_rotation_state cases[] = {
        {.kept = (const uint8_t *)"old", .n_kept = 3},
        {.trial = true,
         .deadline_unix_ms = UINT64_MAX,
         .trial_ms = HWS_ROTATION_MAX_MS,
         .kept = (const uint8_t *)"old\0\n",
         .n_kept = 5,
         .tried = (const uint8_t *)"kept 3\n",
         .n_tried = 7},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_rotation_state s = cases[i];
        struct hws_rotation_state back;
        struct hws_buf bytes;
        struct hws_err err;
        memset(s.file.b, (int)(0x80 + i), sizeof(s.file.b));
        hws_buf_init(&bytes, 0);
        assert_ok(hws_rotation_encode(&s, &bytes), NULL);
        assert_ok(hws_rotation_decode(hws_buf_peek(&bytes), hws_buf_len(&bytes), &back, &err),
                  &err);
        assert_memory_equal(back.file.b, s.file.b, sizeof(s.file.b));
        assert_int_equal(back.trial, s.trial);
        assert_int_equal(back.deadline_unix_ms, s.deadline_unix_ms);
        assert_int_equal(back.trial_ms, s.trial_ms);
        assert_int_equal(back.n_kept, s.n_kept);
        assert_memory_equal(back.kept, s.kept, s.n_kept);
        assert_int_equal(back.n_tried, s.n_tried);
        for (size_t n = 0; n < hws_buf_len(&bytes); n++) { /* cut anywhere, it is none */
            assert_code(hws_rotation_decode(hws_buf_peek(&bytes), n, &back, &err), HWS_E_PROTO);
        }
        hws_buf_deinit(&bytes);
    }
}

static void bytes_that_are_no_state_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n\n\n\n",
        "fail " HEX "\ntrial 0 0 0\nkept 1\ntried 0\nx",
        "file 0011\ntrial 0 0 0\nkept 1\ntried 0\nx",
        "file zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
        "trial 0 0 0\nkept 1\ntried 0\nx",
        "file " HEX " trial 0 0 0\nkept 1\ntried 0\n\n",
        "file " HEX "\ntrial 2 0 0\nkept 1\ntried 1\nxx",
        "file " HEX "\ntrial 0 0\nkept 1\ntried 0\nx",
        "file " HEX "\ntrial 0 0 3600001\nkept 1\ntried 0\nx",
        "file " HEX "\ntrial 0 99999999999999999999999 0\nkept 1\ntried 0\nx",
        "file " HEX "\ntrial 0 18446744073709551616 0\nkept 1\ntried 0\nx",
        "file " HEX "\ntrial 0 0 0\nkept 0\ntried 0\n",
        "file " HEX "\ntrial 0 0 0\nkept 262145\ntried 0\n",
        "file " HEX "\ntrial 0 0 0\nkept 1\ntried 262145\nx",
        "file " HEX "\ntrial 0 0 0\nkept 1\ntried 1\nxx",
        "file " HEX "\ntrial 1 0 0\nkept 1\ntried 0\nx",
        "file " HEX "\ntrial 0 0 0\nkept 1\ntried 0\nxx",
        "file " HEX "\ntrial 0 0 0\nkeep 1\ntried 0\nx",
        "file " HEX "\ntrial 0 0 0\nkept 1\ntry 0\nx",
        "file " HEX "\ntrial 0 0 0\nkept -1\ntried 0\nx",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hws_rotation_state s;
        struct hws_err err;
        if (hws_rotation_decode((const uint8_t *)bad[i], strlen(bad[i]), &s, &err) != HWS_E_PROTO) {
            fail_msg("case %zu is taken", i);
        }
    }
}

static void sealed_file_is_read_whole_or_not_at_all(void **state)
{
    char dir[] = "/tmp/hawser-sealed-XXXXXX";
    char path[64];
    struct hws_buf out;
    struct hws_err err;
    (void)state;

    assert_non_null(mkdtemp(dir));
    assert_true(hws_str_print(path, sizeof(path), "%s/s", dir));
    hws_buf_init(&out, 0);
    assert_code(hws_sealed_read(path, "magic", &out, &err), HWS_E_NOT_FOUND);
    assert_ok(hws_sealed_write(path, "magic", "bytes", 5, &err), &err);
    assert_ok(hws_sealed_read(path, "magic", &out, &err), &err);
    assert_int_equal(hws_buf_len(&out), 5);
    assert_memory_equal(hws_buf_peek(&out), "bytes", 5);
    assert_code(hws_sealed_read(path, "other", &out, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "its digest does not match"));

    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_equal(fputc('S', f), 'S');
    assert_int_equal(fclose(f), 0);
    assert_code(hws_sealed_read(path, "magic", &out, &err), HWS_E_PROTO);

    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_code(hws_sealed_read(path, "magic", &out, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "no first line"));
    assert_code(hws_sealed_write("/nowhere/s", "magic", "", 0, &err), HWS_E_NOT_FOUND);
    hws_buf_deinit(&out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_comes_back_as_it_was),
        cmocka_unit_test(bytes_that_are_no_state_are_refused),
        cmocka_unit_test(sealed_file_is_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
