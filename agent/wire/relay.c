/*
 * The relay.
 *
 * A call's happy path: on_call -> CALL -> messages both ways -> HALF_CLOSE -> STATUS -> finish.
 * Failures: hawserd away (UNAVAILABLE at once), hawserd dies (all calls UNAVAILABLE), the client
 * goes (CANCEL), too many calls (RESOURCE_EXHAUSTED), a protocol error (the connection is dropped
 * and made again).
 */
#include "relay.h"

#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "grpc/call.h"
#include "grpc/session.h"
#include "link/call.h"
#include "sock/sock.h"

#define RESTARTING "the keeper process (hawserd) is restarting; try again"
#define CUT_OFF    "the keeper process (hawserd) ended during the call"
#define IN_DOUBT   CUT_OFF "; its outcome is unknown: repeat it with the same request_id"

/* A message on its way, either direction. */
struct message {
    struct hws_list link;
    struct hws_buf bytes; /* owned */
};

struct relay_call {
    struct hws_list link;  /* in the relay's table */
    struct hws_list ready; /* in the relay's list of those with something to send */
    struct hws_relay *relay;
    const struct hws_method *row;
    struct hws_link_call call;  /* protocol state towards hawserd */
    struct hws_grpc_call *grpc; /* NULL when it has been finished */
    bool open_due;              /* CALL has not been sent */
    bool half_close_due;
    bool cancel_due;
    uint32_t give;      /* credit for hawserd */
    struct hws_list up; /* struct message, client to hawserd */
    bool sending;       /* the oldest of `up` is being cut */
    struct hws_link_fragments fragments;
    struct hws_list down; /* struct message, hawserd to client */
    bool ended;           /* STATUS came; it goes out behind `down` */
    uint8_t status;
    char *message;          /* owned */
    struct hws_buf details; /* owned */
};

/* ---- calls ----------------------------------------------------------------------------------- */

static struct hws_list *bucket(struct hws_relay *r, uint64_t id)
{
    return &r->table[id & (HWS_RELAY_BUCKETS - 1)];
}

static struct relay_call *find(struct hws_relay *r, uint64_t id)
{
    HWS_LIST_FOREACH (it, tmp, bucket(r, id)) {
        struct relay_call *c = hws_container_of(it, struct relay_call, link);
        if (c->call.id == id) {
            return c;
        }
    }
    return NULL;
}

static struct relay_call *new_call(struct hws_relay *r, struct hws_grpc_call *grpc)
{
    struct relay_call *c = hws_mem_zalloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->relay = r;
    c->grpc = grpc;
    c->row = hws_method_at(hws_grpc_call_method(grpc));
    c->open_due = true;
    hws_list_init(&c->ready);
    hws_list_init(&c->up);
    hws_list_init(&c->down);
    hws_buf_init(&c->details, HWS_LINK_DETAILS_BYTES);
    hws_link_call_init(&c->call, r->next_id++, HWS_LINK_CALLER, HWS_LINK_CALL_MAX_MESSAGE);
    hws_list_push(bucket(r, c->call.id), &c->link);
    r->n_calls++;
    return c;
}

