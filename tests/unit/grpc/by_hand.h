/*
 * A server's connection whose peer writes its frames by hand (RFC 9113, section 6; RFC 7541), and
 * the account that it charges. Time is virtual.
 */
#ifndef HWS_TESTS_BY_HAND_H
#define HWS_TESTS_BY_HAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "grpc/server.h"
#include "grpc/session.h"
#include "test.h"

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { CALM = 0xb }; /* ENHANCE_YOUR_CALM */

/* POST https, path /t.S/A, authority h, te and content-type: indexed or literal fields without
 * indexing. */
#define REQUEST_BLOCK                                                                              \
    "\x83\x87\x04\x06/t.S/A\x01\x01h\x00\x02te\x08trailers\x0f\x10\x10"                            \
    "application/grpc"
#define BLOCK_BYTES (sizeof(REQUEST_BLOCK) - 1)

struct fixture {
    struct hws_grpc_server server;
    struct hws_grpc_limits limits;
    struct hws_grpc_stats stats;
    struct hws_grpc_account account;
    struct hws_grpc_conn conn;
    struct hws_buf in;  /* bytes of the peer, sent by flush */
    struct hws_buf out; /* what it answered */
    uint64_t now_ms;
    uint32_t goaway;    /* the error code of the latest GOAWAY; UINT32_MAX = none */
    unsigned n_acks;    /* PING acknowledgements */
    size_t most_data;   /* bytes of the longest DATA frame */
    enum hws_code code; /* the latest of recv */
};

extern struct hws_grpc_call *latest_call; /* NULL once it is closed */

/* Writes a frame, to be sent by flush. */
void frame(struct fixture *f, uint8_t type, uint8_t flags, uint32_t stream_id, const void *payload,
           size_t n);
/* HEADERS of a call to the bidi method /t.S/A, to the unary /t.S/U. */
void request(struct fixture *f, uint32_t stream_id, uint8_t flags);
void unary_request(struct fixture *f, uint32_t stream_id, uint8_t flags);
/* Sends what was written and looks at the answer. */
void flush(struct fixture *f);

/* The connection, with both sides' SETTINGS exchanged; *state is the fixture. */
int setup(void **state);
int teardown(void **state);

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
