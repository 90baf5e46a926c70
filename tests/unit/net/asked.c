/* The calls of asked.h. */
#include "asked.h"

static void channel_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct asked *a = call->data;
    (void)bytes;
    a->n_bytes += n;
}

static void channel_close(struct hws_grpc_channel_call *call,
                          const struct hws_grpc_outcome *outcome)
{
    struct asked *a = call->data;
    a->closed = true;
    a->code = outcome->code;
}

enum hws_code channel_ask(struct hws_net_channel *channel, struct asked *a, bool wait_for_ready)
{
    *a = (struct asked){.call = {.path = "/t.Echo/Once",
                                 .request = "hello",
                                 .n_request = ASKED_BYTES,
                                 .timeout_ms = 15000,
                                 .wait_for_ready = wait_for_ready,
                                 .on_message = channel_message,
                                 .on_close = channel_close,
                                 .data = a}};
    return hws_net_channel_start(channel, &a->call, NULL);
}
