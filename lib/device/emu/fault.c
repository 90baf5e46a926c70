/* Planted faults: matching and counting. */
#include "emu/fault.h"

#include <stddef.h>

static bool matches(const struct hws_emu_fault *f, const struct hws_emu_fault_probe *probe)
{
    if (!f->any_op && f->op != probe->op) {
        return false;
    }
    if (!f->any_reg && (!probe->is_reg || f->reg != probe->reg)) {
        return false;
    }
    if (f->access == HWS_EMU_ACCESS_ANY) {
        return true;
    }
    return probe->is_reg && probe->is_write == (f->access == HWS_EMU_ACCESS_WRITE);
}

/* splitmix64's output function: every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool acts(const struct hws_emu_fault *f, const struct hws_emu_fault_count *count)
{
    if (count->n_matches < f->countdown || (f->repeat != 0 && count->n_hits >= f->repeat)) {
        return false;
    }
    return mix(f->seed + UINT64_C(0x9e3779b97f4a7c15) * count->n_matches) % 100 < f->percent;
}

const struct hws_emu_fault *hws_emu_fault_match(const struct hws_emu_fault *faults, uint32_t n,
                                                struct hws_emu_fault_count *counts,
                                                const struct hws_emu_fault_probe *probe)
{
    const struct hws_emu_fault *hit = NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (!matches(&faults[i], probe)) {
            continue;
        }
        counts[i].n_matches += counts[i].n_matches < UINT32_MAX ? 1 : 0;
        if (hit == NULL && acts(&faults[i], &counts[i])) {
            counts[i].n_hits += counts[i].n_hits < UINT32_MAX ? 1 : 0;
            hit = &faults[i];
        }
    }
    return hit;
}
