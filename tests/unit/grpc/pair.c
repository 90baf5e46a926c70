/* The joined pair and its test service. */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct hws_grpc_method methods[PAIR_N_METHODS] = {
    [PAIR_ECHO] = {"/test.Pair/Echo", HWS_GRPC_UNARY, false},
    [PAIR_COUNT] = {"/test.Pair/Count", HWS_GRPC_SERVER_STREAM, false},
    [PAIR_SUM] = {"/test.Pair/Sum", HWS_GRPC_CLIENT_STREAM, false},
    [PAIR_CHAT] = {"/test.Pair/Chat", HWS_GRPC_BIDI, false},
    [PAIR_HANG] = {"/test.Pair/Hang", HWS_GRPC_BIDI, false},
};

static const enum hws_grpc_kind kinds[PAIR_N_METHODS] = {
    [PAIR_ECHO] = HWS_GRPC_UNARY,        [PAIR_COUNT] = HWS_GRPC_SERVER_STREAM,
    [PAIR_SUM] = HWS_GRPC_CLIENT_STREAM, [PAIR_CHAT] = HWS_GRPC_BIDI,
    [PAIR_HANG] = HWS_GRPC_BIDI,
};

/* ---- the service ---- */

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct pair *p = data;
    struct pair_server_call *c = hws_mem_zalloc(1, sizeof(*c));

    if (c == NULL) {
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    c->call = call;
    c->pair = p;
    hws_grpc_call_set_data(call, c);
    if (hws_grpc_call_method(call) == PAIR_HANG) {
        p->hanging = call;
    }
    if (p->credit > 0 && hws_grpc_call_method(call) == PAIR_SUM) {
        hws_grpc_call_set_credit(call, p->credit);
    }
    if (p->encoding != HWS_GRPC_IDENTITY &&
        hws_grpc_call_compress(call, p->encoding, NULL) != HWS_OK) {
        return HWS_GRPC_OK;
    }
    return HWS_GRPC_OK;
}

