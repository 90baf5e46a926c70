/* Hangs, resets, unplugging, and the plan of faults; see incident.h. */
#include "emu/incident.h"

#include <string.h>

#include "emu/emu_priv.h"

static bool is_there(const struct hws_emu *e)
{
    return e->state != HWS_EMU_OFF && e->state != HWS_EMU_UNPLUGGED;
}

void hws_emu_hang(struct hws_emu *e, uint64_t ms)
{
    if (!e->health.fatal) { /* after a fatal error it stands still anyhow, and for longer */
        e->hung_until_ms = ms == 0 ? UINT64_MAX : e->now_ms + ms;
    }
    HWS_EMU__TRACE(e, "emu: hangs");
}

void hws_emu__hang_over(struct hws_emu *e)
{
    e->hung_until_ms = 0;
    HWS_EMU__TRACE(e, "emu: resumes");
}

void hws_emu_resume(struct hws_emu *e)
{
    e->health.syndrome = 0;
    e->health.fatal = false;
    hws_emu__hang_over(e);
}

void hws_emu_late(struct hws_emu *e)
{
    HWS_EMU__TRACE(e, "emu: late completions 0x%x", e->lost_mask);
    hws_emu__give_lost(e);
}

void hws_emu_firmware_reset(struct hws_emu *e)
{
    if (is_there(e)) {
        HWS_EMU__TRACE(e, "emu: reset");
        hws_emu__boot(e, true);
    }
}

void hws_emu_unplug(struct hws_emu *e, uint64_t ms)
{
    if (!is_there(e)) {
        return;
    }
    hws_emu__forget_host(e);
    e->state = HWS_EMU_UNPLUGGED;
    e->reset_at_ms = UINT64_MAX;
    e->replug_at_ms = ms == 0 ? UINT64_MAX : e->now_ms + ms;
    HWS_EMU__TRACE(e, "emu: unplugged");
}

void hws_emu_replug(struct hws_emu *e)
{
    if (e->state == HWS_EMU_UNPLUGGED) {
        HWS_EMU__TRACE(e, "emu: replugged");
        hws_emu__boot(e, false);
    }
}

enum hws_code hws_emu_plant(struct hws_emu *e, const struct hws_emu_fault *fault,
                            struct hws_err *err)
{
    if (e->n_faults == HWS_EMU_MAX_FAULTS) {
        return hws_err_set(err, HWS_E_BUSY, "the plan has its %u faults; clear it first",
                           HWS_EMU_MAX_FAULTS);
    }
    e->faults[e->n_faults] = *fault;
    e->fault_counts[e->n_faults] = (struct hws_emu_fault_count){0};
    e->n_faults++;
    return HWS_OK;
}

void hws_emu_clear_faults(struct hws_emu *e)
{
    for (uint32_t i = 0; i < HWS_ENTRY_MAX_SLOTS; i++) {
        e->slots[i].fault = NULL;
    }
    memset(e->fault_counts, 0, sizeof(e->fault_counts));
    e->n_faults = 0;
}
