/*
 * Waves by host. Hosts are numbered in the order of their first adapter; a sorted index finds an
 * adapter's host without comparing every pair.
 */
#include "rollout/wave.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct slot {
    const char *host; /* borrowed from the plan */
    uint32_t target;  /* index into plan->targets */
    uint32_t first;   /* the first target of the same host */
};

static int by_host_then_index(const void *a, const void *b)
{
    const struct slot *x = a;
    const struct slot *y = b;
    int order = strcmp(x->host, y->host);

    if (order != 0) {
        return order;
    }
    return x->target < y->target ? -1 : x->target > y->target;
}

/* Fills host_of[target] with the host's number; returns how many hosts there are. */
static uint32_t number_hosts(const struct hws_rollout_plan *plan, struct slot *slots,
                             uint32_t *host_of)
{
    uint32_t n_hosts = 0;

    for (size_t i = 0; i < plan->n_targets; i++) {
        slots[i] = (struct slot){.host = plan->targets[i].host, .target = (uint32_t)i};
    }
    qsort(slots, plan->n_targets, sizeof(*slots), by_host_then_index);
    for (size_t i = 0; i < plan->n_targets; i++) {
        bool same = i > 0 && strcmp(slots[i].host, slots[i - 1].host) == 0;
        slots[i].first = same ? slots[i - 1].first : slots[i].target;
        host_of[slots[i].target] = slots[i].first;
    }
    /* A host's first target is numbered before its others are reached. */
    for (size_t i = 0; i < plan->n_targets; i++) {
        host_of[i] = host_of[i] == i ? n_hosts++ : host_of[host_of[i]];
    }
    return n_hosts;
}

static uint32_t later_wave_hosts(const struct hws_rollout_plan *plan, uint32_t n_hosts)
{
    switch (plan->wave_kind) {
    case HWS_ROLLOUT_WAVE_PERCENT:
        return (uint32_t)(((uint64_t)n_hosts * plan->wave_size + 99) / 100);
    case HWS_ROLLOUT_WAVE_COUNT:
        return plan->wave_size;
    case HWS_ROLLOUT_WAVE_REST:
    case HWS_N_ROLLOUT_WAVE_KINDS:
        break;
    }
    return n_hosts;
}

enum hws_code hws_rollout_waves(const struct hws_rollout_plan *plan, uint32_t *wave_of,
                                uint32_t *out_n_waves, struct hws_err *err)
{
    struct slot *slots = hws_mem_zalloc(plan->n_targets, sizeof(*slots));

    if (slots == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for the waves of %zu adapters",
                           plan->n_targets);
    }
    uint32_t n_hosts = number_hosts(plan, slots, wave_of);
    hws_mem_free(slots);

    uint32_t canary = plan->canary < n_hosts ? plan->canary : n_hosts;
    uint32_t size = later_wave_hosts(plan, n_hosts);
    uint32_t before = canary > 0 ? 1 : 0;
    uint32_t last = 0;
    size = size == 0 ? 1 : size;
    for (size_t i = 0; i < plan->n_targets; i++) {
        uint32_t host = wave_of[i];
        wave_of[i] = host < canary ? 0 : before + (host - canary) / size;
        last = wave_of[i] > last ? wave_of[i] : last;
    }
    *out_n_waves = last + 1;
    return HWS_OK;
}
