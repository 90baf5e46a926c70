/*
 * Connections of the load client.
 *
 * Happy path: load_run dials a few -> each that is ready lets the next one go -> the part's ready.
 * A connection that is lost goes to the part's lost, or ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "bench.pb-c.h"
#include "grpc/client.h"
#include "load.h"

_Noreturn void load_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_rpc_load: %s: %s\n", what, why);
    exit(1);
}

uint64_t load_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * LOAD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t load_server_cpu_ns(const struct load *load)
{
    struct timespec ts;
    clockid_t clock = 0;

    if (clock_getcpuclockid((pid_t)load->pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        load_die("server", "its CPU clock cannot be read");
    }
    return (uint64_t)ts.tv_sec * LOAD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t load_server_rss_kb(const struct load *load)
{
    static const char key[] = "VmRSS:";
    char path[64];
    char line[256];
    uint64_t kb = 0;

    (void)hws_str_print(path, sizeof(path), "/proc/%ld/status", load->pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (hws_str_starts(line, key)) {
            kb = strtoull(line + sizeof(key) - 1, NULL, 10);
        }
    }
    if (f == NULL || kb == 0) {
        load_die("server", "its memory cannot be read");
    }
    (void)fclose(f);
    return kb;
}

/* ---- up and down ---- */

static void on_timer(uv_timer_t *timer)
{
    struct load_conn *c = timer->data;
    struct load *load = c->load;

    if (load->closing) {
        return;
    }
    if (c->net == NULL) {
        load_dial(c);
        return;
    }
    if (!c->ready) {
        c->ready = true;
        load->n_ready++;
    }
    if (load->n_at_once > 1) {
        load_dial_more(load, 1);
    }
    load->ready(c);
}

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct load_conn *c = hws_net_conn_owner(conn);

    (void)err;
    cfg->authority = "localhost";
    /* The engine under the connection is made when this returns: calls start from the timer. */
    (void)uv_timer_start(&c->timer, on_timer, 0, 0);
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct load_conn *c = hws_net_conn_owner(conn);
    struct load *load = c->load;

    c->net = NULL;
    load->n_ready -= c->ready ? 1 : 0;
    c->ready = false;
    (void)uv_timer_stop(&c->timer);
    if (load->closing) {
        uv_close((uv_handle_t *)&c->timer, NULL);
        return;
    }
    if (load->lost == NULL) {
        load_die("connection lost", err->msg);
    }
    load->lost(c, err);
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

void load_dial(struct load_conn *c)
{
    struct load *load = c->load;
    const struct hws_net_dial_config config = {.target = load->target,
                                               .bundle = load->bundle,
                                               .timeout_ms = LOAD_TIMEOUT_MS,
                                               .ops = &conn_ops,
                                               .owner = c};
    struct hws_err err;

    c->n_tries++;
    if (hws_net_dial(&load->net, &config, &c->net, &err) != HWS_OK) {
        load_die(load->target, err.msg);
    }
}

void load_dial_later(struct load_conn *c, uint64_t ms)
{
    (void)uv_timer_start(&c->timer, on_timer, ms, 0);
}

void load_dial_more(struct load *load, uint32_t n)
{
    for (; n > 0 && load->n_dialed < load->n_conns; n--) {
        load_dial(&load->conns[load->n_dialed++]);
    }
}

void load_run(struct load *load, uint32_t n)
{
    load->conns = hws_mem_zalloc(n, sizeof(*load->conns));
    if (load->conns == NULL) {
        load_die("connections", "no memory");
    }
    load->n_conns = n;
    for (uint32_t i = 0; i < n; i++) {
        struct load_conn *c = &load->conns[i];
        c->load = load;
        c->idx = i;
        c->timer.data = c;
        (void)uv_timer_init(&load->loop, &c->timer); /* cannot fail */
    }
    load->n_at_once = load->n_at_once == 0 ? LOAD_AT_ONCE : load->n_at_once;
    load_dial_more(load, load->n_at_once);
    (void)uv_run(&load->loop, UV_RUN_DEFAULT);
    hws_mem_free(load->conns);
}

void load_close(struct load *load)
{
    load->closing = true;
    for (uint32_t i = 0; i < load->n_conns; i++) {
        if (load->conns[i].net == NULL) {
            uv_close((uv_handle_t *)&load->conns[i].timer, NULL);
        } else {
            hws_net_conn_close(load->conns[i].net);
        }
    }
}

/* ---- calls ---- */

uint8_t *load_blob(size_t n, size_t *out_n)
{
    Hawser__Bench__Blob blob = HAWSER__BENCH__BLOB__INIT;
    uint8_t *data = hws_mem_alloc(n);

    for (size_t i = 0; data != NULL && i < n; i++) {
        data[i] = (uint8_t)(i * 31 + n);
    }
    blob.data = (ProtobufCBinaryData){.len = n, .data = data};
    *out_n = hawser__bench__blob__get_packed_size(&blob);
    uint8_t *packed = hws_mem_alloc(*out_n);
    if (data == NULL || packed == NULL) {
        load_die("message", "no memory");
    }
    (void)hawser__bench__blob__pack(&blob, packed);
    hws_mem_free(data);
    return packed;
}

struct hws_grpc_call *load_echo(struct load_conn *c, const struct hws_grpc_call_ops *ops,
                                const uint8_t *blob, size_t n, void *data)
{
    const struct hws_grpc_start start = {.path = "/hawser.bench.Bench/Echo",
                                         .kind = HWS_GRPC_UNARY,
                                         .timeout_ms = LOAD_TIMEOUT_MS,
                                         .ops = ops,
                                         .data = data};
    struct hws_grpc_call *call = NULL;
    uint8_t *space = NULL;
    struct hws_err err;
    enum hws_code code = hws_grpc_client_start(hws_net_conn_grpc(c->net), &start,
                                               hws_net_now_ms(&c->load->net), &call, &err);

    if (code == HWS_OK) {
        code = hws_grpc_call_reserve(call, n, &space, &err);
    }
    if (code != HWS_OK) {
        load_die("call", err.msg);
    }
    memcpy(space, blob, n);
    hws_grpc_call_commit(call);
    return call;
}
