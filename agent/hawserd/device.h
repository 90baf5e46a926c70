/*
 * The adapters: their channel to the device process, what they are, whether they take commands, and
 * who may use them when.
 *
 * An adapter appears when the device process announces it, is never forgotten while hawserd lives
 * (it becomes GONE), and is identified again whenever it comes back: a restarted emulator is a
 * power cycle. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_DEVICE_H
#define HWS_HAWSERD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "ctl/ctl_ipc.h"
#include "hawserd/bounds.h"
#include "hawserd/run.h"
#include "hca/identity.h"
#include "policy/policy.h"
#include "sched/sched.h"

#define HWS_DEVICE_ID_BYTES    128u
#define HWS_DEVICE_FRESH_MS    1000u  /* Get reads facts again that are older */
#define HWS_DEVICE_IDENTIFY_MS 10000u /* limit of the whole identification */
#define HWS_DEVICE_RETRY_MS    1000u /* a failed identification or probe is tried again after this */
#define HWS_DEVICE_MAX_SHIFT   4u    /* ... doubled with each failure, up to so often */
#define HWS_DEVICE_TURN_MS     600000u /* one turn of many commands; each has its own deadline */

struct hws_agent;

/* The numbers are the public API's DeviceState. */
enum hws_device_state {
    HWS_DEVICE_READY = 1,
    HWS_DEVICE_STARTING = 2,
    HWS_DEVICE_STUCK = 3,
    HWS_DEVICE_GONE = 4,
    HWS_DEVICE_FAILED = 5
};

struct hws_adapter {
    struct hws_agent *agent;          /* borrowed */
    struct hws_ctl_ipc_adapter *port; /* borrowed; the channel's, for the agent's life */
    char id[HWS_DEVICE_ID_BYTES];     /* "mlx5:SERIAL@PCI"; "mlx5:?@PCI" until identified */
    enum hws_device_state state;
    char reason[256];  /* why it is not READY */
    uint64_t since_ms; /* of the state */
    uint64_t version;  /* rises with every change that Watch shows */
    struct hws_sched sched;
    struct hws_list lingering; /* struct hws_lease: turns whose command has not returned */
    uint64_t hung_unix_ms;     /* when the first of n_hung got no answer */
    uint64_t stalled_unix_ms;  /* since when the device process waits for one that is stuck below */
    unsigned n_orphaned;       /* commands stuck below when their device process ended, until that
                                  process has been reaped */
    unsigned n_hung;           /* commands that did not return in time, until a probe is answered */
    unsigned n_tries;          /* failed identifications and probes in a row */
    bool waited;               /* commands that we had given up were not back at the last turn */
    bool was_up;               /* the last announcement said UP */
    bool known;                /* identity is valid for this coming of the adapter */
    struct hws_hca_identity identity;
    uint64_t facts_ms; /* when identity was read */
    struct hws_hca_identify identify;
    struct hws_run identify_run;
    struct hws_err identify_err; /* of the last failure */
    uint64_t retry_ms;           /* when to try again; UINT64_MAX = not due */
    struct hws_bounds bounds;
    bool recovering; /* an unfinished change is not resolved yet */
};

struct hws_devices {
    struct hws_agent *agent; /* borrowed */
    struct hws_ctl_ipc ipc;
    uv_poll_t poll;
    uv_timer_t timer;
    bool open;
    bool kicked;             /* something was submitted or entered since the last turn */
    uint64_t version;        /* of all adapters together */
    struct hws_list dropped; /* struct hws_lease: canceled in the queue, done is due */
    struct hws_adapter *adapters[HWS_LINK_MAX_ADAPTERS]; /* owned */
    size_t n;
    bool greeted;      /* a device process has said HELLO since our start */
    size_t n_promised; /* the adapters that it is about to announce, by its HELLO */
};

/* Starts without adapters. HWS_E_IO. */
enum hws_code hws_devices_open(struct hws_devices *d, struct hws_agent *agent, struct hws_err *err)
    HWS_MUST_USE;

/* Closes handles; runs what is on loan to its end first. */
void hws_devices_close(struct hws_devices *d);

/* Frees the adapters; after the loop has ended. */
void hws_devices_deinit(struct hws_devices *d);

/* The device process said HELLO on sock_fd (taken on success). */
enum hws_code hws_devices_attach(struct hws_devices *d, int sock_fd,
                                 const struct hws_link_hello *hello, struct hws_err *err)
    HWS_MUST_USE;

/* Something is due: the next loop turn looks. */
void hws_devices_kick(struct hws_devices *d);

/* A process of ours has been reaped; the kernel has returned what it had of it. */
void hws_devices_process_ended(struct hws_devices *d);

/* What is killed may have changed: the device process is told anew, for every adapter. */
void hws_devices_kills_changed(struct hws_devices *d);

/* The loop's turn: moves commands, grants turns, judges states. */
void hws_devices_turn(struct hws_devices *d);

/* There is more to do than one wait allows: the loop must not sleep. */
void hws_devices_again(struct hws_devices *d);

/*
 * HWS_OK once the device process has announced all its adapters: before that, one that is missing
 * may be about to come. HWS_E_GONE at stage NOT_SENT.
 */
enum hws_code hws_devices_all_told(const struct hws_devices *d, struct hws_err *err) HWS_MUST_USE;

/*
 * By id, PCI address or serial number. HWS_E_INVALID: empty, or a serial that several adapters
 * have; HWS_E_NOT_FOUND: the text names the adapters there are; HWS_E_GONE at stage NOT_SENT: it
 * may be one that is not announced or not identified yet.
 */
enum hws_code hws_devices_find(const struct hws_devices *d, const char *text,
                               struct hws_adapter **out, struct hws_err *err) HWS_MUST_USE;

/* What a selector may name it by, borrowed; all "" for NULL, and what is read from the card until
 * it is identified. */
struct hws_policy_card hws_device_card(const struct hws_adapter *a);

/* HWS_OK if it takes commands now; HWS_E_GONE at stage NOT_SENT with the reason. */
enum hws_code hws_device_usable(const struct hws_adapter *a, struct hws_err *err) HWS_MUST_USE;

/* Reads the facts again unless that is under way. False if it cannot be asked now. */
bool hws_device_refresh(struct hws_adapter *a);

/* True while facts are being read. */
bool hws_device_refreshing(const struct hws_adapter *a);

/* A command did not return in time: the adapter is STUCK until it has returned (or was given back
 * by the device process, which has nothing of it stuck below either) and a probe is answered. */
void hws_device_hung(struct hws_adapter *a);

/* "ready", "starting", "stuck", "gone", "failed". */
const char *hws_device_state_name(enum hws_device_state state);

#endif
