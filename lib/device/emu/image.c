/* Firmware images: header, payload, digest. */
#include "emu/image.h"

#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "crypt/digest.h"

static const uint8_t magic[] = {'H', 'W', 'S', 'F', 'I', 'M', 'G', 1};

#define OFF_LENGTH  8u
#define OFF_DEVICE  12u
#define OFF_PSID    16u
#define PSID_BYTES  16u
#define OFF_VERSION 32u

static bool older(const struct hws_emu_version *a, const struct hws_emu_version *b)
{
    if (a->major != b->major) {
        return a->major < b->major;
    }
    return a->minor != b->minor ? a->minor < b->minor : a->subminor < b->subminor;
}

void hws_emu_version_store(const struct hws_emu_version *v, uint8_t *out)
{
    memset(out, 0, HWS_EMU_VERSION_BYTES);
    hws_store_be16(out, v->major);
    hws_store_be16(out + 2, v->minor);
    hws_store_be16(out + 4, v->subminor);
    hws_store_be16(out + 6, v->year);
    out[8] = v->month;
    out[9] = v->day;
    hws_store_be32(out + 12, v->build_id);
    memcpy(out + 16, v->branch, strlen(v->branch));
}

bool hws_emu_version_load(const uint8_t *bytes, struct hws_emu_version *out)
{
    *out = (struct hws_emu_version){
        .major = hws_load_be16(bytes),
        .minor = hws_load_be16(bytes + 2),
        .subminor = hws_load_be16(bytes + 4),
        .year = hws_load_be16(bytes + 6),
        .month = bytes[8],
        .day = bytes[9],
        .build_id = hws_load_be32(bytes + 12),
    };
    memcpy(out->branch, bytes + 16, sizeof(out->branch) - 1);
    for (const char *c = out->branch; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            return false;
        }
    }
    return true;
}

enum hws_emu_verdict hws_emu_image_check(const uint8_t *bytes, size_t n,
                                         const struct hws_emu_profile *profile,
                                         struct hws_emu_version *out)
{
    struct hws_emu_version version;
    struct hws_digest digest;
    char psid[PSID_BYTES + 1] = {0};

    if (n < HWS_EMU_IMAGE_MIN_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0 ||
        hws_load_be32(bytes + OFF_LENGTH) != n) {
        return HWS_EMU_VERDICT_BAD_FORMAT;
    }
    if (hws_sha256_of(bytes, n - HWS_DIGEST_BYTES, &digest) != HWS_OK) {
        return HWS_EMU_VERDICT_ERROR;
    }
    if (memcmp(digest.b, bytes + n - HWS_DIGEST_BYTES, HWS_DIGEST_BYTES) != 0) {
        return HWS_EMU_VERDICT_DIGEST;
    }
    memcpy(psid, bytes + OFF_PSID, PSID_BYTES);
    if (hws_load_be16(bytes + OFF_DEVICE) != profile->hw_dev_id ||
        !hws_str_eq(psid, profile->psid)) {
        return HWS_EMU_VERDICT_NOT_APPLICABLE;
    }
    if (!hws_emu_version_load(bytes + OFF_VERSION, &version)) {
        return HWS_EMU_VERDICT_BAD_FORMAT;
    }
    if (older(&version, &profile->oldest_version)) {
        return HWS_EMU_VERDICT_FORBIDDEN_VERSION;
    }
    *out = version;
    return HWS_EMU_VERDICT_OK;
}

enum hws_code hws_emu_image_seal(uint8_t *bytes, size_t n, uint16_t hw_dev_id, const char *psid,
                                 const struct hws_emu_version *version)
{
    struct hws_digest digest;

    memset(bytes, 0, HWS_EMU_IMAGE_HEADER_BYTES);
    memcpy(bytes, magic, sizeof(magic));
    hws_store_be32(bytes + OFF_LENGTH, (uint32_t)n);
    hws_store_be16(bytes + OFF_DEVICE, hw_dev_id);
    for (size_t i = 0; i < PSID_BYTES && psid[i] != '\0'; i++) {
        bytes[OFF_PSID + i] = (uint8_t)psid[i];
    }
    hws_emu_version_store(version, bytes + OFF_VERSION);
    enum hws_code rc = hws_sha256_of(bytes, n - HWS_DIGEST_BYTES, &digest);
    memcpy(bytes + n - HWS_DIGEST_BYTES, digest.b, rc == HWS_OK ? HWS_DIGEST_BYTES : 0);
    return rc;
}
