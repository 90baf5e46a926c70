/*
 * The connection to hawser-wire.
 *
 * In: decode, find the rpc, feed its protocol state, hand on messages. Out: for each rpc that is
 * ready, credit first, then a fragment of its oldest message, then its status.
 * Failures: a packet that breaks the protocol ends the connection; a dead peer ends every rpc.
 */
#include "hawserd/wire_channel.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/rpc.h"
#include "hawserd/task.h"
#include "hawserd/wire_priv.h"
#include "link/methods.h"
#include "sock/sock.h"

static struct hws_list *bucket(struct hws_wire *w, uint64_t id)
{
    return &w->table[(id ^ id >> 8) & (HWS_WIRE_BUCKETS - 1)];
}

static struct hws_rpc *find(struct hws_wire *w, uint64_t id)
{
    HWS_LIST_FOREACH (it, tmp, bucket(w, id)) {
        struct hws_rpc *rpc = hws_container_of(it, struct hws_rpc, link);
        if (rpc->call.id == id) {
            return rpc;
        }
    }
    return NULL;
}

void hws_wire__drop_rpc(struct hws_wire *w, struct hws_rpc *rpc)
{
    w->n_rpcs--;
    hws_rpc_free(rpc);
}

/* ---- poll ------------------------------------------------------------------------------------ */

static void on_poll(uv_poll_t *poll, int status, int events);

void hws_wire__want(struct hws_wire *w, int events)
{
    if (w->fd >= 0 && events != w->events && uv_poll_start(w->poll, events, on_poll) == 0) {
        w->events = events;
    }
}

static void free_poll(uv_handle_t *handle)
{
    hws_mem_free(handle);
}

/* ---- reload ---------------------------------------------------------------------------------- */

/* Answers those who asked with this id or before. */
static void end_reloads(struct hws_wire *w, uint64_t id, const struct hws_link_reloaded *answer,
                        const struct hws_err *why)
{
    while (!hws_list_empty(&w->reloads)) {
        struct hws_wire_reload *r = hws_container_of(w->reloads.next, struct hws_wire_reload, link);
        if (r->id > id) {
            return;
        }
        hws_list_remove(&r->link);
        r->done(r->data, answer, why);
    }
}

enum hws_code hws_wire_reload(struct hws_wire *w, struct hws_wire_reload *r, struct hws_err *err)
{
    if (w->fd < 0) {
        return hws_err_set(err, HWS_E_GONE, "hawser-wire is away");
    }
    r->id = ++w->last_reload;
    w->reload_due = r->id;
    hws_list_push(&w->reloads, &r->link);
    return HWS_OK;
}

/* Ends the connection and every rpc's caller. */
void hws_wire__lose(struct hws_wire *w, const struct hws_err *why)
{
    if (w->fd < 0) {
        return;
    }
    uv_close((uv_handle_t *)w->poll, free_poll);
    w->poll = NULL;
    w->events = 0;
    hws_sock_close(&w->fd);
    w->n_pending = 0;
    w->reset_due = false;
    w->reload_due = 0;
    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &w->table[i]) {
            struct hws_rpc *rpc = hws_container_of(it, struct hws_rpc, link);
            hws_rpc_abandon(rpc, HWS_E_CANCELED);
            hws_wire__drop_rpc(w, rpc);
        }
    }
    end_reloads(w, w->last_reload, NULL, why);
    hws_children_lost(&w->agent->children, HWS_LINK_ROLE_WIRE, why);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *timer);

void hws_wire_deadline(struct hws_wire *w, uint64_t deadline_ms)
{
    if (deadline_ms >= w->next_deadline_ms) {
        return;
    }
    uint64_t now_ms = hws_agent_now(w->agent);
    w->next_deadline_ms = deadline_ms;
    (void)uv_timer_start(&w->timer, on_deadline, deadline_ms > now_ms ? deadline_ms - now_ms : 0,
                         0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct hws_wire *w = timer->data;
    uint64_t now_ms = hws_agent_now(w->agent);
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &w->table[i]) {
            struct hws_rpc *rpc = hws_container_of(it, struct hws_rpc, link);
            if (rpc->ended) {
                continue;
            }
            if (rpc->expire_ms <= now_ms) {
                hws_rpc_abandon(rpc, HWS_E_TIMEOUT);
            } else if (rpc->expire_ms < next_ms) {
                next_ms = rpc->expire_ms;
            }
        }
    }
    w->next_deadline_ms = UINT64_MAX;
    hws_wire_deadline(w, next_ms);
}

