/*
 * The non-volatile records (TLVs) that hold the parameters, and the MNVDA register that carries
 * one.
 *
 * MNVDA (nv-param): a 12-byte header and up to 256 bytes of data. dw0 [23:22] access mode,
 * [20:16] writer, [15:12] version, [8:0] length in bytes; dw4 the type word; dw8 a checksum that is
 * not needed here. Pure; any thread.
 */
#ifndef HWS_NVCONFIG_TLV_H
#define HWS_NVCONFIG_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define HWS_NV_TLV_MAX_BYTES  32u  /* of the TLVs in tlvs.def */
#define HWS_NV_HEADER_BYTES   12u  /* MNVDA header, MNVDI whole */
#define HWS_NV_DATA_MAX_BYTES 256u /* MNVDA data area */

/* The access modes of MNVDA: which image is meant. */
enum hws_nv_image {
    HWS_NV_NEXT,    /* what the next boot will use */
    HWS_NV_CURRENT, /* what runs now */
    HWS_NV_FACTORY, /* the default */
    HWS_NV_N_IMAGES
};

/* The records of tlvs.def, in its order. */
enum hws_nv_tlv_idx {
#define HWS_NV_TLV(name, class, port, index, bytes, kind, source) HWS_NV_TLV_##name,
#include "nvconfig/tlvs.def"
#undef HWS_NV_TLV
    HWS_NV_N_TLVS
};

struct hws_nv_tlv {
    const char *name; /* ours, for messages: "PCI" */
    uint32_t type;    /* the type word */
    uint8_t n_bytes;  /* of data, a multiple of 4 */
    bool cap;         /* read-only capability record */
    const char *source;
};

size_t hws_nv_tlv_count(void);
const struct hws_nv_tlv *hws_nv_tlv_at(size_t idx);

size_t hws_nv_tlv_idx(const struct hws_nv_tlv *tlv); /* the inverse */

/* The record of that type word; NULL if this build has none. */
const struct hws_nv_tlv *hws_nv_tlv_by_type(uint32_t type);

/* Type word by class: bits 31..24 the class, the rest by class (nv-param, mlxconfig-db). */
#define HWS_NV_TYPE_GLOBAL(port, index) (0x00000000u | (index))
#define HWS_NV_TYPE_PORT(port, index)   (0x01000000u | (uint32_t)(port) << 16 | (index))
#define HWS_NV_TYPE_PF(port, index)     (0x03000000u | (index)) /* host 0, PF 0: me */
#define HWS_NV_TYPE_HOST(port, index)   (0x07000000u | (index))

/* The header and, for data != NULL, n bytes of data into reg (HWS_NV_HEADER_BYTES + n long); image
 * NEXT for writes. */
void hws_nv_mnvda_encode(uint8_t *reg, uint32_t type, enum hws_nv_image image, const uint8_t *data,
                         size_t n);

/*
 * Checks a reply's header against what was asked (type, length, image) and points *out_data at its
 * n data bytes. HWS_E_PROTO names the field that does not fit.
 */
enum hws_code hws_nv_mnvda_decode(const uint8_t *reg, size_t reg_bytes, uint32_t type,
                                  enum hws_nv_image image, size_t n, const uint8_t **out_data,
                                  struct hws_err *err) HWS_MUST_USE;

#endif
