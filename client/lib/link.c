/* The link over lib/wire/net. */
#include <string.h>

#include "base/str.h"
#include "client/link_priv.h"

enum hws_code hws_client__target_check(const char *target, struct hws_err *err)
{
    uint64_t port = 0;
    const char *colon = strrchr(target, ':');

    if (hws_str_starts(target, "unix:")) {
        return target[5] == '/' ? HWS_OK
                                : hws_err_set(err, HWS_E_INVALID,
                                              "a Unix socket's path starts "
                                              "with a slash");
    }
    if (colon == NULL || colon == target ||
        hws_str_to_u64(colon + 1, UINT16_MAX, &port, NULL) != HWS_OK || port == 0) {
        return hws_err_set(err, HWS_E_INVALID, "no host and port");
    }
    return HWS_OK;
}

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct hws_client__link *link = hws_net_conn_owner(conn);

    (void)err;
    cfg->scheme = link->o.bundle != NULL ? "https" : "http";
    cfg->authority = link->o.bundle != NULL ? link->o.target : "localhost";
    cfg->user_agent = "libhawser/0.1";
    link->o.up(link->o.data);
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct hws_client__link *link = hws_net_conn_owner(conn);

    link->conn = NULL;
    link->o.down(link->o.data, err);
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

enum hws_code hws_client__link_open(struct hws_client__link *link,
                                    const struct hws_client__link_options *options,
                                    struct hws_err *err)
{
    const struct hws_net_dial_config config = {
        .target = options->target,
        .bundle = options->bundle,
        .expect = options->identity,
        .timeout_ms = options->timeout_ms,
        .ops = &conn_ops,
        .owner = link,
    };

    link->o = *options;
    return hws_net_dial(options->net, &config, &link->conn, err);
}

struct hws_grpc_conn *hws_client__link_conn(struct hws_client__link *link)
{
    return hws_net_conn_grpc(link->conn);
}

void hws_client__link_close(struct hws_client__link *link)
{
    if (link->conn != NULL) {
        hws_net_conn_close(link->conn);
    }
}
