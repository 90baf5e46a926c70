/* tls/records: two ends with keys of the test's own, both versions. What a peer may do and may not:
 * test_records_peer.c. */
#include <string.h>

#include "base/mem.h"
#include "records_ends.h"
#include "test.h"

/* A record is filled from its spans, not begun anew at each. */
static void a_record_is_gathered_from_its_spans(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        uint8_t *data = assert_got(hws_mem_zalloc(1, 40000));
        struct ends e;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_err err;
        size_t taken = 0;
        ends_init(&e, version == 1, 0);
        hws_buf_init(&wire, 0);
        hws_buf_init(&got, 0);
        uint64_t seed = hws_test_seed();
        for (size_t i = 0; i < 40000; i++) {
            data[i] = (uint8_t)hws_test_rand(&seed);
        }
        const struct hws_span spans[] = {
            {data, 9}, {data, 0}, {data + 9, 20000}, {data + 20009, 9}};
        assert_ok(hws_tls_records_seal(e.peer, spans, 4, &wire, &taken, &err), &err);
        assert_int_equal(taken, HWS_TLS_RECORD_MAX_BYTES);
        const struct hws_span rest[] = {{data + taken, 20009 - taken}, {data + 20009, 9}};
        assert_ok(hws_tls_records_seal(e.peer, rest, 2, &wire, &taken, &err), &err);
        assert_int_equal(taken, 20018 - HWS_TLS_RECORD_MAX_BYTES);
        struct hws_span many[HWS_TLS_RECORD_SPANS + 1];
        for (size_t i = 0; i < HWS_TLS_RECORD_SPANS + 1; i++) {
            many[i] = (struct hws_span){data + 20018 + i, 1};
        }
        assert_ok(hws_tls_records_seal(e.peer, many, HWS_TLS_RECORD_SPANS + 1, &wire, &taken, &err),
                  &err);
        assert_int_equal(taken, HWS_TLS_RECORD_SPANS);
        assert_ok(open_all(e.us, &wire, 0, 65536, &got, NULL, &err), &err);
        assert_int_equal(hws_buf_len(&got), 20018 + HWS_TLS_RECORD_SPANS);
        assert_memory_equal(hws_buf_peek(&got), data, 20018 + HWS_TLS_RECORD_SPANS);
        hws_buf_deinit(&wire);
        hws_buf_deinit(&got);
        hws_mem_free(data);
        ends_deinit(&e);
    }
}

static void data_passes_whatever_the_pieces_and_the_buffers(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 1000, 16383, 16384, 16385, 70000};
    static const size_t pieces[] = {0, 1, 4, 5, 6, 1000, 16384};
    static const size_t caps[] = {1, 100, 16384, 16385, 65536};
    uint64_t seed = hws_test_seed();
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        ends_init(&e, version == 1, 0);
        for (size_t round = 0; round < 60; round++) {
            size_t size = sizes[hws_test_rand(&seed) % 9];
            uint8_t *data = assert_got(hws_mem_alloc(size));
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            for (size_t i = 0; i < size; i++) {
                data[i] = (uint8_t)hws_test_rand(&seed);
            }
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            for (size_t at = 0; at < size;) {
                size_t taken = 0;
                assert_ok(seal_run(e.peer, data + at, size - at, &wire, &taken, &err), &err);
                at += taken;
            }
            assert_ok(open_all(e.us, &wire, pieces[hws_test_rand(&seed) % 7],
                               caps[hws_test_rand(&seed) % 5], &got, &reply, &err),
                      &err);
            assert_int_equal(hws_buf_len(&got), size);
            assert_memory_equal(hws_buf_peek(&got), data, size);
            assert_int_equal(hws_buf_len(&reply), 0);
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_mem_free(data);
        }
        ends_deinit(&e);
    }
}

