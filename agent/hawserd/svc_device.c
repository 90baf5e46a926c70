/*
 * hawser.v1.DeviceService: the adapters of this host.
 *
 * List and Watch show what was read last and how long ago; Get reads facts again that are older
 * than a second, since a health gate asks for the link of now.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hawser/v1/device.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"

#define FACTS_SOURCE "registers MGIR, MSGI, PAOS, PTYS"

static Hawser__V1__LinkState link_of(enum hws_hca_link link)
{
    switch (link) {
    case HWS_HCA_LINK_UP:
        return HAWSER__V1__LINK_STATE__LINK_STATE_UP;
    case HWS_HCA_LINK_DOWN:
        return HAWSER__V1__LINK_STATE__LINK_STATE_DOWN;
    case HWS_HCA_LINK_FAILED:
        return HAWSER__V1__LINK_STATE__LINK_STATE_FAILED;
    case HWS_HCA_LINK_UNKNOWN:
        break;
    }
    return HAWSER__V1__LINK_STATE__LINK_STATE_UNSPECIFIED;
}

static void add_ports(struct hws_task *task, const struct hws_hca_identity *id,
                      Hawser__V1__Device *d)
{
    d->ports = hws_arena_ptrs(&task->arena, id->n_ports);
    for (size_t i = 0; d->ports != NULL && i < id->n_ports; i++) {
        const struct hws_hca_port *from = &id->ports[i];
        Hawser__V1__Port *p = hws_arena_alloc(&task->arena, sizeof(*p));
        if (p == NULL) {
            return;
        }
        hawser__v1__port__init(p);
        p->number = from->number;
        p->link = link_of(from->link);
        p->admin_up = from->admin_up;
        p->speed = hws_arena_str(&task->arena, from->speed);
        d->ports[d->n_ports++] = p;
    }
}

static void add_facts(struct hws_task *task, const struct hws_adapter *a, Hawser__V1__Device *d)
{
    const struct hws_hca_identity *id = &a->identity;

    d->part_number = hws_arena_str(&task->arena, id->part_number);
    d->product_name = hws_arena_str(&task->arena, id->product_name);
    d->psid = hws_arena_str(&task->arena, id->psid);
    d->serial = hws_arena_str(&task->arena, id->serial);
    d->firmware_version = hws_arena_str(&task->arena, id->fw_version);
    d->hw_device_id = id->hw_dev_id;
    d->facts_source = hws_arena_str(&task->arena, FACTS_SOURCE);
    d->facts_age_ms = hws_agent_now(task->agent) - a->facts_ms;
    add_ports(task, id, d);
}

static Hawser__V1__Device *device_of(struct hws_task *task, const struct hws_adapter *a)
{
    Hawser__V1__Device *d = hws_arena_alloc(&task->arena, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    hawser__v1__device__init(d);
    d->id = hws_arena_str(&task->arena, a->id);
    d->pci_address = hws_arena_str(&task->arena, a->port->pci);
    d->kind = hws_arena_str(&task->arena, a->port->kind);
    d->state = (Hawser__V1__DeviceState)a->state;
    d->state_reason = hws_arena_str(&task->arena, a->reason);
    d->emulated = a->port->emulated;
    d->backend = hws_arena_str(&task->arena, a->port->backend);
    d->node = hws_arena_str(&task->arena, a->port->node);
    if (a->identity.serial[0] != '\0') {
        add_facts(task, a, d); /* of an adapter that is away: the last known ones, with their age */
    }
    return d;
}

static int by_pci(const void *a, const void *b)
{
    const struct hws_adapter *const *x = a;
    const struct hws_adapter *const *y = b;

    return strcmp((*x)->port->pci, (*y)->port->pci);
}

/* ---- List ------------------------------------------------------------------------------------ */

static enum hws_code list_prepare(struct hws_task *task, struct hws_err *err)
{
    return hws_devices_all_told(&task->agent->devices, err);
}

