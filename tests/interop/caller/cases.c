/* The core cases. Sizes and texts are those of the descriptions. */
#include "cases.h"

#include <string.h>

#define N_SIZES 4u

static const int32_t request_sizes[N_SIZES] = {27182, 8, 1828, 45904};
static const int32_t response_sizes[N_SIZES] = {31415, 9, 2653, 58979};

static Grpc__Testing__Payload payload_of(int32_t n)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;

    payload.body.data = rig_zeros();
    payload.body.len = (size_t)n;
    return payload;
}

bool case_empty_unary(struct rig *rig)
{
    const Grpc__Testing__Empty empty = GRPC__TESTING__EMPTY__INIT;
    struct stream s;

    return rig_unary(rig, &s, &(struct stream_options){.path = TEST_SERVICE "EmptyCall"},
                     &empty.base) &&
           rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.n_messages == 1, "one answer");
}

bool case_large_unary(struct rig *rig)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = payload_of(271828);
    struct stream s;

    request.payload = &payload;
    request.response_size = 314159;
    return rig_unary(rig, &s, &(struct stream_options){.path = TEST_SERVICE "UnaryCall"},
                     &request.base) &&
           rig_end_with(&s, HWS_GRPC_OK) &&
           rig_check(rig, s.n_messages == 1 && s.payload[0] == 314159, "314159 bytes");
}

bool case_client_streaming(struct rig *rig)
{
    struct stream s;
    bool ok = rig_start(rig, &s,
                        &(struct stream_options){.path = TEST_SERVICE "StreamingInputCall",
                                                 .kind = HWS_GRPC_CLIENT_STREAM});

    for (size_t i = 0; ok && i < N_SIZES; i++) {
        Grpc__Testing__StreamingInputCallRequest request =
            GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
        Grpc__Testing__Payload payload = payload_of(request_sizes[i]);
        request.payload = &payload;
        ok = rig_send(&s, &request.base, false);
    }
    if (!ok) {
        return false;
    }
    rig_half_close(&s);
    return rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.sum == 74922, "the sum 74922");
}

bool case_server_streaming(struct rig *rig)
{
    Grpc__Testing__StreamingOutputCallRequest request =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters parameters[N_SIZES];
    Grpc__Testing__ResponseParameters *list[N_SIZES];
    struct stream s;

    for (size_t i = 0; i < N_SIZES; i++) {
        parameters[i] = (Grpc__Testing__ResponseParameters)GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
        parameters[i].size = response_sizes[i];
        list[i] = &parameters[i];
    }
    request.response_parameters = list;
    request.n_response_parameters = N_SIZES;
    if (!rig_unary(rig, &s,
                   &(struct stream_options){.path = TEST_SERVICE "StreamingOutputCall",
                                            .kind = HWS_GRPC_SERVER_STREAM},
                   &request.base) ||
        !rig_end_with(&s, HWS_GRPC_OK) || !rig_check(rig, s.n_messages == N_SIZES, "4 answers")) {
        return false;
    }
    for (size_t i = 0; i < N_SIZES; i++) {
        if (s.payload[i] != (size_t)response_sizes[i]) {
            return rig_fail(rig, "answer %zu has %zu bytes", i, s.payload[i]);
        }
    }
    return true;
}

/* ---- bidi ---- */

static const struct stream_options duplex = {.path = TEST_SERVICE "FullDuplexCall",
                                             .kind = HWS_GRPC_BIDI};

static bool send_duplex(struct stream *s, int32_t response_size, int32_t request_size,
                        int32_t interval_us)
{
    Grpc__Testing__StreamingOutputCallRequest request =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters parameter = GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
    Grpc__Testing__ResponseParameters *list[1] = {&parameter};
    Grpc__Testing__Payload payload = payload_of(request_size);

    parameter.size = response_size;
    parameter.interval_us = interval_us;
    request.response_parameters = list;
    request.n_response_parameters = 1;
    request.payload = &payload;
    return rig_send(s, &request.base, false);
}

bool case_ping_pong(struct rig *rig)
{
    struct stream s;
    bool ok = rig_start(rig, &s, &duplex);

    for (size_t i = 0; ok && i < N_SIZES; i++) {
        ok = send_duplex(&s, response_sizes[i], request_sizes[i], 0) && rig_await(&s, i + 1) &&
             rig_check(rig, s.payload[i] == (size_t)response_sizes[i], "the size asked for");
    }
    if (!ok) {
        return false;
    }
    rig_half_close(&s);
    return rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.n_messages == N_SIZES, "4 answers");
}

bool case_empty_stream(struct rig *rig)
{
    struct stream s;

    if (!rig_start(rig, &s, &duplex)) {
        return false;
    }
    rig_half_close(&s);
    return rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.n_messages == 0, "no answer");
}

