/*
 * The keeper's control channel to a device process: one socket, many adapters, each adapter a
 * struct hws_ctl.
 *
 * The object lives as long as the keeper; the connection comes and goes. attach takes a connected
 * socket whose HELLO has been read; adapters announce themselves and are matched with earlier ones
 * by PCI address, so pointers to them stay valid across reconnects. When the connection ends, calls
 * already sent end HWS_E_GONE at stage UNKNOWN, unsent ones at NOT_SENT, and every adapter is AWAY.
 *
 * A command keeps its place among the adapter's depth until the device process answers it: a call
 * that ended at its deadline or was cancelled still counts, since the card may still be busy with
 * it. `n_abandoned` and `n_earlier` say so.
 *
 * Thread rule: one thread, the owner's loop. Poll hws_ctl_ipc_fd for reading (one descriptor for
 * the object's whole life) and call hws_ctl_ipc_turn when it is readable or the returned deadline
 * has come. Nothing blocks. Callbacks run inside turn only.
 */
#ifndef HWS_CTL_CTL_IPC_H
#define HWS_CTL_CTL_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "ifc/call.h"
#include "link/hello.h"
#include "link/packet.h"

#define HWS_CTL_IPC_READS_PER_TURN 64u /* packets read before others get their turn */
#define HWS_CTL_IPC_MAX_CANCELS    64u /* wishes to cancel that may wait; more are dropped */

struct hws_ctl_ipc;

/* One place of an adapter's depth. */
struct hws_ctl_ipc_slot {
    uint64_t id;               /* command id; 0 = free */
    struct hws_ctl_call *call; /* on loan; NULL = abandoned */
    int memfd;                 /* owned; -1 = none */
};

struct hws_ctl_ipc_adapter {
    struct hws_ctl ctl;      /* what steppers and the scheduler use */
    struct hws_ctl_ipc *ipc; /* its channel */
    uint16_t index;          /* the device process's number for it */
    bool present;            /* announced on the current connection */
    bool kills_due;          /* its list of killed rows is not yet sent */
    uint8_t state;           /* enum hws_link_adapter_state */
    bool emulated;
    uint16_t depth;
    char kind[HWS_LINK_KIND_BYTES + 1];
    char pci[HWS_LINK_PCI_BYTES + 1];
    char node[HWS_LINK_NODE_BYTES + 1];
    char backend[HWS_LINK_BACKEND_BYTES + 1];
    char reason[HWS_LINK_REASON_BYTES + 1];
    uint16_t n_stalled;     /* answered UNKNOWN, and stuck in the device process since */
    uint32_t stalled_ms;    /* age of the oldest of them when this was announced */
    uint16_t n_abandoned;   /* sent, given up, not yet answered */
    uint16_t n_earlier;     /* of earlier sessions, still running */
    uint16_t n_unsent;      /* in `unsent` */
    struct hws_list unsent; /* calls not yet on the socket */
    struct hws_list ended;  /* calls whose callback is due, with their result */
    struct hws_ctl_ipc_slot slots[HWS_LINK_MAX_DEPTH];
    bool closing;                        /* refuses new work */
    void (*closed)(struct hws_ctl *ctl); /* due in the next turn, or NULL */
};

struct hws_ctl_ipc_config {
    uint64_t generation; /* the keeper's, random, not 0; upper half marks this session's commands */
    const char *name;    /* borrowed for the object's life */
    const char *build_id; /* borrowed for the object's life */
    /* The table row of a call; 0 = none (the gate will refuse it). Required. */
    uint16_t (*row_of)(void *data, const struct hws_ctl_ipc_adapter *adapter,
                       const struct hws_ctl_call *call);
    /* What is killed on the adapter now: fills rows (HWS_LINK_MAX_KILLS entries) with
     * hws_link_kill_put, rows ascending, and returns how many. Asked when a list goes out: first of
     * all that goes to an adapter that has announced itself, and after hws_ctl_ipc_kills_changed.
     * NULL: nothing is ever killed. */
    uint16_t (*kills_of)(void *data, const struct hws_ctl_ipc_adapter *adapter, uint8_t *rows);
    /* An adapter is new, has changed state, or n_abandoned / n_earlier changed. May be NULL. */
    void (*on_adapter)(void *data, struct hws_ctl_ipc_adapter *adapter);
    /* The connection ended; every call's callback has run. Not called by detach. May be NULL. */
    void (*on_end)(void *data, const struct hws_err *why);
    void *data; /* borrowed */
};

