/*
 * Life of the emulated adapter and its BAR0 registers.
 *
 * power-on -> INITIALIZING --boot_ms--> READY --queue address--> QUEUE --nic_interface disabled-->
 * DISABLED Any of them -> INITIALIZING by reset or power cycle: the next-boot image becomes the
 * running one, volatile state and the queue are forgotten. (A queue address in DISABLED makes it
 * QUEUE again.)
 */
#include "emu/emu.h"

#include <string.h>

#include "base/mem.h"
#include "emu/emu_priv.h"
#include "emu/incident.h"
#include "ifc/init_seg.h"

void hws_emu__forget_host(struct hws_emu *e)
{
    e->queue_h = 0;
    e->queue_l = 0;
    e->pending_mask = 0;
    e->lost_mask = 0;
    e->hca_enabled = false;
    e->hca_inited = false;
    e->issi = 0;
    e->fast_teardown = false;
    e->checksums = false; /* mlx5_core (Linux 7.3.4) never signs blocks, nor asks first */
    e->uctx_mask = 0;
    e->uar_mask = 0;
    e->n_pages = 0;
    memset(e->host_endianness, 0, sizeof(e->host_endianness));
    hws_emu__eq_reset(e);
    hws_emu__caps_reset(e);
}

void hws_emu__boot(struct hws_emu *e, bool warm)
{
    e->state = e->profile->boot_ms == 0 ? HWS_EMU_READY : HWS_EMU_INITIALIZING;
    e->boot_at_ms = e->now_ms;
    e->reset_at_ms = UINT64_MAX;
    e->sync_until_ms = UINT64_MAX;
    e->hung_until_ms = 0;
    e->replug_at_ms = UINT64_MAX;
    /* A driver that has let go of the function for this reset must find it so afterwards. */
    e->nic_off = warm && e->reset_state == HWS_EMU__RESET_IN_PROGRESS;
    e->reset_state = HWS_EMU__RESET_IDLE;
    e->mfrl_level = 0;
    e->warm = warm;
    e->cold_at_ms = warm ? e->cold_at_ms : e->now_ms;
    e->tracer = (struct hws_emu_tracer_state){.owned = false};
    e->pcie_cleared_ms = e->now_ms;
    memset(e->pcie_cleared_dw, 0, sizeof(e->pcie_cleared_dw));
    e->health.syndrome = 0;
    e->health.fatal = false;
    hws_emu__forget_host(e);
    hws_emu_nv_boot(&e->nv);
    hws_emu__update_boot(e);
    hws_emu__nic_reset(e);
    hws_emu__thermal_reset(e);
    HWS_EMU__TRACE(e, "emu: boot");
}

enum hws_code hws_emu_init(struct hws_emu *e, const struct hws_emu_profile *profile,
                           const struct hws_emu_config *config, const uint8_t *nv, size_t n_nv,
                           uint64_t now_ms, struct hws_err *err)
{
    *e = (struct hws_emu){.profile = profile, .config = *config, .now_ms = now_ms};
    enum hws_code rc = hws_emu_nv_init(&e->nv, profile, err);

    if (rc == HWS_OK && n_nv > 0) {
        rc = hws_emu_nv_parse(&e->nv, nv, n_nv, err);
    }
    if (rc == HWS_OK) {
        e->max_pages = profile->boot_pages + profile->init_pages;
        e->in = hws_mem_zalloc(1, HWS_CALL_MAX_BYTES);
        e->out = hws_mem_zalloc(1, HWS_CALL_MAX_BYTES);
        e->pages = hws_mem_zalloc(e->max_pages + 1, sizeof(*e->pages));
        e->nv_bytes = hws_mem_zalloc(1, HWS_EMU_NV_MAX_BYTES);
        e->update.staged = hws_mem_zalloc(1, profile->image_bytes);
        if (e->update.staged == NULL || e->nv_bytes == NULL || e->in == NULL || e->out == NULL ||
            e->pages == NULL) {
            rc = hws_err_set(err, HWS_E_NOMEM, "out of memory");
        }
    }
    if (rc != HWS_OK) {
        hws_emu_deinit(e);
        (void)hws_err_wrap(err, "emulated adapter %s", profile->serial);
        return rc;
    }
    memcpy(e->faults, profile->faults, sizeof(e->faults));
    e->n_faults = profile->n_faults;
    hws_emu__boot(e, false);
    return HWS_OK;
}

