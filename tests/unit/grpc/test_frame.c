/* Message framing. */
#include <string.h>

#include "grpc/frame.h"
#include "test.h"

/* Two messages by hand: "abc", then an empty one. */
static const uint8_t two[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0};

/* Reads one piece of `two`; returns how many messages became whole, of which n_before are known. */
static unsigned read_piece(struct hws_grpc_reader *r, const uint8_t *bytes, size_t n,
                           unsigned n_before)
{
    unsigned n_messages = 0;

    while (n > 0) {
        struct hws_grpc_framed msg = {0};
        bool whole = false;
        assert_code(hws_grpc_reader_next(r, &bytes, &n, &whole, &msg, NULL), HWS_OK);
        if (whole) {
            assert_int_equal(msg.n, n_before + n_messages == 0 ? 3 : 0);
            assert_memory_equal(msg.bytes, "abc", msg.n);
            n_messages++;
        }
    }
    return n_messages;
}

static void every_cut_gives_the_same_messages(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof(two); step++) {
        struct hws_grpc_reader r;
        unsigned n_messages = 0;
        hws_grpc_reader_init(&r, 100);
        for (size_t at = 0; at < sizeof(two); at += step) {
            size_t n = sizeof(two) - at < step ? sizeof(two) - at : step;
            n_messages += read_piece(&r, two + at, n, n_messages);
        }
        assert_int_equal(n_messages, 2);
        assert_false(hws_grpc_reader_midway(&r));
        hws_grpc_reader_deinit(&r);
    }
}

static void whole_message_is_not_copied(void **state)
{
    struct hws_grpc_reader r;
    const uint8_t *bytes = two;
    size_t n = sizeof(two);
    struct hws_grpc_framed msg = {0};
    bool whole = false;

    (void)state;
    hws_grpc_reader_init(&r, 100);
    assert_code(hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, NULL), HWS_OK);
    assert_ptr_equal(msg.bytes, two + 5);
    assert_null(r.body.bytes);
    hws_grpc_reader_deinit(&r);
}

static void announced_length_is_judged_before_it_is_buffered(void **state)
{
    static const uint8_t huge[] = {0, 0xff, 0xff, 0xff, 0xff, 'x'};
    struct hws_grpc_reader r;
    const uint8_t *bytes = huge;
    size_t n = sizeof(huge);
    struct hws_grpc_framed msg = {0};
    struct hws_err err;
    bool whole = false;

    (void)state;
    hws_grpc_reader_init(&r, 100);
    assert_code(hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "4294967295"));
    assert_null(r.body.bytes);
    hws_grpc_reader_deinit(&r);
}

static void memory_follows_the_bytes_not_the_prefix(void **state)
{
    static const uint8_t begin[] = {0, 0, 0x10, 0, 0, 'x'}; /* announces 1 MiB */
    struct hws_grpc_reader r;
    const uint8_t *bytes = begin;
    size_t n = sizeof(begin);
    struct hws_grpc_framed msg = {0};
    bool whole = true;

    (void)state;
    hws_grpc_reader_init(&r, 1 << 20);
    assert_code(hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, NULL), HWS_OK);
    assert_false(whole);
    assert_true(hws_grpc_reader_midway(&r));
    assert_true(r.body.cap <= 4096);
    hws_grpc_reader_deinit(&r);
}

static void flag_byte_above_one_is_refused(void **state)
{
    static const uint8_t odd[] = {2, 0, 0, 0, 0};
    struct hws_grpc_reader r;
    const uint8_t *bytes = odd;
    size_t n = sizeof(odd);
    struct hws_grpc_framed msg = {0};
    bool whole = false;

    (void)state;
    hws_grpc_reader_init(&r, 100);
    assert_code(hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, NULL), HWS_E_PROTO);
    hws_grpc_reader_deinit(&r);
}

static void prefix_is_flag_and_big_endian_length(void **state)
{
    uint8_t got[5];

    (void)state;
    hws_grpc_prefix_write(got, true, 0x01020304);
    assert_memory_equal(got, "\x01\x01\x02\x03\x04", 5);
}

/* Cut so that each message must be put together. */
static enum hws_code read_cut(void *arg)
{
    struct hws_grpc_reader r;
    enum hws_code code = HWS_OK;

    (void)arg;
    hws_grpc_reader_init(&r, 100);
    for (size_t at = 0; at < sizeof(two) && code == HWS_OK; at++) {
        const uint8_t *bytes = two + at;
        size_t n = 1;
        while (n > 0 && code == HWS_OK) {
            struct hws_grpc_framed msg = {0};
            bool whole = false;
            code = hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, NULL);
        }
    }
    hws_grpc_reader_deinit(&r);
    return code;
}

static void reading_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(read_cut, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same_messages),
        cmocka_unit_test(whole_message_is_not_copied),
        cmocka_unit_test(announced_length_is_judged_before_it_is_buffered),
        cmocka_unit_test(memory_follows_the_bytes_not_the_prefix),
        cmocka_unit_test(flag_byte_above_one_is_refused),
        cmocka_unit_test(reading_survives_every_failed_allocation),
        cmocka_unit_test(prefix_is_flag_and_big_endian_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
