/*
 * The frames in a connection's bytes, by their heads alone, before the HTTP/2 library sees them.
 * The library says nothing of frames that it ignores (unknown types, frames of streams that are
 * gone), and these cost time like others. Plain data, no allocation, one thread.
 */
#ifndef HWS_GRPC_SCAN_H
#define HWS_GRPC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hws_grpc_scan {
    uint32_t skip; /* bytes of the preface or of a payload that are still to come */
    uint8_t head[9];
    uint8_t n_head;
    uint8_t n_padded;  /* the first byte of a padded DATA frame is to come */
    bool in_head;      /* the latest frame is HEADERS or CONTINUATION */
    bool head_goes_on; /* and another CONTINUATION follows it */
};

struct hws_grpc_scanned {
    uint32_t n_headers; /* HEADERS */
    uint32_t n_control; /* all but HEADERS, CONTINUATION and DATA that has bytes or ends a stream */
};

/* A server's peer begins with n_preface bytes that are no frame. */
void hws_grpc_scan_init(struct hws_grpc_scan *s, uint32_t n_preface);

/* Counts the frames whose heads end in these bytes. */
struct hws_grpc_scanned hws_grpc_scan(struct hws_grpc_scan *s, const uint8_t *bytes, size_t n);

/* Has a header block begun that is not whole yet? Whoever it is for: the library says nothing of
 * the end of a block whose stream is refused or gone. */
bool hws_grpc_scan_in_block(const struct hws_grpc_scan *s);

#endif
