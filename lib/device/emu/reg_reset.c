/*
 * MFRL: the firmware reset; MROQ: its options; MRSI: the last one. Layout: mlx5_ifc.h,
 * Linux 7.2.13.
 *
 *   dw 4: [7:0] level bits  [15:8] supported types  [19:16] state  [30:29] synchronised start
 *
 * A write with a start of 1 (driver synchronised) or 2 (tool synchronised) and level bit 3
 * triggers. Where a driver has said that it wants to be asked first (SET_HCA_CAP,
 * pci_sync_for_fw_update_event) and takes general events, start 1 asks it:
 *
 *   write of start -> event REQUEST -> write of an answer [28:27] -> event NOW -> nic_interface
 *   disabled after a fast teardown -> reset_delay_ms later the card resets
 *
 * An answer that is no, or not there in pci_sync ms, ends it, with the reason in state. Else the
 * command completes, and reset_delay_ms later the card resets. Any other write of supported levels
 * only arms the reset that a reboot or a power cycle will do. Order of the steps: the driver's
 * core/fw_reset.c, Linux 7.3.4.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "ifc/eq.h"

#define LEVEL_3         0x08u
#define START_DRIVER    1u
#define ANSWER_YES      1u
#define DEFAULT_SYNC_MS 5000u /* as the driver's own */

enum {
#define HWS_EMU_TIMEOUT(name, offset, source) ROW_##name,
#include "emu/timeout.def"
#undef HWS_EMU_TIMEOUT
};

void hws_emu__mfrl_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    hws_store_be32(r->data, 0);
    hws_store_be32(r->data + 4, 0);
    hws_bits_put(r->data + 4, 0, 8, e->profile->reset_levels);
    hws_bits_put(r->data + 4, 8, 8, e->profile->reset_types);
    hws_bits_put(r->data + 4, 16, 4,
                 e->reset_at_ms != UINT64_MAX ? HWS_EMU__RESET_IN_PROGRESS : e->reset_state);
}

/* ---- a reset that the driver is asked about ---- */

static void sync_step(struct hws_emu *e, uint8_t event)
{
    uint8_t data[HWS_SYNC_RESET_AT + 1] = {0};

    data[HWS_SYNC_RESET_AT] = event;
    hws_emu__eq_post(e, HWS_EVENT_GENERAL, HWS_EVENT_SYNC_RESET, data, sizeof(data));
}

static void sync_wait(struct hws_emu *e, enum hws_emu__reset_state state)
{
    uint64_t ms = e->profile->timeouts_ms[ROW_pci_sync];

    e->reset_state = (uint8_t)state;
    e->sync_until_ms = e->now_ms + (ms != 0 ? ms : DEFAULT_SYNC_MS);
}

static void sync_end(struct hws_emu *e, enum hws_emu__reset_state state)
{
    e->reset_state = (uint8_t)state;
    e->sync_until_ms = UINT64_MAX;
    HWS_EMU__TRACE(e, "emu: reset not agreed upon, state %u", e->reset_state);
}

static void sync_answer(struct hws_emu *e, struct hws_emu__reg *r, uint32_t answer)
{
    if (e->reset_state != HWS_EMU__RESET_NEGOTIATED) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_RES_STATE, HWS_EMU__SYND_RESET_ANSWER);
    } else if (answer == ANSWER_YES) {
        sync_wait(e, HWS_EMU__RESET_IN_PROGRESS);
        sync_step(e, HWS_SYNC_RESET_NOW);
    } else {
        sync_end(e, HWS_EMU__RESET_REFUSED);
    }
}

void hws_emu__sync_released(struct hws_emu *e)
{
    if (e->reset_state == HWS_EMU__RESET_IN_PROGRESS) {
        e->sync_until_ms = UINT64_MAX;
        e->reset_at_ms = e->now_ms + e->profile->reset_delay_ms;
    }
}

void hws_emu__sync_timeout(struct hws_emu *e)
{
    bool agreed = e->reset_state == HWS_EMU__RESET_IN_PROGRESS;

    sync_end(e, agreed ? HWS_EMU__RESET_NOT_RELEASED : HWS_EMU__RESET_NO_ANSWER);
    sync_step(e, HWS_SYNC_RESET_ABORT);
}

static bool reset_is_busy(const struct hws_emu *e)
{
    return e->reset_at_ms != UINT64_MAX || e->reset_state == HWS_EMU__RESET_NEGOTIATED ||
           e->reset_state == HWS_EMU__RESET_IN_PROGRESS;
}

void hws_emu__mfrl_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t level = hws_bits_get(r->data + 4, 0, 8);
    uint32_t start = hws_bits_get(r->data + 4, 29, 2);
    uint32_t answer = hws_bits_get(r->data + 4, 27, 2);
    uint32_t type = hws_bits_get(r->data + 4, 24, 3);

    if ((e->profile->reset_types >> type & 1) == 0 || level == 0 ||
        (level & ~(uint32_t)e->profile->reset_levels) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_RESET_LEVEL);
        return;
    }
    if (answer != 0) {
        sync_answer(e, r, answer);
        return;
    }
    if (start == 0 || (level & LEVEL_3) == 0) {
        e->mfrl_level = level;
        return;
    }
    if (reset_is_busy(e)) {
        hws_emu__reg_refuse(r, HWS_FW_RES_BUSY, HWS_EMU__SYND_RESET_BUSY);
        return;
    }
    if (start == START_DRIVER && hws_emu__host_syncs_resets(e)) {
        sync_wait(e, HWS_EMU__RESET_NEGOTIATED);
        sync_step(e, HWS_SYNC_RESET_REQUEST);
        HWS_EMU__TRACE(e, "emu: reset: the driver is asked");
        return;
    }
    e->reset_at_ms = e->now_ms + e->profile->reset_delay_ms;
    HWS_EMU__TRACE(e, "emu: reset triggered");
}

/* ---- MROQ, MRSI ---- */

#define START_FLOWS   0x07u /* legacy, synchronised by the driver, by a tool */
#define METHOD_TOGGLE 0x01u /* the link is disabled and enabled */
#define DEVICE_MAIN   0u
#define DEVICE_CPU    1u
#define CPU_RUNS      5u
#define CYCLES_PER_MS 1000000u

/* What the reset type that is asked about offers; nothing, if the card has no such type. */
void hws_emu__mroq(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint8_t type = r->data[2];
    bool there = type < 8 && (e->profile->reset_types >> type & 1) != 0;

    memset(r->data, 0, 0x20);
    r->data[2] = type;
    if (there) {
        hws_bits_put(r->data, 24, 8, METHOD_TOGGLE);
        hws_bits_put(r->data, 17, 4, START_FLOWS);
        hws_bits_put(r->data, 16, 1, 1);
        hws_bits_put(r->data, 0, 8, e->profile->reset_levels);
    }
}

/* Why the card, or its embedded CPU, started the last time. */
void hws_emu__mrsi(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t device = hws_bits_get(r->data, 0, 4);

    if (device > (e->profile->embedded_cpu ? DEVICE_CPU : DEVICE_MAIN)) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    memset(r->data, 0, 0x40);
    hws_bits_put(r->data, 0, 4, device);
    hws_bits_put(r->data + 4, 0, 4, e->warm ? 1 : 0);
    hws_store_be64(r->data + 8, (e->now_ms - e->cold_at_ms) * CYCLES_PER_MS);
    r->data[0x17] = device == DEVICE_CPU ? CPU_RUNS : 0;
}
