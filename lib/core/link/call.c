/*
 * One RPC on the link: the state table, the join of fragments, the cut of messages.
 *
 *   state        MSG from peer        HALF_CLOSE    CANCEL        STATUS
 *   OPEN         yes                  HALF_CLOSED   ENDED         ENDED
 *   HALF_CLOSED  only at the caller   refused       ENDED         ENDED
 *   ENDED        ignored              ignored       ignored       ignored
 * HALF_CLOSE and CANCEL come to the server only, STATUS to the caller only.
 */
#include "link/call.h"

#include "base/assert.h"
#include "base/fsm.h"

static const uint32_t moves[HWS_LINK_CALL_N_STATES] = {
    [HWS_LINK_CALL_OPEN] = HWS_FSM_TO(HWS_LINK_CALL_HALF_CLOSED) | HWS_FSM_TO(HWS_LINK_CALL_ENDED),
    [HWS_LINK_CALL_HALF_CLOSED] = HWS_FSM_TO(HWS_LINK_CALL_ENDED),
    [HWS_LINK_CALL_ENDED] = HWS_FSM_TO(HWS_LINK_CALL_ENDED),
};

void hws_link_call_init(struct hws_link_call *call, uint64_t id, enum hws_link_side side,
                        size_t max_message_bytes)
{
    *call = (struct hws_link_call){.id = id, .side = side, .state = HWS_LINK_CALL_OPEN};
    hws_link_credit_init(&call->credit);
    hws_buf_init(&call->message, max_message_bytes);
}

void hws_link_call_deinit(struct hws_link_call *call)
{
    hws_buf_deinit(&call->message);
    *call = (struct hws_link_call){0};
}

static enum hws_code out_of_place(const struct hws_link_call *call,
                                  const struct hws_link_packet *packet, struct hws_err *err)
{
    return hws_err_set(err, HWS_E_PROTO, "call %llu: %s is out of place in state %d",
                       (unsigned long long)call->id, hws_link_type_name(packet->type), call->state);
}

static enum hws_code feed_fragment(struct hws_link_call *call, const struct hws_link_packet *packet,
                                   enum hws_link_event *event, struct hws_err *err)
{
    enum hws_code code;

    if (call->whole ||
        (call->side == HWS_LINK_SERVER && call->state == HWS_LINK_CALL_HALF_CLOSED)) {
        return out_of_place(call, packet, err);
    }
    if (!call->in_message) {
        code = hws_link_credit_received(&call->credit, err);
        if (code != HWS_OK) {
            (void)hws_err_wrap(err, "call %llu", (unsigned long long)call->id);
            return code;
        }
    }
    code = hws_buf_put(&call->message, packet->u.msg.bytes, packet->u.msg.n);
    if (code == HWS_E_BUSY) {
        return hws_err_set(err, HWS_E_PROTO, "call %llu: message over %zu bytes",
                           (unsigned long long)call->id, call->message.max);
    }
    if (code != HWS_OK) {
        return hws_err_set(err, code, "call %llu: message", (unsigned long long)call->id);
    }
    call->in_message = (packet->flags & HWS_LINK_FLAG_MORE) != 0;
    call->whole = !call->in_message;
    *event = call->whole ? HWS_LINK_EV_MESSAGE : HWS_LINK_EV_NONE;
    return HWS_OK;
}

static enum hws_code feed_half_close(struct hws_link_call *call,
                                     const struct hws_link_packet *packet,
                                     enum hws_link_event *event, struct hws_err *err)
{
    if (call->side != HWS_LINK_SERVER || call->state != HWS_LINK_CALL_OPEN || call->in_message) {
        return out_of_place(call, packet, err);
    }
    hws_fsm_move(moves, &call->state, HWS_LINK_CALL_HALF_CLOSED);
    *event = HWS_LINK_EV_HALF_CLOSED;
    return HWS_OK;
}

/* CANCEL at the server, STATUS at the caller. */
static enum hws_code feed_end(struct hws_link_call *call, const struct hws_link_packet *packet,
                              enum hws_link_event *event, struct hws_err *err)
{
    bool to_server = packet->type == HWS_LINK_CANCEL;

    if (to_server != (call->side == HWS_LINK_SERVER)) {
        return out_of_place(call, packet, err);
    }
    hws_fsm_move(moves, &call->state, HWS_LINK_CALL_ENDED);
    *event = to_server ? HWS_LINK_EV_CANCELED : HWS_LINK_EV_STATUS;
    return HWS_OK;
}

