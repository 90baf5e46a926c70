/*
 * A client in straight lines: each function runs the loop until what it asks for is there, or fails
 * the case. Every call goes over a channel, one at a time; one thread.
 */
#ifndef HWS_INTEROP_RIG_H
#define HWS_INTEROP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/str.h"
#include "credentials.h"
#include "grpc_testing.pb-c.h"
#include "net/channel.h"

#define RIG_TIMEOUT_MS 20000u /* of a call that names none, and of every wait */
#define RIG_MESSAGES   16u    /* sizes kept of one stream's answers */

struct rig {
    uv_loop_t loop;
    struct hws_net net;
    struct hws_tls_rng *rng;
    struct hws_tls_bundle *bundle; /* NULL: a Unix socket */
    const char *target;
    enum hws_grpc_encoding encoding; /* of the compressed cases */
    uint32_t n_calls;                /* at once, of concurrent_large_unary */
    uint32_t n_rpcs;                 /* of rpc_soak */
    uint32_t n_dials;                /* of channel_soak */
    char why[256];                   /* the first thing that failed in this case; empty: nothing */
    bool late;                       /* the wait's time is over */
    struct hws_net_channel channel;
    struct hws_list live; /* calls of the channel */
    bool open;
    bool closed;
};

struct stream_options {
    const char *path;
    enum hws_grpc_kind kind;
    uint64_t timeout_ms; /* 0 = RIG_TIMEOUT_MS */
    const struct hws_grpc_meta *meta;
    enum hws_grpc_encoding encoding;
};

/* One call; on loan from rig_start until rig_end, or until rig_disconnect. */
struct stream {
    struct rig *rig;
    struct rig_call *call; /* NULL: over, or a unary one that is not sent yet */
    struct stream_options options;
    size_t n_messages;
    size_t payload[RIG_MESSAGES];  /* payload bytes of each answer */
    bool compressed[RIG_MESSAGES]; /* it came compressed */
    int32_t sum;                   /* of a StreamingInputCallResponse */
    bool malformed;
    bool over;
    enum hws_grpc_code code;
    char message[HWS_GRPC_MESSAGE_BYTES + 1];
    char initial[64];     /* x-grpc-test-echo-initial */
    uint8_t trailing[16]; /* x-grpc-test-echo-trailing-bin */
    size_t n_trailing;
};

/* Notes why the case failed; the first reason stays. Returns false. */
bool rig_fail(struct rig *rig, const char *fmt, ...) HWS_PRINTF(2, 3);

/* Fails the case unless the condition holds. */
bool rig_check(struct rig *rig, bool condition, const char *what);

/* A channel, which connects when a call needs it. */
bool rig_connect(struct rig *rig);
/* Ends it and its calls, which write to no struct stream any more. */
void rig_disconnect(struct rig *rig);

/* A call; false (and the case failed) when it cannot start. One of a single message begins with
 * rig_send. */
bool rig_start(struct rig *rig, struct stream *s, const struct stream_options *options);
/* Until a connection carries it, or it is over. */
bool rig_place(struct stream *s);
/* plain: without compression even where the call compresses. */
bool rig_send(struct stream *s, const ProtobufCMessage *message, bool plain);
void rig_half_close(struct stream *s);
void rig_cancel(struct stream *s);
/* Until n answers are there, or the call is over. */
bool rig_await(struct stream *s, size_t n_messages);
/* Until the call is over, whatever its status. */
bool rig_end(struct stream *s);
/* The same, and the status must be this one. */
bool rig_end_with(struct stream *s, enum hws_grpc_code code);

/* One message out, the end awaited. */
bool rig_unary(struct rig *rig, struct stream *s, const struct stream_options *options,
               const ProtobufCMessage *message);

/* Milliseconds now, after the loop has looked at the clock. */
uint64_t rig_now_ms(struct rig *rig);

/* Zeroed bytes that live as long as the program. n at most 1 MiB. */
uint8_t *rig_zeros(void);

#define TEST_SERVICE "/grpc.testing.TestService/"

#endif
