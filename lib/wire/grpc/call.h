/*
 * One call (stream) of a connection, either side.
 *
 * Server: born with on_call, lives until on_close returns; it is the handler that ends it with
 * hws_grpc_call_finish, and after on_cancel the handler still must finish (or the connection is
 * lost): a call whose stream is gone keeps its place in max_calls until the work really ended.
 * Client: born with hws_grpc_client_start, ends with on_close. In both cases on_close runs exactly
 * once, is the last callback, and the pointer is dead when it returns.
 *
 * Order of callbacks: on_call | on_headers, on_message*, on_half_close (server), on_close.
 * on_cancel and on_writable come in between. Callbacks run inside the connection's recv, turn, pull
 * and lost only, never inside a function of this file.
 *
 * A request that must be one message (unary, server stream) is handed out only when the peer has
 * half-closed, so no work begins for a call that then turns out malformed.
 */
#ifndef HWS_GRPC_CALL_H
#define HWS_GRPC_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "grpc/codec.h"
#include "grpc/meta.h"
#include "grpc/status.h"

struct hws_grpc_call;
struct hws_grpc_conn;

enum hws_grpc_kind {
    HWS_GRPC_UNARY,
    HWS_GRPC_SERVER_STREAM,
    HWS_GRPC_CLIENT_STREAM,
    HWS_GRPC_BIDI,
    HWS_GRPC_N_KINDS
};

/* How a call ended. Borrowed for the time of the callback. */
struct hws_grpc_outcome {
    enum hws_grpc_code code;
    const char *message;    /* NUL-terminated, decoded, never NULL */
    const uint8_t *details; /* grpc-status-details-bin: google.rpc.Status; NULL if none */
    size_t n_details;
    const struct hws_grpc_meta *trailers; /* client: the peer's trailing metadata; never NULL */
    bool from_peer; /* the peer said this status; else it is ours (deadline, reset, lost connection)
                     */
    bool
        unprocessed; /* client: the peer's application never saw the call: a retry is always safe */
    bool unsent;     /* client: nor did the peer: nothing of it has left */
};

/* Any member may be NULL. */
struct hws_grpc_call_ops {
    /*
     * Server: a call has come; method index is hws_grpc_call_method. Returning anything but
     * HWS_GRPC_OK ends it with that code and its name as the message, and no further callback
     * comes, not even on_close (do not use finish then). To say more: finish, and return
     * HWS_GRPC_OK.
     */
    enum hws_grpc_code (*on_call)(struct hws_grpc_call *call, void *data);
    /* Client: the initial metadata is there (not called for a trailers-only response). */
    void (*on_headers)(struct hws_grpc_call *call);
    /* One message, decompressed; borrowed until the callback returns. */
    void (*on_message)(struct hws_grpc_call *call, const uint8_t *bytes, size_t n);
    /* Server: the client sends no more. Comes after the last message. */
    void (*on_half_close)(struct hws_grpc_call *call);
    /* There is room again after hws_grpc_call_send answered HWS_E_BUSY (or
     * hws_grpc_call_want_writable). */
    void (*on_writable)(struct hws_grpc_call *call);
    /* Server: the client cancelled, the deadline passed or the connection is going: nothing more
     * can be sent. Finish when the work has ended, now or later. Not called after finish. */
    void (*on_cancel)(struct hws_grpc_call *call, const struct hws_grpc_outcome *why);
    void (*on_close)(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome);
};

/* The application's pointer; set in on_call or by start. */
void hws_grpc_call_set_data(struct hws_grpc_call *call, void *data);
void *hws_grpc_call_data(const struct hws_grpc_call *call);

/* Server: replaces the callbacks, in on_call, when one table entry serves several handlers. ops is
 * borrowed. */
void hws_grpc_call_set_ops(struct hws_grpc_call *call, const struct hws_grpc_call_ops *ops);

/* Borrowed for the call's life. */
struct hws_grpc_conn *hws_grpc_call_conn(const struct hws_grpc_call *call);

/* Server: the index of the method in the table it was added with. */
size_t hws_grpc_call_method(const struct hws_grpc_call *call);

/* "/package.Service/Method". Borrowed for the call's life (client: from start's request; server:
 * from the table). */
const char *hws_grpc_call_path(const struct hws_grpc_call *call);

/* Absolute, in ms on the connection's clock (of lib/wire/net: hws_net_now_ms); UINT64_MAX: none. */
uint64_t hws_grpc_call_deadline(const struct hws_grpc_call *call);

/* The peer's initial metadata (server: the request's), without gRPC's own fields. Borrowed for the
 * call's life. */
const struct hws_grpc_meta *hws_grpc_call_peer_meta(const struct hws_grpc_call *call);

/* True while send can still have an effect: not finished, half-closed, cancelled or closed. */
bool hws_grpc_call_can_send(const struct hws_grpc_call *call);

/*
 * Server: sends the initial metadata now (meta may be NULL); without it they go with the first
 * message, and a call that finishes before is answered trailers-only. HWS_E_STATE when they are out
 * already or the call has ended, HWS_E_INVALID for more than HWS_GRPC_META_SENT_FIELDS,
 * HWS_E_NOMEM.
 */