static void free_messages(struct hws_list *list)
{
    struct hws_list *it;

    while ((it = hws_list_pop(list)) != NULL) {
        struct message *m = hws_container_of(it, struct message, link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
    }
}

static void free_call(struct relay_call *c)
{
    c->relay->n_calls--;
    hws_list_remove(&c->link);
    hws_list_remove(&c->ready);
    free_messages(&c->up);
    free_messages(&c->down);
    hws_link_call_deinit(&c->call);
    hws_buf_deinit(&c->details);
    hws_mem_free(c->message);
    hws_mem_free(c);
}

static void make_ready(struct relay_call *c)
{
    if (hws_list_empty(&c->ready)) {
        hws_list_push(&c->relay->ready, &c->ready);
    }
}

static bool queue(struct hws_list *list, const uint8_t *bytes, size_t n)
{
    struct message *m = hws_mem_zalloc(1, sizeof(*m));

    if (m == NULL) {
        return false;
    }
    hws_buf_init(&m->bytes, HWS_LINK_CALL_MAX_MESSAGE);
    if (hws_buf_put(&m->bytes, bytes, n) != HWS_OK) {
        hws_mem_free(m);
        return false;
    }
    hws_list_push(list, &m->link);
    return true;
}

/* Ends the client's side; what is left is the link's. */
static void finish(struct relay_call *c, enum hws_grpc_code code, const char *message)
{
    if (c->grpc != NULL) {
        struct hws_grpc_call *grpc = c->grpc;
        c->grpc = NULL;
        hws_grpc_call_set_data(grpc, NULL);
        hws_grpc_call_finish(grpc, code, message, hws_buf_peek(&c->details),
                             hws_buf_len(&c->details), NULL);
    }
}

/* Tells hawserd that nobody waits any more; the call is freed when that has left. */
static void cancel(struct relay_call *c)
{
    free_messages(&c->down);
    if (c->open_due || c->relay->fd < 0 || c->ended) {
        free_call(c);
        return;
    }
    free_messages(&c->up);
    c->sending = false;
    c->cancel_due = true;
    make_ready(c);
}

/* ---- from the client ------------------------------------------------------------------------- */

static enum hws_grpc_code on_call(struct hws_grpc_call *grpc, void *data)
{
    struct hws_relay *r = data;

    hws_grpc_call_set_data(grpc, NULL); /* it begins as the table's pointer */
    if (!r->up) {
        r->n_refused++;
        hws_grpc_call_finish_text(grpc, HWS_GRPC_UNAVAILABLE, RESTARTING);
        return HWS_GRPC_OK;
    }
    if (r->n_calls >= HWS_RELAY_MAX_CALLS) {
        hws_grpc_call_finish_text(grpc, HWS_GRPC_RESOURCE_EXHAUSTED, "too many calls at once");
        return HWS_GRPC_OK;
    }
    struct relay_call *c = new_call(r, grpc);
    if (c == NULL) {
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    hws_grpc_call_set_data(grpc, c);
    hws_grpc_call_set_credit(grpc, HWS_LINK_FIRST_CREDIT);
    make_ready(c);
    return HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *grpc, const uint8_t *bytes, size_t n)
{
    struct relay_call *c = hws_grpc_call_data(grpc);

    if (c == NULL || c->ended) {
        return;
    }
    if (!queue(&c->up, bytes, n)) {
        finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        cancel(c);
        return;
    }
    make_ready(c);
}

static void on_half_close(struct hws_grpc_call *grpc)
{
    struct relay_call *c = hws_grpc_call_data(grpc);

    if (c != NULL && !c->ended) {
        c->half_close_due = true;
        make_ready(c);
    }
}

static void on_cancel(struct hws_grpc_call *grpc, const struct hws_grpc_outcome *why)
{
    struct relay_call *c = hws_grpc_call_data(grpc);
    (void)why;

    if (c == NULL) {
        return;
    }
    finish(c, HWS_GRPC_CANCELLED, "");
    cancel(c);
}

static void deliver(struct relay_call *c);

static void on_writable(struct hws_grpc_call *grpc)
{
    struct relay_call *c = hws_grpc_call_data(grpc);

    if (c != NULL) {
        deliver(c);
    }
}

static void on_close(struct hws_grpc_call *grpc, const struct hws_grpc_outcome *outcome)
{
    struct relay_call *c = hws_grpc_call_data(grpc);
    (void)outcome;

    if (c != NULL) {
        c->grpc = NULL;
        cancel(c);
    }
}

static const struct hws_grpc_call_ops call_ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
    .on_close = on_close,
};

/* ---- to the client --------------------------------------------------------------------------- */

/* Hands messages to gRPC while it takes them, then the status. May free the call. */
static void deliver(struct relay_call *c)
{
    struct hws_err err;

    while (c->grpc != NULL && !hws_list_empty(&c->down)) {
        struct message *m = hws_container_of(c->down.next, struct message, link);
        enum hws_code code =
            hws_grpc_call_send(c->grpc, hws_buf_peek(&m->bytes), hws_buf_len(&m->bytes), &err);
        if (code == HWS_E_BUSY) {
            return; /* on_writable comes */
        }
        if (code != HWS_OK) {
            finish(c, HWS_GRPC_INTERNAL, err.msg);
            cancel(c);
            return;
        }
        hws_list_remove(&m->link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
        if (!c->ended) {
            c->give++;
            make_ready(c);
        }
    }
    if (c->ended) {
        finish(c, (enum hws_grpc_code)c->status, c->message == NULL ? "" : c->message);
        free_call(c);
    }
}

static void take_status(struct relay_call *c, const struct hws_link_status *s)
{
    c->ended = true;
    c->status = s->code;
    c->message = hws_mem_alloc(s->message.n + 1);
    if (c->message != NULL) {
        hws_str_copy_n(c->message, s->message.n + 1, s->message.bytes, s->message.n);
    }
    if (hws_buf_put(&c->details, s->details.bytes, s->details.n) != HWS_OK) {
        hws_buf_reset(&c->details); /* code and message stand without details */
    }
    deliver(c);
}

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

static void want(struct hws_relay *r, int events)
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
            struct relay_call *c = hws_container_of(it, struct relay_call, link);
            if (c->ended) {
                continue; /* its answer is whole and goes out */
            }
            bool doubt = !c->open_due && c->row->repeatable != HWS_METHOD_ANSWER_YES;
            r->n_lost++;
            finish(c, HWS_GRPC_UNAVAILABLE, doubt ? IN_DOUBT : CUT_OFF);
            free_call(c);
        }
    }
}

