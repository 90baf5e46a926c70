/*
 * One firmware command as every layer above the queue sees it: the call, the operations of a
 * control channel, and the step result of multi-step work. Pure data: steppers (hca, nvconfig,
 * dump) fill calls and need no channel.
 *
 * Lifetime: the call and its buffers are the caller's and on loan from submit until cb. A submit
 * that returns an error never calls cb; one that returns HWS_OK calls it exactly once, never inside
 * submit, always inside turn. At its deadline a call ends with stage UNKNOWN; a late answer then
 * lands in the backend's own buffer, never in `out`.
 */
#ifndef HWS_IFC_CALL_H
#define HWS_IFC_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

/* The least and most bytes of a command, either way (fwctl: drivers/fwctl/main.c MAX_RPC_LEN; mlx5:
 * 16). */
#define HWS_CALL_MIN_BYTES 16u
#define HWS_CALL_MAX_BYTES 2097152u

/* fwctl scopes (include/uapi/fwctl/fwctl.h, enum fwctl_rpc_scope). */
enum hws_scope {
    HWS_SCOPE_CONFIG = 0,      /* read and write device configuration */
    HWS_SCOPE_DEBUG_READ = 1,  /* read-only debug information */
    HWS_SCOPE_DEBUG_WRITE = 2, /* write debug state; taints the kernel */
    HWS_SCOPE_FULL = 3         /* anything; taints, needs CAP_SYS_RAWIO */
};

struct hws_ctl;

struct hws_ctl_call {
    const uint8_t *in;    /* inbox; borrowed until cb */
    size_t in_bytes;      /* HWS_CALL_MIN_BYTES..HWS_CALL_MAX_BYTES */
    uint8_t *out;         /* outbox; on loan until cb */
    size_t out_cap_bytes; /* how many bytes to ask for; same range */
    uint8_t scope;        /* enum hws_scope */
    uint64_t deadline_ms; /* absolute, on the clock given to turn */
    const char *warrant;  /* text that a dangerous command needs (core/warrant); borrowed until cb;
                             NULL: none */
    size_t warrant_bytes;
    size_t out_bytes;   /* result: bytes valid in out; 0 unless the stage is EXECUTED or code is
                           HWS_OK */
    struct hws_err err; /* result: HWS_OK, or code + stage + firmware status + syndrome */
    void (*cb)(struct hws_ctl_call *call);
    void *data;           /* the caller's */
    struct hws_list link; /* the channel's while on loan */
    uint64_t id;          /* the channel's while on loan */
};

/*
 * A control channel to one adapter. Implementations: the command queue (drv/ctl_queue), fwctl
 * (drv/ctl_fwctl), the socket to the device process (ctl/ctl_ipc). Every function is called on the
 * owner's thread.
 */
struct hws_ctl_ops {
    /* Never blocks. HWS_E_BUSY at depth, HWS_E_GONE when the adapter is away, HWS_E_INVALID for bad
     * lengths. */
    enum hws_code (*submit)(struct hws_ctl *ctl, struct hws_ctl_call *call, struct hws_err *err);
    /* The callback still comes: NOT_SENT or UNKNOWN with HWS_E_CANCELED. No effect on a call that
     * is not on loan. */
    void (*cancel)(struct hws_ctl *ctl, struct hws_ctl_call *call);
    /* Readable: call turn. -1: turn only at deadlines. */
    int (*fd)(struct hws_ctl *ctl);
    /* Reaps, expires, runs callbacks; returns the next absolute deadline, UINT64_MAX if none. */
    uint64_t (*turn)(struct hws_ctl *ctl, uint64_t now_ms);
    /* Refuses new work, ends what is on loan with HWS_E_CANCELED, then calls closed once (maybe
     * inside turn). */
    void (*close)(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl));
    /*
     * How many calls have ended UNKNOWN while something below still holds on to them and to what
     * others need there too (an ioctl that has not returned), and since when the oldest, on the
     * clock given to turn; *out_since_ms is untouched for 0. NULL: this channel has no such thing.
     */
    unsigned (*stalled)(const struct hws_ctl *ctl, uint64_t *out_since_ms);
};

/* Embedded first in each implementation. */
struct hws_ctl {
    const struct hws_ctl_ops *ops;
    void *data; /* the owner's, for closed() */
};

/* What a stepper wants next: hand out a call, or it has ended. */
enum hws_step {
    HWS_STEP_CALL,  /* *call is filled: submit it, then feed the result */
    HWS_STEP_DONE,  /* finished; the result is in the stepper */
    HWS_STEP_FAILED /* finished; the error is in the stepper */
};

#endif
