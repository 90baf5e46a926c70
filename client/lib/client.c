/*
 * The client: one link at a time, made when a call needs it.
 *
 * Happy path: a call waits -> dial -> up -> waiting calls are sent -> the link ends -> idle.
 * Where it goes wrong: the dial fails (every waiting call ends UNAVAILABLE with the reason, and the
 * next dial waits a little longer each time); the link drains or is lost (running calls end, later
 * ones dial again).
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/client_priv.h"

uint64_t hws_client__now_ms(const struct hws_client *client)
{
    return uv_now(client->loop);
}

const char *hws_client_target(const struct hws_client *client)
{
    return client->target;
}

static void arm(struct hws_client *client);

/* ---- what the link tells ---- */

static void link_up(void *data)
{
    struct hws_client *client = data;

    client->state = HWS_CLIENT__UP;
    client->fresh = true;
    client->pause_ms = 0;
    arm(client); /* the connection takes calls from the next turn on */
}

/* Ends every waiting call; new ones that come meanwhile stay. */
static void end_waiting(struct hws_client *client, enum hws_client_code code, const char *why)
{
    struct hws_list batch;

    hws_list_init(&batch);
    for (struct hws_list *it = hws_list_pop(&client->waiting); it != NULL;
         it = hws_list_pop(&client->waiting)) {
        hws_list_push(&batch, it);
    }
    while (!hws_list_empty(&batch)) {
        hws_client__call_end(hws_container_of(batch.next, struct hws_client__call, link), code,
                             why);
    }
}

static enum hws_client_code code_of_link(const struct hws_err *why)
{
    return why->code == HWS_E_NOMEM ? HWS_CLIENT_RESOURCE_EXHAUSTED : HWS_CLIENT_UNAVAILABLE;
}

static void link_down(void *data, const struct hws_err *why)
{
    struct hws_client *client = data;
    bool dialing = client->state == HWS_CLIENT__DIALING;

    client->state = HWS_CLIENT__IDLE;
    if (dialing && !client->closing) {
        char text[HWS_CLIENT_MESSAGE_BYTES];
        client->pause_ms = client->pause_ms == 0 ? HWS_CLIENT_REDIAL_MIN_MS : client->pause_ms * 2;
        if (client->pause_ms > HWS_CLIENT_REDIAL_MAX_MS) {
            client->pause_ms = HWS_CLIENT_REDIAL_MAX_MS;
        }
        client->not_before_ms = hws_client__now_ms(client) + client->pause_ms;
        bool named = strstr(why->msg, client->target) != NULL;
        (void)hws_str_print(text, sizeof(text), "%s%s%s", named ? "" : client->target,
                            named ? "" : ": ", why->msg);
        end_waiting(client, code_of_link(why), text);
    }
    hws_client__kick(client);
}

/* ---- time ---- */

static void timer_closed(uv_handle_t *handle)
{
    struct hws_client *client = handle->data;
    void (*closed)(void *data) = client->closed;
    void *data = client->closed_data;

    hws_client_creds_unref(client->creds);
    hws_net_deinit(&client->net);
    hws_mem_free(client);
    if (closed != NULL) {
        closed(data);
    }
}

static void maybe_closed(struct hws_client *client)
{
    if (client->closing && !client->timer_closing && client->state == HWS_CLIENT__IDLE &&
        hws_list_empty(&client->waiting) && hws_list_empty(&client->running)) {
        client->timer_closing = true;
        uv_close((uv_handle_t *)&client->timer, timer_closed);
    }
}