static void lose(struct hws_relay *r, const char *why)
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
    set_health(r, false);
    end_calls(r);
    connect_later(r);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void break_off(struct hws_relay *r, const struct hws_err *err)
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
        break_off(r, &err);
        return;
    }
    r->up = true;
    set_health(r, true);
    hws_relay_stats_changed(r);
    hws_log("hawserd_connected", "pid=%u generation=%016llx", hello->pid,
            (unsigned long long)hello->generation);
}

static void feed(struct hws_relay *r, const struct hws_link_packet *p)
{
    struct relay_call *c = find(r, p->id);
    enum hws_link_event event;
    struct hws_err err;

    if (c == NULL) {
        return; /* canceled while this was on its way */
    }
    if (hws_link_call_feed(&c->call, p, &event, &err) != HWS_OK) {
        if (err.code != HWS_E_NOMEM) {
            break_off(r, &err);
            return;
        }
        finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        cancel(c);
        return;
    }
    switch (event) {
    case HWS_LINK_EV_MESSAGE: {
        bool queued =
            queue(&c->down, hws_buf_peek(&c->call.message), hws_buf_len(&c->call.message));
        hws_link_call_taken(&c->call);
        if (!queued) {
            finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
            cancel(c);
            return;
        }
        deliver(c);
        break;
    }
    case HWS_LINK_EV_CREDIT:
        if (c->grpc != NULL) {
            hws_grpc_call_grant(c->grpc, p->u.credit);
        }
        make_ready(c);
        break;
    case HWS_LINK_EV_STATUS:
        take_status(c, &p->u.status);
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
        break_off(r, &err);
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
    default:
        hws_err_set(&err, HWS_E_PROTO, "unexpected %s", hws_link_type_name(p.type));
        break_off(r, &err);
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
            lose(r, err.msg);
            return;
        }
        hws_sock_close(&passed);
        take(r, r->packet, n);
    }
}

/* ---- out ------------------------------------------------------------------------------------- */

enum sent { SENT, BLOCKED, LOST };

static enum sent push_bytes(struct hws_relay *r, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    enum hws_code code = hws_sock_send(r->fd, bytes, n, -1, &err);

    if (code == HWS_OK) {
        return SENT;
    }
    if (code == HWS_E_BUSY) {
        if (bytes != r->pending) {
            memcpy(r->pending, bytes, n);
            r->n_pending = n;
        }
        want(r, UV_READABLE | UV_WRITABLE);
        return BLOCKED;
    }
    lose(r, err.msg);
    return LOST;
}

/* Encodes and sends; a packet that the socket did not take is kept and counts as sent. */
static enum sent push(struct hws_relay *r, const struct hws_link_packet *p)
{
    size_t n = 0;
    struct hws_err err;

    if (hws_link_encode(p, r->packet, sizeof(r->packet), &n, &err) != HWS_OK) {
        break_off(r, &err);
        return LOST;
    }
    return push_bytes(r, r->packet, n);
}

static enum sent push_pending(struct hws_relay *r)
{
    if (r->n_pending == 0) {
        return SENT;
    }
    enum sent s = push_bytes(r, r->pending, r->n_pending);
    if (s == SENT) {
        r->n_pending = 0;
        want(r, UV_READABLE);
    }
    return s;
}

static enum sent push_hello(struct hws_relay *r)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello.role = HWS_LINK_ROLE_WIRE;
    p.u.hello.version = HWS_LINK_VERSION;
    p.u.hello.generation = r->generation;
    p.u.hello.pid = (uint32_t)uv_os_getpid();
    p.u.hello.name = hws_link_text("hawser-wire");
    p.u.hello.build = hws_link_text(r->config.build_id);
    return push(r, &p);
}

static enum sent push_stats(struct hws_relay *r)
{
    struct hws_link_packet p = {.type = HWS_LINK_STATS};
    char text[4096];

    r->config.stats(r->config.data, text, sizeof(text));
    p.u.stats = hws_link_text(text);
    return push(r, &p);
}

