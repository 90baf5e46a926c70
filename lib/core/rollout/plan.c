/* Plans: filling by calls, and the judgement of the whole. YAML is plan_yaml.c, the stored form
 * plan_codec.c. */
#include "rollout/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void hws_rollout_plan_init(struct hws_rollout_plan *plan)
{
    *plan = (struct hws_rollout_plan){
        .canary = HWS_ROLLOUT_DEFAULT_CANARY,
        .wave_kind = HWS_ROLLOUT_WAVE_REST,
        .in_flight = HWS_ROLLOUT_DEFAULT_IN_FLIGHT,
        .settle_ms = HWS_ROLLOUT_DEFAULT_SETTLE_MS,
        .gate_timeout_ms = HWS_ROLLOUT_DEFAULT_GATE_MS,
    };
}

void hws_rollout_plan_deinit(struct hws_rollout_plan *plan)
{
    hws_mem_free(plan->settings);
    hws_mem_free(plan->targets);
    memset(plan, 0, sizeof(*plan));
}

static bool is_printable(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s < 0x20 || *s > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool is_setting_name(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n < HWS_ROLLOUT_SETTING_BYTES &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

static bool is_rollout_name(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n < HWS_ROLLOUT_NAME_BYTES && s[0] != '.' &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

/* 1..cap-1 printable characters. */
static enum hws_code check_text(const char *what, const char *s, size_t cap, struct hws_err *err)
{
    if (s == NULL || s[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "%s is empty", what);
    }
    if (strlen(s) >= cap) {
        return hws_err_set(err, HWS_E_INVALID, "%s is longer than %zu characters", what, cap - 1);
    }
    if (!is_printable(s)) {
        return hws_err_set(err, HWS_E_INVALID, "%s has characters that are not printable ASCII",
                           what);
    }
    return HWS_OK;
}

enum hws_code hws_rollout_plan_set(struct hws_rollout_plan *plan, const char *name,
                                   const char *value, struct hws_err *err)
{
    if (!is_setting_name(name)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "setting \"%.64s\": a name is 1 to 64 of A-Z, 0-9 and _", name);
    }
    enum hws_code rc = check_text("its value", value, HWS_ROLLOUT_VALUE_BYTES, err);
    if (rc != HWS_OK) {
        return hws_err_wrap(err, "setting %s", name);
    }
    for (size_t i = 0; i < plan->n_settings; i++) {
        if (hws_str_eq(plan->settings[i].name, name)) {
            return hws_err_set(err, HWS_E_EXISTS, "setting %s is given twice", name);
        }
    }
    if (plan->n_settings == HWS_ROLLOUT_MAX_SETTINGS) {
        return hws_err_set(err, HWS_E_BUSY, "more than %u settings", HWS_ROLLOUT_MAX_SETTINGS);
    }
    struct hws_rollout_setting *grown =
        hws_mem_realloc(plan->settings, (plan->n_settings + 1) * sizeof(*grown));
    if (grown == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for a setting");
    }
    plan->settings = grown;
    struct hws_rollout_setting *s = &grown[plan->n_settings++];
    (void)hws_str_copy(s->name, sizeof(s->name), name);
    (void)hws_str_copy(s->value, sizeof(s->value), value);
    return HWS_OK;
}

static enum hws_code grow_targets(struct hws_rollout_plan *plan, struct hws_err *err)
{
    if (plan->n_targets < plan->cap_targets) {
        return HWS_OK;
    }
    size_t cap = plan->cap_targets == 0 ? 8 : plan->cap_targets * 2;
    struct hws_rollout_target *grown = hws_mem_realloc(plan->targets, cap * sizeof(*grown));
    if (grown == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for %zu adapters", cap);
    }
    plan->targets = grown;
    plan->cap_targets = cap;
    return HWS_OK;
}

enum hws_code hws_rollout_plan_add(struct hws_rollout_plan *plan, const char *host,
                                   const char *target, const char *device, struct hws_err *err)
{
    enum hws_code rc = check_text("a host's name", host, HWS_ROLLOUT_HOST_BYTES, err);
    if (rc == HWS_OK) {
        rc = check_text("a host's target", target, HWS_ROLLOUT_TARGET_BYTES, err);
    }
    if (rc == HWS_OK && device != NULL && device[0] != '\0') {
        rc = check_text("a device", device, HWS_ROLLOUT_DEVICE_BYTES, err);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    if (plan->n_targets == HWS_ROLLOUT_MAX_MEMBERS) {
        return hws_err_set(err, HWS_E_BUSY, "more than %u adapters", HWS_ROLLOUT_MAX_MEMBERS);
    }
    rc = grow_targets(plan, err);
    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_rollout_target *t = &plan->targets[plan->n_targets++];
    memset(t, 0, sizeof(*t));
    (void)hws_str_copy(t->host, sizeof(t->host), host);
    (void)hws_str_copy(t->target, sizeof(t->target), target);
    (void)hws_str_copy(t->device, sizeof(t->device), device == NULL ? "" : device);
    return HWS_OK;
}

enum hws_code hws_rollout_plan_wave(struct hws_rollout_plan *plan, const char *text,
                                    struct hws_err *err)
{
    char digits[16];
    size_t n = strlen(text);
    uint64_t size = 0;
    bool percent = n > 1 && text[n - 1] == '%';

    if (hws_str_eq(text, "rest")) {
        plan->wave_kind = HWS_ROLLOUT_WAVE_REST;
        plan->wave_size = 0;
        return HWS_OK;
    }
    uint64_t max = percent ? 100 : HWS_ROLLOUT_MAX_MEMBERS;
    if (!hws_str_copy_n(digits, sizeof(digits), text, percent ? n - 1 : n) ||
        hws_str_to_u64(digits, max, &size, NULL) != HWS_OK || size == 0) {
        return hws_err_set(err, HWS_E_INVALID,
                           "wave \"%.32s\": give a share (1%% to 100%%), a count of hosts (1 to "
                           "%u), or rest",
                           text, HWS_ROLLOUT_MAX_MEMBERS);
    }
    plan->wave_kind = percent ? HWS_ROLLOUT_WAVE_PERCENT : HWS_ROLLOUT_WAVE_COUNT;
    plan->wave_size = (uint32_t)size;
    return HWS_OK;
}

enum hws_code hws_rollout_parse_ms(const char *text, uint32_t *out_ms, struct hws_err *err)
{
    static const struct {
        const char *suffix;
        uint32_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char digits[16];
    size_t n_digits = strspn(text, "0123456789");
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && n_digits > 0; i++) {
        if (hws_str_eq(text + n_digits, units[i].suffix) &&
            hws_str_copy_n(digits, sizeof(digits), text, n_digits) &&
            hws_str_to_u64(digits, HWS_ROLLOUT_MAX_WAIT_MS / units[i].ms, &count, NULL) == HWS_OK) {
            *out_ms = (uint32_t)count * units[i].ms;
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_INVALID,
                       "\"%.32s\" is not a time: give a number and ms, s, m or h, at most 24h",
                       text);
}

/* What sorting needs of a target; a value, so that the sorted array owns nothing. */
struct key {
    const char *host;   /* borrowed */
    const char *device; /* borrowed */
};

static int by_device(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;
    int order = strcmp(x->host, y->host);

    return order != 0 ? order : strcmp(x->device, y->device);
}

static enum hws_code check_each_once(const struct hws_rollout_plan *plan, struct hws_err *err)
{
    struct key *sorted = hws_mem_zalloc(plan->n_targets, sizeof(*sorted));
    enum hws_code rc = HWS_OK;

    if (sorted == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory to check %zu adapters", plan->n_targets);
    }
    for (size_t i = 0; i < plan->n_targets; i++) {
        sorted[i] = (struct key){plan->targets[i].host, plan->targets[i].device};
    }
    qsort(sorted, plan->n_targets, sizeof(*sorted), by_device);
    for (size_t i = 1; i < plan->n_targets && rc == HWS_OK; i++) {
        if (by_device(&sorted[i - 1], &sorted[i]) == 0) {
            bool named = sorted[i].device[0] != '\0';
            rc = hws_err_set(err, HWS_E_INVALID, "host %s: %s is given twice", sorted[i].host,
                             named ? sorted[i].device : "its first adapter");
        }
    }
    hws_mem_free(sorted);
    return rc;
}

static enum hws_code check_limits(const struct hws_rollout_plan *plan, struct hws_err *err)
{
    if (plan->canary > HWS_ROLLOUT_MAX_MEMBERS || plan->budget > HWS_ROLLOUT_MAX_MEMBERS) {
        return hws_err_set(err, HWS_E_INVALID, "canary and budget are at most %u",
                           HWS_ROLLOUT_MAX_MEMBERS);
    }
    if (plan->in_flight == 0 || plan->in_flight > HWS_ROLLOUT_MAX_IN_FLIGHT) {
        return hws_err_set(err, HWS_E_INVALID, "in_flight is %u; allowed is 1 to %u",
                           plan->in_flight, HWS_ROLLOUT_MAX_IN_FLIGHT);
    }
    if (plan->settle_ms > HWS_ROLLOUT_MAX_WAIT_MS ||
        plan->gate_timeout_ms > HWS_ROLLOUT_MAX_WAIT_MS) {
        return hws_err_set(err, HWS_E_INVALID, "settle and gate_timeout are at most 24h");
    }
    bool sized = plan->wave_kind == HWS_ROLLOUT_WAVE_REST || plan->wave_size > 0;
    uint32_t max = plan->wave_kind == HWS_ROLLOUT_WAVE_PERCENT ? 100 : HWS_ROLLOUT_MAX_MEMBERS;
    if ((unsigned)plan->wave_kind >= HWS_N_ROLLOUT_WAVE_KINDS || !sized || plan->wave_size > max) {
        return hws_err_set(err, HWS_E_INVALID, "wave is neither a share, a count nor rest");
    }
    return HWS_OK;
}

enum hws_code hws_rollout_plan_check(const struct hws_rollout_plan *plan, bool need_id,
                                     struct hws_err *err)
{
    size_t n_id = strlen(plan->id);

    if (!is_rollout_name(plan->name)) {
        return hws_err_set(
            err, HWS_E_INVALID,
            "name \"%s\": give 1 to %d of A-Z, a-z, 0-9, _, . and -, not a dot first", plan->name,
            HWS_ROLLOUT_NAME_BYTES - 1);
    }
    if (!(n_id == 0 && !need_id) &&
        (n_id != HWS_ROLLOUT_ID_BYTES - 1 || strspn(plan->id, "0123456789abcdef") != n_id)) {
        return hws_err_set(err, HWS_E_INVALID, "id \"%s\" is not 16 hex digits", plan->id);
    }
    if (plan->n_settings == 0) {
        return hws_err_set(err, HWS_E_INVALID, "no settings: give at least one NAME=VALUE");
    }
    if (plan->n_targets == 0) {
        return hws_err_set(err, HWS_E_INVALID, "no hosts: give at least one");
    }
    enum hws_code rc = check_limits(plan, err);
    return rc != HWS_OK ? rc : check_each_once(plan, err);
}
