/* What the files of the engine share: the call object and the functions between session, call,
 * head, server, client. */
#ifndef HWS_GRPC_SESSION_PRIV_H
#define HWS_GRPC_SESSION_PRIV_H

#include <nghttp2/nghttp2.h>

#include "grpc/call.h"
#include "grpc/frame.h"
#include "grpc/outq.h"
#include "grpc/server.h"
#include "grpc/session.h"

#define HWS_GRPC_NEVER UINT64_MAX

/*
 * OPEN: the application may use it. FINISHING (server): the handler is done, the status is on its
 * way. ORPHAN (server): the call is over but the handler works on. DONE: on_close is due.
 */
enum hws_grpc_call_state {
    HWS_GRPC_CALL_OPEN,
    HWS_GRPC_CALL_FINISHING,
    HWS_GRPC_CALL_ORPHAN,
    HWS_GRPC_CALL_DONE,
    HWS_GRPC_CALL_N_STATES
};

/* What is known of the header block being read. */
struct hws_grpc_head {
    uint32_t n_fields;
    uint32_t n_bytes;
    unsigned http_status; /* client */
    bool content_type_ok;
    bool te_ok;
    bool post;
    bool get;
    bool have_path;
    bool have_status; /* grpc-status came */
    bool over;        /* a header limit */
    bool bad_meta;    /* base64 */
    bool bad_timeout;
    bool no_memory;
    uint64_t timeout_ms; /* HWS_GRPC_NEVER = none */
    enum hws_grpc_encoding encoding;
};

struct hws_grpc_call {
    struct hws_list link;
    struct hws_list poke_link;
    struct hws_list block_link;
    struct hws_grpc_conn *conn;
    const struct hws_grpc_call_ops *ops; /* borrowed; NULL: refused before the application saw it */
    void *data;
    const struct hws_grpc_route *route; /* server; borrowed */
    const char *path;                   /* borrowed */
    uint64_t began_ms;
    uint64_t deadline_ms;
    int state;         /* enum hws_grpc_call_state */
    int32_t stream_id; /* -1: the stream is gone */
    enum hws_grpc_kind kind;

    /* received */
    enum hws_grpc_encoding encoding; /* of the messages that come; N_ENCODINGS: not ours */
    enum hws_grpc_encoding compress; /* what is sent */
    uint32_t peer_takes;             /* a bit an encoding */
    struct hws_grpc_head head;
    struct hws_grpc_meta peer_meta;
    struct hws_grpc_meta peer_trailers;
    struct hws_grpc_reader reader;
    struct hws_buf held;   /* bytes that wait for credit */
    struct hws_buf single; /* the one request message, until the half close */
    uint32_t n_recv;
    uint32_t credit;

    /* sent */
    struct hws_grpc_outq tx;
    size_t reserved;   /* bytes of an open reservation, prefix included */
    uint64_t check_ms; /* when progress is judged; HWS_GRPC_NEVER = nothing is owed */
    size_t moved;      /* bytes since the last judgement */
    bool undated;      /* check_ms counts from an old time: the next turn has the true one */
    size_t counted;    /* of conn->recv_bytes */
    size_t app_bytes;  /* of conn->app_bytes */
    uint32_t n_sent;

    /* how it ended */
    enum hws_grpc_code code;
    struct hws_buf end_message;
    struct hws_buf end_details;
    struct hws_grpc_meta end_trailers; /* server: to send */

    bool server;
    bool headers_in;     /* the peer's initial metadata is complete */
    bool peer_done;      /* END_STREAM came */
    bool end_told;       /* on_half_close ran, or the client's end is settled */
    bool was_compressed; /* the latest message */
    bool credit_on;
    bool headers_out; /* server: submitted; client: on the wire */
    bool half_closed; /* client: no more sends */
    bool deferred;    /* the data source waits for resume */
    bool rst_out;     /* we reset the stream */
    bool expired;     /* at its deadline */
    bool from_peer;   /* the end is the peer's word */
    bool unprocessed;
    bool not_grpc; /* server: refused as HTTP */
};

