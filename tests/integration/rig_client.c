/* The client of agent_rig.h: connections, and calls over them. */
#include <stdio.h>
#include <string.h>

#include "agent_rig.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/conn.h"
#include "net/dial.h"
#include "test.h"

#define DIAL_MS 1000u

/* ---- the client ------------------------------------------------------------------------------ */

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct hws_rig *rig = hws_net_conn_owner(conn);
    (void)err;

    hws_grpc_limits_client(&cfg->limits);
    rig->opened = true;
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct hws_rig *rig = hws_net_conn_owner(conn);
    (void)err;

    if (rig->conn == conn) {
        rig->conn = NULL;
    }
    rig->lost = true;
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

static void tick(uv_timer_t *timer)
{
    (void)timer;
}

static void turn(struct hws_rig *rig, uint64_t until_ms)
{
    uv_timer_t timer;
    uint64_t now_ms = hws_rig_now_ms();

    assert_int_equal(uv_timer_init(&rig->loop, &timer), 0);
    uv_update_time(&rig->loop);
    (void)uv_timer_start(&timer, tick, until_ms > now_ms ? until_ms - now_ms : 0, 0);
    (void)uv_run(&rig->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
}

void hws_rig_assert_overdue(const struct hws_rig_reply *reply)
{
    assert_int_equal(reply->code, HWS_GRPC_DEADLINE_EXCEEDED);
    if (strstr(reply->message, "UNKNOWN") == NULL &&
        strcmp(reply->message, "the deadline has passed") != 0) {
        assert_string_equal(reply->message, "deadline exceeded");
    }
}

void hws_rig_idle(struct hws_rig *rig, uint64_t ms)
{
    uint64_t until_ms = hws_rig_now_ms() + ms;

    while (hws_rig_now_ms() < until_ms) {
        turn(rig, until_ms);
    }
}

static uint32_t dial_ms(const struct hws_rig *rig)
{
    return rig->dial_ms == 0 ? DIAL_MS : rig->dial_ms;
}

static bool wait_open(struct hws_rig *rig)
{
    uint64_t until_ms = hws_rig_now_ms() + dial_ms(rig);

    while (!rig->opened && !rig->lost && hws_rig_now_ms() < until_ms) {
        turn(rig, until_ms);
    }
    return rig->opened && !rig->lost;
}

static bool dial(struct hws_rig *rig, struct hws_net_dial_config *c)
{
    c->ops = &conn_ops;
    c->owner = rig;
    c->timeout_ms = dial_ms(rig);
    rig->opened = false;
    rig->lost = false;
    uv_update_time(&rig->loop);
    if (hws_net_dial(&rig->net, c, &rig->conn, NULL) != HWS_OK) {
        rig->conn = NULL;
        return false;
    }
    return wait_open(rig);
}

bool hws_rig_connect(struct hws_rig *rig)
{
    struct hws_net_dial_config c = {0};
    char target[128];

    hws_str_print(target, sizeof(target), "unix:%s/run/wire/hawser.sock", rig->dir);
    c.target = target;
    return dial(rig, &c);
}

static struct hws_tls_bundle *load_bundle(struct hws_rig *rig, const char *who)
{
    struct hws_tls_pem pem = {.allow_tls12 = true};
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;
    char name[64];
    char *texts[3];
    size_t n;

    if (rig->rng == NULL) {
        assert_code(hws_tls_rng_open(&rig->rng, NULL), HWS_OK);
    }
    hws_str_print(name, sizeof(name), "%s.crt", who);
    texts[0] = hws_pki_read(&rig->pki, name, &n);
    pem.cert = (struct hws_span){(const uint8_t *)texts[0], n};
    hws_str_print(name, sizeof(name), "%s.key", who);
    texts[1] = hws_pki_read(&rig->pki, name, &n);
    pem.key = (struct hws_span){(const uint8_t *)texts[1], n};
    texts[2] = hws_pki_read(&rig->pki, "ca.crt", &n);
    pem.ca = (struct hws_span){(const uint8_t *)texts[2], n};
    assert_ok(hws_tls_bundle_new(rig->rng, &pem, hws_net_now_s(), &bundle, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        hws_mem_free(texts[i]);
    }
    return bundle;
}

bool hws_rig_connect_tls(struct hws_rig *rig, const char *who)
{
    struct hws_net_dial_config c = {0};
    char path[128];
    char target[128] = "";

    hws_str_print(path, sizeof(path), "%s/run/wire/listen", rig->dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(target, sizeof(target), f));
    (void)fclose(f);
    target[strcspn(target, "\n")] = '\0';
    c.target = target;
    c.bundle = load_bundle(rig, who);
    bool ok = dial(rig, &c);
    hws_tls_bundle_unref(c.bundle);
    return ok;
}

void hws_rig_disconnect(struct hws_rig *rig)
{
    uint64_t until_ms = hws_rig_now_ms() + 2000;

    if (rig->conn == NULL) {
        return;
    }
    hws_net_conn_close(rig->conn);
    while (rig->conn != NULL && hws_rig_now_ms() < until_ms) {
        turn(rig, until_ms);
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct call_state {
    struct hws_rig_async *async;
    bool (*on_message)(void *data, const uint8_t *bytes, size_t n);
    void *data;
    bool canceled;
};

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct call_state *s = hws_grpc_call_data(call);
    struct hws_rig_reply *r = &s->async->reply;

    r->n_messages++;
    hws_buf_reset(&r->bytes);
    assert_code(hws_buf_put(&r->bytes, bytes, n), HWS_OK);
    if (s->on_message != NULL && !s->canceled && !s->on_message(s->data, bytes, n)) {
        s->canceled = true;
        hws_grpc_call_cancel(call);
    }
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct call_state *s = hws_grpc_call_data(call);
    struct hws_rig_reply *r = &s->async->reply;

    r->code = outcome->code;
    hws_str_copy(r->message, sizeof(r->message), outcome->message);
    r->n_details = outcome->n_details < sizeof(r->details) ? outcome->n_details : 0;
    if (r->n_details > 0) {
        memcpy(r->details, outcome->details, r->n_details);
    }
    s->async->done = true;
    s->async->call = NULL;
    hws_mem_free(s);
}

static const struct hws_grpc_call_ops call_ops = {.on_message = on_message, .on_close = on_close};

static void begin(struct hws_rig *rig, const struct hws_grpc_start *start,
                  const ProtobufCMessage *request, struct hws_rig_async *out,
                  struct call_state *state)
{
    struct hws_grpc_start st = *start;
    uint8_t packed[8192];
    struct hws_err err;

    memset(out, 0, sizeof(*out));
    hws_buf_init(&out->reply.bytes, 0);
    out->reply.code = HWS_GRPC_UNAVAILABLE;
    hws_str_copy(out->reply.message, sizeof(out->reply.message), "not connected");
    if (rig->conn == NULL && !hws_rig_connect(rig)) {
        out->done = true;
        hws_mem_free(state);
        return;
    }
    state->async = out;
    st.ops = &call_ops;
    st.data = state;
    uv_update_time(&rig->loop);
    if (hws_grpc_client_start(hws_net_conn_grpc(rig->conn), &st, uv_now(&rig->loop), &out->call,
                              &err) != HWS_OK) {
        out->done = true;
        hws_str_copy(out->reply.message, sizeof(out->reply.message), err.msg);
        hws_mem_free(state);
        return;
    }
    if (request != NULL) {
        assert_true(protobuf_c_message_get_packed_size(request) <= sizeof(packed));
        size_t n = protobuf_c_message_pack(request, packed);
        assert_ok(hws_grpc_call_send(out->call, packed, n, &err), &err);
    }
}

void hws_rig_begin(struct hws_rig *rig, const char *path, enum hws_grpc_kind kind,
                   const ProtobufCMessage *request, uint64_t timeout_ms, struct hws_rig_async *out)
{
    struct hws_grpc_start st = {.path = path, .kind = kind, .timeout_ms = timeout_ms};
    struct call_state *state = hws_mem_zalloc(1, sizeof(*state));

    assert_non_null(state);
    begin(rig, &st, request, out, state);
}

bool hws_rig_wait(struct hws_rig *rig, struct hws_rig_async *async, uint64_t ms)
{
    uint64_t until_ms = hws_rig_now_ms() + ms;

    while (!async->done && hws_rig_now_ms() < until_ms) {
        turn(rig, until_ms);
    }
    return async->done;
}

static void end(struct hws_rig *rig, struct hws_rig_async *async, uint64_t timeout_ms,
                struct hws_rig_reply *out)
{
    if (!hws_rig_wait(rig, async, timeout_ms + 10000)) {
        hws_rig_show_log(rig);
        fail_msg("a call hangs");
    }
    *out = async->reply;
}

void hws_rig_call(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                  uint64_t timeout_ms, struct hws_rig_reply *out)
{
    struct hws_rig_async async;

    hws_rig_begin(rig, path, HWS_GRPC_UNARY, request, timeout_ms, &async);
    end(rig, &async, timeout_ms, out);
}

void hws_rig_stream(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                    uint64_t timeout_ms,
                    bool (*on_each)(void *data, const uint8_t *bytes, size_t n), void *data,
                    struct hws_rig_reply *out)
{
    struct hws_grpc_start st = {
        .path = path, .kind = HWS_GRPC_SERVER_STREAM, .timeout_ms = timeout_ms};
    struct call_state *state = hws_mem_zalloc(1, sizeof(*state));
    struct hws_rig_async async;

    assert_non_null(state);
    state->on_message = on_each;
    state->data = data;
    begin(rig, &st, request, &async, state);
    end(rig, &async, timeout_ms, out);
}

void hws_rig_reply_free(struct hws_rig_reply *reply)
{
    hws_buf_deinit(&reply->bytes);
}

void hws_rig_expect_ok(const struct hws_rig_reply *reply)
{
    if (reply->code != HWS_GRPC_OK) {
        fail_msg("%s: %s", hws_grpc_code_name(reply->code), reply->message);
    }
}
