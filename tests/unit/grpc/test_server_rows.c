/*
 * grpc/doc/statuscodes.md, "Error cases that generate status codes": each row whose status a server
 * makes, produced on the wire. A client of ours has a call open; what breaks it is written by hand
 * into the server, and the status that arrives is the client's. Rows elsewhere: an encoding that is
 * not known (unit_grpc_server), a request that does not parse (unit_grpc_service).
 */
#include <string.h>

#include "base/bits.h"
#include "grpc/client.h"
#include "grpc/server.h"
#include "test.h"

enum { DATA = 0 };
enum { END_STREAM = 1 };
enum { NO_STATUS = 99, WINDOW_BYTES = 65536, FRAME_BYTES = 16384 };

struct world {
    struct hws_grpc_server table;
    struct hws_grpc_conn server;
    struct hws_grpc_conn client;
    struct hws_grpc_call *call; /* the client's; NULL: it has ended */
    struct hws_grpc_call *held; /* the server's; NULL: none, or it has ended */
    uint64_t now_ms;            /* the server's; the client's stands */
    unsigned n_messages;        /* that reached the handler */
    enum hws_grpc_code heard;   /* by the handler; HWS_GRPC_OK: nothing */
    enum hws_grpc_code ended;   /* at the client; NO_STATUS: not yet */
    bool from_peer;
};

/* ---- both ends ---- */

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct world *w = data;

    w->held = call;
    hws_grpc_call_set_data(call, w);
    return HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct world *w = hws_grpc_call_data(call);

    (void)bytes;
    (void)n;
    w->n_messages++;
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    struct world *w = hws_grpc_call_data(call);

    w->heard = why->code;
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static void on_server_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct world *w = hws_grpc_call_data(call);

    (void)outcome;
    w->held = NULL;
}

static void on_client_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct world *w = hws_grpc_call_data(call);

    w->call = NULL;
    w->ended = outcome->code;
    w->from_peer = outcome->from_peer;
}

static const struct hws_grpc_call_ops server_ops = {.on_call = on_call,
                                                    .on_message = on_message,
                                                    .on_cancel = on_cancel,
                                                    .on_close = on_server_close};
static const struct hws_grpc_call_ops client_ops = {.on_close = on_client_close};
static const struct hws_grpc_method methods[] = {{"/t.S/Many", HWS_GRPC_BIDI, false},
                                                 {"/t.S/One", HWS_GRPC_UNARY, false}};

#define CLIENT_MS 5000u

static size_t move(struct hws_grpc_conn *from, uint64_t from_ms, struct hws_grpc_conn *to,
                   uint64_t to_ms)
{
    const uint8_t *bytes = NULL;
    size_t moved = 0;
    size_t n = 0;

    (void)hws_grpc_conn_turn(from, from_ms);
    for (hws_grpc_conn_pull(from, from_ms, &bytes, &n); n > 0;
         hws_grpc_conn_pull(from, from_ms, &bytes, &n)) {
        (void)!hws_grpc_conn_recv(to, bytes, n, to_ms, NULL);
        hws_grpc_conn_sent(from, n, from_ms);
        moved += n;
    }
    return moved;
}

static void run(struct world *w)
{
    while (move(&w->client, CLIENT_MS, &w->server, w->now_ms) +
               move(&w->server, w->now_ms, &w->client, CLIENT_MS) >
           0) {
    }
    if (hws_grpc_conn_want_close(&w->server)) {
        hws_grpc_conn_lost(&w->client, "the server closed it");
    }
}

/* The server gets DATA of the call that its client did not send. */
static void data(struct world *w, uint8_t flags, const void *payload, size_t n)
{
    uint8_t frame[9 + FRAME_BYTES] = {
        [1] = (uint8_t)(n >> 8), [2] = (uint8_t)n, [3] = DATA, [4] = flags, [8] = 1};

    assert_true(n <= FRAME_BYTES);
    memcpy(frame + 9, payload, n);
    (void)!hws_grpc_conn_recv(&w->server, frame, 9 + n, w->now_ms, NULL);
}

