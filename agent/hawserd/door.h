/*
 * RUN/hawserd.sock: where hawser-wire and the device process come in. A visitor must be of our own
 * user, says HELLO within a second, and is handed to the channel of its role. Its process id is the
 * kernel's word, not HELLO's: it will be signalled by it.
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_DOOR_H
#define HWS_HAWSERD_DOOR_H

#include <stdbool.h>

#include <uv.h>

#include "base/err.h"
#include "link/packet.h"

#define HWS_DOOR_MAX_VISITORS 8u    /* connected without HELLO at once */
#define HWS_DOOR_HELLO_MS     1000u /* to say it */

struct hws_agent;

struct hws_visitor {
    struct hws_door *door;
    int fd;          /* -1 = free */
    uv_poll_t *poll; /* owned; freed by its close callback */
    uint64_t until_ms;
    uint32_t pid; /* by the kernel */
};

struct hws_door {
    struct hws_agent *agent; /* borrowed */
    int fd;                  /* -1 = closed */
    uv_poll_t poll;
    uv_timer_t timer; /* runs only while somebody has not said HELLO */
    struct hws_visitor visitors[HWS_DOOR_MAX_VISITORS];
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

/* Listens at path, or on the listener that was passed for it (-1: none). HWS_E_EXISTS: somebody
 * does already; HWS_E_IO. */
enum hws_code hws_door_open(struct hws_door *d, struct hws_agent *agent, const char *path,
                            int listener, struct hws_err *err) HWS_MUST_USE;
void hws_door_close(struct hws_door *d);

#endif
