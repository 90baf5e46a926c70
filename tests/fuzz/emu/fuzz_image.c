/* A staged firmware image: any bytes. What is accepted has a version that can be shown and stored.
 */
#include <string.h>

#include "base/assert.h"
#include "emu/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hws_emu_profile profile = {.psid = "P", .hw_dev_id = 0x218};
    static uint8_t sealed[4096];
    struct hws_emu_version version;
    uint8_t stored[HWS_EMU_VERSION_BYTES];

    if (hws_emu_image_check(data, size, &profile, &version) == HWS_EMU_VERDICT_OK) {
        hws_emu_version_store(&version, stored);
        hws_assert(hws_emu_version_load(stored, &version));
    }
    if (size < HWS_EMU_IMAGE_MIN_BYTES || size > sizeof(sealed) ||
        !hws_emu_version_load(data, &version)) {
        return 0;
    }
    memcpy(sealed, data, size);
    if (hws_emu_image_seal(sealed, size, profile.hw_dev_id, profile.psid, &version) == HWS_OK) {
        hws_assert(hws_emu_image_check(sealed, size, &profile, &version) == HWS_EMU_VERDICT_OK);
    }
    return 0;
}
