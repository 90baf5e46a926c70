/* A unary call over a channel, as its caller sees it. */
#ifndef HWS_TESTS_ASKED_H
#define HWS_TESTS_ASKED_H

#include <stdbool.h>
#include <stddef.h>

#include "net/channel.h"

#define ASKED_BYTES 5u /* of the request, "hello", and of an echo's answer */

struct asked {
    struct hws_grpc_channel_call call;
    enum hws_grpc_code code; /* once closed */
    size_t n_bytes;          /* that have come */
    bool closed;
};

/* Asks /t.Echo/Once. Errors as hws_net_channel_start. */
enum hws_code channel_ask(struct hws_net_channel *channel, struct asked *a, bool wait_for_ready)
    HWS_MUST_USE;

#endif
