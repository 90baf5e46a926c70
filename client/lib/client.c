/*
 * The client: one agent's channel, and what it is told about that agent.
 *
 * Happy path: options -> open -> calls (call.c) -> close -> the channel has closed -> freed.
 * Where it goes wrong: an option that cannot be meant. What happens to connections is the
 * channel's.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/client_priv.h"

const char *hws_client_target(const struct hws_client *client)
{
    return client->target;
}

/* ---- open ---- */

static bool target_ok(const char *target)
{
    uint64_t port = 0;
    const char *colon = strrchr(target, ':');

    if (hws_str_starts(target, "unix:")) {
        return target[5] == '/';
    }
    return colon != NULL && colon != target &&
           hws_str_to_u64(colon + 1, UINT16_MAX, &port, NULL) == HWS_OK && port != 0;
}

static enum hws_client_code take_options(struct hws_client *client,
                                         const struct hws_client_options *o,
                                         struct hws_client_status *status)
{
    struct hws_err err;
    bool local = hws_str_starts(o->target, "unix:");

    if (!hws_str_copy(client->target, sizeof(client->target), o->target) || !target_ok(o->target)) {
        return hws_client__fail(status, HWS_CLIENT_INVALID_ARGUMENT,
                                "target \"%.64s\": give HOST:PORT, [V6]:PORT or unix:/PATH",
                                o->target);
    }
    client->connect_timeout_ms =
        o->connect_timeout_ms == 0 ? HWS_CLIENT_CONNECT_TIMEOUT_MS : o->connect_timeout_ms;
    client->default_timeout_ms =
        o->default_timeout_ms == 0 ? HWS_CLIENT_DEFAULT_TIMEOUT_MS : o->default_timeout_ms;
    if (local) {
        return HWS_CLIENT_OK;
    }
    if (o->creds == NULL) {
        return hws_client__fail(status, HWS_CLIENT_INVALID_ARGUMENT,
                                "%s: credentials are needed for TCP", client->target);
    }
    if (o->server_identity != NULL) {
        if (!hws_str_copy(client->identity, sizeof(client->identity), o->server_identity)) {
            return hws_client__fail(status, HWS_CLIENT_INVALID_ARGUMENT,
                                    "the server's identity is too long");
        }
    } else if (hws_client__creds_agent_identity(o->creds, client->identity,
                                                sizeof(client->identity), &err) != HWS_OK) {
        return hws_client__fail_err(status, &err);
    }
    client->creds = hws_client__creds_ref(o->creds);
    return HWS_CLIENT_OK;
}

static enum hws_code open_channel(struct hws_client *client, struct hws_err *err)
{
    const struct hws_net_channel_config config = {
        .target = client->target,
        .bundle = client->creds != NULL ? client->creds->bundle : NULL,
        .expect = client->identity[0] != '\0' ? client->identity : NULL,
        .timeout_ms = client->connect_timeout_ms,
        .user_agent = "libhawser/0.1",
        .backoff_min_ms = HWS_CLIENT_REDIAL_MIN_MS,
        .backoff_max_ms = HWS_CLIENT_REDIAL_MAX_MS,
    };

    return hws_net_channel_open(&client->channel, &client->net, &config, err);
}

static void release(struct hws_client *client)
{
    hws_client_creds_unref(client->creds);
    hws_net_deinit(&client->net);
    hws_mem_free(client);
}

enum hws_client_code hws_client_open(struct uv_loop_s *loop,
                                     const struct hws_client_options *options,
                                     struct hws_client **out, struct hws_client_status *status)
{
    struct hws_client *client = hws_mem_zalloc(1, sizeof(*client));

    if (client == NULL) {
        return hws_client__fail(status, HWS_CLIENT_RESOURCE_EXHAUSTED, "out of memory");
    }
    client->loop = loop;
    enum hws_client_code code = take_options(client, options, status);
    struct hws_err err;
    if (code == HWS_CLIENT_OK && (hws_net_init(&client->net, loop, &err) != HWS_OK ||
                                  open_channel(client, &err) != HWS_OK)) {
        code = hws_client__fail_err(status, &err);
    }
    if (code != HWS_CLIENT_OK) {
        release(client);
        return code;
    }
    client->channel.data = client;
    *out = client;
    return HWS_CLIENT_OK;
}

/* ---- close ---- */

static void channel_closed(struct hws_net_channel *channel)
{
    struct hws_client *client = channel->data;
    void (*closed)(void *data) = client->closed;
    void *data = client->closed_data;

    release(client);
    if (closed != NULL) {
        closed(data);
    }
}

void hws_client_close(struct hws_client *client, void (*closed)(void *data), void *data)
{
    if (client->closing) {
        return;
    }
    client->closing = true;
    client->closed = closed;
    client->closed_data = data;
    hws_net_channel_close(&client->channel, channel_closed);
}
