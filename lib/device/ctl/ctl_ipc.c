/*
 * The keeper's side of the socket to a device process; see ctl_ipc.h.
 *
 * A call: submit queues it and kicks our own eventfd; turn takes a slot, sends CMD; DONE comes
 * back, the outcome is copied into the call, and the callback runs at the end of that turn.
 *
 * Failure modes:
 *   - the socket is full: the call stays unsent, epoll watches for room
 *   - deadline or cancel before sending: NOT_SENT; after it: UNKNOWN, and the slot stays taken
 * until DONE comes
 *   - the connection ends or breaks the protocol: sent calls UNKNOWN, unsent ones NOT_SENT
 *   - DONE for a command of an earlier session: that one is no longer running, nobody waits for it
 */
#include "ctl/ctl_ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sock/sock.h"

static const struct hws_ctl_ops adapter_ops;

static struct hws_ctl_ipc_adapter *adapter_of(struct hws_ctl *ctl)
{
    return hws_container_of(ctl, struct hws_ctl_ipc_adapter, ctl);
}

/* Makes the owner call turn. */
static void kick(struct hws_ctl_ipc *ipc)
{
    const uint64_t one = 1;

    if (!ipc->kicked && !ipc->turning) {
        ipc->kicked = write(ipc->kick_fd, &one, sizeof one) == (ssize_t)sizeof one;
    }
}

static void unkick(struct hws_ctl_ipc *ipc)
{
    uint64_t n;

    if (ipc->kicked) {
        ipc->kicked = read(ipc->kick_fd, &n, sizeof n) != (ssize_t)sizeof n;
    }
}

static void adapter_changed(struct hws_ctl_ipc_adapter *a)
{
    if (a->ipc->config.on_adapter != NULL) {
        a->ipc->config.on_adapter(a->ipc->config.data, a);
    }
}

/* Queues the call's callback with this outcome. The call must be in no list. */
static void end_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                     const struct hws_err *outcome)
{
    call->err = *outcome;
    hws_list_push(&a->ended, &call->link);
    kick(a->ipc);
}

/* As end_call for a call that has failed here: no output. */
static void fail_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call, enum hws_code code,
                      enum hws_stage stage, const char *why)
{
    struct hws_err err;

    hws_err_set(&err, code, "adapter %s: %.150s", a->pci, why);
    hws_err_at(&err, stage);
    call->out_bytes = 0;
    end_call(a, call, &err);
}

static void slot_free(struct hws_ctl_ipc_slot *slot)
{
    hws_sock_close(&slot->memfd);
    slot->id = 0;
    slot->call = NULL;
}

/* Nobody waits for the slot's answer any more; it stays taken until that comes. */
static void slot_abandon(struct hws_ctl_ipc_adapter *a, struct hws_ctl_ipc_slot *slot)
{
    slot->call = NULL;
    a->n_abandoned++;
}

static void unsent_remove(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call)
{
    hws_list_remove(&call->link);
    a->n_unsent--;
}

static struct hws_ctl_call *first_unsent(struct hws_ctl_ipc_adapter *a)
{
    return hws_list_empty(&a->unsent) ? NULL
                                      : hws_container_of(a->unsent.next, struct hws_ctl_call, link);
}

/* ---- connection ---- */

enum hws_code hws_ctl_ipc_init(struct hws_ctl_ipc *ipc, const struct hws_ctl_ipc_config *config,
                               struct hws_err *err)
{
    struct epoll_event event = {.events = EPOLLIN};

    hws_assert(config->row_of != NULL && config->generation != 0);
    memset(ipc, 0, sizeof *ipc);
    ipc->config = *config;
    ipc->sock_fd = -1;
    ipc->next_id = (config->generation | UINT64_C(1) << 63) & UINT64_C(0xffffffff00000000);
    ipc->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ipc->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ipc->kick_fd < 0 || ipc->epoll_fd < 0 ||
        epoll_ctl(ipc->epoll_fd, EPOLL_CTL_ADD, ipc->kick_fd, &event) != 0) {
        int e = errno;

        hws_sock_close(&ipc->kick_fd);
        hws_sock_close(&ipc->epoll_fd);
        memset(ipc, 0, sizeof *ipc);
        return hws_err_set(err, HWS_E_IO, "no descriptors for the device channel (errno %d)", e);
    }
    return HWS_OK;
}

