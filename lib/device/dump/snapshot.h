/*
 * The dump source "registers": every read this build knows (source.def), one after the other, as
 * JSON lines.
 *
 * One line a register and index: {"register","id","index","status","fields","raw"}; the first line
 * says what the snapshot is, the last how many reads were answered and refused. A register that the
 * firmware, the gate or the kernel refuses becomes a line with its status, never a hole; a read
 * whose outcome is unknown or whose channel is gone ends the snapshot. Every value is decoded from
 * the reply's bytes, which stand beside it in hex. Contract of next and feed: hca/identity.h.
 */
#ifndef HWS_DUMP_SNAPSHOT_H
#define HWS_DUMP_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "hca/cmd.h"
#include "ifc/call.h"

#define HWS_DUMP_REGISTERS_NAME "registers"
#define HWS_DUMP_REGISTERS_DESCRIPTION                                                             \
    "every management register this build can read, decoded and raw, as JSON lines"
#define HWS_DUMP_REGISTERS_FORMAT "hawser.registers.v1+json-lines"

struct hws_dump_snapshot {
    struct hws_err err;  /* after HWS_STEP_FAILED */
    uint64_t timeout_ms; /* per command; the caller may change it after init */
    uint32_t n_answered;
    uint32_t n_refused;
    struct hws_buf *out; /* borrowed: complete lines are appended in feed (and the first in init,
                            the last in next) */
    uint8_t n_ports;
    unsigned state;        /* private */
    size_t read_idx;       /* private */
    unsigned sub_idx;      /* private: port, sensor or component */
    unsigned n_components; /* private: found by LIST */
    bool list_ended;       /* private */
    uint64_t sensor_map;   /* private: of MTCAP */
    struct hws_hca_regio io;
};

/*
 * Lines go to out, which the caller may drain (hws_buf_take) between steps; its ceiling must leave
 * room for one line (HWS_DUMP_LINE_MAX_BYTES). n_ports 1..HWS_HCA_MAX_PORTS. HWS_E_NOMEM,
 * HWS_E_BUSY, HWS_E_INVALID.
 */
enum hws_code hws_dump_snapshot_init(struct hws_dump_snapshot *snap, const char *device_id,
                                     const char *fw_version, uint8_t n_ports, struct hws_buf *out,
                                     struct hws_err *err) HWS_MUST_USE;
enum hws_step hws_dump_snapshot_next(struct hws_dump_snapshot *snap, uint64_t now_ms,
                                     struct hws_ctl_call *call);
void hws_dump_snapshot_feed(struct hws_dump_snapshot *snap, const struct hws_ctl_call *call);

/* An upper bound on the whole snapshot, and on one of its lines. */
size_t hws_dump_snapshot_estimate_bytes(uint8_t n_ports);
#define HWS_DUMP_LINE_MAX_BYTES 65536u

#endif
