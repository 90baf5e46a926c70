/*
 * Statuses: the agent's (code, text, google.rpc details) and our own, in one shape. Text from the
 * wire goes to terminals, so control characters become '?'.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/status_priv.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

const char *hws_client_code_name(enum hws_client_code code)
{
    static const char *const names[HWS_CLIENT_N_CODES] = {
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

    return (unsigned)code < HWS_CLIENT_N_CODES ? names[code] : "?";
}

static void make_printable(char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) {
            *s = '?';
        }
    }
}

enum hws_client_code hws_client__fail(struct hws_client_status *status, enum hws_client_code code,
                                      const char *fmt, ...)
{
    va_list args;

    if (status == NULL) {
        return code;
    }
    memset(status, 0, sizeof(*status));
    status->code = code;
    va_start(args, fmt);
    (void)vsnprintf(status->message, sizeof(status->message), fmt, args);
    va_end(args);
    make_printable(status->message);
    return code;
}

static enum hws_client_code code_of(enum hws_code code)
{
    switch (code) {
    case HWS_OK:
        return HWS_CLIENT_OK;
    case HWS_E_INVALID:
        return HWS_CLIENT_INVALID_ARGUMENT;
    case HWS_E_NOT_FOUND:
        return HWS_CLIENT_NOT_FOUND;
    case HWS_E_EXISTS:
        return HWS_CLIENT_ALREADY_EXISTS;
    case HWS_E_STATE:
        return HWS_CLIENT_FAILED_PRECONDITION;
    case HWS_E_CONFLICT:
        return HWS_CLIENT_ABORTED;
    case HWS_E_BUSY:
    case HWS_E_NOMEM:
        return HWS_CLIENT_RESOURCE_EXHAUSTED;
    case HWS_E_TIMEOUT:
        return HWS_CLIENT_DEADLINE_EXCEEDED;
    case HWS_E_CANCELED:
        return HWS_CLIENT_CANCELLED;
    case HWS_E_UNSUPPORTED:
        return HWS_CLIENT_UNIMPLEMENTED;
    case HWS_E_DENIED: /* on this side: the peer is not who it should be */
    case HWS_E_GONE:
    case HWS_E_IO:
    case HWS_E_PROTO:
        return HWS_CLIENT_UNAVAILABLE;
    case HWS_E_DEVICE:
    case HWS_N_CODES:
        break;
    }
    return HWS_CLIENT_INTERNAL;
}

enum hws_client_code hws_client__fail_err(struct hws_client_status *status,
                                          const struct hws_err *err)
{
    return hws_client__fail(status, code_of(err->code), "%s", err->msg);
}

static Hawser__V1__Stage stage_of(const char *name)
{
    static const struct {
        const char *name;
        Hawser__V1__Stage stage;
    } stages[] = {{"not-sent", HAWSER__V1__STAGE__STAGE_NOT_SENT},
                  {"rejected", HAWSER__V1__STAGE__STAGE_REJECTED},
                  {"executed", HAWSER__V1__STAGE__STAGE_EXECUTED},
                  {"unknown", HAWSER__V1__STAGE__STAGE_UNKNOWN}};

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (hws_str_eq(name, stages[i].name)) {
            return stages[i].stage;
        }
    }
    return HAWSER__V1__STAGE__STAGE_UNSPECIFIED;
}

static uint32_t number_of(const char *text)
{
    uint64_t v = 0;

    return hws_str_to_u64(text, UINT32_MAX, &v, NULL) == HWS_OK ? (uint32_t)v : 0;
}

static void read_info(struct hws_client_status *status, const Google__Protobuf__Any *any)
{
    Google__Rpc__ErrorInfo *info =
        google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);

    if (info == NULL) {
        return;
    }
    (void)hws_str_copy(status->reason, sizeof(status->reason), info->reason);
    make_printable(status->reason);
    for (size_t i = 0; i < info->n_metadata; i++) {
        const Google__Rpc__ErrorInfo__MetadataEntry *e = info->metadata[i];
        if (hws_str_eq(e->key, "stage")) {
            status->stage = stage_of(e->value);
        } else if (hws_str_eq(e->key, "delivery_status")) {
            status->delivery_status = number_of(e->value);
        } else if (hws_str_eq(e->key, "status")) {
            status->fw_status = number_of(e->value);
        } else if (hws_str_eq(e->key, "syndrome")) {
            status->syndrome = number_of(e->value);
        }
    }
    google__rpc__error_info__free_unpacked(info, NULL);
}

static void read_bad_request(struct hws_client_status *status, const Google__Protobuf__Any *any)
{
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, any->value.len, any->value.data);

    if (bad == NULL) {
        return;
    }
    if (bad->n_field_violations > 0) {
        (void)hws_str_copy(status->field, sizeof(status->field), bad->field_violations[0]->field);
        make_printable(status->field);
    }
    google__rpc__bad_request__free_unpacked(bad, NULL);
}

static void read_retry(struct hws_client_status *status, const Google__Protobuf__Any *any)
{
    Google__Rpc__RetryInfo *retry =
        google__rpc__retry_info__unpack(NULL, any->value.len, any->value.data);

    if (retry == NULL) {
        return;
    }
    const Google__Protobuf__Duration *d = retry->retry_delay;
    if (d != NULL && d->seconds >= 0 && d->seconds < 3600 && d->nanos >= 0) {
        status->retry_ms = (uint32_t)d->seconds * 1000 + (uint32_t)d->nanos / 1000000;
    }
    google__rpc__retry_info__free_unpacked(retry, NULL);
}

static void read_detail(struct hws_client_status *status, const Google__Protobuf__Any *any)
{
    static const struct {
        const char *type;
        void (*read)(struct hws_client_status *status, const Google__Protobuf__Any *any);
    } readers[] = {{"/google.rpc.ErrorInfo", read_info},
                   {"/google.rpc.BadRequest", read_bad_request},
                   {"/google.rpc.RetryInfo", read_retry}};
    const char *type = any->type_url == NULL ? NULL : strrchr(any->type_url, '/');

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]) && type != NULL; i++) {
        if (hws_str_eq(type, readers[i].type)) {
            readers[i].read(status, any);
        }
    }
}

void hws_client__from_wire(struct hws_client_status *status, enum hws_client_code code,
                           const char *message, const uint8_t *details, size_t n_details)
{
    (void)hws_client__fail(status, (unsigned)code < HWS_CLIENT_N_CODES ? code : HWS_CLIENT_UNKNOWN,
                           "%s", message);
    status->from_agent = true;
    Google__Rpc__Status *s =
        details == NULL ? NULL : google__rpc__status__unpack(NULL, n_details, details);
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_details; i++) {
        read_detail(status, s->details[i]);
    }
    google__rpc__status__free_unpacked(s, NULL);
}
