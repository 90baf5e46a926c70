/* Compression of single messages, each way, by every encoding that the client was told to use. */
#include "cases.h"

static bool unary(struct rig *rig, bool expect, bool send_compressed, enum hws_grpc_code code)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    Grpc__Testing__BoolValue value = GRPC__TESTING__BOOL_VALUE__INIT;
    struct stream_options options = {.path = TEST_SERVICE "UnaryCall"};
    struct stream s;

    value.value = expect;
    payload.body.data = rig_zeros();
    payload.body.len = 271828;
    request.payload = &payload;
    request.response_size = 314159;
    request.expect_compressed = &value;
    options.encoding = send_compressed ? rig->encoding : HWS_GRPC_IDENTITY;
    return rig_unary(rig, &s, &options, &request.base) && rig_end_with(&s, code) &&
           (code != HWS_GRPC_OK || rig_check(rig, s.payload[0] == 314159, "314159 bytes"));
}

bool case_client_compressed_unary(struct rig *rig)
{
    return unary(rig, true, false, HWS_GRPC_INVALID_ARGUMENT) &&
           unary(rig, true, true, HWS_GRPC_OK) && unary(rig, false, false, HWS_GRPC_OK);
}

static bool send_input(struct stream *s, size_t n, bool expect, bool plain)
{
    Grpc__Testing__StreamingInputCallRequest request =
        GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    Grpc__Testing__BoolValue value = GRPC__TESTING__BOOL_VALUE__INIT;

    value.value = expect;
    payload.body.data = rig_zeros();
    payload.body.len = n;
    request.payload = &payload;
    request.expect_compressed = &value;
    return rig_send(s, &request.base, plain);
}

bool case_client_compressed_streaming(struct rig *rig)
{
    struct stream_options options = {.path = TEST_SERVICE "StreamingInputCall",
                                     .kind = HWS_GRPC_CLIENT_STREAM,
                                     .encoding = rig->encoding};
    struct stream s;

    if (!rig_start(rig, &s, &options) || !send_input(&s, 27182, true, true) ||
        !rig_end_with(&s, HWS_GRPC_INVALID_ARGUMENT)) {
        return false;
    }
    if (!rig_start(rig, &s, &options) || !send_input(&s, 27182, true, false) ||
        !send_input(&s, 45904, false, true)) {
        return false;
    }
    rig_half_close(&s);
    return rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.sum == 73086, "the sum 73086");
}

bool case_server_compressed_unary(struct rig *rig)
{
    for (int compressed = 1; compressed >= 0; compressed--) {
        Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
        Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
        Grpc__Testing__BoolValue value = GRPC__TESTING__BOOL_VALUE__INIT;
        struct stream s;

        value.value = compressed;
        payload.body.data = rig_zeros();
        payload.body.len = 271828;
        request.payload = &payload;
        request.response_size = 314159;
        request.response_compressed = &value;
        if (!rig_unary(rig, &s, &(struct stream_options){.path = TEST_SERVICE "UnaryCall"},
                       &request.base) ||
            !rig_end_with(&s, HWS_GRPC_OK) ||
            !rig_check(rig, s.payload[0] == 314159, "314159 bytes") ||
            !rig_check(rig, s.compressed[0] == (compressed != 0),
                       compressed != 0 ? "a compressed answer" : "a plain answer")) {
            return false;
        }
    }
    return true;
}

bool case_server_compressed_streaming(struct rig *rig)
{
    Grpc__Testing__StreamingOutputCallRequest request =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT;
    Grpc__Testing__BoolValue no = GRPC__TESTING__BOOL_VALUE__INIT;
    Grpc__Testing__ResponseParameters first = GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
    Grpc__Testing__ResponseParameters second = GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
    Grpc__Testing__ResponseParameters *list[] = {&first, &second};
    struct stream s;

    yes.value = true;
    first.size = 31415;
    first.compressed = &yes;
    second.size = 92653;
    second.compressed = &no;
    request.response_parameters = list;
    request.n_response_parameters = 2;
    return rig_unary(rig, &s,
                     &(struct stream_options){.path = TEST_SERVICE "StreamingOutputCall",
                                              .kind = HWS_GRPC_SERVER_STREAM},
                     &request.base) &&
           rig_end_with(&s, HWS_GRPC_OK) && rig_check(rig, s.n_messages == 2, "2 answers") &&
           rig_check(rig, s.payload[0] == 31415 && s.payload[1] == 92653, "the sizes asked for") &&
           rig_check(rig, s.compressed[0] && !s.compressed[1], "compressed, then plain");
}
