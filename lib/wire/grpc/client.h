/*
 * The client side: starting calls on a connection made with server = NULL, and a helper for unary
 * calls. One thread.
 */
#ifndef HWS_GRPC_CLIENT_H
#define HWS_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "grpc/call.h"
#include "grpc/session.h"

struct hws_grpc_start {
    const char *path; /* "/package.Service/Method"; borrowed for the call's life */
    enum hws_grpc_kind kind;
    uint64_t timeout_ms;              /* 0 = none; sent as grpc-timeout and kept here too */
    const struct hws_grpc_meta *meta; /* may be NULL; read before start returns */
    enum hws_grpc_encoding encoding;  /* of hws_grpc_call_send's and hws_grpc_pb_send's messages */
    const struct hws_grpc_call_ops *ops; /* borrowed for the call's life */
    void *data;                          /* hws_grpc_call_data */
};

/*
 * Starts a call; the request's headers are queued. Then send / half_close (a unary or server-stream
 * call is half-closed by its one message). HWS_E_BUSY: max_calls, or an account's. HWS_E_GONE: the
 * connection drains or has ended (nothing was sent: use another). HWS_E_INVALID: path, or more
 * metadata than HWS_GRPC_META_SENT_FIELDS. HWS_E_NOMEM. now_ms as for turn.
 */
enum hws_code hws_grpc_client_start(struct hws_grpc_conn *conn, const struct hws_grpc_start *start,
                                    uint64_t now_ms, struct hws_grpc_call **out_call,
                                    struct hws_err *err) HWS_MUST_USE;

/* True while start can succeed: open, not draining, below max_calls. */
bool hws_grpc_client_ready(const struct hws_grpc_conn *conn);

/* A unary call: the caller's struct, on loan from start until cb. */
struct hws_grpc_unary {
    const char *path;    /* borrowed until cb */
    const void *request; /* read before start returns */
    size_t n_request;
    uint64_t timeout_ms;              /* 0 = none */
    const struct hws_grpc_meta *meta; /* may be NULL; read before start returns */
    void (*cb)(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome);
    void *data; /* the caller's */
    struct hws_buf
        response; /* result: the message, when outcome->code is OK; freed after cb returns */
    struct hws_grpc_call *call; /* for hws_grpc_call_cancel; NULL once cb runs */
};

/* Starts it; errors as hws_grpc_client_start and hws_grpc_call_send, and then cb never runs. */
enum hws_code hws_grpc_unary_start(struct hws_grpc_conn *conn, struct hws_grpc_unary *unary,
                                   uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

#endif