/* ---- what happens ---- */

static void client_cancels(struct world *w)
{
    hws_grpc_call_cancel(assert_got(w->call));
}

static void deadline_passes(struct world *w)
{
    w->now_ms += 100;
}

static void server_shuts_down(struct world *w)
{
    hws_grpc_conn_drain(&w->server, 10, w->now_ms);
    w->now_ms += 10;
}

static void handler_ends_without_a_status(struct world *w)
{
    hws_grpc_call_finish_text(assert_got(w->held), (enum hws_grpc_code)NO_STATUS, "");
}

static void message_does_not_inflate(struct world *w)
{
    data(w, 0, "\1\0\0\0\5hello", 10);
}

static void message_is_flagged_without_an_encoding(struct world *w)
{
    data(w, 0, "\1\0\0\0\5hello", 10);
}

static void message_has_a_reserved_flag(struct world *w)
{
    data(w, 0, "\2\0\0\0\5hello", 10);
}

static void stream_ends_within_a_message(struct world *w)
{
    data(w, END_STREAM, "\0\0\0\0\5hel", 8);
}

static void message_is_too_large(struct world *w)
{
    data(w, 0, "\0\0\0\4\1", 5); /* 1025 bytes are announced */
}

static void server_has_no_room(struct world *w)
{
    w->server.cfg.limits.max_recv_conn_bytes = 4;
    data(w, 0, "\0\0\0\2\0some of it", 15);
}

/* None of it is taken, so the stream's window is not opened again. */
static void window_is_overrun(struct world *w)
{
    static const uint8_t zeros[FRAME_BYTES];

    hws_grpc_call_set_credit(assert_got(w->held), 0);
    for (unsigned n = 0; n <= WINDOW_BYTES; n += FRAME_BYTES) {
        data(w, 0, zeros, FRAME_BYTES);
    }
}

static void two_requests_come_for_one(struct world *w)
{
    data(w, END_STREAM, "\0\0\0\0\1a\0\0\0\0\1b", 12);
}

static void no_request_comes(struct world *w)
{
    data(w, END_STREAM, "", 0);
}

/* A ping goes out, and nothing comes back. */
static void keepalive_times_out(struct world *w)
{
    w->now_ms += w->server.cfg.limits.keepalive_ms;
    (void)hws_grpc_conn_turn(&w->server, w->now_ms);
    w->now_ms += w->server.cfg.limits.keepalive_timeout_ms;
    (void)hws_grpc_conn_turn(&w->server, w->now_ms);
}

static void nothing_more(struct world *w)
{
    (void)w;
}

/* ---- the rows ---- */

