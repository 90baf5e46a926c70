/* Counting handles until the last is closed. */
#include "net/closer.h"

#include "base/assert.h"

void hws_net_closer_hold(struct hws_net_closer *c)
{
    c->n_held++;
}

void hws_net_closer_drop(struct hws_net_closer *c)
{
    hws_assert(c->n_held > 0);
    c->n_held--;
    if (c->closing && c->n_held == 0) {
        c->closed(c);
    }
}

static void handle_closed(uv_handle_t *handle)
{
    hws_net_closer_drop(handle->data);
}

void hws_net_closer_handle(struct hws_net_closer *c, uv_handle_t *handle)
{
    hws_assert(handle->data == c);
    uv_close(handle, handle_closed);
}

void hws_net_closer_close(struct hws_net_closer *c, void (*closed)(struct hws_net_closer *self))
{
    hws_assert(!c->closing);
    c->closing = true;
    c->closed = closed;
    hws_net_closer_hold(c);
    hws_net_closer_drop(c);
}
