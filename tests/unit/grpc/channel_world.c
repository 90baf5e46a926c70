/* The hosts, the channel's owner and the caller of channel_world.h. */
#include "channel_world.h"

#include "base/mem.h"

#define SAY_BYTES 300000u

struct world w;

/* ---- the hosts ---- */

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct hws_span value;

    (void)data;
    w.attempts[0] = '\0';
    w.n_got = 0;
    if (hws_grpc_meta_get(hws_grpc_call_peer_meta(call), "grpc-previous-rpc-attempts", 0, &value)) {
        assert_true(hws_str_copy_n(w.attempts, sizeof(w.attempts), value.bytes, value.n));
    }
    for (size_t i = 0; i < N_HOSTS; i++) {
        w.hosts[i].n_calls += hws_grpc_call_conn(call) == &w.hosts[i].server ? 1 : 0;
    }
    uint32_t *n_seen = &w.n_seen[w.n_streams++ % WORLD_STREAMS];
    *n_seen = 0;
    hws_grpc_call_set_data(call, n_seen);
    return HWS_GRPC_OK;
}

static void refuse(struct hws_grpc_call *call)
{
    struct hws_grpc_meta trailers = {0};

    w.n_refusals--;
    if (w.answer_first) {
        assert_code(hws_grpc_call_send_headers(call, NULL, NULL), HWS_OK);
    }
    if (w.pushback != NULL) {
        assert_code(hws_grpc_meta_add_text(&trailers, "grpc-retry-pushback-ms", w.pushback, NULL),
                    HWS_OK);
    }
    hws_grpc_call_finish(call, HWS_GRPC_UNAVAILABLE, "busy", NULL, 0, &trailers);
    hws_grpc_meta_deinit(&trailers);
}

static void check_number(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    uint32_t *n_seen = hws_grpc_call_data(call);
    uint32_t number = 0;

    assert_true(n >= sizeof(number));
    memcpy(&number, bytes, sizeof(number));
    assert_int_equal(number, *n_seen);
    *n_seen = number + 1;
    w.n_got = *n_seen;
}

static void answer(struct hws_grpc_call *call, const uint8_t *bytes, size_t n, unsigned times)
{
    enum hws_code code = HWS_OK;

    for (unsigned i = 0; i < times && code == HWS_OK; i++) {
        code = hws_grpc_call_send(call, bytes, n, NULL);
    }
    hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED,
                              NULL);
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    size_t method = hws_grpc_call_method(call);
    bool stream = method == WORLD_SUM || method == WORLD_CHAT;

    if (stream) {
        check_number(call, bytes, n);
    }
    if (w.hold) {
        w.held[w.n_held % 8] = call;
        w.n_held++;
    } else if (w.n_refusals > 0) {
        refuse(call);
    } else if (!stream) {
        answer(call, bytes, n, method == WORLD_MANY ? w.n_many : 1);
    } else if (method == WORLD_CHAT && hws_grpc_call_send(call, bytes, n, NULL) != HWS_OK) {
        hws_grpc_call_finish_text(call, HWS_GRPC_RESOURCE_EXHAUSTED, NULL);
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    const uint32_t *n_seen = hws_grpc_call_data(call);

    if (!w.hold && hws_grpc_call_method(call) == WORLD_SUM) {
        answer(call, (const uint8_t *)n_seen, sizeof(*n_seen), 1);
    } else if (!w.hold && hws_grpc_call_method(call) == WORLD_CHAT) {
        hws_grpc_call_finish_text(call, HWS_GRPC_OK, NULL);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, NULL);
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    (void)outcome;
    for (size_t i = 0; i < sizeof(w.held) / sizeof(w.held[0]); i++) {
        w.held[i] = w.held[i] == call ? NULL : w.held[i];
    }
}