static const struct row {
    const char *path;
    enum hws_grpc_encoding encoding;
    uint64_t timeout_ms;
    void (*happens)(struct world *w);
    enum hws_grpc_code arrives;
    enum hws_grpc_code handler; /* hears this; HWS_GRPC_OK: nothing, or it was never called */
    bool resets;                /* the stream or the connection ends, without a status */
} rows[] = {
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, client_cancels, HWS_GRPC_CANCELLED, HWS_GRPC_CANCELLED,
     true},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 100, deadline_passes, HWS_GRPC_DEADLINE_EXCEEDED,
     HWS_GRPC_DEADLINE_EXCEEDED, false},
    {"/t.S/None", HWS_GRPC_IDENTITY, 0, nothing_more, HWS_GRPC_UNIMPLEMENTED, HWS_GRPC_OK, false},
    {"/no.S/Many", HWS_GRPC_IDENTITY, 0, nothing_more, HWS_GRPC_UNIMPLEMENTED, HWS_GRPC_OK, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, server_shuts_down, HWS_GRPC_UNAVAILABLE,
     HWS_GRPC_UNAVAILABLE, true},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, handler_ends_without_a_status, HWS_GRPC_UNKNOWN,
     HWS_GRPC_OK, false},
    {"/t.S/Many", HWS_GRPC_GZIP, 0, message_does_not_inflate, HWS_GRPC_INTERNAL, HWS_GRPC_INTERNAL,
     false},
    {"/t.S/Many", HWS_GRPC_ZSTD, 0, message_does_not_inflate, HWS_GRPC_INTERNAL, HWS_GRPC_INTERNAL,
     false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, message_is_flagged_without_an_encoding, HWS_GRPC_INTERNAL,
     HWS_GRPC_INTERNAL, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, message_has_a_reserved_flag, HWS_GRPC_INTERNAL,
     HWS_GRPC_INTERNAL, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, stream_ends_within_a_message, HWS_GRPC_INTERNAL,
     HWS_GRPC_INTERNAL, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, message_is_too_large, HWS_GRPC_RESOURCE_EXHAUSTED,
     HWS_GRPC_RESOURCE_EXHAUSTED, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, server_has_no_room, HWS_GRPC_RESOURCE_EXHAUSTED,
     HWS_GRPC_RESOURCE_EXHAUSTED, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, window_is_overrun, HWS_GRPC_INTERNAL, HWS_GRPC_CANCELLED,
     true},
    {"/t.S/One", HWS_GRPC_IDENTITY, 0, two_requests_come_for_one, HWS_GRPC_UNIMPLEMENTED,
     HWS_GRPC_UNIMPLEMENTED, false},
    {"/t.S/One", HWS_GRPC_IDENTITY, 0, no_request_comes, HWS_GRPC_UNIMPLEMENTED,
     HWS_GRPC_UNIMPLEMENTED, false},
    {"/t.S/Many", HWS_GRPC_IDENTITY, 0, keepalive_times_out, HWS_GRPC_UNAVAILABLE,
     HWS_GRPC_UNAVAILABLE, true},
};

static void begin(struct world *w, const struct row *row)
{
    struct hws_grpc_conn_config server = {.server = &w->table};
    struct hws_grpc_conn_config client = {.server = NULL};
    const struct hws_grpc_start start = {.path = row->path,
                                         .kind = HWS_GRPC_BIDI,
                                         .timeout_ms = row->timeout_ms,
                                         .encoding = row->encoding,
                                         .ops = &client_ops,
                                         .data = w};

    memset(w, 0, sizeof(*w));
    w->now_ms = CLIENT_MS;
    w->ended = (enum hws_grpc_code)NO_STATUS;
    hws_grpc_server_init(&w->table);
    assert_code(hws_grpc_server_add(&w->table, methods, 2, &server_ops, w, NULL), HWS_OK);
    hws_grpc_limits_server(&server.limits);
    hws_grpc_limits_client(&client.limits);
    server.limits.max_recv_message_bytes = 1024;
    server.limits.stream_window_bytes = WINDOW_BYTES;
    assert_code(hws_grpc_conn_init(&w->server, &server, w->now_ms, NULL), HWS_OK);
    assert_code(hws_grpc_conn_init(&w->client, &client, CLIENT_MS, NULL), HWS_OK);
    assert_code(hws_grpc_client_start(&w->client, &start, CLIENT_MS, &w->call, NULL), HWS_OK);
    run(w);
}

static void end(struct world *w)
{
    hws_grpc_conn_lost(&w->client, "the test is over");
    hws_grpc_conn_lost(&w->server, "the test is over");
    hws_grpc_conn_deinit(&w->client);
    hws_grpc_conn_deinit(&w->server);
    hws_grpc_server_deinit(&w->table);
}

static void every_row_of_a_server_is_what_the_table_says(void **state)
{
    static struct world w;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&w, &rows[i]);
        rows[i].happens(&w);
        run(&w);
        if (w.ended != rows[i].arrives || w.heard != rows[i].handler ||
            w.from_peer == rows[i].resets) {
            fail_msg("row %zu: %s arrives%s, the handler hears %s", i, hws_grpc_code_name(w.ended),
                     w.from_peer ? "" : " without a status", hws_grpc_code_name(w.heard));
        }
        assert_int_equal(w.n_messages, 0);
        assert_null(w.held);
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_a_server_is_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
