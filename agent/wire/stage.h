/*
 * What hawser-wire says by itself of a call's stage, as hawserd would: details with an ErrorInfo,
 * so that a client tells what surely did not happen from what may have.
 */
#ifndef HWS_WIRE_STAGE_H
#define HWS_WIRE_STAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "grpc/status.h"

/*
 * Appends the packed google.rpc.Status of (status, message) with the stage: HWS_STAGE_NOT_SENT of a
 * call that hawserd never saw, HWS_STAGE_UNKNOWN of one that it may have begun. Without memory out
 * stays as it is: the status itself still says that the agent was unavailable.
 */
void hws_wire_stage_details(enum hws_grpc_code status, const char *message, enum hws_stage stage,
                            struct hws_buf *out);

#endif
