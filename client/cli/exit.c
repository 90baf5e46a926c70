/* From a call's status to an exit code. */
#include "cli/exit.h"

#include "base/str.h"

const char *hws_cli_exit_text(enum hws_exit code)
{
    static const char *const texts[HWS_N_EXITS] = {
#define HWS_EXIT(name, number, text) [(number)] = (text),
#include "cli/exits.def"
#undef HWS_EXIT
    };

    return (unsigned)code < HWS_N_EXITS ? texts[code] : "?";
}

enum hws_exit hws_cli_exit_of(const struct hws_client_status *status)
{
    if (status->stage == HAWSER__V1__STAGE__STAGE_UNKNOWN) {
        return HWS_EXIT_UNKNOWN;
    }
    if (hws_str_eq(status->reason, "E_DEVICE")) {
        return HWS_EXIT_DEVICE;
    }
    switch (status->code) {
    case HWS_CLIENT_OK:
        return HWS_EXIT_OK;
    case HWS_CLIENT_INVALID_ARGUMENT:
    case HWS_CLIENT_OUT_OF_RANGE:
        return HWS_EXIT_INVALID;
    case HWS_CLIENT_NOT_FOUND:
    case HWS_CLIENT_UNIMPLEMENTED:
        return HWS_EXIT_NOT_FOUND;
    case HWS_CLIENT_PERMISSION_DENIED:
    case HWS_CLIENT_UNAUTHENTICATED:
        return HWS_EXIT_DENIED;
    case HWS_CLIENT_FAILED_PRECONDITION:
    case HWS_CLIENT_ABORTED:
    case HWS_CLIENT_ALREADY_EXISTS:
    case HWS_CLIENT_CANCELLED:
        return HWS_EXIT_STATE;
    case HWS_CLIENT_UNAVAILABLE:
    case HWS_CLIENT_RESOURCE_EXHAUSTED:
        return HWS_EXIT_UNAVAILABLE;
    case HWS_CLIENT_DEADLINE_EXCEEDED:
        return status->unprocessed || status->stage == HAWSER__V1__STAGE__STAGE_NOT_SENT
                   ? HWS_EXIT_UNAVAILABLE
                   : HWS_EXIT_UNKNOWN;
    case HWS_CLIENT_DATA_LOSS:
        return HWS_EXIT_DIGEST;
    case HWS_CLIENT_UNKNOWN:
    case HWS_CLIENT_INTERNAL:
    case HWS_CLIENT_N_CODES:
        break;
    }
    return HWS_EXIT_INTERNAL;
}
