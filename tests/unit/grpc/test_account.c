/* What a connection holds is charged to its account and given back, and a full account bounds all
 * of its connections. */
#include <malloc.h>
#include <string.h>

#include "base/bits.h"
#include "by_hand.h"

static void account_bounds_the_calls_of_many_connections(void **state)
{
    struct fixture *f = *state;

    f->account.n_calls = f->account.max_calls - 2; /* other connections' */
    for (uint32_t i = 0; i < 4; i++) {
        request(f, 1 + 2 * i, 0);
    }
    flush(f);

    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 2);
    assert_int_equal(f->stats.calls_refused, 2);
    assert_int_equal(f->account.n_refused, 2);
    hws_grpc_conn_lost(&f->conn, "gone");
    assert_int_equal(f->account.n_calls, f->account.max_calls - 2);
}

static void account_bounds_the_bytes_of_many_connections(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[60000];

    f->account.max_held_bytes = 1000000;
    f->account.held_bytes = 900000; /* other connections' */
    for (uint32_t i = 0; i < 4; i++) {
        request(f, 1 + 2 * i, 0);
        frame(f, DATA, 0, 1 + 2 * i, "\0\0\x40\0\0", 5);
        frame(f, DATA, 0, 1 + 2 * i, chunk, sizeof(chunk));
        flush(f);
    }
    assert_int_equal(f->stats.over_account, 3); /* the second was the one too many */
    assert_int_equal(f->account.held_bytes, 900000 + sizeof(chunk));

    /* What is always free still passes. */
    request(f, 9, 0);
    frame(f, DATA, 0, 9, "\0\0\0\x27\x10", 5);
    frame(f, DATA, 0, 9, chunk, 5000);
    flush(f);
    assert_int_equal(f->stats.over_account, 3);
    hws_grpc_conn_lost(&f->conn, "gone");
    assert_int_equal(f->account.held_bytes, 900000);
}

/* Bytes that the program has of the allocator; a sanitizer's tells nothing. */
static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* A message of n zeros, and what follows in its last frame. */
static void long_message(struct fixture *f, uint32_t stream, uint32_t n, uint8_t flags,
                         const void *then, size_t n_then)
{
    static uint8_t chunk[50000];

    memset(chunk, 0, sizeof(chunk));
    hws_store_be32(chunk + 1, n);
    frame(f, DATA, 0, stream, chunk, 5);
    memset(chunk, 0, 5);
    for (uint32_t at = 0; at + 40000 < n; at += 40000) {
        frame(f, DATA, 0, stream, chunk, 40000);
        flush(f);
    }
    memcpy(chunk + 40000, then, n_then);
    frame(f, DATA, flags, stream, chunk, 40000 + n_then);
    flush(f);
}

/* Its call may go on for long, and many others beside it. */
static void a_message_that_was_taken_holds_no_memory(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 2; round++) { /* the first makes what is kept for all calls */
        size_t before = in_use();
        request(f, 1 + 4 * round, 0);
        long_message(f, 1 + 4 * round, 2000000, 0, "\0\0\0\1\0.", 6); /* and the next begins */
        unary_request(f, 3 + 4 * round, 0);
        long_message(f, 3 + 4 * round, 2000000, END_STREAM, "", 0);
        assert_int_equal(f->stats.messages_in, 2 * (round + 1));
        assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 2 * (round + 1));
        assert_true(round == 0 || in_use() < before + 50000);
    }
}

/* What waited for credit is gone when it was read. */
static void bytes_that_waited_for_credit_hold_no_memory_when_they_are_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[60000];

    for (unsigned round = 0; round < 2; round++) {
        size_t before = in_use();
        for (uint32_t i = 0; i < 4; i++) {
            request(f, 1 + 8 * round + 2 * i, 0);
            flush(f);
            hws_grpc_call_set_credit(assert_got(latest_call), 0);
            frame(f, DATA, 0, 1 + 8 * round + 2 * i, chunk, sizeof(chunk)); /* of empty messages */
            flush(f);
            assert_int_equal(f->conn.recv_bytes, sizeof(chunk));
            hws_grpc_call_grant(assert_got(latest_call), sizeof(chunk));
            flush(f);
            assert_int_equal(f->conn.recv_bytes, 0);
        }
        assert_true(round == 0 || in_use() < before + 50000);
    }
}