void hws_emu_deinit(struct hws_emu *e)
{
    hws_emu_nv_deinit(&e->nv);
    hws_mem_free(e->in);
    hws_mem_free(e->out);
    hws_mem_free(e->pages);
    hws_mem_free(e->nv_bytes);
    hws_mem_free(e->update.staged);
    e->update.staged = NULL;
    e->nv_bytes = NULL;
    e->in = NULL;
    e->out = NULL;
    e->pages = NULL;
    e->state = HWS_EMU_OFF;
}

bool hws_emu__persist(struct hws_emu *e)
{
    if (e->config.nv_dirty == NULL) {
        return true;
    }
    size_t n = hws_emu_nv_serialize(&e->nv, e->nv_bytes);
    return e->config.nv_dirty(e->config.data, e->nv_bytes, n) == HWS_OK;
}

/* ---- registers ---- */

static uint32_t read_addr_l(const struct hws_emu *e)
{
    uint32_t nic =
        e->state == HWS_EMU_DISABLED || e->nic_off ? HWS_ISEG_NIC_DISABLED : HWS_ISEG_NIC_FULL;

    return nic << HWS_ISEG_NIC_IFC_LSB |
           (uint32_t)e->profile->log_queue_size << HWS_ISEG_LOG_SIZE_LSB |
           e->profile->log_queue_stride;
}

static uint32_t read_initializing(const struct hws_emu *e)
{
    uint32_t nics = 1u << HWS_ISEG_NIC_FULL | 1u << HWS_ISEG_NIC_DISABLED;

    return (e->state == HWS_EMU_INITIALIZING ? HWS_ISEG_INITIALIZING_BIT : 0) |
           HWS_ISEG_SW_RESET_BIT | nics << HWS_ISEG_NIC_SUPPORTED_LSB;
}

uint32_t hws_emu_read32(struct hws_emu *e, uint32_t offset)
{
    const struct hws_emu_version *fw = &e->nv.running;
    uint64_t timer_us = (e->now_ms - e->boot_at_ms) * 1000;

    if (e->state == HWS_EMU_UNPLUGGED) {
        return HWS_ISEG_GONE;
    }
    switch (offset) {
    case HWS_ISEG_FW_REV:
        return (uint32_t)fw->minor << 16 | fw->major;
    case HWS_ISEG_CMDIF_REV:
        return HWS_ISEG_CMDIF_REV_5 << HWS_ISEG_CMDIF_REV_LSB | fw->subminor;
    case HWS_ISEG_CMDQ_ADDR_H:
        return e->queue_h;
    case HWS_ISEG_CMDQ_ADDR_L:
        return read_addr_l(e);
    case HWS_ISEG_INITIALIZING:
        return read_initializing(e);
    case HWS_ISEG_CMD_TIMEOUT:
        return hws_emu__timeout_word(e, 0);
    case HWS_ISEG_INIT_TIMEOUT:
        return hws_emu__timeout_word(e, 1);
    case HWS_ISEG_TIMER_H:
        return (uint32_t)(timer_us >> 32);
    case HWS_ISEG_TIMER_L:
        return (uint32_t)timer_us;
    default:
        return hws_emu__health_read(e, offset);
    }
}