static const struct hws_grpc_call_ops service = {.on_call = on_call,
                                                 .on_close = on_close,
                                                 .on_message = on_message,
                                                 .on_half_close = on_half_close,
                                                 .on_cancel = on_cancel};

static const struct hws_grpc_method methods[WORLD_N_METHODS] = {
    [WORLD_ONCE] = {"/t.S/Once", HWS_GRPC_UNARY, false},
    [WORLD_MANY] = {"/t.S/Many", HWS_GRPC_SERVER_STREAM, false},
    [WORLD_SUM] = {"/t.S/Sum", HWS_GRPC_CLIENT_STREAM, false},
    [WORLD_CHAT] = {"/t.S/Chat", HWS_GRPC_BIDI, false},
};

/* ---- the channel's owner ---- */

static void dial(void *data, uint32_t idx)
{
    (void)data;
    w.hosts[idx].n_dials++;
}

static uint32_t any(void *data)
{
    (void)data;
    return w.random;
}

static void on_wake(void *data)
{
    (void)data;
    w.due_ms = w.now_ms;
}

static enum hws_code try_up(uint32_t idx)
{
    struct host *h = &w.hosts[idx];
    struct hws_grpc_conn_config server = {.server = &w.table, .limits = w.server_limits};
    struct hws_grpc_conn_config client = {.limits = w.client_limits};

    hws_grpc_conn_deinit(&h->client);
    hws_grpc_conn_deinit(&h->server);
    enum hws_code code = hws_grpc_conn_init(&h->server, &server, w.now_ms, NULL);
    if (code == HWS_OK) {
        code = hws_grpc_conn_init(&h->client, &client, w.now_ms, NULL);
    }
    if (code == HWS_OK) {
        hws_grpc_channel_up(&w.ch, idx, &h->client);
    }
    return code;
}

void up(uint32_t idx)
{
    enum hws_code code = try_up(idx);

    assert_true(code == HWS_OK || w.starved);
    if (code != HWS_OK) {
        hws_grpc_channel_down(&w.ch, idx, NULL, w.now_ms, "out of memory");
    }
}

static size_t pump(struct hws_grpc_conn *from, struct hws_grpc_conn *to)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    if (from->h2 == NULL) {
        return 0;
    }
    (void)hws_grpc_conn_turn(from, w.now_ms);
    hws_grpc_conn_pull(from, w.now_ms, &bytes, &n);
    if (n > 0) {
        enum hws_code code =
            to->h2 == NULL ? HWS_OK : hws_grpc_conn_recv(to, bytes, n, w.now_ms, NULL);
        assert_true(code == HWS_OK || w.starved);
        hws_grpc_conn_sent(from, n, w.now_ms);
    }
    return n;
}

void run(void)
{
    struct hws_grpc_conn nobody = {.h2 = NULL};
    size_t moved = 1;

    while (moved > 0 || w.due_ms <= w.now_ms) {
        if (w.due_ms <= w.now_ms) {
            w.due_ms = hws_grpc_channel_turn(&w.ch, w.now_ms);
        }
        moved = 0;
        for (size_t i = 0; i < N_HOSTS; i++) {
            struct host *h = &w.hosts[i];
            moved += pump(&h->client, h->silent ? &nobody : &h->server);
            moved += pump(&h->server, h->silent ? &nobody : &h->client);
        }
    }
}

void advance(uint64_t ms)
{
    w.now_ms += ms;
    run();
}

void lose(uint32_t idx)
{
    hws_grpc_conn_lost(&w.hosts[idx].client, "cable pulled");
    hws_grpc_conn_lost(&w.hosts[idx].server, "cable pulled");
    if (w.hosts[idx].client.settled) {
        hws_grpc_channel_down(&w.ch, idx, &w.hosts[idx].client, w.now_ms, "cable pulled");
    } else {
        hws_grpc_channel_failed(&w.ch, idx, &w.hosts[idx].client, w.now_ms, "cable pulled");
    }
}