/* Else a caller of many large calls would be charged for request and answer at once. */
static void a_request_is_no_longer_held_when_its_handler_has_it(void **state)
{
    struct fixture *f = *state;
    static uint8_t message[5 + 40000] = {0, 0, 0, 0x9c, 0x40};

    unary_request(f, 1, 0);
    frame(f, DATA, 0, 1, message, sizeof(message));
    flush(f);
    assert_int_equal(f->account.held_bytes, 40000); /* it waits for the half close */
    frame(f, DATA, END_STREAM, 1, message, 0);
    flush(f);
    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 1);
    assert_int_equal(f->conn.recv_bytes, 0);
    assert_int_equal(f->account.held_bytes, 0);
}

static void full_account_keeps_a_slow_reader_from_sending_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[40000];

    request(f, 1, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    f->account.held_bytes += 970000;
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL), HWS_OK);
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL),
                HWS_E_BUSY);
    assert_true(hws_grpc_conn_turn(&f->conn, f->now_ms) <= f->now_ms + 100);
    f->account.held_bytes -= 970000;
    f->now_ms += 100;
    (void)hws_grpc_conn_turn(&f->conn, f->now_ms);
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL), HWS_OK);
}

static void what_the_application_holds_is_charged_until_it_is_gone(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    request(f, 3, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    assert_true(hws_grpc_call_hold(assert_got(latest_call), 1000000));
    assert_int_equal(f->account.held_bytes, 1000000);
    assert_false(hws_grpc_call_hold(assert_got(latest_call), 1000001));
    assert_int_equal(f->stats.over_account, 1);
    assert_true(hws_grpc_call_hold(assert_got(latest_call), 1000001)); /* no more than before */
    assert_code(hws_grpc_call_send(assert_got(latest_call), "x", 1, NULL), HWS_E_BUSY);
    assert_true(hws_grpc_call_hold(assert_got(latest_call), 0));
    assert_int_equal(f->account.held_bytes, 0);

    f->account.held_bytes = 2000000; /* of others: what is always free still is */
    assert_true(hws_grpc_call_hold(assert_got(latest_call), f->limits.call_free_bytes));
    assert_false(hws_grpc_call_hold(assert_got(latest_call), f->limits.call_free_bytes + 1));
    hws_grpc_call_finish_text(assert_got(latest_call), HWS_GRPC_OK, NULL);
    flush(f);
    assert_int_equal(f->account.held_bytes, 2000000);
    assert_int_equal(f->stats.over_account, 2);
}

static void what_the_transport_holds_is_charged_until_it_is_gone(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[40000];

    request(f, 1, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    hws_grpc_conn_transport_holds(&f->conn, 990000);
    assert_int_equal(f->account.held_bytes, 990000);
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL), HWS_OK);
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL),
                HWS_E_BUSY);
    hws_grpc_conn_transport_holds(&f->conn, 0);
    assert_code(hws_grpc_call_send(assert_got(latest_call), chunk, sizeof(chunk), NULL), HWS_OK);
    hws_grpc_conn_deinit(&f->conn);
    assert_int_equal(f->account.held_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(account_bounds_the_calls_of_many_connections),
        T(account_bounds_the_bytes_of_many_connections),
        T(a_message_that_was_taken_holds_no_memory),
        T(bytes_that_waited_for_credit_hold_no_memory_when_they_are_read),
        T(a_request_is_no_longer_held_when_its_handler_has_it),
        T(full_account_keeps_a_slow_reader_from_sending_until_there_is_room),
        T(what_the_application_holds_is_charged_until_it_is_gone),
        T(what_the_transport_holds_is_charged_until_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
