/*
 * Connections for their own sake.
 *
 * hold: one comes up first, so that what a server makes once is made; then the rest, each with one
 * call; then a pause in which a server gives idle buffers back. What is resident more, and the CPU
 * spent, is divided by the rest.
 * storm: all come up, the server is ended and started again by whoever runs us; every connection is
 * dialled again at once, and those turned away again by gRPC's back-off. Over when each has had an
 * answer.
 */
#include <stdio.h>

#include "base/mem.h"
#include "load.h"

#define SETTLE_MS        2500u
#define FIRST_BACKOFF_MS 1000u /* gRPC's connection back-off: first, factor, jitter; */
#define BACKOFF_PERCENT  160u
#define JITTER_PERCENT   20u
#define LAST_BACKOFF_MS  20000u /* its ceiling is 120 s: longer than the measure */
#define STORM_LIMIT_MS   180000u
#define ECHO_BYTES       16u

static struct {
    struct load *load;
    uint8_t *blob;
    size_t n_blob;
    uint32_t n_served;
    uint64_t rss_kb;
    uint64_t cpu_ns;
    uint64_t storm_ns; /* when the first connection was lost; 0 = not yet */
    uint32_t n_turned_away;
    uint32_t n_failed; /* calls */
    bool storm;
    uv_timer_t timer;
} s_run;

/* ---- hold ---- */

static void held(uv_timer_t *timer)
{
    struct load *load = s_run.load;
    uint32_t n = load->n_conns - 1;
    uint64_t rss_kb = load_server_rss_kb(load);

    uv_close((uv_handle_t *)timer, NULL);
    (void)printf("idle_kb %.2f\n", ((double)rss_kb - (double)s_run.rss_kb) / n);
    load_close(load);
}

static void all_held(void)
{
    struct load *load = s_run.load;

    (void)printf("handshake_ms %.4f\n", (double)(load_server_cpu_ns(load) - s_run.cpu_ns) /
                                            LOAD_NS_PER_MS / (load->n_conns - 1));
    (void)uv_timer_start(&s_run.timer, held, SETTLE_MS, 0);
}

/* ---- storm ---- */

static void too_late(uv_timer_t *timer)
{
    (void)timer;
    (void)printf("storm_lost %u\n", s_run.load->n_conns - s_run.n_served);
    load_die("storm", "not all connections came back in time");
}

static void storm_over(void)
{
    uv_close((uv_handle_t *)&s_run.timer, NULL);
    (void)printf("storm_s %.3f\nstorm_lost 0\nstorm_turned_away %u\nstorm_failed_calls %u\n",
                 (double)(load_now_ns() - s_run.storm_ns) / LOAD_NS_PER_S, s_run.n_turned_away,
                 s_run.n_failed);
    load_close(s_run.load);
}

static uint64_t backoff_ms(const struct load_conn *c)
{
    uint64_t ms = FIRST_BACKOFF_MS;

    for (uint32_t i = 1; i < c->n_tries && ms < LAST_BACKOFF_MS; i++) {
        ms = ms * BACKOFF_PERCENT / 100;
    }
    ms = ms < LAST_BACKOFF_MS ? ms : LAST_BACKOFF_MS;
    /* Spread by the connection's number: the same in every run. */
    uint64_t spread = ((uint64_t)c->idx * 2654435761u + c->n_tries) % (2 * JITTER_PERCENT + 1);
    return ms * (100 - JITTER_PERCENT + spread) / 100;
}

static void lost(struct load_conn *c, const struct hws_err *why)
{
    if (!s_run.storm || s_run.load->n_dialed < s_run.load->n_conns) {
        load_die("connection lost", why->msg);
    }
    if (s_run.storm_ns == 0) {
        s_run.storm_ns = load_now_ns();
        s_run.n_served = 0;
        for (uint32_t i = 0; i < s_run.load->n_conns; i++) {
            s_run.load->conns[i].served = false;
            s_run.load->conns[i].n_tries = 0;
        }
        (void)uv_timer_start(&s_run.timer, too_late, STORM_LIMIT_MS, 0);
    }
    s_run.n_served -= c->served ? 1 : 0;
    c->served = false;
    if (c->n_tries == 0) {
        load_dial_later(c, 0);
        return;
    }
    s_run.n_turned_away++;
    load_dial_later(c, backoff_ms(c));
}

/* ---- both: one call on each ---- */

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct load_conn *c = hws_grpc_call_data(call);
    struct load *load = s_run.load;

    if (outcome->code != HWS_GRPC_OK) {
        if (!s_run.storm) {
            load_die("call", outcome->message);
        }
        s_run.n_failed++;
        hws_net_conn_close(c->net); /* unless it is lost already: lost dials again */
        return;
    }
    if (c->served) {
        return;
    }
    c->served = true;
    s_run.n_served++;
    if (s_run.n_served == 1 && !s_run.storm) {
        s_run.rss_kb = load_server_rss_kb(load);
        s_run.cpu_ns = load_server_cpu_ns(load);
        load->n_at_once = LOAD_AT_ONCE;
        load_dial_more(load, LOAD_AT_ONCE);
    }
    if (s_run.n_served < load->n_conns) {
        return;
    }
    if (!s_run.storm) {
        all_held();
    } else if (s_run.storm_ns != 0) {
        storm_over();
    } else {
        (void)printf("held\n");
        (void)fflush(stdout);
    }
}

static const struct hws_grpc_call_ops call_ops = {.on_close = on_close};

static void ready(struct load_conn *c)
{
    (void)load_echo(c, &call_ops, s_run.blob, s_run.n_blob, c);
}

static void run(struct load *load, uint32_t n, bool storm)
{
    s_run.load = load;
    s_run.storm = storm;
    s_run.blob = load_blob(ECHO_BYTES, &s_run.n_blob);
    (void)uv_timer_init(&load->loop, &s_run.timer); /* cannot fail */
    load->n_at_once = storm ? LOAD_AT_ONCE : 1;
    load->ready = ready;
    load->lost = lost;
    load_run(load, n);
    hws_mem_free(s_run.blob);
}

void load_hold(struct load *load, uint32_t n)
{
    run(load, n, false);
}

void load_storm(struct load *load, uint32_t n)
{
    run(load, n, true);
}