void hws_ctl_ipc_deinit(struct hws_ctl_ipc *ipc)
{
    if (ipc->config.row_of == NULL) {
        return;
    }
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        struct hws_ctl_ipc_adapter *a = ipc->adapters[i];

        hws_assert(hws_list_empty(&a->unsent) && hws_list_empty(&a->ended));
        for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
            hws_assert(a->slots[k].call == NULL);
            slot_free(&a->slots[k]);
        }
        hws_mem_free(a);
    }
    hws_sock_close(&ipc->sock_fd);
    hws_sock_close(&ipc->kick_fd);
    hws_sock_close(&ipc->epoll_fd);
    memset(ipc, 0, sizeof *ipc);
}

enum hws_code hws_ctl_ipc_attach(struct hws_ctl_ipc *ipc, int sock_fd,
                                 const struct hws_link_hello *hello, struct hws_err *err)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (ipc->sock_fd >= 0) {
        return hws_err_set(err, HWS_E_STATE, "a device process is already connected");
    }
    if (hello->role != HWS_LINK_ROLE_DEVICE || hello->version != HWS_LINK_VERSION) {
        return hws_err_set(err, HWS_E_PROTO, "HELLO of role %u, link version %u (ours is %u)",
                           hello->role, hello->version, HWS_LINK_VERSION);
    }
    if (epoll_ctl(ipc->epoll_fd, EPOLL_CTL_ADD, sock_fd, &event) != 0) {
        return hws_err_set(err, HWS_E_IO, "epoll (errno %d)", errno);
    }
    ipc->sock_fd = sock_fd;
    ipc->want_write = false;
    ipc->hello_due = true;
    ipc->n_earlier = hello->n_running;
    for (size_t i = 0; i < hello->n_running; i++) {
        ipc->earlier[i] = hws_link_running_get(hello->running, i);
    }
    kick(ipc);
    return HWS_OK;
}

bool hws_ctl_ipc_attached(const struct hws_ctl_ipc *ipc)
{
    return ipc->sock_fd >= 0;
}

/* Ends every call of the adapter because the connection is gone. */
static void adapter_lost(struct hws_ctl_ipc_adapter *a)
{
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        struct hws_ctl_call *call = a->slots[k].call;

        slot_free(&a->slots[k]);
        if (call != NULL) {
            fail_call(a, call, HWS_E_GONE, HWS_STAGE_UNKNOWN,
                      "the device process went away while the command ran");
        }
    }
    while (first_unsent(a) != NULL) {
        struct hws_ctl_call *call = first_unsent(a);

        unsent_remove(a, call);
        fail_call(a, call, HWS_E_GONE, HWS_STAGE_NOT_SENT, "the device process went away");
    }
    a->n_abandoned = 0;
    a->n_earlier = 0;
    a->present = false;
    a->state = HWS_LINK_ADAPTER_AWAY;
    (void)hws_str_copy(a->reason, sizeof a->reason, "the device process is not connected");
}

void hws_ctl_ipc_detach(struct hws_ctl_ipc *ipc)
{
    if (ipc->sock_fd < 0) {
        return;
    }
    (void)epoll_ctl(ipc->epoll_fd, EPOLL_CTL_DEL, ipc->sock_fd, NULL);
    hws_sock_close(&ipc->sock_fd);
    ipc->hello_due = false;
    ipc->drain_due = false;
    ipc->n_cancels = 0;
    ipc->n_earlier = 0;
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        adapter_lost(ipc->adapters[i]);
    }
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        adapter_changed(ipc->adapters[i]);
    }
    kick(ipc);
}

/* The connection ended by itself, or has to. */
static void break_off(struct hws_ctl_ipc *ipc, const struct hws_err *why)
{
    if (ipc->sock_fd >= 0) {
        ipc->end_why = *why;
        ipc->end_due = true;
        hws_ctl_ipc_detach(ipc);
    }
}

