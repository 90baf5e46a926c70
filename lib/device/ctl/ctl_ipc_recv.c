/*
 * What comes from the device process: ADAPTER and DONE. Every packet is foreign: one that breaks
 * the protocol ends the connection.
 */
#include <string.h>

#include "base/mem.h"
#include "ctl/ctl_ipc_priv.h"
#include "sock/sock.h"

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
        if (!a->present && span_is(facts->pci, a->pci)) {
            return a;
        }
    }
    a = ipc->n_adapters < HWS_LINK_MAX_ADAPTERS ? hws_mem_zalloc(1, sizeof *a) : NULL;
    if (a != NULL) {
        a->ctl.ops = &hws_ctl_ipc__adapter_ops;
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
    a->kills_due = true;
    a->state = facts->state;
    a->emulated = facts->emulated;
    a->depth = facts->depth;
    a->n_stalled = facts->n_stalled;
    a->stalled_ms = facts->stalled_ms;
    copy_span(a->kind, sizeof a->kind, facts->kind);
    copy_span(a->pci, sizeof a->pci, facts->pci);
    copy_span(a->node, sizeof a->node, facts->node);
    copy_span(a->backend, sizeof a->backend, facts->backend);
    copy_span(a->reason, sizeof a->reason, facts->reason);
    a->n_earlier = 0;
    for (size_t i = 0; i < ipc->n_earlier; i++) {
        a->n_earlier = (uint16_t)(a->n_earlier + (ipc->earlier[i].adapter == a->index ? 1 : 0));
    }
    hws_ctl_ipc__adapter_changed(a);
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
                hws_ctl_ipc__adapter_changed(a);
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
        hws_ctl_ipc__slot_free(slot);
        a->n_abandoned--;
        hws_ctl_ipc__adapter_changed(a);
        return HWS_OK;
    }
    if (copy_out(slot, p, err) != HWS_OK) {
        return err->code;
    }
    hws_link_done_err(&p->u.done, &outcome);
    hws_ctl_ipc__slot_free(slot);
    hws_ctl_ipc__end_call(a, call, &outcome);
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

bool hws_ctl_ipc__receive(struct hws_ctl_ipc *ipc)
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
            hws_ctl_ipc__break_off(ipc, &err);
            return false;
        }
    }
    return true;
}