enum hws_code hws_grpc_call_send_headers(struct hws_grpc_call *call,
                                         const struct hws_grpc_meta *meta, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Queues one message (copied). HWS_E_BUSY: max_unsent_call_bytes (or the connection's) is reached,
 * or an account's most held bytes are: nothing was taken, on_writable comes; a message is taken
 * whole whenever the call is below its cap. A server's only message is not measured by the
 * connection's. HWS_E_INVALID: over max_send_message_bytes, or a second message where the kind
 * allows one. HWS_E_STATE: can_send is false. HWS_E_NOMEM.
 */
enum hws_code hws_grpc_call_send(struct hws_grpc_call *call, const void *bytes, size_t n,
                                 struct hws_err *err) HWS_MUST_USE;

/*
 * The same without the copy: *out_space is room for exactly n bytes; hws_grpc_call_commit queues
 * them. Nothing else may be called on the call in between. Errors as send; after an error there is
 * nothing to commit. Never compressed.
 */
enum hws_code hws_grpc_call_reserve(struct hws_grpc_call *call, size_t n, uint8_t **out_space,
                                    struct hws_err *err) HWS_MUST_USE;
void hws_grpc_call_commit(struct hws_grpc_call *call);

/* Server: messages of hws_grpc_call_send and hws_grpc_pb_send are compressed from now on. Before
 * the headers are out only: HWS_E_STATE after. HWS_E_UNSUPPORTED: the peer does not accept this
 * encoding (the call goes on uncompressed). A client says so in struct hws_grpc_start. */
enum hws_code hws_grpc_call_compress(struct hws_grpc_call *call, enum hws_grpc_encoding encoding,
                                     struct hws_err *err) HWS_MUST_USE;

/* Client: no more messages. Idempotent. */
void hws_grpc_call_half_close(struct hws_grpc_call *call);

/*
 * Server: ends the call with a status; queued messages go out first when the code is OK, and are
 * sent as well for other codes. message (NULL = "") is UTF-8, cut at HWS_GRPC_MESSAGE_BYTES;
 * details (may be NULL) are a serialized google.rpc.Status, whose code and message are to be the
 * same (they are not looked at), dropped over HWS_GRPC_DETAILS_BYTES. trailers (may be NULL) is
 * read before it returns; of more than 64 fields or 8 KiB the last are dropped. Once only; after
 * on_cancel it just lets the call go. Never fails: without memory the stream is reset.
 */
void hws_grpc_call_finish(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message,
                          const void *details, size_t n_details,
                          const struct hws_grpc_meta *trailers);

/* finish with a code and a text only. */
void hws_grpc_call_finish_text(struct hws_grpc_call *call, enum hws_grpc_code code,
                               const char *message);

/*
 * Server: drops unsent messages and ends the call by this status, or, where that would wait behind
 * the peer's window, by the reset that means it; then finish is due as after on_cancel, which is
 * not called. No effect when the call has ended.
 */
void hws_grpc_call_abort(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message);

/*
 * Client: resets the stream; on_close comes with CANCELLED unless the call ended otherwise before.
 * Server: drops unsent messages and resets the stream (an abort without status); then finish is due
 * as after on_cancel, which is not called.
 */
void hws_grpc_call_cancel(struct hws_grpc_call *call);

/*
 * Back-pressure towards the peer, by messages: from the first use on, on_message runs only while
 * credit is left, each taking one; further bytes wait and the peer's window stays shut (at most
 * stream_window_bytes are held). Without a use, credit is endless. Use set in on_call (0 or more),
 * then grant.
 */
void hws_grpc_call_set_credit(struct hws_grpc_call *call, uint32_t n_messages);
void hws_grpc_call_grant(struct hws_grpc_call *call, uint32_t n_messages);

/* Asks for one on_writable, when the call (and the connection) holds at most half of its unsent
 * cap; maybe at once, but not inside this function. hws_grpc_call_send's HWS_E_BUSY asks for it by
 * itself. */
void hws_grpc_call_want_writable(struct hws_grpc_call *call);

/* What the peer said to compress its messages by; IDENTITY before its headers. */
enum hws_grpc_encoding hws_grpc_call_encoding(const struct hws_grpc_call *call);

/* True if the message handed out last came compressed. */
bool hws_grpc_call_was_compressed(const struct hws_grpc_call *call);

/*
 * Server: what the application itself holds of the call's messages, those that it took and has not
 * dealt with and those that send did not take yet, is n bytes now. Charged to the connection's
 * accounts (grpc/account.h) until it says otherwise or the call is closed. False when it is more
 * than before, an account holds its most and this call more than call_free_bytes: then the
 * application should let go of it, and abort the call with RESOURCE_EXHAUSTED.
 */
bool hws_grpc_call_hold(struct hws_grpc_call *call, size_t n) HWS_MUST_USE;

/* Message bytes queued and not yet in a frame. */
size_t hws_grpc_call_unsent(const struct hws_grpc_call *call);

#endif
