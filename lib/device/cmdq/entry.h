/*
 * Encodes the entry that is handed to the card and judges the one that comes back. Pure; any
 * thread.
 */
#ifndef HWS_CMDQ_ENTRY_H
#define HWS_CMDQ_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ifc/entry.h"

/* What an entry says. */
struct hws_cmdq_cmd {
    const uint8_t *in; /* at least 16 bytes; the first 16 go inline */
    uint32_t in_bytes;
    uint32_t out_bytes;
    uint64_t in_ptr;  /* 0 = none */
    uint64_t out_ptr; /* 0 = none */
    uint16_t uid;     /* overrides inbox bytes 2..3 */
    uint8_t token;    /* 1..255 */
};

/* Fills the whole entry, owned by the card and signed. */
void hws_cmdq_entry_encode(struct hws_entry *e, const struct hws_cmdq_cmd *cmd);

/*
 * Judges a private copy of a completed entry (ownership bit 0). HWS_OK: the command was executed;
 * its status is in the inline output. HWS_E_PROTO, stage UNKNOWN: signature, type or token are
 * wrong, so nothing in it can be believed. HWS_E_DEVICE, stage REJECTED: delivery status.
 */
enum hws_code hws_cmdq_entry_judge(const struct hws_entry *e, uint8_t token, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Judges the first 16 bytes of an outbox: HWS_OK, or HWS_E_DEVICE with stage EXECUTED, status and
 * syndrome. in supplies opcode and op_mod for the text.
 */
enum hws_code hws_cmdq_out_judge(const uint8_t *out, const uint8_t *in, struct hws_err *err)
    HWS_MUST_USE;

#endif