/* ---- in -------------------------------------------------------------------------------------- */

void hws_wire__break_off(struct hws_wire *w, const struct hws_err *err)
{
    struct hws_log_q q;

    hws_log("wire_protocol_error", "reason=%s", hws_log_q(&q, err->msg));
    w->reset_due = true;
}

/* The principal by the policy's `local` section, for callers on the Unix socket. */
static const char *principal_of(const struct hws_agent *agent, const char *given, char *buf,
                                size_t cap)
{
    uint64_t uid;

    if (!hws_str_starts(given, "unix:uid:") ||
        hws_str_to_u64(given + strlen("unix:uid:"), UINT32_MAX, &uid, NULL) != HWS_OK) {
        return given;
    }
    return hws_policy_local(agent->policy, (uint32_t)uid, buf, cap);
}

/* Work ends a little before the caller's own timer, so that what we say arrives, and the rpc a
 * little after its work, so that the work may say it. */
static void set_deadline(struct hws_wire *w, struct hws_rpc *rpc, uint64_t limit_ms)
{
    uint64_t now_ms = hws_agent_now(w->agent);
    uint64_t margin_ms = limit_ms / 10 < HWS_RPC_MARGIN_MS ? limit_ms / 10 : HWS_RPC_MARGIN_MS;

    if (limit_ms == 0 && rpc->row->kind != HWS_METHOD_KIND_UNARY) {
        return;
    }
    if (limit_ms == 0) {
        limit_ms = HWS_RPC_UNARY_MAX_MS;
    }
    rpc->deadline_ms = now_ms + limit_ms - margin_ms;
    rpc->expire_ms = rpc->deadline_ms + margin_ms / 2;
    hws_wire_deadline(w, rpc->expire_ms);
}

