/* What listen, dial, conn and pump share. */
#ifndef HWS_NET_CONN_PRIV_H
#define HWS_NET_CONN_PRIV_H

#include "net/conn.h"

/*
 * A connection object with its stream, timer and prepare handles initialised, in state CONNECTING.
 * HWS_E_NOMEM, HWS_E_IO. It frees itself when closed.
 */
enum hws_code hws_net__conn_new(struct hws_net *net, enum hws_net_transport transport, bool server,
                                const struct hws_net_conn_ops *ops, void *owner,
                                struct hws_net_conn **out_conn, struct hws_err *err) HWS_MUST_USE;

/* The stream is connected: begins TLS (bundle, expect and server_name as in tls/conn.h) or, on a
 * Unix socket, opens at once. Failures end the connection through its own callbacks. */
void hws_net__conn_start(struct hws_net_conn *conn, struct hws_tls_bundle *bundle,
                         const char *expect, const char *server_name);

/* ---- conn.c, for pump.c ---- */

static inline bool hws_net__has_tls(const struct hws_net_conn *conn)
{
    return conn->peer.transport == HWS_NET_TLS;
}

/* The handshake is over: admits the peer and makes the engine, or ends the connection. */
void hws_net__conn_identified(struct hws_net_conn *conn);

/* Closes the handles: the last step, in any state. */
void hws_net__conn_hang_up(struct hws_net_conn *conn);

/* Sets the timer for due_ms (UINT64_MAX: nothing) or for what is due by the connection's own state,
 * whichever comes first. */
void hws_net__conn_arm(struct hws_net_conn *conn, uint64_t due_ms);

/* ---- pump.c ---- */

/* The one place where everything due is done: engine, one write, the end, reads, the timer. */
void hws_net__pump(struct hws_net_conn *conn);

/* The same, before the loop waits again. */
void hws_net__pump_soon(struct hws_net_conn *conn);

/* Writes once, unless a write is in flight. False when the connection ended; *out_more: the next
 * turn has more to write. */
bool hws_net__flush(struct hws_net_conn *conn, bool *out_more);

/* ---- net.c: output buffers, shared by the loop's connections ---- */

/* Gives a buffer without memory that of a spare one, if there is one. */
void hws_net__bufs_get(struct hws_net *net, struct hws_buf *buf);

/* Takes back a buffer whose bytes nobody needs any more: kept as a spare or freed. */
void hws_net__bufs_put(struct hws_net *net, struct hws_buf *buf);

/* ---- conn.c, for all ---- */

/* Ends it now, without goodbye: err is kept (the first one wins). */
void hws_net__conn_fail(struct hws_net_conn *conn, const struct hws_err *err);

/* Our side is shut: what the peer still sends is dropped for HWS_NET_LINGER_MS. */
void hws_net__conn_linger(struct hws_net_conn *conn);

/* The same when its descriptor goes. */
void hws_net__listener_hung_up(struct hws_net_conn *conn);

/* The listener's bookkeeping when a connection has gone. */
void hws_net__listener_forget(struct hws_net_conn *conn);

/* Called when the peer is known, before on_open: the caps of its identity. HWS_E_BUSY, HWS_E_NOMEM.
 */
enum hws_code hws_net__listener_admit(struct hws_net_conn *conn, struct hws_err *err) HWS_MUST_USE;

/* What the engine of an admitted connection charges. */
void hws_net__listener_accounts(struct hws_net_conn *conn,
                                struct hws_grpc_account *out[HWS_GRPC_MAX_ACCOUNTS]);

#endif
