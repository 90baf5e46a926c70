/* Counting frames by their heads. */
#include <string.h>

#include "grpc/scan.h"
#include "test.h"

static const uint8_t s_bytes[] =
    "preface!"
    "\0\0\0\4\0\0\0\0\0"             /* SETTINGS: control */
    "\0\0\3\1\4\0\0\0\1abc"          /* HEADERS */
    "\0\0\2\x9\4\0\0\0\1ab"          /* CONTINUATION: part of it */
    "\0\0\1\0\0\0\0\0\1x"            /* DATA */
    "\0\0\0\0\0\0\0\0\1"             /* DATA without bytes: control */
    "\0\0\0\0\1\0\0\0\1"             /* the same that ends its stream */
    "\0\0\3\0\x8\0\0\0\1\2\0\0"      /* DATA of padding: control */
    "\0\0\4\0\x8\0\0\0\1\2\0\0\0"    /* one byte and padding */
    "\0\0\5\xfa\0\0\0\0\0\0\0\4\0\0" /* unknown, looks like a head inside */
    "\0\0\10\6\0\0\0\0\0"
    "12345678"; /* PING: control */

static void frames_are_counted_wherever_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(s_bytes); step++) {
        struct hws_grpc_scan s;
        struct hws_grpc_scanned sum = {0, 0};
        hws_grpc_scan_init(&s, 8);
        for (size_t at = 0; at < sizeof(s_bytes) - 1; at += step) {
            size_t left = sizeof(s_bytes) - 1 - at;
            struct hws_grpc_scanned one =
                hws_grpc_scan(&s, s_bytes + at, left < step ? left : step);
            sum.n_headers += one.n_headers;
            sum.n_control += one.n_control;
        }
        assert_int_equal(sum.n_headers, 1);
        assert_int_equal(sum.n_control, 5);
        assert_int_equal(s.skip, 0);
        assert_int_equal(s.n_head, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_counted_wherever_the_bytes_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
