/* The calls of one adapter: plan, apply, check. */
#include <string.h>

#include "base/str.h"
#include "fleet/engine_priv.h"

#define MAX_SETTINGS HWS_ROLLOUT_MAX_SETTINGS

static const struct hws_rollout_plan *plan_of(const struct hws_fleet_work *w)
{
    return &w->fleet->o.rollout->plan;
}

/* Starts a call; done runs from the loop. */
static void ask(struct hws_fleet_work *w, const struct hws_client_method *method,
                const ProtobufCMessage *request, void (*done)(struct hws_client_call *call))
{
    hws_client_call_deinit(&w->call);
    w->call = (struct hws_client_call){
        .method = method,
        .request = request,
        .done = done,
        .data = w,
        .timeout_ms = w->what == HWS_ROLLOUT_DO_CHECK ? HWS_FLEET_CHECK_MS : 0,
    };
    w->calling = hws_client_start(w->client, &w->call) == HWS_CLIENT_OK;
    if (!w->calling && !hws_fleet__retry(w)) {
        w->give_up_ms = UINT64_MAX; /* out of memory: nothing was asked, so wait for better times */
        (void)hws_fleet__retry(w);
    }
}

/* The call is over. False: the work is being closed and its result is not wanted. */
static bool back(struct hws_fleet_work *w)
{
    w->calling = false;
    return !w->closing;
}

static void ask_plan(struct hws_fleet_work *w, void (*done)(struct hws_client_call *call))
{
    const struct hws_rollout_plan *plan = plan_of(w);
    Hawser__V1__Setting items[MAX_SETTINGS];
    Hawser__V1__Setting *pointers[MAX_SETTINGS];
    Hawser__V1__PlanConfigRequest r = HAWSER__V1__PLAN_CONFIG_REQUEST__INIT;

    for (size_t i = 0; i < plan->n_settings; i++) {
        hawser__v1__setting__init(&items[i]);
        items[i].name = plan->settings[i].name;
        items[i].value = plan->settings[i].value;
        pointers[i] = &items[i];
    }
    r.device = w->device_id;
    r.settings = pointers;
    r.n_settings = plan->n_settings;
    ask(w, &hws_client_method_config_plan, &r.base, done);
}

/* ---- plan ---- */

static void plan_failed(struct hws_fleet_work *w)
{
    struct hws_rollout_cause c;

    if (w->call.status.code == HWS_CLIENT_UNAVAILABLE && hws_fleet__retry(w)) {
        return;
    }
    hws_fleet__cause(&c, HWS_ROLLOUT_STEP_PLAN, &w->call.status, plan_of(w));
    hws_fleet__planned(w, NULL, &c);
}

static void on_plan(struct hws_client_call *call)
{
    struct hws_fleet_work *w = call->data;
    char hash[HWS_ROLLOUT_HASH_BYTES];

    if (!back(w)) {
        return;
    }
    if (call->status.code != HWS_CLIENT_OK) {
        plan_failed(w);
        return;
    }
    const Hawser__V1__PlanConfigResponse *r =
        (const Hawser__V1__PlanConfigResponse *)call->response;
    if (!hws_str_copy(hash, sizeof(hash), r->plan_hash)) {
        struct hws_rollout_cause c;
        hws_fleet__cause_text(&c, HWS_ROLLOUT_STEP_PLAN, HWS_E_PROTO,
                              "the plan's hash is too long");
        hws_fleet__planned(w, NULL, &c);
        return;
    }
    const struct hws_rollout_planned planned = {
        .device_id = w->device_id, .plan_hash = hash, .n_writes = r->n_writes};
    hws_fleet__planned(w, &planned, NULL);
}

/* The adapter that the plan names: by id, PCI address or serial; the first if it names none. */
static const Hawser__V1__Device *choose(const Hawser__V1__ListDevicesResponse *list,
                                        const char *device)
{
    for (size_t i = 0; i < list->n_devices; i++) {
        const Hawser__V1__Device *d = list->devices[i];
        if (device[0] == '\0' || hws_str_eq(d->id, device) || hws_str_eq(d->pci_address, device) ||
            hws_str_eq(d->serial, device)) {
            return d;
        }
    }
    return NULL;
}

static void on_list(struct hws_client_call *call)
{
    struct hws_fleet_work *w = call->data;
    const char *device = plan_of(w)->targets[w->member].device;
    struct hws_rollout_cause c;

    if (!back(w)) {
        return;
    }
    if (call->status.code != HWS_CLIENT_OK) {
        plan_failed(w);
        return;
    }
    const Hawser__V1__ListDevicesResponse *list =
        (const Hawser__V1__ListDevicesResponse *)call->response;
    const Hawser__V1__Device *d = choose(list, device);
    if (d == NULL || !hws_str_copy(w->device_id, sizeof(w->device_id), d->id)) {
        hws_fleet__cause_text(&c, HWS_ROLLOUT_STEP_PLAN, HWS_E_NOT_FOUND,
                              "no adapter %s on this host (it has %zu)",
                              device[0] != '\0' ? device : "at all", list->n_devices);
        hws_fleet__planned(w, NULL, &c);
        return;
    }
    ask_plan(w, on_plan);
}

/* ---- apply ---- */

static void on_apply(struct hws_client_call *call)
{
    struct hws_fleet_work *w = call->data;
    struct hws_rollout_cause c;

    if (!back(w)) {
        return;
    }
    if (call->status.code == HWS_CLIENT_OK) {
        hws_fleet__applied(w, NULL);
        return;
    }
    if (call->status.code == HWS_CLIENT_UNAVAILABLE && call->status.unprocessed &&
        hws_fleet__retry(w)) {
        return;
    }
    hws_fleet__cause(&c, HWS_ROLLOUT_STEP_APPLY, &call->status, plan_of(w));
    hws_fleet__applied(w, &c);
}

