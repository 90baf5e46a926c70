/*
 * Firmware update: MCQS (components), MCQI (what they are), MCC (the state machine) and MCDA (the
 * image's bytes). Layouts: mlx5_ifc.h and the driver's fw.c (Linux 7.2.13), the register database
 * of mstflint 4.33. Times pass lazily: an access first moves the machine to now.
 */
#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"

#define COMPONENT_BOOT_IMAGE 1u /* identifier */
#define COMPONENT_PRESENT    1u
#define BY_COMMAND_INTERFACE 4u

#define LOCK          1u /* instruction */
#define RELEASE       2u
#define UPDATE        3u
#define VERIFY        4u
#define ACTIVATE      6u
#define CANCEL        8u
#define CHECK         9u
#define FORCE_RELEASE 10u

#define INFO_CAPABILITIES 0u
#define INFO_VERSION      1u
#define INFO_ACTIVATION   5u
#define INFO_BYTES        0x7cu

#define HANDLE_MASK 0xffffffu
#define NO_PROGRESS 101u
#define MAX_ELAPSED 0xfffu
#define MCDA_DATA   0x10u
#define BY_FW_RESET 2u /* activation: bit of pending_fw_reset */
#define MATCH_PSID  28u
#define MATCH_CHIP  29u

/* ---- the machine ---- */

static uint32_t next_handle(uint32_t handle)
{
    return (handle & HANDLE_MASK) == HANDLE_MASK ? 1 : handle + 1;
}

static void go(struct hws_emu *e, enum hws_emu_update_state state)
{
    e->update.state = state;
    e->update.since_ms = e->now_ms;
}

static void release(struct hws_emu *e)
{
    if (e->update.component == HWS_EMU_COMPONENT_IN_PROGRESS ||
        e->update.component == HWS_EMU_COMPONENT_APPLIED) {
        e->update.component = HWS_EMU_COMPONENT_CANCELED;
    }
    e->update.handle = next_handle(e->update.handle);
    go(e, HWS_EMU_UPDATE_IDLE);
}

static void end_verify(struct hws_emu *e)
{
    struct hws_emu_update *u = &e->update;
    uint32_t n = u->size != 0 ? u->size : u->top;

    u->error = hws_emu_image_check(u->staged, n, e->profile, &u->version);
    u->component =
        u->error == HWS_EMU_VERDICT_OK ? HWS_EMU_COMPONENT_APPLIED : HWS_EMU_COMPONENT_FAILED;
}

/* Stored for the next boot, or not activated at all. */
static void end_activate(struct hws_emu *e)
{
    e->nv.pending = e->update.version;
    e->nv.has_pending = true;
    if (hws_emu__persist(e)) {
        e->update.component = HWS_EMU_COMPONENT_PENDING_RESET;
        return;
    }
    e->nv.has_pending = false;
    e->update.error = HWS_EMU_VERDICT_ERROR;
    e->update.component = HWS_EMU_COMPONENT_FAILED;
}

static uint64_t busy_ms(const struct hws_emu *e)
{
    switch (e->update.state) {
    case HWS_EMU_UPDATE_INITIALIZE:
        return e->profile->erase_ms;
    case HWS_EMU_UPDATE_VERIFY:
        return e->profile->verify_ms;
    case HWS_EMU_UPDATE_ACTIVATE:
        return e->profile->activate_ms;
    case HWS_EMU_UPDATE_IDLE:
    case HWS_EMU_UPDATE_LOCKED:
    case HWS_EMU_UPDATE_DOWNLOAD:
    default:
        return UINT64_MAX;
    }
}

/* Moves the machine to now. */
static void settle(struct hws_emu *e)
{
    struct hws_emu_update *u = &e->update;
    uint64_t ms = busy_ms(e);

    if (ms != UINT64_MAX && e->now_ms - u->since_ms >= ms) {
        enum hws_emu_update_state was = u->state;
        go(e, was == HWS_EMU_UPDATE_INITIALIZE ? HWS_EMU_UPDATE_DOWNLOAD : HWS_EMU_UPDATE_LOCKED);
        if (was == HWS_EMU_UPDATE_VERIFY) {
            end_verify(e);
        } else if (was == HWS_EMU_UPDATE_ACTIVATE) {
            end_activate(e);
        }
    }
    if (u->state != HWS_EMU_UPDATE_IDLE && busy_ms(e) == UINT64_MAX &&
        e->now_ms - u->last_ms >= e->profile->update_timeout_ms) {
        HWS_EMU__TRACE(e, "emu: update handle 0x%06x timed out", u->handle);
        release(e);
    }
}

void hws_emu__update_boot(struct hws_emu *e)
{
    struct hws_emu_update *u = &e->update;

    u->handle =
        u->handle == 0 ? 1 + (uint32_t)(e->profile->base_mac & 0xffff) : next_handle(u->handle);
    u->error = HWS_EMU_VERDICT_OK;
    u->component = HWS_EMU_COMPONENT_IDLE; /* what the driver takes for: nothing is pending */
    u->touched = false;
    go(e, HWS_EMU_UPDATE_IDLE);
}

