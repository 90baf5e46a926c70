/* Our errors as gRPC statuses and google.rpc details. */
#include "hawserd/convert.h"

#include <string.h>

#include "base/str.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#define RETRY_BUSY_MS 100u
#define RETRY_GONE_MS 200u
#define TYPE_PREFIX   "type.googleapis.com/google.rpc."

/* A refusal by firmware is the card's state, not ours; a refused entry is our mistake. */
static enum hws_rpc_code device_code(enum hws_stage stage)
{
    switch (stage) {
    case HWS_STAGE_EXECUTED:
        return HWS_RPC_FAILED_PRECONDITION;
    case HWS_STAGE_UNKNOWN:
        return HWS_RPC_UNKNOWN;
    case HWS_STAGE_NONE:
    case HWS_STAGE_NOT_SENT:
    case HWS_STAGE_REJECTED:
    case HWS_N_STAGES:
        break;
    }
    return HWS_RPC_INTERNAL;
}

enum hws_rpc_code hws_convert_code(enum hws_code code, enum hws_stage stage)
{
    switch (code) {
    case HWS_OK:
        return HWS_RPC_OK;
    case HWS_E_INVALID:
        return HWS_RPC_INVALID_ARGUMENT;
    case HWS_E_NOT_FOUND:
        return HWS_RPC_NOT_FOUND;
    case HWS_E_EXISTS:
        return HWS_RPC_ALREADY_EXISTS;
    case HWS_E_DENIED:
        return HWS_RPC_PERMISSION_DENIED;
    case HWS_E_STATE:
        return HWS_RPC_FAILED_PRECONDITION;
    case HWS_E_CONFLICT:
        return HWS_RPC_ABORTED;
    case HWS_E_BUSY:
    case HWS_E_NOMEM:
        return HWS_RPC_RESOURCE_EXHAUSTED;
    case HWS_E_TIMEOUT:
        return HWS_RPC_DEADLINE_EXCEEDED;
    case HWS_E_CANCELED:
        return HWS_RPC_CANCELLED;
    case HWS_E_UNSUPPORTED:
        return HWS_RPC_UNIMPLEMENTED;
    case HWS_E_PROTO:
    case HWS_E_IO:
        return HWS_RPC_INTERNAL;
    case HWS_E_DEVICE:
        return device_code(stage);
    case HWS_E_GONE:
        /* Sent and lost: a client that retries UNAVAILABLE by itself must not retry this. */
        return stage == HWS_STAGE_UNKNOWN ? HWS_RPC_UNKNOWN : HWS_RPC_UNAVAILABLE;
    case HWS_N_CODES:
        break;
    }
    return HWS_RPC_UNKNOWN;
}

const char *hws_convert_name(enum hws_rpc_code code)
{
    static const char *const names[HWS_RPC_N_CODES] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    return (unsigned)code < HWS_RPC_N_CODES ? names[code] : "?";
}

uint32_t hws_convert_retry_ms(enum hws_code code, enum hws_stage stage)
{
    if (code == HWS_E_BUSY) {
        return RETRY_BUSY_MS;
    }
    if (code == HWS_E_GONE && stage != HWS_STAGE_UNKNOWN) {
        return RETRY_GONE_MS;
    }
    return 0;
}

#define MAX_DETAILS 3

/* Everything that the packed status points into. */
struct details {
    Google__Rpc__ErrorInfo info;
    Google__Rpc__ErrorInfo__MetadataEntry entries[4];
    Google__Rpc__ErrorInfo__MetadataEntry *entry_ptrs[4];
    char numbers[3][16];
    Google__Rpc__BadRequest bad;
    Google__Rpc__BadRequest__FieldViolation violation;
    Google__Rpc__BadRequest__FieldViolation *violation_ptr;
    Google__Rpc__RetryInfo retry;
    Google__Protobuf__Duration delay;
    Google__Protobuf__Any any[MAX_DETAILS];
    Google__Protobuf__Any *any_ptrs[MAX_DETAILS];
    size_t n_any;
    uint8_t packed[MAX_DETAILS][1024]; /* each detail's bytes: texts are at most 256 + 64 */
};

static void add_entry(struct details *d, const char *key, const char *value)
{
    Google__Rpc__ErrorInfo__MetadataEntry *e = &d->entries[d->info.n_metadata];

    google__rpc__error_info__metadata_entry__init(e);
    e->key = (char *)key;
    e->value = (char *)value;
    d->entry_ptrs[d->info.n_metadata++] = e;
}

static void add_number(struct details *d, unsigned slot, const char *key, uint32_t value)
{
    hws_str_print(d->numbers[slot], sizeof(d->numbers[slot]), "0x%x", value);
    add_entry(d, key, d->numbers[slot]);
}

static void add_any(struct details *d, const char *type, const ProtobufCMessage *m)
{
    Google__Protobuf__Any *any = &d->any[d->n_any];
    size_t n = protobuf_c_message_get_packed_size(m);

    if (n > sizeof(d->packed[0])) {
        return; /* details are a courtesy; code and message stand without them */
    }
    google__protobuf__any__init(any);
    any->type_url = (char *)type;
    any->value.len = protobuf_c_message_pack(m, d->packed[d->n_any]);
    any->value.data = d->packed[d->n_any];
    d->any_ptrs[d->n_any++] = any;
}

