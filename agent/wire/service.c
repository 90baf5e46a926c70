/*
 * The network process.
 *
 * Happy path: certificates -> method table -> health, reflection, relay -> listeners -> serve ->
 * DRAIN or SIGTERM -> GOAWAY, running calls finish -> close -> 0. At a second SIGTERM it waits for
 * answers that are on their way to slow readers, and for nothing else.
 * Failures: certificates that do not load or an address in use end the program before it serves.
 */
#include "service.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/build.h"
#include "common/log.h"
#include "counters.h"
#include "listening.h"
#include "net/conn.h"
#include "sandbox/sandbox.h"

#define HURRY_TICK_MS 50u

extern const unsigned char hws_proto_descriptors[];
extern const unsigned long hws_proto_descriptors_bytes;
extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

static void close_all(struct hws_service *s);
static void on_hurry(uv_timer_t *timer);

/* ---- connections ----------------------------------------------------------------------------- */

static void peer_of(void *data, struct hws_grpc_conn *grpc, struct hws_relay_peer *out)
{
    const struct hws_net_peer *peer = hws_net_conn_peer(hws_net_conn_of(grpc));
    (void)data;

    out->transport =
        peer->transport == HWS_NET_TLS ? HWS_LINK_TRANSPORT_TLS : HWS_LINK_TRANSPORT_UNIX;
    out->principal = peer->principal;
    out->serial = peer->serial;
    out->sha256 = peer->sha256;
    out->peer = peer->address;
}

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct hws_service *s = hws_net_conn_owner(conn);
    (void)err;

    cfg->server = &s->server;
    cfg->stats = &s->net.stats.grpc;
    cfg->limits = s->limits->conn;
    hws_limits_fill(&cfg->limits, hws_net_conn_peer(conn)->not_after_s, hws_net_now_s());
    s->n_conns_opened++;
    hws_relay_stats_changed(&s->relay);
    return HWS_OK;
}

static void stats(void *data, char *dst, size_t cap)
{
    hws_counters_write(data, dst, cap);
}

static bool is_empty(const struct hws_service *s)
{
    return (!s->has_local || s->local.n_conns == 0) && (!s->has_tcp || s->tcp.n_conns == 0);
}

static void on_trim(uv_timer_t *timer)
{
    (void)timer;
    (void)malloc_trim(0);
}

static void memory_was_freed(struct hws_service *s)
{
    if (!s->closing && !uv_is_active((uv_handle_t *)&s->trim)) {
        (void)uv_timer_start(&s->trim, on_trim, HWS_SERVICE_TRIM_MS, 0);
    }
}

/* The connection still counts in here: a drain looks once it is gone. */
static void one_less(struct hws_service *s)
{
    hws_relay_stats_changed(&s->relay);
    memory_was_freed(s);
    if (s->draining && !s->closing) {
        (void)uv_timer_start(&s->hurry, on_hurry, 1, 0);
    }
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct hws_service *s = hws_net_conn_owner(conn);
    (void)err;

    one_less(s);
}

static void on_refused(void *owner, const char *peer, const char *reason, const char *text)
{
    struct hws_service *s = owner;
    struct hws_log_q from;
    struct hws_log_q why;
    uint32_t dropped;

    one_less(s);
    if (hws_limits_may_log(&s->refusals, hws_net_now_ms(&s->net), &dropped)) {
        hws_log("connection_refused", "peer=%s reason=%s text=%s unlogged_before=%u",
                hws_log_q(&from, peer), reason, hws_log_q(&why, text), dropped);
    }
}

const struct hws_net_conn_ops hws_service_conn_ops = {
    .on_open = on_open,
    .on_closed = on_closed,
    .on_refused = on_refused,
};

/* ---- drain ----------------------------------------------------------------------------------- */

/* Is something still on its way to a caller, or from one? */
static bool is_moving(const struct hws_service *s)
{
    return s->tcp.all.held_bytes > 0 || s->local.all.held_bytes > 0;
}

static void on_hurry(uv_timer_t *timer)
{
    struct hws_service *s = timer->data;
    uint64_t patience_ms = is_moving(s) ? HWS_SERVICE_READ_MS : HWS_SERVICE_HURRY_MS;

    if (is_empty(s) || (s->must_hurry && hws_net_now_ms(&s->net) - s->hurried_ms >= patience_ms)) {
        close_all(s);
    } else if (s->must_hurry) {
        (void)uv_timer_start(&s->hurry, on_hurry, HURRY_TICK_MS, 0);
    }
}

