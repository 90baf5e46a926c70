/*
 * The keeper's side of the socket to a device process; see ctl_ipc.h.
 *
 * A call: submit queues it and kicks our own eventfd; turn takes a slot, sends CMD; DONE comes
 * back, the outcome is copied into the call, and the callback runs at the end of that turn.
 *
 * Failure modes:
 *   - the socket is full: the call stays unsent, epoll watches for room
 *   - deadline or cancel before sending: NOT_SENT; after it: UNKNOWN, and the slot
 *     stays taken until DONE comes
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
#include "ctl/ctl_ipc_priv.h"
#include "sock/sock.h"

void hws_ctl_ipc__kick(struct hws_ctl_ipc *ipc)
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

void hws_ctl_ipc__adapter_changed(struct hws_ctl_ipc_adapter *a)
{
    if (a->ipc->config.on_adapter != NULL) {
        a->ipc->config.on_adapter(a->ipc->config.data, a);
    }
}

void hws_ctl_ipc__end_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                           const struct hws_err *outcome)
{
    call->err = *outcome;
    hws_list_push(&a->ended, &call->link);
    hws_ctl_ipc__kick(a->ipc);
}

void hws_ctl_ipc__fail_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                            enum hws_code code, enum hws_stage stage, const char *why)
{
    struct hws_err err;

    hws_err_set(&err, code, "adapter %s: %.150s", a->pci, why);
    hws_err_at(&err, stage);
    call->out_bytes = 0;
    hws_ctl_ipc__end_call(a, call, &err);
}

void hws_ctl_ipc__slot_free(struct hws_ctl_ipc_slot *slot)
{
    hws_sock_close(&slot->memfd);
    slot->id = 0;
    slot->call = NULL;
}

void hws_ctl_ipc__slot_abandon(struct hws_ctl_ipc_adapter *a, struct hws_ctl_ipc_slot *slot)
{
    slot->call = NULL;
    a->n_abandoned++;
}

void hws_ctl_ipc__unsent_remove(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call)
{
    hws_list_remove(&call->link);
    a->n_unsent--;
}

struct hws_ctl_call *hws_ctl_ipc__first_unsent(struct hws_ctl_ipc_adapter *a)
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
            hws_ctl_ipc__slot_free(&a->slots[k]);
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
    hws_ctl_ipc__kick(ipc);
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

        hws_ctl_ipc__slot_free(&a->slots[k]);
        if (call != NULL) {
            hws_ctl_ipc__fail_call(a, call, HWS_E_GONE, HWS_STAGE_UNKNOWN,
                                   "the device process went away while the command ran");
        }
    }
    while (hws_ctl_ipc__first_unsent(a) != NULL) {
        struct hws_ctl_call *call = hws_ctl_ipc__first_unsent(a);

        hws_ctl_ipc__unsent_remove(a, call);
        hws_ctl_ipc__fail_call(a, call, HWS_E_GONE, HWS_STAGE_NOT_SENT,
                               "the device process went away");
    }
    a->n_abandoned = 0;
    a->n_earlier = 0;
    a->n_stalled = 0;
    a->stalled_ms = 0;
    a->present = false;
    a->kills_due = false;
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
        hws_ctl_ipc__adapter_changed(ipc->adapters[i]);
    }
    hws_ctl_ipc__kick(ipc);
}

void hws_ctl_ipc__break_off(struct hws_ctl_ipc *ipc, const struct hws_err *why)
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
    hws_ctl_ipc__kick(ipc);
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

void hws_ctl_ipc_kills_changed(struct hws_ctl_ipc_adapter *adapter)
{
    adapter->kills_due = adapter->present;
    hws_ctl_ipc__kick(adapter->ipc);
}

/* ---- deadlines and callbacks ---- */

/* Watches the socket for room exactly while something waits for it. */
static void watch_for_room(struct hws_ctl_ipc *ipc, bool want)
{
    struct epoll_event event = {.events = EPOLLIN | (want ? (uint32_t)EPOLLOUT : 0)};

    if (ipc->sock_fd >= 0 && want != ipc->want_write &&
        epoll_ctl(ipc->epoll_fd, EPOLL_CTL_MOD, ipc->sock_fd, &event) == 0) {
        ipc->want_write = want;
    }
}

/* Ends what is past its deadline; returns the next one. */
static uint64_t expire(struct hws_ctl_ipc_adapter *a, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    HWS_LIST_FOREACH (it, tmp, &a->unsent) {
        struct hws_ctl_call *call = hws_container_of(it, struct hws_ctl_call, link);

        if (call->deadline_ms <= now_ms) {
            hws_ctl_ipc__unsent_remove(a, call);
            hws_ctl_ipc__fail_call(a, call, HWS_E_TIMEOUT, HWS_STAGE_NOT_SENT,
                                   "deadline before it was sent");
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
            hws_ctl_ipc__slot_abandon(a, &a->slots[k]);
            hws_ctl_ipc__fail_call(a, call, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN,
                                   "no answer before the deadline");
            hws_ctl_ipc__adapter_changed(a);
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
    more = hws_ctl_ipc__receive(ipc);
    (void)expire_all(ipc, now_ms);
    run_callbacks(ipc);
    /* Callbacks may have submitted calls whose deadline has already come. */
    next_ms = expire_all(ipc, now_ms);
    watch_for_room(ipc, hws_ctl_ipc__transmit(ipc, now_ms) == HWS_E_BUSY);
    ipc->turning = false;
    if (more || callbacks_due(ipc)) {
        hws_ctl_ipc__kick(ipc);
        next_ms = now_ms;
    }
    return next_ms;
}
