/*
 * net on real sockets: one loop, a listener over mutual TLS and one on a Unix socket that serve an
 * echo method, and clients. Names are resolved here, too: "several.test" has the addresses that the
 * test says. One world a program; its tests share the listeners, in their order.
 */
#ifndef HWS_TESTS_NET_WORLD_H
#define HWS_TESTS_NET_WORLD_H

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/client.h"
#include "grpc/server.h"
#include "net/channel.h"
#include "net/dial.h"
#include "net/listen.h"
#include "pki.h"
#include "test.h"

#define LIMIT_MS 20000u /* for anything that a test waits for */

struct end { /* one dialed connection, as its user sees it */
    struct hws_net_conn *conn;
    struct hws_grpc_unary unary;
    struct hws_buf answer;
    struct hws_err err;
    enum hws_grpc_code code;
    bool opened;
    bool closed;
    bool answered;
};

struct world {
    uv_loop_t loop;
    struct hws_net net;
    struct hws_grpc_server server;
    struct hws_net_listener tcp;
    struct hws_net_listener local;
    struct hws_tls_rng *rng;
    struct hws_tls_bundle *host;
    struct hws_tls_bundle *olga;
    uv_timer_t limit;
    char socket_path[96];
    char principal[HWS_TLS_PRINCIPAL_MAX_BYTES + 1]; /* of the last peer that opened */
    char refused[64];                                /* the reason of the last refusal */
    uint32_t n_server_closed;
    uint32_t keepalive_ms; /* of the server's connections; 0 = the default */
    uint32_t n_listeners_closed;
};

extern struct world world;
extern const struct hws_net_conn_ops server_ops;
extern const struct hws_net_conn_ops client_ops; /* owner: a struct end */

/* Fixtures of the program's group of tests. */
int setup(void **state);
int teardown(void **state);

/* Turns the loop until *flag. */
void run_until(const bool *flag);
/* For loops of a test's own: fails it after LIMIT_MS. */
void limit_begin(void);
void limit_end(void);

void dial(struct end *e, const char *target, struct hws_tls_bundle *bundle, const char *expect);
void start_echo(struct end *e, const void *bytes, size_t n);
void call_echo(struct end *e, const void *bytes, size_t n);
void hang_up(struct end *e);

/* A socket of somebody who connects to the TCP listener, from that address, and says nothing; the
 * kernel has him until the loop turns. */
int silent_stranger_from(const char *source);
int silent_stranger(void);

/* The callback of a unary call whose data is a struct end. */
void answered(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome);

/* A new bundle of the world's certificates. */
struct hws_tls_bundle *load(const char *name, const char *ca_name);
struct hws_tls_bundle *load_denying(const char *name, const char *ca_name, const char *deny);

/* "several.test" is these addresses, in this order. */
void answer_with(const char *const *addresses, const int *ports, int n);
int port_of(const char *address);

#endif