static void drain(void *data)
{
    struct hws_service *s = data;

    if (s->draining) {
        return;
    }
    s->draining = true;
    hws_log("draining", "connections=%u", s->local.n_conns + s->tcp.n_conns);
    hws_grpc_health_shutdown(&s->health);
    if (s->has_tcp) {
        hws_net_listener_stop(&s->tcp);
        hws_net_listener_drain(&s->tcp, HWS_SERVICE_DRAIN_MS);
    }
    if (s->has_local) {
        hws_net_listener_stop(&s->local);
        hws_net_listener_drain(&s->local, HWS_SERVICE_DRAIN_MS);
    }
    (void)uv_timer_start(&s->hurry, on_hurry, 1, 0);
}

static void reload(void *data, struct hws_link_reloaded *out, char *text, size_t cap)
{
    struct hws_service *s = data;
    struct hws_err err;

    text[0] = '\0';
    out->state = HWS_LINK_RELOADED_NONE;
    if (s->certs.watching) {
        bool taken = hws_certs_reload(&s->certs, HWS_CERTS_BY_RELOAD, &err) == HWS_OK;
        const struct hws_tls_bundle *bundle = s->certs.bundle; /* none while we wait for it */
        const struct hws_tls_peer *self = bundle == NULL ? NULL : hws_tls_bundle_self(bundle);
        out->state = taken ? HWS_LINK_RELOADED_TAKEN : HWS_LINK_RELOADED_REFUSED;
        out->ends_s = self == NULL ? 0 : self->not_after_s;
        (void)hws_str_copy(text, cap, taken ? self->serial : err.msg);
    }
    out->text = hws_link_text(text);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct hws_service *s = handle->data;

    if (number == SIGHUP) {
        struct hws_err err;
        if (s->certs.watching) {
            (void)!hws_certs_reload(&s->certs, HWS_CERTS_BY_SIGNAL, &err); /* logged there */
        }
        return;
    }
    if (!s->draining) {
        drain(s);
        return;
    }
    s->hurried_ms = s->must_hurry ? s->hurried_ms : hws_net_now_ms(&s->net);
    s->must_hurry = true;
    (void)uv_timer_start(&s->hurry, on_hurry, HURRY_TICK_MS, 0);
}