/* What a call says of itself when it opens. */
static void fill_open(struct relay_call *c, struct hws_link_packet *p)
{
    struct hws_relay *r = c->relay;
    struct hws_relay_peer peer;
    uint64_t now_ms = uv_now(r->config.loop);
    uint64_t deadline_ms = hws_grpc_call_deadline(c->grpc);

    r->config.peer_of(r->config.data, hws_grpc_call_conn(c->grpc), &peer);
    memset(p, 0, sizeof(*p));
    p->type = HWS_LINK_CALL;
    p->id = c->call.id;
    p->u.call.method = hws_method_index(c->row);
    p->u.call.transport = peer.transport;
    if (deadline_ms != UINT64_MAX) {
        p->u.call.deadline_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 1;
    }
    p->u.call.principal = hws_link_text(peer.principal);
    p->u.call.serial = hws_link_text(peer.serial);
    p->u.call.peer = hws_link_text(peer.peer);
    if (peer.sha256 != NULL) {
        p->u.call.sha256.bytes = peer.sha256;
        p->u.call.sha256.n = HWS_LINK_SHA256_BYTES;
    }
}

static bool next_fragment(struct relay_call *c, struct hws_link_packet *p)
{
    if (!c->sending) {
        if (hws_list_empty(&c->up) || !hws_link_call_may_send(&c->call)) {
            return false;
        }
        struct message *m = hws_container_of(c->up.next, struct message, link);
        hws_link_call_send(&c->call, hws_buf_peek(&m->bytes), hws_buf_len(&m->bytes),
                           &c->fragments);
        c->sending = true;
    }
    memset(p, 0, sizeof(*p));
    return hws_link_fragment_next(&c->fragments, p);
}

/* The fragment has left: the message may be over. */
static void fragment_sent(struct relay_call *c)
{
    if (c->sending && c->fragments.done) {
        struct message *m = hws_container_of(hws_list_pop(&c->up), struct message, link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
        c->sending = false;
    }
}

/* The next packet of a call; false when it has nothing to send now. */
static bool next_packet(struct relay_call *c, struct hws_link_packet *p)
{
    memset(p, 0, sizeof(*p));
    p->id = c->call.id;
    if (c->cancel_due) {
        p->type = HWS_LINK_CANCEL;
        hws_link_call_ended(&c->call);
        return true;
    }
    if (c->open_due) {
        fill_open(c, p);
        c->open_due = false;
        return true;
    }
    if (c->give > 0) {
        hws_link_call_give(&c->call, c->give, p);
        c->give = 0;
        return true;
    }
    if (next_fragment(c, p)) {
        return true;
    }
    if (c->half_close_due && hws_list_empty(&c->up)) {
        c->half_close_due = false;
        memset(p, 0, sizeof(*p));
        p->id = c->call.id;
        p->type = HWS_LINK_HALF_CLOSE;
        hws_link_call_half_closed(&c->call);
        return true;
    }
    return false;
}

static enum sent flush_call(struct hws_relay *r, struct relay_call *c)
{
    struct hws_link_packet p;

    while (next_packet(c, &p)) {
        enum sent s = push(r, &p);
        if (s == LOST) {
            return LOST;
        }
        if (p.type == HWS_LINK_CANCEL) {
            free_call(c);
            return s;
        }
        if (p.type == HWS_LINK_MSG) {
            fragment_sent(c);
        }
        if (s == BLOCKED) {
            return BLOCKED;
        }
    }
    hws_list_remove(&c->ready);
    return SENT;
}

static enum sent flush_control(struct hws_relay *r)
{
    enum sent s = push_pending(r);

    if (s == SENT && r->hello_due) {
        r->hello_due = false;
        s = push_hello(r);
    }
    if (s == SENT && r->up && r->stats_due) {
        r->stats_due = false;
        s = push_stats(r);
    }
    return s;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct hws_relay *r = prepare->data;

    if (r->reset_due) {
        lose(r, "protocol error");
    }
    if (r->fd < 0 || flush_control(r) != SENT || !r->up) {
        return;
    }
    while (!hws_list_empty(&r->ready)) {
        struct relay_call *c = hws_container_of(r->ready.next, struct relay_call, ready);
        if (flush_call(r, c) != SENT) {
            return;
        }
    }
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
    want(r, UV_READABLE);
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
    return hws_grpc_server_add(server, methods, HWS_N_METHODS, &call_ops, r, err);
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
    lose(r, "closing");
    end_calls(r);
    uv_close((uv_handle_t *)&r->reconnect, NULL);
    uv_close((uv_handle_t *)&r->stats_timer, NULL);
    uv_close((uv_handle_t *)&r->prepare, NULL);
}
