/*
 * One firmware command from the keeper to a device process (CMD) and its outcome (DONE).
 *
 * Inbox and outbox travel inside the packet up to HWS_LINK_INLINE_BYTES. If either may be larger,
 * the keeper sends a memfd along with CMD (flag HWS_LINK_FLAG_FD): the inbox lies in it from offset
 * 0; the device process takes a private copy, and writes the outbox from offset 0 before DONE. The
 * descriptor is read and written with pread and pwrite only, never mapped. A warrant, which a
 * dangerous command needs (core/warrant), is always inside the packet. Pure data.
 */
#ifndef HWS_LINK_COMMAND_H
#define HWS_LINK_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define HWS_LINK_INLINE_BYTES  30720u   /* most inbox or outbox bytes in a packet */
#define HWS_LINK_COMMAND_BYTES 2097152u /* most inbox or outbox bytes of a command: 2 MiB */
#define HWS_LINK_COMMAND_MIN   16u      /* least, either way */
#define HWS_LINK_WARRANT_BYTES 1600u    /* most of a warrant */

struct hws_link_cmd {
    uint16_t adapter;        /* adapter index */
    uint16_t row;            /* table row id; 0 is refused by the gate */
    uint8_t scope;           /* 0..3 */
    uint32_t deadline_ms;    /* from now; at least 1 */
    uint32_t in_bytes;       /* HWS_LINK_COMMAND_MIN..HWS_LINK_COMMAND_BYTES */
    uint32_t out_cap;        /* same range */
    struct hws_span warrant; /* at most HWS_LINK_WARRANT_BYTES; empty: none; borrowed */
    struct hws_span in;      /* the inbox, in_bytes long; empty if a memfd carries it; borrowed */
};

struct hws_link_done {
    uint8_t code;            /* enum hws_code */
    uint8_t stage;           /* enum hws_stage */
    uint8_t delivery_status; /* as struct hws_err */
    uint8_t fw_status;
    uint32_t syndrome;
    uint32_t out_bytes;  /* valid outbox bytes */
    struct hws_span msg; /* error text, at most HWS_ERR_MSG_BYTES - 1 bytes; borrowed */
    struct hws_span out; /* out_bytes long; empty if they are in the memfd; borrowed */
};

/* True if a command of these sizes needs a memfd. */
bool hws_link_needs_fd(uint32_t in_bytes, uint32_t out_cap);

/* Copies outcome and text of a DONE packet into *err. */
void hws_link_done_err(const struct hws_link_done *done, struct hws_err *err);

/* Fills code, stage, statuses and text of *done from err; the text is borrowed from err. */
void hws_link_done_from(struct hws_link_done *done, const struct hws_err *err);

#endif
