/* What the client makes of a server that misbehaves in HTTP/2 (negative.py): the negative cases of
 * gRPC's interop descriptions. */
#include "cases.h"
#include "net/channel.h"

#define N_CALLS 15u /* of max_streams, all at once */

static bool call(struct rig *rig, struct stream *s)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;

    payload.body.data = rig_zeros();
    payload.body.len = 1000;
    request.payload = &payload;
    request.response_size = 1000;
    return rig_start(rig, s, &(struct stream_options){.path = TEST_SERVICE "UnaryCall"}) &&
           rig_send(s, &request.base, false);
}

static bool answered(struct stream *s)
{
    return rig_end_with(s, HWS_GRPC_OK) &&
           rig_check(s->rig, s->n_messages == 1 && s->payload[0] == 1000, "1000 bytes");
}

/* ---- goaway: calls of a channel ---- */

struct asked {
    struct hws_grpc_channel_call call;
    enum hws_grpc_code code;
    bool closed;
};

static void asked_closed(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    struct asked *a = call->data;

    a->closed = true;
    a->code = outcome->code;
}

static bool ask(struct rig *rig, struct hws_net_channel *channel)
{
    struct asked a = {.call = {.path = TEST_SERVICE "UnaryCall",
                               .request = "",
                               .timeout_ms = RIG_TIMEOUT_MS,
                               .on_close = asked_closed}};
    struct hws_err err;

    a.call.data = &a;
    if (hws_net_channel_start(channel, &a.call, &err) != HWS_OK) {
        return rig_fail(rig, "start: %s", err.msg);
    }
    while (!a.closed) {
        (void)uv_run(&rig->loop, UV_RUN_ONCE); /* the deadline ends it */
    }
    return a.code == HWS_GRPC_OK ? true : rig_fail(rig, "status %s", hws_grpc_code_name(a.code));
}

static void channel_closed(struct hws_net_channel *channel)
{
    bool *closed = channel->data;
    *closed = true;
}

/* A GOAWAY after each answer: the next call goes over another connection, and none fails. */
bool case_http2_goaway(struct rig *rig)
{
    const struct hws_net_channel_config config = {.target = rig->target, .bundle = rig->bundle};
    static struct hws_net_channel channel;
    struct hws_err err;
    bool closed = false;

    if (hws_net_channel_open(&channel, &rig->net, &config, &err) != HWS_OK) {
        return rig_fail(rig, "channel: %s", err.msg);
    }
    channel.data = &closed;
    bool ok = true;
    for (int i = 0; ok && i < 3; i++) {
        ok = ask(rig, &channel);
    }
    hws_net_channel_close(&channel, channel_closed);
    while (!closed) {
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
    }
    return ok;
}

/* A reset by NO_ERROR before the status: the call has failed, whatever came before. */
static bool fails(struct rig *rig)
{
    struct stream s;

    return call(rig, &s) && rig_end_with(&s, HWS_GRPC_INTERNAL);
}

bool case_http2_rst_after_header(struct rig *rig)
{
    return fails(rig);
}

bool case_http2_rst_during_data(struct rig *rig)
{
    return fails(rig);
}

bool case_http2_rst_after_data(struct rig *rig)
{
    return fails(rig);
}

/* The server judges that each of its pings was answered once. */
bool case_http2_ping(struct rig *rig)
{
    struct stream s;

    return call(rig, &s) && answered(&s) && call(rig, &s) && answered(&s);
}

/* The server allows one stream; the first call learns it. */
bool case_http2_max_streams(struct rig *rig)
{
    static struct stream all[N_CALLS];
    struct stream first;
    bool ok = call(rig, &first) && answered(&first);

    for (size_t i = 0; ok && i < N_CALLS; i++) {
        ok = call(rig, &all[i]);
    }
    for (size_t i = 0; ok && i < N_CALLS; i++) {
        ok = answered(&all[i]);
    }
    return ok;
}
