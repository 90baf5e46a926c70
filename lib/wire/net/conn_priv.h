/* What listen, dial and conn share. */
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

/* Ends it now, without goodbye: err is kept (the first one wins). */
void hws_net__conn_fail(struct hws_net_conn *conn, const struct hws_err *err);

/* The listener's bookkeeping when a connection has gone. */
void hws_net__listener_forget(struct hws_net_conn *conn);

/* Called when the peer is known, before on_open: the caps of its identity. HWS_E_BUSY, HWS_E_NOMEM.
 */
enum hws_code hws_net__listener_admit(struct hws_net_conn *conn, struct hws_err *err) HWS_MUST_USE;

/* What the engine of an admitted connection charges. */
void hws_net__listener_accounts(struct hws_net_conn *conn,
                                struct hws_grpc_account *out[HWS_GRPC_MAX_ACCOUNTS]);

#endif
