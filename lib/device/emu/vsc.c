/* The vendor specific capability; see vsc.h. */
#include "emu/vsc.h"

#include <stdbool.h>
#include <stddef.h>

#define CONTROL   0x04u
#define COUNTER   0x08u
#define SEMAPHORE 0x0cu
#define ADDRESS   0x10u
#define DATA      0x14u

#define SPACE_MASK   UINT32_C(0xffff)
#define SERVED       (UINT32_C(1) << 29)
#define FLAG         (UINT32_C(1) << 31)
#define ADDRESS_MASK UINT32_C(0x3fffffff)

/* Held by a number, taken while it is 0, freed by 0. */
static void take(uint32_t *semaphore, uint32_t value)
{
    if (*semaphore == 0 || value == 0) {
        *semaphore = value;
    }
}

/* One access through the gateway. Where nothing is, it is never done and the flag stays. */
static void gateway(struct hws_emu_vsc *vsc, uint32_t value)
{
    uint32_t at = value & ADDRESS_MASK;
    bool write = (value & FLAG) != 0;

    vsc->address = value;
    if (vsc->space != HWS_EMU_VSC_SEMAPHORES || at >= HWS_EMU_VSC_MAX_SEMAPHORES) {
        return;
    }
    if (write) {
        take(&vsc->semaphores[at], vsc->data);
    } else {
        vsc->data = vsc->semaphores[at];
    }
    vsc->address ^= FLAG;
}

uint32_t hws_emu_vsc_read(struct hws_emu_vsc *vsc, uint32_t offset)
{
    switch (offset) {
    case CONTROL:
        return vsc->space | (vsc->space == HWS_EMU_VSC_SEMAPHORES ? SERVED : 0);
    case COUNTER:
        vsc->counter = vsc->counter == UINT32_MAX ? 1 : vsc->counter + 1;
        return vsc->counter;
    case SEMAPHORE:
        return vsc->lock;
    case ADDRESS:
        return vsc->address;
    case DATA:
        return vsc->data;
    default:
        return 0;
    }
}

void hws_emu_vsc_write(struct hws_emu_vsc *vsc, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case CONTROL:
        vsc->space = (uint16_t)(value & SPACE_MASK);
        break;
    case SEMAPHORE:
        take(&vsc->lock, value);
        break;
    case ADDRESS:
        gateway(vsc, value);
        break;
    case DATA:
        vsc->data = value;
        break;
    default:
        break;
    }
}
