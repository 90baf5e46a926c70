/* What the client makes of a server that misbehaves in HTTP/2 (negative.py): the negative cases of
 * gRPC's interop descriptions. */
#include "cases.h"

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

/* A GOAWAY after each answer: the next call goes over another connection, and none fails. */
bool case_http2_goaway(struct rig *rig)
{
    struct stream s;

    for (int i = 0; i < 3; i++) {
        if (!call(rig, &s) || !answered(&s)) {
            return false;
        }
    }
    return true;
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
