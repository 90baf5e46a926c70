/*
 * The reading half that get, plan, apply and reset share: support, images and capabilities of the
 * records.
 *
 * A record the firmware refuses to know is unsupported, with the reason; any other failure ends the
 * reading. Contract of next and feed: hca/identity.h.
 */
#ifndef HWS_NVCONFIG_READER_H
#define HWS_NVCONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "hca/cmd.h"
#include "ifc/call.h"
#include "nvconfig/param.h"
#include "nvconfig/tlv.h"

#define HWS_NV_MAX_PARAMS 128u

/* One record as read. */
struct hws_nv_record {
    bool supported;
    bool writable;
    bool wanted;       /* CURRENT and FACTORY are asked for, too */
    uint8_t fw_status; /* of the refusal, if one made it unsupported */
    bool has[HWS_NV_N_IMAGES];
    uint8_t data[HWS_NV_N_IMAGES][HWS_NV_TLV_MAX_BYTES];
};

struct hws_nv_reader {
    struct hws_err err; /* after HWS_STEP_FAILED */
    uint64_t timeout_ms;
    bool reads_factory; /* MNVGC */
    bool reads_current; /* MNVGC */
    struct hws_nv_record records[HWS_NV_N_TLVS];
    unsigned state; /* private */
    size_t tlv_idx; /* private */
    struct hws_hca_regio io;
};

/* Asks for nothing but NEXT of every record; set records[i].wanted for CURRENT and FACTORY. */
void hws_nv_reader_init(struct hws_nv_reader *r);
enum hws_step hws_nv_reader_next(struct hws_nv_reader *r, uint64_t now_ms,
                                 struct hws_ctl_call *call);
void hws_nv_reader_feed(struct hws_nv_reader *r, const struct hws_ctl_call *call);

/* SHA-256 over type, length and NEXT bytes of every supported, settable record. HWS_E_NOMEM. */
enum hws_code hws_nv_reader_revision(const struct hws_nv_reader *r, struct hws_digest *out)
    HWS_MUST_USE;

/* Whether the adapter has the parameter; if not, reason[cap] says why. */
bool hws_nv_reader_supports(const struct hws_nv_reader *r, const struct hws_nv_param *p,
                            char *reason, size_t cap);

/* The adapter's maximum of a parameter. */
uint32_t hws_nv_reader_max(const struct hws_nv_reader *r, const struct hws_nv_param *p);

/* Whether this adapter takes the value (NULL: any, only whether it can be set). HWS_E_UNSUPPORTED,
 * or HWS_E_INVALID naming what is allowed. */
enum hws_code hws_nv_reader_allows(const struct hws_nv_reader *r, const struct hws_nv_param *p,
                                   const uint32_t *value, struct hws_err *err) HWS_MUST_USE;

/* The parameter's text in data (the bytes of its record); dst holds HWS_NV_VALUE_BYTES. */
void hws_nv_reader_text(const struct hws_nv_param *p, const uint8_t *data, char *dst);

/* A field's bits in the data of its record; the field must exist (n_bits not 0). */
uint32_t hws_nv_field_get(const struct hws_nv_field *f, const uint8_t *data);
void hws_nv_field_put(const struct hws_nv_field *f, uint8_t *data, uint32_t value);

#endif
