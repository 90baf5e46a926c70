/*
 * The parameter images and their bytes.
 *
 * parse reads into a second set of values and swaps only when all of it is good, so that a torn or
 * foreign file changes nothing. The checksum is at the end: a cut file misses it.
 */
#include "emu/nvstore.h"

#include <string.h>

#include "base/bits.h"
#include "base/mem.h"

#define MAGIC        "HWSNV"
#define MAGIC_BYTES  5u
#define VERSION      1u
#define OFF_VERSION  5u
#define OFF_N        6u
#define OFF_SERIAL   8u
#define SERIAL_BYTES 24u
#define ROW_BYTES    8u
#define CRC_BYTES    4u

/* CRC-32 of IEEE 802.3, reflected, bit by bit: the images are small and written seldom. */
static uint32_t crc32(const uint8_t *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    return ~crc;
}

enum hws_code hws_emu_nv_init(struct hws_emu_nv *nv, const struct hws_emu_profile *profile,
                              struct hws_err *err)
{
    *nv = (struct hws_emu_nv){.profile = profile, .running = profile->version};
    nv->values = hws_mem_zalloc((size_t)profile->n_tlvs + 1, sizeof(*nv->values));
    if (nv->values == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "parameter images: out of memory");
    }
    hws_emu_nv_boot(nv);
    return HWS_OK;
}

void hws_emu_nv_deinit(struct hws_emu_nv *nv)
{
    hws_mem_free(nv->values);
    nv->values = NULL;
}

bool hws_emu_nv_find(const struct hws_emu_nv *nv, uint32_t type, uint32_t *out_idx)
{
    for (uint32_t i = 0; i < nv->profile->n_tlvs; i++) {
        if (nv->profile->tlvs[i].type == type) {
            *out_idx = i;
            return true;
        }
    }
    return false;
}

const uint8_t *hws_emu_nv_read(const struct hws_emu_nv *nv, uint32_t tlv_idx,
                               enum hws_emu_image image)
{
    const struct hws_emu_nv_value *v = &nv->values[tlv_idx];

    switch (image) {
    case HWS_EMU_IMAGE_RUNNING:
        return v->running;
    case HWS_EMU_IMAGE_NEXT:
        return v->is_stored ? v->stored : nv->profile->tlvs[tlv_idx].def;
    case HWS_EMU_IMAGE_DEFAULT:
    default:
        return nv->profile->tlvs[tlv_idx].def;
    }
}

uint32_t hws_emu_nv_bits(const struct hws_emu_nv *nv, const struct hws_emu_bits *at,
                         enum hws_emu_image image)
{
    uint32_t idx;

    if (!hws_emu_nv_find(nv, at->type, &idx)) {
        return 0;
    }
    return hws_bits_get(hws_emu_nv_read(nv, idx, image) + at->dw, at->lsb_idx, at->n_bits);
}

void hws_emu_nv_boot(struct hws_emu_nv *nv)
{
    for (uint32_t i = 0; i < nv->profile->n_tlvs; i++) {
        memcpy(nv->values[i].running, hws_emu_nv_read(nv, i, HWS_EMU_IMAGE_NEXT),
               sizeof(nv->values[i].running));
    }
    if (nv->has_pending) {
        nv->running = nv->pending;
        nv->has_pending = false;
        nv->updated = true;
    }
}

static bool field_ok(const struct hws_emu_nv *nv, const struct hws_emu_field *f,
                     const uint8_t *bytes)
{
    uint32_t v = hws_bits_get(bytes + f->at.dw, f->at.lsb_idx, f->at.n_bits);

    if (v < f->min || v > f->max) {
        return false;
    }
    if (f->has_max_from && v > hws_emu_nv_bits(nv, &f->max_from, HWS_EMU_IMAGE_DEFAULT)) {
        return false;
    }
    return !f->has_needs || v == f->def || hws_emu_nv_bits(nv, &f->needs, HWS_EMU_IMAGE_NEXT) != 0;
}

const struct hws_emu_field *hws_emu_nv_reject(const struct hws_emu_nv *nv, uint32_t tlv_idx,
                                              const uint8_t *bytes)
{
    const struct hws_emu_tlv *tlv = &nv->profile->tlvs[tlv_idx];

    for (uint32_t i = 0; i < tlv->n_fields; i++) {
        if (!field_ok(nv, &tlv->fields[i], bytes)) {
            return &tlv->fields[i];
        }
    }
    return NULL;
}

/* ---- bytes ---- */

static size_t put_version(uint8_t *out, uint32_t type, const struct hws_emu_version *v)
{
    hws_store_be32(out, type);
    hws_store_be16(out + 4, HWS_EMU_VERSION_BYTES);
    out[6] = 0;
    out[7] = 0;
    hws_emu_version_store(v, out + ROW_BYTES);
    return ROW_BYTES + HWS_EMU_VERSION_BYTES;
}

size_t hws_emu_nv_serialize(const struct hws_emu_nv *nv, uint8_t *out)
{
    size_t at = HWS_EMU_NV_HEADER_BYTES;
    uint16_t n = 0;

    memset(out, 0, HWS_EMU_NV_HEADER_BYTES);
    memcpy(out, MAGIC, MAGIC_BYTES);
    out[OFF_VERSION] = VERSION;
    memcpy(out + OFF_SERIAL, nv->profile->serial, strlen(nv->profile->serial));
    for (uint32_t i = 0; i < nv->profile->n_tlvs; i++) {
        const struct hws_emu_tlv *tlv = &nv->profile->tlvs[i];
        if (!nv->values[i].is_stored) {
            continue;
        }
        hws_store_be32(out + at, tlv->type);
        hws_store_be16(out + at + 4, tlv->bytes);
        out[at + 6] = nv->values[i].writer_id;
        out[at + 7] = 0;
        memcpy(out + at + ROW_BYTES, nv->values[i].stored, tlv->bytes);
        at += ROW_BYTES + tlv->bytes;
        n++;
    }
    if (nv->updated) {
        at += put_version(out + at, HWS_EMU_NV_ROW_RUNNING, &nv->running);
        n++;
    }
    if (nv->has_pending) {
        at += put_version(out + at, HWS_EMU_NV_ROW_PENDING, &nv->pending);
        n++;
    }
    hws_store_be16(out + OFF_N, n);
    hws_store_be32(out + at, crc32(out, at));
    return at + CRC_BYTES;
}

