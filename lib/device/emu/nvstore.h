/*
 * Non-volatile parameters of an emulated adapter: raw TLV bytes keyed by the type word, in four
 * images.
 *
 *   default    what the profile says
 *   stored     what has been written and not invalidated (may be absent, per TLV)
 *   next boot  stored where present, else default
 *   running    next boot as it was at the last boot
 *
 * Only `stored` survives a power cycle; its bytes are what serialize gives and parse takes:
 *   0  "HWSNV"  5 version = 1  6 n_tlvs u16  8 serial, 24 bytes zero padded
 *   32 n_tlvs of {type u32, bytes u16, writer u8, zero u8, data}; two types are firmware versions
 *   last 4 bytes: CRC-32 (IEEE 802.3) of all before; all big endian
 * Pure: the program does the file I/O. Thread rule: the model's thread.
 */
#ifndef HWS_EMU_NVSTORE_H
#define HWS_EMU_NVSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "emu/profile.h"

#define HWS_EMU_NV_HEADER_BYTES 32u
#define HWS_EMU_NV_MAX_BYTES                                                                       \
    (HWS_EMU_NV_HEADER_BYTES + HWS_EMU_MAX_TLVS * (8u + HWS_EMU_TLV_MAX_BYTES) +                   \
     2 * (8u + HWS_EMU_VERSION_BYTES) + 4u)

/* Rows that are no TLV: the firmware that runs, if it came by an update, and the one that waits. */
#define HWS_EMU_NV_ROW_RUNNING 0xfffffff0u
#define HWS_EMU_NV_ROW_PENDING 0xfffffff1u

enum hws_emu_image {
    HWS_EMU_IMAGE_NEXT = 0, /* numbered as MNVDA access_mode */
    HWS_EMU_IMAGE_RUNNING = 1,
    HWS_EMU_IMAGE_DEFAULT = 2
};

struct hws_emu_nv_value {
    bool is_stored;
    uint8_t writer_id; /* MNVDA writer_id of the stored value */
    uint8_t stored[HWS_EMU_TLV_MAX_BYTES];
    uint8_t running[HWS_EMU_TLV_MAX_BYTES];
};

struct hws_emu_nv {
    const struct hws_emu_profile *profile; /* borrowed (outlives this) */
    struct hws_emu_nv_value *values;       /* owned; one per TLV of the profile, same order */
    struct hws_emu_version running;        /* firmware */
    struct hws_emu_version pending;        /* firmware that the next boot runs, if has_pending */
    bool has_pending;
    bool updated; /* running is not the profile's */
};

/* Nothing stored, running = default. HWS_E_NOMEM. A failed init needs no undo. */
enum hws_code hws_emu_nv_init(struct hws_emu_nv *nv, const struct hws_emu_profile *profile,
                              struct hws_err *err) HWS_MUST_USE;

/* Accepts a zeroed one. */
void hws_emu_nv_deinit(struct hws_emu_nv *nv);

/*
 * Replaces the stored values by those in n bytes. HWS_E_PROTO for torn or altered bytes, for a TLV
 * this profile does not have or has with another length; HWS_E_CONFLICT for another adapter's.
 * Nothing is changed on failure.
 */
enum hws_code hws_emu_nv_parse(struct hws_emu_nv *nv, const uint8_t *bytes, size_t n,
                               struct hws_err *err) HWS_MUST_USE;

/* Writes the stored values into out[HWS_EMU_NV_MAX_BYTES]; returns how many bytes. */
size_t hws_emu_nv_serialize(const struct hws_emu_nv *nv, uint8_t *out);

/* Boot: running becomes next boot, and a firmware that waits runs. */
void hws_emu_nv_boot(struct hws_emu_nv *nv);

/* The bytes of TLV number tlv_idx in an image; as many as the profile says. */
const uint8_t *hws_emu_nv_read(const struct hws_emu_nv *nv, uint32_t tlv_idx,
                               enum hws_emu_image image);

/* Sets *out_idx to the TLV with that type word; false if there is none. */
bool hws_emu_nv_find(const struct hws_emu_nv *nv, uint32_t type, uint32_t *out_idx);

/* A run of bits of an image; 0 if the card has no such TLV. */
uint32_t hws_emu_nv_bits(const struct hws_emu_nv *nv, const struct hws_emu_bits *at,
                         enum hws_emu_image image);

/*
 * Judges new bytes of a TLV as firmware would: writable, every field in range, gates open. Returns
 * NULL if they are acceptable, else the field (or the TLV's first) that is not.
 */
const struct hws_emu_field *hws_emu_nv_reject(const struct hws_emu_nv *nv, uint32_t tlv_idx,
                                              const uint8_t *bytes);

#endif