static enum hws_code feed_credit(struct hws_link_call *call, const struct hws_link_packet *packet,
                                 enum hws_link_event *event, struct hws_err *err)
{
    enum hws_code code = hws_link_credit_granted(&call->credit, packet->u.credit, err);

    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "call %llu", (unsigned long long)call->id);
        return code;
    }
    *event = HWS_LINK_EV_CREDIT;
    return HWS_OK;
}

enum hws_code hws_link_call_feed(struct hws_link_call *call, const struct hws_link_packet *packet,
                                 enum hws_link_event *event, struct hws_err *err)
{
    if (call->state == HWS_LINK_CALL_ENDED) {
        *event = HWS_LINK_EV_NONE;
        return HWS_OK;
    }
    switch ((enum hws_link_type)packet->type) {
    case HWS_LINK_MSG:
        return feed_fragment(call, packet, event, err);
    case HWS_LINK_HALF_CLOSE:
        return feed_half_close(call, packet, event, err);
    case HWS_LINK_CANCEL:
    case HWS_LINK_STATUS:
        return feed_end(call, packet, event, err);
    case HWS_LINK_CREDIT:
        return feed_credit(call, packet, event, err);
    case HWS_LINK_HELLO:
    case HWS_LINK_CALL:
    case HWS_LINK_DRAIN:
    case HWS_LINK_STATS:
    case HWS_LINK_RELOAD:
    case HWS_LINK_RELOADED:
    case HWS_LINK_ADAPTER:
    case HWS_LINK_CMD:
    case HWS_LINK_DONE:
    case HWS_LINK_CANCEL_CMD:
    case HWS_LINK_KILLS:
    default:
        return out_of_place(call, packet, err);
    }
}

void hws_link_call_taken(struct hws_link_call *call)
{
    size_t max_bytes = call->message.max;

    if (call->message.cap > HWS_LINK_CALL_KEPT_BYTES) {
        hws_buf_deinit(&call->message);
        hws_buf_init(&call->message, max_bytes);
    }
    hws_buf_reset(&call->message);
    call->whole = false;
}

void hws_link_call_give(struct hws_link_call *call, uint32_t n, struct hws_link_packet *packet)
{
    hws_link_credit_give(&call->credit, n);
    *packet = (struct hws_link_packet){.type = HWS_LINK_CREDIT, .id = call->id, .u.credit = n};
}

bool hws_link_call_may_send(const struct hws_link_call *call)
{
    bool open = call->state == HWS_LINK_CALL_OPEN ||
                (call->state == HWS_LINK_CALL_HALF_CLOSED && call->side == HWS_LINK_SERVER);

    return open && hws_link_credit_may_send(&call->credit);
}

void hws_link_call_send(struct hws_link_call *call, const uint8_t *bytes, size_t n,
                        struct hws_link_fragments *out)
{
    hws_assert(hws_link_call_may_send(call));
    hws_link_credit_sent(&call->credit);
    *out = (struct hws_link_fragments){.id = call->id, .bytes = bytes, .n = n};
}

bool hws_link_fragment_next(struct hws_link_fragments *f, struct hws_link_packet *packet)
{
    size_t n = f->n - f->at;

    if (f->done) {
        return false;
    }
    if (n > HWS_LINK_FRAGMENT_BYTES) {
        n = HWS_LINK_FRAGMENT_BYTES;
    }
    *packet = (struct hws_link_packet){.type = HWS_LINK_MSG, .id = f->id};
    packet->u.msg.bytes = n > 0 ? f->bytes + f->at : NULL;
    packet->u.msg.n = n;
    f->at += n;
    f->done = f->at == f->n;
    packet->flags = (uint8_t)(f->done ? 0 : HWS_LINK_FLAG_MORE);
    return true;
}

void hws_link_call_half_closed(struct hws_link_call *call)
{
    hws_assert(call->side == HWS_LINK_CALLER);
    hws_fsm_move(moves, &call->state, HWS_LINK_CALL_HALF_CLOSED);
}

void hws_link_call_ended(struct hws_link_call *call)
{
    hws_fsm_move(moves, &call->state, HWS_LINK_CALL_ENDED);
}
