/*
 * Counts the handles and requests of one object, so that its owner hears once when nothing refers
 * to it any more. Close every handle through it; hold and drop around requests.
 */
#ifndef HWS_NET_CLOSER_H
#define HWS_NET_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct hws_net_closer {
    uint32_t n_held;                             /* open handles and running requests */
    bool closing;                                /* hws_net_closer_close was called */
    void (*closed)(struct hws_net_closer *self); /* last: may free the object */
};

/* One more handle or request. */
void hws_net_closer_hold(struct hws_net_closer *c);

/* One less; calls closed if closing and it was the last. Nothing may be touched after it. */
void hws_net_closer_drop(struct hws_net_closer *c);

/* Closes an initialised handle that was held; its handle->data must be the closer. */
void hws_net_closer_handle(struct hws_net_closer *c, uv_handle_t *handle);

/* Says that everything has been asked to close; closed comes when the last is dropped, maybe now.
 */
void hws_net_closer_close(struct hws_net_closer *c, void (*closed)(struct hws_net_closer *self));

#endif
