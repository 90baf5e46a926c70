/*
 * Who may begin a handshake. At most max_handshakes are under way, and max_handshakes_per_address
 * of one address; who comes later waits unread, which costs a descriptor and no CPU, and begins in
 * the order of coming. When HWS_NET_WAITING wait, nobody is accepted for a while: the others wait
 * in the kernel. Peers that come back all at once are so served one after another, and no handshake
 * is thrown away half done.
 *
 * Slow peers keep nobody out for long. A place that falls free goes to the address that has fewest.
 * When all are taken, an address that has too few takes one at once from the address that has most;
 * else the handshake that has been under way for longest is ended after a while, the patience:
 * HWS_NET_PATIENCE_MS, doubled by each peer that is identified, halved by each that was ended, so
 * that a crowd of strangers who say nothing passes as fast as it may come.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_NET_GATE_H
#define HWS_NET_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/list.h"

#define HWS_NET_PATIENCE_MS     3000u /* at first, and at most: a slow link and a loaded client */
#define HWS_NET_PATIENCE_MIN_MS 250u  /* two turns around the world */

#define HWS_NET_WAITING 256u /* one address cannot be so many: max_conns_per_address */

struct hws_net_gate {
    struct hws_list begun;   /* hws_net_conn.gate: handshakes under way, oldest first */
    struct hws_list waiting; /* hws_net_account.turn: addresses of those who wait, next first */
    uint32_t n_begun;
    uint32_t n_waiting; /* connections */
    uint32_t patience_ms;
    uv_timer_t timer;
};

#endif