void hws_ctl_ipc_drain(struct hws_ctl_ipc *ipc)
{
    ipc->drain_due = ipc->sock_fd >= 0;
    kick(ipc);
}

int hws_ctl_ipc_fd(const struct hws_ctl_ipc *ipc)
{
    return ipc->epoll_fd;
}

struct hws_ctl_ipc_adapter *hws_ctl_ipc_adapter_at(const struct hws_ctl_ipc *ipc, size_t idx)
{
    return idx < ipc->n_adapters ? ipc->adapters[idx] : NULL;
}

uint16_t hws_ctl_ipc_in_flight(const struct hws_ctl_ipc_adapter *adapter)
{
    unsigned n = adapter->n_unsent + (unsigned)adapter->n_earlier;

    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        n += adapter->slots[k].id != 0 ? 1u : 0u;
    }
    return (uint16_t)n;
}

/* ---- receiving ---- */

static bool span_is(struct hws_span s, const char *text)
{
    return s.n == strlen(text) && (s.n == 0 || memcmp(s.bytes, text, s.n) == 0);
}

static void copy_span(char *dst, size_t cap, struct hws_span s)
{
    (void)hws_str_copy_n(dst, cap, s.bytes, s.n);
}

/* The adapter an ADAPTER packet is about: by index on this connection, else an earlier one at the
 * same PCI address, else a new one. NULL: no memory or too many. */
static struct hws_ctl_ipc_adapter *adapter_for(struct hws_ctl_ipc *ipc,
                                               const struct hws_link_adapter *facts)
{
    struct hws_ctl_ipc_adapter *a;

    for (size_t i = 0; i < ipc->n_adapters; i++) {
        if (ipc->adapters[i]->present && ipc->adapters[i]->index == facts->index) {
            return ipc->adapters[i];
        }
    }
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        a = ipc->adapters[i];
        if (!a->present && span_is(facts->pci, a->pci) && span_is(facts->kind, a->kind)) {
            return a;
        }
    }
    a = ipc->n_adapters < HWS_LINK_MAX_ADAPTERS ? hws_mem_zalloc(1, sizeof *a) : NULL;
    if (a != NULL) {
        a->ctl.ops = &adapter_ops;
        a->ipc = ipc;
        hws_list_init(&a->unsent);
        hws_list_init(&a->ended);
        for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
            a->slots[k].memfd = -1;
        }
        ipc->adapters[ipc->n_adapters++] = a;
    }
    return a;
}

static enum hws_code take_adapter(struct hws_ctl_ipc *ipc, const struct hws_link_adapter *facts,
                                  struct hws_err *err)
{
    struct hws_ctl_ipc_adapter *a = adapter_for(ipc, facts);

    if (a == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no room for adapter %u", facts->index);
    }
    a->index = facts->index;
    a->present = true;
    a->state = facts->state;
    a->emulated = facts->emulated;
    a->depth = facts->depth;
    copy_span(a->kind, sizeof a->kind, facts->kind);
    copy_span(a->pci, sizeof a->pci, facts->pci);
    copy_span(a->node, sizeof a->node, facts->node);
    copy_span(a->backend, sizeof a->backend, facts->backend);
    copy_span(a->reason, sizeof a->reason, facts->reason);
    a->n_earlier = 0;
    for (size_t i = 0; i < ipc->n_earlier; i++) {
        a->n_earlier = (uint16_t)(a->n_earlier + (ipc->earlier[i].adapter == a->index ? 1 : 0));
    }
    adapter_changed(a);
    return HWS_OK;
}

/* DONE of a command of an earlier session. HWS_E_PROTO if it is none of those either. */
static enum hws_code earlier_done(struct hws_ctl_ipc *ipc, uint64_t id, struct hws_err *err)
{
    for (size_t i = 0; i < ipc->n_earlier; i++) {
        uint16_t index = ipc->earlier[i].adapter;

        if (ipc->earlier[i].id != id) {
            continue;
        }
        ipc->earlier[i] = ipc->earlier[--ipc->n_earlier];
        for (size_t k = 0; k < ipc->n_adapters; k++) {
            struct hws_ctl_ipc_adapter *a = ipc->adapters[k];

            if (a->present && a->index == index && a->n_earlier > 0) {
                a->n_earlier--;
                adapter_changed(a);
            }
        }
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_PROTO, "DONE of an unknown command");
}

