/* The inside of a client: a channel to its agent, and its calls. */
#ifndef HWS_CLIENT_CLIENT_PRIV_H
#define HWS_CLIENT_CLIENT_PRIV_H

#include <uv.h>

#include "base/buf.h"
#include "client/creds_priv.h"
#include "client/status_priv.h"
#include "hawser.h"
#include "net/channel.h"

#define HWS_CLIENT__IDENTITY_BYTES 1100 /* with NUL */

struct hws_client {
    uv_loop_t *loop; /* borrowed */
    char target[HWS_CLIENT_TARGET_BYTES];
    char identity[HWS_CLIENT__IDENTITY_BYTES]; /* empty: Unix socket */
    struct hws_client_creds *creds;            /* a reference; NULL: Unix socket */
    uint32_t connect_timeout_ms;
    uint32_t default_timeout_ms;
    struct hws_net net;
    struct hws_net_channel channel;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
};

/* A call on loan. */
struct hws_client__call {
    struct hws_grpc_channel_call wire;
    struct hws_client *client;   /* borrowed */
    struct hws_client_call *pub; /* the caller's */
    struct hws_buf request;      /* owned; packed */
    bool cancelled;
    bool refused;   /* an answer did not parse */
    bool *run_done; /* hws_client_run waits for it */
};

#endif
