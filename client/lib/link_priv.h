/*
 * The link: one connection as the client sees it. Opened, it tells `up` once when calls can be made
 * from the loop's next turn on, and `down` once at its end, whichever way that came; both from the
 * loop, never inside a function of this header.
 */
#ifndef HWS_CLIENT_LINK_PRIV_H
#define HWS_CLIENT_LINK_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/dial.h"

struct hws_client__link_options {
    struct hws_net *net;           /* outlives the link */
    const char *target;            /* borrowed until down, as all that follow */
    struct hws_tls_bundle *bundle; /* NULL: Unix socket */
    const char *identity;          /* what the server must be; NULL: Unix socket */
    uint32_t timeout_ms;
    void (*up)(void *data);
    /* After it nothing of the link is left and it may be opened again. why is for people. */
    void (*down)(void *data, const struct hws_err *why);
    void *data;
};

struct hws_client__link {
    struct hws_client__link_options o;
    struct hws_net_conn *conn; /* the net layer's; NULL: closed */
};

/* HWS_E_INVALID if the text is no target. */
enum hws_code hws_client__target_check(const char *target, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_INVALID, HWS_E_NOMEM, HWS_E_IO: then nothing is left and down does not come. */
enum hws_code hws_client__link_open(struct hws_client__link *link,
                                    const struct hws_client__link_options *options,
                                    struct hws_err *err) HWS_MUST_USE;

/* The connection, between up and down. */
struct hws_grpc_conn *hws_client__link_conn(struct hws_client__link *link);

/* Ends it; down comes. Calls still on it end first. Idempotent. */
void hws_client__link_close(struct hws_client__link *link);

#endif
