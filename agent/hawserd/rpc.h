/*
 * One RPC as the keeper sees it: who calls which method until when, the messages on their way out,
 * and how it ends. The wire channel owns every rpc and moves its bytes; an operation (task.h) or a
 * stream (svc_stream) does its work.
 *
 * An rpc lives until its status has left or its caller has gone. Work may outlive it: the
 * operation's pointer to the rpc is cut (hws_task_orphan) before the rpc is freed. Ending only
 * marks the end; nothing is freed before the channel's next turn, so callers may go on using the
 * rpc until they return to the loop.
 */
#ifndef HWS_HAWSERD_RPC_H
#define HWS_HAWSERD_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "link/call.h"
#include "link/methods.h"
#include "link/packet.h"

#define HWS_RPC_MAX_OUT       4u /* messages a stream may have waiting; see hws_rpc_has_room */
#define HWS_RPC_MAX_OUT_BYTES 8388608u /* waiting of all; then no stream goes on */
/* A request at most: it is held as long as its work goes on, which of a stream is long. */
#define HWS_RPC_REQUEST_BYTES        65536u
#define HWS_RPC_STREAM_REQUEST_BYTES 16384u  /* of a method that streams, each */
#define HWS_RPC_POLICY_REQUEST_BYTES 327680u /* of AgentService.Reload: it may bring a policy */
#define HWS_RPC_MARGIN_MS            30u     /* the answer leaves this long before the deadline */
#define HWS_RPC_UNARY_MAX_MS         300000u /* a unary call without a deadline gets this one */
#define HWS_RPC_MAX_CALLS            1200u   /* live rpcs; more are refused RESOURCE_EXHAUSTED */
#define HWS_RPC_REPEATED_MESSAGE     "request answered before"

struct hws_agent;
struct hws_handler;
struct hws_task;
struct hws_stream;
struct hws_wire;

/* Who calls. Shared by an rpc and the operations that outlive it. */
struct hws_caller {
    unsigned n_refs;
    uint8_t transport; /* enum hws_link_transport */
    char *principal;   /* owned; as the policy names it */
    char *serial;      /* owned; certificate serial in hex, or "" */
    char *peer;        /* owned; address, or "unix:pid:N" */
};

/* A message waiting to leave. */
struct hws_rpc_out {
    struct hws_list link;
    struct hws_buf bytes; /* owned */
};

struct hws_rpc {
    struct hws_list link;      /* in the channel's table */
    struct hws_list ready;     /* in the channel's list of those with something to send */
    struct hws_link_call call; /* protocol state */
    struct hws_agent *agent;   /* borrowed */
    struct hws_wire *wire;     /* borrowed; the channel */
    const struct hws_method *row;
    const struct hws_handler *handler;
    struct hws_caller *caller; /* one reference */
    uint64_t deadline_ms;      /* of its work, on the loop's clock; UINT64_MAX = none */
    uint64_t expire_ms;        /* a little later: then it ends whatever its work does */
    struct hws_task *task;     /* its one operation; NULL before, after, and for streams of items */
    struct hws_stream *stream; /* a stream of items; NULL otherwise */
    struct hws_buf request;    /* the one message of a unary or server-streaming call */
    bool has_request;
    bool half_closed;
    uint32_t give;       /* credit to grant to the caller */
    struct hws_list out; /* struct hws_rpc_out, oldest first */
    size_t n_out;
    bool sending; /* `fragments` is under way for the oldest */
    struct hws_link_fragments fragments;
    enum hws_code cut; /* why hawser-wire ended the call, if not for its caller; else HWS_OK */
    bool ended;        /* status below is final */
    uint8_t status;    /* gRPC code */
    uint32_t retry_ms; /* set before a refusal that knows it: when to try again */
    char message[HWS_ERR_MSG_BYTES]; /* for people */
    struct hws_buf details;          /* packed google.rpc.Status, or empty */
};

/* A caller with one reference; NULL when out of memory. */
struct hws_caller *hws_caller_new(const char *principal, const struct hws_link_call_open *open);
struct hws_caller *hws_caller_ref(struct hws_caller *c);
void hws_caller_unref(struct hws_caller *c); /* NULL is allowed */

/* A new rpc for a CALL packet; handler and caller come from the channel. NULL when out of memory.
 */
struct hws_rpc *hws_rpc_new(struct hws_wire *wire, uint64_t id, const struct hws_method *row);

/* Frees it; task and stream must be gone. */
void hws_rpc_free(struct hws_rpc *rpc);

/* Queues a message; takes *bytes (also when it fails, or when the rpc has ended). HWS_E_NOMEM. */
enum hws_code hws_rpc_send(struct hws_rpc *rpc, struct hws_buf *bytes) HWS_MUST_USE;

/* True while a stream may queue another message: its caller has granted it, and neither the stream
 * nor all calls together have too much waiting. After a false the handler's resume comes. */
bool hws_rpc_has_room(struct hws_rpc *rpc);

/* There may be room again: the handler of a stream that runs goes on. */
void hws_rpc_resume(struct hws_rpc *rpc);

/* The oldest message has left. */
void hws_rpc_sent(struct hws_rpc *rpc);

/* Lets the caller send one more message. */
void hws_rpc_give(struct hws_rpc *rpc);

/* Ends it with HWS_OK. No effect when it has ended. */
void hws_rpc_end_ok(struct hws_rpc *rpc);

/* Ends it with the status of err; field as in hws_convert_details. No effect when it has ended. */
void hws_rpc_end(struct hws_rpc *rpc, const struct hws_err *err, const char *field);

/* Ends it with a status made earlier (a repeated request). */
void hws_rpc_end_status(struct hws_rpc *rpc, uint8_t status, const char *message,
                        const void *details, size_t n_details);

/* A whole message came, or the caller's last one. Called by the channel. */
void hws_rpc_message(struct hws_rpc *rpc, const uint8_t *bytes, size_t n);
void hws_rpc_half_close(struct hws_rpc *rpc);

/* The caller has gone, or the deadline has passed (why says which): work that can stop stops. */
void hws_rpc_abandon(struct hws_rpc *rpc, enum hws_code why);

#endif
