/*
 * The inside of a client: its state, its calls, and the link, which is the one connection it has at
 * a time.
 */
#ifndef HWS_CLIENT_CLIENT_PRIV_H
#define HWS_CLIENT_CLIENT_PRIV_H

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "client/creds_priv.h"
#include "client/link_priv.h"
#include "client/status_priv.h"
#include "grpc/client.h"
#include "hawser.h"

#define HWS_CLIENT__IDENTITY_BYTES 1100 /* with NUL */

enum hws_client__state {
    HWS_CLIENT__IDLE,    /* no link */
    HWS_CLIENT__DIALING, /* link opening */
    HWS_CLIENT__UP,      /* calls run */
    HWS_CLIENT__ENDING   /* link closing; a new one may follow */
};

struct hws_client {
    uv_loop_t *loop; /* borrowed */
    char target[HWS_CLIENT_TARGET_BYTES];
    char identity[HWS_CLIENT__IDENTITY_BYTES]; /* empty: Unix socket */
    struct hws_client_creds *creds;            /* a reference; NULL: Unix socket */
    uint32_t connect_timeout_ms;
    uint32_t default_timeout_ms;
    enum hws_client__state state;
    struct hws_net net;
    struct hws_client__link link;
    struct hws_list waiting; /* calls without a connection, oldest first */
    struct hws_list running;
    uint32_t n_waiting;
    uv_timer_t timer;       /* redial pause, deadlines of waiting calls, the end */
    uint32_t pause_ms;      /* before the next dial after another failure */
    uint64_t not_before_ms; /* no dial before */
    bool fresh;             /* UP, but the connection takes no calls before the next turn */
    bool closing;
    bool timer_closing;
    void (*closed)(void *data);
    void *closed_data;
};

/* A call on loan. */
struct hws_client__call {
    struct hws_list link;        /* in waiting or running */
    struct hws_client *client;   /* borrowed */
    struct hws_client_call *pub; /* the caller's */
    struct hws_grpc_call *grpc;  /* NULL while waiting */
    struct hws_buf request;      /* owned; packed */
    uint64_t deadline_ms;        /* absolute; UINT64_MAX: none */
    bool again;                  /* sent once more already */
    bool cancelled;
    bool refused;   /* an answer did not parse */
    bool *run_done; /* hws_client_run waits for it */
};

uint64_t hws_client__now_ms(const struct hws_client *client);

/* Puts waiting calls on the link, dials, arms the timer: whatever the present state calls for.
 * Never calls back. */
void hws_client__kick(struct hws_client *client);

/* Puts a call on the connection. HWS_E_GONE, HWS_E_BUSY: it can wait. */
enum hws_code hws_client__call_send(struct hws_client__call *c, struct hws_grpc_conn *conn,
                                    struct hws_err *err) HWS_MUST_USE;

/* Ends a waiting call: unlinks, frees, tells its caller. */
void hws_client__call_end(struct hws_client__call *c, enum hws_client_code code, const char *why);

#endif
