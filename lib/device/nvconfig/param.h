/*
 * The non-volatile parameters this build knows (params.def): by name, with type, range, enumeration
 * and where their bits are. Pure tables; no device is asked here. Any thread.
 *
 * A setting goes through hws_nv_param_find and hws_nv_param_parse before any device I/O: an unknown
 * name and a value out of range are refused there, and the text names what is allowed. Some ranges
 * are narrower on a given adapter (max_cap); a plan judges those after reading the adapter's
 * capabilities, still before any write.
 */
#ifndef HWS_NVCONFIG_PARAM_H
#define HWS_NVCONFIG_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define HWS_NV_VALUE_BYTES 40u /* a value as text, with its NUL */

enum hws_nv_type { HWS_NV_BOOL, HWS_NV_UNSIGNED, HWS_NV_ENUM };

/* What a setting needs before it runs; ordered, so that the highest of several is their maximum. */
enum hws_nv_reset {
    HWS_NV_RESET_NONE,     /* live at once */
    HWS_NV_RESET_DRIVER,   /* driver restart */
    HWS_NV_RESET_FIRMWARE, /* MFRL level 3 */
    HWS_NV_RESET_WARM,     /* MFRL level 6 */
    HWS_NV_RESET_COLD      /* power cycle */
};

struct hws_nv_enum_value {
    const char *name;
    uint32_t value;
};

/* Bits inside a record's data; n_bits 0 = no such field. */
struct hws_nv_field {
    uint8_t tlv_idx;      /* enum hws_nv_tlv_idx */
    uint8_t offset_bytes; /* of the dword */
    uint8_t lsb_idx;
    uint8_t n_bits;
};

struct hws_nv_param {
    const char *name; /* the vendor's spelling; per-port ones end in _P1, _P2 */
    enum hws_nv_type type;
    struct hws_nv_field field;
    struct hws_nv_field valid; /* the bit that makes the field count; set with every write of it */
    uint32_t min;
    uint32_t max;                           /* by this table; an adapter may allow less */
    const struct hws_nv_enum_value *values; /* enumerations only */
    size_t n_values;
    struct hws_nv_field max_cap;     /* read-only capability holding the adapter's maximum */
    struct hws_nv_field max_valid;   /* the bit that makes max_cap count */
    struct hws_nv_field support_cap; /* read-only capability bit: 0 = not on this adapter */
    enum hws_nv_reset reset;
    const char *unit; /* "" */
    const char *description;
    const char *source;
};

size_t hws_nv_param_count(void);
const struct hws_nv_param *hws_nv_param_at(size_t idx); /* 0..count - 1, in table order */

size_t hws_nv_param_idx(const struct hws_nv_param *p); /* the inverse */

/* By name in any case. HWS_E_NOT_FOUND: the text suggests the nearest names. */
enum hws_code hws_nv_param_find(const char *name, const struct hws_nv_param **out,
                                struct hws_err *err) HWS_MUST_USE;

/* "True" or "1", "16", "0x10", "ETH", "ETH(2)", "2". HWS_E_INVALID: the text names the parameter
 * and what is allowed. */
enum hws_code hws_nv_param_parse(const struct hws_nv_param *p, const char *text, uint32_t *out,
                                 struct hws_err *err) HWS_MUST_USE;

/* "True", "16", "ETH"; an enumeration's value without a name as its number. cap >=
 * HWS_NV_VALUE_BYTES. */
void hws_nv_param_format(const struct hws_nv_param *p, uint32_t value, char *dst, size_t cap);

/* "True or False", "0..65535", "IB(1) or ETH(2)" into dst; limit is the adapter's maximum, or
 * p->max. */
void hws_nv_param_allowed(const struct hws_nv_param *p, uint32_t limit, char *dst, size_t cap);

/* "none", "driver restart", "firmware reset", "warm reboot", "power cycle". */
const char *hws_nv_reset_name(enum hws_nv_reset reset);

#endif