static void finish_nomem(struct hws_grpc_call *call)
{
    hws_grpc_call_finish_text(call, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static void fail_richly(struct hws_grpc_call *call)
{
    struct hws_grpc_meta trailers = {0};

    if (hws_grpc_meta_add(&trailers, "x-trailing-bin", "\x00\xff\x01", 3, NULL) != HWS_OK) {
        finish_nomem(call);
    } else {
        hws_grpc_call_finish(call, HWS_GRPC_FAILED_PRECONDITION, "not now: \xc3\xbc 100%",
                             "\x08\x09", 2, &trailers);
    }
    hws_grpc_meta_deinit(&trailers);
}

static void echo(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    const struct hws_grpc_meta *sent = hws_grpc_call_peer_meta(call);
    struct hws_span value;

    if (n == 4 && memcmp(bytes, "fail", 4) == 0) {
        fail_richly(call);
        return;
    }
    if (hws_grpc_meta_get(sent, "x-initial", 0, &value)) {
        struct hws_grpc_meta initial = {0};
        if (hws_grpc_meta_add(&initial, "x-initial", value.bytes, value.n, NULL) != HWS_OK ||
            hws_grpc_call_send_headers(call, &initial, NULL) != HWS_OK) {
            hws_grpc_meta_deinit(&initial);
            finish_nomem(call);
            return;
        }
        hws_grpc_meta_deinit(&initial);
    }
    if (hws_grpc_call_send(call, bytes, n, NULL) != HWS_OK) {
        finish_nomem(call);
        return;
    }
    hws_grpc_call_finish_text(call, HWS_GRPC_OK, NULL);
}

static void count_on(struct pair_server_call *c)
{
    static uint8_t chunk[PAIR_CHUNK];
    struct hws_err err;

    while (c->left > 0) {
        enum hws_code code = hws_grpc_call_send(c->call, chunk, sizeof(chunk), &err);
        if (code == HWS_E_BUSY) {
            return;
        }
        if (code != HWS_OK) {
            finish_nomem(c->call);
            return;
        }
        c->left--;
    }
    hws_grpc_call_finish_text(c->call, HWS_GRPC_OK, NULL);
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct pair_server_call *c = hws_grpc_call_data(call);
    char text[16];

    c->n_bytes += n;
    switch ((enum pair_method)hws_grpc_call_method(call)) {
    case PAIR_ECHO:
        echo(call, bytes, n);
        break;
    case PAIR_COUNT:
        (void)hws_str_copy_n(text, sizeof(text), bytes, n);
        c->left = (unsigned)strtoul(text, NULL, 10);
        count_on(c);
        break;
    case PAIR_CHAT:
        if (hws_grpc_call_send(call, bytes, n, NULL) != HWS_OK) {
            finish_nomem(call);
        }
        break;
    case PAIR_SUM:
    case PAIR_HANG:
    case PAIR_N_METHODS:
    default:
        break;
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    struct pair_server_call *c = hws_grpc_call_data(call);
    char text[32];

    c->half_closed = true;
    if (hws_grpc_call_method(call) == PAIR_CHAT) {
        hws_grpc_call_finish_text(call, HWS_GRPC_OK, NULL);
    }
    if (hws_grpc_call_method(call) == PAIR_SUM) {
        (void)hws_str_print(text, sizeof(text), "%llu", (unsigned long long)c->n_bytes);
        if (hws_grpc_call_send(call, text, strlen(text), NULL) != HWS_OK) {
            finish_nomem(call);
            return;
        }
        hws_grpc_call_finish_text(call, HWS_GRPC_OK, NULL);
    }
}

static void on_writable(struct hws_grpc_call *call)
{
    count_on(hws_grpc_call_data(call));
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    struct pair_server_call *c = hws_grpc_call_data(call);

    (void)why;
    c->pair->n_cancelled++;
    if (hws_grpc_call_method(call) != PAIR_HANG) {
        hws_grpc_call_finish_text(call, HWS_GRPC_CANCELLED, NULL);
    }
}

static void on_server_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct pair_server_call *c = hws_grpc_call_data(call);

    (void)outcome;
    c->pair->n_server_closed++;
    if (c->pair->hanging == call) {
        c->pair->hanging = NULL;
    }
    hws_mem_free(c);
}

static const struct hws_grpc_call_ops service_ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
    .on_close = on_server_close,
};

/* ---- the pair ---- */

static void on_wake(struct hws_grpc_conn *conn, void *data)
{
    struct pair *p = data;

    (void)conn;
    p->n_wakes++;
}

enum hws_code pair_init(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->now_ms = 1000;
    hws_grpc_limits_server(&p->server_limits);
    hws_grpc_limits_client(&p->client_limits);
    hws_grpc_server_init(&p->table);
    return hws_grpc_server_add(&p->table, methods, PAIR_N_METHODS, &service_ops, p, NULL);
}

enum hws_code pair_open(struct pair *p)
{
    const struct hws_grpc_conn_config server = {.server = &p->table,
                                                .limits = p->server_limits,
                                                .stats = &p->server_stats,
                                                .spares = p->spares,
                                                .on_wake = on_wake,
                                                .spread = p->spread,
                                                .data = p};
    const struct hws_grpc_conn_config client = {.limits = p->client_limits,
                                                .stats = &p->client_stats,
                                                .spares = p->spares,
                                                .on_wake = on_wake,
                                                .data = p};
    enum hws_code code = hws_grpc_conn_init(&p->server, &server, p->now_ms, NULL);

    return code != HWS_OK ? code : hws_grpc_conn_init(&p->client, &client, p->now_ms, NULL);
}

void pair_deinit(struct pair *p)
{
    hws_grpc_conn_deinit(&p->client);
    hws_grpc_conn_deinit(&p->server);
    hws_grpc_server_deinit(&p->table);
}

/* What a test's calls would tell has gone with the test's function. */
static bool s_test_is_over;

int pair_setup(void **state)
{
    static struct pair pair;

    s_test_is_over = false;
    *state = &pair;
    return pair_init(&pair) == HWS_OK ? 0 : -1;
}

int pair_teardown(void **state)
{
    s_test_is_over = true;
    pair_deinit(*state);
    return 0;
}

/* One way, at most max bytes a time; returns what moved. */
static size_t pump(struct pair *p, struct hws_grpc_conn *from, struct hws_grpc_conn *to, size_t max)
{
    size_t moved = 0;

    if (from->h2 == NULL) {
        return 0;
    }
    (void)hws_grpc_conn_turn(from, p->now_ms);
    for (;;) {
        const uint8_t *bytes = NULL;
        size_t n = 0;
        hws_grpc_conn_pull(from, p->now_ms, &bytes, &n);
        if (n == 0) {
            return moved;
        }
        n = n < max ? n : max;
        uint8_t *exact = hws_mem_dup(bytes, n); /* so that a read past the end is seen */
        p->n_moves++;
        if (exact == NULL) {
            hws_grpc_conn_lost(from, "test out of memory");
            return moved;
        }
        hws_grpc_conn_sent(from, n, p->now_ms);
        if (to->h2 != NULL && hws_grpc_conn_recv(to, exact, n, p->now_ms, NULL) != HWS_OK) {
            moved += 0; /* the end shows in the connection's state */
        }
        hws_mem_free(exact);
        moved += n;
    }
}

size_t pair_run(struct pair *p)
{
    size_t to_client = 0;

    for (;;) {
        size_t up = pump(p, &p->client, &p->server, SIZE_MAX);
        size_t down = pump(p, &p->server, &p->client, SIZE_MAX);
        to_client += down;
        if (up + down == 0) {
            return to_client;
        }
    }
}

void pair_run_bytewise(struct pair *p, size_t step)
{
    while (pump(p, &p->client, &p->server, step) + pump(p, &p->server, &p->client, step) > 0) {
    }
}

void pair_advance(struct pair *p, uint64_t ms)
{
    p->now_ms += ms;
    (void)pair_run(p);
}

/* ---- the recording client call ---- */

static void keep(char *dst, size_t cap, const struct hws_grpc_meta *meta, const char *name)
{
    struct hws_span value;

    if (hws_grpc_meta_get(meta, name, 0, &value)) {
        (void)hws_str_copy_n(dst, cap, value.bytes, value.n);
    }
}

static void seen_headers(struct hws_grpc_call *call)
{
    struct seen *s = hws_grpc_call_data(call);

    s->headers = true;
    keep(s->initial, sizeof(s->initial), hws_grpc_call_peer_meta(call), "x-initial");
}

static void seen_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct seen *s = hws_grpc_call_data(call);

    s->n_messages++;
    s->n_bytes += n;
    (void)hws_str_copy_n(s->last, sizeof(s->last), bytes,
                         n < sizeof(s->last) ? n : sizeof(s->last) - 1);
}

