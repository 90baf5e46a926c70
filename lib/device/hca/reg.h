/*
 * Registers by name: the layouts of ifc/reg/ as tables, a generic decoder from register bytes to
 * named rows, and an encoder from named fields to register bytes.
 *
 * Everything shown is decoded from the bytes given. Nothing here allocates or keeps state; any
 * thread.
 */
#ifndef HWS_HCA_REG_H
#define HWS_HCA_REG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

/* The largest register this build knows (MNVDA); other registers, by number, may be as large. */
#define HWS_REG_MAX_BYTES 0x10Cu

/* Text of one field: the widest is a text of 236 characters, all of them escaped. */
#define HWS_REG_VALUE_BYTES   1024u
#define HWS_REG_MEANING_BYTES 160u

/* What a write to a register does, and when it counts. */
enum hws_reg_kind {
    HWS_REG_RO,       /* read only */
    HWS_REG_RO_CLEAR, /* read only but for a bit that clears counters */
    HWS_REG_RW,       /* volatile, live at once */
    HWS_REG_NV,       /* flash; counts at the next boot or reset */
    HWS_REG_OP        /* an action */
};

enum hws_reg_field_kind {
    HWS_FIELD_UINT,   /* decimal */
    HWS_FIELD_SINT,   /* decimal, two's complement */
    HWS_FIELD_HEX,    /* 0x hex; over 64 bits: hex digits of the bytes */
    HWS_FIELD_STRING, /* characters up to the first NUL; shown escaped */
    HWS_FIELD_FLAG,   /* one bit, 0 or 1 */
    HWS_FIELD_INDEX,  /* decimal; selects what is read, so a read may set it */
    HWS_FIELD_BITMAP  /* 0x hex; the enumeration names bit numbers */
};

/* Enumerations of field values (ifc/reg/enums.def). */
enum hws_reg_enum {
    HWS_REG_ENUM_NONE,
#define HWS_REG_ENUM(name, source) HWS_REG_ENUM_##name,
#define HWS_REG_VALUE(name, value, text)
#include "ifc/reg/enums.def"
#undef HWS_REG_ENUM
#undef HWS_REG_VALUE
    HWS_REG_N_ENUMS
};

struct hws_reg_field {
    const char *name;      /* the vendor's spelling */
    uint16_t offset_bytes; /* of the dword the field lies in; of the first byte for strings and wide
                              fields */
    uint8_t lsb_idx;       /* lowest bit inside that dword; 0 for strings and wide fields */
    uint16_t n_bits;       /* 1..32 inside one dword, 64, or a multiple of 8 */
    enum hws_reg_field_kind kind;
    enum hws_reg_enum enumeration; /* what values (or, for bitmaps, bit numbers) mean */
    const char *source;
};

/* Fields that exist only while a selector field of the header has one value (counter groups,
 * pages). */
struct hws_reg_page {
    const char *selector; /* name of the header's field */
    uint32_t value;       /* UINT32_MAX: every value that no page before it has */
    const struct hws_reg_field *fields;
    size_t n_fields;
};

struct hws_reg {
    uint16_t id;
    uint16_t size_bytes;
    const char *name;
    enum hws_reg_kind kind;
    const char *use;
    const struct hws_reg_field *fields;
    size_t n_fields;
    const struct hws_reg_page *pages; /* NULL: none */
    size_t n_pages;
};

/* One decoded field; the texts are valid inside the callback only. */
struct hws_reg_row {
    const char *name;
    const char *value;   /* "16", "0x218", or escaped text */
    const char *meaning; /* decoded enumeration; "" where none is known */
};

/* A field to set, by name. */
struct hws_reg_assign {
    const char *name;
    const char *value; /* decimal, 0x hex, the enumeration's text, or text for character fields */
};

/* How many registers there are, and the one at idx (0..count - 1), in order of id. */
size_t hws_reg_count(void);
const struct hws_reg *hws_reg_at(size_t idx);

/* NULL if this build has no layout for it. Names match in any case. */
const struct hws_reg *hws_reg_by_id(uint16_t id);
const struct hws_reg *hws_reg_by_name(const char *name);

/* "RO", "RO+clear", "RW", "NV", "OP". */
const char *hws_reg_kind_name(enum hws_reg_kind kind);

/*
 * Calls row_cb once per field that the bytes have, in layout order, with the page that the bytes
 * select. Bits that are set where no field lies follow as rows "undecoded@0x1c", so that no byte of
 * a reply goes unseen. n must be at least the register's size: HWS_E_PROTO names the first field
 * that is cut off, and no row was made.
 */
enum hws_code hws_reg_decode(const struct hws_reg *reg, const uint8_t *bytes, size_t n,
                             void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg,
                             struct hws_err *err) HWS_MUST_USE;

/*
 * Sets fields in bytes (n >= the register's size; what is not named keeps its value, so zero them
 * or read first). A read may set index fields only, a write any field. HWS_E_INVALID: unknown name
 * (the text lists the allowed ones), a value out of range (the text says the range), or a name
 * given twice; bytes are then unchanged.
 */
enum hws_code hws_reg_encode(const struct hws_reg *reg, bool write,
                             const struct hws_reg_assign *fields, size_t n_fields, uint8_t *bytes,
                             size_t n, struct hws_err *err) HWS_MUST_USE;

/*
 * One numeric field (at most 64 bits) or one character field by its name, for code that knows the
 * register. A name the layout lacks is a bug of ours (assert); the bytes must be the whole
 * register. The text function refuses unprintable characters and anything but NUL or blanks after
 * the first NUL: HWS_E_PROTO naming register and field.
 */
uint64_t hws_reg_get(const struct hws_reg *reg, const uint8_t *bytes, const char *field)
    HWS_MUST_USE;
enum hws_code hws_reg_get_text(const struct hws_reg *reg, const uint8_t *bytes, const char *field,
                               char *dst, size_t cap, struct hws_err *err) HWS_MUST_USE;

/* Sets one numeric field by name; same rule. The value must fit. */
void hws_reg_put(const struct hws_reg *reg, uint8_t *bytes, const char *field, uint64_t value);

/* The enumeration's text for a value of a field; "" where none is known. */
const char *hws_reg_meaning(const struct hws_reg *reg, const char *field, uint32_t value);

#endif
