/*
 * Sending to hawserd: HELLO and STATS first, then each call's packets in turn. A packet that the
 * socket does not take is kept and goes first in the next round.
 */
#include <string.h>

#include "base/mem.h"
#include "grpc/session.h"
#include "relay_priv.h"
#include "sock/sock.h"

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
        hws_relay__want(r, UV_READABLE | UV_WRITABLE);
        return BLOCKED;
    }
    hws_relay__lose(r, err.msg);
    return LOST;
}

/* Encodes and sends; a packet that the socket did not take is kept and counts as sent. */
static enum sent push(struct hws_relay *r, const struct hws_link_packet *p)
{
    size_t n = 0;
    struct hws_err err;

    if (hws_link_encode(p, r->packet, sizeof(r->packet), &n, &err) != HWS_OK) {
        hws_relay__break_off(r, &err);
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
        hws_relay__want(r, UV_READABLE);
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
    char text[HWS_RELAY_STATS_BYTES];

    r->config.stats(r->config.data, text, sizeof(text));
    p.u.stats = hws_link_text(text);
    return push(r, &p);
}

static enum sent push_reloaded(struct hws_relay *r)
{
    struct hws_link_packet p = {.type = HWS_LINK_RELOADED, .id = r->reload_due};
    char text[HWS_ERR_MSG_BYTES];

    r->reload_due = 0;
    r->config.reload(r->config.data, &p.u.reloaded, text, sizeof(text));
    return push(r, &p);
}

/* What a call says of itself when it opens. */
static void fill_open(struct hws_relay__call *c, struct hws_link_packet *p)
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

static bool next_fragment(struct hws_relay__call *c, struct hws_link_packet *p)
{
    if (!c->sending) {
        if (hws_list_empty(&c->up) || !hws_link_call_may_send(&c->call)) {
            return false;
        }
        struct hws_relay__message *m =
            hws_container_of(c->up.next, struct hws_relay__message, link);
        hws_link_call_send(&c->call, hws_buf_peek(&m->bytes), hws_buf_len(&m->bytes),
                           &c->fragments);
        c->sending = true;
    }
    memset(p, 0, sizeof(*p));
    return hws_link_fragment_next(&c->fragments, p);
}

/* The fragment has left: the message may be over. */
static void fragment_sent(struct hws_relay__call *c)
{
    if (c->sending && c->fragments.done) {
        struct hws_relay__message *m =
            hws_container_of(hws_list_pop(&c->up), struct hws_relay__message, link);
        hws_buf_deinit(&m->bytes);
        hws_mem_free(m);
        c->sending = false;
        (void)!hws_relay__charge(c); /* less than before */
    }
}

/* The next packet of a call; false when it has nothing to send now. */
static bool next_packet(struct hws_relay__call *c, struct hws_link_packet *p)
{
    memset(p, 0, sizeof(*p));
    p->id = c->call.id;
    if (c->cancel_due != 0) {
        p->type = HWS_LINK_CANCEL;
        p->u.cancel = c->cancel_due;
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

static enum sent flush_call(struct hws_relay *r, struct hws_relay__call *c)
{
    struct hws_link_packet p;

    while (next_packet(c, &p)) {
        enum sent s = push(r, &p);
        if (s == LOST) {
            return LOST;
        }
        if (p.type == HWS_LINK_CANCEL) {
            hws_relay__free_call(c);
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
    if (s == SENT && r->up && r->reload_due != 0) {
        s = push_reloaded(r);
    }
    return s;
}

void hws_relay__flush(struct hws_relay *r)
{
    if (r->reset_due) {
        hws_relay__lose(r, "protocol error");
    }
    if (r->fd < 0 || flush_control(r) != SENT || !r->up) {
        return;
    }
    while (!hws_list_empty(&r->ready)) {
        struct hws_relay__call *c = hws_container_of(r->ready.next, struct hws_relay__call, ready);
        if (flush_call(r, c) != SENT) {
            return;
        }
    }
}
