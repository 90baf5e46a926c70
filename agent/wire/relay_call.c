/*
 * Calls as gRPC sees them: born by on_call, fed by the client, ended by hawserd's STATUS, by the
 * client, or by the end of the connection to hawserd.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "relay_priv.h"
#include "stage.h"

#define RESTARTING "the keeper process (hawserd) is restarting; try again"

/* ---- calls ----------------------------------------------------------------------------------- */

static struct hws_list *bucket(struct hws_relay *r, uint64_t id)
{
    return &r->table[id & (HWS_RELAY_BUCKETS - 1)];
}

struct hws_relay__call *hws_relay__find(struct hws_relay *r, uint64_t id)
{
    HWS_LIST_FOREACH (it, tmp, bucket(r, id)) {
        struct hws_relay__call *c = hws_container_of(it, struct hws_relay__call, link);
        if (c->call.id == id) {
            return c;
        }
    }
    return NULL;
}

#define OVERDUE                                                                                    \
    "the revocation lists are overdue: nothing may be changed until they are renewed (reads go "   \
    "on)"

/* Does a call over TLS change something, or may it? Raw commands may; reading the policy and the
 * certificates again must always be possible. */
static bool is_change(const struct hws_relay *r, struct hws_grpc_call *grpc)
{
    const struct hws_method *row = hws_method_at(hws_grpc_call_method(grpc));
    struct hws_relay_peer peer;

    r->config.peer_of(r->config.data, hws_grpc_call_conn(grpc), &peer);
    return peer.transport == HWS_LINK_TRANSPORT_TLS && row->audit != HWS_METHOD_AUDIT_READ &&
           row != hws_method_at(HWS_METHOD_AGENT_RELOAD);
}

static struct hws_relay__call *new_call(struct hws_relay *r, struct hws_grpc_call *grpc)
{
    struct hws_relay__call *c = hws_mem_zalloc(1, sizeof(*c));

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
    hws_relay_stats_changed(r);
    return c;
}

