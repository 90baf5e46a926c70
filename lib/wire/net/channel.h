/*
 * A channel over sockets: resolves a name, connects to its addresses as calls need it, and lets
 * grpc/channel.h place the calls. TCP with mutual TLS, or a Unix socket. Instead of a name there
 * may be a list of addresses, over which calls go in the same way.
 *
 * The name is resolved at the first call, and again after a connection was lost or refused, at most
 * every HWS_NET_RESOLVE_MS; a name that was not found rests for backoff_min_ms, twice that and so
 * on up to backoff_max_ms, or HWS_NET_RESOLVE_MS if that is less, and is looked at while calls
 * wait. An address that the name still has keeps its connection or its rest, wherever it stands
 * now; the connections of one that it has no more are drained.
 */
#ifndef HWS_NET_CHANNEL_H
#define HWS_NET_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "grpc/channel.h"
#include "net/closer.h"
#include "net/net.h"
#include "tls/bundle.h"

#define HWS_NET_RESOLVE_MS    30000u /* grpc-go's least time between two looks at a name */
#define HWS_NET_ADDRESS_BYTES 320u   /* "host:port", "[v6]:port" or "unix:/path" */

struct hws_net_channel_config {
    const char *target; /* "host:port", "[v6]:port", "unix:/path", or several numeric addresses
                           that serve the same: "192.0.2.1:443,[2001:db8::1]:443" (at most
                           HWS_GRPC_CHANNEL_ADDRESSES); borrowed until closed */
    struct hws_tls_bundle *bundle; /* TCP: required; a reference is taken */
    const char *expect;            /* as in net/dial.h; borrowed until closed */
    uint32_t timeout_ms;           /* of connecting to one address; 0 = HWS_NET_DIAL_TIMEOUT_MS */
    const struct hws_grpc_limits *limits; /* read during open; NULL = the client's defaults */
    const char *user_agent;               /* NULL = the library's own; borrowed until closed */
    uint32_t backoff_min_ms;              /* 0 = HWS_GRPC_CHANNEL_BACKOFF_MIN_MS */
    uint32_t backoff_max_ms;              /* 0 = HWS_GRPC_CHANNEL_BACKOFF_MAX_MS */
};

struct hws_net_channel {
    struct hws_net_closer closer;
    struct hws_net *net; /* borrowed */
    struct hws_net_channel_config config;
    struct hws_grpc_limits limits;
    struct hws_grpc_channel calls;
    uv_timer_t timer; /* turns */
    uv_getaddrinfo_t resolve;
    bool fixed; /* the target is no name: its addresses are what they are */
    bool resolving;
    bool going;              /* close was called */
    bool stale;              /* a connection failed since the name was resolved */
    uint64_t resolved_at_ms; /* 0 = never */
    uint32_t unknown_ms;     /* the rest of a name that is not found; 0: it was found */
    char addresses[HWS_GRPC_CHANNEL_ADDRESSES][HWS_NET_ADDRESS_BYTES];
    uint32_t n_addresses;
    struct hws_list conns; /* owned: every connection, or attempt at one */
    void (*closed)(struct hws_net_channel *channel);
    void *data; /* the owner's */
};

/* Connects to nothing yet. HWS_E_INVALID for a target of another form, a path that is too long for
 * a socket, too many addresses, or TCP without a bundle; HWS_E_IO; then nothing is held. */
enum hws_code hws_net_channel_open(struct hws_net_channel *channel, struct hws_net *net,
                                   const struct hws_net_channel_config *config, struct hws_err *err)
    HWS_MUST_USE;

/* HWS_E_BUSY over HWS_GRPC_CHANNEL_WAITING, HWS_E_STATE after close. Send, half-close and cancel
 * with the functions of grpc/channel.h. */
enum hws_code hws_net_channel_start(struct hws_net_channel *channel,
                                    struct hws_grpc_channel_call *call, struct hws_err *err)
    HWS_MUST_USE;

/* Ends every call CANCELLED and every connection, then calls closed (may be NULL) once, never
 * inside. Then nothing refers to the channel, which may be freed in closed, and without other
 * users net may go, too. A look at a name that the system has begun is waited for. Once only; also
 * from inside a callback of a call. */
void hws_net_channel_close(struct hws_net_channel *channel,
                           void (*closed)(struct hws_net_channel *channel));

#endif
