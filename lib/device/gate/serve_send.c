/* What a device process tells the keeper: HELLO, ADAPTER, DONE. */
#include <string.h>

#include "base/assert.h"
#include "gate/serve_priv.h"
#include "table/table.h"

/* True once the packet has left; false to try again later. Errors other than BUSY count as sent:
 * the connection is gone and the program will say so. */
static bool send_packet(struct hws_serve *s, const struct hws_link_packet *packet)
{
    size_t n = 0;
    enum hws_code code = hws_link_encode(packet, s->packet, sizeof s->packet, &n, NULL);

    hws_assert(code == HWS_OK);
    return s->io.send(s->io.data, s->packet, n) != HWS_E_BUSY;
}

static bool send_hello(struct hws_serve *s)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};
    uint8_t running[(size_t)HWS_LINK_MAX_RUNNING * HWS_LINK_RUNNING_BYTES];
    size_t n = 0;

    for (size_t i = 0; i < s->n_adapters; i++) {
        struct hws_serve_adapter *a = s->adapters[i];

        for (size_t k = 0; k < a->depth; k++) {
            uint64_t age_ms = s->now_ms - a->slots[k].started_ms;

            if (a->slots[k].state == HWS_SERVE_RUNNING) {
                struct hws_link_running r = {.id = a->slots[k].id,
                                             .adapter = a->index,
                                             .row = a->slots[k].row,
                                             .age_ms = age_ms < UINT32_MAX ? (uint32_t)age_ms
                                                                           : UINT32_MAX};
                hws_link_running_put(running, n++, &r);
            }
        }
    }
    p.u.hello = (struct hws_link_hello){.role = HWS_LINK_ROLE_DEVICE,
                                        .version = HWS_LINK_VERSION,
                                        .generation = s->generation,
                                        .pid = s->pid,
                                        .name = hws_link_text(s->name),
                                        .build = hws_link_text(s->build),
                                        .n_adapters = s->n_adapters,
                                        .n_running = (uint16_t)n,
                                        .running = running};
    return send_packet(s, &p);
}

static bool send_adapter(struct hws_serve_adapter *a)
{
    struct hws_link_packet p = {.type = HWS_LINK_ADAPTER};

    uint64_t age_ms = a->n_stalled > 0 ? a->serve->now_ms - a->stalled_since_ms : 0;

    p.u.adapter =
        (struct hws_link_adapter){.index = a->index,
                                  .state = (uint8_t)a->state,
                                  .emulated = a->emulated,
                                  .depth = a->depth,
                                  .n_stalled = a->n_stalled,
                                  .stalled_ms = age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX,
                                  .kind = hws_link_text(hws_kind_name(a->kind)),
                                  .pci = hws_link_text(a->pci),
                                  .node = hws_link_text(a->node),
                                  .backend = hws_link_text(a->backend),
                                  .reason = hws_link_text(a->reason)};
    return send_packet(a->serve, &p);
}

static bool send_done(struct hws_serve_slot *slot)
{
    struct hws_serve *s = slot->adapter->serve;
    struct hws_link_packet p = {.type = HWS_LINK_DONE, .id = slot->id};
    struct hws_ctl_call *call = &slot->call;

    hws_assert(call->out_bytes <= HWS_LINK_COMMAND_BYTES);
    if (slot->fd >= 0 && call->out_bytes > 0) {
        struct hws_err why;

        if (s->io.fd_write(s->io.data, slot->fd, call->out, call->out_bytes, &why) == HWS_OK) {
            p.flags = HWS_LINK_FLAG_FD;
        } else {
            /* The command ran, but its answer cannot be told. */
            call->err = why;
            hws_err_at(&call->err, HWS_STAGE_UNKNOWN);
            call->out_bytes = 0;
        }
    }
    hws_link_done_from(&p.u.done, &call->err);
    p.u.done.out_bytes = (uint32_t)call->out_bytes;
    if (p.flags == 0) {
        p.u.done.out = (struct hws_span){call->out, call->out_bytes};
    }
    return send_packet(s, &p);
}

/* Sends the answers of one adapter; false if the socket is full. */
static bool flush_adapter(struct hws_serve_adapter *a)
{
    if (a->announce && !send_adapter(a)) {
        return false;
    }
    a->announce = false;
    for (size_t k = 0; k < a->depth; k++) {
        if (a->slots[k].state != HWS_SERVE_ANSWER) {
            continue;
        }
        if (!send_done(&a->slots[k])) {
            return false;
        }
        hws_serve__slot_free(&a->slots[k]);
    }
    return true;
}

void hws_serve__flush(struct hws_serve *s)
{
    if (s->hello_due && !send_hello(s)) {
        return;
    }
    s->hello_due = false;
    for (size_t i = 0; i < s->n_adapters; i++) {
        if (!flush_adapter(s->adapters[i])) {
            return;
        }
    }
}