static enum hws_code copy_out(struct hws_ctl_ipc_slot *slot, const struct hws_link_packet *p,
                              struct hws_err *err)
{
    const struct hws_link_done *done = &p->u.done;
    struct hws_ctl_call *call = slot->call;
    bool in_fd = (p->flags & HWS_LINK_FLAG_FD) != 0;

    if (done->out_bytes > call->out_cap_bytes || (in_fd && slot->memfd < 0)) {
        return hws_err_set(err, HWS_E_PROTO, "DONE with %u bytes of outbox, %zu were asked for",
                           done->out_bytes, call->out_cap_bytes);
    }
    if (in_fd) {
        enum hws_code code = hws_sock_pread(slot->memfd, call->out, done->out_bytes, err);

        if (code != HWS_OK) {
            return code;
        }
    } else if (done->out_bytes > 0) {
        memcpy(call->out, done->out.bytes, done->out_bytes);
    }
    call->out_bytes = done->out_bytes;
    return HWS_OK;
}

static enum hws_code slot_done(struct hws_ctl_ipc_adapter *a, struct hws_ctl_ipc_slot *slot,
                               const struct hws_link_packet *p, struct hws_err *err)
{
    struct hws_ctl_call *call = slot->call;
    struct hws_err outcome;

    if (call == NULL) {
        slot_free(slot);
        a->n_abandoned--;
        adapter_changed(a);
        return HWS_OK;
    }
    if (copy_out(slot, p, err) != HWS_OK) {
        return err->code;
    }
    hws_link_done_err(&p->u.done, &outcome);
    slot_free(slot);
    end_call(a, call, &outcome);
    return HWS_OK;
}

static enum hws_code take_done(struct hws_ctl_ipc *ipc, const struct hws_link_packet *p,
                               struct hws_err *err)
{
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        struct hws_ctl_ipc_adapter *a = ipc->adapters[i];

        for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
            if (a->slots[k].id == p->id) {
                return slot_done(a, &a->slots[k], p, err);
            }
        }
    }
    return earlier_done(ipc, p->id, err);
}

static enum hws_code take_packet(struct hws_ctl_ipc *ipc, size_t n, int fd, struct hws_err *err)
{
    struct hws_link_packet p;
    enum hws_code code = hws_link_decode(ipc->packet, n, &p, err);

    if (fd >= 0) { /* descriptors go downward only */
        hws_sock_close(&fd);
        return hws_err_set(err, HWS_E_PROTO, "a descriptor from the device process");
    }
    if (code != HWS_OK) {
        return code;
    }
    if (p.type == HWS_LINK_ADAPTER) {
        return take_adapter(ipc, &p.u.adapter, err);
    }
    if (p.type == HWS_LINK_DONE) {
        return take_done(ipc, &p, err);
    }
    return hws_err_set(err, HWS_E_PROTO, "%s is out of place", hws_link_type_name(p.type));
}

/* Reads what waits; true if more may wait. */
static bool receive(struct hws_ctl_ipc *ipc)
{
    for (unsigned i = 0; i < HWS_CTL_IPC_READS_PER_TURN; i++) {
        struct hws_err err;
        size_t n = 0;
        int fd = -1;
        enum hws_code code;

        if (ipc->sock_fd < 0) {
            return false;
        }
        code = hws_sock_recv(ipc->sock_fd, ipc->packet, sizeof ipc->packet, &n, &fd, &err);
        if (code == HWS_E_BUSY) {
            return false;
        }
        if (code == HWS_OK) {
            code = take_packet(ipc, n, fd, &err);
        }
        if (code != HWS_OK) {
            (void)hws_err_wrap(&err, "device process");
            break_off(ipc, &err);
            return false;
        }
    }
    return true;
}

/* ---- sending ---- */

