/*
 * Unary calls: `out` of them under way on each connection, each answer starts the next. After the
 * warm-up the server's CPU and every round trip are counted for `ms`. Every answer must be what was
 * sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "load.h"

#define MAX_SAMPLES (1u << 22)

static struct {
    struct load *load;
    struct load_unary want;
    uint8_t *blob;
    size_t n_blob;
    uv_timer_t timer;
    bool counting;
    bool over;
    uint32_t n_open; /* calls under way */
    uint64_t began_ns;
    uint64_t cpu_ns;
    uint64_t own_cpu_ns;
    uint32_t n_samples;
    uint32_t *samples_ns;
} s_run;

struct slot {
    struct load_conn *c;
    uint64_t began_ns;
    bool answered;
};

static struct slot *s_slots;

static void next(struct slot *slot);

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct slot *slot = hws_grpc_call_data(call);

    if (n != s_run.n_blob || memcmp(bytes, s_run.blob, n) != 0) {
        load_die("echo", "the answer is not what was sent");
    }
    slot->answered = true;
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct slot *slot = hws_grpc_call_data(call);

    if (outcome->code != HWS_GRPC_OK || !slot->answered) {
        load_die("call", outcome->message);
    }
    s_run.n_open--;
    if (s_run.counting && s_run.n_samples < MAX_SAMPLES) {
        s_run.samples_ns[s_run.n_samples++] = (uint32_t)(load_now_ns() - slot->began_ns);
    }
    if (!s_run.over) {
        next(slot);
    } else if (s_run.n_open == 0) {
        load_close(s_run.load);
    }
}

static const struct hws_grpc_call_ops call_ops = {.on_message = on_message, .on_close = on_close};

static void next(struct slot *slot)
{
    slot->began_ns = load_now_ns();
    slot->answered = false;
    s_run.n_open++;
    (void)load_echo(slot->c, &call_ops, s_run.blob, s_run.n_blob, slot);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double sample_us(uint32_t of_1000)
{
    uint64_t at = (uint64_t)(s_run.n_samples - 1) * of_1000 / 1000;

    return (double)s_run.samples_ns[at] / 1000;
}

static void report(double seconds, double cpu_s)
{
    double n = s_run.n_samples;

    if (n == 0) {
        load_die("unary", "no call was answered in time");
    }
    qsort(s_run.samples_ns, s_run.n_samples, sizeof(uint32_t), by_value);
    (void)printf("n %.0f\nrps %.1f\ncpu_us %.4f\nrps_core %.1f\np50_us %.3f\np99_us %.3f\n", n,
                 n / seconds, cpu_s / n * 1e6, n / cpu_s, sample_us(500), sample_us(990));
}

static void on_timer(uv_timer_t *timer)
{
    uint64_t now_ns = load_now_ns();
    uint64_t cpu_ns = load_server_cpu_ns(s_run.load);

    if (!s_run.counting) {
        s_run.counting = true;
        s_run.began_ns = now_ns;
        s_run.cpu_ns = cpu_ns;
        return; /* the timer repeats */
    }
    s_run.counting = false;
    s_run.over = true;
    uv_close((uv_handle_t *)timer, NULL);
    report((double)(now_ns - s_run.began_ns) / LOAD_NS_PER_S,
           (double)(cpu_ns - s_run.cpu_ns) / LOAD_NS_PER_S);
}

static void ready(struct load_conn *c)
{
    if (c->load->n_ready < c->load->n_conns) {
        return;
    }
    for (uint32_t i = 0; i < s_run.want.conns * s_run.want.out; i++) {
        s_slots[i].c = &c->load->conns[i % s_run.want.conns];
        next(&s_slots[i]);
    }
    (void)uv_timer_init(&c->load->loop, &s_run.timer); /* cannot fail */
    (void)uv_timer_start(&s_run.timer, on_timer, s_run.want.warm_ms, s_run.want.ms);
}

void load_unary(struct load *load, const struct load_unary *want)
{
    s_run.load = load;
    s_run.want = *want;
    s_run.blob = load_blob(want->bytes, &s_run.n_blob);
    s_run.samples_ns = hws_mem_alloc(MAX_SAMPLES * sizeof(uint32_t));
    s_slots = hws_mem_zalloc((size_t)want->conns * want->out, sizeof(*s_slots));
    if (s_run.samples_ns == NULL || s_slots == NULL) {
        load_die("unary", "no memory");
    }
    load->ready = ready;
    load_run(load, want->conns);
    hws_mem_free(s_slots);
    hws_mem_free(s_run.samples_ns);
    hws_mem_free(s_run.blob);
}