struct hws_ctl_ipc {
    struct hws_ctl_ipc_config config;
    int epoll_fd;     /* owned; what the owner polls */
    int kick_fd;      /* owned; an eventfd that makes turn due */
    bool kicked;      /* kick_fd is readable */
    int sock_fd;      /* owned; -1 = not attached */
    bool want_write;  /* epoll watches sock_fd for room, too */
    uint64_t next_id; /* next command id */
    bool hello_due;   /* our HELLO is not yet sent */
    bool drain_due;   /* DRAIN is not yet sent */
    bool turning;     /* inside turn */
    bool end_due;     /* on_end is due, with end_why */
    struct hws_err end_why;
    uint64_t cancels[HWS_CTL_IPC_MAX_CANCELS]; /* CANCEL_CMD packets not yet sent */
    uint16_t n_cancels;
    uint16_t n_adapters;
    struct hws_ctl_ipc_adapter *adapters[HWS_LINK_MAX_ADAPTERS]; /* owned */
    struct hws_link_running earlier[HWS_LINK_MAX_RUNNING];       /* still running */
    uint16_t n_earlier;
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

/* Makes an unattached channel. Copies config. HWS_E_IO: no epoll descriptor. */
enum hws_code hws_ctl_ipc_init(struct hws_ctl_ipc *ipc, const struct hws_ctl_ipc_config *config,
                               struct hws_err *err) HWS_MUST_USE;

/* Closes and frees everything. No call may be on loan: detach and turn first. Accepts a zeroed
 * struct. */
void hws_ctl_ipc_deinit(struct hws_ctl_ipc *ipc);

/*
 * Takes sock_fd (on success only), on which hello has arrived, and answers it. HWS_E_PROTO: not a
 * device process or another version. HWS_E_STATE: already attached.
 */
enum hws_code hws_ctl_ipc_attach(struct hws_ctl_ipc *ipc, int sock_fd,
                                 const struct hws_link_hello *hello, struct hws_err *err)
    HWS_MUST_USE;

/* Drops the connection, if any; calls end as when it breaks (callbacks in the next turn). */
void hws_ctl_ipc_detach(struct hws_ctl_ipc *ipc);

bool hws_ctl_ipc_attached(const struct hws_ctl_ipc *ipc);

/* Asks the device process to finish what runs and exit. */
void hws_ctl_ipc_drain(struct hws_ctl_ipc *ipc);

/* Readable: turn is due. The same descriptor from init to deinit. */
int hws_ctl_ipc_fd(const struct hws_ctl_ipc *ipc);

/* Sends, receives, expires, runs callbacks. Returns the next deadline, UINT64_MAX if none. */
uint64_t hws_ctl_ipc_turn(struct hws_ctl_ipc *ipc, uint64_t now_ms);

/* Adapters ever announced, in order of first appearance; NULL when idx is past the end. */
struct hws_ctl_ipc_adapter *hws_ctl_ipc_adapter_at(const struct hws_ctl_ipc *ipc, size_t idx);

/* The adapter's list of killed rows is sent anew, before any command that is not yet sent. */
void hws_ctl_ipc_kills_changed(struct hws_ctl_ipc_adapter *adapter);

/* Commands sent or waiting on this adapter, abandoned and earlier ones included. */
uint16_t hws_ctl_ipc_in_flight(const struct hws_ctl_ipc_adapter *adapter);

#endif