/* HWS_E_BUSY: later. HWS_E_GONE: the connection ended and was dropped. */
static enum hws_code send_packet(struct hws_ctl_ipc *ipc, const struct hws_link_packet *p,
                                 int pass_fd)
{
    struct hws_err err;
    size_t n = 0;
    enum hws_code code = hws_link_encode(p, ipc->packet, sizeof ipc->packet, &n, &err);

    hws_assert(code == HWS_OK);
    code = hws_sock_send(ipc->sock_fd, ipc->packet, n, pass_fd, &err);
    if (code != HWS_OK && code != HWS_E_BUSY) {
        (void)hws_err_wrap(&err, "device process");
        break_off(ipc, &err);
        code = HWS_E_GONE;
    }
    return code;
}

static enum hws_code send_hello(struct hws_ctl_ipc *ipc)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){.role = HWS_LINK_ROLE_KEEPER,
                                        .version = HWS_LINK_VERSION,
                                        .generation = ipc->config.generation,
                                        .pid = (uint32_t)getpid(),
                                        .name = hws_link_text(ipc->config.name),
                                        .build = hws_link_text(ipc->config.build_id)};
    return send_packet(ipc, &p, -1);
}

static struct hws_ctl_ipc_slot *free_slot(struct hws_ctl_ipc_adapter *a)
{
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        if (a->slots[k].id == 0) {
            return &a->slots[k];
        }
    }
    return NULL;
}

/* A memory file with the call's inbox, large enough for its outbox. */
static enum hws_code inbox_file(const struct hws_ctl_call *call, int *out_fd, struct hws_err *err)
{
    size_t n = call->in_bytes > call->out_cap_bytes ? call->in_bytes : call->out_cap_bytes;
    enum hws_code code = hws_sock_memfd("hawser-command", n, out_fd, err);

    if (code == HWS_OK) {
        code = hws_sock_pwrite(*out_fd, call->in, call->in_bytes, err);
        if (code != HWS_OK) {
            hws_sock_close(out_fd);
        }
    }
    return code;
}

/* Sends the call's CMD and moves it into a slot. HWS_E_BUSY: it stays unsent. */
static enum hws_code send_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                               uint64_t now_ms)
{
    struct hws_ctl_ipc *ipc = a->ipc;
    struct hws_ctl_ipc_slot *slot = free_slot(a);
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = ipc->next_id + 1};
    uint64_t left_ms = call->deadline_ms - now_ms;
    struct hws_err err;
    int memfd = -1;
    enum hws_code code;

    hws_assert(slot != NULL && call->deadline_ms > now_ms);
    p.u.cmd =
        (struct hws_link_cmd){.adapter = a->index,
                              .row = ipc->config.row_of(ipc->config.data, a, call),
                              .scope = call->scope,
                              .deadline_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX,
                              .in_bytes = (uint32_t)call->in_bytes,
                              .out_cap = (uint32_t)call->out_cap_bytes,
                              .in = {call->in, call->in_bytes}};
    if (hws_link_needs_fd(p.u.cmd.in_bytes, p.u.cmd.out_cap)) {
        code = inbox_file(call, &memfd, &err);
        if (code != HWS_OK) {
            unsent_remove(a, call);
            fail_call(a, call, code, HWS_STAGE_NOT_SENT, err.msg);
            return HWS_OK;
        }
        p.flags = HWS_LINK_FLAG_FD;
        p.u.cmd.in = (struct hws_span){NULL, 0};
    }
    code = send_packet(ipc, &p, memfd);
    if (code != HWS_OK) {
        hws_sock_close(&memfd);
        return code;
    }
    ipc->next_id = p.id;
    unsent_remove(a, call);
    slot->id = p.id;
    slot->call = call;
    slot->memfd = memfd;
    return HWS_OK;
}

