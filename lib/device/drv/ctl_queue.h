/*
 * A control channel over our own command queue, on any port to a card (ifc/bar.h): waits until the
 * card is ready, opens the queue, brings the card up as a driver does, and then passes calls
 * through. A card that resets is brought up again; meanwhile calls are refused with HWS_E_GONE.
 *
 * Thread rule: the owner's thread. The owner embeds the struct; the port outlives it. There is no
 * descriptor to poll: turn says when it wants to be called.
 */
#ifndef HWS_DRV_CTL_QUEUE_H
#define HWS_DRV_CTL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/trace.h"
#include "cmdq/bringup.h"
#include "cmdq/queue.h"
#include "ifc/bar.h"
#include "ifc/call.h"

#define HWS_CTL_QUEUE_STEP_MS  5000u /* per command of bring-up and teardown */
#define HWS_CTL_QUEUE_RETRY_MS 1000u /* after a failed bring-up */

enum hws_ctl_queue_state {
    HWS_CTL_QUEUE_CLOSED,   /* zeroed, or closed */
    HWS_CTL_QUEUE_WAITING,  /* for the card to be ready */
    HWS_CTL_QUEUE_STARTING, /* bring-up commands run */
    HWS_CTL_QUEUE_UP,
    HWS_CTL_QUEUE_STOPPING, /* teardown commands run */
    HWS_CTL_QUEUE_LEAVING   /* the queue is being closed */
};

struct hws_ctl_queue {
    struct hws_ctl ctl;  /* first */
    struct hws_bar *bar; /* borrowed */
    struct hws_cmdq_config config;
    enum hws_ctl_queue_state state;
    bool closing;        /* close was called: LEAVING ends in CLOSED, not in WAITING */
    bool queue_closed;   /* the queue has said so */
    bool failed;         /* the last bring-up failed; `why` */
    struct hws_err why;  /* why it is not UP */
    uint64_t retry_ms;   /* WAITING: not before */
    uint64_t give_up_ms; /* WAITING: the card should be ready by then */
    struct hws_cmdq q;
    struct hws_cmdq_bringup bringup;
    struct hws_ctl_call step;                  /* of bring-up or teardown */
    bool step_out;                             /* it is with the queue */
    void (*on_state)(struct hws_ctl_queue *c); /* inside turn: UP came or went; may be NULL */
    void (*closed)(struct hws_ctl *ctl);
};

/* Starts to wait for the card. config may be NULL. Nothing is allocated before the first turn. */
void hws_ctl_queue_init(struct hws_ctl_queue *c, struct hws_bar *bar,
                        const struct hws_cmdq_config *config,
                        void (*on_state)(struct hws_ctl_queue *c), void *data);

/* After closed() has run. Accepts a zeroed one. */
void hws_ctl_queue_deinit(struct hws_ctl_queue *c);

bool hws_ctl_queue_is_up(const struct hws_ctl_queue *c);

#endif
