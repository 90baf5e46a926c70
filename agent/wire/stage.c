/* Stages of calls that ended here. */
#include "stage.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#define TYPE   "type.googleapis.com/google.rpc.ErrorInfo"
#define DOMAIN "hawser"

void hws_wire_stage_details(enum hws_grpc_code status, const char *message, enum hws_stage stage,
                            struct hws_buf *out)
{
    Google__Rpc__ErrorInfo__MetadataEntry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&entry};
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any *details[] = {&any};
    Google__Rpc__Status whole = GOOGLE__RPC__STATUS__INIT;
    uint8_t packed[256]; /* an ErrorInfo of four short words */
    uint8_t *space = NULL;

    entry.key = (char *)"stage";
    entry.value = (char *)hws_stage_name(stage);
    info.reason = (char *)hws_code_name(HWS_E_GONE);
    info.domain = (char *)DOMAIN;
    info.metadata = entries;
    info.n_metadata = 1;
    if (google__rpc__error_info__get_packed_size(&info) > sizeof(packed)) {
        return;
    }
    any.type_url = (char *)TYPE;
    any.value.data = packed;
    any.value.len = google__rpc__error_info__pack(&info, packed);
    whole.code = (int32_t)status;
    whole.message = (char *)message;
    whole.details = details;
    whole.n_details = 1;
    if (hws_buf_reserve(out, google__rpc__status__get_packed_size(&whole), &space) == HWS_OK) {
        hws_buf_commit(out, google__rpc__status__pack(&whole, space));
    }
}