static enum hws_code send_control(struct hws_ctl_ipc *ipc)
{
    if (ipc->hello_due) {
        enum hws_code code = send_hello(ipc);

        if (code != HWS_OK) {
            return code;
        }
        ipc->hello_due = false;
    }
    while (ipc->n_cancels > 0) {
        struct hws_link_packet p = {.type = HWS_LINK_CANCEL_CMD,
                                    .id = ipc->cancels[ipc->n_cancels - 1]};
        enum hws_code code = send_packet(ipc, &p, -1);

        if (code != HWS_OK) {
            return code;
        }
        ipc->n_cancels--;
    }
    if (ipc->drain_due) {
        struct hws_link_packet p = {.type = HWS_LINK_DRAIN};
        enum hws_code code = send_packet(ipc, &p, -1);

        if (code != HWS_OK) {
            return code;
        }
        ipc->drain_due = false;
    }
    return HWS_OK;
}

/* Sends what is due; HWS_E_BUSY if the socket is full. */
static enum hws_code transmit(struct hws_ctl_ipc *ipc, uint64_t now_ms)
{
    enum hws_code code = ipc->sock_fd >= 0 ? send_control(ipc) : HWS_E_GONE;

    for (size_t i = 0; i < ipc->n_adapters && code == HWS_OK; i++) {
        struct hws_ctl_ipc_adapter *a = ipc->adapters[i];

        while (code == HWS_OK && first_unsent(a) != NULL) {
            code = send_call(a, first_unsent(a), now_ms);
        }
    }
    return code;
}

/* Watches the socket for room exactly while something waits for it. */
static void watch_for_room(struct hws_ctl_ipc *ipc, bool want)
{
    struct epoll_event event = {.events = EPOLLIN | (want ? (uint32_t)EPOLLOUT : 0)};

    if (ipc->sock_fd >= 0 && want != ipc->want_write &&
        epoll_ctl(ipc->epoll_fd, EPOLL_CTL_MOD, ipc->sock_fd, &event) == 0) {
        ipc->want_write = want;
    }
}

/* ---- deadlines and callbacks ---- */

/* Ends what is past its deadline; returns the next one. */
static uint64_t expire(struct hws_ctl_ipc_adapter *a, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    HWS_LIST_FOREACH (it, tmp, &a->unsent) {
        struct hws_ctl_call *call = hws_container_of(it, struct hws_ctl_call, link);

        if (call->deadline_ms <= now_ms) {
            unsent_remove(a, call);
            fail_call(a, call, HWS_E_TIMEOUT, HWS_STAGE_NOT_SENT, "deadline before it was sent");
        } else if (call->deadline_ms < next_ms) {
            next_ms = call->deadline_ms;
        }
    }
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        struct hws_ctl_call *call = a->slots[k].call;

        if (call == NULL) {
            continue;
        }
        if (call->deadline_ms <= now_ms) {
            slot_abandon(a, &a->slots[k]);
            fail_call(a, call, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN, "no answer before the deadline");
            adapter_changed(a);
        } else if (call->deadline_ms < next_ms) {
            next_ms = call->deadline_ms;
        }
    }
    return next_ms;
}

static uint64_t expire_all(struct hws_ctl_ipc *ipc, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < ipc->n_adapters; i++) {
        uint64_t due_ms = expire(ipc->adapters[i], now_ms);

        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}

static void run_callbacks(struct hws_ctl_ipc *ipc)
{
    for (size_t i = 0; i < ipc->n_adapters; i++) {
        struct hws_ctl_ipc_adapter *a = ipc->adapters[i];
        struct hws_list *it = hws_list_pop(&a->ended);

        while (it != NULL) {
            struct hws_ctl_call *call = hws_container_of(it, struct hws_ctl_call, link);

            call->cb(call);
            it = hws_list_pop(&a->ended);
        }
        if (a->closed != NULL) {
            void (*closed)(struct hws_ctl *) = a->closed;

            a->closed = NULL;
            closed(&a->ctl);
        }
    }
    if (ipc->end_due) {
        ipc->end_due = false;
        if (ipc->config.on_end != NULL) {
            ipc->config.on_end(ipc->config.data, &ipc->end_why);
        }
    }
}

static bool callbacks_due(const struct hws_ctl_ipc *ipc)
{
    bool due = ipc->end_due;

    for (size_t i = 0; i < ipc->n_adapters && !due; i++) {
        due = !hws_list_empty(&ipc->adapters[i]->ended) || ipc->adapters[i]->closed != NULL;
    }
    return due;
}