static enum hws_code check_frame(const struct hws_emu_nv *nv, const uint8_t *bytes, size_t n,
                                 struct hws_err *err)
{
    uint8_t serial[SERIAL_BYTES] = {0};

    if (n < HWS_EMU_NV_HEADER_BYTES + CRC_BYTES || n > HWS_EMU_NV_MAX_BYTES ||
        memcmp(bytes, MAGIC, MAGIC_BYTES) != 0) {
        return hws_err_set(err, HWS_E_PROTO, "stored parameters: not an image of ours (%zu bytes)",
                           n);
    }
    if (hws_load_be32(bytes + n - CRC_BYTES) != crc32(bytes, n - CRC_BYTES)) {
        return hws_err_set(err, HWS_E_PROTO,
                           "stored parameters: checksum error, the image is torn or altered");
    }
    if (bytes[OFF_VERSION] != VERSION) {
        return hws_err_set(err, HWS_E_PROTO, "stored parameters: image version %u, expected %u",
                           bytes[OFF_VERSION], VERSION);
    }
    memcpy(serial, nv->profile->serial, strlen(nv->profile->serial));
    if (memcmp(bytes + OFF_SERIAL, serial, SERIAL_BYTES) != 0) {
        return hws_err_set(err, HWS_E_CONFLICT,
                           "stored parameters: the image is another adapter's, not %s",
                           nv->profile->serial);
    }
    return HWS_OK;
}

/* The row is a firmware version that was not given yet: takes it into `to`. */
static bool take_version(struct hws_emu_nv *to, uint32_t type, const uint8_t *bytes, size_t n)
{
    bool running = type == HWS_EMU_NV_ROW_RUNNING;

    if ((!running && type != HWS_EMU_NV_ROW_PENDING) || n != HWS_EMU_VERSION_BYTES ||
        (running ? to->updated : to->has_pending) ||
        !hws_emu_version_load(bytes, running ? &to->running : &to->pending)) {
        return false;
    }
    to->updated = to->updated || running;
    to->has_pending = to->has_pending || !running;
    return true;
}

/* The row is a record of the profile that was not given yet: takes it into `to`. */
static bool take_record(struct hws_emu_nv *to, uint32_t type, uint8_t writer_id,
                        const uint8_t *bytes, size_t n)
{
    uint32_t idx;

    if (!hws_emu_nv_find(to, type, &idx) || to->profile->tlvs[idx].bytes != n ||
        to->profile->tlvs[idx].read_only || to->values[idx].is_stored) {
        return false;
    }
    to->values[idx].is_stored = true;
    to->values[idx].writer_id = writer_id;
    memcpy(to->values[idx].stored, bytes, n);
    return true;
}

static enum hws_code parse_rows(struct hws_emu_nv *to, const uint8_t *bytes, size_t n,
                                struct hws_err *err)
{
    size_t at = HWS_EMU_NV_HEADER_BYTES;

    for (uint32_t left = hws_load_be16(bytes + OFF_N); left > 0; left--) {
        uint16_t n_bytes = n - at >= ROW_BYTES ? hws_load_be16(bytes + at + 4) : 0;
        if (n - at < ROW_BYTES || n - at - ROW_BYTES < n_bytes) {
            return hws_err_set(err, HWS_E_PROTO,
                               "stored parameters: the image ends inside a record");
        }
        uint32_t type = hws_load_be32(bytes + at);
        const uint8_t *data = bytes + at + ROW_BYTES;
        if (!take_version(to, type, data, n_bytes) &&
            !take_record(to, type, bytes[at + 6], data, n_bytes)) {
            return hws_err_set(err, HWS_E_PROTO,
                               "stored parameters: record 0x%08x of %u bytes is not this profile's",
                               type, n_bytes);
        }
        at += ROW_BYTES + n_bytes;
    }
    if (at != n) {
        return hws_err_set(err, HWS_E_PROTO, "stored parameters: %zu bytes too many", n - at);
    }
    return HWS_OK;
}

enum hws_code hws_emu_nv_parse(struct hws_emu_nv *nv, const uint8_t *bytes, size_t n,
                               struct hws_err *err)
{
    struct hws_emu_nv to;
    enum hws_code rc = check_frame(nv, bytes, n, err);

    if (rc == HWS_OK) {
        rc = hws_emu_nv_init(&to, nv->profile, err);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    rc = parse_rows(&to, bytes, n - CRC_BYTES, err);
    for (uint32_t i = 0; rc == HWS_OK && i < nv->profile->n_tlvs; i++) {
        nv->values[i].is_stored = to.values[i].is_stored;
        nv->values[i].writer_id = to.values[i].writer_id;
        memcpy(nv->values[i].stored, to.values[i].stored, sizeof(to.values[i].stored));
    }
    if (rc == HWS_OK) {
        nv->running = to.running;
        nv->pending = to.pending;
        nv->updated = to.updated;
        nv->has_pending = to.has_pending;
    }
    hws_emu_nv_deinit(&to);
    return rc;
}
