/* The records of tlvs.def, and MNVDA headers both ways. */
#include "nvconfig/tlv.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "hca/reg.h"

enum kind { SETTABLE, CAPABILITY };

static const struct hws_nv_tlv tlvs[] = {
#define HWS_NV_TLV(ident, class, port, index, bytes, kind, source)                                 \
    {#ident, HWS_NV_TYPE_##class(port, index), (bytes), (kind) == CAPABILITY, (source)},
#include "nvconfig/tlvs.def"
#undef HWS_NV_TLV
};

#define HWS_NV_TLV(ident, class, port, index, bytes, kind, source)                                 \
    _Static_assert((bytes) <= HWS_NV_TLV_MAX_BYTES && (bytes) % 4 == 0, #ident ": bytes");
#include "nvconfig/tlvs.def"
#undef HWS_NV_TLV

/* MNVDA dw0 (nv-param). */
#define ACCESS_LSB  22
#define ACCESS_BITS 2
#define WRITER_LSB  16
#define WRITER_BITS 5
#define LENGTH_LSB  0
#define LENGTH_BITS 9

#define WRITER_OTHER 0x1Fu /* adb: nv_hdr writer_id "other" */

size_t hws_nv_tlv_count(void)
{
    return HWS_NV_N_TLVS;
}

const struct hws_nv_tlv *hws_nv_tlv_at(size_t idx)
{
    hws_assert(idx < HWS_NV_N_TLVS);
    return &tlvs[idx];
}

size_t hws_nv_tlv_idx(const struct hws_nv_tlv *tlv)
{
    hws_assert(tlv >= tlvs && tlv < tlvs + HWS_NV_N_TLVS);
    return (size_t)(tlv - tlvs);
}

const struct hws_nv_tlv *hws_nv_tlv_by_type(uint32_t type)
{
    for (size_t i = 0; i < HWS_NV_N_TLVS; i++) {
        if (tlvs[i].type == type) {
            return &tlvs[i];
        }
    }
    return NULL;
}

void hws_nv_mnvda_encode(uint8_t *reg, uint32_t type, enum hws_nv_image image, const uint8_t *data,
                         size_t n)
{
    hws_assert(n <= HWS_NV_DATA_MAX_BYTES);
    memset(reg, 0, HWS_NV_HEADER_BYTES);
    hws_bits_put(reg, ACCESS_LSB, ACCESS_BITS, (uint32_t)image);
    hws_bits_put(reg, LENGTH_LSB, LENGTH_BITS, (uint32_t)n);
    hws_store_be32(reg + 4, type);
    if (data != NULL) {
        hws_bits_put(reg, WRITER_LSB, WRITER_BITS, WRITER_OTHER);
        memcpy(reg + HWS_NV_HEADER_BYTES, data, n);
    }
}

enum hws_code hws_nv_mnvda_decode(const uint8_t *reg, size_t reg_bytes, uint32_t type,
                                  enum hws_nv_image image, size_t n, const uint8_t **out_data,
                                  struct hws_err *err)
{
    if (reg_bytes < HWS_NV_HEADER_BYTES + n) {
        return hws_err_set(err, HWS_E_PROTO, "register MNVDA: %zu bytes, cut off before data",
                           reg_bytes);
    }
    uint32_t got_type = hws_load_be32(reg + 4);
    uint32_t got_length = hws_bits_get(reg, LENGTH_LSB, LENGTH_BITS);
    uint32_t got_image = hws_bits_get(reg, ACCESS_LSB, ACCESS_BITS);
    if (got_type != type) {
        return hws_err_set(err, HWS_E_PROTO,
                           "register MNVDA: field type is 0x%08" PRIx32 ", asked for 0x%08" PRIx32,
                           got_type, type);
    }
    if (got_length != n) {
        return hws_err_set(err, HWS_E_PROTO,
                           "register MNVDA: field length is %" PRIu32 ", record 0x%08" PRIx32
                           " has %zu",
                           got_length, type, n);
    }
    if (got_image != (uint32_t)image) {
        return hws_err_set(err, HWS_E_PROTO,
                           "register MNVDA: field access_mode is %" PRIu32 ", asked for %u",
                           got_image, (unsigned)image);
    }
    *out_data = reg + HWS_NV_HEADER_BYTES;
    return HWS_OK;
}