/* ---- session.c ---- */

/* Records why the connection ends; the first reason stays. GOAWAY follows when nghttp2 is left.
 * Returns NGHTTP2_ERR_CALLBACK_FAILURE for callbacks. */
int hws_grpc__conn_end(struct hws_grpc_conn *conn, uint32_t h2_error, enum hws_code code,
                       const char *text);

/* Tells the owner that there is work, unless it is inside the connection. */
void hws_grpc__conn_wake(struct hws_grpc_conn *conn);

/* A fresh call in the connection's list; NULL without memory or when an account is full. */
struct hws_grpc_call *hws_grpc__call_new(struct hws_grpc_conn *conn, int32_t stream_id);

/* Takes a call back that nobody has seen: one whose request could not be queued. */
void hws_grpc__call_undo(struct hws_grpc_call *call);

/* Takes n tokens for frames that cost us and bring nothing. 0, or a callback failure when there are
 * not so many. */
int hws_grpc__count_control(struct hws_grpc_conn *conn, uint32_t n);

/* Ends a connection whose frames wait in the library beyond max_outbound_items. 0, or a callback
 * failure. */
int hws_grpc__outbound_check(struct hws_grpc_conn *conn);

/* Counts a reset or stream error that the peer provoked. 0, or a callback failure when it is one
 * too many. */
int hws_grpc__conn_provoked(struct hws_grpc_conn *conn);

/* Ends the connection by an nghttp2 error code; returns our code for it. */
enum hws_code hws_grpc__conn_end_by_h2(struct hws_grpc_conn *conn, int h2_code);

/* Brackets whatever may run callbacks: takes the time; at the end settles what waited. */
void hws_grpc__conn_enter(struct hws_grpc_conn *conn, uint64_t now_ms);
void hws_grpc__conn_leave(struct hws_grpc_conn *conn);

void hws_grpc__conn_move(struct hws_grpc_conn *conn, enum hws_grpc_conn_state to);

/* ---- spares.c ---- */

/* Empties a buffer; small memory stays, large memory goes. */
void hws_grpc__drop_buf(struct hws_buf *b);

/* An empty call, zeroed but for the memory of its buffers; NULL without memory. */
struct hws_grpc_call *hws_grpc__spares_take_call(struct hws_grpc_spares *s) HWS_MUST_USE;

/* Takes an ended call that is in no list. */
void hws_grpc__spares_give_call(struct hws_grpc_spares *s, struct hws_grpc_call *call);

/* Gives a buffer without memory that of a spare one, if there is one; and takes it back, empty. */
void hws_grpc__spares_take_out(struct hws_grpc_spares *s, struct hws_buf *out);
void hws_grpc__spares_give_out(struct hws_grpc_spares *s, struct hws_buf *out);

/* ---- session_h2.c ---- */

enum hws_code hws_grpc__h2_open(struct hws_grpc_conn *conn, struct hws_err *err) HWS_MUST_USE;

/* ---- account.c ---- */

/* Charges one more call; false, and nothing is charged, when an account has its most. */
bool hws_grpc__account_take_call(struct hws_grpc_conn *conn) HWS_MUST_USE;
void hws_grpc__account_give_call(struct hws_grpc_conn *conn);

/* Brings the accounts up to what the connection holds now. */
void hws_grpc__account_sync(struct hws_grpc_conn *conn);

/* True when an account holds its most, and this call more than what is always free. */
bool hws_grpc__account_full(const struct hws_grpc_call *call);

/* ---- head.c: fields in, fields out ---- */

#define HWS_GRPC_FIELD_COST 32u /* RFC 9113, section 10.5.1 */

void hws_grpc__head_begin(struct hws_grpc_call *call);

/* Counts a field of the block; false when it is over a limit and not to be looked at. */
bool hws_grpc__head_count(struct hws_grpc_call *call, size_t n_name, size_t n_value);
void hws_grpc__head_field(struct hws_grpc_call *call, const uint8_t *name, size_t n_name,
                          const uint8_t *value, size_t n_value);

