/*
 * The event queue by which a card says which commands it has finished, seen from the driver: one
 * page of entries that the card fills and we read. An entry is ours to read when its owner bit is
 * the parity of our lap around the ring.
 *
 * What it says is a hint and nothing else: the command's own entry decides whether it is finished,
 * so that a card that lies here can do no more than make us look.
 *
 * Thread rule: the queue's thread. The owner embeds the struct; bar outlives it.
 */
#ifndef HWS_CMDQ_EVENT_H
#define HWS_CMDQ_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ifc/bar.h"

#define HWS_CMDQ_LOG_EVENTS 6u /* entries of the ring: one page, two for each slot */

struct hws_cmdq_events {
    struct hws_bar *bar; /* borrowed */
    struct hws_dma ring; /* owned; zeroed: there is no event queue */
    uint32_t uar;        /* doorbell page */
    uint32_t consumed;   /* entries read since it was created */
    uint8_t number;      /* the card's, of CREATE_EQ */
    bool on;             /* the card posts events here; else completions are polled for */
};

/* Makes a ring that the card does not know yet. The port's errors; a failed open needs no undo. */
enum hws_code hws_cmdq_events_open(struct hws_cmdq_events *ev, struct hws_bar *bar,
                                   struct hws_err *err) HWS_MUST_USE;

/* The card has created it under that number, doorbells in that page: arms it. */
void hws_cmdq_events_start(struct hws_cmdq_events *ev, uint8_t number);

/* From now on completions are polled for; before the card is told to destroy it. */
void hws_cmdq_events_stop(struct hws_cmdq_events *ev);

/* Takes what the card has posted, tells it so and arms again; bit i: command slot i. */
uint32_t hws_cmdq_events_take(struct hws_cmdq_events *ev);

/* Frees the ring; the card loses it, too. Accepts a zeroed one. */
void hws_cmdq_events_deinit(struct hws_cmdq_events *ev);

#endif
