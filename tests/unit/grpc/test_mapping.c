/*
 * gRPC's published mapping tables, row by row and on the wire: what a client makes of RST_STREAM,
 * of an HTTP status and of GOAWAY, from frames written by hand; and that every status that a server
 * ends a call with arrives as it is.
 */
#include <string.h>

#include "base/bits.h"
#include "base/buf.h"
#include "base/str.h"
#include "grpc/client.h"
#include "grpc/server.h"
#include "test.h"

enum { HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7 };
enum { END_STREAM = 1, END_HEADERS = 4 };
enum { NOW_MS = 5000, N_H2_ERRORS = 14 };

/* ---- a client and the frames of its server ---- */

struct world {
    struct hws_grpc_conn client;
    struct hws_buf in;
    unsigned n_ended;
    struct hws_grpc_outcome ended[2];
    char message[2][HWS_GRPC_MESSAGE_BYTES + 1];
};

static void ended(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct world *w = hws_grpc_call_data(call);

    assert_true(w->n_ended < 2);
    (void)hws_str_copy(w->message[w->n_ended], sizeof(w->message[0]), outcome->message);
    w->ended[w->n_ended++] = *outcome;
}

static const struct hws_grpc_call_ops client_ops = {.on_close = ended};

static void frame(struct world *w, uint8_t type, uint8_t flags, uint32_t stream,
                  const void *payload, size_t n)
{
    uint8_t head[9] = {0, 0, (uint8_t)n, type, flags};

    hws_store_be32(head + 5, stream);
    assert_code(hws_buf_put(&w->in, head, sizeof(head)), HWS_OK);
    assert_code(hws_buf_put(&w->in, payload, n), HWS_OK);
}

static void pull_all(struct hws_grpc_conn *conn)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    (void)hws_grpc_conn_turn(conn, NOW_MS);
    for (hws_grpc_conn_pull(conn, NOW_MS, &bytes, &n); n > 0;
         hws_grpc_conn_pull(conn, NOW_MS, &bytes, &n)) {
        hws_grpc_conn_sent(conn, n, NOW_MS);
    }
}

static void flush(struct world *w)
{
    (void)!hws_grpc_conn_recv(&w->client, hws_buf_peek(&w->in), hws_buf_len(&w->in), NOW_MS, NULL);
    hws_buf_reset(&w->in);
    pull_all(&w->client);
}

static void start_calls(struct world *w, unsigned n_calls)
{
    struct hws_grpc_conn_config cfg = {.server = NULL};
    const struct hws_grpc_start start = {
        .path = "/t.S/A", .kind = HWS_GRPC_BIDI, .ops = &client_ops, .data = w};
    struct hws_grpc_call *call = NULL;

    memset(w, 0, sizeof(*w));
    hws_buf_init(&w->in, 0);
    hws_grpc_limits_client(&cfg.limits);
    assert_code(hws_grpc_conn_init(&w->client, &cfg, NOW_MS, NULL), HWS_OK);
    for (unsigned i = 0; i < n_calls; i++) {
        assert_code(hws_grpc_client_start(&w->client, &start, NOW_MS, &call, NULL), HWS_OK);
    }
}

/* Calls on streams 1, 3, ... are out, and nothing has come for them. */
static void begin(struct world *w, unsigned n_calls)
{
    start_calls(w, n_calls);
    pull_all(&w->client);
    frame(w, SETTINGS, 0, 0, "", 0);
    flush(w);
    assert_int_equal(w->n_ended, 0);
}

static void end(struct world *w)
{
    hws_grpc_conn_lost(&w->client, "the test is over");
    hws_grpc_conn_deinit(&w->client);
    hws_buf_deinit(&w->in);
}

/* ---- PROTOCOL-HTTP2.md, "Errors" ---- */

static void a_reset_means_what_the_table_says(void **state)
{
    static const struct {
        uint32_t error;
        enum hws_grpc_code code;
    } rows[] = {
        {0x0, HWS_GRPC_INTERNAL}, /* NO_ERROR */
        {0x1, HWS_GRPC_INTERNAL}, /* PROTOCOL_ERROR */
        {0x2, HWS_GRPC_INTERNAL}, /* INTERNAL_ERROR */
        {0x3, HWS_GRPC_INTERNAL}, /* FLOW_CONTROL_ERROR */
        {0x4, HWS_GRPC_INTERNAL}, /* SETTINGS_TIMEOUT */
        {0x5,
         HWS_GRPC_INTERNAL}, /* STREAM_CLOSED: no mapping is given, for there should be no stream */
        {0x6, HWS_GRPC_INTERNAL},           /* FRAME_SIZE_ERROR */
        {0x7, HWS_GRPC_UNAVAILABLE},        /* REFUSED_STREAM */
        {0x8, HWS_GRPC_CANCELLED},          /* CANCEL */
        {0x9, HWS_GRPC_INTERNAL},           /* COMPRESSION_ERROR */
        {0xa, HWS_GRPC_INTERNAL},           /* CONNECT_ERROR */
        {0xb, HWS_GRPC_RESOURCE_EXHAUSTED}, /* ENHANCE_YOUR_CALM */
        {0xc, HWS_GRPC_PERMISSION_DENIED},  /* INADEQUATE_SECURITY */
        {0xd, HWS_GRPC_UNKNOWN},            /* HTTP_1_1_REQUIRED: not in the table */
        {0xffff, HWS_GRPC_UNKNOWN},         /* none of RFC 9113's */
    };
    static struct world w;
    uint8_t error[4];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&w, 1);
        hws_store_be32(error, rows[i].error);
        frame(&w, RST_STREAM, 0, 1, error, sizeof(error));
        flush(&w);
        assert_int_equal(w.n_ended, 1);
        assert_int_equal(w.ended[0].code, rows[i].code);
        assert_false(w.ended[0].from_peer);
        assert_int_equal(w.ended[0].unprocessed,
                         rows[i].error == 0x7); /* alone safe to send again */
        end(&w);
    }
}

