/*
 * A control channel over one fwctl node. open(2), FWCTL_INFO, FWCTL_RPC and close(2) all block (the
 * first and last run firmware commands, too), so each runs on a worker of this channel's own pool.
 *
 * The inbox is copied at submit, and the kernel writes into a buffer of the slot, never into the
 * caller's: a late answer harms nobody. A call that ended at its deadline keeps its slot until the
 * ioctl returns.
 *
 * ENODEV closes for good: the node never comes back to life. The owner closes this channel and
 * opens another one on the node that discovery then finds.
 *
 * Thread rule: the owner's thread. The owner embeds the struct.
 */
#ifndef HWS_DRV_CTL_FWCTL_H
#define HWS_DRV_CTL_FWCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "drv/pool.h"
#include "drv/sys.h"
#include "ifc/call.h"

/* The kernel's slots are the network driver's, too: take few. */
#define HWS_CTL_FWCTL_DEPTH 4u

enum hws_ctl_fwctl_state {
    HWS_CTL_FWCTL_CLOSED,  /* zeroed, or closed */
    HWS_CTL_FWCTL_OPENING, /* open and INFO run on a worker */
    HWS_CTL_FWCTL_UP,
    HWS_CTL_FWCTL_FAILED, /* open or INFO failed; `why` */
    HWS_CTL_FWCTL_GONE,   /* ENODEV; `why` */
    HWS_CTL_FWCTL_CLOSING
};

struct hws_ctl_fwctl;

struct hws_ctl_fwctl_slot {
    struct hws_job job;
    struct hws_ctl_fwctl *owner;
    struct hws_ctl_call *call; /* on loan; NULL = free or stalled */
    bool busy;                 /* the job is with the pool */
    uint64_t stalled_ms;       /* while busy without a call: since when */
    uint8_t scope;
    uint8_t *in; /* owned; HWS_CALL_MAX_BYTES */
    size_t in_bytes;
    uint8_t *out;     /* owned; HWS_CALL_MAX_BYTES */
    size_t out_bytes; /* asked for; then produced */
    int result;       /* 0 or -errno */
};

struct hws_ctl_fwctl {
    struct hws_ctl ctl; /* first */
    const struct hws_sys *sys;
    struct hws_pool pool;
    enum hws_ctl_fwctl_state state;
    struct hws_err why; /* of FAILED and GONE */
    char node[64];
    uint64_t now_ms;         /* of the last turn */
    int fd;                  /* -1 = none; the open and close jobs own it while they run */
    uint32_t device_type;    /* after UP */
    uint32_t uid;            /* after UP, mlx5 */
    struct hws_job node_job; /* open, then close */
    bool node_busy;
    int node_result;
    struct hws_list ended; /* calls whose callback is due */
    struct hws_ctl_fwctl_slot slots[HWS_CTL_FWCTL_DEPTH];
    void (*on_state)(
        struct hws_ctl_fwctl *c); /* inside turn, for UP, FAILED and GONE; may be NULL */
    void (*closed)(struct hws_ctl *ctl);
};

/*
 * Starts to open the node; on_state tells the outcome. sys is borrowed. HWS_E_INVALID: node too
 * long; HWS_E_IO: no pool; HWS_E_NOMEM: buffers, all of which are made here (2 * 2 MiB of address
 * space a slot): no submit allocates. A failed open needs no undo.
 */
enum hws_code hws_ctl_fwctl_open(struct hws_ctl_fwctl *c, const struct hws_sys *sys,
                                 const char *node, void (*on_state)(struct hws_ctl_fwctl *c),
                                 void *data, struct hws_err *err) HWS_MUST_USE;

/* Frees what open took, after closed() has run. Accepts a zeroed one. */
void hws_ctl_fwctl_deinit(struct hws_ctl_fwctl *c);

/* What an errno of FWCTL_RPC means: code and stage, with text. errno_value is positive. */
void hws_ctl_fwctl_errno(int errno_value, struct hws_err *out);

#endif