/* ---- instructions ---- */

static void refuse_state(struct hws_emu__reg *r)
{
    hws_emu__reg_refuse(r, HWS_FW_BAD_RES_STATE, HWS_EMU__SYND_UPDATE_STATE);
}

static void begin_update(struct hws_emu *e, struct hws_emu__reg *r)
{
    struct hws_emu_update *u = &e->update;
    uint32_t size = hws_load_be32(r->data + 0x10);

    if (u->state != HWS_EMU_UPDATE_LOCKED) {
        refuse_state(r);
    } else if (hws_load_be16(r->data + 6) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
    } else if (size > e->profile->image_bytes) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
    } else if (e->nv.has_pending) {
        u->error = HWS_EMU_VERDICT_PENDING_RESET;
    } else {
        memset(u->staged, 0xff, e->profile->image_bytes);
        u->size = size;
        u->top = 0;
        u->component = HWS_EMU_COMPONENT_IN_PROGRESS;
        u->touched = true;
        go(e, HWS_EMU_UPDATE_INITIALIZE);
    }
}

static void begin(struct hws_emu *e, struct hws_emu__reg *r, enum hws_emu_update_state from,
                  bool possible, enum hws_emu_update_state to)
{
    if (e->update.state == from && possible) {
        go(e, to);
    } else {
        refuse_state(r);
    }
}

static void instruct(struct hws_emu *e, struct hws_emu__reg *r, uint8_t instruction)
{
    struct hws_emu_update *u = &e->update;

    u->error = HWS_EMU_VERDICT_OK;
    switch (instruction) {
    case RELEASE:
        release(e);
        break;
    case UPDATE:
        begin_update(e, r);
        break;
    case VERIFY:
        begin(e, r, HWS_EMU_UPDATE_DOWNLOAD, true, HWS_EMU_UPDATE_VERIFY);
        break;
    case ACTIVATE:
        begin(e, r, HWS_EMU_UPDATE_LOCKED, u->component == HWS_EMU_COMPONENT_APPLIED,
              HWS_EMU_UPDATE_ACTIVATE);
        break;
    case CANCEL:
        if (u->component != HWS_EMU_COMPONENT_PENDING_RESET) {
            u->component = HWS_EMU_COMPONENT_CANCELED;
        }
        go(e, HWS_EMU_UPDATE_LOCKED);
        break;
    case CHECK:
        break;
    default:
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        break;
    }
}

static void lock(struct hws_emu *e, struct hws_emu__reg *r, uint32_t handle)
{
    if (e->update.state != HWS_EMU_UPDATE_IDLE) {
        hws_emu__reg_refuse(r, HWS_FW_RES_BUSY, HWS_EMU__SYND_UPDATE_BUSY);
    } else if (handle != 0 && handle != e->update.handle) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_UPDATE_HANDLE);
    } else {
        e->update.error = HWS_EMU_VERDICT_OK;
        go(e, HWS_EMU_UPDATE_LOCKED);
    }
}

/* The holder's, while one holds it. */
static bool held(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t handle)
{
    if (e->update.state != HWS_EMU_UPDATE_IDLE && handle == e->update.handle) {
        return true;
    }
    hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_UPDATE_HANDLE);
    return false;
}

static uint32_t progress(const struct hws_emu *e)
{
    uint64_t ms = busy_ms(e);

    return ms == UINT64_MAX || ms == 0 ? NO_PROGRESS
                                       : (uint32_t)((e->now_ms - e->update.since_ms) * 100 / ms);
}

void hws_emu__mcc_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_update *u = &e->update;

    settle(e);
    uint64_t elapsed = (e->now_ms - u->last_ms) / 1000;
    bool locked = u->state != HWS_EMU_UPDATE_IDLE;
    memset(r->data, 0, 0x20);
    hws_bits_put(r->data, 16, 12,
                 !locked                 ? 0
                 : elapsed < MAX_ELAPSED ? (uint32_t)elapsed
                                         : MAX_ELAPSED);
    hws_bits_put(r->data + 0x08, 0, 24, u->handle);
    hws_bits_put(r->data + 0x0c, 0, 4, u->state);
    hws_bits_put(r->data + 0x0c, 8, 8, u->error);
    hws_bits_put(r->data + 0x0c, 16, 7, progress(e));
    hws_bits_put(r->data + 0x0c, 28, 4, locked ? BY_COMMAND_INTERFACE : 0);
}

void hws_emu__mcc_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint8_t instruction = r->data[3];
    uint32_t handle = hws_bits_get(r->data + 8, 0, 24);

    settle(e);
    if (instruction == FORCE_RELEASE) {
        release(e);
    } else if (instruction == LOCK) {
        lock(e, r, handle);
    } else if (held(e, r, handle)) {
        instruct(e, r, instruction);
    }
    if (r->status == HWS_FW_OK) {
        e->update.last_ms = e->now_ms;
        HWS_EMU__TRACE(e, "emu: update instruction %u, state %u", instruction, e->update.state);
        hws_emu__mcc_read(e, r);
    }
}

