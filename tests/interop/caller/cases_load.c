/* Many calls at once, many calls, many connections. */
#include <inttypes.h>

#include "base/mem.h"
#include "cases.h"

#define SOAK_MAX_MS 1000u /* of one iteration, the default of the descriptions */

static const struct stream_options unary = {.path = TEST_SERVICE "UnaryCall"};

static Grpc__Testing__SimpleRequest large(Grpc__Testing__Payload *payload)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;

    *payload = (Grpc__Testing__Payload)GRPC__TESTING__PAYLOAD__INIT;
    payload->body.data = rig_zeros();
    payload->body.len = 271828;
    request.payload = payload;
    request.response_size = 314159;
    return request;
}

bool case_concurrent_large_unary(struct rig *rig)
{
    Grpc__Testing__Payload payload;
    Grpc__Testing__SimpleRequest request = large(&payload);
    struct stream *all = hws_mem_zalloc(rig->n_calls, sizeof(*all));
    bool ok = rig_check(rig, all != NULL, "memory");
    uint32_t n = 0;

    for (; ok && n < rig->n_calls; n++) {
        struct stream_options options = unary;
        options.timeout_ms = (uint64_t)RIG_TIMEOUT_MS * 6; /* the peer takes them in turns */
        ok = rig_start(rig, &all[n], &options);
        ok = ok && rig_send(&all[n], &request.base, false);
    }
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = rig_end_with(&all[i], HWS_GRPC_OK) &&
             rig_check(rig, all[i].payload[0] == 314159, "314159 bytes");
    }
    if (!ok) {
        rig_disconnect(rig); /* no call may outlive its memory */
    }
    hws_mem_free(all);
    return ok;
}

static bool iteration(struct rig *rig, uint32_t i)
{
    Grpc__Testing__Payload payload;
    Grpc__Testing__SimpleRequest request = large(&payload);
    struct stream s;
    uint64_t began_ms = rig_now_ms(rig);

    if (!rig_unary(rig, &s, &unary, &request.base) || !rig_end_with(&s, HWS_GRPC_OK) ||
        !rig_check(rig, s.payload[0] == 314159, "314159 bytes")) {
        return false;
    }
    uint64_t took_ms = rig_now_ms(rig) - began_ms;
    return took_ms <= SOAK_MAX_MS
               ? true
               : rig_fail(rig, "iteration %" PRIu32 " took %" PRIu64 " ms", i, took_ms);
}

bool case_rpc_soak(struct rig *rig)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < rig->n_rpcs; i++) {
        ok = iteration(rig, i);
    }
    return ok;
}

bool case_channel_soak(struct rig *rig)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < rig->n_dials; i++) {
        rig_disconnect(rig);
        ok = rig_connect(rig) && iteration(rig, i);
    }
    return ok;
}