static void close_all(struct hws_service *s)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    hws_certs_close(&s->certs);
    hws_relay_close(&s->relay);
    if (s->has_tcp) {
        hws_net_listener_close(&s->tcp, NULL);
    }
    if (s->has_local) {
        hws_net_listener_close(&s->local, NULL);
    }
    uv_close((uv_handle_t *)&s->hurry, NULL);
    uv_close((uv_handle_t *)&s->trim, NULL);
    uv_close((uv_handle_t *)&s->alive, NULL);
    for (size_t i = 0; i < sizeof(s->signals) / sizeof(s->signals[0]); i++) {
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

static void up(void *data)
{
    hws_listening_publish(data);
}

/* The TLS files load at last: what start() has left out. */
static void end_wait(struct hws_service *s)
{
    struct hws_err err;
    enum hws_code code = s->has_tcp ? HWS_OK : hws_listening_open_tcp(s, &err);

    code = code == HWS_OK ? hws_sandbox_settle(HWS_SANDBOX_WIRE, &err) : code;
    if (code != HWS_OK) {
        struct hws_log_q q;
        hws_log("not_listening", "reason=%s", hws_log_q(&q, err.msg));
        return; /* tried again with the next change of a file */
    }
    s->waiting = false;
    hws_notify_say(&s->notify, "STATUS=");
}

/* A new bundle, or revocation lists of another age. */
static void on_certs(void *data)
{
    struct hws_service *s = data;

    if (s->waiting && !s->closing && !s->draining && s->certs.bundle != NULL) {
        end_wait(s);
    }
    s->relay.tls_reads_only = s->certs.freshness == HWS_TLS_OVERDUE;
    if (s->has_tcp && !s->closing) {
        hws_net_listener_set_bundle(&s->tcp, s->certs.bundle);
    }
    hws_relay_stats_changed(&s->relay);
}

/* Without certificates there is no TCP; the local socket serves, so that who looks finds us. Said
 * once, here and to the service manager; what changes about the files is told as it happens. */
static void begin_wait(struct hws_service *s, const struct hws_err *why)
{
    char status[HWS_ERR_MSG_BYTES + 32];
    struct hws_log_q q;

    s->waiting = true;
    hws_log("not_listening", "reason=%s", hws_log_q(&q, why->msg));
    if (hws_str_print(status, sizeof(status), "STATUS=not listening: %s", why->msg)) {
        hws_notify_say(&s->notify, status);
    }
}

static enum hws_code build_server(struct hws_service *s, struct hws_err *err)
{
    enum hws_code code;
    struct hws_relay_config c = {
        .loop = &s->loop,
        .socket_path = s->options->hawserd_socket,
        .build_id = s->build_id,
        .health = &s->health,
        .peer_of = peer_of,
        .stats = stats,
        .up = up,
        .drain = drain,
        .reload = reload,
        .data = s,
    };

    hws_grpc_server_init(&s->server);
    hws_grpc_reflect_init(&s->reflect);
    if ((code = hws_grpc_health_init(&s->health, err)) != HWS_OK ||
        (code = hws_grpc_health_register(&s->health, &s->server, err)) != HWS_OK ||
        (code = hws_grpc_reflect_add(&s->reflect, hws_proto_descriptors,
                                     hws_proto_descriptors_bytes, err)) != HWS_OK ||
        (code = hws_grpc_reflect_add(&s->reflect, hws_proto_external_descriptors,
                                     hws_proto_external_descriptors_bytes, err)) != HWS_OK ||
        (code = hws_grpc_reflect_register(&s->reflect, &s->server, err)) != HWS_OK) {
        return code;
    }
    return hws_relay_open(&s->relay, &c, &s->server, err);
}

static void watch_signals(struct hws_service *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        (void)uv_signal_start(&s->signals[i], on_signal, numbers[i]);
        sigaddset(&set, numbers[i]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* hawserd's parent may have blocked them */
}

static void on_alive(uv_timer_t *timer)
{
    const struct hws_service *s = timer->data;

    hws_notify_say(&s->notify, "WATCHDOG=1");
}

static void tell_ready(struct hws_service *s)
{
    hws_notify_say(&s->notify, "READY=1");
    if (s->notify.watchdog_ms > 0) {
        (void)uv_timer_start(&s->alive, on_alive, s->notify.watchdog_ms, s->notify.watchdog_ms);
        uv_unref((uv_handle_t *)&s->alive);
    }
}

static enum hws_code start(struct hws_service *s, struct hws_err *err)
{
    enum hws_code code = hws_net_init(&s->net, &s->loop, err);

    if (code == HWS_OK && s->options->listen != NULL) {
        code = hws_certs_open(&s->certs, &s->loop, s->options, err);
        if (s->certs.can_wait) {
            begin_wait(s, err);
            code = HWS_OK;
        }
    }
    if (code == HWS_OK) {
        code = build_server(s, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    (void)uv_timer_init(&s->loop, &s->hurry);
    s->hurry.data = s;
    (void)uv_timer_init(&s->loop, &s->trim);
    (void)uv_timer_init(&s->loop, &s->alive);
    s->alive.data = s;
    watch_signals(s);
    s->handles_open = true;
    code = hws_listening_open_local(s, err);
    if (code == HWS_OK && s->options->listen != NULL) {
        code = s->waiting ? HWS_OK : hws_listening_open_tcp(s, err);
    }
    if (code == HWS_OK && (s->has_tcp || s->waiting)) {
        hws_certs_watch(&s->certs, on_certs, s);
    }
    return code == HWS_OK && !s->waiting ? hws_sandbox_settle(HWS_SANDBOX_WIRE, err) : code;
}

static void deinit(struct hws_service *s)
{
    hws_grpc_health_deinit(&s->health);
    hws_grpc_reflect_deinit(&s->reflect);
    hws_grpc_server_deinit(&s->server);
    hws_net_deinit(&s->net);
    hws_certs_deinit(&s->certs);
}

int hws_service_run(const struct hws_wire_options *options, const struct hws_wire_limits *limits,
                    const struct hws_notify *notify)
{
    struct hws_err err;
    int status = 0;
    struct hws_service *s = hws_mem_zalloc(1, sizeof(*s));

    if (s == NULL || uv_loop_init(&s->loop) != 0) {
        hws_mem_free(s);
        return 1;
    }
    s->options = options;
    s->limits = limits;
    s->notify = *notify;
    hws_common_build_id(s->build_id, sizeof(s->build_id));
    if (start(s, &err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("start_failed", "reason=%s", hws_log_q(&q, err.msg));
        status = 1;
        if (s->handles_open) {
            close_all(s);
        }
    }
    if (status == 0) {
        tell_ready(s);
    }
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    hws_notify_close(&s->notify);
    deinit(s);
    (void)uv_loop_close(&s->loop);
    hws_mem_free(s);
    hws_log("stopped", "status=%d", status);
    return status;
}
