/*
 * The load client's parts: connections that come up one after another (load_conns.c) and what is
 * done with them once they are up (load_unary.c, load_pour.c, load_hold.c). One thread, one loop,
 * one struct load; a failure ends the program with a text.
 */
#ifndef HWS_TESTS_BENCH_LOAD_H
#define HWS_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "grpc/call.h"
#include "net/dial.h"
#include "net/net.h"

#define LOAD_NS_PER_S   1000000000u
#define LOAD_NS_PER_MS  1000000u
#define LOAD_AT_ONCE    16u
#define LOAD_TIMEOUT_MS 20000u /* of each unary call: every call carries a deadline */

struct load;

struct load_conn {
    struct load *load;
    struct hws_net_conn *net; /* NULL while there is none */
    uv_timer_t timer;         /* ready is due, or the next dial is */
    bool ready;
    bool served; /* storm: answered since it was lost */
    uint32_t n_tries;
    uint32_t idx;
};

struct load {
    uv_loop_t loop;
    struct hws_net net;
    struct hws_tls_bundle *bundle;
    const char *target;
    long pid; /* of the server; what it costs is read from the kernel */
    struct load_conn *conns;
    uint32_t n_conns;
    uint32_t n_at_once; /* dialled before the first is up */
    uint32_t n_dialed;
    uint32_t n_ready;
    bool closing;
    /* Called for a connection that takes calls, each time it came up. */
    void (*ready)(struct load_conn *c);
    /* One that was up or could not come up is gone. NULL: that ends the program. */
    void (*lost)(struct load_conn *c, const struct hws_err *why);
};

_Noreturn void load_die(const char *what, const char *why);
uint64_t load_now_ns(void);

/* CPU nanoseconds, and resident kB, of the server. */
uint64_t load_server_cpu_ns(const struct load *load);
uint64_t load_server_rss_kb(const struct load *load);

/* Makes n connections, a few at a time, and runs the loop until all is closed. */
void load_run(struct load *load, uint32_t n);

/* Dials up to n of those that were never dialled. */
void load_dial_more(struct load *load, uint32_t n);

/* Dials c now, or in a while. */
void load_dial(struct load_conn *c);
void load_dial_later(struct load_conn *c, uint64_t ms);

/* Closes every connection; load_run returns. */
void load_close(struct load *load);

/* A Blob of n bytes as it goes over the wire; freed with hws_mem_free. */
uint8_t *load_blob(size_t n, size_t *out_n);

/* Starts an Echo of the packed bytes; ops as for any call. */
struct hws_grpc_call *load_echo(struct load_conn *c, const struct hws_grpc_call_ops *ops,
                                const uint8_t *blob, size_t n, void *data);

/* ---- what may be done; each runs to its end ---- */

struct load_unary {
    uint32_t conns;
    uint32_t out; /* calls under way on each */
    uint32_t bytes;
    uint32_t warm_ms;
    uint32_t ms;
};
void load_unary(struct load *load, const struct load_unary *want);

struct load_pour {
    uint32_t conns; /* a stream on each */
    uint32_t chunk_bytes;
    uint64_t total_bytes;
};
void load_pour(struct load *load, const struct load_pour *want);

/* Opens n, makes one call on each, waits until the server has given its buffers back: what one
 * costs. */
void load_hold(struct load *load, uint32_t n);

/* Opens n, prints "held", waits until the server ends, then has all of them back. */
void load_storm(struct load *load, uint32_t n);

#endif
