/*
 * What goes to the device process: HELLO, KILLS, CMD with or without a memory file, CANCEL_CMD,
 * DRAIN. A full socket loses nothing: what was not sent stays due.
 */
#include <unistd.h>

#include "base/assert.h"
#include "ctl/ctl_ipc_priv.h"
#include "sock/sock.h"

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
        hws_ctl_ipc__break_off(ipc, &err);
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
                              .warrant = {(const uint8_t *)call->warrant, call->warrant_bytes},
                              .in = {call->in, call->in_bytes}};
    if (hws_link_needs_fd(p.u.cmd.in_bytes, p.u.cmd.out_cap)) {
        code = inbox_file(call, &memfd, &err);
        if (code != HWS_OK) {
            hws_ctl_ipc__unsent_remove(a, call);
            hws_ctl_ipc__fail_call(a, call, code, HWS_STAGE_NOT_SENT, err.msg);
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
    hws_ctl_ipc__unsent_remove(a, call);
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

static enum hws_code send_kills(struct hws_ctl_ipc_adapter *a)
{
    struct hws_ctl_ipc *ipc = a->ipc;
    uint8_t rows[(size_t)HWS_LINK_MAX_KILLS * HWS_LINK_KILL_BYTES];
    struct hws_link_packet p = {.type = HWS_LINK_KILLS};
    enum hws_code code;

    if (!a->kills_due) {
        return HWS_OK;
    }
    p.u.kills.adapter = a->index;
    p.u.kills.rows = rows;
    if (ipc->config.kills_of != NULL) {
        p.u.kills.n = ipc->config.kills_of(ipc->config.data, a, rows);
    }
    code = send_packet(ipc, &p, -1);
    a->kills_due = code != HWS_OK && a->kills_due;
    return code;
}

enum hws_code hws_ctl_ipc__transmit(struct hws_ctl_ipc *ipc, uint64_t now_ms)
{
    enum hws_code code = ipc->sock_fd >= 0 ? send_control(ipc) : HWS_E_GONE;

    for (size_t i = 0; i < ipc->n_adapters && code == HWS_OK; i++) {
        struct hws_ctl_ipc_adapter *a = ipc->adapters[i];

        code = send_kills(a);
        while (code == HWS_OK && hws_ctl_ipc__first_unsent(a) != NULL) {
            code = send_call(a, hws_ctl_ipc__first_unsent(a), now_ms);
        }
    }
    return code;
}
