/*
 * What the connections of one libuv loop share: the loop, read buffers, limits and counters. One
 * per loop; a program with one loop has one.
 *
 * A program that uses this layer ignores SIGPIPE: a write to a peer that has gone is an error here.
 * Thread rule: everything in lib/wire/net belongs to the loop's thread. struct hws_net outlives its
 * listeners, dials and connections.
 */
#ifndef HWS_NET_NET_H
#define HWS_NET_NET_H

#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "grpc/limits.h"
#include "grpc/spares.h"
#include "tls/reason.h"

#define HWS_NET_READ_BYTES     ((size_t)256 * 1024) /* one read of the transport */
#define HWS_NET_PLAIN_BYTES    ((size_t)128 * 1024) /* one decrypted run; both stay in cache */
#define HWS_NET_UNSENT_BYTES   ((size_t)64 * 1024) /* above this nothing more is read from a peer */
#define HWS_NET_PEER_BYTES     128u                /* peer address as text */
#define HWS_NET_PROGRESS_MS    60000u /* a dialed connection whose write moves nothing ends */
#define HWS_NET_LINGER_MS      1000u  /* after our end the peer's bytes are dropped so long, */
#define HWS_NET_LINGER_BYTES   ((size_t)4 * 1024 * 1024) /* or so many of them */
#define HWS_NET_SPARE_BUFS     4u /* output buffers kept for the next write, of at most */
#define HWS_NET_SPARE_BYTES    ((size_t)576 * 1024) /* so many bytes each */
#define HWS_NET_CLOSE_GRACE_MS 1000u /* for close_notify and the last GOAWAY to leave */

/* Counters, only ever growing; names in net_stats.def. */
struct hws_net_stats {
#define HWS_NET_STAT(name, text) uint64_t name;
#include "net/net_stats.def"
#undef HWS_NET_STAT
    uint64_t handshakes_refused[HWS_TLS_N_REASONS]; /* by reason */
    struct hws_grpc_stats grpc;                     /* of all connections together */
};

struct hws_net {
    uv_loop_t *loop;                          /* borrowed */
    uint8_t *read;                            /* owned: HWS_NET_READ_BYTES from the transport */
    uint8_t *plain;                           /* owned: HWS_NET_PLAIN_BYTES decrypted */
    struct hws_buf spare[HWS_NET_SPARE_BUFS]; /* owned: empty output buffers */
    uint32_t n_spare;
    struct hws_grpc_spares grpc_spares; /* owned: of all engines */
    struct hws_net_stats stats;
};

/* Allocates the read buffers. HWS_E_NOMEM; then nothing is held. */
enum hws_code hws_net_init(struct hws_net *net, uv_loop_t *loop, struct hws_err *err) HWS_MUST_USE;

/* Frees them. No connection may be left. Accepts a zeroed one. */
void hws_net_deinit(struct hws_net *net);

/* Milliseconds on the loop's clock: what the engines get as now_ms. */
uint64_t hws_net_now_ms(const struct hws_net *net);

/* Seconds since 1970: what certificates are judged by. */
uint64_t hws_net_now_s(void);

/* A libuv error as ours: HWS_E_GONE for a peer that is away, HWS_E_TIMEOUT, HWS_E_NOMEM, HWS_E_BUSY
 * for exhausted descriptors, else HWS_E_IO; the text is "<what>: <libuv's text>". */
enum hws_code hws_net_fail(struct hws_err *err, int uv_status, const char *what);

#endif