static void add_info(struct details *d, const struct hws_err *err)
{
    google__rpc__error_info__init(&d->info);
    d->info.reason = (char *)hws_code_name(err->code);
    d->info.domain = (char *)HWS_CONVERT_DOMAIN;
    d->info.metadata = d->entry_ptrs;
    if (err->stage != HWS_STAGE_NONE) {
        add_entry(d, "stage", hws_stage_name(err->stage));
    }
    if (err->stage == HWS_STAGE_REJECTED) {
        add_number(d, 0, "delivery_status", err->delivery_status);
    }
    if (err->stage == HWS_STAGE_EXECUTED) {
        add_number(d, 1, "status", err->exec_status);
        add_number(d, 2, "syndrome", err->syndrome);
    }
    add_any(d, TYPE_PREFIX "ErrorInfo", &d->info.base);
}

static void add_bad_request(struct details *d, const struct hws_err *err, const char *field)
{
    google__rpc__bad_request__init(&d->bad);
    google__rpc__bad_request__field_violation__init(&d->violation);
    d->violation.field = (char *)field;
    d->violation.description = (char *)err->msg;
    d->violation_ptr = &d->violation;
    d->bad.field_violations = &d->violation_ptr;
    d->bad.n_field_violations = 1;
    add_any(d, TYPE_PREFIX "BadRequest", &d->bad.base);
}

static void add_retry(struct details *d, uint32_t retry_ms)
{
    google__rpc__retry_info__init(&d->retry);
    google__protobuf__duration__init(&d->delay);
    d->delay.seconds = retry_ms / 1000;
    d->delay.nanos = (int32_t)(retry_ms % 1000) * 1000000;
    d->retry.retry_delay = &d->delay;
    add_any(d, TYPE_PREFIX "RetryInfo", &d->retry.base);
}

enum hws_code hws_convert_details(const struct hws_err *err, const char *field, uint32_t retry_ms,
                                  struct hws_buf *out)
{
    struct details d;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;

    retry_ms = retry_ms != 0 ? retry_ms : hws_convert_retry_ms(err->code, err->stage);
    memset(&d, 0, sizeof(d));
    add_info(&d, err);
    if (field != NULL && err->code == HWS_E_INVALID) {
        add_bad_request(&d, err, field);
    }
    if (retry_ms != 0) {
        add_retry(&d, retry_ms);
    }
    status.code = (int32_t)hws_convert_code(err->code, err->stage);
    status.message = (char *)err->msg;
    status.details = d.any_ptrs;
    status.n_details = d.n_any;

    size_t n = google__rpc__status__get_packed_size(&status);
    uint8_t *space;
    enum hws_code code = hws_buf_reserve(out, n, &space);
    if (code != HWS_OK) {
        return code;
    }
    hws_buf_commit(out, google__rpc__status__pack(&status, space));
    return HWS_OK;
}

/* ---- the way back ---------------------------------------------------------------------------- */

static const char *metadata_of(const Google__Rpc__ErrorInfo *info, const char *key)
{
    for (size_t i = 0; i < info->n_metadata; i++) {
        if (hws_str_eq(info->metadata[i]->key, key)) {
            return info->metadata[i]->value;
        }
    }
    return NULL;
}

static uint32_t number_of(const Google__Rpc__ErrorInfo *info, const char *key)
{
    const char *text = metadata_of(info, key);
    uint64_t v = 0;

    if (text == NULL || hws_str_to_u64(text, UINT32_MAX, &v, NULL) != HWS_OK) {
        return 0;
    }
    return (uint32_t)v;
}

static void take_info(const Google__Rpc__ErrorInfo *info, struct hws_err *out)
{
    const char *stage = metadata_of(info, "stage");

    for (unsigned i = 0; i < HWS_N_CODES; i++) {
        if (hws_str_eq(info->reason, hws_code_name((enum hws_code)i))) {
            out->code = (enum hws_code)i;
        }
    }
    for (unsigned i = 0; stage != NULL && i < HWS_N_STAGES; i++) {
        if (hws_str_eq(stage, hws_stage_name((enum hws_stage)i))) {
            out->stage = (enum hws_stage)i;
        }
    }
    out->delivery_status = (uint8_t)number_of(info, "delivery_status");
    out->exec_status = (uint8_t)number_of(info, "status");
    out->syndrome = number_of(info, "syndrome");
}

enum hws_code hws_convert_from_details(const void *bytes, size_t n, uint32_t status,
                                       struct hws_err *out)
{
    struct hws_err err;
    Google__Rpc__Status *s = google__rpc__status__unpack(NULL, n, bytes);

    if (s == NULL) {
        return HWS_E_PROTO;
    }
    hws_err_set(&err, HWS_E_CONFLICT, "%s", s->message);
    for (size_t i = 0; i < s->n_details; i++) {
        if (!hws_str_eq(s->details[i]->type_url, TYPE_PREFIX "ErrorInfo")) {
            continue;
        }
        Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(
            NULL, s->details[i]->value.len, s->details[i]->value.data);
        if (info != NULL) {
            take_info(info, &err);
            google__rpc__error_info__free_unpacked(info, NULL);
        }
    }
    google__rpc__status__free_unpacked(s, NULL);
    if ((uint32_t)hws_convert_code(err.code, err.stage) != status) {
        return HWS_E_PROTO;
    }
    *out = err;
    return HWS_OK;
}
