/*
 * Accepting peers off a listening socket. accept is called here and not by libuv, which calls it
 * again and again while it fails.
 *
 * Whoever comes meets the limits for which nothing need be read: connections in all and of an
 * address, handshakes begun in a second. Who may stay joins the gate (net/gate.h), or begins at
 * once on a Unix socket.
 *
 * Without descriptors, one kept in reserve is given up to accept and close the next peer. Where
 * that does not help, or accept fails for want of memory, the next is tried after
 * HWS_NET_ACCEPT_PAUSE_MS: peers wait in the kernel, those who are connected are served, and the
 * loop does not spin on a readable listener.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_NET_ACCEPT_H
#define HWS_NET_ACCEPT_H

#include <stdbool.h>

#include <uv.h>

#define HWS_NET_ACCEPTS         64u  /* in one turn of the loop */
#define HWS_NET_ACCEPT_PAUSE_MS 100u /* after accept has failed */

struct hws_net_accept {
    uv_os_fd_t fd;    /* listens; the listener's */
    uv_poll_t ready;  /* fd has a peer */
    uv_timer_t pause; /* runs while nobody is accepted because accept has failed */
    bool held;        /* nobody is accepted because the gate is full */
    int reserve_fd;   /* given up to shed load when descriptors run out; -1 = none */
};

#endif
