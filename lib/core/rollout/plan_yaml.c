/* Plans and inventories from YAML text: a table of keys for each map, one function a key. */
#include <string.h>

#include "base/str.h"
#include "rollout/inventory.h"
#include "rollout/yaml_priv.h"

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* ---- hosts: [{name, target, device}] ---- */

static enum hws_code take_host_name(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_target *t = ctx;

    return hws_rollout__yaml_text(node, "name", t->host, sizeof(t->host), err);
}

static enum hws_code take_host_target(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_target *t = ctx;

    return hws_rollout__yaml_text(node, "target", t->target, sizeof(t->target), err);
}

static enum hws_code take_host_device(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_target *t = ctx;

    return hws_rollout__yaml_text(node, "device", t->device, sizeof(t->device), err);
}

static enum hws_code take_host(void *ctx, struct fy_node *item, struct hws_err *err)
{
    static const struct hws_rollout__key keys[] = {
        {"name", take_host_name, true},
        {"target", take_host_target, true},
        {"device", take_host_device, false},
    };
    struct hws_rollout_target t;

    memset(&t, 0, sizeof(t));
    enum hws_code rc = hws_rollout__yaml_map(item, "a host", keys, N_OF(keys), &t, err);
    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_rollout_plan_add(ctx, t.host, t.target, t.device, err);
    return rc == HWS_OK ? HWS_OK : hws_rollout__yaml_at(item, err);
}

static enum hws_code take_hosts(void *ctx, struct fy_node *node, struct hws_err *err)
{
    return hws_rollout__yaml_list(node, "hosts", take_host, ctx, err);
}

enum hws_code hws_rollout_inventory_from_yaml(struct hws_rollout_plan *plan, const char *text,
                                              size_t n, struct hws_err *err)
{
    static const struct hws_rollout__key keys[] = {{"hosts", take_hosts, true}};
    struct hws_rollout__yaml y;
    enum hws_code rc = hws_rollout__yaml_open(&y, text, n, err);

    if (rc == HWS_OK) {
        rc = hws_rollout__yaml_map(y.root, "inventory", keys, N_OF(keys), plan, err);
        hws_rollout__yaml_close(&y);
    }
    return rc;
}

/* ---- the plan's own keys ---- */

static enum hws_code take_name(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return hws_rollout__yaml_text(node, "name", plan->name, sizeof(plan->name), err);
}

static enum hws_code take_setting(void *ctx, const char *key, struct fy_node *value,
                                  struct hws_err *err)
{
    char text[HWS_ROLLOUT_VALUE_BYTES];
    enum hws_code rc = hws_rollout__yaml_text(value, "a setting's value", text, sizeof(text), err);

    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_rollout_plan_set(ctx, key, text, err);
    return rc == HWS_OK ? HWS_OK : hws_rollout__yaml_at(value, err);
}

static enum hws_code take_settings(void *ctx, struct fy_node *node, struct hws_err *err)
{
    return hws_rollout__yaml_pairs(node, "settings", take_setting, ctx, err);
}

static enum hws_code take_canary(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return hws_rollout__yaml_u32(node, "canary", HWS_ROLLOUT_MAX_MEMBERS, &plan->canary, err);
}

static enum hws_code take_wave(void *ctx, struct fy_node *node, struct hws_err *err)
{
    char text[32];
    enum hws_code rc = hws_rollout__yaml_text(node, "wave", text, sizeof(text), err);

    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_rollout_plan_wave(ctx, text, err);
    return rc == HWS_OK ? HWS_OK : hws_rollout__yaml_at(node, err);
}

static enum hws_code take_budget(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return hws_rollout__yaml_u32(node, "budget", HWS_ROLLOUT_MAX_MEMBERS, &plan->budget, err);
}

static enum hws_code take_in_flight(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return hws_rollout__yaml_u32(node, "in_flight", HWS_ROLLOUT_MAX_IN_FLIGHT, &plan->in_flight,
                                 err);
}

static enum hws_code take_ms(struct fy_node *node, const char *what, uint32_t *out,
                             struct hws_err *err)
{
    char text[32];
    enum hws_code rc = hws_rollout__yaml_text(node, what, text, sizeof(text), err);

    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_rollout_parse_ms(text, out, err) != HWS_OK) {
        (void)hws_err_wrap(err, "%s", what);
        return hws_rollout__yaml_at(node, err);
    }
    return HWS_OK;
}

static enum hws_code take_settle(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return take_ms(node, "settle", &plan->settle_ms, err);
}

static enum hws_code take_gate(void *ctx, struct fy_node *node, struct hws_err *err)
{
    struct hws_rollout_plan *plan = ctx;

    return take_ms(node, "gate_timeout", &plan->gate_timeout_ms, err);
}

enum hws_code hws_rollout_plan_from_yaml(struct hws_rollout_plan *plan, const char *text, size_t n,
                                         bool hosts_optional, struct hws_err *err)
{
    const struct hws_rollout__key keys[] = {
        {"name", take_name, true},
        {"settings", take_settings, true},
        {"hosts", take_hosts, !hosts_optional},
        {"canary", take_canary, false},
        {"wave", take_wave, false},
        {"budget", take_budget, false},
        {"in_flight", take_in_flight, false},
        {"settle", take_settle, false},
        {"gate_timeout", take_gate, false},
    };
    struct hws_rollout__yaml y;

    hws_rollout_plan_init(plan);
    enum hws_code rc = hws_rollout__yaml_open(&y, text, n, err);
    if (rc == HWS_OK) {
        rc = hws_rollout__yaml_map(y.root, "rollout", keys, N_OF(keys), plan, err);
        hws_rollout__yaml_close(&y);
    }
    if (rc == HWS_OK && (plan->n_targets > 0 || !hosts_optional)) {
        rc = hws_rollout_plan_check(plan, false, err);
    }
    if (rc != HWS_OK) {
        hws_rollout_plan_deinit(plan);
    }
    return rc;
}
