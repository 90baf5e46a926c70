/*
 * The one load client, for our server and its peers alike: mutual TLS, one thread.
 *
 *     bench_rpc_load ADDRESS CERT KEY CA SERVER_PID unary CONNS OUT BYTES WARM_MS MS
 *     bench_rpc_load ADDRESS CERT KEY CA SERVER_PID pour CONNS CHUNK_BYTES TOTAL_BYTES
 *     bench_rpc_load ADDRESS CERT KEY CA SERVER_PID hold CONNS
 *     bench_rpc_load ADDRESS CERT KEY CA SERVER_PID storm CONNS
 *
 * Prints "name value" lines. What the server spends is read from the kernel by its process id.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "load.h"
#include "pem.h"

#define MAX_CONNS 20000u
#define MAX_OUT   1024u
#define N_FIXED   7 /* arguments up to the mode */

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t n = 0;
    struct hws_err err;

    if (hws_str_to_u64(text, max, &n, &err) != HWS_OK || n == 0) {
        load_die(text, "not a number in range");
    }
    return n;
}

static uint32_t small(const char *text, uint32_t max)
{
    return (uint32_t)number(text, max);
}

static bool run(struct load *load, int n, char **args)
{
    const char *mode = args[-1];

    if (n == 5 && hws_str_eq(mode, "unary")) {
        const struct load_unary want = {small(args[0], MAX_CONNS), small(args[1], MAX_OUT),
                                        small(args[2], 1u << 20), small(args[3], 600000),
                                        small(args[4], 600000)};
        load_unary(load, &want);
    } else if (n == 3 && hws_str_eq(mode, "pour")) {
        const struct load_pour want = {small(args[0], MAX_CONNS), small(args[1], 1u << 20),
                                       number(args[2], UINT64_MAX)};
        load_pour(load, &want);
    } else if (n == 1 && hws_str_eq(mode, "hold")) {
        load_hold(load, small(args[0], MAX_CONNS));
    } else if (n == 1 && hws_str_eq(mode, "storm")) {
        load_storm(load, small(args[0], MAX_CONNS));
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct load load;
    struct hws_tls_rng *rng = NULL;
    struct hws_err err;

    if (argc <= N_FIXED) {
        (void)fprintf(stderr, "usage: bench_rpc_load ADDRESS CERT KEY CA SERVER_PID "
                              "unary|pour|hold|storm ...: see the source\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    bench_raise_descriptors();
    if (uv_loop_init(&load.loop) != 0 || hws_net_init(&load.net, &load.loop, &err) != HWS_OK ||
        hws_tls_rng_open(&rng, &err) != HWS_OK) {
        load_die("start", "no loop, memory or entropy");
    }
    load.target = argv[1];
    load.pid = (long)number(argv[5], INT32_MAX);
    load.bundle = bench_bundle(rng, argv[2], argv[3], argv[4]);
    if (!run(&load, argc - N_FIXED, argv + N_FIXED)) {
        load_die(argv[6], "no such measure, or another number of arguments");
    }
    hws_tls_bundle_unref(load.bundle);
    hws_net_deinit(&load.net);
    hws_tls_rng_free(rng);
    return uv_loop_close(&load.loop) == 0 ? 0 : 1;
}
