/* Addresses as text: "127.0.0.1:7654", "[::1]:7654". */
#ifndef HWS_NET_ADDRESS_PRIV_H
#define HWS_NET_ADDRESS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/err.h"
#include "net/net.h"

#define HWS_NET_HOST_BYTES 256u

/* Splits "host:port" or "[v6]:port". HWS_E_INVALID for another form or a port over 65535. */
enum hws_code hws_net__address_split(const char *text, char *host, size_t host_cap, char *port,
                                     size_t port_cap, struct hws_err *err) HWS_MUST_USE;

/* A numeric address and port. HWS_E_INVALID. */
enum hws_code hws_net__address_parse(const char *text, struct sockaddr_storage *out,
                                     struct hws_err *err) HWS_MUST_USE;

/* The path of "unix:/path", within text; NULL with HWS_E_INVALID in err when it is longer than a
 * socket's name may be (the system would cut it). */
const char *hws_net__unix_path(const char *text, struct hws_err *err);

/* The peer's end of a TCP handle as text; "unknown" or "unix" when there is none. key
 * is what the peer is counted under: its address without the port, of IPv6 the /64 it is in (a v4
 * address within v6 as itself). */
void hws_net__peer_address(const uv_tcp_t *tcp, bool is_tcp, char key[HWS_NET_PEER_BYTES],
                           char *out, size_t cap);
void hws_net__address_key(const struct sockaddr_storage *addr, char key[HWS_NET_PEER_BYTES]);

/* Our own end of it; libuv's code, also of a bind that failed before, and then out is not written.
 */
int hws_net__local_address(const uv_tcp_t *tcp, char *out, size_t cap);

#endif
