/*
 * gRPC status codes, their names, what HTTP statuses and HTTP/2 resets mean as one, and the percent
 * coding of grpc-message. Pure functions; any thread.
 */
#ifndef HWS_GRPC_STATUS_H
#define HWS_GRPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum hws_grpc_code {
#define HWS_GRPC_STATUS(name, number, http) HWS_GRPC_##name = (number),
#include "grpc/status.def"
#undef HWS_GRPC_STATUS
    HWS_GRPC_N_CODES
};

/* The longest grpc-message kept or sent, before percent coding; longer texts are cut at a UTF-8
 * boundary. */
#define HWS_GRPC_MESSAGE_BYTES 1024u
/* The most bytes of grpc-status-details-bin kept or sent. */
#define HWS_GRPC_DETAILS_BYTES 4096u

/* "NOT_FOUND"; "?" out of range. */
const char *hws_grpc_code_name(enum hws_grpc_code code);

/* Parses the decimal text of a grpc-status field. Text that is no number, or a number that is no
 * code, is HWS_GRPC_UNKNOWN. */
enum hws_grpc_code hws_grpc_code_parse(const uint8_t *text, size_t n);

/* What a response without grpc-status means by its :status (grpc/doc/http-grpc-status-mapping.md).
 */
enum hws_grpc_code hws_grpc_code_of_http(unsigned http_status);

/* The HTTP status a plain web view shows for a code. */
unsigned hws_grpc_code_to_http(enum hws_grpc_code code);

/* What an RST_STREAM without trailers means by its HTTP/2 error code (PROTOCOL-HTTP2.md, "Errors").
 */
enum hws_grpc_code hws_grpc_code_of_rst(uint32_t h2_error);

/* The HTTP/2 error code with which a client or server resets a stream that ended with this status.
 */
uint32_t hws_grpc_code_to_rst(enum hws_grpc_code code);

/*
 * Percent-encodes n bytes of UTF-8 for grpc-message: bytes 0x20..0x7e other than '%' stay. Writes
 * at most cap bytes and no NUL, cuts before a character that does not fit; returns the bytes
 * written.
 */
size_t hws_grpc_percent_encode(const char *text, size_t n, char *dst, size_t cap);

/*
 * Decodes grpc-message into dst with a NUL (cap >= 1); a '%' that is not followed by two hex digits
 * stays as it is, as the specification asks. Returns the length without the NUL. Control bytes
 * other than \t, \n, \r become '?'.
 */
size_t hws_grpc_percent_decode(const uint8_t *text, size_t n, char *dst, size_t cap);

#endif
