/*
 * From our errors to gRPC's: one exhaustive switch from code and stage to a gRPC status, and the
 * google.rpc.Status that explains it (ErrorInfo always; BadRequest when a field is to blame;
 * RetryInfo when trying again later makes sense). docs/ERRORS.md is the table for people.
 * Thread rule: none.
 */
#ifndef HWS_HAWSERD_CONVERT_H
#define HWS_HAWSERD_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* gRPC's status codes (grpc/doc/statuscodes.md). */
enum hws_rpc_code {
    HWS_RPC_OK = 0,
    HWS_RPC_CANCELLED = 1,
    HWS_RPC_UNKNOWN = 2,
    HWS_RPC_INVALID_ARGUMENT = 3,
    HWS_RPC_DEADLINE_EXCEEDED = 4,
    HWS_RPC_NOT_FOUND = 5,
    HWS_RPC_ALREADY_EXISTS = 6,
    HWS_RPC_PERMISSION_DENIED = 7,
    HWS_RPC_RESOURCE_EXHAUSTED = 8,
    HWS_RPC_FAILED_PRECONDITION = 9,
    HWS_RPC_ABORTED = 10,
    HWS_RPC_OUT_OF_RANGE = 11,
    HWS_RPC_UNIMPLEMENTED = 12,
    HWS_RPC_INTERNAL = 13,
    HWS_RPC_UNAVAILABLE = 14,
    HWS_RPC_DATA_LOSS = 15,
    HWS_RPC_UNAUTHENTICATED = 16,
    HWS_RPC_N_CODES = 17
};

#define HWS_CONVERT_DOMAIN "hawser" /* ErrorInfo.domain */

/* The gRPC status of a code that ended at a stage. */
enum hws_rpc_code hws_convert_code(enum hws_code code, enum hws_stage stage);

/* "PERMISSION_DENIED"; "?" out of range. */
const char *hws_convert_name(enum hws_rpc_code code);

/* How long a client should wait before it tries again, in ms; 0 = no advice. */
uint32_t hws_convert_retry_ms(enum hws_code code, enum hws_stage stage);

/*
 * Appends the packed google.rpc.Status for err to out. field names the request field to blame
 * ("settings[0].value"), NULL if none; retry_ms when to try again, 0: by the code. HWS_E_NOMEM;
 * HWS_E_BUSY over out's ceiling.
 */
enum hws_code hws_convert_details(const struct hws_err *err, const char *field, uint32_t retry_ms,
                                  struct hws_buf *out) HWS_MUST_USE;

/*
 * The inverse, for an answer stored earlier: message, stage and statuses from a packed
 * google.rpc.Status; code is one of ours that maps to status. HWS_E_PROTO, HWS_E_NOMEM.
 */
enum hws_code hws_convert_from_details(const void *bytes, size_t n, uint32_t status,
                                       struct hws_err *out) HWS_MUST_USE;

#endif
