/*
 * The firmware update of the emulated adapter, as MCC and MCDA drive it.
 *
 *   IDLE --lock--> LOCKED --update--> INITIALIZE --erase_ms--> DOWNLOAD --verify--> VERIFY
 * --verify_ms--> LOCKED LOCKED (applied) --activate--> ACTIVATE --activate_ms--> LOCKED, pending
 * reset any --cancel--> LOCKED      any --release, force release, update_timeout_ms without an
 * instruction, boot--> IDLE
 *
 * A verdict other than OK stays in error_code until the next instruction. The image becomes the
 * running one at the next boot, and is stored for it before ACTIVATE ends. One component: the boot
 * image.
 */
#ifndef HWS_EMU_UPDATE_H
#define HWS_EMU_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/image.h"

#define HWS_EMU_UPDATE_LOG_WORD  2u   /* MCDA: offsets and sizes are whole dwords */
#define HWS_EMU_UPDATE_MAX_WRITE 128u /* bytes in one MCDA */

enum hws_emu_update_state { /* numbered as control_state of MCC */
                            HWS_EMU_UPDATE_IDLE = 0,
                            HWS_EMU_UPDATE_LOCKED = 1,
                            HWS_EMU_UPDATE_INITIALIZE = 2,
                            HWS_EMU_UPDATE_DOWNLOAD = 3,
                            HWS_EMU_UPDATE_VERIFY = 4,
                            HWS_EMU_UPDATE_ACTIVATE = 6
};

enum hws_emu_component_state { /* numbered as component_update_state of MCQS */
                               HWS_EMU_COMPONENT_IDLE = 0,
                               HWS_EMU_COMPONENT_IN_PROGRESS = 1,
                               HWS_EMU_COMPONENT_APPLIED = 2,
                               HWS_EMU_COMPONENT_ACTIVE = 3,
                               HWS_EMU_COMPONENT_PENDING_RESET = 4,
                               HWS_EMU_COMPONENT_FAILED = 5,
                               HWS_EMU_COMPONENT_CANCELED = 6
};

struct hws_emu_update {
    uint8_t *staged; /* owned; image_bytes of the profile */
    enum hws_emu_update_state state;
    enum hws_emu_component_state component;
    enum hws_emu_verdict error;
    bool touched;                   /* somebody has changed the component's state since boot */
    uint32_t handle;                /* 24 bits, never 0: held, or offered to who locks next */
    uint32_t size;                  /* declared; 0 = not */
    uint32_t top;                   /* end of the last byte written */
    uint64_t since_ms;              /* of the state; what a busy one began */
    uint64_t last_ms;               /* the last instruction of the holder */
    struct hws_emu_version version; /* of the applied image */
};

#endif
