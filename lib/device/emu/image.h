/*
 * Firmware images of the emulated adapter: what an update stages. A format of its own, so that no
 * image of a real card is ever taken for one, nor the other way round. All big endian:
 *
 *   0  "HWSFIMG"   7 format = 1    8 whole length u32   12 hw_dev_id u16   16 PSID, 16 bytes zero
 * padded 32 major u16   34 minor u16   36 subminor u16   38 year u16 (BCD)   40 month u8   41 day
 * u8   44 build id u32 48 branch, 28 bytes zero padded   80 payload, any   last 32 bytes: SHA-256
 * of all before
 *
 * Pure; any thread.
 */
#ifndef HWS_EMU_IMAGE_H
#define HWS_EMU_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "emu/profile.h"

#define HWS_EMU_IMAGE_HEADER_BYTES 80u
#define HWS_EMU_IMAGE_DIGEST_BYTES 32u
#define HWS_EMU_IMAGE_MIN_BYTES    (HWS_EMU_IMAGE_HEADER_BYTES + HWS_EMU_IMAGE_DIGEST_BYTES)

/* Numbered as error_code of MCC. */
enum hws_emu_verdict {
    HWS_EMU_VERDICT_OK = 0,
    HWS_EMU_VERDICT_ERROR = 1, /* could not be judged */
    HWS_EMU_VERDICT_DIGEST = 2,
    HWS_EMU_VERDICT_NOT_APPLICABLE = 3, /* another chip's, or another PSID's */
    HWS_EMU_VERDICT_BAD_FORMAT = 8,
    HWS_EMU_VERDICT_PENDING_RESET = 9,
    HWS_EMU_VERDICT_FORBIDDEN_VERSION = 0xf
};

/*
 * Whether n bytes are an image for an adapter of that profile; on HWS_EMU_VERDICT_OK *out is what
 * it will run as.
 */
enum hws_emu_verdict hws_emu_image_check(const uint8_t *bytes, size_t n,
                                         const struct hws_emu_profile *profile,
                                         struct hws_emu_version *out) HWS_MUST_USE;

/*
 * Makes an image of n >= HWS_EMU_IMAGE_MIN_BYTES in bytes, around the payload that is there
 * already. HWS_E_NOMEM.
 */
enum hws_code hws_emu_image_seal(uint8_t *bytes, size_t n, uint16_t hw_dev_id, const char *psid,
                                 const struct hws_emu_version *version) HWS_MUST_USE;

#endif
