/* The grpc-timeout field: at most 8 digits and one unit of H M S m u n. Pure functions; any thread.
 */
#ifndef HWS_GRPC_TIMEOUT_H
#define HWS_GRPC_TIMEOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_GRPC_TIMEOUT_TEXT_BYTES 10u /* 8 digits, unit, NUL */

/* Parses into milliseconds, rounded up so that 1n is 1 ms, not never. HWS_E_PROTO for any other
 * form. */
enum hws_code hws_grpc_timeout_parse(const uint8_t *text, size_t n, uint64_t *out_ms) HWS_MUST_USE;

/* Writes the shortest exact form that fits 8 digits, else the next coarser unit rounded up, with a
 * NUL. A timeout beyond 99999999 hours is cut to that. Returns the length. */
size_t hws_grpc_timeout_print(uint64_t timeout_ms, char dst[HWS_GRPC_TIMEOUT_TEXT_BYTES]);

#endif
