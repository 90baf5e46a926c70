/*
 * What a command costs through the command queue and the emulated adapter: entry, mailboxes, token,
 * signatures, doorbell, execution, ownership bit, event and completion, in one thread and virtual
 * time; by bytes each way and by commands in flight. Beside it the floor: the same bytes copied and
 * checksummed once each way, without a queue; as many places as there are commands in flight, so
 * that both need the same cache.
 *
 *     bench_cmdq PROFILE.yaml [ROUNDS]   "name value unit floor" lines: the median of the rounds
 *     bench_cmdq PROFILE.yaml count      runs each load once, for a profiler that counts run_load
 * and run_floor; prints "name commands" lines in that order
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "base/bits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmdq/bringup.h"
#include "cmdq/queue.h"
#include "emu/port.h"
#include "ifc/sig.h"

#define OP_NOP        0x80du
#define MAX_ROUNDS    101u
#define MAX_DEPTH     31u
#define MAX_BYTES     65536u
#define DEADLINE_MS   UINT64_C(1000000000)
#define PROFILE_BYTES 65536u
#define NS_PER_S      1000000000u
#define N_OF(rows)    (sizeof(rows) / sizeof((rows)[0]))

struct load {
    const char *name;
    uint32_t bytes; /* each way */
    uint32_t n_timed;
    uint32_t n_counted;
};

static const struct load loads[] = {
    {"16b", 16, 20000, 310},
    {"256b", 256, 10000, 310},
    {"64k", MAX_BYTES, 310, 31},
};
static const uint32_t depths[] = {1, 8, MAX_DEPTH};

struct state {
    struct hws_cmdq *queue;
    uint32_t left; /* still to submit */
    uint32_t n_done;
    uint32_t n_failed;
};

static uint8_t inbox[MAX_BYTES];
static uint8_t outboxes[MAX_DEPTH][MAX_BYTES];
static uint8_t staged_in[MAX_DEPTH][MAX_BYTES]; /* as the mailboxes of the commands in flight */
static uint8_t staged_out[MAX_DEPTH][MAX_BYTES];

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

static void submit(struct state *s, struct hws_ctl_call *call)
{
    struct hws_err err;

    s->left--;
    if (hws_cmdq_submit(s->queue, call, &err) != HWS_OK) {
        die("submit", &err);
    }
}

static void done(struct hws_ctl_call *call)
{
    struct state *s = call->data;

    s->n_done++;
    s->n_failed += call->err.code == HWS_OK ? 0u : 1u;
    if (s->left > 0) {
        submit(s, call);
    }
}

/* n commands of that many bytes each way, `depth` of them in flight. A profiler counts from here.
 */
HWS_NOINLINE static void run_load(struct hws_cmdq *queue, uint32_t bytes, uint32_t depth,
                                  uint32_t n)
{
    struct hws_ctl_call calls[MAX_DEPTH] = {0};
    struct state s = {.queue = queue, .left = n};

    for (uint32_t i = 0; i < depth; i++) {
        calls[i].in = inbox;
        calls[i].in_bytes = bytes;
        calls[i].out = outboxes[i];
        calls[i].out_cap_bytes = bytes;
        calls[i].scope = HWS_SCOPE_DEBUG_READ;
        calls[i].deadline_ms = DEADLINE_MS;
        calls[i].cb = done;
        calls[i].data = &s;
        submit(&s, &calls[i]);
    }
    while (s.n_done < n) {
        (void)hws_cmdq_turn(queue, 10);
    }
    if (s.n_failed > 0) {
        die("commands failed", NULL);
    }
}

/* The same bytes, copied and checksummed once each way, `depth` commands at a time. */
HWS_NOINLINE static void run_floor(uint32_t bytes, uint32_t depth, uint32_t n)
{
    volatile uint8_t sum;

    for (uint32_t i = 0; i < n; i += depth) {
        uint32_t n_here = n - i < depth ? n - i : depth;
        for (uint32_t k = 0; k < n_here; k++) {
            memcpy(staged_in[k], inbox, bytes);
            sum = hws_sig_xor(staged_in[k], bytes);
        }
        for (uint32_t k = 0; k < n_here; k++) {
            memcpy(outboxes[k], staged_out[k], bytes);
            sum = hws_sig_xor(outboxes[k], bytes);
        }
    }
    (void)sum;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *rounds, uint32_t n)
{
    qsort(rounds, n, sizeof(rounds[0]), by_value);
    return rounds[n / 2];
}

