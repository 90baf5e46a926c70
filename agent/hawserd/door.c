/*
 * The listener.
 *
 * Happy path: accept -> check the peer's user -> wait for HELLO -> hand over by role.
 * Failures: another user, too many visitors, silence, a first packet that is no HELLO, a role that
 * is taken: one log line, and the connection is closed; the child tries again.
 */
#include "hawserd/door.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "sock/sock.h"

static void refuse(const char *why)
{
    struct hws_log_q q;

    hws_log("visitor_refused", "reason=%s", hws_log_q(&q, why));
}

static void free_poll(uv_handle_t *handle)
{
    hws_mem_free(handle);
}

/* The visitor is gone or handed over; keep_fd says whose its descriptor is now. */
static void leave(struct hws_visitor *v, bool keep_fd)
{
    if (v->fd < 0) {
        return;
    }
    uv_close((uv_handle_t *)v->poll, free_poll);
    v->poll = NULL;
    if (keep_fd) {
        v->fd = -1;
    }
    hws_sock_close(&v->fd);
}

static enum hws_code hand_over(struct hws_agent *agent, int fd, const struct hws_link_hello *hello,
                               struct hws_err *err)
{
    switch (hello->role) {
    case HWS_LINK_ROLE_WIRE:
        return hws_wire_attach(&agent->wire, fd, hello, err);
    case HWS_LINK_ROLE_DEVICE:
        return hws_devices_attach(&agent->devices, fd, hello, err);
    default:
        return hws_err_set(err, HWS_E_PROTO, "a role that does not come here");
    }
}

static void greet(struct hws_visitor *v, size_t n)
{
    struct hws_door *d = v->door;
    struct hws_link_packet p;
    struct hws_err err;

    if (hws_link_decode(d->packet, n, &p, &err) != HWS_OK || p.type != HWS_LINK_HELLO) {
        refuse("the first packet is no HELLO");
        leave(v, false);
        return;
    }
    /* The channel watches the same descriptor: ours must be out of the loop first. */
    int fd = v->fd;
    p.u.hello.pid = v->pid;
    leave(v, true);
    if (hand_over(d->agent, fd, &p.u.hello, &err) != HWS_OK) {
        refuse(err.msg);
        hws_sock_close(&fd);
        return;
    }
    hws_children_hello(&d->agent->children, &p.u.hello);
}

static void on_visitor(uv_poll_t *poll, int status, int events)
{
    struct hws_visitor *v = poll->data;
    struct hws_door *d = v->door;
    struct hws_err err;
    size_t n;
    int passed;
    (void)status;
    (void)events;

    enum hws_code code = hws_sock_recv(v->fd, d->packet, sizeof(d->packet), &n, &passed, &err);
    if (code == HWS_E_BUSY) {
        return;
    }
    if (code != HWS_OK) {
        leave(v, false);
        return;
    }
    hws_sock_close(&passed);
    greet(v, n);
}

static void on_silence(uv_timer_t *timer)
{
    struct hws_door *d = timer->data;
    uint64_t now_ms = hws_agent_now(d->agent);
    bool waiting = false;

    for (size_t i = 0; i < HWS_DOOR_MAX_VISITORS; i++) {
        struct hws_visitor *v = &d->visitors[i];
        if (v->fd >= 0 && v->until_ms <= now_ms) {
            refuse("no HELLO in time");
            leave(v, false);
        }
        waiting = waiting || v->fd >= 0;
    }
    if (!waiting) {
        (void)uv_timer_stop(timer);
    }
}

static struct hws_visitor *free_place(struct hws_door *d)
{
    for (size_t i = 0; i < HWS_DOOR_MAX_VISITORS; i++) {
        if (d->visitors[i].fd < 0) {
            return &d->visitors[i];
        }
    }
    return NULL;
}

static bool admit(struct hws_door *d, int fd)
{
    uint32_t uid;
    uint32_t pid;
    struct hws_visitor *v = free_place(d);

    if (v == NULL || hws_sock_peer(fd, &uid, &pid, NULL) != HWS_OK || uid != geteuid() ||
        pid == 0) {
        refuse(v == NULL ? "too many visitors"
                         : "not of our user, or not of our process namespace");
        return false;
    }
    v->poll = hws_mem_zalloc(1, sizeof(*v->poll));
    if (v->poll == NULL) {
        return false;
    }
    if (uv_poll_init(&d->agent->loop, v->poll, fd) != 0) {
        hws_mem_free(v->poll);
        v->poll = NULL;
        return false;
    }
    v->poll->data = v;
    v->fd = fd;
    v->pid = pid;
    v->until_ms = hws_agent_now(d->agent) + HWS_DOOR_HELLO_MS;
    (void)uv_poll_start(v->poll, UV_READABLE, on_visitor);
    (void)uv_timer_start(&d->timer, on_silence, HWS_DOOR_HELLO_MS, HWS_DOOR_HELLO_MS);
    return true;
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
    struct hws_door *d = poll->data;
    int fd;
    (void)status;
    (void)events;

    while (hws_sock_accept(d->fd, &fd, NULL) == HWS_OK) {
        if (!admit(d, fd)) {
            hws_sock_close(&fd);
        }
    }
}

enum hws_code hws_door_open(struct hws_door *d, struct hws_agent *agent, const char *path,
                            int listener, struct hws_err *err)
{
    d->agent = agent;
    for (size_t i = 0; i < HWS_DOOR_MAX_VISITORS; i++) {
        d->visitors[i].door = d;
        d->visitors[i].fd = -1;
    }
    d->fd = listener;
    enum hws_code code = listener >= 0 ? HWS_OK : hws_sock_listen(path, &d->fd, err);
    if (code != HWS_OK) {
        d->fd = -1;
        return code;
    }
    d->poll.data = d;
    d->timer.data = d;
    if (uv_poll_init(&agent->loop, &d->poll, d->fd) != 0) {
        hws_sock_close(&d->fd);
        return hws_err_set(err, HWS_E_IO, "cannot watch %s", path);
    }
    (void)uv_timer_init(&agent->loop, &d->timer);
    (void)uv_poll_start(&d->poll, UV_READABLE, on_knock);
    return HWS_OK;
}

void hws_door_close(struct hws_door *d)
{
    if (d->fd < 0) {
        return;
    }
    for (size_t i = 0; i < HWS_DOOR_MAX_VISITORS; i++) {
        leave(&d->visitors[i], false);
    }
    uv_close((uv_handle_t *)&d->poll, NULL);
    uv_close((uv_handle_t *)&d->timer, NULL);
    hws_sock_close(&d->fd);
}
