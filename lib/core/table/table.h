/*
 * The command table: which firmware commands and registers may run, with which scope, and what they
 * do. What has no row does not run; row 0 is refused. Rows only, no policy: who may use a row is
 * decided elsewhere. Immutable data, no state; any thread.
 *
 * Scope: the agent always uses the lowest scope that passes the kernel's filter. A register READ
 * needs scope 1 there, a WRITE passes at 0 (drivers/fwctl/mlx5/main.c), so a row's effect, not its
 * scope, says whether it changes anything.
 */
#ifndef HWS_TABLE_TABLE_H
#define HWS_TABLE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "table/row.h"

/* Rows, the refused row 0 included: valid ids are 1..hws_table_n() - 1. */
uint16_t hws_table_n(void);

/* The row with this id; NULL for 0 and beyond the end. */
const struct hws_table_row *hws_table_at(uint16_t id);

/* The id of a row that a function of this file returned. */
uint16_t hws_table_id(const struct hws_table_row *row);

/* A command (never a register access); NULL if there is no row for it. */
const struct hws_table_row *hws_table_command(enum hws_kind kind, uint16_t opcode, uint16_t op_mod);

/* A register and method; NULL if there is no row for it. */
const struct hws_table_row *hws_table_register(enum hws_kind kind, uint16_t register_id,
                                               enum hws_reg_method method);

/*
 * By name ("QUERY_ADAPTER", case does not matter) or number ("0x101", "257"). HWS_E_NOT_FOUND names
 * what was asked for, HWS_E_DENIED says why review refused it; HWS_E_INVALID for a number over
 * 0xFFFF.
 */
enum hws_code hws_table_find_command(enum hws_kind kind, const char *text, uint16_t op_mod,
                                     const struct hws_table_row **out, struct hws_err *err)
    HWS_MUST_USE;

/* The same for a register ("MGIR", "0x9020") and method. A register that exists with the other
 * method only is HWS_E_DENIED, saying so. */
enum hws_code hws_table_find_register(enum hws_kind kind, const char *text,
                                      enum hws_reg_method method, const struct hws_table_row **out,
                                      struct hws_err *err) HWS_MUST_USE;

/* The row that a raw inbox of n bytes is of, by its header; NULL if none (too short, unknown). */
const struct hws_table_row *hws_table_of_inbox(enum hws_kind kind, const uint8_t *in, size_t n);

/*
 * HWS_OK if lengths suit the row: in_bytes of inbox and out_cap bytes asked for. HWS_E_INVALID,
 * naming the allowed range.
 */
enum hws_code hws_table_check_lengths(const struct hws_table_row *row, size_t in_bytes,
                                      size_t out_cap, struct hws_err *err) HWS_MUST_USE;

/*
 * HWS_OK if the bits of an inbox of n bytes that decide what the row's command does are as
 * fields.def wants them: a read that would clear, an address for DMA and the like are HWS_E_DENIED,
 * with the reason. The inbox must be of the row.
 */
enum hws_code hws_table_check_fields(const struct hws_table_row *row, const uint8_t *in, size_t n,
                                     struct hws_err *err) HWS_MUST_USE;

/* Why an opcode (register_id 0) or a register (opcode ACCESS_REG) that has no row was refused in
 * review; "" if refused.def does not list it. */
const char *hws_table_refused(uint16_t opcode, uint16_t register_id);

/* Appends the table as canonical text, one line a row, a field and a refusal, for hashing and
 * release notes. */
enum hws_code hws_table_text(struct hws_buf *out) HWS_MUST_USE;

/* "read", "config-next-reset", ...; "?" out of range. The inverse: HWS_EFFECT_NONE if unknown. */
const char *hws_effect_name(enum hws_effect effect);
enum hws_effect hws_effect_from_name(const char *name);

/* True if the effect is more than a read. */
bool hws_effect_mutates(enum hws_effect effect);

/* "mlx5"; "?" out of range. The inverse: HWS_KIND_NONE if unknown. */
const char *hws_kind_name(enum hws_kind kind);
enum hws_kind hws_kind_from_name(const char *name);

/* "", "read", "write". */
const char *hws_reg_method_name(enum hws_reg_method method);

#endif
