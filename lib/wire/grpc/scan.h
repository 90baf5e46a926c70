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

/* Streams of which a peer's last word is remembered: as many as a word has bits. */
#define HWS_GRPC_OVER_STREAMS 32u

struct hws_grpc_scan {
    uint32_t skip; /* bytes of the preface or of a payload that are still to come */
    uint8_t head[9];
    uint8_t n_head;
    uint8_t n_padded;                     /* the first byte of a padded DATA frame is to come */
    bool in_head;                         /* the latest frame is HEADERS or CONTINUATION */
    bool head_goes_on;                    /* and another CONTINUATION follows it */
    bool opens;                           /* the peer is a client: its HEADERS may open streams */
    uint32_t over[HWS_GRPC_OVER_STREAMS]; /* the latest that the peer has ended or reset */
    uint32_t n_over;                      /* ever */
    uint32_t reset;                       /* bit i: over[i] was reset, and nothing came since */
    uint32_t late;                        /* bit i: over[i] was reset, and more came */
    uint32_t newest;                      /* the highest stream that it opened */
    uint32_t gap_from; /* what it last left out on the way up, which it may not open any more */
    uint32_t gap_to;
};

/*
 * What a peer may not send, whatever has become of the stream; the library ignores it where it has
 * forgotten the stream. AFTER_END: HEADERS or DATA of a client after END_STREAM (RFC 9113, section
 * 5.1).
 * OUT_OF_ORDER: a stream below those opened (5.1.1). NO_TRAILERS: a second header block of a
 * request that does not end it (8.1). What we reset ourselves is no fault: its frames may be on
 * their way.
 */
enum hws_grpc_scan_fault {
    HWS_GRPC_SCAN_GOOD,
    HWS_GRPC_SCAN_AFTER_END,
    HWS_GRPC_SCAN_OUT_OF_ORDER,
    HWS_GRPC_SCAN_NO_TRAILERS,
};

struct hws_grpc_scanned {
    uint32_t n_headers; /* HEADERS */
    uint32_t n_control; /* all but HEADERS, CONTINUATION and DATA that has bytes or ends a stream;
                           and DATA after RST_STREAM */
    /* Streams on which HEADERS or DATA came after the peer's own RST_STREAM, each once. It is an
     * error of the stream, not of the connection (5.1): netty sends so where a deadline passes
     * while it writes. More of them at once than there is room for are only counted. */
    uint32_t late[HWS_GRPC_OVER_STREAMS];
    uint32_t n_late;
    enum hws_grpc_scan_fault fault;
    size_t n_good; /* bytes in front of the frame at fault; all of them when there is none */
};

/* A client begins with n_preface bytes that are no frame; a server begins with none. */
void hws_grpc_scan_init(struct hws_grpc_scan *s, uint32_t n_preface);

/* Counts the frames whose heads end in these bytes; stops at a fault, after which no more may be
 * asked. */
struct hws_grpc_scanned hws_grpc_scan(struct hws_grpc_scan *s, const uint8_t *bytes, size_t n);

/* Has a header block begun that is not whole yet? Whoever it is for: the library says nothing of
 * the end of a block whose stream is refused or gone. */
bool hws_grpc_scan_in_block(const struct hws_grpc_scan *s);

#endif