static void write_addr_l(struct hws_emu *e, uint32_t value)
{
    uint32_t nic = value >> HWS_ISEG_NIC_IFC_LSB & HWS_ISEG_NIC_IFC_MASK;

    if (nic == HWS_ISEG_NIC_SW_RESET) { /* the one write that a dead firmware still obeys */
        hws_emu_firmware_reset(e);
        e->nic_off = true;
        return;
    }
    if (e->state == HWS_EMU_INITIALIZING || e->state == HWS_EMU_OFF) {
        return;
    }
    if (nic == HWS_ISEG_NIC_DISABLED) {
        HWS_EMU__TRACE(e, "emu: disabled");
        e->state = HWS_EMU_DISABLED;
        e->pending_mask = 0;
        e->queue_h = 0;
        e->queue_l = 0;
        hws_emu__eq_reset(e);
        if (e->fast_teardown) {
            hws_emu__forget_host(e);
            hws_emu__sync_released(e);
        }
        return;
    }
    e->queue_l = value & HWS_ISEG_ADDR_L_MASK;
    e->pending_mask = 0;
    e->nic_off = false;
    e->state = HWS_EMU_QUEUE;
    HWS_EMU__TRACE(e, "emu: queue");
}

void hws_emu_write32(struct hws_emu *e, uint32_t offset, uint32_t value)
{
    if (e->state == HWS_EMU_UNPLUGGED) {
        return;
    }
    switch (offset) {
    case HWS_ISEG_CMDQ_ADDR_H:
        if (e->state != HWS_EMU_INITIALIZING && e->state != HWS_EMU_OFF) {
            e->queue_h = value;
        }
        break;
    case HWS_ISEG_CMDQ_ADDR_L:
        write_addr_l(e, value);
        break;
    case HWS_ISEG_DOORBELL:
        hws_emu__doorbell(e, value);
        break;
    default:
        hws_emu__eq_doorbell(e, offset, value);
        break;
    }
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Links move and commands run, unless the firmware stands still. */
static uint64_t firmware_turn(struct hws_emu *e)
{
    if (e->hung_until_ms > e->now_ms) {
        return e->hung_until_ms;
    }
    if (e->hung_until_ms != 0) {
        hws_emu__hang_over(e);
    }
    (void)hws_emu__nic_turn(e);
    hws_emu__run_due(e);
    if (e->hung_until_ms > e->now_ms || e->state == HWS_EMU_UNPLUGGED) { /* by what has run */
        return least(e->hung_until_ms != 0 ? e->hung_until_ms : UINT64_MAX, e->replug_at_ms);
    }
    uint64_t next_ms = hws_emu__nic_turn(e); /* a command may have set a link up */
    return least(next_ms, hws_emu__next_due(e));
}

uint64_t hws_emu_turn(struct hws_emu *e, uint64_t now_ms)
{
    if (e->state == HWS_EMU_OFF) {
        return UINT64_MAX;
    }
    e->now_ms = now_ms;
    if (e->state == HWS_EMU_UNPLUGGED) {
        if (e->replug_at_ms > now_ms) {
            return e->replug_at_ms;
        }
        hws_emu_replug(e);
    }
    if (e->reset_at_ms <= now_ms) {
        HWS_EMU__TRACE(e, "emu: reset");
        hws_emu__boot(e, true);
    }
    if (e->state == HWS_EMU_INITIALIZING && now_ms - e->boot_at_ms >= e->profile->boot_ms) {
        e->state = HWS_EMU_READY;
        HWS_EMU__TRACE(e, "emu: ready");
    }
    if (e->sync_until_ms <= now_ms) {
        hws_emu__sync_timeout(e);
    }
    uint64_t next_ms = least(least(firmware_turn(e), e->reset_at_ms), e->sync_until_ms);
    if (e->state == HWS_EMU_INITIALIZING) {
        next_ms = least(next_ms, e->boot_at_ms + e->profile->boot_ms);
    }
    return next_ms;
}

void hws_emu_function_reset(struct hws_emu *e, uint64_t now_ms)
{
    e->now_ms = now_ms;
    if (e->state == HWS_EMU_QUEUE || e->state == HWS_EMU_DISABLED) {
        e->state = HWS_EMU_READY;
    }
    hws_emu__forget_host(e);
    HWS_EMU__TRACE(e, "emu: function reset");
}

void hws_emu_power_cycle(struct hws_emu *e, uint64_t now_ms)
{
    e->now_ms = now_ms;
    hws_emu__boot(e, false);
}
