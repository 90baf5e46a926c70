/*
 * Message credit of one call: each end may send only as many messages as the other has granted, so
 * neither queues without bound. Both directions start with HWS_LINK_FIRST_CREDIT. A message of many
 * fragments costs one. Pure counters.
 */
#ifndef HWS_LINK_CREDIT_H
#define HWS_LINK_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_LINK_FIRST_CREDIT 4u
#define HWS_LINK_CREDIT_CAP   65536u /* most unused credit either way */

struct hws_link_credit {
    uint32_t send; /* messages we may still send */
    uint32_t recv; /* messages the peer may still send */
};

void hws_link_credit_init(struct hws_link_credit *c);

/* True if a message may be sent now. */
bool hws_link_credit_may_send(const struct hws_link_credit *c);

/* Counts a message sent; may_send must hold. */
void hws_link_credit_sent(struct hws_link_credit *c);

/* The peer granted n more. HWS_E_PROTO if that is 0 or exceeds the cap. */
enum hws_code hws_link_credit_granted(struct hws_link_credit *c, uint32_t n, struct hws_err *err);

/* The peer began a message. HWS_E_PROTO if it had no credit left. */
enum hws_code hws_link_credit_received(struct hws_link_credit *c, struct hws_err *err);

/* We grant n more: counts them; the caller sends CREDIT. n + recv must not exceed the cap. */
void hws_link_credit_give(struct hws_link_credit *c, uint32_t n);

#endif
