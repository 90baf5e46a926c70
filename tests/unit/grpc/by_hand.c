/* The connection and the peer of by_hand.h. */
#include "by_hand.h"

#include <string.h>

#include "base/bits.h"
#include "test.h"

struct hws_grpc_call *latest_call;

static enum hws_grpc_code keep_call(struct hws_grpc_call *call, void *data)
{
    (void)data;
    latest_call = call;
    return HWS_GRPC_OK;
}

static void end_call(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static void forget_call(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    (void)outcome;
    latest_call = latest_call == call ? NULL : latest_call;
}

static const struct hws_grpc_call_ops ops = {
    .on_call = keep_call, .on_cancel = end_call, .on_close = forget_call};
static const struct hws_grpc_method methods[] = {{"/t.S/A", HWS_GRPC_BIDI, false},
                                                 {"/t.S/U", HWS_GRPC_UNARY, false}};

void frame(struct fixture *f, uint8_t type, uint8_t flags, uint32_t stream_id, const void *payload,
           size_t n)
{
    uint8_t head[9] = {0, 0, 0, type, flags};

    head[0] = (uint8_t)(n >> 16);
    head[1] = (uint8_t)(n >> 8);
    head[2] = (uint8_t)n;
    hws_store_be32(head + 5, stream_id);
    assert_code(hws_buf_put(&f->in, head, sizeof(head)), HWS_OK);
    if (n > 0) {
        assert_code(hws_buf_put(&f->in, payload, n), HWS_OK);
    }
}

void request(struct fixture *f, uint32_t stream_id, uint8_t flags)
{
    frame(f, HEADERS, (uint8_t)(END_HEADERS | flags), stream_id, REQUEST_BLOCK, BLOCK_BYTES);
}

void unary_request(struct fixture *f, uint32_t stream_id, uint8_t flags)
{
    uint8_t block[BLOCK_BYTES];

    memcpy(block, REQUEST_BLOCK, BLOCK_BYTES);
    block[9] = 'U';
    frame(f, HEADERS, (uint8_t)(END_HEADERS | flags), stream_id, block, BLOCK_BYTES);
}

static void scan(struct fixture *f)
{
    const uint8_t *bytes = hws_buf_peek(&f->out);
    size_t n = hws_buf_len(&f->out);

    while (n >= 9) {
        size_t n_payload = hws_load_be24(bytes);
        assert_true(n >= 9 + n_payload);
        if (bytes[3] == GOAWAY) {
            f->goaway = hws_load_be32(bytes + 13);
        }
        if (bytes[3] == DATA && n_payload > f->most_data) {
            f->most_data = n_payload;
        }
        f->n_acks += bytes[3] == PING && (bytes[4] & ACK) != 0 ? 1 : 0;
        bytes += 9 + n_payload;
        n -= 9 + n_payload;
    }
    hws_buf_reset(&f->out);
}

void flush(struct fixture *f)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    f->code =
        hws_grpc_conn_recv(&f->conn, hws_buf_peek(&f->in), hws_buf_len(&f->in), f->now_ms, NULL);
    hws_buf_reset(&f->in);
    (void)hws_grpc_conn_turn(&f->conn, f->now_ms);
    for (hws_grpc_conn_pull(&f->conn, f->now_ms, &bytes, &n); n > 0;
         hws_grpc_conn_pull(&f->conn, f->now_ms, &bytes, &n)) {
        assert_code(hws_buf_put(&f->out, bytes, n), HWS_OK);
        hws_grpc_conn_sent(&f->conn, n, f->now_ms);
    }
    scan(f);
}

int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    f.now_ms = 5000;
    f.goaway = UINT32_MAX;
    latest_call = NULL;
    hws_grpc_server_init(&f.server);
    hws_grpc_limits_server(&f.limits);
    f.account = (struct hws_grpc_account){.max_calls = 1000, .max_held_bytes = UINT64_MAX};
    const struct hws_grpc_conn_config cfg = {
        .server = &f.server, .limits = f.limits, .stats = &f.stats, .accounts = {NULL, &f.account}};
    if (hws_grpc_server_add(&f.server, methods, 2, &ops, NULL, NULL) != HWS_OK ||
        hws_grpc_conn_init(&f.conn, &cfg, f.now_ms, NULL) != HWS_OK ||
        hws_buf_put(&f.in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) != HWS_OK) {
        return -1;
    }
    frame(&f, SETTINGS, 0, 0, NULL, 0);
    frame(&f, SETTINGS, ACK, 0, NULL, 0);
    flush(&f);
    return 0;
}

int teardown(void **state)
{
    struct fixture *f = *state;

    hws_grpc_conn_deinit(&f->conn);
    hws_grpc_server_deinit(&f->server);
    hws_buf_deinit(&f->in);
    hws_buf_deinit(&f->out);
    return 0;
}