static void free_messages(struct hws_list *list)
{
    struct hws_list *it;

    while ((it = hws_list_pop(list)) != NULL) {
        struct hws_relay__message *m = hws_container_of(it, struct hws_relay__message, link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
    }
}

void hws_relay__free_call(struct hws_relay__call *c)
{
    c->relay->n_calls--;
    hws_relay_stats_changed(c->relay);
    hws_list_remove(&c->link);
    hws_list_remove(&c->ready);
    free_messages(&c->up);
    free_messages(&c->down);
    hws_link_call_deinit(&c->call);
    hws_buf_deinit(&c->details);
    hws_mem_free(c->message);
    hws_mem_free(c);
}

void hws_relay__make_ready(struct hws_relay__call *c)
{
    if (hws_list_empty(&c->ready)) {
        hws_list_push(&c->relay->ready, &c->ready);
    }
}

bool hws_relay__queue(struct hws_list *list, const uint8_t *bytes, size_t n)
{
    struct hws_relay__message *m = hws_mem_zalloc(1, sizeof(*m));

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

static size_t bytes_of(const struct hws_list *list)
{
    size_t n = 0;

    for (const struct hws_list *it = list->next; it != list; it = it->next) {
        n += hws_buf_len(&hws_container_of(it, const struct hws_relay__message, link)->bytes);
    }
    return n;
}

bool hws_relay__charge(struct hws_relay__call *c)
{
    return c->grpc == NULL || hws_grpc_call_hold(c->grpc, bytes_of(&c->up) + bytes_of(&c->down));
}

/* Ends a call whose caller holds too much already. */
static void too_much(struct hws_relay__call *c)
{
    if (c->grpc != NULL) {
        hws_grpc_call_abort(c->grpc, HWS_GRPC_RESOURCE_EXHAUSTED,
                            "too many bytes are held for this caller");
    }
    hws_relay__finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "");
    hws_relay__cancel(c, HWS_GRPC_RESOURCE_EXHAUSTED);
}

/* Ends the client's side; what is left is the link's. */
void hws_relay__finish(struct hws_relay__call *c, enum hws_grpc_code code, const char *message)
{
    if (c->grpc != NULL) {
        struct hws_grpc_call *grpc = c->grpc;
        c->grpc = NULL;
        (void)!hws_grpc_call_hold(grpc, 0);
        hws_grpc_call_set_data(grpc, NULL);
        hws_grpc_call_finish(grpc, code, message, hws_buf_peek(&c->details),
                             hws_buf_len(&c->details), NULL);
    }
}

void hws_relay__cancel(struct hws_relay__call *c, enum hws_grpc_code code)
{
    free_messages(&c->down);
    if (c->open_due || c->relay->fd < 0 || c->ended) {
        hws_relay__free_call(c);
        return;
    }
    free_messages(&c->up);
    c->sending = false;
    c->cancel_due = (uint8_t)code;
    hws_relay__make_ready(c);
}

/* ---- from the client ------------------------------------------------------------------------- */

/* hawserd is away: it surely never sees this call. */
static void refuse_unsent(struct hws_grpc_call *grpc, const char *text)
{
    struct hws_buf details;

    hws_buf_init(&details, HWS_GRPC_DETAILS_BYTES);
    hws_wire_stage_details(HWS_GRPC_UNAVAILABLE, text, HWS_STAGE_NOT_SENT, &details);
    hws_grpc_call_finish(grpc, HWS_GRPC_UNAVAILABLE, text, hws_buf_peek(&details),
                         hws_buf_len(&details), NULL);
    hws_buf_deinit(&details);
}

static enum hws_grpc_code on_call(struct hws_grpc_call *grpc, void *data)
{
    struct hws_relay *r = data;

    hws_grpc_call_set_data(grpc, NULL); /* it begins as the table's pointer */
    if (!r->up) {
        r->n_refused++;
        refuse_unsent(grpc, RESTARTING);
        return HWS_GRPC_OK;
    }
    if (r->tls_reads_only && is_change(r, grpc)) {
        r->n_reads_only++;
        hws_grpc_call_finish_text(grpc, HWS_GRPC_FAILED_PRECONDITION, OVERDUE);
        return HWS_GRPC_OK;
    }
    if (r->n_calls >= HWS_RELAY_MAX_CALLS) {
        hws_grpc_call_finish_text(grpc, HWS_GRPC_RESOURCE_EXHAUSTED, "too many calls at once");
        return HWS_GRPC_OK;
    }
    struct hws_relay__call *c = new_call(r, grpc);
    if (c == NULL) {
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    hws_grpc_call_set_data(grpc, c);
    hws_grpc_call_set_credit(grpc, HWS_LINK_FIRST_CREDIT);
    hws_relay__make_ready(c);
    return HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *grpc, const uint8_t *bytes, size_t n)
{
    struct hws_relay__call *c = hws_grpc_call_data(grpc);

    if (c == NULL || c->ended) {
        return;
    }
    if (!hws_relay__queue(&c->up, bytes, n)) {
        hws_relay__finish(c, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        hws_relay__cancel(c, HWS_GRPC_RESOURCE_EXHAUSTED);
        return;
    }
    if (!hws_relay__charge(c)) {
        too_much(c);
        return;
    }
    hws_relay__make_ready(c);
}

static void on_half_close(struct hws_grpc_call *grpc)
{
    struct hws_relay__call *c = hws_grpc_call_data(grpc);

    if (c != NULL && !c->ended) {
        c->half_close_due = true;
        hws_relay__make_ready(c);
    }
}

static void on_cancel(struct hws_grpc_call *grpc, const struct hws_grpc_outcome *why)
{
    struct hws_relay__call *c = hws_grpc_call_data(grpc);

    if (c == NULL) {
        return;
    }
    hws_relay__finish(c, HWS_GRPC_CANCELLED, ""); /* lets go: the client has why's code */
    hws_relay__cancel(c, why->code == HWS_GRPC_OK ? HWS_GRPC_CANCELLED : why->code);
}

static void on_writable(struct hws_grpc_call *grpc)
{
    struct hws_relay__call *c = hws_grpc_call_data(grpc);

    if (c != NULL) {
        hws_relay__deliver(c);
    }
}

static void on_close(struct hws_grpc_call *grpc, const struct hws_grpc_outcome *outcome)
{
    struct hws_relay__call *c = hws_grpc_call_data(grpc);
    (void)outcome;

    if (c != NULL) {
        c->grpc = NULL;
        hws_relay__cancel(c, HWS_GRPC_CANCELLED);
    }
}

const struct hws_grpc_call_ops hws_relay__call_ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
    .on_close = on_close,
};

/* ---- to the client --------------------------------------------------------------------------- */

/* Hands messages to gRPC while it takes them, then the status. May free the call. */
void hws_relay__deliver(struct hws_relay__call *c)
{
    struct hws_err err;

    while (c->grpc != NULL && !hws_list_empty(&c->down)) {
        struct hws_relay__message *m =
            hws_container_of(c->down.next, struct hws_relay__message, link);
        enum hws_code code =
            hws_grpc_call_send(c->grpc, hws_buf_peek(&m->bytes), hws_buf_len(&m->bytes), &err);
        if (code == HWS_E_BUSY) {
            if (!hws_relay__charge(c)) {
                too_much(c);
            }
            return; /* on_writable comes */
        }
        if (code != HWS_OK) {
            enum hws_grpc_code end =
                code == HWS_E_NOMEM ? HWS_GRPC_RESOURCE_EXHAUSTED : HWS_GRPC_INTERNAL;
            hws_relay__finish(c, end, err.msg);
            hws_relay__cancel(c, end);
            return;
        }
        hws_list_remove(&m->link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
        if (!c->ended) {
            c->give++;
            hws_relay__make_ready(c);
        }
    }
    (void)!hws_relay__charge(c); /* less than before */
    if (c->ended) {
        hws_relay__finish(c, (enum hws_grpc_code)c->status, c->message == NULL ? "" : c->message);
        hws_relay__free_call(c);
    }
}

void hws_relay__take_status(struct hws_relay__call *c, const struct hws_link_status *s)
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
    hws_relay__deliver(c);
}