/* Response headers with the data to follow. HWS_E_NOMEM. */
enum hws_code hws_grpc__head_send_response(struct hws_grpc_call *call,
                                           const struct hws_grpc_meta *meta) HWS_MUST_USE;

/* The head of an answer in words to a request that is not gRPC, its trailers a gRPC status; the
 * words follow as data. HWS_E_NOMEM. */
enum hws_code hws_grpc__head_send_words(struct hws_grpc_call *call, unsigned http_status)
    HWS_MUST_USE;

/* Status fields as a trailers-only response with this :status, or as trailers after data.
 * HWS_E_NOMEM. */
enum hws_code hws_grpc__head_send_status(struct hws_grpc_call *call, unsigned http_status)
    HWS_MUST_USE;
enum hws_code hws_grpc__head_send_trailers(struct hws_grpc_call *call) HWS_MUST_USE;

/* Request headers; sets call->stream_id. HWS_E_NOMEM, HWS_E_GONE. */
enum hws_code hws_grpc__head_send_request(struct hws_grpc_call *call,
                                          const struct hws_grpc_meta *meta, uint64_t timeout_ms)
    HWS_MUST_USE;

/* ---- server.c, client.c: a header block is complete ---- */

void hws_grpc__server_headers(struct hws_grpc_call *call);
void hws_grpc__client_headers(struct hws_grpc_call *call, bool end_stream);

/* ---- call_recv.c: bytes in ---- */

void hws_grpc__call_data(struct hws_grpc_call *call, const uint8_t *bytes, size_t n);

/* A call has begun: its one request message, if that is its kind, is owed from now on. */
void hws_grpc__call_expect(struct hws_grpc_call *call);

/* END_STREAM came. */
void hws_grpc__call_end_stream(struct hws_grpc_call *call);

/* Delivers what credit and END_STREAM allow. */
void hws_grpc__call_pump(struct hws_grpc_call *call);

/* ---- call.c ---- */

/* Lets nghttp2 ask for data again. */
void hws_grpc__call_resume(struct hws_grpc_call *call);

/* ---- call_end.c ---- */

void hws_grpc__call_move(struct hws_grpc_call *call, enum hws_grpc_call_state to);
void hws_grpc__call_poke(struct hws_grpc_call *call);
void hws_grpc__call_set_end(struct hws_grpc_call *call, enum hws_grpc_code code,
                            const char *message);

/* Resets its stream, if that is there and was not reset. Without memory for it the connection ends.
 */
void hws_grpc__call_reset(struct hws_grpc_call *call, uint32_t h2_error);

/* Ends a call for a reason of ours. Server: on_cancel, status to the peer. Client: reset, then
 * on_close. */
void hws_grpc__call_fail(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message);

/* The stream is gone (closed, or the connection is). */
void hws_grpc__call_stream_gone(struct hws_grpc_call *call, uint32_t h2_error);

/* The connection is gone or going: nothing more can be said. */
void hws_grpc__call_conn_gone(struct hws_grpc_call *call, const char *why);

/* The next time something of this call is due. */
uint64_t hws_grpc__call_due(const struct hws_grpc_call *call);

/* Something owed moved n bytes; or began to be owed (n = 0). */
void hws_grpc__call_progress(struct hws_grpc_call *call, size_t n);

/* Sets what came to be owed since the connection was last told the time. */
void hws_grpc__calls_date(struct hws_grpc_conn *conn);

/* Something of the call is due now. */
void hws_grpc__call_expire(struct hws_grpc_call *call);

/* Runs on_close and gives the object back. */
void hws_grpc__call_close(struct hws_grpc_call *call);

/* Frees an object that is in no list. */
void hws_grpc__call_free(struct hws_grpc_call *call);

/* Data of this call: the length of its next DATA frame, and its move to the connection's output
 * (HWS_E_NOMEM). */
ssize_t hws_grpc__call_read(struct hws_grpc_call *call, size_t cap, uint32_t *data_flags);
enum hws_code hws_grpc__call_give(struct hws_grpc_call *call, size_t n) HWS_MUST_USE;

#endif