/* ---- http-grpc-status-mapping.md ---- */

static void an_answer_without_a_status_means_what_its_http_status_says(void **state)
{
    static const struct {
        unsigned http;
        enum hws_grpc_code code;
    } rows[] = {
        {400, HWS_GRPC_INTERNAL},          {401, HWS_GRPC_UNAUTHENTICATED},
        {403, HWS_GRPC_PERMISSION_DENIED}, {404, HWS_GRPC_UNIMPLEMENTED},
        {429, HWS_GRPC_UNAVAILABLE},       {502, HWS_GRPC_UNAVAILABLE},
        {503, HWS_GRPC_UNAVAILABLE},       {504, HWS_GRPC_UNAVAILABLE},
        {200, HWS_GRPC_UNKNOWN},           {301, HWS_GRPC_UNKNOWN},
        {402, HWS_GRPC_UNKNOWN},           {405, HWS_GRPC_UNKNOWN},
        {415, HWS_GRPC_UNKNOWN},           {500, HWS_GRPC_UNKNOWN},
        {501, HWS_GRPC_UNKNOWN},           {599, HWS_GRPC_UNKNOWN},
    };
    static struct world w;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* With and without a body: HEADERS that end the stream, and such as do not. */
        for (unsigned body = 0; body < 2; body++) {
            char block[8] = "\x08\x03"; /* RFC 7541: a literal, its name the eighth of the static
                                           table, :status */
            begin(&w, 1);
            (void)hws_str_print(block + 2, sizeof(block) - 2, "%u", rows[i].http);
            frame(&w, HEADERS, (uint8_t)(END_HEADERS | (body == 0 ? END_STREAM : 0)), 1, block, 5);
            flush(&w);
            assert_int_equal(w.n_ended, 1);
            assert_int_equal(w.ended[0].code, rows[i].code);
            end(&w);
        }
    }
}

/* A status that the peer gives counts for more than how HTTP says it. */
static void a_status_goes_before_the_http_status(void **state)
{
    static const char block[] = "\x08\x03"
                                "503"
                                "\x00\x0bgrpc-status\x01"
                                "5";
    static struct world w;

    (void)state;
    begin(&w, 1);
    frame(&w, HEADERS, END_HEADERS | END_STREAM, 1, block, sizeof(block) - 1);
    flush(&w);
    assert_int_equal(w.ended[0].code, HWS_GRPC_NOT_FOUND);
    assert_true(w.ended[0].from_peer);
    end(&w);
}

/* ---- GOAWAY: above the last stream nothing was processed; at and below it the calls go on ---- */

static void a_goaway_ends_what_was_not_processed_and_nothing_else(void **state)
{
    static const uint32_t errors[] = {0x0, 0x1, 0x2, 0xb, 0xc, 0xffff};
    static struct world w;
    uint8_t goaway[8];

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        begin(&w, 2);
        hws_store_be32(goaway, 1);
        hws_store_be32(goaway + 4, errors[i]);
        frame(&w, GOAWAY, 0, 0, goaway, sizeof(goaway));
        flush(&w);
        assert_int_equal(w.n_ended, 1);
        assert_int_equal(w.ended[0].code, HWS_GRPC_UNAVAILABLE);
        assert_true(w.ended[0].unprocessed);
        frame(&w, HEADERS, END_HEADERS | END_STREAM, 1,
              "\x88\x00\x0bgrpc-status\x01"
              "9",
              16);
        flush(&w);
        assert_int_equal(w.n_ended, 2);
        assert_int_equal(w.ended[1].code, HWS_GRPC_FAILED_PRECONDITION);
        end(&w);
    }
}

static void a_lost_connection_is_unavailable(void **state)
{
    static struct world w;

    (void)state;
    begin(&w, 1);
    hws_grpc_conn_lost(&w.client, "reset by peer");
    assert_int_equal(w.n_ended, 1);
    assert_int_equal(w.ended[0].code, HWS_GRPC_UNAVAILABLE);
    assert_false(w.ended[0].unprocessed); /* its headers were out: it may have been */
    end(&w);
}