bool case_timeout_on_sleeping_server(struct rig *rig)
{
    struct stream_options options = duplex;
    struct stream s;

    options.timeout_ms = 1;
    return rig_start(rig, &s, &options) && send_duplex(&s, 31415, 27182, 1000000) &&
           rig_end_with(&s, HWS_GRPC_DEADLINE_EXCEEDED);
}

bool case_cancel_after_begin(struct rig *rig)
{
    struct stream s;

    if (!rig_start(rig, &s,
                   &(struct stream_options){.path = TEST_SERVICE "StreamingInputCall",
                                            .kind = HWS_GRPC_CLIENT_STREAM}) ||
        !rig_place(&s)) {
        return false;
    }
    rig_cancel(&s);
    return rig_end_with(&s, HWS_GRPC_CANCELLED);
}

bool case_cancel_after_first_response(struct rig *rig)
{
    struct stream s;

    if (!rig_start(rig, &s, &duplex) || !send_duplex(&s, 31415, 27182, 0) || !rig_await(&s, 1)) {
        return false;
    }
    if (s.call == NULL) {
        return rig_fail(rig, "the call is over before it is cancelled");
    }
    rig_cancel(&s);
    return rig_end_with(&s, HWS_GRPC_CANCELLED) &&
           rig_check(rig, s.payload[0] == 31415, "31415 bytes");
}

/* ---- status and metadata ---- */

static bool status_both_ways(struct rig *rig, char *text)
{
    Grpc__Testing__EchoStatus status = GRPC__TESTING__ECHO_STATUS__INIT;
    Grpc__Testing__SimpleRequest unary = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__StreamingOutputCallRequest bidi =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    struct stream s;

    status.code = 2;
    status.message = text;
    unary.response_status = &status;
    bidi.response_status = &status;
    if (!rig_unary(rig, &s, &(struct stream_options){.path = TEST_SERVICE "UnaryCall"},
                   &unary.base) ||
        !rig_end_with(&s, HWS_GRPC_UNKNOWN) ||
        !rig_check(rig, strcmp(s.message, text) == 0, "the unary call's message")) {
        return false;
    }
    if (!rig_start(rig, &s, &duplex) || !rig_send(&s, &bidi.base, false)) {
        return false;
    }
    rig_half_close(&s);
    return rig_end_with(&s, HWS_GRPC_UNKNOWN) &&
           rig_check(rig, strcmp(s.message, text) == 0, "the stream's message");
}

bool case_status_code_and_message(struct rig *rig)
{
    char text[] = "test status message";
    return status_both_ways(rig, text);
}

bool case_special_status_message(struct rig *rig)
{
    char text[] = "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP "
                  "\xf0\x9f\x98\x88\t\n";
    return status_both_ways(rig, text);
}

static bool check_echo(struct stream *s)
{
    static const uint8_t bytes[] = {0xab, 0xab, 0xab};

    return rig_check(s->rig, strcmp(s->initial, "test_initial_metadata_value") == 0,
                     "the initial metadata") &&
           rig_check(s->rig,
                     s->n_trailing == sizeof(bytes) &&
                         memcmp(s->trailing, bytes, sizeof(bytes)) == 0,
                     "the trailing metadata");
}

bool case_custom_metadata(struct rig *rig)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = payload_of(271828);
    struct stream_options unary = {.path = TEST_SERVICE "UnaryCall"};
    struct stream_options bidi = duplex;
    struct hws_grpc_meta meta = {0};
    struct stream s;

    request.payload = &payload;
    request.response_size = 314159;
    unary.meta = &meta;
    bidi.meta = &meta;
    bool ok = hws_grpc_meta_add_text(&meta, "x-grpc-test-echo-initial",
                                     "test_initial_metadata_value", NULL) == HWS_OK &&
              hws_grpc_meta_add(&meta, "x-grpc-test-echo-trailing-bin", "\xab\xab\xab", 3, NULL) ==
                  HWS_OK;
    ok = ok && rig_unary(rig, &s, &unary, &request.base) && rig_end_with(&s, HWS_GRPC_OK) &&
         check_echo(&s);
    ok = ok && rig_start(rig, &s, &bidi) && send_duplex(&s, 314159, 271828, 0);
    if (ok) {
        rig_half_close(&s);
        ok = rig_end_with(&s, HWS_GRPC_OK) && check_echo(&s);
    }
    hws_grpc_meta_deinit(&meta);
    return ok;
}

static bool unimplemented(struct rig *rig, const char *path)
{
    const Grpc__Testing__Empty empty = GRPC__TESTING__EMPTY__INIT;
    struct stream s;

    return rig_unary(rig, &s, &(struct stream_options){.path = path}, &empty.base) &&
           rig_end_with(&s, HWS_GRPC_UNIMPLEMENTED);
}

bool case_unimplemented_method(struct rig *rig)
{
    return unimplemented(rig, TEST_SERVICE "UnimplementedCall");
}

bool case_unimplemented_service(struct rig *rig)
{
    return unimplemented(rig, "/grpc.testing.UnimplementedService/UnimplementedCall");
}