static enum hws_code admit(struct hws_wire *w, struct hws_rpc *rpc,
                           const struct hws_link_call_open *open, struct hws_err *err)
{
    char given[HWS_LINK_PRINCIPAL_BYTES + 1];
    char buf[64];

    hws_str_copy_n(given, sizeof(given), open->principal.bytes, open->principal.n);
    rpc->caller = hws_caller_new(principal_of(w->agent, given, buf, sizeof(buf)), open);
    if (rpc->caller == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    if (!hws_agent_takes_calls(w->agent)) {
        hws_err_set(err, HWS_E_GONE, "the agent is stopping");
        hws_audit_refused_call(rpc, HWS_REFUSAL_STATE, err->code, err->msg);
        return err->code;
    }
    if (w->n_rpcs > HWS_RPC_MAX_CALLS) {
        hws_err_set(err, HWS_E_BUSY, "more than %u calls at once", HWS_RPC_MAX_CALLS);
        hws_audit_refused_call(rpc, HWS_REFUSAL_LIMIT, err->code, err->msg);
        return err->code;
    }
    return HWS_OK;
}

static void open_call(struct hws_wire *w, const struct hws_link_packet *p)
{
    const struct hws_method *row = hws_method_at(p->u.call.method);
    struct hws_err err;

    if (row == NULL || find(w, p->id) != NULL || w->n_rpcs >= HWS_WIRE_MAX_RPCS) {
        hws_err_set(&err, HWS_E_PROTO, "bad method, repeated id or too many calls");
        hws_wire__break_off(w, &err);
        return;
    }
    struct hws_rpc *rpc = hws_rpc_new(w, p->id, row);
    if (rpc == NULL) {
        hws_err_set(&err, HWS_E_NOMEM, "out of memory");
        hws_wire__break_off(w, &err);
        return;
    }
    rpc->handler = hws_handler_at((enum hws_method_id)hws_method_index(row));
    hws_list_push(bucket(w, p->id), &rpc->link);
    w->n_rpcs++;
    w->agent->counters[HWS_COUNT_CALLS]++;
    if (admit(w, rpc, &p->u.call, &err) != HWS_OK) {
        hws_rpc_end(rpc, &err, NULL);
        return;
    }
    set_deadline(w, rpc, p->u.call.deadline_ms);
}

/* What hawser-wire told the caller, where it was not the caller or the connection that ended the
 * call: a limit of the engine, or a request that breaks gRPC's rules. */
static enum hws_code cut_of(uint8_t grpc_code)
{
    switch (grpc_code) {
    case HWS_RPC_DEADLINE_EXCEEDED:
        return HWS_E_TIMEOUT;
    case HWS_RPC_RESOURCE_EXHAUSTED:
        return HWS_E_BUSY;
    case HWS_RPC_UNIMPLEMENTED:
        return HWS_E_UNSUPPORTED;
    case HWS_RPC_INVALID_ARGUMENT:
        return HWS_E_INVALID;
    case HWS_RPC_INTERNAL:
        return HWS_E_PROTO;
    default:
        return HWS_OK;
    }
}

static void feed(struct hws_wire *w, const struct hws_link_packet *p)
{
    struct hws_rpc *rpc = find(w, p->id);
    enum hws_link_event event;
    struct hws_err err;

    if (rpc == NULL) {
        return; /* it ended here while this was on its way */
    }
    if (hws_link_call_feed(&rpc->call, p, &event, &err) != HWS_OK) {
        if (err.code == HWS_E_NOMEM) {
            hws_rpc_end(rpc, &err, NULL);
            return;
        }
        hws_wire__break_off(w, &err);
        return;
    }
    switch (event) {
    case HWS_LINK_EV_MESSAGE:
        hws_rpc_message(rpc, hws_buf_peek(&rpc->call.message), hws_buf_len(&rpc->call.message));
        hws_link_call_taken(&rpc->call);
        break;
    case HWS_LINK_EV_HALF_CLOSED:
        hws_rpc_half_close(rpc);
        break;
    case HWS_LINK_EV_CANCELED:
        rpc->cut = cut_of(p->u.cancel);
        hws_rpc_abandon(rpc, HWS_E_CANCELED);
        hws_wire__drop_rpc(w, rpc);
        break;
    case HWS_LINK_EV_CREDIT:
        hws_wire_ready(w, rpc);
        hws_rpc_resume(rpc);
        break;
    case HWS_LINK_EV_NONE:
    case HWS_LINK_EV_STATUS:
        break;
    }
}

static void take(struct hws_wire *w, const uint8_t *bytes, size_t n)
{
    struct hws_link_packet p;
    struct hws_err err;

    if (hws_link_decode(bytes, n, &p, &err) != HWS_OK) {
        hws_wire__break_off(w, &err);
        return;
    }
    switch (p.type) {
    case HWS_LINK_CALL:
        open_call(w, &p);
        return;
    case HWS_LINK_MSG:
    case HWS_LINK_HALF_CLOSE:
    case HWS_LINK_CANCEL:
    case HWS_LINK_CREDIT:
        feed(w, &p);
        return;
    case HWS_LINK_RELOADED:
        end_reloads(w, p.id, &p.u.reloaded, NULL);
        return;
    case HWS_LINK_STATS:
        hws_str_copy_n(w->stats, sizeof(w->stats), p.u.stats.bytes, p.u.stats.n);
        return;
    default:
        hws_err_set(&err, HWS_E_PROTO, "unexpected %s", hws_link_type_name(p.type));
        hws_wire__break_off(w, &err);
        return;
    }
}

static void receive(struct hws_wire *w)
{
    struct hws_err err;

    for (unsigned i = 0; i < HWS_WIRE_READS_PER_TURN && w->fd >= 0 && !w->reset_due; i++) {
        size_t n;
        int passed;
        enum hws_code code = hws_sock_recv(w->fd, w->packet, sizeof(w->packet), &n, &passed, &err);
        if (code == HWS_E_BUSY) {
            return;
        }
        if (code != HWS_OK) {
            hws_wire__lose(w, &err);
            return;
        }
        hws_sock_close(&passed); /* hawser-wire passes none */
        take(w, w->packet, n);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct hws_wire *w = poll->data;
    (void)status;

    if ((events & UV_READABLE) != 0 || status < 0) {
        receive(w);
    }
    /* Writing happens in the turn that follows. */
}

void hws_wire_ready(struct hws_wire *w, struct hws_rpc *rpc)
{
    if (hws_list_empty(&rpc->ready)) {
        hws_list_push(&w->ready, &rpc->ready);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

void hws_wire_open(struct hws_wire *w, struct hws_agent *agent)
{
    w->agent = agent;
    w->fd = -1;
    w->next_deadline_ms = UINT64_MAX;
    hws_list_init(&w->ready);
    hws_list_init(&w->reloads);
    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        hws_list_init(&w->table[i]);
    }
    (void)uv_timer_init(&agent->loop, &w->timer);
    w->timer.data = w;
    w->open = true;
}

void hws_wire_close(struct hws_wire *w)
{
    struct hws_err why;

    if (!w->open) {
        return;
    }
    w->open = false;
    hws_err_set(&why, HWS_E_CANCELED, "the agent ends");
    hws_wire__lose(w, &why);
    uv_close((uv_handle_t *)&w->timer, NULL);
}

enum hws_code hws_wire_attach(struct hws_wire *w, int fd, const struct hws_link_hello *hello,
                              struct hws_err *err)
{
    if (w->fd >= 0) {
        return hws_err_set(err, HWS_E_STATE, "another hawser-wire is connected");
    }
    if (hello->version != HWS_LINK_VERSION) {
        return hws_err_set(err, HWS_E_PROTO, "hawser-wire speaks version %u, this is %u",
                           hello->version, HWS_LINK_VERSION);
    }
    w->poll = hws_mem_zalloc(1, sizeof(*w->poll));
    if (w->poll == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    if (uv_poll_init(&w->agent->loop, w->poll, fd) != 0) {
        hws_mem_free(w->poll);
        w->poll = NULL;
        return hws_err_set(err, HWS_E_IO, "cannot watch the connection");
    }
    w->poll->data = w;
    w->fd = fd;
    w->hello_due = true;
    w->drain_due = w->agent->state == HWS_AGENT_DRAINING;
    w->stats[0] = '\0';
    hws_wire__want(w, UV_READABLE);
    return HWS_OK;
}

bool hws_wire_attached(const struct hws_wire *w)
{
    return w->fd >= 0;
}

bool hws_wire_owes(const struct hws_wire *w)
{
    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &w->table[i]) {
            const struct hws_rpc *rpc = hws_container_of(it, struct hws_rpc, link);
            if (rpc->row->kind != HWS_METHOD_KIND_BIDI || rpc->ended ||
                !hws_list_empty(&rpc->out)) {
                return true;
            }
        }
    }
    return false;
}

void hws_wire_drain(struct hws_wire *w)
{
    w->drain_due = true;
}

/* The lock that bars a stream on an adapter; a == NULL: wherever its items go. */
static const struct hws_bar *bar_of(const struct hws_rpc *rpc, const struct hws_adapter *a)
{
    const struct hws_policy_request req = {.principal = rpc->caller->principal,
                                           .path = rpc->row->path,
                                           .permission = rpc->row->permission,
                                           .device = hws_device_card(a)};

    return hws_bars_lock(&rpc->agent->barred.bars, &req);
}

/* An item is judged when it comes. A lock that comes later ends the stream of who may not go on at
 * all, and the one that has items, done or waiting, on the locked adapter. */
static bool is_barred(const struct hws_rpc *rpc, struct hws_err *err)
{
    const struct hws_bar *lock = bar_of(rpc, NULL);
    const struct hws_adapter *a;
    char text[256];

    for (size_t i = 0; lock == NULL && (a = rpc->handler->item_adapter(rpc, i)) != NULL; i++) {
        lock = bar_of(rpc, a);
    }
    if (lock == NULL) {
        return false;
    }
    hws_bar_text(lock, text, sizeof(text));
    hws_err_set(err, HWS_E_DENIED, "%s", text);
    return true;
}

static void rejudge(struct hws_rpc *rpc)
{
    struct hws_err err;

    if (rpc->ended || rpc->row->kind != HWS_METHOD_KIND_BIDI || !is_barred(rpc, &err)) {
        return;
    }
    hws_audit_refused_call(rpc, HWS_REFUSAL_LOCK, err.code, err.msg);
    hws_rpc_end(rpc, &err, NULL);
    if (rpc->stream != NULL) {
        rpc->handler->item_stop(rpc);
    }
}

void hws_wire_rejudge(struct hws_wire *w)
{
    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &w->table[i]) {
            rejudge(hws_container_of(it, struct hws_rpc, link));
        }
    }
}
