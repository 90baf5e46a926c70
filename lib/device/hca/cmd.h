/*
 * Firmware commands as bytes: inboxes out, outboxes in.
 *
 * The pattern of every stepper above: prepare a call over its own buffers, hand it out, and judge
 * what came back. A result is judged twice: what the channel says of it (call->err) and what the
 * outbox itself says (status byte and syndrome), so a channel that passes a refused command as
 * success changes nothing. Nothing here allocates.
 */
#ifndef HWS_HCA_CMD_H
#define HWS_HCA_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "hca/reg.h"
#include "ifc/box.h"
#include "ifc/call.h"

/* A register access either way: header and register data (mlx5-ifc: access_register_in, _out). */
#define HWS_HCA_REGIO_BYTES (HWS_ACCESS_REG_DATA + HWS_REG_MAX_BYTES)

/* How long a stepper gives each command unless told otherwise (the kernel's own default,
 * core/cmd.c). */
#define HWS_HCA_CMD_TIMEOUT_MS 60000u

/* The two buffers of one register access, embedded in each stepper. */
struct hws_hca_regio {
    uint16_t reg_id;
    uint16_t reg_bytes; /* of register data, both ways */
    bool write;
    uint8_t in[HWS_HCA_REGIO_BYTES];
    uint8_t out[HWS_HCA_REGIO_BYTES];
};

/*
 * Makes io->in the inbox of an ACCESS_REG of reg_id over reg_bytes bytes (1..HWS_REG_MAX_BYTES;
 * data may be NULL for all zero) and fills in, out, lengths, scope and deadline of call; err and
 * out_bytes are cleared; cb and data are the caller's and stay. Reads need scope 1, writes scope 0
 * (mlx5-fwctl).
 */
void hws_hca_regio_prepare(struct hws_hca_regio *io, uint16_t reg_id, bool write,
                           const uint8_t *data, size_t reg_bytes, uint64_t deadline_ms,
                           struct hws_ctl_call *call);

/*
 * Judges the result: HWS_OK and *out_data = the register's bytes (borrowed from io, io->reg_bytes
 * long), or the channel's error, HWS_E_DEVICE with status and syndrome, or HWS_E_PROTO for an
 * outbox that is too short. The text begins with the register's name.
 */
enum hws_code hws_hca_regio_result(const struct hws_hca_regio *io, const struct hws_ctl_call *call,
                                   const uint8_t **out_data, struct hws_err *err) HWS_MUST_USE;

/*
 * Judges any command's result by channel and outbox header: HWS_OK, the channel's error,
 * HWS_E_DEVICE (stage EXECUTED with status and syndrome) or HWS_E_PROTO when fewer than want_bytes
 * (>= 16) came back.
 */
enum hws_code hws_hca_result(const struct hws_ctl_call *call, size_t want_bytes,
                             struct hws_err *err) HWS_MUST_USE;

/* True if the firmware answered that it does not have the thing asked for (as opposed to failing at
 * it). */
bool hws_hca_is_refusal(const struct hws_err *err);

/* Writes a 16-byte inbox header into in (cap >= 16), the rest zero: opcode and op_mod; the uid is
 * the kernel's. */
void hws_hca_header(uint8_t *in, size_t n, uint16_t opcode, uint16_t op_mod);

/* An inbox of ACCESS_REG for raw execution: 16 + n bytes into in[cap]; returns its length, 0 if cap
 * is too small. */
size_t hws_hca_access_reg(uint8_t *in, size_t cap, uint16_t reg_id, bool write, const uint8_t *data,
                          size_t n);

/*
 * Named rows of a known command's whole outbox (NOP, QUERY_ADAPTER, QUERY_HCA_CAP type 0,
 * ACCESS_REG of a register with a layout), decided by the inbox. status and syndrome always come
 * first. HWS_E_PROTO names the field that is cut off; HWS_E_UNSUPPORTED when the command has no
 * decoder here (status and syndrome rows were made).
 */
enum hws_code hws_hca_decode(const uint8_t *in, size_t in_bytes, const uint8_t *out,
                             size_t out_bytes,
                             void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg,
                             struct hws_err *err) HWS_MUST_USE;

/*
 * Named rows of any command's inbox: inbox.opcode, inbox.uid, inbox.op_mod; of a register access
 * also inbox.register_id and inbox.argument, and the register's fields where a layout is known and
 * the bytes are all there. HWS_E_PROTO, without a row, when in_bytes is less than the header.
 */
enum hws_code hws_hca_decode_request(const uint8_t *in, size_t in_bytes,
                                     void (*row_cb)(void *arg, const struct hws_reg_row *row),
                                     void *arg, struct hws_err *err) HWS_MUST_USE;

#endif