uint64_t hws_ctl_ipc_turn(struct hws_ctl_ipc *ipc, uint64_t now_ms)
{
    uint64_t next_ms;
    bool more;

    hws_assert(!ipc->turning);
    ipc->turning = true;
    unkick(ipc);
    more = receive(ipc);
    (void)expire_all(ipc, now_ms);
    run_callbacks(ipc);
    /* Callbacks may have submitted calls whose deadline has already come. */
    next_ms = expire_all(ipc, now_ms);
    watch_for_room(ipc, transmit(ipc, now_ms) == HWS_E_BUSY);
    ipc->turning = false;
    if (more || callbacks_due(ipc)) {
        kick(ipc);
        next_ms = now_ms;
    }
    return next_ms;
}

/* ---- one adapter as a control channel ---- */

static bool length_ok(size_t n)
{
    return n >= HWS_CALL_MIN_BYTES && n <= HWS_CALL_MAX_BYTES;
}

static enum hws_code op_submit(struct hws_ctl *ctl, struct hws_ctl_call *call, struct hws_err *err)
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);
    enum hws_code code = HWS_OK;

    if (!length_ok(call->in_bytes) || !length_ok(call->out_cap_bytes)) {
        code = hws_err_set(err, HWS_E_INVALID, "command of %zu and %zu bytes, allowed are %u..%u",
                           call->in_bytes, call->out_cap_bytes, HWS_CALL_MIN_BYTES,
                           HWS_CALL_MAX_BYTES);
    } else if (a->closing || !a->present || a->state != HWS_LINK_ADAPTER_UP) {
        code = hws_err_set(err, HWS_E_GONE, "adapter %s is away%s%.150s", a->pci,
                           a->reason[0] != 0 ? ": " : "", a->reason);
    } else if (hws_ctl_ipc_in_flight(a) >= a->depth) {
        code = hws_err_set(err, HWS_E_BUSY, "adapter %s has its %u commands in flight", a->pci,
                           a->depth);
    }
    if (code != HWS_OK) {
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return code;
    }
    call->out_bytes = 0;
    hws_list_push(&a->unsent, &call->link);
    a->n_unsent++;
    kick(a->ipc);
    return HWS_OK;
}

static bool is_unsent(const struct hws_ctl_ipc_adapter *a, const struct hws_ctl_call *call)
{
    for (const struct hws_list *it = a->unsent.next; it != &a->unsent; it = it->next) {
        if (it == &call->link) {
            return true;
        }
    }
    return false;
}

static void op_cancel(struct hws_ctl *ctl, struct hws_ctl_call *call)
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);
    struct hws_ctl_ipc *ipc = a->ipc;

    if (is_unsent(a, call)) {
        unsent_remove(a, call);
        fail_call(a, call, HWS_E_CANCELED, HWS_STAGE_NOT_SENT, "cancelled");
        return;
    }
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        if (a->slots[k].call == call) {
            if (ipc->n_cancels < HWS_CTL_IPC_MAX_CANCELS) {
                ipc->cancels[ipc->n_cancels++] = a->slots[k].id;
            }
            slot_abandon(a, &a->slots[k]);
            fail_call(a, call, HWS_E_CANCELED, HWS_STAGE_UNKNOWN, "cancelled while it ran");
            return;
        }
    }
}

static int op_fd(struct hws_ctl *ctl)
{
    return hws_ctl_ipc_fd(adapter_of(ctl)->ipc);
}

static uint64_t op_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    return hws_ctl_ipc_turn(adapter_of(ctl)->ipc, now_ms);
}

static void op_close(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl))
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);

    if (a->closing) {
        return;
    }
    a->closing = true;
    a->closed = closed;
    while (first_unsent(a) != NULL) {
        op_cancel(ctl, first_unsent(a));
    }
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        if (a->slots[k].call != NULL) {
            op_cancel(ctl, a->slots[k].call);
        }
    }
    kick(a->ipc);
}

static const struct hws_ctl_ops adapter_ops = {
    .submit = op_submit,
    .cancel = op_cancel,
    .fd = op_fd,
    .turn = op_turn,
    .close = op_close,
};