enum hws_code world_open(void)
{
    const struct hws_grpc_channel_config config = {.dial = dial, .random = any, .on_wake = on_wake};

    memset(&w, 0, sizeof(w));
    w.now_ms = 1000;
    w.due_ms = UINT64_MAX;
    hws_grpc_limits_server(&w.server_limits);
    hws_grpc_limits_client(&w.client_limits);
    hws_grpc_server_init(&w.table);
    hws_grpc_channel_init(&w.ch, &config);
    return hws_grpc_server_add(&w.table, methods, WORLD_N_METHODS, &service, NULL, NULL);
}

int setup(void **state)
{
    (void)state;
    assert_code(world_open(), HWS_OK);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_HOSTS; i++) {
        hws_grpc_conn_deinit(&w.hosts[i].client);
        hws_grpc_conn_deinit(&w.hosts[i].server);
    }
    hws_grpc_server_deinit(&w.table);
    return 0;
}

/* ---- the caller ---- */

static void note_headers(struct hws_grpc_channel_call *call, const struct hws_grpc_meta *meta)
{
    struct end *e = call->data;

    assert_non_null(meta);
    e->n_headers++;
}

static void count_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct end *e = call->data;

    e->n_messages++;
    if (call->kind == HWS_GRPC_CLIENT_STREAM && n == sizeof(e->sum)) {
        memcpy(&e->sum, bytes, n);
    }
    if (e->cancel_at_message) {
        hws_grpc_channel_cancel(call);
    }
}

static void note_writable(struct hws_grpc_channel_call *call)
{
    struct end *e = call->data;

    e->n_writable++;
}

static void note_close(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    struct end *e = call->data;

    e->n_closed++;
    e->code = outcome->code;
    e->unprocessed = outcome->unprocessed;
    (void)hws_str_copy(e->message, sizeof(e->message), outcome->message);
}

static void prepare(struct end *e, enum world_method method, uint32_t attempts)
{
    memset(e, 0, sizeof(*e));
    e->call = (struct hws_grpc_channel_call){.path = methods[method].path,
                                             .kind = methods[method].kind,
                                             .request = "hi",
                                             .n_request = 2,
                                             .max_attempts = attempts,
                                             .on_headers = note_headers,
                                             .on_message = count_message,
                                             .on_writable = note_writable,
                                             .on_close = note_close,
                                             .data = e};
}

static struct end *begin(struct end *e)
{
    assert_code(hws_grpc_channel_start(&w.ch, &e->call, w.now_ms, NULL), HWS_OK);
    run();
    return e;
}

struct end *start_kind(struct end *e, enum world_method method, uint64_t timeout_ms, bool wait,
                       uint32_t attempts)
{
    prepare(e, method, attempts);
    e->call.timeout_ms = timeout_ms;
    e->call.wait_for_ready = wait;
    return begin(e);
}

struct end *start(struct end *e, uint64_t timeout_ms, bool wait, uint32_t attempts)
{
    return start_kind(e, WORLD_ONCE, timeout_ms, wait, attempts);
}

struct end *with_meta(struct end *e, const struct hws_grpc_meta *meta, uint32_t attempts)
{
    prepare(e, WORLD_ONCE, attempts);
    e->call.meta = meta;
    return begin(e);
}

enum hws_code say(struct end *e, size_t n)
{
    static uint8_t bytes[SAY_BYTES];

    assert_true(n >= sizeof(e->n_sent) && n <= sizeof(bytes));
    memcpy(bytes, &e->n_sent, sizeof(e->n_sent));
    enum hws_code code = hws_grpc_channel_send(&e->call, bytes, n, e->n_sent % 2 == 1, NULL);
    e->n_sent += code == HWS_OK ? 1 : 0;
    return code;
}

void assert_ended(const struct end *e, enum hws_grpc_code code)
{
    assert_int_equal(e->n_closed, 1);
    assert_int_equal(e->code, code);
}
