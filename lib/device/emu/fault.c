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

const struct hws_emu_fault *hws_emu_fault_match(const struct hws_emu_fault *faults, uint32_t n,
                                                uint32_t *n_matches,
                                                const struct hws_emu_fault_probe *probe)
{
    const struct hws_emu_fault *hit = NULL;

    for (uint32_t i = 0; i < n; i++) {
        const struct hws_emu_fault *f = &faults[i];
        if (!matches(f, probe)) {
            continue;
        }
        n_matches[i] += n_matches[i] < UINT32_MAX ? 1 : 0;
        uint64_t last = f->repeat == 0 ? UINT64_MAX : (uint64_t)f->countdown + f->repeat - 1;
        if (hit == NULL && n_matches[i] >= f->countdown && n_matches[i] <= last) {
            hit = f;
        }
    }
    return hit;
}
