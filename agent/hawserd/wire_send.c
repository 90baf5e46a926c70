/*
 * The sending half of the connection to hawser-wire: for each rpc that is ready, credit first, then
 * fragments of its messages, then its status. A packet that the socket does not take is kept and
 * goes first in the next turn.
 */
#include <string.h>

#include "base/mem.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/rpc.h"
#include "hawserd/wire_priv.h"
#include "sock/sock.h"

enum sent { SENT, BLOCKED, LOST };

static enum sent push_bytes(struct hws_wire *w, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    enum hws_code code = hws_sock_send(w->fd, bytes, n, -1, &err);

    if (code == HWS_OK) {
        return SENT;
    }
    if (code == HWS_E_BUSY) {
        if (bytes != w->pending) {
            memcpy(w->pending, bytes, n);
            w->n_pending = n;
        }
        hws_wire__want(w, UV_READABLE | UV_WRITABLE);
        return BLOCKED;
    }
    hws_wire__lose(w, &err);
    return LOST;
}

/* Encodes and sends; a packet that the socket did not take is kept and counts as sent. */
static enum sent push(struct hws_wire *w, const struct hws_link_packet *p)
{
    size_t n = 0;
    struct hws_err err;

    if (hws_link_encode(p, w->packet, sizeof(w->packet), &n, &err) != HWS_OK) {
        hws_wire__break_off(w, &err);
        return LOST;
    }
    return push_bytes(w, w->packet, n);
}

static enum sent push_pending(struct hws_wire *w)
{
    if (w->n_pending == 0) {
        return SENT;
    }
    enum sent s = push_bytes(w, w->pending, w->n_pending);
    if (s == SENT) {
        w->n_pending = 0;
        hws_wire__want(w, UV_READABLE);
    }
    return s;
}

static enum sent push_hello(struct hws_wire *w)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello.role = HWS_LINK_ROLE_KEEPER;
    p.u.hello.version = HWS_LINK_VERSION;
    p.u.hello.generation = w->agent->generation;
    p.u.hello.pid = (uint32_t)uv_os_getpid();
    p.u.hello.name = hws_link_text("hawserd");
    p.u.hello.build = hws_link_text(w->agent->build_id);
    return push(w, &p);
}

static enum sent push_status(struct hws_wire *w, struct hws_rpc *rpc)
{
    struct hws_link_packet p = {.type = HWS_LINK_STATUS, .id = rpc->call.id};

    p.u.status.code = rpc->status;
    p.u.status.message = hws_link_text(rpc->message);
    p.u.status.details.bytes = hws_buf_peek(&rpc->details);
    p.u.status.details.n = hws_buf_len(&rpc->details);
    hws_link_call_ended(&rpc->call);
    return push(w, &p);
}

static void begin_message(struct hws_rpc *rpc)
{
    struct hws_rpc_out *out = hws_container_of(rpc->out.next, struct hws_rpc_out, link);

    hws_link_call_send(&rpc->call, hws_buf_peek(&out->bytes), hws_buf_len(&out->bytes),
                       &rpc->fragments);
    rpc->sending = true;
}

/* The next packet of one rpc; false when it has nothing (more) to send now. */
static bool next_packet(struct hws_rpc *rpc, struct hws_link_packet *p, bool *out_last)
{
    *out_last = false;
    if (rpc->give > 0 && !rpc->ended) {
        hws_link_call_give(&rpc->call, rpc->give, p);
        rpc->give = 0;
        return true;
    }
    if (!rpc->sending && !hws_list_empty(&rpc->out) && hws_link_call_may_send(&rpc->call)) {
        begin_message(rpc);
    }
    if (rpc->sending) {
        memset(p, 0, sizeof(*p));
        (void)hws_link_fragment_next(&rpc->fragments, p);
        *out_last = rpc->fragments.done;
        return true;
    }
    return false;
}

/* Sends packets of one rpc while the socket takes them. */
static enum sent flush_rpc(struct hws_wire *w, struct hws_rpc *rpc)
{
    struct hws_link_packet p;
    bool last;

    while (next_packet(rpc, &p, &last)) {
        enum sent s = push(w, &p);
        if (s == LOST) {
            return LOST;
        }
        if (last) {
            hws_rpc_sent(rpc);
        }
        if (s == BLOCKED) {
            return BLOCKED;
        }
    }
    hws_list_remove(&rpc->ready);
    if (!rpc->ended || !hws_list_empty(&rpc->out) || rpc->task != NULL || rpc->stream != NULL) {
        return SENT;
    }
    enum sent s = push_status(w, rpc);
    if (s != LOST) {
        hws_wire__drop_rpc(w, rpc);
    }
    return s;
}

static enum sent flush_control(struct hws_wire *w)
{
    enum sent s = push_pending(w);

    if (s == SENT && w->hello_due) {
        w->hello_due = false;
        s = push_hello(w);
    }
    if (s == SENT && w->drain_due) {
        struct hws_link_packet p = {.type = HWS_LINK_DRAIN};
        w->drain_due = false;
        s = push(w, &p);
    }
    if (s == SENT && w->reload_due != 0) {
        struct hws_link_packet p = {.type = HWS_LINK_RELOAD, .id = w->reload_due};
        w->reload_due = 0;
        s = push(w, &p);
    }
    return s;
}

/* Streams that stood still since others had too much waiting go on; false if none did. */
static bool feed_starved(struct hws_wire *w)
{
    if (!w->starved || w->out_bytes > HWS_RPC_MAX_OUT_BYTES / 2) {
        return false;
    }
    w->starved = false;
    for (size_t i = 0; i < HWS_WIRE_BUCKETS; i++) {
        HWS_LIST_FOREACH (it, tmp, &w->table[i]) {
            hws_rpc_resume(hws_container_of(it, struct hws_rpc, link));
        }
    }
    return !hws_list_empty(&w->ready);
}

void hws_wire_turn(struct hws_wire *w)
{
    if (w->reset_due) {
        struct hws_err why;
        hws_err_set(&why, HWS_E_PROTO, "protocol error");
        hws_wire__lose(w, &why);
    }
    if (w->fd < 0 || flush_control(w) != SENT) {
        return;
    }
    do {
        while (!hws_list_empty(&w->ready)) {
            struct hws_rpc *rpc = hws_container_of(w->ready.next, struct hws_rpc, ready);
            if (flush_rpc(w, rpc) != SENT) {
                return;
            }
        }
    } while (feed_starved(w));
}