/* ---- the other way: what a server says, and what it hears ---- */

static enum hws_grpc_code s_say;
static enum hws_grpc_code s_heard;
static struct hws_grpc_call *s_held;

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    (void)data;
    s_held = call;
    if (s_say != HWS_GRPC_N_CODES) {
        hws_grpc_call_finish_text(call, s_say, "said");
    }
    return HWS_GRPC_OK;
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    s_heard = why->code;
    hws_grpc_call_finish_text(call, why->code, "");
}

static const struct hws_grpc_method methods[] = {{"/t.S/A", HWS_GRPC_BIDI, false}};
static const struct hws_grpc_call_ops server_ops = {.on_call = on_call, .on_cancel = on_cancel};

static size_t move(struct hws_grpc_conn *from, struct hws_grpc_conn *to)
{
    const uint8_t *bytes = NULL;
    size_t moved = 0;
    size_t n = 0;

    (void)hws_grpc_conn_turn(from, NOW_MS);
    for (hws_grpc_conn_pull(from, NOW_MS, &bytes, &n); n > 0;
         hws_grpc_conn_pull(from, NOW_MS, &bytes, &n)) {
        assert_code(hws_grpc_conn_recv(to, bytes, n, NOW_MS, NULL), HWS_OK);
        hws_grpc_conn_sent(from, n, NOW_MS);
        moved += n;
    }
    return moved;
}

static void every_status_of_a_server_arrives_as_it_is(void **state)
{
    static struct hws_grpc_server table;
    static struct hws_grpc_conn server;
    static struct world w;
    struct hws_grpc_conn_config cfg = {.server = &table};

    (void)state;
    hws_grpc_server_init(&table);
    assert_code(hws_grpc_server_add(&table, methods, 1, &server_ops, NULL, NULL), HWS_OK);
    hws_grpc_limits_server(&cfg.limits);
    for (unsigned code = 0; code < HWS_GRPC_N_CODES; code++) {
        s_say = (enum hws_grpc_code)code;
        assert_code(hws_grpc_conn_init(&server, &cfg, NOW_MS, NULL), HWS_OK);
        start_calls(&w, 1);
        while (move(&w.client, &server) + move(&server, &w.client) > 0) {
        }
        assert_int_equal(w.n_ended, 1);
        assert_int_equal(w.ended[0].code, code);
        assert_true(w.ended[0].from_peer);
        assert_string_equal(w.message[0], "said");
        hws_grpc_conn_deinit(&server);
        end(&w);
    }
    hws_grpc_server_deinit(&table);
}

/* A client that resets a stream, for whatever reason, has gone. */
static void a_reset_by_the_client_is_cancelled(void **state)
{
    static const uint8_t block[] =
        "\x83\x87\x04\x06/t.S/A\x01\x01h\x00\x02te\x08trailers\x0f\x10\x10"
        "application/grpc";
    static struct hws_grpc_server table;
    static struct world w;
    struct hws_grpc_conn_config cfg = {.server = &table};
    uint8_t error[4];

    (void)state;
    hws_grpc_server_init(&table);
    assert_code(hws_grpc_server_add(&table, methods, 1, &server_ops, NULL, NULL), HWS_OK);
    hws_grpc_limits_server(&cfg.limits);
    s_say = HWS_GRPC_N_CODES;
    for (uint32_t i = 0; i < N_H2_ERRORS; i++) {
        memset(&w, 0, sizeof(w));
        hws_buf_init(&w.in, 0);
        assert_code(hws_grpc_conn_init(&w.client, &cfg, NOW_MS, NULL),
                    HWS_OK); /* the server, this time */
        assert_code(hws_buf_put(&w.in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), HWS_OK);
        frame(&w, SETTINGS, 0, 0, "", 0);
        frame(&w, HEADERS, END_HEADERS, 1, block, sizeof(block) - 1);
        hws_store_be32(error, i);
        frame(&w, RST_STREAM, 0, 1, error, sizeof(error));
        s_heard = HWS_GRPC_OK;
        flush(&w);
        assert_int_equal(s_heard, HWS_GRPC_CANCELLED);
        assert_int_equal(hws_grpc_conn_n_calls(&w.client), 0);
        end(&w);
    }
    hws_grpc_server_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_means_what_the_table_says),
        cmocka_unit_test(an_answer_without_a_status_means_what_its_http_status_says),
        cmocka_unit_test(a_status_goes_before_the_http_status),
        cmocka_unit_test(a_goaway_ends_what_was_not_processed_and_nothing_else),
        cmocka_unit_test(a_lost_connection_is_unavailable),
        cmocka_unit_test(every_status_of_a_server_arrives_as_it_is),
        cmocka_unit_test(a_reset_by_the_client_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
