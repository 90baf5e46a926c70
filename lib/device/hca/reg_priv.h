/* What the files of this layer share about layouts. Pure tables; any thread. */
#ifndef HWS_HCA_REG_PRIV_H
#define HWS_HCA_REG_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hca/reg.h"

/* Outboxes as layouts: their offsets count from the outbox's start; the first 16 bytes are cmd.c's.
 */
extern const struct hws_reg hws_hca__query_adapter;
extern const struct hws_reg hws_hca__query_hca_cap;

/* The text of a value, "" if none is known; and the value of a text. */
const char *hws_hca__meaning(enum hws_reg_enum enumeration, uint64_t value);
bool hws_hca__value_of(enum hws_reg_enum enumeration, const char *text, uint64_t *out_value);

/* The page that the bytes select; NULL if the register has none. */
const struct hws_reg_page *hws_hca__page(const struct hws_reg *reg, const uint8_t *bytes);

/* A field of the header or of the selected page; NULL if there is none of that name. */
const struct hws_reg_field *hws_hca__field(const struct hws_reg *reg, const uint8_t *bytes,
                                           const char *name);

/* Bytes from the register's start to the end of a field. */
size_t hws_hca__field_end(const struct hws_reg_field *f);

/* A field of at most 64 bits as a number. */
uint64_t hws_hca__field_number(const struct hws_reg_field *f, const uint8_t *bytes);
void hws_hca__field_store(const struct hws_reg_field *f, uint8_t *bytes, uint64_t value);

struct hws_hca__sink {
    void (*cb)(void *arg, const struct hws_reg_row *row);
    void *arg;
};

/*
 * As hws_reg_decode. Set bits are looked for from byte `from` on (what lies before is another
 * layout's); short_ok: a register asked for at less than its size gives the fields that lie wholly
 * inside n.
 */
enum hws_code hws_hca__decode(const struct hws_reg *reg, size_t from, const uint8_t *bytes,
                              size_t n, bool short_ok, const struct hws_hca__sink *sink,
                              struct hws_err *err) HWS_MUST_USE;

#endif