/* Queue and floor in turn, so that a busy machine slows both. */
static void measure(struct hws_cmdq *queue, const struct load *load, uint32_t depth,
                    uint32_t n_rounds)
{
    double queued[MAX_ROUNDS];
    double floors[MAX_ROUNDS];

    run_load(queue, load->bytes, depth, load->n_timed); /* warm */
    for (uint32_t i = 0; i < n_rounds; i++) {
        uint64_t began = now_ns();
        run_load(queue, load->bytes, depth, load->n_timed);
        uint64_t between = now_ns();
        run_floor(load->bytes, depth, load->n_timed);
        queued[i] = (double)(between - began) / load->n_timed;
        floors[i] = (double)(now_ns() - between) / load->n_timed;
    }
    (void)printf("cmdq.%s.d%u.ns %.1f ns %.1f\n", load->name, depth, median(queued, n_rounds),
                 median(floors, n_rounds));
}

/* Nothing but the loads and their floors, one after the other; their names when all have run. */
static void count_all(struct hws_cmdq *queue)
{
    for (size_t i = 0; i < N_OF(loads); i++) {
        for (size_t k = 0; k < N_OF(depths); k++) {
            run_load(queue, loads[i].bytes, depths[k], loads[i].n_counted);
            run_floor(loads[i].bytes, depths[k], loads[i].n_counted);
        }
    }
    run_floor(1, 1, 1); /* where the floor of the last load ends */
    for (size_t i = 0; i < N_OF(loads); i++) {
        for (size_t k = 0; k < N_OF(depths); k++) {
            (void)printf("cmdq.%s.d%u.instr %u\n", loads[i].name, depths[k], loads[i].n_counted);
        }
    }
}

static void measure_all(struct hws_cmdq *queue, uint32_t n_rounds)
{
    for (size_t i = 0; i < N_OF(loads); i++) {
        for (size_t k = 0; k < N_OF(depths); k++) {
            measure(queue, &loads[i], depths[k], n_rounds);
        }
    }
}

static void bring_up(struct hws_cmdq *queue, struct hws_cmdq_bringup *up, struct hws_bar *bar)
{
    struct state s = {.queue = queue};

    hws_cmdq_bringup_init(up, bar, &queue->events, 0, 0);
    for (;;) {
        struct hws_ctl_call call = {.cb = done, .data = &s};
        struct hws_err err;
        enum hws_step step = hws_cmdq_bringup_next(up, 10, &call);
        if (step == HWS_STEP_DONE) {
            return;
        }
        if (step == HWS_STEP_FAILED || hws_cmdq_submit(queue, &call, &err) != HWS_OK) {
            die("bring-up", step == HWS_STEP_FAILED ? &up->err : &err);
        }
        for (s.n_done = 0; s.n_done == 0;) {
            (void)hws_cmdq_turn(queue, 10);
        }
        hws_cmdq_bringup_feed(up, &call);
    }
}

int main(int argc, char **argv)
{
    static struct hws_emu_profile profile;
    static struct hws_emu_port port;
    static struct hws_cmdq queue;
    static struct hws_cmdq_bringup up;
    static char text[PROFILE_BYTES];
    static const struct hws_cmdq_config config = {.events = true}; /* as hawser-emu has it */
    struct hws_err err;

    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (f == NULL) {
        (void)fprintf(stderr, "usage: bench_cmdq PROFILE.yaml [ROUNDS | count]\n");
        return 2;
    }
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    bool counts = argc > 2 && hws_str_eq(argv[2], "count");
    unsigned long n_rounds = argc > 2 && !counts ? strtoul(argv[2], NULL, 10) : 5;
    n_rounds = n_rounds < 1 || n_rounds > MAX_ROUNDS ? 5 : n_rounds;
    if (hws_emu_profile_parse(text, n, &profile, &err) != HWS_OK ||
        hws_emu_port_init(&port, &profile, NULL, NULL, 0, 0, &err) != HWS_OK) {
        die("profile", &err);
    }
    (void)hws_emu_turn(&port.emu, 10);
    if (hws_cmdq_open(&queue, &port.bar, &config, 10, &err) != HWS_OK) {
        die("queue", &err);
    }
    bring_up(&queue, &up, &port.bar);
    hws_store_be16(inbox, OP_NOP);
    if (counts) {
        count_all(&queue);
    } else {
        measure_all(&queue, (uint32_t)n_rounds);
    }
    hws_cmdq_close(&queue, NULL);
    (void)hws_cmdq_turn(&queue, 20);
    hws_cmdq_deinit(&queue);
    hws_cmdq_bringup_deinit(&up);
    hws_emu_port_deinit(&port);
    hws_emu_profile_deinit(&profile);
    return 0;
}