static void ask_apply(struct hws_fleet_work *w)
{
    struct hws_rollout_plan *plan =
        &w->fleet->o.rollout->plan; /* protobuf-c's texts are not const */
    const struct hws_fleet_options *o = &w->fleet->o;
    Hawser__V1__Setting items[MAX_SETTINGS];
    Hawser__V1__Setting *pointers[MAX_SETTINGS];
    Hawser__V1__ApplyConfigRequest r = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;
    char role[] = HWS_FLEET_ROLE;
    char reason[HWS_FLEET_REASON_BYTES];

    for (size_t i = 0; i < plan->n_settings; i++) {
        hawser__v1__setting__init(&items[i]);
        items[i].name = plan->settings[i].name;
        items[i].value = plan->settings[i].value;
        pointers[i] = &items[i];
    }
    (void)hws_str_print(reason, sizeof(reason), "rollout %s%s%s", plan->name,
                        o->reason != NULL ? ": " : "", o->reason != NULL ? o->reason : "");
    fence.role = role;
    fence.election_low = plan->election;
    m.fence = &fence;
    m.request_id = w->request_id;
    m.reason = reason;
    r.device = w->device_id;
    r.settings = pointers;
    r.n_settings = plan->n_settings;
    r.plan_hash = o->rollout->members[w->member].plan_hash;
    r.mutation = &m;
    ask(w, &hws_client_method_config_apply, &r.base, on_apply);
}

/* ---- check ---- */

/* A check that got no answer to judge by. */
static void check_failed(struct hws_fleet_work *w)
{
    const struct hws_client_status *s = &w->call.status;
    struct hws_rollout_cause c;

    hws_fleet__cause(&c, HWS_ROLLOUT_STEP_GATE, s, plan_of(w));
    hws_fleet__checked(
        w, s->from_agent ? HWS_ROLLOUT_HEALTH_NOT_READY : HWS_ROLLOUT_HEALTH_UNREACHABLE, &c);
}

static void on_check_plan(struct hws_client_call *call)
{
    struct hws_fleet_work *w = call->data;
    struct hws_rollout_cause c;

    if (!back(w)) {
        return;
    }
    if (call->status.code != HWS_CLIENT_OK) {
        check_failed(w);
        return;
    }
    const Hawser__V1__PlanConfigResponse *r =
        (const Hawser__V1__PlanConfigResponse *)call->response;
    for (size_t i = 0; i < r->n_changes; i++) {
        const Hawser__V1__Change *change = r->changes[i];
        if (!change->changes) {
            continue;
        }
        hws_fleet__cause_text(&c, HWS_ROLLOUT_STEP_READ_BACK, HWS_E_CONFLICT,
                              "%.64s reads back as %.64s, wanted %.64s", change->name,
                              change->next_boot, change->wanted);
        (void)hws_str_copy(c.setting, sizeof(c.setting), change->name);
        hws_fleet__checked(w, HWS_ROLLOUT_HEALTH_OTHER_VALUE, &c);
        return;
    }
    hws_fleet__checked(w, HWS_ROLLOUT_HEALTH_OK, NULL);
}

static void on_check_device(struct hws_client_call *call)
{
    struct hws_fleet_work *w = call->data;
    struct hws_rollout_cause c;

    if (!back(w)) {
        return;
    }
    if (call->status.code != HWS_CLIENT_OK) {
        check_failed(w);
        return;
    }
    const Hawser__V1__GetDeviceResponse *r = (const Hawser__V1__GetDeviceResponse *)call->response;
    if (r->device == NULL || r->device->state != HAWSER__V1__DEVICE_STATE__DEVICE_STATE_READY) {
        const char *why = r->device != NULL && r->device->state_reason[0] != '\0'
                              ? r->device->state_reason
                              : "no reason given";
        hws_fleet__cause_text(&c, HWS_ROLLOUT_STEP_GATE, HWS_E_STATE,
                              "the adapter is not READY: %.160s", why);
        hws_fleet__checked(w, HWS_ROLLOUT_HEALTH_NOT_READY, &c);
        return;
    }
    ask_plan(w, on_check_plan);
}

/* ---- begin ---- */

void hws_fleet__step_again(struct hws_fleet_work *w)
{
    const Hawser__V1__ListDevicesRequest list = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    Hawser__V1__GetDeviceRequest get = HAWSER__V1__GET_DEVICE_REQUEST__INIT;

    switch (w->what) {
    case HWS_ROLLOUT_DO_PLAN:
        ask(w, &hws_client_method_device_list, &list.base, on_list);
        return;
    case HWS_ROLLOUT_DO_APPLY:
        ask_apply(w);
        return;
    case HWS_ROLLOUT_DO_CHECK:
        get.device = w->device_id;
        ask(w, &hws_client_method_device_get, &get.base, on_check_device);
        return;
    case HWS_ROLLOUT_DO_NONE:
    case HWS_ROLLOUT_DO_JOURNAL:
    case HWS_ROLLOUT_DO_FINISHED:
        return;
    }
}

void hws_fleet__step_begin(struct hws_fleet_work *w)
{
    const struct hws_rollout_member *m = &w->fleet->o.rollout->members[w->member];

    w->give_up_ms = uv_now(w->fleet->o.loop) + HWS_FLEET_PATIENCE_MS;
    if (w->what != HWS_ROLLOUT_DO_PLAN) {
        (void)hws_str_copy(w->device_id, sizeof(w->device_id), m->device_id);
    }
    hws_fleet__step_again(w);
}
