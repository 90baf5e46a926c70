/* A token bucket on the caller's millisecond clock. Plain data, no allocation, one thread. */
#ifndef HWS_GRPC_RATE_H
#define HWS_GRPC_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct hws_grpc_rate {
    uint32_t burst;        /* tokens of a full bucket */
    uint32_t per_s;        /* refill */
    uint64_t milli_tokens; /* left, in thousandths */
    uint64_t at_ms;        /* when it was last filled */
};

/* A full bucket. */
void hws_grpc_rate_init(struct hws_grpc_rate *r, uint32_t burst, uint32_t per_s, uint64_t now_ms);

/* Takes one token, or n; false, and nothing is taken, when there are not so many. now_ms never goes
 * back. */
bool hws_grpc_rate_take(struct hws_grpc_rate *r, uint64_t now_ms) HWS_MUST_USE;
bool hws_grpc_rate_take_n(struct hws_grpc_rate *r, uint32_t n, uint64_t now_ms) HWS_MUST_USE;

/* True if the bucket is full at now_ms: forgetting it changes nothing. */
bool hws_grpc_rate_full(const struct hws_grpc_rate *r, uint64_t now_ms);

#endif
