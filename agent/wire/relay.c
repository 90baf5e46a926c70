/*
 * The relay.
 *
 * A call's happy path: on_call -> CALL -> messages both ways -> HALF_CLOSE -> STATUS -> finish.
 * Failures: hawserd away (UNAVAILABLE at once), hawserd dies (all calls UNAVAILABLE), the client
 * goes (CANCEL), too many calls (RESOURCE_EXHAUSTED), a protocol error (the connection is dropped
 * and made again).
 */
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "grpc/call.h"
#include "grpc/session.h"
#include "link/call.h"
#include "relay_priv.h"
#include "sock/sock.h"
#include "stage.h"

#define CUT_OFF  "the keeper process (hawserd) ended during the call"
#define IN_DOUBT CUT_OFF "; its outcome is unknown: repeat it with the same request_id"

/* ---- the connection to hawserd --------------------------------------------------------------- */

static void set_health(struct hws_relay *r, bool serving)
{
    enum hws_grpc_health_state state =
        serving ? HWS_GRPC_HEALTH_SERVING : HWS_GRPC_HEALTH_NOT_SERVING;
    char service[HWS_GRPC_HEALTH_NAME_BYTES];

    (void)!hws_grpc_health_set(r->config.health, "", state, NULL);
    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        const char *path = hws_method_at(i)->path + 1; /* "package.Service/Method" */
        if (hws_str_copy_n(service, sizeof(service), path, strcspn(path, "/"))) {
            (void)!hws_grpc_health_set(r->config.health, service, state, NULL);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void connect_later(struct hws_relay *r);

void hws_relay__want(struct hws_relay *r, int events)
{
    if (r->fd >= 0 && events != r->events && uv_poll_start(r->poll, events, on_poll) == 0) {
        r->events = events;
    }
}

static void free_poll(uv_handle_t *handle)
{
    hws_mem_free(handle);
}

static void end_calls(struct hws_relay *r)
{
    for (size_t i = 0; i < HWS_RELAY_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &r->table[i]) {
            struct hws_relay__call *c = hws_container_of(it, struct hws_relay__call, link);
            if (c->ended) {
                continue; /* its answer is whole and goes out */
            }
            bool doubt = !c->open_due && c->row->repeatable != HWS_METHOD_ANSWER_YES;
            const char *text = doubt ? IN_DOUBT : CUT_OFF;
            r->n_lost++;
            if (doubt || c->open_due) {
                hws_buf_reset(&c->details);
                hws_wire_stage_details(HWS_GRPC_UNAVAILABLE, text,
                                       doubt ? HWS_STAGE_UNKNOWN : HWS_STAGE_NOT_SENT, &c->details);
            }
            hws_relay__finish(c, HWS_GRPC_UNAVAILABLE, text);
            hws_relay__free_call(c);
        }
    }
}

void hws_relay__lose(struct hws_relay *r, const char *why)
{
    if (r->fd < 0) {
        return;
    }
    if (r->up && !r->closing) {
        struct hws_log_q q;
        hws_log("hawserd_lost", "reason=%s calls=%zu", hws_log_q(&q, why), r->n_calls);
    }
    uv_close((uv_handle_t *)r->poll, free_poll);
    r->poll = NULL;
    r->events = 0;
    hws_sock_close(&r->fd);
    r->n_pending = 0;
    r->up = false;
    r->reset_due = false;
    r->reload_due = 0;
    set_health(r, false);
    end_calls(r);
    connect_later(r);
}

/* ---- in -------------------------------------------------------------------------------------- */

void hws_relay__break_off(struct hws_relay *r, const struct hws_err *err)
{
    struct hws_log_q q;

    hws_log("hawserd_protocol_error", "reason=%s", hws_log_q(&q, err->msg));
    r->reset_due = true;
}

static void welcome(struct hws_relay *r, const struct hws_link_hello *hello)
{
    struct hws_err err;

    if (hello->role != HWS_LINK_ROLE_KEEPER || hello->version != HWS_LINK_VERSION) {
        hws_err_set(&err, HWS_E_PROTO, "not a keeper of version %u", HWS_LINK_VERSION);
        hws_relay__break_off(r, &err);
        return;
    }
    r->up = true;
    set_health(r, true);
    hws_relay_stats_changed(r);
    hws_log("hawserd_connected", "pid=%u generation=%016llx", hello->pid,
            (unsigned long long)hello->generation);
    r->config.up(r->config.data);
}

static void feed(struct hws_relay *r, const struct hws_link_packet *p)
{
    struct hws_relay__call *c = hws_relay__find(r, p->id);
    enum hws_link_event event;
    struct hws_err err;

    if (c == NULL) {
        return; /* canceled while this was on its way */
    }
    if (hws_link_call_feed(&c->call, p, &event, &err) != HWS_OK) {
        if (err.code != HWS_E_NOMEM) {
            hws_relay__break_off(r, &err);
            return;
        }
        hws_relay__finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        hws_relay__cancel(c, HWS_GRPC_RESOURCE_EXHAUSTED);
        return;
    }
    switch (event) {
    case HWS_LINK_EV_MESSAGE: {
        bool queued = hws_relay__queue(&c->down, hws_buf_peek(&c->call.message),
                                       hws_buf_len(&c->call.message));
        hws_link_call_taken(&c->call);
        if (!queued) {
            hws_relay__finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
            hws_relay__cancel(c, HWS_GRPC_RESOURCE_EXHAUSTED);
            return;
        }
        hws_relay__deliver(c);
        break;
    }
    case HWS_LINK_EV_CREDIT:
        if (c->grpc != NULL) {
            hws_grpc_call_grant(c->grpc, p->u.credit);
        }
        hws_relay__make_ready(c);
        break;
    case HWS_LINK_EV_STATUS:
        hws_relay__take_status(c, &p->u.status);
        break;
    case HWS_LINK_EV_NONE:
    case HWS_LINK_EV_HALF_CLOSED:
    case HWS_LINK_EV_CANCELED:
        break;
    }
}

static void take(struct hws_relay *r, const uint8_t *bytes, size_t n)
{
    struct hws_link_packet p;
    struct hws_err err;

    if (hws_link_decode(bytes, n, &p, &err) != HWS_OK) {
        hws_relay__break_off(r, &err);
        return;
    }
    switch (p.type) {
    case HWS_LINK_HELLO:
        welcome(r, &p.u.hello);
        return;
    case HWS_LINK_MSG:
    case HWS_LINK_CREDIT:
    case HWS_LINK_STATUS:
        feed(r, &p);
        return;
    case HWS_LINK_DRAIN:
        r->config.drain(r->config.data);
        return;
    case HWS_LINK_RELOAD:
        r->reload_due = p.id;
        return;
    default:
        hws_err_set(&err, HWS_E_PROTO, "unexpected %s", hws_link_type_name(p.type));
        hws_relay__break_off(r, &err);
        return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct hws_relay *r = poll->data;
    struct hws_err err;
    (void)status;
    (void)events;

    for (unsigned i = 0; i < HWS_RELAY_READS_PER_TURN && r->fd >= 0 && !r->reset_due; i++) {
        size_t n;
        int passed;
        enum hws_code code = hws_sock_recv(r->fd, r->packet, sizeof(r->packet), &n, &passed, &err);
        if (code == HWS_E_BUSY) {
            return;
        }
        if (code != HWS_OK) {
            hws_relay__lose(r, err.msg);
            return;
        }
        hws_sock_close(&passed);
        take(r, r->packet, n);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    hws_relay__flush(prepare->data);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool watch(struct hws_relay *r, int fd)
{
    r->poll = hws_mem_zalloc(1, sizeof(*r->poll));
    if (r->poll == NULL) {
        return false;
    }
    if (uv_poll_init(r->config.loop, r->poll, fd) != 0) {
        hws_mem_free(r->poll);
        r->poll = NULL;
        return false;
    }
    r->poll->data = r;
    r->fd = fd;
    hws_relay__want(r, UV_READABLE);
    return true;
}

static void try_connect(struct hws_relay *r)
{
    int fd;

    if (r->closing || r->fd >= 0) {
        return;
    }
    if (hws_sock_connect(r->config.socket_path, &fd, NULL) != HWS_OK) {
        connect_later(r);
        return;
    }
    if (!watch(r, fd)) {
        hws_sock_close(&fd);
        connect_later(r);
        return;
    }
    r->hello_due = true;
}

static void on_reconnect(uv_timer_t *timer)
{
    try_connect(timer->data);
}

static void connect_later(struct hws_relay *r)
{
    if (!r->closing) {
        (void)uv_timer_start(&r->reconnect, on_reconnect, HWS_RELAY_RECONNECT_MS, 0);
    }
}

static void on_stats(uv_timer_t *timer)
{
    struct hws_relay *r = timer->data;

    r->stats_due = true;
}

void hws_relay_stats_changed(struct hws_relay *r)
{
    if (!r->closing && !uv_is_active((uv_handle_t *)&r->stats_timer)) {
        (void)uv_timer_start(&r->stats_timer, on_stats, HWS_RELAY_STATS_MS, 0);
    }
}

static enum hws_code add_methods(struct hws_relay *r, struct hws_grpc_server *server,
                                 struct hws_err *err)
{
    static const enum hws_grpc_kind kinds[] = {
        [HWS_METHOD_KIND_NONE] = HWS_GRPC_N_KINDS,
        [HWS_METHOD_KIND_UNARY] = HWS_GRPC_UNARY,
        [HWS_METHOD_KIND_SERVER_STREAM] = HWS_GRPC_SERVER_STREAM,
        [HWS_METHOD_KIND_CLIENT_STREAM] = HWS_GRPC_CLIENT_STREAM,
        [HWS_METHOD_KIND_BIDI] = HWS_GRPC_BIDI,
    };
    struct hws_grpc_method methods[HWS_N_METHODS];

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        const struct hws_method *row = hws_method_at(i);
        methods[i].path = row->path;
        methods[i].kind = kinds[row->kind];
        methods[i].long_lived = row->kind != HWS_METHOD_KIND_UNARY;
    }
    return hws_grpc_server_add(server, methods, HWS_N_METHODS, &hws_relay__call_ops, r, err);
}

enum hws_code hws_relay_open(struct hws_relay *r, const struct hws_relay_config *config,
                             struct hws_grpc_server *server, struct hws_err *err)
{
    memset(r, 0, sizeof(*r));
    r->config = *config;
    r->fd = -1;
    r->next_id = 1;
    hws_list_init(&r->ready);
    for (size_t i = 0; i < HWS_RELAY_BUCKETS; i++) {
        hws_list_init(&r->table[i]);
    }
    if (getrandom(&r->generation, sizeof(r->generation), 0) <= 0 || r->generation == 0) {
        return hws_err_set(err, HWS_E_IO, "no random numbers");
    }
    enum hws_code code = add_methods(r, server, err);
    if (code != HWS_OK) {
        return code;
    }
    (void)uv_timer_init(config->loop, &r->reconnect);
    (void)uv_timer_init(config->loop, &r->stats_timer);
    (void)uv_prepare_init(config->loop, &r->prepare);
    r->reconnect.data = r;
    r->stats_timer.data = r;
    r->prepare.data = r;
    (void)uv_prepare_start(&r->prepare, on_prepare);
    set_health(r, false);
    try_connect(r);
    return HWS_OK;
}

void hws_relay_close(struct hws_relay *r)
{
    if (r->closing) {
        return;
    }
    r->closing = true;
    hws_relay__lose(r, "closing");
    end_calls(r);
    uv_close((uv_handle_t *)&r->reconnect, NULL);
    uv_close((uv_handle_t *)&r->stats_timer, NULL);
    uv_close((uv_handle_t *)&r->prepare, NULL);
}