static void every_flipped_bit_of_a_record_ends_the_connection(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        for (size_t bit = 0;; bit++) {
            struct ends e;
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            size_t taken = 0;
            ends_init(&e, version == 1, 0);
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            assert_ok(seal_run(e.peer, (const uint8_t *)"hawser", 6, &wire, &taken, &err), &err);
            bool last = bit == 8 * hws_buf_len(&wire);
            if (!last) {
                wire.bytes[wire.head + bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            enum hws_code rc = open_all(e.us, &wire, 0, 100, &got, &reply, &err);
            /* A length that became longer waits for bytes that never come: the end of the stream is
             * then a truncation. Nothing forged comes out in any case. */
            bool longer = bit / 8 == 3 || bit / 8 == 4;
            if (last) {
                assert_ok(rc, &err);
            } else if (rc == HWS_OK) {
                assert_true(longer);
            } else {
                assert_code(rc, HWS_E_PROTO);
                assert_true(hws_buf_len(&reply) > 0); /* the alert */
            }
            assert_int_equal(hws_buf_len(&got), last ? 6 : 0);
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
            ends_deinit(&e);
            if (last) {
                break;
            }
        }
    }
}

static void a_record_is_taken_once_and_in_order(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        for (int what = 0; what < 2; what++) { /* repeated, swapped */
            struct ends e;
            struct hws_buf one;
            struct hws_buf two;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            size_t taken = 0;
            ends_init(&e, version == 1, 0);
            hws_buf_init(&one, 0);
            hws_buf_init(&two, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            assert_ok(seal_run(e.peer, (const uint8_t *)"one", 3, &one, &taken, &err), &err);
            assert_ok(seal_run(e.peer, (const uint8_t *)"two", 3, &two, &taken, &err), &err);
            if (what == 0) {
                assert_ok(open_all(e.us, &one, 0, 100, &got, &reply, &err), &err);
                assert_code(open_all(e.us, &one, 0, 100, &got, &reply, &err), HWS_E_PROTO);
            } else {
                assert_code(open_all(e.us, &two, 0, 100, &got, &reply, &err), HWS_E_PROTO);
            }
            assert_code(open_all(e.us, &two, 0, 100, &got, &reply, &err), HWS_E_STATE);
            hws_buf_deinit(&one);
            hws_buf_deinit(&two);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
            ends_deinit(&e);
        }
    }
}

/* With a limit of 100 blocks: TLS 1.3 goes on for ever, TLS 1.2 says that it is worn and then
 * stops. */
static void keys_do_not_outlive_their_limit(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        struct hws_err err;
        enum hws_code rc = HWS_OK;
        unsigned n_answers = 0;
        unsigned turn = 0;
        ends_init(&e, version == 1, 100);
        for (; turn < 400 && rc == HWS_OK; turn++) {
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            size_t taken = 0;
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            rc = seal_run(e.peer, (const uint8_t *)"0123456789abcdef", 16, &wire, &taken, &err);
            if (rc == HWS_OK) {
                assert_ok(open_all(e.us, &wire, 0, 100, &got, &reply, &err), &err);
                assert_int_equal(hws_buf_len(&got), 16);
                n_answers += hws_buf_len(&reply) > 0 ? 1 : 0;
                hws_buf_reset(&wire);
                assert_ok(open_all(e.peer, &reply, 0, 100, &got, &wire, &err), &err);
                hws_buf_reset(&reply);
                assert_ok(open_all(e.us, &wire, 0, 100, &got, &reply, &err), &err);
            }
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
        }
        if (version == 1) {
            assert_ok(rc, &err);
            assert_false(hws_tls_records_is_worn(e.peer));
        } else {
            assert_code(rc, HWS_E_STATE);
            assert_true(hws_tls_records_is_worn(e.peer) && hws_tls_records_is_worn(e.us));
            assert_true(turn > 60); /* soft at 34 records of 3 blocks, the end at twice that */
            assert_int_equal(n_answers, 0);
        }
        ends_deinit(&e);
    }
}

static void nothing_after_close_notify_is_read(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_buf reply;
        struct hws_err err;
        size_t taken = 0;
        uint8_t out[64];
        size_t n = 0;
        ends_init(&e, version == 1, 0);
        hws_buf_init(&wire, 0);
        hws_buf_init(&got, 0);
        hws_buf_init(&reply, 0);
        assert_ok(seal_run(e.peer, (const uint8_t *)"aye", 3, &wire, &taken, &err), &err);
        assert_ok(hws_tls_records_close(e.peer, &wire, &err), &err);
        assert_ok(seal_run(e.peer, (const uint8_t *)"no", 2, &wire, &taken, &err), &err);
        struct hws_span in = {hws_buf_peek(&wire), hws_buf_len(&wire)};
        assert_ok(hws_tls_records_open(e.us, &in, out, sizeof(out), &n, &reply, &err), &err);
        assert_int_equal(n, 3);
        assert_true(hws_tls_records_is_done(e.us));
        assert_ok(hws_tls_records_open(e.us, &in, out, sizeof(out), &n, &reply, &err), &err);
        assert_int_equal(n, 0);
        hws_buf_deinit(&wire);
        hws_buf_deinit(&got);
        hws_buf_deinit(&reply);
        ends_deinit(&e);
    }
}

static enum hws_code a_short_talk(void *arg)
{
    const struct hws_tls_records_start *s = arg;
    struct hws_tls_records *r = NULL;
    struct hws_tls_records *peer = NULL;
    struct hws_tls_records_start other = *s;
    struct hws_buf wire;
    struct hws_buf reply;
    struct hws_err err;
    uint8_t out[8];
    size_t n = 0;

    other.server = false;
    other.read = s->write;
    other.write = s->read;
    memcpy(other.read_secret, s->write_secret, sizeof(s->write_secret));
    memcpy(other.write_secret, s->read_secret, sizeof(s->read_secret));
    hws_buf_init(&wire, 0);
    hws_buf_init(&reply, 0);
    enum hws_code rc = hws_tls_records_new(s, &r, &err);
    rc = rc == HWS_OK ? hws_tls_records_new(&other, &peer, &err) : rc;
    rc = rc == HWS_OK ? seal_run(peer, (const uint8_t *)"0123456789", 10, &wire, &n, &err) : rc;
    struct hws_span in = {hws_buf_peek(&wire), hws_buf_len(&wire)};
    for (int i = 0; i < 3 && rc == HWS_OK; i++) { /* in two pieces and a small buffer */
        struct hws_span part = {in.bytes, i == 0 ? 7 : in.n};
        size_t before = part.n;
        rc = hws_tls_records_open(r, &part, out, sizeof(out), &n, &reply, &err);
        in.bytes += before - part.n;
        in.n -= before - part.n;
    }
    hws_buf_deinit(&wire);
    hws_buf_deinit(&reply);
    hws_tls_records_free(r);
    hws_tls_records_free(peer);
    return rc;
}

static void no_memory_is_said_and_nothing_leaks(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        ends_init(&e, version == 1, 0);
        assert_true(hws_test_oom_sweep(a_short_talk, &e.start) >= 4);
        ends_deinit(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_gathered_from_its_spans),
        cmocka_unit_test(data_passes_whatever_the_pieces_and_the_buffers),
        cmocka_unit_test(every_flipped_bit_of_a_record_ends_the_connection),
        cmocka_unit_test(a_record_is_taken_once_and_in_order),
        cmocka_unit_test(keys_do_not_outlive_their_limit),
        cmocka_unit_test(nothing_after_close_notify_is_read),
        cmocka_unit_test(no_memory_is_said_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
