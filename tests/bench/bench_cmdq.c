/*
 * Nanoseconds per 16-byte command (NOP) through the command queue and the emulated adapter, by
 * commands in flight: entry, token, signature, doorbell, ownership bit and completion, in one
 * thread and virtual time. Prints "name value unit" lines: the median of the rounds.
 *
 *     bench_cmdq PROFILE.yaml [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bits.h"
#include "base/mem.h"
#include "cmdq/bringup.h"
#include "cmdq/queue.h"
#include "emu/port.h"

#define OP_NOP        0x80du
#define N_PER_ROUND   20000u
#define MAX_ROUNDS    101u
#define MAX_DEPTH     31u
#define DEADLINE_MS   UINT64_C(1000000000)
#define PROFILE_BYTES 65536u
#define NS_PER_S      1000000000u

struct load {
    struct hws_cmdq *queue;
    uint32_t left; /* still to submit */
    uint32_t n_done;
    uint32_t n_failed;
};

static void die(const char *what, const struct hws_err *err)
{
    (void)fprintf(stderr, "bench_cmdq: %s: %s\n", what, err == NULL ? "" : err->msg);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void submit(struct load *load, struct hws_ctl_call *call)
{
    struct hws_err err;

    load->left--;
    if (hws_cmdq_submit(load->queue, call, &err) != HWS_OK) {
        die("submit", &err);
    }
}

static void done(struct hws_ctl_call *call)
{
    struct load *load = call->data;

    load->n_done++;
    load->n_failed += call->err.code == HWS_OK ? 0u : 1u;
    if (load->left > 0) {
        submit(load, call);
    }
}

/* One round at one depth; nanoseconds per command. */
static double run_round(struct hws_cmdq *queue, uint32_t depth)
{
    static uint8_t in[HWS_CALL_MIN_BYTES];
    static uint8_t out[MAX_DEPTH][HWS_CALL_MIN_BYTES];
    struct hws_ctl_call calls[MAX_DEPTH] = {0};
    struct load load = {.queue = queue, .left = N_PER_ROUND};

    hws_store_be16(in, OP_NOP);
    uint64_t began = now_ns();
    for (uint32_t i = 0; i < depth; i++) {
        calls[i].in = in;
        calls[i].in_bytes = sizeof(in);
        calls[i].out = out[i];
        calls[i].out_cap_bytes = sizeof(out[i]);
        calls[i].scope = HWS_SCOPE_DEBUG_READ;
        calls[i].deadline_ms = DEADLINE_MS;
        calls[i].cb = done;
        calls[i].data = &load;
        submit(&load, &calls[i]);
    }
    while (load.n_done < N_PER_ROUND) {
        (void)hws_cmdq_turn(queue, 10);
    }
    uint64_t took = now_ns() - began;
    if (load.n_failed > 0) {
        die("commands failed", NULL);
    }
    return (double)took / N_PER_ROUND;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void bring_up(struct hws_cmdq *queue, struct hws_cmdq_bringup *up, struct hws_bar *bar)
{
    struct load load = {.queue = queue};

    hws_cmdq_bringup_init(up, bar, NULL, 0, 0);
    for (;;) {
        struct hws_ctl_call call = {.cb = done, .data = &load};
        struct hws_err err;
        enum hws_step step = hws_cmdq_bringup_next(up, 10, &call);
        if (step == HWS_STEP_DONE) {
            return;
        }
        if (step == HWS_STEP_FAILED || hws_cmdq_submit(queue, &call, &err) != HWS_OK) {
            die("bring-up", step == HWS_STEP_FAILED ? &up->err : &err);
        }
        for (load.n_done = 0; load.n_done == 0;) {
            (void)hws_cmdq_turn(queue, 10);
        }
        hws_cmdq_bringup_feed(up, &call);
    }
}

static void measure(struct hws_cmdq *queue, uint32_t depth, uint32_t n_rounds)
{
    double rounds[MAX_ROUNDS];

    (void)run_round(queue, depth); /* warm */
    for (uint32_t i = 0; i < n_rounds; i++) {
        rounds[i] = run_round(queue, depth);
    }
    qsort(rounds, n_rounds, sizeof(rounds[0]), by_value);
    (void)printf("cmdq.16b.d%u.ns %.0f ns\n", depth, rounds[n_rounds / 2]);
}

int main(int argc, char **argv)
{
    static struct hws_emu_profile profile;
    static struct hws_emu_port port;
    static struct hws_cmdq queue;
    static struct hws_cmdq_bringup up;
    static char text[PROFILE_BYTES];
    struct hws_err err;

    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (f == NULL) {
        (void)fprintf(stderr, "usage: bench_cmdq PROFILE.yaml [ROUNDS]\n");
        return 2;
    }
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    unsigned long n_rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    n_rounds = n_rounds < 1 || n_rounds > MAX_ROUNDS ? 5 : n_rounds;
    if (hws_emu_profile_parse(text, n, &profile, &err) != HWS_OK ||
        hws_emu_port_init(&port, &profile, NULL, NULL, 0, 0, &err) != HWS_OK) {
        die("profile", &err);
    }
    (void)hws_emu_turn(&port.emu, 10);
    if (hws_cmdq_open(&queue, &port.bar, NULL, 10, &err) != HWS_OK) {
        die("queue", &err);
    }
    bring_up(&queue, &up, &port.bar);
    measure(&queue, 1, (uint32_t)n_rounds);
    measure(&queue, MAX_DEPTH, (uint32_t)n_rounds);
    hws_cmdq_close(&queue, NULL);
    (void)hws_cmdq_turn(&queue, 20);
    hws_cmdq_deinit(&queue);
    hws_cmdq_bringup_deinit(&up);
    hws_emu_port_deinit(&port);
    hws_emu_profile_deinit(&profile);
    return 0;
}