static void seen_writable(struct hws_grpc_call *call)
{
    struct seen *s = hws_grpc_call_data(call);

    s->n_writable++;
}

static void seen_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct seen *s = hws_grpc_call_data(call);

    if (s_test_is_over) {
        return;
    }
    s->closed = true;
    s->call = NULL;
    s->outcome = *outcome;
    (void)hws_str_copy(s->message, sizeof(s->message), outcome->message);
    keep(s->trailing, sizeof(s->trailing), outcome->trailers, "x-trailing-bin");
    (void)hws_str_copy_n(s->details, sizeof(s->details),
                         outcome->details == NULL ? (const uint8_t *)"" : outcome->details,
                         outcome->n_details);
}

static const struct hws_grpc_call_ops seen_ops = {
    .on_headers = seen_headers,
    .on_message = seen_message,
    .on_writable = seen_writable,
    .on_close = seen_close,
};

enum hws_code seen_start(struct pair *p, struct seen *s, enum pair_method method,
                         uint64_t timeout_ms, const struct hws_grpc_meta *meta)
{
    const struct hws_grpc_start start = {
        .path = methods[method].path,
        .kind = kinds[method],
        .timeout_ms = timeout_ms,
        .meta = meta,
        .ops = &seen_ops,
        .data = s,
    };

    memset(s, 0, sizeof(*s));
    return hws_grpc_client_start(&p->client, &start, p->now_ms, &s->call, NULL);
}