static void list_run(struct hws_task *task)
{
    Hawser__V1__ListDevicesResponse r = HAWSER__V1__LIST_DEVICES_RESPONSE__INIT;
    Hawser__V1__Device *devices[HWS_LINK_MAX_ADAPTERS];
    struct hws_adapter *sorted[HWS_LINK_MAX_ADAPTERS];
    const struct hws_devices *all = &task->agent->devices;

    for (size_t i = 0; i < all->n; i++) {
        sorted[i] = all->adapters[i];
    }
    qsort(sorted, all->n, sizeof(void *), by_pci);
    for (size_t i = 0; i < all->n; i++) {
        devices[i] = device_of(task, sorted[i]);
    }
    r.devices = devices;
    r.n_devices = all->n;
    r.host = task->agent->config.host;
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_DEVICE_LIST = {
    .request = &hawser__v1__list_devices_request__descriptor,
    .prepare = list_prepare,
    .run = list_run,
};

/* ---- Get ------------------------------------------------------------------------------------- */

static enum hws_code get_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__GetDeviceRequest *q = task->request;

    return hws_svc_adapter(task, q->device, err);
}

static void get_reply(struct hws_task *task)
{
    Hawser__V1__GetDeviceResponse r = HAWSER__V1__GET_DEVICE_RESPONSE__INIT;

    r.device = device_of(task, task->want.adapter);
    hws_svc_reply(task, &r.base);
}

/* Called when adapters have changed: the facts may have come. */
static void get_resume(struct hws_task *task)
{
    if (!hws_device_refreshing(task->want.adapter)) {
        get_reply(task);
    }
}

static void get_run(struct hws_task *task)
{
    struct hws_adapter *a = task->want.adapter;
    bool old = hws_agent_now(task->agent) - a->facts_ms > HWS_DEVICE_FRESH_MS;

    if (old && hws_device_refresh(a)) {
        task->follows = HWS_FOLLOW_ADAPTERS;
        return;
    }
    get_reply(task);
}

static void get_stop(struct hws_task *task)
{
    hws_task_refuse(task, HWS_E_CANCELED, "canceled");
}

const struct hws_handler hws_handler_DEVICE_GET = {
    .request = &hawser__v1__get_device_request__descriptor,
    .prepare = get_prepare,
    .run = get_run,
    .resume = get_resume,
    .stop = get_stop,
};

/* ---- Watch ----------------------------------------------------------------------------------- */

/* What the follower has been told of each adapter, by its place in the agent's list. */
struct watch {
    bool synced;
    size_t n_told;
    uint64_t versions[HWS_LINK_MAX_ADAPTERS];
};

static bool watch_send(struct hws_task *task, Hawser__V1__WatchDevicesResponse__Kind kind,
                       const struct hws_adapter *a)
{
    Hawser__V1__WatchDevicesResponse r = HAWSER__V1__WATCH_DEVICES_RESPONSE__INIT;

    r.kind = kind;
    r.device = a == NULL ? NULL : device_of(task, a);
    bool sent = hws_svc_send(task, &r.base);
    if (sent) {
        hws_arena_deinit(&task->arena); /* nothing else of a watch lives in it */
    }
    return sent;
}

static Hawser__V1__WatchDevicesResponse__Kind kind_of(const struct watch *w, size_t idx,
                                                      const struct hws_adapter *a)
{
    if (idx >= w->n_told) {
        return w->synced ? HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_ADDED
                         : HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_PRESENT;
    }
    return a->state == HWS_DEVICE_GONE ? HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_REMOVED
                                       : HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_CHANGED;
}

static void watch_resume(struct hws_task *task)
{
    struct watch *w = task->work;
    const struct hws_devices *all = &task->agent->devices;

    for (size_t i = 0; i < all->n; i++) {
        const struct hws_adapter *a = all->adapters[i];
        if (i < w->n_told && w->versions[i] == a->version) {
            continue;
        }
        if (!hws_rpc_has_room(task->rpc)) {
            return;
        }
        if (!watch_send(task, kind_of(w, i, a), a)) {
            return;
        }
        w->versions[i] = a->version;
        w->n_told = i < w->n_told ? w->n_told : i + 1;
    }
    if (!w->synced && hws_rpc_has_room(task->rpc)) {
        w->synced = true;
        (void)watch_send(task, HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_SYNCED, NULL);
    }
}

static void watch_run(struct hws_task *task)
{
    task->work = hws_mem_zalloc(1, sizeof(struct watch));
    if (task->work == NULL) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory");
        return;
    }
    task->follows = HWS_FOLLOW_ADAPTERS;
    watch_resume(task);
}

static void watch_drop(struct hws_task *task)
{
    hws_mem_free(task->work);
    task->work = NULL;
}

const struct hws_handler hws_handler_DEVICE_WATCH = {
    .request = &hawser__v1__watch_devices_request__descriptor,
    .prepare = list_prepare,
    .run = watch_run,
    .resume = watch_resume,
    .stop = get_stop,
    .drop = watch_drop,
};