/* Each dword of the register holds four bytes of the image, the first in its low byte (the driver
 * swaps them so on their way). */
void hws_emu__mcda_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    struct hws_emu_update *u = &e->update;
    uint32_t offset = hws_load_be32(r->data + 4);
    uint32_t n = hws_load_be16(r->data + 0x0a);
    uint32_t word = 1u << HWS_EMU_UPDATE_LOG_WORD;
    uint32_t end = u->size != 0 ? u->size : e->profile->image_bytes;

    settle(e);
    if (!held(e, r, hws_bits_get(r->data, 0, 24))) {
        return;
    }
    if (u->state != HWS_EMU_UPDATE_DOWNLOAD) {
        refuse_state(r);
        return;
    }
    if (r->in_bytes < MCDA_DATA + n) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
        return;
    }
    /* The last word may reach over an end that is no whole word. */
    uint32_t whole = end + (word - end % word) % word;
    if (n == 0 || n > HWS_EMU_UPDATE_MAX_WRITE || n % word != 0 || offset % word != 0 ||
        offset > whole || n > whole - offset) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    for (uint32_t i = 0; i < n && offset + i < end; i++) {
        u->staged[offset + i] = r->data[MCDA_DATA + (i ^ 3u)];
    }
    u->top = offset + n > u->top ? offset + n : u->top;
    u->top = u->top < end ? u->top : end;
    u->last_ms = e->now_ms;
}

/* ---- what there is ---- */

void hws_emu__mcqs(struct hws_emu *e, struct hws_emu__reg *r)
{
    settle(e);
    if (hws_bits_get(r->data, 0, 28) != 0) { /* component and device 0 */
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    memset(r->data, 0, 0x10);
    hws_bits_put(r->data, 31, 1, 1); /* the last index */
    hws_store_be16(r->data + 6, COMPONENT_BOOT_IMAGE);
    hws_bits_put(r->data + 8, 4, 5, COMPONENT_PRESENT);
    hws_bits_put(r->data + 8, 0, 4, e->update.component);
    hws_bits_put(r->data + 0x0c, 28, 4, e->update.touched ? BY_COMMAND_INTERFACE : 0);
}

static void info_capabilities(const struct hws_emu *e, uint8_t *info)
{
    hws_store_be32(info, 1u << INFO_VERSION | 1u << INFO_ACTIVATION);
    hws_store_be32(info + 8, e->profile->image_bytes);
    hws_bits_put(info + 0x0c, 28, 4, HWS_EMU_UPDATE_LOG_WORD);
    hws_bits_put(info + 0x0c, 0, 16, HWS_EMU_UPDATE_MAX_WRITE);
    hws_bits_put(info + 0x10, MATCH_PSID, 1, 1);
    hws_bits_put(info + 0x10, MATCH_CHIP, 1, 1);
}

static void info_version(const struct hws_emu_version *v, uint8_t *info)
{
    char text[24];

    (void)hws_str_print(text, sizeof(text), "%u.%u.%04u", v->major, v->minor, v->subminor);
    info[3] = (uint8_t)strlen(text);
    hws_bits_put(info, 29, 1, v->year != 0 ? 1 : 0);
    hws_store_be32(info + 4,
                   (uint32_t)v->major << 24 | (uint32_t)(v->minor & 0xff) << 16 | v->subminor);
    hws_store_be16(info + 0x0c, v->year);
    info[0x0e] = v->month;
    info[0x0f] = v->day;
    hws_emu__put_text(info + 0x20, INFO_BYTES - 0x20, text);
}

void hws_emu__mcqi(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint8_t info[INFO_BYTES] = {0};
    uint32_t type = hws_bits_get(r->data + 8, 0, 5);
    bool pending = hws_bits_get(r->data, 31, 1) != 0;
    uint32_t offset = hws_load_be32(r->data + 0x10);
    uint32_t n = hws_load_be16(r->data + 0x16);

    settle(e);
    if (hws_bits_get(r->data, 0, 28) != 0 ||
        (type != INFO_CAPABILITIES && type != INFO_VERSION && type != INFO_ACTIVATION)) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    if (pending && !e->nv.has_pending) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_RES, HWS_EMU__SYND_UPDATE_NONE);
        return;
    }
    if (offset > sizeof(info) || offset % 4 != 0 || n > sizeof(info) - offset) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    if (r->out_cap_bytes < 0x18 + n) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_OUTP_LEN, HWS_EMU__SYND_OUT_LEN);
        return;
    }
    if (type == INFO_CAPABILITIES) {
        info_capabilities(e, info);
    } else if (type == INFO_VERSION) {
        info_version(pending ? &e->nv.pending : &e->nv.running, info);
    } else {
        /* UNTESTED against a card: the driver counts these bits from the other end. */
        hws_bits_put(info, BY_FW_RESET, 1, 1);
    }
    hws_store_be32(r->data + 0x0c, sizeof(info));
    memset(r->data + 0x18, 0, sizeof(info));
    memcpy(r->data + 0x18, info + offset, n);
}
