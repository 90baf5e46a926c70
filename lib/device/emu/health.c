/* The health buffer; see health.h. Layout: struct health_buffer of Linux 7.2.13 and init_seg.h. */
#include "emu/health.h"

#include "emu/emu_priv.h"
#include "ifc/init_seg.h"

#define FLAG_RESET_REQUEST  (UINT32_C(1) << 31)
#define FLAG_SEVERITY_VALID (UINT32_C(1) << 27)
#define SEVERITY_LSB        24u
#define SEVERITY_CRITICAL   2u /* as in syslog */
#define SEVERITY_ERROR      3u
#define SYNDROME_LSB        16u
#define COUNTER_MASK        0xffffffu

void hws_emu_health_raise(struct hws_emu *e, uint8_t syndrome, bool fatal)
{
    if (e->health.syndrome == 0) {
        e->health.syndrome = syndrome;
    }
    if (fatal) {
        e->health.fatal = true;
        e->hung_until_ms = UINT64_MAX;
    }
    HWS_EMU__TRACE(e, "emu: health syndrome 0x%x%s", syndrome, fatal ? ", fatal" : "");
}

static uint32_t flags(const struct hws_emu *e)
{
    if (e->health.syndrome == 0) {
        return 0;
    }
    return (e->health.fatal ? FLAG_RESET_REQUEST : 0) | FLAG_SEVERITY_VALID |
           (e->health.fatal ? SEVERITY_CRITICAL : SEVERITY_ERROR) << SEVERITY_LSB;
}

uint32_t hws_emu__health_read(struct hws_emu *e, uint32_t offset)
{
    const struct hws_emu_version *fw = &e->nv.running;

    switch (offset) {
    case HWS_ISEG_HEALTH_TIME:
        return (uint32_t)((e->now_ms - e->boot_at_ms) / 1000);
    case HWS_ISEG_HEALTH_FW_VER:
        return (uint32_t)fw->major << 24 | (uint32_t)fw->minor << 16 | fw->subminor;
    case HWS_ISEG_HEALTH_HW_ID:
        return e->profile->hw_dev_id;
    case HWS_ISEG_HEALTH_FLAGS:
        return flags(e);
    case HWS_ISEG_HEALTH_SYND:
        return (uint32_t)e->health.syndrome << SYNDROME_LSB;
    case HWS_ISEG_HEALTH_COUNTER:
        e->health.counter += e->hung_until_ms > e->now_ms ? 0 : 1;
        return e->health.counter & COUNTER_MASK;
    default:
        return 0;
    }
}