static void end_late(struct hws_client *client)
{
    uint64_t now_ms = hws_client__now_ms(client);

    for (struct hws_list *it = client->waiting.next; it != &client->waiting;) {
        struct hws_client__call *c = hws_container_of(it, struct hws_client__call, link);
        if (c->deadline_ms > now_ms) {
            it = it->next;
            continue;
        }
        char text[HWS_CLIENT_TARGET_BYTES + 40];
        (void)hws_str_print(text, sizeof(text), "%s: no connection in time", client->target);
        if (c->cancelled) {
            hws_client__call_end(c, HWS_CLIENT_CANCELLED, "cancelled by this side");
        } else {
            hws_client__call_end(c, HWS_CLIENT_DEADLINE_EXCEEDED, text);
        }
        it = client->waiting.next; /* the caller may have changed the list */
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hws_client *client = timer->data;

    if (client->closing) {
        end_waiting(client, HWS_CLIENT_CANCELLED, "cancelled by this side");
        maybe_closed(client);
        return;
    }
    client->fresh = false;
    end_late(client);
    hws_client__kick(client);
}

static void arm(struct hws_client *client)
{
    uint64_t now_ms = hws_client__now_ms(client);
    bool send = client->state == HWS_CLIENT__UP && client->n_waiting > 0 && client->fresh;
    uint64_t at_ms = client->closing || send ? now_ms : UINT64_MAX;

    for (const struct hws_list *it = client->waiting.next; it != &client->waiting; it = it->next) {
        const struct hws_client__call *c =
            hws_container_of(it, const struct hws_client__call, link);
        at_ms = c->deadline_ms < at_ms ? c->deadline_ms : at_ms;
    }
    if (client->state == HWS_CLIENT__IDLE && client->n_waiting > 0 &&
        client->not_before_ms < at_ms) {
        at_ms = client->not_before_ms;
    }
    if (client->timer_closing) {
        return;
    }
    if (at_ms == UINT64_MAX) {
        (void)uv_timer_stop(&client->timer);
        return;
    }
    (void)uv_timer_start(&client->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

/* ---- the link ---- */

static void dial(struct hws_client *client)
{
    const struct hws_client__link_options options = {
        .net = &client->net,
        .target = client->target,
        .bundle = client->creds != NULL ? client->creds->bundle : NULL,
        .identity = client->identity[0] != '\0' ? client->identity : NULL,
        .timeout_ms = client->connect_timeout_ms,
        .up = link_up,
        .down = link_down,
        .data = client,
    };
    struct hws_err err;

    client->state = HWS_CLIENT__DIALING;
    if (hws_client__link_open(&client->link, &options, &err) != HWS_OK) {
        /* Without memory or handles: the timer tells the waiting calls, not this function. */
        client->state = HWS_CLIENT__IDLE;
        client->not_before_ms = hws_client__now_ms(client) + HWS_CLIENT_REDIAL_MAX_MS;
    }
}

static void send_waiting(struct hws_client *client)
{
    struct hws_grpc_conn *conn = hws_client__link_conn(&client->link);

    while (!hws_list_empty(&client->waiting)) {
        struct hws_client__call *c =
            hws_container_of(client->waiting.next, struct hws_client__call, link);
        enum hws_code rc = hws_client__call_send(c, conn, NULL);
        if (rc == HWS_E_GONE && hws_list_empty(&client->running)) {
            client->state = HWS_CLIENT__ENDING; /* it drains: make another */
            hws_client__link_close(&client->link);
            return;
        }
        if (rc != HWS_OK) {
            return;
        }
    }
}

void hws_client__kick(struct hws_client *client)
{
    if (!client->closing && client->state == HWS_CLIENT__UP && !client->fresh) {
        send_waiting(client);
    }
    if (!client->closing && client->state == HWS_CLIENT__IDLE && client->n_waiting > 0 &&
        hws_client__now_ms(client) >= client->not_before_ms) {
        dial(client);
    }
    arm(client);
    maybe_closed(client);
}

/* ---- open and close ---- */

static enum hws_client_code take_options(struct hws_client *client,
                                         const struct hws_client_options *o,
                                         struct hws_client_status *status)
{
    struct hws_err err;
    bool local = hws_str_starts(o->target, "unix:");

    if (!hws_str_copy(client->target, sizeof(client->target), o->target) ||
        hws_client__target_check(o->target, &err) != HWS_OK) {
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

enum hws_client_code hws_client_open(struct uv_loop_s *loop,
                                     const struct hws_client_options *options,
                                     struct hws_client **out, struct hws_client_status *status)
{
    struct hws_client *client = hws_mem_zalloc(1, sizeof(*client));

    if (client == NULL) {
        return hws_client__fail(status, HWS_CLIENT_RESOURCE_EXHAUSTED, "out of memory");
    }
    enum hws_client_code code = take_options(client, options, status);
    struct hws_err err;
    if (code == HWS_CLIENT_OK && hws_net_init(&client->net, loop, &err) != HWS_OK) {
        code = hws_client__fail_err(status, &err);
    }
    if (code == HWS_CLIENT_OK && uv_timer_init(loop, &client->timer) != 0) {
        code = hws_client__fail(status, HWS_CLIENT_INTERNAL, "no timer");
    }
    if (code != HWS_CLIENT_OK) {
        hws_client_creds_unref(client->creds);
        hws_net_deinit(&client->net);
        hws_mem_free(client);
        return code;
    }
    client->loop = loop;
    client->timer.data = client;
    hws_list_init(&client->waiting);
    hws_list_init(&client->running);
    *out = client;
    return HWS_CLIENT_OK;
}

void hws_client_close(struct hws_client *client, void (*closed)(void *data), void *data)
{
    if (client->closing) {
        return;
    }
    client->closing = true;
    client->closed = closed;
    client->closed_data = data;
    HWS_LIST_FOREACH (it, tmp, &client->running) {
        hws_container_of(it, struct hws_client__call, link)->cancelled = true;
    }
    if (client->state == HWS_CLIENT__DIALING || client->state == HWS_CLIENT__UP) {
        client->state = HWS_CLIENT__ENDING;
        hws_client__link_close(&client->link);
    }
    arm(client); /* the timer does the rest, inside the loop */
}
